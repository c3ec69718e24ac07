"""One request on its way, whatever it is for: what the retry loop knows and asks of it, and what its failures mean.

A failure becomes an error that says what happened, to which request, and what to do.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import attrs
import httpx
import orjson

from llamadapro_api.errors import DeserializationError

from .._config import Config
from .._error_body import ErrorBody, read_error_body
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    class_for_status,
)
from .base_engine import Engine
from .body import InvalidBody, decode_text
from .events import Attempt, Exchange
from .limits import Clock
from .policy import Outcome, outcome_of_status, read_retry_after
from .redaction import Redactor

T = TypeVar("T")

MAX_ERROR_BODY = 2**20
"""Bytes of an error's body that are kept; a longer one is not read."""

_MAX_START = 60
_MAX_DETAILS = 500
"""Characters of an error's details that its text shows."""
_HTTP_LIBRARIES = {"httpx", "httpcore", "httpx2", "httpcore2", "h11", "aiohttp", "httpx_aiohttp", "anyio"}
"""Whose exceptions are network failures, where a caller's client lets them out as they are."""
_NO_MATCH = "No response can be found for "
"""pytest-httpx says so in an exception of httpx's."""


@attrs.frozen
class Failure:
    """A failed attempt: what it means for the policy, and all that the error will need. Nothing in it shows the key."""

    outcome: Outcome
    reason: str
    cause: BaseException | None = attrs.field(default=None, repr=False)  # but this: as it was raised
    timed_out: bool = False
    response: httpx.Response | None = None
    """Redacted, with its body."""
    place: str = ""
    advice: str | None = None

    @property
    def retry_after(self) -> float | None:
        if self.response is None:
            return None
        headers = self.response.headers
        return read_retry_after(headers.get("retry-after"), headers.get("date"))

    @property
    def may_have_been_processed(self) -> bool:
        """Whether this attempt alone leaves it open that the service has acted."""
        unreadable = self.response is not None and self.response.is_success
        return self.outcome is Outcome.AMBIGUOUS or unreadable

    def to_error(self, state: RequestState[Any]) -> APIError:
        maybe_processed = _is_ambiguous(state)
        if self.response is None:
            kind = APITimeoutError if self.timed_out else APIConnectionError
            request = state.redacted_request()
            return kind(
                self._message(state, self._unreachable(state, request.url)),
                request=request,
                may_have_been_processed=maybe_processed,
            )
        response = self.response
        carried: dict[str, Any] = {
            "request": response.request,
            "response": response,
            "request_id": response.headers.get("x-request-id"),
            "may_have_been_processed": maybe_processed,
        }
        if response.is_success:
            return APIResponseValidationError(self._message(state, self.reason), place=self.place, **carried)
        body = _decode(response)
        text = self._status_text(state, response, read_error_body(body))
        kind_of_status = class_for_status(response.status_code)
        return kind_of_status(self._message(state, text), body=body, retry_after=self.retry_after, **carried)

    def _unreachable(self, state: RequestState[Any], url: httpx.URL) -> str:
        if self.outcome is not Outcome.NOT_SENT or self.cause is None:
            return self.reason
        return _joined(f"{self.reason} at {url.copy_with(raw_path=b'/')}", state.advice(None))

    def _status_text(self, state: RequestState[Any], response: httpx.Response, said: ErrorBody) -> str:
        status = response.status_code
        text = f"{status}: {said.message or response.reason_phrase or f'HTTP {status}'}"
        if said.code is not None:
            text += f" (code {said.code})"
        if said.details:
            text += f"; details: {_abbreviate(said.details)}"
        if self.retry_after is not None:
            text += f"; the service asks to wait {self.retry_after:g} s"
        advice = self.advice or state.advice(status)
        if status == 400 and advice is None:
            advice = "correct the request as the message says" if said.message else "correct the request"
        return _joined(text, advice)

    def _message(self, state: RequestState[Any], text: str) -> str:
        tries = f" after {state.attempts} attempts" if state.attempts > 1 else ""
        maybe_processed = ". It may have been processed: check before retrying" if _is_ambiguous(state) else ""
        return state.redactor.redact(f"{state.title}: {text}{tries}{maybe_processed}")


class RequestState(ABC, Generic[T]):
    """What is asked for, and what has become of it so far."""

    rate_limited = True
    """Whether rate limit and 429 pauses are meant for it; they are the service's own, not a file host's."""

    def __init__(
        self, operation: str, method: str, path: str, *, config: Config, clock: Clock, redactor: Redactor
    ) -> None:
        self.operation = operation
        self.method = method
        self.path = path
        self.config = config
        self.redactor = redactor
        self.attempts: int = 0
        self.retries: int = -1
        self.response: httpx.Response | None = None
        self.maybe_processed: bool = False
        self.out_of_time: bool = False
        """Whether the deadline has come, or would come before anything else could."""
        self._clock = clock
        self._started = clock.now()

    @property
    def title(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_write(self) -> bool:
        """Whether it changes anything at the service."""
        return False

    @property
    @abstractmethod
    def is_repeatable(self) -> bool:
        """Whether sending it twice does the same as sending it once."""

    @abstractmethod
    def remaining(self) -> float | None:
        """The longest wait that is worth beginning, in seconds; None for any."""

    @abstractmethod
    def attempt_end(self, *, queueing: bool) -> float | None:
        """When this attempt must end, in the loop's time; None for never."""

    @abstractmethod
    async def exchange(self, engine: Engine, scope: asyncio.Timeout) -> T | Failure:
        """Send the request, and read the response; what is no failure of the network is raised."""

    @abstractmethod
    def timeout_failure(self, error: TimeoutError) -> Failure:
        """The failure of an attempt that came to its end before its response did."""

    @abstractmethod
    def redacted_request(self) -> httpx.Request: ...

    @abstractmethod
    def advice(self, status_code: int | None) -> str | None:
        """What to do about this status, or about a service that cannot be reached (None)."""

    def begin_attempt(self) -> None:
        self.attempts += 1
        self.retries += 1
        self.response = None

    def note(self, failure: Failure) -> None:
        """Take in what a failed attempt leaves behind."""
        self.maybe_processed = self.maybe_processed or failure.may_have_been_processed

    def request_id(self) -> str | None:
        """The service's id of this request, for whoever asks it about one."""
        found = None if self.response is None else self.response.headers.get("x-request-id")
        return found and self.redactor.redact(found)

    def as_attempt(self, elapsed: float, error: str | None) -> Attempt:
        return Attempt(
            operation=self.operation,
            method=self.method,
            path=self.path,
            number=self.attempts,
            elapsed=elapsed,
            status_code=None if self.response is None else self.response.status_code,
            request_id=self.request_id(),
            error=error,
        )

    def as_exchange(self) -> Exchange:
        return Exchange(
            operation=self.operation,
            method=self.method,
            path=self.path,
            status_code=None if self.response is None else self.response.status_code,
            headers=httpx.Headers(None if self.response is None else self.redactor.redact_headers(self.response)),
            request_id=self.request_id(),
            attempts=self.attempts,
            elapsed=self._clock.now() - self._started,
        )


def failure_of_status(
    state: RequestState[Any], response: httpx.Response, body: bytes, advice: str | None = None
) -> Failure:
    """A complete response with an error status."""
    status = response.status_code
    kept = redact_response(state, response, body)
    return Failure(outcome_of_status(status), f"status {status}", response=kept, advice=advice)


def unreadable(
    state: RequestState[Any], response: httpx.Response, error: InvalidBody | DeserializationError, body: bytes
) -> Failure:
    """A success that cannot be read; repeating the request would not help."""
    place = error.place if isinstance(error, DeserializationError) else ""
    fault = f"not as the document says: {error}" if place else str(error)
    kept = redact_response(state, response, body)
    if body and isinstance(error, InvalidBody):
        # Only now cut short: of a key that was cut, the rest would not be known for what it is.
        fault += f"; it begins {kept.content[:_MAX_START].decode('utf-8', 'replace')!r}"
    redact = state.redactor.redact
    reason = redact(f"answered {response.status_code}, but {fault}")
    return Failure(Outcome.FINAL, reason, error, response=kept, place=redact(place))


def failure_without_answer(state: RequestState[Any], error: BaseException, *, unsent: bool) -> Failure:
    """An attempt that brought no response, or only part of one."""
    timed_out = _timed_out(error)
    words = state.redactor.redact(str(error)) or type(error).__name__
    if unsent:
        return Failure(Outcome.NOT_SENT, f"could not reach the service ({words})", error, timed_out)
    if timed_out:
        return Failure(Outcome.AMBIGUOUS, f"timed out waiting for the response ({words})", error, True)
    if "_SWITCH_" in words:  # h11's way to say that the status was 101, which nobody asked for and no retry would mend
        return Failure(Outcome.FINAL, "answered 101 (switching protocols), which was not asked for", error)
    return Failure(Outcome.AMBIGUOUS, f"the connection broke before the response was complete ({words})", error)


def is_network_failure(error: BaseException) -> bool:
    """Whether an engine raised it for the network; anything else (a tool's, a hook's, a mock's) is raised as it is."""
    if type(error) is httpx.TimeoutException and str(error).startswith(_NO_MATCH):
        return False
    if isinstance(error, (httpx.HTTPError, OSError)):
        return True
    return any(base.__module__.partition(".")[0] in _HTTP_LIBRARIES for base in type(error).__mro__)


def redact_response(
    state: RequestState[Any], response: httpx.Response, body: bytes, *, redact_body: bool = True
) -> httpx.Response:
    """The response as callers may keep it: decompressed, without the key, and without the request that held it."""
    redactor = state.redactor
    # The lengths and codings of the wire are no longer those of this content.
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    headers = [(name, value) for name, value in redactor.redact_headers(response) if name.lower() not in dropped]
    extensions = {key: value for key, value in response.extensions.items() if key in ("reason_phrase", "http_version")}
    if "reason_phrase" in extensions:
        extensions["reason_phrase"] = redactor.redact_bytes(extensions["reason_phrase"])
    if redact_body:
        body = redactor.redact_bytes(body, response.charset_encoding)
    return httpx.Response(
        response.status_code, headers=headers, content=body, request=state.redacted_request(), extensions=extensions
    )


def _is_ambiguous(state: RequestState[Any]) -> bool:
    return state.is_write and state.maybe_processed


def _timed_out(error: BaseException) -> bool:
    cause = error.__cause__
    if cause is not None and type(cause).__module__.startswith("aiohttp"):
        # httpx-aiohttp calls every lost connection a timeout; aiohttp itself knows better.
        return isinstance(cause, TimeoutError)
    return isinstance(error, (httpx.TimeoutException, TimeoutError))


def _decode(response: httpx.Response) -> Any:
    """An error's body: JSON, else text; None for none."""
    content = response.content
    if not content:
        return None
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    return decode_text(content, response.charset_encoding)


def _abbreviate(details: Any) -> str:
    try:
        text = orjson.dumps(details).decode()
    except TypeError:  # of more levels than orjson writes
        text = str(details)
    return text if len(text) <= _MAX_DETAILS else f"{text[: _MAX_DETAILS - 3]}..."


def _joined(text: str, advice: str | None) -> str:
    return f"{text}; {advice}" if advice else text
