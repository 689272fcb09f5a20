"""Libraries at a distance: who imports which, when, and what each would do by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("admin", "api", "audit", "auth", "benchmarks", "cli", "db", "examination", "inference", "locustfiles", "migrations",
         "program", "quotas", "serving", "values")  # fmt: skip
SLOW = {"pandas", "sklearn", "onnx", "skl2onnx", "xgboost", "lightgbm", "catboost", "pyarrow", "skops"}


def sources():
    return [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def test_one_file_imports_onnx_runtime():
    """It switches the telemetry off first; whoever imports the library elsewhere may be earlier."""
    importing = re.compile(r"^\s*(?:import|from) onnxruntime\b", re.MULTILINE)
    found = {str(path.relative_to(ROOT)) for path in sources() if importing.search(path.read_text())}
    assert found == {"inference/onnx_runtime.py"}


def test_nothing_imports_mlflow():
    """Its folders are read without it: it belongs to the tests, which have it write some."""
    importing = re.compile(r"^\s*(?:import|from) mlflow\b", re.MULTILINE)
    assert not [path for path in sources() if importing.search(path.read_text())]


@pytest.mark.parametrize(
    ("program", "slow"),
    [
        ("import cli.main, cli.key_commands, cli.model_commands", SLOW | {"numpy", "onnxruntime"}),
        ("import cli.main, api.app, api.http.server", SLOW | {"alembic", "mako", "pygments", "rich"}),
        ("import examination.apart, admin.models.registration, admin.models.bundled", SLOW),
    ],
    ids=["a command", "a server", "a registration"],
)
def test_what_needs_no_slow_library_loads_none(program, slow):
    """A list of keys, the start of a server, and the process that has a file examined elsewhere."""
    command = [sys.executable, "-c", f"{program}; import sys; print(*sys.modules)"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) & slow == set()


#: Serves the bundled models, and then makes a frame's inputs ready, as a model that was trained on frames has it done.
SERVE = """
import asyncio, sys
from api.app import create_app
from inference.rows.inputs import inputs_of
from program.settings import read_settings

async def serve():
    app = create_app(read_settings())
    async with app.router.lifespan_context(app):
        assert app.state.parts.registry.loaded_bytes
        print(*sys.modules)

asyncio.run(serve())
inputs_of("frame", {"properties": {"x": {"type": "number"}}})
assert "DataFrame" in dir(sys.modules["pandas"])
"""


def test_a_server_of_the_bundled_models_loads_what_serves_them_and_no_more(own_site):
    """scikit-learn comes without pandas, which it would import; whoever needs a frame gets pandas, before a request."""
    command = [sys.executable, "-c", SERVE]
    run = subprocess.run(
        command, cwd=own_site.directory, env=own_site.environment(), capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert loaded & (SLOW | {"alembic", "examination.examine", "locust", "matplotlib"}) == {"sklearn"}


def test_converters_do_not_bring_onnx_runtime_before_its_telemetry_is_off():
    """Whatever imports it first: the variable is set when it is loaded."""
    program = (
        "import sys, skl2onnx; assert 'onnxruntime' not in sys.modules; import examination.examine, os;"
        "assert 'onnxruntime' in sys.modules; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


def test_every_locked_dependency_has_its_line_about_the_network():
    """docs/security.md has a table, and nothing in it that is not installed."""
    locked = set(
        re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    section = (
        (ROOT / "docs/security.md").read_text().partition("## Dependencies and the network")[2].partition("\n## ")[0]
    )
    assert set(re.findall(r"^\| ([a-z0-9._-]+) \|", section, re.MULTILINE)) - {"dependency"} == locked
