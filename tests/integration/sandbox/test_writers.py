"""The short version of tests/tools/sandbox_writers.py."""

from __future__ import annotations

from pathlib import Path

from tests.tools.sandbox_writers import prove


async def test_many_writers_and_a_kill(tmp_path: Path) -> None:
    outcome = await prove(0.5, 20, tmp_path / "state.sqlite", least=10)
    assert outcome.good, outcome
    assert len(outcome.created) > len(outcome.renamed) >= 10
