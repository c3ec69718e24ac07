"""The rows of a job, as a stream from any iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from llamadapro._reports import Rows
from llamadapro.errors import InvalidRequestError


class Source:
    """Gives so many rows at a time."""

    def __init__(self, rows: Rows | None, name: str) -> None:
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, (Iterable, AsyncIterable)):
            raise InvalidRequestError(f"{name} must be an iterable of dictionaries, not {type(rows).__name__}")
        self._rows: Iterator[Any] | AsyncIterator[Any] = iter(rows) if isinstance(rows, Iterable) else aiter(rows)

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
