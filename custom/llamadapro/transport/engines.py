"""The engines that carry requests: httpx's transports, aiohttp (in its own file), or a caller's httpx client.

Each also knows, of its own failures, which mean that the request never reached the service.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.request import getproxies, proxy_bypass

import attrs
import httpx

from ..config import Config, HiddenHeaders, build_proxy
from ..errors import ConfigurationError

if TYPE_CHECKING:
    import httpcore

KEPT_IDLE = 5.0
"""Seconds that a connection is kept for the next request; many servers close theirs soon after."""


class Engine(Protocol):
    """One way to the network."""

    def open(self, request: OutgoingRequest) -> AbstractAsyncContextManager[httpx.Response]:
        """Send; entered as soon as the answer's headers are there, its body still to be read; left, it is closed."""
        ...

    def never_sent(self, error: BaseException) -> bool:
        """Whether this failure of `open` means that the service cannot have seen the request."""
        ...

    def elsewhere(self, url: httpx.URL) -> Engine:
        """What carries a request to a host other than the service: nothing but its own headers goes there."""
        ...

    async def aclose(self) -> None: ...


class OutgoingRequest:
    """One attempt's request; `touched` tells whether any of it may have reached the network."""

    __slots__ = ("content", "headers", "method", "timeout", "touched", "url")

    def __init__(
        self, method: str, url: httpx.URL, headers: HiddenHeaders, content: bytes, timeout: Mapping[str, float | None]
    ) -> None:
        self.method: str = method
        self.url: httpx.URL = url
        self.headers: HiddenHeaders = headers
        self.content: bytes = content
        self.timeout: Mapping[str, float | None] = timeout
        self.touched: bool = False


class _Body(httpx.ByteStream):
    """A request's body that notes when the engine takes it, which is after the connection stands."""

    def __init__(self, outgoing: OutgoingRequest) -> None:
        super().__init__(outgoing.content)
        self._outgoing = outgoing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._outgoing.touched = True
        if self._outgoing.content:
            yield self._outgoing.content


def build_engine(config: Config) -> Engine:
    """The engine that a configuration asks for; nothing is opened yet."""
    if config.http_client is not None:
        return CallersClient(config.http_client)
    proxy = config.proxy or environment_proxy(config.base_url, config.engine)
    if config.engine == "aiohttp":
        return _aiohttp_engine(config, proxy)
    return HttpxEngine(config, proxy)


def _aiohttp_engine(config: Config, proxy: httpx.Proxy | None) -> Engine:
    try:
        from .aiohttp_engine import AiohttpEngine
    except ImportError as error:
        raise ConfigurationError("engine='aiohttp' needs the extra: pip install 'llamadapro[aiohttp]'") from error
    return AiohttpEngine(config, proxy)


def environment_proxy(url: httpx.URL, engine: Literal["httpx", "aiohttp"]) -> httpx.Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY give for this URL."""
    host = url.host if url.port is None else f"{url.host}:{url.port}"
    if proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found:
        return None
    return build_proxy(found if "://" in found else f"http://{found}", engine, "the environment's proxy")


def ssl_context(verify: bool | ssl.SSLContext, url: httpx.URL | None = None) -> ssl.SSLContext | bool:
    """One context per process for the usual case: loading the certificates takes 30 ms."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    if url is not None and url.scheme == "http":
        return False
    return _usual_context() if verify is True else httpx.create_ssl_context(verify=verify)


@cache
def _usual_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class OwnEngine(Engine):
    """What the two engines of ours have in common: they know the way that their connections go."""

    def __init__(self, config: Config, proxy: httpx.Proxy | None) -> None:
        self._config = config
        self._proxy = proxy
        self._others: dict[tuple[bool, str], Engine] = {}

    def elsewhere(self, url: httpx.URL) -> Engine:
        """This very engine, so that its connections stay bounded, unless the URL needs certificates that were not
        loaded for the service, or another proxy.
        """
        proxy = self._config.proxy or environment_proxy(url, self._config.engine)
        way = (url.scheme == "https", _written(proxy))
        if self._config.base_url.scheme in ("https", url.scheme) and way[1] == _written(self._proxy):
            return self
        if way not in self._others:
            origin = httpx.URL(scheme=url.scheme, host=url.host, port=url.port)
            self._others[way] = build_engine(attrs.evolve(self._config, base_url=origin))
        return self._others[way]

    def never_sent(self, error: BaseException) -> bool:
        return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError))

    async def aclose(self) -> None:
        for engine in self._others.values():
            await engine.aclose()


def _written(proxy: httpx.Proxy | None) -> str:
    return "" if proxy is None else f"{proxy.url} {proxy.raw_auth}"


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
