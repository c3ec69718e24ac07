"""Faults on demand: the next requests, or some share of them, are answered late, badly, drop by drop or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Literal

from starlette.types import Message, Scope, Send

KINDS = ("status", "latency", "reset", "drip")
Connections = dict[Any, asyncio.Transport]
"""The open sockets of a server by the address of the client, so that one can be cut."""


@dataclass
class Fault:
    """What goes wrong, for which requests, and how often. Of several that fit a request, the first is taken."""

    kind: Literal["status", "latency", "reset", "drip"]
    status: int = 503
    """status: the answer's."""
    retry_after: float | str | None = None
    """status: the Retry-After header, in seconds or as a date."""
    seconds: float = 0.1
    """latency: how long the answer waits; drip: how long each piece does."""
    size: int = 16
    """drip: bytes in a piece."""
    when: Literal["before", "after", "within"] = "before"
    """status, reset: before the request has any effect, after it had it, or (reset) within the answer's body."""
    operation: str | None = None
    """Only requests of this operationId (`file` for those of recordings and other files)."""
    method: str | None = None
    path: str | None = None
    """Only requests to this path; `*` stands for anything."""
    times: int | None = None
    """How many requests it hits before it is spent; None: all that fit."""
    probability: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind!r}; there are {', '.join(KINDS)}")
        if self.when not in ("before", "after", "within"):
            raise ValueError(f"when must be before, after or within, not {self.when!r}")
        HTTPStatus(self.status)
        if not 0 <= self.probability <= 1 or self.seconds < 0 or self.size < 1 or (self.times or 0) < 0:
            raise ValueError("probability must be from 0 to 1, seconds and times 0 or more, size 1 or more")

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


class Faults:
    def __init__(self, seed: int = 0):
        self._random = random.Random(seed)
        self._seed = seed
        self._faults: list[Fault] = []

    def add(self, kind: str, **how: Any) -> Fault:
        """For example `add("status", status=429, retry_after=1, times=2, operation="CreateContact")`."""
        fault = Fault(kind, **how)  # type: ignore[arg-type]
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()
        self._random.seed(self._seed)

    def listed(self) -> list[dict[str, Any]]:
        """Those that are not spent."""
        return [asdict(fault) for fault in self._faults if fault.times != 0]

    def take(self, operation: str | None, method: str, path: str) -> Fault | None:
        for fault in self._faults:
            if fault.matches(operation, method, path) and self._random.random() < fault.probability:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


class ConnectionCut(Exception):
    """The connection was cut; there is nobody left to answer."""


class Sender:
    """The way back to the client, as far as a fault leaves it open."""

    def __init__(self, fault: Fault, connections: Connections, scope: Scope, send: Send):
        self.fault: Fault = fault
        self.connections: Connections = connections
        self.client: Any = scope.get("client")
        self._send = send
        self._on_socket = self.client in connections

    async def __call__(self, message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] == "http.response.start" or not body or self.fault.kind not in ("drip", "reset"):
            await self._send(message)
            return
        if self.fault.kind == "reset":
            await self._send({**message, "body": body[: len(body) // 2], "more_body": True})
            await asyncio.sleep(0.02)  # let the first half arrive before the connection goes
            await self.reset()
        for start in range(0, len(body), self.fault.size):
            piece = body[start : start + self.fault.size]
            last = start + self.fault.size >= len(body)
            await self._send({**message, "body": piece, "more_body": message.get("more_body", False) or not last})
            await asyncio.sleep(self.fault.seconds)
            if self._on_socket and self.client not in self.connections:
                raise ConnectionCut  # the client has given up: so may we

    async def begin(self, length: int) -> None:
        """Nothing of the answer arrives if the connection is to be cut, unless it is to be cut within the body."""
        if self.fault.kind == "reset" and (self.fault.when != "within" or length == 0):
            await self.reset()

    async def reset(self) -> None:
        """ConnectionCut the connection, as a crash or a firewall would."""
        transport = self.connections.get(self.client)
        if transport is None:
            raise ConnectionResetError("the sandbox cut the connection: a reset fault matched this request")
        connection = transport.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):  # closed without lingering, a socket sends RST
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await asyncio.sleep(0)  # let the server notice, before it wonders where the answer is
        raise ConnectionCut
