"""The sandbox as an ASGI application: routes from the document, and each handler between two checks."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from . import files
from .audio import fitting, seconds_in, size_of
from .clock import Clock
from .control import PREFIX, control, wait_for_changes
from .document import Content, Document, Operation, is_json, issues, load
from .errors import (
    ApiError,
    BadRequest,
    ContractViolation,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    SandboxWarning,
    describe,
    error_body,
)
from .faults import ConnectionCut, Connections, Fault, Faults, Sender
from .request import CONTROL_KEY, WARNING, check_key, read
from .request_log import FILE, MAX_BODY_BYTES, RequestLog
from .samples import sample
from .sections import Handler, handlers, recordings
from .sections.default import answer_by_shape
from .seeding import seed
from .state import Settings, State
from .store import Store
from .ui import UI_PATHS, asset

if TYPE_CHECKING:
    from .in_process import InProcess
    from .server import Server

DEFAULT_KEY = "sandbox"
MAX_BODY = 64 * 2**20
MAX_DRAINED = 2**30
"""So much of a body that is too large is received and thrown away, so that the client reads the answer."""


class Sandbox:
    """A local LlamadaPro: use `transport()` in process, `serve()` for a real socket, or hand it to any ASGI server.

    `db` is a SQLite file that survives restarts; without it the state lives as long as the object. `seed` is data to
    start with (and to come back to with `reset`), as in `seed()`; a file that already holds records is not seeded.
    `strict` refuses fields that the document does not have, in bodies, queries and seeds; else they are reported in
    the `X-Sandbox-Warning` header and in `requests`. `hosts` are names under which it may be reached, besides
    localhost and the address it listens on. `document` is another OpenAPI document, or the path of one. Example::

        with Sandbox(strict=True) as sandbox, sandbox.serve() as server:
            client = AsyncLlamadaPro(sandbox.api_key, server.url)
    """

    def __init__(
        self,
        *,
        db: str = ":memory:",
        api_key: str = DEFAULT_KEY,
        speed: float = 1.0,
        seed: dict[str, Any] | None = None,
        document: Document | Path | str | None = None,
        strict: bool = False,
        hosts: Collection[str] = (),
        **settings: Any,
    ):
        self.api_key = api_key
        self.strict = strict
        self.hosts: frozenset[str] = frozenset(host.lower() for host in hosts)
        loaded = document if isinstance(document, Document) else load(str(document) if document else None)
        self.document: Document = loaded
        self.store: Store = Store(db)
        try:
            clock = Clock(ahead=self.store.noted("ahead") or 0.0, speed=speed, on_change=self._note_clock)
            self.state: State = State(self.document, self.store, clock)
            self.handlers: dict[str, Handler] = handlers(self.document)
            self.faults: Faults = Faults(self.document)
            """What goes wrong on demand: `sandbox.faults.add("status", status=503, times=1)`."""
            self.requests: RequestLog = RequestLog(self.document)
            """What was received so far, and what was answered."""
            self.connections: Connections = {}
            self.stopping = False
            self._router = Router(self._routes(), redirect_slashes=False, default=self._not_found)
            self._first = (seed or {}, settings, speed)
            self.settings.change(settings)
            if seed and not self.store.counts():
                self.seed(seed)
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------------------------------------- for tests

    @property
    def clock(self) -> Clock:
        """`sandbox.clock.advance(60)` instead of sleeping."""
        return self.state.clock

    @property
    def settings(self) -> Settings:
        return self.state.settings

    def seed(self, data: dict[str, Any]) -> dict[str, list[Any]]:
        """Create records from bodies of requests: `seed({"contacts": [{"firstName": "Jane"}]})`; all or nothing.

        A field that the document does not have is a `SandboxWarning`, or an error if the sandbox is strict.
        """
        created, warning = self.seed_quietly(data)
        if warning:
            warnings.warn(f"the seed: {warning}", SandboxWarning, stacklevel=2)
        return created

    def seed_quietly(self, data: dict[str, Any]) -> tuple[dict[str, list[Any]], str]:
        """As `seed`; what is odd is returned."""
        return seed(self.state, self.handlers, data, strict=self.strict)

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
            self.seed_quietly(first_seed)

    def snapshot(self) -> dict[str, Any]:
        """All records and the clock, as JSON values, for `restore`."""
        return {"records": self.store.dump(), "ahead": self.clock.ahead}

    def restore(self, snapshot: dict[str, Any]) -> None:
        with self.store.transaction():
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
        """Close the database; closing twice does no harm."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        records = ", ".join(f"{count} {kind}" for kind, count in self.store.counts().items()) or "no records"
        return f"<Sandbox: {records}; {len(self.requests)} requests, {len(self.faults)} faults, {self.clock!r}>"

    # ------------------------------------------------------------------------------------------------- answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            if refused := self._refused_host(request):
                await _error(refused)(scope, receive, send)
                return
        await self._router(scope, receive, send)

    async def handle(self, operation: str | None, request: Request, send: Send, answer: _Answer) -> None:
        """Answer one request, with the fault that is next for it, and write it down."""
        fault = self.faults.take(operation, request.method, self._relative(request.scope["path"]))
        entry = self.requests.add(request, operation, self.clock.stamp())
        entry.fault = fault.kind if fault else None
        send = entry.recording(send)
        try:
            raw = await _body(request)
            entry.raw = (raw or b"")[:MAX_BODY_BYTES]
            response = await self._respond(fault, raw, request, answer)
            entry.warning = response.headers.get(WARNING)
            if fault is not None:
                send = Sender(fault, self.connections, request.scope, send)
                await send.begin(int(response.headers.get("content-length", 0)))
            entry.status = response.status_code
            await response(request.scope, request.receive, send)
        except (ClientDisconnect, ConnectionCut):
            pass  # nobody is there to answer to
        finally:
            self.requests.answered(entry)

    async def _respond(self, fault: Fault | None, raw: bytes | None, request: Request, answer: _Answer) -> Response:
        if fault is not None and fault.kind == "latency":
            await asyncio.sleep(fault.seconds)
        response = None if fault is not None and fault.is_preemptive else _error_response(answer, request, raw)
        if fault is not None and fault.kind == "status":
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            if fault.status in (204, 304):
                return Response(None, fault.status, headers)
            return _json(fault.status, error_body(fault.status, "a fault that was asked for"), headers)
        return response or Response()

    def perform(self, operations: dict[str, Operation], request: Request, raw: bytes) -> Response:
        """One request to the API, from the check of its key to the check of its answer."""
        operation = operations.get(request.method)
        if operation is None:
            allowed = ", ".join(operations)
            raise MethodNotAllowed(f"{request.method} is not for this path", headers={"Allow": allowed})
        warning = ""
        try:
            check_key(operation.keys, request, self.api_key)
            base_url = str(request.base_url).rstrip("/")
            asked, warning = read(self.document, operation, request, raw, base_url=base_url, strict=self.strict)
            with self.store.transaction():
                body = self._perform(operation, asked)
                self._check(operation, operation.success, body)
        except ApiError as error:
            error.headers |= {WARNING: warning} if warning else {}
            if operation.id in self.handlers:
                self._check(operation, error.status, error.body())
                raise
            return self._answer(operation, error.status, self._error_by_shape(operation, error), error.headers)
        return self._answer(operation, operation.success, body, {WARNING: warning} if warning else {})

    def _perform(self, operation: Operation, asked: Any) -> Any:
        try:
            return self.handlers.get(operation.id, answer_by_shape)(self.state, asked)
        except (LookupError, TypeError, AttributeError) as problem:
            message = f"the sandbox's handler of {operation.id} does not work on this document: {problem!r}"
            raise ContractViolation(message) from problem

    def _error_by_shape(self, operation: Operation, error: ApiError) -> Any:
        """The error's body, if the document allows it, else one of the document's shape that says the same."""
        content, body = operation.answer(error.status), error.body()
        if content is None or not content.types or content.validator is None or content.validator.is_valid(body):
            return body
        made = sample(self.document, content.schema)
        if isinstance(made, str):
            return str(error)
        if not isinstance(made, dict):
            return made
        named = {**dict.fromkeys(("message", "detail", "reason", "error"), str(error)), "status": error.status}
        said = {**made, **{name: value for name, value in named.items() if name in made}}
        return said if content.validator.is_valid(said) else made

    def _answer(self, operation: Operation, status: int, body: Any, headers: dict[str, str]) -> Response:
        kind = (operation.answer(status) or Content(self.document, {})).type
        if operation.method == "HEAD" or (body is None and not kind):
            return Response(None, status, headers)
        if isinstance(body, str) and kind and not is_json(kind):
            return Response(body.encode(), status, headers, media_type=kind)
        return _json(status, body, headers, kind if is_json(kind) and "*" not in kind else "application/json")

    def control(self, request: Request, raw: bytes) -> Response:
        self.check_control_key(request)
        body, warning = control(self, request, raw)
        headers = {WARNING: warning} if warning else {}
        return Response(None, 204, headers) if body is None else _json(200, body, headers)

    def check_control_key(self, request: Request) -> None:
        keys = [CONTROL_KEY, *sorted(self.document.placements, key=str)]
        check_key(tuple((one,) for one in keys), request, self.api_key)

    def file(self, request: Request, raw: bytes) -> Response:
        return files.answer(self.state, request)

    def _check(self, operation: Operation, status: int, body: Any) -> None:
        """The sandbox holds itself to the document too."""
        content = operation.answer(status)
        if content is None:
            if status == 500:
                return
            raise ContractViolation(
                f"the sandbox answers {operation.id} with {status}, which openapi.yaml lacks: {body}"
            )
        if not content.types:
            if body is not None:
                raise ContractViolation(
                    f"the sandbox answers {operation.id} with a body; openapi.yaml has none for {status}"
                )
        elif found := issues(content.validator, body, "answer"):
            listed = "; ".join(describe(one) for one in found[:3])
            message = f"the sandbox's answer to {operation.id} is not what openapi.yaml says: {listed}"
            raise ContractViolation(message, details={"issues": found})

    def _routes(self) -> list[Route]:
        """One route for each path, fixed ones first: /contacts/search is not the contact of the id "search"."""
        paths: dict[str, dict[str, Operation]] = {}
        for operation in self.document.operations.values():
            names = (f"{{p{index}}}" for index in range(operation.path.count("{")))
            path = re.sub(r"{[^}]+}", lambda _: next(names), operation.path)  # noqa: B023 - used at once
            for base in self.document.base_paths:
                paths.setdefault(base + path, {})[operation.method] = operation
        ordered = sorted(paths, key=lambda path: (path.count("{"), path))
        return [
            *(Route(path, _Ui()) for path in UI_PATHS if path not in paths),
            Route(f"{PREFIX}/files/{{address:path}}", _Endpoint(self, {}, FILE)),
            Route(PREFIX, _Control(self)),
            Route(f"{PREFIX}/{{name:path}}", _Control(self)),
            *(Route(path, _Endpoint(self, paths[path])) for path in ordered),
        ]

    def _relative(self, path: str) -> str:
        """A path as the document writes it, below the server's."""
        base = max((one for one in self.document.base_paths if path.startswith(f"{one}/")), key=len, default="")
        return path.removeprefix(base)

    def _refused_host(self, request: Request) -> ApiError | None:
        """A web page that has its own name resolve to this machine must not reach the sandbox (DNS rebinding)."""
        given = request.headers.get("host", "")
        name = given.rsplit(":", 1)[0] if given.rsplit(":", 1)[-1].isdigit() else given
        name = name.strip("[]").lower()
        server = str((request.scope.get("server") or ("",))[0]).lower()
        if not given or name == server or name in self.hosts or "*" in self.hosts or is_loopback(name):
            return None
        return Forbidden(f"Host {name!r} is not a name of this sandbox: allow it with hosts=[{name!r}] or --allow-host")

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
        operation, request = self.operations.get(scope["method"]), Request(scope, receive)
        if self.name == FILE and "page" in request.query_params:  # the web page plays a recording: no part of a test
            await _error_response(self.sandbox.file, request, b"")(scope, receive, send)
            return
        answer = self.sandbox.file if self.name == FILE else self._perform
        await self.sandbox.handle(operation.id if operation else self.name, request, send, answer)

    def _perform(self, request: Request, raw: bytes) -> Response:
        return self.sandbox.perform(self.operations, request, raw)


class _Control:
    """The control interface is no part of the API: it has no faults and does not appear among the requests."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        raw = await _body(request)
        await wait_for_changes(self.sandbox, request)
        await _error_response(self.sandbox.control, request, raw)(scope, receive, send)


class _Ui:
    """The page and its files: no key, no faults, not among the requests."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asset(scope["path"])(scope, receive, send)


async def _body(request: Request) -> bytes | None:
    """The body; None if it is too large. What is too much is not kept."""
    parts: list[bytes] = []
    size, announced = 0, request.headers.get("content-length", "0")
    large = announced.isdecimal() and int(announced) > MAX_BODY
    async for part in request.stream():
        size += len(part)
        if size > MAX_DRAINED:
            break
        if large or size > MAX_BODY:
            parts.clear()
        else:
            parts.append(part)
    return b"".join(parts) if size <= MAX_BODY else None


def _error_response(answer: _Answer, request: Request, raw: bytes | None) -> Response:
    try:
        if raw is None:
            raise BadRequest(f"the body is larger than {MAX_BODY} bytes")
        return answer(request, raw)
    except ApiError as error:
        return _error(error)


def _error(error: ApiError) -> Response:
    return _json(error.status, error.body(), error.headers)


def _json(
    status: int, body: Any, headers: dict[str, str] | None = None, media_type: str = "application/json"
) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, headers, media_type=media_type)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
