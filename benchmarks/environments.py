"""An environment of its own for each peer, under `var/peers/`, with the scikit-learn that Adyton has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DIRECTORY = Path("var/peers")
#: So that all peers compute with the same.
SAME = ("scikit-learn", "numpy", "joblib")
REQUIREMENTS = {
    # With uvloop 0.22 or newer, MLServer 1.7 does not start.
    "mlserver": ["mlserver>=1.7", "mlserver-sklearn>=1.7", "uvloop<0.22"],
    "litserve": ["litserve>=0.2"],
    "bentoml": ["bentoml>=1.4"],
}
VERSIONS = """
import importlib.metadata, json, sys
found = {each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}
print(json.dumps({name: found[name] for name in sys.argv[1:] if name in found}))
"""


def binary(name: str, command: str) -> str:
    """The path of a command of an environment."""
    return str((DIRECTORY / name / "bin" / command).absolute())


def is_made(name: str) -> bool:
    """Makes the environment, unless it is there already; says on standard error why it cannot be made."""
    folder = DIRECTORY / name
    wanted = json.dumps([*REQUIREMENTS[name], *(f"{each}=={version(each)}" for each in SAME)])
    stamp = folder / "made-for.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    print(f"{name}: making its environment in {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [binary(name, "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run = subprocess.run([*install, *json.loads(wanted)], check=False, capture_output=True, text=True)
    if run.returncode:
        print(f"{name} is skipped, since it cannot be installed:\n{run.stderr[-1500:]}", file=sys.stderr)
        return False
    stamp.write_text(wanted)
    return True


def versions(home: str, packages: Iterable[str]) -> dict[str, str]:
    """The versions of these packages, as far as the environment has them; "" is our own."""
    if home:
        command = [binary(home, "python"), "-c", VERSIONS, *packages]
        found: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return found
    ours = {}
    for package in packages:
        try:
            ours[package] = version(package)
        except PackageNotFoundError:
            continue
    return ours
