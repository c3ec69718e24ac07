"""From a prepared request to what goes over the network: its URL, its headers and the bytes of its body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import orjson

from llamadapro_api.types import PreparedRequest
from llamadapro_api.writing import to_text

from .._secret import RawHeaders
from ..errors import InvalidRequestError

if TYPE_CHECKING:
    from .._config import Config


class EncodedRequest:
    """One request as it is sent; `redacted_url` is its URL without the key, which some services take in the query."""

    __slots__ = ("content", "headers", "key_name", "redacted_url", "url")

    def __init__(self, prepared: PreparedRequest[Any], config: Config) -> None:
        key = config.key_placement(prepared.security)
        self.key_name: str = "" if key is None else key.name
        self.content, content_type = _encode(prepared)
        self.headers: RawHeaders = config.headers if prepared.security is None else config.headers_for(key)
        more = [(name.encode(), value.encode()) for name, value in prepared.headers.items()]
        if content_type:
            more += [(b"Content-Type", content_type.encode()), (b"Content-Length", str(len(self.content)).encode())]
        if more:
            replaced = {name.lower() for name, _ in more}
            self.headers = RawHeaders([*(one for one in self.headers if one[0].lower() not in replaced), *more])
        self.url: str = f"{config.address}{prepared.url_path}"
        self.redacted_url: str = self.url
        if key is not None and key.place == "query":
            pair = f"{quote(key.name, safe='')}={quote(key.prefix + config.api_key.reveal(), safe='')}"
            joint = "&" if "?" in prepared.url_path else "?"
            self.url += f"{joint}{pair}"


def _encode(prepared: PreparedRequest[Any]) -> tuple[bytes, str | None]:
    """The bytes of the body, and their type; a multipart body's type names its boundary."""
    kind = prepared.content_type
    if kind is None:
        return b"", None
    if kind.startswith("multipart/"):
        files = [(name, part) for name, value in prepared.body.items() for part in _parts(value)]
        if not files:
            raise InvalidRequestError(f"{prepared.operation}: a multipart body needs at least one part")
        request = httpx.Request("POST", "http://form", files=files)
        return request.read(), request.headers["Content-Type"]
    if kind.startswith("application/x-www-form-urlencoded"):
        data = {name: _texts(value) for name, value in prepared.body.items() if value is not None}
        return httpx.Request("POST", "http://form", data=data).read(), kind
    return _to_json(prepared.body), kind


def _parts(value: Any) -> Iterator[tuple[str | None, bytes, str | None]]:
    """A value of a multipart body as its parts: files as they are, objects as JSON, all else as text."""
    if isinstance(value, bytes):
        yield "file", value, "application/octet-stream"
    elif isinstance(value, tuple):
        yield value
    elif isinstance(value, dict):
        yield None, _to_json(value), "application/json"
    elif isinstance(value, list):
        for one in value:
            yield from _parts(one)
    elif value is not None:
        yield None, to_text(value).encode(), None


def _texts(value: Any) -> str | list[str]:
    if isinstance(value, dict):
        return _to_json(value).decode()
    return [to_text(one) for one in value if one is not None] if isinstance(value, list) else to_text(value)


def _to_json(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except (TypeError, RecursionError) as error:  # lone surrogates, integers of more than 64 bits
        raise InvalidRequestError(f"the request cannot be sent as JSON: {error}") from None
