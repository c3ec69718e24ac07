"""Pages of a list: a token holds the place of the last item, so that inserts and deletions repeat or skip none."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from .errors import bad_field
from .query import Condition, Record, Sort, order_of
from .store import Store

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 500
"""A page is cut to so many items, however many were asked for."""

Place = tuple[bytes, int]
"""Where an item stands: its key in the order, and its id."""


def sign(content: bytes) -> str:
    """Not for secrecy: so that a token that was cut or made up is noticed."""
    return hashlib.blake2b(content, key=b"llamadapro sandbox", digest_size=6).hexdigest()


def token_of(place: Place, sort: Sort, kind: str) -> str:
    content = json.dumps([place[0].hex(), place[1], sort, kind]).encode()
    encoded = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return f"{encoded}.{sign(encoded.encode())}"


def place_of(token: str, sort: Sort, kind: str, where: str = "query") -> Place:
    content, _, signature = token.partition(".")
    if sign(content.encode("utf-8", "surrogatepass")) != signature:
        raise bad_field("pageToken", "is not a token that this service gave out", place=where)
    key, number, sorted_by, listed = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    if listed != kind:
        raise bad_field("pageToken", "belongs to another list: send it to the one that gave it out", place=where)
    if [tuple(pair) for pair in sorted_by] != sort:
        raise bad_field(
            "pageToken", "belongs to a list in another order: send the sorting it was given with", place=where
        )
    return bytes.fromhex(key), number


def page(
    store: Store,
    kind: str,
    *,
    size: int | None = None,
    token: str | None = None,
    number: int | None = None,
    conditions: list[Condition] | None = None,
    sort: Sort | None = None,
    to_response: Callable[[Record], Record] = lambda record: record,
    count: bool = True,
    where: str = "query",
) -> dict[str, Any]:
    """One page of the records of a kind, as the API answers them, with the token of the next."""
    conditions, sort, size = conditions or [], sort or [], min(max(size or DEFAULT_PAGE_SIZE, 1), MAX_PAGE_SIZE)
    after = place_of(token, sort, kind, where) if token else None
    skip = min((max(number or 1, 1) - 1) * size, 2**62) if after is None else 0
    order, descending = order_of(sort) if sort else ("", False)
    found = store.select(kind, conditions, order=order, descending=descending, after=after, skip=skip, limit=size + 1)
    answer: dict[str, Any] = {"items": [to_response(one.record) for one in found[:size]]}
    if len(found) > size:
        answer["nextPageToken"] = token_of(found[size - 1][:2], sort, kind)
    if count:
        answer["totalCount"] = store.count(kind, conditions)
    return answer
