"""The engines that carry requests: httpx's own, aiohttp under httpx's interface, or a caller's httpx client.

Each also knows, of its own failures, which mean that the request never reached the service.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.request import getproxies, proxy_bypass

import attrs
import httpx

from ..config import Config, HiddenHeaders, build_proxy
from ..errors import ConfigurationError

if TYPE_CHECKING:
    import aiohttp


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
        self.method = method
        self.url = url
        self.headers = headers
        self.content = content
        self.timeout = timeout
        self.touched = False


class _Body(httpx.ByteStream):
    """A request's body that notes when the engine takes it, which is after the connection stands."""

    def __init__(self, outgoing: OutgoingRequest) -> None:
        super().__init__(outgoing.content)
        self._outgoing = outgoing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._outgoing.touched = True
        yield self._outgoing.content


def build_engine(config: Config) -> Engine:
    """The engine that a configuration asks for; nothing is opened yet."""
    if config.http_client is not None:
        return CallersClient(config.http_client)
    proxy = config.proxy or environment_proxy(config.base_url, config.engine)
    if config.engine == "aiohttp":
        return AiohttpEngine(config, proxy)
    return HttpxEngine(config, proxy)


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


class _OwnEngine(Engine):
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

    async def aclose(self) -> None:
        for engine in self._others.values():
            await engine.aclose()


def _written(proxy: httpx.Proxy | None) -> str:
    return "" if proxy is None else f"{proxy.url} {proxy.raw_auth}"


class HttpxEngine(_OwnEngine):
    """The default: httpx's transports, called directly; a client's cookies, redirects and URL merging are not for us.

    One transport for each connection instead of a pool of them: httpcore's pool gives every waiting request the same
    idle connection, and keeps one for ever that was cancelled while it was being made. The limits above see to it that
    there are never more than `max_connections`.
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
        return httpx.AsyncHTTPTransport(
            verify=ssl_context(self._config.verify, self._config.base_url),
            proxy=self._proxy,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_IDLE),
        )

    def never_sent(self, error: BaseException) -> bool:
        return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError))

    async def aclose(self) -> None:
        self._closed = True
        await super().aclose()
        while self._idle:
            await self._idle.pop()[1].aclose()
        while self._closing:
            await self._closing.pop()


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


_on_its_way: ContextVar[tuple[OutgoingRequest, asyncio.Timeout]] = ContextVar("llamadapro_request_on_its_way")


class AiohttpEngine(_OwnEngine):
    """aiohttp through httpx-aiohttp: the same interface at a fraction of the CPU."""

    def __init__(self, config: Config, proxy: httpx.Proxy | None) -> None:
        super().__init__(config, proxy)
        try:
            import aiohttp
            from httpx_aiohttp import AiohttpTransport
            from yarl import URL
        except ImportError as error:
            raise ConfigurationError("engine='aiohttp' needs the extra: pip install 'llamadapro[aiohttp]'") from error
        self._limit = config.max_connections
        self._verify = ssl_context(config.verify, config.base_url)
        self._aiohttp = aiohttp
        self._as_written = partial(URL, encoded=True)
        self._transport = AiohttpTransport(verify=False, client=self._session, proxy=proxy)

    def _session(self) -> aiohttp.ClientSession:
        """Made by the transport at the first request, inside its event loop."""
        trace = self._aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        trace.on_request_chunk_sent.append(_note_sent)
        session: aiohttp.ClientSession = self._aiohttp.ClientSession(
            connector=self._aiohttp.TCPConnector(limit=self._limit, ssl=self._verify, keepalive_timeout=KEPT_IDLE),
            cookie_jar=self._aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )
        # aiohttp would send GET and PUT a second time by itself when a kept connection turns out to be closed: that
        # is for our policy to decide, and to count.
        session._retry_connection = False
        # It would also respell URLs (%2F in a query as /), and a signed one would no longer be what was signed. Not
        # plain assignment: aiohttp's debug mode warns of names that it does not expect.
        object.__setattr__(session, "_build_url", self._as_written)
        return session

    @asynccontextmanager
    async def open(self, request: OutgoingRequest) -> AsyncIterator[httpx.Response]:
        built = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.content or None,
            extensions={"timeout": request.timeout},
        )
        answer_due = asyncio.timeout(None)
        token = _on_its_way.set((request, answer_due))
        try:
            async with answer_due:
                response = await self._transport.handle_async_request(built)
        finally:
            _on_its_way.reset(token)
        try:
            yield response
        finally:
            await response.aclose()

    def never_sent(self, error: BaseException) -> bool:
        # httpx-aiohttp calls lost answers "ConnectTimeout": only aiohttp's own word for it counts.
        cause = error.__cause__ or error
        aiohttp = self._aiohttp
        return isinstance(
            cause, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
        )

    async def aclose(self) -> None:
        await super().aclose()
        await self._transport.aclose()


async def _note_sent(_session: object, _context: object, _params: object) -> None:
    """aiohttp forgets its read timeout after a `100 Continue`, so the answer's headers are waited for here as well."""
    under_way = _on_its_way.get(None)
    if under_way is None:
        return
    request, answer_due = under_way
    request.touched = True
    read = request.timeout.get("read")
    if read is not None and not answer_due.expired():
        answer_due.reschedule(asyncio.get_running_loop().time() + read)
