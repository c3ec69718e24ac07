"""Models as pydantic and FastAPI see them: read and written by themselves, described by their annotations."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from types import NoneType
from typing import Any, Literal
from uuid import UUID

from pydantic_core import core_schema

from .hints import members_of
from .reading import Model, declared, to_plain

_SCALARS: dict[type, core_schema.CoreSchema] = {
    str: core_schema.str_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    bool: core_schema.bool_schema(),
    datetime: core_schema.datetime_schema(),
    date: core_schema.date_schema(),
    UUID: core_schema.uuid_schema(),
}


def core_schema_of(cls: type[Model]) -> core_schema.CoreSchema:
    """A reference to the model, with the definitions of all models that it leads to."""
    found = {cls: None}
    waiting = [cls]
    while waiting:
        fresh = dict.fromkeys(_models_in(field.hint for field in declared(waiting.pop()).values()))
        waiting += [one for one in fresh if one not in found]
        found |= fresh
    return core_schema.definitions_schema(_reference(cls), [_definition(one) for one in found])


def _models_in(hints: Iterable[Any]) -> Iterator[type[Model]]:
    for hint in hints:
        if isinstance(hint, type) and issubclass(hint, Model):
            yield hint
        yield from _models_in(typing.get_args(hint))


def _reference(cls: type[Model]) -> core_schema.CoreSchema:
    return core_schema.definition_reference_schema(_name(cls))


def _name(cls: type[Model]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"


def _definition(cls: type[Model]) -> core_schema.CoreSchema:
    fields = {field.wire: core_schema.typed_dict_field(_schema(field.hint)) for field in declared(cls).values()}
    return core_schema.no_info_wrap_validator_function(
        lambda value, _described: value if isinstance(value, cls) else cls.from_dict(value),
        core_schema.typed_dict_schema(fields, cls=cls, total=False),  # for JSON Schema only
        serialization=core_schema.plain_serializer_function_ser_schema(lambda model: to_plain(model)),
        ref=_name(cls),
    )


def _schema(hint: Any) -> core_schema.CoreSchema:
    """What describes values of a type."""
    kinds: list[core_schema.CoreSchema] = []
    for member in members_of(hint):
        kind, args = typing.get_origin(member) or member, typing.get_args(member)
        if kind is list:
            kinds.append(core_schema.list_schema(_schema(args[0])))
        elif kind is dict:
            kinds.append(core_schema.dict_schema(values_schema=_schema(args[1])))
        elif isinstance(kind, type) and issubclass(kind, Model):
            kinds.append(_reference(kind))
        elif kind in _SCALARS:
            kinds.append(_SCALARS[kind])
        elif kind is not Literal:  # enums are open when they are read
            return core_schema.any_schema()
    schema = kinds[0] if len(kinds) == 1 else core_schema.union_schema([*kinds])
    return core_schema.nullable_schema(schema) if NoneType in typing.get_args(hint) else schema
