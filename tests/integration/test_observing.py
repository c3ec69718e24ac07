"""Looking inside: the log that the environment turns on, as a program shows it; and what `record()` keeps of calls."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pytest_httpx import HTTPXMock

from llamadapro import APIResponseValidationError, AsyncLlamadaPro, ConflictError, InternalServerError
from llamadapro_sandbox import Sandbox
from tests.clocks import FakeClock
from tests.openapi import path_of

PROGRAM = """
import asyncio, logging, sys
from llamadapro import AsyncLlamadaPro

async def main():
    async with AsyncLlamadaPro() as client, AsyncLlamadaPro():
        print((await client.contacts.list(search_by="Jane")).total_count)

if sys.argv[1:]:
    logging.basicConfig(format="app: %(message)s")
asyncio.run(main())
"""


CONTACTS = path_of("GetContacts")
NAME = f"llamadapro.transport GET {CONTACTS}"
RETRY = f"{NAME}: status 429; retry 1 in 0.00 s"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    sandbox.faults.add("status", status=429, retry_after=0, times=1)
    yield sandbox
    sandbox.close()


def logged(sandbox: Sandbox, level: str | None, *arguments: str) -> list[str]:
    """The lines that a program writes to standard error, without their times."""
    with sandbox.serve() as server:
        environment = {**os.environ, "LLAMADAPRO_BASE_URL": server.url, "LLAMADAPRO_API_KEY": sandbox.api_key}
        environment |= {"LLAMADAPRO_LOG": level} if level is not None else {}
        command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
    return [re.sub(r"in \d+ ms|^\d{4}-\S+ \S+ ", "", line) for line in done.stderr.splitlines()]


def test_the_log_shows_a_line_per_attempt(sandbox: Sandbox) -> None:
    first, retry, second = logged(sandbox, "debug")
    assert re.fullmatch(rf"llamadapro\.transport GET {CONTACTS} -> 429 \(.+\) , attempt 1, request id -", first)
    assert retry == RETRY
    assert second == f"llamadapro.transport GET {CONTACTS} -> 200 , attempt 2, request id -"


def test_the_log_of_an_app_has_each_line_once(sandbox: Sandbox) -> None:
    lines = logged(sandbox, "debug", "with a log of its own")
    assert [re.split(":| ->", line.removeprefix("app: "))[0] for line in lines] == [f"GET {CONTACTS}"] * 3


def test_the_log_shows_retries_and_pauses_at_info(sandbox: Sandbox) -> None:
    assert logged(sandbox, "info") == [RETRY]
    sandbox.faults.add("status", status=429, retry_after=0.01, times=1)
    pause, retry = logged(sandbox, "info")
    assert pause == f"{NAME}: status 429; all requests of this client wait for 0.01 s"
    assert retry == RETRY.replace("0.00", "0.01")


@pytest.mark.parametrize("level", ["warning", "error", "", None])
def test_the_log_is_silent_otherwise(sandbox: Sandbox, level: str | None) -> None:
    assert logged(sandbox, level) == []


async def test_each_page_of_a_walk_is_recorded(llamadapro_client: AsyncLlamadaPro) -> None:
    for _ in range(3):
        await llamadapro_client.contacts.create(first_name="Jane")
    with llamadapro_client.capture_exchanges() as exchanges:
        await llamadapro_client.contacts.list(page_size=2).collect()
        response = await llamadapro_client.request("GET", CONTACTS, params={"pageSize": 1})
    assert [(one.operation, one.method, one.path, one.status_code) for one in exchanges] == [
        ("get_contacts", "GET", CONTACTS, 200),
        ("get_contacts", "GET", CONTACTS, 200),
        ("request", "GET", CONTACTS, 200),
    ]
    assert exchanges[2].headers["Content-Length"] == response.headers["Content-Length"]


async def test_errors_and_records_have_the_same_request_id(httpx_mock: HTTPXMock) -> None:
    client = AsyncLlamadaPro("key", "http://service", _clock=FakeClock())
    httpx_mock.add_response(status_code=503, headers={"X-Request-Id": "r-1"})
    httpx_mock.add_response(status_code=503, headers={"X-Request-Id": "r-2"})
    httpx_mock.add_response(status_code=503, headers={"X-Request-Id": "r-3"})
    httpx_mock.add_response(status_code=409, headers={"X-Request-Id": "r-4"})
    httpx_mock.add_response(json=[], headers={"X-Request-Id": "r-5"})
    async with client:
        with client.capture_exchanges() as exchanges:
            with pytest.raises(InternalServerError) as failed:
                await client.contacts.get(5)
            with pytest.raises(ConflictError) as refused:
                await client.contacts.create(first_name="Jane")
            with pytest.raises(APIResponseValidationError) as unreadable:
                await client.contacts.get(5)
    assert [(one.request_id, one.status_code, one.attempts) for one in exchanges] == [
        ("r-3", 503, 3),
        ("r-4", 409, 1),
        ("r-5", 200, 1),
    ]
    assert (failed.value.request_id, refused.value.request_id) == ("r-3", "r-4")
    assert unreadable.value.response.headers["X-Request-Id"] == "r-5"
