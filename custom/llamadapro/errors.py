"""Every error that the client raises; no httpx, aiohttp or JSON exception is ever raised.

The classes are divided by what a caller can do about a failure::

    LlamadaProError
    ├── ConfigurationError            the client cannot be created, or is closed
    ├── InvalidRequestError           (ValueError) refused before any network use
    │   └── InvalidPhoneNumberError
    ├── PaginationError               a list would never end
    ├── WaitTimeoutError              (TimeoutError) a `wait` timed out
    ├── JobError                      an import or a campaign stopped early; its cause says why
    └── APIError                      a request was sent, or at least tried
        ├── APIConnectionError        no answer
        │   └── APITimeoutError       (TimeoutError) no answer in time
        ├── APIResponseValidationError   an answer that contradicts the OpenAPI document
        └── APIStatusError            an answer with an error status
            ├── BadRequestError 400 · AuthenticationError 401 · PermissionDeniedError 403 · NotFoundError 404
            ├── ConflictError 409 · UnprocessableEntityError 422 · RateLimitError 429
            └── InternalServerError ≥ 500
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._error_body import read_error_body
from ._lazy import LazyModule

if TYPE_CHECKING:
    import httpx
else:  # annotations name it; importing it takes longer than the rest of a small program
    httpx = LazyModule("httpx")

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "InternalServerError",
    "InvalidPhoneNumberError",
    "InvalidRequestError",
    "JobError",
    "LlamadaProError",
    "NotFoundError",
    "PaginationError",
    "PermissionDeniedError",
    "RateLimitError",
    "UnprocessableEntityError",
    "WaitTimeoutError",
]


class LlamadaProError(Exception):
    """The root of every error of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The subclasses take keyword arguments that `args` does not hold; restoring the state as it is keeps them all
        # picklable (for process pools and task queues) without one method each.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[LlamadaProError], args: tuple[Any, ...], state: dict[str, Any]) -> LlamadaProError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(LlamadaProError):
    """An option is invalid, or the client is closed. Nothing was sent."""


class InvalidRequestError(LlamadaProError, ValueError):
    """An argument cannot be sent. Raised before any network use; the message names the argument and the reason."""


class InvalidPhoneNumberError(InvalidRequestError):
    """A phone number is not E.164, and cannot be converted without guessing."""


class PaginationError(LlamadaProError):
    """The service repeated a page token, or returned 1,000 empty pages in a row, so the list would never end."""


class WaitTimeoutError(LlamadaProError, TimeoutError):
    """A `wait` timed out. What it waited for may still happen: calling `wait` again is safe."""

    last: Any
    """The last answer of the service, or None if there was none."""

    def __init__(self, message: str, *, last: Any = None) -> None:
        super().__init__(message)
        self.last = last


class JobError(LlamadaProError):
    """An import or a campaign stopped early; `__cause__` is what stopped it.

    With a ledger, the same call resumes it.
    """

    report: Any
    """What became of the rows so far: an `ImportReport` or a `SendReport`."""

    def __init__(self, message: str, *, report: Any) -> None:
        super().__init__(message)
        self.report = report


class APIError(LlamadaProError):
    """A request was sent, or tried, and failed."""

    request: httpx.Request
    """What was sent, without the API key."""

    may_have_been_processed: bool
    """True if a write may have taken effect although it failed: check before retrying."""

    request_id: str | None
    """The service's id of this request, from the ``X-Request-Id`` header; None if no answer had one."""

    def __init__(
        self,
        message: str,
        *,
        request: httpx.Request,
        request_id: str | None = None,
        may_have_been_processed: bool = False,
    ) -> None:
        super().__init__(message)
        self.request = request
        self.request_id = request_id
        self.may_have_been_processed = may_have_been_processed


class APIConnectionError(APIError):
    """The service could not be reached, or the connection broke before an answer was complete."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """The answer did not arrive within `timeout` (one attempt) or `deadline` (retries included)."""


class APIResponseValidationError(APIError):
    """A complete answer contradicts the OpenAPI document, or exceeds `max_response_bytes`."""

    response: httpx.Response
    """The answer as it came."""

    place: str
    """The invalid part of the answer, such as ``items[3].addresses``; empty for all of it."""

    def __init__(
        self,
        message: str,
        *,
        request: httpx.Request,
        response: httpx.Response,
        place: str = "",
        request_id: str | None = None,
        may_have_been_processed: bool = False,
    ) -> None:
        super().__init__(
            message, request=request, request_id=request_id, may_have_been_processed=may_have_been_processed
        )
        self.response = response
        self.place = place


class APIStatusError(APIError):
    """The service answered with an error status."""

    status_code: int
    code: int | str | None
    """The service's own error code, if it sent one."""
    message: str
    """The service's own words, from an error body of any shape, or the status phrase if there are none."""
    details: Any
    """What the service sent in addition to its message, usually a dictionary; None if nothing."""
    body: Any
    """The decoded JSON body, or its text if it is not JSON."""
    response: httpx.Response
    retry_after: float | None
    """Seconds to wait before the next attempt, if the service asked for it."""

    def __init__(
        self,
        message: str,
        *,
        request: httpx.Request,
        response: httpx.Response,
        body: Any = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        may_have_been_processed: bool = False,
    ) -> None:
        super().__init__(
            message, request=request, request_id=request_id, may_have_been_processed=may_have_been_processed
        )
        read = read_error_body(body)
        self.status_code = response.status_code
        self.code = read.code
        self.message = read.message or response.reason_phrase or f"HTTP {response.status_code}"
        self.details = read.details
        self.body = body
        self.response = response
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """400: the service considers the request invalid; `details` may name the fields."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the API key does not permit this."""


class NotFoundError(APIStatusError):
    """404: it does not exist, or no longer."""


class ConflictError(APIStatusError):
    """409: conflicts with the current state, such as deleting a custom field that still has values."""


class UnprocessableEntityError(APIStatusError):
    """422: well-formed, but not acceptable."""


class RateLimitError(APIStatusError):
    """429: too many requests. It was not processed; `retry_after` is the time to wait, if the service gave one."""


class InternalServerError(APIStatusError):
    """500 or above: the service failed. A write may have taken effect all the same."""


_BY_STATUS: Mapping[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def class_for_status(status_code: int) -> type[APIStatusError]:
    """The error class for an HTTP status."""
    if status_code >= 500:
        return InternalServerError
    return _BY_STATUS.get(status_code, APIStatusError)
