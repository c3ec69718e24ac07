"""Data to start with: bodies of ordinary requests, run through the same checks and handlers as if sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from yaml import YAMLError

from .clock import DATE
from .document import issues, unknown
from .errors import BadRequest, Issue, bad_field, invalid
from .request import ApiRequest, parse_json, warning_of
from .sections import contacts
from .state import State
from .yaml12 import load_yaml

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
    """A seed from a file, JSON or YAML; `-` is standard input."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
        data = parse_json(text.encode()) if path.endswith(".json") else load_yaml(text)
    except (ValueError, RecursionError, YAMLError, BadRequest) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path} must hold an object whose keys are of {', '.join(OPERATIONS)}")
    return data


def seed(state: State, handlers: dict[str, Any], data: Any, *, strict: bool = False) -> Seeded:
    """Create it all, or nothing if something in it is wrong; returns the records as the API answers them."""
    if not isinstance(data, dict):
        raise bad_field("", f"must be an object whose keys are of {', '.join(OPERATIONS)}", place="seed")
    given: dict[str, Any] = data
    unsure = [unknown("seed", str(name), str(name), OPERATIONS) for name in given if name not in OPERATIONS]
    if unsure:
        raise invalid(unsure, "the seed")

    def perform(operation_id: str, ids: dict[str, Any], body: dict[str, Any], at: str) -> Any:
        if operation_id not in handlers:
            raise bad_field(at, f"cannot be created: the document has no {operation_id} of this API", place="seed")
        operation = state.document.operations[operation_id]
        if operation.body:
            if found := issues(operation.body.validator, body, "seed", at):
                raise invalid(found, "the seed")
            unsure.extend(state.document.drop_unknown(operation.body.schema, body, "seed", at))
        try:
            return handlers[operation_id](state, ApiRequest(operation, ids, {}, body, path=operation.path))
        except BadRequest as problem:
            raise invalid([_placed(one, at) for one in problem.details["issues"]], "the seed") from None

    def create(operation_id: str, item: dict[str, Any], at: str) -> Any:
        options = item.pop("options", None) if operation_id == "CreateCustomFieldDefinition" else None
        archived = item.pop("archivedAt", None) if operation_id == "CreateContact" else None
        record = perform(operation_id, {}, item, at)
        if archived is not None:
            if not DATE.match(str(archived)):
                raise bad_field(f"{at}.archivedAt", "is not a date-time", place="seed")
            contacts.archive(state, record["id"], archived)
        for index, option in enumerate(_objects(options, f"{at}.options")):
            ids, body = {"definitionId": record["id"]}, {**option, "definitionId": record["id"]}
            perform("CreateCustomFieldListOption", ids, body, f"{at}.options.{index}")
        return record

    created: dict[str, list[Any]] = {}
    with state.store.transaction():
        for name, operation_id in OPERATIONS.items():
            for index, item in enumerate(_objects(given.get(name), name)):
                created.setdefault(name, []).append(create(operation_id, item, f"{name}.{index}"))
        if unsure and strict:
            raise invalid(unsure, "the seed")
    return created, warning_of(unsure)


def _objects(found: Any, at: str) -> list[dict[str, Any]]:
    items: list[Any] = [] if found is None else found
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise bad_field(at, "must be a list of objects", place="seed")
    return [_copied(item, f"{at}.{index}") for index, item in enumerate(items)]


def _copied(item: dict[str, Any], at: str) -> dict[str, Any]:
    """The record as JSON would bring it."""
    try:
        copied: dict[str, Any] = json.loads(json.dumps(item, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as problem:
        raise bad_field(at, f"cannot be written as JSON: {problem}", place="seed") from None
    return copied


def _placed(found: Issue, at: str) -> Issue:
    """What a handler says of the body, with its place in the seed."""
    return {**found, "in": "seed", "field": f"{at}.{found['field']}"}
