"""What tests of an app may do with a sandbox: time, data, faults, the log of requests; in process and over HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox, create_app
from llamadapro_sandbox.cli import main
from llamadapro_sandbox.clock import Clock
from llamadapro_sandbox.errors import BadRequest
from llamadapro_sandbox.seeding import read_seed
from tests.openapi import KEY_HEADER, key_headers, path_of

CONTACTS = path_of("GetContacts")
SEED: dict[str, Any] = {
    "contacts": [{"firstName": "Jane", "email": "jane@example.org"}, {"firstName": "John"}],
    "definitions": [
        {"entityType": "CONTACT", "fieldKey": "level", "fieldType": "LIST", "options": [{"value": "a"}, {"value": "b"}]}
    ],
    "conversations": [{"funnelId": 1, "contactId": 1}],
    "agentCalls": [{"voiceAgentId": 1, "to": "+56912345678", "contextVariables": {}}],
}


async def total(api: httpx.AsyncClient) -> int:
    return int((await api.get(CONTACTS)).json()["totalCount"])


def test_the_application_is_made_by_name_too() -> None:
    """As `uvicorn --factory llamadapro_sandbox:create_app` does."""
    sandbox = create_app(api_key="another", speed=0)
    assert isinstance(sandbox, Sandbox)
    assert sandbox.api_key == "another"
    sandbox.close()


def test_a_clock_runs_stands_and_jumps() -> None:
    assert abs(Clock().time() - time.time()) < 1
    still = Clock(speed=0)
    before = still.time()
    assert still.time() == before
    still.advance(2.5)
    assert still.time() == before + 2.5
    fast = Clock(speed=1e6)
    assert fast.time() > time.time()
    fast.speed = 0
    assert fast.time() == fast.time()
    with pytest.raises(ValueError, match="speed"):
        fast.speed = -1
    for wrong in (-1, float("inf"), float("nan"), 1e30):
        with pytest.raises((ValueError, OverflowError)):
            still.advance(wrong)
    assert still.time() == before + 2.5


async def test_snapshot_and_restore(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await api.post(CONTACTS, json={"firstName": "Jane"})
    kept = json.loads(json.dumps(sandbox.snapshot()))
    await api.post(CONTACTS, json={})
    await api.delete(path_of("DeleteContact", 1))
    sandbox.restore(kept)
    assert [one["firstName"] for one in (await api.get(CONTACTS)).json()["items"]] == ["Jane"]
    assert (await api.post(CONTACTS, json={})).json()["id"] == 2
    assert (await api.get("/_sandbox/snapshot")).json()["records"] != kept["records"]
    assert (await api.put("/_sandbox/snapshot", json=kept)).status_code == 204
    assert await total(api) == 1


async def test_reset_goes_back_to_the_first_seed(api: httpx.AsyncClient) -> None:
    sandbox = Sandbox(seed=SEED, speed=0, call_seconds=9)
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url="http://s", headers=key_headers("sandbox")
    ) as client:
        await client.post(CONTACTS, json={})
        sandbox.faults.add("status", status=500, operation="GetTasks")
        sandbox.settings.call_seconds = 1
        sandbox.clock.advance(1000)
        assert await total(client) == 3
        assert (await client.post("/_sandbox/reset")).status_code == 204
        assert await total(client) == 2
        assert len(sandbox.requests) == 1
        assert sandbox.faults.listed() == []
        assert sandbox.settings.call_seconds == 9
        assert abs(sandbox.clock.ahead) < 1


async def test_a_seed_is_checked_as_requests_are_and_all_or_nothing(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    created = sandbox.seed(SEED)
    assert created["conversations"][0]["contactId"] == 1
    assert (await api.get(path_of("GetCustomFieldListOptions", 1))).json()["totalCount"] == 2
    with pytest.raises(BadRequest, match=r"contacts\.1\.firstName"):
        sandbox.seed({"contacts": [{}, {"firstName": 1}]})
    with pytest.raises(BadRequest, match="people"):
        sandbox.seed({"people": []})
    assert await total(api) == 2
    answer = await api.post("/_sandbox/seed", json={"tasks": [{"objective": "o"}]})
    assert answer.status_code == 400
    assert (await api.post("/_sandbox/seed", json={"contacts": [{}]})).json()["contacts"][0]["id"] == 3


def test_a_seed_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text(json.dumps(SEED))
    (tmp_path / "seed.yaml").write_text("contacts:\n- firstName: Jane\n  createdAt: 2024-01-01T00:00:00Z\n")
    assert read_seed(str(tmp_path / "seed.json")) == SEED
    assert read_seed(str(tmp_path / "seed.yaml")) == {
        "contacts": [{"firstName": "Jane", "createdAt": "2024-01-01T00:00:00Z"}]
    }
    twice = '{"contacts": [{"firstName": "Jane"}], "contacts": []}'
    for name in ("seed.json", "seed.yaml"):
        (tmp_path / name).write_text(twice)
        with pytest.raises(ValueError, match="twice"):
            read_seed(str(tmp_path / name))


@pytest.mark.parametrize("key", ["", " k", "k\n", "é"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="API key must be printable ASCII"):
        Sandbox(api_key=key)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    for path in (tmp_path / "text", tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(ValueError, match=str(path)):
            Sandbox(db=str(path))


async def test_one_host_is_no_collection_of_letters() -> None:
    with Sandbox(hosts="sandbox.internal") as sandbox:
        headers = {"Host": "sandbox.internal", **key_headers("sandbox")}
        async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://x", headers=headers) as client:
            assert (await client.get(CONTACTS)).status_code == 200


def test_steering_shows_a_warning(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "seed.yaml").write_text("contacts: [{first_name: Jane}]")
    with sandbox.serve() as server:
        monkeypatch.setenv("LLAMADAPRO_BASE_URL", server.url)
        assert main(["seed", str(tmp_path / "seed.yaml")]) == 0
    assert "did you mean firstName" in capsys.readouterr().err


async def test_requests_are_written_down_without_the_key(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await api.post(f"{CONTACTS}?a=b", json={"firstName": "Jane"})
    await api.get("/nowhere")
    await api.post(CONTACTS, content=b"nonsense")
    made, lost, bad = sandbox.requests
    assert (made.operation, made.status, made.json, made.query) == (
        "CreateContact",
        200,
        {"firstName": "Jane"},
        {"a": "b"},
    )
    assert (lost.operation, lost.status) == (None, 404)
    assert (bad.status, bad.json) == (400, None)
    assert sandbox.requests.of("CreateContact") == [made, bad]
    reported = (await api.get("/_sandbox/requests?operation=CreateContact")).json()["requests"]
    assert [one["status"] for one in reported] == [200, 400]
    assert all(KEY_HEADER.lower() not in one["headers"] and "user-agent" in one["headers"] for one in reported)
    await api.delete("/_sandbox/requests")
    assert len(sandbox.requests) == 0


async def test_status_faults_before_and_after_the_effect(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add("status", status=429, retry_after=1.5, times=1, operation="CreateContact")
    sandbox.faults.add("status", status=502, when="after", times=1, path=f"{CONTACTS[:-2]}*")
    refused, lost, well = [await api.post(CONTACTS, json={}) for _ in range(3)]
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1.5")
    assert refused.json()["code"] == 429
    assert (lost.status_code, well.status_code) == (502, 200)
    assert well.json()["id"] == 2
    assert [one.fault for one in sandbox.requests] == ["status", "status", None]


@pytest.mark.parametrize(
    "wrong",
    [{"when": "never"}, {"probability": 1.5}, {"probability": -0.1}, {"seconds": -1}, {"size": 0}, {"times": -1}],
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        sandbox.faults.add("latency", **wrong)
    assert sandbox.faults.listed() == []


async def test_faults_by_probability_are_the_same_in_every_run(api: httpx.AsyncClient, sandbox: Sandbox) -> None:
    async def run() -> list[int]:
        sandbox.faults.clear()
        sandbox.faults.add("status", status=503, probability=0.3)
        return [(await api.get(CONTACTS)).status_code for _ in range(100)]

    first = await run()
    assert first == await run()
    assert 15 < first.count(503) < 45


async def test_a_reset_arrives_as_a_broken_connection_in_process(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    for when, created in (("before", 0), ("after", 1), ("within", 2)):
        sandbox.faults.add("reset", when=when, times=1)
        with pytest.raises(httpx.ReadError):
            await api.post(CONTACTS, json={})
        assert await total(api) == created


async def test_latency_and_drips_only_take_their_time(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add("latency", seconds=0.05, times=1)
    sandbox.faults.add("drip", seconds=0, size=5, times=1)
    before = time.monotonic()
    assert (await api.get(CONTACTS)).status_code == 200
    assert time.monotonic() - before >= 0.05
    assert (await api.get(CONTACTS)).json() == {"items": [], "totalCount": 0}


async def test_the_control_interface(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    now = sandbox.clock.time()
    assert (await api.post("/_sandbox/clock", json={"advance": 60, "speed": 0})).json()["speed"] == 0
    assert sandbox.clock.time() == now + 60
    assert (await api.post("/_sandbox/settings", json={"search_per_second": 3})).json()["search_per_second"] == 3
    fault = {"kind": "status", "status": 403, "operation": "GetContacts"}
    assert (await api.post("/_sandbox/faults", json=fault)).json()["faults"][0]["status"] == 403
    assert (await api.get(CONTACTS)).status_code == 403
    await api.delete("/_sandbox/faults")
    assert (await api.get("/_sandbox/faults")).json() == {"faults": []}
    made = (await api.post("/_sandbox/recordings", json={"bytes": 10_000})).json()
    assert len((await api.get(made["url"])).content) == 10_000
    assert (await api.get("/_sandbox")).json()["counts"] == {"recordings": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "clock", {"advance": -1}, 400),
        ("POST", "clock", {"advance": 1e300}, 400),
        ("POST", "clock", {"forward": 1}, 400),
        ("POST", "clock", [], 400),
        ("POST", "settings", {"nonsense": 1}, 400),
        ("POST", "settings", {"call_seconds": "long"}, 400),
        ("POST", "settings", {"call_seconds": None}, 400),
        ("POST", "faults", {"kind": "meteor"}, 400),
        ("POST", "faults", {"kind": "status", "status": 999}, 400),
        ("POST", "faults", {"kind": "status", "colour": "red"}, 400),
        ("POST", "faults", {"kind": "status", "times": "twice"}, 400),
        ("POST", "recordings", {"bytes": "many"}, 400),
        ("PUT", "snapshot", {}, 400),
        ("PUT", "snapshot", {"records": {"records": [["contacts"]]}, "ahead": 0}, 400),
        ("POST", "seed", {"contacts": [5]}, 400),
        ("POST", "seed", {"contacts": [{"archivedAt": "yesterday"}]}, 400),
        ("GET", "nothing", None, 404),
        ("PUT", "clock", {}, 405),
    ],
)
async def test_control_refuses_what_it_does_not_know(
    api: httpx.AsyncClient, method: str, path: str, body: Any, status: int
) -> None:
    answer = await api.request(method, f"/_sandbox/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["message"]


async def test_control_wants_the_key_and_the_page_does_not(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as client:
        assert (await client.get("/_sandbox/requests")).status_code == 401
        page = await client.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "sandbox.example.org"])
def test_the_command_line_refuses_other_addresses_unless_asked_to(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--host", host]) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_a_seed_that_the_document_does_not_allow_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"contacts": [{"firstName": 5}]}')
    assert main(["--seed", str(seed)]) == 2
    assert f"llamadapro sandbox: {seed}: " in capsys.readouterr().err


def test_a_fault_is_written_in_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--fault", "meteor"])
    assert "'meteor' is not name=value" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--set", "nonsense=1"], ["--fault", "kind=meteor"], ["--seed", "/no/such/file"], ["--speed", "-1"]]
)
def test_the_command_line_explains_wrong_options(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(wrong) == 2
    assert capsys.readouterr().err.startswith("llamadapro sandbox: ")
