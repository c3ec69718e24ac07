"""The engine on aiohttp: a fraction of httpx's CPU. Its failures are told in httpx's words, like the other engines'."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
from yarl import URL

from .._config import Config
from .base_engine import KEPT_IDLE, OutgoingRequest, OwnEngine, ssl_context

_IN_HTTPX_WORDS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
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


class AiohttpEngine(OwnEngine):
    """aiohttp without what is the client's to decide: redirects, cookies, unpacking, proxies and repeating."""

    def __init__(self, config: Config, proxy: httpx.Proxy | None) -> None:
        super().__init__(config, proxy)
        self._proxy_headers = [] if proxy is None else _proxy_headers(proxy)
        self._connector: _Connector | None = None
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    @asynccontextmanager
    async def open(self, request: OutgoingRequest) -> AsyncIterator[httpx.Response]:
        answer = await self._answer(request)
        try:
            yield httpx.Response(
                answer.status,
                headers=answer.raw_headers,
                stream=_Body(answer),
                extensions={"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode()},
            )
        finally:
            answer.release()

    async def _answer(self, request: OutgoingRequest) -> aiohttp.ClientResponse:
        """The answer as soon as its headers are there."""
        read = request.timeout["read"]
        answer_due = None if read is None else asyncio.timeout(None)
        token = _on_its_way.set((request, answer_due))
        try:
            if answer_due is None:
                return await self._ask(request)
            async with answer_due:
                return await self._ask(request)
        except _FAILURES as error:
            raise _in_httpx_words(error) from error
        finally:
            _on_its_way.reset(token)

    async def _ask(self, request: OutgoingRequest) -> aiohttp.ClientResponse:
        headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers]
        through: dict[str, Any] = {}
        if self._proxy is not None:
            through = {"proxy": str(self._proxy.url)}
            if request.url.scheme == "https":
                through["proxy_headers"] = self._proxy_headers
            else:
                headers += self._proxy_headers
        return await self._session(request.timeout["read"] is not None).request(
            request.method,
            # As it is written: a signed query in which %2F became / would no longer be what was signed.
            URL(str(request.url), encoded=True),
            headers=headers,
            data=request.content or None,
            allow_redirects=False,
            timeout=_timeout(request.timeout["pool"], request.timeout["connect"], request.timeout["read"]),
            **through,
        )

    def _session(self, timed: bool) -> aiohttp.ClientSession:
        """Made at the first request, inside its event loop; only a timed one pays for traces."""
        session = self._sessions.get(timed)
        if session is not None:
            return session
        if self._connector is None:
            self._connector = _Connector(
                limit=self._config.max_connections,
                ssl=ssl_context(self._config.verify, self._config.base_url),
                keepalive_timeout=KEPT_IDLE,
            )
        session = self._sessions[timed] = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[_tracing_what_is_sent()] if timed else None,
        )
        # aiohttp would send GET and PUT a second time by itself when a kept connection turns out to be closed: that
        # is for our policy to decide, and to count.
        session._retry_connection = False
        return session

    async def aclose(self) -> None:
        await super().aclose()
        if self._connector is not None:
            await self._connector.close()


class _Connector(aiohttp.TCPConnector):
    """Notes that a request has got its connection: from here on the service may see it."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(*args, **kwargs)
        _on_its_way.get()[0].touched = True
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
            raise _in_httpx_words(error) from error


_on_its_way: ContextVar[tuple[OutgoingRequest, asyncio.Timeout | None]] = ContextVar("llamadapro_request_on_its_way")


def _tracing_what_is_sent() -> aiohttp.TraceConfig:
    """aiohttp forgets its read timeout after a `100 Continue`, so the answer's headers are waited for here as well."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_expect_answer)
    trace.on_request_chunk_sent.append(_expect_answer)
    return trace


async def _expect_answer(_session: object, _context: object, _params: object) -> None:
    request, answer_due = _on_its_way.get()
    read = request.timeout["read"]
    if read is not None and answer_due is not None and not answer_due.expired():
        answer_due.reschedule(asyncio.get_running_loop().time() + read)


@lru_cache(maxsize=16)
def _timeout(pool: float | None, connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=pool, sock_connect=connect, sock_read=read)


def _in_httpx_words(error: Exception) -> httpx.TransportError:
    theirs = next(theirs for kind, theirs in _IN_HTTPX_WORDS if isinstance(error, kind))
    return theirs(str(error) or type(error).__name__)


def _proxy_headers(proxy: httpx.Proxy) -> list[tuple[str, str]]:
    headers = proxy.headers.multi_items()
    if proxy.raw_auth is not None:
        headers.append(("Proxy-Authorization", f"Basic {b64encode(b':'.join(proxy.raw_auth)).decode('ascii')}"))
    return headers
