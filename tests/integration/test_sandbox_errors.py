"""Bad input, and how it reaches the caller: the sandbox's refusals as typed errors with code, message and details, over
a real socket with both engines; and what the client refuses by itself, before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from llamadapro import (
    APIStatusError,
    AsyncLlamadaPro,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
)
from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.server import Server
from tests.openapi import KEY_HEADER, OPERATIONS, path_of

CONTACTS = path_of("GetContacts")
TASKS = path_of("GetTasks")

UNKNOWN = 2**31 - 1


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox(speed=0)
    with Server(sandbox) as server:
        yield sandbox, server.url
    sandbox.close()


@pytest.fixture
def sandbox(served: tuple[Sandbox, str]) -> Sandbox:
    served[0].reset()
    return served[0]


@pytest.fixture
def url(sandbox: Sandbox, served: tuple[Sandbox, str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return served[1]


@pytest.fixture(params=["httpx", "aiohttp"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def client(url: str, engine: Any) -> AsyncIterator[AsyncLlamadaPro]:
    async with AsyncLlamadaPro("sandbox", url, engine=engine) as client:
        yield client


def issues(error: APIStatusError) -> list[tuple[str, str, str]]:
    """Where each issue lies, and its code; every one has its own words too."""
    found = error.details["issues"]
    assert all(one["message"] for one in found)
    return sorted((one["in"], one["field"], one["code"]) for one in found)


def is_refusal(error: APIStatusError, status: int, *words: str) -> None:
    """All that the caller learns: in the error's attributes, and in its text."""
    assert (error.status_code, error.code, error.body["code"]) == (status, status, status)
    assert error.message == error.body["message"]
    assert error.details == error.body["details"]
    assert error.response.status_code == status
    assert error.may_have_been_processed is False
    for word in words:
        assert word in str(error)
    for found in (error.details or {}).get("issues", []):  # each thing is said once, with its place
        assert found["field"] in error.message
        assert found["message"] not in error.message
    assert "sandbox" not in {value.lower() for value in error.request.headers.values()}, "the key is in the error"


# --- 400 ---------------------------------------------------------------------------------------------------------


async def test_400_lists_every_issue_of_a_body(client: AsyncLlamadaPro) -> None:
    wrong = {"objective": 5, "createdBy": {"id": 1}, "status": "done", "dueDate": "tomorrow"}
    with pytest.raises(BadRequestError) as raised:
        await client.request("POST", TASKS, json=wrong)
    is_refusal(raised.value, 400, "CreateTask")
    assert issues(raised.value) == [
        ("body", "assignedTo", "REQUIRED_FIELD"),
        ("body", "context", "REQUIRED_FIELD"),
        ("body", "createdBy.id", "INVALID_FIELD"),
        ("body", "createdBy.type", "REQUIRED_FIELD"),
        ("body", "dueDate", "INVALID_FIELD"),
        ("body", "objective", "INVALID_FIELD"),
        ("body", "status", "INVALID_FIELD"),
    ]


async def test_400_lists_every_issue_of_a_list_in_a_body(client: AsyncLlamadaPro) -> None:
    wrong = {"firstName": ["Jane"], "addresses": [{"channelType": "PHONE", "address": "1"}, {"address": 2}, "three"]}
    with pytest.raises(BadRequestError) as raised:
        await client.request("POST", CONTACTS, json=wrong)
    is_refusal(raised.value, 400, "CreateContact", "addresses.1.address")
    assert issues(raised.value) == [
        ("body", "addresses.1.address", "INVALID_FIELD"),
        ("body", "addresses.1.channelType", "REQUIRED_FIELD"),
        ("body", "addresses.2", "INVALID_FIELD"),
        ("body", "firstName", "INVALID_FIELD"),
    ]


async def test_400_lists_every_issue_of_a_query(client: AsyncLlamadaPro) -> None:
    wrong = {"limit": "many", "status": "pending", "dueAfter": "yesterday", "assignedToId": "17"}
    with pytest.raises(BadRequestError) as raised:
        await client.request("GET", TASKS, params=wrong)
    is_refusal(raised.value, 400, "query.limit", "query.status", "query.dueAfter")
    assert issues(raised.value) == [
        ("query", "dueAfter", "INVALID_FIELD"),
        ("query", "limit", "INVALID_FIELD"),
        ("query", "status", "INVALID_FIELD"),
    ]


async def test_400_of_what_only_the_service_can_know(client: AsyncLlamadaPro) -> None:
    """The same road for the public methods: the client has nothing against these."""
    with pytest.raises(BadRequestError) as raised:
        await client.conversations.create(funnel_id=5, contact_id=UNKNOWN)
    is_refusal(raised.value, 400, str(UNKNOWN))
    assert issues(raised.value) == [("body", "contactId", "NOT_FOUND")]

    field = {"entity_type": "CONTACT", "field_key": "size", "field_type": "LIST"}
    definition = await client.custom_fields.definitions.create(**field)
    with pytest.raises(BadRequestError) as raised:
        await client.custom_fields.definitions.create(**field)
    is_refusal(raised.value, 400, "size", str(definition.id))
    assert issues(raised.value) == [("body", "fieldKey", "DUPLICATE")]

    with pytest.raises(BadRequestError) as raised:
        await client.contacts.create(first_name="Jane", custom_fields={"size": "XL"})
    is_refusal(raised.value, 400, "customFields.size")

    with pytest.raises(BadRequestError) as raised:
        await client.contacts.list(filter_by="surname:Doe")
    is_refusal(raised.value, 400, "surname")
    with pytest.raises(BadRequestError) as raised:
        await client.contacts.list(page_token="made up").collect()
    is_refusal(raised.value, 400, "pageToken")
    assert (await client.contacts.list()).total_count == 0


async def test_400_is_not_repeated(client: AsyncLlamadaPro) -> None:
    with client.capture_exchanges() as exchanges, pytest.raises(BadRequestError):
        await client.contacts.list(filter_by="surname:Doe")
    assert [exchange.attempts for exchange in exchanges] == [1]


# --- 401, 404, 409 -----------------------------------------------------------------------------------------------


async def test_401_for_a_wrong_key(url: str, engine: Any) -> None:
    async with AsyncLlamadaPro("not-it", url, engine=engine) as client:
        for call in (client.contacts.create(first_name="Jane"), client.calls.get(1), client.tasks.list().collect()):
            with pytest.raises(AuthenticationError) as raised:
                await call
            is_refusal(raised.value, 401, KEY_HEADER)
            assert raised.value.details == {}
            assert "not-it" not in str(raised.value)


async def test_401_for_a_key_in_the_wrong_header(url: str, engine: Any) -> None:
    async with AsyncLlamadaPro("sandbox", url, engine=engine, api_key_header="X-Other") as client:
        with pytest.raises(AuthenticationError) as raised:
            await client.contacts.list()
    is_refusal(raised.value, 401, "no API key", KEY_HEADER)


async def test_404_wherever_there_is_nothing(client: AsyncLlamadaPro) -> None:
    definitions, options = client.custom_fields.definitions, client.custom_fields.options
    definition = await definitions.create(entity_type="CONTACT", field_key="size", field_type="LIST")
    call = await client.calls.bridge(to="+56912345678")
    calls = {
        "contact": client.contacts.get(UNKNOWN),
        "contact ": client.contacts.update(UNKNOWN, first_name="Jane"),
        "contact  ": client.contacts.delete(UNKNOWN),
        "task": client.tasks.get("task_999"),
        "task ": client.tasks.complete("task_999"),
        "task  ": client.tasks.delete("nonsense"),
        "message": client.messages.get("message_999"),
        "call": client.calls.get(UNKNOWN),
        "call ": client.calls.wait(UNKNOWN),
        "no transcription": client.calls.get_transcription(call.id),
        "no recording": client.calls.get_recording(call.id),
        "recording": client.recordings.get(UNKNOWN),
        "definition": definitions.get(UNKNOWN),
        "definition ": definitions.update(UNKNOWN, field_label="Size"),
        "definition  ": definitions.delete(UNKNOWN, force=True),
        "definition   ": options.list(UNKNOWN).collect(),
        "definition    ": options.create(UNKNOWN, value="XL"),
        "option": options.get(definition.id, UNKNOWN),
        "option ": options.update(definition.id, UNKNOWN, label="Extra large"),
        "option  ": options.delete(definition.id, UNKNOWN),
        "/api/v1/anything": client.request("GET", "/api/v1/anything"),
    }
    for word, awaitable in calls.items():
        with pytest.raises(NotFoundError) as raised:
            await awaitable
        is_refusal(raised.value, 404, word.strip())
        assert raised.value.details == {}


async def test_409_while_a_field_is_in_use(client: AsyncLlamadaPro) -> None:
    definitions = client.custom_fields.definitions
    definition = await definitions.create(entity_type="CONTACT", field_key="size", field_type="LIST")
    for value in ("L", "XL"):
        await client.custom_fields.options.create(definition.id, value=value)
    await client.contacts.create(first_name="Jane", custom_fields={"size": "XL"})
    for query in ({}, {"force": False}, {"force": None}):
        with pytest.raises(ConflictError) as raised:
            await definitions.delete(definition.id, **query)
        is_refusal(raised.value, 409, "2 options and 1 values", "force=true")
        assert raised.value.details == {"options": 2, "values": 1}
    assert await definitions.delete(definition.id, force=True) == definition


# --- refused by the client ---------------------------------------------------------------------------------------


def methods(client: AsyncLlamadaPro) -> Iterator[tuple[str, Any]]:
    """Every public method of every section."""
    fields = client.custom_fields
    sections: dict[str, Any] = {
        "contacts": client.contacts,
        "tasks": client.tasks,
        "conversations": client.conversations,
        "messages": client.messages,
        "calls": client.calls,
        "recordings": client.recordings,
        "definitions": fields.definitions,
        "options": fields.options,
    }
    for section, holder in sections.items():
        for name, method in inspect.getmembers(holder, inspect.ismethod):
            if not name.startswith("_"):
                yield f"{section}.{name}", method


def arguments(method: Any) -> tuple[list[Any], dict[str, Any]]:
    """Something for each parameter that must be given."""
    needed = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
    keywords = {one.name: "+56912345678" for one in needed if one.kind is one.KEYWORD_ONLY}
    return [1 for one in needed if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)], keywords


async def test_an_unknown_keyword_is_a_type_error_that_names_it(client: AsyncLlamadaPro, sandbox: Sandbox) -> None:
    """Of a list or search when it is called, of the others at the latest when they are awaited; nothing is sent."""
    at_once, awaited = set[str](), set[str]()
    for name, method in methods(client):
        positional, keywords = arguments(method)
        try:
            pending = method(*positional, **keywords, colour="blue")
        except TypeError as error:
            reported, when = str(error), at_once
        else:
            with pytest.raises(TypeError) as raised:
                await pending
            reported, when = str(raised.value), awaited
        assert "colour" in reported, name
        when.add(name)
    assert {"contacts.list", "contacts.search", "tasks.list", "definitions.list", "options.list"} <= at_once
    assert {"contacts.create", "tasks.update", "messages.send", "calls.bridge", "definitions.delete"} <= awaited
    assert len(at_once | awaited) >= len(OPERATIONS)
    assert len(sandbox.requests) == 0


async def test_an_unknown_key_further_in_is_refused_by_its_place(client: AsyncLlamadaPro, sandbox: Sandbox) -> None:
    address = {"channel_type": "PHONE", "address": "+56912345678", "adress": "+56912345678"}
    with pytest.raises(InvalidRequestError, match=r"addresses.*adress.*did you mean 'address'"):
        await client.contacts.create(addresses=[address])
    with pytest.raises(InvalidRequestError, match=r"filters.*operater.*did you mean 'operator'"):
        client.contacts.search(filters=[{"field": "firstName", "operater": "eq"}])
    assert len(sandbox.requests) == 0


async def test_a_forgotten_keyword_is_a_type_error_that_names_it(client: AsyncLlamadaPro, sandbox: Sandbox) -> None:
    with pytest.raises(TypeError, match="objective"):
        await client.tasks.create(context={}, created_by={"id": "1", "type_": "user"})
    with pytest.raises(TypeError, match="text"):
        await client.messages.send_text(to="+56912345678", from_="+56221234567")
    assert len(sandbox.requests) == 0


@pytest.mark.parametrize("variable", [None, ""])
def test_a_missing_key_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    if variable is None:
        monkeypatch.delenv("LLAMADAPRO_API_KEY", raising=False)
    else:
        monkeypatch.setenv("LLAMADAPRO_API_KEY", variable)
    with pytest.raises(ConfigurationError, match="LLAMADAPRO_API_KEY"):
        AsyncLlamadaPro()


async def test_the_key_may_come_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sandbox")
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", url)
    async with AsyncLlamadaPro() as client:
        assert (await client.contacts.list()).items == []
