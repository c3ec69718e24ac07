"""Builders for filters and orders: strings for the list operations, dictionaries for the search.

The grammar of the lists is known from one example in the API reference:
``filterBy=firstName:John;email:john@example.com`` and ``sortBy=createdAt=desc``. Conditions are joined by ``;`` and
must all hold, a field ends at its first ``:``. The reference shows no way to escape a ``;``, so a value that contains
one is refused; the search has no such limit. Whether ``sortBy`` takes several fields is not documented; joining them by
``;`` is a guess.

Fields may be written in snake_case: the part before the first dot becomes the service's name (``first_name`` →
``firstName``), the rest is kept, since the keys of custom fields are the tenant's own.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

from llamadapro_api import models
from llamadapro_api.errors import ValidationError
from llamadapro_api.writing import refusal, write_datetime, write_number, write_text

from .errors import InvalidRequestError

Direction = Literal["asc", "desc"]


def filter_by(**conditions: Any) -> str:
    """A `filter_by` for a list: every field must have the given value.

    Example: ``client.contacts.list(filter_by=filter_by(first_name="Jane", user_id=7))``. Raises `InvalidRequestError`
    for a value that the grammar cannot hold.
    """
    parts = []
    for field, value in conditions.items():
        text = _text(field, value)
        if ";" in text:
            raise InvalidRequestError(f"{field}: a list's filter cannot hold a ';'; use contacts.search() instead")
        parts.append(f"{_field(field)}:{text}")
    return ";".join(parts)


def sort_by(**directions: Direction) -> str:
    """A `sort_by` for a list. Example: ``sort_by(created_at="desc")``."""
    return ";".join(f"{_field(field)}={_direction(field, direction)}" for field, direction in directions.items())


def where(
    field: str, operator: str, value: Any = None, *, or_: bool = False
) -> models.SearcherDocumentSearchFilterDict:
    """A condition for `contacts.search(filters=[…])`.

    The API reference names the operators ``eq`` and ``contains``; others are sent as they are. `or_` makes this
    condition an alternative to the others. Example: ``where("addresses.address", "contains", "example.com")``
    """
    built: models.SearcherDocumentSearchFilterDict = {"field": _field(field), "operator": operator}
    if value is not None:
        built["value"] = _text(field, value)
    if or_:
        built["or_"] = True
    return built


def order(field: str, direction: Direction = "asc") -> models.SearcherDocumentSearchSortDict:
    """An order for `contacts.search(sort=[…])`. Example: ``order("created_at", "desc")``."""
    return {"field": _field(field), "direction": _direction(field, direction)}


def _field(name: str) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[^\s:;=]+", name):
        raise InvalidRequestError(f"{name!r} is not the name of a field")
    first, dot, rest = name.partition(".")
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), first) + dot + rest


def _direction(field: str, direction: str) -> Direction:
    if direction not in ("asc", "desc"):
        raise InvalidRequestError(f"{field}: the direction is 'asc' or 'desc', not {direction!r}")
    return "asc" if direction == "asc" else "desc"


def _text(field: str, value: Any) -> str:
    """A value as the service compares it: as text."""
    try:
        return _write(value)
    except Exception as error:
        raise InvalidRequestError(str(refusal(error, field, top=True))) from None


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return write_datetime(value)
    if isinstance(value, str):
        return write_text(value)
    if isinstance(value, float) or hasattr(type(value), "__index__"):
        return str(write_number(value))
    raise ValidationError(f"expected a string, a number, a boolean or a datetime, not {value!r}")
