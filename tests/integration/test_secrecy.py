"""Promise 4, all of it: the API key shows on no surface, and goes nowhere but to the API's own origin. Both engines.

One test with one name, as issue 3 asks; its parameters are the situations in which a key could slip out. Each runs
the client with logs of every library at DEBUG, collects every text that the situation leaves behind (`Surfaces`), and
then looks for the key in all of them at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import json
import logging
import pkgutil
import re
import warnings
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.faults.cases import BY_NAME, FAULTS, KINDS, good, status
from tests.faults.clients import ENGINES, KEY, available, client_for, leaks, outcome_of, surfaces
from tests.faults.server import End, Outcome, Site, answer, fault_server, outcome, response
from tests.openapi import KEY_HEADER, key_value, path_of

CONTACTS = path_of("GetContacts")

errors = pytest.importorskip("llamadapro.errors")

GET, SEND = BY_NAME["contacts.get"], BY_NAME["messages.send_text"]
RESET = outcome("reset", End.RESET)
BY_FAULT = {fault.name: fault for fault in FAULTS}
LOGGERS = ("", "llamadapro", "httpx", "httpcore", "aiohttp", "asyncio", "httpx_aiohttp", "hpack", "h11", "anyio")


@dataclass
class Surfaces:
    """Everything that could be read by somebody, by name."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, text: str) -> None:
        self.texts.append((name, text))

    def look_at(self, name: str, thing: Any) -> None:
        """The thing in all the ways in which things get printed, and everything of ours that it holds."""
        for where, one in _ours(name, thing):
            self.add(f"repr({where})", repr(one))
            self.add(f"str({where})", str(one))
            self.add(f"format({where})", f"{one} {one!s:>5} {one!a}")

    def error(self, error: BaseException) -> None:
        assert isinstance(error, errors.LlamadaProError), error
        self.texts += surfaces(error)
        self.texts += [(f"copy: {name}", text) for name, text in surfaces(copy.copy(error))]

    def with_key(self) -> list[str]:
        return sorted({name for name, text in self.texts if KEY in text})


def _ours(name: str, thing: Any, depth: int = 3) -> Iterator[tuple[str, Any]]:
    """A thing and what it holds, as far as it is of our making: their reprs are what a debugger and a log show."""
    yield name, thing
    if depth and _is_ours(type(thing).__module__):
        slots = [slot for cls in type(thing).__mro__ for slot in getattr(cls, "__slots__", ())]
        held = dict(getattr(thing, "__dict__", {})) | {slot: getattr(thing, slot, None) for slot in slots}
        for key, value in held.items():
            if _is_ours(type(value).__module__):
                yield from _ours(f"{name}.{key}", value, depth - 1)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("llamadapro", "llamadapro_api")


class _Lines(logging.Handler):
    """Log records as a formatter shows them, and as a structured one would."""

    def __init__(self, surfaces: Surfaces) -> None:
        super().__init__(logging.DEBUG)
        self._surfaces = surfaces
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name.partition(".")[0])
        self._surfaces.add(f"log of {record.name}", f"{self.format(record)} {record.__dict__!r}")


@contextlib.contextmanager
def _logged(found: Surfaces) -> Iterator[_Lines]:
    handler = _Lines(found)
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    own = logging.getLogger("llamadapro")
    spread, own.propagate = own.propagate, True
    try:
        yield handler
    finally:
        own.propagate = spread
        logging.getLogger().removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


# --- the situations ----------------------------------------------------------------------------------------------

Situation = Callable[[str, Surfaces], Awaitable[None]]
SITUATIONS: dict[str, Situation] = {}


def situation(name: str) -> Callable[[Situation], Situation]:
    def put(run: Situation) -> Situation:
        SITUATIONS[name] = run
        return run

    return put


@contextlib.asynccontextmanager
async def _against(
    engine: str, found: Surfaces, *script: Outcome, then: Any = None, **options: Any
) -> AsyncIterator[Any]:
    """A client against a script, watched by `on_attempt` and `record()` too."""

    def attempt(*event: Any, **more: Any) -> None:
        for one in (*event, *more.values()):
            found.look_at("on_attempt event", one)
            found.add("on_attempt event's fields", repr(getattr(one, "__dict__", None)))

    with fault_server().site(*script, then=then or good(GET)) as site:
        async with client_for(engine, site.url, on_attempt=attempt, **options) as client:
            with client.capture_exchanges() as exchanges:
                yield client, site
        for exchange in exchanges:
            found.look_at("exchange", exchange)
            found.add("exchange's headers", repr(dict(getattr(exchange, "headers", {}))))
        found.look_at("exchanges", exchanges)


@situation("the client itself")
async def _client(engine: str, found: Surfaces) -> None:
    async with _against(engine, found) as (client, _):
        copies = [
            client.with_options(timeout=1.0),
            client.with_options(default_headers={"X-A": "b"}, retry_unsafe=True),
        ]
        await GET.call(client)
        for one in (client, *copies):
            found.look_at("client", one)
            for name in ("contacts", "messages", "custom_fields", "config", "_config", "options", "_options"):
                found.look_at(f"client.{name}", getattr(one, name, None))
            found.add("dir(client)", repr(dir(one)))
    found.look_at("closed client", client)


@situation("calls that succeed")
async def _success(engine: str, found: Surfaces) -> None:
    async with _against(engine, found, status(503)(GET), status(429, "0")(GET)) as (client, site):
        found.look_at("model", await GET.call(client))
        raw = await client.request("GET", path_of("GetContact", 5))
        found.look_at("response", raw)
        found.add("response.request", f"{raw.request!r} {raw.request.headers!r} {raw.request.headers.raw!r}")
        page = await client.contacts.list()
        found.look_at("page", page)
        found.look_at("paginator", client.contacts.list())
        assert {request.headers[KEY_HEADER.lower()] for request in site.requests} == {
            key_value(KEY)
        }  # where it belongs


@situation("every fault")
async def _faults(engine: str, found: Surfaces) -> None:
    names = ["401", "400", "404", "429, Retry-After: a day", "500", "reset before headers", "reset mid body"]
    names += [
        "closed without answer",
        "short body",
        "gzip cut short",
        "read timeout: no answer",
        "200, HTML",
        "invalid UTF-8",
    ]
    names += ["200,000 levels deep", "NaN", "gzip bomb", "deadline: dripping body", "garbage instead of HTTP"]
    names += ["very large headers", "chunk garbage", "101"]
    for name in names:
        fault = BY_FAULT[name]
        assert fault.play is not None
        for kind in (GET, SEND):
            async with _against(engine, found, then=fault.play(kind), **fault.options) as (client, _):
                _, error = await outcome_of(kind.call(client))
            assert error is not None, name
            found.error(error)
    for name in ("refused", "unknown host", "connect timeout"):
        fault = BY_FAULT[name]
        assert fault.address is not None
        with fault.address() as url:
            async with client_for(engine, url, **fault.options) as client:
                _, error = await outcome_of(SEND.call(client))
        assert error is not None
        found.error(error)


@situation("every kind of operation")
async def _kinds(engine: str, found: Surfaces) -> None:
    for kind in KINDS:
        async with _against(engine, found, then=status(400)(kind)) as (client, _):
            _, error = await outcome_of(kind.call(client))
        assert error is not None
        found.error(error)


@situation("input that is refused")
async def _refused(engine: str, found: Surfaces) -> None:
    async with _against(engine, found) as (client, site):
        for call in (
            lambda: client.contacts.get(".."),
            lambda: client.messages.send_text(to="whatsapp:1", text="hi", from_="+56912345679"),
            lambda: client.request("GET", CONTACTS, json={"not": {"JSON"}}),
            lambda: client.with_options(default_headers={"X-Bad": "a\r\nb"}).contacts.get(5),
            lambda: client.request("GET", f"https://evil.invalid{CONTACTS}"),
        ):
            found.error(await _raised(call))
    assert site.requests == []
    found.error(await _raised(lambda: GET.call(client)))  # closed


async def _raised(call: Callable[[], Awaitable[Any]]) -> Any:
    try:
        await call()
    except errors.LlamadaProError as error:
        return error
    raise AssertionError("it was not refused")


@situation("a constructor that refuses")
async def _constructor(engine: str, found: Surfaces) -> None:
    """A key pasted with its line break, or a good key with a bad option: whoever complains may not quote the key."""
    for bad in (f"{KEY}\n", f"{KEY}\r\nX-Evil: 1", f"\x00{KEY}", f"{KEY}ñ", f"{KEY}\u2028", f"{KEY} {KEY}"):
        await _built(engine, found, api_key=bad)
    for option in ({"base_url": "no address"}, {"timeout": "soon"}, {"max_retries": None}, {"max_connections": 0}):
        await _built(engine, found, **option)
    await _built("carrier pigeon", found)
    await _built(engine, found, default_headers={"X-Bad": "a\r\nb"})


async def _built(engine: str, found: Surfaces, **options: Any) -> None:
    refusal: Exception | None = None
    with fault_server().site(then=good(GET)) as site:
        try:
            async with client_for(engine, site.url, **options) as client:
                await GET.call(client)
        except (errors.LlamadaProError, TypeError, ValueError) as error:
            refusal = error
    if refusal is not None:
        trace = refusal.__traceback__  # the test's own frames hold the key; those of the client begin below them
        while trace is not None and not _is_ours(trace.tb_frame.f_globals["__name__"]):
            trace = trace.tb_next
        assert trace is not None, refusal
        name = repr(options).replace(KEY, "…")
        found.texts += [(f"{name}: {where}", text) for where, text in surfaces(refusal.with_traceback(trace))]


@situation("another header for the key")
async def _other_header(engine: str, found: Surfaces) -> None:
    for header in ("Authorization", "X-Tenant-Secret", "cookie"):
        script = (status(400)(SEND), RESET)
        async with _against(engine, found, *script, then=good(SEND), api_key_header=header) as (client, site):
            for _ in script:
                _, error = await outcome_of(SEND.call(client))
                assert error is not None
                found.error(error)
            await SEND.call(client)
            found.look_at("client", client)
        assert {request.headers[header.lower()] for request in site.requests} == {key_value(KEY)}
        usual = {KEY_HEADER.lower()} - {header.lower()}
        assert not any(usual & request.headers.keys() for request in site.requests)


@situation("redirects")
async def _redirects(engine: str, found: Surfaces) -> None:
    with fault_server().site(then=good(GET)) as elsewhere:
        for number in (301, 302, 303, 307, 308):
            moved = answer(number, headers={"Location": f"{elsewhere.url}{path_of('GetContact', 5)}"})
            async with _against(engine, found, then=moved, follow_redirects=True) as (client, _):
                for kind in (GET, SEND):
                    _, error = await outcome_of(kind.call(client))
                    assert error is not None
                    found.error(error)
                    found.add("response.history", repr(error.response.history))
    _nothing_came(elsewhere)


@situation("another origin")
async def _origins(engine: str, found: Surfaces) -> None:
    with fault_server().site(then=good(GET)) as elsewhere, fault_server().site(then=good(GET)) as own:
        host = elsewhere.url.removeprefix("http://")
        async with client_for(engine, own.url) as client:
            for target in (
                f"{elsewhere.url}{CONTACTS}",
                f"//{host}{CONTACTS}",
                f"http://{own.url.removeprefix('http://')}@{host}{CONTACTS}",
                f"HTTP://{host}/x",
                f"\\\\{host}/x",
                f"/\\{host}/x",
                f"@{host}/x",
                f"http:/{host}/x",
                f"http:{host}/x",
                f" {elsewhere.url}/x",
                own.url.replace("http:", "https:") + "/x",
                own.url.replace("127.0.0.1", "localhost") + "/x",
            ):
                _, error = await outcome_of(client.request("GET", target))
                assert error is None or isinstance(error, errors.LlamadaProError), target
                if error is not None:
                    found.error(error)
    _nothing_came(elsewhere)


@situation("what the service quotes")
async def _echo(engine: str, found: Surfaces) -> None:
    """A service that says "the key sk-… is not valid" makes the key part of an error, in whatever form it says so."""
    quotes = {"code": 1, "error": KEY, "message": f"the key {KEY} is not valid", "details": {"key": KEY, KEY: [KEY]}}
    for answered, name in (
        (answer(401, quotes), "AuthenticationError"),
        (answer(503, quotes, type_="text/plain"), "InternalServerError"),
        (answer(403, f"{KEY} may not do this".encode(), type_="text/html"), "PermissionDeniedError"),
        (answer(400, [KEY]), "BadRequestError"),
        (answer(200, f"<b>{KEY}</b> is not welcome".encode()), "APIResponseValidationError"),
        (answer(200, [KEY]), "APIResponseValidationError"),
        (answer(200, json.dumps({"id": KEY}).encode()[:-1], length=99, end=End.CLOSE), "APIConnectionError"),
    ):
        with fault_server().site(then=answered) as site:
            async with client_for(engine, site.url) as client:
                _, error = await outcome_of(SEND.call(client))
        assert isinstance(error, getattr(errors, name)), answered
        found.add(f"str of {name}", str(error))
        found.add(f"repr of {name}", repr(error))
        found.add(f"body of {name}", repr(getattr(error, "body", None)))
        found.add(f"details of {name}", repr(getattr(error, "details", None)))


# --- quoted in any form, at any place -----------------------------------------------------------------------------

QUOTINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "in capitals": str.upper,
    "JSON, slashes escaped": lambda key: key.replace("/", "\\/"),
    "JSON, each character escaped": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
    "JSON in JSON": lambda key: "".join(f"\\\\u{ord(char):04X}" for char in key),
    "some characters escaped": lambda key: "".join(
        f"\\u{ord(char):04x}" if at % 3 else char for at, char in enumerate(key)
    ),
    "percent-encoded": lambda key: "".join(f"%{ord(char):02X}" for char in key),
    "percent-encoded twice": lambda key: quote(quote(key, safe=""), safe=""),
    "HTML, decimal": lambda key: "".join(f"&#{ord(char)};" for char in key),
    "HTML, hexadecimal": lambda key: "".join(f"&#x{ord(char):X};" for char in key),
    "HTML in JSON": lambda key: "".join(f"\\u0026#{ord(char)};" for char in key),
    "Base64": lambda key: b64encode(key.encode()).decode(),
    "Base64 of user and key": lambda key: b64encode(f"me:{key}".encode()).decode(),
    "Base64 for URLs": lambda key: urlsafe_b64encode(f"k={key}&".encode()).decode(),
    "hexadecimal": lambda key: key.encode().hex(),
    "Python's bytes": lambda key: repr(key.encode()),
}
SPOTS: dict[str, Callable[[str], bytes]] = {
    "a message": lambda said: spot(400, body=b'{"message": "bad key %s"}' % said.encode()),
    "a message that is a list": lambda said: spot(400, body=b'{"message": ["bad key", "%s"]}' % said.encode()),
    "details": lambda said: spot(409, body=b'{"message": "no", "details": {"%s": ["%s"]}}' % ((said.encode(),) * 2)),
    "a page": lambda said: spot(502, body=b"<title>%s</title><p>%s" % ((said.encode(),) * 2), type_="text/html"),
    "a header": lambda said: spot(403, headers={"X-Echo": said, "Location": said}),
    "a header's name": lambda said: spot(403, headers={f"X-{re.sub(r'[^!-9;-~]', '-', said)}": "1"}),
    "the request id": lambda said: spot(500, headers={"X-Request-Id": said}),
    "where a redirect leads": lambda said: spot(302, headers={"Location": f"https://a.example/?key={said}"}),
    "the reason phrase": lambda said: spot(401, reason=said),
    "a success nobody can read": lambda said: spot(200, body=b"<b>%s</b>" % said.encode()),
    "a field of another kind": lambda said: spot(200, body=b'{"id": 5, "content": {"%s": 1}}' % said.encode()),
    "a success's request id": lambda said: spot(200, body=b'{"id": 5}', headers={"X-Request-Id": said}, reason=said),
    "UTF-16": lambda said: spot(400, body=f"bad key {said}".encode("utf-16"), type_="text/plain; charset=utf-16"),
    "UTF-16 that nobody announced": lambda said: spot(400, body=f"bad key {said}".encode("utf-16-le"), type_=None),
    "UTF-7": lambda said: spot(400, body=f"bad key {said}".encode("utf-7"), type_="text/plain; charset=utf-7"),
    "EBCDIC": lambda said: spot(400, body=f"bad key {said}".encode("cp037"), type_="text/plain; charset=cp037"),
}


def spot(
    status: int,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    reason: str = "Scripted",
    type_: str | None = "application/json",
) -> bytes:
    sent = response(status, body, headers={"X-Request-Id": "r-1"} | (headers or {}), type_=type_)
    return sent.replace(b" Scripted", b" " + reason.encode(), 1)


def readings(text: str) -> Iterator[str]:
    """What a person with a decoder could read in it."""
    yield text
    for _ in range(4):
        text = re.sub(r"\\+u00([0-9a-fA-F]{2})|\\+x([0-9a-fA-F]{2})", lambda m: chr(int(m[1] or m[2], 16)), text)
        text = unescape(unquote(text.replace("\\/", "/").replace("\0", "").replace("\\x00", "")))
        yield text


def shows(text: str, key: str) -> bool:
    forms = {key.lower(), key.encode().hex()}
    forms |= {b64encode(before + key.encode()).decode().rstrip("=")[4:-2].lower() for before in (b"", b"x", b"xx")}
    return any(form in reading.lower() for reading in readings(text) for form in forms)


@pytest.mark.parametrize("engine", ["httpx", "aiohttp", "caller"])
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_key_stays_in_however_it_is_quoted(engine: str, data: st.DataObject) -> None:
    scheme = data.draw(st.sampled_from(["", "Bearer ", "Token token="]), "scheme")
    key = data.draw(st.text("abcXYZ0189+/_-.~&%<", min_size=16, max_size=60), "key")
    quoting = data.draw(st.sampled_from([*QUOTINGS]), "quoting")
    where = data.draw(st.sampled_from([*SPOTS]), "spot")
    said = QUOTINGS[quoting](scheme + key if data.draw(st.booleans(), "with its scheme") else key)
    assume(where not in ("a message", "a message that is a list", "details") or '"' not in said)
    found = Surfaces()
    played = outcome("quoted", SPOTS[where](said), End.CLOSE)
    with _logged(found):
        async with _against(engine, found, played, api_key=scheme + key) as (client, _):
            _, error = await outcome_of(SEND.call(client))
    if error is not None:
        found.error(error)
        response = getattr(error, "response", None)
        if response is not None:
            found.add("response's text", f"{response.text} {response.reason_phrase} {dict(response.headers)}")
            found.look_at("response", response)
        found.add("error's fields", repr(vars(error)))
    else:
        assert where.startswith(("a success", "a field"))
    assert [name for name, text in found.texts if shows(text, key)] == []


@situation("cancelled calls")
async def _cancelled(engine: str, found: Surfaces) -> None:
    async with _against(engine, found, then=outcome("silent", End.HANG)) as (client, site):
        task = asyncio.ensure_future(SEND.call(client))
        await site.until(lambda site: len(site.requests) == 1)
        out = io.StringIO()
        task.print_stack(file=out)
        found.add("task.print_stack", out.getvalue())
        found.add("repr(task)", repr(task))
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            found.texts += [(f"cancelled: {name}", text) for name, text in surfaces(error)]


@situation("several failures in one group")
async def _group(engine: str, found: Surfaces) -> None:
    async with _against(engine, found, then=RESET) as (client, _):
        try:
            await _together(client)
        except* errors.APIConnectionError as group:
            found.texts += list(surfaces(group, pickled=False))
            for error in group.exceptions:
                found.error(error)


async def _together(client: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(SEND.call(client))  # type: ignore[arg-type]


def _nothing_came(elsewhere: Site) -> None:
    assert elsewhere.requests == []
    assert elsewhere.connections == 0


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize(
    "engine",
    [pytest.param(e, marks=pytest.mark.skipif(not available(e), reason="needs an extra")) for e in ENGINES],
)
async def test_the_key_stays_in(engine: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMADAPRO_LOG", "debug")
    found = Surfaces()
    with _logged(found) as handler, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        await SITUATIONS[name](engine, found)
    found.texts += [("warning", str(warning.message)) for warning in warned]
    assert ", ".join(found.with_key()) == ""
    assert len(found.texts) > 3
    if name == "calls that succeed":
        assert "llamadapro" in handler.loggers  # it does log, so that its silence about the key means something


def test_the_search_finds_a_key() -> None:
    """The test's own eyes: a key is found wherever one was put."""
    found = Surfaces()

    def fail() -> None:
        secret = KEY  # noqa: F841
        raise errors.LlamadaProError("x")

    try:
        fail()
    except errors.LlamadaProError as error:
        found.error(error)
    assert found.with_key() == ["traceback with locals"]
    found.look_at("text", KEY)
    assert len(found.with_key()) == 4


PATCHED = {
    "httpx": "httpx.AsyncClient.send",
    "caller": "httpx.AsyncClient.send",
    "aiohttp": "aiohttp.ClientSession._request",
}


@pytest.mark.parametrize("engine", PATCHED)
@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
async def test_an_error_of_a_tool_is_raised_as_it_is_once_and_without_the_key(
    engine: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, _, method = PATCHED[engine].rpartition(".")
    original = getattr(pkgutil.resolve_name(owner), method)
    broken = TypeError("expected string or bytes-like object, got 'list'")

    async def patched(self: Any, *args: Any, **options: Any) -> Any:
        if sent:
            await original(self, *args, **options)
        raise broken

    monkeypatch.setattr(PATCHED[engine], patched)
    attempts: list[Any] = []
    with fault_server().site(then=good(SEND)) as site:
        async with client_for(engine, site.url, max_connections=1, on_attempt=attempts.append) as client:
            with client.capture_exchanges() as exchanges, pytest.raises(TypeError) as caught:
                await SEND.call(client)
            monkeypatch.undo()
            await SEND.call(client)  # the only connection is free again
    assert caught.value is broken
    assert len(site.requests) == 1 + sent
    assert [(attempt.number, attempt.error) for attempt in attempts] == [(1, "TypeError"), (1, None)]
    assert [exchange.attempts for exchange in exchanges] == [1]
    assert "in patched" in "".join(broken.__notes__)
    trace = broken.__traceback__  # this test's own frame holds the key
    assert trace is not None
    assert leaks(broken.with_traceback(trace.tb_next)) == []
