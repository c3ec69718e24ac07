"""Data to start with: bodies of ordinary requests, run through the same checks and handlers as if sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yaml import YAMLError

from .clock import DATE
from .document import issues, load_yaml, unknown
from .errors import Issue, bad_field, invalid
from .request import ApiRequest, warning_of
from .sections import contacts
from .state import State
from .store import many

Seeded = tuple[dict[str, list[Any]], str]
"""The records by kind, and what is odd about the seed."""
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


def seed(state: State, handlers: dict[str, Any], data: dict[str, Any], *, strict: bool = False) -> Seeded:
    """Create it all, or nothing if something in it is wrong; returns the records as the API answers them."""
    unsure = [unknown("seed", name, name, OPERATIONS) for name in data if name not in OPERATIONS]
    if unsure:
        raise invalid(unsure, "the seed")
    created: dict[str, list[Any]] = {}
    with state.store.transaction():
        for name, operation_id in OPERATIONS.items():
            for index, item in enumerate(many(data, name)):
                one = _Seeding(state, handlers, f"{name}.{index}", unsure)
                created.setdefault(name, []).append(one.create(operation_id, dict(item)))
        if unsure and strict:
            raise invalid(unsure, "the seed")
    return created, warning_of(unsure)


class _Seeding:
    """One item of a seed, at its place."""

    def __init__(self, state: State, handlers: dict[str, Any], at: str, unsure: list[Issue]):
        self.state, self.handlers, self.at, self.unsure = state, handlers, at, unsure

    def create(self, operation_id: str, item: dict[str, Any]) -> Any:
        options = item.pop("options", [])
        archived = item.pop("archivedAt", None) if operation_id == "CreateContact" else None
        record = self._perform(operation_id, {}, item, self.at)
        if archived is not None:
            if not DATE.match(archived):
                raise bad_field(f"{self.at}.archivedAt", "is not a date-time", place="seed")
            contacts.archive(self.state, record["id"], archived)
        for index, option in enumerate(options):
            ids, body = {"definitionId": record["id"]}, {**option, "definitionId": record["id"]}
            self._perform("CreateCustomFieldListOption", ids, body, f"{self.at}.options.{index}")
        return record

    def _perform(self, operation_id: str, ids: dict[str, Any], body: dict[str, Any], at: str) -> Any:
        operation, document = self.state.document.operations.get(operation_id), self.state.document
        if operation is None:
            raise bad_field(at, f"cannot be created: the document has no {operation_id}", place="seed")
        if operation.body:
            if found := issues(operation.body.validator, body, "seed", at):
                raise invalid(found, "the seed")
            self.unsure += document.unknown_fields(operation.body.schema, body, "seed", at)
        return self.handlers[operation_id](self.state, ApiRequest(operation, ids, {}, body, path=operation.path))
