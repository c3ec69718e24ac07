"""`with_options`, closing, and clients of the caller's own."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

import llamadapro
from llamadapro import AsyncLlamadaPro
from llamadapro.errors import (
    APIError,
    ConfigurationError,
    InternalServerError,
    NotFoundError,
)
from tests.openapi import KEY_HEADER, key_value, path_of
from tests.unit.wire.mocked import API, KEY, Make


async def test_a_copy_shares_the_transport_and_leaves_the_original_alone(make: Make, httpx_mock: HTTPXMock) -> None:
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
    with client.capture_exchanges() as exchanges:
        await copy.contacts.get(5)
    assert len(exchanges) == 1
    await copy.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await client.contacts.get(5)


async def test_a_copy_may_have_another_deadline(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    """A wait that would pass it is not begun."""
    httpx_mock.add_response(status_code=503, headers={"Retry-After": "10"}, is_reusable=True)
    for copy, attempts in (
        (client.with_options(deadline=5), 1),
        (client.with_options(deadline=5).with_options(deadline=None), 3),
        (client, 3),
    ):
        before = len(httpx_mock.get_requests())
        with pytest.raises(InternalServerError):
            await copy.contacts.get(5)
        assert len(httpx_mock.get_requests()) - before == attempts


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


@pytest.mark.parametrize("value", ["false", "0", 0, 1, None])
async def test_what_may_happen_twice_is_allowed_by_true_alone(value: Any, client: AsyncLlamadaPro) -> None:
    """A text out of the environment is true, whatever it says."""
    with pytest.raises(ConfigurationError, match="retry_unsafe must be True or False"):
        client.with_options(retry_unsafe=value)


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


async def test_a_callers_client_that_is_closed_says_so() -> None:
    async with httpx.AsyncClient() as own:
        client = AsyncLlamadaPro(KEY, API, http_client=own)
    with pytest.raises(ConfigurationError, match="http_client is closed"):
        await client.contacts.get(5)


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
    assert seen == [f"GET {API}{path_of('GetContact', 5)}", "200"]
    request = httpx_mock.get_request()
    assert request is not None
    assert request.headers["X-Theirs"] == "1"
    assert request.headers[KEY_HEADER] == key_value(KEY)


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
            route = router.get(path_of("GetContact", 5)).respond(json={"id": 5})
            async with AsyncLlamadaPro(KEY, API) as client:
                assert (await client.contacts.get(5)).id == 5
            assert route.called
