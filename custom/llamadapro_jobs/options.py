"""What the options of a job must be: refused before anything is opened or sent."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import TypeGuard

from llamadapro.errors import InvalidRequestError

MAX_TEXT = 2000
"""Bytes of a run's name or a row's key: an index of PostgreSQL holds no longer ones."""


def check_integer(name: str, value: object, least: int) -> None:
    """Raise `InvalidRequestError` for an option that is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= sys.maxsize:
        raise InvalidRequestError(f"{name} must be an integer of at least {least}, and of 64 bits, not {value!r}")


def check_number(name: str, value: object, unit: str, least: float = 1e-9, most: float = math.inf) -> None:
    """Raise `InvalidRequestError` for what is neither None nor a number above 0, within reason."""
    with suppress(OverflowError):  # an integer that is no float any more
        if value is None or (
            type(value) is not bool and isinstance(value, (int, float)) and least <= value * 1.0 <= most
        ):
            return
    limit = "" if most == math.inf else f" and at most {most:g}"
    raise InvalidRequestError(f"{name} must be a number {unit} above 0{limit}, or None, not {value!r}")


def check_callback(name: str, value: object) -> None:
    """Raise `InvalidRequestError` for what cannot be called, or would have to be awaited."""
    if value is not None and not callable(value):
        raise InvalidRequestError(f"{name} must be a function, or None, not {value!r}")
    if iscoroutinefunction(value) or iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004
        raise InvalidRequestError(f"{name} must be a plain function, as it is not awaited: let it start a task")


def is_usable(text: object) -> TypeGuard[str]:
    """Whether both databases can look up this name or key."""
    with suppress(UnicodeError):
        return isinstance(text, str) and "\0" not in text and len(text.encode()) <= MAX_TEXT
    return False
