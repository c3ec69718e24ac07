"""The benchmark's table: every line has its measurement, and a miss is called one."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.measure import Row
from benchmarks.report import holds, markdown
from benchmarks.run import CASES


@pytest.mark.parametrize("case", CASES)
def test_every_row_names_what_is_measured(case: str) -> None:
    module = importlib.import_module(f"benchmarks.cases.{case}")
    measured = {one.name: {*one.contenders, *one.programs} for one in module.MEASURES}
    for row in module.ROWS:
        assert {row.contender, row.baseline or row.contender} <= measured[row.measure], row


@pytest.mark.parametrize(
    ("bar", "at_least", "held"),
    [(0.5, False, True), (0.499, False, False), (0.5, True, True), (0.501, True, False)],
)
def test_a_bar_is_held_only_as_measured(bar: float, at_least: bool, held: bool) -> None:
    run = {"get": {"us": {"cpu": [1.0, 9.0, 2.0]}, "them": {"cpu": [2.0, 2.0, 4.0]}}}
    row = Row("a call", "get", "us", "them", bar, at_least=at_least)
    assert holds(row, [run]) is held
    text = markdown([row], [run], quick=False, seconds=1)
    assert ("| held |" in text) is held
    assert ("**missed**" in text) is not held
