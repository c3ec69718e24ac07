"""The engines on httpx or httpx2: the client's own, which is the default, and a caller's own `AsyncClient`.

The two libraries differ in little but their names: one code for both (`Library`). Above the engines everything is
httpx's: requests and responses of httpx2 are translated where they enter and leave.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from functools import cache, cached_property, lru_cache, partial
from importlib import import_module
from typing import Any

import httpx

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import Engine, OutgoingRequest, PooledEngine, ssl_context
from .loops import LoopLocal
from .network import SocketBackend
from .pool import MAX_RECEIVED, Pool

# Private names of httpx and httpcore. Without them the engine uses httpx's own pool, and no connection twice.
POOL, NETWORK_BACKEND = "_pool", "_network_backend"

_CORES = {"httpx": "httpcore", "httpx2": "httpcore2"}


@cache
def library(name: str) -> Library:
    """The library of that name; raises ImportError if it is not installed."""
    return Library(name)


class Library:
    """One of the two, and what of ours is built on its classes. Typed as Any: httpx2 need not be installed."""

    def __init__(self, name: str) -> None:
        self.http: Any = import_module(name)
        self.core: Any = import_module(_CORES[name])
        self.is_httpx: bool = self.http is httpx
        self._parse = lru_cache(maxsize=64)(lambda origin: self.http.URL(origin))

    @cached_property
    def client_class(self) -> Any:
        """`AsyncClient` whose `send` does no work that is not for us: it has no cookies and follows no redirects."""
        cookies: Any = self.http.Cookies
        client: Any = self.http.AsyncClient

        class NoCookies(cookies):  # type: ignore[misc]
            def extract_cookies(self, response: Any) -> None:
                """Reading a response for cookies takes as long as the rest of `send`."""

        no_cookies = NoCookies()

        class Client(client):  # type: ignore[misc]
            @property
            def cookies(self) -> Any:
                return no_cookies

            def _build_redirect_request(self, request: Any, response: Any) -> Any:
                return request  # it would refuse a response for a Location that nobody follows

        return Client

    @cached_property
    def no_auth(self) -> Any:
        """No credentials, not even those that a URL holds: the key is a header of ours."""
        auth: Any = self.http.Auth

        class NoAuth(auth):  # type: ignore[misc]
            async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
                yield request

        return NoAuth()

    @cached_property
    def body_class(self) -> Any:
        """A request's body that notes when the engine takes it, which is after the connection stands."""
        stream: Any = self.http.ByteStream

        class Body(stream):  # type: ignore[misc]
            def __init__(self, outgoing: OutgoingRequest) -> None:
                super().__init__(outgoing.content)
                self._outgoing = outgoing

            async def __aiter__(self) -> AsyncIterator[bytes]:
                self._outgoing.may_have_reached_server = True
                if self._outgoing.content:
                    yield self._outgoing.content

        return Body

    @cached_property
    def per_loop_class(self) -> Any:
        """A transport of its own for each event loop."""
        transport: Any = self.http.AsyncBaseTransport

        class PerLoop(transport):  # type: ignore[misc]
            def __init__(self, make: Callable[[], Any]) -> None:
                self._transports = LoopLocal(make)

            async def handle_async_request(self, request: Any) -> Any:
                return await self._transports.get().handle_async_request(request)

        return PerLoop

    def url(self, text: str) -> Any:
        """A URL whose path and query are encoded already: parsing them would take a tenth of a call."""
        scheme, _, rest = text.partition("://")
        authority, _, target = rest.partition("/")
        path, mark, query = target.partition("?")
        origin = self._parse(f"{scheme}://{authority}")
        try:
            url = self.http.URL(origin)
            url._uri_reference = origin._uri_reference._replace(path=f"/{path}", query=query if mark else None)  # noqa: SLF001
        except (AttributeError, TypeError):  # a version whose URLs are built otherwise
            return self.http.URL(text)
        return url

    def from_proxy(self, proxy: httpx.Proxy | None) -> Any:
        if proxy is None or self.is_httpx:
            return proxy
        headers = proxy.headers.multi_items()
        return self.http.Proxy(str(proxy.url), ssl_context=proxy.ssl_context, auth=proxy.auth, headers=headers)

    def to_httpx(self, response: Any) -> httpx.Response:
        """The response as httpx's; its body still to be read, unless somebody has read it."""
        if self.is_httpx:
            return response  # type: ignore[no-any-return]
        headers, body = response.headers.raw, dict[str, Any](stream=_TranslatedStream(response.stream, self))
        if response.is_stream_consumed:  # a hook of the caller's client, or a mock, has read it, and unpacked it
            headers = [(name, value) for name, value in headers if name.lower() != b"content-encoding"]
            body = {"content": response.content}
        return httpx.Response(response.status_code, headers=headers, extensions=response.extensions, **body)

    def failures(self) -> AbstractContextManager[None]:
        """Inside, failures of the library are raised as httpx's."""
        return nullcontext() if self.is_httpx else self._translated_failures()

    @contextmanager
    def _translated_failures(self) -> Iterator[None]:
        try:
            yield
        except self.http.HTTPStatusError as error:
            request = httpx.Request(error.request.method, str(error.request.url))
            raise httpx.HTTPStatusError(str(error), request=request, response=self.to_httpx(error.response)) from None
        except self.http.HTTPError as error:
            translated: type[httpx.HTTPError] = getattr(httpx, type(error).__name__, httpx.TransportError)
            with suppress(AttributeError):
                error.request = None  # it holds the key
            raise translated(str(error)) from error


class _TranslatedStream(httpx.AsyncByteStream):
    def __init__(self, stream: Any, library: Library) -> None:
        self._stream = stream
        self._library = library

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._library.failures():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class HttpxEngine(PooledEngine):
    """The default: `AsyncClient.send` of httpx or httpx2, so that whatever patches either sees every attempt.

    The connections are pooled here (`Pool`): httpcore's pool gives every waiting request the same idle connection,
    rescans itself at every change, and knows nothing of event loops. The limits above see to it that no loop has more
    than `max_connections`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._library = library(config.engine)
        self._pool: Pool | None = None

    @asynccontextmanager
    async def open(self, request: OutgoingRequest) -> AsyncIterator[httpx.Response]:
        library = self._library
        built = library.http.Request(
            request.method,
            library.url(request.url),
            headers=request.headers,
            stream=library.body_class(request),
            extensions={"timeout": request.timeout, MAX_RECEIVED: request.max_received},
        )
        try:
            with library.failures():
                response = await self._client.send(built, stream=True, auth=library.no_auth, follow_redirects=False)
        except httpx.TransportError as error:
            in_tunnel = self._proxy is not None and request.url.startswith("https:")
            if in_tunnel and request.content and not request.may_have_reached_server:  # the proxy never opened it
                kind = httpx.ConnectTimeout if isinstance(error, httpx.TimeoutException) else httpx.ConnectError
                raise kind(str(error)) from error
            raise
        try:
            yield library.to_httpx(response)
        finally:
            await response.aclose()

    @cached_property
    def _client(self) -> Any:
        """Made for the first request: loading the certificates takes 30 ms."""
        http = self._library.http
        new_transport = partial(
            http.AsyncHTTPTransport,
            verify=ssl_context(self._config, self._proxy, http),
            proxy=self._library.from_proxy(self._proxy),
            trust_env=False,
            limits=http.Limits(max_connections=1, keepalive_expiry=None),
        )
        transport = new_transport()
        if hasattr(getattr(transport, POOL, None), NETWORK_BACKEND):
            self._pool = self._take_over(transport, new_transport)
        else:
            transport = self._library.per_loop_class(
                partial(new_transport, limits=http.Limits(max_connections=None, max_keepalive_connections=0))
            )
        return self._library.client_class(transport=transport, trust_env=False)

    def _take_over(self, transport: Any, new_transport: Callable[..., Any]) -> Pool:
        """Put our pool and our sockets in the place of httpcore's."""
        backend = SocketBackend(self._library.core)

        def with_our_sockets(pool: Any) -> Any:
            setattr(pool, NETWORK_BACKEND, backend)
            return pool

        def through_proxy(_origin: Any) -> Any:
            # The request goes to httpcore's own pool of proxied connections, as what patches it expects.
            return with_our_sockets(getattr(new_transport(), POOL))

        direct = with_our_sockets(getattr(transport, POOL)).create_connection
        pool = Pool(direct if self._proxy is None else through_proxy)
        setattr(transport, POOL, pool)
        return pool

    async def aclose(self) -> None:
        await super().aclose()
        if self._pool is not None:
            await self._pool.aclose()


class UserClientEngine:
    """A caller's own client, used as it is, its hooks and defaults too, but for redirects; it stays theirs to close."""

    def __init__(self, client: Any, *, bare: bool = False, home: _Home | None = None) -> None:
        self._client = client
        self._bare = bare
        self._home = home or _Home(client)
        self._library = library("httpx" if isinstance(client, httpx.AsyncClient) else "httpx2")

    def for_origin(self, url: httpx.URL) -> Engine:
        """The same client, but for its own headers, cookies and credentials, which are for the service alone."""
        return UserClientEngine(self._client, bare=True, home=self._home)

    @asynccontextmanager
    async def open(self, request: OutgoingRequest) -> AsyncIterator[httpx.Response]:
        if self._client.is_closed:
            raise ConfigurationError("http_client is closed: nothing was sent")
        http = self._library.http
        build = http.Request if self._bare else self._client.build_request
        built = build(
            request.method,
            self._library.url(request.url),
            headers=request.headers.texts,
            content=request.content or None,
            extensions={"timeout": request.timeout},
        )
        auth = None if self._bare else http.USE_CLIENT_DEFAULT
        with self._home.entered():
            request.may_have_reached_server = True
            with self._library.failures():
                response = await self._client.send(built, stream=True, auth=auth, follow_redirects=False)
            try:
                yield self._library.to_httpx(response)
            finally:
                await response.aclose()

    def is_unsent(self, error: BaseException) -> bool:
        # What lies under a caller's client is not known: another engine may report a lost response as a timeout of the
        # connection. Only a failure to connect says it for certain.
        return isinstance(error, httpx.ConnectError)

    async def aclose(self) -> None:
        """It is not ours to close."""


class _Home:
    """The event loop that a caller's client lives in: that of its first request, for as long as it holds connections.

    httpx would write to connections of another loop, or of the process before a fork, and lose the responses.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._place: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._start_anew()

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()  # held for no longer than it takes to count; a forked process has its own
        self._guests = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside, the client is used in this loop; raises `ConfigurationError` if it lives in another."""
        if self._process != os.getpid():
            self._start_anew()
        here = (os.getpid(), asyncio.get_running_loop())
        with self._lock:
            if self._place not in (None, here) and (self._guests or _holds_connections(self._client)):
                raise ConfigurationError(
                    "http_client holds connections of another event loop, or of the process before a fork: nothing was"
                    " sent; give each loop a client of its own, or leave http_client out, which works in all of them"
                )
            self._place = here
            self._guests += 1
        try:
            yield
        finally:
            with self._lock:
                self._guests -= 1


def _holds_connections(client: Any) -> bool:
    """Whether a client may hold connections; True where that cannot be known."""
    transports = [getattr(client, "_transport", client), *getattr(client, "_mounts", {}).values()]
    return any(_is_bound(transport) for transport in transports if transport is not None)


def _is_bound(transport: Any) -> bool:
    if any(base.__name__ in ("ASGITransport", "MockTransport") for base in type(transport).__mro__):
        return False
    return bool(getattr(getattr(transport, POOL, None), "connections", True))
