"""What a ledger costs: per row, in throughput, over several workers, in memory and on the disk.

    python -m tests.tools.jobs_cost [stream [ROWS] | batches | throughput | workers | sizes]

stream: a long source, its first message and its memory. batches: the ledger's cost of a row. throughput: a campaign on
a file, compared with httpx alone. workers: one, two and four processes on PostgreSQL. sizes: bytes of a row there.

Figures for docs/guide/jobs.md; each depends on the machine, so they are compared with a bare loop where they can be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from llamadapro import AsyncLlamadaPro
from llamadapro_jobs.ledger import Ledger, NewUnit, Outcome, Turn
from llamadapro_jobs.opening import open_ledger
from tests.clocks import FakeClock
from tests.openapi import path_of
from tests.postgres import PostgresServer, find_binaries
from tests.tools.jobs_chaos import COMMON, number

SERVER = """
import asyncio, sys
body = b'{"id": "m1"}'
answer = b"HTTP/1.1 201 Created\\r\\nContent-Type: application/json\\r\\nContent-Length: 12\\r\\n\\r\\n" + body
async def accept(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            await reader.readexactly(length)
            if delay: await asyncio.sleep(delay)
            writer.write(answer)
    except Exception: writer.close()
async def main():
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
delay = float(sys.argv[1])
asyncio.run(main())
"""
WORKER = """
import asyncio, sys
from llamadapro import AsyncLlamadaPro
async def main(url, ledger, places):
    async with AsyncLlamadaPro("key", url) as client:
        await client.messages.send_many(None, ledger=ledger, run="run", concurrency=int(places))
asyncio.run(main(*sys.argv[1:]))
"""


@contextlib.asynccontextmanager
async def served(delay: float) -> AsyncIterator[str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, str(delay), stdout=pipe)
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    process.kill()
    await process.wait()


def people(count: int) -> Iterator[dict[str, Any]]:
    for place in range(count):
        yield {"to": number(place), "variables": [f"Zoë {place}"]}


async def cost_per_row(address: str, batch: int, rows: int) -> float:
    """Milliseconds of a row in the ledger alone: added, claimed and settled in batches."""
    ledger: Ledger = open_ledger(address, FakeClock(), "job")
    await ledger.begin(f"batch {batch}", {"operation": "x", "base_url": "x"})
    payload = '{"to": "+56900000000", "variables": ["Zoe"]}'
    units = [NewUnit(place, number(place), payload) for place in range(rows)]
    for first in range(0, rows, 500):
        await ledger.turn(Turn(add=units[first : first + 500]))
    began, settle = time.perf_counter(), []
    for _ in range(rows // batch + 1):
        granted = await ledger.turn(Turn(settle=settle, places=batch))
        settle = [Outcome(claim.id, claim.attempt, "sent", "message_1") for claim in granted.claims]
    took = time.perf_counter() - began
    await ledger.close()
    return took / rows * 1000


async def bare_loop(url: str, rows: int, concurrency: int) -> float:
    """Messages a second of httpx alone."""
    source, path = people(rows), path_of("CreateTemplateMessage")
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": "key"}) as client:

        async def work() -> None:
            for row in source:
                body = {"toPhoneNumber": row["to"], "fromPhoneNumber": COMMON["from_"], "templateName": "welcome"}
                body |= {"languageCode": "en", "variables": [{"value": row["variables"][0]}]}
                (await client.post(path, json=body)).json()

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        return rows / (time.perf_counter() - began)


async def campaign(url: str, address: str, rows: int, concurrency: int) -> float:
    async with AsyncLlamadaPro("key", url) as client:
        began = time.perf_counter()
        report = await client.messages.send_many(
            people(rows), common=COMMON, ledger=address, run="run", concurrency=concurrency
        )
        assert report.complete, str(report)
        return rows / (time.perf_counter() - began)


async def workers(url: str, address: str, rows: int, count: int, places: int = 20) -> float:
    """Messages a second of so many processes on one run."""
    about = {"operation": "send_template", "base_url": url, "common": COMMON, "key": "to"}
    ledger = open_ledger(address, FakeClock(), "job")
    await ledger.begin("run", about)
    for first in range(0, rows, 500):
        units = [NewUnit(place, number(place), f'{{"to": "{number(place)}"}}') for place in range(first, first + 500)]
        await ledger.turn(Turn(add=units))
    await ledger.close()
    ledger = open_ledger(address, FakeClock(), "job")
    await ledger.begin("run", about, join=True)
    command = [sys.executable, "-c", WORKER, url, address, str(places)]
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(count)]
    while (await ledger.runs())[0].workers < count:  # noqa: ASYNC110 - the start of the processes is not measured
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    already, began = (await ledger.counts())["sent"], time.perf_counter()
    while (counts := await ledger.counts()).get("sent", 0) < rows * 0.9:  # noqa: ASYNC110
        await asyncio.sleep(0.2)  # to look costs the cores that are measured
    speed = (counts["sent"] - already) / (time.perf_counter() - began)
    for process in processes:
        await process.wait()
    await ledger.close()
    return speed


async def stream(rows: int, address: str) -> str:
    """A long source, stopped when it has been read: when its first message leaves, and how much memory it takes."""
    first = 0.0
    began = time.perf_counter()

    def take(request: httpx.Request) -> httpx.Response:
        nonlocal first
        first = first or time.perf_counter() - began
        return httpx.Response(201, json={"id": "m"})

    def source() -> Iterator[dict[str, Any]]:
        nonlocal began
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for place, row in enumerate(people(rows)):
            if place == rows // 10:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            yield row
        grown.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
        raise StopAsyncIteration

    grown: list[float] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as http:
        client = AsyncLlamadaPro("key", "http://service", http_client=http)
        with contextlib.suppress(Exception):
            await client.messages.send_many(source(), common=COMMON, ledger=address, rate=50)
    took = time.perf_counter() - began
    return (
        f"{rows:,} rows read in {took:.0f} s, the first message after {first:.2f} s, {grown[0]:.1f} MB more after the "
        f"first tenth, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB, "
        f"{os.path.getsize(address) / rows:.0f} bytes a row on the disk"  # noqa: ASYNC240
    )


async def sizes(address: str, rows: int) -> str:
    import psycopg

    parts = ("llamadapro_units", "llamadapro_units_pkey", "llamadapro_units_run_key_key", "llamadapro_units_pending")
    async with await psycopg.AsyncConnection.connect(address) as connection:
        total = await (await connection.execute("select pg_total_relation_size('llamadapro_units')")).fetchone()
        found = []
        for part in parts:
            row = await (await connection.execute("select pg_relation_size(%s::regclass)", (part,))).fetchone()
            assert row is not None
            found.append(f"{part.removeprefix('llamadapro_')} {row[0] / rows:.0f}")
    assert total is not None
    return f"{total[0] / rows:.0f} bytes a row in all; " + ", ".join(found)


async def show_stream(folder: str, server: PostgresServer, rows: int = 1_000_000) -> None:
    print("stream:", await stream(rows, f"{folder}/stream.ledger"))


async def show_batches(folder: str, server: PostgresServer) -> None:
    for name, address in (("SQLite", None), ("PostgreSQL", server.new_database())):
        costs = [
            f"{batch}: {await cost_per_row(address or f'{folder}/{batch}.ledger', batch, 40 * batch):.2f}"
            for batch in (1, 10, 50, 200)
        ]
        print(f"ms of a row in {name} at batches of", ", ".join(costs), flush=True)


async def show_throughput(folder: str, server: PostgresServer) -> None:
    async with served(0.0) as url:
        for concurrency in (20, 100):
            bare = [await bare_loop(url, 3_000, concurrency) for _ in range(3)]
            ours = [
                await campaign(url, f"{folder}/{concurrency}.{turn}.ledger", 3_000, concurrency) for turn in range(3)
            ]
            print(
                f"a second, {concurrency} at once: httpx alone {max(bare):,.0f}, "
                f"a campaign on a file {max(ours):,.0f}: {max(ours) / max(bare):.2f}"
            )


async def show_workers(folder: str, server: PostgresServer) -> None:
    async with served(0.1) as url:
        one = 0.0
        for count in (1, 2, 4):
            speed = await workers(url, server.new_database(), 3_000 * count, count)
            one = one or speed
            print(f"{count} workers on PostgreSQL: {speed:,.0f} a second, {speed / one:.2f}", flush=True)


async def show_sizes(folder: str, server: PostgresServer) -> None:
    address = server.new_database()
    await cost_per_row(address, 500, 100_000)
    print("PostgreSQL:", await sizes(address, 100_000))


PARTS = {
    "stream": show_stream,
    "batches": show_batches,
    "throughput": show_throughput,
    "workers": show_workers,
    "sizes": show_sizes,
}


async def main(parts: list[str], *rows: int) -> None:
    binaries = find_binaries()
    assert binaries is not None, "install PostgreSQL"
    server = PostgresServer(binaries, fsync=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for part in parts:
                await PARTS[part](folder, server, *rows)
    finally:
        server.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:2] or [*PARTS], *map(int, sys.argv[2:])))
