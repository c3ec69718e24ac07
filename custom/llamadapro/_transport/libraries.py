"""httpx and httpx2, which differ in little but their names: one code for both.

Above the engines everything is httpx's: requests and responses of httpx2 are translated where they enter and leave.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, cached_property, lru_cache
from importlib import import_module
from typing import Any

import httpx

from .base_engine import OutgoingRequest
from .loops import LoopLocal

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
