"""The engines on httpx or httpx2: the client's own, which is the default, and a caller's own `AsyncClient`."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, partial
from typing import Any

import httpx

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import Engine, OutgoingRequest, PooledEngine, ssl_context
from .libraries import library
from .network import SocketBackend
from .pool import MAX_RECEIVED, Pool

# Private names of httpx and httpcore. Without them the engine uses httpx's own pool, and no connection twice.
POOL, NETWORK_BACKEND = "_pool", "_network_backend"


class HttpxEngine(PooledEngine):
    """The default: `AsyncClient.send` of httpx or httpx2, so that whatever patches either sees every attempt.

    The connections are pooled here (`Pool`): httpcore's pool gives every waiting request the same idle connection,
    rescans itself at every change, and knows nothing of event loops. The limits above see to it that no loop has more
    than `max_connections`.
    """

    def __init__(self, config: Config, proxy: httpx.Proxy | None) -> None:
        super().__init__(config, proxy)
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
        with library.failures():
            response = await self._client.send(built, stream=True, auth=library.no_auth, follow_redirects=False)
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
        )
        transport = new_transport(limits=http.Limits(max_connections=1, keepalive_expiry=None))
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
        one = self._library.http.Limits(max_connections=1, keepalive_expiry=None)

        def with_our_sockets(pool: Any) -> Any:
            setattr(pool, NETWORK_BACKEND, backend)
            return pool

        def through_proxy(_origin: Any) -> Any:
            # The request goes to httpcore's own pool of proxied connections, as what patches it expects.
            return with_our_sockets(getattr(new_transport(limits=one), POOL))

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
