"""How to test an application against the sandbox: no account, no network, no mocks, no waiting.

The fixtures come with `pip install 'llamadapro[sandbox]'`; nothing has to be configured.
"""

from __future__ import annotations

import httpx
import pytest
from welcome import follow_up, welcome

from llamadapro import AsyncLlamadaPro
from llamadapro_api import api
from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.server import Server

pytestmark = pytest.mark.asyncio

JANE = "+14155552671"


async def test_a_contact_is_welcomed(llamadapro_client: AsyncLlamadaPro, llamadapro_sandbox: Sandbox) -> None:
    assert await welcome(llamadapro_client, "Jane", JANE) == "contact 1: pending"

    sent = llamadapro_sandbox.requests[-1]
    assert sent.operation == "CreateTemplateMessage"
    assert sent.json["variables"] == [{"value": "Jane"}]


async def test_nobody_is_welcomed_twice(llamadapro_client: AsyncLlamadaPro, llamadapro_sandbox: Sandbox) -> None:
    llamadapro_sandbox.faults.add("status", status=503, operation="CreateTemplateMessage")

    assert await welcome(llamadapro_client, "Jane", JANE) == "unsure"

    assert [request.operation for request in llamadapro_sandbox.requests] == ["CreateContact", "CreateTemplateMessage"]


async def test_a_call_takes_no_time(llamadapro_client: AsyncLlamadaPro) -> None:
    assert (await follow_up(llamadapro_client, JANE)).startswith("completed: Agent:")


async def test_on_a_real_socket(llamadapro_server: Server) -> None:
    async with AsyncLlamadaPro("sandbox", llamadapro_server.url) as client:
        assert await welcome(client, "Jane", JANE) == "contact 1: pending"
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(llamadapro_server.url + api.get_contacts().url_path)).status_code == 401
