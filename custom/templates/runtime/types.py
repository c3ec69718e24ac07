"""The seam between this package and whatever sends its calls: a prepared call, checked and encoded, not yet sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

T = TypeVar("T")


class _Unset:
    def __repr__(self) -> str:
        return "<not sent>"


UNSET: Final[Any] = _Unset()
"""The default of a body keyword that was not given. It never leaves this package: absent is not sent, None is sent as null."""


class Call(Generic[T]):
    """One call, ready to be sent any number of times.

    `target` is the path with its query, both encoded; `body` is plain JSON data or None for no body; `read` turns the
    decoded answer into its model; `safe` says whether sending the call twice does the same as sending it once.
    """

    __slots__ = ("body", "method", "operation", "read", "safe", "target")

    def __init__(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        safe: bool,
        query: Mapping[str, str | int | float | bool | None] | None = None,
        body: dict[str, Any] | None = None,
    ) -> None:
        self.operation = operation
        self.method = method
        self.target = path if query is None else _with_query(path, query)
        self.read = read
        self.safe = safe
        self.body = body

    def __repr__(self) -> str:
        return f"<Call {self.operation}: {self.method} {self.target}>"


def _with_query(path: str, query: Mapping[str, str | int | float | bool | None]) -> str:
    pairs = [(name, _query_text(value)) for name, value in query.items() if value is not None]
    return f"{path}?{urlencode(pairs, quote_via=quote)}" if pairs else path


def _query_text(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def read_nothing(_answer: Any) -> None:
    """Read the answer of an operation that has none."""
