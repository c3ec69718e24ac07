"""Rate limit and pauses: turns that nobody takes go to the others, whoever waits, in whatever loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamadapro import ConfigurationError
from llamadapro._transport.limits import MAX_LAG, DeadlineExceeded, Limits
from tests.clocks import FakeClock, ManualClock

STEP = 0.01


async def test_a_limiter_that_is_not_asynchronous_says_so() -> None:
    class Sync:
        def acquire(self) -> bool:
            return True

    limits = Limits(100, Sync(), FakeClock())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="must be asynchronous"):
        await limits.acquire(None)


class Run:
    """Virtual time: `go` lets it pass, in small steps."""

    def __init__(self, rate: float) -> None:
        self.clock = ManualClock()
        self.begin = self.clock.time
        self.limits = Limits(100, rate, self.clock)
        self.served: list[float] = []

    async def turn(self, remaining: float | None = None) -> None:
        await self.limits.acquire(remaining)
        self.served.append(self.clock.time - self.begin)

    async def go(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            for _ in range(6):
                await asyncio.sleep(0)
            self.clock.advance(STEP)

    def within(self, start: float, stop: float) -> int:
        return sum(start <= at < stop for at in self.served)


async def ended(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def worker(run: Run, patience: float | None) -> None:
    """Asks for one turn after another, and gives each wait up after `patience` seconds."""
    while True:
        turn = asyncio.ensure_future(run.turn())
        try:
            if patience is None:
                await turn
            else:
                giving_up = asyncio.ensure_future(run.clock.sleep(patience))
                await asyncio.wait((turn, giving_up), return_when=asyncio.FIRST_COMPLETED)
                giving_up.cancel()
        finally:
            turn.cancel()


@settings(max_examples=12, deadline=None)
@given(
    rate=st.sampled_from([2.0, 5.0, 17.0]),
    patience=st.lists(st.one_of(st.none(), st.floats(0.05, 3.0)), min_size=8, max_size=12),
)
async def test_the_rate_is_served_however_many_give_up_waiting(rate: float, patience: list[float | None]) -> None:
    run = Run(rate)
    tasks = [asyncio.ensure_future(worker(run, one)) for one in (*patience, None)]
    await run.go(10)
    await ended(tasks)
    assert 0.9 * rate * 10 <= len(run.served) <= 1.05 * rate * 10 + 1
    assert all(later - at >= 1 / rate - MAX_LAG - 1e-6 for at, later in zip(run.served, run.served[1:], strict=False))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 100)), min_size=1, max_size=40))
async def test_cancelled_waits_leave_nothing_behind(waits: list[tuple[int, int]]) -> None:
    """Whenever they come and go: who comes afterwards waits for one turn at most."""
    run = Run(5)
    tasks: list[tuple[int, asyncio.Task[None]]] = []
    for at in range(500):
        tasks += [(at + length, asyncio.ensure_future(run.turn())) for start, length in waits if start == at]
        await run.go(STEP)
        for until, task in tasks:
            if until <= at:
                task.cancel()
    served = run.clock.time
    last = asyncio.ensure_future(run.turn())
    await run.go(0.25)
    assert last.done()
    assert run.clock.time - served <= 0.25 + STEP
    await ended([task for _, task in tasks])


async def test_a_call_after_eighty_cancelled_ones_does_not_wait_for_them() -> None:
    run = Run(2)
    await run.turn()
    crowd = [asyncio.ensure_future(run.turn()) for _ in range(80)]
    await run.go(0.1)
    await ended(crowd)
    alone = asyncio.ensure_future(run.turn())
    await run.go(0.5)
    assert alone.done()
    assert run.served == pytest.approx([0.0, 0.5], abs=2 * STEP)


async def test_a_turn_refused_for_its_deadline_is_left_to_the_others() -> None:
    run = Run(2)
    await run.turn()
    first = asyncio.ensure_future(run.turn())
    await run.go(STEP)
    for _ in range(50):
        with pytest.raises(DeadlineExceeded):
            await run.turn(remaining=0.9)  # there is one before it
    second = asyncio.ensure_future(run.turn(remaining=1.5))
    await run.go(1.1)
    assert first.done()
    assert second.done()
    assert run.served == pytest.approx([0.0, 0.5, 1.0], abs=2 * STEP)


async def test_a_deadline_that_a_pause_takes_away_gives_the_turn_back() -> None:
    run = Run(1)
    await run.turn()
    waiting = asyncio.ensure_future(run.turn(remaining=1.5))
    await run.go(0.5)
    run.limits.pause(2.0)
    await run.go(0.6)
    with pytest.raises(DeadlineExceeded):
        await waiting
    other = asyncio.ensure_future(run.turn())
    await run.go(1.5)
    assert other.done()


async def test_a_blocked_loop_sends_no_burst_afterwards() -> None:
    run = Run(10)
    tasks = [asyncio.ensure_future(run.turn()) for _ in range(40)]
    await run.go(0.5)
    run.clock.advance(2.0)  # nobody could do anything meanwhile
    await run.go(1.0)
    assert run.within(0, 0.49) == 5
    assert run.within(2.49, 3.49) == 10
    gaps = [later - at for at, later in zip(run.served, run.served[1:], strict=False)]
    assert min(gaps) >= 0.1 - 1e-6
    await ended(tasks)


async def test_timers_that_ring_late_do_not_lower_the_rate() -> None:
    class Late(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + 0.03)

    run = Run(20)
    run.limits = Limits(100, 20, clock := Late())
    run.clock, run.begin = clock, clock.time
    tasks = [asyncio.ensure_future(run.turn()) for _ in range(300)]
    await run.go(10)
    await ended(tasks)
    assert 180 <= len(run.served) <= 211


async def test_a_timer_that_rings_late_does_not_lower_the_rate_of_one_alone() -> None:
    class Late(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + 0.03)

    limits = Limits(100, 20, clock := Late(start=0.0))
    for _ in range(21):
        await limits.acquire(None)
    assert clock.time == pytest.approx(1.03)


async def test_another_pause_during_a_turn_is_waited_for_too() -> None:
    run = Run(2)
    await run.turn()
    task = asyncio.ensure_future(run.turn())
    await run.go(0.2)
    run.limits.pause(3.0)
    await run.go(4)
    assert task.done()
    assert run.served[1] == pytest.approx(3.2, abs=3 * STEP)


# --- over loops, threads and processes -----------------------------------------------------------------------------


class Ticks:
    """A clock for several threads: real, since they really run."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return 0.5


def in_threads(number: int, main: Callable[[], Awaitable[None]]) -> None:
    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(number)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_rate_holds_over_all_threads() -> None:
    limits, served = Limits(100, 100, Ticks()), list[float]()

    async def main() -> None:
        async def one() -> None:
            await limits.acquire(None)
            served.append(Ticks().now())

        await asyncio.gather(*(one() for _ in range(8)))

    in_threads(4, main)
    assert len(served) == 32
    assert max(served) - min(served) >= 0.31 - 2 * MAX_LAG


def test_a_pause_holds_in_every_loop() -> None:
    limits, begun, served = Limits(1, None, Ticks()), list[float](), list[float]()

    async def pause() -> None:
        begun.append(Ticks().now())
        limits.pause(0.1)

    async def main() -> None:
        await limits.acquire(None)
        served.append(Ticks().now())

    asyncio.run(pause())
    in_threads(2, main)
    asyncio.run(main())
    assert len(served) == 3
    assert min(served) >= begun[0] + 0.1


def test_a_loop_that_ended_with_waiting_calls_holds_nobody_up() -> None:
    limits = Limits(1, 100, Ticks())

    async def leave() -> None:
        await limits.acquire(None)
        tasks.extend(asyncio.ensure_future(limits.acquire(None)) for _ in range(5))
        await asyncio.sleep(0)

    async def main() -> None:
        async with asyncio.timeout(5):
            for _ in range(3):
                await limits.acquire(None)

    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())  # stopped, its tasks still waiting
    asyncio.run(main())
    loop.run_until_complete(asyncio.gather(*tasks))
    loop.close()


def test_requests_at_once_count_per_loop() -> None:
    limits = Limits(1, None, Ticks())

    async def main() -> None:
        async with limits.slots:
            assert limits.slots.locked()
            waiting = asyncio.ensure_future(limits.slots.acquire())
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting
        limits.slots.release()
        assert not limits.slots.locked()

    for _ in range(2):
        asyncio.run(main())
    in_threads(2, main)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_lock_that_a_thread_held_at_the_fork_does_not_stop_the_child() -> None:
    limits = Limits(1, 100, Ticks())
    limits._lock.acquire()
    child = os.fork()
    if not child:

        async def acquire() -> None:
            limits.pause(0.001)
            await limits.acquire(None)

        try:
            asyncio.run(acquire())
            os._exit(0)
        finally:
            os._exit(1)
    limits._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
