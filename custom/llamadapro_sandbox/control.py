"""What a test may do with a sandbox over HTTP, under /_sandbox/: the same as in process. It needs the key."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request

from .core import Core
from .errors import ApiError, BadRequest, MethodNotAllowed, NotFound, did_you_mean
from .faults import KINDS
from .query import Record
from .request import parse_json
from .sections import calls, contacts, messages, tasks
from .state import visible

PREFIX = "/_sandbox"
MAX_RECORDS = 100
"""So many records of a kind are answered at once."""
MAX_WAIT = 25.0
POLL_SECONDS = 0.05
Action = Callable[[Core, Any, Request], Any]


def control(sandbox: Core, request: Request, raw: bytes) -> tuple[Any, str]:
    """The answer to one request to the control interface, and a warning that goes with it."""
    name = request.scope["path"].removeprefix(PREFIX).strip("/")
    group, _, number = name.partition("/")
    actions = {"GET": _request} if group == "requests" and number.isdecimal() else ACTIONS.get(name)
    if actions is None:
        raise NotFound(f"the sandbox has no control {name!r}{did_you_mean(name, filter(None, ACTIONS))}")
    action = actions.get(request.method)
    if action is None:
        raise MethodNotAllowed(f"use {' or '.join(actions)}", headers={"Allow": ", ".join(actions)})
    body: Any = parse_json(raw) if raw else {}
    if raw and request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise BadRequest("send the body with Content-Type: application/json")  # no form of another site can do that
    if not isinstance(body, dict):
        raise BadRequest("send an object")
    try:
        found = action(sandbox, body, request)
    except (TypeError, ValueError, OverflowError, KeyError, sqlite3.Error) as problem:
        raise BadRequest(f"{name}: {problem}") from None
    return found if isinstance(found, tuple) else (found, "")


def _present(sandbox: Core) -> Record:
    """What the page shows of the state at any time."""
    return {
        "clock": _clock_now(sandbox),
        "settings": asdict(sandbox.settings),
        "counts": sandbox.store.counts(),
        "faults": sandbox.faults.listed(),
    }


def _overview(sandbox: Core, body: Any, request: Request) -> Any:
    operations = sandbox.document.operations.values()
    return {
        **_present(sandbox),
        "requests": len(sandbox.requests),
        "strict": sandbox.strict,
        "kinds": list(KINDS),
        "operations": [{"id": one.id, "method": one.method, "path": one.path} for one in operations],
    }


def _clock_now(sandbox: Core) -> Record:
    clock = sandbox.clock
    return {"now": clock.stamp(), "ahead": clock.ahead, "speed": clock.speed}


def _clock(sandbox: Core, body: Record, request: Request) -> Any:
    if unknown := set(body) - {"advance", "speed"}:
        raise ValueError(f"{min(unknown)!r} is unknown; use advance (seconds) or speed")
    advance, before = float(body.get("advance", 0)), sandbox.clock.speed
    sandbox.clock.speed = float(body.get("speed", before))
    try:
        sandbox.clock.advance(advance)
    except ValueError:
        sandbox.clock.speed = before
        raise
    return _clock_now(sandbox)


def _settings(sandbox: Core, body: Record, request: Request) -> Any:
    sandbox.settings.change(body)
    return asdict(sandbox.settings)


def _requests(sandbox: Core, body: Any, request: Request) -> Any:
    operation = request.query_params.get("operation")
    found = sandbox.requests if operation is None else sandbox.requests.of(operation)
    return {"requests": [one.to_dict() for one in found]}


def _request(sandbox: Core, body: Any, request: Request) -> Any:
    number = request.scope["path"].rsplit("/", 1)[1]
    found = sandbox.requests.find(int(number[:18]))
    if found is None:
        raise NotFound(f"request {number} is no longer in the log")
    return found.to_dict()


def _matches(sandbox: Core, body: Any, request: Request) -> Any:
    """The numbers of the requests that hold a text anywhere: path, query, headers, body or answer."""
    text = request.query_params.get("text", "").casefold()
    held = ((one.number, json.dumps(one.to_dict(), ensure_ascii=False)) for one in sandbox.requests)
    return {"numbers": [number for number, content in held if text in content.casefold()]}


async def wait_for_changes(sandbox: Core, request: Request) -> None:
    """Hold back the answer to `/_sandbox/changes?after=…&wait=…` until there is something new."""
    if request.scope["path"] != f"{PREFIX}/changes":
        return
    try:
        sandbox.check_control_key(request)
        wait = min(float(request.query_params.get("wait", "0")), MAX_WAIT)
    except (ApiError, ValueError):
        return  # what is wrong is said by the answer
    after, ends = request.query_params.get("after", ""), time.monotonic() + wait
    while _version(sandbox) == after and time.monotonic() < ends and not sandbox.stopping.is_set():  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)  # changes come from other threads, and from the clock of a test


def _version(sandbox: Core) -> str:
    """Changes with everything that the web page shows, but for what the clock brings about."""
    clock = sandbox.clock
    parts = (sandbox.requests.version, sum(sandbox.store.versions.values()), clock.changes, sandbox.faults.version)
    return "-".join(map(str, parts))


def _changes(sandbox: Core, body: Any, request: Request) -> Any:
    """What is new since `after`: the requests since then, and the state of all the rest."""
    version = _version(sandbox)
    after = request.query_params.get("after", "").split("-")[0]
    since = int(after) if after.isdecimal() else 0
    listed = sandbox.requests.since(since if since <= sandbox.requests.version else 0)
    oldest = sandbox.requests[0].number if len(sandbox.requests) else None
    return {
        "version": version,
        "requests": [one.summary() for one in listed],
        "oldest": oldest,
        "versions": sandbox.store.versions,
        **_present(sandbox),
    }


def _faults(sandbox: Core, body: Any, request: Request) -> Any:
    return {"faults": sandbox.faults.listed()}


def _add_fault(sandbox: Core, body: Record, request: Request) -> Any:
    sandbox.faults.add(body.pop("kind", ""), **body)
    return _faults(sandbox, body, request)


def _recordings(sandbox: Core, body: Record, request: Request) -> Any:
    return sandbox.add_recording(**body, base_url=str(request.base_url).rstrip("/"))


def _records(sandbox: Core, body: Any, request: Request) -> Any:
    """The latest records of the kinds that the web page shows, or of one: `?kind=contacts&before=ID&limit=50`."""
    state, url, query = sandbox.state, str(request.base_url).rstrip("/"), request.query_params
    views: dict[str, Callable[[Record], Record]] = {
        "contacts": contacts.to_response,
        "conversations": visible,
        "messages": lambda record: messages.to_response(state, record, url),
        "calls": lambda record: calls.with_timeline(state, record, url),
        "tasks": lambda record: tasks.to_response(state, record),
    }
    kinds = query.getlist("kind") or list(views)
    limit, before = min(int(query.get("limit", 50)), MAX_RECORDS), int(query.get("before", 0))
    if unknown := set(kinds) - set(views):
        raise ValueError(f"there are no records {min(unknown)!r}{did_you_mean(min(unknown), views)}")
    found: Record = {kind: [views[kind](one) for _, one in state.store.latest(kind, limit, before)] for kind in kinds}
    if "messages" in kinds:  # who they were sent to
        ids = {one["contactId"] for one in found["messages"] if one.get("contactId")}
        people = (state.store.get("contacts", number) for number in ids)
        found["recipients"] = [contacts.to_response(one) for one in people if one]
    return found


ACTIONS: dict[str, dict[str, Action]] = {
    "": {"GET": _overview},
    "changes": {"GET": _changes},
    "matches": {"GET": _matches},
    "clock": {"POST": _clock},
    "settings": {"POST": _settings},
    "reset": {"POST": lambda sandbox, body, request: sandbox.reset()},
    "snapshot": {
        "GET": lambda sandbox, body, request: sandbox.snapshot(),
        "PUT": lambda sandbox, body, request: sandbox.restore(body),
    },
    "requests": {"GET": _requests, "DELETE": lambda sandbox, body, request: sandbox.requests.clear()},
    "faults": {"GET": _faults, "POST": _add_fault, "DELETE": lambda sandbox, body, request: sandbox.faults.clear()},
    "seed": {"POST": lambda sandbox, body, request: sandbox.seed_quietly(body)},
    "recordings": {"POST": _recordings},
    "records": {"GET": _records},
}
