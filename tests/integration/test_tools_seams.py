"""Promise 8 without the tools: what each of them patches is patched here, and sees every attempt.

`make tools` runs the tools themselves.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import httpcore
import httpx
import httpx2
import pytest

from llamadapro import AsyncLlamadaPro
from tests.clocks import FakeClock
from tests.faults.clients import KEY
from tests.faults.server import answer, fault_server

RETRIED = (answer(503, {}, headers={"Retry-After": "0"}), answer(200, {"id": 5}))


async def attempts_seen(engine: Any, counted: list[object], **options: Any) -> None:
    """Three attempts of two calls: a read that is repeated, and a write."""
    with fault_server().site(*RETRIED, then=answer(200, {"id": 5})) as site:
        async with AsyncLlamadaPro(KEY, site.url, engine=engine, _clock=FakeClock(), **options) as client:
            await client.contacts.get(5)
            await client.contacts.create(first_name="Jane")
    assert len(site.requests) == 3
    assert len(counted) == 3


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[object]:
    """Wrap a method as a tool does."""
    calls: list[object] = []
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, wrapped)
    return calls


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("AsyncClient", "send"),  # Sentry, Datadog, New Relic
        ("AsyncClient", "_send_single_request"),  # New Relic
        ("AsyncClient", "_transport_for_url"),  # pook, respx(using="httpx")
        ("AsyncHTTPTransport", "handle_async_request"),  # OpenTelemetry, logfire, VCR.py, pytest-httpx
    ],
)
async def test_what_patches_httpx_sees_every_attempt(
    library: Any, owner: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await attempts_seen(library.__name__, count_calls(monkeypatch, getattr(library, owner), name))


async def test_what_patches_httpcore_sees_every_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elastic APM, respx."""
    await attempts_seen("httpx", count_calls(monkeypatch, httpcore.AsyncHTTPConnection, "handle_async_request"))


async def test_what_patches_httpcores_proxies_sees_every_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """respx, which else would take the proxy's own address for that of the request."""
    seen = count_calls(monkeypatch, httpcore.AsyncHTTPProxy, "handle_async_request")
    with fault_server().site(*RETRIED, then=answer(200, {"id": 5})) as proxy:
        async with AsyncLlamadaPro(KEY, "http://api.invalid", proxy=proxy.url, _clock=FakeClock()) as client:
            await client.contacts.get(5)
    assert [arguments[1].url.host for arguments in seen] == [b"api.invalid"] * 2  # type: ignore[index]


async def test_what_patches_aiohttps_requests_sees_every_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Datadog, New Relic, Elastic APM."""
    await attempts_seen("aiohttp", count_calls(monkeypatch, aiohttp.ClientSession, "_request"))


async def test_headers_of_aiohttp_are_a_mapping_that_tools_can_add_to(monkeypatch: pytest.MonkeyPatch) -> None:
    original = aiohttp.ClientSession._request

    async def traced(self: Any, *arguments: Any, headers: Any, **options: Any) -> Any:
        headers["traceparent"] = "00-1-2-01"
        return await original(self, *arguments, headers=headers, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", traced)
    with fault_server().site(then=answer(200, {"id": 5})) as site:
        async with AsyncLlamadaPro(KEY, site.url, engine="aiohttp") as client:
            await client.contacts.get(5)
            await client.contacts.get(5)
    assert [request.headers["traceparent"] for request in site.requests] == ["00-1-2-01"] * 2


async def test_a_tracer_that_adds_itself_to_new_sessions_is_seen_by_a_running_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sentry, OpenTelemetry."""
    seen: list[object] = []
    original = aiohttp.ClientSession.__init__

    async def started(_session: Any, _context: Any, parameters: Any) -> None:
        seen.append(parameters.method)

    def patched(self: Any, *arguments: Any, **options: Any) -> None:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(started)
        options["trace_configs"] = [*(options.get("trace_configs") or ()), tracing]
        original(self, *arguments, **options)

    with fault_server().site(then=answer(200, {"id": 5})) as site:
        async with AsyncLlamadaPro(KEY, site.url, engine="aiohttp") as client:
            await client.contacts.get(5)
            monkeypatch.setattr(aiohttp.ClientSession, "__init__", patched)
            await client.contacts.get(5)
    assert seen == ["GET"]
    assert site.connections == 1
