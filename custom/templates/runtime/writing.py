"""Writing requests, strictly: what the document gives a type is checked before anything is sent.

Each writer takes one value and returns it as plain JSON data, or raises `ValidationError`; containers add the place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NoReturn
from urllib.parse import quote

import orjson

from .errors import ValidationError

SMALLEST_INT, LARGEST_INT = -(2**63), 2**64 - 1
"""What JSON readers of the usual kind can hold."""

Writer = Callable[[Any], Any]
Fields = Mapping[str, tuple[str, Writer]]
"""Key as Python writes it → (name on the wire, how to write its value)."""
Quick = Callable[[dict[str, Any]], dict[str, Any]]


def serialize_argument(write: Writer, value: Any, name: str) -> Any:
    """Write the value of one keyword; None is sent as null."""
    if value is None:
        return None
    try:
        return write(value)
    except ValidationError as error:
        raise error.within(name) from None
    except RecursionError:
        raise ValidationError("is nested too deeply, or holds itself").within(name) from None


def write_text(value: Any) -> str:
    if type(value) is str and value.isascii():
        return value
    if not isinstance(value, str):
        _refuse("a string", value)
    text = str.__str__(value)  # the value of a member of an enum, not its name
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError(f"{text!r} is not valid Unicode") from None
    return text


def write_bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    _refuse("True or False", value)


def write_int(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse("an integer", value)
    if not SMALLEST_INT <= value <= LARGEST_INT:
        raise ValidationError("has more than 64 bits")
    return int(value)


def write_number(value: Any) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValidationError(f"{value} cannot be sent: JSON has no such number")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return write_int(value)
    _refuse("a number", value)


def write_datetime(value: Any) -> str:
    """A moment: a datetime with a time zone, its ISO 8601 text, a time from now, or a date (its first moment, UTC)."""
    if type(value) is datetime and value.tzinfo is UTC:
        return format_datetime(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValidationError(
                f"{value!r} is not an ISO 8601 date and time; pass a datetime with a time zone"
            ) from None
    elif isinstance(value, timedelta) or (not isinstance(value, date) and hasattr(value, "__radd__")):
        value = _from_now(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(), UTC)
    if not isinstance(value, datetime):
        _refuse("a datetime with a time zone", value)
    if value.utcoffset() is None:
        raise ValidationError(
            f"{value.isoformat()} has no time zone, so its instant is unknown; add one, for instance "
            "value.replace(tzinfo=datetime.UTC) or value.astimezone()"
        )
    return format_datetime(value)


def _from_now(ahead: Any) -> Any:
    """A timedelta, or anything else that can be added to a datetime, such as python-dateutil's relativedelta."""
    try:
        return datetime.now(UTC) + ahead
    except (TypeError, OverflowError, ValueError):
        _refuse("a datetime with a time zone, or a time from now", ahead)


def format_datetime(value: datetime) -> str:
    """ISO 8601 with the shortest exact fraction, and ``Z`` for UTC."""
    if type(value) is datetime and value.tzinfo is UTC and not value.microsecond:
        return f"{orjson.dumps(value)[1:20].decode()}Z"  # in half the time of isoformat
    offset = value.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):
        value = value.astimezone(UTC)  # local mean times have seconds in their offset, which RFC 3339 cannot write
    fraction = value.microsecond
    text = value.isoformat(timespec="milliseconds" if fraction and fraction % 1000 == 0 else "auto")
    return f"{text[:-6]}Z" if value.tzinfo is UTC or text.endswith("+00:00") else text


def write_json(value: Any) -> Any:
    """Write a value that the document leaves free; dates and tuples become what JSON has for them."""
    if isinstance(value, str):
        return write_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return write_number(value)
    if isinstance(value, Mapping):
        return _write_json_object(value)
    if isinstance(value, (list, tuple)):
        return _write_json_list(value)
    if isinstance(value, datetime):
        return write_datetime(value)
    if isinstance(value, date):
        return value.isoformat()
    raise ValidationError(f"{_shown(value)} cannot be sent as JSON")


def write_map_of(write: Writer) -> Writer:
    """For free-form objects whose values have a type."""
    plain = _as_it_is(write)

    def write_map(value: Any) -> dict[str, Any]:
        if type(value) is not dict and not isinstance(value, Mapping):
            _refuse("a dictionary", value)
        out: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                _bad_key(key)
            try:
                out[write_text(key)] = item if item is None or (type(item) is plain and item.isascii()) else write(item)
            except ValidationError as error:
                raise error.within(key) from None
        return out

    return write_map


def or_null(write: Writer, value: Any) -> Any:
    """Write what need not have a value."""
    return None if value is None else write(value)


def write_list_of(write: Writer) -> Writer:
    plain = _as_it_is(write)

    def write_list(value: Any) -> list[Any]:
        if type(value) is not list and (not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray))):
            _refuse("a list", value)
        out: list[Any] = []  # its length is the place of a refusal
        try:
            for item in value:
                out.append(item if item is None or (type(item) is plain and item.isascii()) else write(item))  # noqa: PERF401
        except ValidationError as error:
            raise error.within(len(out)) from None
        return out

    return write_list


def _as_it_is(write: Writer) -> type[str] | None:
    """The class whose values are written as they are, if they are ASCII."""
    return str if write in (write_text, write_json) else None


_write_json_object, _write_json_list = write_map_of(write_json), write_list_of(write_json)


def write_choice(values: Collection[str]) -> Writer:
    """For a closed set of values, or a single one."""

    def write_one(value: Any) -> str:
        if isinstance(value, str) and value in values:
            return str.__str__(value)
        raise ValidationError(f"must be one of {', '.join(sorted(values))}, not {_shown(value)}")

    return write_one


class ObjectWriter:
    """For a dictionary with known keys.

    A key may also be written as on the wire, so that data that came from elsewhere as JSON can be passed on.
    `quick` writes what is as it should be, by the keys that Python uses; it passes over keys that it does not know.
    """

    __slots__ = ("_fields", "_known", "_open", "_quick", "_required")

    def __init__(
        self, fields: Fields, required: Collection[str], quick: Quick | None = None, *, open: bool = False
    ) -> None:
        self._fields = fields
        self._known: Fields = {**{wire: (wire, write) for wire, write in fields.values()}, **fields}
        self._required = frozenset(required)
        self._open = open
        self._quick = quick

    @property
    def or_any(self) -> ObjectWriter:
        """The same where the document allows anything else too: unknown keys and other values go as they are."""
        return ObjectWriter(self._fields, (), self._quick, open=True)

    def __call__(self, value: Any) -> Any:
        if self._quick is not None and type(value) is dict:
            try:
                out = self._quick(value)
                if len(out) == len(value):
                    return out
            except (KeyError, ValidationError):
                pass  # it takes a closer look to say what is wrong, and where
        return self._write(value)

    def _write(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            if self._open:
                return write_json(value)
            _refuse("a dictionary", value)
        known = self._known
        out: dict[str, Any] = {}
        for key, item in value.items():
            field = known.get(key)
            if field is None:
                field = self._unknown(key)
            wire, write = field
            if wire in out:
                raise ValidationError(f"given twice, also as {wire!r}").within(key)
            try:
                out[wire] = None if item is None else write(item)
            except ValidationError as error:
                raise error.within(key) from None
        if not self._required <= out.keys():
            missing = sorted(key for key, (wire, _) in self._fields.items() if wire in self._required - out.keys())
            raise ValidationError(f"lacks {', '.join(missing)}")
        return out

    def _unknown(self, key: Any) -> tuple[str, Writer]:
        if not isinstance(key, str):
            _bad_key(key)
        if self._open:
            return write_text(key), write_json
        from difflib import get_close_matches  # only a mistake needs it

        near = get_close_matches(key, self._fields, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self._fields)}"
        raise ValidationError(f"unknown key {key!r}; {advice}")


def write_one_of(tag: str, writers: Mapping[str, Writer]) -> Writer:
    """For an object of several kinds, told apart by the value of one key."""

    def write_tagged(value: Any) -> Any:
        if not isinstance(value, Mapping):
            _refuse("a dictionary", value)
        kind = value.get(tag, value.get(f"{tag}_"))
        write = writers.get(kind) if isinstance(kind, str) else None
        if write is None:
            raise ValidationError(f"must be one of {', '.join(sorted(writers))}, not {_shown(kind)}").within(tag)
        return write(value)

    return write_tagged


def path_segment(value: Any, name: str) -> str:
    """An id as one segment of a path: it can neither be empty nor lead to another path."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return str(int(value))
        except ValueError:  # thousands of digits
            raise ValidationError("has too many digits to be an id").within(name) from None
    if not isinstance(value, str):
        raise ValidationError(f"an id is an integer or a string, not {_shown(value)}").within(name)
    value = str.__str__(value)
    if not value.strip() or value in (".", "..") or "/" in value or "\\" in value or not value.isprintable():
        raise ValidationError(f"{value!r} cannot be an id: it would be empty or lead to another path").within(name)
    return quote(value, safe="")


def body_id(value: Any, name: str) -> Any:
    """An id of the path, repeated in the body as the document asks: a number where it is one."""
    segment = path_segment(value, name)
    return (
        serialize_argument(write_int, int(segment), name) if segment.removeprefix("-").isdigit() else write_text(value)
    )


def _bad_key(key: Any) -> NoReturn:
    raise ValidationError(f"keys must be strings, not {_shown(key)}")


def _refuse(expected: str, value: Any) -> NoReturn:
    raise ValidationError(f"must be {expected}, not {_shown(value)}")


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        text = "…"
    if len(text) > 60:
        text = f"{text[:57]}..."
    return f"{text} ({type(value).__name__})"
