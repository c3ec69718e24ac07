"""A sorted page of the sandbox's contacts, among few records and among many; in process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.measure import Contender, Measure, Row, Work

_BATCH = 1000


def sorted_page(contacts: int) -> Contender:
    @asynccontextmanager
    async def contender(_address: str) -> AsyncIterator[Work]:
        import httpx

        from llamadapro import AsyncLlamadaPro
        from llamadapro_sandbox import Sandbox

        sandbox = Sandbox(speed=0)
        for first in range(0, contacts, _BATCH):
            sandbox.seed({"contacts": [{"firstName": f"Jane {first + number}"} for number in range(_BATCH)]})
        transport = httpx.ASGITransport(sandbox)
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncLlamadaPro(sandbox.api_key, "http://sandbox", http_client=http) as client,
        ):

            async def work(count: int) -> None:
                for _ in range(count):
                    await client.contacts.list(page_size=20, sort_by="firstName=desc")

            yield work
        sandbox.close()

    return contender


MEASURES = [
    Measure(
        "sandbox_page",
        {f"{contacts:,} contacts": sorted_page(contacts) for contacts in (1000, 100_000)},
        count=20,
        warm=2,
        rounds=5,
        quick_rounds=0,
    )
]
ROWS = [
    Row(
        "sandbox: a sorted page among 100,000 contacts, vs among 1,000",
        "sandbox_page",
        "100,000 contacts",
        "1,000 contacts",
        bar=3,
    )
]
