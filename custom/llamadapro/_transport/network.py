"""TCP and TLS for httpcore, on the event loop's own socket calls.

httpcore takes a network backend; its own is anyio's. This one knows what promises 1 and 7 need to know: each socket is
ours from its first moment, so that one can be closed whose loop has ended or whose process was forked; a request that
was given up is reset rather than flushed; nothing is read ahead, so that surplus bytes of an answer are seen.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import select
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

KEEPALIVE_EXPIRY = 4.0
"""Seconds that a connection is kept for the next request: Node, uvicorn and Apache close theirs after 5."""

KEEPALIVE_MARGIN = 1.0
"""Seconds before the server's own limit at which a connection is no longer used: a request takes a while to arrive."""

_KEEPALIVE_TIMEOUT = re.compile(rb"\btimeout\s*=\s*(\d{1,9})\b", re.ASCII | re.IGNORECASE)
_RECEIVE_SIZE = 2**16
_NEXT_ADDRESS_AFTER = 0.25  # seconds, as RFC 8305 recommends
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class StreamOwner(Protocol):
    """Who knows of a stream as long as it is open."""

    max_received: float
    """Bytes that may come between one request and the next."""

    def opened(self, stream: SocketStream) -> None:
        """Take note of a new one; an exception closes it."""
        ...

    def closed(self, stream: SocketStream) -> None: ...


connecting_for: ContextVar[StreamOwner] = ContextVar("llamadapro_connecting_for")
"""Whose request it is that a connection is made for."""


class SocketBackend:
    """httpcore's `AsyncNetworkBackend`; `core` is httpcore or httpcore2, whose exceptions it raises."""

    def __init__(self, core: Any) -> None:
        self._core = core

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> SocketStream:
        try:
            async with asyncio.timeout(timeout):
                sock = await _connect(await _addresses(host, port), local_address)
        except TimeoutError as error:
            raise self._core.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:  # a name that no DNS could hold is a UnicodeError
            raise self._core.ConnectError(str(error)) from error
        try:
            for option in socket_options or ():
                sock.setsockopt(*option)
            return SocketStream(self._core, sock, connecting_for.get())
        except BaseException:
            sock.close()
            raise

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SocketStream:
    """httpcore's `AsyncNetworkStream` over one socket."""

    def __init__(self, core: Any, sock: socket.socket, owner: StreamOwner) -> None:
        self.core: Any = core
        self.socket: socket.socket = sock
        self.owner: StreamOwner = owner
        self.exchange_complete: bool = True
        """Whether the last request was answered to the end; if not, closing resets the connection."""
        self._received = 0
        owner.opened(self)

    @property
    def is_closed(self) -> bool:
        return self.socket.fileno() < 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await _timed(self.receive(max_bytes), timeout, self.core.ReadTimeout, self.core.ReadError)
        self._received += len(data)
        if self._received > self.owner.max_received:
            raise self.core.ReadError(f"more than {self.owner.max_received:,} bytes came for one response")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.exchange_complete = False
        self._received = 0
        if not buffer:  # the end of a request's body, which needs no bytes
            return
        await _timed(self.send(buffer), timeout, self.core.WriteTimeout, self.core.WriteError)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> SocketStream:
        try:
            stream = _TLSStream(self, ssl_context, server_hostname)
            await _timed(stream.handshake(), timeout, self.core.ConnectTimeout, self.core.ConnectError)
        except BaseException:
            self.close()
            raise
        return stream

    async def receive(self, max_bytes: int) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self.socket, max_bytes)
        if len(data) == max_bytes:
            await asyncio.sleep(0)  # a peer that is faster than we are must not keep the loop from its other tasks
        return data

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; what was not answered to the end is reset, so that no byte of it is sent any more."""
        self.owner.closed(self)
        with suppress(OSError):
            if not self.exchange_complete:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.socket.close()

    def interrupt(self) -> None:
        """Let whoever waits for this connection meet its end, and close it."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.socket.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        """Close this process's descriptor, and leave the connection as it is to whoever else holds one."""
        self.socket.close()

    def has_unread(self) -> bool:
        """Whether bytes, or the end, have come that nobody has read."""
        return is_readable(self.socket)

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "socket":
                return self.socket
            case "client_addr":
                return self.socket.getsockname()
            case "server_addr":
                return self.socket.getpeername()
            case "is_readable":
                return self.has_unread()
        return None


async def _timed(operation: Awaitable[T], timeout: float | None, timed_out: Any, failed: Any) -> T:
    try:
        if timeout is None:
            return await operation
        async with asyncio.timeout(timeout):
            return await operation
    except TimeoutError as error:
        raise timed_out(str(error)) from error
    except OSError as error:
        raise failed(str(error)) from error


class _TLSStream(SocketStream):
    """TLS over another stream, which may be one of TLS itself: a tunnel through an https proxy."""

    def __init__(self, inner: SocketStream, context: ssl.SSLContext, server_hostname: str | None) -> None:
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        inner.owner.closed(inner)
        super().__init__(inner.core, inner.socket, inner.owner)

    async def handshake(self) -> None:
        await self._drive(self._tls.do_handshake)

    async def receive(self, max_bytes: int) -> bytes:
        try:
            return await self._drive(self._tls.read, max_bytes)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""  # whether the response was complete is for HTTP to say

    async def send(self, data: bytes) -> None:
        await self._drive(self._tls.write, data)

    async def _drive(self, operation: Callable[..., T], *arguments: Any) -> T:
        while True:
            try:
                result = operation(*arguments)
            except ssl.SSLWantReadError:
                await self._flush()
                if received := await self._inner.receive(_RECEIVE_SIZE):
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if encrypted := self._outgoing.read():
            await self._inner.send(encrypted)

    def has_unread(self) -> bool:
        return bool(self._tls.pending() or self._incoming.pending) or self._inner.has_unread()

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else super().get_extra_info(info)


def keepalive_seconds(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """How long after this response its connection may carry another request; 0 for not at all."""
    for name, value in headers:
        if name.lower() == b"keep-alive" and (found := _KEEPALIVE_TIMEOUT.search(value)):
            return max(0.0, min(KEEPALIVE_EXPIRY, int(found[1]) - KEEPALIVE_MARGIN))
    return KEEPALIVE_EXPIRY


def is_readable(sock: Any) -> bool:
    """Whether a read would return at once."""
    if sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


Address = tuple[int, Any]


async def _addresses(host: str, port: int) -> list[Address]:
    with suppress(ValueError):  # a number needs no look-up, and no thread to do it in
        number = ipaddress.ip_address(host)
        if "%" not in host:
            return [(socket.AF_INET if number.version == 4 else socket.AF_INET6, (host, port))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def _connect(addresses: list[Address], local_address: str | None) -> socket.socket:
    """A connection to the first address that answers; each next one is tried when another has failed or is slow."""
    if len(addresses) == 1:
        return await _connect_one(*addresses[0], local_address)
    untried = deque(addresses)
    attempts: list[asyncio.Task[socket.socket]] = []
    pending: set[asyncio.Task[socket.socket]] = set()
    try:
        while pending or untried:
            if untried:
                attempts.append(asyncio.create_task(_connect_one(*untried.popleft(), local_address)))
                pending.add(attempts[-1])
            timeout = _NEXT_ADDRESS_AFTER if untried else None
            done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                if attempt.exception() is None:
                    attempts.remove(attempt)
                    return attempt.result()
        return attempts[0].result()  # raises what the first, which the system prefers, has met
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_close_unused)


def _close_unused(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _connect_one(family: int, address: Any, local_address: str | None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if local_address is not None:
            sock.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
