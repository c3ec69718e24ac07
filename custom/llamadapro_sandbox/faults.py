"""Faults on demand: the next requests, or some share of them, are answered late, badly, drop by drop or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

from starlette.types import Message, Scope, Send

from .document import Document
from .errors import did_you_mean
from .request_log import FILE, check_operation

KINDS = ("status", "latency", "reset", "slow_drip")
SHORT_KINDS = {"drip": "slow_drip"}
STATUSES = frozenset(HTTPStatus)
TEXTS = ("operation", "method", "path")
FILES = "/_sandbox/files/{kind}/{file}"
Connections = dict[Any, asyncio.Transport]
"""The open sockets of a server by the address of the client, so that one can be cut."""


@dataclass
class Fault:
    """What goes wrong, for which requests, and how often. Of several that match a request, the first is taken."""

    kind: str
    """status, latency, reset or slow_drip."""
    status: int = 503
    """status: the answer's."""
    retry_after: float | str | None = None
    """status: the Retry-After header, in seconds or as a date."""
    seconds: float = 0.1
    """latency: how long the answer waits; slow_drip: how long each piece does."""
    size: int = 16
    """slow_drip: bytes in a piece."""
    when: Literal["before", "after", "within"] = "before"
    """status, reset: before the request has any effect, after it had it, or (reset) within the answer's body."""
    operation: str | None = None
    """Only requests of this operationId (`file` for those of recordings and other files)."""
    method: str | None = None
    path: str | None = None
    """Only requests to this path; `*` stands for anything."""
    times: int | None = None
    """How many requests it hits before it is spent; None: all that match."""
    probability: float = 1.0
    hits: int = 0
    """How many requests it has hit."""

    def __post_init__(self) -> None:
        self.kind = SHORT_KINDS.get(str(self.kind), self.kind)
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind!r}{did_you_mean(str(self.kind), KINDS)}")
        moments = ("before", "after", "within") if self.kind == "reset" else ("before", "after")
        if self.when not in moments:
            raise ValueError(f"when must be {' or '.join(moments)} for {self.kind}, not {self.when!r}")
        header = str(self.retry_after)
        for name, is_right, wanted in (
            ("status", _is_number(self.status, 200, 599, int) and self.status in STATUSES, "be one of HTTP's from 200"),
            *((name, isinstance(getattr(self, name), str | None), "be a text") for name in TEXTS),
            ("retry_after", header.isascii() and header.isprintable(), "fit into a header"),
            ("seconds", _is_number(self.seconds, 0, 1e6), "be from 0 to 1e6"),
            ("size", _is_number(self.size, 1, math.inf, int), "be an integer of 1 or more"),
            ("times", self.times is None or _is_number(self.times, 1, math.inf, int), "be an integer of 1 or more"),
            ("probability", _is_number(self.probability, 0, 1), "be from 0 to 1"),
        ):
            if not is_right:
                raise ValueError(f"{name} must {wanted}, not {getattr(self, name)!r}")

    @property
    def is_preemptive(self) -> bool:
        """Whether the request has no effect."""
        return self.kind in ("status", "reset") and self.when == "before"

    def matches(self, operation: str | None, method: str, path: str) -> bool:
        return (
            self.operation in (None, operation)
            and self.method in (None, method)
            and (self.path is None or fnmatchcase(path, self.path))
            and self.times != 0
        )

    def __str__(self) -> str:
        given = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}
        return ",".join(f"{name}={value}" for name, value in given.items())


class Faults:
    """What goes wrong: `sandbox.faults.add(…)`, `sandbox.faults.unused`."""

    def __init__(self, document: Document, seed: int = 0):
        self._document = document
        self._random = random.Random(seed)
        self._seed = seed
        self._faults: list[Fault] = []
        self.version: int = 0

    def add(self, kind: str, **options: Any) -> Fault:
        """For example `add("status", status=429, retry_after=1, times=2, operation="CreateContact")`.

        A fault that can hit no operation of the document is a ValueError: its names are likely misspelt.
        """
        known = {one.name for one in fields(Fault)} - {"kind", "hits"}
        for name in set(options) - known:
            raise ValueError(f"a fault has no {name!r}{did_you_mean(name, known)}")
        fault = Fault(kind, **options)
        self._check(fault)
        self._faults.append(fault)
        self.version += 1
        return fault

    def _check(self, fault: Fault) -> None:
        if fault.operation is not None:
            check_operation(self._document, fault.operation)
        if fault.method is not None:
            fault.method = fault.method.upper()
        operations = [(one.id, one.method, one.path) for one in self._document.operations.values()]
        operations += [(FILE, method, FILES) for method in ("GET", "HEAD")]
        if fault.method is not None and fault.method not in (methods := {method for _, method, _ in operations}):
            raise ValueError(f"no operation has the method {fault.method!r}{did_you_mean(fault.method, methods)}")
        paths = [path for _, _, path in operations if fault.path is None or can_match(fault.path, path)]
        if not paths:
            close = did_you_mean(str(fault.path), {path for _, _, path in operations})
            raise ValueError(f"no operation has a path like {fault.path!r}{close}")
        if not any(
            fault.operation in (None, operation) and fault.method in (None, method) and path in paths
            for operation, method, path in operations
        ):
            raise ValueError(f"no operation matches all of this fault: {fault}")

    def clear(self) -> None:
        self._faults.clear()
        self.version += 1
        self._random.seed(self._seed)

    def listed(self) -> list[dict[str, Any]]:
        """Those that are not spent."""
        return [asdict(fault) for fault in self._faults if fault.times != 0]

    @property
    def unused(self) -> list[Fault]:
        """Those that no request has met so far: a test may assert that there is none."""
        return [fault for fault in self._faults if fault.hits == 0]

    def take(self, operation: str | None, method: str, path: str) -> Fault | None:
        for fault in self._faults:
            if fault.matches(operation, method, path) and self._random.random() < fault.probability:
                fault.hits += 1
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def __repr__(self) -> str:
        listed = "; ".join(f"{fault} ({fault.hits} hits)" for fault in self._faults)
        return f"<{len(self._faults)} faults{': ' if listed else ''}{listed}>"

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._faults))


def can_match(pattern: str, path: str) -> bool:
    """Whether some concrete path of an operation matches a pattern in which `*` stands for anything."""

    @cache
    def meet(left: int, right: int) -> bool:
        if left == len(tokens):
            return right == len(segments)
        if right < len(segments) and segments[right] is None:  # an id: at least one character but a slash
            if tokens[left] == "*":
                return meet(left + 1, right) or meet(left, right + 1)
            return tokens[left] != "/" and (meet(left + 1, right) or meet(left + 1, right + 1))
        if tokens[left] == "*":
            return meet(left + 1, right) or (right < len(segments) and meet(left, right + 1))
        if right == len(segments):
            return False
        return fnmatchcase(str(segments[right]), tokens[left]) and meet(left + 1, right + 1)

    tokens = tuple(re.findall(r"\[[^]]+\]|.", pattern))
    segments = tuple(None if one[0] == "{" else one for one in re.findall(r"{[^}]+}|.", path))
    return meet(0, 0)


def _is_number(value: Any, least: float, most: float, kind: Any = (int, float)) -> bool:
    return isinstance(value, kind) and least <= value <= most


class ConnectionCut(Exception):
    """The connection was cut; there is nobody left to answer."""


def breaking(fault: Fault, connections: Connections, scope: Scope, send: Send) -> Send:
    """`send`, as far as the fault leaves the way to the client open."""
    client: Any = scope.get("client")
    on_socket = client in connections

    async def broken(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] == "http.response.start":
            length = int(dict(message["headers"]).get(b"content-length", 0))
            if fault.kind == "reset" and (fault.when != "within" or length == 0):
                await _reset(connections.get(client))
        if not body or fault.kind not in ("slow_drip", "reset"):
            await send(message)
            return
        if fault.kind == "reset":
            await send({**message, "body": body[: len(body) // 2], "more_body": True})
            await asyncio.sleep(0.02)  # let the first half arrive before the connection goes
            await _reset(connections.get(client))
        for start in range(0, len(body), fault.size):
            piece = body[start : start + fault.size]
            last = start + fault.size >= len(body)
            await send({**message, "body": piece, "more_body": message.get("more_body", False) or not last})
            await asyncio.sleep(fault.seconds)
            if on_socket and client not in connections:
                raise ConnectionCut  # the client has given up: so may we

    return broken


async def _reset(transport: asyncio.Transport | None) -> None:
    """Cut the connection, as a crash or a firewall would."""
    if transport is None:
        raise ConnectionResetError("the sandbox cut the connection: a reset fault matched this request")
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # closed without lingering, a socket sends RST
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)  # let the server notice, before it wonders where the answer is
    raise ConnectionCut
