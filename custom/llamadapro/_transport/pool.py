"""The default engine's connections, in the place of httpcore's pool: a set for each event loop, and none kept that
could bring an answer to a question it was not asked.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

from .loops import LoopConnections
from .network import SocketStream, connecting_for, keepalive_seconds

# Names of httpcore's that are private. A connection in which they are not found is used for one request only.
INNER_CONNECTION, H11_STATE = "_connection", "_h11_state"
MAX_RECEIVED = "llamadapro_max_received"
"""The extension of a request that says how many bytes may come for it."""


class Pool:
    """Lends each request a connection of its own, the one used last first; those not needed any more grow old.

    `connect` makes one of httpcore's connections to an origin; through a proxy, a pool of one.
    """

    def __init__(self, connect: Callable[[Any], Any]) -> None:
        self._connect = connect
        self._loops = LoopConnections(_Connections)

    async def handle_async_request(self, request: Any) -> Any:
        connections, origin = self._loops.get(), request.url.origin
        lease = connections.take(origin)
        if lease is None:
            lease = _Lease(self._connect(origin), origin, connections)
        lease.max_received = request.extensions.get(MAX_RECEIVED, math.inf)
        token = connecting_for.set(lease)
        try:
            response = await lease.connection.handle_async_request(request)
        except BaseException:
            lease.close()
            raise
        finally:
            connecting_for.reset(token)
        lease.expires_at = monotonic() + keepalive_seconds(response.headers)
        bodyless = request.method == b"HEAD" or response.status in (204, 304)
        response.stream = _ResponseBody(response.stream, bodyless, lease)
        return response

    async def aclose(self) -> None:
        """From any event loop, those of all."""
        await self._loops.aclose()


class _Connections:
    """One event loop's: the streams that are open, and the connections that wait for another request."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Lease] = deque()
        self.streams: set[SocketStream] = set()
        self.closed: bool = False

    def take(self, origin: Any) -> _Lease | None:
        now = monotonic()
        while self._idle:
            lease = self._idle.pop()
            if lease.can_serve(origin, now):
                return lease
            lease.close()
        return None

    def give_back(self, lease: _Lease) -> None:
        if self.closed or not lease.is_clean():
            lease.close()
            return
        self._idle.append(lease)
        now = monotonic()
        while self._idle and self._idle[0].expires_at <= now:
            self._idle.popleft().close()

    async def aclose(self, *, for_good: bool) -> None:
        self.abort(for_good=for_good)

    def abort(self, *, for_good: bool) -> None:
        self.closed = self.closed or for_good
        while self._idle:
            self._idle.pop().close()
        for stream in list(self.streams):
            stream.interrupt()

    def abandon(self) -> None:
        self.abort(for_good=True)
        if self._loop.is_closed():
            for stream in list(self.streams):
                stream.close()

    def disown(self) -> None:
        for stream in list(self.streams):
            stream.drop()


class _Lease:
    """A connection of httpcore's, and the stream that it runs on."""

    __slots__ = ("_connections", "connection", "expires_at", "max_received", "origin", "stream")

    def __init__(self, connection: Any, origin: Any, connections: _Connections) -> None:
        self._connections = connections
        self.connection: Any = connection
        self.origin: Any = origin
        self.stream: SocketStream | None = None
        self.expires_at: float = 0.0
        self.max_received: float = math.inf

    def opened(self, stream: SocketStream) -> None:
        if self._connections.closed:  # meanwhile: nothing leaves any more
            raise stream.core.ConnectError("the client was closed")
        self._connections.streams.add(stream)
        self.stream = stream

    def closed(self, stream: SocketStream) -> None:
        self._connections.streams.discard(stream)

    def can_serve(self, origin: Any, now: float) -> bool:
        """Whether the next request may go this way: same host, not too old, and nothing has come that is not its."""
        return self.origin == origin and now < self.expires_at and not (self.stream is None or self.stream.has_unread())

    def is_clean(self) -> bool:
        """Whether the response was read to its end, and nothing came with it."""
        stream = self.stream
        return stream is not None and stream.exchange_complete and not stream.is_closed and not self._has_surplus()

    def _has_surplus(self) -> bool:
        connection = next(iter(getattr(self.connection, "connections", ())), self.connection)
        while (inner := getattr(connection, INNER_CONNECTION, None)) is not None:
            connection = inner
        state = getattr(connection, H11_STATE, None)
        return state is None or bool(state.trailing_data[0])

    def complete(self) -> None:
        if self.stream is not None:
            self.stream.exchange_complete = True

    def give_back(self) -> None:
        self._connections.give_back(self)

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()


class _ResponseBody:
    """The response's body; once it is read and closed, its connection is kept if it can serve again."""

    def __init__(self, stream: Any, bodyless: bool, lease: _Lease) -> None:
        self._stream = stream
        self._bodyless = bodyless
        self._lease = lease
        self._parts: Any = None
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._parts = self._stream.__aiter__()
        return self

    async def __anext__(self) -> bytes:
        try:
            part: bytes = await self._parts.__anext__()
        except StopAsyncIteration:
            self._lease.complete()
            raise
        return part

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._bodyless and self._parts is None:
                async for _ in self:  # nothing: h11 wants to be asked before it says so
                    pass
            if hasattr(self._stream, "aclose"):
                await self._stream.aclose()
        except BaseException:
            self._lease.close()
            raise
        self._lease.give_back()
