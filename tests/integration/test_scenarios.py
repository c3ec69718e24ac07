"""Every operation of openapi.yaml through its public method against the sandbox: over a socket with both engines,
and in process. Then that the scenarios send all that is documented, and notice what is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from llamadapro import AsyncLlamadaPro, NotFoundError, PaginationError
from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.server import Server
from tests.openapi import OPERATIONS, Operation, operation_of, resolve

pytest.register_assert_rewrite("tests.contract.scenarios")  # its assertions show what they saw
from tests.contract.scenarios import SCENARIOS, Run, Scenario, ScenariosFailed, run_all, run_one, scenarios  # noqa: E402

every_scenario = pytest.mark.parametrize("operation", [OPERATIONS[name] for name in SCENARIOS], ids=str)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(speed=0)  # time stands still but for what a scenario advances
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_over_a_socket(sandbox: Sandbox, engine: Any) -> None:
    with Server(sandbox) as server:
        async with AsyncLlamadaPro("sandbox", server.url, engine=engine, max_retries=0) as client:
            assert await run_all(client, sandbox) == set(scenarios())
    assert answered(sandbox) == set(scenarios())


async def test_in_process(sandbox: Sandbox) -> None:
    async with in_process(httpx.ASGITransport(app=sandbox)) as client:
        assert await run_all(client, sandbox) == set(scenarios())
    assert answered(sandbox) == set(scenarios())
    assert not_sent(sandbox) == []


# --- the walk itself ---------------------------------------------------------------------------------------------


async def test_a_scenario_that_does_not_send_its_operation_is_noticed(sandbox: Sandbox) -> None:
    async def nothing(_run: Run) -> None:
        return None

    unsent = "its scenario did not send it, or it was never answered as documented"
    assert await failures(sandbox, {**SCENARIOS, "LoadRecording": nothing, "GetTheMoon": nothing}) == [
        "GetTheMoon: no operation of openapi.yaml",
        f"LoadRecording: {unsent}",
        f"GetTheMoon: {unsent}",
        "LoadRecording: never sent",
        "GetTheMoon: never sent",
    ]


@every_scenario
async def test_a_service_that_only_pretends_is_noticed(sandbox: Sandbox, operation: Operation) -> None:
    """One operation is answered with the document's example, which is as valid as can be, and nothing is done."""
    async with in_process(Pretending(sandbox, operation)) as client:
        result = await run_one(Run(client, sandbox), operation.id, SCENARIOS[operation.id])
    assert type(result.error) in (AssertionError, NotFoundError, PaginationError), result


@every_scenario
async def test_a_field_that_is_lost_on_the_way_is_noticed(operation: Operation) -> None:
    """Each parameter and each field of the request and of the answer is left out once; nothing else is wrong."""
    found, fields = await found_without(operation, None)
    assert found == []
    assert fields, "the scenario sends and receives nothing"
    missed = [place for place in sorted(fields) if not (await found_without(operation, place))[0]]
    assert missed == []


async def found_without(operation: Operation, place: str | None) -> tuple[list[str], set[str]]:
    """What the scenario finds when something is left out, and all the places that it might have been."""
    sandbox = Sandbox(speed=0)
    transport = Losing(sandbox, operation, place)
    async with in_process(transport) as client:
        result = await run_one(Run(client, sandbox), operation.id, SCENARIOS[operation.id])
    sandbox.close()
    return result.found, transport.places


class Losing(httpx.ASGITransport):
    """Leaves one place out of every request or answer of one operation: ``?pageSize``, ``>firstName``, ``<id``."""

    def __init__(self, sandbox: Sandbox, operation: Operation, place: str | None) -> None:
        super().__init__(app=sandbox)
        self.places: set[str] = set()
        self._operation, self._place = operation, place

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if operation_of(request.method, request.url.path) is not self._operation:
            return await super().handle_async_request(request)
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        url = request.url.copy_with(params=self._kept("?", dict(request.url.params)))
        content = self._without(">", await request.aread())
        answer = await super().handle_async_request(
            httpx.Request(request.method, url, headers=headers, content=content)
        )
        content = await answer.aread()
        if answer.is_success:
            content = self._without("<", content)
        return httpx.Response(answer.status_code, headers={"Content-Type": "application/json"}, content=content)

    def _without(self, sign: str, content: bytes) -> bytes:
        if not content:
            return content
        value = self._kept(sign, json.loads(content))
        for name, items in value.items():
            if name == "items":
                value[name] = [self._kept(f"{sign}items.", item) for item in items]
        return json.dumps(value).encode()

    def _kept(self, sign: str, fields: dict[str, Any]) -> dict[str, Any]:
        self.places |= {f"{sign}{name}" for name in fields}
        return {name: value for name, value in fields.items() if f"{sign}{name}" != self._place}


class Pretending(httpx.ASGITransport):
    def __init__(self, sandbox: Sandbox, operation: Operation) -> None:
        super().__init__(app=sandbox)
        self._operation = operation

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if operation_of(request.method, request.url.path) is not self._operation:
            return await super().handle_async_request(request)
        status, content = self._operation.success
        return httpx.Response(status, json=content["example"]) if content else httpx.Response(status)


async def failures(sandbox: Sandbox, chosen: Mapping[str, Scenario]) -> list[str]:
    async with in_process(httpx.ASGITransport(app=sandbox)) as client:
        with pytest.raises(ScenariosFailed) as failed:
            await run_all(client, sandbox, chosen)
    return str(failed.value).splitlines()


@asynccontextmanager
async def in_process(transport: httpx.ASGITransport) -> AsyncIterator[AsyncLlamadaPro]:
    async with httpx.AsyncClient(transport=transport) as http_client:
        yield AsyncLlamadaPro("sandbox", "http://sandbox", http_client=http_client, max_retries=0)


# --- what was sent -----------------------------------------------------------------------------------------------

SUPPLIED_BY_THE_PATH = {
    "UpdateContact .id",
    "UpdateCustomFieldDefinition .id",
    "UpdateCustomFieldListOption .definitionId",
    "UpdateCustomFieldListOption .id",
}
"""No keywords of a method that takes them as path ids; the document does not require them in the body."""


def answered(sandbox: Sandbox) -> set[str]:
    """The operations that the sandbox has answered with success: what the server saw, not what the client says."""
    return {str(one.operation) for one in sandbox.requests if one.status in (200, 204)} - {"file"}


def not_sent(sandbox: Sandbox) -> list[str]:
    """The documented parameters and body fields, nested ones too, that no request had. (An inferred one need not be
    sent: whoever adds one to the document finds his tests as they were.)"""
    missing: set[str] = set()
    for operation in OPERATIONS.values():
        received = sandbox.requests.of(operation.id)
        sent = {path for one in received for path in [*paths_in(one.json), *(f"?{name}" for name in one.query)]}
        missing |= {f"{operation.id} {path}" for path in documented(operation) if path not in sent}
    return sorted(missing - SUPPLIED_BY_THE_PATH)


def documented(operation: Operation) -> Iterator[str]:
    for parameter in map(resolve, operation.raw.get("parameters", [])):
        if parameter["in"] == "query" and parameter.get("x-provenance") != "inferred":
            yield f"?{parameter['name']}"
    if "requestBody" in operation.raw:
        yield from paths_of(operation.raw["requestBody"]["content"]["application/json"]["schema"])


def paths_of(schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """The places in a JSON value that a schema names: ``.sort[].field``."""
    resolved = resolve(schema)
    if "inferred" in (schema.get("x-provenance"), resolved.get("x-provenance")):
        return
    if at:
        yield at
    for name, inner in resolved.get("properties", {}).items():
        yield from paths_of(inner, f"{at}.{name}")
    if "items" in resolved:
        yield from paths_of(resolved["items"], f"{at}[]")
    for choice in resolved.get("anyOf", []):
        yield from paths_of(choice, at)


def paths_in(value: Any, at: str = "") -> Iterator[str]:
    """The places that a JSON value has."""
    if at:
        yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths_in(inner, f"{at}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths_in(inner, f"{at}[]")


def test_the_check_of_what_was_sent_bites(sandbox: Sandbox) -> None:
    """With nothing sent it finds a long list, with fields of fields and parameters."""
    found = not_sent(sandbox)
    assert {"GetTasks ?dueBefore", "BulkCreate .conversations[].contact.phones[]"} <= set(found)
    assert "StartAgentCallV2 .providerConfig.voice.optimizeStreamingLatency" in found
    assert len(found) > 150
