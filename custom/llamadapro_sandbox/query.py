"""Looking into records: dotted fields, the operators of a search, the grammars of filterBy and sortBy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeGuard, cast

from .clock import seconds_of
from .errors import bad_field
from .store import Record

DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d", re.ASCII)
Test = Callable[[Record], bool]
Sort = list[tuple[str, bool]]
"""Fields, most important first, each with True for descending."""


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def values(record: Any, field: str) -> list[Any]:
    """Every value at `addresses.address` and the like: a list on the way stands for each of its items."""
    found = [record]
    for part in field.split("."):
        found = [item for value in found for item in (value if isinstance(value, list) else [value])]
        found = [value[part] for value in found if isinstance(value, dict) and part in value]
    return [item for value in found for item in (value if isinstance(value, list) else [value])]


def rank(value: Any) -> tuple[int, Any]:
    """Any JSON value, made comparable with any other: nothing < truth < number < date < text < the rest."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, int | float):
        return (2, value)
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) < 20:
            return (2, int(value))  # the search writes ids as text
        return (3, seconds_of(value)) if DATE.match(value) else (4, value)
    return (5, repr(value))


def plain(value: Any) -> str:
    """A value as one would type it into a filter."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def same(value: Any, wanted: Any) -> bool:
    return plain(value) == plain(wanted) or (rank(value)[0] == 3 and rank(value) == rank(wanted))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(value: Any, wanted: Any) -> bool:
        if rank(value)[0] == 2 and isinstance(wanted, str):
            try:
                wanted = float(wanted)
            except ValueError:
                return False
        left, right = rank(value), rank(wanted)
        return left[0] == right[0] and compare(left, right)

    return holds


def _listed(wanted: Any) -> list[str]:
    return [part.strip() for part in plain(wanted).split(",")]


def _within(value: Any, wanted: Any) -> bool:
    return plain(wanted).casefold() in plain(value).casefold()


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": same,
    "contains": _within,
    "startsWith": lambda value, wanted: plain(value).casefold().startswith(plain(wanted).casefold()),
    "endsWith": lambda value, wanted: plain(value).casefold().endswith(plain(wanted).casefold()),
    "gt": _ordered(lambda left, right: left > right),
    "gte": _ordered(lambda left, right: left >= right),
    "lt": _ordered(lambda left, right: left < right),
    "lte": _ordered(lambda left, right: left <= right),
    "in": lambda value, wanted: any(same(value, one) for one in _listed(wanted)),
    "exists": lambda value, wanted: value is not None,
}
NEGATED = {"ne": "eq", "neq": "eq", "notContains": "contains", "notIn": "in", "notExists": "exists"}


def condition(field: str, operator: str, wanted: Any) -> Test:
    """A test of one field. Of several values one must hold; of a negation, none."""
    if operator in NEGATED:
        positive = condition(field, NEGATED[operator], wanted)
        return lambda record: not positive(record)
    if operator not in OPERATORS:
        raise ValueError(f"operator {operator!r} is unknown; there are {', '.join([*OPERATORS, *NEGATED])}")
    holds = OPERATORS[operator]
    if operator == "exists" and plain(wanted) == "false":
        return lambda record: all(value is None for value in values(record, field))
    return lambda record: any(holds(value, wanted) for value in values(record, field))


def text_test(text: str) -> Test:
    """Full text, as searchBy and `search` mean it: every word occurs somewhere in the record."""
    words = text.casefold().split()

    def holds(record: Record) -> bool:
        text = "\n".join(_texts(record)).casefold()
        return all(word in text for word in words)

    return holds


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


def filter_by(text: str, known: frozenset[str]) -> list[Test]:
    """`firstName:John;email:john@example.com`: all of them must hold."""
    tests: list[Test] = []
    for part in filter(None, text.split(";")):
        field, colon, wanted = part.partition(":")
        if not colon:
            raise bad_field("filterBy", f"{part!r} is not field:value (several are joined with ;)", place="query")
        check_field(field, known, "filterBy", "query")
        tests.append(condition(field, "eq", wanted))
    return tests


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
    if field.split(".")[0] not in known:
        raise bad_field(name, f"field {field!r} is unknown; there are {', '.join(sorted(known))}", place=place)


def list_options(query: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """filterBy, searchBy and sortBy, which all lists but that of tasks have."""
    tests = filter_by(query.get("filterBy", ""), known)
    if query.get("searchBy", "").strip():
        tests.append(text_test(query["searchBy"]))
    return {"tests": tests, "sort": sort_by(query.get("sortBy", ""), known)}
