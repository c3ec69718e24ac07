"""What happened inside: `record()`, `on_attempt`, request ids, the debug lines."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from llamadapro import AsyncLlamadaPro
from llamadapro.errors import (
    APIConnectionError,
    APIResponseValidationError,
    InvalidRequestError,
    LlamadaProError,
    NotFoundError,
)
from tests.openapi import path_of
from tests.unit.wire.mocked import KEY, Make, page

CONTACTS = path_of("GetContacts")


async def test_record_tells_what_happened_inside(make: Make, httpx_mock: HTTPXMock) -> None:
    client, other = make(), make()
    httpx_mock.add_response(status_code=503)
    httpx_mock.add_response(json={"id": 5}, headers={"X-Request-Id": "r-2", "X-Cost": "3"})
    httpx_mock.add_response(status_code=404, headers={"X-Request-Id": "r-3"})
    httpx_mock.add_response(json={"id": 7}, is_reusable=True)
    with client.capture_exchanges() as exchanges:
        assert exchanges == []
        await client.contacts.get(5)
        with pytest.raises(NotFoundError):
            await client.tasks.delete("a?b")
        with client.capture_exchanges() as inner:
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
        path_of("GetContact", 5),
        "r-2",
        "3",
    )
    assert (second.path, second.request_id) == (path_of("GetTask", "a%3Fb"), "r-3")
    assert inner == [third]
    assert first.elapsed >= 0
    assert KEY not in repr(exchanges)


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
    with client.capture_exchanges() as exchanges, pytest.raises(APIConnectionError):
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
    assert {(one.operation, one.method, one.path) for one in heard} == {("get_contacts", "GET", CONTACTS)}
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
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert len(lines) == 2
    assert lines[0].startswith(f"GET {path_of('GetContact', 5)} -> 503")
    assert "r-1" in lines[0]
    assert "attempt 2" in lines[1]
    assert KEY not in caplog.text
