"""A scripted HTTP server that misbehaves on purpose and counts what really arrives.

It works on raw sockets, since most faults are things no HTTP library lets its user do, and it runs in a thread with a
loop of its own, for three reasons: a client that blocks its loop cannot slow down the faults it is being held against;
a client's loop ends up with no task but the client's own, so that leaks show; and one server outlives the many loops
of a test run. A test opens a `Site` (a port of its own, so nothing of an earlier test can arrive late at the next):

    with fault_server().site(RESET, RESET, then=ok({"id": 5})) as site:
        ...
    assert len(site.requests) == 3
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any


class End(Enum):
    """What becomes of the connection when the last byte is out."""

    KEEP = "kept for another request"
    CLOSE = "closed in good order"
    RESET = "reset (RST)"
    HANG = "left open, silent"


@dataclass(frozen=True)
class Drip:
    """The same bytes again and again, for as long as the client listens: no read ever times out."""

    data: bytes
    interval: float = 0.02


@dataclass(frozen=True)
class Outcome:
    """What happens to one request: bytes sent, seconds waited, and an end."""

    name: str
    steps: tuple[bytes | float | Drip | End, ...]
    early: bool = False
    """Played at the request's first byte: the request is never read to its end."""


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    nth: int
    """Its number on its connection, from 1."""
    complete: bool


def response(
    status: int = 200,
    body: bytes | Any = b"",
    *,
    headers: Mapping[str, str] | None = None,
    type_: str | None = "application/json",
    length: int | None = -1,
) -> bytes:
    """The bytes of an answer. `length` is what Content-Length claims: -1 for the truth, None for no such header."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": type_} if type_ and content else {}
    if length is not None and status >= 200 and status not in (204, 304):
        fields["Content-Length"] = str(len(content) if length == -1 else length)
    lines = "".join(f"{name}: {value}\r\n" for name, value in (fields | dict(headers or {})).items())
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode("latin-1") + content


def outcome(name: str, *steps: bytes | float | Drip | End, early: bool = False) -> Outcome:
    return Outcome(name, steps, early)


def answer(status: int = 200, body: bytes | Any = b"", end: End = End.KEEP, **how: Any) -> Outcome:
    return Outcome(f"answer {status}", (response(status, body, **how), end))


class Site:
    """One port of the server with its script, and the record of what arrived there."""

    def __init__(self, script: tuple[Outcome, ...], then: Outcome | Callable[[Received], Outcome]) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.peak = 0
        self._script = deque(script)
        self._then = then
        self._sockets: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections that neither side has closed, as the kernel sees them (the first byte of TCP_INFO is the state).

        Our own list would lag behind: a client that closes one connection and opens another may be accepted before its
        farewell is read.
        """
        with contextlib.suppress(RuntimeError, AttributeError):  # the set changed meanwhile; not Linux
            return sum(_established(sock) for sock in tuple(self._sockets))
        return len(self._sockets)

    async def until(self, true: Callable[[Site], bool], seconds: float = 2.0) -> bool:
        """Wait, on the caller's loop, until something has happened here."""
        end = time.monotonic() + seconds
        while not (happened := true(self)) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        return happened

    def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listener, self._accept)  # not sock_accept(): cancelling that can lose a socket

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.add(sock)
                self.connections += 1
                self.peak = max(self.peak, self.open)
                self._start(self._serve(sock, self.connections))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket, connection: int) -> None:
        loop, buffer, nth = asyncio.get_running_loop(), bytearray(), 0
        with contextlib.suppress(OSError), contextlib.closing(sock):  # the client may go away at any step
            while data := await loop.sock_recv(sock, 65536):
                buffer += data
                while buffer:
                    coming = self._script[0] if self._script else self._then
                    early = isinstance(coming, Outcome) and coming.early
                    if (request := ("", "", {}, bytes(buffer)) if early else _parse(buffer)) is None:
                        break
                    nth += 1
                    seen = Received(*request, connection, nth, not early)
                    self.requests.append(seen)
                    if self._script:
                        self._script.popleft()
                    if not await self._play(sock, coming if isinstance(coming, Outcome) else coming(seen)):
                        return
        self._sockets.discard(sock)

    async def _play(self, sock: socket.socket, played: Outcome) -> bool:
        loop = asyncio.get_running_loop()
        for step in played.steps:
            if isinstance(step, bytes):
                await loop.sock_sendall(sock, step)
            elif isinstance(step, (int, float)):
                await asyncio.sleep(step)
            elif isinstance(step, Drip):
                while True:
                    await loop.sock_sendall(sock, step.data)
                    await asyncio.sleep(step.interval)
            elif step is End.HANG:
                while await loop.sock_recv(sock, 65536):
                    pass
            elif step is End.RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif step is End.KEEP:
                return True
        self._sockets.discard(sock)
        sock.close()
        return False

    async def _close(self) -> None:
        self._loop.remove_reader(self._listener)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()
        for sock in tuple(self._sockets):
            sock.close()


def _established(sock: socket.socket) -> bool:
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1
    except OSError:
        return False


def _parse(buffer: bytearray) -> tuple[str, str, dict[str, str], bytes] | None:
    """Take one complete request out of the buffer, or None if it is not all there yet."""
    head, found, rest = bytes(buffer).partition(b"\r\n\r\n")
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        if not rest.endswith(b"0\r\n\r\n"):
            return None
        length = len(rest)
    else:
        length = int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    del buffer[: len(head) + 4 + length]
    method, path, _ = first.split(" ", 2)
    return method, path, headers, rest[:length]


class FaultServer:
    """The thread that all sites live in."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-server", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def site(self, *script: Outcome, then: Outcome | Callable[[Received], Outcome] | None = None) -> Iterator[Site]:
        """Open a port that plays the script, one outcome a request, and `then` for every request after it."""
        site = Site(script, then or answer(200, {}))
        self._loop.call_soon_threadsafe(site._open)
        try:
            yield site
        finally:
            asyncio.run_coroutine_threadsafe(site._close(), self._loop).result(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@cache
def fault_server() -> FaultServer:
    """The one server of this process."""
    server = FaultServer()
    atexit.register(server.stop)
    return server


@contextlib.contextmanager
def refused() -> Iterator[str]:
    """An address where nobody listens (bound all the same, so that nobody else takes the port meanwhile)."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


@contextlib.contextmanager
def unreachable() -> Iterator[str]:
    """An address that never completes a connection: its queue is full and it accepts nobody (Linux drops the SYN)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@cache
def _without_dns() -> None:
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host in ("nowhere.invalid", b"nowhere.invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


@contextlib.contextmanager
def unknown_host() -> Iterator[str]:
    """A name that no DNS knows; answered in this process, since a real resolver may take seconds to say so."""
    _without_dns()
    yield "http://nowhere.invalid"
