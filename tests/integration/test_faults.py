"""Promises 1 and 5 over a real socket: the fault matrix, then what the matrix cannot say.

Retries take no time (`FakeClock`), requests are counted at the server, and what is expected comes from DESIGN.md's
table by way of `tests/faults/cases.py`, never from the client.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import pickle
import resource
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest

from tests.clocks import FakeClock, ManualClock
from tests.faults.cases import BY_NAME, DEADLINE, FAULTS, GRACE, GZIP, Fault, Kind, Row, Safety, bomb, good, status
from tests.faults.clients import (
    ENGINES,
    KEY,
    OWN,
    available,
    client_for,
    kinds_for,
    leaks,
    outcome_of,
    run_fault,
)
from tests.faults.server import Drip, End, Outcome, Received, Site, answer, fault_server, outcome, response, unreachable
from tests.openapi import path_of

BULK = path_of("BulkUpdate")
MESSAGES = path_of("CreateMessage")

errors = pytest.importorskip("llamadapro.errors")


def _marked(engines: tuple[str, ...]) -> list[Any]:
    skip = {e: pytest.mark.skipif(not available(e), reason="needs an extra") for e in engines}
    # Of the two engines that `make test` runs elsewhere one is enough here; of the others conftest.py has said so.
    slow = {"aiohttp": [pytest.mark.slow]}
    return [pytest.param(engine, marks=[skip[engine], *slow.get(engine, [])]) for engine in engines]


every_engine = pytest.mark.parametrize("engine", _marked(ENGINES))
own_engines = pytest.mark.parametrize("engine", _marked(OWN))
three_engines = pytest.mark.parametrize("engine", _marked((*OWN, "caller")))

GET, UPDATE, DELETE, SEND = (
    BY_NAME[n] for n in ("contacts.get", "contacts.update", "tasks.delete", "messages.send_text")
)
RESET, CLOSED = outcome("reset", End.RESET), outcome("closed", End.CLOSE)
SILENT = outcome("silent", End.HANG)


def code(number: int, retry_after: str | None = None) -> Outcome:
    return status(number, retry_after)(GET)


# --- the matrix --------------------------------------------------------------------------------------------------


def _matrix(faults: list[Fault]) -> pytest.MarkDecorator:
    """Each fault on each engine that some kind of operation is held to there."""
    serial = {Row.DEADLINE: [pytest.mark.serial]}
    params = [
        pytest.param(
            *engine.values,
            fault,
            id=f"{fault.name}-{engine.values[0]}",
            marks=[*engine.marks, *serial.get(fault.row, [])],
        )
        for fault in faults
        for engine in _marked(ENGINES)
        if any(kinds_for(engine.values[0], fault))
    ]
    return pytest.mark.parametrize(("engine", "fault"), params)


@_matrix(list(FAULTS))
async def test_matrix(engine: str, fault: Fault) -> None:
    """Every kind of operation against a fault that stays."""
    assert [str(seen) for seen in await run_fault(engine, fault) if not seen.ok] == []


@_matrix([fault for fault in FAULTS if fault.row in (Row.LIMITED, Row.UNKNOWN)])
async def test_matrix_once(engine: str, fault: Fault) -> None:
    """Every kind of operation against a fault that happens once: whoever may retry succeeds, and nobody else tries."""
    assert [str(seen) for seen in await run_fault(engine, fault, once=True) if not seen.ok] == []


# --- Retry-After and back-off ------------------------------------------------------------------------------------


@own_engines
@pytest.mark.parametrize("number", [429, 503])
@pytest.mark.parametrize(("value", "least", "most"), [("0", 0, 0), ("2", 2, 2), ("0.25", 0.25, 0.25), ("7", 7, 7)])
async def test_retry_after_in_seconds(engine: str, number: int, value: str, least: float, most: float) -> None:
    clock = FakeClock(jitter=0.0)
    with fault_server().site(code(number, value), then=good(GET)) as site:
        async with client_for(engine, site.url, clock=clock) as client:
            await GET.call(client)
    assert len(site.requests) == 2
    assert least - 1e-6 <= sum(clock.sleeps) <= most + 1e-6


@own_engines
@pytest.mark.parametrize(("ahead", "least", "most"), [(10, 8.5, 10.1), (-3600, 0, 0)])
async def test_retry_after_as_a_date(engine: str, ahead: float, least: float, most: float) -> None:
    clock = FakeClock(jitter=0.0)
    date = formatdate(time.time() + ahead, usegmt=True)
    with fault_server().site(code(429, date), then=good(SEND)) as site:
        async with client_for(engine, site.url, clock=clock) as client:
            await SEND.call(client)
    assert len(site.requests) == 2
    assert least <= sum(clock.sleeps) <= most


@own_engines
@pytest.mark.parametrize(
    "value", [None, "soon", "-5", "nan", "inf", "1e3", "1_000", "²", "٣", "", "Mon, 99 Foo 2026", "5 s"]
)
async def test_no_usable_retry_after_means_back_off(engine: str, value: str | None) -> None:
    clock = FakeClock(jitter=0.5)
    raw = "٣".encode().decode("latin-1") if value == "٣" else value
    with fault_server().site(code(429, raw), code(429, raw), then=good(GET)) as site:
        async with client_for(engine, site.url, clock=clock) as client:
            await GET.call(client)
    assert len(site.requests) == 3
    assert 0 < sum(clock.sleeps) <= 10


@own_engines
@pytest.mark.parametrize(("number", "name"), [(429, "RateLimitError"), (503, "InternalServerError")])
async def test_a_wait_past_the_deadline_is_not_slept(engine: str, number: int, name: str) -> None:
    clock = FakeClock()
    # 6 s fit into 10 s once, not twice.
    with fault_server().site(then=code(number, "6")) as site:
        async with client_for(engine, site.url, clock=clock, deadline=10.0) as client:
            _, error = await outcome_of(GET.call(client))
    assert type(error) is getattr(errors, name)
    assert error.retry_after == 6.0
    assert len(site.requests) == 2
    assert sum(clock.sleeps) == pytest.approx(6.0, abs=0.5)


@own_engines
async def test_a_back_off_past_the_deadline_is_not_slept(engine: str) -> None:
    clock = FakeClock(jitter=0.999)
    with fault_server().site(then=code(500)) as site:
        async with client_for(engine, site.url, clock=clock, deadline=0.05) as client:
            _, error = await outcome_of(GET.call(client))
    assert type(error) is errors.InternalServerError
    assert len(site.requests) == 1
    assert sum(clock.sleeps) == 0


@own_engines
async def test_back_off_is_full_jitter_and_grows(engine: str) -> None:
    slept = []
    for jitter in (0.0, 0.25, 0.5):
        clock = FakeClock(jitter=jitter)
        with fault_server().site(then=code(500)) as site:
            async with client_for(engine, site.url, clock=clock, max_retries=4) as client:
                await outcome_of(GET.call(client))
        assert len(site.requests) == 5
        slept.append([*clock.sleeps, *[0.0] * (4 - len(clock.sleeps))])
    none, quarter, half = slept
    assert none == [0.0] * 4  # full jitter: from nothing on
    assert half == pytest.approx([2 * seconds for seconds in quarter])
    assert half[0] < half[1] <= half[2] <= half[3] <= 30


# --- how often ---------------------------------------------------------------------------------------------------


@three_engines
@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_max_retries(engine: str, retries: int) -> None:
    for kind, fault, requests in (
        (GET, RESET, retries + 1),
        (UPDATE, code(503), retries + 1),
        (SEND, code(429), retries + 1),
        (SEND, code(503), 1),
    ):
        with fault_server().site(then=fault) as site:
            async with client_for(engine, site.url) as client:
                _, error = await outcome_of(kind.call(client.with_options(max_retries=retries)))
        assert isinstance(error, errors.APIError)
        assert len(site.requests) == requests


@three_engines
@pytest.mark.parametrize("fault", [RESET, CLOSED, code(500), code(408)], ids=["reset", "closed", "500", "408"])
async def test_retry_unsafe_is_the_explicit_way_out(engine: str, fault: Outcome) -> None:
    with fault_server().site(fault, fault, then=good(SEND)) as site:
        async with client_for(engine, site.url) as client:
            await SEND.call(client.with_options(retry_unsafe=True))
            assert len(site.requests) == 3
            assert len({request.body for request in site.requests}) == 1
    with fault_server().site(fault, then=good(SEND)) as site:
        async with client_for(engine, site.url) as client:
            client.with_options(retry_unsafe=True)  # a copy; the client itself stays as it is
            _, error = await outcome_of(SEND.call(client))
    assert isinstance(error, errors.APIError)
    assert len(site.requests) == 1


@own_engines
async def test_a_port_that_opens_during_the_back_off(engine: str) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        holder.setblocking(False)
        clock = FakeClock(on_sleep=lambda: holder.listen(8))

        async def serve() -> bytes:
            loop = asyncio.get_running_loop()
            while True:
                try:
                    sock, _ = await loop.sock_accept(holder)
                except OSError:  # not listening yet
                    await asyncio.sleep(0.002)
                    continue
                with sock:
                    sock.setblocking(False)
                    got = b""
                    while not got.endswith(b"}") and (data := await loop.sock_recv(sock, 65536)):
                        got += data
                    await loop.sock_sendall(sock, response(200, {"id": "m5"}, headers={"Connection": "close"}))
                    return got

        async with client_for(engine, f"http://127.0.0.1:{port}", clock=clock) as client:
            serving = asyncio.ensure_future(serve())
            sent = await SEND.call(client)
            got = await asyncio.wait_for(serving, 2)
    assert sent.id == "m5"
    assert got.startswith(f"POST {MESSAGES} ".encode())
    assert len(clock.sleeps) == 1


# --- what may have happened --------------------------------------------------------------------------------------


@three_engines
@pytest.mark.parametrize(
    ("kind", "script", "unsafe", "name", "may"),
    [
        (SEND, [RESET, code(400)], True, "BadRequestError", True),
        (SEND, [code(503), code(429), code(400)], True, "BadRequestError", True),
        (SEND, [code(429), code(429), code(400)], False, "BadRequestError", False),
        (SEND, [code(429), RESET], False, "APIConnectionError", True),
        (SEND, [code(429), code(429), code(429)], False, "RateLimitError", False),
        (SEND, [code(503), code(429), code(429)], True, "RateLimitError", True),
        (SEND, [code(401)], True, "AuthenticationError", False),
        (UPDATE, [RESET, code(404)], False, "NotFoundError", True),
        (UPDATE, [code(500), code(500), code(422)], False, "UnprocessableEntityError", True),
        (UPDATE, [code(429), code(409)], False, "ConflictError", False),
        (UPDATE, [CLOSED, answer(200, b"<html>")], False, "APIResponseValidationError", True),
        (DELETE, [code(408), code(403)], False, "PermissionDeniedError", True),
        (DELETE, [code(404)], False, "NotFoundError", False),
        (GET, [RESET, code(404)], False, "NotFoundError", False),
        (GET, [code(500), code(500), CLOSED], False, "APIConnectionError", False),
        (BY_NAME["contacts.search"], [code(500), code(400)], False, "BadRequestError", False),
    ],
)
async def test_what_may_have_happened_is_remembered(
    engine: str, kind: Kind, script: list[Outcome], unsafe: bool, name: str, may: bool
) -> None:
    with fault_server().site(*script, then=good(kind)) as site:
        async with client_for(engine, site.url) as client:
            options = {"retry_unsafe": True} if unsafe else {}
            _, error = await outcome_of(kind.call(client.with_options(**options)))
    assert type(error) is getattr(errors, name)
    assert error.may_have_been_processed is may
    assert len(site.requests) == len(script)


@three_engines
@pytest.mark.parametrize("name", ["tasks.delete", "contacts.delete"])
async def test_a_404_on_a_repeated_delete_says_so(engine: str, name: str) -> None:
    async def deleted(*script: Outcome) -> Any:
        with fault_server().site(*script, then=code(404)) as site:
            async with client_for(engine, site.url) as client:
                call = client.tasks.delete("t5") if name == "tasks.delete" else client.contacts.delete(5)
                _, error = await outcome_of(call)
        assert type(error) is errors.NotFoundError
        assert len(site.requests) == len(script) + 1
        return error

    plain, limited, repeated = await deleted(), await deleted(code(429)), await deleted(RESET)
    assert plain.may_have_been_processed is limited.may_have_been_processed is False
    assert repeated.may_have_been_processed is True
    assert len(str(repeated)) > len(str(plain))
    assert any(word in str(repeated).lower() for word in ("earlier", "previous", "already", "first attempt", "itself"))
    assert not any(word in str(plain).lower() for word in ("earlier", "previous", "first attempt"))


@own_engines
async def test_bulk_update_by_the_escape_hatch_is_not_safe_either(engine: str) -> None:
    for path in (BULK, f"{BULK}/", f"/x/..{BULK}"):
        with fault_server().site(then=RESET) as site:
            async with client_for(engine, site.url) as client:
                _, error = await outcome_of(client.request("PUT", path, json={"conversations": []}))
        assert isinstance(error, errors.LlamadaProError), path
        assert len(site.requests) <= 1, path


# --- deadline ----------------------------------------------------------------------------------------------------


@pytest.mark.serial
@three_engines
@pytest.mark.parametrize("kind", [GET, SEND], ids=lambda kind: kind.name)
async def test_a_hanging_connect_ends_by_the_deadline(engine: str, kind: Kind) -> None:
    with unreachable() as url:
        async with client_for(engine, url, deadline=DEADLINE) as client:
            began = time.monotonic()
            _, error = await outcome_of(kind.call(client))
            took = time.monotonic() - began
    assert type(error) is errors.APITimeoutError
    assert DEADLINE * 0.9 <= took <= DEADLINE + GRACE
    # Our own engines know that nothing was sent; of a caller's client nobody can tell.
    assert error.may_have_been_processed is (engine == "caller" and kind is SEND)


@pytest.mark.serial
@every_engine
async def test_waiting_for_a_connection_ends_by_the_deadline(engine: str) -> None:
    with fault_server().site(then=SILENT) as site:
        async with client_for(engine, site.url, max_connections=1) as client:
            holder = asyncio.ensure_future(outcome_of(GET.call(client)))
            assert await site.until(lambda site: len(site.requests) == 1)
            began = time.monotonic()
            _, error = await outcome_of(SEND.call(client.with_options(deadline=DEADLINE)))
            took = time.monotonic() - began
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)
    assert type(error) is errors.APITimeoutError
    assert error.may_have_been_processed is False  # it never left
    assert "neither a connection nor its turn was free" in str(error)
    assert DEADLINE * 0.9 <= took <= DEADLINE + GRACE
    assert [request.method for request in site.requests] == ["GET"]


@pytest.mark.serial
@own_engines
async def test_thirty_drips_end_together(engine: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with fault_server().site(then=outcome("drip", head, Drip(b" ", 0.05))) as site:
        async with client_for(engine, site.url, deadline=DEADLINE) as client:
            began = time.monotonic()
            got = await asyncio.gather(*(outcome_of(GET.call(client)) for _ in range(30)))
            took = time.monotonic() - began
    assert {type(error) for _, error in got} == {errors.APITimeoutError}
    assert took <= DEADLINE + GRACE


@pytest.mark.serial
@own_engines
async def test_a_deadline_is_for_all_attempts_together(engine: str) -> None:
    with fault_server().site(code(500), code(500), then=SILENT) as site:
        async with client_for(engine, site.url, deadline=DEADLINE, clock=FakeClock(jitter=0.0)) as client:
            began = time.monotonic()
            _, error = await outcome_of(UPDATE.call(client))
            took = time.monotonic() - began
    assert type(error) is errors.APITimeoutError
    assert error.may_have_been_processed is True
    assert DEADLINE * 0.9 <= took <= DEADLINE + GRACE
    assert len(site.requests) == 3


@own_engines
async def test_a_bomb_is_noticed_before_it_is_unpacked(engine: str) -> None:
    """256 MiB in a quarter of one, against the default cap of 64 MiB."""
    packed = bomb(256)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with fault_server().site(then=answer(200, packed, headers=GZIP)) as site:
        async with client_for(engine, site.url) as client:
            _, error = await outcome_of(GET.call(client))
    assert type(error) is errors.APIResponseValidationError
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200


# --- limits ------------------------------------------------------------------------------------------------------


@own_engines
async def test_no_more_connections_than_max_connections(engine: str) -> None:
    slow = outcome("slow", 0.005, response(200, {"id": 5}), End.KEEP)
    broken = [
        outcome("short", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", End.CLOSE),
        RESET,
        CLOSED,
        code(500),
    ] * 5
    with fault_server().site(*broken, then=slow) as site:
        async with client_for(engine, site.url, max_connections=3) as client:
            calls = [client.contacts.get(n) for n in range(30)]
            calls += [client.with_options(max_retries=5).contacts.get(n) for n in range(30)]  # copies share the limit
            got = await asyncio.gather(*(outcome_of(call) for call in calls))
    assert sum(error is None for _, error in got) >= 30
    assert site.peak <= 3


@own_engines
async def test_waiting_is_fair(engine: str) -> None:
    slow = outcome("slow", 0.002, response(200, {"id": 5}), End.KEEP)
    with fault_server().site(then=slow) as site:
        async with client_for(engine, site.url, max_connections=1) as client:
            await asyncio.gather(*(client.contacts.get(n) for n in range(1, 21)))
    assert [int(request.path.rpartition("/")[2]) for request in site.requests] == list(range(1, 21))


@three_engines
@pytest.mark.parametrize("value", ["5", None], ids=["Retry-After", "back-off"])
async def test_a_429_slows_the_client(engine: str, value: str | None) -> None:
    clock = ManualClock()
    with fault_server().site(code(429, value), then=good(GET)) as site:
        async with client_for(engine, site.url, clock=clock) as client:
            met = asyncio.ensure_future(GET.call(client))
            assert await site.until(lambda site: len(site.requests) == 1 and clock.sleepers >= 1)
            others = [asyncio.ensure_future(client.contacts.get(n)) for n in range(3)]
            others.append(asyncio.ensure_future(client.with_options(max_retries=0).contacts.get(9)))  # a copy, too
            assert not await site.until(lambda site: len(site.requests) > 1, seconds=0.1)
            for _ in range(100):  # whatever waits for whom, all of it is over in the end
                clock.advance(1.0)
                await asyncio.sleep(0.002)
                if met.done() and all(other.done() for other in others):
                    break
            await asyncio.gather(met, *others)
    assert len(site.requests) == 6


@pytest.mark.serial
@own_engines
async def test_a_slowed_client_keeps_the_others_deadlines(engine: str) -> None:
    clock = ManualClock()
    with fault_server().site(code(429, "60"), then=good(GET)) as site:
        async with client_for(engine, site.url, clock=clock) as client:
            met = asyncio.ensure_future(GET.call(client))
            assert await site.until(lambda site: clock.sleepers >= 1)
            began = time.monotonic()
            _, error = await outcome_of(SEND.call(client.with_options(deadline=DEADLINE)))
            assert time.monotonic() - began <= DEADLINE + GRACE
            met.cancel()
            await asyncio.gather(met, return_exceptions=True)
    assert isinstance(error, errors.APIError)
    assert error.may_have_been_processed is False
    assert len(site.requests) == 1


@own_engines
async def test_who_sleeps_holds_no_slot(engine: str) -> None:
    clock = ManualClock()
    with fault_server().site(code(503), then=good(GET)) as site:
        async with client_for(engine, site.url, clock=clock, max_connections=1) as client:
            met = asyncio.ensure_future(GET.call(client))
            assert await site.until(lambda site: clock.sleepers == 1)
            await asyncio.wait_for(client.contacts.get(6), 1)
            clock.advance(30)
            await met
    assert len(site.requests) == 3


# --- cancelling --------------------------------------------------------------------------------------------------

HALF = outcome("half", b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"id":', End.HANG)
DRIPS = outcome("drips", b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", Drip(b" ", 0.005))


@every_engine
@pytest.mark.parametrize("fault", [SILENT, HALF, DRIPS], ids=["before the answer", "mid body", "in a drip"])
@pytest.mark.parametrize("how", ["cancel", "timeout", "task group"])
async def test_a_cancelled_call_leaves_nothing(engine: str, fault: Outcome, how: str) -> None:
    before = asyncio.all_tasks()
    with fault_server().site(fault, fault, then=good(GET)) as site:
        async with client_for(engine, site.url, max_connections=1) as client:
            for round_ in (1, 2):

                def arrived(site: Site, round_: int = round_) -> bool:
                    return len(site.requests) == round_

                await CANCEL[how](GET.call(client), site, arrived)
            assert await site.until(lambda site: site.open == 0), "the broken connections are still open"
            await asyncio.wait_for(GET.call(client), 2)  # the only slot is free again
        assert await site.until(lambda site: site.open == 0)
    await _settled(before)
    assert len(site.requests) == 3  # nothing was retried


async def _by_cancel(call: Awaitable[Any], site: Site, arrived: Callable[[Site], bool]) -> None:
    task = asyncio.ensure_future(call)
    assert await site.until(arrived)
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _by_timeout(call: Awaitable[Any], site: Site, arrived: Callable[[Site], bool]) -> None:
    # A caller's own timeout: it must come out as his, not as one of our errors.
    with pytest.raises(TimeoutError) as caught:  # noqa: PT012
        async with asyncio.timeout(None) as limit:
            async with asyncio.TaskGroup() as group:
                group.create_task(_then(site, arrived, lambda: limit.reschedule(asyncio.get_running_loop().time())))
                await call
    assert not isinstance(caught.value, errors.LlamadaProError)


async def _then(site: Site, arrived: Callable[[Site], bool], do: Callable[[], None]) -> None:
    assert await site.until(arrived)
    do()


async def _by_group(call: Awaitable[Any], site: Site, arrived: Callable[[Site], bool]) -> None:
    async def fails() -> None:
        assert await site.until(arrived)
        raise LookupError("a sibling")

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with asyncio.TaskGroup() as group:
            group.create_task(call)  # type: ignore[arg-type]
            group.create_task(fails())
    assert [type(error) for error in caught.value.exceptions] == [LookupError]


CANCEL = {"cancel": _by_cancel, "timeout": _by_timeout, "task group": _by_group}


async def _settled(before: set[asyncio.Task[Any]]) -> None:
    for _ in range(100):
        if not (left := asyncio.all_tasks() - before):
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"tasks left: {left}")


@own_engines
async def test_cancelled_while_waiting_for_a_slot(engine: str) -> None:
    with fault_server().site(SILENT, then=good(GET)) as site:
        async with client_for(engine, site.url, max_connections=1) as client:
            holder = asyncio.ensure_future(GET.call(client))
            assert await site.until(lambda site: len(site.requests) == 1)
            waiting = [asyncio.ensure_future(GET.call(client)) for _ in range(5)]
            await asyncio.sleep(0.01)
            for task in waiting[:4]:
                task.cancel()
            await asyncio.sleep(0)
            holder.cancel()
            await asyncio.wait_for(waiting[4], 2)  # those before it in the queue are gone, and so is the holder
            await asyncio.wait_for(GET.call(client), 2)
            await asyncio.gather(holder, *waiting, return_exceptions=True)
    assert len(site.requests) == 3


@own_engines
async def test_cancelled_in_the_very_moment_a_slot_is_given(engine: str) -> None:
    with fault_server().site(then=good(GET)) as site:
        async with client_for(engine, site.url, max_connections=1) as client:
            for steps in range(40):
                first, second = (asyncio.ensure_future(GET.call(client)) for _ in range(2))
                for _ in range(steps):
                    await asyncio.sleep(0)
                first.cancel()
                second.cancel()
                await asyncio.gather(first, second, return_exceptions=True)
                await asyncio.wait_for(GET.call(client), 2)
            assert site.open <= 1 or await site.until(lambda site: site.open <= 1)
        assert await site.until(lambda site: site.open == 0)


@own_engines
@pytest.mark.parametrize("fault", [SILENT, HALF], ids=["before the answer", "mid body"])
async def test_cancelled_again_while_it_cleans_up(engine: str, fault: Outcome) -> None:
    with fault_server().site(then=fault) as site:
        async with client_for(engine, site.url, max_connections=1) as client:
            for steps in range(30):
                task = asyncio.ensure_future(GET.call(client))
                for _ in range(steps):
                    await asyncio.sleep(0)
                for _ in range(3):
                    task.cancel()
                    await asyncio.sleep(0)
                await asyncio.gather(task, return_exceptions=True)
            assert await site.until(lambda site: site.open == 0)
            assert site.peak <= 1


@own_engines
async def test_cancelled_while_sleeping(engine: str) -> None:
    clock = ManualClock()
    before = asyncio.all_tasks()
    with fault_server().site(code(503), then=good(GET)) as site:
        async with client_for(engine, site.url, clock=clock, max_connections=1) as client:
            task = asyncio.ensure_future(GET.call(client))
            assert await site.until(lambda site: clock.sleepers == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(GET.call(client), 2)
    await _settled(before)
    assert len(site.requests) == 2


@own_engines
async def test_closing_the_client_closes_its_connections(engine: str) -> None:
    slow = outcome("slow", 0.01, response(200, {"id": 5}), End.KEEP)
    before = asyncio.all_tasks()
    with fault_server().site(then=slow) as site:
        async with client_for(engine, site.url, max_connections=10) as client:
            await asyncio.gather(*(GET.call(client) for _ in range(10)))
            assert site.open > 1
        assert await site.until(lambda site: site.open == 0)
        with pytest.raises(errors.ConfigurationError):
            await GET.call(client)
    await _settled(before)


@every_engine
@pytest.mark.parametrize("where", ["waiting for a slot", "sleeping after a 429"])
async def test_nothing_leaves_a_closed_client(engine: str, where: str) -> None:
    """A send that has not left yet when the client is closed never leaves, and says so."""
    clock = ManualClock()
    with fault_server().site(code(429, "5") if where.startswith("sleeping") else SILENT, then=good(SEND)) as site:
        async with client_for(engine, site.url, clock=clock, max_connections=1, timeout=0.2) as client:
            kind = SEND if where.startswith("sleeping") else GET
            first = asyncio.ensure_future(outcome_of(kind.call(client)))
            assert await site.until(lambda site: len(site.requests) == 1)
            assert kind is GET or await site.until(lambda site: clock.sleepers == 1)
            queued = asyncio.ensure_future(outcome_of(SEND.call(client)))
            await asyncio.sleep(0.01)
            await client.aclose()
            first.cancel() if kind is GET else clock.advance(10)
            for _, error in await asyncio.gather(queued, *([first] if kind is SEND else [])):
                # A ConfigurationError that says "closed", or the 429 that it met before.
                assert isinstance(error, (errors.ConfigurationError, errors.RateLimitError)), error
                assert not getattr(error, "may_have_been_processed", False)
            await asyncio.gather(first, return_exceptions=True)
        assert await site.until(lambda site: site.open == 0)
    assert len(site.requests) == 1


@own_engines
async def test_bursts_with_pauses_between_them(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that grew old while nobody called are put away without anyone's call coming to harm."""
    before = asyncio.all_tasks()
    skew = [0.0]  # growing old takes 5 s: too long for a test
    for engine_module in ("pool", "aiohttp_engine"):
        monkeypatch.setattr(f"llamadapro._transport.{engine_module}.monotonic", lambda: time.monotonic() + skew[0])
    slow = outcome("slow", 0.003, response(200, {"id": "m5"}), End.KEEP)
    with fault_server().site(then=slow) as site:
        async with client_for(engine, site.url, max_connections=20) as client:
            for _ in range(30):
                first = [outcome_of(SEND.call(client)) for _ in range(20)]
                assert [error for _, error in await asyncio.gather(*first) if error is not None] == []
                skew[0] += 10.0
                later = [_after(n * 0.0004, outcome_of(SEND.call(client))) for n in range(15)]
                assert [error for _, error in await asyncio.gather(*later) if error is not None] == []
        assert await site.until(lambda site: site.open == 0)
    await _settled(before)
    assert len(site.requests) == 30 * 35
    assert site.peak <= 20


async def _after(seconds: float, call: Awaitable[tuple[Any, Any]]) -> tuple[Any, Any]:
    await asyncio.sleep(seconds)
    return await call


# --- redirects ---------------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", [GET, UPDATE, SEND, BY_NAME["request GET"]], ids=lambda kind: kind.name)
async def test_redirects_are_never_followed(engine: str, number: int, kind: Kind) -> None:
    with fault_server().site(then=good(kind)) as elsewhere:
        # httpx itself stumbles over an unreadable Location, and on a caller's client it is httpx that reads it.
        unreadable = ("http://[bad",) if engine in OWN else ()
        for target in (f"{elsewhere.url}/steal", path_of("GetContact", 6), "//evil.invalid/x", *unreadable):
            moved = answer(number, headers={"Location": target})
            with fault_server().site(then=moved) as site:
                # A caller's client may follow redirects for its own purposes; not with our key.
                async with client_for(engine, site.url, follow_redirects=True) as client:
                    _, error = await outcome_of(kind.call(client))
            assert type(error) is errors.APIStatusError, target
            assert error.status_code == number
            assert str(error)
            assert len(site.requests) == 1
            assert leaks(error) == []
    assert elsewhere.connections == 0
    assert elsewhere.requests == []


# --- what is left of an error ------------------------------------------------------------------------------------


@every_engine
async def test_an_error_tells_what_happened_to_which_call(engine: str) -> None:
    for script, words in {
        (RESET,): ("POST", MESSAGES),
        (code(400),): ("as the script says",),
        (answer(200, b"<html>"),): ("POST", MESSAGES),
    }.items():
        with fault_server().site(*script, then=good(SEND)) as site:
            async with client_for(engine, site.url) as client:
                _, error = await outcome_of(SEND.call(client))
        assert isinstance(error, errors.APIError)
        for word in words:
            assert word in str(error)
        assert error.request.method == "POST"
        assert error.request.content == site.requests[0].body  # what was sent can be read again
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), vars(again).keys()) == (str(error), vars(error).keys())


@every_engine
async def test_a_status_error_carries_the_answer(engine: str) -> None:
    with fault_server().site(then=code(422)) as site:
        async with client_for(engine, site.url) as client:
            _, error = await outcome_of(SEND.call(client))
    assert type(error) is errors.UnprocessableEntityError
    assert (error.code, error.message, error.details) == (17, "as the script says", {"field": "x"})
    assert error.body["error"] == "scripted"
    assert error.request_id == "req-1"
    assert error.response.status_code == error.status_code == 422
    assert error.response.json() == error.body
    assert KEY not in repr(error.response.request.headers)


@own_engines
async def test_a_hundred_calls_among_faults_get_their_own_answers(engine: str) -> None:
    """No answer is ever read by a call that did not ask for it, whatever broke on the connection before."""

    def echo(request: Received) -> Outcome:
        number = int(request.path.rpartition("/")[2])
        if number % 7 == 0 and request.nth > 1:
            return RESET
        if number % 11 == 0:
            return outcome("cut", response(200, {"id": number}, length=99), End.CLOSE)
        return answer(200, {"id": number})

    with fault_server().site(then=echo) as site:
        async with client_for(engine, site.url, max_connections=5, max_retries=9) as client:
            got = await asyncio.gather(*(outcome_of(client.contacts.get(n)) for n in range(1, 101)))
    for number, (contact, error) in enumerate(got, 1):
        assert error is not None or contact.id == number
    assert sum(error is None for _, error in got) >= 90
    assert len(site.requests) >= 100


def test_the_matrix_covers_what_it_says() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert {fault.row for fault in FAULTS} == set(Row)
    assert {kind.safety for kind in BY_NAME.values()} == set(Safety)


# --- what comes off the wire is bounded, whatever it is -------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
FLOODS = {
    "a gzip header without end": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08" + bytes(6),
        b"n" * 65_536,
        "larger than max_response_bytes=100000",
    ),
    "empty gzip members": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        gzip.compress(b"") * 3000,
        "larger than max_response_bytes=100000",
    ),
    "chunks that say a lot of themselves": (CHUNKED, b"1;x=" + b"y" * 8000 + b"\r\n0\r\n", "bytes came for"),
    "interim responses": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 1000, "bytes came for"),
}


@own_engines
@pytest.mark.parametrize("name", FLOODS)
async def test_what_comes_for_one_request_is_bounded(engine: str, name: str) -> None:
    start, flood, said = FLOODS[name]
    flooding = outcome(name, start, Drip(flood, interval=0))
    with fault_server().site(then=flooding) as site:
        async with client_for(engine, site.url, max_response_bytes=100_000, deadline=20.0, timeout=20.0) as client:
            _, error = await outcome_of(SEND.call(client))
        assert not isinstance(error, errors.APITimeoutError)
        assert isinstance(error, errors.APIConnectionError | errors.APIResponseValidationError)
        assert error.may_have_been_processed
        assert said in str(error) or (engine == "aiohttp" and "the connection broke" in str(error))
    assert len(site.requests) == 1
