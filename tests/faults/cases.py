"""The fault matrix as data: every fault, every kind of operation, and what DESIGN.md says must become of the two.

A fault belongs to a row of the table under promise 1 (or to the text below it), a kind of operation to a column; what
is expected follows from the two alone (`expected`). Nothing here knows how the client works.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from enum import Enum
from functools import cache
from typing import Any

import httpx

from tests.faults.server import Drip, End, Outcome, answer, outcome, refused, response, unknown_host, unreachable
from tests.openapi import path_of

CLOSE, DRIP, HANG, KEEP, RESET = End.CLOSE, Drip, End.HANG, End.KEEP, End.RESET
RETRIES = 2
DEADLINE = 0.3
GRACE = 0.5
"""What a call may take beyond its deadline (issue 3)."""


# --- the columns: kinds of operation -----------------------------------------------------------------------------


class Safety(Enum):
    READ = "read"
    WRITE = "write, safe to repeat"
    UNSAFE = "not safe to repeat"


class Reads(Enum):
    """What the client makes of a good body."""

    MODEL = "a model"
    NOTHING = "nothing: no body is promised"
    RAW = "the answer as it is"


@dataclass(frozen=True, eq=False)
class Kind:
    name: str
    short: str
    safety: Safety
    method: str
    path: str
    call: Callable[[Any], Awaitable[Any]]
    good: Any = field(default_factory=lambda: {"id": 5})
    """A good answer's body; None for none."""
    reads: Reads = Reads.MODEL


TASK: dict[str, Any] = {
    "objective": "Call back",
    "context": {"conversation_id": 7},
    "created_by": {"id": "1", "type": "user"},
    "assigned_to": {"id": "2", "type": "user"},
}
MESSAGE: dict[str, Any] = {"from_phone_number": "+56912345679", "to_phone_number": "+56912345678", "type_": "text"}
CALL: dict[str, Any] = {
    "status": "queued",
    "user_id": 1,
    "metadata": None,
    "from_": "+56912345679",
    "to": "+56912345678",
    "duration": 0,
    "direction": "outgoing",
    "start_time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
}
FROM, TO = "+56912345679", "+56912345678"
PAGE: dict[str, Any] = {"items": [{"id": 5}], "totalCount": 1}
TASK_ANSWER = {"id": "t5"}
MESSAGE_ANSWER = {"id": "m5"}
REPORT: dict[str, Any] = {
    "message": "done",
    "operationId": "o1",
    "report": {"counts": {"successful": 1, "warnings": 0, "duplicates": 0, "errors": 0, "total": 1}},
}
MEDIA = {"mediaId": "x5", "url": "https://files.example/x5", "fileName": "a.txt", "contentType": "text/plain"}
MEDIA |= {"fileId": "f5"}

CONTACTS, TASKS = path_of("GetContacts"), path_of("GetTasks")
BULK, MESSAGES = path_of("BulkUpdate"), path_of("CreateMessage")
R, W, U = Safety.READ, Safety.WRITE, Safety.UNSAFE
KINDS: tuple[Kind, ...] = (
    Kind("contacts.get", "get", R, "GET", path_of("GetContact", 5), lambda c: c.contacts.get(5)),
    Kind("contacts.list", "lst", R, "GET", CONTACTS, lambda c: _first(c.contacts.list()), PAGE),
    Kind(
        "contacts.search",
        "sea",
        R,
        "POST",
        path_of("SearchContacts"),
        lambda c: _first(c.contacts.search(search="Ana")),
        PAGE,
    ),
    Kind(
        "contacts.update",
        "put",
        W,
        "PUT",
        path_of("UpdateContact", 5),
        lambda c: c.contacts.update(5, first_name="Ana"),
    ),
    Kind("tasks.delete", "del", W, "DELETE", path_of("DeleteTask", "t5"), lambda c: c.tasks.delete("t5"), TASK_ANSWER),
    Kind("tasks.create", "tsk", U, "POST", TASKS, lambda c: c.tasks.create(**TASK), TASK_ANSWER),
    Kind("contacts.create", "con", U, "POST", CONTACTS, lambda c: c.contacts.create(first_name="Ana")),
    Kind(
        "conversations.create",
        "cnv",
        U,
        "POST",
        path_of("Create"),
        lambda c: c.conversations.create(funnel_id=1, contact_id=5),
    ),
    Kind(
        "conversations.bulk_create",
        "bkc",
        U,
        "POST",
        BULK,
        lambda c: c.conversations.bulk_create([{"funnel_id": 1, "contact": {"first_name": "Ana"}}]),
        REPORT,
    ),
    Kind(
        "conversations.bulk_update",
        "bku",
        U,
        "PUT",
        BULK,
        lambda c: c.conversations.bulk_update([{"id": 1, "user_id": 2}]),
        REPORT,
    ),
    Kind(
        "messages.send",
        "snd",
        U,
        "POST",
        MESSAGES,
        lambda c: c.messages.send(content="hi", **MESSAGE),
        MESSAGE_ANSWER,
    ),
    Kind(
        "messages.send_text",
        "txt",
        U,
        "POST",
        MESSAGES,
        lambda c: c.messages.send_text(to=TO, text="hi", from_=FROM),
        MESSAGE_ANSWER,
    ),
    Kind(
        "messages.send_template",
        "tpl",
        U,
        "POST",
        path_of("CreateTemplateMessage"),
        lambda c: c.messages.send_template(
            to=TO, from_=FROM, template_name="hello", language_code="es", variables=[{"value": "Ana"}]
        ),
        MESSAGE_ANSWER,
    ),
    Kind(
        "messages.upload_media",
        "med",
        U,
        "POST",
        path_of("UploadMedia"),
        lambda c: c.messages.upload_media(
            from_phone_number=FROM, file_name="a.txt", content_type="text/plain", content="aGk="
        ),
        MEDIA,
    ),
    Kind("calls.bridge", "bri", U, "POST", path_of("StartBridgeCall"), lambda c: c.calls.bridge(to=TO, from_=FROM)),
    Kind(
        "calls.start_agent",
        "ag1",
        U,
        "POST",
        path_of("StartAgentCall"),
        lambda c: c.calls.start_agent(voice_agent_id=3, to=TO, context_variables={"name": "Ana"}),
    ),
    Kind(
        "calls.start_adhoc_agent",
        "ag2",
        U,
        "POST",
        path_of("StartAgentCallV2"),
        lambda c: c.calls.start_adhoc_agent(to=TO, objectives=["Say hello"]),
    ),
    Kind("calls.create", "cal", U, "POST", path_of("CreateCall"), lambda c: c.calls.create(**CALL)),
    Kind(
        "recordings.load",
        "rec",
        U,
        "POST",
        path_of("LoadRecording"),
        lambda c: c.recordings.load(user_id=1, url="https://files.example/a.mp3"),
        None,
        Reads.NOTHING,
    ),
    Kind(
        "custom_fields.definitions.create",
        "def",
        U,
        "POST",
        path_of("CreateCustomFieldDefinition"),
        lambda c: c.custom_fields.definitions.create(entity_type="CONTACT", field_key="k", field_type="STRING"),
    ),
    Kind(
        "custom_fields.options.create",
        "opt",
        U,
        "POST",
        path_of("GetCustomFieldListOptions", 3),
        lambda c: c.custom_fields.options.create(3, value="v"),
    ),
    # The escape hatch: "same retries and errors".
    Kind(
        "request GET",
        "rGE",
        R,
        "GET",
        path_of("GetContact", 5),
        lambda c: c.request("GET", path_of("GetContact", 5)),
        reads=Reads.RAW,
    ),
    Kind(
        "request POST",
        "rPO",
        U,
        "POST",
        "/anything",
        lambda c: c.request("POST", "/anything", json={"a": 1}),
        reads=Reads.RAW,
    ),
    Kind(
        "request PUT bulk",
        "rBU",
        U,
        "PUT",
        BULK,
        lambda c: c.request("PUT", BULK, json={"conversations": []}),
        REPORT,
        Reads.RAW,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}


async def _first(paginator: Any) -> Any:
    return await paginator


# --- the rows: outcomes of an attempt ----------------------------------------------------------------------------


class Row(Enum):
    NEVER = "never reached the service"
    LIMITED = "429"
    UNKNOWN = "408, >= 500, reset, closed, read timeout, broken or truncated body"
    ANSWERED = "other 4xx, 3xx, 1xx: never retried"
    UNREADABLE = "a complete 2xx that cannot be read"
    FINE = "an answer that must be read"
    DEADLINE = "cut off by the deadline"
    TOO_LONG = "a wait that would pass the deadline"


@dataclass(frozen=True)
class Fault:
    name: str
    row: Row
    error: str
    """The exact class; "APIError" where the promise leaves open which."""
    play: Callable[[Kind], Outcome] | None = None
    status: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """For the client, in addition to the matrix's own."""
    address: Callable[[], AbstractContextManager[str]] | None = None
    json_only: bool = False
    """Unreadable only to one who reads JSON."""
    cause: bool = False
    """The engine raised something, and it must still be there as `__cause__`."""
    warm: bool = False
    """A first good call opens the connection on which the fault then happens."""
    retry_after: float | None = None
    not_on: tuple[str, ...] = ()
    """Engines that cannot be held to it."""


@dataclass(frozen=True)
class Expected:
    attempts: int
    requests: int
    """That the server must have counted."""
    error: str | None
    """None for success; "?" where either may come."""
    may: bool | None
    """`may_have_been_processed`; None where the promise leaves it open."""


def expected(fault: Fault, kind: Kind, engine: str = "", *, retries: int = RETRIES, unsafe: bool = False) -> Expected:
    """What the table says. `unsafe`: with retry_unsafe=True."""
    tries, safe, writes = 1 + retries, unsafe or kind.safety is not U, kind.safety is not R
    row, error = fault.row, fault.error
    # "On a caller's client only `httpx.ConnectError` counts as never reached", which httpx-aiohttp never raises.
    if fault.address and (engine == "caller-aiohttp" or (engine == "caller" and fault.address is unreachable)):
        row = Row.UNKNOWN
    if row is Row.UNREADABLE and fault.json_only and kind.reads is Reads.RAW:
        row = Row.FINE
    attempts, may = {
        Row.NEVER: (tries, False),
        Row.LIMITED: (tries, False),
        Row.UNKNOWN: (tries if safe else 1, writes),
        Row.ANSWERED: (1, False if fault.status and 400 <= fault.status < 500 else None if writes else False),
        Row.UNREADABLE: (1, writes),
        Row.FINE: (1, None),
        Row.DEADLINE: (1, writes),
        Row.TOO_LONG: (1, writes and fault.status != 429),
    }[row]
    if row is Row.FINE:
        return Expected(attempts, attempts, None, None)
    if row is Row.UNREADABLE and kind.reads is Reads.NOTHING and fault.json_only:
        return Expected(attempts, attempts, "?", may)
    return Expected(attempts, 0 if fault.address else attempts, error, may)


def expected_once(fault: Fault, kind: Kind) -> Expected:
    """The same, when the fault happens once and all is well thereafter."""
    if fault.row is Row.LIMITED or (fault.row is Row.UNKNOWN and kind.safety is not U):
        return Expected(2, 2, None, None)
    return expected(fault, kind)


# --- the outcomes ------------------------------------------------------------------------------------------------

ERROR = {"code": 17, "error": "scripted", "message": "as the script says", "details": {"field": "x"}}
HTML = b"<html><body><h1>It works, somewhere else</h1></body></html>"
DEEP = b"[" * 200_000 + b"]" * 200_000


def good(kind: Kind, status: int = 200, end: End = KEEP, **how: Any) -> Outcome:
    """The documented answer."""
    if kind.good is None:
        return answer(status if status != 200 else 204, end=end, **how)
    return answer(status, kind.good, end, **how)


def body(kind: Kind, extra: bytes = b"") -> bytes:
    """A good body, with one more field of raw JSON."""
    plain = json.dumps(kind.good if kind.good is not None else {"id": 5}).encode()
    return plain[:-1] + b', "extra": ' + extra + b"}" if extra else plain


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n", headers: dict[str, str] | None = None) -> bytes:
    fields = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"} | (headers or {})
    head = response(200, headers=fields, length=None)
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + last


GZIP = {"Content-Encoding": "gzip"}


@cache
def zipped(kind: Kind) -> bytes:
    # Incompressible filler, so that a cut falls into the middle of the data and not into the trailer.
    filler = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(400))
    return gzip.compress(body(kind, json.dumps(filler).encode()), mtime=0)


@cache
def bomb(megabytes: int = 16) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * 2**20
    return b"".join([packer.compress(b'{"id": 5, "x": "'), *(packer.compress(block) for _ in range(megabytes))]) + (
        packer.compress(b'"}') + packer.flush()
    )


def raw(name: str, *steps: bytes | float | Drip | End, early: bool = False) -> Callable[[Kind], Outcome]:
    made = outcome(name, *steps, early=early)
    return lambda kind: made


def status(code: int, retry_after: str | None = None, content: Any = ERROR, **how: Any) -> Callable[[Kind], Outcome]:
    headers = {"X-Request-Id": "req-1"} | ({} if retry_after is None else {"Retry-After": retry_after})
    made = answer(code, content, headers=headers | how.pop("headers", {}), **how)
    return lambda kind: made


def complete(content: Callable[[Kind], bytes] | bytes, code: int = 200, **how: Any) -> Callable[[Kind], Outcome]:
    return lambda kind: answer(code, content if isinstance(content, bytes) else content(kind), **how)


def _steps(*steps: Callable[[Kind], bytes] | float | Drip | End) -> Callable[[Kind], Outcome]:
    return lambda kind: outcome("", *(step(kind) if callable(step) else step for step in steps))


def _cut(kind: Kind) -> bytes:
    return response(200, body(kind)[:-2], length=len(body(kind)))


SOON = httpx.Timeout(5.0, read=0.2)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STATUS_CLASS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
}
CONNECTION, TIMED_OUT, SERVER = "APIConnectionError", "APITimeoutError", "InternalServerError"
LIMIT, INVALID, STATUS = "RateLimitError", "APIResponseValidationError", "APIStatusError"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _never() -> Iterator[Fault]:
    yield Fault("refused", Row.NEVER, CONNECTION, address=refused, cause=True)
    yield Fault("unknown host", Row.NEVER, CONNECTION, address=unknown_host, cause=True)
    yield Fault(
        "connect timeout",
        Row.NEVER,
        TIMED_OUT,
        address=unreachable,
        cause=True,
        options={"timeout": httpx.Timeout(5.0, connect=0.1)},
    )


def _limited() -> Iterator[Fault]:
    yield Fault("429", Row.LIMITED, LIMIT, status(429), 429)
    for value in ("0", "2", "0.25"):
        yield Fault(f"429, Retry-After: {value}", Row.LIMITED, LIMIT, status(429, value), 429, retry_after=float(value))
    yield Fault(
        "429, Retry-After: a date", Row.LIMITED, LIMIT, status(429, formatdate(time.time() + 5, usegmt=True)), 429
    )
    for value in ("soon", "-5", "nan", "1e999", "²", ""):
        yield Fault(f"429, Retry-After: {value!r}", Row.LIMITED, LIMIT, status(429, value), 429)
    yield Fault("429, HTML", Row.LIMITED, LIMIT, status(429, content=HTML, type_="text/html"), 429)
    yield Fault("429, Retry-After: a day", Row.TOO_LONG, LIMIT, status(429, "86400"), 429, retry_after=86400.0)
    yield Fault("429, Retry-After: 400 digits", Row.TOO_LONG, LIMIT, status(429, "9" * 400), 429)
    yield Fault("503, Retry-After: a day", Row.TOO_LONG, SERVER, status(503, "86400"), 503, retry_after=86400.0)


def _unknown() -> Iterator[Fault]:
    def unknown(name: str, error: str, play: Callable[[Kind], Outcome], code: int | None = None, **more: Any) -> Fault:
        return Fault(name, Row.UNKNOWN, error, play, code, **more)

    yield unknown("408", STATUS, status(408), 408)
    for code in (500, 502, 503, 504, 507, 599, 600, 999):
        yield unknown(str(code), SERVER, status(code), code)
    yield unknown("503, Retry-After: 1", SERVER, status(503, "1"), 503, retry_after=1.0)
    yield unknown("502, HTML", SERVER, status(502, content=HTML, type_="text/html"), 502)
    yield unknown("500, empty", SERVER, status(500, content=b""), 500)
    yield unknown("500, invalid UTF-8", SERVER, status(500, content=b'{"message": "\xff\xfe"}'), 500)

    def broken(name: str, *steps: Any, early: bool = False, **more: Any) -> Fault:
        play = raw(name, *steps, early=early) if not any(callable(step) for step in steps) else _steps(*steps)
        return unknown(name, CONNECTION, play, cause=True, **more)

    yield broken("reset, request unread", RESET, early=True)
    yield broken("reset before headers", RESET)
    yield broken("reset mid headers", HEAD, 0.005, RESET)
    yield broken("reset mid body", HEAD + b'Content-Length: 90\r\n\r\n{"id":', 0.005, RESET)
    yield broken("closed without answer", CLOSE)
    yield broken("closed mid status line", b"HTTP/1.", CLOSE)
    yield broken("closed mid headers", HEAD, CLOSE)
    yield broken("keep-alive race: closed", CLOSE, warm=True, options={"max_connections": 1})
    yield broken("keep-alive race: reset", RESET, warm=True, options={"max_connections": 1})
    yield broken("100 then closed", CONTINUE, CLOSE)
    yield broken("103 then reset", EARLY_HINTS, 0.005, RESET)
    yield broken("garbage instead of HTTP", b"\x16\x03\x01\x02\x00 nothing of HTTP \r\n\r\n", CLOSE)
    yield broken("very large headers", HEAD + b"X-Long: " + b"x" * 300_000 + b"\r\n\r\n{}", CLOSE)
    yield broken("conflicting lengths", HEAD + b"Content-Length: 8\r\nContent-Length: 9\r\n\r\n" + b'{"id":5}', CLOSE)
    yield broken("short body", _cut, CLOSE)
    yield broken("no body", HEAD + b"Content-Length: 8\r\n\r\n", CLOSE)
    yield broken("truncated chunks", lambda kind: chunked(body(kind), last=b""), CLOSE)
    yield broken("truncated in a chunk", lambda kind: chunked(body(kind)[:2])[:-12] + b"ff\r\nxx", CLOSE)
    yield broken("chunk garbage", lambda kind: chunked(body(kind), last=b"zz\r\nnot a chunk\r\n"), CLOSE)

    # The framing is complete; only gzip knows that something is missing, and httpx does not ask it.
    cut_zip = {"gzip cut short": -40, "gzip cut in its trailer": -4, "gzip cut in its header": None}
    for name, end in cut_zip.items():
        upto = 6 if end is None else end
        play = complete(lambda kind, upto=upto: zipped(kind)[:upto], headers=GZIP)  # type: ignore[misc]
        yield unknown(name, CONNECTION, play)
    play = _steps(lambda kind: chunked(zipped(kind)[:-40], headers=GZIP), KEEP)
    yield unknown("gzip cut short, chunked", CONNECTION, play)

    def silent(name: str, *steps: Any, **more: Any) -> Fault:
        return unknown(name, TIMED_OUT, raw(name, *steps), cause=True, options={"timeout": SOON}, **more)

    yield silent("read timeout: no answer", HANG)
    yield silent("read timeout: after headers", HEAD + b"Content-Length: 8\r\n\r\n", HANG)
    yield silent("read timeout: mid body", HEAD + b'Content-Length: 8\r\n\r\n{"id', HANG)
    # aiohttp forgets its read timeout at a 100; on our own engine that is for us to mend.
    yield silent("read timeout: after 100", CONTINUE, HANG, not_on=("caller-aiohttp",))


def _answered() -> Iterator[Fault]:
    for code in (400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 422, 451, 499):
        yield Fault(str(code), Row.ANSWERED, STATUS_CLASS.get(code, STATUS), status(code), code)
    yield Fault("400, HTML", Row.ANSWERED, STATUS_CLASS[400], status(400, content=HTML, type_="text/html"), 400)
    yield Fault("404, empty", Row.ANSWERED, STATUS_CLASS[404], status(404, content=b""), 404)
    yield Fault("403, invalid UTF-8", Row.ANSWERED, STATUS_CLASS[403], status(403, content=b"\xff\xfe\x00"), 403)
    yield Fault("400, Retry-After: 1", Row.ANSWERED, STATUS_CLASS[400], status(400, "1"), 400)
    for code in (300, 301, 302, 303, 307, 308):
        where = {"Location": "http://127.0.0.1:9/elsewhere"}
        yield Fault(f"{code} elsewhere", Row.ANSWERED, STATUS, status(code, content=b"", headers=where), code)
    yield Fault("302 without Location", Row.ANSWERED, STATUS, status(302, content=b""), 302)
    yield Fault("304", Row.ANSWERED, STATUS, status(304, content=b""), 304)
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chess\r\nConnection: upgrade\r\n\r\n"
    yield Fault("101", Row.ANSWERED, "APIError", raw("101", switching, CLOSE), None)


def _unreadable() -> Iterator[Fault]:
    def unreadable(name: str, content: Callable[[Kind], bytes] | bytes, json_only: bool = True, **how: Any) -> Fault:
        options = how.pop("options", {})
        return Fault(name, Row.UNREADABLE, INVALID, complete(content, **how), options=options, json_only=json_only)

    yield unreadable("200, HTML", HTML, type_="text/html")
    yield unreadable("200, HTML called JSON", HTML)
    yield unreadable("200, empty", b"")
    yield unreadable("204 where a body is due", b"", code=204)
    yield unreadable("null", b"null")
    yield unreadable("a list", b"[1, 2]")
    yield unreadable("a string", b'"fine"')
    yield unreadable("invalid UTF-8", lambda kind: body(kind, b'"\xff\xfe"'))
    yield unreadable("half a JSON, complete", lambda kind: body(kind)[:-2])
    yield unreadable("two JSON values", lambda kind: body(kind) + b" {}")
    yield unreadable("NaN", lambda kind: body(kind, b"NaN"))
    yield unreadable("Infinity", lambda kind: body(kind, b"-Infinity"))
    yield unreadable("1e999", lambda kind: body(kind, b"1e999"))
    yield unreadable("10,000 digits", lambda kind: body(kind, b"1" * 10_000))
    yield unreadable("200,000 levels deep", lambda kind: body(kind, DEEP))
    yield unreadable(
        "gzip, corrupt", lambda kind: zipped(kind)[:30] + b"\xff" * 60 + zipped(kind)[90:], False, headers=GZIP
    )
    yield unreadable("gzip, wrong checksum", lambda kind: zipped(kind)[:-8] + b"\0" * 8, False, headers=GZIP)
    yield unreadable("not gzip at all", lambda kind: body(kind), False, headers=GZIP)
    small = {"max_response_bytes": 2**20}
    yield unreadable("gzip bomb", lambda kind: bomb(), False, headers=GZIP, options=small)
    yield unreadable("larger than max_response_bytes", b'"' + b"x" * 2**21 + b'"', False, options=small)
    yield unreadable(
        "unknown encoding", lambda kind: b"\x1b\x03\x80" + body(kind), False, headers={"Content-Encoding": "zopf"}
    )


def _fine() -> Iterator[Fault]:
    def fine(name: str, play: Callable[[Kind], Outcome], **more: Any) -> Fault:
        return Fault(name, Row.FINE, "", play, **more)

    yield fine("as documented", good)
    for code in (201, 202, 206, 226, 299):
        yield fine(f"{code} (undocumented)", lambda kind, code=code: good(kind, code))  # type: ignore[misc]
    yield fine("JSON called text/plain", complete(body, type_="text/plain"))
    yield fine("JSON without a type", complete(body, type_=None))
    yield fine("charset=klingon", complete(body, type_="application/json; charset=klingon"))
    yield fine(
        "charset=latin-1", complete(lambda kind: body(kind, b'"\xc3\xb1"'), type_="application/json; charset=latin-1")
    )
    yield fine("gzip", complete(zipped, headers=GZIP))
    yield fine("deflate", complete(lambda kind: zlib.compress(body(kind)), headers={"Content-Encoding": "deflate"}))
    yield fine("chunked", _steps(lambda kind: chunked(body(kind)[:3], body(kind)[3:]), KEEP))
    yield fine("ends with the connection", _steps(lambda kind: response(200, body(kind), length=None), CLOSE))
    yield fine("HTTP/1.0", _steps(lambda kind: response(200, body(kind)).replace(b"/1.1", b"/1.0", 1), CLOSE))
    yield fine(
        "100, 103, then the answer", _steps(lambda kind: CONTINUE + EARLY_HINTS + response(200, body(kind)), KEEP)
    )
    yield fine(
        "slow, but in time",
        _steps(lambda kind: response(200, body(kind))[:-3], 0.05, lambda kind: body(kind)[-3:], KEEP),
    )
    # The service closed an idle connection and said so before the call: nobody should come to harm by that.
    yield fine("idle connection closed before", good, warm=True, options={"max_connections": 1})


def _deadline() -> Iterator[Fault]:
    def endless(name: str, *steps: Any) -> Fault:
        return Fault(name, Row.DEADLINE, TIMED_OUT, raw(name, *steps), options={"deadline": DEADLINE})

    long = HEAD + b"Content-Length: 1000000\r\n\r\n"
    yield endless("deadline: dripping body", long, DRIP(b" "))
    yield endless("deadline: dripping chunks", chunked(last=b""), DRIP(b"1\r\n \r\n"))
    yield endless("deadline: dripping headers", HEAD, DRIP(b"X-Drip: 1\r\n"))
    yield endless("deadline: dripping status line", b"HTTP/1.1 200 ", DRIP(b"O"))
    yield endless("deadline: 103 for ever", DRIP(EARLY_HINTS))
    yield endless("deadline: no answer", HANG)
    yield endless("deadline: silent after headers", long, HANG)
    yield endless(
        "deadline: error that drips", HEAD.replace(b"200 OK", b"503 No") + b"Content-Length: 99999\r\n\r\n", DRIP(b" ")
    )


FAULTS: tuple[Fault, ...] = (
    *_never(),
    *_limited(),
    *_unknown(),
    *_answered(),
    *_unreadable(),
    *_fine(),
    *_deadline(),
)
