"""Asking again until something has happened: with growing intervals, within a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from ._config import as_seconds
from ._transport import Clock
from .errors import InvalidRequestError, NotFoundError, WaitTimeoutError

T = TypeVar("T")

FIRST_INTERVAL = 0.5
MAX_INTERVAL = 10.0
GROWTH = 1.5

_NOTHING = object()


def has_status(record: Any, statuses: Collection[str]) -> bool:
    """Whether a record's status, which may be anything that the service answers, is one of these."""
    return isinstance(record.status, str) and record.status in statuses


def check_statuses(statuses: Any, name: str) -> None:
    """Raises `InvalidRequestError` for a single text too, which every part of itself would be found in."""
    if isinstance(statuses, str) or not isinstance(statuses, Collection):
        raise InvalidRequestError(f"{name} must be a collection of statuses, such as ('failed',), not {statuses!r}")


async def poll(
    ask: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    *,
    timeout: float,
    clock: Clock,
    what: str,
    advice: str = "it is still in progress: call wait() again, or give it more time",
    on_status: Callable[[T], object] | None = None,
) -> T:
    """Ask until `done` is true; raises `WaitTimeoutError` with the last answer after `timeout` seconds.

    `on_status` is called with the first answer and with each whose status differs from the one before.
    """
    if as_seconds(timeout) is None:
        raise InvalidRequestError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    if on_status is not None and not callable(on_status):
        raise InvalidRequestError(f"on_status must be something to call, not {on_status!r}")
    ends = clock.now() + timeout
    interval = FIRST_INTERVAL
    last: T | None = None
    reported: object = _NOTHING
    while True:
        # The last request does not run past the end either.
        scope = asyncio.timeout(ends - clock.now())
        try:
            async with scope:
                last = await ask()
        except TimeoutError:
            if not scope.expired():
                raise  # the request's own deadline
            raise _timeout_error(what, timeout, last, advice) from None
        status = getattr(last, "status", None)
        if on_status is not None and (reported is _NOTHING or status != reported):
            on_status(last)
            reported = status
        if done(last):
            return last
        left = ends - clock.now()
        if left <= 0:
            raise _timeout_error(what, timeout, last, advice)
        await clock.sleep(min(interval, left))
        interval = min(MAX_INTERVAL, interval * GROWTH)


def _timeout_error(what: str, timeout: float, last: object, advice: str) -> WaitTimeoutError:
    status = getattr(last, "status", None)
    seen = f"; its last status was {status!r}" if status else ""
    return WaitTimeoutError(f"timed out after {timeout:g} s waiting for {what}{seen}; {advice}", last=last)


async def poll_until_found(
    ask: Callable[[], Awaitable[T]],
    *,
    timeout: float | None,
    clock: Clock,
    what: str,
    advice: str,
    why_never: Callable[[], Awaitable[str | None]],
) -> T:
    """Ask for what may not exist yet: a 404 means not yet, any other error is one. Without a timeout, ask once.

    `why_never` says why it can no longer appear, or None; a reason ends the wait at once.
    """
    if timeout is None:
        return await ask()

    async def ask_once() -> T | None:
        try:
            return await ask()
        except NotFoundError:
            if reason := await why_never():
                raise WaitTimeoutError(f"stopped waiting for {what}: {reason}") from None
            return None

    found = await poll(
        ask_once, lambda thing: thing is not None, timeout=timeout, clock=clock, what=what, advice=advice
    )
    assert found is not None  # what `done` has just made sure of
    return found
