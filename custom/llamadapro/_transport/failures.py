"""From what went wrong to an error that says what happened, to which call, and what to do."""

from __future__ import annotations

from typing import Any, Protocol

import attrs
import httpx
import orjson

from llamadapro_api.errors import DeserializationError

from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    class_for_status,
)
from .body import InvalidBody
from .policy import Outcome, outcome_of_status, read_retry_after

_ADVICE = {
    400: "correct the request as the message says",
    401: "check the API key, and the header it is sent in (api_key_header)",
    403: "the API key may not do this",
    404: "check the id, or whether it has been deleted",
    429: "send less, or set rate_limit",
}


def request_id_of(response: httpx.Response | None) -> str | None:
    """What the service calls this request, for whoever asks it about one."""
    return None if response is None else response.headers.get("x-request-id")


class RequestInfo(Protocol):
    """What a failure needs to know of the call it belongs to."""

    @property
    def is_write(self) -> bool: ...
    @property
    def title(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def maybe_processed(self) -> bool: ...
    def redacted_request(self) -> httpx.Request: ...
    def redact(self, text: str) -> str: ...


@attrs.frozen
class Failure:
    """A failed attempt: what it means for the policy, and all that the error will need."""

    outcome: Outcome
    reason: str
    cause: BaseException | None = attrs.field(default=None, repr=False)  # as it came, it may show the key
    timed_out: bool = False
    response: httpx.Response | None = None
    body: bytes = attrs.field(default=b"", repr=False)
    place: str = ""

    @property
    def retry_after(self) -> float | None:
        if self.response is None:
            return None
        headers = self.response.headers
        return read_retry_after(headers.get("retry-after"), headers.get("date"))

    @property
    def may_have_been_processed(self) -> bool:
        """Whether this attempt alone leaves it open that the service has acted."""
        unreadable = self.response is not None and 200 <= self.response.status_code < 300
        return self.outcome is Outcome.AMBIGUOUS or unreadable

    def to_error(self, info: RequestInfo) -> APIError:
        request = info.redacted_request()
        maybe_processed = info.is_write and info.maybe_processed
        body = info.redact(self.body.decode("latin-1")).encode("latin-1")  # the key is ASCII
        response = None if self.response is None else redact_response(self.response, body, request)
        if response is None:
            kind = APITimeoutError if self.timed_out else APIConnectionError
            tried = self.outcome is Outcome.NOT_SENT and self.cause is not None
            where = f" at {request.url.copy_with(raw_path=b'/')}" if tried else ""
            return kind(
                _message(info, self.reason + where, maybe_processed),
                request=request,
                may_have_been_processed=maybe_processed,
            )
        if 200 <= response.status_code < 300:
            return APIResponseValidationError(
                _message(info, self.reason, maybe_processed),
                request=request,
                response=response,
                place=self.place,
                request_id=request_id_of(response),
                may_have_been_processed=maybe_processed,
            )
        return self._status_error(info, response, body, maybe_processed)

    def _status_error(
        self, info: RequestInfo, response: httpx.Response, body: bytes, maybe_processed: bool
    ) -> APIStatusError:
        status = response.status_code
        error = class_for_status(status)(
            "",
            request=response.request,
            response=response,
            body=_read_error_body(body),
            request_id=request_id_of(response),
            retry_after=self.retry_after,
            may_have_been_processed=maybe_processed,
        )
        said = f"{status}: {error.message}"
        if error.code is not None:
            said += f" (code {error.code})"
        if error.details:
            said += f"; details: {_abbreviate(error.details)}"
        if error.retry_after is not None:
            said += f"; the service asks to wait {error.retry_after:g} s"
        if 300 <= status < 400:
            said += (
                f"; redirects are never followed, check base_url (it points to {response.headers.get('location')!r})"
            )
        advice = _ADVICE.get(status)
        if status == 404 and response.request.method == "DELETE" and info.maybe_processed and info.attempts > 1:
            advice = "an earlier attempt of this call, whose answer was lost, may have deleted it"
        error.args = (_message(info, f"{said}; {advice}" if advice else said, maybe_processed),)
        return error


def failure_of_status(response: httpx.Response, body: bytes) -> Failure:
    """A complete answer with an error status."""
    status = response.status_code
    return Failure(outcome_of_status(status), f"status {status}", response=response, body=body)


def unreadable(response: httpx.Response, error: InvalidBody | DeserializationError, body: bytes) -> Failure:
    """A success that cannot be read; repeating it would not mend it."""
    place = error.place if isinstance(error, DeserializationError) else ""
    fault = f"not as the document says: {error}" if place else str(error)
    what = f"answered {response.status_code}, but {fault}"
    return Failure(Outcome.FINAL, what, error, response=response, body=body, place=place)


def failure_without_answer(error: BaseException, *, unsent: bool) -> Failure:
    """An attempt that brought no answer, or only part of one."""
    timed_out = _timed_out(error)
    words = str(error) or type(error).__name__
    if unsent:
        return Failure(Outcome.NOT_SENT, f"could not reach the service ({words})", error, timed_out)
    if timed_out:
        return Failure(Outcome.AMBIGUOUS, f"timed out waiting for the response ({words})", error, True)
    if "_SWITCH_" in words:  # h11's way to say that the answer was 101, which nobody asked for and no repeat would mend
        return Failure(Outcome.FINAL, "answered 101 (switching protocols), which was not asked for", error)
    return Failure(Outcome.AMBIGUOUS, f"the connection broke before the answer was complete ({words})", error)


def _timed_out(error: BaseException) -> bool:
    cause = error.__cause__
    if cause is not None and type(cause).__module__.startswith("aiohttp"):
        # httpx-aiohttp calls every lost connection a timeout; aiohttp itself knows better.
        return isinstance(cause, TimeoutError)
    return isinstance(error, (httpx.TimeoutException, TimeoutError))


def redact_response(response: httpx.Response, body: bytes, request: httpx.Request) -> httpx.Response:
    """The answer as callers may keep it: read, unpacked, and without the request that held the key."""
    # The lengths and codings of the wire are no longer those of this content.
    dropped = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(name, value) for name, value in response.headers.raw if name.decode("latin-1").lower() not in dropped]
    extensions = {key: value for key, value in response.extensions.items() if key in ("reason_phrase", "http_version")}
    return httpx.Response(response.status_code, headers=headers, content=body, request=request, extensions=extensions)


def _message(info: RequestInfo, what: str, maybe_processed: bool) -> str:
    tries = f" after {info.attempts} attempts" if info.attempts > 1 else ""
    certainty = ". It may have been processed: check before retrying" if maybe_processed else ""
    return info.redact(f"{info.title}: {what}{tries}{certainty}")


def _read_error_body(body: bytes) -> Any:
    if not body:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


def _abbreviate(details: Any) -> str:
    try:
        text = orjson.dumps(details).decode()
    except TypeError:
        text = str(details)
    return text if len(text) <= 500 else f"{text[:497]}..."
