"""Workers that are killed and stopped, a database that crashes, a service that loses answers; `make jobs` is larger."""

from __future__ import annotations

from pathlib import Path

from tests.postgres import PostgresServer
from tests.tools.jobs_chaos import prove


async def test_killed_workers_on_a_crashing_postgres_send_nothing_twice(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    outcome = await prove(300, 4, postgres, tmp_path)
    assert outcome.violations == [], str(outcome)


async def test_a_killed_process_on_a_file_sends_nothing_twice(tmp_path: Path) -> None:
    outcome = await prove(100, 2, None, tmp_path)
    assert outcome.violations == [], str(outcome)
