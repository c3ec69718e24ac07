"""Long lists: memory while they are walked, and what it brings to fetch the next page ahead."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from benchmarks.measure import Contender, Measure, Row, Work

PAUSE = 0.02
PAGES = 25


def walk(total: int) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        from llamadapro import AsyncLlamadaPro

        async with AsyncLlamadaPro("key", f"{address}/of/{total}") as client:

            async def work(_count: int) -> Mapping[str, float]:
                await client.contacts.list(page_size=100)  # what is loaded at the first use does not count
                tracemalloc.start()
                seen = 0
                async for _ in client.contacts.list(page_size=100):
                    seen += 1
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                if seen != total:
                    raise SystemExit(f"{seen} contacts walked, {total} there")
                return {"peak": peak}

            yield work

    return contender


def consume(*, prefetch: bool, blocking: bool) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        from llamadapro import AsyncLlamadaPro

        async with AsyncLlamadaPro("key", f"{address}/slow/of/{PAGES * 100}") as client:

            async def work(_count: int) -> None:
                async for _ in client.contacts.list(page_size=100, prefetch=prefetch).iter_pages():
                    if blocking:
                        time.sleep(PAUSE)  # noqa: ASYNC251  (a consumer that blocks is what is measured)
                    else:
                        await asyncio.sleep(PAUSE)

            yield work

    return contender


MEMORY = Measure(
    "memory", {"100,000": walk(100_000), "30,000": walk(30_000)}, warm=0, rounds=1, quick_rounds=0, fresh=True
)
AHEAD = Measure(
    "ahead",
    {
        f"{'blocking' if blocking else 'async'}{', ahead' if prefetch else ''}": consume(
            prefetch=prefetch, blocking=blocking
        )
        for blocking in (False, True)
        for prefetch in (False, True)
    },
    rounds=3,
    quick_rounds=1,
)
MEASURES = [MEMORY, AHEAD]

_AHEAD = f"prefetch over {PAGES} pages, 20 ms for the service and 20 ms for the consumer: times as fast"
ROWS = [
    Row(
        "100,000 contacts iterated: traced peak, MiB",
        "memory",
        "100,000",
        bar=8,
        figure="peak",
        scale=2**-20,
        unit="MiB",
    ),
    Row("the same, vs the peak at 30,000", "memory", "100,000", "30,000", 1.2, figure="peak"),
    Row(f"{_AHEAD}, async consumer", "ahead", "async", "async, ahead", 1.75, at_least=True, figure="wall"),
    Row(f"{_AHEAD}, blocking consumer", "ahead", "blocking", "blocking, ahead", 1.75, at_least=True, figure="wall"),
]
