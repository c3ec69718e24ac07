"""How many requests at once, how many a second, and a pause for all when the service answers 429."""

from __future__ import annotations

import asyncio
import os
from heapq import heappop, heappush
from threading import Lock

from .._config import RateLimiter
from .clock import Clock
from .loops import LoopLocal

MAX_LAG = 0.05
"""Seconds that the next turns may make up for one that was taken late. Timers ring late by a millisecond or more, which
would lower the rate; but a loop that was blocked for longer must not send its backlog at once."""


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
        self._next = float("-inf")
        self._returned: list[float] = []  # a heap of turns that were not taken
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

        A turn that is not taken, because its wait is cancelled or too long, goes to the next.
        """
        until = None if remaining is None else self._clock.now() + remaining
        if self._limiter is not None:
            await self._wait_for_pause(until)
            await self._limiter.acquire()
        if self._interval:
            await self._wait_for_turn(until)
        else:
            await self._wait_for_pause(until)

    async def _wait_for_pause(self, until: float | None) -> None:
        while paused_until := self._pause_end():
            await self._sleep(paused_until, until)

    async def _wait_for_turn(self, until: float | None) -> None:
        queue = self._queues.get()
        ahead = queue.length
        _check_deadline(self._next_turn() + ahead * self._interval, until)
        queue.length += 1
        try:
            async with queue.lock:  # the first of each loop waits for a turn, the others for the first
                while not await self._take_turn(until, waited=ahead > 0):
                    ahead = 0
        finally:
            queue.length -= 1

    async def _take_turn(self, until: float | None, *, waited: bool) -> bool:
        """Wait for a turn; False if it passed meanwhile, because the loop was blocked or the service said 429."""
        now = self._clock.now()
        turn = self._reserve(max(self._pause_end(), now - MAX_LAG if waited else now))
        try:
            await self._sleep(turn, until)
        except BaseException:
            self._return(turn)
            raise
        return self._clock.now() - turn <= MAX_LAG and not self._pause_end()

    async def _sleep(self, end: float, until: float | None) -> None:
        _check_deadline(end, until)
        seconds = end - self._clock.now()
        if seconds > 0:
            await self._clock.sleep(seconds)

    def _reserve(self, earliest: float) -> float:
        """When the next turn is that nobody has; no two requests get the same."""
        with self._locked():
            while self._returned:
                turn = heappop(self._returned)
                if turn >= earliest:
                    return turn
            turn = max(earliest, self._next)
            self._next = turn + self._interval
            return turn

    def _return(self, turn: float) -> None:
        with self._locked():
            heappush(self._returned, turn)

    def _next_turn(self) -> float:
        """When the next turn is, as things stand."""
        with self._locked():
            turn = self._returned[0] if self._returned else self._next
            return max(turn, self._clock.now(), self._paused_until)

    def _pause_end(self) -> float:
        """When the pause ends that holds now; 0 if none does."""
        with self._locked():
            if self._paused_until <= self._clock.now():
                self._paused_until = 0.0
            return self._paused_until

    def _locked(self) -> Lock:
        if self._pid != os.getpid():  # a fork may have copied a lock that a thread held, and that thread is not here
            self._pid, self._lock = os.getpid(), Lock()
        return self._lock


class _Queue:
    """Those of one loop who wait for a turn, in their order."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0


def _check_deadline(turn: float, until: float | None) -> None:
    if until is not None and turn >= until:
        raise DeadlineExceeded
