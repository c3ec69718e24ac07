"""What a resource has of its client: the connections and the options, and nothing else."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import httpx

from llamadapro_api.types import PreparedRequest

from ._config import Config
from ._transport import CallState, Clock, RawCallState, Transport
from .errors import InvalidPhoneNumberError

T = TypeVar("T")


class Session:
    """Sends prepared requests with a client's options; a client and its copies share the transport."""

    __slots__ = ("config", "transport")

    def __init__(self, transport: Transport, config: Config) -> None:
        self.transport: Transport = transport
        self.config: Config = config

    @property
    def clock(self) -> Clock:
        return self.transport.clock

    @property
    def base_url(self) -> httpx.URL:
        return self.config.base_url

    async def send(self, prepared: PreparedRequest[T]) -> T:
        """Send as often as needed and allowed; returns the answer as its model."""
        return await self.transport.run(CallState(self.transport, prepared, self.config))

    async def send_with_id(self, prepared: PreparedRequest[T]) -> tuple[T, str | None]:
        """The same, with the service's id of the request that brought the answer."""
        state = CallState[T](self.transport, prepared, self.config)
        return await self.transport.run(state), state.request_id()

    async def send_raw(self, prepared: PreparedRequest[Any]) -> httpx.Response:
        """The same for an answer that the OpenAPI document does not describe."""
        return await self.transport.run(RawCallState(self.transport, prepared, self.config))

    def dry_run(self) -> Session:
        """One that sends nothing: the methods of its resources return the prepared request instead of an answer."""
        return _DryRun(self.transport, self.config)

    def to_e164(self, value: str) -> str:
        """A number in E.164 form; `default_region` allows national ones. Raises `InvalidPhoneNumberError`."""
        from .phone import to_e164

        return to_e164(value, self.config.default_region)

    def normalize(self, fields: Any, *names: str) -> None:
        """Replace the numbers among these keywords by their E.164 forms; the error names each wrong one."""
        wrong: list[str] = []
        for name in names:
            if name in fields:
                try:
                    fields[name] = self.to_e164(fields[name])
                except InvalidPhoneNumberError as error:
                    wrong.append(f"{name}: {error}")
        if wrong:
            raise InvalidPhoneNumberError("; ".join(wrong))


class _DryRun(Session):
    __slots__ = ()

    async def send(self, prepared: PreparedRequest[T]) -> T:
        return cast(T, prepared)
