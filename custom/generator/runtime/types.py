"""What annotations of generated code are made of, and the prepared request: checked and encoded, not yet sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, Protocol, TypeVar
from uuid import UUID

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
C = TypeVar("C", bound=type)


class _Unset:
    def __repr__(self) -> str:
        return "<not sent>"


UNSET: Final[Any] = _Unset()
"""Stands in signatures for a keyword of a body that is left out: it is not sent, while None is sent as null."""


class Wire(NamedTuple):
    """The name of a field on the wire, where it is not the name in Python in camelCase."""

    name: str


class Tag:
    """Which class of a union an object is: by the value of the field `name` (on the wire)."""

    __slots__ = ("classes", "name")

    def __init__(self, name: str, classes: Mapping[Any, Any]) -> None:
        self.name: str = name
        self.classes: Mapping[Any, Any] = classes


class CommaSeparated(NamedTuple):
    """A list in a query that is sent as one parameter, its items separated by commas."""


class Format(NamedTuple):
    """How a value stands in JSON or in a form: ``date-time``, ``date``, ``uuid``, ``byte``, ``binary`` or ``text``."""

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        # TimeFromNow is a protocol, which pydantic cannot check.
        return handler.generate_schema(datetime | date | timedelta) if self.name == "date-time" else handler(source)


def extra_items(annotation: Callable[[], Any]) -> Callable[[C], C]:
    """Mark a class as open: fields that the document does not name have the type that `annotation` returns."""

    def mark(cls: C) -> C:
        setattr(cls, "__extra_items__", annotation)  # noqa: B010 # no type checker lets a TypedDict have it
        return cls

    return mark


class TimeFromNow(Protocol):
    """What can be added to a datetime, such as python-dateutil's relativedelta."""

    def __radd__(self, other: datetime, /) -> datetime: ...


Moment = Annotated[datetime | date | timedelta | TimeFromNow, Format("date-time")]
"""What a request takes for a point in time: a datetime with a time zone, a time from now, or a date."""

Day = Annotated[date | str, Format("date")]
"""What a request takes for a date: the date, or its ISO 8601 text."""

Uuid = Annotated[UUID | str, Format("uuid")]
"""What a request takes for a UUID."""

File = Annotated[bytes | tuple[str, bytes, str], Format("binary")]
"""A part of a multipart body: its bytes, or its file name, bytes and content type."""

Text = Annotated[str, Format("text")]
"""An answer that is plain text."""


class Answer(NamedTuple):
    """How the answer of one status is read: as JSON, as text, or not at all."""

    kind: Literal["json", "text", "none"]
    read: Callable[[Any], Any]


class PreparedRequest(Generic[T_co]):
    """One request, ready to be sent any number of times.

    `url_path` is the path with its query, both encoded. `body` is plain data (and bytes, in a multipart body), to be
    encoded as `content_type`, which is None when there is no body. `headers` are those that the operation's parameters
    give. `security` names the security scheme by which the key is sent: None for the document's usual one, ``""`` for
    no key. `idempotent` says whether sending the request twice does the same as sending it once. `read` turns the
    decoded answer into its model.
    """

    __slots__ = (
        "_answers",
        "body",
        "content_type",
        "headers",
        "idempotent",
        "method",
        "operation",
        "read",
        "security",
        "url_path",
    )

    def __init__(
        self,
        operation: str,
        method: str,
        url_path: str,
        read: Callable[[Any], T_co],
        *,
        idempotent: bool,
        body: Any = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        security: str | None = None,
        answers: Mapping[str, Answer] | None = None,
    ) -> None:
        self.operation: str = operation
        self.method: str = method
        self.url_path: str = url_path
        self.read: Callable[[Any], T_co] = read
        self.idempotent: bool = idempotent
        self.body: Any = body
        self.content_type: str | None = content_type or (None if body is None else "application/json")
        self.headers: Mapping[str, str] = headers or {}
        self.security: str | None = security
        self._answers: Mapping[str, Answer] = answers or {}

    @property
    def has_body(self) -> bool:
        """Whether the document gives the operation an answer to read."""
        return self.read is not read_nothing

    def answer(self, status: int) -> Answer:
        """How an answer with this status is read: one that the document does not have, as the first that it has."""
        known = self._answers
        given = known.get(str(status)) or known.get(f"{status // 100}XX") or known.get("default")
        return given or Answer("json" if self.has_body else "none", self.read)

    def with_reader(self, read: Callable[[Any], U]) -> PreparedRequest[U]:
        """The same request, whose answer is read in another way."""
        return PreparedRequest(
            self.operation,
            self.method,
            self.url_path,
            read,
            idempotent=self.idempotent,
            body=self.body,
            content_type=self.content_type,
            headers=self.headers,
            security=self.security,
        )

    def __repr__(self) -> str:
        return f"<PreparedRequest {self.operation}: {self.method} {self.url_path}>"


def read_nothing(_answer: Any) -> None:
    """Read the answer of an operation that has none."""
