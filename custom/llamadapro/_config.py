"""The client's options, frozen: from arguments, else from the environment, else from the OpenAPI document."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from inspect import iscoroutinefunction
from operator import index
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import attrs
import httpx

from llamadapro_api import document
from llamadapro_api.document import KeyPlacement

from ._headers import USER_AGENT, RawHeaders, Secret, check_header_name, check_headers, is_header_value
from ._httpx2 import AnyAsyncClient, AnyProxy, AnyTimeout, AnyURL, is_async_client, parse_url, to_httpx
from .errors import ConfigurationError

EngineName = Literal["httpx", "aiohttp", "httpx2"]

NO_TIMEOUTS: Mapping[str, float | None] = {"connect": None, "read": None, "write": None, "pool": None}
"""No per-phase timeouts; an outer deadline applies."""

PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

_MAX_SECONDS = 1e12


@runtime_checkable
class RateLimiter(Protocol):
    """Anything that says when the next request may be sent, such as aiolimiter's `AsyncLimiter`."""

    async def acquire(self) -> Any: ...


def _api_key(given: Secret | None) -> Secret:
    # The key is in no local of this frame, nor of any that can raise: tracebacks with locals are shown and stored.
    key = given or Secret(os.environ.get("LLAMADAPRO_API_KEY", ""))
    if not key.reveal():
        raise ConfigurationError("no API key: set the environment variable LLAMADAPRO_API_KEY, or pass api_key=…")
    if not is_header_value(key.reveal()):
        source = "LLAMADAPRO_API_KEY" if given is None else "api_key"
        raise ConfigurationError(
            f"the API key ({source}) must be printable ASCII without spaces around it; check for a trailing newline"
        )
    return key


def _base_url(given: str | AnyURL | None) -> httpx.URL:
    given = to_httpx(given) or os.environ.get("LLAMADAPRO_BASE_URL") or document.SERVER
    if given == "":
        raise ConfigurationError("openapi.yaml names no server: pass base_url=… or set LLAMADAPRO_BASE_URL")
    if not isinstance(given, (str, httpx.URL)):
        raise ConfigurationError(f"base_url must be a URL, not {_short(given)}")
    # A URL with a password in it is not repeated.
    shown = "the given one" if "@" in str(given) else repr(given)
    try:
        url = parse_url(given)
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"base_url must be a URL, not {shown} ({type(error).__name__})") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"base_url must start with https:// or http:// and name a host, not {shown}")
    if url.userinfo or url.query or url.fragment:
        raise ConfigurationError("base_url must have no user, query or fragment; the key goes into api_key")
    return url.copy_with(raw_path=url.raw_path.rstrip(b"/"))


def _timeout(given: float | AnyTimeout) -> float | httpx.Timeout:
    given = to_httpx(given)
    if isinstance(given, httpx.Timeout):
        return given
    return _positive("timeout", given, "a number of seconds or an httpx.Timeout")


def _deadline(given: float | None) -> float | None:
    return None if given is None else _positive("deadline", given, "a number of seconds, or None for no limit")


def _max_retries(given: int) -> int:
    number = as_int(given)
    if number is None or number < 0:
        raise ConfigurationError(f"max_retries must be an integer of at least 0, not {_short(given)}; 0 means no retry")
    return number


def _retry_unsafe(given: bool) -> bool:
    if isinstance(given, bool):  # "false" and "0" out of the environment would be true
        return given
    raise ConfigurationError(f"retry_unsafe must be True or False, not {_short(given)}")


def _positive_int(name: str, given: int) -> int:
    number = as_int(given)
    if number is None or number <= 0:
        raise ConfigurationError(f"{name} must be an integer above 0, not {_short(given)}")
    return number


def _max_connections(given: int) -> int:
    return _positive_int("max_connections", given)


def _max_response_bytes(given: int) -> int:
    return _positive_int("max_response_bytes", given)


def _rate_limit(given: float | RateLimiter | None) -> float | RateLimiter | None:
    if given is None or isinstance(given, RateLimiter):
        return given
    return _positive("rate_limit", given, "requests per second, or an object with `async acquire()`")


def _default_region(given: str | None) -> str | None:
    if given is None or (isinstance(given, str) and len(given) == 2 and given.isascii() and given.isalpha()):
        return given and given.upper()
    raise ConfigurationError(f"default_region must be a two-letter country code such as 'CL', not {_short(given)}")


def _engine(given: EngineName) -> EngineName:
    names = get_args(EngineName)
    if not isinstance(given, str) or given not in names:
        raise ConfigurationError(f"engine must be {' or '.join(map(repr, names))}, not {_short(given)}")
    return given


def _api_key_scheme(given: str | None) -> str | None:
    if given is None or (isinstance(given, str) and given.isascii() and given.isalnum()):
        return given
    raise ConfigurationError(f"api_key_scheme must be a word such as 'Bearer', not {_short(given)}")


def _api_key_header(given: str | None) -> str | None:
    if given is None:
        return None
    if isinstance(given, str):
        return check_header_name(given)
    raise ConfigurationError(f"api_key_header must be the name of a header, not {_short(given)}")


def _default_headers(given: Mapping[str, str] | None) -> Mapping[str, str]:
    return check_headers({} if given is None else given)


def _proxy(given: str | AnyProxy | None, source: str = "proxy") -> httpx.Proxy | None:
    proxy: Any = to_httpx(given)
    if proxy is None or isinstance(proxy, httpx.Proxy):
        return proxy
    scheme = proxy.partition("://")[0] if isinstance(proxy, str) and "://" in proxy else "http"
    if scheme.lower() not in PROXY_SCHEMES:
        raise ConfigurationError(f"{source} has the scheme {scheme!r}; it must be one of {', '.join(PROXY_SCHEMES)}")
    try:
        built = httpx.Proxy(parse_url(proxy))
    except (httpx.InvalidURL, ValueError, TypeError, AttributeError) as error:
        # It may hold a password: the message only says what is wrong.
        raise ConfigurationError(f"{source} must be a URL such as http://proxy:3128 ({type(error).__name__})") from None
    if not built.url.host:
        raise ConfigurationError(f"{source} must name a host, as in http://proxy:3128")
    return built


def _verify(given: bool | str | ssl.SSLContext) -> bool | ssl.SSLContext:
    """A path becomes a context at once: certificates that cannot be read are not a failure of the first call."""
    if isinstance(given, (bool, ssl.SSLContext)):
        return given
    if not isinstance(given, str) or not given:
        raise ConfigurationError(f"verify must be True, False, a path or an ssl.SSLContext, not {_short(given)}")
    try:
        folder = os.path.isdir(given)
        return ssl.create_default_context(cafile=None if folder else given, capath=given if folder else None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the certificates of verify={given!r} cannot be read: {error}") from None


def _on_attempt(given: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if given is None or (callable(given) and not iscoroutinefunction(given)):
        return given
    raise ConfigurationError(f"on_attempt must be a function, which nobody awaits, not {_short(given)}")


def _http_client(given: AnyAsyncClient | None) -> AnyAsyncClient | None:
    if given is None or is_async_client(given):
        return given
    raise ConfigurationError(
        f"http_client must be an httpx.AsyncClient or httpx2.AsyncClient, not {type(given).__name__}"
    )


@attrs.frozen(kw_only=True)
class Config:
    """A client's options, checked; see `AsyncLlamadaPro` for what each means.

    Raises `ConfigurationError`, with what to do about it, for the first invalid option.
    """

    api_key: Secret = attrs.field(default=None, converter=_api_key)
    base_url: httpx.URL = attrs.field(default=None, converter=_base_url)
    timeout: float | httpx.Timeout = attrs.field(default=30.0, converter=_timeout)
    deadline: float | None = attrs.field(default=120.0, converter=_deadline)
    max_retries: int = attrs.field(default=2, converter=_max_retries)
    retry_unsafe: bool = attrs.field(default=False, converter=_retry_unsafe)
    max_connections: int = attrs.field(default=100, converter=_max_connections)
    rate_limit: float | RateLimiter | None = attrs.field(default=None, converter=_rate_limit)
    default_region: str | None = attrs.field(default=None, converter=_default_region)
    engine: EngineName = attrs.field(default="httpx", converter=_engine)
    api_key_scheme: str | None = attrs.field(default=None, converter=_api_key_scheme)
    api_key_header: str | None = attrs.field(default=None, converter=_api_key_header)
    default_headers: Mapping[str, str] = attrs.field(default=None, converter=_default_headers)
    proxy: httpx.Proxy | None = attrs.field(default=None, converter=_proxy)
    verify: bool | ssl.SSLContext = attrs.field(default=True, converter=_verify)
    max_response_bytes: int = attrs.field(default=64 * 2**20, converter=_max_response_bytes)
    on_attempt: Callable[[Any], Any] | None = attrs.field(default=None, converter=_on_attempt)
    http_client: AnyAsyncClient | None = attrs.field(default=None, converter=_http_client)

    attempt_timeout: float | None = attrs.field(init=False, eq=False)
    """Total seconds for one attempt, where `timeout` is a number."""
    key: KeyPlacement | None = attrs.field(init=False, eq=False)
    """Where the key usually goes."""
    address: str = attrs.field(init=False, eq=False)
    """`base_url` as text, without a slash at its end: what the path of each request is written behind."""
    headers: RawHeaders = attrs.field(init=False, eq=False)
    """What goes with every request, encoded once."""
    httpx_timeouts: Mapping[str, float | None] = attrs.field(init=False, eq=False)
    """The seconds that the engine gives each phase: connecting, reading and so on."""

    def __attrs_post_init__(self) -> None:
        check_socks(self.proxy, self.engine)
        if self.http_client is not None and not (self.engine == "httpx" and self.proxy is None and self.verify is True):
            raise ConfigurationError("http_client brings its own engine, proxy and verify: set these on it instead")
        key = self.key_placement()
        attempt_timeout = None if isinstance(self.timeout, httpx.Timeout) else self.timeout
        # Where one number limits the attempt, a timer inside it can only ring later. aiohttp's are costly;
        # httpx's are cheap, and hooks, mocks and instruments look at them.
        one_timer = self.engine == "aiohttp" and attempt_timeout is not None
        derived = {
            "attempt_timeout": attempt_timeout,
            "key": key,
            "address": str(self.base_url).rstrip("/"),
            "headers": self.headers_for(key),
            "httpx_timeouts": NO_TIMEOUTS if one_timer else httpx.Timeout(self.timeout).as_dict(),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # the way of a frozen class

    def __repr__(self) -> str:
        return f"<options of a client for {getattr(self, 'base_url', 'no address yet')}>"  # it may still be built

    def key_placement(self, security: str | None = None) -> KeyPlacement | None:
        """Where the key goes: as the options say, else as the OpenAPI document does.

        `security` is the scheme of an operation: None for the document's usual one, empty for no key.
        """
        if security == "":
            return None
        stated = document.SCHEMES.get(document.SCHEME if security is None else security)
        if self.api_key_header is None and self.api_key_scheme is None:
            return stated
        prefix = f"{self.api_key_scheme} " if self.api_key_scheme else stated.prefix if stated else ""
        name = self.api_key_header or ("Authorization" if self.api_key_scheme or stated is None else stated.name)
        return KeyPlacement("header", name, prefix)

    def headers_for(self, placement: KeyPlacement | None) -> RawHeaders:
        """What goes with a request whose key stands there: our own, the caller's over them, and over all the key."""
        own = {
            "Host": self.base_url.netloc.decode("ascii"),
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": USER_AGENT,
        }
        headers = RawHeaders().replaced(own).replaced(self.default_headers)
        if placement is None or placement.place != "header":
            return headers
        return headers.replaced({placement.name: f"{placement.prefix}{self.api_key.reveal()}"})


def build_proxy(given: str | httpx.Proxy | None, engine: EngineName, source: str) -> httpx.Proxy | None:
    """A proxy that the engine can use; raises `ConfigurationError` for one that it cannot."""
    return check_socks(_proxy(given, source), engine)


def check_socks(proxy: httpx.Proxy | None, engine: EngineName) -> httpx.Proxy | None:
    """Found out when the client is created rather than at its first call."""
    if proxy is not None and proxy.url.scheme.startswith("socks"):
        if engine == "aiohttp":
            raise ConfigurationError("engine='aiohttp' cannot use a SOCKS proxy; engine='httpx' can")
        if find_spec("socksio") is None:
            raise ConfigurationError("a SOCKS proxy needs socksio: pip install 'httpx[socks]'")
    return proxy


def _positive(name: str, value: Any, expected: str) -> float:
    number = as_seconds(value)
    if number is not None:
        return number
    raise ConfigurationError(f"{name} must be {expected}, above 0, not {_short(value)}")


def as_int(value: Any) -> int | None:
    """An integer, numpy's too; None for anything else."""
    try:
        return None if isinstance(value, bool) else index(value)
    except TypeError:
        return None


def as_seconds(value: Any) -> float | None:
    """A number above 0; None for anything else."""
    number = value if isinstance(value, float) else as_int(value)
    return float(number) if number is not None and 0 < number < _MAX_SECONDS else None


def _short(value: Any) -> str:
    try:
        return repr(value)[:60]
    except ValueError:  # an integer of thousands of digits
        return "so large a number"
