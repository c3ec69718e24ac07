"""The soak of `tests/tools/soak.py` in small: 200 sends among faults and cancelled calls, none of them doubled."""

from __future__ import annotations

import pytest

from tests.faults.clients import OWN, available
from tests.tools.soak import soak

pytest.importorskip("llamadapro.errors")


@pytest.mark.parametrize("engine", OWN)
async def test_no_send_is_doubled_among_faults(engine: str) -> None:
    if not available(engine):
        pytest.skip("needs an extra")
    report = await soak(engine, sends=200, concurrency=50, seed=3)
    assert report.violations == [], str(report)
    assert report.figures["taken"] >= 150
    assert report.figures["→ success"] >= 100
