"""The public client against mocked answers: what is sent as it is sent, pages, the escape hatch, copies, the records.

Every test runs on the client's own engine and on a caller's `http_client`; pytest-httpx takes the place of the network.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock, IteratorStream

import llamadapro
from llamadapro import AsyncLlamadaPro, AsyncPaginator, Page, models
from llamadapro.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    LlamadaProError,
    NotFoundError,
    PaginationError,
    RateLimitError,
)
from tests.faults.clients import FakeClock

KEY = "sk-live-7f3a9d1c5e2b8640aa17"
API = "https://api.example.com"
Make = Callable[..., AsyncLlamadaPro]


@pytest.fixture(params=["own engine", "caller's client"])
async def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Makes clients, with a clock that takes no time; they are closed at the end."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made: list[AsyncLlamadaPro] = []
    own: list[httpx.AsyncClient] = []

    def build(**options: Any) -> AsyncLlamadaPro:
        if request.param == "caller's client":
            own.append(httpx.AsyncClient(follow_redirects=True))
            options["http_client"] = own[-1]
        made.append(AsyncLlamadaPro(**{"api_key": KEY, "base_url": API, "_clock": FakeClock(), **options}))
        return made[-1]

    yield build
    for client in made:
        await client.aclose()
    for theirs in own:
        assert not theirs.is_closed, "a caller's client is never closed by us"
        await theirs.aclose()


@pytest.fixture
def client(make: Make) -> AsyncLlamadaPro:
    return make()


def sent(mock: HTTPXMock) -> list[tuple[str, str]]:
    return [(request.method, str(request.url).removeprefix(API)) for request in mock.get_requests()]


def body_of(request: httpx.Request | None) -> Any:
    assert request is not None
    return json.loads(request.read())


def page(*ids: int, token: str | None = None, **more: Any) -> dict[str, Any]:
    return {"items": [{"id": one} for one in ids], "nextPageToken": token, **more}


# --- as it is sent -----------------------------------------------------------------------------------------------


async def test_a_body_goes_out_as_json_with_all_its_headers(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 12, "firstName": "Ñandú", "customFields": {"size": "XL"}})
    contact = await client.contacts.create(
        first_name="Ñandú", last_name=None, addresses=[{"channel_type": "PHONE", "address": "+56912345678"}]
    )
    request = httpx_mock.get_request()
    assert request is not None
    assert (request.method, str(request.url)) == ("POST", f"{API}/api/v1/contacts")
    assert body_of(request) == {
        "firstName": "Ñandú",
        "lastName": None,
        "addresses": [{"channelType": "PHONE", "address": "+56912345678"}],
    }
    names = [name.lower() for name, _ in request.headers.raw]
    assert len(names) == len(set(names)), "a header is sent twice"
    headers = request.headers
    assert headers["X-API-Key"] == KEY
    assert (headers["Host"], headers["Accept"], headers["Content-Type"]) == (
        "api.example.com",
        "application/json",
        "application/json",
    )
    # Only what our reader can unpack is asked for.
    assert headers["Accept-Encoding"] == "gzip, deflate"
    assert headers["User-Agent"] == f"llamadapro-python/{version('llamadapro')}"
    assert int(headers["Content-Length"]) == len(request.read())
    assert isinstance(contact, models.Contact)
    assert (contact.id, contact.first_name, contact.custom_fields) == (12, "Ñandú", {"size": "XL"})


async def test_a_request_without_a_body_has_none(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": "task_1", "status": "postponed"})
    task = await client.tasks.delete("task_1")
    request = httpx_mock.get_request()
    assert request is not None
    assert (request.method, request.url.raw_path, request.read()) == ("DELETE", b"/api/v1/tasks/task_1", b"")
    assert "Content-Type" not in request.headers
    assert "Content-Length" not in request.headers
    assert task.status == "postponed"


Do = Callable[[AsyncLlamadaPro], Awaitable[Any]]
CALLS: list[tuple[Do, str, str, Any]] = [
    (lambda c: c.contacts.get(123.0), "GET", "/api/v1/contacts/123", None),
    (lambda c: c.contacts.get("a b?c#d"), "GET", "/api/v1/contacts/a%20b%3Fc%23d", None),
    (lambda c: c.contacts.update(5), "PUT", "/api/v1/contacts/5", {}),
    (
        lambda c: c.contacts.update("5", custom_fields={"a": None}),
        "PUT",
        "/api/v1/contacts/5",
        {"customFields": {"a": None}},
    ),
    (
        lambda c: c.contacts.list(filter_by="name:José & Söhne", page_size=20.0, page=None),
        "GET",
        "/api/v1/contacts?filterBy=name%3AJos%C3%A9%20%26%20S%C3%B6hne&pageSize=20",
        None,
    ),
    (
        lambda c: c.contacts.search(
            filters=[{"field": "email", "operator": "eq", "value": "a@b.c", "or_": True}], include_archived=False
        ),
        "POST",
        "/api/v1/contacts/search",
        {"filters": [{"field": "email", "operator": "eq", "value": "a@b.c", "or": True}], "includeArchived": False},
    ),
    (
        lambda c: c.tasks.list(due_before=datetime(2026, 1, 2, tzinfo=UTC), status="overdue", conversation_id=7),
        "GET",
        "/api/v1/tasks?status=overdue&dueBefore=2026-01-02T00%3A00%3A00Z&conversationId=7",
        None,
    ),
    (lambda c: c.tasks.complete(9), "PUT", "/api/v1/tasks/9", {"status": "completed"}),
    (
        lambda c: c.tasks.cancel(9, reason="no longer wanted"),
        "PUT",
        "/api/v1/tasks/9",
        {"status": "cancelled", "cancellationReason": "no longer wanted"},
    ),
    (
        lambda c: c.custom_fields.definitions.delete(3, force=True),
        "DELETE",
        "/api/v1/custom-fields/definitions/3?force=true",
        None,
    ),
    (lambda c: c.custom_fields.definitions.delete(3), "DELETE", "/api/v1/custom-fields/definitions/3", None),
    (
        lambda c: c.custom_fields.options.create(3, value="XL", label=None),
        "POST",
        "/api/v1/custom-fields/definitions/3/options",
        {"definitionId": 3, "value": "XL", "label": None},
    ),
    (
        lambda c: c.custom_fields.options.update(3, "x/y".replace("/", "-"), label="Extra"),
        "PUT",
        "/api/v1/custom-fields/definitions/3/options/x-y",
        {"label": "Extra"},
    ),
    (
        lambda c: c.messages.send_text(to="+1 (415) 555-2671", from_="+56 9 1234 5678", text="Hi"),
        "POST",
        "/api/v1/whatsapp/messages",
        {"toPhoneNumber": "+14155552671", "fromPhoneNumber": "+56912345678", "content": "Hi", "type": "text"},
    ),
    (
        lambda c: c.conversations.bulk_create([{"funnel_id": 1, "extra": [1]}]),
        "POST",
        "/api/v1/conversations/bulk",
        {"conversations": [{"funnelId": 1, "extra": [1]}]},
    ),
    (lambda c: c.calls.get_recording(4), "GET", "/api/v1/calls/4/recording", None),
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
    assert str(request.url) == f"{base.rstrip('/')}/api/v1/contacts/5"


async def test_headers_of_the_callers_choice(make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 5}, is_reusable=True)
    headers = {"X-Tenant": "t9", "accept": "application/vnd.x+json", "x-api-key": "another", "USER-AGENT": "mine/1"}
    await make(default_headers=headers).contacts.get(5)
    await make(api_key_header="Authorization").contacts.get(5)
    first, second = httpx_mock.get_requests()
    assert (first.headers["X-Tenant"], first.headers["Accept"]) == ("t9", "application/vnd.x+json")
    assert first.headers["User-Agent"] == "mine/1"
    assert first.headers.get_list("X-API-Key") == [KEY]
    assert second.headers.get_list("Authorization") == [KEY]
    assert "X-API-Key" not in second.headers


async def test_an_attempts_timeout_reaches_the_engine(make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 5}, is_reusable=True)
    client = make(timeout=7)
    await client.contacts.get(5)
    await client.with_options(timeout=httpx.Timeout(9, connect=2)).contacts.get(5)
    first, second = (request.extensions["timeout"] for request in httpx_mock.get_requests())
    assert first == {"connect": 7.0, "read": 7.0, "write": 7.0, "pool": 7.0}
    assert second == {"connect": 2.0, "read": 9.0, "write": 9.0, "pool": 9.0}


# --- refused before anything is sent -------------------------------------------------------------------------------


REFUSED: list[tuple[Do, type[Exception], str]] = [
    (lambda c: c.contacts.create(colour="red"), TypeError, "colour"),  # type: ignore[call-arg]
    (lambda c: c.tasks.create(objective="x"), TypeError, "context"),  # type: ignore[call-arg,typeddict-item]
    (lambda c: c.contacts.get(".."), InvalidRequestError, "get_contact: id: '..' cannot be an id"),
    (lambda c: c.contacts.get(math.nan), InvalidRequestError, "get_contact: id"),  # type: ignore[arg-type]
    (lambda c: c.custom_fields.options.get(1, ""), InvalidRequestError, "option_id"),
    (lambda c: c.tasks.update(1, due_date=datetime(2026, 1, 1)), InvalidRequestError, "due_date: .* no time zone"),  # noqa: DTZ001
    (lambda c: c.tasks.update(1, status="done"), InvalidRequestError, "status: must be one of"),  # type: ignore[arg-type]
    (lambda c: c.contacts.create(metadata={"a": [math.inf]}), InvalidRequestError, r"metadata\.a\[0\]"),
    (lambda c: c.contacts.create(first_name="\ud800"), InvalidRequestError, "first_name: .*Unicode"),
    (lambda c: c.contacts.create(metadata=2**65), InvalidRequestError, "metadata: .*64 bits"),
    (lambda c: c.messages.send_text(to="12345", from_="+56912345678", text="x"), InvalidPhoneNumberError, "12345"),
    (
        lambda c: c.conversations.bulk_create([{"funnelId": 1, "funnel_id": 1}]),
        InvalidRequestError,
        r"conversations\[0\]",
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


async def test_a_deprecated_keyword_warns_at_the_callers_own_line(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(json={"id": 1})
    with pytest.warns(DeprecationWarning, match="email is deprecated.*addresses") as seen:
        await client.contacts.create(email="jane@example.com")
    assert seen[0].filename == __file__


# --- pages -------------------------------------------------------------------------------------------------------


def serve(mock: HTTPXMock, pages: dict[str | None, Any]) -> None:
    """Answer with the page that the request's token leads to."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert len(mock.get_requests()) < 50, "a walk without end"
        token = request.url.params.get("pageToken")
        if request.method == "POST":
            token = json.loads(request.read()).get("pageToken")
        found = pages[token]
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    mock.add_callback(answer, is_reusable=True, is_optional=True)


def tokens(mock: HTTPXMock) -> list[str | None]:
    return [request.url.params.get("pageToken") for request in mock.get_requests()]


async def walked(paginator: AsyncPaginator[Any]) -> tuple[list[Any], Exception | None]:
    """The ids of a walk, and what ended it."""
    seen: list[Any] = []
    try:
        async for item in paginator:
            seen.append(item.id)  # noqa: PERF401  (what came before a failure counts)
    except Exception as error:
        return seen, error
    return seen, None


THREE: dict[str | None, Any] = {
    None: page(1, 2, token="B", totalCount=5),
    "B": page(3, 4, token="C", totalCount=5),
    "C": page(5, totalCount=5),
}


async def test_a_paginator_can_be_awaited(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    paginator = client.contacts.list(page_size=2)
    assert isinstance(paginator, AsyncPaginator)
    assert httpx_mock.get_requests() == []
    first = await paginator
    assert isinstance(first, Page)
    assert [contact.id for contact in first.items] == [1, 2]
    assert isinstance(first.items[0], models.Contact)
    assert (first.next_page_token, first.total_count, first.has_next_page()) == ("B", 5, True)
    second = await first.get_next_page()
    third = await second.get_next_page()
    assert [contact.id for contact in third.items] == [5]
    assert (third.next_page_token, third.has_next_page()) == (None, False)
    with pytest.raises(PaginationError, match="last page"):
        await third.get_next_page()
    assert [url for _, url in sent(httpx_mock)] == [
        "/api/v1/contacts?pageSize=2",
        "/api/v1/contacts?pageSize=2&pageToken=B",
        "/api/v1/contacts?pageSize=2&pageToken=C",
    ]
    # The same page leads to the same next one, and the same paginator to the same first one.
    assert [contact.id for contact in (await first.get_next_page()).items] == [3, 4]
    assert [contact.id for contact in (await paginator).items] == [1, 2]


async def test_a_paginator_can_be_iterated_walked_and_collected(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    paginator = client.contacts.list()
    assert [contact.id async for contact in paginator] == [1, 2, 3, 4, 5]
    assert [[contact.id for contact in one.items] async for one in paginator.iter_pages()] == [[1, 2], [3, 4], [5]]
    assert [contact.id for contact in await paginator.collect()] == [1, 2, 3, 4, 5]
    assert tokens(httpx_mock) == [None, "B", "C"] * 3


async def test_pages_are_fetched_no_sooner_than_needed(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    seen = []
    async for contact in client.contacts.list():
        seen.append((contact.id, len(httpx_mock.get_requests())))
        if contact.id == 3:
            break
    assert seen == [(1, 1), (2, 1), (3, 2)]


async def test_an_empty_page_that_leads_on_is_walked_past(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, {None: page(token="B"), "B": page(7, token="C"), "C": page(token="D"), "D": page()})
    assert [contact.id for contact in await client.contacts.list().collect()] == [7]
    assert tokens(httpx_mock) == [None, "B", "C", "D"]


NO_ITEMS: list[dict[str, Any]] = [
    {},
    {"items": None},
    {"items": []},
    {"items": [], "nextPageToken": ""},
    {"items": None, "totalCount": None, "new": 1},
]


@pytest.mark.parametrize("last", NO_ITEMS, ids=str)
async def test_missing_and_null_items_are_none_at_all(
    last: dict[str, Any], client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    serve(httpx_mock, {None: {"items": None, "nextPageToken": "B"}, "B": last})
    assert await client.contacts.list().collect() == []
    only = await client.contacts.list(page_token="B")
    assert (only.items, only.next_page_token, only.total_count) == ([], None, None)


async def test_the_same_token_again_ends_the_walk(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, {None: page(1, token="B"), "B": page(2, token="B")})
    seen, error = await walked(client.contacts.list())
    assert seen == [1, 2]
    assert isinstance(error, PaginationError)
    assert "'B' a second time" in str(error)
    assert tokens(httpx_mock) == [None, "B"]


async def test_so_does_a_circle_of_tokens(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, {None: page(1, token="B"), "B": page(2, token="C"), "C": page(3, token="B")})
    with pytest.raises(PaginationError, match="second time"):
        await client.contacts.list().collect()
    assert tokens(httpx_mock) == [None, "B", "C"]
    with pytest.raises(PaginationError, match="second time"):
        await client.contacts.list(page_token="C").collect()
    assert tokens(httpx_mock)[3:] == ["C", "B"]


async def test_a_walk_can_be_resumed_where_it_stood(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    paginator = client.contacts.list()
    assert paginator.next_page_token is None
    stood = []
    async for one in paginator.iter_pages():
        stood.append(paginator.next_page_token)
        if len(stood) == 2:
            break
        assert one.next_page_token == paginator.next_page_token
    assert stood == ["B", "C"]
    again = client.contacts.list(page_token=paginator.next_page_token)
    assert again.next_page_token == "C"
    assert [contact.id for contact in await again.collect()] == [5]
    assert again.next_page_token is None


async def test_a_failure_on_the_way_leaves_the_place_to_resume_at(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    serve(httpx_mock, {None: page(1, token="B"), "B": httpx.Response(404, json={"message": "no such page"})})
    paginator = client.contacts.list()
    seen, error = await walked(paginator)
    assert isinstance(error, NotFoundError)
    assert (seen, paginator.next_page_token) == ([1], "B")


async def test_a_search_sends_its_token_in_the_body(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, {None: page(1, token="B"), "B": page(2)})
    hits = await client.contacts.search(search="Jane", size=1).collect()
    assert [hit.id for hit in hits] == [1, 2]
    assert [body_of(request) for request in httpx_mock.get_requests()] == [
        {"search": "Jane", "size": 1},
        {"search": "Jane", "size": 1, "pageToken": "B"},
    ]


async def test_every_list_can_be_walked(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    for paginator, kind in (
        (client.tasks.list(limit=2), models.Task),
        (client.custom_fields.definitions.list(), models.CustomFieldDefinition),
        (client.custom_fields.options.list(3), models.CustomFieldListOption),
    ):
        items = await paginator.collect()
        assert [type(item) for item in items] == [kind] * 5
    assert sent(httpx_mock)[-1] == ("GET", "/api/v1/custom-fields/definitions/3/options?pageToken=C")


async def test_a_bad_argument_is_reported_when_the_list_is_made(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    with pytest.raises(TypeError, match="page_sise"):
        client.contacts.list(page_sise=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        client.contacts.search(colour="red")  # type: ignore[call-arg]
    with pytest.raises(InvalidRequestError, match="page_size: must be an integer"):
        client.contacts.list(page_size="many")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match="definition_id"):
        client.custom_fields.options.list("..")
    with pytest.raises(InvalidRequestError, match="page_token"):
        client.contacts.list(page_token=5)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match="filters"):
        client.contacts.search(filters=[{"feld": "email"}])  # type: ignore[typeddict-item]
    for wrong in (-1, 1.5, True, "5"):
        with pytest.raises(InvalidRequestError, match="max_items"):
            client.contacts.list(max_items=wrong)  # type: ignore[arg-type]
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize(
    ("limit", "seen", "requests"),
    [(0, [], 0), (1, [1], 1), (2, [1, 2], 1), (3, [1, 2, 3], 2), (9, [1, 2, 3, 4, 5], 3), (None, [1, 2, 3, 4, 5], 3)],
)
@pytest.mark.parametrize("prefetch", [False, True])
async def test_max_items_ends_a_walk_without_a_request_too_many(
    limit: int | None, seen: list[int], requests: int, prefetch: bool, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    serve(httpx_mock, THREE)
    paginator = client.contacts.list(max_items=limit, prefetch=prefetch)
    assert [contact.id async for contact in paginator] == seen
    assert len(httpx_mock.get_requests()) == requests


async def test_prefetch_asks_for_the_next_page_while_one_is_worked_on(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    serve(httpx_mock, THREE)
    counts = []
    async for contact in client.contacts.list(prefetch=True):
        await asyncio.sleep(0)
        counts.append((contact.id, len(httpx_mock.get_requests())))
    assert counts == [(1, 2), (2, 2), (3, 3), (4, 3), (5, 3)]


async def test_prefetch_left_early_leaves_nothing_behind(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, {None: page(1, token="B"), "B": httpx.Response(404, json={})})
    before = asyncio.all_tasks()
    async for _ in client.contacts.list(prefetch=True):
        break
    for _ in range(20):  # the generator that was left is closed by the loop, in its own time
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    # And its failure comes at its own turn, after the page that is there.
    seen, error = await walked(client.contacts.list(prefetch=True))
    assert seen == [1]
    assert isinstance(error, NotFoundError)


@pytest.mark.parametrize("token", [5, 1.5, True, {"page": 2}, ["B"], {"a": {}}], ids=repr)
async def test_a_token_that_is_no_text_makes_nothing_but_our_errors(
    token: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    """It is the service's mistake, so neither the caller is to blame nor the page lost that brought it."""
    serve(httpx_mock, {None: {"items": [{"id": 1}], "nextPageToken": token}, str(token): page(2)})
    first = await client.contacts.list()
    assert [contact.id for contact in first.items] == [1]
    seen, error = await walked(client.contacts.list())
    if error is None:
        assert seen == [1, 2]
    else:
        assert seen == [1]
        assert isinstance(error, LlamadaProError)
        assert not isinstance(error, InvalidRequestError)


# --- the escape hatch --------------------------------------------------------------------------------------------


async def test_request_returns_the_answer_as_it_came(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=202, json={"a": [1]}, headers={"X-Request-Id": "r-1", "X-New": "yes"})
    response = await client.request("post", "/api/v1/any thing?x=1", params={"y": 2}, json={"a": (1, None, True)})
    assert isinstance(response, httpx.Response)
    assert (response.status_code, response.json(), response.headers["X-New"]) == (202, {"a": [1]}, "yes")
    assert "X-API-Key" not in response.request.headers
    assert KEY not in repr(vars(response.request))
    request = httpx_mock.get_request()
    assert request is not None
    assert (request.method, str(request.url)) == ("POST", f"{API}/api/v1/any%20thing?x=1&y=2")
    assert request.headers["X-API-Key"] == KEY
    assert body_of(request) == {"a": [1, None, True]}


async def test_request_takes_any_answer(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text="<html>", headers={"Content-Type": "text/html"})
    httpx_mock.add_response(status_code=204)
    httpx_mock.add_response(content=b"\xff\x00")
    assert (await client.request("GET", "/a")).text == "<html>"
    assert (await client.request("GET", "/a")).content == b""
    assert (await client.request("GET", "/a")).content == b"\xff\x00"


@pytest.mark.parametrize("value", [0, False, "", [], {}])
async def test_request_sends_any_json_but_none(value: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(is_reusable=True)
    await client.request("POST", "/a", json=value)
    await client.request("POST", "/a", json=None)
    with_body, without = httpx_mock.get_requests()
    assert body_of(with_body) == value
    assert without.read() == b""


async def test_request_writes_its_parameters_as_everywhere(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(is_reusable=True)
    await client.request(
        "GET",
        "/a",
        params={"t": True, "f": False, "n": None, "i": 0, "e": "", "s": "a b&c=ñ", "l": [1, True, "x"], "none": []},
    )
    await client.request("GET", "/a?x=1", params={})
    await client.request("GET", "/a", params={"at": datetime(2026, 1, 2, 3, tzinfo=UTC)})
    first, second, third = httpx_mock.get_requests()
    assert first.url.params.multi_items() == [
        *(("t", "true"), ("f", "false"), ("i", "0"), ("e", ""), ("s", "a b&c=ñ")),
        *(("l", "1"), ("l", "true"), ("l", "x")),
    ]
    assert str(second.url) == f"{API}/a?x=1"
    # What is sent is checked and written as everywhere else.
    assert third.url.params["at"] == "2026-01-02T03:00:00Z"


@pytest.mark.parametrize(
    "params",
    [
        {"at": datetime(2026, 1, 2)},  # noqa: DTZ001
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": ["\udfff"]},
        {"a": math.nan},
        {"a": 10**5000},
        {"a": {"b": 1}},
        {"a": [[1]]},
    ],
    ids=["naive", "half a character", "half in a name", "half in a list", "nan", "too long", "object", "nested"],
)
async def test_parameters_that_cannot_be_sent_are_refused(
    params: dict[str, Any], client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(is_optional=True)
    with pytest.raises(InvalidRequestError):
        await client.request("GET", "/a", params=params)
    assert httpx_mock.get_requests() == []


OWN = ["/a/b?x=1", f"{API}/a/b?x=1"]
FOREIGN = [
    "https://evil.example/a", "http://api.example.com/a", "https://api.example.com.evil.example/a", "//evil.example/a",
    "https://api.example.com@evil.example/a", "https://api.example.com:8443/a", "https:/evil.example", "evil.example/a",
    "https://api.example.com//evil.example/a", "a", "", "?x=1", "#x", ".", "..", "\\\\evil.example", "@evil.example/a",
    "https://api.example.com\\@evil.example/a", "https://api.example.com\t@evil.example/", "file:///etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", OWN)
async def test_request_goes_to_its_own_origin(path: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response()
    await client.request("GET", path)
    assert sent(httpx_mock) == [("GET", "/a/b?x=1")]


@pytest.mark.parametrize("path", FOREIGN)
async def test_request_goes_nowhere_else(path: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    with pytest.raises(InvalidRequestError, match="path"):
        await client.request("GET", path)
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize(
    "path", ["/\\evil.example", "/..//evil.example", "/@evil.example", "/%2F%2Fevil.example", "/:x", "/a#b"]
)
async def test_odd_paths_stay_at_home(path: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(is_optional=True)
    try:
        await client.request("GET", path)
    except InvalidRequestError:
        assert httpx_mock.get_requests() == []
    for request in httpx_mock.get_requests():
        assert (request.url.scheme, request.url.host, request.url.port) == ("https", "api.example.com", None)
        assert request.headers["Host"] == "api.example.com"


@pytest.mark.parametrize("path", ["/a\r\nX: y", "/a\n", "/\x00", "/\ud800"])
async def test_a_path_cannot_smuggle(path: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    with pytest.raises(InvalidRequestError, match="path"):
        await client.request("GET", path)
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize("method", ["", "GET ", "GE T", "GET\r\nX: y", "G\u00c9T", "GET/"])
async def test_a_method_is_a_word(method: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    with pytest.raises(InvalidRequestError, match="method"):
        await client.request(method, "/a")
    assert httpx_mock.get_requests() == []


async def test_request_raises_the_same_errors(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=409, json={"code": 7, "message": "in use"})
    with pytest.raises(ConflictError, match="DELETE /a/b: 409: in use") as caught:
        await client.request("DELETE", "/a/b")
    assert caught.value.code == 7


REPEATED = [
    ("GET", "/api/v1/new", True),
    ("HEAD", "/api/v1/new", True),
    ("PUT", "/api/v1/new", True),
    ("DELETE", "/api/v1/new", True),
    ("POST", "/api/v1/new", False),
    ("PATCH", "/api/v1/new", False),
    ("POST", "/api/v1/contacts/search", True),
    ("POST", f"{API}/api/v1/contacts/search?x=1", True),
    ("PUT", "/api/v1/conversations/bulk", False),
    ("PUT", f"{API}/api/v1/conversations/bulk", False),
    ("put", "/api/v1/conversations/bulk?dryRun=1", False),
    ("PUT", "/api/v1/./conversations/bulk", False),
    ("PUT", "/api/v1/conversations/../conversations/bulk", False),
    ("PUT", "/api/v1/conversations//bulk", False),
    ("PUT", "/api/v1/conversations/bulk/", False),
    ("PUT", "/api/v1/conversations/bul%6B", False),
    ("PUT", "/api/v1/contacts/5", True),
]


@pytest.mark.parametrize(("method", "path", "repeated"), REPEATED, ids=[f"{one[0]} {one[1]}" for one in REPEATED])
async def test_request_repeats_no_more_than_the_operation_itself_would(
    method: str, path: str, repeated: bool, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    """However its path is written: it is one promise, and not a table of spellings."""
    httpx_mock.add_response(status_code=503, is_reusable=True)
    with pytest.raises(InternalServerError) as caught:
        await client.request(method, path)
    assert len(httpx_mock.get_requests()) == (3 if repeated else 1)
    reads = method in ("GET", "HEAD") or "search" in path
    assert caught.value.may_have_been_processed is not reads


@pytest.mark.parametrize(
    "headers",
    [{"Content-Encoding": "gzip"}, {"Content-Length": "500"}, {"Content-Encoding": "gzip", "Content-Length": "500"}],
    ids=str,
)
async def test_an_answer_to_head_has_no_body_to_be_cut(
    headers: dict[str, str], client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(headers=headers, stream=IteratorStream([]), is_reusable=True)
    response = await client.request("HEAD", "/a")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("status", [204, 205])
async def test_nor_has_an_answer_without_content(status: int, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=status, headers={"Content-Encoding": "gzip"}, stream=IteratorStream([]))
    await client.recordings.load(user_id=7, url="https://example.com/call.wav")
    assert len(httpx_mock.get_requests()) == 1


# --- answers that cannot be read, and errors -----------------------------------------------------------------------


async def test_an_answer_of_another_shape_names_the_place(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    raw = {"items": [{"id": 1}, None, {}, {"id": 4, "addresses": "none"}]}
    httpx_mock.add_response(json=raw, headers={"X-Request-Id": "r-9"})
    with pytest.raises(APIResponseValidationError) as caught:
        await client.contacts.list()
    error = caught.value
    assert error.place == "items[3].addresses"
    assert error.response.json() == raw
    assert error.response.headers["X-Request-Id"] == "r-9"
    assert error.may_have_been_processed is False
    assert str(error).startswith("GET /api/v1/contacts: answered 200, but not as the document says: items[3].addresses")
    assert len(httpx_mock.get_requests()) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"5", b'"x"', b"NaN", b'{"id": 1', b"\xff"], ids=repr)
async def test_a_success_that_cannot_be_read_is_not_repeated(
    body: bytes, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(content=body, is_reusable=True)
    with pytest.raises(APIResponseValidationError) as caught:
        await client.contacts.get(5)
    assert (caught.value.response.content, caught.value.may_have_been_processed) == (body, False)
    with pytest.raises(APIResponseValidationError) as caught:
        await client.contacts.create(first_name="Jane")
    assert caught.value.may_have_been_processed is True
    assert "look before sending it again" in str(caught.value)
    assert len(httpx_mock.get_requests()) == 2


async def test_an_answer_over_the_bound_is_refused(make: Make, httpx_mock: HTTPXMock) -> None:
    exact = json.dumps({"id": 5, "firstName": "x" * 100}).encode()
    httpx_mock.add_response(content=exact, is_reusable=True)
    assert (await make(max_response_bytes=len(exact)).contacts.get(5)).id == 5
    with pytest.raises(APIResponseValidationError, match="max_response_bytes"):
        await make(max_response_bytes=len(exact) - 1).contacts.get(5)


async def test_a_status_error_says_what_happened_to_what_and_what_to_do(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    body = {"code": 1007, "error": "Bad Request", "message": "no such funnel", "details": {"funnelId": ["unknown"]}}
    httpx_mock.add_response(status_code=400, json=body, headers={"X-Request-Id": "r-1"})
    with pytest.raises(BadRequestError) as caught:
        await client.conversations.create(funnel_id=99)
    error = caught.value
    assert (error.status_code, error.code, error.message) == (400, 1007, "no such funnel")
    assert (error.details, error.body, error.request_id) == (body["details"], body, "r-1")
    assert error.may_have_been_processed is False
    text = str(error)
    assert text.startswith("POST /api/v1/conversations: 400: no such funnel (code 1007); details:")
    assert "correct the request" in text
    assert (error.request.method, str(error.request.url)) == ("POST", f"{API}/api/v1/conversations")
    assert json.loads(error.request.content) == {"funnelId": 99}
    assert "X-API-Key" not in error.request.headers


@pytest.mark.parametrize("status", [300, 302, 304, 402, 404, 405, 418, 451, 499])
async def test_other_statuses_are_never_repeated(status: int, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(
        status_code=status, text="<html>not here</html>", headers={"Location": "https://evil.example/"}
    )
    with pytest.raises(APIStatusError) as caught:
        await client.contacts.get(5)
    assert (caught.value.status_code, caught.value.body) == (status, "<html>not here</html>")
    assert str(caught.value).startswith(f"GET /api/v1/contacts/5: {status}: ")
    assert sent(httpx_mock) == [("GET", "/api/v1/contacts/5")], "a redirect is never followed"
    if status < 400:
        assert "redirects are never followed, check base_url (it points to 'https://evil.example/')" in str(
            caught.value
        )


async def test_a_lost_answer_is_repeated_only_where_that_is_safe(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_exception(httpx.ReadError("reset"))
    httpx_mock.add_response(json={"id": 5})
    assert (await client.contacts.get(5)).id == 5
    httpx_mock.add_exception(httpx.ReadError("reset"))
    with pytest.raises(APIConnectionError) as caught:
        await client.contacts.create(first_name="Jane")
    assert caught.value.may_have_been_processed is True
    assert not isinstance(caught.value, APITimeoutError)
    assert type(caught.value.__cause__) is httpx.ReadError
    httpx_mock.add_exception(httpx.ReadTimeout("slow"))
    with pytest.raises(APITimeoutError):
        await client.contacts.create(first_name="Jane")
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    httpx_mock.add_response(json={"id": 6})
    assert (await client.contacts.create(first_name="Jane")).id == 6
    assert len(httpx_mock.get_requests()) == 6


async def test_what_the_service_asks_to_wait_is_waited(make: Make, httpx_mock: HTTPXMock) -> None:
    clock = FakeClock()
    client = make(_clock=clock)
    httpx_mock.add_response(status_code=429, headers={"Retry-After": "7"})
    httpx_mock.add_response(json={"id": 5})
    assert (await client.contacts.create(first_name="Jane")).id == 5
    assert sum(clock.sleeps) == 7
    httpx_mock.add_response(status_code=429, headers={"Retry-After": "3600"}, json={"message": "slow down"})
    with pytest.raises(RateLimitError, match="asks to wait 3600 s") as caught:
        await client.contacts.get(5)
    assert (caught.value.retry_after, sum(clock.sleeps)) == (3600.0, 7)
    assert caught.value.may_have_been_processed is False


# --- copies ------------------------------------------------------------------------------------------------------


async def test_a_copy_shares_the_road_and_leaves_the_original_alone(make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 5}, is_reusable=True)
    client = make(default_headers={"X-A": "1", "X-B": "1"})
    assert client.contacts is client.contacts
    copy = client.with_options(default_headers={"x-b": "2", "X-C": "3"}, timeout=3)
    assert copy.contacts is not client.contacts
    await copy.contacts.get(5)
    await client.contacts.get(5)
    theirs, ours = httpx_mock.get_requests()
    assert [theirs.headers.get_list(name) for name in ("X-A", "X-B", "X-C")] == [["1"], ["2"], ["3"]]
    assert [ours.headers.get_list(name) for name in ("X-A", "X-B", "X-C")] == [["1"], ["1"], []]
    assert (theirs.extensions["timeout"]["read"], ours.extensions["timeout"]["read"]) == (3.0, 30.0)
    with client.record() as exchanges:
        await copy.contacts.get(5)
    assert len(exchanges) == 1
    await copy.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await client.contacts.get(5)


async def test_a_copy_may_retry_less_or_what_is_not_safe(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=500, is_reusable=True)
    with pytest.raises(InternalServerError):
        await client.with_options(max_retries=0).contacts.get(5)
    assert len(httpx_mock.get_requests()) == 1
    with pytest.raises(InternalServerError) as caught:
        await client.with_options(retry_unsafe=True).contacts.create(first_name="Jane")
    assert len(httpx_mock.get_requests()) == 4
    assert caught.value.may_have_been_processed is True
    assert "after 3 attempts" in str(caught.value)
    with pytest.raises(InternalServerError):
        await client.contacts.create(first_name="Jane")
    assert len(httpx_mock.get_requests()) == 5


async def test_a_paginator_of_a_copy_walks_with_its_options(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    await client.with_options(default_headers={"X-Walk": "1"}).contacts.list().collect()
    assert [request.headers["X-Walk"] for request in httpx_mock.get_requests()] == ["1"] * 3


# --- records -----------------------------------------------------------------------------------------------------


async def test_record_tells_what_happened_inside(make: Make, httpx_mock: HTTPXMock) -> None:
    client, other = make(), make()
    httpx_mock.add_response(status_code=503)
    httpx_mock.add_response(json={"id": 5}, headers={"X-Request-Id": "r-2", "X-Cost": "3"})
    httpx_mock.add_response(status_code=404, headers={"X-Request-Id": "r-3"})
    httpx_mock.add_response(json={"id": 7}, is_reusable=True)
    with client.record() as exchanges:
        assert exchanges == []
        await client.contacts.get(5)
        with pytest.raises(NotFoundError):
            await client.tasks.delete("a?b")
        with client.record() as inner:
            await asyncio.create_task(client.contacts.create(first_name="Jane"))
        await other.contacts.get(5)
        with pytest.raises(InvalidRequestError):
            await client.contacts.get("")
    await client.contacts.get(5)
    assert [(one.operation, one.status_code, one.attempts) for one in exchanges] == [
        ("get_contact", 200, 2),
        ("delete_task", 404, 1),
        ("create_contact", 200, 1),
    ]
    first, second, third = exchanges
    assert (first.method, first.path, first.request_id, first.headers["X-Cost"]) == (
        "GET",
        "/api/v1/contacts/5",
        "r-2",
        "3",
    )
    assert (second.path, second.request_id) == ("/api/v1/tasks/a%3Fb", "r-3")
    assert inner == [third]
    assert first.elapsed >= 0
    assert KEY not in repr(exchanges)


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
    ],
)
async def test_a_bad_number_is_told_by_its_keyword(call: Any, names: list[str], client: AsyncLlamadaPro) -> None:
    with pytest.raises(InvalidPhoneNumberError) as refused:
        await call(client)
    assert [told.partition(": '")[0] for told in str(refused.value).split("; ")] == names


async def test_pages_and_errors_have_the_request_id(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=page(1, token="t"), headers={"X-Request-Id": "r-1"})
    httpx_mock.add_response(json=page(2), headers={"x-request-id": "r-2"})
    assert [one.request_id async for one in client.contacts.list().iter_pages()] == ["r-1", "r-2"]
    httpx_mock.add_response(json=page(1))
    assert (await client.contacts.list()).request_id is None
    httpx_mock.add_response(text="{", headers={"X-Request-Id": "r-3"})
    with pytest.raises(APIResponseValidationError) as unreadable:
        await client.contacts.get(5)
    assert unreadable.value.request_id == "r-3"
    httpx_mock.add_exception(httpx.ConnectError("refused"), is_reusable=True)
    with pytest.raises(APIConnectionError) as unanswered:
        await client.contacts.get(5)
    assert unanswered.value.request_id is None


async def test_a_call_without_an_answer_is_recorded_too(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_exception(httpx.ReadError("reset"), is_reusable=True)
    with client.record() as exchanges, pytest.raises(APIConnectionError):
        await client.contacts.get(5)
    only = exchanges[0]
    assert (only.status_code, only.request_id, only.attempts, dict(only.headers)) == (None, None, 3, {})


async def test_on_attempt_hears_of_every_attempt(make: Make, httpx_mock: HTTPXMock) -> None:
    heard: list[Any] = []
    client = make(on_attempt=heard.append)
    httpx_mock.add_response(status_code=503, headers={"X-Request-Id": "r-1"})
    httpx_mock.add_exception(httpx.ReadError("reset"))
    httpx_mock.add_response(json=page(1))
    await client.contacts.list(search_by="Jane")
    assert [(one.number, one.status_code, one.request_id, one.error is None) for one in heard] == [
        (1, 503, "r-1", False),
        (2, None, None, False),
        (3, 200, None, True),
    ]
    # A query may hold personal data.
    assert {(one.operation, one.method, one.path) for one in heard} == {("get_contacts", "GET", "/api/v1/contacts")}
    assert "reset" in heard[1].error
    assert KEY not in repr(heard)


@pytest.mark.parametrize(
    "failure", [ValueError("mine"), LlamadaProError("mine"), KeyError("x"), ExceptionGroup("g", [ValueError()])]
)
async def test_a_callback_that_raises_changes_nothing(
    failure: Exception, make: Make, httpx_mock: HTTPXMock, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(attempt: Any) -> None:
        raise failure

    client = make(on_attempt=broken)
    httpx_mock.add_response(status_code=503)
    httpx_mock.add_response(json={"id": 5})
    with caplog.at_level(logging.ERROR, "llamadapro"):
        assert (await client.contacts.get(5)).id == 5
    assert len(httpx_mock.get_requests()) == 2
    assert [record.message for record in caplog.records] == ["on_attempt failed"] * 2
    assert KEY not in caplog.text


async def test_a_debug_line_for_every_attempt(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock, caplog: pytest.LogCaptureFixture
) -> None:
    httpx_mock.add_response(status_code=503, headers={"X-Request-Id": "r-1"})
    httpx_mock.add_response(json={"id": 5})
    with caplog.at_level(logging.DEBUG, "llamadapro"):
        await client.contacts.get(5)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("llamadapro")]
    assert len(lines) == 2
    assert lines[0].startswith("GET /api/v1/contacts/5 -> 503")
    assert "r-1" in lines[0]
    assert "attempt 2" in lines[1]
    assert KEY not in caplog.text


# --- the end, and others' clients ----------------------------------------------------------------------------------


async def test_a_closed_client_says_so(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    paginator = client.contacts.list()
    async with client as same:
        assert same is client
    await client.aclose()
    assert "closed" in repr(client)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: client.contacts.get(5),
        lambda: client.request("GET", "/a"),
        lambda: client.with_options(timeout=1).contacts.get(5),
        lambda: paginator,
        lambda: client.contacts.list().collect(),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="closed"):
            await call()
    assert httpx_mock.get_requests() == []


async def test_a_callers_client_is_used_as_it_is(httpx_mock: HTTPXMock) -> None:
    seen: list[str] = []

    async def on_request(request: httpx.Request) -> None:
        seen.append(f"{request.method} {request.url}")

    async def on_response(response: httpx.Response) -> None:
        await response.aread()
        seen.append(str(response.status_code))

    httpx_mock.add_response(json={"id": 5})
    async with httpx.AsyncClient(
        base_url="https://elsewhere.example/x",
        headers={"X-Theirs": "1"},
        event_hooks={"request": [on_request], "response": [on_response]},
    ) as own:
        async with AsyncLlamadaPro(KEY, API, http_client=own) as client:
            assert (await client.contacts.get(5)).id == 5
        assert not own.is_closed
    assert seen == [f"GET {API}/api/v1/contacts/5", "200"]
    request = httpx_mock.get_request()
    assert request is not None
    assert request.headers["X-Theirs"] == "1"
    assert request.headers["X-API-Key"] == KEY


async def test_a_hook_that_raises_for_the_status_makes_no_other_error(httpx_mock: HTTPXMock) -> None:
    async def raise_for_status(response: httpx.Response) -> None:
        response.raise_for_status()

    httpx_mock.add_response(status_code=404, json={"message": "gone"})
    async with httpx.AsyncClient(event_hooks={"response": [raise_for_status]}) as own:
        with pytest.raises(NotFoundError):
            await AsyncLlamadaPro(KEY, API, http_client=own).contacts.get(5)


async def test_credentials_of_a_callers_client_show_in_no_error(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_exception(httpx.ReadError("reset"))
    basic = base64.b64encode(b"user:hunter2").decode()
    async with httpx.AsyncClient(auth=("user", "hunter2"), cookies={"session": "hunter2"}) as own:
        with pytest.raises(APIError) as caught:
            await AsyncLlamadaPro(KEY, API, http_client=own).contacts.create(first_name="Jane")
    cause = caught.value.__cause__
    for one in (caught.value, cause):
        request = getattr(one, "request", None)
        shown = f"{one!r} {request and vars(request)!r} {request and request.headers.raw!r}"
        assert KEY not in shown
        assert "hunter2" not in shown
        assert basic not in shown


async def test_unknown_options_and_names_are_mistakes(client: AsyncLlamadaPro) -> None:
    with pytest.raises(AttributeError):
        client.contact  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="Contact"):
        llamadapro.Contact  # type: ignore[attr-defined]  # noqa: B018


if find_spec("respx"):

    async def test_respx_takes_the_place_of_the_network_too() -> None:
        import respx

        with respx.mock(base_url=API) as router:
            route = router.get("/api/v1/contacts/5").respond(json={"id": 5})
            async with AsyncLlamadaPro(KEY, API) as client:
                assert (await client.contacts.get(5)).id == 5
            assert route.called
