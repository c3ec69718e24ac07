"""The sandbox's time: it runs at the speed that is set, and a test advances it instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import inf

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """`speed` 1 is real time, 10 ten times as fast, 0 stands still (and moves only by `advance`)."""

    def __init__(self, *, ahead: float = 0.0, speed: float = 1.0, on_change: Callable[[float], None] | None = None):
        self._speed = _checked(speed)
        self._on_change = on_change
        self._real = time.monotonic()
        self._shown = time.time() + ahead

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._shown, self._real, self._speed = self.time(), time.monotonic(), _checked(value)

    @property
    def ahead(self) -> float:
        """Seconds that this clock is ahead of the real one."""
        return self.time() - time.time()

    def time(self) -> float:
        return self._shown + (time.monotonic() - self._real) * self._speed

    def now(self) -> datetime:
        return moment(self.time())

    def stamp(self) -> str:
        """Now, as the API writes dates."""
        return written(self.now())

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds at once: calls progress, messages arrive, tasks fall due."""
        if seconds < 0:
            raise ValueError("the clock can only be advanced: give 0 seconds or more")
        moment(self.time() + seconds)  # refuses to leave the calendar before anything has moved
        self._shown += seconds
        self._changed()

    def set_ahead(self, seconds: float) -> None:
        """Put the clock so many seconds ahead of the real one (back again, for a reset)."""
        self._shown, self._real = time.time() + seconds, time.monotonic()
        self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self.ahead)


def _checked(speed: float) -> float:
    if not 0 <= speed < inf:
        raise ValueError("the clock's speed must be a number of 0 or more")
    return speed


def moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def written(when: datetime) -> str:
    """The API's way of writing a date: UTC, milliseconds, Z."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """A valid date-time as seconds since 1970; leap seconds and years that Python lacks do not break it."""
    for candidate in (text, text.upper().replace(":60", ":59")):
        try:
            when = datetime.fromisoformat(candidate)
        except ValueError:
            continue
        return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH).total_seconds()
    return float("-inf")
