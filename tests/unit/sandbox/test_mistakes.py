"""Nothing passes by mistake: misspelt names are refused or flagged, and what is inside can be seen."""

from __future__ import annotations

import gc
import re
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.cli import main
from llamadapro_sandbox.clock import LATEST
from llamadapro_sandbox.errors import BadRequest, SandboxWarning
from llamadapro_sandbox.request_log import MAX_ANSWER_BYTES, MAX_BODY_BYTES
from tests.openapi import key_headers, path_of

TASKS = path_of("GetTasks")
MEDIA = path_of("UploadMedia")

CONTACTS = path_of("GetContacts")
MISSPELT = [
    ({"first\r\nName": 1}, "body.first\\r\\nName", "firstName"),
    ({"firstName": "Jane", "first_name": "J"}, "body.first_name", "firstName"),
    (
        {"firstName": "Jane", "addresses": [{"channelType": "PHONE", "adress": "1", "address": "1"}]},
        "adress",
        "address",
    ),
]


@pytest.mark.parametrize(("body", "place", "meant"), MISSPELT)
async def test_an_unknown_field_of_a_body_is_flagged(
    sandbox: Sandbox, api: httpx.AsyncClient, body: dict[str, Any], place: str, meant: str
) -> None:
    answer = await api.post(CONTACTS, json=body)
    assert answer.status_code == 200
    warning = answer.headers["X-Sandbox-Warning"]
    assert place in warning
    assert f"did you mean {meant}" in warning
    assert sandbox.requests[-1].warning == warning
    assert (await api.get("/_sandbox/requests")).json()["requests"][0]["warning"] == warning


@pytest.mark.parametrize("extra", [{"id": 1}, {"id": "x"}, {"tenantId": "x", "updatedAt": 5}, {"_archived": True}])
async def test_an_unknown_field_changes_nothing(
    sandbox: Sandbox, api: httpx.AsyncClient, extra: dict[str, Any]
) -> None:
    sandbox.seed({"contacts": [{"firstName": "Jane"}]})
    made = (await api.post(CONTACTS, json={"firstName": "Pedro", **extra})).json()
    with pytest.warns(SandboxWarning):
        (seeded,) = sandbox.seed({"contacts": [{"firstName": "Ana", **extra}]})["contacts"]
    assert [(one["id"], one["tenantId"]) for one in (made, seeded)] == [(2, "sandbox"), (3, "sandbox")]
    assert [one["firstName"] for one in (await api.get(CONTACTS)).json()["items"]] == ["Jane", "Pedro", "Ana"]


async def test_an_unknown_field_further_in_changes_nothing(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    conversation = {"funnelId": 1, "contactId": 1}
    sandbox.seed({"contacts": [{}, {}], "conversations": [conversation]})
    items = [{"id": 1, "contactId": 2, "funnelStatusId": 7}, {"id": 1, "contact": {"first_name": "J", "tenantId": "x"}}]
    answer = await api.put(path_of("BulkUpdate"), json={"conversations": items})
    assert answer.json()["report"]["counts"]["successful"] == 2
    changed, contact = sandbox.store.get("conversations", 1), sandbox.store.get("contacts", 1)
    assert changed is not None
    assert contact is not None
    assert (changed["contactId"], changed["funnelStatusId"], contact["tenantId"]) == (1, 7, "sandbox")
    assert "first_name" not in contact


async def test_an_unknown_query_parameter_is_flagged(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"{CONTACTS}?page_size=3")
    assert "did you mean pageSize" in answer.headers["X-Sandbox-Warning"]


@pytest.mark.parametrize("name", ["\r", "\x0c\x00", "é\n", "x" * 999 + " y"])
async def test_a_warning_fits_into_a_header_whatever_the_name(api: httpx.AsyncClient, name: str) -> None:
    answer = await api.post(CONTACTS, json={"firstName": "Jane", name: 1})
    assert re.fullmatch("[!-~]([ -~]*[!-~])?", answer.headers["X-Sandbox-Warning"])


async def test_what_is_free_form_or_known_is_not_flagged(api: httpx.AsyncClient) -> None:
    body = {"firstName": "Jane", "customFields": {"any": {"thing": 1}}, "metadata": {"x": [{"y": 1}]}}
    assert "X-Sandbox-Warning" not in (await api.post(CONTACTS, json=body)).headers
    assert "X-Sandbox-Warning" not in (await api.get(f"{CONTACTS}?pageSize=1")).headers


async def test_strict_refuses_what_is_unknown() -> None:
    with Sandbox(strict=True) as sandbox:
        async with httpx.AsyncClient(
            transport=sandbox.transport(), base_url="http://sandbox", headers=key_headers("sandbox")
        ) as api:
            bad = await api.post(f"{CONTACTS}?a=b", json={"first_name": "Jane"})
            seed = await api.post("/_sandbox/seed", json={"contacts": [{"first_name": "Jane"}]})
        assert (bad.status_code, seed.status_code) == (400, 400)
        assert {one["field"] for one in bad.json()["details"]["issues"]} == {"a", "first_name"}
        with pytest.raises(BadRequest, match=r"contacts\.0\.first_name is unknown; did you mean firstName"):
            sandbox.seed({"contacts": [{"first_name": "Jane"}]})
        assert sandbox.store.counts() == {}


async def test_a_seed_is_flagged(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    with pytest.warns(SandboxWarning, match="did you mean firstName"):
        sandbox.seed({"contacts": [{"first_name": "Jane"}]})
    answer = await api.post("/_sandbox/seed", json={"contacts": [{"first_name": "Jane"}]})
    assert "contacts.0.first_name" in answer.headers["X-Sandbox-Warning"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"operation": "createContact"}, "did you mean CreateContact"),
        ({"operation": "Nonsense"}, "no operation 'Nonsense'"),
        ({"method": "PATSH"}, "no operation has the method 'PATSH'"),
        ({"path": CONTACTS[:-1]}, "no operation has a path like"),
        ({"path": f"/v0{CONTACTS}/*"}, "no operation has a path like"),
        ({"operation": "CreateContact", "method": "GET"}, "no operation matches all of this fault"),
        ({"operation": "CreateContact", "path": TASKS}, "no operation matches all of this fault"),
        ({"retry": 1}, "a fault has no 'retry'"),
    ],
)
async def test_a_fault_that_can_hit_nothing_is_refused(
    sandbox: Sandbox, api: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], fault: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        sandbox.faults.add("status", **fault)
    answer = await api.post("/_sandbox/faults", json={"kind": "status", **fault})
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert len(sandbox.faults) == 0
    assert main(["--fault", ",".join(["kind=status", *(f"{name}={value}" for name, value in fault.items())])]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault",
    [
        {"method": "post"},
        {"path": "*"},
        {"path": f"{CONTACTS[:2]}*"},
        {"path": path_of("GetContact", 5)},
        {"path": path_of("GetContact", "*")},
        {"path": "*/search"},
        {"path": f"/?{path_of('GetCallRecording', '*')[2:]}"},
        {"path": "/_sandbox/files/recordings/1.wav"},
        {"operation": "file"},
    ],
)
def test_a_fault_that_can_hit_something_is_taken(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    assert sandbox.faults.add("status", **fault) in sandbox.faults.unused


def test_requests_of_an_unknown_operation_are_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="did you mean GetContacts"):
        sandbox.requests.of("getContacts")
    assert sandbox.requests.of("GetContacts") == []


async def test_the_page_and_the_controls_eat_no_fault(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    fault = sandbox.faults.add("status", times=1)
    for path in ("/", "/favicon.ico", "/_sandbox/page.js", "/_sandbox", "/_sandbox/requests", "/_sandbox/changes"):
        assert (await api.get(path)).status_code == 200
    assert sandbox.faults.unused == [fault]
    assert (await api.get(CONTACTS)).status_code == 503
    assert (sandbox.faults.unused, fault.hits, len(sandbox.requests)) == ([], 1, 1)


async def test_answers_and_times_are_logged(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add("status", status=503, retry_after=2, times=1)
    await api.get(CONTACTS)
    await api.post(CONTACTS, content='{"firstName":"Jane"}', headers={"Content-Type": "application/json"})
    failed, made = (one.answer for one in sandbox.requests)
    assert failed is not None
    assert made is not None
    assert (failed.status, failed.headers["retry-after"], failed.body["code"]) == (503, "2", 503)
    assert (made.status, made.json["firstName"]) == (200, "Jane")
    assert made.ms > 0
    assert sandbox.requests[-1].ms == made.ms
    one = (await api.get("/_sandbox/requests/2")).json()
    assert (one["answer"]["body"]["id"], one["text"], one["answer"]["ms"]) == (1, '{"firstName":"Jane"}', made.ms)
    assert (await api.get("/_sandbox/requests/99")).status_code == 404


async def test_the_log_is_bounded(sandbox: Sandbox, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamadapro_sandbox.request_log.MAX_TOTAL_BYTES", 2**20)
    for _ in range(12):
        await api.post(CONTACTS, json={"firstName": "J" * 2**20})
    assert 1 <= len(sandbox.requests) < 10
    last = sandbox.requests[-1]
    assert last.answer is not None
    assert (len(last.raw), len(last.answer.raw)) == (MAX_BODY_BYTES, MAX_ANSWER_BYTES)
    upload = {"fileName": "a.pdf", "contentType": "application/pdf", "content": "A" * 200_000}
    await api.post(path_of("UploadMedia"), json={**upload, "fromPhoneNumber": "+56912345678"})
    assert sandbox.requests[-1].json["content"] == upload["content"]
    monkeypatch.undo()
    for _ in range(1100):
        await api.get(path_of("GetContact", 99))
    assert len(sandbox.requests) == 1000


async def test_keys_are_in_no_log(sandbox: Sandbox) -> None:
    sandbox.api_key = "sk_secret"
    headers = {**key_headers("sk_secret"), "Authorization": "Bearer sk_secret", "Cookie": "key=sk_secret"}
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox", headers=headers) as api:
        await api.get(CONTACTS)
        shown = (await api.get("/_sandbox/requests")).text
    assert "sk_secret" not in shown + repr(sandbox.requests) + repr(list(sandbox.requests)) + repr(sandbox)


async def test_what_is_inside_can_be_seen(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await api.post(CONTACTS, json={})
    sandbox.faults.add("latency", seconds=2, operation="GetTasks")
    assert f"POST {CONTACTS} CreateContact 200" in repr(sandbox.requests)
    assert "kind=latency,seconds=2,operation=GetTasks (0 hits)" in repr(sandbox.faults)
    assert "speed 0" in repr(sandbox.clock)
    assert "1 contacts" in repr(sandbox)


@pytest.mark.parametrize("speed", ["1e300", "NaN", "-1", '"fast"', "Infinity"])
async def test_a_wrong_speed_changes_nothing(sandbox: Sandbox, api: httpx.AsyncClient, speed: str) -> None:
    before = sandbox.clock.time()
    content = f'{{"speed": {speed}, "advance": 5}}'.encode()
    answer = await api.post("/_sandbox/clock", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert (sandbox.clock.speed, sandbox.clock.time()) == (0, before)
    assert (await api.get(CONTACTS)).status_code == 200


async def test_an_advance_that_is_refused_leaves_the_speed(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    assert (await api.post("/_sandbox/clock", json={"speed": 5, "advance": 1e300})).status_code == 400
    assert sandbox.clock.speed == 0


def test_a_fast_clock_stops_at_the_end_of_the_calendar() -> None:
    with Sandbox(speed=0) as sandbox:
        sandbox.clock.advance(LATEST - sandbox.clock.time())
        sandbox.clock.speed = 1e6
        assert sandbox.clock.stamp() == "9999-12-31T00:00:00.000Z"
        with pytest.raises(ValueError, match="up to the year 9999"):
            sandbox.clock.advance(1)


def test_a_sandbox_is_closed_by_with_and_by_nobody(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Sandbox(db=str(tmp_path / "a.sqlite")) as sandbox:
            sandbox.seed({"contacts": [{}]})
        sandbox.close()
        del sandbox
        Sandbox()
        with pytest.raises(ValueError, match="no setting"):
            Sandbox(nonsense=1)
        assert main(["--fault", "kind=meteor"]) == 2
        gc.collect()


async def test_uploads_are_attachments(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    body = {"fromPhoneNumber": "+56221234567", "fileName": "a.html", "contentType": "text/html", "content": "PGI+"}
    media = (await api.post(MEDIA, json=body)).json()
    answer = await api.get(media["url"])
    assert answer.content == b"<b>"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_form_of_another_site_steers_nothing(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    answer = await api.post("/_sandbox/seed", content=b'{"contacts": [{}]}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    assert sandbox.store.counts() == {}


@pytest.mark.parametrize(
    "options",
    [
        {"times": 0},
        {"times": 1.5},
        {"size": 1.5},
        {"probability": "often"},
        {"probability": 2},
        {"seconds": float("nan")},
        {"retry_after": "1\r\nX-Evil: yes"},
        {"when": "within"},
        {"when": "later"},
        {"status": 101},
        {"status": 503.0},
        {"status": [503]},
        {"operation": ["GetContacts"]},
        {"method": 5},
        {"path": {}},
    ],
)
def test_a_fault_whose_numbers_make_no_sense_is_refused_by_name(sandbox: Sandbox, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        sandbox.faults.add("status", **options)
    assert len(sandbox.faults) == 0


@pytest.mark.parametrize(
    ("seed", "place"),
    [
        ([], "seed must be an object"),
        ({"contacts": {"firstName": "Jane"}}, r"seed\.contacts must be a list of objects"),
        ({"contacts": ["Jane"]}, r"seed\.contacts must be a list of objects"),
        ({"contacts": [{"archivedAt": 5}]}, r"contacts\.0\.archivedAt is not a date-time"),
        (
            {"definitions": [{"entityType": "CONTACT", "fieldKey": "a", "fieldType": "LIST", "options": "b"}]},
            r"definitions\.0\.options must be a list",
        ),
        ({1: []}, r"seed\.1 is unknown"),
        ({"contacts": [{}, {"firstName": b"Jane"}]}, r"contacts\.1 cannot be written as JSON: .*bytes"),
        ({"contacts": [{"metadata": {"a": float("nan")}}]}, r"contacts\.0 cannot be written as JSON"),
        ({"contacts": [{}], "conversations": [{"funnelId": 1, "contactId": 9}]}, r"conversations\.0\.contactId there"),
        (
            {
                "definitions": [
                    {
                        "entityType": "CONTACT",
                        "fieldKey": "a",
                        "fieldType": "LIST",
                        "options": [{"value": "b"}, {"value": "b"}],
                    }
                ]
            },
            r"definitions\.0\.options\.1\.value 'b' is already",
        ),
    ],
)
def test_a_seed_of_another_shape_is_refused_with_its_place(sandbox: Sandbox, seed: Any, place: str) -> None:
    with pytest.raises(BadRequest, match=place):
        sandbox.seed(seed)
    assert sandbox.store.counts() == {}


@pytest.mark.parametrize(
    "snapshot", [{}, {"records": 5, "ahead": 0}, {"records": {}, "ahead": "x"}, {"records": {"records": [[1]]}}]
)
async def test_what_is_no_snapshot_is_refused_and_changes_nothing(
    sandbox: Sandbox, api: httpx.AsyncClient, snapshot: Any
) -> None:
    sandbox.seed({"contacts": [{"firstName": "Jane"}]})
    with pytest.raises(ValueError, match=r"not what snapshot\(\) gave"):
        sandbox.restore(snapshot)
    answer = await api.put("/_sandbox/snapshot", json=snapshot)
    assert (answer.status_code, sandbox.store.counts()) == (400, {"contacts": 1})


@pytest.mark.parametrize(
    ("place", "value"),
    [(("sequences",), []), (("sequences",), [["contacts"]]), (("records", 0, 1), 1.5), (("records", 0, 1), 2**41)],
)
def test_a_snapshot_that_was_changed_is_refused(sandbox: Sandbox, place: tuple[Any, ...], value: Any) -> None:
    sandbox.seed({"contacts": [{"firstName": "Jane"}]})
    snapshot = sandbox.snapshot()
    at = snapshot["records"]
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    with pytest.raises(ValueError, match="it was changed"):
        sandbox.restore(snapshot)
    assert sandbox.seed({"contacts": [{}]})["contacts"][0]["id"] == 2


def test_a_closed_sandbox_says_so() -> None:
    sandbox = Sandbox()
    sandbox.close()
    assert repr(sandbox) == "<Sandbox: closed>"
