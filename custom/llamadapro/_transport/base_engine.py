"""What carries requests, as the rest of the transport knows it; and what the client's own engines have in common.

An engine also knows, of its own failures, which mean that the request never reached the service.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any, Protocol

import attrs
import httpx

from .._config import Config
from .._headers import RawHeaders
from .proxies import environment_proxy


class Engine(Protocol):
    """One way to the network."""

    def open(self, request: OutgoingRequest) -> AbstractAsyncContextManager[httpx.Response]:
        """Send; entered as soon as the response's headers are there, its body still to be read; left, it is closed."""
        ...

    def is_unsent(self, error: BaseException) -> bool:
        """Whether this failure of `open` means that the service cannot have seen the request."""
        ...

    def for_origin(self, url: httpx.URL) -> Engine:
        """What carries a request to a host other than the service: nothing but its own headers goes there."""
        ...

    async def aclose(self) -> None: ...


@attrs.define(eq=False, repr=False)
class OutgoingRequest:
    """One attempt's request, and whether any of it may have reached the service."""

    method: str
    url: str
    headers: RawHeaders
    content: bytes
    timeout: Mapping[str, float | None]
    max_received: float = math.inf
    """Bytes that may come for it, whatever they are: a body has its own limit, but interim responses, trailers and
    what a chunk says of itself have no end either."""
    may_have_reached_server: bool = attrs.field(init=False, default=False)


class PooledEngine(Engine):
    """What the client's own engines have in common: they know the way that their connections go."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._proxy = self._proxy_for(config.base_url)
        self._others: dict[tuple[bool, str], Engine] = {}

    def for_origin(self, url: httpx.URL) -> Engine:
        """This very engine, so that its connections stay bounded, unless the URL needs certificates that were not
        loaded for the service, or another proxy.
        """
        way = (url.scheme == "https", _written(self._proxy_for(url)))
        if self._config.base_url.scheme in ("https", url.scheme) and way[1] == _written(self._proxy):
            return self
        if way not in self._others:
            origin = httpx.URL(scheme=url.scheme, host=url.host, port=url.port)
            self._others[way] = type(self)(attrs.evolve(self._config, base_url=origin))
        return self._others[way]

    def _proxy_for(self, url: httpx.URL) -> httpx.Proxy | None:
        return self._config.proxy or environment_proxy(url, self._config.engine)

    def is_unsent(self, error: BaseException) -> bool:
        return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError))

    async def aclose(self) -> None:
        await asyncio.gather(*(engine.aclose() for engine in list(self._others.values())))


def ssl_context(config: Config, proxy: httpx.Proxy | None, http: Any = httpx) -> ssl.SSLContext | bool:
    """The certificates to check: False where the way to the service has no TLS, as loading them takes 30 ms."""
    if isinstance(config.verify, ssl.SSLContext):
        return config.verify
    if "https" not in (config.base_url.scheme, proxy and proxy.url.scheme):
        return False
    return _default_context(http) if config.verify else http.create_ssl_context(verify=False)


def _written(proxy: httpx.Proxy | None) -> str:
    return "" if proxy is None else f"{proxy.url} {proxy.raw_auth}"


@cache
def _default_context(http: Any) -> ssl.SSLContext:
    """One context per process for the usual case."""
    context: ssl.SSLContext = http.create_ssl_context()
    return context
