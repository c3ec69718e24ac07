"""The rate limit as the server sees it: served in full, and never exceeded, whoever gives up waiting.

    python -m tests.tools.rates [--rate 20] [--seconds 10]

For each engine: patient callers, callers with a timeout of their own, callers that are cancelled at random, deadlines
too short for the queue, four threads with a loop each, and a loop that is blocked for two seconds. Then a campaign of
three processes whose clocks differ by half a second, where five seconds are looked at: what a process sends first has
to wait for its connection. Prints what arrived; exits with 1 if that is not 90 to 105 % of the rate, or if more came
within any second (or five) than may.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from llamadapro import APITimeoutError
from llamadapro._transport import SystemClock
from tests.faults.cases import BY_NAME, good
from tests.faults.clients import OWN, available, client_for
from tests.faults.server import Outcome, Received, fault_server
from tests.jobs.test_workers import load, start
from tests.postgres import PostgresServer, find_binaries
from tests.tools import jobs_chaos

GET = BY_NAME["contacts.get"]
WORKERS = 12
Caller = Callable[[Any, random.Random], Awaitable[None]]


async def patient(client: Any, _chance: random.Random) -> None:
    await GET.call(client)


async def impatient(client: Any, _chance: random.Random) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.4):
            await GET.call(client)


async def cancelled(client: Any, chance: random.Random) -> None:
    call = asyncio.ensure_future(GET.call(client))
    await asyncio.wait([call], timeout=chance.uniform(0.01, 1.0))
    call.cancel()
    await asyncio.wait([call])


async def hurried(client: Any, _chance: random.Random) -> None:
    with suppress(APITimeoutError):
        await GET.call(client.with_options(deadline=0.3))
    await asyncio.sleep(0.01)


CALLERS: dict[str, Caller] = {
    "patient": patient,
    "timeouts of their own": impatient,
    "cancelled at random": cancelled,
    "short deadlines": hurried,
}


async def work(client: Any, caller: Caller, end: float, seed: int) -> None:
    chance = random.Random(seed)
    while time.monotonic() < end:
        await caller(client, chance)


async def block(end: float) -> None:
    await asyncio.sleep((end - time.monotonic()) / 2)
    time.sleep(2)


def measure(engine: str, name: str, rate: float, seconds: float) -> list[float]:
    """When requests arrived, in seconds since the first."""
    arrived: list[float] = []

    def note(_received: Received) -> Outcome:
        arrived.append(time.monotonic())
        return good(GET)

    async def run(client: Any, callers: list[Caller], end: float, *more: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(work(client, one, end, seed)) for seed, one in enumerate(callers)]
        await asyncio.wait([*tasks, *map(asyncio.ensure_future, more)], timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def main() -> None:
        async with client_for(engine, site.url, rate_limit=rate, clock=SystemClock(), deadline=60.0) as client:
            end = time.monotonic() + seconds
            if name == "four threads":
                callers = [patient, impatient, cancelled]
                threads = [threading.Thread(target=lambda: asyncio.run(run(client, callers, end))) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    await asyncio.to_thread(thread.join)
            elif name == "blocked loop":
                await run(client, [patient] * WORKERS, end, block(end))
            else:
                await run(client, [CALLERS[name]] * (WORKERS - 1) + [patient], end)

    with fault_server().site(then=note) as site:
        asyncio.run(main())
    return [at - arrived[0] for at in arrived]


async def measure_workers(rate: float, seconds: float, server: PostgresServer) -> list[float]:
    service, address = jobs_chaos.Service(), server.new_database()
    async with service.serve() as url:
        await load(address, url, int(rate * seconds), rate)
        processes = [await start(off, url, address) for off in (-0.5, 0.0, 0.5)]
        for process in processes:
            await process.communicate()
    return [at - min(service.moments) for at in sorted(service.moments)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.rates", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    failed = 0

    def judge(who: str, name: str, arrived: list[float], seconds: float, window: int = 1) -> None:
        nonlocal failed
        share = len(arrived) / (chosen.rate * seconds)
        most = max(sum(start <= at < start + window for at in arrived) for start in arrived)
        good_rate = 0.9 <= share <= 1.05 + 1 / len(arrived) and most <= 1.05 * chosen.rate * window + 1
        failed += not good_rate
        print(
            f"{who:8} {name:22} {len(arrived):4} arrived, {share:5.0%} of the rate, at most {most:3} in {window} s"
            f"{'' if good_rate else '   <- not as promised'}",
            flush=True,
        )

    for engine in filter(available, OWN):
        for name in (*CALLERS, "four threads", "blocked loop"):
            lost = 2.0 if name == "blocked loop" else 0.0
            judge(engine, name, measure(engine, name, chosen.rate, chosen.seconds), chosen.seconds - lost)
    if binaries := find_binaries():
        server = PostgresServer(binaries)
        arrived = asyncio.run(measure_workers(chosen.rate, chosen.seconds, server))
        judge("jobs", "clocks that differ", arrived, arrived[-1] + 1 / chosen.rate, window=5)
        server.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
