"""What the functions of `api` do: check and encode the arguments of an operation, without any network use."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import quote

from .document import IDEMPOTENT, SECURITY
from .errors import ValidationError
from .hints import Field, evaluate, fields_of, marks_of
from .reading import reader
from .types import UNSET, Answer, CommaSeparated, Format, PreparedRequest, read_nothing
from .writing import (
    Writer,
    body_id,
    compile_writer,
    did_you_mean,
    header_value,
    path_segment,
    serialize_argument,
    to_text,
    write_id,
    writer,
)

T = TypeVar("T")


class Operation(Generic[T]):
    """One operation of the OpenAPI document; called with the arguments of its function, it prepares a request.

    `query`, `headers` and `body` are the dictionaries that type its keywords. A `body` that is no object is the value
    of the keyword ``body`` (`body_keyword`). `supplied` are the keys of the body that the path gives, by their names on
    the wire, and `answers` the types of the answers by status.
    """

    def __init__(
        self,
        function: Callable[..., PreparedRequest[T]],
        method: str,
        path: str,
        *,
        query: type | None = None,
        headers: type | None = None,
        body: type | None = None,
        body_keyword: bool = False,
        body_required: bool = True,
        content_type: str | None = None,
        supplied: Mapping[str, str] | None = None,
        answers: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        self._function = function
        self._name: str = function.__name__
        self.method = method
        self.path = path
        self._idempotent = IDEMPOTENT[method, path]
        self._security = SECURITY.get((method, path))
        self._query_type, self._headers_type, self._body_type = query, headers, body
        self._body_keyword = body_keyword
        self._body_required = body_required
        self._content_type = content_type or ("application/json" if body else None)
        self._supplied = supplied or {}
        self._answer_types = answers or {}
        function.__signature__ = self._signature()  # type: ignore[attr-defined]

    def check(self) -> None:
        """Compile all that a call needs; the generator asks for it before it hands the package over."""
        typing.get_type_hints(inspect.unwrap(self._function))
        for needed in ("_known", "_ids", "_query", "_headers", "_answers", *["_write"] * bool(self._body_type)):
            getattr(self, needed)

    def _signature(self) -> inspect.Signature:
        """The keywords one by one, where the function itself takes `Unpack` of a dictionary."""
        own = inspect.signature(self._function)
        ids = [one for one in own.parameters.values() if one.kind is one.POSITIONAL_ONLY]
        keywords = []
        for types in (self._query_type, self._headers_type, self._body_type):
            for name, annotation in types.__annotations__.items() if types else ():
                text = annotation.__forward_arg__ if isinstance(annotation, typing.ForwardRef) else str(annotation)
                needed = text.startswith("Required[")
                default = inspect.Parameter.empty if needed else None if types is not self._body_type else UNSET
                text = text.removeprefix("Required[").removesuffix("]") if needed else text
                keywords.append(
                    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=text)
                )
        return own.replace(parameters=[*ids, *keywords])

    def __call__(self, ids: tuple[Any, ...] = (), keywords: Mapping[str, Any] | None = None) -> PreparedRequest[T]:
        keywords = keywords or {}
        if not (self._required <= keywords.keys() and (self._open or keywords.keys() <= self._known.keys())):
            self._wrong_keywords(keywords)
        path = self.path
        for (name, write), value in zip(self._ids, ids, strict=True):
            path = path.replace(f"{{{name}}}", path_segment(value, name, write))
        pairs = [
            f"{wire}={text}"
            for name, wire, write in self._query
            if keywords.get(name) is not None
            for text in serialize_argument(write, keywords[name], name)
        ]
        body, content_type = self._write_body(ids, keywords)
        return PreparedRequest(
            self._name,
            self.method,
            f"{path}?{'&'.join(pairs)}" if pairs else path,
            self._answers["default"].read,
            idempotent=self._idempotent,
            body=body,
            content_type=content_type,
            headers={
                wire: header_value(text, name)
                for name, wire, write in self._headers
                if keywords.get(name) is not None
                for text in serialize_argument(write, keywords[name], name)
            },
            security=self._security,
            answers=self._answers,
        )

    def _write_body(self, ids: tuple[Any, ...], keywords: Mapping[str, Any]) -> tuple[Any, str | None]:
        if self._body_type is None:
            return None, None
        query, headers, _ = self._fields
        given = keywords
        if query or headers:
            given = {name: value for name, value in keywords.items() if name not in query and name not in headers}
        if not given and not self._body_required:
            return None, None
        body = self._write(given)
        for wire, name in self._supplied.items():
            body[wire] = body_id(ids[[one for one, _ in self._ids].index(name)], name)
        return body["body"] if self._body_keyword else body, self._content_type

    def _wrong_keywords(self, given: Mapping[str, Any]) -> NoReturn:
        for name in given:
            if name not in self._known and not self._open:
                raise TypeError(
                    f"{self._name}() got an unexpected keyword argument {name!r}; {did_you_mean(name, self._known)}"
                )
        missing = ", ".join(repr(name) for name in self._known if name in self._required - given.keys())
        raise TypeError(f"{self._name}() missing required keyword-only arguments: {missing}")

    # What annotations say is looked up at the first call, which loads the models that they name.

    @cached_property
    def _fields(self) -> tuple[dict[str, Field], dict[str, Field], dict[str, Field]]:
        types = self._query_type, self._headers_type, self._body_type
        query, headers, body = (fields_of(one) if one else {} for one in types)
        return query, headers, body

    @cached_property
    def _known(self) -> Mapping[str, Field]:
        query, headers, body = self._fields
        return {**query, **headers, **body}

    @cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(name for name, field in self._known.items() if field.required)

    @cached_property
    def _open(self) -> bool:
        """Whether the body takes keywords that the document does not name."""
        return callable(getattr(self._body_type, "__extra_items__", None))

    @cached_property
    def _ids(self) -> list[tuple[str, Writer]]:
        parameters = inspect.unwrap(self._function).__annotations__
        hints = {
            name: evaluate(text, self._function) for name, text in parameters.items() if f"{{{name}}}" in self.path
        }
        return [(name, write_id if hint == int | str else writer(hint)) for name, hint in hints.items()]

    @cached_property
    def _query(self) -> list[tuple[str, str, Writer]]:
        return [
            (
                name,
                quote(field.wire, safe="[]"),
                _parameter_writer(
                    writer(field.hint),
                    lambda text: quote(text, safe=""),
                    joined=any(isinstance(mark, CommaSeparated) for mark in marks_of(field.hint)),
                ),
            )
            for name, field in self._fields[0].items()
        ]

    @cached_property
    def _headers(self) -> list[tuple[str, str, Writer]]:
        return [
            (name, field.wire, _parameter_writer(writer(field.hint), str, joined=True))
            for name, field in self._fields[1].items()
        ]

    @cached_property
    def _write(self) -> Writer:
        assert self._body_type is not None
        return compile_writer(self._body_type, top=True)

    @cached_property
    def _answers(self) -> dict[str, Answer]:
        answers = {status: _answer(annotation()) for status, annotation in self._answer_types.items()}
        if "default" not in answers:
            returned = inspect.unwrap(self._function).__annotations__["return"]
            answers["default"] = _answer(typing.get_args(evaluate(returned, self._function))[0])
        return answers


def _answer(hint: Any) -> Answer:
    if hint is None or hint is type(None):
        return Answer("none", read_nothing)
    return Answer("text" if any(isinstance(mark, Format) for mark in marks_of(hint)) else "json", reader(hint))


def _parameter_writer(write: Writer, encode: Callable[[str], str], *, joined: bool) -> Callable[[Any], list[str]]:
    """What writes a keyword as the values of its parameter, encoded; those of a list one by one, or joined."""

    def write_parameter(value: Any) -> list[str]:
        written = write(value)
        if not isinstance(written, list):
            return [encode(to_text(written))]
        if None in written:
            raise ValidationError("null has no form in a query or a header").at(written.index(None))
        texts = [encode(to_text(one)) for one in written]
        return [",".join(texts)] if joined and texts else texts

    return write_parameter
