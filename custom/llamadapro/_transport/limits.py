"""How many requests at once, how many a second, a pause for all when the service answers 429; and the clock for it."""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from inspect import isawaitable
from threading import Lock
from typing import Any, Protocol

from .._config import RateLimiter
from ..errors import ConfigurationError
from .loops import LoopLocal

MAX_LAG = 0.05
"""Seconds that the next turns may make up for one that was taken late. Timers ring late by a millisecond or more, which
would lower the rate; but a loop that was blocked for longer must not send its backlog at once."""


class Clock(Protocol):
    """Time and chance, as far as policy depends on them: one object, so that tests can stand in for both."""

    def now(self) -> float:
        """Seconds that only ever grow."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        ...


class SystemClock:
    """Real time, real chance."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return random.random()


class DeadlineExceeded(Exception):
    """The wait for its turn would outlast the request's deadline."""


class Limits:
    """Shared by a client and all its copies, in all event loops and threads.

    Each loop has connections of its own, so requests at once count per loop. Rate and pauses are the service's: they
    hold over all loops, so nothing in them belongs to one.
    """

    def __init__(self, max_connections: int, rate_limit: float | RateLimiter | None, clock: Clock) -> None:
        # In front of the connection pool rather than in it: asyncio's semaphore is fair and cheap, while httpcore's
        # queue is scanned by every waiter at every change.
        self._slots = LoopLocal(lambda: asyncio.Semaphore(max_connections))
        self._clock = clock
        self._limiter = rate_limit if isinstance(rate_limit, RateLimiter) else None
        self._interval = 0.0 if rate_limit is None or isinstance(rate_limit, RateLimiter) else 1.0 / rate_limit
        self._queues = LoopLocal(_Queue)
        self._next = -math.inf
        self._paused_until = 0.0
        self._lock = Lock()
        self._pid = os.getpid()

    @property
    def slots(self) -> asyncio.Semaphore:
        """Held by each request that is under way in the running loop."""
        return self._slots.get()

    @property
    def is_limiting(self) -> bool:
        """Whether a request that has a slot may have to wait all the same."""
        return bool(self._limiter or self._interval or self._paused_until)

    def pause(self, seconds: float) -> None:
        """Let no request go for a while: the service has answered that there are too many."""
        with self._locked():
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    async def acquire(self, remaining: float | None) -> None:
        """Wait until the next request may go; raises `DeadlineExceeded` at once if that is too late.

        A turn is taken when it comes, and not before: a wait that is cancelled or too long has none to give back.
        """
        until = math.inf if remaining is None else self._clock.now() + remaining
        if self._limiter is not None:
            await self._wait(until)  # for the end of a pause: a limiter that gave turns meanwhile would let all go then
            turn: Any = self._limiter.acquire()
            if not isawaitable(turn):
                raise ConfigurationError("rate_limit: its acquire() must be asynchronous, `async def acquire()`")
            await turn
        await self._wait(until)

    async def _wait(self, until: float) -> None:
        queue = self._queues.get()
        ahead = queue.length
        queue.length += 1
        try:
            if ahead:  # with one to spare: a turn that comes at the last moment would be wasted
                self._check_deadline(ahead + 1, until)
            async with queue.lock:  # the first of each loop waits for its turn, the others for the first
                waited = ahead > 0
                while not self._take_turn(waited):
                    await self._clock.sleep(self._check_deadline(0, until))
                    waited = True
        finally:
            queue.length -= 1

    def _check_deadline(self, ahead: int, until: float) -> float:
        """The seconds to the turn that comes after `ahead` others; raises `DeadlineExceeded` if that is too late."""
        now = self._clock.now()
        turn = max(now, self._next, self._paused_until) + ahead * self._interval
        if turn > now and turn >= until:
            raise DeadlineExceeded
        return turn - now

    def _take_turn(self, waited: bool) -> bool:
        """Take the turn that has come, if one has; no two requests get the same."""
        with self._locked():
            now, turn = self._clock.now(), max(self._next, self._paused_until)
            if turn > now:
                return False
            self._paused_until = 0.0
            self._next = (turn if waited and now - turn <= MAX_LAG else now) + self._interval
            return True

    def _locked(self) -> Lock:
        if self._pid != os.getpid():  # a fork may have copied a lock that a thread held, and that thread is not here
            self._pid, self._lock = os.getpid(), Lock()
        return self._lock


class _Queue:
    """Those of one loop who wait for a turn, in their order."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0
