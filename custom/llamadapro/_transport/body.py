"""Reading a response's body: within its limit, complete or refused as truncated, decompressed, and as JSON."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import orjson

_BODYLESS = (204, 205)
_GZIP = b"\x1f\x8b"
_MAX_OVERHEAD = 2**16


class TruncatedBody(Exception):
    """The body ended before it was complete."""


class InvalidBody(Exception):
    """The body is complete and cannot be read, or is larger than allowed."""


async def read_body(response: httpx.Response, limit: int, *, method: str = "GET") -> bytes:
    """The complete body, decompressed. No more than `limit` bytes are ever held, and little more are read."""
    length, encoding = _length_and_encoding(response)
    if method == "HEAD" or response.status_code in _BODYLESS or length == b"0":
        return b""  # its headers may speak of a body all the same, such as that of the GET
    if response.is_stream_consumed:
        # A hook of the caller's client, or a mock, has read it already.
        if len(response.content) > limit:
            raise _too_large(limit)
        return response.content
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise InvalidBody("its body is not an asynchronous stream")
    chunks = response.stream.__aiter__()
    if encoding in ("", "identity"):
        parts: list[bytes] = []
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            parts.append(chunk)
        return b"".join(parts)
    if encoding in ("gzip", "x-gzip", "deflate"):
        return await _decompress(chunks, limit)
    raise InvalidBody(f"its Content-Encoding is {encoding!r}, which was not asked for")


def _length_and_encoding(response: httpx.Response) -> tuple[bytes, str]:
    """Content-Length and Content-Encoding; httpx would search all headers anew for each."""
    length, encodings = b"", []
    for name, value in response.headers.raw:
        match name.lower():
            case b"content-length":
                length = value
            case b"content-encoding":
                encodings.append(value.decode("latin-1"))
    return length, ", ".join(encodings).strip().lower()


async def _decompress(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """Like `read_body`, for gzip and deflate; httpx's own decoder does not notice that the end is missing."""
    # Compressing adds less than this to what cannot be compressed. Fields of a gzip header have no end of their own,
    # and members may be empty: what brings no output must be counted too.
    unread = limit + limit // 1000 + _MAX_OVERHEAD
    unpacker = None
    parts: list[bytes] = []
    size = 0
    rest = b""
    try:
        async for chunk in chunks:
            unread -= len(chunk)
            if unread < 0:
                raise _too_large(limit)
            rest += chunk
            while rest:
                if unpacker is None or unpacker.eof:
                    if unpacker is not None:
                        rest = rest.lstrip(b"\0")  # padding after a member
                    if len(rest) < len(_GZIP):
                        break
                    if unpacker is not None and not rest.startswith(_GZIP):
                        raise InvalidBody("it goes on after its compressed end")
                    unpacker = _decompressor_for(rest)
                part = unpacker.decompress(rest, limit - size + 1)
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                rest = unpacker.unused_data
    except zlib.error as error:
        raise InvalidBody(f"it cannot be unpacked: {error}") from None
    if unpacker is not None and unpacker.eof and not _GZIP.startswith(rest):
        raise InvalidBody("it goes on after its compressed end")
    if unpacker is None or not unpacker.eof or rest:
        raise TruncatedBody("the compressed body ends before its end mark")
    return b"".join(parts)


def _decompressor_for(start: bytes) -> Any:
    # Zlib or gzip by their headers; "deflate" without one is the raw kind that some servers send.
    zlib_header = start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return zlib.decompressobj(47 if zlib_header or start.startswith(_GZIP) else -15)


def _too_large(limit: int) -> InvalidBody:
    return InvalidBody(f"it is larger than max_response_bytes={limit}")


def decode_text(body: bytes, charset: str | None) -> str:
    """A text in the charset that its response names, if it is one; what cannot be decoded is replaced."""
    try:
        return body.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # no charset, or none of text
        return body.decode("utf-8", "replace")


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, no bottomless nesting."""
    if not body:
        raise InvalidBody("its body is empty")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = str(error)  # of the error itself, which holds the body, nothing may stay
    if b"\\u" in body:
        with suppress(ValueError, RecursionError):
            return _replace_lone_surrogates(body)
    raise InvalidBody(f"its body is not JSON ({reason})")


def _replace_lone_surrogates(body: bytes) -> Any:
    """JSON in which somebody cut an emoji in two, as JavaScript does: the half becomes a replacement character."""
    text = json.dumps(json.loads(body), ensure_ascii=False)
    return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
