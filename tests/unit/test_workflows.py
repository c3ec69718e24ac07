"""What GitHub runs for us: `make lint` holds the files against GitHub's schemas; here, that what they run is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llamadapro_contract.cli import parser
from tests.openapi import ROOT, read

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read(path)["jobs"].values():
        yield from job["steps"]


def scripts(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


@every_workflow
def test_every_target_that_is_made_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = {name for script in scripts(path) for name in re.findall(r"\bmake ([a-z-]+)", script)}
    assert made <= targets


@every_workflow
def test_every_script_can_be_read_by_the_shell(path: Path) -> None:
    for script in scripts(path):
        plain = re.sub(r"\${{.*?}}", "x", script)
        done = subprocess.run(["bash", "-n"], input=plain, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@every_workflow
def test_a_job_ends_and_may_not_write(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert job.get("permissions", {}).keys() <= {"id-token"}


def test_every_python_that_is_promised_is_tested() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = re.findall(r":: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    matrix = read(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert set(promised) < set(matrix)
    assert promised


def test_the_scheduled_probe_is_called_as_it_can_be() -> None:
    [command] = [
        script for script in scripts(ROOT / ".github/workflows/contract.yml") if "llamadapro contract" in script
    ]
    name, section, *arguments = shlex.split(command.replace("\\\n", " "))
    assert (name, section) == ("llamadapro", "contract")
    options = parser().parse_args(arguments)  # exits where an option is unknown
    assert json.loads((ROOT / options.baseline).read_text()) == {"accepted": []}
