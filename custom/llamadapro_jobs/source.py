"""The rows of a job, as a stream from any iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from llamadapro._reports import Rows
from llamadapro.errors import InvalidRequestError


class Placed:
    """A row that knows its place: one of a file knows its line."""

    __slots__ = ()
    line: int


class Source:
    """Gives so many rows at a time."""

    def __init__(self, rows: Rows | None, name: str) -> None:
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, (Iterable, AsyncIterable)):
            raise InvalidRequestError(f"{name} must be an iterable of dictionaries, not {type(rows).__name__}")
        # Asked for its iterator once, when it is read: the second time some begin anew, and some cannot be asked.
        self._rows: Iterator[Any] | AsyncIterator[Any] = (
            _each(rows) if isinstance(rows, Iterable) else _each_async(rows)
        )

    async def take(self, count: int) -> list[Any]:
        """The next rows: fewer than `count` only at the end."""
        if isinstance(self._rows, Iterator):
            return [*islice(self._rows, count)]
        items: list[Any] = []
        async for item in self._rows:
            items.append(item)
            if len(items) == count:
                break
        return items


def _each(rows: Iterable[Any]) -> Iterator[Any]:
    yield from rows


async def _each_async(rows: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for row in rows:
        yield row
