"""Clients for fault tests: the engines, what holds the key, and the one way to run a case.

Whatever tests must know of the client beyond DESIGN.md (the private keyword of its clock) is in this file alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

import httpx

from tests.clocks import FakeClock
from tests.faults.cases import (
    BY_NAME,
    DEADLINE,
    GRACE,
    KINDS,
    RETRIES,
    Expected,
    Fault,
    Kind,
    Row,
    Safety,
    expected,
    expected_once,
    good,
)
from tests.faults.server import End, Received, Site, fault_server
from tests.openapi import KEY_HEADER, key_value

KEY = "sk-live-7f3a9d1c5e2b8640aa17"
"""Nothing but a good request's header may ever hold this."""

OWN = ("httpx", "aiohttp", "httpx2")
"""The client's own engines."""
CALLERS = ("caller", "caller-aiohttp")
"""A caller's own httpx.AsyncClient, on httpx's transport and on httpx-aiohttp's."""
ENGINES = OWN + CALLERS


@cache
def _ssl() -> ssl.SSLContext:
    return ssl.create_default_context()  # 25 ms, so once


def available(engine: str) -> bool:
    needed = {"aiohttp": "aiohttp", "httpx2": "httpx2", "caller-aiohttp": "httpx_aiohttp"}.get(engine)
    return needed is None or find_spec(needed) is not None


def _callers_client(engine: str, **options: Any) -> httpx.AsyncClient:
    if engine == "caller-aiohttp":
        from httpx_aiohttp import AiohttpTransport

        return httpx.AsyncClient(transport=AiohttpTransport(verify=_ssl()), **options)
    return httpx.AsyncClient(verify=_ssl(), **options)


@contextlib.asynccontextmanager
async def client_for(engine: str, url: str, **options: Any) -> AsyncIterator[Any]:
    """A client of the given engine, with a clock that takes no time unless another is given."""
    from llamadapro import AsyncLlamadaPro

    clock = options.pop("clock", None) or FakeClock()
    follow = options.pop("follow_redirects", False)
    defaults: dict[str, Any] = {"api_key": KEY, "base_url": url, "max_retries": RETRIES, "timeout": 5.0}
    options = defaults | options
    async with contextlib.AsyncExitStack() as stack:
        if engine in CALLERS:
            own = _callers_client(engine, timeout=options["timeout"], follow_redirects=follow)
            options["http_client"] = await stack.enter_async_context(own)
        else:
            options["engine"] = engine
        yield await stack.enter_async_context(AsyncLlamadaPro(_clock=clock, **options))


# --- the key -----------------------------------------------------------------------------------------------------


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything behind it."""
    todo, seen = [error], set[int]()
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [other for other in (one.__cause__, one.__context__) if other is not None]
            todo += getattr(one, "exceptions", ())


def surfaces(error: BaseException, *, pickled: bool = True) -> Iterator[tuple[str, str]]:
    """Every text through which an error could show the key, by name."""
    for one in causes(error):
        name = type(one).__name__
        yield f"str({name})", str(one)
        yield f"repr({name})", repr(one)
        yield f"{name}.args", repr(one.args)
        yield f"{name}.__dict__", repr(vars(one)) if hasattr(one, "__dict__") else ""
        yield f"{name}.__notes__", repr(getattr(one, "__notes__", ()))
        response = _get(one, "response")
        requests = {"request": _get(one, "request"), "response.request": _get(response, "request")}
        requests["response.next_request"] = _get(
            response, "next_request"
        )  # httpx prepares it even if it may not follow
        for where, request in requests.items():
            if request is not None:
                yield f"{name}.{where}", f"{request!r} {vars(request)!r}"
                headers = getattr(request, "headers", None)
                yield f"{name}.{where}.headers", f"{headers!r} {getattr(headers, 'raw', headers)!r}"
                yield f"{name}.{where}.url", str(getattr(request, "url", ""))
        if response is not None:
            yield f"{name}.response", f"{response!r} {getattr(response, 'headers', None)!r} {vars(response)!r}"
    reported = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "traceback with locals", "".join(reported.format())
    if pickled:
        yield "pickle", pickle.dumps(error).decode("latin-1")


def _get(thing: Any, name: str) -> Any:
    with contextlib.suppress(Exception):  # httpx raises RuntimeError for a request that is not there
        return getattr(thing, name, None)
    return None


def leaks(error: BaseException) -> list[str]:
    """Where the key shows."""
    return [name for name, text in surfaces(error) if KEY in text]


# --- one case ----------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What one cell of the matrix looked like."""

    kind: Kind
    expected: Expected
    arrived: list[Received] = field(default_factory=list, repr=False)
    error: BaseException | None = None
    result: Any = None
    elapsed: float = 0.0
    sleeps: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.arrived)

    @property
    def ok(self) -> bool:
        return not self.faults

    def __str__(self) -> str:
        got = "success" if self.error is None else f"{type(self.error).__name__}({self.error})"
        return f"{self.kind.name}: {'; '.join(self.faults) or 'ok'} [{self.requests} requests, {got[:300]}]"


async def outcome_of(call: Awaitable[Any]) -> tuple[Any, Any]:
    """What a call returned, and what it raised.

    Caught here and nowhere higher, so that the traceback holds no frame of a test that knows the key itself.
    """
    try:
        async with asyncio.timeout(10):
            return await call, None
    except Exception as error:
        return None, error


async def run_case(engine: str, fault: Fault, kind: Kind, *, once: bool = False) -> Seen:
    """Run one operation against one fault: always, or once and then all is well."""
    seen = Seen(kind, expected_once(fault, kind) if once else expected(fault, kind, engine))
    with contextlib.ExitStack() as stack:
        site: Site | None = None
        get = BY_NAME["contacts.get"]
        if fault.address is not None:
            url = stack.enter_context(fault.address())
        else:
            assert fault.play is not None
            idle = End.CLOSE if fault.row is Row.FINE else End.KEEP
            script = [good(get, end=idle)] * fault.warm + [fault.play(kind)] * once
            site = stack.enter_context(fault_server().site(*script, then=good(kind) if once else fault.play(kind)))
            url = site.url
        clock = FakeClock()
        async with client_for(engine, url, clock=clock, **fault.options) as client:
            if fault.warm:
                await get.call(client)
                await asyncio.sleep(0.03)  # the farewell, if there is one, must have come
            began = time.monotonic()
            seen.result, seen.error = await outcome_of(kind.call(client))
            seen.elapsed = time.monotonic() - began
        seen.sleeps = clock.sleeps
        seen.arrived = site.requests[fault.warm :] if site else []
    return seen


def _judge(seen: Seen, fault: Fault, engine: str) -> Iterator[str]:
    want, error = seen.expected, seen.error
    if seen.requests != want.requests:
        yield f"{seen.requests} requests at the server, not {want.requests}"
    if fault.address is not None and len(seen.sleeps) != want.attempts - 1:
        yield f"{len(seen.sleeps) + 1} attempts, not {want.attempts}"
    if fault.row is Row.DEADLINE and not DEADLINE * 0.9 <= seen.elapsed <= DEADLINE + GRACE:
        yield f"took {seen.elapsed:.2f} s with a deadline of {DEADLINE} s"
    if fault.retry_after is not None and seen.sleeps and max(seen.sleeps) < fault.retry_after:
        yield f"slept {seen.sleeps}, although asked for {fault.retry_after} s"
    if error is None:
        if want.error not in (None, "?"):
            yield f"no error, although {want.error} was due"
        elif seen.result is None and seen.kind.good is not None:
            yield "returned None"
        return
    if want.error is None:
        yield f"failed with {type(error).__name__}"
        return
    yield from _judge_error(seen, fault, engine, error)


def _judge_error(seen: Seen, fault: Fault, engine: str, error: Any) -> Iterator[str]:
    from llamadapro import errors

    want = seen.expected
    if not isinstance(error, errors.APIError):
        yield f"{type(error).__module__}.{type(error).__name__} came out"
        return
    due = errors.APIResponseValidationError if want.error == "?" else getattr(errors, str(want.error))
    # What httpx-aiohttp says of a lost answer is a timeout; on a caller's client nobody can know better.
    loose = want.error == "APIError" or engine == "caller-aiohttp"
    if not (isinstance(error, due) if loose else type(error) is due):
        yield f"{type(error).__name__}, not {due.__name__}"
    if not str(error).strip():
        yield "an empty message"
    if want.may is not None and error.may_have_been_processed is not want.may:
        yield f"may_have_been_processed is {error.may_have_been_processed}, not {want.may}"
    if (error.request.method, error.request.url.path) != (seen.kind.method, seen.kind.path):
        yield f"its request is {error.request.method} {error.request.url}"
    if fault.cause and error.__cause__ is None:
        yield "no __cause__"
    if isinstance(error, errors.APIStatusError):
        if fault.status is not None and error.status_code != fault.status:
            yield f"status_code is {error.status_code}"
        if fault.row is Row.TOO_LONG and (error.retry_after or 0) < (fault.retry_after or 1e5):
            yield f"retry_after is {error.retry_after}"
    if isinstance(error, errors.APIResponseValidationError) and not isinstance(error.response, httpx.Response):
        yield "carries no response"
    for where in leaks(error):
        yield f"the key shows in {where}"
    again = pickle.loads(pickle.dumps(error))
    if type(again) is not type(error) or again.may_have_been_processed is not error.may_have_been_processed:
        yield "another error after pickling"


def _judge_requests(arrived: list[Received], kind: Kind, fault: Fault) -> Iterator[str]:
    for request in arrived:
        if request.complete and (request.method, request.path.partition("?")[0]) != (kind.method, kind.path):
            yield f"{request.method} {request.path} arrived"
        if request.complete and request.headers.get(KEY_HEADER.lower()) != key_value(KEY):
            yield "a request without the key"
    if fault.warm and fault.row is Row.UNKNOWN and arrived and arrived[0].nth != 2:
        yield "the fault did not happen on a kept connection"
    if len({request.body for request in arrived if request.complete}) > 1:
        yield "a repeated request had another body"


def kinds_for(engine: str, fault: Fault) -> Iterator[Kind]:
    """The kinds that an engine is held to: on a caller's aiohttp only what could double work.

    And no PUT: aiohttp resends that by itself when a connection breaks, and that client is not ours to change.
    """
    if engine not in fault.not_on:
        for kind in KINDS:
            if engine != "caller-aiohttp" or (kind.safety is Safety.UNSAFE and kind.method == "POST"):
                yield kind


_warm: set[str] = set()


async def _warm_up(engine: str) -> None:
    """What an engine imports with its first request takes longer than some deadlines."""
    if engine not in _warm:
        async with client_for(engine, "http://127.0.0.1:9", max_retries=0) as client:
            with contextlib.suppress(Exception):
                await client.contacts.get(5)
        _warm.add(engine)


async def run_fault(engine: str, fault: Fault, *, once: bool = False) -> list[Seen]:
    """One row of the matrix, many kinds at once (they have a server port and a client each), held against the table."""
    await _warm_up(engine)
    kinds = [*kinds_for(engine, fault)]
    # Where time is measured, building the others' clients must not use it up.
    at_once = 6 if fault.row is Row.DEADLINE or "timeout" in fault.options else len(kinds)
    row: list[Seen] = []
    for first in range(0, len(kinds), at_once):
        row += await asyncio.gather(
            *(run_case(engine, fault, kind, once=once) for kind in kinds[first : first + at_once])
        )
    for seen in row:
        # Only now that all are done: looking for the key takes time, and some of the cases are about time.
        seen.faults = [*_judge(seen, fault, engine), *_judge_requests(seen.arrived, seen.kind, fault)]
        if seen.error is not None:
            seen.error = seen.error.with_traceback(None)  # or its frames would keep clients and sockets alive
    return row
