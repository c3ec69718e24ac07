"""A typed list of twenty, by clients of other services, each next to raw httpx (get + json) on the very same answer.

The records differ from service to service, so the ratios compare what a client adds, not the clients' absolute cost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.cases.calls import KEY, ours, repeated, stock
from benchmarks.measure import Contender, Measure, Row, Work

PATHS = {
    "llamadapro": "/api/v1/contacts?pageSize=20",
    "openai": "/v1/files",
    "githubkit": "/repos/o/r/labels",
    "stripe": "/v1/customers",
}


def raw(peer: str) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        import httpx

        async with httpx.AsyncClient(headers=KEY, timeout=30) as client:
            url = address + PATHS[peer]

            async def get() -> Any:
                return (await client.get(url)).json()

            yield repeated(get, 1)

    return contender


@asynccontextmanager
async def openai(address: str) -> AsyncIterator[Work]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="key", base_url=f"{address}/v1") as client:
        assert len((await client.files.list(limit=20)).data) == 20
        yield repeated(lambda: client.files.list(limit=20), 1)


@asynccontextmanager
async def githubkit(address: str) -> AsyncIterator[Work]:
    from githubkit import GitHub

    # Its cache of answers, on by default, would multiply the figure tenfold and is not what is compared here.
    async with GitHub("key", base_url=address, http_cache=False) as client:

        async def call() -> Any:
            return (await client.rest.issues.async_list_labels_for_repo("o", "r", per_page=20)).parsed_data

        assert len(await call()) == 20
        yield repeated(call, 1)


@asynccontextmanager
async def stripe(address: str) -> AsyncIterator[Work]:
    import stripe

    http = stripe.HTTPXClient()
    client = stripe.StripeClient("sk_test_key", base_addresses={"api": address}, http_client=http)
    assert len((await client.v1.customers.list_async({"limit": 20})).data) == 20
    yield repeated(lambda: client.v1.customers.list_async({"limit": 20}), 1)
    await http.close_async()


LIST = Measure(
    "list",
    {
        "raw, llamadapro's answer": raw("llamadapro"),
        "llamadapro": ours("httpx", "list"),
        "llamadapro, aiohttp": ours("aiohttp", "list"),
        "stock generator": stock("list"),
        "raw, openai's answer": raw("openai"),
        "openai": openai,
        "raw, githubkit's answer": raw("githubkit"),
        "githubkit": githubkit,
        "raw, stripe's answer": raw("stripe"),
        "stripe": stripe,
    },
    count=40,
    quick_count=30,
    warm=20,
    rounds=5,
    quick_rounds=2,
)
MEASURES = [LIST]

_OWN = {"llamadapro, aiohttp": "llamadapro", "stock generator": "llamadapro"}
ROWS = [
    Row(
        "typed list of 20, vs httpx get + json on the same answer",
        "list",
        name,
        f"raw, {_OWN.get(name, name)}'s answer",
        comparison=True,
    )
    for name in (
        "llamadapro",
        "llamadapro, aiohttp",
        "stock generator",
        "openai",
        "githubkit",
        "stripe",
    )
]
