"""Data to start with: bodies of ordinary requests, run through the same checks and handlers as if sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yaml import YAMLError

from .document import issues, load_yaml
from .errors import BadRequest, bad_field
from .query import DATE
from .request import ApiRequest
from .sections import contacts
from .state import State
from .store import many

OPERATIONS = {
    "definitions": "CreateCustomFieldDefinition",
    "contacts": "CreateContact",
    "conversations": "Create",
    "tasks": "CreateTask",
    "media": "UploadMedia",
    "messages": "CreateMessage",
    "templates": "CreateTemplateMessage",
    "calls": "CreateCall",
    "agentCalls": "StartAgentCall",
    "recordings": "LoadRecording",
}
"""What a seed may hold, in the order it is created in. A definition may have `options`, a contact an `archivedAt`."""


def read_seed(path: str) -> dict[str, Any]:
    """A seed from a file, JSON or YAML."""
    try:
        text = Path(path).read_text("utf-8")
        data = json.loads(text) if path.endswith(".json") else load_yaml(text)
    except (ValueError, RecursionError, YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path} must hold an object whose keys are of {', '.join(OPERATIONS)}")
    return data


def seed(state: State, handlers: dict[str, Any], data: dict[str, Any]) -> dict[str, list[Any]]:
    """Create it all, or nothing if something in it is wrong; returns the records as the API answers them."""
    unknown = set(data) - set(OPERATIONS)
    if unknown:
        raise bad_field(min(unknown), f"is not known; a seed has {', '.join(OPERATIONS)}")
    created: dict[str, list[Any]] = {}
    with state.store.transaction():
        for name, operation_id in OPERATIONS.items():
            for index, item in enumerate(many(data, name)):
                created.setdefault(name, []).append(_one(state, handlers, operation_id, dict(item), f"{name}.{index}"))
    return created


def _one(state: State, handlers: dict[str, Any], operation_id: str, item: dict[str, Any], at: str) -> Any:
    options, archived = (
        item.pop("options", []),
        item.pop("archivedAt", None) if operation_id == "CreateContact" else None,
    )
    record = _perform(state, handlers, operation_id, {}, item, at)
    if archived is not None:
        if not DATE.match(archived):
            raise bad_field(f"{at}.archivedAt", "is not a date-time", place="seed")
        contacts.archive(state, record["id"], archived)
    for index, option in enumerate(options):
        ids, body = {"definitionId": record["id"]}, {**option, "definitionId": record["id"]}
        _perform(state, handlers, "CreateCustomFieldListOption", ids, body, f"{at}.options.{index}")
    return record


def _perform(
    state: State, handlers: dict[str, Any], operation_id: str, ids: dict[str, Any], body: dict[str, Any], at: str
) -> Any:
    operation = state.document.operations[operation_id]
    found = issues(operation.body, body, "seed", at) if operation.body else []
    if found:
        raise BadRequest("; ".join(f"{one['field']} {one['message']}" for one in found[:5]), found)
    return handlers[operation_id](state, ApiRequest(operation, ids, {}, body))
