"""Values of httpx2, httpx's successor, are taken wherever httpx's are; inside there is httpx only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

if TYPE_CHECKING:
    import httpx2

    AnyURL: TypeAlias = httpx.URL | httpx2.URL
    AnyTimeout: TypeAlias = httpx.Timeout | httpx2.Timeout
    AnyProxy: TypeAlias = httpx.Proxy | httpx2.Proxy
    AnyAsyncClient: TypeAlias = httpx.AsyncClient | httpx2.AsyncClient
else:  # it need not be installed
    AnyURL, AnyTimeout, AnyProxy, AnyAsyncClient = httpx.URL, httpx.Timeout, httpx.Proxy, httpx.AsyncClient


_MAX_PORT = 65_535


def to_httpx(value: Any) -> Any:
    """A URL, Timeout or Proxy of httpx2 as httpx's; anything else as it is."""
    httpx2: Any = sys.modules.get("httpx2")  # whoever has a value of it has imported it
    if httpx2 is None:
        return value
    if isinstance(value, httpx2.URL):
        return httpx.URL(str(value))
    if isinstance(value, httpx2.Timeout):
        return httpx.Timeout(**value.as_dict())
    if isinstance(value, httpx2.Proxy):
        headers = value.headers.multi_items()
        return httpx.Proxy(str(value.url), ssl_context=value.ssl_context, auth=value.auth, headers=headers)
    return value


def parse_url(value: Any) -> httpx.URL:
    """A URL of either, or a text, as httpx's; one whose host or port no connection could be made to is a ValueError."""
    url = httpx.URL(to_httpx(value))
    url.host.encode()  # decoded when it is asked for
    url.raw_host.decode("ascii").encode("idna")
    if (url.port or 0) > _MAX_PORT:
        raise ValueError(f"there is no port {url.port}")
    return url


def is_async_client(value: Any) -> bool:
    """Whether it is an AsyncClient of either."""
    httpx2: Any = sys.modules.get("httpx2")
    return isinstance(value, httpx.AsyncClient) or (httpx2 is not None and isinstance(value, httpx2.AsyncClient))
