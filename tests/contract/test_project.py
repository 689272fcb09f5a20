"""What holds the project together: rooms, settings and their description, the wheel, the locks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from program.settings import Settings

ROOT = Path(__file__).parents[2]
OURS = ["admin", "api", "audit", "auth", "cli", "db", "inference", "migrations", "quotas", "serving"]


def sources():
    return [path for room in OURS for path in (ROOT / room).rglob("*.py")]


def test_every_setting_is_described_and_nothing_else_is():
    """docs/settings.md has one heading for each, and no more."""
    described = set(re.findall(r"^### `ADYTON_([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    assert described == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_settings_read_the_environment(path):
    """A second place would be a second truth."""
    if path != ROOT / "program/settings.py":
        # To set a variable for a library is no reading: ONNX Runtime listens to nothing else.
        text = path.read_text().replace('os.environ["ORT_DISABLE_TELEMETRY"] = "1"', "")
        assert not re.search(r"os\.environ|getenv|environ\[", text)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_status_codes_and_http_exceptions_stay_within_the_api(path):
    """Below it, errors are facts."""
    if ROOT / "api" not in path.parents:
        assert "HTTPException" not in path.read_text()
        assert "status_code" not in path.read_text()


def test_the_symbols_that_the_request_flow_names_are_in_the_files_it_lists():
    """docs/request-flow.md ends with a list from symbols to files."""
    pairs = re.findall(r"^- `([\w.]+)`: `([\w/.]+)`", (ROOT / "docs/request-flow.md").read_text(), re.MULTILINE)
    assert len(pairs) > 15
    for symbol, file in pairs:
        text = (ROOT / file).read_text()
        assert re.search(rf"(class|def|^) ?{symbol.rpartition('.')[2]}\b", text, re.MULTILINE), (symbol, file)


def test_the_locks_hold_hashes_and_no_address():
    """Nothing is installed that was not looked at, from wherever it comes."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|index.url|find.links", text)
        pinned = re.findall(r"^[a-z0-9._-]+(?:\[[a-z,]+\])?==", text, re.MULTILINE)
        assert len(pinned) > 30
        for block in re.split(r"\n(?=[a-z])", text.strip()):
            assert "--hash=sha256:" in block


def test_the_wheel_holds_every_room_and_its_files(tmp_path):
    """What is imported from the built wheel, away from the repository, is the whole program."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("adyton-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    assert {
        "api/static/redoc.standalone.js",
        "migrations/versions/0001_first_schema.py",
        "migrations/env.py",
        "auth/common_passwords.txt",
    } <= names
    assert not any(name.startswith(("tests/", "benchmarks/", "locustfiles/", "var/")) for name in names)
    program = "import api.app, cli.main; assert 'installed' in api.app.__file__; cli.main.app"
    subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, check=True,
                   env={"PYTHONPATH": str(tmp_path / "installed")})  # fmt: skip


def test_every_dependency_says_what_it_is_for():
    """One line each in pyproject, with a reason."""
    text = (ROOT / "pyproject.toml").read_text()
    declared = tomllib.loads(text)["project"]["dependencies"]
    for requirement in declared:
        assert re.search(rf'^  "{re.escape(requirement)}",\s+# \w+', text, re.MULTILINE), requirement


def test_no_file_has_grown_a_second_subject():
    """A file past 300 lines is redesigned, except for the tables, which are a list."""
    long = [str(path.relative_to(ROOT)) for path in sources() if len(path.read_text().splitlines()) > 300]
    assert set(long) <= {"db/tables.py", "migrations/versions/0001_first_schema.py"}
