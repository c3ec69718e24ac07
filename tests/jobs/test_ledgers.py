"""Claims and outcomes on both ledgers: each of their conditions, alone and with other workers."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest

from llamadapro import AsyncLlamadaPro
from llamadapro_jobs import run
from llamadapro_jobs.ledger import Granted, Ledger, NewUnit, Outcome, State, Turn
from llamadapro_jobs.opening import open_ledger
from llamadapro_jobs.postgres import PostgresLedger
from llamadapro_jobs.sqlite import SQLITE
from llamadapro_jobs.statements import ADD, LAPSED, SCHEMA, SETTLE
from tests.clocks import FakeClock
from tests.jobs.conftest import Service
from tests.jobs.test_send_many import figures, number, rows, send

ABOUT = {"operation": "send_template", "base_url": "x", "common": {}, "key": "to"}


@pytest.fixture
async def opened() -> Any:
    async with AsyncExitStack() as stack:

        async def begin(address: Any, *, rate: float | None = None, **options: Any) -> Ledger:
            ledger = PostgresLedger(address, **options) if options else open_ledger(address, FakeClock(), "job")
            stack.push_async_callback(ledger.close)
            await ledger.begin("run", ABOUT, rate=rate)
            return ledger

        yield begin


def units(count: int) -> list[NewUnit]:
    return [NewUnit(place, number(place), "{}") for place in range(count)]


# --- claims ------------------------------------------------------------------------------------------------------


async def test_a_row_is_claimed_in_a_commit_before_it_is_sent(
    client: AsyncLlamadaPro, service: Service, ledger: Any, tmp_path: Path
) -> None:
    states: list[Any] = []

    async def look(body: Any) -> httpx.Response:
        query = "select state from llamadapro_units where key = "
        key = body["toPhoneNumber"]
        if ledger.startswith("postgresql:"):
            async with await psycopg.AsyncConnection.connect(ledger) as other:
                states.append(await (await other.execute(query + "%s", (key,))).fetchone())
        else:  # what a power cut would leave
            for suffix in ("", "-wal"):
                shutil.copy(f"{ledger}{suffix}", tmp_path / f"copy{suffix}")
            with closing(sqlite3.connect(tmp_path / "copy")) as database:
                states.append(database.execute(query + "?", (key,)).fetchone())
                database.execute("pragma journal_mode = delete")  # leaves no -wal for the next copy
        return httpx.Response(201)

    service.always = look
    for count in (1, 2, 3):  # one after the other: no further turn commits what this one has left open
        await send(client, rows(count), ledger, concurrency=1, timeout=20)
    assert states == [("sending",)] * 3


async def test_only_what_is_pending_and_due_is_claimed(ledger: Any, opened: Any) -> None:
    book = await opened(ledger)
    claims = (await book.turn(Turn(add=units(8), places=6))).claims
    assert [claim.key for claim in claims] == [number(place) for place in range(6)]
    states: list[State] = ["sent", "refused", "unknown", "pending", "pending"]
    outcomes = [
        Outcome(claim.id, claim.attempt, state, delay=0.0 if place == 3 else 1000.0)
        for place, (claim, state) in enumerate(zip(claims, states, strict=False))
    ]
    granted = await book.turn(Turn(settle=outcomes, places=6))
    assert sorted(claim.key for claim in granted.claims) == [number(3), number(6), number(7)]
    granted = await book.turn(Turn(places=6))
    assert granted.claims == []
    assert granted.wait == pytest.approx(1000, abs=60)


async def test_a_claim_whose_lease_has_lapsed_is_unknown_and_never_pending(postgres_ledger: str, opened: Any) -> None:
    dead, alive = await opened(postgres_ledger, lease=0.05), await opened(postgres_ledger, lease=0.05)
    claims = (await dead.turn(Turn(add=units(3), places=2))).claims
    granted = await alive.turn(Turn(places=5))
    assert {claim.key for claim in claims} == {number(0), number(1)}
    assert [claim.key for claim in granted.claims] == [number(2)]
    async with asyncio.timeout(5):
        while (granted := await alive.turn(Turn(places=5))).wait is not None:
            assert granted.claims == []
    assert await alive.counts() == {"sending": 1, "unknown": 2}
    assert {entry.detail async for entry in alive.entries("unknown")} == {LAPSED}


async def test_a_claim_of_a_worker_that_holds_its_lease_stays_its_own(postgres_ledger: str, opened: Any) -> None:
    one, other = await opened(postgres_ledger), await opened(postgres_ledger)
    await one.turn(Turn(add=units(2), places=2))
    granted = await other.turn(Turn(places=2))
    assert (granted.claims, await other.counts()) == ([], {"sending": 2})
    assert granted.wait is not None  # they may come back


async def test_no_two_workers_claim_the_same_row(postgres_ledger: str, opened: Any) -> None:
    ledgers = [await opened(postgres_ledger) for _ in range(6)]
    await ledgers[0].turn(Turn(add=units(400)))
    claims = []
    for _ in range(20):
        for granted in await asyncio.gather(*(ledger.turn(Turn(places=6)) for ledger in ledgers)):
            claims += granted.claims
    assert len({claim.id for claim in claims}) == len(claims) == 400


async def test_rows_that_another_worker_is_claiming_are_passed_over(postgres_ledger: str, opened: Any) -> None:
    """Neither claimed too, nor waited for."""
    book = await opened(postgres_ledger)
    await book.turn(Turn(add=units(6)))
    async with await psycopg.AsyncConnection.connect(postgres_ledger) as other:
        await other.execute("update llamadapro_units set state = 'sending' where place < 4")
        async with asyncio.timeout(5):
            granted = await book.turn(Turn(places=4))
        assert [claim.key for claim in granted.claims] == [number(4), number(5)]


async def test_each_claim_has_a_turn_of_its_own_in_the_rate(postgres_ledger: str, opened: Any) -> None:
    ledgers = [await opened(postgres_ledger, rate=50.0) for _ in range(6)]
    await ledgers[0].turn(Turn(add=units(200)))
    claims = []
    for _ in range(4):
        for granted in await asyncio.gather(*(ledger.turn(Turn(places=5)) for ledger in ledgers)):
            claims += granted.claims
    turns = sorted(claim.at for claim in claims)
    assert all(claim.paced for claim in claims)
    assert min(after - before for before, after in itertools.pairwise(turns)) > 0.0199
    assert max(claim.at - claim.now for claim in claims) <= 1.01


async def test_a_connection_that_breaks_is_opened_anew_and_nothing_is_logged(
    postgres_ledger: str, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    book = await opened(postgres_ledger)
    await book.turn(Turn(add=units(3)))
    killing = (
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'llamadapro' and datname = "
    )
    killing += "current_database()"
    async with await psycopg.AsyncConnection.connect(postgres_ledger) as other:
        await other.execute(killing)  # between two turns
        granted = await book.turn(Turn(places=3))
        assert (granted.claims, granted.wait) == ([], 0.0)  # what a lost commit may have claimed: nothing
        await other.execute("select from llamadapro_workers for update")
        turn = asyncio.create_task(book.turn(Turn(places=3)))
        async with asyncio.timeout(10):
            waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
            while not await (await other.execute(waiting)).fetchone():
                await other.execute("select pg_stat_clear_snapshot()")
        await other.execute(killing)  # within one
        await other.commit()
        await turn
    claims = (await book.turn(Turn(places=3))).claims
    assert [claim.key for claim in claims] == [number(place) for place in range(3)]
    assert [record for record in caplog.records if record.name.startswith("psycopg")] == []


# --- outcomes ----------------------------------------------------------------------------------------------------


async def test_an_outcome_is_of_its_own_claim_and_of_no_later_one(ledger: Any, opened: Any) -> None:
    slow = await opened(ledger)
    (first,) = (await slow.turn(Turn(add=units(1), places=1))).claims
    await slow.turn(Turn(settle=[Outcome(first.id, first.attempt, "unknown")]))
    await slow.begin("run", ABOUT, resend_unknown=True)
    (second,) = (await slow.turn(Turn(places=1))).claims
    assert (first.id, first.attempt + 1) == (second.id, second.attempt)
    states: list[State] = ["pending", "unknown", "sent"]
    for state in states:
        await slow.turn(Turn(settle=[Outcome(first.id, first.attempt, state)]))
        assert await slow.counts() == {"sending": 1}
    await slow.turn(Turn(settle=[Outcome(second.id, second.attempt, "sent")]))
    assert await slow.counts() == {"sent": 1}
    await slow.turn(Turn(settle=[Outcome(second.id, second.attempt, "pending")]))
    assert await slow.counts() == {"sent": 1}  # a settled one stays what it is


async def test_an_outcome_is_of_its_own_worker_and_of_no_other(postgres_ledger: str, opened: Any) -> None:
    one, other = await opened(postgres_ledger), await opened(postgres_ledger)
    (claim,) = (await one.turn(Turn(add=units(1), places=1))).claims
    await other.turn(Turn(settle=[Outcome(claim.id, claim.attempt, "pending")]))
    assert await one.counts() == {"sending": 1}


async def test_only_what_is_certain_replaces_unknown(ledger: Any, opened: Any) -> None:
    book = await opened(ledger)
    claims = (await book.turn(Turn(add=units(3), places=3))).claims
    await book.turn(Turn(settle=[Outcome(claim.id, claim.attempt, "unknown") for claim in claims]))
    late: list[State] = ["sent", "refused", "pending"]
    outcomes = [Outcome(claim.id, claim.attempt, state) for claim, state in zip(claims, late, strict=True)]
    await book.turn(Turn(settle=outcomes))
    assert await book.counts() == {"sent": 1, "refused": 1, "unknown": 1}


async def test_a_worker_that_was_held_up_for_longer_than_its_lease_sends_nothing_and_changes_nothing(
    client: AsyncLlamadaPro, service: Service, postgres_ledger: str, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after SIGSTOP: between its claim and its sends others have listed what it had in hand as unknown."""
    held_up = 0.0
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + held_up))
    turn = PostgresLedger.turn

    async def slow(book: PostgresLedger, asked: Turn) -> Granted:
        nonlocal held_up
        granted = await turn(book, asked)
        if granted.claims and not held_up:
            held_up = 31.0
            async with await psycopg.AsyncConnection.connect(postgres_ledger, autocommit=True) as other:
                await other.execute("update llamadapro_workers set lease_until = lease_until - 31")
            witness = PostgresLedger(postgres_ledger)
            await witness.begin("run", {"base_url": "http://service"}, join=True)
            assert (await witness.counts())["unknown"] == len(granted.claims)
            await witness.close()
        return granted

    monkeypatch.setattr(PostgresLedger, "turn", slow)
    report = await send(client, rows(12), postgres_ledger, concurrency=5)
    assert report.unknown >= 1
    assert figures(report) == {"read": 12, "sent": 12 - report.unknown, "unknown": report.unknown}
    assert sum(service.received.values()) == report.sent == len(service.received)
    assert {issue.state for issue in report.issues} == {"unknown"}
    again = await send(client, rows(12), postgres_ledger, resend_unknown=True)
    assert figures(again) == {"read": 12, "sent": 12}
    assert service.received == {number(place): 1 for place in range(12)}


@pytest.mark.parametrize(
    ("statement", "how"),
    [(SETTLE, "INTEGER PRIMARY KEY (rowid=?)"), (ADD["corrected"], "INDEX llamadapro_units_place")],
)
def test_what_a_turn_is_about_is_looked_up_however_many_units_there_are(statement: str, how: str) -> None:
    """SQLite would rather go through the run: what a row costs would grow with the run."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(SQLITE.sql(SCHEMA))
        parameters = {"run": 1, "worker": "", "settle": "[]", "added": "[]", "now": 0.0}
        plan = [row[3] for row in database.execute(f"explain query plan {SQLITE.sql(statement)}", parameters)]
    assert how in plan[-1]
