"""The other end, in a process of its own: the least that speaks HTTP/1.1, so that what is measured is the client.

A path may begin with /slow (each answer takes 20 ms) or /of/<total> (how many contacts there are in all).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import orjson

from benchmarks import data

DELAY = 0.02
PAGE = 100
_BLOCK = bytes(2**18)


def _answer(body: object) -> bytes:
    content = orjson.dumps(body)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content


MESSAGE = _answer(data.LAST_MESSAGE)
FIXED = {
    "/api/v1/contacts/1001": _answer(data.contact(1001)),
    "/v1/files": _answer(data.openai_files()),
    "/repos/o/r/labels": _answer(data.github_labels()),
    "/v1/customers": _answer(data.stripe_customers()),
    "/api/v1/contacts?pageSize=20": _answer(data.contact_page(20)),
}


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, received: bytes) -> None:
        self._buffer += received
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            method, target, _ = head.split(b" ", 2)
            self._serve(method, target.decode())

    def _serve(self, method: bytes, target: str) -> None:
        if method == b"POST":
            self._transport.write(MESSAGE)
            return
        known = FIXED.get(target) or FIXED.get(target.partition("?")[0])
        if known is not None:
            self._transport.write(known)
        elif target.startswith("/bytes/"):
            self._start(self._send_bytes(int(target.rpartition("/")[2])))
        elif target.startswith("/slow/"):
            page = _contacts(target[5:])
            asyncio.get_running_loop().call_later(DELAY, self._transport.write, page)
        else:
            self._transport.write(_contacts(target))

    def _start(self, sending: asyncio.Future[None] | object) -> None:
        task = asyncio.ensure_future(sending)  # type: ignore[type-var]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_bytes(self, size: int) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: %d\r\n\r\n" % size)
        while size > 0 and not self._transport.is_closing():
            self._transport.write(_BLOCK[:size])
            size -= len(_BLOCK)
            await self._writable.wait()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._writable.set()


def _contacts(target: str) -> bytes:
    parts = urlsplit(target)
    total = int(parts.path.split("/")[2]) if parts.path.startswith("/of/") else PAGE
    query = parse_qs(parts.query)
    start, size = int(query.get("pageToken", ["1"])[0]), int(query.get("pageSize", [str(PAGE)])[0])
    return _answer(data.contact_page(size, start, total))


async def main() -> None:
    make: Callable[[], Connection] = Connection
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
