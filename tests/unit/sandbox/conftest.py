"""A sandbox in process, on a clock that moves only when a test says so, and a plain httpx client on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from llamadapro_sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(speed=0)
    yield sandbox
    sandbox.close()


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-API-Key": "sandbox"}
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox", headers=headers) as client:
        yield client
