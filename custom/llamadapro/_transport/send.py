"""The one way to the network: every request goes through `Transport.run`, a download's too.

limit → attempt → read → classify → retry or raise. policy.py says what an outcome means; this is the loop that acts on
it.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import Engine
from .failures import to_error
from .httpx_engine import HttpxEngine, UserClientEngine
from .limits import Clock, DeadlineExceeded, Limits, SystemClock
from .policy import Failure, Outcome, retry_delay
from .redaction import Redactor, redact_error
from .state import RequestState, add_exchange, log, notify

T = TypeVar("T")

MAX_PAUSE = 60.0
"""Seconds that a 429 holds up the other requests of the client, however long it asks its own to wait."""


class Transport:
    """Connections, limits and the retry loop; shared by a client and its copies."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.redactor: Redactor = Redactor(config.api_key)
        self.closed: bool = False
        self._limits = Limits(config.max_connections, config.rate_limit, self.clock)
        self._engine: Engine = _build_engine(config)

    async def aclose(self) -> None:
        self.closed = True
        await self._engine.aclose()

    async def run(self, state: RequestState[T]) -> T:
        """Make attempts until one succeeds or none is left; raises an `APIError`, or what a tool or a disk raised."""
        self._check_open()
        try:
            while True:
                result = await self._attempt(state)
                if not isinstance(result, Failure):
                    return result
                wait = self._retry_delay(result, state)
                if wait is None:
                    break
                log.info("%s: %s; retry %d in %.2f s", state.title, result.reason, state.retries + 1, wait)
                await self.clock.sleep(wait)
        finally:
            add_exchange(self, state.as_exchange)
        raise to_error(result, state) from (
            result.cause and redact_error(result.cause, self.redactor, state.redacted_request())
        )

    def _retry_delay(self, failure: Failure, state: RequestState[T]) -> float | None:
        """Seconds to wait before the next attempt, or None for none."""
        state.note(failure)
        if state.out_of_time:
            return None
        wait = retry_delay(
            failure.outcome,
            safe=state.is_repeatable,
            retries=state.retries,
            max_retries=state.config.max_retries,
            retry_after=failure.retry_after,
            jitter=self.clock.jitter(),
            remaining=state.remaining(),
        )
        if failure.outcome is Outcome.RATE_LIMITED and state.rate_limited:
            pause = min(MAX_PAUSE, failure.retry_after or wait or 0.0)
            self._limits.pause(pause)
            if pause:
                log.info("%s: status 429; all requests of this client wait for %.2f s", state.title, pause)
        return wait

    def _check_open(self) -> None:
        if self.closed:
            raise ConfigurationError("this client is closed; create a new one")

    async def _attempt(self, state: RequestState[T]) -> T | Failure:
        """One attempt, from waiting for its turn to reading the response; it ends by the deadline."""
        state.begin_attempt()
        started = self.clock.now()
        result: T | Failure
        slots = self._limits.slots
        queueing = slots.locked() or self._limits.is_limiting
        scope = asyncio.timeout_at(state.attempt_end(queueing=queueing))
        try:
            async with scope, slots:
                if queueing:
                    if state.rate_limited:
                        await self._limits.acquire(state.remaining())
                    started = self.clock.now()
                    scope.reschedule(state.attempt_end(queueing=False))
                self._check_open()  # it may have been closed meanwhile: nothing is sent any more
                result = await state.exchange(self._engine, scope)
        except TimeoutError as timeout:
            if not scope.expired():  # a limiter's or a callback's; engines' do not come this far
                self._notify(state, started, type(timeout).__name__)
                raise
            result = state.timeout_failure(timeout)
        except DeadlineExceeded:
            state.out_of_time = True
            result = Failure(Outcome.NOT_SENT, "its turn would come after its deadline", None, timed_out=True)
        except Exception as raised:
            self._notify(state, started, type(raised).__name__)
            raise
        self._notify(state, started, result.reason if isinstance(result, Failure) else None)
        return result

    def _notify(self, state: RequestState[T], started: float, error: str | None) -> None:
        notify(state.config.on_attempt, lambda: state.as_attempt(self.clock.now() - started, error))


def _build_engine(config: Config) -> Engine:
    """The engine that a configuration asks for; nothing is opened yet."""
    if config.http_client is not None:
        return UserClientEngine(config.http_client)
    try:
        if config.engine == "aiohttp":
            from .aiohttp_engine import AiohttpEngine

            return AiohttpEngine(config)
        return HttpxEngine(config)
    except ImportError as error:
        raise ConfigurationError(
            f"engine='{config.engine}' needs the extra: pip install 'llamadapro[{config.engine}]'"
        ) from error
