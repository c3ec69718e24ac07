"""Promise 7: the same client in several event loops, threads and processes. Counted at the server: every request once,
no error, no wrong record; no descriptor and no warning is left behind.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest
import uvloop
from asgiref.sync import async_to_sync
from fastapi import FastAPI
from fastapi.testclient import TestClient

from llamadapro import APIConnectionError, AsyncLlamadaPro, ConfigurationError
from tests.faults.clients import KEY, OWN, outcome_of
from tests.faults.server import End, Outcome, Received, Site, answer, fault_server, outcome, response

own_engines = pytest.mark.parametrize("engine", OWN)
LIBRARIES = {"httpx": httpx, "httpx2": httpx2}


def echo(request: Received) -> Outcome:
    """The record that was asked for, or a message sent."""
    asked = request.path.rpartition("/")[2]
    return answer(200, {"id": int(asked) if asked.isdigit() else "m5"})


@pytest.fixture
def site() -> Iterator[Site]:
    with fault_server().site(then=echo) as site:
        yield site


@pytest.fixture
def client(engine: Any, site: Site) -> Iterator[AsyncLlamadaPro]:
    client = AsyncLlamadaPro(KEY, site.url, engine=engine, max_retries=0)
    yield client
    asyncio.run(client.aclose())


async def send(client: AsyncLlamadaPro, times: int = 1) -> None:
    for _ in range(times):
        await client.messages.send_text(to="+56912345678", from_="+56912345679", text="Hi")


async def read(client: AsyncLlamadaPro, first: int, count: int = 10) -> None:
    """Several records at once, each of them the one that was asked for."""
    found = await asyncio.gather(*(client.contacts.get(number) for number in range(first, first + count)))
    assert [contact.id for contact in found] == list(range(first, first + count))


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def wait_until(true: Callable[[], bool]) -> bool:
    async def wait() -> bool:
        for _ in range(1000):
            if true():
                return True
            await asyncio.sleep(0.002)
        return False

    return asyncio.run(wait())


# --- one after another -------------------------------------------------------------------------------------------


@own_engines
def test_several_runs_as_of_scripts_and_celery_tasks(client: AsyncLlamadaPro, site: Site) -> None:
    for number in range(6):
        asyncio.run(send(client, 2))
        asyncio.run(read(client, number))
    assert sum(request.method == "POST" for request in site.requests) == 12
    assert len(site.requests) == 12 + 60


@own_engines
def test_a_loop_that_waits_for_slots(engine: Any, site: Site) -> None:
    client = AsyncLlamadaPro(KEY, site.url, engine=engine, max_connections=2)
    for first in (1, 100, 200):
        asyncio.run(read(client, first))
    asyncio.run(client.aclose())
    assert len(site.requests) == 30
    assert site.peak <= 2


@own_engines
def test_views_of_django(client: AsyncLlamadaPro, site: Site) -> None:
    view = async_to_sync(send)
    for _ in range(5):
        view(client)
    assert len(site.requests) == 5


@own_engines
def test_an_app_of_fastapi_under_its_test_client(client: AsyncLlamadaPro, site: Site) -> None:
    app = FastAPI()

    @app.post("/greet")
    async def greet() -> None:
        await send(client)

    for _ in range(3):
        with TestClient(app) as http:
            assert http.post("/greet").status_code == 200
        assert TestClient(app).post("/greet").status_code == 200  # a loop for this request alone
    assert len(site.requests) == 6


@own_engines
def test_other_kinds_of_loops(client: AsyncLlamadaPro, site: Site) -> None:
    uvloop.run(read(client, 1))
    asyncio.run(read(client, 100))
    uvloop.run(send(client, 2))
    assert len(site.requests) == 22


@own_engines
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_closing_ends_what_is_under_way(engine: Any, run: Callable[[Any], Any]) -> None:
    async def close_meanwhile() -> tuple[Any, BaseException | None]:
        client = AsyncLlamadaPro(KEY, site.url, engine=engine)
        sending = asyncio.create_task(outcome_of(send(client)))
        assert await site.until(lambda site: len(site.requests) == 1)
        await client.aclose()
        return await sending

    with fault_server().site(then=outcome("silent", End.HANG)) as site:
        _, error = run(close_meanwhile())
    assert isinstance(error, APIConnectionError)
    assert error.may_have_been_processed


@own_engines
def test_descriptors_are_flat_over_many_loops(client: AsyncLlamadaPro) -> None:
    asyncio.run(read(client, 1))
    before = descriptors()
    for number in range(50):
        asyncio.run(read(client, number, 3))
    assert descriptors() <= before + 2  # the server's ends may still be closing


@own_engines
@pytest.mark.parametrize("close", [True, False], ids=["closed", "dropped"])
def test_a_loop_that_was_only_closed_leaves_no_socket_and_no_warning(engine: Any, site: Site, close: bool) -> None:
    client = AsyncLlamadaPro(KEY, site.url, engine=engine)
    for number in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(read(client, number, 3))
        loop.close()  # without what asyncio.run does before
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one of a finalizer fails the test as unraisable
        if close:
            asyncio.run(client.aclose())
        del client
        gc.collect()
    assert wait_until(lambda: site.open == 0)


# --- side by side ------------------------------------------------------------------------------------------------


def in_threads(*work: Callable[[], Any]) -> list[BaseException]:
    """Run each in a thread of its own; what they raised."""
    raised: list[BaseException] = []

    def run(one: Callable[[], Any]) -> None:
        try:
            one()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


@own_engines
def test_threads_with_a_loop_each(client: AsyncLlamadaPro, site: Site) -> None:
    async def create() -> None:
        for number in range(10):
            await client.contacts.create(first_name=f"Jane {number}")

    assert in_threads(*[lambda: asyncio.run(create())] * 4) == []
    assert len(site.requests) == 40


@own_engines
def test_the_rate_holds_over_all_threads(engine: Any, site: Site) -> None:
    client = AsyncLlamadaPro(KEY, site.url, engine=engine, rate_limit=100)
    asyncio.run(send(client))
    assert in_threads(*[lambda: asyncio.run(send(client, 5))] * 4) == []
    asyncio.run(client.aclose())
    assert len(site.requests) == 21


# --- forks -------------------------------------------------------------------------------------------------------

FORK = """
import asyncio, os, sys
from llamadapro import AsyncLlamadaPro
from tests.integration.test_loops import read
client = AsyncLlamadaPro("sk-0123456789", sys.argv[1], engine=sys.argv[2])
loop = asyncio.new_event_loop()
loop.run_until_complete(read(client, 1))  # whose connections are kept
child = os.fork()
side = 10_000 if child else 20_000
for number in range(10):
    ours = read(client, side + number * 10)
    if child or number % 2:
        loop.run_until_complete(ours)
    else:
        asyncio.run(ours)
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(client.aclose())
loop.close()
"""


@own_engines
def test_parent_and_child_of_a_fork(engine: str, site: Site) -> None:
    """100 reads on each side, on connections of their own: neither reads the other's answers."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORK]
    ended = subprocess.run([*command, site.url, engine], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    read_by = [int(request.path.rpartition("/")[2]) // 10_000 for request in site.requests]
    assert [read_by.count(side) for side in (0, 1, 2)] == [10, 100, 100]


FORK_WHILE_RUNNING = """
import asyncio, gc, os, sys
from llamadapro import AsyncLlamadaPro
from tests.integration.test_loops import read
client = AsyncLlamadaPro("sk-0123456789", sys.argv[1], engine=sys.argv[2], max_retries=0)

async def main():
    await read(client, 1)
    slow = asyncio.create_task(client.contacts.get(77))
    await asyncio.sleep(0.05)
    child = os.fork()
    if not child:
        globals()["client"] = None
        gc.collect()
        raise SystemExit(0)  # the child ends as programs do: its copies of tasks, loop and sockets are torn down
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        await read(client, 10_000, 3)
    assert (await slow).id == 77
    await read(client, 10_000)
    await client.aclose()

asyncio.run(main())
"""


@own_engines
def test_a_child_that_ends_leaves_the_parents_requests_alone(engine: str) -> None:
    def slowly(request: Received) -> Outcome:
        return (
            outcome("slow", 0.5, response(200, {"id": 77}), End.KEEP) if request.path.endswith("/77") else echo(request)
        )

    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORK_WHILE_RUNNING]
    with fault_server().site(then=slowly) as site:
        ended = subprocess.run([*command, site.url, engine], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sum(request.path.endswith("/77") for request in site.requests) == 1


# --- closing -----------------------------------------------------------------------------------------------------


@own_engines
def test_closing_from_another_loop_closes_those_of_a_running_one(engine: Any, site: Site) -> None:
    client = AsyncLlamadaPro(KEY, site.url, engine=engine)
    used, done = threading.Event(), threading.Event()

    async def live() -> None:
        await read(client, 1)
        used.set()
        while not done.is_set():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.005)
        with pytest.raises(ConfigurationError, match="closed"):
            await client.contacts.get(1)

    def close() -> None:
        assert used.wait(10)
        asyncio.run(client.aclose())
        assert wait_until(lambda: site.open == 0)
        done.set()

    assert in_threads(lambda: asyncio.run(live()), close) == []


@own_engines
def test_closing_closes_those_of_a_loop_that_does_not_run(engine: Any, site: Site) -> None:
    client = AsyncLlamadaPro(KEY, site.url, engine=engine)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(read(client, 1))
    asyncio.run(client.aclose())
    assert wait_until(lambda: site.open == 0)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()


# --- a caller's own client ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_callers_client_in_another_loop_says_so_before_anything_is_sent(library: str, site: Site) -> None:
    own = LIBRARIES[library].AsyncClient()
    client = AsyncLlamadaPro(KEY, site.url, http_client=own)

    async def use() -> None:
        await read(client, 1)
        await send(client)
        assert len(site.requests) == 11
        [error] = await asyncio.to_thread(in_threads, lambda: asyncio.run(send(client)))
        assert isinstance(error, ConfigurationError)
        assert "another event loop" in str(error)
        await send(client)
        await own.aclose()

    asyncio.run(use())
    assert len(site.requests) == 12


@pytest.mark.parametrize("library", LIBRARIES)
def test_threads_with_one_callers_client_send_everything_once_or_say_so(library: str, site: Site) -> None:
    own = LIBRARIES[library].AsyncClient(limits=LIBRARIES[library].Limits(max_keepalive_connections=0))
    client = AsyncLlamadaPro(KEY, site.url, http_client=own, max_retries=0)
    sent: list[int] = []

    async def create() -> None:
        for number in range(10):
            await client.contacts.create(first_name="Jane")
            sent.append(number)

    raised = in_threads(*[lambda: asyncio.run(create())] * 4)
    assert all(isinstance(error, ConfigurationError) for error in raised)
    assert len(site.requests) == len(sent) > 0


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_callers_client_that_holds_no_connections_works_in_all_loops(library: str) -> None:
    http = LIBRARIES[library]
    own = http.AsyncClient(transport=http.MockTransport(lambda _request: http.Response(200, json={"id": 5})))
    client = AsyncLlamadaPro(KEY, "http://api.test", http_client=own)
    for _ in range(3):
        assert asyncio.run(client.contacts.get(5)).id == 5  # type: ignore[arg-type]
