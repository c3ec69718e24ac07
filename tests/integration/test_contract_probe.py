"""The probe against the sandbox: nothing to say of the unchanged one, and each of many divergences found and named.

The divergences are made by an application around the sandbox that rewrites requests and answers; the sandbox itself
knows the same document as the probe and stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamadapro import AsyncLlamadaPro
from llamadapro_contract.cli import main, parser
from llamadapro_contract.document import Document, KeyPlacement, packaged
from llamadapro_contract.findings import Report
from llamadapro_contract.patch import patch_document, unified_diff
from llamadapro_contract.probe import PATH_ALTERNATIVES, probe
from llamadapro_contract.reporting import FORMATS
from llamadapro_sandbox import Sandbox
from tests.contract.check_generated import ROOT, generate
from tests.openapi import KEY_HEADER, OPERATIONS, key_headers, key_value, path_of

KEY = "sk-contract-0123456789"
CONTACTS = path_of("GetContacts")
TASKS = path_of("GetTasks")
DEFINITIONS = path_of("GetCustomFieldDefinitions")
SEED = {
    "contacts": [
        {"firstName": f"Jane {index}", "addresses": [{"channelType": "PHONE", "address": f"+5691234567{index}"}]}
        for index in range(4)
    ],
    "definitions": [
        {"entityType": "CONTACT", "fieldKey": "plain", "fieldType": "STRING"},
        {
            "entityType": "CONTACT",
            "fieldKey": "level",
            "fieldType": "LIST",
            "options": [{"value": "a"}, {"value": "b"}],
        },
    ],
    "conversations": [{"funnelId": 5, "contactId": 1}],
}


# --- a service that is not as the document says ------------------------------------------------------------------


@dataclass
class Exchange:
    method: str
    path: str
    status: int
    body: Any
    """Of the answer; a text is sent as HTML."""


@dataclass(frozen=True)
class Change:
    answer: Callable[[Exchange], None] = lambda exchange: None
    path: Callable[[str], str] = lambda path: path
    headers: Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]] = lambda headers: headers


class Rewriting:
    """An ASGI application around another one."""

    def __init__(self, app: Any, change: Change) -> None:
        self.app, self.change = app, change

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = self.change.path(scope["path"])
        inner = {**scope, "path": path, "raw_path": path.encode(), "headers": self.change.headers(scope["headers"])}
        status, body = 0, b""

        async def catch(message: Any) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        await self.app(inner, receive, catch)
        exchange = Exchange(scope["method"], path, status, json.loads(body) if body else None)
        self.change.answer(exchange)
        html = isinstance(exchange.body, str)
        content = exchange.body.encode() if html else json.dumps(exchange.body).encode()
        headers = [(b"content-type", b"text/html" if html else b"application/json")]
        await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def each(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a value, however deep."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from each(inner)


def in_each(prefix: str, *names: str) -> Callable[[Callable[[dict[str, Any]], None]], Callable[[Exchange], None]]:
    """Do something to every object of a successful answer that has these fields."""

    def build(do: Callable[[dict[str, Any]], None]) -> Callable[[Exchange], None]:
        def answer(exchange: Exchange) -> None:
            if exchange.path.startswith(prefix) and exchange.status < 400:
                for one in [*each(exchange.body)]:
                    if all(name in one for name in names):
                        do(one)

        return answer

    return build


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe guesses this, however the document spells the path by now."""
    monkeypatch.setitem(PATH_ALTERNATIVES, DEFINITIONS, (ELSEWHERE,))


def renamed(prefix: str, old: str, new: str) -> Callable[[Exchange], None]:
    return in_each(prefix, old)(lambda one: one.__setitem__(new, one.pop(old)))


def put(prefix: str, name: str, value: Any, *having: str) -> Callable[[Exchange], None]:
    return in_each(prefix, *(having or (name,)))(lambda one: one.__setitem__(name, value))


def answered(
    when: Callable[[Exchange], bool], status: int | None = None, body: Any = None
) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        if when(exchange):
            exchange.status = status or exchange.status
            exchange.body = exchange.body if body is None else body

    return answer


def moved(old: str, new: str) -> Callable[[str], str]:
    return lambda path: (
        path.replace(new, old) if path.startswith(new) else f"/gone{path}" if path.startswith(old) else path
    )


def without_route(*prefixes: str) -> Callable[[Exchange], None]:
    """Answers of a router that knows no such path; they name it, as most do."""

    def answer(exchange: Exchange) -> None:
        if exchange.path.startswith(prefixes) or "has no path" in str(exchange.body):
            exchange.status, exchange.body = 404, {"code": 404, "message": f"Cannot {exchange.method} {exchange.path}"}

    return answer


def created(exchange: Exchange) -> bool:
    return (exchange.method, exchange.path, exchange.status) == ("POST", CONTACTS, 200)


def with_right_key(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    key = KEY_HEADER.lower().encode()
    return [*((name, value) for name, value in headers if name.lower() != key), (key, key_value(KEY).encode())]


RENAMED = renamed(CONTACTS, "firstName", "givenName")
ELSEWHERE = "/api/v1/custom-field-definitions"
MOVED = moved(DEFINITIONS, ELSEWHERE)
# What changes, and the severity, kind and words of the finding.
DIVERGENCES: dict[str, tuple[Change, str, str, str]] = {
    "field renamed": (Change(RENAMED), "contradiction", "field-renamed", "firstName never came, and givenName did"),
    "new value of a closed set": (
        Change(put(TASKS, "status", "paused", "objective")),
        "contradiction",
        "value-new",
        "'paused' is not in",
    ),
    "new value of an open set": (
        Change(put(CONTACTS, "channelType", "TELEGRAM")),
        "addition",
        "value-new",
        "'TELEGRAM' is new in",
    ),
    "path moved": (
        Change(path=MOVED),
        "contradiction",
        "path-moved",
        f"{DEFINITIONS} is {ELSEWHERE}",
    ),
    "path gone": (
        Change(path=moved(TASKS, "/nowhere")),
        "contradiction",
        "path-missing",
        f"GET {TASKS} answers 404",
    ),
    "method not allowed": (
        Change(
            answered(
                lambda exchange: exchange.path.startswith(path_of("GetContact", "")) and exchange.method == "GET", 405
            )
        ),
        "contradiction",
        "path-missing",
        f"GET {OPERATIONS['GetContact'].path} answers 405",
    ),
    "path gone, known by no record's id": (
        Change(without_route(path_of("GetRecording", ""))),
        "contradiction",
        "path-missing",
        f"GET {OPERATIONS['GetRecording'].path} answers 404",
    ),
    "null where not allowed": (Change(put(CONTACTS, "tenantId", None)), "contradiction", "null", "not allowed"),
    "new status of success": (Change(answered(created, 201)), "contradiction", "status", "201 is not documented"),
    "new status of failure": (
        Change(answered(lambda exchange: exchange.status == 404, 410)),
        "contradiction",
        "status",
        "410 is not documented",
    ),
    "required field missing": (
        Change(in_each(CONTACTS, "contactId", "id")(lambda one: one.pop("id"))),
        "contradiction",
        "field-missing",
        "required field id is missing",
    ),
    "wrong type": (
        Change(in_each(CONTACTS, "addresses", "contactCompanyId")(lambda one: one.__setitem__("userId", {"id": "17"}))),
        "contradiction",
        "type",
        "an object instead of an integer or null",
    ),
    "number that is no integer": (
        Change(put(TASKS, "totalCount", 1.5)),
        "contradiction",
        "type",
        "a number instead of an integer",
    ),
    "extra field": (
        Change(put(CONTACTS, "score", 0.5, "addresses")),
        "addition",
        "field-undocumented",
        "the field score (number)",
    ),
    "key not checked": (Change(headers=with_right_key), "contradiction", "key-not-checked", "is answered 200, not 401"),
    "error body differs": (
        Change(answered(lambda exchange: exchange.status >= 400, body={"errors": [{"detail": "no"}]})),
        "contradiction",
        "field-missing",
        "required field message is missing",
    ),
    "error is a page": (
        Change(answered(lambda exchange: exchange.status == 404 and "v1" in exchange.path, body="<h1>Not here</h1>")),
        "contradiction",
        "body-unreadable",
        "the answer 404 is not JSON",
    ),
    "page token renamed": (
        Change(renamed("/api", "nextPageToken", "nextCursor")),
        "contradiction",
        "page-token-missing",
        "no nextPageToken",
    ),
    "page token renamed alike": (
        Change(renamed("/api", "nextPageToken", "nextToken")),
        "contradiction",
        "field-renamed",
        "nextPageToken never came, and nextToken did",
    ),
    "page token ignored": (
        Change(in_each(CONTACTS, "items")(lambda one: one["items"] and one["items"][0].__setitem__("id", 1))),
        "contradiction",
        "page-token-ignored",
        "begins like the previous one",
    ),
    "items renamed": (
        Change(renamed(CONTACTS, "items", "data")),
        "contradiction",
        "field-missing",
        "required field items is missing",
    ),
    "date in another form": (
        Change(put(CONTACTS, "createdAt", "15/02/2026 10:00")),
        "contradiction",
        "format",
        "is no date-time",
    ),
}


# --- asking it ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document() -> Document:
    return packaged()


def seeded() -> Sandbox:
    sandbox = Sandbox(api_key=KEY, seed=SEED)
    conversation = sandbox.seed({"conversations": [{"funnelId": 5, "contactId": 1}]})["conversations"][0]["id"]
    by = {"id": "17", "type": "user"}
    task = {"context": {"conversationId": conversation}, "objective": "Call back", "createdBy": by, "assignedTo": by}
    sandbox.seed({"tasks": [task, {**task, "objective": "Write"}]})
    return sandbox


async def ask(
    document: Document,
    change: Change | None = None,
    *,
    write: bool = True,
    sandbox: Sandbox | None = None,
    ids: dict[str, str] | None = None,
    only: tuple[str, ...] = (),
) -> tuple[Report, Sandbox]:
    sandbox = sandbox or seeded()
    report = Report(base_url="http://sandbox", operations=only)
    transport = httpx.ASGITransport(app=Rewriting(sandbox, change) if change else sandbox)
    async with httpx.AsyncClient(transport=transport) as http:

        def connect(placement: KeyPlacement, key: str | None) -> AsyncLlamadaPro:
            where = {"api_key_scheme": placement.scheme} if placement.scheme else {"api_key_header": placement.header}
            return AsyncLlamadaPro(key or KEY, "http://sandbox", http_client=http, max_retries=0, **where)

        await probe(connect, document, report, write=write, ids=ids or {})
    return report, sandbox


@pytest.mark.parametrize("write", [False, True])
async def test_of_the_unchanged_sandbox_there_is_nothing_to_say(document: Document, write: bool) -> None:
    report, sandbox = await ask(document, write=write)
    assert [*report.of("contradiction"), *report.of("addition"), *report.notes] == []
    confirmed = {one.operation for one in report.of("confirmation")}
    assert len(confirmed) == (21 if write else 9)
    not_seen = {one.operation for one in report.of("not seen") if one.kind == "operation-not-seen"}
    assert confirmed | not_seen == set(OPERATIONS)
    assert not confirmed & not_seen
    assert {one.operation for one in sandbox.requests if one.status == 200 and one.method != "GET"} - confirmed == set()


async def test_records_that_no_list_has_are_read_when_named(document: Document) -> None:
    sandbox = seeded()
    past: dict[str, Any] = {
        "status": "completed",
        "from": "+56912345678",
        "to": "+56221234567",
        "direction": "incoming",
    }
    past |= {"userId": 17, "metadata": {}, "duration": 182.5, "startTime": "2026-02-14T15:00:00.000Z"}
    call = sandbox.seed({"calls": [past]})["calls"][0]
    async with httpx.AsyncClient(transport=sandbox.transport(), headers=key_headers(KEY)) as http:
        text = {"type": "text", "content": "Hi", "fromPhoneNumber": "+56221234567", "toPhoneNumber": "+56912345678"}
        message = (await http.post(f"http://sandbox{path_of('CreateMessage')}", json=text)).json()
    ids = {"callId": str(call["id"]), "recordingId": str(sandbox.add_recording()["id"]), "messageId": message["id"]}
    report, _ = await ask(document, write=False, sandbox=sandbox, ids=ids)
    assert {"GetCall", "GetMessage", "GetRecording"} <= {one.operation for one in report.of("confirmation")}
    assert report.of("contradiction") == []


async def test_it_only_reads_by_default(document: Document) -> None:
    _, sandbox = await ask(document, write=False)
    assert {one.operation for one in sandbox.requests if one.method != "GET"} == {"SearchContacts"}


async def test_writing_leaves_everything_as_it_was(document: Document) -> None:
    before = seeded().snapshot()["records"]
    _, sandbox = await ask(document)
    assert strip(sandbox.snapshot()["records"]) == strip(before)
    assert any(one.method == "DELETE" for one in sandbox.requests)
    sent = [one.operation or "" for one in sandbox.requests if one.method == "POST"]
    assert not {name for name in sent if "Message" in name or "Call" in name}


def strip(records: Any) -> str:
    """Without times and without numbers that only go up."""
    return str(sorted(key for key, value in records.items() if value)) + str(
        {key: len(value) for key, value in records.items() if value}
    )


async def test_test_data_that_cannot_be_deleted_is_named(document: Document) -> None:
    refused = answered(lambda exchange: exchange.method == "DELETE", 403, {"message": "This key may not do that"})
    report, _ = await ask(document, Change(refused))
    assert sum("delete it by hand" in note for note in report.notes) == 4


async def test_test_data_that_has_no_id_is_named(document: Document) -> None:
    change = Change(
        answered(lambda exchange: exchange.method == "POST" and exchange.path == CONTACTS, body={"ok": True})
    )
    report, _ = await ask(document, change)
    assert report.notes[0].startswith("CreateContact answers without an id: look for {'firstName': 'contract-probe-")


async def test_an_answer_where_none_is_documented(document: Document) -> None:
    changed = Document(document.text)
    changed.operations["DeleteContact"].raw["responses"]["200"] = {"description": "Gone."}
    report, _ = await ask(changed)
    [found] = report.of("contradiction")
    assert (found.kind, found.operation) == ("body-unexpected", "DeleteContact")


@pytest.mark.parametrize("name", DIVERGENCES)
async def test_a_divergence_is_found_and_named(document: Document, name: str) -> None:
    change, severity, kind, words = DIVERGENCES[name]
    report, _ = await ask(document, change)
    found = [one for one in report.findings if one.kind == kind and words in one.message]
    assert found, "\n".join(f"{one.kind} {one.message}" for one in report.of("contradiction") + report.of("addition"))
    assert {one.severity for one in found} == {severity}
    assert all(one.operation != "-" and one.line > 1 for one in found)


async def test_an_extra_field_and_an_open_set_are_no_contradiction(document: Document) -> None:
    for name in ("extra field", "new value of an open set"):
        report, _ = await ask(document, DIVERGENCES[name][0])
        assert report.of("contradiction") == []
        assert report.of("addition")


NOTES = """\
  /api/v1/notes:
    get:
      operationId: GetNotes
      parameters:
        - { name: limit, in: query, schema: { type: integer } }
      responses:
        2XX:
          description: Some.
          content: { application/json: { schema: { $ref: '#/components/schemas/NotePage' } } }
        default: { description: No., content: { text/plain: { schema: { type: string } } } }
  /api/v1/notes/{noteId}:
    get:
      operationId: GetNote
      parameters:
        - { name: noteId, in: path, required: true, schema: { type: integer } }
      responses:
        '200': { description: One., content: { application/json: { schema: { $ref: '#/components/schemas/Note' } } } }
        '404': { description: None. }
"""
NOTE = """\
    Note: { type: object, properties: { id: { type: integer } } }
    NotePage: { type: object, properties: { items: { type: array, items: { $ref: '#/components/schemas/Note' } } } }
"""


async def test_a_new_list_and_its_items_are_read_without_being_named(document: Document) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.path == "/api/v1/notes":
            exchange.status, exchange.body = 200, {"items": [{"id": 1, "pinned": True}, {"id": 2}]}
        elif exchange.path in ("/api/v1/notes/1", "/api/v1/notes/2"):
            exchange.status, exchange.body = 200, {"id": exchange.path[-1]}
        elif exchange.path.startswith("/api/v1/notes/"):
            exchange.body = {"code": 404, "message": "no note"}

    text = document.text.replace("\npaths:\n", f"\npaths:\n{NOTES}")
    text = text.replace("\n  schemas:\n", f"\n  schemas:\n{NOTE}")
    only = ("GetNotes", "GetNote")
    report, _ = await ask(Document(text), Change(answer), write=False, only=only)
    found = {(one.kind, one.operation, one.message) for one in report.of("contradiction", "addition")}
    assert found == {
        ("field-undocumented", "GetNotes", "the field pinned (boolean) is not documented"),
        ("key-not-checked", "GetNotes", "a wrong key is answered 200, not 401"),
        ("type", "GetNote", "a string instead of an integer"),
        ("body-unexpected", "GetNote", "the answer 404 has a body, undocumented"),
    }
    assert {one.operation for one in report.of("confirmation")} == {*only}


# --- the suggested patch -----------------------------------------------------------------------------------------


async def test_of_the_unchanged_sandbox_the_patch_only_confirms(document: Document) -> None:
    report, _ = await ask(document)
    reports = unified_diff(document.text, patch_document(document.text, report.findings)[0])
    changes = [line for line in reports.splitlines() if line[:1] in "+-" and line[1:2] == " "]
    assert {line[1:].strip() for line in changes} == {"x-provenance: inferred", "x-provenance: confirmed"}
    assert len(changes) == 2 * 14
    assert document.dump() == document.text


async def test_the_patched_document_fits_the_changed_service(document: Document, tmp_path: Path) -> None:
    """Many divergences at once; the probe with the patched document has nothing left to say."""
    changes = [
        DIVERGENCES[name][0].answer
        for name in (
            "field renamed",
            "new value of a closed set",
            "new value of an open set",
            "null where not allowed",
            "new status of success",
            "new status of failure",
            "required field missing",
            "extra field",
            "date in another form",
            "number that is no integer",
        )
    ]

    def answer(exchange: Exchange) -> None:
        for change in changes:
            change(exchange)

    change = Change(answer, MOVED)
    report, _ = await ask(document, change)
    assert len(report.of("contradiction")) >= 8
    changed, rest = patch_document(document.text, report.findings)
    assert rest == []
    again, _ = await ask(Document(changed), change)
    assert [*again.of("contradiction"), *again.of("addition")] == []
    (tmp_path / "openapi.yaml").write_text(document.text)
    run(["git", "apply", "-"], tmp_path, unified_diff(document.text, changed))
    assert (tmp_path / "openapi.yaml").read_text() == changed


def run(command: list[str], folder: Path, given: str = "", **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        input=given,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or done.stderr


PROGRAM = """
import asyncio, httpx
from llamadapro import AsyncLlamadaPro
from tests.integration.test_contract_probe import KEY, MOVED, RENAMED, Change, Rewriting, seeded

async def main():
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=Rewriting(seeded(), Change(RENAMED, MOVED))))
    async with http, AsyncLlamadaPro(KEY, "http://sandbox", http_client=http) as client:
        print([contact.given_name async for contact in client.contacts.list(page_size=2)][:1])
        print([field.field_key async for field in client.custom_fields.definitions.list()])

asyncio.run(main())
"""


async def test_patched_and_regenerated_the_client_works_with_the_changed_service(
    document: Document, tmp_path: Path
) -> None:
    report, _ = await ask(document, Change(RENAMED, MOVED))
    shutil.copytree(ROOT / "custom" / "generator", tmp_path / "custom" / "generator")
    shutil.copy(ROOT / "generator-config.yaml", tmp_path)
    (tmp_path / "openapi.yaml").write_text(patch_document(document.text, report.findings)[0], "utf-8")
    generate(tmp_path, tmp_path / "generated" / "llamadapro_api")

    def tried(generated: Path) -> str:
        path = os.pathsep.join(map(str, (generated, ROOT / "custom", ROOT)))
        return run([sys.executable, "-c", PROGRAM], tmp_path, PYTHONPATH=path)

    assert "given_name" in tried(ROOT / "generated")  # it did not work before: an AttributeError
    assert tried(tmp_path / "generated") == "['Jane 0']\n['plain', 'level']\n"


# --- the command -------------------------------------------------------------------------------------------------


def test_the_package_holds_the_repositorys_document() -> None:
    inside = files("llamadapro_contract").joinpath("openapi.yaml").read_bytes()
    assert hashlib.sha256(inside).digest() == hashlib.sha256((ROOT / "openapi.yaml").read_bytes()).digest()


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", KEY)
    patch = tmp_path / "it.patch"
    with seeded().serve() as server:
        code = main(["--base-url", server.url, "--rate", "1000", "--format", "json", "--patch", str(patch)])
    out, err = capsys.readouterr()
    assert code == 0
    assert json.loads(out)["counts"]["contradiction"] == 0
    assert json.loads(out)["baseUrl"] == server.url
    assert "x-provenance: confirmed" in patch.read_text()
    assert KEY not in out + err


def test_records_are_named_by_a_kind_that_no_list_has(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--id", "callId=9001", "--id", "messageId=a=b"]
    assert dict(parser().parse_args(given).id) == {"callId": "9001", "messageId": "a=b"}
    for wrong in ("callId", "callId=", "contactId=1"):
        with pytest.raises(SystemExit):
            parser().parse_args(["--id", wrong])
        assert f"'{wrong}' is not one of callId=…" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["llamadapro_contract", "llamadapro_sandbox"])
def test_each_tool_is_a_module_too(package: str, tmp_path: Path) -> None:
    assert f"usage: {package.replace('_', ' ')}" in run([sys.executable, "-m", package, "--help"], tmp_path)


async def test_where_it_only_guesses_it_only_reads(document: Document) -> None:
    gone = Change(path=moved(DEFINITIONS, "/nowhere"))
    _, sandbox = await ask(document, gone)
    tried = {one.method for one in sandbox.requests if one.path.startswith(ELSEWHERE)}
    assert tried == {"GET"}


async def test_a_task_is_never_given_to_an_ai_employee(document: Document) -> None:
    change = Change(in_each(TASKS, "createdBy")(lambda one: one["createdBy"].update(type="ai_employee")))
    report, sandbox = await ask(document, change)
    assert not [one for one in sandbox.requests if one.operation == "CreateTask"]
    assert "no task was created" in report.notes[0]


def test_a_key_that_the_service_quotes_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", KEY)
    sandbox = Sandbox(api_key=KEY, seed={"contacts": [{"addresses": [{"channelType": KEY, "address": "x"}]}]})
    with sandbox.serve() as server:
        main(["--base-url", server.url, "--rate", "1000", "--patch", str(tmp_path / "it.patch")])
    out, err = capsys.readouterr()
    assert "<key>" in out
    assert KEY not in out + err + (tmp_path / "it.patch").read_text()


def test_the_command_fails_on_contradictions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, document: Document
) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", KEY)
    other = tmp_path / "openapi.yaml"
    other.write_text(document.text.replace("tenantId: { type: string }", "tenantId: { type: integer }"))
    with seeded().serve() as server:
        code = main(["--base-url", server.url, "--rate", "1000", "--document", str(other)])
    out, _ = capsys.readouterr()
    assert code == 1
    assert "a string instead of an integer" in out


def test_a_refused_key_and_no_service_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "another-key-0123456789")
    with seeded().serve() as server:
        assert main(["--base-url", server.url, "--rate", "1000"]) == 2
        assert "the service refuses the key" in capsys.readouterr().err
    assert main(["--base-url", "ftp://nowhere"]) == 2
    monkeypatch.delenv("LLAMADAPRO_API_KEY")
    assert main(["--base-url", server.url]) == 2
    out, err = capsys.readouterr()
    assert "LLAMADAPRO_API_KEY" in err
    assert "another-key" not in out + err


async def test_every_format_reports_the_same(document: Document) -> None:
    report, _ = await ask(document, DIVERGENCES["wrong type"][0], write=False)
    reports = {name: show(report) for name, show in FORMATS.items()}
    assert "an object instead of an integer or null" in reports["text"]
    assert "## Contradiction" in reports["markdown"]
    suite = ElementTree.fromstring(reports["junit"])
    failed = {(one.attrib["classname"], one.attrib["name"]) for one in suite if one.find("failure") is not None}
    found = {(name, one.kind) for one in report.of("contradiction") for name in one.operations}
    assert failed == found
    assert len(failed) == int(suite.attrib["failures"])
    first = json.loads(reports["json"])["findings"][0]
    assert first["path"].startswith("$.items[0].userId")
    assert first["document"]["pointer"] == "#/components/schemas/Contact/properties/userId"
    lines = document.text.splitlines()
    assert "userId" in lines[first["document"]["line"] - 1]
