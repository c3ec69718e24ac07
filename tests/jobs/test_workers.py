"""Several processes on one PostgreSQL ledger, and the recipes for other queues."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from llamadapro import APIError, AsyncLlamadaPro
from llamadapro_jobs.postgres import PostgresLedger
from llamadapro_sandbox import Sandbox
from tests.jobs.conftest import Service, client_of
from tests.jobs.test_send_many import COMMON, figures, number, rows, send
from tests.tools import jobs_chaos

WORKERS = Path(__file__).parents[2] / "examples" / "workers"
SENDER = "+56912345678"
# What a worker is, but for its clock, which is off by so many seconds.
PROGRAM = """
import asyncio, sys, time
wall, steady, off = time.time, time.monotonic, float(sys.argv[1])
time.time, time.monotonic = lambda: wall() + off, lambda: steady() + off
from llamadapro import AsyncLlamadaPro
async def main(url, ledger):
    async with AsyncLlamadaPro("key", url) as client:
        print(await client.messages.send_many(None, ledger=ledger, run="run"))
asyncio.run(main(*sys.argv[2:]))
"""


async def load(ledger: str, base_url: str, count: int, rate: float | None = None) -> None:
    """Put so many rows into a ledger, and send none."""
    async with client_of(Service(), base_url=base_url) as client:
        service_of_none = pytest.raises(Exception, match="not yet")

        def stop(report: Any) -> None:
            raise RuntimeError("not yet")

        with service_of_none:
            await send(client, iter(()), ledger, rate=rate, on_progress=stop)
    book = PostgresLedger(ledger)
    about = {"operation": "send_template", "base_url": base_url, "common": COMMON, "key": "to"}
    await book.begin("run", about)
    from llamadapro_jobs.ledger import NewUnit, Turn

    units = [NewUnit(place, number(place), f'{{"to": "{number(place)}"}}') for place in range(count)]
    await book.turn(Turn(add=units))
    await book.close()


async def start(*arguments: object) -> asyncio.subprocess.Process:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, arguments)]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


async def test_processes_whose_clocks_differ_share_a_run_and_keep_its_rate(postgres_ledger: str) -> None:
    service, rate = jobs_chaos.Service(), 40.0
    async with service.serve() as url:
        await load(postgres_ledger, url, 160, rate)
        processes = [await start(off, url, postgres_ledger) for off in (-0.5, 0.0, 0.5)]
        printed = [(await process.communicate())[0] for process in processes]
    assert printed == [b"160 rows read: 160 sent\n"] * 3
    assert service.received == {number(place): 1 for place in range(160)}
    # Of 4 seconds: who went by a clock half a second ahead would end them too soon. `make rates` looks closer.
    assert max(service.moments) - min(service.moments) >= 159 / rate / 1.05


async def test_workers_that_feed_and_send_at_once_share_one_source(postgres_ledger: str) -> None:
    service = Service()
    async with client_of(service) as one, client_of(service) as other:
        reports = await asyncio.gather(
            *(send(client, rows(400), postgres_ledger, concurrency=5) for client in (one, other, one))
        )
    assert [figures(report) for report in reports] == [{"read": 400, "sent": 400}] * 3
    assert service.received == {number(place): 1 for place in range(400)}


async def test_who_joins_waits_for_a_source_that_is_still_being_read(postgres_ledger: str) -> None:
    service = Service()
    joined = asyncio.Event()

    async def source() -> Any:
        yield {"to": number(0)}
        await joined.wait()
        for row in rows(20):
            yield row

    async with client_of(service) as one, client_of(service) as other:
        feeding = asyncio.create_task(send(one, source(), postgres_ledger))
        async with asyncio.timeout(10):
            while not service.received:  # noqa: ASYNC110 - nothing else says so
                await asyncio.sleep(0.01)
        joining = asyncio.create_task(other.messages.send_many(None, ledger=postgres_ledger, run="run"))
        await asyncio.sleep(0.1)
        assert not joining.done()
        joined.set()
        reports = await asyncio.gather(feeding, joining)
    assert [figures(report) for report in reports] == [{"read": 21, "sent": 20, "duplicates": 1}] * 2


async def test_imports_share_a_run_too(postgres_ledger: str) -> None:
    received: Counter[int] = Counter()

    async def take(body: Any) -> httpx.Response:
        received.update(item["customFields"]["n"] for item in body["conversations"])
        await asyncio.sleep(0.005)
        counts = {"successful": len(body["conversations"]), "errors": 0}
        return httpx.Response(200, json={"message": "", "operationId": "", "report": {"counts": counts}})

    service = Service()
    service.always = take
    items = [{"funnel_id": 1, "custom_fields": {"n": place}} for place in range(200)]
    async with client_of(service) as one, client_of(service) as other:
        reports = await asyncio.gather(
            *(
                client.conversations.import_many(items, chunk_size=5, ledger=postgres_ledger, run="import")
                for client in (one, other)
            )
        )
    assert [(report.read, report.successful, report.complete) for report in reports] == [(200, 200, True)] * 2
    assert received == dict.fromkeys(range(200), 1)


# --- recipes -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox(speed=0)
    with sandbox.serve() as server:
        yield sandbox, server.url
    sandbox.close()


@pytest.fixture
def sandbox(server: tuple[Sandbox, str], postgres_ledger: str, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    sandbox, url = server
    sandbox.reset()
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", url)
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sandbox")
    monkeypatch.setenv("DATABASE_URL", postgres_ledger)
    monkeypatch.setenv("SENDER", SENDER)
    return sandbox


def recipe(name: str) -> ModuleType:
    """A module of the examples, loaded anew."""
    spec = importlib.util.spec_from_file_location(name, WORKERS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def received(sandbox: Sandbox) -> Counter[str]:
    return Counter(message["recipient"]["address"] for _, message in sandbox.store.some("messages"))


async def test_claim_first_in_any_queue(sandbox: Sandbox, postgres_ledger: str) -> None:
    import psycopg

    module = recipe("claim_first")
    async with await psycopg.AsyncConnection.connect(postgres_ledger, autocommit=True) as connection:
        await connection.execute(module.TABLE)
    sandbox.faults.add("status", status=503, when="after", operation="CreateMessage", times=1)

    async def task(place: int) -> bool:
        """As a queue brings it, that delivers at least once."""
        message = {"to": number(place), "text": "Hi", "from_": SENDER}
        try:
            return bool(await module.send_once(postgres_ledger, client, f"order {place}", **message))
        except APIError:
            return False

    async with AsyncLlamadaPro() as client:
        await task(0)
        done = await asyncio.gather(*(task(place) for place in range(10) for _ in range(4)))
    assert sum(done) == 9
    assert received(sandbox) == {number(place): 1 for place in range(10)}


async def test_an_outbox_in_the_transaction_of_an_app(sandbox: Sandbox, postgres_ledger: str) -> None:
    import psycopg

    module = recipe("outbox")
    async with await psycopg.AsyncConnection.connect(postgres_ledger, autocommit=True) as connection:
        await connection.execute(module.TABLES)
    transport = httpx.ASGITransport(module.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        for place in range(12):
            answer = await http.post("/orders", params={"customer": "Zoë", "phone": number(place)})
            assert answer.status_code == 201
    reports = await asyncio.gather(module.deliver(), module.deliver())
    assert [report.sent for report in reports] == [12, 12]
    assert (await module.deliver()).sent == 12
    assert received(sandbox) == {number(place): 1 for place in range(12)}


async def test_procrastinate_with_stalled_jobs_left_alone(
    sandbox: Sandbox, postgres_ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("procrastinate")
    module = recipe("procrastinate_tasks")
    async with module.app.open_async():
        await module.app.schema_manager.apply_schema_async()
        for place in range(8):
            await module.send_text.defer_async(to=number(place), text="Hi")
    sandbox.faults.add("latency", seconds=0.3)
    command = [
        sys.executable,
        "-m",
        "procrastinate",
        "--app",
        "procrastinate_tasks.app",
        "worker",
        "--concurrency",
        "2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(WORKERS)}

    async def worker(*more: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, *more, env=environment, stdout=pipe, stderr=pipe)

    process = await worker()
    async with asyncio.timeout(30):
        while len(sandbox.requests) < 3:  # noqa: ASYNC110 - nothing else says so
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    sandbox.faults.clear()
    assert await (await worker("--one-shot")).wait() == 0
    counts = received(sandbox)
    assert {*counts.values()} == {1}
    assert len(counts) >= 6  # of the two that were under way, nobody knows
