"""Dates that the standard library refuses; a module of its own so that python-dateutil loads only when one comes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from dateutil import parser

_LEAP_SECOND = re.compile(r"(?<=\d\d:\d\d:)60")
_LONGEST = 64
# As JavaScript writes it, GMT+0300 is three hours ahead; python-dateutil takes a name with an offset the POSIX way, as
# behind. What other names mean by it is not known, so they are refused.
_NAMED_OFFSET = re.compile(r"\b(?:GMT|UTC)\s?([+-]\d\d:?\d\d)\b")
_OTHER_NAMED_OFFSET = re.compile(r":\d\d(?:\.\d+)?\s*[A-Za-z]{2,}\s?[+-]\d")
# Read against two days that differ in year, month and day, and with day and month either way round: a text whose
# readings differ leaves something to guess, and a guessed date is worse than none.
_READINGS = ((datetime(2000, 1, 1), False), (datetime(2003, 2, 20), True))  # noqa: DTZ001 # read_datetime adds the zone


def parse_datetime(value: Any) -> datetime | None:
    """Read ``24:00:00``, a leap second, a lower-case ``z``, RFC 2822 and the like; None where it would be a guess."""
    if not isinstance(value, str) or len(value) > _LONGEST or value.startswith("-"):  # a year before the first
        return None
    text = _LEAP_SECOND.sub("59", value)
    # A datetime cannot hold the sixtieth second; the next minute's first is the same instant to every clock without it.
    leap = timedelta(seconds=1) if text != value else timedelta()
    try:
        return _parse(text) + leap
    except Exception:  # python-dateutil promises ValueError, and lets out whatever its arithmetic raises
        return None


def _parse(text: str) -> datetime:
    try:
        return parser.isoparse(text)
    except ValueError:
        text = _NAMED_OFFSET.sub(r"\1", text)
        if _OTHER_NAMED_OFFSET.search(text):
            raise ValueError("an offset from a zone that is named") from None
        # What begins with the year leaves the order of day and month open to nobody but the library.
        year_first = re.match(r"\d{4}\D", text) is not None
        one, other = (
            parser.parse(text, default=day, dayfirst=order and not year_first, tzinfos=_zone)
            for day, order in _READINGS
        )
        if one != other:
            raise ValueError("incomplete or ambiguous date") from None
        return one


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    """Only zones whose offset is stated: abbreviations such as CST stand for several."""
    if name is None and offset is None:
        return None
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name in ("UTC", "GMT"):
        return UTC
    raise ValueError(f"unknown zone {name}")
