"""A prepared request of the API: its URL, headers and bytes as they are sent, and how its response is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from traceback import format_tb
from typing import Any, TypeVar, cast
from urllib.parse import quote

import httpx
import orjson

from llamadapro_api import document
from llamadapro_api.errors import DeserializationError
from llamadapro_api.types import PreparedRequest
from llamadapro_api.writing import to_text

from .._config import Config
from .._headers import RawHeaders
from ..errors import InvalidRequestError
from .base_engine import Engine, OutgoingRequest
from .body import InvalidBody, TruncatedBody, decode_text, parse_json, read_body
from .failures import (
    MAX_ERROR_BODY,
    failure_of_status,
    failure_without_answer,
    is_network_failure,
    redact_response,
    unreadable,
)
from .policy import Failure, Outcome
from .redaction import redact_error, redact_request
from .send import Transport
from .state import RequestState

T = TypeVar("T")

MAX_URL_LENGTH = 2**16
"""Characters of a URL that httpx takes; servers take a fraction of it."""

MAX_AROUND_BODY = 2**20
"""Bytes of headers, interim responses, chunk extensions and trailers, beyond what a body may take."""

_ADVICE = {
    401: "check the API key, and the header it is sent in (api_key_header)",
    403: "the API key may not do this",
    404: "check the id, or whether it has been deleted",
    429: "send less, or set rate_limit",
}
_SETTING = "set base_url or LLAMADAPRO_BASE_URL, or correct openapi.yaml; `llamadapro contract` finds out what is right"


class CallState(RequestState[T]):
    """A prepared request on its way to the service."""

    outgoing: OutgoingRequest

    def __init__(self, transport: Transport, prepared: PreparedRequest[Any], config: Config) -> None:
        super().__init__(
            *(prepared.operation, prepared.method, prepared.url_path.partition("?")[0]),
            config=config,
            clock=transport.clock,
            redactor=transport.redactor,
        )
        self._prepared = prepared
        self._by_deadline = self._queueing = True
        key, self._headers = config.key, config.headers
        if prepared.security is not None:
            key = config.key_placement(prepared.security)
            self._headers = config.headers_for(key)
        self._key_name = "" if key is None else key.name
        if prepared.headers:
            self._headers = self._headers.replaced(prepared.headers)
        self._content, content_type = _encode(prepared)
        if content_type:
            length = b"%d" % len(self._content)
            own = [(b"Content-Type", content_type.encode()), (b"Content-Length", length)]
            self._headers = RawHeaders([*self._headers, *own])  # no other header may have these names
        self._url = self._redacted_url = f"{config.address}{prepared.url_path}"
        if key is not None and key.place == "query":  # some services take it there
            pair = f"{quote(key.name, safe='')}={quote(key.prefix + config.api_key.reveal(), safe='')}"
            self._url += f"{'&' if '?' in prepared.url_path else '?'}{pair}"
        if len(self._url) > MAX_URL_LENGTH:
            raise InvalidRequestError(
                f"{prepared.operation}: its URL would have more than {MAX_URL_LENGTH:,} characters"
            )

    @property
    def is_write(self) -> bool:
        """Whether it changes anything at the service; a search is a POST that does not."""
        return self.method not in ("GET", "HEAD", "OPTIONS") and not (
            self.method == "POST" and self._prepared.idempotent
        )

    @property
    def is_repeatable(self) -> bool:
        return self._prepared.idempotent or self.config.retry_unsafe

    def begin_attempt(self) -> None:
        super().begin_attempt()
        self.outgoing = OutgoingRequest(
            *(self.method, self._url, self._headers, self._content, self.config.httpx_timeouts),
            max_received=2 * self.config.max_response_bytes + MAX_AROUND_BODY,
        )

    def attempt_end(self, *, queueing: bool) -> float | None:
        """By the deadline, or by `timeout`, which counts no queueing."""
        self._queueing = queueing
        left, limit = self.remaining(), self.config.attempt_timeout
        self._by_deadline = queueing or limit is None or (left is not None and left <= limit)
        seconds = left if self._by_deadline else limit
        return None if seconds is None else asyncio.get_running_loop().time() + seconds

    def remaining(self) -> float | None:
        """Seconds left of the deadline; never negative."""
        if self.config.deadline is None:
            return None
        return max(0.0, self.config.deadline - (self._clock.now() - self._started))

    async def exchange(self, engine: Engine, scope: asyncio.Timeout) -> T | Failure:
        try:
            # In no local variable: a response's repr may quote the key.
            async with engine.open(self.outgoing) as self.response:
                limit = self.config.max_response_bytes
                if not self.response.is_success:
                    limit = min(limit, MAX_ERROR_BODY)
                body = await read_body(self.response, limit, method=self.method)
        except httpx.HTTPStatusError as error:
            # A hook of the caller's client raised for the status: there is a response all the same.
            self.response = error.response
            return failure_of_status(self, error.response, b"")
        except asyncio.CancelledError as error:
            # The frames that it came through hold the key in their locals.
            raise error.with_traceback(None) from None
        except Exception as error:
            if not isinstance(error, (InvalidBody, TruncatedBody)) and not is_network_failure(error):
                raise self._without_frames(error) from None
            return self._failure(error, engine)
        if not self.response.is_success:
            return failure_of_status(self, self.response, body)
        try:
            return self._read(body)
        except (InvalidBody, DeserializationError) as error:
            return unreadable(self, self.response, error, body)

    def _read(self, body: bytes) -> T:
        assert self.response is not None
        answer = self._prepared.answer(self.response.status_code)
        if answer.kind == "text":
            return cast(T, answer.read(decode_text(body, self.response.charset_encoding)))
        return cast(T, answer.read(parse_json(body) if answer.kind == "json" else None))

    def timeout_failure(self, error: TimeoutError) -> Failure:
        self.out_of_time = self._by_deadline
        limit = (
            f"deadline of {self.config.deadline} s"
            if self._by_deadline
            else f"timeout of {self.config.attempt_timeout} s"
        )
        if self._queueing:
            return Failure(
                Outcome.NOT_SENT, f"neither a connection nor its turn was free within the {limit}", None, True
            )
        if self.outgoing.may_have_reached_server:
            return Failure(Outcome.AMBIGUOUS, f"no complete response within the {limit}", error, timed_out=True)
        return Failure(Outcome.NOT_SENT, f"could not reach the service within the {limit}", error, timed_out=True)

    def redacted_request(self) -> httpx.Request:
        return redact_request(self.method, self._redacted_url, self._headers, self._content, self._key_name)

    def advice(self, status_code: int | None) -> str | None:
        if status_code is None:
            inferred = str(self.config.base_url) == document.SERVER
            return f"this address is a guess: {_SETTING}" if inferred else None
        if 300 <= status_code < 400:
            location = self.redactor.redact(self.response.headers.get("location", "")) if self.response else ""
            return f"redirects are never followed, check base_url (it points to {location!r})"
        if status_code == 404 and self.method == "DELETE" and self.maybe_processed and self.attempts > 1:
            return "an earlier attempt, whose response was lost, may have deleted it"
        if status_code in (404, 405) and (self.method, self.path) in document.IDEMPOTENT:  # a path without an id
            return f"the address {self.config.base_url} or this path is a guess: {_SETTING}"
        return _ADVICE.get(status_code)

    def _failure(self, error: Exception, engine: Engine) -> Failure:
        """What a failure of the network, or of a body, means; it may have come with a status."""
        if self.response is not None:
            if not self.response.is_success:
                return failure_of_status(self, self.response, b"")
            if isinstance(error, InvalidBody):
                return unreadable(self, self.response, error, b"")
            return failure_without_answer(self, error, unsent=False)
        # What is not even httpx's, before anything was sent, is an engine that could not be built.
        unbuilt = not self.outgoing.may_have_reached_server and not isinstance(error, httpx.HTTPError)
        return failure_without_answer(self, error, unsent=unbuilt or engine.is_unsent(error))

    def _without_frames(self, error: Exception) -> Exception:
        """A tool's or a hook's exception without its frames, whose locals hold the key; a note says where it was."""
        frames = "".join(format_tb(error.__traceback__))
        error = redact_error(error, self.redactor, self.redacted_request())
        note = f"raised while the request was sent, in:\n{frames}"
        if note not in getattr(error, "__notes__", ()):  # a mock may raise the same one again and again
            error.add_note(note)
        return error


class RawCallState(CallState[httpx.Response]):
    """One whose response the OpenAPI document does not describe: it is returned as it came."""

    def _read(self, body: bytes) -> httpx.Response:
        assert self.response is not None
        return redact_response(self, self.response, body, redact_body=False)


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
        data = {name: _texts(value) for name, value in prepared.body.items()}
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


def _texts(value: Any) -> list[str]:
    """A value of a form as the values of its field: those of a list one by one, and what is inside as JSON."""
    items = value if isinstance(value, list) else [value]
    return [
        _to_json(one).decode() if isinstance(one, (dict, list)) else to_text(one) for one in items if one is not None
    ]


def _to_json(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except (TypeError, RecursionError) as error:  # lone surrogates, integers of more than 64 bits
        raise InvalidRequestError(f"the request cannot be sent as JSON: {error}") from None
