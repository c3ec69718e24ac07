"""Many messages on a file ledger, compared with a loop of plain httpx that keeps none."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.cases.calls import FROM, TEXT, raw_httpx
from benchmarks.measure import Measure, Row, Work

CONCURRENCY = 20


@asynccontextmanager
async def send_many(address: str) -> AsyncIterator[Work]:
    from llamadapro import AsyncLlamadaPro

    with tempfile.TemporaryDirectory() as folder:
        async with AsyncLlamadaPro("key", address) as client:
            campaigns = iter(range(1_000_000))

            async def work(count: int) -> None:
                await client.messages.send_many(
                    _rows(count),
                    operation="send_text",
                    common={"from_": FROM, "text": TEXT},
                    key="to",
                    ledger=Path(folder, f"{next(campaigns)}.ledger"),
                    concurrency=CONCURRENCY,
                )

            yield work


def _rows(count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        yield {"to": f"+569{number:08d}"}


MEASURES = [
    Measure(
        "send_many",
        {"bare httpx loop": raw_httpx("send", CONCURRENCY), "llamadapro": send_many},
        count=4000,
        quick_count=1000,
        warm=50,
        rounds=5,
        quick_rounds=2,
    )
]
ROWS = [
    Row(
        "send_many on a file ledger, wall time vs a bare httpx loop, 20 at once",
        "send_many",
        "llamadapro",
        "bare httpx loop",
        bar=1.25,
        figure="wall",
    )
]
