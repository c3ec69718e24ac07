"""The rows of an import, in chunks: each of `size` rows but the last, whichever of them are bad."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any

import attrs
import orjson

from ..errors import InvalidRequestError

Rows = Iterable[Mapping[str, Any] | Exception] | AsyncIterable[Mapping[str, Any] | Exception]
"""A source of rows; an exception among them stands for a row that could not be read, and says why."""


@attrs.frozen
class Chunk:
    number: int
    first: int
    items: list[Any]
    digest: bytes
    """Tells whether a source gives the same rows again."""

    @property
    def last(self) -> int:
        return self.first + len(self.items) - 1


class Source:
    """Gives one chunk at a time, to one that asks at a time."""

    def __init__(self, rows: Rows, size: int) -> None:
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, (Iterable, AsyncIterable)):
            raise InvalidRequestError(f"items must be an iterable of dictionaries, not {type(rows).__name__}")
        self._rows: Iterator[Any] | AsyncIterator[Any] = iter(rows) if isinstance(rows, Iterable) else aiter(rows)
        self._size = size
        self._number = 0
        self._ended = False

    async def next(self) -> Chunk | None:
        """The next chunk; None when there is none."""
        items = [] if self._ended else await self._take()
        self._ended = len(items) < self._size
        if not items:
            return None
        number, self._number = self._number, self._number + 1
        return Chunk(number, number * self._size, items, _digest(items))

    async def _take(self) -> list[Any]:
        if isinstance(self._rows, Iterator):
            return [*islice(self._rows, self._size)]
        items: list[Any] = []
        async for item in self._rows:
            items.append(item)
            if len(items) == self._size:
                break
        return items


def _digest(items: list[Any]) -> bytes:
    digest = blake2b(digest_size=16)
    for item in items:
        try:
            text = orjson.dumps(item, default=str, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # what JSON cannot hold is a bad row, but part of the source all the same
            text = repr(item).encode("utf-8", "backslashreplace")
        digest.update(text + b"\n")
    return digest.digest()
