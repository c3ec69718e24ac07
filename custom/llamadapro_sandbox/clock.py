"""The sandbox's time: it runs at the speed that is set, and a test advances it instead of sleeping."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH).total_seconds()
MAX_SPEED = 1e6
"""Eleven days in a second."""
DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d", re.ASCII)


class Clock:
    """`speed` 1 is real time, 10 ten times as fast, 0 stands still (and moves only by `advance`)."""

    def __init__(self, *, ahead: float = 0.0, speed: float = 1.0, on_change: Callable[[float], None] | None = None):
        self._speed = _checked(speed)
        self._on_change = on_change
        self.changes: int = 0
        """How often somebody has turned the clock."""
        self._real = time.monotonic()
        self._shown = time.time() + ahead

    def __repr__(self) -> str:
        return f"<Clock {self.stamp()}, {self.ahead:.3f} s ahead, speed {self.speed:g}>"

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._shown, self._real, self._speed = self.time(), time.monotonic(), _checked(value)
        self.changes += 1

    @property
    def ahead(self) -> float:
        """Seconds that this clock is ahead of the real one."""
        return self.time() - time.time()

    def time(self) -> float:
        return min(self._shown + (time.monotonic() - self._real) * self._speed, LATEST)

    def now(self) -> datetime:
        return moment(self.time())

    def stamp(self) -> str:
        """Now, as the API writes dates."""
        return written(self.now())

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds at once: calls progress, messages arrive, tasks fall due."""
        if not 0 <= seconds <= LATEST - self.time():
            raise ValueError(f"the clock cannot be advanced by {seconds} s: give 0 or more, up to the year 9999")
        self._shown = self.time() + seconds
        self._real = time.monotonic()
        self._changed()

    def set_ahead(self, seconds: float) -> None:
        """Put the clock so many seconds ahead of the real one (back again, for a reset)."""
        if not 0 <= time.time() + seconds <= LATEST:
            raise ValueError(f"the clock cannot be {seconds} s ahead: years 1970 to 9999 are possible")
        self._shown, self._real = time.time() + seconds, time.monotonic()
        self._changed()

    def _changed(self) -> None:
        self.changes += 1
        if self._on_change is not None:
            self._on_change(self.ahead)


def _checked(speed: float) -> float:
    if not 0 <= speed <= MAX_SPEED:
        raise ValueError(f"the clock's speed must be a number from 0 to {MAX_SPEED:g}, not {speed}")
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
