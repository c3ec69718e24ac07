"""The seam between this package and whatever sends its calls: a prepared call, checked and encoded, not yet sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode

T_co = TypeVar("T_co", covariant=True)


class TimeFromNow(Protocol):
    """What can be added to a datetime, such as python-dateutil's relativedelta."""

    def __radd__(self, other: datetime, /) -> datetime: ...


Moment = datetime | date | timedelta | TimeFromNow
"""What a request takes for a point in time: a datetime with a time zone, a time from now, or a date."""


class _Unset:
    def __repr__(self) -> str:
        return "<not sent>"


UNSET: Final[Any] = _Unset()
"""The default of a body keyword: what is absent is not sent, while None is sent as null. Never seen outside."""


class PreparedRequest(Generic[T_co]):
    """One call, ready to be sent any number of times.

    `url_path` is the path with its query, both encoded; `body` is plain JSON data or None for no body; `read` turns the
    decoded answer into its model; `idempotent` says whether sending the call twice does the same as sending it once.
    Preparing a call never touches the network, so that what cannot be sent is refused before.
    """

    __slots__ = ("body", "idempotent", "method", "operation", "read", "url_path")

    def __init__(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[Any], T_co],
        *,
        idempotent: bool,
        query: Mapping[str, str | int | float | bool | None] | None = None,
        body: dict[str, Any] | None = None,
    ) -> None:
        self.operation: str = operation
        self.method: str = method
        self.url_path: str = path if query is None else _with_query(path, query)
        self.read: Callable[[Any], T_co] = read
        self.idempotent: bool = idempotent
        self.body: dict[str, Any] | None = body

    @property
    def has_body(self) -> bool:
        """Whether the document gives the operation an answer to read."""
        return self.read is not read_nothing

    def __repr__(self) -> str:
        return f"<PreparedRequest {self.operation}: {self.method} {self.url_path}>"


def _with_query(path: str, query: Mapping[str, str | int | float | bool | None]) -> str:
    pairs = [(name, _query_text(value)) for name, value in query.items() if value is not None]
    return f"{path}?{urlencode(pairs, quote_via=quote)}" if pairs else path


def _query_text(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def read_nothing(_answer: Any) -> None:
    """Read the answer of an operation that has none."""
