"""The engine on aiohttp: a fraction of httpx's CPU. Its failures are reported as httpx's, like the other engines'."""

from __future__ import annotations

import asyncio
import io
import math
import os
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from time import monotonic
from typing import Any

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import OutgoingRequest, PooledEngine, ssl_context
from .loops import LoopConnections
from .network import KEEPALIVE_EXPIRY, RESET_ON_CLOSE, is_readable, keepalive_seconds

_AS_HTTPX: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    # The first that fits. Only these three mean that the service cannot have seen the request.
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientError, httpx.ReadError),
    (OSError, httpx.ReadError),
)
_FAILURES = (aiohttp.ClientError, OSError)
"""All of them; anything else is no failure of the network, and comes out as it is."""

PROTOCOL_FACTORY = "_factory"
"""A private name of aiohttp's. Without it what comes for a request is bounded in time only, but for its body."""

_STREAMED_FROM = 2**20
"""Bytes of a body from which on aiohttp wants a file rather than bytes."""


class AiohttpEngine(PooledEngine):
    """aiohttp without what is the client's to decide: redirects, cookies, unpacking, proxies and repeating."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._loops = LoopConnections(partial(_Connections, config, self._proxy))
        self._through = {} if self._proxy is None else _proxy_options(self._proxy, config.base_url.scheme)

    @asynccontextmanager
    async def open(self, request: OutgoingRequest) -> AsyncIterator[httpx.Response]:
        exchange = _Exchange(request)
        answer = None
        try:
            answer = await self._answer(exchange)
            exchange.note_keepalive(answer.raw_headers)
            yield httpx.Response(
                answer.status,
                headers=answer.raw_headers,
                stream=_Body(answer),
                extensions={
                    "http_version": b"HTTP/1.1",
                    "reason_phrase": (answer.reason or "").encode("utf-8", "surrogateescape"),
                },
            )
            if answer.content.is_eof():
                exchange.complete()
        finally:
            if answer is not None:
                answer.close()
            exchange.abort()

    async def _answer(self, exchange: _Exchange) -> aiohttp.ClientResponse:
        """The answer as soon as its headers are there."""
        token = _on_its_way.set(exchange)
        try:
            if exchange.answer_due is None:
                return await self._ask(exchange.request)
            async with exchange.answer_due:
                return await self._ask(exchange.request)
        except _FAILURES as error:
            raise _as_httpx(error, sent=exchange.request.may_have_reached_server) from error
        finally:
            _on_its_way.reset(token)

    async def _ask(self, request: OutgoingRequest) -> aiohttp.ClientResponse:
        headers = CIMultiDict(request.headers.texts)
        through = dict(self._through)
        if self._proxy is not None and request.url.startswith("http:"):
            headers.extend(through.pop("proxy_headers"))
        content = request.content
        return (
            await self._loops.get()
            .session(request.timeout["read"] is not None)
            .request(
                request.method,
                # As it is written: a signed query in which %2F became / would no longer be what was signed.
                URL(request.url, encoded=True),
                headers=headers,
                data=(content if len(content) < _STREAMED_FROM else io.BytesIO(content)) if content else None,
                allow_redirects=False,
                timeout=_timeout(request.timeout["pool"], request.timeout["connect"], request.timeout["read"]),
                **through,
            )
        )

    async def aclose(self) -> None:
        await super().aclose()
        await self._loops.aclose()


class _Exchange:
    """One request and its answer: the connection that they go over, and when the answer's headers are due."""

    def __init__(self, request: OutgoingRequest) -> None:
        self.request = request
        self.answer_due = None if request.timeout["read"] is None else asyncio.timeout(None)
        self._connections: _Connections | None = None
        self._protocol: Any = None
        self._transport: asyncio.Transport | None = None

    def connected(self, connections: _Connections, protocol: Any) -> None:
        self._connections, self._protocol, self._transport = connections, protocol, protocol.transport
        connections.in_use.add(protocol)
        if isinstance(protocol, _Protocol):
            protocol.received, protocol.max_received = 0, self.request.max_received
        self.request.may_have_reached_server = True

    def note_keepalive(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        if self._connections is not None:
            self._connections.expires_at[self._protocol] = monotonic() + keepalive_seconds(headers)

    def complete(self) -> None:
        self._transport = None

    def abort(self) -> None:
        """End what was not answered to its end: aiohttp would send what is still in its buffer, for as long as the
        other side takes to read it.
        """
        if self._connections is not None:
            self._connections.in_use.discard(self._protocol)
        if self._transport is not None:
            _reset(self._transport)


class _Connections:
    """One event loop's: its connector, and the sessions on it."""

    def __init__(self, config: Config, proxy: httpx.Proxy | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._proxy = proxy
        self._connector: _Connector | None = None
        self._sessions: dict[tuple[bool, int], tuple[aiohttp.ClientSession, object]] = {}
        self._closing: asyncio.Task[None] | None = None
        self._closed = False
        self.expires_at: dict[Any, float] = {}
        """When each connection is too old for another request."""
        self.in_use: set[Any] = set()
        """Those on which a request is on its way."""

    def session(self, timed: bool) -> aiohttp.ClientSession:
        """Only a timed one pays for traces. Tools that add theirs to new sessions get new ones."""
        if self._closed:
            raise aiohttp.ClientConnectionError("the client was closed")
        patched = aiohttp.ClientSession.__dict__["__init__"]
        session, _ = self._sessions.get((timed, id(patched)), (None, None))
        if session is None:
            if self._connector is None:
                self._connector = _Connector(
                    self,
                    limit=self._config.max_connections,
                    ssl=ssl_context(self._config, self._proxy),
                    keepalive_timeout=KEEPALIVE_EXPIRY,
                )
            session = aiohttp.ClientSession(
                connector=self._connector,
                connector_owner=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trace_configs=[_tracing_what_is_sent()] if timed else None,
            )
            self._sessions[timed, id(patched)] = session, patched
        return session

    def lend(self, protocol: Any) -> bool:
        """Whether a request may go this way: a new connection, or one not too old on which nothing has come."""
        expires_at = self.expires_at.get(protocol)
        if expires_at is None:
            for closed in [known for known in self.expires_at if known.transport is None]:
                del self.expires_at[closed]
        elif (
            expires_at <= monotonic()
            or protocol.should_close
            or is_readable(protocol.transport.get_extra_info("socket"))
        ):
            return False
        self.expires_at[protocol] = monotonic() + KEEPALIVE_EXPIRY
        return True

    async def aclose(self, *, for_good: bool) -> None:
        self._closed = self._closed or for_good
        connector, self._connector = self._connector, None
        sessions, self._sessions = self._sessions, {}
        for protocol in list(self.expires_at):
            if protocol in self.in_use:
                _reset(protocol.transport)
            elif protocol.transport is not None:
                protocol.transport.abort()
        if connector is not None:
            await connector.close()
        sessions.clear()  # closed now, with their connector

    def abort(self, *, for_good: bool) -> None:
        self._closing = self._loop.create_task(self.aclose(for_good=for_good))

    def abandon(self) -> None:
        self._closed = True
        for transport in self._transports():
            _close_without_loop(transport)
        if self._connector is not None:
            _close_without_waiting(self._connector, self._loop)

    def disown(self) -> None:
        for transport in self._transports():
            _close_descriptor(transport)

    def _transports(self) -> list[asyncio.Transport]:
        return [protocol.transport for protocol in list(self.expires_at) if protocol.transport is not None]


class _Protocol(ResponseHandler):
    """aiohttp's end of a connection; it ends when more comes for a request than may."""

    received = 0
    max_received = math.inf

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received <= self.max_received:
            super().data_received(data)
        elif self.transport is not None:
            self.set_exception(aiohttp.ClientPayloadError(f"more than {self.max_received:,} bytes came for a response"))
            self.transport.abort()


class _Connector(aiohttp.TCPConnector):
    """Lends connections that can carry a request, and notes that the request has got one: now it may be seen."""

    def __init__(self, connections: _Connections, **options: Any) -> None:
        super().__init__(**options)
        self._connections = connections
        if hasattr(self, PROTOCOL_FACTORY):
            setattr(self, PROTOCOL_FACTORY, partial(_Protocol, loop=asyncio.get_running_loop()))

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        exchange = _on_its_way.get()
        if exchange.request.may_have_reached_server:
            # aiohttp sends GET and PUT a second time by itself when a kept connection turns out to be closed. Whether
            # to repeat is for our policy to decide, and to count.
            raise aiohttp.ServerDisconnectedError("the connection was closed before an answer came")
        connection = await super().connect(*args, **kwargs)
        while not self._connections.lend(connection.protocol):
            connection.close()
            await asyncio.sleep(0)  # closed in fact, so that there are never more than there may be
            connection = await super().connect(*args, **kwargs)
        exchange.connected(self._connections, connection.protocol)
        return connection


class _Body(httpx.AsyncByteStream):
    """The answer's body as it comes off the wire."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._answer.content
        try:
            while chunk := await content.readany():
                yield chunk
        except _FAILURES as error:
            raise _as_httpx(error, sent=True) from error


_on_its_way: ContextVar[_Exchange] = ContextVar("llamadapro_request_on_its_way")


def _tracing_what_is_sent() -> aiohttp.TraceConfig:
    """aiohttp forgets its read timeout after a `100 Continue`, so the answer's headers are waited for here as well."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_expect_answer)
    trace.on_request_chunk_sent.append(_expect_answer)
    return trace


async def _expect_answer(_session: object, _context: object, _params: object) -> None:
    exchange = _on_its_way.get()
    read, answer_due = exchange.request.timeout["read"], exchange.answer_due
    if read is not None and answer_due is not None and not answer_due.expired():
        answer_due.reschedule(asyncio.get_running_loop().time() + read)


@lru_cache(maxsize=16)
def _timeout(pool: float | None, connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=pool, sock_connect=connect, sock_read=read)


def _as_httpx(error: Exception, *, sent: bool) -> httpx.TransportError:
    kind = next(kind for theirs, kind in _AS_HTTPX if isinstance(error, theirs))
    if not sent and kind in (httpx.ReadError, httpx.ReadTimeout):  # it had not even a connection
        kind = httpx.ConnectError if kind is httpx.ReadError else httpx.ConnectTimeout
    return kind(str(error) or type(error).__name__)


def _proxy_options(proxy: httpx.Proxy, scheme: str) -> dict[str, Any]:
    headers = CIMultiDict(proxy.headers.multi_items())
    if proxy.raw_auth is not None:
        headers.add("Proxy-Authorization", f"Basic {b64encode(b':'.join(proxy.raw_auth)).decode('ascii')}")
    options: dict[str, Any] = {"proxy": str(proxy.url), "proxy_headers": headers}
    if proxy.ssl_context is not None:
        if scheme == "https":
            raise ConfigurationError(
                "engine='aiohttp' checks the proxy's certificate with the service's: give its authority with verify, or"
                " use engine='httpx', which takes a proxy with an ssl_context of its own"
            )
        options["ssl"] = proxy.ssl_context
    return options


def _reset(transport: asyncio.Transport | None) -> None:
    """Close at once: what is buffered here or in the system is not sent any more."""
    if transport is None:
        return
    with suppress(OSError, AttributeError, ValueError):  # a socket of another kind of loop, or one that is closed
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()


def _close_without_loop(transport: Any) -> None:
    """asyncio closes a transport's socket in a callback of its loop, for which this one has to wait in vain."""
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
    with suppress(RuntimeError):  # the loop is closed
        transport.abort()
    sock = getattr(inner, "_sock", None)
    if isinstance(sock, socket.socket):
        sock.close()
        setattr(inner, "_sock", None)  # noqa: B010 - another object's; it would warn of a socket that is not closed


def _close_without_waiting(connector: aiohttp.BaseConnector, loop: asyncio.AbstractEventLoop) -> None:
    close = getattr(connector, "_close", None)
    if close is not None:
        close()
    elif loop.is_closed():  # then there is nothing to wait for
        for _ in connector.close().__await__():
            pass


def _close_descriptor(transport: asyncio.BaseTransport) -> None:
    """Close this process's end; the number stays taken, so that whoever still has it can do no harm."""
    descriptor = transport.get_extra_info("socket").fileno()
    if descriptor >= 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)
