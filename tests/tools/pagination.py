"""`make pages`: 100,000 contacts of the sandbox walked with flat memory, and what prefetching gains (some minutes).

Exits 1 when the count is wrong, when the traced peak at 100,000 is more than 1.2 times that at 30,000 or above 8 MiB,
when a walk that is left early leaves a task, or when prefetching gains less than 1.5 times.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from llamadapro import AsyncLlamadaPro

PAGE = 100
CONTACT = {
    "tenantId": "t",
    "firstName": "Jane",
    "lastName": "Doe",
    "createdAt": "2026-01-02T03:04:05.678Z",
    "updatedAt": "2026-01-02T03:04:05.678Z",
    "customFields": {"source": "web"},
    "addresses": [{"id": 1, "channelType": "PHONE", "address": "+56912345678", "createdAt": "2026-01-02T03:04:05Z"}],
}

PERSON = {"firstName": "Jane", "customFields": {"source": "web"}}


class Service:
    """A list of `total` contacts, each page of which takes `delay` seconds."""

    def __init__(self, total: int, delay: float = 0.0) -> None:
        self.total = total
        self.delay = delay

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1].decode()
                start = int(target.partition("pageToken=")[2].partition("&")[0] or 0)
                await asyncio.sleep(self.delay)
                items = [{"id": start + n, **CONTACT} for n in range(min(PAGE, self.total - start))]
                more = {"nextPageToken": str(start + PAGE)} if start + PAGE < self.total else {}
                body = orjson.dumps({"items": items, "totalCount": self.total, **more})
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def peak_of_a_walk(total: int) -> int:
    """Walk that many contacts of a sandbox in another process; the traced peak of this one."""
    with tempfile.TemporaryDirectory() as scratch:
        seed = Path(scratch) / "seed.json"
        seed.write_bytes(orjson.dumps({"contacts": [{**PERSON, "lastName": f"Doe {n}"} for n in range(total)]}))
        command = ("-m", "llamadapro_sandbox", "--port", "0", "--seed", str(seed))
        sandbox = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        try:
            assert sandbox.stdout is not None
            address = (await sandbox.stdout.readline()).decode().split(" on ")[1].strip()
            return await _peak(address, total)
        finally:
            sandbox.terminate()
            await sandbox.wait()


async def _peak(address: str, total: int) -> int:
    async with AsyncLlamadaPro("sandbox", address) as client:
        await client.contacts.list(page_size=PAGE)  # what is loaded at the first use does not count
        tracemalloc.start()
        count = 0
        async for _ in client.contacts.list(page_size=PAGE):
            count += 1
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if count != total:
        raise SystemExit(f"{count} contacts walked, {total} there")
    return peak


async def timed(address: str, consume: Callable[[], Awaitable[Any]], *, prefetch: bool) -> float:
    async with AsyncLlamadaPro("key", address) as client:
        await client.contacts.list(page_size=PAGE)
        started = time.perf_counter()
        async for _ in client.contacts.list(page_size=PAGE, prefetch=prefetch).iter_pages():
            await consume()
        return time.perf_counter() - started


async def asynchronous() -> None:
    await asyncio.sleep(0.02)


async def blocking() -> None:
    time.sleep(0.02)  # a consumer that blocks the loop is what is measured


async def tasks_left_by_leaving() -> int:
    async with Service(1000) as address, AsyncLlamadaPro("key", address) as client:
        before = asyncio.all_tasks()
        async for _ in client.contacts.list(page_size=PAGE, prefetch=True):
            break
        for _ in range(10):
            await asyncio.sleep(0)
        return len([task for task in asyncio.all_tasks() - before if "_serve" not in repr(task)])


async def main() -> int:
    failed = 0
    small, large = await peak_of_a_walk(30_000), await peak_of_a_walk(100_000)
    print("30,000 and 100,000 contacts walked, each counted")
    print(f"peak: {small / 2**20:.2f} MiB at 30,000, {large / 2**20:.2f} MiB at 100,000 (ratio {large / small:.2f})")
    failed += large > 8 * 2**20 or large > 1.2 * small
    # In a process of its own: a consumer that blocks must not block the service too.
    service = await asyncio.create_subprocess_exec(sys.executable, __file__, "--serve", stdout=asyncio.subprocess.PIPE)
    try:
        assert service.stdout is not None
        address = (await service.stdout.readline()).decode().strip()
        for consume in (asynchronous, blocking):
            plain = await timed(address, consume, prefetch=False)
            ahead = await timed(address, consume, prefetch=True)
            print(f"prefetch, 25 pages, 20 ms + 20 ms, {consume.__name__} consumer: {plain / ahead:.2f} times as fast")
            failed += plain / ahead < 1.5
    finally:
        service.terminate()
        await service.wait()
    left = await tasks_left_by_leaving()
    print(f"tasks left by a walk that was left early: {left}")
    return 1 if failed or left else 0


async def serve() -> None:
    async with Service(25 * PAGE, delay=0.02) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(serve() if sys.argv[1:] == ["--serve"] else main()))
