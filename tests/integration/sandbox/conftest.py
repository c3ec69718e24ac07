"""The sandbox on a real socket, in a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from tests.openapi import key_headers


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with sandbox.serve() as server:
        yield server.url


@pytest.fixture
async def api(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers=key_headers("sandbox"), trust_env=False) as client:
        yield client
