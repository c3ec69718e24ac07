"""What a test may do with a sandbox over HTTP, under /_sandbox/: the same as in process. It needs the key."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from .errors import BadRequest, MethodNotAllowed, NotFound
from .request import parse_json
from .sections import calls, contacts, messages, tasks
from .state import visible
from .store import Record

if TYPE_CHECKING:
    from .app import Sandbox

PREFIX = "/_sandbox"
SHOWN = 50
Action = Callable[["Sandbox", Any, Request], Any]


def control(sandbox: Sandbox, request: Request, raw: bytes) -> Any:
    """The answer to one request to the control interface."""
    name = request.scope["path"].removeprefix(PREFIX).strip("/")
    actions = ACTIONS.get(name)
    if actions is None:
        raise NotFound(f"the sandbox has no control {name!r}; there are {', '.join(sorted(filter(None, ACTIONS)))}")
    action = actions.get(request.method)
    if action is None:
        raise MethodNotAllowed(f"use {' or '.join(actions)}", headers={"Allow": ", ".join(actions)})
    body: Any = parse_json(raw, request.headers.get("content-type", "")) if raw else {}
    if not isinstance(body, dict):
        raise BadRequest("send an object")
    try:
        return action(sandbox, body, request)
    except (TypeError, ValueError, OverflowError, KeyError, sqlite3.Error) as problem:
        raise BadRequest(f"{name}: {problem}") from None


def _overview(sandbox: Sandbox, body: Any, request: Request) -> Any:
    clock = sandbox.clock
    return {
        "clock": {"now": clock.stamp(), "ahead": clock.ahead, "speed": clock.speed},
        "settings": asdict(sandbox.settings),
        "counts": sandbox.store.kinds(),
        "faults": sandbox.faults.listed(),
        "requests": len(sandbox.requests),
    }


def _clock(sandbox: Sandbox, body: Record, request: Request) -> Any:
    if unknown := set(body) - {"advance", "speed"}:
        raise ValueError(f"{min(unknown)!r} is unknown; use advance (seconds) or speed")
    if "speed" in body:
        sandbox.clock.speed = float(body["speed"])
    sandbox.clock.advance(float(body.get("advance", 0)))
    return {"now": sandbox.clock.stamp(), "ahead": sandbox.clock.ahead, "speed": sandbox.clock.speed}


def _settings(sandbox: Sandbox, body: Record, request: Request) -> Any:
    sandbox.settings.change(body)
    return asdict(sandbox.settings)


def _reset(sandbox: Sandbox, body: Any, request: Request) -> None:
    sandbox.reset()


def _snapshot(sandbox: Sandbox, body: Any, request: Request) -> Any:
    return sandbox.snapshot()


def _restore(sandbox: Sandbox, body: Record, request: Request) -> None:
    sandbox.restore(body)


def _requests(sandbox: Sandbox, body: Any, request: Request) -> Any:
    operation = request.query_params.get("operation")
    return {"requests": [one.to_dict() for one in sandbox.requests if operation in (None, one.operation)]}


def _forget_requests(sandbox: Sandbox, body: Any, request: Request) -> None:
    sandbox.requests.clear()


def _faults(sandbox: Sandbox, body: Any, request: Request) -> Any:
    return {"faults": sandbox.faults.listed()}


def _add_fault(sandbox: Sandbox, body: Record, request: Request) -> Any:
    sandbox.faults.add(**body)
    return _faults(sandbox, body, request)


def _clear_faults(sandbox: Sandbox, body: Any, request: Request) -> None:
    sandbox.faults.clear()


def _seed(sandbox: Sandbox, body: Record, request: Request) -> Any:
    return sandbox.seed(body)


def _recordings(sandbox: Sandbox, body: Record, request: Request) -> Any:
    return sandbox.add_recording(**body, base_url=str(request.base_url).rstrip("/"))


def _records(sandbox: Sandbox, body: Any, request: Request) -> Any:
    """The latest records of the kinds that the page shows."""
    state, url = sandbox.state, str(request.base_url).rstrip("/")
    ways: dict[str, Callable[[Record], Record]] = {
        "contacts": contacts.to_response,
        "conversations": visible,
        "messages": lambda record: messages.to_response(state, record, url),
        "calls": lambda record: calls.to_response(state, record),
        "tasks": lambda record: tasks.to_response(state, record),
    }
    return {kind: [way(one) for _, one in reversed(state.store.latest(kind, SHOWN))] for kind, way in ways.items()}


ACTIONS: dict[str, dict[str, Action]] = {
    "": {"GET": _overview},
    "clock": {"POST": _clock},
    "settings": {"POST": _settings},
    "reset": {"POST": _reset},
    "snapshot": {"GET": _snapshot, "PUT": _restore},
    "requests": {"GET": _requests, "DELETE": _forget_requests},
    "faults": {"GET": _faults, "POST": _add_fault, "DELETE": _clear_faults},
    "seed": {"POST": _seed},
    "recordings": {"POST": _recordings},
    "records": {"GET": _records},
}
