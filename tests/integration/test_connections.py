"""What goes over a connection, and when it is used again (promise 1), over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import trustme

from llamadapro import APIConnectionError, APITimeoutError, AsyncLlamadaPro, BadRequestError
from tests.faults.cases import BY_NAME
from tests.faults.clients import OWN, client_for, outcome_of
from tests.faults.server import End, answer, fault_server, outcome, response
from tests.integration.test_proxies import serving

GET, SEND = BY_NAME["contacts.get"], BY_NAME["messages.send_text"]
GOOD = response(200, {"id": "m5"})
STRANGE = response(200, {"id": "not asked for"})
LARGE = "x" * 20_000_000

own_engines = pytest.mark.parametrize("engine", OWN)
default_engines = pytest.mark.parametrize("engine", ["httpx", "httpx2"])


# --- bytes that nobody asked for ---------------------------------------------------------------------------------


@own_engines
@pytest.mark.parametrize(
    "surplus",
    [STRANGE, b"\r\n", response(408, {}), b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["200", "CRLF", "408", "100"],
)
async def test_surplus_bytes_are_no_answer_to_the_next_request(engine: str, surplus: bytes) -> None:
    with fault_server().site(outcome("surplus", GOOD + surplus, End.KEEP), then=answer(200, {"id": "m6"})) as site:
        async with client_for(engine, site.url) as client:
            assert (await SEND.call(client)).id == "m5"
            result, error = await outcome_of(SEND.call(client))
    assert error is None
    assert result.id == "m6"
    assert len(site.requests) == 2


@own_engines
@pytest.mark.parametrize("late", [STRANGE, response(408, {})], ids=["200", "408"])
async def test_bytes_that_come_while_a_connection_is_idle(engine: str, late: bytes) -> None:
    farewell = outcome("late", GOOD, 0.02, late, End.KEEP)
    with fault_server().site(farewell, then=answer(200, {"id": "m6"})) as site:
        async with client_for(engine, site.url) as client:
            await SEND.call(client)
            await asyncio.sleep(0.05)  # what is late must have come
            result, error = await outcome_of(SEND.call(client))
    assert error is None
    assert result.id == "m6"
    assert site.connections == 2


@own_engines
async def test_a_reason_phrase_may_be_any_bytes(engine: str) -> None:
    strange = outcome("reason", b"HTTP/1.1 400 \x01\xe9\xff\r\nContent-Length: 0\r\n\r\n", End.KEEP)
    with fault_server().site(then=strange) as site:
        async with client_for(engine, site.url) as client:
            _, error = await outcome_of(SEND.call(client))
    assert isinstance(error, BadRequestError)
    assert error.response.extensions["reason_phrase"] == b"\x01\xe9\xff"


@own_engines
async def test_an_answer_without_a_body_leaves_its_connection_usable(engine: str) -> None:
    nothing = outcome("204", b"HTTP/1.1 204 No Content\r\n\r\n", End.KEEP)
    with fault_server().site(then=nothing) as site:
        async with client_for(engine, site.url) as client:
            for _ in range(3):
                await client.recordings.load(user_id=1, url="https://files.example/a.mp3")
    assert (len(site.requests), site.connections) == (3, 1)


# --- how long a connection is kept -------------------------------------------------------------------------------


@own_engines
@pytest.mark.parametrize(
    ("hint", "kept", "too_long"), [(None, 3.8, 4.0), ("timeout=60", 3.8, 4.0), ("timeout=3, max=9", 1.8, 2.0)]
)
async def test_a_connection_is_not_used_near_its_end(
    engine: str, hint: str | None, kept: float, too_long: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    skew = _shift_time(monkeypatch)
    headers = {} if hint is None else {"Keep-Alive": hint}
    with fault_server().site(then=answer(200, {"id": "m5"}, headers=headers)) as site:
        async with client_for(engine, site.url) as client:
            await SEND.call(client)
            skew[0] += kept
            await SEND.call(client)
            assert site.connections == 1
            skew[0] += too_long
            await SEND.call(client)
    assert (len(site.requests), site.connections) == (3, 2)


@own_engines
@pytest.mark.parametrize("hint", ["timeout=0", "timeout=1"])
async def test_a_connection_that_ends_at_once_is_not_used_again(engine: str, hint: str) -> None:
    with fault_server().site(then=answer(200, {"id": "m5"}, headers={"Keep-Alive": hint})) as site:
        async with client_for(engine, site.url) as client:
            await SEND.call(client)
            await SEND.call(client)
    assert site.connections == 2


def _shift_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    skew = [0.0]
    for module in ("pool", "aiohttp_engine"):
        monkeypatch.setattr(f"llamadapro._transport.{module}.monotonic", lambda: time.monotonic() + skew[0])
    return skew


# --- what is given up is not sent any more -----------------------------------------------------------------------


class DeafServer:
    """Accepts and does not read, until it is asked what has come."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._sockets.append(self._listener.accept()[0])

    @property
    def connections(self) -> int:
        return len(self._sockets)

    def received(self) -> list[int]:
        """For each connection the bytes that arrived, once it has come to its end."""
        return [self._drain(sock) for sock in self._sockets]

    @staticmethod
    def _drain(sock: socket.socket) -> int:
        sock.settimeout(5)
        size = 0
        with contextlib.suppress(ConnectionError):
            while chunk := sock.recv(2**20):
                size += len(chunk)
        return size

    def close(self) -> None:
        self._listener.close()
        for sock in self._sockets:
            sock.close()


@pytest.fixture
def deaf() -> Iterator[DeafServer]:
    server = DeafServer()
    yield server
    server.close()


@own_engines
@pytest.mark.parametrize("end", ["cancelled", "timed out", "client closed"])
async def test_no_further_byte_is_sent_of_a_call_that_has_ended(engine: str, end: str, deaf: DeafServer) -> None:
    timeout = 0.3 if end == "timed out" else 30.0
    async with AsyncLlamadaPro("key", deaf.url, timeout=timeout, max_retries=0, engine=engine) as client:  # type: ignore[arg-type]
        call = asyncio.create_task(client.request("POST", "/upload", json=LARGE))
        while not deaf.connections and not call.done():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.005)
        if end == "client closed":
            async with asyncio.timeout(5):
                await client.aclose()
        if end == "cancelled":
            call.cancel()
        [error] = await asyncio.gather(call, return_exceptions=True)
    expected = {"cancelled": asyncio.CancelledError, "timed out": APITimeoutError, "client closed": APIConnectionError}
    assert isinstance(error, expected[end])
    [received] = await asyncio.to_thread(deaf.received)
    assert received < len(LARGE)


@own_engines
async def test_a_cancelled_call_leaves_no_socket_between_tcp_and_tls(engine: str) -> None:
    with fault_server().site(then=outcome("no TLS", End.HANG)) as site:
        async with client_for(engine, site.url.replace("http:", "https:"), verify=False) as client:
            call = asyncio.create_task(GET.call(client))
            assert await site.until(lambda site: site.connections == 1)
            await asyncio.sleep(0.05)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert await site.until(lambda site: site.open == 0)


# --- TLS ---------------------------------------------------------------------------------------------------------


@own_engines
@pytest.mark.parametrize("trusted", [True, False])
async def test_the_certificate_of_a_proxy_is_checked_though_the_service_has_none(engine: Any, trusted: bool) -> None:
    authority, heard = trustme.CA(), []
    own, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(own)
    if trusted:
        authority.configure_trust(trust)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                heard.append(head)
                writer.write(GOOD)

    async with serving(serve, ssl=own) as port:
        proxy = httpx.Proxy(f"https://localhost:{port}", ssl_context=trust)
        async with client_for(engine, "http://api.invalid", proxy=proxy, max_retries=0) as client:
            _, error = await outcome_of(client.request("POST", "/x", json={}))
    if trusted:
        assert error is None
        assert len(heard) == 1
    else:
        assert isinstance(error, APIConnectionError)
        assert not error.may_have_been_processed
        assert heard == []


# --- without the private names of libraries ----------------------------------------------------------------------


@default_engines
@pytest.mark.parametrize(
    "name", ["httpx_engine.POOL", "httpx_engine.NETWORK_BACKEND", "pool.INNER_CONNECTION", "pool.H11_STATE"]
)
async def test_without_a_private_name_no_connection_is_used_twice(
    engine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"llamadapro._transport.{name}", "_renamed")
    surplus = outcome("surplus", GOOD + STRANGE, End.KEEP)
    with fault_server().site(then=surplus) as site:
        async with client_for(engine, site.url) as client:
            assert [(await SEND.call(client)).id for _ in range(3)] == ["m5"] * 3
        assert await site.until(lambda site: site.open == 0)
    assert (len(site.requests), site.connections) == (3, 3)


# --- what is no failure of the network ---------------------------------------------------------------------------


@own_engines
async def test_what_a_tool_raises_comes_out_as_it_is_after_one_attempt(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    async def broken(*arguments: object, **_options: object) -> None:
        calls.append(arguments)
        raise TypeError("a tool's own fault")

    patched = {"aiohttp": "aiohttp.ClientSession._request"}.get(engine, f"{engine}.AsyncClient.send")
    monkeypatch.setattr(patched, broken)
    with fault_server().site(then=answer(200, {"id": 5})) as site:
        async with client_for(engine, site.url) as client:
            with pytest.raises(TypeError, match="a tool's own fault"):
                await GET.call(client)
    assert (len(calls), site.connections) == (1, 0)


# --- several addresses for one name ------------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[tuple[int, Any]]:
    """An address that answers no attempt to connect: so many wait there already that the system drops the next."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(listener.getsockname())
        yield socket.AF_INET, listener.getsockname()


@pytest.fixture
def closed() -> Iterator[tuple[int, Any]]:
    """An address that refuses to be connected to."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.3", 0))
        yield socket.AF_INET, nobody.getsockname()


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 and full backlogs are as Linux has them")
@pytest.mark.parametrize("before", [["closed"], ["silent"], ["silent", "closed"], []], ids=",".join)
async def test_an_address_that_fails_or_is_slow_gives_way_to_the_next(
    before: list[str], silent: Any, closed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fault_server().site(then=answer(200, {"id": "m6"})) as site:
        here = (socket.AF_INET, ("127.0.0.1", httpx.URL(site.url).port))

        async def addresses(_host: str, _port: int) -> list[Any]:
            return [*({"silent": silent, "closed": closed}[name] for name in before), here, closed]

        monkeypatch.setattr("llamadapro._transport.network._addresses", addresses)
        async with client_for("httpx", site.url) as client:
            assert (await SEND.call(client)).id == "m6"
        assert site.connections == 1


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.3 is as Linux has it")
async def test_where_no_address_can_be_reached_the_first_says_why(closed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses(_host: str, _port: int) -> list[Any]:
        return [closed, (socket.AF_INET, ("127.0.0.4", closed[1][1]))]

    monkeypatch.setattr("llamadapro._transport.network._addresses", addresses)
    async with client_for("httpx", "http://service.example", max_retries=0) as client:
        with pytest.raises(APIConnectionError, match=r"127\.0\.0\.3") as caught:
            await SEND.call(client)
    assert not caught.value.may_have_been_processed
