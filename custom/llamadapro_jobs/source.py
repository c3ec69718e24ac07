"""The rows of a job, as a stream from any iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

from llamadapro.errors import InvalidRequestError

Rows = Iterable[Mapping[str, Any] | Exception] | AsyncIterable[Mapping[str, Any] | Exception]
"""A source of rows; an exception among them stands for a row that could not be read, and says why."""


class Source:
    """Gives so many rows at a time."""

    def __init__(self, rows: Rows, name: str) -> None:
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, (Iterable, AsyncIterable)):
            raise InvalidRequestError(f"{name} must be an iterable of dictionaries, not {type(rows).__name__}")
        self._rows: Iterator[Any] | AsyncIterator[Any] = iter(rows) if isinstance(rows, Iterable) else aiter(rows)

    async def take(self, count: int) -> list[Any]:
        """The next rows: fewer than `count` only at the end."""
        items: list[Any] = []
        if isinstance(self._rows, Iterator):
            for item in self._rows:
                items.append(item)
                if len(items) == count:
                    break
        else:
            async for item in self._rows:
                items.append(item)
                if len(items) == count:
                    break
        return items
