"""The requests that were received, with their answers, for tests and for the web page; keys are left out.

Bounded in number and in bytes: the oldest are forgotten first, long bodies are cut.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import Message, Send

from .document import Document
from .errors import did_you_mean

MAX_REQUESTS = 1000
MAX_BODY_BYTES = 2**20
"""Of a request: a batch or an upload can still be read as JSON."""
MAX_ANSWER_BYTES = 64 * 2**10
MAX_TOTAL_BYTES = 16 * 2**20
FILE = "file"
"""Names requests for files, which are no operation of the document."""
SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-sandbox-key"}
)


def _json(raw: bytes, default: Any = None) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return default


@dataclass
class LoggedAnswer:
    """What was sent back, as far as it was sent."""

    status: int
    headers: dict[str, str] = field(repr=False)
    ms: float = 0.0
    """From the arrival of the request to the last byte of the answer, in milliseconds."""
    raw: bytes = field(default=b"", repr=False)
    """The body as it was sent, cut after 64 KiB."""

    @property
    def body(self) -> Any:
        """The body as JSON, else as text; None if there is none."""
        return _json(self.raw, self.raw.decode("utf-8", "replace") or None)

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        return _json(self.raw)

    def to_dict(self) -> dict[str, Any]:
        return {"status": self.status, "headers": self.headers, "body": self.body, "ms": self.ms}


@dataclass
class LoggedRequest:
    at: str
    method: str
    path: str
    query: dict[str, Any]
    """Texts; of a parameter that is given more than once, a list."""
    headers: dict[str, str] = field(repr=False)
    operation: str | None
    """The operationId; None for a path or method that the document lacks."""
    status: int | None = None
    """What was answered; None if nothing was."""
    fault: str | None = None
    warning: str | None = None
    """What the sandbox found odd: fields that the document does not have."""
    answer: LoggedAnswer | None = None
    """Status, headers, body and milliseconds of the answer; None if nothing was answered."""
    raw: bytes = field(default=b"", repr=False)
    """The body as it came, cut after 1 MiB."""
    number: int = 0
    """Counts the requests of this sandbox, from 1."""
    version: int = field(default=0, repr=False)
    started: float = field(default=0.0, repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        return _json(self.raw)

    @property
    def ms(self) -> float | None:
        """How long the answer took, in milliseconds."""
        return self.answer.ms if self.answer else None

    def summary(self) -> dict[str, Any]:
        """One line of a list: without headers and bodies."""
        names = ("number", "at", "method", "path", "query", "operation", "status", "fault", "warning", "ms")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; `text` is the body as it came."""
        answer = self.answer.to_dict() if self.answer else None
        text = self.raw.decode("utf-8", "replace")
        return {**self.summary(), "headers": self.headers, "body": self.json, "text": text, "answer": answer}

    def recording(self, send: Send) -> Send:
        """`send`, which keeps the beginning of what is sent."""

        async def record(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
                headers = {name: value for name, value in headers.items() if name.lower() not in SECRET_HEADERS}
                self.status = message["status"]
                self.answer = LoggedAnswer(message["status"], headers)
            if self.answer:
                self.answer.raw += message.get("body", b"")[: MAX_ANSWER_BYTES - len(self.answer.raw)]
                self.answer.ms = round((time.perf_counter() - self.started) * 1000, 2)

        return record

    @property
    def size(self) -> int:
        return len(self.raw) + (len(self.answer.raw) if self.answer else 0) + 1000


class RequestLog:
    """The last thousand requests, oldest first: `len(sandbox.requests)`, `sandbox.requests[-1].answer.status`."""

    def __init__(self, document: Document):
        self._entries: deque[LoggedRequest] = deque(maxlen=MAX_REQUESTS)
        self._document = document
        self._lock = threading.Lock()
        self._number = 0
        self.version: int = 0
        """Grows with each request and each answer."""
        self.on_answer: Callable[[LoggedRequest], None] | None = None
        """Called with each request once it is answered."""

    def add(self, request: Request, operation: str | None, at: str) -> LoggedRequest:
        places = self._document.placements
        hidden = SECRET_HEADERS | {one.name.lower() for one in places if one.place == "header"}
        keys = {one.name for one in places if one.place == "query"}
        headers = {name: value for name, value in request.headers.items() if name not in hidden}
        given = {name: request.query_params.getlist(name) for name in request.query_params if name not in keys}
        query = {name: texts if len(texts) > 1 else texts[0] for name, texts in given.items()}
        entry = LoggedRequest(at, request.method, request.scope["path"], query, headers, operation)
        entry.started = time.perf_counter()
        with self._lock:
            self._number += 1
            entry.number = self._number
            self._entries.append(entry)
            self._touch(entry)
        return entry

    def answered(self, entry: LoggedRequest) -> None:
        with self._lock:
            self._touch(entry)
            total = sum(one.size for one in self._entries) if len(self._entries) % 50 == 0 or entry.size > 9999 else 0
            while total > MAX_TOTAL_BYTES and len(self._entries) > 1:
                total -= self._entries.popleft().size
        if self.on_answer is not None:
            self.on_answer(entry)

    def _touch(self, entry: LoggedRequest) -> None:
        self.version += 1
        entry.version = self.version

    def since(self, version: int) -> list[LoggedRequest]:
        """Those that came or were answered after a version."""
        return [entry for entry in self if entry.version > version]

    def find(self, number: int) -> LoggedRequest | None:
        return next((entry for entry in self if entry.number == number), None)

    def of(self, operation: str) -> list[LoggedRequest]:
        """Those of one operation of the document, or of `file`; another name is a ValueError."""
        check_operation(self._document, operation)
        return [entry for entry in self if entry.operation == operation]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.version += 1

    def __repr__(self) -> str:
        lines = [f"{one.method} {one.path} {one.operation or '-'} {one.status or 'no answer'}" for one in self]
        return f"<{len(lines)} requests{': ' if lines else ''}{'; '.join(lines[-5:])}>"

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> LoggedRequest:
        return self._entries[index]

    def __iter__(self) -> Iterator[LoggedRequest]:
        with self._lock:
            return iter(list(self._entries))


def check_operation(document: Document, operation: Any, also: Collection[str] = (FILE,)) -> None:
    names = {*document.operations, *also}
    if operation not in names:
        raise ValueError(f"the document has no operation {operation!r}{did_you_mean(str(operation), names)}")
