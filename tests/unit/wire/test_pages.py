"""Lists: awaited, iterated, walked by page, resumed, prefetched; and tokens that would never end."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import pickle
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from llamadapro import AsyncLlamadaPro, AsyncPaginator, Page, models
from llamadapro.errors import (
    InvalidRequestError,
    LlamadaProError,
    NotFoundError,
    PaginationError,
)
from tests.openapi import path_of
from tests.unit.wire.mocked import body_of, page, sent

CONTACTS = path_of("GetContacts")


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
        f"{CONTACTS}?pageSize=2",
        f"{CONTACTS}?pageSize=2&pageToken=B",
        f"{CONTACTS}?pageSize=2&pageToken=C",
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
    assert sent(httpx_mock)[-1] == ("GET", f"{path_of('GetCustomFieldListOptions', 3)}?pageToken=C")


async def test_a_bad_argument_is_reported_when_the_list_is_made(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    with pytest.raises(TypeError, match="page_sise"):
        client.contacts.list(page_sise=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="color"):
        client.contacts.search(color="red")  # type: ignore[call-arg]
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


async def test_a_paginator_of_a_copy_walks_with_its_options(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    await client.with_options(default_headers={"X-Walk": "1"}).contacts.list().collect()
    assert [request.headers["X-Walk"] for request in httpx_mock.get_requests()] == ["1"] * 3


# --- a page by itself --------------------------------------------------------------------------------------------


async def test_a_page_is_iterated_and_counted(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    serve(httpx_mock, THREE)
    first = await client.contacts.list()
    assert [contact.id for contact in first] == [1, 2]
    assert len(first) == 2
    assert len(await (await first.get_next_page()).get_next_page()) == 1


async def test_a_page_survives_pickling_and_copying_but_for_its_client(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    serve(httpx_mock, THREE)
    page = await client.contacts.list()
    for other in (pickle.loads(pickle.dumps(page)), copy.copy(page), copy.deepcopy(page)):
        assert other.items == page.items
        assert (other.next_page_token, other.total_count, other.request_id) == ("B", 5, None)
        with pytest.raises(LlamadaProError, match="pass its next_page_token as page_token"):
            await other.get_next_page()
    assert [contact.id async for contact in client.contacts.list(page_token=other.next_page_token)] == [3, 4, 5]
    assert len(await page.get_next_page()) == 2


async def test_empty_pages_without_end_are_noticed(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    """Each leads to another, by a token that has not been seen before."""
    served = itertools.count()
    httpx_mock.add_callback(lambda _: httpx.Response(200, json=page(token=f"t{next(served)}")), is_reusable=True)
    seen, error = await walked(client.contacts.list())
    assert seen == []
    assert isinstance(error, PaginationError)
    assert "1000 empty pages in a row" in str(error)
    assert "pass page_token='t999'" in str(error)
    assert next(served) == 1000


async def test_many_empty_pages_between_others_are_walked_past(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    served = itertools.count(1)

    def answer(_: httpx.Request) -> httpx.Response:
        number = next(served)
        ids = [number] if number % 800 == 0 else []
        return httpx.Response(200, json=page(*ids, token=None if number == 1600 else f"t{number}"))

    httpx_mock.add_callback(answer, is_reusable=True)
    assert [contact.id async for contact in client.contacts.list()] == [800, 1600]
