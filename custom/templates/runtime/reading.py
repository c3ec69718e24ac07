"""Reading answers, tolerantly: whatever the service adds, leaves out, nulls or misspells, the rest stays readable.

Only a value that must be decoded and cannot be (a number where an object belongs) is refused; every other value of an
unexpected type is kept as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import attrs

from .errors import DeserializationError


class _Absent:
    def __repr__(self) -> str:
        return "<absent>"


ABSENT: Final[Any] = _Absent()
"""The default of a field in a model made by hand; read as None, and left out again by `to_dict`."""
NOTHING_ABSENT: frozenset[str] = frozenset()

from_iso: Final[Callable[[str], datetime]] = datetime.fromisoformat


@attrs.define(kw_only=True)
class Model:
    """What the service answers. Every attribute reads as its value or None, also where the document requires it."""

    additional_properties: dict[str, Any] = attrs.field(init=False, factory=dict, repr=False)
    """Fields of the answer that the document does not know, by their name on the wire."""

    unparsed: dict[str, Any] = attrs.field(init=False, factory=dict, repr=False)
    """Dates that nobody can read, as they came, by attribute name; the attribute itself is None."""

    _absent: frozenset[str] = attrs.field(init=False, default=NOTHING_ABSENT, repr=False)

    wire_names: ClassVar[Mapping[str, str]] = {}
    """Attribute name → name on the wire."""

    def __attrs_post_init__(self) -> None:
        absent = [name for name in self.wire_names if getattr(self, name) is ABSENT]
        for name in absent:
            setattr(self, name, None)
        self._absent = frozenset(absent)

    if not TYPE_CHECKING:  # which would let any name pass

        def __getattr__(self, name: str) -> Any:
            """What `from_dict` leaves unset, since most answers have none of it."""
            if name == "_absent":
                return NOTHING_ABSENT
            if name not in ("additional_properties", "unparsed"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            setattr(self, name, {})
            return getattr(self, name)

    @classmethod
    def from_dict(cls, src: Mapping[str, Any]) -> Self:
        """Read decoded JSON, as it came from the service or from `to_dict`.

        Raises `DeserializationError` (a ValueError) where an object or a list is something else altogether.
        """
        raise NotImplementedError

    @classmethod
    def _from_incomplete(cls, src: Any, nothing: Mapping[str, None]) -> Self:
        """Read an object that lacks some of its fields: None for those, as in `nothing`."""
        if not isinstance(src, Mapping):
            raise DeserializationError(f"expected an object, found {_found(src)}")
        self = cls.from_dict({**nothing, **src})
        self._absent = frozenset([name for name, wire in cls.wire_names.items() if wire not in src])
        return self

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON data, by wire names: absent fields stay out, unknown ones come along."""
        raise NotImplementedError

    def is_set(self, name: str) -> bool:
        """Whether the field of this attribute was in the answer (as null, perhaps), or has been given a value since."""
        if name not in self.wire_names:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}")
        return name not in self._absent or getattr(self, name) is not None

    def _complete(self, out: dict[str, Any]) -> dict[str, Any]:
        """Bring `out`, which has every documented field, to what was really there."""
        for name in self._absent:
            if getattr(self, name) is None:
                del out[self.wire_names[name]]
        for name, raw in self.unparsed.items():
            if getattr(self, name) is None:
                out[self.wire_names[name]] = raw
        if self.additional_properties:
            out.update(self.additional_properties)
        return out


def unknown_fields(src: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """What is in the answer and not in the document."""
    return {name: value for name, value in src.items() if name not in known}


def read_object(model: type[Model], value: Any, wire: str) -> Any:
    """Read one nested object; null stays None."""
    if value is None:
        return None
    try:
        return model.from_dict(value)
    except DeserializationError as error:
        raise error.within(wire) from None


def read_list(model: type[Model], value: Any, wire: str) -> Any:
    """Read a list of objects; null, and a null among them, stays None."""
    if value is None:
        return None
    if type(value) is not list:
        raise DeserializationError(f"expected a list, found {_found(value)}").within(wire)
    read = model.from_dict
    out: list[Any] = []
    try:
        for item in value:
            out.append(None if item is None else read(item))  # noqa: PERF401 # its length is the place of a fault
    except DeserializationError as error:
        raise error.within(len(out)).within(wire) from None
    return out


def read_one_of(models: tuple[type[Model], ...], value: Any, wire: str) -> Any:
    """Read an object that may be of several kinds, as the one whose fields it shows most of."""
    if not isinstance(value, Mapping):
        return value
    best = max(models, key=lambda model: _likeness(model, value))
    return read_object(best, value, wire)


def _likeness(model: type[Model], value: Mapping[str, Any]) -> tuple[int, int]:
    names = model.wire_names.values()
    shown = sum(name in value for name in names)
    return shown, -len(names)


def whole(value: float) -> Any:
    """An integer that came as ``123.0``; beyond 2**53 a float has lost digits, and stays what it is."""
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def in_utc(moment: datetime) -> datetime:
    """A moment that came without an offset."""
    return moment.replace(tzinfo=UTC)


def read_datetime(model: Model, name: str, value: Any) -> Any:
    """Read a date and time; what nobody can read goes to `unparsed`. One without an offset is taken as UTC."""
    if value is None:
        return None
    try:
        read = from_iso(value)
    except (TypeError, ValueError):
        from .odd_dates import read_odd_datetime  # python-dateutil is not loaded for nothing

        odd = read_odd_datetime(value)
        if odd is None:
            model.unparsed[name] = value
            return None
        read = odd
    return read if read.tzinfo is not None else in_utc(read)


def _found(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
