"""`client.request`: any path of the service, and nowhere else."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock, IteratorStream

from llamadapro import AsyncLlamadaPro
from llamadapro.errors import (
    ConflictError,
    InternalServerError,
    InvalidRequestError,
)
from llamadapro_api import api
from tests.openapi import KEY_HEADER, key_value, path_of
from tests.unit.wire.mocked import API, KEY, body_of, sent

BULK = path_of("BulkUpdate")


async def test_request_returns_the_answer_as_it_came(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=202, json={"a": [1]}, headers={"X-Request-Id": "r-1", "X-New": "yes"})
    response = await client.request("post", "/api/v1/any thing?x=1", params={"y": 2}, json={"a": (1, None, True)})
    assert isinstance(response, httpx.Response)
    assert (response.status_code, response.json(), response.headers["X-New"]) == (202, {"a": [1]}, "yes")
    assert KEY_HEADER not in response.request.headers
    assert KEY not in repr(vars(response.request))
    request = httpx_mock.get_request()
    assert request is not None
    assert (request.method, str(request.url)) == ("POST", f"{API}/api/v1/any%20thing?x=1&y=2")
    assert request.headers[KEY_HEADER] == key_value(KEY)
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


class Name(str, Enum):  # noqa: UP042 # whose str() is another text
    SORT = "sort"


async def test_request_writes_its_parameters_as_everywhere(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(is_reusable=True)
    await client.request(
        "GET",
        "/a",
        params={
            "t": True,
            "f": False,
            "n": None,
            "i": 0,
            "e": "",
            "s": "a b&c=ñ",
            "l": [1, True, "x"],
            "none": [],
            Name.SORT: Name.SORT,
        },
    )
    await client.request("GET", "/a?x=1", params={})
    await client.request("GET", "/a", params={"at": datetime(2026, 1, 2, 3, tzinfo=UTC)})
    first, second, third = httpx_mock.get_requests()
    assert first.url.params.multi_items() == [
        *(("t", "true"), ("f", "false"), ("i", "0"), ("e", ""), ("s", "a b&c=ñ")),
        *(("l", "1"), ("l", "true"), ("l", "x"), ("sort", "sort")),
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


@pytest.mark.parametrize(
    "params",
    [
        [("tag", "a"), ("tag", "b"), ("n", 1)],
        (["tag", "a"], ["tag", "b"], ["n", 1]),
        httpx.QueryParams([("tag", "a"), ("tag", "b"), ("n", 1)]),
    ],
    ids=["tuples", "lists", "QueryParams"],
)
async def test_parameters_may_be_pairs(params: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response()
    await client.request("GET", "/a", params=params)
    assert sent(httpx_mock) == [("GET", "/a?tag=a&tag=b&n=1")]


@pytest.mark.parametrize(
    "params", ["a=1", b"a=1", 5, [5], ["ab"], [("a",)], [("a", 1, 2)], [(1, "a")], {1: "a"}, {"a"}]
)
async def test_parameters_of_other_kinds_are_refused(
    params: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    with pytest.raises(InvalidRequestError, match=r"^request: params: .* pair"):
        await client.request("GET", "/a", params=params)
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize("path", [None, 5, b"/a", ["/a"], httpx.URL("/a")])
async def test_a_path_is_a_text(path: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    with pytest.raises(InvalidRequestError, match="must be a path"):
        await client.request("GET", path)
    assert httpx_mock.get_requests() == []


# --- `client.send`: an operation that has no method ---------------------------------------------------------------


async def test_a_generated_operation_is_sent_as_by_its_method(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": 5, "firstName": "Jane"}, is_reusable=True)
    sent_by_hand = await client.send(api.get_contact(5))
    assert sent_by_hand == await client.contacts.get(5)
    by_hand, by_method = httpx_mock.get_requests()
    assert (by_hand.method, by_hand.url, by_hand.headers) == (by_method.method, by_method.url, by_method.headers)


@pytest.mark.parametrize(
    "value", [None, "get_contact", api.get_contact, httpx.Request("GET", API)], ids=lambda value: type(value).__name__
)
async def test_what_is_not_prepared_is_not_sent(value: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    with pytest.raises(InvalidRequestError, match="takes a prepared request"):
        await client.send(value)
    assert httpx_mock.get_requests() == []


# --- where requests go --------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("method", ["", "GET ", "GE T", "GET\r\nX: y", "G\u00c9T", "GET/", None, 5, b"GET"])
async def test_a_method_is_a_word(method: Any, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
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
    ("POST", path_of("SearchContacts"), True),
    ("POST", f"{API}{path_of('SearchContacts')}?x=1", True),
    ("PUT", BULK, False),
    ("PUT", f"{API}{BULK}", False),
    ("put", f"{BULK}?dryRun=1", False),
    ("PUT", f"/.{BULK}", False),
    ("PUT", f"{BULK}/..{BULK[BULK.rindex('/') :]}", False),
    ("PUT", f"/{BULK[1:].replace('/', '//')}", False),
    ("PUT", f"{BULK}/", False),
    ("PUT", f"{BULK[:-1]}%{ord(BULK[-1]):X}", False),
    ("PUT", path_of("GetContact", 5), True),
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
    reads = method in ("GET", "HEAD") or path_of("SearchContacts") in path
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
