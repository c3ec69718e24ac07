"""The recipe for several processes, run with two of them against one sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from llamadapro_sandbox import Sandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "shared_rate_limit.py"
EACH = 12
PER_SECOND = 10


def test_two_processes_share_one_limit(tmp_path: Path) -> None:
    sandbox = Sandbox()
    with sandbox.serve() as server:
        environment = {**os.environ, "LLAMADAPRO_API_KEY": "sandbox", "LLAMADAPRO_BASE_URL": server.url}
        command = [sys.executable, str(EXAMPLE), str(tmp_path / "limit.sqlite"), str(EACH)]
        workers = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for worker in workers:
            _, complaint = worker.communicate(timeout=60)
            assert worker.returncode == 0, complaint
        received = list(sandbox.requests)
    sandbox.close()

    senders = {request.json["content"].partition(",")[0] for request in received}
    assert len(received) == 2 * EACH
    assert len(senders) == 2
    # A request is let go, and received some time after: in a window of a second there may be a few of the one before,
    # but never as many as two limits apart would let through.
    times = sorted(datetime.fromisoformat(request.at).timestamp() for request in received)
    busiest = max(sum(start <= time < start + 1 for time in times) for start in times)
    assert busiest < 2 * PER_SECOND
    assert times[-1] - times[0] >= (2 * EACH - PER_SECOND - 1) // PER_SECOND
