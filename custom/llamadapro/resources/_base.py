"""What every resource does: prepare a call with a generated function, and send it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from llamadapro_api.document import DEPRECATED
from llamadapro_api.errors import ValidationError
from llamadapro_api.types import PreparedRequest

from .._transport import Clock
from ..errors import InvalidPhoneNumberError, InvalidRequestError

if TYPE_CHECKING:
    from .._client import AsyncLlamadaPro
    from .._pagination import AsyncPaginator, PageModel

P = ParamSpec("P")
T = TypeVar("T")


class Resource:
    """A section of the API."""

    def __init__(self, client: AsyncLlamadaPro) -> None:
        self._client = client

    @property
    def _clock(self) -> Clock:
        return self._client._transport.clock

    async def _send(self, operation: Callable[P, PreparedRequest[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Prepare and send; what cannot be sent raises before any network use."""
        return await self._client._send(prepare(operation, *args, **kwargs))

    def _paginate(
        self,
        operation: Callable[..., PreparedRequest[PageModel[T]]],
        query: Mapping[str, Any],
        *args: Any,
        max_items: int | None,
        prefetch: bool,
    ) -> AsyncPaginator[T]:
        from .._pagination import AsyncPaginator

        def page(token: str | None) -> PreparedRequest[PageModel[T]]:
            return prepare(operation, *args, **{**query, "page_token": token} if token is not None else query)

        token = query.get("page_token")
        return AsyncPaginator(
            self._client._send_with_id, page, page_token=token, max_items=max_items, prefetch=prefetch
        )

    @cached_property
    def _number(self) -> Callable[[str], str]:
        """What brings a number to E.164 form; loaded with the first."""
        from ..phone import to_e164

        return partial(to_e164, region=self._client._config.default_region)

    def _numbers(self, **named: str) -> list[str]:
        """E.164 forms, in their order; a message that says of all that are wrong which keywords they were given as."""
        good, wrong = [], []
        for name, number in named.items():
            try:
                good.append(self._number(number))
            except InvalidPhoneNumberError as error:
                wrong.append(f"{name}: {error}")
        if wrong:
            raise InvalidPhoneNumberError("; ".join(wrong))
        return good

    def _check_numbers(self, fields: Any, *names: str) -> None:
        """Bring the numbers among a call's keywords to E.164, in place."""
        given = {name: fields[name] for name in names if fields.get(name) is not None}
        fields.update(zip(given, self._numbers(**given), strict=True))


def prepare(operation: Callable[P, PreparedRequest[T]], /, *args: P.args, **kwargs: P.kwargs) -> PreparedRequest[T]:
    """Check and encode the arguments of an operation."""
    for name in DEPRECATED.get(operation.__name__, frozenset()).intersection(kwargs):
        instead = "; use addresses instead" if name in ("phone", "email") else ""
        # Up through this function, _send and the resource's method, to the line that called it.
        warnings.warn(f"{name} is deprecated by the service{instead}", DeprecationWarning, stacklevel=4)
    try:
        return operation(*args, **kwargs)
    except ValidationError as error:
        raise InvalidRequestError(f"{operation.__name__}: {error}") from None
