"""What only a real socket shows: cut and dripping answers, downloads, the server's start and stop."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from tests.openapi import key_headers, path_of

CONTACTS = path_of("GetContacts")
COMMAND = [sys.executable, "-W", "error", "-m", "llamadapro_sandbox"]


class Process:
    """The sandbox as a program, with the address and key it prints."""

    def __init__(self, *options: str):
        self.process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        address, key = self.process.stdout.readline(), self.process.stdout.readline()
        found = re.fullmatch(r"LlamadaPro sandbox on (http://127\.0\.0\.1:\d+)\n", address)
        assert found, address
        self.key = key.removeprefix("API key: ").strip()
        self.client = httpx.Client(base_url=found[1], headers=key_headers(self.key), trust_env=False)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        self.client.close()
        return self.process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_says_where_it_is_and_stops_cleanly(number: int) -> None:
    with Process("--api-key", "mine", "--log", "--fault", "kind=status,status=503,times=1") as program:
        assert program.key == "mine"
        assert [program.client.get(CONTACTS).status_code for _ in range(2)] == [503, 200]
        code, errors = program.end(number)
    assert code == 0
    assert [line.split(" ", 1)[1] for line in errors.splitlines()] == [
        f"GET {CONTACTS} GetContacts 503 (status)",
        f"GET {CONTACTS} GetContacts 200",
    ]


def test_the_state_and_the_clock_survive_a_kill(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text("contacts:\n- firstName: Seeded\n")
    options = ("--db", str(tmp_path / "state.sqlite"), "--seed", str(seed))
    with Process(*options) as first:
        call = first.client.post(path_of("StartBridgeCall"), json={"to": "+56912345678"}).json()
        first.client.post("/_sandbox/clock", json={"advance": 3600})
        first.client.post(CONTACTS, json={"firstName": "Jane"})
        first.end(signal.SIGKILL)
    with Process(*options) as second:
        names = [one["firstName"] for one in second.client.get(CONTACTS).json()["items"]]
        assert names == ["Seeded", "Jane"]
        assert second.client.get(path_of("GetCall", call["id"])).json()["status"] == "completed"
        assert second.client.post(CONTACTS, json={}).json()["id"] == 3


def test_a_port_that_is_taken_is_said(sandbox: Sandbox, url: str) -> None:
    port = url.rsplit(":", 1)[1]
    done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "in use" in done.stderr


def test_a_server_in_a_thread_stops_and_frees_its_port(sandbox: Sandbox) -> None:
    with sandbox.serve() as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/").status_code == 200
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.port)):
        pass
    with sandbox.serve(port=server.port) as again:
        assert again.port == server.port


@pytest.mark.parametrize(("when", "created"), [("before", 0), ("after", 1), ("within", 1)])
async def test_a_reset_cuts_the_connection(sandbox: Sandbox, api: httpx.AsyncClient, when: str, created: int) -> None:
    sandbox.faults.add("reset", when=when, times=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await api.post(CONTACTS, json={"firstName": "Jane"}, headers={"X-Forwarded-For": "192.0.2.1"})
    assert (await api.get(CONTACTS)).json()["totalCount"] == created
    assert [one.status for one in sandbox.requests] == [200 if when == "within" else None, 200]


async def test_an_answer_drips(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add("drip", seconds=0.01, size=3, times=1)
    before, pieces = time.monotonic(), []
    async with api.stream("GET", CONTACTS) as answer:
        pieces = [piece async for piece in answer.aiter_raw()]
    assert b"".join(pieces) == b'{"items":[],"totalCount":0}'
    assert len(pieces) > 3
    assert time.monotonic() - before >= 0.08


async def test_a_drip_ends_when_the_client_gives_up(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add("drip", seconds=0.05, size=1, times=1)
    ended = threading.Event()
    sandbox.requests.on_answer = lambda entry: ended.set()
    with pytest.raises(httpx.ReadTimeout):
        await api.get("/nowhere" + "/x" * 1000, timeout=0.02)
    assert await asyncio.to_thread(ended.wait, 5)


async def test_a_large_recording_is_made_while_it_is_sent(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    size = 20 * 2**20
    recording = sandbox.add_recording(bytes=size, base_url=str(api.base_url).rstrip("/"))
    received = 0
    async with api.stream("GET", recording["url"]) as answer:
        assert answer.headers["Content-Length"] == str(size)
        async for piece in answer.aiter_raw():
            received += len(piece)
    assert received == size
    async with api.stream("GET", recording["url"], headers={"Range": f"bytes={size - 4}-"}) as answer:
        assert len(await answer.aread()) == 4


async def test_a_download_can_be_cut(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    recording = sandbox.add_recording(bytes=2**20, base_url=str(api.base_url).rstrip("/"))
    sandbox.faults.add("reset", when="within", operation="file", times=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await api.get(recording["url"])
    assert len((await api.get(recording["url"])).content) == 2**20


@pytest.mark.parametrize("headers", [{"Content-Length": str(2**40)}, {"Transfer-Encoding": "chunked"}])
async def test_a_body_that_is_too_large_is_refused_before_it_has_come(url: str, headers: dict[str, str]) -> None:
    head = {"Host": "localhost", "Content-Type": "application/json", **key_headers("sandbox"), **headers}
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(f"POST {CONTACTS} HTTP/1.1\r\n".encode())
    writer.write("".join(f"{name}: {value}\r\n" for name, value in head.items()).encode() + b"\r\n")
    if "Transfer-Encoding" in headers:
        for _ in range(65):
            writer.write(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
            await writer.drain()
    answer = await reader.readuntil(b"}}")
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"the body is larger than" in answer


@pytest.mark.parametrize("host", ["[::", "evil.example", "evil.example:80", "127.0.0.1.evil.example"])
async def test_a_foreign_host_is_refused(sandbox: Sandbox, api: httpx.AsyncClient, host: str) -> None:
    answer = await api.post(path_of("StartBridgeCall"), json={"to": "+1"}, headers={"Host": host})
    assert answer.status_code == 403
    assert "--allow-host" in answer.json()["message"]
    assert (len(sandbox.requests), sandbox.store.count("calls")) == (0, 0)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8080", "app.localhost", "sandbox.internal:80"])
async def test_its_own_names_are_let_in(sandbox: Sandbox, api: httpx.AsyncClient, host: str) -> None:
    sandbox.hosts = frozenset({"sandbox.internal"})
    assert (await api.get(CONTACTS, headers={"Host": host})).status_code == 200


async def test_a_test_may_turn_the_sandbox_while_it_serves(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    call = (await api.post(path_of("StartBridgeCall"), json={"to": "+56912345678"})).json()
    sandbox.clock.advance(2)
    assert (await api.get(path_of("GetCall", call["id"]))).json()["status"] == "completed"
    sandbox.reset()
    assert (await api.get(path_of("GetCall", call["id"]))).status_code == 404
