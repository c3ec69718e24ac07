"""The transport's parts one by one, without a network: what failures say and hold, causes, limits, odd bodies.

The fault matrix shows that the right kind of error comes out in time; this is about the words, and about the edges.
Found by mutation testing: together they kill the mutants that nothing else did.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
import struct
import tracemalloc
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import pytest

from llamadapro._headers import Secret
from llamadapro._transport.body import InvalidBody, TruncatedBody, parse_json, read_body
from llamadapro._transport.failures import (
    failure_of_status,
    failure_without_answer,
    redact_response,
    to_error,
    unreadable,
)
from llamadapro._transport.limits import DeadlineExceeded, Limits, SystemClock
from llamadapro._transport.policy import Failure, Outcome
from llamadapro._transport.redaction import Redactor, redact_error, redact_request
from llamadapro.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    ConflictError,
)
from llamadapro_api.errors import DeserializationError
from tests.clocks import FakeClock, ManualClock
from tests.openapi import key_headers

LOOK = ". It may have been processed: check before retrying"


KEY = Secret("sk-live-7f3a9d1c5e2b8640aa17")
REDACTOR = Redactor(KEY)
PUBLIC = httpx.Request("GET", "https://api.example.com/api/v1/x")


@attrs.define
class RequestInfo:
    """A request, as far as a failure asks about it."""

    method: str = "POST"
    is_write: bool = True
    attempts: int = 1
    maybe_processed: bool = False
    redactor: Redactor = REDACTOR

    @property
    def title(self) -> str:
        return f"{self.method} /api/v1/x"

    def redacted_request(self) -> httpx.Request:
        return httpx.Request(self.method, "https://api.example.com/api/v1/x")

    def advice(self, status_code: int | None) -> str | None:
        return "pray" if status_code == 404 else None


INFO = RequestInfo()


def answer(status: int, **headers: str) -> httpx.Response:
    raw = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=raw, request=PUBLIC)


def status_error(status: int, info: RequestInfo | None = None, body: bytes = b"", **headers: str) -> APIStatusError:
    error = to_error(failure_of_status(info or INFO, answer(status, **headers), body), info or INFO)
    assert isinstance(error, APIStatusError)
    return error


def made_by_aiohttp(*bases: type[BaseException]) -> BaseException:
    made: BaseException = type("ServerDisconnectedError", bases, {"__module__": "aiohttp.client_exceptions"})()
    return made


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (RequestInfo(), "POST /api/v1/x: 418: I'm a teapot"),
        (RequestInfo(attempts=2), "POST /api/v1/x: 418: I'm a teapot after 2 attempts"),
        (RequestInfo(maybe_processed=True), f"POST /api/v1/x: 418: I'm a teapot{LOOK}"),
        (RequestInfo("GET", is_write=False, maybe_processed=True), "GET /api/v1/x: 418: I'm a teapot"),
        (RequestInfo(attempts=3, maybe_processed=True), f"POST /api/v1/x: 418: I'm a teapot after 3 attempts{LOOK}"),
    ],
)
def test_a_status_error_tells_of_the_call(info: RequestInfo, message: str) -> None:
    error = status_error(418, info)
    assert str(error) == message
    assert error.may_have_been_processed is (info.is_write and info.maybe_processed)


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, b"", "Bad Request; correct the request"),
        (400, b'{"message":"no"}', "no; correct the request as the message says"),
        (404, b"", "Not Found; pray"),
        (405, b"", "Method Not Allowed"),
    ],
)
def test_advice_where_there_is_some(status: int, body: bytes, text: str) -> None:
    assert str(status_error(status, body=body)) == f"POST /api/v1/x: {status}: {text}"


def test_everything_the_service_says_is_shown() -> None:
    body = b'{"message":"slower","code":"E7","details":{"limit":5}}'
    error = status_error(409, body=body, retry_after="2.5", x_request_id="req-1")
    assert isinstance(error, ConflictError)
    assert str(error) == ('POST /api/v1/x: 409: slower (code E7); details: {"limit":5}; the service asks to wait 2.5 s')
    assert (error.code, error.details, error.retry_after, error.request_id) == ("E7", {"limit": 5}, 2.5, "req-1")
    assert error.body == {"message": "slower", "code": "E7", "details": {"limit": 5}}
    assert error.request is error.response.request


def details_in(error: APIStatusError) -> str:
    return str(error).partition("; details: ")[2].partition("; correct")[0]


def test_long_details_are_shown_in_part() -> None:
    for length in (499, 500):
        complete = '"' + "d" * (length - 2) + '"'
        assert details_in(status_error(400, body=f'{{"details":{complete}}}'.encode())) == complete
    cut = details_in(status_error(400, body=b'{"details":"%s"}' % (b"d" * 499)))
    assert cut == '"' + "d" * 496 + "..."


def test_details_that_json_can_be_read_from_but_not_written_to_are_shown_all_the_same() -> None:
    # orjson reads a thousand levels and writes 254.
    depth = 400
    error = status_error(400, body=b'{"details":' + b"[" * depth + b"7" + b"]" * depth + b"}")
    assert details_in(error) == "[" * depth + "7" + "]" * (497 - depth - 1) + "..."


def test_an_error_body_that_is_no_text_is_read_as_far_as_it_is() -> None:
    assert status_error(502, body=b"caf\xe9 is closed").body == "caf\ufffd is closed"
    assert status_error(502).body is None


# --- without an answer -------------------------------------------------------------------------------------------


def test_a_connection_error_tells_of_the_call() -> None:
    broke = httpx.ReadError(f"reset {KEY.reveal()}")
    failure = failure_without_answer(INFO, broke, unsent=False)
    assert (failure.outcome, failure.cause, failure.timed_out) == (Outcome.AMBIGUOUS, broke, False)
    error = to_error(failure, RequestInfo(attempts=2, maybe_processed=True))
    assert type(error) is APIConnectionError
    assert str(error) == (
        f"POST /api/v1/x: the connection broke before the response was complete (reset <secret>) after 2 attempts{LOOK}"
    )
    assert (error.request.method, error.may_have_been_processed) == ("POST", True)


def test_what_never_left_is_not_sent() -> None:
    refused = httpx.ConnectError("refused")
    failure = failure_without_answer(INFO, refused, unsent=True)
    assert (failure.outcome, failure.cause, failure.timed_out) == (Outcome.NOT_SENT, refused, False)
    error = to_error(failure, RequestInfo())
    assert type(error) is APIConnectionError
    assert str(error) == "POST /api/v1/x: could not reach the service (refused) at https://api.example.com/"


@pytest.mark.parametrize("late", [httpx.ConnectTimeout("late"), TimeoutError("late")])
def test_a_timeout_is_one_whether_or_not_anything_left(late: Exception) -> None:
    for unsent, outcome in ((True, Outcome.NOT_SENT), (False, Outcome.AMBIGUOUS)):
        failure = failure_without_answer(INFO, late, unsent=unsent)
        assert (failure.outcome, failure.cause, failure.timed_out) == (outcome, late, True)
        assert type(to_error(failure, RequestInfo())) is APITimeoutError


def test_a_failure_without_words_is_named() -> None:
    said = failure_without_answer(INFO, httpx.ReadError(""), unsent=False).reason
    assert said == "the connection broke before the response was complete (ReadError)"


def test_an_answer_that_switches_protocols_is_final() -> None:
    odd = httpx.RemoteProtocolError(
        "can't handle event type Data when role=SERVER and state=SWITCHED (_SWITCH_UPGRADE_)"
    )
    failure = failure_without_answer(INFO, odd, unsent=False)
    assert (failure.outcome, failure.cause, failure.timed_out) == (Outcome.FINAL, odd, False)
    assert failure.reason == "answered 101 (switching protocols), which was not asked for"


@pytest.mark.parametrize(
    ("error", "timed_out"),
    [
        (caused(httpx.ConnectTimeout("x"), made_by_aiohttp(Exception)), False),
        (caused(httpx.ReadTimeout("x"), made_by_aiohttp(TimeoutError)), True),
        (caused(httpx.ReadError("x"), made_by_aiohttp(TimeoutError)), True),
        (caused(httpx.ReadTimeout("x"), OSError()), True),
        (caused(httpx.ReadError("x"), TimeoutError()), False),
    ],
)
def test_aiohttp_knows_best_what_was_a_timeout(error: BaseException, timed_out: bool) -> None:
    # httpx-aiohttp calls a lost connection a ConnectTimeout.
    assert failure_without_answer(INFO, error, unsent=False).timed_out is timed_out


# --- a success that cannot be read -------------------------------------------------------------------------------


def test_what_cannot_be_read_names_its_place() -> None:
    wrong = DeserializationError("expected a list, found null").at("items")
    failure = unreadable(INFO, answer(200), wrong, b'{"items":null}')
    assert (failure.outcome, failure.cause) == (Outcome.FINAL, wrong)
    error = to_error(failure, RequestInfo(maybe_processed=True))
    assert isinstance(error, APIResponseValidationError)
    assert error.place == "items"
    assert str(error) == (
        "POST /api/v1/x: answered 200, but not as the document says: items: expected a list, found null" + LOOK
    )
    assert error.request.method == "POST"
    assert error.request is error.response.request
    assert error.may_have_been_processed


def test_what_is_bad_altogether_has_no_place() -> None:
    error = to_error(unreadable(INFO, answer(201), InvalidBody("its body is empty"), b""), RequestInfo())
    assert isinstance(error, APIResponseValidationError)
    assert error.place == ""
    assert str(error) == "POST /api/v1/x: answered 201, but its body is empty"


# --- what an error holds -----------------------------------------------------------------------------------------


def test_the_answer_is_kept_as_it_was_read() -> None:
    came = httpx.Response(
        200,
        headers=[
            (b"Content-Encoding", b"gzip"),
            (b"Content-Length", b"500"),
            (b"Transfer-Encoding", b"chunked"),
            (b"X-Twice", b"1"),
            (b"X-Twice", b"2"),
            (b"X-Name", b"\xd1"),
        ],
        stream=httpx.ByteStream(b"never read"),
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": b"Fine", "network_stream": object()},
    )
    kept = redact_response(INFO, came, b"unpacked")
    assert (kept.status_code, kept.content, kept.request.url) == (200, b"unpacked", PUBLIC.url)
    assert kept.headers.multi_items() == [
        ("x-twice", "1"), ("x-twice", "2"), ("x-name", "Ñ"), ("content-length", "8")
    ]  # fmt: skip
    assert kept.extensions == {"http_version": b"HTTP/1.1", "reason_phrase": b"Fine"}
    assert (kept.http_version, kept.reason_phrase) == ("HTTP/1.1", "Fine")


def test_a_failure_does_not_show_its_cause() -> None:
    failure = Failure(Outcome.AMBIGUOUS, "broke", ValueError(KEY.reveal()))
    assert KEY.reveal() not in repr(failure)


@pytest.mark.parametrize(
    ("outcome", "status", "may"),
    [
        (Outcome.AMBIGUOUS, None, True),
        (Outcome.AMBIGUOUS, 500, True),
        (Outcome.NOT_SENT, None, False),
        (Outcome.FINAL, 199, False),
        (Outcome.FINAL, 200, True),
        (Outcome.FINAL, 299, True),
        (Outcome.FINAL, 300, False),
    ],
)
def test_what_an_attempt_alone_leaves_open(outcome: Outcome, status: int | None, may: bool) -> None:
    failure = Failure(outcome, "x", response=None if status is None else answer(status))
    assert failure.may_have_been_processed is may


def test_a_failure_holds_nothing_that_it_was_not_given() -> None:
    error = to_error(Failure(Outcome.FINAL, "x", response=answer(200)), RequestInfo())
    assert isinstance(error, APIResponseValidationError)
    assert (error.place, error.response.content) == ("", b"")


def test_an_answer_of_another_kind_is_of_another_class() -> None:
    kinds: dict[int, Any] = {
        status: type(to_error(Failure(Outcome.FINAL, "x", response=answer(status)), RequestInfo()))
        for status in (200, 299, 300)
    }
    assert kinds == {200: APIResponseValidationError, 299: APIResponseValidationError, 300: APIStatusError}


# --- texts, requests and causes without the key ------------------------------------------------------------------

WRITTEN_ODDLY = r"sk/LIVE+7f3a&9d1c\5e2b<8640>aa17"
ODD = Redactor(Secret(WRITTEN_ODDLY))
QUOTINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with quoted slashes": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "unicode escapes": lambda text: "".join(f"\\u{ord(sign):04X}" for sign in text),
    "JavaScript's escapes": lambda text: "".join(f"\\u{{{ord(sign):x}}}" for sign in text),
    "Python's escapes": lambda text: "".join(f"\\U{ord(sign):08x}" for sign in text),
    "byte escapes": lambda text: "".join(f"\\x{ord(sign):02x}" for sign in text),
    "a URL": lambda text: quote(text, safe=""),
    "a URL in a URL": lambda text: quote(quote(quote(text, safe=""))),
    "HTML": html.escape,
    "HTML four times over": lambda text: html.escape(html.escape(html.escape(html.escape(text)))),
    "HTML's decimal numbers": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "HTML's hexadecimal numbers": lambda text: "".join(f"&#x{ord(sign):X};" for sign in text),
    "HTML in a URL in JSON": lambda text: json.dumps(quote(html.escape(text), safe=""))[1:-1],
    "hexadecimal": lambda text: text.encode().hex(),
    "UTF-16": lambda text: text.encode("utf-16-le").decode("latin-1").removesuffix("\0"),
}
every_quoting = pytest.mark.parametrize("quoting", QUOTINGS.values(), ids=QUOTINGS)


@every_quoting
def test_the_key_and_nothing_else_is_taken_out_however_it_is_quoted(quoting: Callable[[str], str]) -> None:
    quoted = quoting(WRITTEN_ODDLY)
    assert ODD.leaks(quoted)
    assert ODD.redact(f"{quoted}one {quoted} two{quoted}") == "<secret>one <secret> two<secret>"
    assert ODD.redact(f"\u0130 %41 {quoted} &amp; {quoted[:-1]}") == f"\u0130 %41 <secret> &amp; {quoted[:-1]}"


def test_all_quotings_in_one_text_are_taken_out() -> None:
    quoted = [quoting(WRITTEN_ODDLY) for quoting in QUOTINGS.values() if "\0" not in quoting(WRITTEN_ODDLY)]
    for texts in (quoted, quoted[::-1]):
        assert ODD.redact(", ".join(texts)) == ", ".join(["<secret>"] * len(quoted))


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode], ids=["usual", "for URLs"])
@pytest.mark.parametrize("before", [b"", b"x", b"xx"])
@pytest.mark.parametrize("after", [b"", b"y", b"yy"])
def test_what_the_key_decides_is_out_of_base64(encode: Callable[[bytes], bytes], before: bytes, after: bytes) -> None:
    key = "sk-LIVE?7f3a>9d1c~5e2b8640"
    packed = encode(before + key.encode() + after).decode()
    first, last = -(-len(before) * 8 // 6), (len(before) + len(key)) * 8 // 6  # what the key alone decides
    assert Redactor(Secret(key)).redact(f"as {packed}.") == f"as {packed[:first]}<secret>{packed[last:]}."


@pytest.mark.parametrize(
    ("key", "quoted"),
    [
        ("Bearer 7f3a9d1c5e2b", "7f3a9d1c5e2b"),
        ("Token token='7f3a9d1c5e2b'", "7f3a9d1c5e2b"),
        ("Digest user=ann,key=7f3a9d1c5e2b;x", "7f3a9d1c5e2b"),
        ("BASIC YW5uOjdmM2E5ZDFjNWUyYg==", "ann:7f3a9d1c5e2b"),
        ("Basic YW5uOjdmM2E5ZDFjNWUyYg==", "7f3a9d1c5e2b"),
        ("Basic no-base64-at-all", "no-base64-at-all"),
        ("sk%2Flive%2F7f3a9d1c", "sk/live/7f3a9d1c"),
        ("7f3a9d1c5e2b:0a1b2c3d4e5f", "7f3a9d1c5e2b:0a1b2c3d4e5f"),
    ],
)
def test_the_key_is_found_without_its_scheme(key: str, quoted: str) -> None:
    assert Redactor(Secret(key)).redact(f"it was {quoted}.") == "it was <secret>."


def test_a_key_as_short_as_a_word_is_no_secret_to_look_for() -> None:
    short, long = Redactor(Secret("elevenchars")), Redactor(Secret("twelve-chars"))
    assert short.redact("elevenchars, twelve-chars") == "elevenchars, twelve-chars"
    assert long.redact("elevenchars, twelve-chars") == "elevenchars, <secret>"
    assert not short.leaks("elevenchars")


def test_a_key_that_overlaps_itself_is_taken_out_to_its_end() -> None:
    for part in ("a", "ab", "abc"):
        assert set(Redactor(Secret(part * 12)).redact(part * 13).split("<secret>")) == {""}


def test_in_a_long_text_the_key_is_found_at_the_end_too() -> None:
    text = "%41" * 2**19
    assert ODD.redact(text + WRITTEN_ODDLY) == f"{text}<secret>"


@pytest.mark.parametrize("charset", [None, "utf-8", "UTF-8", "cp037", "utf-7", "nonsense", "rot13", "idna", "a\0b"])
def test_bytes_are_redacted_in_any_charset_and_else_left_as_they_are(charset: str | None) -> None:
    for raw in (b"", b"\xff\xfe\x00\xf1", b"a+b"):
        assert REDACTOR.redact_bytes(raw, charset) == raw
        assert REDACTOR.redact_bytes(raw + KEY.reveal().encode(), charset) == raw + b"<secret>"
    assert REDACTOR.redact_bytes(KEY.reveal().encode("cp037"), "cp037") == "<secret>".encode("cp037")
    assert REDACTOR.redact_bytes(KEY.reveal().encode("cp424") + b"\x70", "cp424") == "<secret>?".encode("cp424")


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"{core}.{part}"
            for core in ("httpcore", "httpcore2")
            for part in ["connection", "http11", "http2", "proxy", "socks"]
        ),
        *("httpx", "httpx2", "aiohttp.client", "aiohttp.internal"),
    ],
)
def test_what_libraries_log_shows_no_key(name: str) -> None:
    def logged(text: str, *args: Any) -> logging.LogRecord:
        record = logging.LogRecord(name, logging.DEBUG, __file__, 1, text, args, None)
        assert logging.getLogger(name).filter(record)
        return record

    assert logged("came %s", KEY.reveal()).getMessage() == "came <secret>"
    assert logged("came %s", WRITTEN_ODDLY).getMessage() == "came <secret>"
    kept = logged("came %d", 5)
    assert (kept.msg, kept.args) == ("came %d", (5,))
    assert logged("came %d", "no number").args == ("no number",)


def test_a_public_request_is_the_request_without_credentials() -> None:
    hidden = [b"X-API-Key", b"x-api-key", b"Authorization", b"PROXY-AUTHORIZATION", b"Cookie"]
    raw = [(b"X-Trace", b"7"), *((name, KEY.reveal().encode()) for name in hidden), (b"Accept", b"text/plain")]
    url = httpx.URL("https://api.example.com/api/v1/x?a=b")
    shown = redact_request("PUT", url, raw, b"body", "X-Api-KEY")
    assert (shown.method, shown.url, shown.content) == ("PUT", url, b"body")
    assert dict(shown.headers) == {
        "host": "api.example.com", "x-trace": "7", "accept": "text/plain", "content-length": "4"
    }  # fmt: skip
    assert "content-length" not in redact_request("GET", url, raw, b"", "X-API-Key").headers


class Worded(Exception):
    def __str__(self) -> str:
        return f"no {KEY.reveal()} here"


class Shown(Exception):
    def __repr__(self) -> str:
        return f"<{KEY.reveal()}>"


class Holding(Exception):
    def __init__(self) -> None:
        super().__init__("plain")
        self.headers = key_headers(KEY.reveal())

    def __repr__(self) -> str:
        return "<holding>"


class Given(Exception):
    """Shows its argument nowhere by itself."""

    def __str__(self) -> str:
        return "plain"

    def __repr__(self) -> str:
        return "<given>"


SHOWING = [
    (Worded(), "no <secret> here"),
    (Shown("plain"), "plain"),
    (Holding(), "plain"),
]
showing = pytest.mark.parametrize(("error", "words"), SHOWING, ids=lambda one: type(one).__name__)


@showing
def test_a_cause_that_shows_the_key_in_any_way_is_replaced(error: Exception, words: str) -> None:
    shown = redact_error(error, REDACTOR, PUBLIC)
    assert type(shown) is RuntimeError
    assert str(shown) == f"{__name__}.{type(error).__qualname__}: {words}"
    assert (shown.__cause__, shown.__context__, vars(shown)) == (None, None, {})


@pytest.mark.parametrize("kind", [ValueError, Given])
def test_one_that_shows_it_in_its_arguments_only_stays_itself_without_it(kind: type[Exception]) -> None:
    outer, inner = kind(f"no {KEY.reveal()} here", 5), kind(KEY.reveal())
    outer.__cause__ = inner
    assert redact_error(outer, REDACTOR, PUBLIC) is outer
    assert (outer.args, inner.args) == (("no <secret> here", 5), ("<secret>",))


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
@pytest.mark.parametrize("depth", [1, 3])
def test_so_is_one_that_leads_to_it(link: str, depth: int) -> None:
    first: BaseException = ValueError("first")
    last = first
    for at in range(depth):
        following = Holding() if at == depth - 1 else KeyError(at)
        setattr(last, link, following)
        last = following
    shown = redact_error(first, REDACTOR, PUBLIC)
    assert type(shown) is RuntimeError
    assert str(shown) == "builtins.ValueError: first"


def test_any_other_cause_stays_itself_without_frames_or_the_real_request() -> None:
    secret = httpx.Request("GET", "https://api.example.com/", headers=key_headers(KEY.reveal()))
    outer, inner = httpx.ReadError("reset", request=secret), httpx.ConnectError("refused", request=secret)
    for error in (outer, inner):
        try:
            raise error
        except httpx.HTTPError:
            pass
    outer.__context__ = inner
    inner.__context__ = None
    assert redact_error(outer, REDACTOR, PUBLIC) is outer
    assert (outer.request, inner.request) == (PUBLIC, PUBLIC)
    assert (outer.__traceback__, inner.__traceback__) == (None, None)


async def test_causes_that_go_round_in_a_circle_come_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert redact_error(one, REDACTOR, PUBLIC) is one
    assert vars(one) == vars(other) == {}


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(start=0.0)  # as a machine's may


async def test_without_limits_nobody_waits(clock: FakeClock) -> None:
    limits = Limits(1, None, clock)
    for _ in range(3):
        await limits.acquire(0.0)
    assert clock.sleeps == []


async def test_a_rate_is_requests_a_second(clock: FakeClock) -> None:
    limits = Limits(1, 4, clock)
    went = []
    for _ in range(4):
        await limits.acquire(None)
        went.append(clock.now())
    assert went == [0.0, 0.25, 0.5, 0.75]


async def test_a_rate_saves_nothing_up(clock: FakeClock) -> None:
    limits = Limits(1, 4, clock)
    await limits.acquire(None)
    clock.time = 10.0
    for _ in range(3):
        await limits.acquire(None)
    assert (clock.sleeps, clock.time) == ([0.25, 0.25], 10.5)


async def test_who_waits_for_a_rate_at_once_goes_one_by_one() -> None:
    clock = ManualClock()
    begin = clock.time
    limits = Limits(9, 2, clock)
    went: list[float] = []

    async def go() -> None:
        await limits.acquire(None)
        went.append(clock.time - begin)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(go())
        for _ in range(40):
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance(0.125)
    assert went == pytest.approx([0.0, 0.5, 1.0, 1.5])


async def test_a_limiter_is_asked_for_every_turn_when_a_pause_is_over(clock: FakeClock) -> None:
    asked: list[float] = []

    class Limiter:
        async def acquire(self) -> None:
            asked.append(clock.time)

    limits = Limits(1, Limiter(), clock)
    await limits.acquire(0.0)
    limits.pause(3.0)
    await limits.acquire(None)
    assert (asked, clock.sleeps) == ([0.0, 3.0], [3.0])
    assert limits.is_limiting


async def test_a_rate_limits_always_and_a_pause_until_the_next_request_after_it(clock: FakeClock) -> None:
    assert Limits(1, 5.0, clock).is_limiting
    limits = Limits(1, None, clock)
    assert not limits.is_limiting
    limits.pause(3.0)
    assert limits.is_limiting
    await limits.acquire(None)
    assert not limits.is_limiting


async def test_after_one_that_did_not_wait_the_next_waits_for_all_of_the_interval(clock: FakeClock) -> None:
    limits = Limits(1, 10.0, clock)
    await limits.acquire(None)
    clock.time += 0.13
    await limits.acquire(None)
    await limits.acquire(None)
    assert clock.sleeps == pytest.approx([0.1])


async def test_real_time_passes_while_somebody_sleeps() -> None:
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0.002)
    assert clock.now() - before > 0.001
    assert all(0 <= clock.jitter() < 1 for _ in range(100))


async def test_a_pause_holds_everybody_until_it_is_over(clock: FakeClock) -> None:
    limits = Limits(1, None, clock)
    clock.time = 5.0
    limits.pause(3.0)
    limits.pause(1.0)  # a shorter one takes nothing away
    await limits.acquire(None)
    assert (clock.sleeps, clock.time) == ([3.0], 8.0)
    await limits.acquire(0.0)
    assert clock.sleeps == [3.0]


async def test_a_pause_that_nobody_waited_for_is_forgotten(clock: FakeClock) -> None:
    limits = Limits(1, None, clock)
    limits.pause(3.0)
    clock.time = 4.0
    assert limits.is_limiting
    await limits.acquire(0.5)
    assert clock.sleeps == []
    assert not limits.is_limiting  # the next requests do not even ask


async def test_a_pause_comes_before_a_rate(clock: FakeClock) -> None:
    limits = Limits(1, 2, clock)
    await limits.acquire(None)
    limits.pause(3.0)
    await limits.acquire(None)
    await limits.acquire(None)
    assert clock.sleeps == [3.0, 0.5]


async def test_another_pause_while_one_is_waited_for_is_waited_for_too() -> None:
    limits: Limits
    clock = FakeClock(start=0.0)
    clock._on_sleep = lambda: limits.pause(2.0) if len(clock.sleeps) == 1 else None
    limits = Limits(1, None, clock)
    limits.pause(3.0)
    await limits.acquire(None)
    assert (clock.sleeps, clock.time) == ([3.0, 2.0], 5.0)


@pytest.mark.parametrize("rate", [None, 0.5])
async def test_a_turn_that_would_come_too_late_is_refused_at_once(rate: float | None, clock: FakeClock) -> None:
    limits = Limits(1, rate, clock)
    clock.time = 7.0
    if rate is None:
        limits.pause(2.0)
    else:
        await limits.acquire(None)
    for late in (0.0, 1.0, 2.0):
        with pytest.raises(DeadlineExceeded):
            await limits.acquire(late)
    assert clock.sleeps == []
    await limits.acquire(2.5)  # the refused ones took nobody's turn
    assert clock.sleeps == [2.0]


# --- odd bodies --------------------------------------------------------------------------------------------------


class Stream(httpx.AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> Any:
        for chunk in self._chunks:
            yield chunk


def packed(*bodies: bytes, wbits: int = 31) -> bytes:
    members = []
    for body in bodies:
        packer = zlib.compressobj(9, wbits=wbits)
        members.append(packer.compress(body) + packer.flush())
    return b"".join(members)


async def read(*chunks: bytes, encoding: str, limit: int = 10_000, **headers: str) -> bytes:
    came = {"Content-Encoding": encoding, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await read_body(httpx.Response(200, headers=came, stream=Stream(*chunks)), limit)


async def test_a_length_of_nothing_is_nothing_whatever_its_coding() -> None:
    assert await read(encoding="gzip", content_length="0") == b""


@pytest.mark.parametrize("after", [b"XX", b"no member", b"\0\0XX", b"\x1f\x8c"])
async def test_a_body_that_goes_on_after_its_end_is_bad(after: bytes) -> None:
    for chunks in ([packed(b"{}") + after], [packed(b"{}"), after]):
        with pytest.raises(InvalidBody, match=r"^it goes on after its compressed end$"):
            await read(*chunks, encoding="gzip")


@pytest.mark.parametrize("start", [b"\x1f\x8b\x08\x00", b"\x78\x9c"])
async def test_what_is_cut_says_so(start: bytes) -> None:
    with pytest.raises(TruncatedBody, match=r"^the compressed body ends before its end mark$"):
        await read(start, encoding="gzip")


async def test_what_cannot_be_unpacked_says_why() -> None:
    complete = bytearray(packed(b"x" * 100))
    complete[-5] ^= 1
    with pytest.raises(InvalidBody, match=r"^it cannot be unpacked: Error -3 .*incorrect"):
        await read(bytes(complete), encoding="gzip")


async def test_raw_deflate_is_known_by_what_it_is_not() -> None:
    """It has no header; its first bytes may look like half of zlib's by chance."""
    divisible = next(
        (text, raw)
        for text in (str(number).encode() for number in range(1000))
        if int.from_bytes((raw := packed(text, wbits=-15))[:2]) % 31 == 0
    )
    # A stored block whose padding bits, which nobody reads, make the low half of its first byte 8.
    text = b"t" * 10
    stored = b"\x08" + struct.pack("<HH", len(text), 0xFFFF ^ len(text)) + text + b"\x03\x00"
    assert int.from_bytes(stored[:2]) % 31
    for plain, raw in (divisible, (text, stored)):
        assert await read(raw, encoding="deflate") == plain


async def test_a_bomb_behind_a_harmless_member_is_not_unpacked_either() -> None:
    limit = 2**20
    body = packed(bytes(limit - 1000), bytes(64 * limit))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidBody, match="larger than"):
            await read(body, encoding="gzip", limit=limit)
        assert tracemalloc.get_traced_memory()[1] < 2.6 * limit
    finally:
        tracemalloc.stop()


async def test_the_bound_counts_over_all_pieces() -> None:
    assert await read(b"123", b"45", b"678", encoding="", limit=8) == b"12345678"
    with pytest.raises(InvalidBody, match=r"^it is larger than max_response_bytes=7$"):
        await read(b"123", b"45", b"678", encoding="", limit=7)


async def test_a_body_that_a_hook_has_read_has_the_same_bound() -> None:
    came = httpx.Response(200, content=b"12345")
    assert await read_body(came, 5) == b"12345"
    with pytest.raises(InvalidBody, match=r"^it is larger than max_response_bytes=4$"):
        await read_body(came, 4)


async def test_a_stream_of_the_wrong_kind_says_so() -> None:
    class Sync(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            return iter([b"x"])

    with pytest.raises(InvalidBody, match=r"^its body is not an asynchronous stream$"):
        await read_body(httpx.Response(200, stream=Sync()), 9)


def test_an_empty_body_says_so() -> None:
    with pytest.raises(InvalidBody, match=r"^its body is empty$"):
        parse_json(b"")


def test_what_is_not_json_begins_with_sixty_bytes() -> None:
    with pytest.raises(InvalidBody) as caught:
        parse_json(b"<" * 61)
    error = to_error(unreadable(INFO, answer(200), caught.value, b"<" * 61), INFO)
    assert str(error).endswith(f"); it begins '{'<' * 60}'")
