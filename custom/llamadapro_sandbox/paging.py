"""Pages of a list: a token holds the place of the last item, so that inserts and deletions repeat or skip none."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from .errors import bad_field
from .query import Sort, Test, rank, values
from .store import Record, Store

DEFAULT_SIZE = 20
LARGEST = 500
"""A page is cut to so many items, however many were asked for."""

Row = tuple[int, Record]
Place = tuple[list[Any], int]
"""Where an item stands: its values of the sorted fields, and its id."""


def sign(content: bytes) -> str:
    """Not for secrecy: so that a token that was cut or made up is noticed."""
    return hashlib.blake2b(content, key=b"llamadapro sandbox", digest_size=6).hexdigest()


def token_of(place: Place, sort: Sort) -> str:
    content = base64.urlsafe_b64encode(json.dumps([place[0], place[1], sort]).encode()).decode().rstrip("=")
    return f"{content}.{sign(content.encode())}"


def place_of(token: str, sort: Sort, where: str = "query") -> Place:
    content, _, signature = token.partition(".")
    if sign(content.encode("utf-8", "surrogatepass")) != signature:
        raise bad_field("pageToken", "is not a token that this service gave out", place=where)
    keys, number, sorted_by = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    if [tuple(pair) for pair in sorted_by] != sort:
        raise bad_field(
            "pageToken", "belongs to a list in another order: send the sorting it was given with", place=where
        )
    return keys, number


def page(
    store: Store,
    kind: str,
    *,
    size: int | None = None,
    token: str | None = None,
    number: int | None = None,
    tests: list[Test] | None = None,
    sort: Sort | None = None,
    to_response: Callable[[Record], Record] = lambda record: record,
    count: bool = True,
    where: str = "query",
) -> dict[str, Any]:
    """One page of the records of a kind, `to_response` as the API shows them, with the token of the next."""
    sort, size = sort or [], min(max(size or DEFAULT_SIZE, 1), LARGEST)
    after = place_of(token, sort, where) if token else None
    skip = (max(number or 1, 1) - 1) * size if after is None else 0
    if tests or sort:
        rows = [
            (key, record) for key, record in ((k, to_response(r)) for k, r in store.some(kind)) if _all(tests, record)
        ]
        total = len(rows)
        rows = _after(_sorted(rows, sort), sort, after)[skip : skip + size + 1]
    else:
        skip = min(skip, 2**62)
        found = store.some(kind, after=after[1] if after else 0, skip=skip, limit=size + 1)
        rows = [(key, to_response(record)) for key, record in found]
        total = store.count(kind) if count else 0
    answer: dict[str, Any] = {"items": [record for _, record in rows[:size]]}
    if len(rows) > size:
        answer["nextPageToken"] = token_of(_place(rows[size - 1], sort), sort)
    if count:
        answer["totalCount"] = total
    return answer


def _all(tests: list[Test] | None, record: Record) -> bool:
    return all(test(record) for test in tests or [])


def _place(row: Row, sort: Sort) -> Place:
    return [next(iter(values(row[1], field)), None) for field, _ in sort], row[0]


def _compare(one: Place, other: Place, sort: Sort) -> int:
    for left, right, (_, descending) in zip(one[0], other[0], sort, strict=True):
        if rank(left) != rank(right):
            return -1 if (rank(left) < rank(right)) != descending else 1
    return (one[1] > other[1]) - (one[1] < other[1])


def _sorted(rows: list[Row], sort: Sort) -> list[Row]:
    if not sort:
        return rows

    def compare(one: Row, other: Row) -> int:
        return _compare(_place(one, sort), _place(other, sort), sort)

    return sorted(rows, key=cmp_to_key(compare))


def _after(rows: list[Row], sort: Sort, place: Place | None) -> list[Row]:
    return rows if place is None else [row for row in rows if _compare(_place(row, sort), place, sort) > 0]
