"""The client's options, frozen: taken from arguments, then from the environment, then from the document."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, runtime_checkable

import attrs
import httpx

from llamadapro_api import document

from .errors import ConfigurationError

if TYPE_CHECKING:
    from ._transport.events import Attempt

Engine = Literal["httpx", "aiohttp"]

VERSION = "0.1.0"
"""As in pyproject.toml; looking it up in the installed metadata would take longer than the rest of a client."""

ACCEPT_ENCODING = "gzip, deflate"
UNTIMED: Mapping[str, float | None] = {"connect": None, "read": None, "write": None, "pool": None}
"""No phase of a request has an end of its own: something around it has."""

_SHORTEST_HIDDEN = 12
_LAST_PORT = 65_535
_ENDLESS = 1e12
_OURS = ("host", "content-type", "content-length", "transfer-encoding", "connection")
_LOG_LEVELS = ("debug", "info", "warning", "error")


@runtime_checkable
class RateLimiter(Protocol):
    """Anything that says when the next request may go, such as aiolimiter's `AsyncLimiter`."""

    async def acquire(self) -> Any: ...


class Secret:
    """A text that shows in no repr, no log and no traceback, and cannot be pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    @property
    def is_empty(self) -> bool:
        return not self._text

    @property
    def is_sendable(self) -> bool:
        """Whether it can be the value of a header as it is."""
        return isinstance(self._text, str) and is_header_value(self._text)

    def hide_in(self, text: str) -> str:
        """Take the secret out of what the service quotes; short ones are words that it may use by chance."""
        return text.replace(self._text, "<secret>") if len(self._text) >= _SHORTEST_HIDDEN else text

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds its API key and cannot be pickled; build one where it is used")


class HiddenHeaders(list[tuple[bytes, bytes]]):
    """Raw headers, the key among them, that do not show in a traceback with locals."""

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"


@attrs.frozen(kw_only=True)
class Config:
    """What a client was built with. See `AsyncLlamadaPro` for what each option means."""

    api_key: Secret
    base_url: httpx.URL
    timeout: httpx.Timeout
    attempt_limit: float | None
    """The whole of one attempt, in seconds, where `timeout` was given as a number."""
    deadline: float | None
    max_retries: int
    retry_unsafe: bool
    max_connections: int
    rate_limit: float | RateLimiter | None
    default_region: str | None
    engine: Engine
    api_key_header: str
    default_headers: Mapping[str, str] = attrs.field(repr=False)
    proxy: httpx.Proxy | None
    verify: bool | ssl.SSLContext
    max_response_bytes: int
    on_attempt: Callable[[Attempt], Any] | None
    http_client: httpx.AsyncClient | None = attrs.field(repr=False)
    user_agent: str
    headers: HiddenHeaders = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(lambda self: raw_headers(self), takes_self=True)
    )
    """What goes with every request, encoded once."""
    phases: Mapping[str, float | None] = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(lambda self: _phases(self), takes_self=True)
    )
    """What the engine is to time, in seconds: connecting, reading and so on, each by itself."""


def build_config(
    *,
    api_key: Secret | None,
    base_url: str | httpx.URL | None,
    timeout: float | httpx.Timeout,
    deadline: float | None,
    max_retries: int,
    max_connections: int,
    rate_limit: float | RateLimiter | None,
    default_region: str | None,
    engine: Engine,
    api_key_header: str | None,
    default_headers: Mapping[str, str] | None,
    proxy: str | httpx.Proxy | None,
    verify: bool | str | ssl.SSLContext,
    max_response_bytes: int,
    on_attempt: Callable[[Attempt], Any] | None,
    http_client: httpx.AsyncClient | None,
) -> Config:
    """Check every option; raises `ConfigurationError` with what to do about the first that does not fit."""
    _set_up_log()
    if on_attempt is not None and not callable(on_attempt):
        raise ConfigurationError(f"on_attempt must be something to call with each attempt, not {_short(on_attempt)}")
    if engine not in ("httpx", "aiohttp"):
        raise ConfigurationError(f"engine must be 'httpx' or 'aiohttp', not {_short(engine)}")
    if http_client is not None:
        if not isinstance(http_client, httpx.AsyncClient):
            raise ConfigurationError(f"http_client must be an httpx.AsyncClient, not {type(http_client).__name__}")
        if engine != "httpx" or proxy is not None or verify is not True:
            raise ConfigurationError("http_client brings its own engine, proxy and verify: set these on it instead")
    name = document.KEY_HEADER if api_key_header is None else api_key_header
    if not isinstance(name, str):
        raise ConfigurationError(f"api_key_header must be the name of a header, not {_short(name)}")
    return Config(
        api_key=build_api_key(api_key),
        base_url=build_base_url(base_url),
        timeout=build_timeout(timeout),
        attempt_limit=None if isinstance(timeout, httpx.Timeout) else float(timeout),
        deadline=build_deadline(deadline),
        max_retries=build_max_retries(max_retries),
        retry_unsafe=False,
        max_connections=_positive_int("max_connections", max_connections),
        rate_limit=build_rate_limit(rate_limit),
        default_region=build_region(default_region),
        engine=engine,
        api_key_header=next(iter(build_headers({name: "key"}))),
        default_headers=build_headers({} if default_headers is None else default_headers),
        proxy=build_proxy(proxy, engine),
        verify=build_verify(verify),
        max_response_bytes=_positive_int("max_response_bytes", max_response_bytes),
        on_attempt=on_attempt,
        http_client=http_client,
        user_agent=f"llamadapro-python/{VERSION}",
    )


def raw_headers(config: Config) -> HiddenHeaders:
    """The client's own headers, the caller's over them, and over all the key."""
    headers = {
        "Host": config.base_url.netloc.decode("ascii"),
        "Accept": "application/json",
        "Accept-Encoding": ACCEPT_ENCODING,
        "User-Agent": config.user_agent,
    }
    by_name = {name.lower(): (name, value) for name, value in (headers | dict(config.default_headers)).items()}
    by_name.pop(config.api_key_header.lower(), None)
    sent = HiddenHeaders((name.encode("ascii"), value.encode("ascii")) for name, value in by_name.values())
    sent.append((config.api_key_header.encode("ascii"), config.api_key.reveal().encode("ascii")))
    return sent


def _phases(config: Config) -> Mapping[str, float | None]:
    # Where one number holds for the whole attempt, a timer inside it can only ring later. aiohttp's cost a good deal;
    # httpx's cost little, and hooks, mocks and instruments look at them.
    spared = config.engine == "aiohttp" and config.attempt_limit is not None
    return UNTIMED if spared else config.timeout.as_dict()


def build_api_key(given: Secret | None) -> Secret:
    # The key is in no local of this frame, nor of any that can raise: tracebacks with locals are shown and stored.
    key = given or Secret(os.environ.get("LLAMADAPRO_API_KEY", ""))
    if key.is_empty:
        raise ConfigurationError("no API key: set the environment variable LLAMADAPRO_API_KEY, or pass api_key=…")
    if not key.is_sendable:
        source = "LLAMADAPRO_API_KEY" if given is None else "api_key"
        raise ConfigurationError(
            f"the API key ({source}) must be printable ASCII without spaces around it; look for a line break"
        )
    return key


def build_base_url(base_url: str | httpx.URL | None) -> httpx.URL:
    given = base_url or os.environ.get("LLAMADAPRO_BASE_URL") or document.SERVER
    if not isinstance(given, (str, httpx.URL)):
        raise ConfigurationError(f"base_url must be a URL, not {_short(given)}")
    # A URL with a password in it is not repeated.
    shown = "the given one" if "@" in str(given) else repr(given)
    try:
        url = httpx.URL(given)
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"base_url must be a URL, not {shown} ({type(error).__name__})") from None
    if url.scheme not in ("http", "https") or not url.host or (url.port or 1) > _LAST_PORT:
        raise ConfigurationError(f"base_url must start with https:// or http:// and name a host, not {shown}")
    if url.userinfo or url.query or url.fragment:
        raise ConfigurationError("base_url must have no user, query or fragment; the key goes into api_key")
    return url.copy_with(raw_path=url.raw_path.rstrip(b"/"))


def build_timeout(timeout: float | httpx.Timeout) -> httpx.Timeout:
    if isinstance(timeout, httpx.Timeout):
        return timeout
    return httpx.Timeout(_positive("timeout", timeout, "a number of seconds or an httpx.Timeout"))


def build_deadline(deadline: float | None) -> float | None:
    return None if deadline is None else _positive("deadline", deadline, "a number of seconds, or None for no end")


def build_max_retries(max_retries: int) -> int:
    if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
        raise ConfigurationError(
            f"max_retries must be an integer of at least 0, not {_short(max_retries)}; 0 means no retry"
        )
    return max_retries


def build_rate_limit(rate_limit: float | RateLimiter | None) -> float | RateLimiter | None:
    if rate_limit is None or isinstance(rate_limit, RateLimiter):
        return rate_limit
    return _positive("rate_limit", rate_limit, "requests per second, or an object with `async acquire()`")


def build_region(region: str | None) -> str | None:
    if region is None or (isinstance(region, str) and len(region) == 2 and region.isascii() and region.isalpha()):
        return region and region.upper()
    raise ConfigurationError(f"default_region must be a two-letter country code such as 'CL', not {_short(region)}")


def build_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Header names and values that can be sent as they are; a line break in one could smuggle in another."""
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"default_headers must be a dictionary, not {type(headers).__name__}")
    for name, value in headers.items():
        if (
            not isinstance(name, str)
            or not name
            or not all(sign.isalnum() or sign in "!#$%&'*+-.^_`|~" for sign in name)
        ):
            raise ConfigurationError(f"{name!r} is not a header name")
        if not name.isascii():
            raise ConfigurationError(f"header name {name!r} must be ASCII")
        if not isinstance(value, str):
            raise ConfigurationError(f"the value of header {name} must be a string, not {type(value).__name__}")
        if not is_header_value(value):
            # The value may be a secret: it is not shown.
            raise ConfigurationError(f"the value of header {name} must be printable ASCII without line breaks")
        if name.lower() in _OURS:
            raise ConfigurationError(f"the header {name} is the client's own to set")
    return dict(headers)


def is_header_value(value: str) -> bool:
    return value.isascii() and value.replace("\t", " ").isprintable() and value == value.strip()


def build_proxy(proxy: str | httpx.Proxy | None, engine: Engine, source: str = "proxy") -> httpx.Proxy | None:
    """A proxy that the engine can use; what it cannot is found out here rather than at the first call."""
    if proxy is None:
        return None
    try:
        built = proxy if isinstance(proxy, httpx.Proxy) else httpx.Proxy(proxy)
    except (httpx.InvalidURL, ValueError, TypeError, AttributeError) as error:
        # It may hold a password: only what is wrong is said.
        raise ConfigurationError(f"{source} must be a URL such as http://proxy:3128 ({type(error).__name__})") from None
    if not built.url.host:
        raise ConfigurationError(f"{source} must name a host, as in http://proxy:3128")
    if built.url.scheme.startswith("socks"):
        if engine == "aiohttp":
            raise ConfigurationError("engine='aiohttp' cannot use a SOCKS proxy; engine='httpx' can")
        if find_spec("socksio") is None:
            raise ConfigurationError("a SOCKS proxy needs socksio: pip install 'httpx[socks]'")
    return built


def build_verify(verify: bool | str | ssl.SSLContext) -> bool | ssl.SSLContext:
    """A path becomes a context at once: certificates that cannot be read are no fault of the first call."""
    if isinstance(verify, (bool, ssl.SSLContext)):
        return verify
    if not isinstance(verify, str) or not verify:
        raise ConfigurationError(f"verify must be True, False, a path or an ssl.SSLContext, not {_short(verify)}")
    try:
        folder = os.path.isdir(verify)
        return ssl.create_default_context(cafile=None if folder else verify, capath=verify if folder else None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the certificates of verify={verify!r} cannot be read: {error}") from None


def _positive(name: str, value: Any, expected: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _ENDLESS:
        return float(value)
    raise ConfigurationError(f"{name} must be {expected}, above 0, not {_short(value)}")


def _short(value: Any) -> str:
    try:
        return repr(value)[:60]
    except ValueError:  # an integer of thousands of digits
        return "so large a number"


def _positive_int(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigurationError(f"{name} must be an integer above 0, not {_short(value)}")


def _set_up_log() -> None:
    """`LLAMADAPRO_LOG=debug` shows a line per attempt on standard error, without any other set-up."""
    level = os.environ.get("LLAMADAPRO_LOG", "").lower()
    if not level:
        return
    if level not in _LOG_LEVELS:
        raise ConfigurationError(f"LLAMADAPRO_LOG must be one of {', '.join(_LOG_LEVELS)}, not {level!r}")
    logger = logging.getLogger("llamadapro")
    logger.setLevel(level.upper())
    if not logger.hasHandlers():  # an app that has set up its own log shows the lines there
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(handler)
