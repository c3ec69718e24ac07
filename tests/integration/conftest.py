"""A client whose sleeping lets the sandbox's time pass: waiting takes none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from tests.clocks import FakeClock
from tests.faults.clients import client_for


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Any]:
    clock = FakeClock(on_sleep=lambda: sandbox.clock.advance(clock.sleeps[-1]))
    own = httpx.AsyncClient(transport=sandbox.transport())
    options = {"api_key": "sandbox", "default_region": "CL", "clock": clock, "http_client": own}
    async with own, client_for("httpx", "http://sandbox", **options) as client:
        yield client
