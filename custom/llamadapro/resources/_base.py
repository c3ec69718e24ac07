"""What every resource does: prepare a request with a generated function, and send it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, ParamSpec, TypeVar

from llamadapro_api.document import DEPRECATED
from llamadapro_api.errors import ValidationError
from llamadapro_api.types import PreparedRequest

from .._pagination import AsyncPaginator, PageModel
from .._session import Session
from .._signatures import named

P = ParamSpec("P")
T = TypeVar("T")

_PACKAGES = ("llamadapro", "llamadapro_jobs")


class Resource:
    """A section of the API; its public methods name themselves as users call them: ``section.method``."""

    def __init_subclass__(cls, *, section: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, member in [*vars(cls).items()]:
            if section and not name.startswith("_") and inspect.isfunction(member):
                setattr(cls, name, named(f"{section}.{name}")(member))

    def __init__(self, session: Session) -> None:
        self._session = session

    async def _send(self, operation: Callable[P, PreparedRequest[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Prepare and send; what cannot be sent raises before any network use."""
        return await self._session.send(build_request(operation, *args, **kwargs))

    def _paginate(
        self,
        operation: Callable[..., PreparedRequest[PageModel[T]]],
        query: Mapping[str, Any],
        *args: Any,
        max_items: int | None,
        prefetch: bool,
    ) -> AsyncPaginator[T]:
        def prepare(token: str | None) -> PreparedRequest[PageModel[T]]:
            return build_request(operation, *args, **{**query, "page_token": token} if token is not None else query)

        token = query.get("page_token")
        return AsyncPaginator(self._session, prepare, page_token=token, max_items=max_items, prefetch=prefetch)

    def _normalize(self, **named: str) -> list[str]:
        """E.164 forms, in their order."""
        self._session.normalize(named, *named)
        return [*named.values()]


def build_request(
    operation: Callable[P, PreparedRequest[T]], /, *args: P.args, **kwargs: P.kwargs
) -> PreparedRequest[T]:
    """Check and encode the arguments of an operation."""
    for name in DEPRECATED.get(operation.__name__, frozenset()).intersection(kwargs):
        instead = "; use addresses instead" if name in ("phone", "email") else ""
        warnings.warn(f"{name} is deprecated by the service{instead}", DeprecationWarning, _stacklevel())
    return operation(*args, **kwargs)


def _stacklevel() -> int:
    """What makes a warning of this module's point to the first line outside the package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PACKAGES:
        frame, level = frame.f_back, level + 1
    return level


def check_sequence(values: Any, name: str, expected: str) -> None:
    """Refuse a text or a dictionary, which would be taken apart, and what has no order."""
    if isinstance(values, (str, bytes, Mapping, Set)) or not isinstance(values, Iterable):
        raise ValidationError(f"{name}: must be a list of {expected}, not {type(values).__name__}")


def drop_none(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, for operations that leave out what is absent and send None as null."""
    return {name: value for name, value in options.items() if value is not None}
