"""What belongs to one event loop of one process: its connections, its sessions, its semaphores.

asyncio's sockets and locks work in the loop that made them and nowhere else. A client outlives loops (several
`asyncio.run`, Celery tasks, Django views), is shared by threads that run one each, and is inherited by forked
processes; so whatever is bound to a loop is asked for here.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")

CLOSE_TIMEOUT = 2.0
"""Seconds that closing waits for a loop in another thread, which may be blocked."""


class LoopLocal(Generic[T]):
    """One value per running event loop, made when the loop first asks for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # Its operations are atomic, so that threads need no lock, which a fork could inherit while it is held.
        self._values: dict[asyncio.AbstractEventLoop, T] = {}
        self._process = os.getpid()

    def get(self) -> T:
        """The running loop's value."""
        loop = asyncio.get_running_loop()
        if self._process != os.getpid():
            self.start_anew()
        value = self._values.get(loop)
        return self._add(loop) if value is None else value

    def start_anew(self) -> None:
        """In a forked process: forget what belongs to the parent."""
        self._process = os.getpid()
        self._values.clear()

    def _add(self, loop: asyncio.AbstractEventLoop) -> T:
        for ended in [other for other in list(self._values) if other.is_closed()]:
            self._remove(ended)
        value = self._values[loop] = self._make()
        return value

    def _remove(self, loop: asyncio.AbstractEventLoop) -> None:
        self._values.pop(loop, None)


class Connections(Protocol):
    """One loop's connections. Only a closed client's are closed for good; a loop that goes on may ask for new ones."""

    async def aclose(self, *, for_good: bool) -> None:
        """Close all, in their own loop."""
        ...

    def abort(self, *, for_good: bool) -> None:
        """Close all at once, in their own loop."""
        ...

    def abandon(self) -> None:
        """Close for good without the loop, which does not run, or has ended."""
        ...

    def disown(self) -> None:
        """Close this process's descriptors, and do nothing else: the connections are the parent process's."""
        ...


C = TypeVar("C", bound=Connections)


class LoopConnections(LoopLocal[C]):
    """One set of connections per running event loop; they are closed when their loop ends, or when the client does.

    They must not refer to this: it could not be collected, nor close them then.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        super().__init__(make)
        self._watchers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}
        self._closed = False
        _all.add(self)
        weakref.finalize(self, _abandon_unattended, self._values)

    async def aclose(self) -> None:
        """Close the connections of all loops, from any of them, for good."""
        self._closed = True
        here, elsewhere = asyncio.get_running_loop(), []
        for loop, connections in list(self._values.items()):
            if loop is here:
                await connections.aclose(for_good=True)
            elif (closing := _abort_in(loop, connections)) is not None:
                elsewhere.append(asyncio.wrap_future(closing))
            else:
                connections.abandon()
        if elsewhere:
            _, blocked = await asyncio.wait(elsewhere, timeout=CLOSE_TIMEOUT)
            for closing_later in blocked:
                closing_later.cancel()

    def start_anew(self) -> None:
        # Kept for good: were they collected here, they would unregister the parent's sockets from its selector.
        _abandoned.append((dict(self._values), dict(self._watchers)))
        for connections in list(self._values.values()):
            connections.disown()
        super().start_anew()
        self._watchers.clear()

    def _add(self, loop: asyncio.AbstractEventLoop) -> C:
        connections = super()._add(loop)
        watcher = self._watchers[loop] = _close_with_loop(connections)
        with suppress(StopIteration):  # started, it is known to the loop
            watcher.__anext__().send(None)
        if self._closed:  # by another thread, while a request was on its way here
            connections.abort(for_good=True)
        return connections

    def _remove(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watchers.pop(loop, None)
        connections = self._values.pop(loop, None)
        if connections is not None:
            connections.abandon()


async def _close_with_loop(connections: Connections) -> AsyncGenerator[None]:
    """Closes the connections when it is closed: `loop.shutdown_asyncgens()` does that as asyncio.run's last act.

    The loop does it too when this is collected, that is, when a client was dropped without having been closed.
    """
    try:
        yield
    finally:
        await connections.aclose(for_good=False)


def _abort_in(loop: asyncio.AbstractEventLoop, connections: Connections) -> Future[None] | None:
    """Abort the connections in their loop, which runs in another thread; None if it does not run."""
    closing: Future[None] = Future()

    def abort() -> None:
        try:
            connections.abort(for_good=True)
        finally:
            if closing.set_running_or_notify_cancel():  # somebody still waits for it
                closing.set_result(None)

    if not loop.is_running():
        return None
    try:
        loop.call_soon_threadsafe(abort)
    except RuntimeError:  # it has ended meanwhile
        return None
    return closing


def _abandon_unattended(values: dict[asyncio.AbstractEventLoop, Any]) -> None:
    """At the end of a client that nobody has closed, or of the process."""
    for loop, connections in list(values.items()):
        if not loop.is_running():
            connections.abandon()


_all: weakref.WeakSet[LoopConnections[Any]] = weakref.WeakSet()
_abandoned: list[Any] = []


def _start_anew_in_child() -> None:
    for connections in list(_all):
        connections.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew_in_child)
