"""Keeping the key out of what comes out: requests in errors, and the causes behind them."""

from __future__ import annotations

import httpx

from .._secret import Secret

HIDDEN = ("authorization", "proxy-authorization", "cookie")


def redact_request(
    method: str, url: httpx.URL, headers: list[tuple[bytes, bytes]], content: bytes, key_header: str
) -> httpx.Request:
    """A copy of a request for errors and callers, without the key and other credentials."""
    hidden = {key_header.lower(), *HIDDEN}
    shown = [(name, value) for name, value in headers if name.decode().lower() not in hidden]
    return httpx.Request(method, url, headers=shown, content=content or None)


def redact_cause(error: BaseException, key: Secret, request: httpx.Request) -> BaseException:
    """The original of a failure, for `__cause__`: without the key, and without its frames, whose locals hold it."""
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = None
        if isinstance(link, httpx.RequestError):
            link.request = request
        if _leaks(link, key):
            return _placeholder(error, key)
        links += (link.__cause__, link.__context__)
    return error


def _leaks(error: BaseException, key: Secret) -> bool:
    text = key.reveal()
    return any(text in shown for shown in (str(error), repr(error), repr(vars(error)), repr(error.args)))


def _placeholder(error: BaseException, key: Secret) -> BaseException:
    """Some exceptions (aiohttp's) carry the request's headers: their name and words are kept, the rest goes."""
    words = str(error).replace(key.reveal(), "<secret>")
    return RuntimeError(f"{type(error).__module__}.{type(error).__qualname__}: {words}")
