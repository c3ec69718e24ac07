"""The sandbox as an ASGI application: paths from the document, and each handler between two checks."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from . import files
from .control import PREFIX, control, wait_for_changes
from .core import Core
from .document import Content, Operation, is_json, issues
from .errors import (
    ApiError,
    BadRequest,
    ContractViolation,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    describe,
    did_you_mean,
    error_body,
)
from .faults import ConnectionCut, Fault, breaking
from .request import WARNING, check_key, read
from .request_log import FILE, MAX_BODY_BYTES
from .samples import PLACEHOLDER, sample
from .sections.default import answer_by_shape
from .ui import UI_PATHS, asset

if TYPE_CHECKING:
    from .in_process import InProcess
    from .server import Server

MAX_BODY = 64 * 2**20
MAX_DRAINED = 2**30
"""So much of a body that is too large is received and thrown away, so that the client reads the answer."""
_Answer = Callable[[Request, bytes], Response]


class Sandbox(Core):
    """A local LlamadaPro: use `transport()` in process, `serve()` for a real socket, or hand it to any ASGI server.

    `db` is a SQLite file that survives restarts; without it the state lives as long as the object. `seed` is data to
    start with (and to come back to with `reset`), as in `seed()`; a file that already holds records is not seeded.
    `strict` refuses fields that the document does not have, in bodies, queries and seeds; else they are reported in
    the `X-Sandbox-Warning` header and in `requests`. `hosts` are names under which it may be reached, besides
    localhost and the address it listens on. `document` is another OpenAPI document, or the path of one. Example::

        with Sandbox(strict=True) as sandbox, sandbox.serve() as server:
            client = AsyncLlamadaPro(sandbox.api_key, server.url)
    """

    def transport(self) -> InProcess:
        """For `httpx.AsyncClient(transport=…)`: the sandbox in this process, without a socket."""
        from .in_process import InProcess

        return InProcess(self)

    def serve(self, *, host: str = "127.0.0.1", port: int = 0) -> Server:
        """On a real socket, in a thread of its own: `with sandbox.serve() as server: server.url`."""
        from .server import Server

        return Server(self, host=host, port=port, connections=self.connections, stopping=self.stopping)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the start and end of a server; web sockets, of which there are none
            await Router()(scope, receive, send)
            return
        request, path = Request(scope, receive, send), scope["path"]
        if refused := self._refused_host(request):
            await _error(refused)(scope, receive, send)
        elif path in UI_PATHS and path not in self._paths:
            await asset(path)(scope, receive, send)
        elif path.startswith(files.PREFIX):
            await self._file(request, send)
        elif path == PREFIX or path.startswith(f"{PREFIX}/"):
            with suppress(ClientDisconnect):
                raw, send = await _body(request, send)
                await wait_for_changes(self, request)
                await _error_response(self.control, request, raw)(scope, receive, send)
        else:
            await self._api(request, send)

    async def _api(self, request: Request, send: Send) -> None:
        operations = self._operations(request)
        operation = operations.get(request.method)

        def answer(request: Request, raw: bytes) -> Response:
            if operation is not None:
                return self.perform(operation, request, raw)
            if operations:
                headers = {"Allow": ", ".join(operations)}
                used = " or ".join(operations)
                raise MethodNotAllowed(f"{request.method} is not for this path: use {used}", headers=headers)
            path = request.scope["path"]
            raise NotFound(f"the API has no path {path}{did_you_mean(path, self._paths, list_all=False)}")

        await self.handle(operation.id if operation else None, request, send, answer)

    async def _file(self, request: Request, send: Send) -> None:
        def answer(request: Request, raw: bytes) -> Response:
            return files.answer(self.state, request)

        if "page" in request.query_params:  # the web page plays a recording: no part of a test
            await _error_response(answer, request, b"")(request.scope, request.receive, send)
        else:
            await self.handle(FILE, request, send, answer)

    async def handle(self, operation: str | None, request: Request, send: Send, answer: _Answer) -> None:
        """Answer one request, with the fault that is next for it, and write it down."""
        fault = self.faults.take(operation, request.method, self._relative(request.scope["path"]))
        entry = self.requests.add(request, operation, self.clock.stamp())
        entry.fault = fault.kind if fault else None
        send = entry.recording(send)
        try:
            raw, send = await _body(request, send)
            entry.raw = (raw or b"")[:MAX_BODY_BYTES]
            response = await self._respond(fault, raw, request, answer)
            entry.warning = response.headers.get(WARNING)
            if fault is not None:
                send = breaking(fault, self.connections, request.scope, send)
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
            if fault.status in (204, 205, 304):
                return Response(None, fault.status, headers)
            return _json(fault.status, error_body(fault.status, "a fault that was asked for"), headers)
        return response or Response()

    def perform(self, operation: Operation, request: Request, raw: bytes) -> Response:
        """One request to the API, from the check of its key to the check of its answer."""
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
        said = {name: named.get(name, str(error) if value == PLACEHOLDER else value) for name, value in made.items()}
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

    @cached_property
    def _paths(self) -> dict[str, dict[str, Operation]]:
        """The operations by path, below each of the document's servers; `{}` stands for an id, whatever its name."""
        found: dict[str, dict[str, Operation]] = {}
        for operation in self.document.operations.values():
            path = re.sub(r"{[^}]+}", "{}", operation.path)
            for base in self.document.base_paths:
                found.setdefault(base + path, {})[operation.method] = operation
        return found

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], dict[str, Operation]]]:
        """What each path matches, fixed ones first: /contacts/search is not the contact of the id "search"."""
        paths = sorted(self._paths, key=lambda path: (path.count("{}"), path))
        return [(re.compile("([^/]+)".join(map(re.escape, path.split("{}")))), self._paths[path]) for path in paths]

    def _operations(self, request: Request) -> dict[str, Operation]:
        """Those of the request's path, by method."""
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        for pattern, operations in self._patterns:
            if found := pattern.fullmatch(path):
                request.scope["path_params"] = found.groups()
                return operations
        return {}

    def _relative(self, path: str) -> str:
        """A path as the document writes it, below the server's."""
        base = max((one for one in self.document.base_paths if path.startswith(f"{one}/")), key=len, default="")
        return path.removeprefix(base)

    def _refused_host(self, request: Request) -> ApiError | None:
        """A web page that has its own name resolve to this machine must not reach the sandbox (DNS rebinding)."""
        given = request.headers.get("host", "")
        name = given.rsplit(":", 1)[0] if given.rsplit(":", 1)[-1].isdigit() else given
        name = name.strip("[]").rstrip(".").lower()
        server = str((request.scope.get("server") or ("",))[0]).lower()
        if not given or name == server or name in self.hosts or "*" in self.hosts or is_loopback(name):
            return None
        return Forbidden(f"Host {name!r} is not a name of this sandbox: allow it with hosts=[{name!r}] or --allow-host")


async def _body(request: Request, send: Send) -> tuple[bytes | None, Send]:
    """The body, or None as soon as it is too large; and a `send` that then receives the rest, and keeps none of it.

    Who writes it all before it reads would else lose the answer; who reads has the answer at once.
    """
    parts: list[bytes] = []
    size, announced, stream = 0, request.headers.get("content-length", "0"), request.stream()
    if not (announced.isdecimal() and int(announced) > MAX_BODY):
        async for part in stream:
            size += len(part)
            if size > MAX_BODY:
                break
            parts.append(part)
        else:
            return b"".join(parts), send

    async def drain(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await send({**message, "more_body": True})
            message, drained = {"type": "http.response.body"}, size
            async for part in stream:
                drained += len(part)
                if drained > MAX_DRAINED:
                    break
        await send(message)

    return None, drain


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
