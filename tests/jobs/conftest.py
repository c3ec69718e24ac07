"""Ledgers of both kinds, and a service of a few lines that counts what it receives."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamadapro import AsyncLlamadaPro
from tests.clocks import FakeClock
from tests.postgres import PostgresServer, find_binaries, missing

Act = Callable[[Any], httpx.Response | Awaitable[httpx.Response]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for each process of the tests."""
    binaries = find_binaries()
    if binaries is None:
        missing(pytest.skip, pytest.fail)
    assert binaries is not None
    server = PostgresServer(binaries)
    yield server
    server.stop()


@pytest.fixture
def postgres_ledger(postgres: PostgresServer) -> str:
    """An empty database."""
    return postgres.new_database()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A ledger that nobody has begun, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "people.ledger")
    return request.getfixturevalue("postgres_ledger")


class Service:
    """Takes every message, unless `act` has something else in mind for it."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.bodies: list[Any] = []
        self.acts: list[Act | None] = []
        self.always: Act | None = None
        self.at_once = self.most_at_once = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        act = self.acts.pop(0) if self.acts else self.always
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if act is not None:
                response = act(body)
                response = response if isinstance(response, httpx.Response) else await response
                if response.status_code != 201:
                    return response
            self.received[body.get("toPhoneNumber") or body["to"]] += 1
            return httpx.Response(201, json={"id": f"message_{sum(self.received.values())}"})
        finally:
            self.at_once -= 1


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncLlamadaPro]:
    async with client_of(service) as client:
        yield client


@contextlib.asynccontextmanager
async def client_of(service: Service, **options: Any) -> AsyncIterator[AsyncLlamadaPro]:
    options = {"base_url": "http://service", "_clock": FakeClock(), "max_retries": 0} | options
    async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as http:
        yield AsyncLlamadaPro("key", http_client=http, **options)
