"""Clocks for clients under test: waiting takes no time, or as much as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable


class FakeClock:
    """Time passes only when somebody sleeps, and sleeping takes none."""

    def __init__(
        self, jitter: float = 0.5, on_sleep: Callable[[], None] | None = None, *, start: float | None = None
    ) -> None:
        self.time = time.time() if start is None else start
        self.sleeps: list[float] = []
        self._jitter = jitter
        self._on_sleep = on_sleep

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += max(seconds, 0.0)
        if self._on_sleep:
            self._on_sleep()
        await asyncio.sleep(0)

    def jitter(self) -> float:
        return self._jitter


class ManualClock(FakeClock):
    """Who sleeps stays asleep until the test lets time pass."""

    def __init__(self, jitter: float = 0.5) -> None:
        super().__init__(jitter)
        self._asleep: list[tuple[float, asyncio.Future[None]]] = []

    @property
    def sleepers(self) -> int:
        return sum(not future.done() for _, future in self._asleep)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asleep.append((self.time + seconds, future))
        self.advance(0.0)
        await future

    def advance(self, seconds: float) -> None:
        self.time += seconds
        for until, future in self._asleep:
            if until <= self.time + 1e-9 and not future.done():
                future.set_result(None)


class SimulatedClock(ManualClock):
    """Time passes when nobody has anything left to do before the next sleeper is due."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        passing = asyncio.ensure_future(self._pass())
        yield
        passing.cancel()

    async def _pass(self) -> None:
        while True:
            for _ in range(100):
                await asyncio.sleep(0)
            due = [until for until, future in self._asleep if not future.done()]
            if due:
                self.advance(max(0.0, min(due) - self.time))
            self._asleep = [(until, future) for until, future in self._asleep if not future.done()]


class HurriedClock:
    """Real time with short waits, for thousands of calls."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.003))

    def jitter(self) -> float:
        return self._random.random() * 0.01
