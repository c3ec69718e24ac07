"""A campaign of three workers that are killed, stopped and cut off from their ledger; counted at the service.

    python -m tests.tools.jobs_chaos [rows] [kills]

Each worker is a process of its own. They get SIGKILL, and SIGSTOP for longer than their lease; PostgreSQL is crashed
twice; the service loses 2 % of its answers, and says 429, 400 and 503. The same then on a SQLite file, one worker after
the other. Held against the promise:

- no number receives two messages;
- every row is in exactly one state at the end, and none is left;
- what is `sent` was received, what is `refused` was not.

Prints figures; exits with 1 if any of this does not hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llamadapro import AsyncLlamadaPro, LlamadaProError
from tests.postgres import PostgresServer, find_binaries

LEASE = 1.0
COMMON = {"from_": "+56911111111", "template_name": "welcome", "language_code": "en"}


def number(place: int) -> str:
    return f"+569{place:08d}"


class Service:
    """An HTTP server of a few lines: what it takes it counts, whatever becomes of its answer; without a seed, no fault.

    Used by tests as well.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.moments: list[float] = []
        self._faults = seed is not None
        self.received: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.begun = asyncio.Event()
        self._chance = random.Random(seed)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
                )
                body = json.loads(await reader.readexactly(length))
                answer = self._answer(body["toPhoneNumber"])
                await asyncio.sleep(0.02)
                if answer is None:
                    break
                status, more = answer
                content = b'{"id": "message_1"}'
                writer.write(
                    f"HTTP/1.1 {status} X\r\n{more}Content-Type: application/json\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n".encode()
                    + content
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    def _answer(self, to: str) -> tuple[int, str] | None:
        kind = self._chance.random() if self._faults else 1.0
        if self._faults and int(to[-4:]) % 50 == 0:
            self.answers["400"] += 1
            return 400, ""
        if kind < 0.03:
            self.answers["429"] += 1
            return 429, "Retry-After: 0.3\r\n"
        if kind < 0.04:
            self.answers["503, not taken"] += 1
            return 503, ""
        self.received[to] += 1
        self.moments.append(time.monotonic())
        self.begun.set()
        if kind < 0.05:
            self.answers["503, taken"] += 1
            return 503, ""
        if kind < 0.07:
            self.answers["lost"] += 1
            return None
        self.answers["taken"] += 1
        return 201, ""


@dataclass
class Outcome:
    figures: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violations.append(otherwise)

    def __str__(self) -> str:
        return "\n".join([*self.figures, *(f"VIOLATION: {one}" for one in self.violations)])


# --- a worker, in a process of its own -------------------------------------------------------------------------------


def open_ledger(address: str) -> Any:
    """The ledger as users have it, but for a lease that lets the proof end soon."""
    if address.startswith("postgresql:"):
        from llamadapro_jobs.postgres import PostgresLedger

        return PostgresLedger(address, lease=LEASE)
    return address


def source(rows: int) -> Iterator[dict[str, Any]]:
    for place in range(rows):
        yield {"to": number(place), "variables": [f"Zoë {place}"]}


async def work(url: str, address: str, rows: int, rate: float) -> int:
    async with AsyncLlamadaPro("key", url, timeout=5.0, max_retries=0) as client:
        try:
            report = await client.messages.send_many(
                source(rows),
                common=COMMON,
                ledger=open_ledger(address),
                run="chaos",
                rate=rate,
                concurrency=10,
                stop_after=200,
            )
        except LlamadaProError as error:  # a database that is down, also
            print(error, file=sys.stderr)
            return 2
    return 0 if report.pending == 0 else 1


class Worker:
    """Started when it is made, and again whenever it is killed."""

    def __init__(self, *arguments: Any) -> None:
        self._command = [sys.executable, "-m", "tests.tools.jobs_chaos", "worker", *map(str, arguments)]
        self._process: asyncio.subprocess.Process | None = None
        self.code: int | None = None

    async def start(self) -> None:
        self.code = None
        self._process = await asyncio.create_subprocess_exec(*self._command, cwd=Path(__file__).parents[2])

    async def signal(self, number: int) -> bool:
        """Whether there was somebody to get it."""
        assert self._process is not None
        if self._process.returncode is not None:
            return False
        self._process.send_signal(number)
        return True

    async def wait(self) -> int:
        assert self._process is not None
        self.code = await self._process.wait()
        return self.code


# --- the proof -------------------------------------------------------------------------------------------------------


async def prove(rows: int, kills: int, server: PostgresServer | None, folder: Path, seed: int = 7) -> Outcome:
    """With PostgreSQL three workers; without, one after the other on a file."""
    outcome, service, chance = Outcome(), Service(seed), random.Random(seed)
    address = server.new_database() if server is not None else str(folder / "chaos.ledger")
    began = time.monotonic()
    stops = crashes = killed = 0
    async with service.serve() as url:
        # Slow enough that there is something left to send when the last of them is killed.
        rate = rows / (kills * 0.5 + 4)
        workers = [Worker(url, address, rows, rate) for _ in range(3 if server is not None else 1)]
        for worker in workers:
            await worker.start()
        await service.begun.wait()
        while killed < kills:
            await asyncio.sleep(chance.uniform(0.1, 0.5))
            worker = chance.choice(workers)
            if (
                server is not None
                and killed in (kills // 3, 2 * kills // 3)
                and crashes < 2
                and killed >= crashes * kills // 3
            ):
                crashes += 1
                server.crash()
                await asyncio.sleep(0.2)
                await asyncio.to_thread(server.start)
            if server is not None and killed % 5 == 2 and await worker.signal(signal.SIGSTOP):
                stops += 1
                await asyncio.sleep(LEASE * 1.5)
                await worker.signal(signal.SIGCONT)
            if await worker.signal(signal.SIGKILL):
                await worker.wait()
                killed += 1
                await worker.start()
            elif await worker.wait() == 0:
                break
            else:
                await worker.start()
        for worker in workers:
            for _ in range(20):
                if await worker.wait() == 0:
                    break
                await worker.start()
        took = time.monotonic() - began
        states = await read_states(address)
    compare(outcome, rows, states, service.received)
    outcome.must(killed == kills, f"only {killed} of {kills} workers were killed before all was sent")
    outcome.must(server is None or crashes == 2, f"PostgreSQL crashed {crashes} times")
    counts = Counter(state for listed in states.values() for state in listed)
    outcome.figures = [
        f"{rows:,} rows, {len(workers)} workers, {killed} SIGKILL, {stops} SIGSTOP longer than the lease, "
        f"{crashes} crashes of the database; {took:.0f} s",
        "  answers: " + ", ".join(f"{count:,} {name}" for name, count in service.answers.most_common()),
        "  states: " + ", ".join(f"{count:,} {name}" for name, count in counts.most_common()),
        f"  of the unknown, received: {sum(service.received[key] for key, at in states.items() if 'unknown' in at):,}",
        f"  twice {sum(count > 1 for count in service.received.values())}, lost {rows - len(states)}",
    ]
    return outcome


async def read_states(address: str) -> dict[str, list[str]]:
    """The states of each key; from outside, by the ledger's own table."""
    query = "select key, state from llamadapro_units where key is not null"
    if address.startswith("postgresql:"):
        import psycopg

        async with await psycopg.AsyncConnection.connect(address) as connection:
            found = await (await connection.execute(query)).fetchall()
    else:
        import sqlite3

        with contextlib.closing(sqlite3.connect(address)) as database:
            found = database.execute(query).fetchall()
    states: dict[str, list[str]] = {}
    for key, state in found:
        states.setdefault(key, []).append(state)
    return states


def compare(outcome: Outcome, rows: int, states: dict[str, list[str]], received: Counter[str]) -> None:
    everyone = {number(place) for place in range(rows)}
    twice = [key for key, count in received.items() if count > 1]
    outcome.must(not twice, f"{len(twice)} numbers received two messages, such as {twice[:3]}")
    outcome.must({*states} == everyone, f"{len({*states} ^ everyone)} rows are lost or strange")
    several = [key for key, listed in states.items() if len(listed) != 1]
    outcome.must(not several, f"{len(several)} rows are in several states, such as {several[:3]}")
    left = [key for key, listed in states.items() if listed[0] not in ("sent", "refused", "unknown")]
    outcome.must(not left, f"{len(left)} rows are left, such as {left[:3]} in {[states[key] for key in left[:3]]}")
    unsent = [key for key, listed in states.items() if listed == ["sent"] and not received[key]]
    outcome.must(not unsent, f"{len(unsent)} rows are sent and were not received, such as {unsent[:3]}")
    taken = [key for key, listed in states.items() if listed == ["refused"] and received[key]]
    outcome.must(not taken, f"{len(taken)} rows are refused and were received, such as {taken[:3]}")


def main() -> int:
    if sys.argv[1:2] == ["worker"]:
        url, address, rows, rate = sys.argv[2:]
        return asyncio.run(work(url, address, int(rows), float(rate)))
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 8_000
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    binaries = find_binaries()
    assert binaries is not None, "install PostgreSQL"
    server = PostgresServer(binaries)
    violations = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, ledger, count in (("PostgreSQL", server, rows), ("SQLite", None, rows // 4)):
                outcome = asyncio.run(prove(count, kills if ledger else kills // 3, ledger, Path(folder)))
                print(f"{name}: {outcome}", flush=True)
                violations += len(outcome.violations)
        finally:
            server.stop()
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
