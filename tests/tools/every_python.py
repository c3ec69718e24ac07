"""`make test-all`: the unit, wire and sandbox tests on every Python that can be found, from the lowest we support.

Looks on the PATH and among pyenv's versions; each gets a virtual environment below build/. A Python that pyproject.toml
names and this machine lacks is reported, and fails where CI is set.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import which
from typing import Any

from tests.openapi import ROOT

TESTS = ("tests/unit", "tests/integration/sandbox")
NEWEST = 30
"""No minor version from here on is looked for."""

Version = tuple[int, int]


def candidates(lowest: Version, environment: dict[str, str]) -> Iterator[str]:
    """Commands that may be a Python, those of the PATH first."""
    for minor in range(lowest[1], NEWEST):
        if found := which(f"python3.{minor}", path=environment.get("PATH")):
            yield found
    pyenv = Path(environment.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob("versions/3.*/bin/python3"), reverse=True))


def version_of(command: str) -> Version | None:
    """The version of a Python; None if it is none that runs here, as a shim of pyenv may be."""
    probe = [command, "-c", "import ensurepip, sys, venv; print(*sys.version_info[:2])"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    major, _, minor = done.stdout.strip().partition(" ")
    return (int(major), int(minor)) if done.returncode == 0 and minor.isdigit() else None


def found_pythons(lowest: Version, environment: dict[str, str]) -> dict[Version, str]:
    """One command for each version."""
    found: dict[Version, str] = {}
    for command in candidates(lowest, environment):
        version = version_of(command)
        if version is not None and version >= lowest:
            found.setdefault(version, command)
    return dict(sorted(found.items()))


def lowest_python(project: dict[str, Any]) -> Version:
    found = re.fullmatch(r">=(\d+)\.(\d+)", project["requires-python"])
    assert found, project["requires-python"]
    return int(found[1]), int(found[2])


def named_pythons(project: dict[str, Any]) -> set[Version]:
    """Those that the classifiers promise."""
    found = re.findall(r":: Python :: (3)\.(\d+)\n", "\n".join([*project["classifiers"], ""]))
    return {(int(major), int(minor)) for major, minor in found}


def run(version: Version, command: str, arguments: Sequence[str]) -> bool:
    """Whether all tests pass on that Python."""
    folder = ROOT / "build" / f"python{version[0]}.{version[1]}"
    python = str(folder / "bin" / "python")
    if not Path(python).exists():
        subprocess.run([command, "-m", "venv", str(folder)], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--upgrade", "pip>=25.1"], check=True)
    extras = ",".join(sorted(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]))
    subprocess.run([*install, "--group", "test", "--editable", f".[{extras}]"], cwd=ROOT, check=True)
    tests = [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-n", "2", "--dist", "worksteal", *TESTS]
    return subprocess.run([*tests, *arguments], cwd=ROOT, check=False).returncode == 0


def main(arguments: Sequence[str]) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = found_pythons(lowest_python(project), dict(os.environ))
    failed = []
    for version, command in found.items():
        print(f"--- Python {version[0]}.{version[1]}: {command}", flush=True)
        if not run(version, command, arguments):
            failed.append(version)
    missing = sorted(named_pythons(project) - found.keys())
    for title, versions in (("passed", found.keys() - failed), ("failed", failed), ("not found", missing)):
        if versions:
            print(f"{title}: {', '.join(f'Python {major}.{minor}' for major, minor in sorted(versions))}")
    return 1 if failed or (missing and os.environ.get("CI")) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
