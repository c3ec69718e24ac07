"""Writing requests, strictly: what the OpenAPI document gives a type is checked before anything is sent.

Each writer takes one value and returns it as plain JSON data, or raises `ValidationError`; containers add the place.
The writer of a request dictionary is compiled from its annotations at first use.
"""

from __future__ import annotations

import enum
import math
import operator
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Literal, NoReturn
from urllib.parse import quote
from uuid import UUID

import orjson

from .errors import ValidationError
from .hints import CompiledOnce, compile_function, fields_of, marks_of, members_of
from .types import Format, Tag

MIN_INT, MAX_INT = -(2**63), 2**64 - 1
"""What JSON readers of the usual kind can hold."""

Writer = Callable[[Any], Any]


def serialize_argument(write: Writer, value: Any, name: str) -> Any:
    """Write the value of one keyword; None is sent as null."""
    if value is None:
        return None
    try:
        return write(value)
    except Exception as error:
        raise refusal(error, name, top=True) from None


def refusal(error: Exception, step: str | int, *, top: bool = False) -> Exception:
    """What to raise for an error in the value at `step`: whatever a value's own methods raise makes it a bad value."""
    if isinstance(error, RecursionError):
        return ValidationError("is nested too deeply, or holds itself").at(step) if top else error
    if not isinstance(error, ValidationError):
        error = ValidationError(f"cannot be sent: its own methods raise {type(error).__name__}")
    return error.at(step)


def write_text(value: Any) -> str:
    if type(value) is str and value.isascii():
        return value
    if not isinstance(value, str):
        _type_error("a string", value)
    text = str.__str__(value)  # the value of a member of an enum, not its name
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError(f"{text!r} is not valid Unicode") from None
    return text


def write_bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    _type_error("True or False", value)


def write_int(given: Any) -> int:
    value: Any = int(given) if isinstance(given, float) and given.is_integer() else given
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        _type_error("an integer", value)
    number = operator.index(value)  # of numpy, for instance
    if not MIN_INT <= number <= MAX_INT:
        raise ValidationError("has more than 64 bits")
    return number


def write_number(value: Any) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValidationError(f"{value} cannot be sent: JSON has no such number")
        return float(value)
    if hasattr(type(value), "__index__") and not isinstance(value, bool):
        return write_int(value)
    _type_error("a number", value)


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
    elif not isinstance(value, date) and hasattr(value, "__radd__"):
        value = _from_now(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(), UTC)
    if not isinstance(value, datetime):
        _type_error("a datetime with a time zone", value)
    if value.utcoffset() is None:
        raise ValidationError(
            f"{value.isoformat()} has no time zone, so its instant is unknown; add one, for instance "
            "value.replace(tzinfo=datetime.UTC) or value.astimezone()"
        )
    try:
        return format_datetime(value)
    except OverflowError:
        raise ValidationError(f"{value.isoformat()} is outside the calendar in UTC") from None


def _from_now(ahead: Any) -> Any:
    """A timedelta, or anything else that can be added to a datetime, such as python-dateutil's relativedelta."""
    try:
        return datetime.now(UTC) + ahead
    except (TypeError, OverflowError, ValueError):
        _type_error("a datetime with a time zone, or a time from now", ahead)


def format_datetime(value: datetime) -> str:
    """ISO 8601 with the shortest exact fraction, and ``Z`` for UTC."""
    if type(value) is datetime and value.tzinfo is UTC and not value.microsecond:
        return f"{orjson.dumps(value)[1:20].decode()}Z"  # in half the time of isoformat
    offset = value.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):
        value = value.astimezone(UTC)  # local mean times have seconds in their offset, which RFC 3339 cannot write
    fraction = value.microsecond
    text = value.isoformat(timespec="milliseconds" if fraction and fraction % 1000 == 0 else "auto")
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def write_date(value: Any) -> str:
    """A date, or its ISO 8601 text."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise ValidationError(f"{value!r} is not an ISO 8601 date; pass a datetime.date") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        _type_error("a date (of a datetime, its .date())", value)
    return value.isoformat()


def write_uuid(value: Any) -> str:
    """A UUID, or its text."""
    try:
        return str(value if isinstance(value, UUID) else UUID(write_text(value)))
    except ValueError:
        _type_error("a UUID", value)


def write_file(value: Any) -> Any:
    """A part of a multipart body, for the client to encode."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, tuple) and len(value) == 3:
        name, content, kind = value
        if isinstance(content, (bytes, bytearray)):
            return write_text(name), bytes(content), write_text(kind)
    _type_error("bytes, or (file name, bytes, content type)", value)


_ADVICE = ((Decimal, "str(value) or float(value)"), (UUID, "str(value)"), (enum.Enum, "its .value"))


def write_json(value: Any) -> Any:
    """Write a value that the document leaves free; dates and tuples become what JSON has for them."""
    if isinstance(value, str):
        return write_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return _write_json_object(value)
    if isinstance(value, (list, tuple)):
        return _write_json_list(value)
    if isinstance(value, float) or hasattr(type(value), "__index__"):
        return write_number(value)
    if isinstance(value, datetime):
        return write_datetime(value)
    if isinstance(value, date):
        return value.isoformat()
    advice = "".join(f"; pass {what}" for kind, what in _ADVICE if isinstance(value, kind))
    raise ValidationError(f"{_shown(value)} cannot be sent as JSON{advice}")


def write_map_of(write: Writer) -> Writer:
    """For free-form objects whose values have a type."""
    plain = _plain_type(write)

    def write_map(value: Any) -> dict[str, Any]:
        if type(value) is not dict and not isinstance(value, Mapping):
            _type_error("a dictionary", value)
        out: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                _bad_key(key)
            try:
                out[write_text(key)] = item if item is None or (type(item) is plain and item.isascii()) else write(item)
            except Exception as error:
                raise refusal(error, key) from None
        return out

    return write_map


def write_list_of(write: Writer) -> Writer:
    plain = _plain_type(write)

    def write_list(value: Any) -> list[Any]:
        if type(value) is not list and (not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray))):
            _type_error("a list", value)
        out: list[Any] = []  # its length is the place of a refusal
        try:
            for item in value:
                out.append(item if item is None or (type(item) is plain and item.isascii()) else write(item))  # noqa: PERF401
        except Exception as error:
            raise refusal(error, len(out)) from None
        return out

    return write_list


def _plain_type(write: Writer) -> type[str] | None:
    """The class whose values are written as they are, if they are ASCII."""
    return str if write in (write_text, write_json) else None


_write_json_object, _write_json_list = write_map_of(write_json), write_list_of(write_json)


def write_choice(values: Collection[Any]) -> Writer:
    """For a closed set of values, or a single one."""
    known = {(type(value), value): value for value in values}

    def write_one(value: Any) -> Any:
        plain: Any = value
        if isinstance(value, str):
            plain = str.__str__(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            plain = int(value)
        try:
            return known[type(plain), plain]
        except (KeyError, TypeError):
            names = ", ".join(sorted(map(str, values)))
            raise ValidationError(f"must be one of {names}, not {_shown(value)}") from None

    return write_one


def write_tagged(tag: Tag) -> Writer:
    """For an object of several kinds, distinguished by the value of one field."""
    writers: dict[Any, Writer] = {kind: _dict_writer(cls) for kind, cls in tag.classes.items()}
    tags = {cls: [one for one in fields_of(cls).values() if one.wire == tag.name] for cls in tag.classes.values()}
    names = {tag.name, *(field.name for fields in tags.values() for field in fields)}
    untagged = [_dict_writer(cls) for cls, fields in tags.items() if not any(field.required for field in fields)]

    def write(value: Any) -> Any:
        if not isinstance(value, Mapping):
            _type_error("a dictionary", value)
        if untagged and not names & value.keys():
            return _write_first(untagged, value)
        kind = next((value[name] for name in sorted(names) if name in value), None)
        found = writers.get(kind) if isinstance(kind, (str, int)) else None
        if found is None:
            known = ", ".join(sorted(map(str, writers)))
            raise ValidationError(f"must be one of {known}, not {_shown(kind)}").at(tag.name)
        return found(value)

    return write


def write_nothing(value: Any) -> NoReturn:
    """For a value that can only be null."""
    _type_error("None", value)


# --- types ----------------------------------------------------------------------------------------------------------

_SCALARS: dict[Any, Writer] = {
    str: write_text,
    int: write_int,
    float: write_number,
    bool: write_bool,
    Any: write_json,
    date: write_date,
    bytes: write_file,
    NoneType: write_nothing,
}
_FORMATS: dict[str, Writer] = {
    "date-time": write_datetime,
    "date": write_date,
    "uuid": write_uuid,
    "binary": write_file,
}


def writer(hint: Any) -> Writer:
    """How values of a type (never None) are written."""
    members = members_of(hint)
    if len(members) != 1:
        return _write_union(members)
    (hint,) = members
    for mark in marks_of(hint):
        if isinstance(mark, Tag):
            return write_tagged(mark)
        if isinstance(mark, Format):
            return _FORMATS[mark.name]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Sequence:
        return write_list_of(writer(args[0]))
    if origin is Mapping:
        return write_map_of(writer(args[1]))
    if origin is Literal:
        return write_choice(args)
    if isinstance(hint, type) and issubclass(hint, dict):
        return _dict_writer(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    raise TypeError(f"there is no way to write {hint!r}")


def _write_union(members: list[Any]) -> Writer:
    objects = [member for member in members if isinstance(member, type) and issubclass(member, dict)]
    if Any in members:
        return _dict_writer(objects[0], lenient=True) if objects else write_json
    if str in members:
        members = [
            one for one in members if typing.get_origin(one) is not Literal or type(typing.get_args(one)[0]) is not str
        ]
    writers = [writer(member) for member in members]
    writers.sort(key=lambda write: write is write_datetime)  # which takes dates too
    if len(writers) == 1:
        return writers[0]

    return lambda value: _write_first(writers, value)


def _write_first(writers: Sequence[Writer], value: Any) -> Any:
    """By the first that takes the value."""
    refusals: list[ValidationError] = []
    for write in writers:
        try:
            return write(value)
        except ValidationError as error:
            refusals.append(error)
    # The member that came furthest into the value is the one that was meant.
    deepest = max(refusals, key=lambda error: len(error.place))
    if deepest.place:
        raise deepest
    raise ValidationError("; or it ".join(dict.fromkeys(error.reason for error in refusals)))


def _dict_writer(cls: type, *, lenient: bool = False) -> Writer:
    """The writer of a request dictionary; a `lenient` one takes other keys and other values as they are."""
    return _writers[cls, lenient]


_writers = CompiledOnce(lambda key: compile_writer(key[0], lenient=key[1]))
_INLINE: dict[Writer, str] = {
    write_text: "(type(it) is str and it.isascii())",
    write_int: f"(type(it) is int and {MIN_INT} <= it <= {MAX_INT})",
}


def compile_writer(cls: type, *, lenient: bool = False, top: bool = False) -> Writer:
    """Compile the writer of a dictionary. A key may also be written as on the wire, so that data that came from
    elsewhere as JSON can be passed on; but not the keywords of an operation, which are at the `top`."""
    fields = fields_of(cls)
    writers = {name: writer(field.hint) for name, field in fields.items()}
    required = frozenset() if lenient else frozenset(field.wire for field in fields.values() if field.required)
    extra = getattr(cls, "__extra_items__", None)
    write_extra = write_json if lenient else writer(extra()) if callable(extra) else None
    by_wire = {field.wire: name for name, field in fields.items()}

    def write_other_keys(value: Mapping[Any, Any], out: dict[str, Any]) -> None:
        """What is left after the keys that Python uses: those written as on the wire, and unknown ones."""
        for key in value:
            if key in fields:
                continue
            name = by_wire.get(key)
            if name is not None and key in out:
                raise ValidationError(f"given twice, also as {key!r}").at(max(key, name, key=list(value).index))
            write = write_extra if name is None or top else writers[name]
            if write is None or not isinstance(key, str):
                _unknown_key(key, fields)
            out[write_text(key)] = serialize_argument(write, value[key], key)

    def check_required(out: dict[str, Any]) -> None:
        missing = sorted(field.name for field in fields.values() if field.wire in required - out.keys())
        raise ValidationError(f"lacks {', '.join(missing)}")

    namespace: dict[str, Any] = {
        "Mapping": Mapping,
        "refusal": refusal,
        "other": write_json if lenient else lambda value: _type_error("a dictionary", value),
        "REQUIRED": required,
        "check_required": check_required,
        "write_other_keys": write_other_keys,
        **{f"write_{name}": write for name, write in writers.items()},
    }
    lines = [
        f"def {cls.__name__}(value):",
        "    if type(value) is not dict and not isinstance(value, Mapping):",
        "        return other(value)",
        "    out = {}",
    ]
    if fields:
        lines.append("    try:")
    for name, field in fields.items():
        plain = _INLINE.get(writers[name])
        kept = f"it is None or {plain}" if plain else "it is None"
        lines.append(f"        if (at := {name!r}) in value:")
        lines.append(f"            it = value[at]; out[{field.wire!r}] = it if {kept} else write_{name}(it)")
    if fields:
        lines.append("    except Exception as error:")
        lines.append(f"        raise refusal(error, at, top={top}) from None")
    lines += ["    if len(out) != len(value):", "        write_other_keys(value, out)"]
    if required:
        lines += ["    if not REQUIRED <= out.keys():", "        check_required(out)"]
    lines.append("    return out")
    return compile_function(cls.__name__, "writer", lines, namespace)


def _unknown_key(key: Any, known: Collection[str]) -> NoReturn:
    if not isinstance(key, str):
        _bad_key(key)
    raise ValidationError(f"unknown key {key!r}; {did_you_mean(key, known)}")


def did_you_mean(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # only a mistake needs it

    near = get_close_matches(name, known)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


# --- ids, queries and headers ---------------------------------------------------------------------------------------


def to_text(value: Any) -> str:
    """A scalar of JSON as it stands in a path, a query, a header or a form."""
    if isinstance(value, (dict, list)):
        _type_error("text, a number or a boolean", value)
    return value if type(value) is str else str(value).lower() if isinstance(value, bool) else str(value)


def write_id(given: Any) -> str:
    """What names a resource: an integer or a string."""
    value: Any = int(given) if isinstance(given, float) and given.is_integer() else given
    if hasattr(type(value), "__index__") and not isinstance(value, bool):
        try:
            return str(operator.index(value))
        except ValueError:  # thousands of digits
            raise ValidationError("has too many digits to be an id") from None
    if not isinstance(value, str):
        raise ValidationError(f"an id is an integer or a string, not {_shown(value)}")
    return str.__str__(value)


def path_segment(value: Any, name: str, write: Writer = write_id) -> str:
    """A value as one segment of a path: it can neither be empty nor lead to another path."""
    try:
        text = to_text(write(value))
    except Exception as error:
        raise refusal(error, name, top=True) from None
    if text.isascii() and text.isalnum():  # as nearly all are: nothing to check, nothing to quote
        return text
    if not text.strip() or text in (".", "..") or "/" in text or "\\" in text or not text.isprintable():
        raise ValidationError(f"{text!r} cannot be an id: it would be empty or lead to another path").at(name)
    return quote(text, safe="")


def body_id(value: Any, name: str) -> Any:
    """An id of the path, repeated in the body as the document asks: a number where it is one."""
    segment = path_segment(value, name)
    return (
        serialize_argument(write_int, int(segment), name) if segment.removeprefix("-").isdigit() else write_text(value)
    )


def header_value(value: Any, name: str) -> str:
    text = to_text(value)
    if not (text.isascii() and text.replace("\t", " ").isprintable() and text == text.strip()):
        raise ValidationError(f"{text!r} cannot be the value of a header: printable ASCII without line breaks is").at(
            name
        )
    return text


def _bad_key(key: Any) -> NoReturn:
    raise ValidationError(f"keys must be strings, not {_shown(key)}")


def _type_error(expected: str, value: Any) -> NoReturn:
    raise ValidationError(f"must be {expected}, not {_shown(value)}")


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # an integer of thousands of digits, or what a value's own repr raises
        text = "…"
    if len(text) > 60:
        text = f"{text[:57]}..."
    return f"{text} ({type(value).__name__})"
