"""One request on its way, whatever it is for: what the retry loop knows and asks of it, and what is shown of it.

Each attempt is an event, for `on_attempt` and a debug line; each call an exchange, for `client.capture_exchanges()`.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import attrs
import httpx

from .._config import Config
from .base_engine import Engine
from .limits import Clock
from .policy import Failure
from .redaction import Redactor

T = TypeVar("T")

REQUEST_ID = "x-request-id"
"""The header with the service's id of a request, for whoever asks it about one."""

log: logging.Logger = logging.getLogger("llamadapro.transport")


@attrs.frozen(kw_only=True)
class Attempt:
    """One attempt of one call, as given to `on_attempt`."""

    operation: str
    """The operation's name in snake_case, such as ``get_contact``; ``request`` for `client.request`."""
    method: str
    path: str
    """Without the query, which may hold personal data."""
    number: int
    """1 for the first."""
    elapsed: float
    """Seconds, from taking a connection to the end of the body."""
    status_code: int | None
    """None if no response came."""
    request_id: str | None
    error: str | None
    """What went wrong, in a few words; None if nothing."""


@attrs.frozen(kw_only=True)
class Exchange:
    """One call, as captured by `client.capture_exchanges()`: what its last attempt brought, and how many there were."""

    operation: str
    method: str
    path: str
    status_code: int | None
    headers: httpx.Headers
    request_id: str | None
    attempts: int
    elapsed: float
    """Seconds, waiting included."""


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
        found = None if self.response is None else self.response.headers.get(REQUEST_ID)
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


Captures = tuple[tuple[object, list[Exchange]], ...]
_captures: ContextVar[Captures] = ContextVar("llamadapro_captures", default=())


@contextmanager
def capture(owner: object) -> Iterator[list[Exchange]]:
    """Collect the exchanges of `owner`'s calls made in this context and in tasks started from it."""
    exchanges: list[Exchange] = []
    token = _captures.set((*_captures.get(), (owner, exchanges)))
    try:
        yield exchanges
    finally:
        _captures.reset(token)


def add_exchange(owner: object, make: Callable[[], Exchange]) -> None:
    """Add an exchange to the captures of its owner; costs nothing where there are none."""
    for captured, exchanges in _captures.get():
        if captured is owner:
            exchanges.append(make())


def notify(on_attempt: Callable[[Attempt], Any] | None, make: Callable[[], Attempt]) -> None:
    """The debug line, and the caller's callback; a callback's own failure must not change what is sent.

    Costs nothing where there is neither.
    """
    debugged = log.isEnabledFor(logging.DEBUG)
    if on_attempt is None and not debugged:
        return
    attempt = make()
    if debugged:
        result = attempt.status_code if attempt.error is None else f"{attempt.status_code or '-'} ({attempt.error})"
        log.debug(
            "%s %s -> %s in %.0f ms, attempt %d, request id %s",
            *(attempt.method, attempt.path, result, attempt.elapsed * 1000, attempt.number, attempt.request_id or "-"),
        )
    if on_attempt is not None:
        try:
            on_attempt(attempt)
        except Exception:
            log.exception("on_attempt failed")
