"""What failures mean: of an attempt for the policy, and of a call as the error that its caller gets.

An error says what happened, to which request, and what to do; nothing in it shows the key.
"""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from llamadapro_api.errors import DeserializationError

from .._error_body import ErrorBody, read_error_body
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    class_for_status,
)
from .body import InvalidBody, decode_text
from .policy import Failure, Outcome, outcome_of_status
from .state import REQUEST_ID, RequestState

MAX_ERROR_BODY = 2**20
"""Bytes of an error's body that are kept; a longer one is not read."""

_MAX_START = 60
_MAX_DETAILS = 500
"""Characters of an error's details that its text shows."""
_HTTP_LIBRARIES = {"httpx", "httpcore", "httpx2", "httpcore2", "h11", "aiohttp", "httpx_aiohttp", "anyio", "idna"}
"""Whose exceptions are network failures, where a caller's client lets them out as they are."""
_NO_MATCH = "No response can be found for "
"""pytest-httpx says so in an exception of httpx's."""


def to_error(failure: Failure, state: RequestState[Any]) -> APIError:
    """The error that a call ends with whose last attempt failed so."""

    def message(text: str) -> str:
        tries = f" after {state.attempts} attempts" if state.attempts > 1 else ""
        maybe_processed = ". It may have been processed: check before retrying" if ambiguous else ""
        return state.redactor.redact(f"{state.title}: {text}{tries}{maybe_processed}")

    ambiguous = state.is_write and state.maybe_processed
    response = failure.response
    if response is None:
        kind = APITimeoutError if failure.timed_out else APIConnectionError
        request = state.redacted_request()
        text = _unreachable(failure, state, request.url)
        return kind(message(text), request=request, may_have_been_processed=ambiguous)
    carried: dict[str, Any] = {
        "request": response.request,
        "response": response,
        "request_id": response.headers.get(REQUEST_ID),
        "may_have_been_processed": ambiguous,
    }
    if response.is_success:
        return APIResponseValidationError(message(failure.reason), place=failure.place, **carried)
    body = _decode(response)
    text = _status_text(failure, state, response, read_error_body(body))
    kind_of_status = class_for_status(response.status_code)
    return kind_of_status(message(text), body=body, retry_after=failure.retry_after, **carried)


def _unreachable(failure: Failure, state: RequestState[Any], url: httpx.URL) -> str:
    if failure.outcome is not Outcome.NOT_SENT or failure.cause is None:
        return failure.reason
    return _joined(f"{failure.reason} at {url.copy_with(raw_path=b'/')}", state.advice(None))


def _status_text(failure: Failure, state: RequestState[Any], response: httpx.Response, said: ErrorBody) -> str:
    status = response.status_code
    text = f"{status}: {said.message or response.reason_phrase or f'HTTP {status}'}"
    if said.code is not None:
        text += f" (code {said.code})"
    if said.details:
        text += f"; details: {_abbreviate(said.details)}"
    if failure.retry_after is not None:
        text += f"; the service asks to wait {failure.retry_after:g} s"
    advice = failure.advice or state.advice(status)
    if status == 400 and advice is None:
        advice = "correct the request as the message says" if said.message else "correct the request"
    return _joined(text, advice)


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
