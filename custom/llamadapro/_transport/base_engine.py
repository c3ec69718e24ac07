"""What carries requests, as the rest of the transport knows it; and what the two engines of ours have in common.

An engine also knows, of its own failures, which mean that the request never reached the service.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Protocol
from urllib.request import getproxies, proxy_bypass

import attrs
import httpx

from .._config import Config, EngineName, build_proxy
from .._secret import RawHeaders

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
        self, method: str, url: httpx.URL, headers: RawHeaders, content: bytes, timeout: Mapping[str, float | None]
    ) -> None:
        self.method: str = method
        self.url: httpx.URL = url
        self.headers: RawHeaders = headers
        self.content: bytes = content
        self.timeout: Mapping[str, float | None] = timeout
        self.touched: bool = False


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
            self._others[way] = type(self)(attrs.evolve(self._config, base_url=origin), proxy)
        return self._others[way]

    def never_sent(self, error: BaseException) -> bool:
        return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError))

    async def aclose(self) -> None:
        for engine in self._others.values():
            await engine.aclose()


def _written(proxy: httpx.Proxy | None) -> str:
    return "" if proxy is None else f"{proxy.url} {proxy.raw_auth}"


def environment_proxy(url: httpx.URL, engine: EngineName) -> httpx.Proxy | None:
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
