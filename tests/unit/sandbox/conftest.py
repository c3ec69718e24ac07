"""A plain httpx client on the sandbox in process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from tests.openapi import key_headers


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    headers = key_headers("sandbox")
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox", headers=headers) as client:
        yield client
