"""Operators' own code: searched last, executed as it was examined, and never from a compiled file."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from inference.files.code_words import words_of
from program.settings import InvalidSettings, Settings

ROOT = Path(__file__).parents[2]
START = """
import json, sys
from pathlib import Path
from inference.files.code_words import AlteredCode
from inference.files.own_code import OwnCode
given = json.loads(sys.argv[1])
code = OwnCode(is_examination=given["is_examination"])
code.search([Path(each) for each in given["folders"]])
def answer(**found):
    print(json.dumps(found))
def refused(modules):
    try:
        code.require(modules)
    except AlteredCode as error:
        return str(error)
"""


def run(script, *folders, is_examination=False, path=(), **given):
    """Runs a script in a process of its own, as Python keeps one set of modules for each; returns its answer."""
    order = {"folders": [str(each) for each in folders], "is_examination": is_examination} | given
    environment = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path))), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-P", "-c", START + script, json.dumps(order)]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def write(folder, **sources):
    """Writes modules by their names, `__` for a dot; a package's own code is `package____init__`."""
    for name, source in sources.items():
        file = folder / (name.replace("____init__", "/__init__").replace("__d__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(
        tmp_path / "code",
        acme____init__="from .steps import double\n",
        acme__d__steps="from . import words\ndef double(x):\n    from acme import late\n    return late.twice(x)\n",
        acme__d__words="from pathlib import Path\nTEXT = Path(__file__).with_name('words.txt').read_text()\n",
        acme__d__late="def twice(x):\n    return 2 * x\n",
        acme__d__unused="raise RuntimeError\n",
        space__d__deep__d__part="VALUE = 7\n",
    )


EXAMINE = """
import acme, space.deep.part
acme.double(2)
answer(needed=code.needed(), value=space.deep.part.VALUE, text=acme.steps.words.TEXT)
"""
REQUIRE = """
fault = code.fault_in(given["modules"])
answer(fault=fault, loaded=sorted(set(sys.modules) & {"acme", "acme.steps"}), refused=refused(given["modules"]))
"""


@pytest.fixture
def needed(folder):
    """The modules that an examination found, of packages with data files, relative imports and no `__init__`."""
    (folder / "acme" / "words.txt").write_text("data")
    found = run(EXAMINE, folder, is_examination=True)
    assert (found["value"], found["text"]) == (7, "data")
    return found["needed"]


def test_exactly_the_modules_that_were_imported_are_needed(folder, needed):
    """Also those of imports within functions; in the order in which they were begun; none that was not imported."""
    names = [name for name, _ in needed]
    assert names == ["acme", "acme.steps", "acme.words", "space.deep.part", "acme.late"]
    assert not list(folder.rglob("__pycache__"))
    assert run(REQUIRE, folder, modules=needed) == {"fault": None, "loaded": [], "refused": None}


@pytest.mark.parametrize("name", ["acme/__init__.py", "acme/steps.py", "acme/late.py", "space/deep/part.py"])
def test_a_changed_module_is_refused_by_its_name_and_not_executed(folder, needed, name):
    """One that is imported only when a row comes, and one in a package without `__init__`, as well."""
    file = folder / name
    file.write_text(file.read_text() + f"\nopen({str(folder / 'was-here')!r}, 'w')\n")
    found = run(REQUIRE, folder, modules=needed)
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    words = (
        f"the module {module} of ADYTON_MODELS_PATH has changed since the version was registered:"
        " put it back, or register the model's file again"
    )
    assert (found["fault"], found["refused"]) == (words, words)
    assert not (folder / "was-here").exists()


@pytest.mark.parametrize("name", ["acme/late.py", "space/deep/part.py"])
def test_a_missing_module_is_refused_by_its_name(folder, needed, name):
    """And so it is where the whole folder is another one."""
    (folder / name).unlink()
    found = run(REQUIRE, folder, modules=needed)
    module = name.removesuffix(".py").replace("/", ".")
    assert found["fault"] == found["refused"]
    assert found["refused"].startswith(f"the module {module} is missing from the folders of ADYTON_MODELS_PATH")
    assert run(REQUIRE, folder.parent, modules=needed)["refused"].startswith("the module acme is missing")


def test_a_shadowed_module_is_refused_by_its_name(folder, needed, tmp_path):
    """By a library that was installed since, even if it has the same source."""
    write(
        tmp_path / "installed",
        acme____init__=(folder / "acme" / "__init__.py").read_text(),
        acme__d__steps="double = 1",
    )
    found = run(REQUIRE, folder, path=[tmp_path / "installed"], modules=needed)
    assert found["fault"] == found["refused"]
    assert found["refused"].startswith("the module acme of ADYTON_MODELS_PATH is shadowed by another of that name")


def test_nothing_in_such_a_folder_shadows_pythons_modules_or_ours(tmp_path):
    """A `json.py`, an `admin.py`, a package `values`: the program's own are found first."""
    folder = write(tmp_path, json="raise RuntimeError", colorsys="raise RuntimeError", admin____init__="raise RuntimeError",
                   values____init__="raise RuntimeError", values__d__texts="raise RuntimeError")  # fmt: skip
    found = run("import colorsys, values.texts, admin\nanswer(files=[colorsys.__file__, values.texts.__file__, "
                "admin.__file__], needed=code.needed())", folder, is_examination=True)  # fmt: skip
    assert found["needed"] == []
    assert not any(each.startswith(str(folder)) for each in found["files"])


@pytest.mark.parametrize("mode", list(py_compile.PycInvalidationMode))
def test_a_planted_compiled_file_is_not_executed(tmp_path, mode):
    """Whatever it claims of its source: its time and size, its digest, or that nobody need look at the source."""
    folder = write(tmp_path / "code", plain="VALUE = 1\n")
    (needed,) = run("import plain\nanswer(needed=code.needed())", folder, is_examination=True)["needed"]
    source, honest = folder / "plain.py", (folder / "plain.py").read_bytes()
    cached = importlib.util.cache_from_source(str(source))
    source.write_text("VALUE = 2\n")
    py_compile.compile(str(source), cached, invalidation_mode=mode)
    times = source.stat()
    source.write_bytes(honest)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    if mode is py_compile.PycInvalidationMode.CHECKED_HASH:
        content = bytearray(Path(cached).read_bytes())
        content[8:16] = importlib.util.source_hash(honest)
        Path(cached).write_bytes(content)
    plainly = f"import sys; sys.path.append({str(folder)!r}); import plain; print(plain.VALUE)"
    process = subprocess.run([sys.executable, "-c", plainly], capture_output=True, text=True, check=True)
    assert process.stdout == "2\n", "Python itself is misled"
    script = "code.require(given['modules'])\nimport plain\nanswer(value=plain.VALUE)"
    assert run(script, folder, modules=[needed]) == {"value": 1}


def test_a_compiled_file_alone_is_no_module(tmp_path):
    """Nor is an extension: their sources cannot be compared."""
    folder = write(tmp_path / "code", plain="VALUE = 1\n")
    py_compile.compile(str(folder / "plain.py"), str(folder / "bare.pyc"))
    found = run("import importlib.util as u\nanswer(bare=u.find_spec('bare') is None)", folder, is_examination=True)
    assert found == {"bare": True}


def test_a_module_that_no_version_needs_is_not_executed(folder, needed):
    """A row of a new kind may ask for one: it was never examined."""
    script = """
code.require(given["modules"])
try:
    import acme.unused
except ImportError as error:
    answer(words=str(error))
"""
    found = run(script, folder, modules=needed)
    assert found["words"].startswith("the module acme.unused of ADYTON_MODELS_PATH was not imported when the model was")


def test_loaded_code_stays_loaded_and_other_code_waits_for_a_restart(folder, needed):
    """The version that is loaded is loaded again as it was; the one with the new code is told what to do."""
    script = """
first, late = refused(given["modules"]), Path(given["folders"][0]) / "acme" / "late.py"
late.write_text("def twice(x):\\n    return 3 * x\\n")
import acme, hashlib
new = [[n, hashlib.sha256(late.read_bytes()).hexdigest() if n == "acme.late" else d] for n, d in given["modules"]]
answer(first=first, again=refused(given["modules"]), value=acme.double(2), new=refused(new), fault=code.fault_in(new))
"""
    found = run(script, folder, modules=needed)
    assert (found["first"], found["again"], found["value"], found["fault"]) == (None, None, 4, None)
    assert (
        found["new"] == "this process has loaded another form of the module acme.late of ADYTON_MODELS_PATH: restart it"
    )


def test_a_refused_version_leaves_nothing_in_the_way_of_the_next(folder, needed):
    """Its modules are forgotten, and the version that was registered again is loaded without a restart."""
    script = """
import hashlib
folder = Path(given["folders"][0])
(folder / "acme" / "late.py").write_text("def twice(x):\\n    return 3 * x\\n")
first = refused(given["modules"])
(folder / "acme" / "words.py").write_text("TEXT = 'new'\\n")
paths = {"acme": "acme/__init__.py"}
new = [[n, hashlib.sha256((folder / paths.get(n, n.replace(".", "/") + ".py")).read_bytes()).hexdigest()]
       for n, _ in given["modules"]]
again = refused(new)
import acme
answer(first=first, again=again, value=acme.double(2), text=acme.steps.words.TEXT)
"""
    found = run(script, folder, modules=needed)
    assert "acme.late" in found["first"]
    assert (found["again"], found["value"], found["text"]) == (None, 6, "new")


def test_an_environment_within_such_a_folder_is_no_own_code(tmp_path):
    """A project's folder often holds its `.venv`: libraries there are read as everywhere."""
    project = write(
        tmp_path / "project", own="VALUE = 1\n", venv__d__lib="VALUE = 2\n", venv__d__sub____init__="VALUE = 3\n"
    )
    script = "import own, lib, sub\nanswer(needed=[name for name, _ in code.needed()])"
    assert run(script, project, path=[project / "venv"], is_examination=True) == {"needed": ["own"]}


@pytest.mark.parametrize("is_link", [False, True])
def test_a_folder_that_python_searches_anyway_is_own_code_too(folder, needed, tmp_path, is_link):
    """By whichever name: an operator who had set PYTHONPATH sets the new setting beside it."""
    (tmp_path / "link").symlink_to(folder)
    also = tmp_path / "link" if is_link else folder
    assert run(REQUIRE, folder, path=[also], modules=needed)["refused"] is None
    (folder / "acme" / "late.py").write_text("twice = None\n")
    assert "acme.late" in run(REQUIRE, folder, path=[also], modules=needed)["refused"]


@pytest.mark.parametrize(
    ("source", "words"),
    [("raise RuntimeError('a row: 5.1')", "raises RuntimeError when"), ("import sys; sys.exit(1)", "raises SystemExit when"),
     ("import nowhere_at_all", "the module odd of ADYTON_MODELS_PATH needs the module nowhere_at_all, which is not installed here")],
)  # fmt: skip
def test_a_module_that_cannot_be_imported_says_how_it_fails(tmp_path, source, words):
    """By the error's type and without its words; the process goes on."""
    from hashlib import sha256  # noqa: PLC0415  for this test alone

    folder = write(tmp_path, odd=source)
    refused = run(REQUIRE, folder, modules=[["odd", sha256(source.encode()).hexdigest()]])["refused"]
    assert words in refused
    assert "5.1" not in refused


def test_missing_code_is_named_with_what_to_do():
    """A module, a class that was defined in a notebook, a name that a module has no longer."""
    missing = words_of(ModuleNotFoundError("No module named 'acme'", name="acme"))
    assert missing.endswith("No module named 'acme': put it into a folder of ADYTON_MODELS_PATH")
    notebook = words_of(AttributeError("Can't get attribute 'F' on <module '__main__' (built-in)>"))
    assert notebook.startswith(
        "the file needs F, which was defined in the notebook or script that saved the file: move"
    )
    gone = words_of(AttributeError("Can't get attribute 'G' on <module 'acme.steps' from '/x/acme/steps.py'>"))
    assert gone == "the file needs G, which the module acme.steps does not have here"


def test_folders_are_named_like_paths_of_a_search(tmp_path, monkeypatch):
    """Absolute or relative, with the system's separator; one that does not exist, and a library's, are refused."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADYTON_MODELS_PATH", f"a{os.pathsep}{tmp_path / 'b'}")
    assert Settings().own_code_folders() == [tmp_path / "a", tmp_path / "b"]
    for value, words in ((f"a{os.pathsep}c", "folder 2 of 2 does not exist"), (str(ROOT), "folder 1 of 1 is one of Python's"),
                         (str(Path(json.__file__).parents[1]), "folder 1 of 1 is one of Python's")):  # fmt: skip
        monkeypatch.setenv("ADYTON_MODELS_PATH", value)
        with pytest.raises(InvalidSettings, match=words):
            Settings().own_code_folders()
