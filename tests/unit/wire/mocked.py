"""Clients whose network pytest-httpx replaces, and what their tests have in common."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from llamadapro import AsyncLlamadaPro
from tests.clocks import FakeClock

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
