"""The client: wires the rooms together and owns the pool."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from posixpath import normpath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import unquote, urlencode

import attrs
import httpx

from llamadapro_api import document
from llamadapro_api.errors import ValidationError
from llamadapro_api.types import PreparedRequest
from llamadapro_api.writing import serialize_argument, write_json

from ._config import (
    Config,
    Engine,
    RateLimiter,
    Secret,
    build_config,
    build_deadline,
    build_headers,
    build_max_retries,
    build_timeout,
)
from ._transport import Attempt, Clock, Exchange, Transport, capture
from .errors import InvalidRequestError

if TYPE_CHECKING:
    from .resources._calls import Calls
    from .resources._contacts import Contacts
    from .resources._conversations import Conversations
    from .resources._custom_fields import CustomFields
    from .resources._messages import Messages
    from .resources._recordings import Recordings
    from .resources._tasks import Tasks

T = TypeVar("T")

_UNCHANGED: Final[Any] = object()


class AsyncLlamadaPro:
    """The LlamadaPro API.

    ::

        async with AsyncLlamadaPro(api_key="…") as client:
            contact = await client.contacts.create(first_name="Jane")
            await client.messages.send_text(to="+14155552671", from_="+56912345678", text="Hi Jane")

    Build one client and share it: it holds the connections, and its limits count for all of its calls.

    - `api_key`: else the environment variable ``LLAMADAPRO_API_KEY``.
    - `base_url`: else ``LLAMADAPRO_BASE_URL``, else the document's server.
    - `timeout`: seconds (for the whole of one attempt) or an `httpx.Timeout`.
    - `deadline`: seconds for one API call, retries and waiting included; None for no end.
    - `max_retries`: how often a failed call is tried again where that cannot do anything twice; 0 for never.
    - `max_connections`: how many requests are under way at once; the others wait their turn.
    - `rate_limit`: requests per second, or any object with ``async acquire()``.
    - `default_region`: country code such as ``"CL"``, which lets national phone numbers in.
    - `engine`: ``"httpx"``, or ``"aiohttp"`` (faster; needs the extra ``llamadapro[aiohttp]``).
    - `api_key_header`: the header that carries the key, if not the document's.
    - `default_headers`: sent with every request.
    - `proxy`, `verify`: as httpx takes them; proxies of the environment are honoured.
    - `max_response_bytes`: larger answers are refused.
    - `on_attempt`: called with an `Attempt` after each attempt.
    - `http_client`: your own `httpx.AsyncClient`, used as it is and never closed.

    Raises `ConfigurationError` for options that do not fit.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | httpx.URL | None = None,
        *,
        timeout: float | httpx.Timeout = 30.0,
        deadline: float | None = 120.0,
        max_retries: int = 2,
        max_connections: int = 100,
        rate_limit: float | RateLimiter | None = None,
        default_region: str | None = None,
        engine: Engine = "httpx",
        api_key_header: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        proxy: str | httpx.Proxy | None = None,
        verify: bool | str | ssl.SSLContext = True,
        max_response_bytes: int = 64 * 2**20,
        on_attempt: Callable[[Attempt], Any] | None = None,
        http_client: httpx.AsyncClient | None = None,
        _clock: Clock | None = None,
    ) -> None:
        # A traceback with locals shows this frame too, should an option not fit: the key goes out of sight first.
        secret = None if api_key is None else Secret(api_key)
        del api_key
        self._config: Config = build_config(
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
            default_headers=default_headers,
            proxy=proxy,
            verify=verify,
            max_response_bytes=max_response_bytes,
            on_attempt=on_attempt,
            http_client=http_client,
        )
        self._transport = Transport(self._config, _clock)

    # Each resource is imported when it is first touched: a program pays for what it uses.

    @cached_property
    def contacts(self) -> Contacts:
        """People, and their addresses."""
        from .resources._contacts import Contacts

        return Contacts(self)

    @cached_property
    def tasks(self) -> Tasks:
        """Things to do, for users and AI employees."""
        from .resources._tasks import Tasks

        return Tasks(self)

    @cached_property
    def conversations(self) -> Conversations:
        """Conversations in sales funnels, one or many at a time."""
        from .resources._conversations import Conversations

        return Conversations(self)

    @cached_property
    def messages(self) -> Messages:
        """WhatsApp messages and media."""
        from .resources._messages import Messages

        return Messages(self)

    @cached_property
    def calls(self) -> Calls:
        """Telephone calls, by people and by AI voice agents."""
        from .resources._calls import Calls

        return Calls(self)

    @cached_property
    def recordings(self) -> Recordings:
        """Recordings of calls."""
        from .resources._recordings import Recordings

        return Recordings(self)

    @cached_property
    def custom_fields(self) -> CustomFields:
        """Fields that a tenant adds to its records: their definitions, and the options of list fields."""
        from .resources._custom_fields import CustomFields

        return CustomFields(self)

    def with_options(
        self,
        *,
        timeout: float | httpx.Timeout = _UNCHANGED,
        deadline: float | None = _UNCHANGED,
        max_retries: int = _UNCHANGED,
        default_headers: Mapping[str, str] = _UNCHANGED,
        retry_unsafe: bool = _UNCHANGED,
    ) -> Self:
        """A light copy with other options, on the same connections and limits; closing either closes both.

        `default_headers` are added to the present ones. `retry_unsafe=True` also repeats what may thereby happen
        twice (a message sent, a call started) when an answer was lost: only where twice is better than never.
        """
        changes: dict[str, Any] = {}
        if timeout is not _UNCHANGED:
            changes["timeout"] = build_timeout(timeout)
            changes["attempt_limit"] = None if isinstance(timeout, httpx.Timeout) else float(timeout)
        if deadline is not _UNCHANGED:
            changes["deadline"] = build_deadline(deadline)
        if max_retries is not _UNCHANGED:
            changes["max_retries"] = build_max_retries(max_retries)
        if default_headers is not _UNCHANGED:
            changes["default_headers"] = {**self._config.default_headers, **build_headers(default_headers)}
        if retry_unsafe is not _UNCHANGED:
            changes["retry_unsafe"] = bool(retry_unsafe)
        copy = object.__new__(type(self))
        copy._config = attrs.evolve(self._config, **changes)
        copy._transport = self._transport
        return copy

    async def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> httpx.Response:
        """Call any path of the service: the way out for what the document does not know yet.

        Same key, retries and errors as everywhere; `path` starts with ``/`` (or is a full URL of the same origin).
        A method other than GET, HEAD, OPTIONS, PUT and DELETE is not repeated unless that is certain to be harmless.

        Raises `InvalidRequestError` before any network use, and the `APIError` family. Example::

            response = await client.request("GET", "/api/v1/anything", params={"page": 2})
            response.json()
        """
        return await self._transport.send_raw(self._free_call(method, path, params, json), self._config)

    def capture_exchanges(self) -> AbstractContextManager[list[Exchange]]:
        """Collect one `Exchange` per API call made inside ``with client.capture_exchanges() as exchanges:``."""
        return capture(self._transport)

    async def aclose(self) -> None:
        """Close the connections; afterwards every call raises `ConfigurationError`. Closing twice does no harm."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        transport = self.__dict__.get("_transport")
        if transport is None:
            return "<AsyncLlamadaPro (not built)>"  # its options did not fit; a traceback may still show it
        return f"<AsyncLlamadaPro {self._config.base_url}{' (closed)' if transport.closed else ''}>"

    async def _send(self, call: PreparedRequest[T]) -> T:
        return await self._transport.send(call, self._config)

    async def _send_with_id(self, call: PreparedRequest[T]) -> tuple[T, str | None]:
        return await self._transport.send_with_id(call, self._config)

    def _free_call(self, method: str, path: str, params: Mapping[str, Any] | None, json: Any) -> PreparedRequest[Any]:
        method = method.upper()
        if not method.isascii() or not method.isalpha():
            raise InvalidRequestError(f"{method!r} is not an HTTP method")
        target = self._own_target(path)
        query = urlencode([*_pairs(_plain(params or {}, "params"))])
        if query:
            target += f"{'&' if '?' in target else '?'}{query}"
        body = _plain(json, "json")
        # However the path is spelled, an operation that is not safe to repeat must be known for what it is.
        route = normpath(unquote(target.partition("?")[0]))
        safe = document.IDEMPOTENT.get((method, route), method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
        return PreparedRequest("request", method, target, _unread, idempotent=safe, body=body)

    def _own_target(self, path: str) -> str:
        """The path and query to send, once it is certain that they lead to this service and nowhere else."""
        base = self._config.base_url
        origin = f"{base.scheme}://{base.netloc.decode('ascii')}"
        if path.startswith(f"{origin}{base.path.rstrip('/')}/"):
            path = path[len(f"{origin}{base.path.rstrip('/')}") :]
        if not path.startswith("/") or path.startswith("//"):
            raise InvalidRequestError(f"{path!r} must be a path that begins with one '/', or a URL under {base}")
        try:
            target = httpx.URL(origin + path).raw_path.decode("ascii")
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InvalidRequestError(f"{path!r} is not a path: {error}") from None
        return target


def _unread(_answer: Any) -> Any:
    raise NotImplementedError("the answer of `request` is returned as it came")


def _plain(value: Any, name: str) -> Any:
    """Plain JSON data, checked as strictly as the keywords of operations are."""
    try:
        return serialize_argument(write_json, value, name)
    except ValidationError as error:
        raise InvalidRequestError(f"request: {error}") from None


def _pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, (dict, list)):
                raise InvalidRequestError(f"request: params.{name}: a query holds texts, numbers and booleans")
            if item is not None:
                yield name, str(item).lower() if isinstance(item, bool) else str(item)
