"""Proxies, given or from the environment: every request goes through them, with their credentials and headers; of a
call to an https service they see no more than its host.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trustme

from llamadapro import APIConnectionError, AsyncLlamadaPro
from tests.faults.clients import KEY, OWN, available, client_for
from tests.faults.server import answer, fault_server
from tests.openapi import KEY_HEADER, key_value, path_of

CONTACTS = path_of("GetContacts")

CREDENTIALS = f"Basic {b64encode(b'me:p w').decode()}"
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"id":5}'

engines = pytest.mark.parametrize(
    "engine", [pytest.param(one, marks=pytest.mark.skipif(not available(one), reason="an extra")) for one in OWN]
)
given_or_found = pytest.mark.parametrize("given", [True, False], ids=["given", "from the environment"])


@engines
@given_or_found
async def test_calls_go_through_the_proxy(engine: str, given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with fault_server().site(then=answer(200, {"id": 5})) as proxy:
        url = proxy.url.replace("http://", "http://me:p%20w@")
        options: dict[str, Any] = {"proxy": url} if given else {}
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1" if given else url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with client_for(engine, "http://api.invalid/base", **options) as client:
            await client.contacts.get(5)
            await client.contacts.create(first_name="Jane")
    assert [(one.method, one.path) for one in proxy.requests] == [
        ("GET", f"http://api.invalid/base{path_of('GetContact', 5)}"),
        ("POST", f"http://api.invalid/base{CONTACTS}"),
    ]
    for one in proxy.requests:
        sent = {name.lower(): value for name, value in one.headers.items()}
        expected = (CREDENTIALS, "api.invalid", key_value(KEY))
        assert (sent["proxy-authorization"], sent["host"], sent[KEY_HEADER.lower()]) == expected


@engines
async def test_a_proxy_gets_its_own_headers(engine: str) -> None:
    with fault_server().site(then=answer(200, {"id": 5})) as proxy:
        through = httpx.Proxy(proxy.url, headers={"X-Via": "us"})
        async with client_for(engine, "http://api.invalid", proxy=through) as client:
            await client.contacts.get(5)
    assert {name.lower(): value for name, value in proxy.requests[0].headers.items()}["x-via"] == "us"


@engines
async def test_a_proxy_of_an_https_service_sees_only_its_host(engine: str) -> None:
    async with tls_service() as (port, trust), tunnels(port) as (proxy, heard):
        through = httpx.Proxy(f"http://me:p%20w@{proxy}", headers={"X-Via": "us"})
        options: dict[str, Any] = {"proxy": through, "verify": trust, "engine": engine}
        async with AsyncLlamadaPro(KEY, "https://api.test", **options) as client:
            assert (await client.contacts.get(5)).id == 5
            assert (await client.contacts.get(5)).id == 5
    [tunnel] = heard  # one for both: the connection is kept
    lines = tunnel.split("\r\n")
    assert lines[0] == "CONNECT api.test:443 HTTP/1.1"
    assert {f"proxy-authorization: {CREDENTIALS}", "x-via: us"} <= {_with_lower_name(line) for line in lines[1:]}
    assert KEY not in tunnel


@engines
async def test_a_proxy_that_refuses_means_never_sent(engine: str) -> None:
    async with tls_service() as (port, trust), tunnels(port) as (proxy, heard):
        options: dict[str, Any] = {"proxy": f"http://{proxy}", "verify": trust, "max_retries": 0}
        async with client_for(engine, "https://api.test", **options) as client:
            with pytest.raises(APIConnectionError, match="could not reach the service") as refused:
                await client.messages.send_text(to="+14155552671", from_="+56912345678", text="Hi")
    assert refused.value.may_have_been_processed is False
    assert len(heard) == 1


@engines
@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 20", b"no HTTP\r\n\r\n"], ids=["nothing", "cut", "strange"])
async def test_a_proxy_that_breaks_before_its_tunnel_stands_means_never_sent(engine: str, answered: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(answered)

    async with serving(serve) as port:
        options: dict[str, Any] = {"proxy": f"http://127.0.0.1:{port}", "max_retries": 0}
        async with client_for(engine, "https://api.test", **options) as client:
            with pytest.raises(APIConnectionError, match="could not reach the service") as refused:
                await client.messages.send_text(to="+14155552671", from_="+56912345678", text="Hi")
    assert refused.value.may_have_been_processed is False


@asynccontextmanager
async def tls_service() -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    authority = trustme.CA()
    own, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("api.test").configure_cert(own)
    authority.configure_trust(trust)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _head(reader):
            writer.write(ANSWER)

    async with serving(serve, ssl=own) as port:
        yield port, trust


@asynccontextmanager
async def tunnels(port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that leads everybody with credentials to one port; and what it was asked."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await _head(reader))
        if CREDENTIALS not in heard[-1]:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))

    async with serving(serve) as own_port:
        yield f"127.0.0.1:{own_port}", heard


@asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], **options: Any
) -> AsyncIterator[int]:
    """A server whose connections are all closed before the loop is."""
    under_way = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        await serve(reader, writer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, **options) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*under_way)


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(2**16):
        writer.write(chunk)
    writer.close()


def _with_lower_name(line: str) -> str:
    name, _, value = line.partition(":")
    return f"{name.lower()}:{value}"
