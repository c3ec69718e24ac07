"""The examples: each is run as a user runs it, against a sandbox on a real socket."""

from __future__ import annotations

import asyncio
import csv
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from llamadapro import AsyncLlamadaPro
from llamadapro_sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"
JANE = "+14155552671"
SENDER = "+56912345678"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """On a socket, and the environment leads to it."""
    sandbox = Sandbox(speed=0)
    with sandbox.serve() as server:
        monkeypatch.setenv("LLAMADAPRO_BASE_URL", server.url)
        monkeypatch.setenv("LLAMADAPRO_API_KEY", sandbox.api_key)
        yield sandbox
    sandbox.close()


def start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})


def run(script: str, *arguments: str | Path, code: int = 0) -> str:
    """What a script prints; what it complains of counts where it fails as it should."""
    process = start(script, *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    return out if code == 0 else out + err


def operations(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(request.operation for request in sandbox.requests)


def test_quickstart(sandbox: Sandbox) -> None:
    sandbox.settings.call_seconds = 0
    printed = run("quickstart.py")
    assert "completed" in printed
    assert "{'contact': {'first_name': 'Without a funnel'}} -> ['is required']" in printed
    assert operations(sandbox)["CreateMessage"] == 1


def test_the_demo_shows_that_a_lost_answer_is_not_repeated() -> None:
    printed = run("quickstart.py", "--sandbox")
    assert "may_have_been_processed: True\nrequests at the server: 1\n" in printed
    assert "await client.messages.send_text(" in printed  # the code that ran


# --- an agent's call ---------------------------------------------------------------------------------------------


def test_a_task_follows_from_what_was_said(sandbox: Sandbox) -> None:
    sandbox.requests.on_answer = lambda entry: entry.operation == "GetCall" and sandbox.clock.advance(2)
    printed = run("agent_call.py", JANE, "Jane")
    assert printed.startswith("call 1: queued\ncall 1: completed\ntask_1, due ")
    ((_, task),) = sandbox.store.some("tasks")
    assert task["objective"].startswith("Keep what Jane was promised:\nAgent: Hello Jane")
    assert operations(sandbox)["StartAgentCall"] == 1


def test_a_task_follows_where_nothing_was_said(sandbox: Sandbox) -> None:
    sandbox.settings.call_seconds = 0
    run("agent_call.py", "+15005550001", "Jane")  # the sandbox's number that fails
    ((_, task),) = sandbox.store.some("tasks")
    assert task["objective"] == "Ring Jane: the agent's call is failed and left no text"


# --- a campaign --------------------------------------------------------------------------------------------------


def people(path: Path, count: int) -> list[str]:
    numbers = [f"+569{number:08d}" for number in range(count)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["to", "name"], *([number, f"Zoë {number[-2:]}"] for number in numbers)])
    return numbers


def received(sandbox: Sandbox) -> Counter[str]:
    """How many messages the sandbox has for each number."""
    return Counter(message["recipient"]["address"] for _, message in sandbox.store.some("messages"))


def test_a_campaign_sends_each_number_one_message_however_often_it_is_run(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    numbers = people(path, 30)
    with path.open("a", encoding="utf-8") as file:
        file.write("+56 9 0000 0000,again in other words\n")
    campaign = ("campaign.py", path, "welcome", SENDER, tmp_path / "ledger")
    for _ in range(2):
        assert run(*campaign) == "31 rows read: 30 sent, 1 duplicates\n"
        assert received(sandbox) == Counter(numbers)


def test_what_a_campaign_cannot_do_is_said(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "people.csv"
    assert "No such file" in run("campaign.py", path, "welcome", SENDER, tmp_path / "ledger", code=1)
    path.write_text("to,name\n12,Eva\n")
    assert "bad: row 0: to: '12'" in run("campaign.py", path, "welcome", SENDER, tmp_path / "other", code=1)
    monkeypatch.delenv("LLAMADAPRO_API_KEY")
    assert "set the environment variable LLAMADAPRO_API_KEY" in run(
        "campaign.py", path, "welcome", SENDER, tmp_path / "other", code=1
    )
    assert len(sandbox.requests) == 0


# --- an app ------------------------------------------------------------------------------------------------------


class Clients(list[AsyncLlamadaPro]):
    """Notes down the clients that the app makes."""

    def __call__(self, **options: Any) -> AsyncLlamadaPro:
        self.append(AsyncLlamadaPro(**options))
        return self[-1]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the app, loaded anew."""
    monkeypatch.syspath_prepend(str(EXAMPLES / "fastapi_app"))
    monkeypatch.delitem(sys.modules, "main", raising=False)
    import main

    monkeypatch.delitem(sys.modules, "main")
    monkeypatch.setattr(main, "AsyncLlamadaPro", Clients())
    return main


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The app on a real server, from its start-up to its shutdown."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:  # who connects before the app has started, waits
        serving = asyncio.create_task(server.serve([listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield http
        server.should_exit = True
        await serving


async def test_all_requests_share_one_client_until_the_app_ends(sandbox: Sandbox, app: Any) -> None:
    made = app.AsyncLlamadaPro
    async with served(app.app) as http:
        answers = await asyncio.gather(
            *(http.post("/messages", json={"to": JANE, "text": f"Hi {number}"}) for number in range(10))
        )
        assert "closed" not in repr(made[0])
    assert [answer.status_code for answer in answers] == [201] * 10
    assert {answer.json()["id"] for answer in answers} == {f"message_{number}" for number in range(1, 11)}
    assert len(made) == 1
    assert "closed" in repr(made[0])


async def test_what_goes_wrong_is_reported_so_that_nobody_sends_twice(sandbox: Sandbox, app: Any) -> None:
    async def post(to: str = JANE) -> httpx.Response:
        return await http.post("/messages", json={"to": to, "text": "Hi"})

    async with served(app.app) as http:
        answer = await post("whatsapp:+14155552671")
        assert answer.status_code == 422
        assert "whatsapp:" in answer.json()["detail"]
        assert len(sandbox.requests) == 0

        sandbox.faults.add("status", status=429, retry_after=59.5, times=1)  # longer than its calls may take
        answer = await post()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")

        (client,) = app.AsyncLlamadaPro
        app.app.dependency_overrides[app.llamadapro] = lambda: impatient
        impatient = AsyncLlamadaPro(timeout=0.2, max_retries=0)
        sandbox.faults.add("status", status=503, when="after", times=1)
        sandbox.faults.add("latency", seconds=1, times=1)
        sandbox.faults.add("status", status=400, times=1)
        lost, late, refused = await post(), await post(), await post()
        assert [answer.status_code for answer in (lost, late, refused)] == [502, 504, 502]
        assert [answer.json()["may_have_been_sent"] for answer in (lost, late, refused)] == [True, True, False]
        assert "look before you repeat" in late.json()["detail"]
        await impatient.aclose()
    assert "closed" in repr(client)
