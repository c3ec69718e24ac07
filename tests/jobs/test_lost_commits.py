"""A commit whose answer is lost is found out, not guessed: nothing is sent twice, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from llamadapro import AsyncLlamadaPro
from tests.cutting_proxy import CuttingProxy
from tests.jobs.conftest import Service
from tests.jobs.test_send_many import figures, number, rows, send

SORTS = {
    "claim": b"set state = 'sending'",
    "settle": b"set state = s.state",
    "add": b"'duplicate'",
    "begin": b"insert into llamadapro_runs",
}


@pytest.fixture(autouse=True)
def readable(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Statements go over the wire as text each time, so that the proxy can tell one sort from another.

    Whatever is cut, psycopg has nothing to say about it on standard error.
    """
    connect = partial(psycopg.AsyncConnection.connect, prepare_threshold=None)
    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    yield
    assert [record for record in caplog.records if record.name.startswith("psycopg")] == []


def every(count: int, sort: bytes) -> Callable[[bytes], bool]:
    """Whether a transaction is the so-manieth of its sort."""
    seen = 0

    def cut(said: bytes) -> bool:
        nonlocal seen
        seen += sort in said
        return sort in said and seen % count == 0

    return cut


def first(sort: bytes) -> Callable[[bytes], bool]:
    """Whether a transaction is the first of its sort."""
    seen = 0

    def cut(said: bytes) -> bool:
        nonlocal seen
        seen += sort in said
        return sort in said and seen == 1

    return cut


@pytest.mark.parametrize("concurrency", [1, 7])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("which", [first, partial(every, 2)])
async def test_a_cut_behind_the_commit(
    client: AsyncLlamadaPro, service: Service, postgres_ledger: str, which: Any, sort: str, concurrency: int
) -> None:
    proxy = CuttingProxy(postgres_ledger, which(SORTS[sort]))
    people = [*rows(12), *rows(2), {"to": "12"}]
    async with proxy as url:
        report = await send(client, people, url, concurrency=concurrency)
    assert figures(report) == {"read": 15, "sent": 12, "duplicates": 2, "bad": 1}
    assert service.received == {number(place): 1 for place in range(12)}
    assert proxy.cuts >= (which is first or (sort in ("claim", "settle") and concurrency == 1))


@pytest.mark.parametrize("which", [first, partial(every, 3)])
async def test_a_cut_during_an_import(
    client: AsyncLlamadaPro, service: Service, postgres_ledger: str, which: Any
) -> None:
    numbers: list[int] = []

    def take(body: Any) -> Any:
        import httpx

        numbers.extend(item["customFields"]["n"] for item in body["conversations"])
        counts = {"successful": len(body["conversations"]), "errors": 0}
        return httpx.Response(200, json={"message": "", "operationId": "", "report": {"counts": counts}})

    service.always = take
    proxy = CuttingProxy(postgres_ledger, which(SORTS["claim"]))
    async with proxy as url:
        report = await client.conversations.import_many(
            [{"funnel_id": 1, "custom_fields": {"n": place}} for place in range(40)], ledger=url, chunk_size=4
        )
    assert (report.read, report.successful, report.chunks) == (40, 40, 10)
    assert sorted(numbers) == [*range(40)]
    assert proxy.cuts
