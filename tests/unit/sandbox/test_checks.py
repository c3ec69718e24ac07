"""What is checked before and after every handler: the key, the request, the answer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

import llamadapro_sandbox
from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.document import Document
from llamadapro_sandbox.errors import ApiError, Conflict
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State
from tests.openapi import key_headers, path_of

CONTACTS = path_of("GetContacts")
TASKS = path_of("GetTasks")

ROOT = Path(__file__).parents[3]
TASK = {
    "context": {"conversationId": 1},
    "objective": "Call back",
    "createdBy": {"id": "1", "type": "user"},
    "assignedTo": {"id": "2", "type": "user"},
}
JSON = {"Content-Type": "application/json"}


def test_the_document_inside_the_package_is_the_repositorys() -> None:
    inside = Path(llamadapro_sandbox.__file__).with_name("openapi.yaml").read_bytes()
    assert hashlib.sha256(inside).digest() == hashlib.sha256((ROOT / "openapi.yaml").read_bytes()).digest()


@pytest.mark.parametrize("headers", [{}, *map(key_headers, ["wrong", "", "sándbox"])])
async def test_every_operation_wants_the_key(sandbox: Sandbox, headers: dict[str, str]) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox", headers=encoded) as client:
        for operation in sandbox.document.operations.values():
            answer = await client.request(operation.method, operation.path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, operation.id
            assert answer.json()["code"] == 401


async def test_all_issues_are_reported_at_once(api: httpx.AsyncClient) -> None:
    body = {**TASK, "dueDate": "tomorrow", "assignedTo": {"id": 2}, "status": "pending"}
    del body["objective"]
    answer = await api.post(TASKS, json=body)
    assert answer.status_code == 400
    reported = {(one["field"], one["code"]) for one in answer.json()["details"]["issues"]}
    assert reported == {
        ("objective", "REQUIRED_FIELD"),
        ("assignedTo.type", "REQUIRED_FIELD"),
        ("assignedTo.id", "INVALID_FIELD"),
        ("dueDate", "INVALID_FIELD"),
        ("status", "INVALID_FIELD"),
    }
    assert (await api.get(TASKS)).json()["totalCount"] == 0


async def test_query_and_body_issues_come_together(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"{TASKS}?limit=ten&status=pending&dueBefore=2024-01-01&limit=1")
    assert {one["field"] for one in answer.json()["details"]["issues"]} == {"limit", "status", "dueBefore"}
    assert {one["in"] for one in answer.json()["details"]["issues"]} == {"query"}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"{}", {}),
        (b"{}", {"Content-Type": "text/plain"}),
        (b"firstName=Jane", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"", JSON),
        (b"{", JSON),
        (b"\xff\xfe", JSON),
        (b'{"firstName": "\xe9"}', JSON),
        (b'{"firstName": "\\ud800"}', JSON),
        (b'{"firstName": "a", "firstName": "b"}', JSON),
        (b'{"metadata": NaN}', JSON),
        (b'{"metadata": 1e999}', JSON),
        (b'{"metadata": ' + b"9" * 5000 + b"}", JSON),
        (b'{"metadata": ' + b"[" * 200 + b"]" * 200 + b"}", JSON),
        (b"[" * 100_000, JSON),
        (b"[]", JSON),
        (b"null", JSON),
    ],
)
async def test_what_is_not_a_json_object_is_a_400(
    api: httpx.AsyncClient, content: bytes, headers: dict[str, str]
) -> None:
    answer = await api.post(CONTACTS, content=content, headers=headers)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "error", "message", "details"}


async def test_a_number_with_a_zero_fraction_is_an_integer(api: httpx.AsyncClient) -> None:
    await api.post(CONTACTS, json={"firstName": "Jane"})
    answer = await api.post(path_of("SearchContacts"), content=b'{"size": 91.0}', headers=JSON)
    assert len(answer.json()["items"]) == 1
    assert (await api.get(f"{CONTACTS}?pageSize=1.0")).json()["items"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", path_of("SearchContacts"), 405),
        ("GET", path_of("SearchContacts"), 405),
        ("PATCH", path_of("GetContact", 1), 405),
        ("HEAD", CONTACTS, 405),
        ("GET", f"{CONTACTS}/", 404),
        ("GET", "/nothing", 404),
        ("GET", path_of("GetContact", "one"), 404),
        ("GET", path_of("GetContact", "-1"), 404),
        ("GET", path_of("GetContact", "1.0"), 404),
        ("GET", path_of("GetContact", "%D9%A1"), 404),
        ("GET", path_of("GetContact", "9" * 40), 404),
        ("GET", path_of("GetTask", "task_01"), 404),
        ("GET", path_of("GetTask", "task_%C2%B2"), 404),
        ("GET", path_of("GetMessage", "m" * 5000), 404),
        ("GET", path_of("GetMessage", "%FF"), 400),
        ("GET", path_of("GetTask", "%FF"), 404),
    ],
)
async def test_paths_and_methods_that_lead_nowhere(api: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == status
    if status == 405:
        assert "PUT" not in answer.headers["Allow"] or path == path_of("GetContact", 1)
    if path == f"{CONTACTS}/":
        assert answer.json()["message"].endswith(f"did you mean {CONTACTS} or {CONTACTS}/{{}} or {CONTACTS}/search?")
    if method == "PATCH":
        assert answer.json()["message"].endswith("use GET or PUT or DELETE")


async def test_an_answer_that_the_document_does_not_allow_is_a_500_naming_the_place(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.handlers = {**sandbox.handlers, "GetContacts": lambda state, request: {"items": [{"id": "one"}]}}
    answer = await api.get(CONTACTS)
    assert answer.status_code == 500
    assert "GetContacts" in answer.json()["message"]
    assert answer.json()["details"]["issues"][0]["field"] == "items.0.id"


async def test_a_dishonest_answer_leaves_nothing_behind(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    def create(state, request):  # type: ignore[no-untyped-def]
        state.add("contacts", {})
        return {"id": None}

    sandbox.handlers = {**sandbox.handlers, "CreateContact": create}
    assert (await api.post(CONTACTS, json={})).status_code == 500
    assert (await api.get(CONTACTS)).json()["totalCount"] == 0


@pytest.mark.parametrize(
    ("operation", "returned", "reported"),
    [
        ("GetContacts", Conflict("taken"), "answers GetContacts with 409, which openapi.yaml lacks"),
        ("LoadRecording", {"id": 1}, "answers LoadRecording with a body; openapi.yaml has none for 204"),
    ],
)
async def test_a_status_or_a_body_that_the_document_lacks_is_a_500(
    sandbox: Sandbox, api: httpx.AsyncClient, operation: str, returned: Any, reported: str
) -> None:
    def behave(state: State, request: ApiRequest) -> Any:
        if isinstance(returned, ApiError):
            raise returned
        return returned

    sandbox.handlers = {**sandbox.handlers, operation: behave}
    asked = sandbox.document.operations[operation]
    answer = await api.request(asked.method, asked.path, json={"userId": 1, "url": "https://x"} if asked.body else None)
    assert answer.status_code == 500
    assert reported in answer.json()["message"]


async def test_a_body_has_a_largest_size(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamadapro_sandbox.app.MAX_BODY", 20)
    assert (await api.post(CONTACTS, json={"firstName": "J"})).status_code == 200
    answer = await api.post(CONTACTS, json={"firstName": "Jane of the long name"})
    assert (answer.status_code, answer.json()["message"]) == (400, "the body is larger than 20 bytes")


async def test_a_query_number_that_no_number_holds_is_a_400(api: httpx.AsyncClient) -> None:
    [reported] = (await api.get(f"{CONTACTS}?pageSize=1e999")).json()["details"]["issues"]
    assert (reported["field"], reported["in"]) == ("pageSize", "query")


async def test_what_the_document_may_come_to_ask_is_asked() -> None:
    """A parameter that must be given; and an object or null, of whose two complaints one is worth telling."""
    complete = Document((ROOT / "openapi.yaml").read_text("utf-8"))
    parameters = complete.raw["paths"][CONTACTS]["get"]["parameters"]
    complete.resolve(parameters[0])["required"] = True
    schemas = complete.raw["components"]["schemas"]
    either = {"anyOf": [{"type": "object", "required": ["name"]}, {"type": "null"}]}
    schemas["CreateContactBody"]["properties"]["company"] = either
    sandbox = Sandbox(document=complete)
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as client:
        client.headers.update(key_headers("sandbox"))
        [reported] = (await client.get(CONTACTS)).json()["details"]["issues"]
        assert reported["code"] == "REQUIRED_FIELD"
        [reported] = (await client.post(CONTACTS, json={"company": {}})).json()["details"]["issues"]
        assert (reported["field"], reported["code"]) == ("company.name", "REQUIRED_FIELD")
        [reported] = (await client.post(CONTACTS, json={"company": 5})).json()["details"]["issues"]
        assert (reported["field"], reported["code"]) == ("company", "INVALID_FIELD")
        assert (await client.post(CONTACTS, json={"company": None})).status_code == 200


async def test_a_new_field_of_the_document_passes_through_without_a_line_of_code() -> None:
    text = (ROOT / "openapi.yaml").read_text("utf-8")
    for schema in ("CreateContactBody", "Contact"):
        start = text.index(f"\n    {schema}:\n", text.index("\n  schemas:\n"))
        place = text.index("      properties:\n", start) + len("      properties:\n")
        text = f"{text[:place]}        nickname: {{ type: string }}\n{text[place:]}"
    sandbox = Sandbox(document=Document(text))
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as client:
        client.headers.update(key_headers("sandbox"))
        made = (await client.post(CONTACTS, json={"nickname": "Jay", "unheard": 1})).json()
        assert made["nickname"] == "Jay"
        assert "unheard" not in made
        assert (await client.post(CONTACTS, json={"nickname": 1})).status_code == 400
