"""The fault server does what it says: each outcome at byte level, and what httpx and aiohttp make of it.

The second half writes down the facts that the client's classification of outcomes rests on (notes/http.md). If it
fails after an upgrade of an engine, the table in `llamadapro._transport` needs another look before anything else does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.cases import BY_NAME, FAULTS, bomb, good
from tests.faults.clients import available
from tests.faults.server import End, Site, answer, fault_server, outcome, refused, unreachable

GET = BY_NAME["contacts.get"]
ASK = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
BY_FAULT = {fault.name: fault for fault in FAULTS}


@contextlib.contextmanager
def site(name: str) -> Iterator[Site]:
    play = BY_FAULT[name].play
    assert play is not None
    with fault_server().site(then=play(GET)) as opened:
        yield opened


def talk(site: Site, sent: bytes = ASK, seconds: float = 1.0) -> tuple[bytes, str]:
    """All that comes back for some bytes, and how it ended: closed, reset or silent."""
    got = b""
    with socket.create_connection(("127.0.0.1", site.port)) as sock:
        sock.settimeout(seconds)
        sock.sendall(sent)
        try:
            while data := sock.recv(65536):
                got += data
        except TimeoutError:
            return got, "silent"
        except ConnectionResetError:
            return got, "reset"
    return got, "closed"


@pytest.mark.parametrize(
    ("name", "starts", "ends", "how"),
    [
        ("reset, request unread", b"", b"", "reset"),
        ("reset before headers", b"", b"", "reset"),
        ("reset mid headers", b"HTTP/1.1 200 OK\r\n", b"json\r\n", "reset"),
        ("reset mid body", b"HTTP/1.1 200 OK\r\n", b'{"id":', "reset"),
        ("closed without answer", b"", b"", "closed"),
        ("closed mid status line", b"HTTP/1.", b"HTTP/1.", "closed"),
        ("100 then closed", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n\r\n", "closed"),
        ("103 then reset", b"HTTP/1.1 103", b"\r\n\r\n", "reset"),
        ("garbage instead of HTTP", b"\x16\x03\x01", b"HTTP \r\n\r\n", "closed"),
        ("short body", b"HTTP/1.1 200", b'{"id": ', "closed"),
        ("truncated chunks", b"HTTP/1.1 200", b'{"id": 5}\r\n', "closed"),
        ("chunk garbage", b"HTTP/1.1 200", b"not a chunk\r\n", "closed"),
        ("ends with the connection", b"HTTP/1.1 200", b'{"id": 5}', "closed"),
        ("HTTP/1.0", b"HTTP/1.0 200", b'{"id": 5}', "closed"),
        ("read timeout: no answer", b"", b"", "silent"),
        ("read timeout: after headers", b"HTTP/1.1 200", b"\r\n\r\n", "silent"),
        ("599", b"HTTP/1.1 599", b"}", "silent"),
        ("999", b"HTTP/1.1 999", b"}", "silent"),
        ("101", b"HTTP/1.1 101", b"\r\n\r\n", "closed"),
        ("307 elsewhere", b"HTTP/1.1 307", b"\r\n\r\n", "silent"),
        ("429, Retry-After: 0.25", b"HTTP/1.1 429", b"}", "silent"),
    ],
)
def test_an_outcome_is_what_its_name_says(name: str, starts: bytes, ends: bytes, how: str) -> None:
    with site(name) as opened:
        got, end = talk(opened, seconds=0.1 if how == "silent" else 2.0)
    assert end == how
    assert got.startswith(starts)
    assert got.endswith(ends)
    assert len(opened.requests) == 1
    assert opened.requests[0].complete is (name != "reset, request unread")


def test_cut_and_bad_content() -> None:
    for name in ("gzip cut short", "gzip cut in its trailer"):
        with site(name) as opened:
            head, _, content = talk(opened, seconds=0.1)[0].partition(b"\r\n\r\n")
        assert f"Content-Length: {len(content)}".encode() in head  # complete for HTTP, cut for gzip
        with pytest.raises(EOFError):
            gzip.decompress(content)
    assert len(bomb()) < 2**16 < 2**24 < len(gzip.decompress(bomb()))
    with site("200,000 levels deep") as opened:
        assert len(talk(opened, seconds=0.1)[0]) > 400_000


def test_drips_for_as_long_as_one_listens() -> None:
    with site("deadline: dripping body") as opened:
        first, second = _listen(opened, 0.1), _listen(opened, 0.2)
    assert 0 < first < second


def _listen(opened: Site, seconds: float) -> int:
    got, end = 0, time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", opened.port)) as sock:
        sock.sendall(ASK)
        while time.monotonic() < end:
            got += sock.recv(65536).count(b" ")
    return got


def test_counts_requests_and_connections() -> None:
    body = b'POST /y?a=1 HTTP/1.1\r\nHost: x\r\nX-Who: me\r\nContent-Length: 4\r\n\r\n{"a"'
    with fault_server().site(answer(503, {}), then=answer(200, {"id": 5})) as opened:
        talk(opened, ASK + body, seconds=0.05)
        talk(opened, body[:-1], seconds=0.05)  # never complete, so never counted
    assert [(r.method, r.path, r.body, r.connection, r.nth) for r in opened.requests] == [
        ("GET", "/x", b"", 1, 1),
        ("POST", "/y?a=1", b'{"a"', 1, 2),
    ]
    assert opened.requests[1].headers["x-who"] == "me"
    assert (opened.connections, opened.peak) == (2, 1)


async def test_open_connections_are_seen_as_the_kernel_sees_them() -> None:
    with fault_server().site(then=outcome("silent", End.HANG)) as opened:
        one, two = (socket.create_connection(("127.0.0.1", opened.port)) for _ in range(2))
        assert await opened.until(lambda site: site.open == 2)
        one.close()
        assert await opened.until(lambda site: site.open == 1)
        two.close()
        assert await opened.until(lambda site: site.open == 0)


async def test_nobody_listens_and_nobody_answers() -> None:
    with refused() as url, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    with unreachable() as url, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=0.1)


# --- what the engines say ----------------------------------------------------------------------------------------

SAY = {
    # outcome: (httpx, httpx-aiohttp, what it had from aiohttp)
    "reset before headers": ("ReadError", "ConnectTimeout", "ClientOSError"),
    "reset mid headers": ("ReadError", "ConnectTimeout", "ClientOSError"),
    "reset mid body": ("ReadError", "ReadError", "ClientPayloadError"),
    "closed without answer": ("RemoteProtocolError", "ConnectTimeout", "ServerDisconnectedError"),
    "100 then closed": ("RemoteProtocolError", "ConnectTimeout", "ServerDisconnectedError"),
    "short body": ("RemoteProtocolError", "ReadError", "ClientPayloadError"),
    "truncated chunks": ("RemoteProtocolError", "ReadError", "ClientPayloadError"),
    "chunk garbage": ("RemoteProtocolError", "ClientResponseError", "HttpProcessingError"),
    "garbage instead of HTTP": ("RemoteProtocolError", "ClientResponseError", "HttpProcessingError"),
    "very large headers": ("RemoteProtocolError", "ClientResponseError", "HttpProcessingError"),
    "read timeout: no answer": ("ReadTimeout", "ReadTimeout", "SocketTimeoutError"),
    "read timeout: after headers": ("ReadTimeout", "ReadTimeout", "SocketTimeoutError"),
    "gzip cut short": ("success", "success", ""),
    "NaN": ("success", "success", ""),
    "101": ("RemoteProtocolError", "success", ""),
    "refused": ("ConnectError", "ConnectTimeout", "ClientConnectorError"),
    "unknown host": ("ConnectError", "ConnectTimeout", "ClientConnectorDNSError"),
    "connect timeout": ("ConnectTimeout", "ConnectTimeout", "ConnectionTimeoutError"),
}


async def _say(name: str, transport: httpx.AsyncBaseTransport | None) -> tuple[str, str]:
    fault = BY_FAULT[name]
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fault.address()) if fault.address else stack.enter_context(site(name)).url
        client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(1.0, read=0.1, connect=0.1))
        async with client:
            try:
                await client.post(f"{url}/x", json={})
            except Exception as error:
                return type(error).__name__, type(error.__cause__).__name__
    return "success", ""


@pytest.mark.parametrize("name", SAY)
async def test_what_httpx_says(name: str) -> None:
    assert (await _say(name, None))[0] == SAY[name][0]


@pytest.mark.skipif(not available("aiohttp"), reason="needs an extra")
@pytest.mark.parametrize("name", SAY)
async def test_what_httpx_aiohttp_says(name: str) -> None:
    from httpx_aiohttp import AiohttpTransport

    assert await _say(name, AiohttpTransport()) == SAY[name][1:]


async def test_a_kept_connection_that_closes_under_a_request() -> None:
    with fault_server().site(good(GET), outcome("race", End.CLOSE), then=good(GET)) as opened:
        async with httpx.AsyncClient() as client:
            await client.get(f"{opened.url}/x")
            with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
                await client.get(f"{opened.url}/x")
            await asyncio.sleep(0)
    assert [request.nth for request in opened.requests] == [1, 2]


@pytest.mark.skipif(not available("aiohttp"), reason="needs an extra")
async def test_aiohttp_resends_by_itself() -> None:
    from httpx_aiohttp import AiohttpTransport

    with fault_server().site(good(GET), outcome("race", End.CLOSE), then=good(GET)) as opened:
        async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
            await client.get(f"{opened.url}/x")
            await client.put(f"{opened.url}/x", json={})
    assert [request.method for request in opened.requests] == ["GET", "PUT", "PUT"]  # one call, two requests
