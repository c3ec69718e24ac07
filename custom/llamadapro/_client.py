"""The public client: its options, and the sections of the API."""

from __future__ import annotations

import copy
import logging
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import attrs
import httpx

from llamadapro_api.types import PreparedRequest

from . import resources
from ._config import Config, EngineName, RateLimiter
from ._headers import Secret, check_headers
from ._httpx2 import AnyAsyncClient, AnyProxy, AnyTimeout, AnyURL
from ._request import prepare_request
from ._session import Session
from ._signatures import named
from ._transport import Attempt, Clock, Exchange, Transport, capture
from .errors import ConfigurationError, InvalidRequestError

T = TypeVar("T")

_UNCHANGED: Final[Any] = object()
_LOG_LEVELS = ("debug", "info", "warning", "error")


class AsyncLlamadaPro:
    """The LlamadaPro API.

    ::

        async with AsyncLlamadaPro(api_key="…") as client:
            contact = await client.contacts.create(first_name="Jane")
            await client.messages.send_text(to="+14155552671", from_="+56912345678", text="Hi Jane")

    Create one client and share it: it owns the connection pool, and its limits apply to all of its calls.

    - `api_key`: else the environment variable ``LLAMADAPRO_API_KEY``.
    - `base_url`: else ``LLAMADAPRO_BASE_URL``, else the server in the OpenAPI document.
    - `timeout`: seconds for one attempt, or an `httpx.Timeout`.
    - `deadline`: seconds for one API call, retries and waiting included; None for no limit.
    - `max_retries`: how often a failed call is retried where that cannot do anything twice; 0 for never.
    - `max_connections`: how many requests run at once; the others wait.
    - `rate_limit`: requests per second, or any object with ``async acquire()``.
    - `default_region`: a country code such as ``"CL"`` enables national phone numbers.
    - `engine`: ``"httpx"``, ``"aiohttp"`` (faster) or ``"httpx2"``; the latter two need the extras of these names.
    - `api_key_header`: the header that carries the key, else the document's.
    - `api_key_scheme`: such as ``"Bearer"``, which sends ``Authorization: Bearer KEY``; else the document's.
    - `default_headers`: sent with every request.
    - `proxy`, `verify`: as in httpx; proxies of the environment are used.
    - `max_response_bytes`: larger answers are refused.
    - `on_attempt`: called with an `Attempt` after each attempt.
    - `http_client`: your own `httpx.AsyncClient` or `httpx2.AsyncClient`, used as it is and never closed.

    Raises `ConfigurationError` for invalid options.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | AnyURL | None = None,
        *,
        timeout: float | AnyTimeout = 30.0,
        deadline: float | None = 120.0,
        max_retries: int = 2,
        max_connections: int = 100,
        rate_limit: float | RateLimiter | None = None,
        default_region: str | None = None,
        engine: EngineName = "httpx",
        api_key_header: str | None = None,
        api_key_scheme: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        proxy: str | AnyProxy | None = None,
        verify: bool | str | ssl.SSLContext = True,
        max_response_bytes: int = 64 * 2**20,
        on_attempt: Callable[[Attempt], Any] | None = None,
        http_client: AnyAsyncClient | None = None,
        _clock: Clock | None = None,
    ) -> None:
        # A traceback with locals shows this frame too, should an option be invalid: the key is hidden first.
        secret = None if api_key is None else Secret(api_key)
        del api_key
        _set_up_logging()
        config = Config(
            api_key=secret,
            base_url=base_url,
            timeout=timeout,
            deadline=deadline,
            max_retries=max_retries,
            max_connections=max_connections,
            rate_limit=rate_limit,
            default_region=default_region,
            engine=engine,
            api_key_header=api_key_header,
            api_key_scheme=api_key_scheme,
            default_headers=default_headers,
            proxy=proxy,
            verify=verify,
            max_response_bytes=max_response_bytes,
            on_attempt=on_attempt,
            http_client=http_client,
        )
        self._session: Session = Session(Transport(config, _clock), config)

    # Each resource is imported when it is first used: a program pays for what it uses.

    @cached_property
    def contacts(self) -> resources.Contacts:
        """People, and their addresses."""
        return resources.Contacts(self._session)

    @cached_property
    def tasks(self) -> resources.Tasks:
        """Things to do, for users and AI employees."""
        return resources.Tasks(self._session)

    @cached_property
    def conversations(self) -> resources.Conversations:
        """Conversations in sales funnels, one or many at a time."""
        return resources.Conversations(self._session)

    @cached_property
    def messages(self) -> resources.Messages:
        """WhatsApp messages and media."""
        return resources.Messages(self._session)

    @cached_property
    def calls(self) -> resources.Calls:
        """Telephone calls, by people and by AI voice agents."""
        return resources.Calls(self._session)

    @cached_property
    def recordings(self) -> resources.Recordings:
        """Recordings of calls."""
        return resources.Recordings(self._session)

    @cached_property
    def custom_fields(self) -> resources.CustomFields:
        """Fields that a tenant adds to its records: their definitions, and the options of list fields."""
        return resources.CustomFields(self._session)

    @named("with_options")
    def with_options(
        self,
        *,
        timeout: float | AnyTimeout = _UNCHANGED,
        deadline: float | None = _UNCHANGED,
        max_retries: int = _UNCHANGED,
        default_headers: Mapping[str, str] = _UNCHANGED,
        retry_unsafe: bool = _UNCHANGED,
    ) -> Self:
        """A light copy with other options, on the same connections and limits; closing either closes both.

        `default_headers` are added to the present ones. `retry_unsafe=True` also repeats what may thereby happen
        twice (a message sent, a call started) when an answer was lost: only where twice is better than never.
        A subclass's own attributes are kept.

        Raises `ConfigurationError` for invalid options. Example::

            await client.with_options(timeout=300, deadline=300).messages.send_media(…)
        """
        config = self._session.config
        changes: dict[str, Any] = {
            "timeout": timeout,
            "deadline": deadline,
            "max_retries": max_retries,
            "retry_unsafe": retry_unsafe,
        }
        if default_headers is not _UNCHANGED:
            changes["default_headers"] = {**config.default_headers, **check_headers(default_headers)}
        changes = {name: value for name, value in changes.items() if value is not _UNCHANGED}
        copied = copy.copy(self)
        state = vars(copied)
        state["_session"] = Session(self._session.transport, attrs.evolve(config, **changes))
        for name in _cached(type(self)):  # resources hold the session that they were created with
            state.pop(name, None)
        return copied

    @named("request")
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        json: Any = None,
    ) -> httpx.Response:
        """Escape hatch for endpoints that are not yet in the OpenAPI document.

        Same key, retries and errors as everywhere; `path` starts with ``/`` (or is a full URL of the same origin),
        `params` is a dictionary or a list of pairs. A method other than GET, HEAD, OPTIONS, PUT and DELETE is not
        retried unless that is certain to be harmless.

        Raises `InvalidRequestError` before any network use, and the `APIError` family. Example::

            response = await client.request("GET", "/api/v1/anything", params={"page": 2})
            response.json()
        """
        prepared = prepare_request(self._session.base_url, method, path, params, json)
        return await self._session.send_raw(prepared)

    async def send(self, prepared: PreparedRequest[T], /) -> T:
        """Send an operation of `llamadapro_api.api` that has no method yet, and return its answer.

        Same key, retries and errors as everywhere. Raises `InvalidRequestError` for anything but a prepared request,
        and the `APIError` family; preparing one raises `llamadapro_api.errors.ValidationError`. Example::

            from llamadapro_api import api

            contact = await client.send(api.get_contact(17))
        """
        if not isinstance(prepared, PreparedRequest):
            raise InvalidRequestError(
                f"send takes a prepared request, such as llamadapro_api.api.get_contact(17), not {prepared!r}"
            )
        return await self._session.send(prepared)

    def capture_exchanges(self) -> AbstractContextManager[list[Exchange]]:
        """Collect one `Exchange` per API call made inside ``with client.capture_exchanges() as exchanges:``."""
        return capture(self._session.transport)

    async def aclose(self) -> None:
        """Close the connections; afterwards every call raises `ConfigurationError`. Closing twice does no harm."""
        await self._session.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        session: Session | None = vars(self).get("_session")
        if session is None:
            return "<AsyncLlamadaPro (not built)>"  # an option was invalid; a traceback may still show it
        return f"<AsyncLlamadaPro {session.base_url}{' (closed)' if session.transport.closed else ''}>"


def _cached(cls: type[AsyncLlamadaPro]) -> list[str]:
    return [name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, cached_property)]


def _set_up_logging() -> None:
    """``LLAMADAPRO_LOG=debug`` logs a line per attempt to standard error, without any other set-up."""
    level = os.environ.get("LLAMADAPRO_LOG", "").lower()
    if not level:
        return
    if level not in _LOG_LEVELS:
        raise ConfigurationError(f"LLAMADAPRO_LOG must be one of {', '.join(_LOG_LEVELS)}, not {level!r}")
    logger = logging.getLogger("llamadapro")
    logger.setLevel(level.upper())
    if not logger.hasHandlers():  # an app that has set up its own logging gets the lines there
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(handler)
