"""Type hints of generated classes: their fields and names on the wire, and functions compiled from them."""

from __future__ import annotations

import linecache
import sys
import typing
from collections.abc import Callable, Iterable
from threading import RLock
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, NotRequired, Required, Union

from .types import Format, Tag, Wire


class Field(NamedTuple):
    """One field of a model or of a request dictionary."""

    name: str
    wire: str
    hint: Any
    required: bool


def camel_case(name: str) -> str:
    """The rule for names on the wire: ``first_name`` is ``firstName``, ``from_`` is ``from``."""
    head, *tail = name.removesuffix("_").split("_")
    return head + "".join(word.title() for word in tail)


def fields_of(cls: type) -> dict[str, Field]:
    """The fields that the OpenAPI document gives a class, by their names in Python."""
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [name for name in cls.__annotations__ if typing.get_origin(hints[name]) is not typing.ClassVar]
    return {name: _field(name, hints[name], total=getattr(cls, "__total__", False)) for name in names}


def _field(name: str, hint: Any, *, total: bool) -> Field:
    required = typing.get_origin(hint) is Required or (total and typing.get_origin(hint) is not NotRequired)
    if typing.get_origin(hint) in (Required, NotRequired):
        (hint,) = typing.get_args(hint)
    marks = [mark.name for mark in marks_of(hint) if isinstance(mark, Wire)]
    return Field(name, marks[0] if marks else camel_case(name), hint, required)


def marks_of(hint: Any) -> tuple[Any, ...]:
    """What `Annotated` says of a type."""
    return hint.__metadata__ if typing.get_origin(hint) is Annotated else ()


def members_of(hint: Any) -> list[Any]:
    """The members of a union without None; of any other type, the type alone."""
    if not any(isinstance(mark, (Tag, Format)) for mark in marks_of(hint)) and typing.get_origin(hint) is Annotated:
        hint = hint.__origin__
    if typing.get_origin(hint) not in (Union, UnionType):
        return [NoneType if hint is None else hint]
    return [member for member in typing.get_args(hint) if member is not NoneType]


def evaluate(annotation: str, owner: Any) -> Any:
    """An annotation that stands as text in generated code, in its module's names."""
    return eval(annotation, vars(sys.modules[owner.__module__]))  # noqa: S307 # the generator's own text


def compile_function(name: str, kind: str, lines: Iterable[str], namespace: dict[str, Any]) -> Callable[..., Any]:
    """Compile the source of one function; tracebacks find it by its file name, ``<reader of Contact>``."""
    source = "\n".join(lines) + "\n"
    filename = f"<{kind} of {name}>"
    made: dict[str, Any] = {}  # for the function may be called as something in its namespace is
    exec(compile(source, filename, "exec"), namespace, made)  # noqa: S102 # made of names that the generator has checked
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return typing.cast(Callable[..., Any], made[name])


_lock = RLock()


class CompiledOnce(dict[Any, Callable[..., Any]]):
    """What `build` compiles of each key at its first use, in one thread at a time. What a key leads to may lead back:
    the function that is not there yet is then looked up when it is called."""

    def __init__(self, build: Callable[[Any], Callable[..., Any]]) -> None:
        self._build = build
        self._unfinished: set[Any] = set()

    def __missing__(self, key: Any) -> Callable[..., Any]:
        with _lock:
            if key in self._unfinished:
                return lambda *args: self[key](*args)
            if key not in self:
                self._unfinished.add(key)
                try:
                    self[key] = self._build(key)
                finally:
                    self._unfinished.discard(key)
            return self[key]
