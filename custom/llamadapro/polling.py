"""Asking again until something has happened: with growing intervals, within a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .errors import InvalidRequestError, WaitTimeoutError
from .transport import Clock

T = TypeVar("T")

FIRST_INTERVAL = 0.5
LONGEST_INTERVAL = 10.0
GROWTH = 1.5


async def poll(
    ask: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    *,
    timeout: float,
    clock: Clock,
    what: str,
) -> T:
    """Ask until `done` says yes; raises `WaitTimeoutError` with the last answer after `timeout` seconds."""
    if not timeout > 0:
        raise InvalidRequestError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    ends = clock.now() + timeout
    interval = FIRST_INTERVAL
    last: T | None = None
    while True:
        # The last question is not let run past the end either.
        scope = asyncio.timeout(ends - clock.now())
        try:
            async with scope:
                last = await ask()
        except TimeoutError:
            if not scope.expired():
                raise  # the question's own deadline
            raise _too_late(what, timeout, last) from None
        if done(last):
            return last
        left = ends - clock.now()
        if left <= 0:
            raise _too_late(what, timeout, last)
        await clock.sleep(min(interval, left))
        interval = min(LONGEST_INTERVAL, interval * GROWTH)


def _too_late(what: str, timeout: float, last: object) -> WaitTimeoutError:
    status = getattr(last, "status", None)
    seen = f"; its last status was {status!r}" if status else ""
    return WaitTimeoutError(
        f"waited {timeout:g} s for {what}{seen}; it goes on, and can be waited for again", last=last
    )
