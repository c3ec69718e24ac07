"""What goes out, as it goes out; and what is refused before anything does."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from llamadapro import AsyncLlamadaPro, __version__, models
from llamadapro.errors import (
    InvalidPhoneNumberError,
    InvalidRequestError,
)
from tests.openapi import KEY_HEADER, key_value, path_of
from tests.unit.wire.mocked import API, KEY, Make, body_of

CONTACTS = path_of("GetContacts")
TASKS = path_of("GetTasks")
BULK = path_of("BulkUpdate")
MESSAGES = path_of("CreateMessage")


async def test_a_body_goes_out_as_json_with_all_its_headers(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 12, "firstName": "Ñandú", "customFields": {"size": "XL"}})
    contact = await client.contacts.create(
        first_name="Ñandú", last_name=None, addresses=[{"channel_type": "PHONE", "address": "+56912345678"}]
    )
    request = httpx_mock.get_request()
    assert request is not None
    assert (request.method, str(request.url)) == ("POST", f"{API}{CONTACTS}")
    assert body_of(request) == {
        "firstName": "Ñandú",
        "lastName": None,
        "addresses": [{"channelType": "PHONE", "address": "+56912345678"}],
    }
    names = [name.lower() for name, _ in request.headers.raw]
    assert len(names) == len(set(names)), "a header is sent twice"
    headers = request.headers
    assert headers[KEY_HEADER] == key_value(KEY)
    assert (headers["Host"], headers["Accept"], headers["Content-Type"]) == (
        "api.example.com",
        "application/json",
        "application/json",
    )
    # Only what our reader can unpack is asked for.
    assert headers["Accept-Encoding"] == "gzip, deflate"
    assert headers["User-Agent"] == f"llamadapro-python/{__version__}"
    assert int(headers["Content-Length"]) == len(request.read())
    assert isinstance(contact, models.Contact)
    assert (contact.id, contact.first_name, contact.custom_fields) == (12, "Ñandú", {"size": "XL"})


async def test_a_request_without_a_body_has_none(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": "task_1", "status": "postponed"})
    task = await client.tasks.delete("task_1")
    request = httpx_mock.get_request()
    assert request is not None
    assert (request.method, request.url.raw_path, request.read()) == (
        "DELETE",
        path_of("DeleteTask", "task_1").encode(),
        b"",
    )
    assert "Content-Type" not in request.headers
    assert "Content-Length" not in request.headers
    assert task.status == "postponed"


Do = Callable[[AsyncLlamadaPro], Awaitable[Any]]
CALLS: list[tuple[Do, str, str, Any]] = [
    (lambda c: c.contacts.get(123.0), "GET", path_of("GetContact", 123), None),
    (lambda c: c.contacts.get("a b?c#d"), "GET", path_of("GetContact", "a%20b%3Fc%23d"), None),
    (lambda c: c.contacts.update(5), "PUT", path_of("GetContact", 5), {}),
    (
        lambda c: c.contacts.update("5", custom_fields={"a": None}),
        "PUT",
        path_of("GetContact", 5),
        {"customFields": {"a": None}},
    ),
    (
        lambda c: c.contacts.list(filter_by="name:José & Söhne", page_size=20.0, page=None),
        "GET",
        f"{CONTACTS}?filterBy=name%3AJos%C3%A9%20%26%20S%C3%B6hne&pageSize=20",
        None,
    ),
    (
        lambda c: c.contacts.search(
            filters=[{"field": "email", "operator": "eq", "value": "a@b.c", "or_": True}], include_archived=False
        ),
        "POST",
        path_of("SearchContacts"),
        {"filters": [{"field": "email", "operator": "eq", "value": "a@b.c", "or": True}], "includeArchived": False},
    ),
    (
        lambda c: c.tasks.list(due_before=datetime(2026, 1, 2, tzinfo=UTC), status="overdue", conversation_id=7),
        "GET",
        f"{TASKS}?status=overdue&dueBefore=2026-01-02T00%3A00%3A00Z&conversationId=7",
        None,
    ),
    (lambda c: c.tasks.complete(9), "PUT", path_of("GetTask", 9), {"status": "completed"}),
    (
        lambda c: c.tasks.cancel(9, reason="no longer wanted"),
        "PUT",
        path_of("GetTask", 9),
        {"status": "cancelled", "cancellationReason": "no longer wanted"},
    ),
    (
        lambda c: c.custom_fields.definitions.delete(3, force=True),
        "DELETE",
        f"{path_of('GetCustomFieldDefinition', 3)}?force=true",
        None,
    ),
    (lambda c: c.custom_fields.definitions.delete(3), "DELETE", path_of("GetCustomFieldDefinition", 3), None),
    (
        lambda c: c.custom_fields.options.create(3, value="XL", label=None),
        "POST",
        path_of("GetCustomFieldListOptions", 3),
        {"definitionId": 3, "value": "XL", "label": None},
    ),
    (
        lambda c: c.custom_fields.options.update(3, "x/y".replace("/", "-"), label="Extra"),
        "PUT",
        path_of("GetCustomFieldListOption", 3, "x-y"),
        {"label": "Extra"},
    ),
    (
        lambda c: c.messages.send_text(to="+1 (415) 555-2671", from_="+56 9 1234 5678", text="Hi"),
        "POST",
        MESSAGES,
        {"toPhoneNumber": "+14155552671", "fromPhoneNumber": "+56912345678", "content": "Hi", "type": "text"},
    ),
    (
        lambda c: c.conversations.bulk_create([{"funnel_id": 1, "extra": [1]}]),
        "POST",
        BULK,
        {"conversations": [{"funnelId": 1, "extra": [1]}]},
    ),
    (lambda c: c.calls.get_recording(4), "GET", path_of("GetCallRecording", 4), None),
    (
        lambda c: c.recordings.load(user_id=7, url="https://e.org/a", call_from="+56 9 1234 5678", call_to=None),
        "POST",
        path_of("LoadRecording"),
        {"userId": 7, "url": "https://e.org/a", "callFrom": "+56912345678", "callTo": None},
    ),
]


@pytest.mark.parametrize(("do", "method", "target", "body"), CALLS, ids=[f"{one[1]} {one[2][:45]}" for one in CALLS])
async def test_calls_go_where_they_should(
    do: Do, method: str, target: str, body: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(json={"id": 1, "items": [], "report": {}})
    await do(client)
    request = httpx_mock.get_request()
    assert request is not None
    assert (request.method, request.url.raw_path.decode()) == (method, target)
    assert (body_of(request) if request.read() else None) == body


async def test_an_operation_without_an_answer_returns_nothing(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    for status in (200, 201, 204):
        httpx_mock.add_response(status_code=status)
        assert await client.recordings.load(user_id=7, url="https://example.com/call.wav") is None  # type: ignore[func-returns-value]


async def test_an_undocumented_success_is_read_like_the_documented_one(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    for status in (201, 202, 203, 299):
        httpx_mock.add_response(status_code=status, json={"id": 5})
        assert (await client.contacts.get(5)).id == 5


@pytest.mark.parametrize("base", [f"{API}/base", f"{API}/base/", f"{API}:8443/a/b"])
async def test_the_address_may_have_a_path(base: str, make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 5})
    await make(base_url=base).contacts.get(5)
    request = httpx_mock.get_request()
    assert request is not None
    assert str(request.url) == f"{base.rstrip('/')}{path_of('GetContact', 5)}"


async def test_headers_of_the_callers_choice(make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 5}, is_reusable=True)
    headers = {
        "X-Tenant": "t9",
        "accept": "application/vnd.x+json",
        KEY_HEADER.lower(): "another",
        "USER-AGENT": "mine/1",
    }
    await make(default_headers=headers).contacts.get(5)
    await make(api_key_header="X-Own-Key").contacts.get(5)
    first, second = httpx_mock.get_requests()
    assert (first.headers["X-Tenant"], first.headers["Accept"]) == ("t9", "application/vnd.x+json")
    assert first.headers["User-Agent"] == "mine/1"
    assert first.headers.get_list(KEY_HEADER) == [key_value(KEY)]
    assert second.headers.get_list("X-Own-Key") == [key_value(KEY)]
    assert KEY_HEADER not in second.headers


async def test_an_attempts_timeout_reaches_the_engine(make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 5}, is_reusable=True)
    client = make(timeout=7)
    await client.contacts.get(5)
    await client.with_options(timeout=httpx.Timeout(9, connect=2)).contacts.get(5)
    first, second = (request.extensions["timeout"] for request in httpx_mock.get_requests())
    assert first == {"connect": 7.0, "read": 7.0, "write": 7.0, "pool": 7.0}
    assert second == {"connect": 2.0, "read": 9.0, "write": 9.0, "pool": 9.0}


REFUSED: list[tuple[Do, type[Exception], str]] = [
    (lambda c: c.contacts.create(color="red"), TypeError, "color"),  # type: ignore[call-arg]
    (lambda c: c.tasks.create(objective="x"), TypeError, "context"),  # type: ignore[call-arg,typeddict-item]
    (lambda c: c.contacts.get(".."), InvalidRequestError, "contacts.get: contact_id: '..' cannot be an id"),
    (lambda c: c.contacts.get(math.nan), InvalidRequestError, "contacts.get: contact_id"),  # type: ignore[arg-type]
    (lambda c: c.custom_fields.options.get(1, ""), InvalidRequestError, "option_id"),
    (lambda c: c.tasks.update(1, due_date=datetime(2026, 1, 1)), InvalidRequestError, "due_date: .* no time zone"),  # noqa: DTZ001
    (lambda c: c.tasks.update(1, status="done"), InvalidRequestError, "status: must be one of"),  # type: ignore[arg-type]
    (lambda c: c.contacts.create(metadata={"a": [math.inf]}), InvalidRequestError, r"metadata\.a\[0\]"),
    (lambda c: c.contacts.create(first_name="\ud800"), InvalidRequestError, "first_name: .*Unicode"),
    (lambda c: c.contacts.create(metadata=2**65), InvalidRequestError, "metadata: .*64 bits"),
    (lambda c: c.calls.wait(1, timeout="60"), InvalidRequestError, "timeout must be a number"),  # type: ignore[arg-type]
    (lambda c: c.calls.wait(1, timeout=10**400), InvalidRequestError, "timeout must be a number"),
    (lambda c: c.calls.wait(1, final="completed"), InvalidRequestError, "final must be a collection"),
    (lambda c: c.calls.wait(1, final=5), InvalidRequestError, "final must be a collection"),  # type: ignore[arg-type]
    (lambda c: c.messages.wait(1, until="read"), InvalidRequestError, "until must be a collection"),
    (lambda c: c.messages.wait(1, on_status="read"), InvalidRequestError, "on_status must be"),  # type: ignore[arg-type]
    (lambda c: c.messages.send_text(to="12345", from_="+56912345678", text="x"), InvalidPhoneNumberError, "12345"),
    (lambda c: c.contacts.get("x" * 70_000), InvalidRequestError, "get_contact: its URL"),
    (lambda c: c.contacts.list(page_token="x" * 70_000), InvalidRequestError, "get_contacts: its URL"),
    (lambda c: c.request("GET", "/a", params={"a": "ñ" * 20_000}), InvalidRequestError, "request: its URL"),
    (
        lambda c: c.conversations.bulk_create([{"funnelId": 1, "funnel_id": 1}]),
        InvalidRequestError,
        r"conversations\[0\]",
    ),
    *(
        (lambda c, items=items: c.conversations.bulk_update(items), InvalidRequestError, "bulk_update: items: must be")
        for items in ("abc", {"id": 1}, 5, None)
    ),
    *(
        (
            lambda c, wrong=wrong: c.messages.send_template(
                to="+56912345678", from_="+56912345679", template_name="hi", language_code="en", variables=wrong
            ),
            InvalidRequestError,
            "send_template: variables: must be a list of texts",
        )
        for wrong in ("Jane", b"Jane", {"1": "Jane"}, {"Jane", "Joe"}, 5)
    ),
]


@pytest.mark.parametrize(("do", "kind", "words"), REFUSED, ids=[one[2] for one in REFUSED])
async def test_what_cannot_be_sent_never_is(
    do: Do, kind: type[Exception], words: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    with pytest.raises(kind, match=words) as caught:
        await do(client)
    assert httpx_mock.get_requests() == []
    assert kind is TypeError or isinstance(caught.value, ValueError)


async def test_a_call_that_took_place_elsewhere_is_logged_with_its_numbers_as_they_are(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    """Extensions, short codes and withheld numbers are among them; nobody is reached."""
    httpx_mock.add_response(json={"id": 1})
    await client.calls.create(
        from_="anonymous",
        to="101",
        redirected_to="*86",
        status="completed",
        direction="incoming",
        duration=73.0,
        start_time=datetime(2026, 3, 1, tzinfo=UTC),
        user_id=7,
        metadata=None,
    )
    body = body_of(httpx_mock.get_request())
    assert (body["from"], body["to"], body["redirectedTo"]) == ("anonymous", "101", "*86")


async def test_a_deprecated_keyword_warns_at_the_callers_own_line(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(json={"id": 1})
    with pytest.warns(DeprecationWarning, match="email is deprecated.*addresses") as seen:
        await client.contacts.create(email="jane@example.com")
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda c: c.messages.send_text(to="1", from_="2", text="Hi"), ["to", "from_"]),
        (lambda c: c.calls.bridge(to="1", from_="2"), ["to", "from_"]),
        (lambda c: c.calls.start_adhoc_agent(to="1", objectives=["a"]), ["to"]),
        (
            lambda c: c.messages.send(to_phone_number="1", from_phone_number="2"),
            ["from_phone_number", "to_phone_number"],
        ),
        (lambda c: c.messages.send_text(to=None, from_=None, text="Hi"), ["to", "from_"]),
        (lambda c: c.calls.bridge(to=None), ["to"]),
        (lambda c: c.messages.send(to_phone_number=None), ["to_phone_number"]),
    ],
)
async def test_a_bad_number_is_named_by_its_keyword(call: Any, names: list[str], client: AsyncLlamadaPro) -> None:
    with pytest.raises(InvalidPhoneNumberError) as refused:
        await call(client)
    assert [part.partition(": ")[0] for part in str(refused.value).split("; ")] == names


async def test_what_no_json_can_hold_is_refused(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    nested: list[Any] = []
    for _ in range(400):
        nested = [nested]
    with pytest.raises(InvalidRequestError, match="cannot be sent as JSON"):
        await client.request("POST", "/api/v1/anything", json=nested)
    assert httpx_mock.get_requests() == []
