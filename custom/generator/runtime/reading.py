"""Reading answers, tolerantly: whatever the service adds, leaves out, nulls or misspells, the rest stays readable.

A model is a class whose annotations say everything; the function that reads it is compiled from them at first use. Only
a value that must be decoded and cannot be (a number where an object belongs) is refused. A date that nobody can read is
None, with what came in `unparsed`. Every other value of an unexpected type is kept as it came.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from operator import itemgetter
from types import NoneType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self
from uuid import UUID

import attrs

from .errors import DeserializationError
from .hints import CompiledOnce, Field, compile_function, fields_of, marks_of, members_of
from .types import Format, Tag
from .writing import format_datetime


class _Absent:
    def __repr__(self) -> str:
        return "<absent>"


ABSENT: Final[Any] = _Absent()
"""The default of a field in a model made by hand; read as None, and left out again by `to_dict`."""
NOTHING: Final[frozenset[str]] = frozenset()

from_iso: Final[Callable[[str], datetime]] = datetime.fromisoformat


class _WireNames:
    """Computed from the annotations when first asked for, which loads the models that they name."""

    def __get__(self, _instance: object, cls: type[Model]) -> Mapping[str, str]:
        names = {field.name: field.wire for field in declared(cls).values()}
        cls.wire_names = names
        return names


@attrs.define(kw_only=True, repr=False, eq=False)
class Model:
    """What the service answers. Every attribute reads as its value or None, also where the document requires it.

    `attrs.evolve`, `copy.replace` and pickle keep unknown, absent and unparsed fields. A field that was absent stays
    absent when `evolve` is given None for it.
    """

    _absent: frozenset[str] = attrs.field(default=NOTHING, alias="absent_fields_")
    # `object`, for the annotations of `__init__` must resolve in the modules of subclasses, which do not import Any.
    _unknown: dict[str, object] | None = attrs.field(default=None, alias="unknown_fields_")
    _unparsed: dict[str, object] | None = attrs.field(default=None, alias="unparsed_fields_")

    wire_names: ClassVar[Mapping[str, str]] = typing.cast(Mapping[str, str], _WireNames())
    """Attribute name → name on the wire."""

    def __attrs_post_init__(self) -> None:
        absent = [field for field in attrs.fields(type(self)) if getattr(self, field.name) is ABSENT]
        for field in absent:
            setattr(self, field.name, None)
        if absent:
            self._absent = self._absent.union(self.wire_names[field.name] for field in absent)
        self._unknown = self._unknown and dict(self._unknown)
        self._unparsed = self._unparsed and dict(self._unparsed)

    @property
    def additional_properties(self) -> dict[str, Any]:
        """Fields of the answer that the document does not know, by their name on the wire."""
        if self._unknown is None:
            self._unknown = {}
        return self._unknown

    @property
    def unparsed(self) -> dict[str, Any]:
        """Dates and UUIDs that nobody can read, as they came, by attribute name; the attribute itself is None."""
        if self._unparsed is None:
            self._unparsed = {}
        return self._unparsed

    @classmethod
    def from_dict(cls, src: Mapping[str, Any]) -> Self:
        """Read decoded JSON, as it came from the service or from `to_dict`.

        Raises `DeserializationError` (a ValueError) where an object or a list is something else altogether.
        """
        return _readers[cls](src, [])  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON data, by wire names: absent fields stay out, unknown ones come along."""
        return _dumpers[type(self)](self)  # type: ignore[no-any-return]

    def is_set(self, name: str) -> bool:
        """Whether the field of this attribute was in the answer (as null, perhaps), or has been given a value since."""
        if name not in self.wire_names:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}")
        return self.wire_names[name] not in self._absent or getattr(self, name) is not None

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in attrs.fields(type(self)) if field.eq and not field.name.startswith("_")]
        return all(getattr(self, name) == getattr(other, name) for name in names) and self._rest() == other._rest()

    def __repr__(self) -> str:
        fields = [field.name for field in attrs.fields(type(self)) if field.repr and not field.name.startswith("_")]
        shown = [name for name in fields if name not in self.wire_names or self.is_set(name)]
        rest = [name for name in ("additional_properties", "unparsed") if getattr(self, name)]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in (*shown, *rest))})"

    def _rest(self) -> tuple[Any, ...]:
        """What makes two models differ though their attributes are equal."""
        unset = frozenset(name for name in self.wire_names if not self.is_set(name)) if self._absent else NOTHING
        return unset, self._unknown or {}, self._unparsed or {}

    def _merge_extras(self, out: dict[str, Any]) -> None:
        """Bring `out`, which has every documented field, to what was really in the answer."""
        for wire in self._absent:
            if out[wire] is None:
                del out[wire]
        for name, raw in (self._unparsed or {}).items():
            read = rule(declared(type(self))[name].hint).read
            if getattr(self, name) == read(raw, []):  # no new value has taken its place
                out[self.wire_names[name]] = raw
        if self._unknown:
            out.update(to_plain(self._unknown))

    def __copy__(self) -> Self:
        return attrs.evolve(self)  # with unknown fields of its own

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        from .schema import core_schema_of  # only pydantic calls this

        return core_schema_of(cls)


# --- rules: how values of a type are read ---------------------------------------------------------------------------

Odd = list[Any] | None
"""Values that nobody can read, collected on the way for a model's `unparsed`; outside models (None), where nothing else
would keep them, they stay where they are."""
Read = Callable[[Any, Odd], Any]


class Rule(NamedTuple):
    """How a value (never None) is read, and what becomes of one of another type.

    A `plain` value is kept as it came, whatever it is; a `soft` one is brought to its type where it can be; an `odd`
    one that cannot be read is None and goes to `unparsed`; an `object` is refused when it is something else.
    """

    kind: Literal["plain", "soft", "odd", "object"]
    read: Read


def _as_it_came(value: Any, _odd: Odd) -> Any:
    return value


PLAIN: Final = Rule("plain", _as_it_came)


def rule(hint: Any) -> Rule:
    """How values of a type are read."""
    members = members_of(hint)
    if len(members) != 1:
        return _union(members)
    (hint,) = members
    for mark in marks_of(hint):
        if isinstance(mark, Tag):
            return _tagged(mark)
        if isinstance(mark, Format):
            return PLAIN
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return _list(rule(args[0]))
    if origin is dict:
        return _map(rule(args[1]))
    if isinstance(hint, type) and issubclass(hint, Model):
        return Rule("object", _readers[hint])
    if hint is int or (origin is Literal and all(type(value) is int for value in args)):
        return Rule("soft", lambda value, _odd: value if type(value) is not float else to_int(value))
    if hint in _ODD:
        return Rule("odd", _ODD[hint])
    if hint in (str, float, bool, Any, NoneType) or origin is Literal:
        return PLAIN
    raise TypeError(f"there is no way to read {hint!r}")


def _list(item: Rule) -> Rule:
    if item.kind == "plain":
        return PLAIN
    read = item.read

    def read_list(value: Any, odd: Odd) -> Any:
        if type(value) is not list:
            return _mismatch(item.kind, "a list", value, odd)
        out: list[Any] = []
        try:
            for one in value:
                out.append(None if one is None else read(one, odd))  # noqa: PERF401 # its length is the place of a fault
        except DeserializationError as error:
            raise error.at(len(out)) from None
        return out

    return Rule(item.kind, read_list)


def _map(item: Rule) -> Rule:
    if item.kind == "plain":
        return PLAIN
    read = item.read

    def read_map(value: Any, odd: Odd) -> Any:
        if not isinstance(value, Mapping):
            return _mismatch(item.kind, "an object", value, odd)
        out: dict[str, Any] = {}
        for key, one in value.items():
            try:
                out[key] = None if one is None else read(one, odd)
            except DeserializationError as error:
                raise error.at(key) from None
        return out

    return Rule(item.kind, read_map)


def _mismatch(kind: str, expected: str, value: Any, odd: Odd) -> Any:
    if kind == "object":
        raise _expected(expected, value)
    return _unreadable(value, odd) if kind == "odd" else value


def _unreadable(value: Any, odd: Odd) -> Any:
    if odd is None:
        return value
    odd.append(value)
    return None


def _union(members: list[Any]) -> Rule:
    """By the kind of JSON value that came; one that no member is, is kept as it came."""
    rules = [(typing.get_origin(member) or member, rule(member)) for member in members]
    if all(one.kind == "plain" for _, one in rules):
        return PLAIN
    models = [member for member in members if isinstance(member, type) and issubclass(member, Model)]
    maps = [one for member, one in rules if member is dict]
    objects = _best_of(models) if models else maps[0].read if maps else None
    tagged = [
        one
        for member, one in zip(members, (one for _, one in rules), strict=True)
        if marks_of(member) and one.kind == "object"
    ]
    objects = tagged[0].read if tagged else objects
    lists = [one.read for member, one in rules if member is list]
    texts = [read for kind, read in _TEXTS.items() if kind in members]
    keeps_text = any(member is str or (member is Literal) or member is Any for member, _ in rules)
    to_integer = any(one.kind == "soft" for _, one in rules) and not any(member is float for member, _ in rules)

    def read_union(value: Any, odd: Odd) -> Any:
        if isinstance(value, Mapping):
            return value if objects is None else objects(value, odd)
        if type(value) is list and lists:
            return lists[0](value, odd)
        if type(value) is float and to_integer:
            return to_int(value)
        if type(value) is str and texts:
            for read in texts:
                failed: list[Any] = []
                found = read(value, failed)
                if not failed:
                    return found
            if not keeps_text:
                return _unreadable(value, odd)
        return value

    kinds = {one.kind for _, one in rules}
    return Rule("object" if "object" in kinds else "odd" if "odd" in kinds else "soft", read_union)


def _tagged(tag: Tag) -> Rule:
    """An object whose class one of its fields names; one of an unknown class, as the class that it shows most of."""
    readers: dict[Any, Read] = {value: _readers[model] for value, model in tag.classes.items()}
    otherwise = _best_of(list(dict.fromkeys(tag.classes.values())))

    def read_tagged(value: Any, odd: Odd) -> Any:
        if not isinstance(value, Mapping):
            return value
        kind = value.get(tag.name)
        read = readers.get(kind) if isinstance(kind, (str, int)) else None
        return (read or otherwise)(value, odd)

    return Rule("object", read_tagged)


def _best_of(models: list[type[Model]]) -> Read:
    """An object that may be of several kinds, as the one whose fields it shows most of."""
    if len(models) == 1:
        return _readers[models[0]]
    readers = {model: _readers[model] for model in models}

    def read_best(value: Any, odd: Odd) -> Any:
        best = max(readers, key=lambda model: _likeness(model.wire_names.values(), value))
        return readers[best](value, odd)

    return read_best


def _likeness(names: typing.Collection[str], value: Mapping[str, Any]) -> tuple[int, int]:
    return sum(name in value for name in names), -len(names)


def reader(hint: Any) -> Callable[[Any], Any]:
    """What reads an answer of a type."""
    read = rule(hint).read
    if NoneType in typing.get_args(hint):
        return lambda value: None if value is None else read(value, None)
    return lambda value: read(value, None)


# --- models ---------------------------------------------------------------------------------------------------------


def declared(cls: type[Model]) -> dict[str, Field]:
    """The fields of the generated class: a subclass made by hand may have others, which no answer has."""
    lineage = cls.__mro__
    return fields_of(lineage[lineage.index(Model) - 1])


def _compile_reader(cls: type[Model]) -> Read:
    fields = declared(cls)
    rules = {name: rule(field.hint) for name, field in fields.items()}
    moments = [name for name, field in fields.items() if members_of(field.hint) == [datetime]]
    wires = dict.fromkeys(field.wire for field in fields.values())
    get: Callable[[Any], Any] = itemgetter(*wires)
    namespace: dict[str, Any] = {
        "DeserializationError": DeserializationError,
        "expected": _expected,
        "from_iso": from_iso,
        "assume_utc": assume_utc,
        "read_moments": _read_moments,
        "note": _note,
        "to_int": to_int,
        "new": object.__new__,
        "cls": cls,
        "NOTHING": NOTHING,
        "WIRES": frozenset(wires),
        "NULLS": wires,
        "values": get if len(wires) > 1 else lambda src: (get(src),),
    }
    targets = "".join(f"self.{name}, " if one.kind == "plain" else f"v_{name}, " for name, one in rules.items())
    lines = [
        f"def {cls.__name__}(src, _odd):",
        "    try:",
        f"        if len(src) < {len(fields)}:",
        "            absent, row = WIRES.difference(src), values({**NULLS, **src})",
        "        else:",
        "            absent, row = NOTHING, values(src)",
        "    except KeyError:",
        "        absent, row = WIRES.difference(src), values({**NULLS, **src})",
        "    except TypeError:",
        "        raise expected('an object', src) from None",
        "    self = new(cls)",
        f"    {targets}= row",
        "    self._absent, self._unknown, self._unparsed = absent, None, None",
    ]
    nested = []
    for name, one in rules.items():
        if one.kind == "soft" and members_of(fields[name].hint) != [int]:
            namespace[f"read_{name}"] = one.read
            lines.append(f"    self.{name} = None if v_{name} is None else read_{name}(v_{name}, None)")
        elif one.kind == "soft":
            lines.append(f"    self.{name} = v_{name} if type(v_{name}) is not float else to_int(v_{name})")
        elif one.kind != "plain" and name not in moments:
            namespace[f"read_{name}"] = one.read
            nested += [
                f"        at = {fields[name].wire!r}",
                f"        self.{name} = None if v_{name} is None else read_{name}(v_{name}, odd)",
                f"        if odd: note(self, {name!r}, v_{name}, odd)",
            ]
    if nested:
        lines += [
            "    odd = []",
            "    try:",
            *nested,
            "    except DeserializationError as error:",
            "        raise error.at(at) from None",
        ]
    if moments:
        lines.append("    try:")
        for name in moments:
            read = f"it if (it := from_iso(v_{name})).tzinfo else assume_utc(it)"
            lines.append(f"        self.{name} = None if v_{name} is None else {read}")
        lines.append("    except (TypeError, ValueError):")
        lines.append(f"        read_moments(self, {{{', '.join(f'{name!r}: v_{name}' for name in moments)}}})")
    lines.append(f"    if len(src) + len(absent) != {len(fields)}:")
    extra = getattr(cls, "__extra_items__", None)
    if not callable(extra):
        lines.append("        self._unknown = {key: src[key] for key in src if key not in WIRES}")
    else:
        namespace["read_extra"] = _map(rule(extra())).read
        lines.append("        self._unknown = read_extra({key: src[key] for key in src if key not in WIRES}, None)")
    for field in attrs.fields(cls):
        if field.name not in fields and not field.name.startswith("_"):
            namespace[f"default_{field.name}"] = field.default
            lines.append(f"    self.{field.name} = default_{field.name}")
    lines.append("    return self")
    return compile_function(cls.__name__, "reader", lines, namespace)


def _note(model: Model, name: str, raw: Any, odd: list[Any]) -> None:
    model.unparsed[name] = raw
    odd.clear()


def _read_moments(model: Model, raw: Mapping[str, Any]) -> None:
    for name, value in raw.items():
        odd: list[Any] = []
        setattr(model, name, None if value is None else read_datetime(value, odd))
        if odd:
            model.unparsed[name] = value


def _compile_dumper(cls: type[Model]) -> Callable[[Any], dict[str, Any]]:
    lines = [f"def {cls.__name__}(self):", "    out = {"]
    for field in declared(cls).values():
        value = f"self.{field.name}"
        if rule(field.hint).kind in ("object", "odd"):
            value = f"None if (it := {value}) is None else to_plain(it)"
        lines.append(f"        {field.wire!r}: {value},")
    lines += [
        "    }",
        "    if self._absent or self._unknown or self._unparsed:",
        "        self._merge_extras(out)",
        "    return out",
    ]
    return compile_function(cls.__name__, "dumper", lines, {"to_plain": to_plain})


_readers, _dumpers = CompiledOnce(_compile_reader), CompiledOnce(_compile_dumper)


# --- values ---------------------------------------------------------------------------------------------------------


def to_int(value: float) -> Any:
    """An integer that came as ``123.0``; beyond 2**53 a float has lost digits, and stays what it is."""
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def assume_utc(moment: datetime) -> datetime:
    """A moment that came without an offset."""
    return moment.replace(tzinfo=UTC)


def read_datetime(value: Any, odd: Odd) -> Any:
    """Read a date and time. One without an offset is taken as UTC."""
    try:
        read = from_iso(value)
    except (TypeError, ValueError):
        from .lenient_dates import parse_datetime  # python-dateutil is not loaded for nothing

        lenient = parse_datetime(value)
        if lenient is None:
            return _unreadable(value, odd)
        read = lenient
    return read if read.tzinfo is not None else assume_utc(read)


def read_date(value: Any, odd: Odd) -> Any:
    """Read a date, also one that came with a time of midnight."""
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        moment = read_datetime(value, [])
        if moment is None or (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
            return _unreadable(value, odd)
        return moment.date()


def read_uuid(value: Any, odd: Odd) -> Any:
    """Read a UUID."""
    try:
        return UUID(value)
    except (TypeError, ValueError, AttributeError):
        return _unreadable(value, odd)


def _read_short_date(value: Any, odd: Odd) -> Any:
    """Read what can only be a date, where it may be a date and time as well."""
    return read_date(value, odd) if len(value) == len("2026-01-02") else _unreadable(value, odd)


_ODD: Final[dict[Any, Read]] = {datetime: read_datetime, date: read_date, UUID: read_uuid}
_TEXTS: Final[dict[Any, Read]] = {UUID: read_uuid, date: _read_short_date, datetime: read_datetime}


def to_plain(value: Any) -> Any:
    """A value of a model as plain JSON data."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, list):
        return [to_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: to_plain(one) for key, one in value.items()}
    if isinstance(value, datetime):
        try:
            return format_datetime(value)
        except OverflowError:  # an offset with seconds, at the calendar's end
            return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _expected(expected: str, value: Any) -> DeserializationError:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", NoneType: "null"}
    return DeserializationError(f"expected {expected}, found {kinds.get(type(value), 'a number')}")
