"""The client's options, from arguments, the environment and the OpenAPI document; and what is said of invalid ones."""

from __future__ import annotations

import contextlib
import logging
import math
import pickle
import ssl
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import httpx
import httpx2
import pytest

from llamadapro import AsyncLlamadaPro, ConfigurationError
from llamadapro._config import Config
from llamadapro._headers import Secret
from llamadapro._transport import httpx_engine
from llamadapro_api import document
from tests.openapi import KEY_HEADER, key_value

KEY = "sk-live-7f3a9d1c5e2b8640aa17"
VARIABLES = ("LLAMADAPRO_API_KEY", "LLAMADAPRO_BASE_URL", "LLAMADAPRO_LOG")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *PROXIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def untouched_log() -> Iterator[None]:
    logger = logging.getLogger("llamadapro")
    level, handlers = logger.level, [*logger.handlers]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


def config(**options: Any) -> Config:
    key = options.pop("api_key", KEY)
    return Config(api_key=None if key is None else Secret(key), **options)


def refusal(**options: Any) -> str:
    """The message of a refusal, once it is certain that the key shows nowhere in it."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncLlamadaPro(**{"api_key": KEY, **options})
    error = caught.value
    for shown in (str(error), repr(error)):
        assert KEY not in shown
    # The options are in the frames, as they were given; the key alone must not be.
    if not any(KEY in repr(value) for name, value in options.items() if name != "api_key"):
        for shown in shown_by_frames(error):
            assert KEY not in shown
    assert not isinstance(error, (ValueError, TypeError))
    return str(error)


def shown_by_frames(error: BaseException | None) -> Iterator[str]:
    """What a traceback with locals shows of the frames behind an error, but for this file's own."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename != __file__:
                for value in frame.f_locals.values():
                    with contextlib.suppress(Exception):  # what is half built cannot show itself
                        yield repr(value)
        error = error.__cause__ or error.__context__


# --- the key -----------------------------------------------------------------------------------------------------


def test_without_a_key_the_message_names_the_variable() -> None:
    assert "LLAMADAPRO_API_KEY" in refusal(api_key=None)
    assert "api_key" in refusal(api_key="")


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", KEY)
    assert config(api_key=None).api_key.reveal() == KEY
    assert config(api_key="another").api_key.reveal() == "another"
    # An empty argument is a mistake, not an invitation to take another key.
    assert "API key" in refusal(api_key="")


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY}\n", f"\n{KEY}", f" {KEY}", f"{KEY} ", f"{KEY}\r\nX-Evil: 1", f"{KEY}\x00", f"{KEY}\t", f"{KEY}\x7f",
        f"{KEY}é", f"{KEY}\u200b", f"{KEY}\ud800", " ", "\t", f"{KEY}".encode(), 5, ["a"],
    ],
    ids=ascii,
)  # fmt: skip
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: Any) -> None:
    assert "API key" in refusal(api_key=key)


@pytest.mark.parametrize("key", [f"{KEY}\n", " ", f"{KEY}é"])
def test_so_is_one_from_the_environment(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", key)
    assert "API key" in refusal(api_key=None)


def test_the_key_shows_nowhere() -> None:
    client = AsyncLlamadaPro(KEY, default_headers={"X-Tenant": "t9"})
    for shown in (
        repr(client),
        str(client),
        repr(config()),
        repr(client.with_options(timeout=5)),
        repr(vars(client)),
    ):
        assert KEY not in shown
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(config())
    with pytest.raises(TypeError):
        pickle.dumps(client)


# --- the address -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com/base/", "https://api.example.com/base"),
        ("https://api.example.com/a/b//", "https://api.example.com/a/b"),
        ("HTTPS://API.Example.com", "https://api.example.com"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://api.example.com:443", "https://api.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://api.example.com/a%2Fb", "https://api.example.com/a%2Fb"),
        (httpx.URL("https://api.example.com/"), "https://api.example.com"),
    ],
)
def test_the_address_may_take_any_of_these_forms(given: Any, used: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def address(url: httpx.URL) -> tuple[str, bytes, bytes]:
        return url.scheme, url.netloc, url.raw_path.rstrip(b"/")

    expected = address(httpx.URL(used))
    assert address(config(base_url=given).base_url) == expected
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", str(given))
    assert address(config().base_url) == expected


def test_the_address_is_else_the_environments_and_else_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(config().base_url).rstrip("/") == document.SERVER
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", "")
    assert str(config().base_url).rstrip("/") == document.SERVER
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", "http://localhost:1")
    assert str(config().base_url).rstrip("/") == "http://localhost:1"
    assert str(config(base_url="http://localhost:2").base_url).rstrip("/") == "http://localhost:2"


BAD_ADDRESSES: list[Any] = [
    "api.example.com", "/api", "ftp://api.example.com", "file:///etc/passwd", "https://", "https:///path", "http:api",
    "https://user@api.example.com", "https://user:password@api.example.com", "https://api.example.com?a=1",
    "https://api.example.com/#part", "https://api.example.com:port", "https://api.example.com:99999",
    "https://api.example.com\n", "https://api.example.com/\x00", "https://[::1", "https://\ud800.com",
    "https://api.example.com/\ud800", " ", "x" * 100_000, 5, b"https://api.example.com", ["https://api.example.com"],
    "https://xn--/", "https://xn--a.com", "https://a..b", f"https://{'a' * 64}.com",
]  # fmt: skip


@pytest.mark.parametrize("given", BAD_ADDRESSES, ids=lambda given: ascii(given)[:40])
def test_another_address_is_refused(given: Any) -> None:
    assert "base_url" in refusal(base_url=given)


@pytest.mark.parametrize("given", ["ftp://user:password@example.com", "https://user:password@example.com:port"])
def test_a_password_in_an_address_is_not_shown(given: str) -> None:
    assert "password" not in refusal(base_url=given)


def test_a_bad_address_of_the_environment_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", "localhost:8000")
    assert "localhost:8000" in refusal()


# --- numbers -----------------------------------------------------------------------------------------------------

NO_SECONDS = [0, 0.0, -1, -0.5, math.nan, math.inf, -math.inf, True, "30", b"30", [30], {}, 10**400]
NO_COUNTS = [0, -1, 1.0, 2.5, True, "10", None, math.nan, [1]]


@pytest.mark.parametrize("option", ["timeout", "deadline", "rate_limit"])
@pytest.mark.parametrize("value", NO_SECONDS, ids=lambda value: repr(value)[:9])
def test_what_is_no_number_above_zero_is_refused(option: str, value: Any) -> None:
    message = refusal(**{option: value})
    assert option in message
    assert "0" in message


@pytest.mark.parametrize(
    "option",
    [
        *("timeout", "max_connections", "max_retries", "base_url", "engine", "verify"),
        *("default_region", "api_key_header", "on_attempt"),
    ],
)
def test_a_number_too_long_to_be_shown_is_refused_in_words(option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option} must be .*, not so large a number"):
        AsyncLlamadaPro(KEY, **{option: -(10**5000)})


def test_a_timeout_is_never_left_out_by_mistake() -> None:
    assert "httpx.Timeout" in refusal(timeout=None)
    assert config(timeout=httpx.Timeout(None, connect=3)).timeout == httpx.Timeout(None, connect=3)


@pytest.mark.parametrize("option", ["max_connections", "max_response_bytes"])
@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_what_is_no_integer_above_zero_is_refused(option: str, value: Any) -> None:
    assert f"{option} must be an integer above 0" in refusal(**{option: value})


@pytest.mark.parametrize("value", [-1, 1.0, True, "2", None, math.inf])
def test_max_retries_teaches_how_to_have_none(value: Any) -> None:
    assert "0 means no retry" in refusal(max_retries=value)
    assert config(max_retries=0).max_retries == 0


class Index:
    """As numpy's integers."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def test_integers_are_what_can_be_an_index() -> None:
    for option in ("max_connections", "max_response_bytes", "max_retries", "timeout", "deadline", "rate_limit"):
        assert getattr(config(**{option: Index(7)}), option) == 7
        assert option in refusal(**{option: Index(-7)})


def test_numbers_that_fit_are_taken() -> None:
    used = config(timeout=5, deadline=0.5, rate_limit=2, max_connections=1, max_response_bytes=1, max_retries=7)
    assert (used.timeout, used.attempt_timeout, used.deadline, used.rate_limit) == (5.0, 5.0, 0.5, 2.0)
    assert used.httpx_timeouts == httpx.Timeout(5.0).as_dict()
    assert (used.max_connections, used.max_response_bytes, used.max_retries) == (1, 1, 7)
    assert config(deadline=None).deadline is None
    assert config(rate_limit=None).rate_limit is None


def test_the_defaults_are_those_of_the_design() -> None:
    used = config()
    assert (used.attempt_timeout, used.deadline, used.max_retries, used.max_connections) == (30.0, 120.0, 2, 100)
    assert (used.engine, used.verify, used.max_response_bytes) == ("httpx", True, 64 * 2**20)
    assert (used.rate_limit, used.default_region, used.proxy, used.http_client) == (None, None, None, None)
    assert used.key_placement() == document.SCHEMES[document.SCHEME]


def test_a_limiter_is_anything_with_acquire() -> None:
    class Bucket:
        async def acquire(self) -> None: ...

    bucket = Bucket()
    assert config(rate_limit=bucket).rate_limit is bucket
    assert "async acquire()" in refusal(rate_limit=object())


# --- region, engine, callback -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "C", "CHL", "Chile", "C1", "+56", "中国", "ſs", 56, b"CL", ["CL"], "CL\n"])
def test_a_region_is_a_two_letter_code(value: Any) -> None:
    assert "'CL'" in refusal(default_region=value)


def test_a_region_may_be_in_small_letters() -> None:
    assert config(default_region="cl").default_region == "CL"


@pytest.mark.parametrize("value", ["", "HTTPX", "requests", None, 5, ["httpx"], httpx])
def test_there_are_three_engines(value: Any) -> None:
    message = refusal(engine=value)
    assert all(f"'{name}'" in message for name in ("httpx", "aiohttp", "httpx2"))


@pytest.mark.parametrize("engine", ["aiohttp", "httpx2"])
def test_an_engine_whose_package_is_missing_says_what_to_install(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "llamadapro._transport.aiohttp_engine", raising=False)
    monkeypatch.setitem(sys.modules, engine, None)
    httpx_engine.library.cache_clear()
    with pytest.raises(ConfigurationError, match=rf"pip install 'llamadapro\[{engine}\]'"):
        AsyncLlamadaPro("key", engine=engine)


def test_values_of_httpx2_are_taken_as_those_of_httpx() -> None:
    url, timeout = httpx2.URL("https://api.test/base/"), httpx2.Timeout(3.0, connect=1.0)
    proxy = httpx2.Proxy("http://me:p%20w@proxy:3128", headers={"X-Via": "us"})
    found = config(base_url=url, timeout=timeout, proxy=proxy)
    assert found.base_url == httpx.URL("https://api.test/base")
    assert found.timeout == httpx.Timeout(3.0, connect=1.0)
    assert found.proxy is not None
    assert (found.proxy.url, found.proxy.raw_auth) == (httpx.URL("http://proxy:3128"), (b"me", b"p w"))
    assert found.proxy.headers["x-via"] == "us"
    assert config(http_client=httpx2.AsyncClient()).http_client is not None


@pytest.mark.parametrize("value", ["print", 5, ["x"], object()])
def test_on_attempt_is_something_to_call(value: Any) -> None:
    assert "on_attempt" in refusal(on_attempt=value)


def test_on_attempt_is_not_awaited() -> None:
    async def later(attempt: Any) -> None: ...

    assert "nobody awaits" in refusal(on_attempt=later)


@pytest.mark.parametrize("value", [httpx.Client, "client", object(), 5])
def test_http_client_is_an_asynchronous_one(value: Any) -> None:
    assert "httpx.AsyncClient" in refusal(http_client=value)


@pytest.mark.parametrize("option", [{"engine": "aiohttp"}, {"proxy": "http://proxy:3128"}, {"verify": False}])
async def test_a_callers_client_brings_its_own_engine(option: dict[str, Any]) -> None:
    async with httpx.AsyncClient(verify=False) as own:
        assert "set these on it" in refusal(http_client=own, **option)


# --- headers -----------------------------------------------------------------------------------------------------

BAD_VALUES = ["a\r\nX-Evil: 1", "a\n", "\na", "a\rb", "a\x00b", "a\x7f", " a", "a ", "ä", "a\u2028b", "\ud800"]


@pytest.mark.parametrize("value", BAD_VALUES, ids=ascii)
def test_a_header_value_that_would_smuggle_is_refused_and_not_shown(value: str) -> None:
    message = refusal(default_headers={"X-Token": f"{KEY}{value}{KEY}" if value.strip() == value else value})
    assert "X-Token" in message
    with pytest.raises(ConfigurationError, match="X-Token"):
        AsyncLlamadaPro(KEY).with_options(default_headers={"X-Token": value})


@pytest.mark.parametrize("value", [5, None, b"a", ["a"], True])
def test_a_header_value_is_a_string(value: Any) -> None:
    assert "X-Tenant" in refusal(default_headers={"X-Tenant": value})


NO_NAMES = ["", " ", "a b", "a:", ":a", "a\n", "a\r\nb", "ä", "a\x00", "(a)", "a/b", "\ud800", b"a", 5]


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_a_header_name_is_a_token(name: Any) -> None:
    assert "header" in refusal(default_headers={name: "x"})
    assert "header" in refusal(api_key_header=name)


@pytest.mark.parametrize("name", ["Host", "content-type", "Content-Length", "Transfer-Encoding", "connection"])
def test_what_frames_a_request_is_the_clients_own(name: str) -> None:
    assert f"the header {name} is set by the client" in refusal(default_headers={name: "x"})


@pytest.mark.parametrize("headers", [[("X-Tenant", "t9")], "X-Tenant: t9", 5, {"X-Tenant"}])
def test_headers_are_a_mapping(headers: Any) -> None:
    assert "default_headers" in refusal(default_headers=headers)


@pytest.mark.parametrize("name", [["X-Key"], {}, True, object()])
def test_the_keys_header_is_a_name(name: Any) -> None:
    assert "header" in refusal(api_key_header=name)


def test_headers_that_fit_are_taken_and_copied() -> None:
    given = {"X-Tenant": "t9", "X-Odd": "a\tb;q=0.5", "X-Empty": ""}
    used = config(default_headers=given, api_key_header="Authorization")
    given["X-Tenant"] = "t10"
    assert used.default_headers == {"X-Tenant": "t9", "X-Odd": "a\tb;q=0.5", "X-Empty": ""}
    assert used.api_key_header == "Authorization"
    assert config(default_headers=MappingProxyType(given)).default_headers == given
    assert config(default_headers=None).default_headers == {}


# --- proxy and certificates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["", "proxy:3128", "ftp://proxy", "http://", "http://proxy:port", "http://\ud800", 5, ["http://proxy"], b"x",
     "http://proxy:99999", "http://xn--/", "http://a..b"],
    ids=ascii,
)  # fmt: skip
def test_a_proxy_is_a_url(value: Any) -> None:
    assert "proxy" in refusal(proxy=value)


@pytest.mark.parametrize("value", ["ftp://user:password@proxy", "http://user:password@proxy:port"])
def test_a_proxys_password_is_not_shown(value: str) -> None:
    assert "password" not in refusal(proxy=value)


def test_a_proxy_that_needs_another_package_says_so() -> None:
    """Not at the first call, and not as a lost connection: nothing was ever sent."""
    if _has("socksio"):
        pytest.skip("socksio is installed")
    assert "socks" in refusal(proxy="socks5://localhost:1080")


def test_the_faster_engine_knows_no_socks_proxy() -> None:
    assert "engine='httpx' can" in refusal(engine="aiohttp", proxy="socks5://localhost:1080")


def test_so_does_one_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:port")
    assert "environment" in refusal()
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("ALL_PROXY", "socks5://localhost:1080")
    if not _has("socksio"):
        assert "socks" in refusal()


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def test_proxies_that_fit_are_taken() -> None:
    assert str(config(proxy="http://proxy:3128").proxy.url) == "http://proxy:3128"  # type: ignore[union-attr]
    own = httpx.Proxy("http://proxy:3128", auth=("user", "password"))
    assert config(proxy=own).proxy is own


@pytest.mark.parametrize(
    "value", ["/no/such/file.pem", "", None, 5, b"x", ["x"], object()], ids=lambda value: repr(value)[:18]
)
@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
def test_certificates_that_are_not_there_are_refused_at_once(engine: str, value: Any) -> None:
    """Not at the first call, and not as a lost connection: nothing was ever sent."""
    assert "verify" in refusal(verify=value, engine=engine)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    assert "verify" in refusal(verify=str(tmp_path / "ca.pem"))


def test_a_file_of_certificates_a_folder_and_a_context_are_taken(tmp_path: Path) -> None:
    certifi = pytest.importorskip("certifi")
    context = ssl.create_default_context()
    for verify in (certifi.where(), str(tmp_path), context, True, False):
        taken = config(verify=verify).verify
        assert taken is verify or isinstance(taken, ssl.SSLContext)


# --- the log -----------------------------------------------------------------------------------------------------


def test_the_environment_turns_the_log_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMADAPRO_LOG", "Debug")
    logger = logging.getLogger("llamadapro")
    monkeypatch.setattr(logger, "propagate", False)  # pytest listens at the root, as an app with its own log would
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    AsyncLlamadaPro(KEY)
    AsyncLlamadaPro(KEY)
    assert logger.level == logging.DEBUG
    assert len([one for one in logger.handlers if type(one) is logging.StreamHandler]) == 1


@pytest.mark.parametrize("level", ["yes", "1", "trace", "debugging"])
def test_a_level_that_is_none_is_refused(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMADAPRO_LOG", level)
    message = refusal()
    assert "LLAMADAPRO_LOG" in message
    assert "debug" in message


# --- frozen, and copied with changes ------------------------------------------------------------------------------


def test_a_document_without_a_server_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLAMADAPRO_BASE_URL", raising=False)
    monkeypatch.setattr(document, "SERVER", "")
    with pytest.raises(ConfigurationError, match=r"names no server: pass base_url=… or set LLAMADAPRO_BASE_URL"):
        AsyncLlamadaPro(KEY)
    assert str(config(base_url="http://localhost").base_url) == "http://localhost"


def test_options_are_frozen() -> None:
    used = config()
    for field in attrs.fields(Config):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(used, field.name, None)


def test_a_scheme_goes_before_the_key_in_its_header() -> None:
    assert config().headers[-1] == (KEY_HEADER.encode(), key_value(KEY).encode())
    assert config(api_key_scheme="Bearer").headers[-1] == (b"Authorization", f"Bearer {KEY}".encode())
    assert config(api_key_scheme="Token", api_key_header="X-Auth").headers[-1] == (b"X-Auth", f"Token {KEY}".encode())


@pytest.mark.parametrize("value", ["", "Bearer ", "a b", "Bearer:", "ä", 5, b"Bearer", ["Bearer"]])
def test_a_scheme_is_a_word(value: Any) -> None:
    assert "api_key_scheme must be a word such as 'Bearer'" in refusal(api_key_scheme=value)


def test_unknown_options_are_type_errors() -> None:
    with pytest.raises(TypeError, match="retries"):
        AsyncLlamadaPro(KEY, retries=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="engine"):
        AsyncLlamadaPro(KEY).with_options(engine="aiohttp")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        AsyncLlamadaPro(KEY, "https://api.example.com", 30.0)  # type: ignore[misc]


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": 0}, {"timeout": None}, {"timeout": math.nan}, {"deadline": -1}, {"deadline": "1"},
        {"max_retries": None}, {"max_retries": -1}, {"default_headers": {"X": "a\n"}}, {"default_headers": {"": "a"}},
    ],
    ids=str,
)  # fmt: skip
def test_changes_are_checked_like_options(changes: dict[str, Any]) -> None:
    client = AsyncLlamadaPro(KEY)
    with pytest.raises(ConfigurationError, match=next(iter(changes)).removeprefix("default_").removesuffix("s")):
        client.with_options(**changes)


def test_a_timeout_of_httpx_limits_the_phases_of_an_attempt_and_not_all_of_it() -> None:
    used = config(timeout=httpx.Timeout(9))
    assert used.attempt_timeout is None
    assert used.httpx_timeouts == httpx.Timeout(9).as_dict()


def test_a_subclass_stays_one_and_keeps_its_state() -> None:
    class Mine(AsyncLlamadaPro):
        def __init__(self, tenant: str) -> None:
            super().__init__(KEY)
            self.tenant = tenant

    mine = Mine("t9")
    copy = mine.with_options(timeout=5)
    assert type(copy) is Mine
    assert copy.tenant == "t9"
    copy.tenant = "t10"
    assert mine.tenant == "t9"
