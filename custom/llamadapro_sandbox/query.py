"""Conditions and orders on records: dotted fields, the operators of a search, the grammars of filterBy and sortBy.

A condition is a test of one record and, where it can be, ranges of index keys that every match lies in. Keys are bytes
that sort as the values do: nothing < booleans < numbers < dates < texts < the rest.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeGuard, cast

from .clock import DATE, seconds_of
from .errors import bad_field, did_you_mean

Record = dict[str, Any]
Test = Callable[[Record], bool]
Sort = list[tuple[str, bool]]
"""Fields, most important first, each with True for descending."""
Span = tuple[bytes, bytes]
"""A range of keys: from the first, up to but without the second."""

KEY_BYTES = 160
"""Longer texts are cut in the index; a match is then tested on the record itself."""
NOT_INDEXED = frozenset({"metadata", "customData"})
"""Free-form objects, of any size. Of all others two levels are indexed."""
MIN_TEXT = 3
"""The index of texts holds every three characters."""
NULL, BOOLEAN, NUMBER, TEXT, OTHER = b"\0", b"\1", b"\2", b"\4", b"\5"
DATE_CLASS = b"\3"


@dataclass(frozen=True)
class Condition:
    holds: Test
    name: str
    """The same for two conditions that mean the same."""
    field: str = ""
    spans: tuple[Span, ...] = ()
    """Keys that the field of every match has; empty if the index cannot help."""
    texts: tuple[str, ...] = ()
    """Texts that every match contains."""
    exact: bool = False
    """Whether the index alone decides."""
    alternatives: tuple[Condition, ...] = ()
    """Conditions of which every match meets one."""

    @property
    def points(self) -> list[bytes]:
        """The keys, if each span is a single one."""
        return [low for low, _ in self.spans] if all(high == low + b"\0" for low, high in self.spans) else []


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def values(record: Any, field: str) -> list[Any]:
    """Every value at `addresses.address` and the like: a list on the way stands for each of its items."""
    found = [record]
    for part in field.split("."):
        found = [item for value in found for item in (value if isinstance(value, list) else [value])]
        found = [value[part] for value in found if isinstance(value, dict) and part in value]
    return [item for value in found for item in (value if isinstance(value, list) else [value])]


def leaves(record: Record) -> Iterator[tuple[str, Any, bool]]:
    """What the index holds of a record: path, value, and whether it is the first value there."""
    seen: set[str] = set()
    for name, outer in record.items():
        for value in outer if is_list(outer) else [outer]:
            found = [(name, value)]
            if isinstance(value, dict) and name not in NOT_INDEXED:
                for inner, deep in cast(Record, value).items():
                    found += [(f"{name}.{inner}", item) for item in (deep if is_list(deep) else [deep])]
            for path, leaf in found:
                yield path, leaf, path not in seen
                seen.add(path)


def is_indexed(field: str) -> bool:
    parts = field.split(".")
    return len(parts) == 1 or (len(parts) == 2 and parts[0] not in NOT_INDEXED)


def key(value: Any) -> bytes:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return BOOLEAN + bytes([value])
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) < 20 and (value == "0" or value[0] != "0"):
            return _number_key(int(value))  # the search writes ids as text
        if DATE.match(value) and (seconds := seconds_of(value)) > float("-inf"):
            return DATE_CLASS + _ordered_float(seconds)
        return TEXT + value.encode("utf-8", "surrogatepass")[:KEY_BYTES]
    if isinstance(value, int | float):
        return _number_key(value)
    return OTHER


def _number_key(value: float) -> bytes:
    exactly = str(value).encode() if abs(value) >= 2**53 else b""
    try:
        return NUMBER + _ordered_float(float(value)) + exactly
    except OverflowError:
        return NUMBER + _ordered_float(float("inf") if value > 0 else float("-inf")) + exactly


def _ordered_float(value: float) -> bytes:
    packed = struct.pack(">d", value + 0.0)  # no negative zero
    return bytes(255 - byte for byte in packed) if packed[0] & 0x80 else bytes([packed[0] | 0x80]) + packed[1:]


def order_of(sort: Sort) -> tuple[str, bool]:
    """A sort as the index names it, and its direction: that of the first field; `-` marks those that run against it."""
    first = sort[0][1]
    return ";".join(("" if descending == first else "-") + field for field, descending in sort), first


def order_key(record: Record, order: str) -> bytes:
    """Where a record stands in an order: its keys joined, so that bytes compare as the fields one after another do."""
    fields = order.split(";")
    return join_keys([key(next(iter(values(record, field.removeprefix("-"))), None)) for field in fields], order)


def join_keys(keys: list[bytes], order: str) -> bytes:
    if len(keys) == 1:
        return keys[0]
    fields, ended = order.split(";"), [one.replace(b"\0", b"\0\xff") + b"\0\1" for one in keys]
    joined = (
        bytes(255 - byte for byte in one) if field.startswith("-") else one
        for field, one in zip(fields, ended, strict=True)
    )
    return b"".join(joined)


def plain(value: Any) -> str:
    """A value as one would type it into a filter."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def same(value: Any, wanted: Any) -> bool:
    return plain(value) == plain(wanted) or (key(value)[:1] == DATE_CLASS and key(value) == key(wanted))


def _point(found: bytes) -> Span:
    return found, found + b"\0"


def _class(found: bytes) -> Span:
    """All keys of the same class of values."""
    return found[:1], bytes([found[0] + 1])


def _equal(wanted: Any) -> tuple[Span, ...]:
    """A text may be written where a number or a boolean is meant."""
    text = plain(wanted)
    keys = {key(wanted), key(text)}
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict | list):
        return ()
    if plain(value) == text:
        keys.add(key(value))
    return tuple(_point(one) for one in sorted(keys))


def _ordered(compare: Callable[[bytes, bytes], bool]) -> Callable[[Any, Any], bool]:
    def holds(value: Any, wanted: Any) -> bool:
        return any(key(value)[:1] == one[:1] and compare(key(value), one) for one in _comparable(wanted))

    return holds


def _comparable(wanted: Any) -> set[bytes]:
    """What to compare with: as it is, and as a number if it reads as one."""
    keys = {key(wanted)}
    if isinstance(wanted, str):
        with suppress(ValueError):
            keys.add(key(float(wanted)))
    return keys


def _in_text(holds: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    """Null and objects have no text."""
    return lambda value, wanted: (
        isinstance(value, str | int | float) and holds(plain(value).casefold(), plain(wanted).casefold())
    )


@cache
def _spellings() -> dict[str, list[str]]:
    """Characters that case folding changes, by what they then begin with: K and the sign of Kelvin by k."""
    found: dict[str, list[str]] = {}
    for character in map(chr, range(0x1F000)):
        if (folded := character.casefold()) != character:
            found.setdefault(folded[0], []).append(character)
    return found


def _beginnings(folded: str, length: int = 2) -> list[str]:
    """How texts begin whose folded form begins so; only the first characters count."""
    if not folded or not length:
        return [""]
    found: list[str] = []
    for one in [folded[0], *_spellings().get(folded[0], [])]:
        form = one.casefold()
        if folded.startswith(form):
            found += [one + rest for rest in _beginnings(folded[len(form) :], length - 1)]
        elif form.startswith(folded):
            found.append(one)
    return found


def _prefixed(wanted: Any) -> tuple[Span, ...]:
    """Keys of what may begin with a text; numbers, dates and booleans have one too."""
    folded = plain(wanted).casefold()
    keys = [TEXT + one.encode("utf-8", "surrogatepass") for one in _beginnings(folded)] if folded else []
    spans = [(low, low[:-1] + bytes([low[-1] + 1])) for low in keys]
    if folded[:1] in ("t", "f"):
        spans.append(_class(BOOLEAN))
    if folded[:1].isdigit() or folded[:1] == "-":
        spans += [_class(NUMBER), _class(DATE_CLASS)]
    return tuple(spans)


def _listed(wanted: Any) -> list[str]:
    return [part.strip() for part in plain(wanted).split(",")]


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": same,
    "contains": _in_text(lambda text, wanted: wanted in text),
    "startsWith": _in_text(str.startswith),
    "endsWith": _in_text(str.endswith),
    "gt": _ordered(lambda left, right: left > right),
    "gte": _ordered(lambda left, right: left >= right),
    "lt": _ordered(lambda left, right: left < right),
    "lte": _ordered(lambda left, right: left <= right),
    "in": lambda value, wanted: any(same(value, one) for one in _listed(wanted)),
    "exists": lambda value, wanted: value is not None,
}
SPANS: dict[str, Callable[[Any], tuple[Span, ...]]] = {
    "eq": _equal,
    "gt": lambda wanted: tuple((one + b"\0", _class(one)[1]) for one in _comparable(wanted)),
    "gte": lambda wanted: tuple((one, _class(one)[1]) for one in _comparable(wanted)),
    "lt": lambda wanted: tuple((_class(one)[0], one) for one in _comparable(wanted)),
    "lte": lambda wanted: tuple((_class(one)[0], one + b"\0") for one in _comparable(wanted)),
    "in": lambda wanted: tuple(span for one in _listed(wanted) for span in _equal(one)),
    "exists": lambda wanted: ((BOOLEAN, b"\xff"),),
    "startsWith": _prefixed,
}
NEGATED = {"ne": "eq", "neq": "eq", "notContains": "contains", "notIn": "in", "notExists": "exists"}


def condition(field: str, operator: str, wanted: Any) -> Condition:
    """A test of one field. Of several values one must hold; of a negation, none."""
    name = json.dumps([field, operator, wanted])
    if operator in NEGATED:
        positive = condition(field, NEGATED[operator], wanted).holds
        return Condition(lambda record: not positive(record), name)
    if operator not in OPERATORS:
        raise ValueError(f"operator {operator!r} is unknown; there are {', '.join([*OPERATORS, *NEGATED])}")
    matches = OPERATORS[operator]
    if operator == "exists" and plain(wanted) == "false":
        return Condition(lambda record: all(value is None for value in values(record, field)), name)

    def holds(record: Record) -> bool:
        return any(matches(value, wanted) for value in values(record, field))

    if not is_indexed(field):
        return Condition(holds, name)
    if operator in SPANS:
        spans = SPANS[operator](wanted)
        if any(low < BOOLEAN for low, _ in spans):  # a field that is missing may stand in the index as nothing
            spans = ()
        exact = (
            bool(spans) and operator != "startsWith" and all(len(bound) < KEY_BYTES for span in spans for bound in span)
        )
        return Condition(holds, name, field, spans, exact=exact)
    return Condition(holds, name, texts=() if field.startswith("_") else _texts_of([plain(wanted)]))


def any_of(must: list[Condition], enough: list[Condition]) -> Condition:
    """All of the first kind, or one of the second."""

    def holds(record: Record) -> bool:
        return (bool(must) and all(one.holds(record) for one in must)) or any(one.holds(record) for one in enough)

    name = " or ".join(one.name for one in [*must, *enough]) + f" {len(must)}"
    narrowest = sorted(must, key=lambda one: not one.spans)[:1]
    exact = len(must) < 2 and all(one.exact for one in [*must, *enough])
    return Condition(holds, name, alternatives=(*narrowest, *enough), exact=exact)


def text_condition(text: str) -> Condition:
    """Full text, as searchBy and `search` mean it: every word occurs somewhere in the record."""
    words = text.casefold().split()

    def holds(record: Record) -> bool:
        content = text_of(record)
        return all(word in content for word in words)

    texts = _texts_of(words)
    return Condition(holds, json.dumps([words]), texts=texts, exact=len(texts) == len(words) > 0)


def _texts_of(texts: list[str]) -> tuple[str, ...]:
    folded = [text.casefold() for text in texts]
    return tuple(text for text in folded if len(text) >= MIN_TEXT and text.isprintable())


def text_of(record: Record) -> str:
    """All texts of a record, as a search compares them."""
    return "\n".join(_texts(record)).casefold()


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for name, inner in cast(Record, value).items():
            if not name.startswith("_"):
                yield from _texts(inner)
    elif is_list(value):
        for inner in value:
            yield from _texts(inner)
    elif value is not None:
        yield plain(value)


def filter_by(text: str, known: frozenset[str]) -> list[Condition]:
    """`firstName:John;email:john@example.com`: all of them must hold."""
    conditions: list[Condition] = []
    for part in filter(None, text.split(";")):
        field, colon, wanted = part.partition(":")
        if not colon:
            raise bad_field("filterBy", f"{part!r} is not field:value (several are joined with ;)", place="query")
        check_field(field, known, "filterBy", "query")
        conditions.append(condition(field, "eq", wanted))
    return conditions


def sort_by(text: str, known: frozenset[str]) -> Sort:
    """`createdAt=desc;lastName=asc`; a field alone sorts upwards."""
    sort: Sort = []
    for part in filter(None, text.split(";")):
        field, _, direction = part.replace(":", "=").partition("=")
        if direction not in ("", "asc", "desc"):
            raise bad_field("sortBy", f"{direction!r} is not a direction; use asc or desc", place="query")
        check_field(field, known, "sortBy", "query")
        sort.append((field, direction == "desc"))
    return sort


def check_field(field: str, known: frozenset[str], name: str, place: str) -> None:
    """A misspelt field would find nothing, which looks like an answer: complain instead."""
    first = field.split(".")[0]
    if first not in known:
        raise bad_field(name, f"field {field!r} is unknown{did_you_mean(first, known)}", place=place)


def list_options(query: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """filterBy, searchBy and sortBy, which all lists but that of tasks have."""
    conditions = filter_by(query.get("filterBy", ""), known)
    if query.get("searchBy", "").strip():
        conditions.append(text_condition(query["searchBy"]))
    return {"conditions": conditions, "sort": sort_by(query.get("sortBy", ""), known)}
