"""Answers that cannot be read, error statuses, and what is repeated after them."""

from __future__ import annotations

import json

import httpx
import pytest
from pytest_httpx import HTTPXMock

from llamadapro import AsyncLlamadaPro
from llamadapro.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    RateLimitError,
)
from tests.clocks import FakeClock
from tests.openapi import KEY_HEADER, path_of
from tests.unit.wire.mocked import API, Make, sent

CONTACTS = path_of("GetContacts")
CONVERSATIONS = path_of("Create")


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
    assert str(error).startswith(f"GET {CONTACTS}: answered 200, but not as the document says: items[3].addresses")
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
    assert "check before retrying" in str(caught.value)
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
    assert text.startswith(f"POST {CONVERSATIONS}: 400: no such funnel (code 1007); details:")
    assert "correct the request" in text
    assert (error.request.method, str(error.request.url)) == ("POST", f"{API}{CONVERSATIONS}")
    assert json.loads(error.request.content) == {"funnelId": 99}
    assert KEY_HEADER not in error.request.headers


@pytest.mark.parametrize("status", [300, 302, 304, 402, 404, 405, 418, 451, 499])
async def test_other_statuses_are_never_repeated(status: int, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(
        status_code=status, text="<html>not here</html>", headers={"Location": "https://evil.example/"}
    )
    with pytest.raises(APIStatusError) as caught:
        await client.contacts.get(5)
    assert (caught.value.status_code, caught.value.body) == (status, "<html>not here</html>")
    assert str(caught.value).startswith(f"GET {path_of('GetContact', 5)}: {status}: ")
    assert sent(httpx_mock) == [("GET", path_of("GetContact", 5))], "a redirect is never followed"
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


async def test_without_a_deadline_any_wait_is_waited(make: Make, httpx_mock: HTTPXMock) -> None:
    clock = FakeClock()
    httpx_mock.add_response(status_code=503, headers={"Retry-After": "4000"})
    httpx_mock.add_response(json={"id": 5})
    assert (await make(deadline=None, _clock=clock).contacts.get(5)).id == 5
    assert clock.sleeps == [4000]
