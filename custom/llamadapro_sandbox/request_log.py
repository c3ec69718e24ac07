"""The requests that were received, for tests to assert on; their keys are left out."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

MAX_REQUESTS = 1000
MAX_BODY_BYTES = 64 * 2**10


@dataclass
class LoggedRequest:
    at: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    operation: str | None
    """The operationId; None for a path or method that the document lacks."""
    status: int | None = None
    """What was answered; None if nothing was."""
    fault: str | None = None
    raw: bytes = field(default=b"", repr=False)
    """The body as it came, cut after 64 KiB."""

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            return None

    def to_dict(self) -> dict[str, Any]:
        names = ("at", "method", "path", "query", "headers", "operation", "status", "fault")
        return {**{name: getattr(self, name) for name in names}, "body": self.json}


class RequestLog:
    """The last thousand of them, oldest first: `len(sandbox.requests)`, `sandbox.requests[-1].json`."""

    def __init__(self, key_header: str):
        self._received: deque[LoggedRequest] = deque(maxlen=MAX_REQUESTS)
        self._key_header = key_header.lower()
        self.on_answer: Callable[[LoggedRequest], None] | None = None
        """Called with each request once it is answered."""

    def add(self, request: Request, operation: str | None, at: str) -> LoggedRequest:
        headers = {name: value for name, value in request.headers.items() if name != self._key_header}
        entry = LoggedRequest(at, request.method, request.scope["path"], dict(request.query_params), headers, operation)
        self._received.append(entry)
        return entry

    def answered(self, entry: LoggedRequest) -> None:
        if self.on_answer is not None:
            self.on_answer(entry)

    def of(self, operation: str) -> list[LoggedRequest]:
        """Those of one operation."""
        return [entry for entry in self._received if entry.operation == operation]

    def clear(self) -> None:
        self._received.clear()

    def __len__(self) -> int:
        return len(self._received)

    def __getitem__(self, index: int) -> LoggedRequest:
        return self._received[index]

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(list(self._received))
