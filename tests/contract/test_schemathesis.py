"""Schemathesis, a stranger to this project, against the running sandbox: every check, every phase, no failure, no 5xx.

`make schemathesis`. Without Schemathesis installed the test is skipped.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from llamadapro_sandbox import Sandbox
from tests.openapi import KEY_HEADER, OPENAPI, key_value

HERE = Path(__file__).parent
LEAST_CASES = 1000

pytestmark = pytest.mark.skipif(find_spec("schemathesis") is None, reason="needs schemathesis (make schemathesis)")


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    options = [{"value": f"value {number}"} for number in range(30)]
    kinds = {"entityType": "CONTACT", "fieldType": "LIST"}
    definitions = [{**kinds, "fieldKey": f"seeded {number}", "options": []} for number in range(57)]
    definitions[-1]["options"] = options
    # Calls end at once, so that what a call leaves behind can be asked for as soon as the call is made.
    sandbox = Sandbox(seed={"definitions": definitions}, call_seconds=0)
    with sandbox.serve() as server:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
            *(
                "run",
                str(OPENAPI),
                "--url",
                server.url,
                "--header",
                f"{KEY_HEADER}: {key_value(sandbox.api_key)}",
                "--no-color",
            ),
        ]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases is not None
    assert int(cases[1]) >= LEAST_CASES
    answered = {(one.operation, one.status) for one in sandbox.requests}
    assert not [pair for pair in answered if pair[1] is None or pair[1] >= 500]
    sandbox.close()
