"""The engines on httpx: its transports, which are the default, or a caller's own client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import httpx

from .._config import Config
from .base_engine import KEPT_IDLE, Engine, OutgoingRequest, OwnEngine, ssl_context

if TYPE_CHECKING:
    import httpcore


class HttpxEngine(OwnEngine):
    """The default: httpx's transports, called directly; a client's cookies, redirects and URL merging are not for us.

    One transport for each connection instead of a pool of them: httpcore's pool gives every waiting request the same
    idle connection, rescans itself at every change, and keeps one for ever that was cancelled while it was being made.
    The limits above see to it that there are never more than `max_connections`.
    """

    def __init__(self, config: Config, proxy: httpx.Proxy | None) -> None:
        super().__init__(config, proxy)
        # The one used last is used next, so that those not needed any more grow old at the other end.
        self._idle: deque[tuple[float, httpx.AsyncHTTPTransport]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def open(self, request: OutgoingRequest) -> AsyncIterator[httpx.Response]:
        # To another host than before, the transport gives up its connection for a new one.
        transport = self._idle.pop()[1] if self._idle else self._connect()
        whole = False
        try:
            response = await transport.handle_async_request(
                httpx.Request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    stream=_Body(request),
                    extensions={"timeout": request.timeout},
                )
            )
            try:
                yield response
            finally:
                await response.aclose()
            whole = True
        finally:
            if whole and not self._closed:
                self._keep(transport)
            else:
                await transport.aclose()

    def _keep(self, transport: httpx.AsyncHTTPTransport) -> None:
        now = monotonic()
        self._idle.append((now, transport))
        while self._idle[0][0] < now - KEPT_IDLE:
            # In the background: a call that has its answer does not wait for others' connections to close.
            closing = asyncio.create_task(self._idle.popleft()[1].aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _connect(self) -> httpx.AsyncHTTPTransport:
        transport = httpx.AsyncHTTPTransport(
            verify=ssl_context(self._config.verify, self._config.base_url),
            proxy=self._proxy,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_IDLE),
        )
        transport._pool = _OneConnection(transport._pool)  # type: ignore[assignment]
        return transport

    async def aclose(self) -> None:
        self._closed = True
        await super().aclose()
        while self._idle:
            await self._idle.pop()[1].aclose()
        while self._closing:
            await self._closing.pop()


class _Body(httpx.ByteStream):
    """A request's body that notes when the engine takes it, which is after the connection stands."""

    def __init__(self, outgoing: OutgoingRequest) -> None:
        super().__init__(outgoing.content)
        self._outgoing = outgoing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._outgoing.touched = True
        if self._outgoing.content:
            yield self._outgoing.content


class _OneConnection:
    """In the place of a transport's pool, whose queue costs a tenth of a call: the one connection that it makes."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._connect = pool.create_connection
        self._connection: httpcore.AsyncConnectionInterface | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        connection, origin = self._connection, request.url.origin
        if connection is None or not self._serves(connection, origin):
            await self.aclose()
            connection = self._connection = self._connect(origin)
        return await connection.handle_async_request(request)

    @staticmethod
    def _serves(connection: httpcore.AsyncConnectionInterface, origin: httpcore.Origin) -> bool:
        return connection.is_available() and not connection.has_expired() and connection.can_handle_request(origin)

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.aclose()


class CallersClient:
    """A caller's own client, used as it is, its hooks and defaults too, but for redirects; it stays theirs to close."""

    def __init__(self, client: httpx.AsyncClient, *, bare: bool = False) -> None:
        self._client = client
        self._bare = bare

    def elsewhere(self, url: httpx.URL) -> Engine:
        """The same client, but for its own headers, cookies and credentials, which are for the service alone."""
        return CallersClient(self._client, bare=True)

    @asynccontextmanager
    async def open(self, request: OutgoingRequest) -> AsyncIterator[httpx.Response]:
        build = httpx.Request if self._bare else self._client.build_request
        built = build(
            request.method,
            request.url,
            headers=[(name.decode(), value.decode()) for name, value in request.headers],
            content=request.content or None,
            extensions={"timeout": request.timeout},
        )
        request.touched = True
        auth = None if self._bare else httpx.USE_CLIENT_DEFAULT
        response = await self._client.send(built, stream=True, auth=auth, follow_redirects=False)
        try:
            yield response
        finally:
            await response.aclose()

    def never_sent(self, error: BaseException) -> bool:
        # What lies under a caller's client is not known: another engine may report a lost answer as a timeout of the
        # connection. Only a failure to connect says it for certain.
        return isinstance(error, httpx.ConnectError)

    async def aclose(self) -> None:
        pass
