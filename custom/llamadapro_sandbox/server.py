"""The sandbox on a real socket: in the foreground for the command line, or in a thread of its own for tests."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .faults import Connections


class Server:
    """Listens from the moment it is made, so that a client may connect before the first request is answered."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        connections: Connections | None = None,
        stopping: threading.Event | None = None,
    ):
        self._stopping = stopping or threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms for an ACK.
        self.socket: socket.socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((host, port))
            self.socket.listen(128)
        except BaseException:  # a port in use, or beyond all there are
            self.socket.close()
            raise
        shown = f"[{host}]" if ":" in host else host
        self.port: int = self.socket.getsockname()[1]
        self.url: str = f"http://{shown}:{self.port}"
        config = uvicorn.Config(
            app,
            http=_known_connections({} if connections is None else connections),
            log_level="warning",
            access_log=False,
            lifespan="off",
            proxy_headers=False,  # a client that claims to be elsewhere would not be found by a reset
            ws="none",
            timeout_graceful_shutdown=2,
        )
        self._uvicorn = _Quiet(config)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._stopping.clear()
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C arrives as KeyboardInterrupt
                    loop.add_signal_handler(number, self.ask_to_stop)
        try:
            await self._uvicorn.serve(sockets=[self.socket])
        finally:
            self.socket.close()

    def ask_to_stop(self) -> None:
        self._stopping.set()  # whoever waits for something new gets an answer
        self._uvicorn.should_exit = True

    def start(self) -> Self:
        """Serve in a thread, with a loop of its own."""
        self._thread = threading.Thread(target=self.run, name="llamadapro-sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self.ask_to_stop()
        if self._thread is None:
            self.socket.close()
        else:
            self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Quiet(uvicorn.Server):
    """uvicorn would take the process's signals for itself and send them again when it is done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _known_connections(connections: Connections) -> type[asyncio.Protocol]:
    """uvicorn's protocol, which also notes its connections, so that a fault can cut one."""
    base: Any = AutoHTTPProtocol

    def connection_made(self: Any, transport: Any) -> None:
        base.connection_made(self, transport)
        connections[self.client] = transport

    def connection_lost(self: Any, error: Exception | None) -> None:
        connections.pop(self.client, None)
        base.connection_lost(self, error)

    return type("Protocol", (base,), {"connection_made": connection_made, "connection_lost": connection_lost})
