"""How many requests at once, how many a second, and a pause for all when the service says 429."""

from __future__ import annotations

import asyncio

from .._config import RateLimiter
from .clock import Clock


class DeadlineExceeded(Exception):
    """The wait for its turn would outlast the call."""


class Limits:
    """Shared by a client and all its copies."""

    def __init__(self, max_connections: int, rate_limit: float | RateLimiter | None, clock: Clock) -> None:
        # In front of the connection pool rather than in it: asyncio's semaphore is fair and cheap, while httpcore's
        # queue is scanned by every waiter at every change.
        self.slots: asyncio.Semaphore = asyncio.Semaphore(max_connections)
        self._clock = clock
        self._limiter = rate_limit if isinstance(rate_limit, RateLimiter) else None
        self._interval = 0.0 if rate_limit is None or isinstance(rate_limit, RateLimiter) else 1.0 / rate_limit
        self._next = 0.0
        self._paused_until = 0.0

    def has_capacity(self) -> bool:
        """Whether a request may go at once."""
        return not (self._limiter or self._interval or self._paused_until or self.slots.locked())

    def pause(self, seconds: float) -> None:
        """Let no request go for a while: the service has said that there are too many."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    async def acquire(self, remaining: float | None) -> None:
        """Wait until the next request may go; raises `DeadlineExceeded` at once if that is too late."""
        if self._limiter is not None:
            await self._limiter.acquire()
        if not self._interval and not self._paused_until:
            return
        now = self._clock.now()
        at = max(now, self._next, self._paused_until)
        if remaining is not None and at - now >= remaining:
            raise DeadlineExceeded
        if self._interval:
            self._next = at + self._interval
        while at > now:
            await self._clock.sleep(at - now)
            # Another 429 may have come meanwhile.
            now = self._clock.now()
            at = max(at, self._paused_until)
        if self._paused_until <= now:
            self._paused_until = 0.0
