"""The recipe for several processes, run with two of them against one sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from llamadapro_sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"
ALLOWED = 7

# Each would send more than all of them may within the hour; what gets no turn ends by its deadline, unsent.
WORKER = f"""
import asyncio, sys
from pyrate_limiter import Duration
from shared_rate_limit import SharedLimit
from llamadapro import APITimeoutError, AsyncLlamadaPro

async def main():
    limit = SharedLimit(sys.argv[1], {ALLOWED}, Duration.HOUR)
    async with AsyncLlamadaPro(rate_limit=limit, deadline=3) as client:
        sends = [
            client.messages.send_text(to="+14155552671", from_="+56912345678", text=f"{{sys.argv[2]}}, {{n}}")
            for n in range({ALLOWED})
        ]
        ends = await asyncio.gather(*sends, return_exceptions=True)
    for end in ends:
        if isinstance(end, APITimeoutError):
            assert not end.may_have_been_processed, end
        elif isinstance(end, BaseException):
            raise end

asyncio.run(main())
"""


def test_two_processes_share_one_limit(tmp_path: Path) -> None:
    sandbox = Sandbox()
    with sandbox.serve() as server:
        environment = {
            **os.environ,
            "LLAMADAPRO_API_KEY": "sandbox",
            "LLAMADAPRO_BASE_URL": server.url,
            "PYTHONPATH": str(EXAMPLES),
        }
        command = [sys.executable, "-c", WORKER, str(tmp_path / "limit.sqlite")]
        workers = [
            subprocess.Popen([*command, name], env=environment, stderr=subprocess.PIPE, text=True) for name in "AB"
        ]
        for worker in workers:
            _, complaint = worker.communicate(timeout=60)
            assert worker.returncode == 0, complaint
        received = len(sandbox.requests)
    sandbox.close()
    assert received == ALLOWED


def test_the_example_sends_what_it_is_asked_to(tmp_path: Path) -> None:
    sandbox = Sandbox()
    with sandbox.serve() as server:
        environment = {**os.environ, "LLAMADAPRO_API_KEY": "sandbox", "LLAMADAPRO_BASE_URL": server.url}
        command = [sys.executable, str(EXAMPLES / "shared_rate_limit.py"), str(tmp_path / "limit.sqlite"), "2", "3"]
        done = subprocess.run(command, env=environment, check=True, timeout=60, capture_output=True, text=True)
        assert done.stdout.count("sent 3 messages") == 2
        workers = {request.json["content"].split("of ")[1] for request in sandbox.requests}
        assert len(workers) == 2
        assert [request.operation for request in sandbox.requests] == ["CreateMessage"] * 6
    sandbox.close()
