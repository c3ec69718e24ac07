"""Keeping the API key out of what is shown: requests in errors, what the service quotes, and the causes of failures."""

from __future__ import annotations

import logging
import re
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, lru_cache
from html import unescape
from itertools import accumulate
from string import ascii_uppercase
from typing import NamedTuple, TypeVar
from weakref import WeakSet

import httpx

from .._headers import Secret

E = TypeVar("E", bound=BaseException)

HIDDEN = ("authorization", "proxy-authorization", "cookie")
PLACEHOLDER = "<secret>"

_MIN_LENGTH = 12
"""A shorter key is a word that the service may use by chance."""
_MAX_NESTING = 4
"""Quotings within quotings, such as HTML's in JSON's in JSON's."""
_MAX_QUOTED = 2**20
"""Characters in which quoted forms are looked for, which takes some 100 ms for a million; others are found anywhere."""
_MAX_KNOWN = 16
"""Characters of a quoting that is remembered, since looking one up is quicker than reading it."""
_QUOTED = re.compile(
    r"\\+(?:(?:u0{6}|u00|(?P<brace>u\{0*))(?P<u>[0-9a-f]{2})(?(brace)\})|x(?P<x>[0-9a-f]{2})|(?P<escaped>[^ux]))"
    r"|%(?:25)*(?P<percent>[0-9a-f]{2})"
    r"|(?P<html>&(?:\#x?[0-9a-f]{2,6}|[a-z]{2,8});)",
    re.IGNORECASE,
)
_NUL = re.compile(r"(?P<u>)(?P<x>)(?P<percent>)(?P<escaped>)(?P<html>)\x00+")
"""Between the characters of a UTF-16 that was taken for something else; they come first, other quotings lie within."""
_ASCII_LOWER = {ord(letter): letter.lower() for letter in ascii_uppercase}
_LOGGERS = (
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *("httpx", "httpx2", "aiohttp.client", "aiohttp.internal"),
)
"""Loggers that show what a service answers; a filter sees only what is logged at its very logger."""


class Redactor:
    """Finds an API key in any form that a service may quote it in, and takes it out.

    Quoted as in JSON, URLs or HTML, in capitals, in Base64 or hexadecimal, in UTF-16, and without the scheme that it
    was given with.
    """

    def __init__(self, key: Secret) -> None:
        self._key = key
        _redactors.add(self)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_log_filter)

    def redact(self, text: str) -> str:
        """The text without the key."""
        if not self.leaks(text):  # where it stands takes ten times as long to find
            return text
        kept: list[str] = []
        end = 0
        for start, stop in sorted(self._find(text)):
            if start > end or not kept:  # what overlaps, or follows at once, is hidden already
                kept += [text[end:start], PLACEHOLDER]
            end = max(end, stop)
        return "".join((*kept, text[end:]))

    def redact_bytes(self, data: bytes, charset: str | None = None) -> bytes:
        """The same for bytes: the key is ASCII, so that this finds it in most charsets, and in `charset` besides."""
        redacted = self.redact(data.decode("latin-1")).encode("latin-1")
        if charset is None or charset.lower() in ("utf-8", "ascii", "iso-8859-1"):
            return redacted
        try:
            text = redacted.decode(charset, "replace")
            plain = self.redact(text)
            return redacted if plain == text else plain.encode(charset, "replace")
        except (LookupError, ValueError):  # no charset, or none of text
            return redacted

    def redact_headers(self, response: httpx.Response) -> list[tuple[bytes, bytes]]:
        """A response's headers."""
        return [(self.redact_bytes(name), self.redact_bytes(value)) for name, value in response.headers.raw]

    def leaks(self, text: str) -> bool:
        """Whether the key shows: as it is, or within each level of quoting."""
        for _ in range(_MAX_NESTING + 1 if self._forms else 0):
            lower = text.lower()
            if any(form in lower for form in self._forms):
                return True
            quoted = text[:_MAX_QUOTED]
            text = _NUL.sub("", quoted) if "\0" in quoted else _QUOTED.sub(_plain_text, quoted)
            if text == quoted:
                return False
        return False

    def _find(self, text: str, nesting: int = 0) -> Iterator[tuple[int, int]]:
        """Where the key stands: as it is, then within each level of quoting."""
        if not self._forms:
            return
        lower = text.lower()
        if len(lower) != len(text):  # as with "İ"
            lower = text.translate(_ASCII_LOWER)
        for form in self._forms:
            at = lower.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = lower.find(form, at + 1)
        if nesting < _MAX_NESTING and (segments := _unquote(text[:_MAX_QUOTED])):
            plain = "".join(segment.text for segment in segments)
            starts = [*accumulate((len(segment.text) for segment in segments), initial=0)]
            for start, stop in self._find(plain, nesting + 1):
                first, last = bisect_right(starts, start) - 1, bisect_right(starts, stop - 1) - 1
                yield segments[first].start(start - starts[first]), segments[last].stop(stop - starts[last])

    @cached_property
    def _forms(self) -> set[str]:
        """What to look for, in lower case; nothing for a key too short to be distinguished from a word."""
        forms = {form for part in _parts(self._key.reveal()) for form in _encodings(part)}
        # A key that looks quoted itself is found where it was unquoted too often.
        return {form.lower() for form in (*forms, *(plain for form in forms for plain in _unquoted(form)))}


def _parts(key: str) -> set[str]:
    """The key, and what of it may be quoted alone: without a scheme such as "Bearer" or "Token token="."""
    parts = {key, *re.split(r"[\s=:,;'\"]+", key)}
    if key[:6].lower() == "basic ":
        with suppress(ValueError):
            user = b64decode(key[6:], validate=True).decode("latin-1")
            parts |= {user, user.partition(":")[2]}
    return {part for part in parts if len(part) >= _MIN_LENGTH}


def _encodings(part: str) -> Iterator[str]:
    data = part.encode("latin-1")
    yield part
    yield data.hex()
    for before in range(3):  # how many bytes of a group of three stand before it
        packed = b64encode(bytes(before) + data).decode("ascii")
        end = packed.find("=") - 1 if packed.endswith("=") else len(packed)
        packed = packed[(0, 2, 3)[before] : end]  # the characters that its neighbors have no part in
        yield packed
        yield packed.replace("+", "-").replace("/", "_")


class _Segment(NamedTuple):
    """A piece of a text: what it says, and where it stands."""

    text: str
    span: tuple[int, int]
    quoted: bool

    def start(self, at: int) -> int:
        return self.span[0] + (0 if self.quoted else at)

    def stop(self, at: int) -> int:
        return self.span[1] if self.quoted else self.span[0] + at


def _unquote(text: str) -> list[_Segment]:
    """The text with each quoted character in the place of its quoting; empty if there is none."""
    segments: list[_Segment] = []
    end = 0
    for match in (_NUL if "\0" in text else _QUOTED).finditer(text):
        start, stop = match.span()
        plain = _plain(match)
        if plain != match[0]:
            segments += (_Segment(text[end:start], (end, start), False), _Segment(plain, (start, stop), True))
            end = stop
    return [*segments, _Segment(text[end:], (end, len(text)), False)] if segments else []


def _plain(match: re.Match[str]) -> str:
    """What a quoted character says."""
    code = match["u"] or match["x"] or match["percent"]
    return chr(int(code, 16)) if code else match["escaped"] or (match["html"] and unescape(match["html"])) or ""


def _plain_text(match: re.Match[str]) -> str:
    quoted = match[0]
    return _known_plain(quoted) if len(quoted) < _MAX_KNOWN else _plain(match)


@lru_cache(maxsize=1024)
def _known_plain(quoted: str) -> str:
    match = _QUOTED.fullmatch(quoted)
    return _plain(match) if match else quoted


def _unquoted(text: str) -> Iterator[str]:
    """The text with its quotings taken away, one level after the other."""
    for _ in range(_MAX_NESTING):
        if not (segments := _unquote(text)):
            return
        text = "".join(segment.text for segment in segments)
        yield text


class _LogFilter(logging.Filter):
    """Takes every client's key out of what libraries log of a response."""

    def filter(self, record: logging.LogRecord) -> bool:
        with suppress(Exception):  # a record that cannot be formatted is the handlers' to report
            message = record.getMessage()
            redacted = message
            for redactor in list(_redactors):
                redacted = redactor.redact(redacted)
            if redacted != message:
                record.msg, record.args = redacted, ()
        return True


_redactors: WeakSet[Redactor] = WeakSet()
_log_filter = _LogFilter()


def redact_request(
    method: str, url: str, headers: list[tuple[bytes, bytes]], content: bytes, key_header: str
) -> httpx.Request:
    """A copy of a request for errors and callers, without the key and other credentials."""
    hidden = {key_header.lower(), *HIDDEN}
    shown = [(name, value) for name, value in headers if name.decode().lower() not in hidden]
    return httpx.Request(method, url, headers=shown, content=content)


def redact_error(error: E, redactor: Redactor, request: httpx.Request) -> E | RuntimeError:
    """An exception without the key, and without its frames, whose locals hold it: its causes too."""
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
        if _leaks(link, redactor):
            link.args = tuple(redactor.redact(text) if isinstance(text, str) else text for text in link.args)
        if _leaks(link, redactor):
            return _placeholder(error, redactor)
        links += (link.__cause__, link.__context__)
    return error


def _leaks(error: BaseException, redactor: Redactor) -> bool:
    return any(map(redactor.leaks, (str(error), repr(error), repr(vars(error)), repr(error.args))))


def _placeholder(error: BaseException, redactor: Redactor) -> RuntimeError:
    """Some exceptions (aiohttp's) carry the request's headers: their name and words are kept, the rest goes."""
    return RuntimeError(f"{type(error).__module__}.{type(error).__qualname__}: {redactor.redact(str(error))}")
