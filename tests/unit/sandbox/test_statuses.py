"""Every status the document lists for an operation is produced by the behaviour itself; 403 and 500 by faults only.

The sandbox knows neither people nor their rights, so nothing can be forbidden; and a 500 would be a mistake of its own.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.document import Operation, load
from llamadapro_sandbox.sections import handlers
from tests.openapi import key_headers, path_of

OPERATIONS = load().operations
INJECTED = {403, 500}
HANDLED = [operation for operation in OPERATIONS.values() if operation.id in handlers(load())]
"""The others are answered by their shape, and have no more to say than success."""
LISTED = [(operation, status) for operation in HANDLED for status in sorted(operation.answers)]
SEED: dict[str, Any] = {
    "definitions": [
        {"entityType": "CONTACT", "fieldKey": "level", "fieldType": "LIST", "options": [{"value": "gold"}]},
        {"entityType": "CONTACT", "fieldKey": "age", "fieldType": "NUMBER"},
    ],
    "contacts": [{"firstName": "Jane", "customFields": {"level": "gold"}}],
    "conversations": [{"funnelId": 1, "contactId": 1}],
    "tasks": [
        {
            "context": {},
            "objective": "o",
            "createdBy": {"id": "1", "type": "user"},
            "assignedTo": {"id": "1", "type": "user"},
        }
    ],
    "messages": [{"fromPhoneNumber": "+56221234567", "toPhoneNumber": "+56912345678", "type": "text", "content": "Hi"}],
    "agentCalls": [{"voiceAgentId": 1, "to": "+56912345678", "contextVariables": {}}],
}


def example(operation: Operation) -> Any:
    """The body of the document's own example, with what only the service could know put right."""
    document = load()
    raw = document.raw["paths"][operation.path][operation.method.lower()]
    body = document.resolve(raw.get("requestBody", {}))
    value = body.get("content", {}).get("application/json", {})
    found = value.get("example") or next(iter(value.get("examples", {"": {"value": None}}).values()))["value"]
    right = {"definitionId": 1, "fieldKey": "new", "value": "new"}
    return {name: right.get(name, one) for name, one in found.items() if name != "pageToken"} if found else None


def path_to(operation: Operation, **ids: str) -> str:
    known = {"taskId": "task_1", "messageId": "message_1", **ids}
    return path_of(operation.id, *(known.get(name, "1") for name in re.findall(r"{(.+?)}", operation.path)))


def bad(operation: Operation) -> tuple[str, dict[str, Any]]:
    """A request to the operation that is not as it should be."""
    if operation.body is not None:
        return path_to(operation), {"json": []}
    if any(parameter.name == "pageToken" for parameter in operation.parameters):
        return f"{path_to(operation)}?pageToken=made-up", {}
    if any(parameter.name == "force" for parameter in operation.parameters):
        return f"{path_to(operation)}?force=perhaps", {}
    if "{optionId}" in operation.path:
        return path_to(operation, definitionId="2"), {}  # a NUMBER has no options
    return path_to(operation, id="%FF", messageId="%FF"), {}


@pytest.mark.parametrize(
    ("operation", "status"), LISTED, ids=[f"{operation.id}-{status}" for operation, status in LISTED]
)
async def test_every_listed_status_is_produced(operation: Operation, status: int) -> None:
    sandbox = Sandbox(seed=SEED, speed=0)
    sandbox.clock.advance(10)
    path, body, headers = path_to(operation), example(operation), key_headers("sandbox")
    how: dict[str, Any] = {} if body is None else {"json": body}
    if status == 200 and operation.id == "DeleteCustomFieldDefinition":
        path += "?force=true"
    elif status == 400:
        path, how = bad(operation)
    elif status == 401:
        headers = {}
    elif status == 404:
        path = path_to(operation, **dict.fromkeys(("id", "callId", "definitionId", "taskId", "messageId"), "99"))
    elif status == 429:
        sandbox.settings.search_per_second = 0
    elif status in INJECTED:
        sandbox.faults.add("status", status=status, operation=operation.id)
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox", headers=headers) as client:
        answer = await client.request(operation.method, path, **how)
    sandbox.close()
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert load().schema("Error").is_valid(answer.json())
        assert answer.json()["code"] == status
    if status == 429:
        assert answer.headers["Retry-After"]


def test_nothing_else_is_listed() -> None:
    assert {status for _, status in LISTED} == {200, 204, 400, 401, 403, 404, 409, 429, 500}
