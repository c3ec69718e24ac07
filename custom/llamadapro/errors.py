"""Every error that can come out of the client.

The tree says what a caller can do about a failure; nothing of httpx, aiohttp or JSON ever comes out beside it::

    LlamadaProError
    ├── ConfigurationError            the client cannot be built or is already closed
    ├── InvalidRequestError           (ValueError) refused before any network use
    │   └── InvalidPhoneNumberError
    ├── PaginationError               the service handed out the same page token twice
    ├── WaitTimeoutError              (TimeoutError) a `wait` ended before what it waited for
    ├── JobError                      an import or a campaign stopped early; its cause says why
    └── APIError                      a call was sent, or at least tried
        ├── APIConnectionError        no answer
        │   └── APITimeoutError       (TimeoutError) no answer in time
        ├── APIResponseValidationError   an answer that is not what the document says
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
    """The client's options do not fit, or the client is closed. Nothing was sent."""


class InvalidRequestError(LlamadaProError, ValueError):
    """An argument that cannot be sent. Raised before any network use; the message says which one and why."""


class InvalidPhoneNumberError(InvalidRequestError):
    """A phone number that is not E.164 and cannot be made so without guessing."""


class PaginationError(LlamadaProError):
    """The service returned a page token that it had returned before, so the walk would never end."""


class WaitTimeoutError(LlamadaProError, TimeoutError):
    """What was waited for did not happen within the `timeout` given to `wait`.

    The thing itself goes on: waiting again, or asking once more later, is safe.
    """

    last: Any
    """What the service said last, or None if it never answered."""

    def __init__(self, message: str, *, last: Any = None) -> None:
        super().__init__(message)
        self.last = last


class JobError(LlamadaProError):
    """An import or a campaign that stopped early; `__cause__` is what stopped it.

    With a ledger, the same call goes on from there.
    """

    report: Any
    """What became of the rows so far: an `ImportReport` or a `SendReport`."""

    def __init__(self, message: str, *, report: Any) -> None:
        super().__init__(message)
        self.report = report


class APIError(LlamadaProError):
    """A call that was sent, or tried, and failed."""

    request: httpx.Request
    """What was sent, without the API key."""

    may_have_been_processed: bool
    """True if a writing call may have taken effect although it failed: check before retrying."""

    request_id: str | None
    """The service's id of this request, from the ``X-Request-Id`` header; None if no answer told one."""

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
    """The answer did not come within `timeout` (one attempt) or `deadline` (the whole call)."""


class APIResponseValidationError(APIError):
    """A complete answer that cannot be read as the document says, or one over `max_response_bytes`."""

    response: httpx.Response
    """The answer as it came."""

    place: str
    """Where in the answer it went wrong, such as ``items[3].addresses``; empty for the answer as a whole."""

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
    """What the service says beyond its message, usually a dictionary; None if nothing."""
    body: Any
    """The decoded JSON body, or its text if it is not JSON."""
    response: httpx.Response
    retry_after: float | None
    """Seconds that the service asks to wait before the next try, if it said so."""

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
    """400: the service found the request wrong; `details` says where."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the API key may not do this."""


class NotFoundError(APIStatusError):
    """404: there is no such thing (any more)."""


class ConflictError(APIStatusError):
    """409: it stands against the present state, such as deleting a custom field that still has values."""


class UnprocessableEntityError(APIStatusError):
    """422: well-formed, but not acceptable."""


class RateLimitError(APIStatusError):
    """429: too many requests; `retry_after` says how long to wait, if the service said it. It was not processed."""


class InternalServerError(APIStatusError):
    """500 or above: the service failed. A writing call may have taken effect all the same."""


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
    """The error class that stands for an HTTP status."""
    if status_code >= 500:
        return InternalServerError
    return _BY_STATUS.get(status_code, APIStatusError)
