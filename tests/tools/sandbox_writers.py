"""Many writers at once on a sandbox with a file, then kill -9: what was acknowledged is there, once and complete.

`python -m tests.tools.sandbox_writers [seconds] [writers]`; ten seconds and a hundred writers by default.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.openapi import key_headers, path_of

CONTACTS = path_of("GetContacts")


@dataclass
class Outcome:
    created: dict[int, str] = field(default_factory=dict)
    """The acknowledged contacts: id and name."""
    renamed: dict[int, str] = field(default_factory=dict)
    """The acknowledged last names."""
    twice: int = 0
    """Ids that were given more than once."""
    unknown: int = 0
    """Creations whose answer was lost in the kill."""
    stored: int = 0
    missing: int = 0
    torn: int = 0
    """Records that do not hold what was acknowledged."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        spare = self.stored - len(self.created)
        return not self.twice and not self.missing and not self.torn and 0 <= spare <= self.unknown

    def __str__(self) -> str:
        rate = (len(self.created) + len(self.renamed)) / self.seconds
        return (
            f"{len(self.created):,} creations and {len(self.renamed):,} updates acknowledged in {self.seconds:.1f} s "
            f"({rate:,.0f}/s); after kill -9 and restart: {self.stored:,} stored, {self.unknown} of unknown outcome, "
            f"{self.missing} missing, {self.torn} torn, {self.twice} ids given twice"
        )


class Sandbox:
    """The sandbox as a program of its own."""

    def __init__(self, db: Path):
        command = [sys.executable, "-m", "llamadapro_sandbox", "--db", str(db)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def client(self) -> httpx.AsyncClient:
        """One for each writer: a pool of a hundred connections would be slower than the sandbox."""
        headers = key_headers("sandbox")
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=False)

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


async def write(client: httpx.AsyncClient, writer: int, outcome: Outcome) -> None:
    """Create and rename contacts until the sandbox is gone."""
    for number in itertools.count():
        name = f"{writer}-{number}"
        try:
            made = (await client.post(CONTACTS, json={"firstName": name})).json()
        except httpx.TransportError:
            outcome.unknown += 1
            return
        outcome.twice += made["id"] in outcome.created
        outcome.created[made["id"]] = name
        if number % 2:
            try:
                await client.put(path_of("UpdateContact", made["id"]), json={"lastName": name})
            except httpx.TransportError:
                return
            outcome.renamed[made["id"]] = name


async def inspect(client: httpx.AsyncClient, outcome: Outcome) -> None:
    """Hold what is stored against what was acknowledged."""
    stored: dict[int, dict[str, str]] = {}
    token: str | None = None
    while True:
        parameters = {"pageSize": "500", **({"pageToken": token} if token else {})}
        page = (await client.get(CONTACTS, params=parameters)).json()
        stored |= {item["id"]: item for item in page["items"]}
        token = page.get("nextPageToken")
        if token is None:
            break
    outcome.stored = page["totalCount"]
    outcome.missing = len(outcome.created.keys() - stored.keys()) + abs(outcome.stored - len(stored))
    for number, name in outcome.created.items():
        record = stored.get(number, {})
        outcome.torn += record.get("firstName") != name
        outcome.torn += number in outcome.renamed and record.get("lastName") != name


async def prove(seconds: float, writers: int, db: Path, least: int = 0) -> Outcome:
    """Let them write for some seconds, and until at least so many updates are acknowledged, however slow this is."""
    outcome, first = Outcome(), Sandbox(db)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(first.client()) for _ in range(writers)]
        start = time.monotonic()
        tasks = [asyncio.create_task(write(client, number, outcome)) for number, client in enumerate(clients)]
        await asyncio.sleep(seconds)
        async with asyncio.timeout(60):
            while len(outcome.renamed) < least:  # noqa: ASYNC110 - writers append to it
                await asyncio.sleep(0.05)
        first.end(signal.SIGKILL)  # in the middle of it all
        outcome.seconds = time.monotonic() - start
        await asyncio.gather(*tasks)
    second = Sandbox(db)
    async with second.client() as client:
        await inspect(client, outcome)
    second.end(signal.SIGTERM)
    connection = sqlite3.connect(db)
    assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()
    return outcome


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    writers = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(prove(seconds, writers, Path(folder) / "state.sqlite"))
    print(f"{writers} writers: {outcome}")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
