"""The sandbox as an ASGI application: routes from the document, and each handler between two checks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from . import files
from .audio import fitting, seconds_in, size_of
from .clock import Clock
from .control import PREFIX, control
from .document import Document, Operation, issues, load
from .errors import ApiError, BadRequest, ContractViolation, MethodNotAllowed, NotFound, error_body
from .faults import ConnectionCut, Connections, Fault, Faults, Sender
from .request import check_key, read
from .request_log import MAX_BODY_BYTES, RequestLog
from .sections import Handler, handlers, recordings
from .seeding import seed
from .state import Settings, State
from .store import Store

if TYPE_CHECKING:
    from .in_process import InProcess
    from .server import Server

DEFAULT_KEY = "sandbox"
MAX_BODY = 64 * 2**20


class Sandbox:
    """A local LlamadaPro: use `transport()` in process, `serve()` for a real socket, or hand it to any ASGI server.

    `db` is a SQLite file that survives restarts; without it the state lives as long as the object. `seed` is data to
    start with (and to come back to with `reset`), as in `seed()`; a file that already holds records is not seeded.
    """

    def __init__(
        self,
        *,
        db: str = ":memory:",
        api_key: str = DEFAULT_KEY,
        speed: float = 1.0,
        seed: dict[str, Any] | None = None,
        document: Document | None = None,
        **settings: Any,
    ):
        self.api_key = api_key
        self.document: Document = document or load()
        self.store: Store = Store(db)
        clock = Clock(ahead=self.store.noted("ahead") or 0.0, speed=speed, on_change=self._note_clock)
        self.state: State = State(self.document, self.store, clock)
        self.handlers: dict[str, Handler] = handlers()
        self.faults: Faults = Faults()
        """What goes wrong on demand: `sandbox.faults.add("status", status=503, times=1)`."""
        self.requests: RequestLog = RequestLog(self.document.key_header)
        """What was received so far."""
        self.connections: Connections = {}
        self._router = Router(self._routes(), redirect_slashes=False, default=self._not_found)
        self._first = (seed or {}, settings, speed)
        self.settings.change(settings)
        if seed and not self.store.kinds():
            self.seed(seed)

    # ------------------------------------------------------------------------------------------------- for tests

    @property
    def clock(self) -> Clock:
        """`sandbox.clock.advance(60)` instead of sleeping."""
        return self.state.clock

    @property
    def settings(self) -> Settings:
        return self.state.settings

    def seed(self, data: dict[str, Any]) -> dict[str, list[Any]]:
        """Create records from bodies of requests: `seed({"contacts": [{"firstName": "Jane"}]})`; all or nothing."""
        return seed(self.state, self.handlers, data)

    def reset(self) -> None:
        """As it was in the beginning: no records but the first seed's, no faults, no requests, the clock on time."""
        first_seed, settings, speed = self._first
        with self.store.transaction():
            self.store.load({})
            self.clock.set_ahead(0)
            self.clock.speed = speed
            self.state.forget(settings)
            self.faults.clear()
            self.requests.clear()
            self.seed(first_seed)

    def snapshot(self) -> dict[str, Any]:
        """All records and the clock, as JSON values, for `restore`."""
        return {"records": self.store.dump(), "ahead": self.clock.ahead}

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.store.load(snapshot["records"])
        self.clock.set_ahead(snapshot["ahead"])

    def add_recording(
        self, *, bytes: int | None = None, seconds: float | None = None, base_url: str = "http://sandbox"
    ) -> dict[str, Any]:
        """A recording of a wanted size (to a multiple of 4) or length, without a call; as GetRecording answers it."""
        size = (
            size_of(self.settings.recording_seconds if seconds is None else seconds)
            if bytes is None
            else fitting(bytes)
        )
        values = {"startTime": self.clock.stamp(), "duration": seconds_in(size), "dualChannel": True, "_bytes": size}
        with self.store.transaction():
            return recordings.to_response(self.state, self.state.add(recordings.KIND, values), base_url)

    def transport(self) -> InProcess:
        """For `httpx.AsyncClient(transport=…)`: the sandbox in this process, without a socket."""
        from .in_process import InProcess

        return InProcess(self)

    def serve(self, *, host: str = "127.0.0.1", port: int = 0) -> Server:
        """On a real socket, in a thread of its own: `with sandbox.serve() as server: server.url`."""
        from .server import Server

        return Server(self, host=host, port=port)

    def close(self) -> None:
        self.store.close()

    # ------------------------------------------------------------------------------------------------- answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    async def handle(self, operation: str | None, request: Request, send: Send, answer: _Answer) -> None:
        """Answer one request, with a fault if it has one coming, and write it down."""
        fault = self.faults.take(operation, request.method, request.scope["path"])
        entry = self.requests.add(request, operation, self.clock.stamp())
        entry.fault = fault.kind if fault else None
        try:
            raw = await _body(request)
            entry.raw = raw[:MAX_BODY_BYTES]
            response = await self._respond(fault, raw, request, answer)
            if fault is not None:
                send = Sender(fault, self.connections, request.scope, send)
                await send.begin(int(response.headers.get("content-length", 0)))
            entry.status = response.status_code
            await response(request.scope, request.receive, send)
        except (ClientDisconnect, ConnectionCut):
            pass  # nobody is there to answer to
        finally:
            self.requests.answered(entry)

    async def _respond(self, fault: Fault | None, raw: bytes, request: Request, answer: _Answer) -> Response:
        if fault is not None and fault.kind == "latency":
            await asyncio.sleep(fault.seconds)
        response = None if fault is not None and fault.is_preemptive else _error_response(answer, request, raw)
        if fault is not None and fault.kind == "status":
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            return _json(fault.status, error_body(fault.status, "a fault that was asked for"), headers)
        return response or Response()

    def perform(self, operations: dict[str, Operation], request: Request, raw: bytes) -> Response:
        """One request to the API, from the check of its key to the check of its answer."""
        operation = operations.get(request.method)
        if operation is None:
            allowed = ", ".join(operations)
            raise MethodNotAllowed(f"{request.method} is not for this path", headers={"Allow": allowed})
        check_key(self.document, request, self.api_key)
        try:
            api_request = read(operation, request, raw, str(request.base_url).rstrip("/"))
            handler = self.handlers.get(operation.id)
            if handler is None:
                raise ContractViolation(f"the sandbox has no handler for {operation.id}")
            with self.store.transaction():
                body = handler(self.state, api_request)
                self._check(operation, operation.success, body)
        except ApiError as error:
            self._check(operation, error.status, error.body())
            raise
        return _json(operation.success, body)

    def control(self, request: Request, raw: bytes) -> Response:
        check_key(self.document, request, self.api_key)
        body = control(self, request, raw)
        return _json(204 if body is None else 200, body)

    def file(self, request: Request, raw: bytes) -> Response:
        return files.answer(self.state, request)

    def _check(self, operation: Operation, status: int, body: Any) -> None:
        """The sandbox holds itself to the document too."""
        if status not in operation.answers:
            if status == 500:
                return
            raise ContractViolation(
                f"the sandbox answers {operation.id} with {status}, which openapi.yaml lacks: {body}"
            )
        validator = operation.answers[status]
        if validator is None:
            if body is not None:
                raise ContractViolation(
                    f"the sandbox answers {operation.id} with a body; openapi.yaml has none for {status}"
                )
        elif not validator.is_valid(body):
            found = issues(validator, body, "answer")
            listed = "; ".join(f"{one['field'] or 'the answer'} {one['message']}" for one in found[:3])
            message = f"the sandbox's answer to {operation.id} is not what openapi.yaml says: {listed}"
            raise ContractViolation(message, details={"issues": found})

    def _routes(self) -> list[Route]:
        """One route for each path, fixed ones first: /contacts/search is not the contact of the id "search"."""
        paths: dict[str, dict[str, Operation]] = {}
        for operation in self.document.operations.values():
            paths.setdefault(operation.path, {})[operation.method] = operation
        ordered = sorted(paths, key=lambda path: (path.count("{"), path))
        return [
            *(Route(path, _Endpoint(self, paths[path])) for path in ordered),
            Route(f"{PREFIX}/files/{{address:path}}", _Endpoint(self, {}, "file")),
            Route(PREFIX, _Control(self)),
            Route(f"{PREFIX}/{{name:path}}", _Control(self)),
            Route("/", _page),
        ]

    async def _not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        def answer(request: Request, raw: bytes) -> Response:
            raise NotFound(f"the API has no path {request.scope['path']}")

        await self.handle(None, Request(scope, receive), send, answer)

    def _note_clock(self, ahead: float) -> None:
        self.store.note("ahead", ahead)


_Answer = Callable[[Request, bytes], Response]


class _Endpoint:
    """An ASGI application rather than a function: Starlette then leaves the methods to us."""

    def __init__(self, sandbox: Sandbox, operations: dict[str, Operation], name: str | None = None):
        self.sandbox, self.operations, self.name = sandbox, operations, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self.operations.get(scope["method"])
        answer = self.sandbox.file if self.name == "file" else self._perform
        await self.sandbox.handle(operation.id if operation else self.name, Request(scope, receive), send, answer)

    def _perform(self, request: Request, raw: bytes) -> Response:
        return self.sandbox.perform(self.operations, request, raw)


class _Control:
    """The control interface is no part of the API: it has no faults and does not appear among the requests."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = _error_response(self.sandbox.control, request, await _body(request))
        await response(scope, receive, send)


async def _page(request: Request) -> Response:
    return HTMLResponse(package_files("llamadapro_sandbox").joinpath("page.html").read_text("utf-8"))


async def _body(request: Request) -> bytes:
    return b"".join([part async for part in request.stream()])


def _error_response(answer: _Answer, request: Request, raw: bytes) -> Response:
    try:
        if len(raw) > MAX_BODY:
            raise BadRequest(f"the body is larger than {MAX_BODY} bytes")
        return answer(request, raw)
    except ApiError as error:
        return _json(error.status, error.body(), error.headers)


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, headers, media_type=None if body is None else "application/json")
