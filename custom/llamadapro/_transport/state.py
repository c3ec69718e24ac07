"""One request on its way, whatever it is for: what the retry loop knows of it, and asks of it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import httpx

from .._config import Config
from .base_engine import Engine
from .clock import Clock
from .events import Attempt, Exchange
from .failures import Failure, request_id_of
from .redaction import Redactor

T = TypeVar("T")


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
    def advice(self, status_code: int | None) -> str | None: ...

    def begin_attempt(self) -> None:
        self.attempts += 1
        self.retries += 1
        self.response = None

    def note(self, failure: Failure) -> None:
        """Take in what a failed attempt leaves behind."""
        self.maybe_processed = self.maybe_processed or failure.may_have_been_processed

    def request_id(self) -> str | None:
        found = request_id_of(self.response)
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
