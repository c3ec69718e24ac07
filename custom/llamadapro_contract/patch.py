"""The document changed so that it fits what was found; comments, order and everything else stay as they are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import SingleQuotedScalarString as Quoted

from .document import Document
from .findings import Finding


def patch_document(text: str, findings: Iterable[Finding]) -> tuple[str, list[Finding]]:
    """The text of the changed document, and the differences that it still has."""
    document = Document(text)
    open_ones = []
    # Paths move last, for the other changes are found by the old ones.
    for finding in sorted(findings, key=lambda one: one.fix[:1] == ("move",)):
        noted = _FIXES[finding.fix[0]](document, finding, *finding.fix[1:]) if finding.fix else True
        if noted and finding.severity in ("contradiction", "addition"):
            open_ones.append(finding)
    return document.dump(), open_ones


def unified_diff(text: str, changed: str, open_ones: Iterable[Finding] = ()) -> str:
    """The change for `git apply` or `patch -p1`, which skip the first lines: what it leaves to a person."""
    lines = difflib.unified_diff(
        text.splitlines(keepends=True), changed.splitlines(keepends=True), "a/openapi.yaml", "b/openapi.yaml"
    )
    head = [
        f"# not in this patch: {one.kind} ({one.operation}): {' '.join(one.message.split())}; openapi.yaml:{one.line}\n"
        for one in open_ones
    ]
    return "".join([*head, *lines])


def _nullable(document: Document, finding: Finding) -> bool | None:
    schema = document.at(finding.pointer)
    # A schema that many fields share: whether all of them can be null is for a person to say.
    if "type" not in schema or "enum" in schema or finding.pointer[:-1] == ("components", "schemas"):
        return _note(schema, finding)
    kinds = [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
    if "null" not in kinds:
        schema["type"] = _flow([*kinds, Quoted("null")])
    return None


def _type(document: Document, finding: Finding, kind: str) -> bool | None:
    schema = document.at(finding.pointer)
    old = schema["type"]
    if {"array", "object"}.intersection([kind, *([old] if isinstance(old, str) else old)]):
        return _note(schema, finding)
    nullable = not isinstance(old, str) and "null" in old
    schema["type"] = _flow([kind, Quoted("null")]) if nullable else kind
    if kind != "string":
        schema.pop("format", None)
    return None


def _relax(document: Document, finding: Finding, name: str) -> None:
    required = document.at(finding.pointer).get("required", [])
    if name in required:
        required.remove(name)
    if not required:
        document.at(finding.pointer).pop("required", None)


def _add_field(document: Document, finding: Finding, name: str, schema: dict[str, Any]) -> None:
    document.at(finding.pointer)["properties"][name] = _flow_map(schema)


def _rename(document: Document, finding: Finding, old: str, new: str) -> None:
    schema = document.at(finding.pointer)
    _rekey(schema["properties"], old, new)
    if old in schema.get("required", ()):
        schema["required"][schema["required"].index(old)] = new


def _add_value(document: Document, finding: Finding, value: Any) -> bool | None:
    schema = document.at(finding.pointer)
    if "enum" not in schema:
        return _note(schema, finding)
    if value not in schema["enum"]:
        schema["enum"].append(value)
    return None


def _drop(document: Document, finding: Finding, name: str) -> None:
    document.at(finding.pointer).pop(name, None)


def _add_status(document: Document, finding: Finding, status: str) -> None:
    responses = document.at(finding.pointer)
    alike = [one for one in responses if one[0] == status[0] == "2"]
    others = [one.raw["responses"] for one in document.operations.values() if status in one.raw["responses"]]
    if alike or others:
        added = responses[min(alike)] if alike else others[0][status]
        if "$ref" in added:
            added = _flow_map({"$ref": added["$ref"]})
    else:
        error = _flow_map({"schema": _flow_map({"$ref": "#/components/schemas/Error"})})
        added = CommentedMap({"description": _phrase(status), "content": CommentedMap({"application/json": error})})
    if status not in responses:
        responses.insert(sum(one < status for one in responses), Quoted(status), added)


def _move(document: Document, finding: Finding, path: str) -> None:
    _rekey(document.tree["paths"], finding.pointer[1], path)


def _confirm(document: Document, finding: Finding) -> None:
    document.at(finding.pointer)["x-provenance"] = "confirmed"


def _place_key(document: Document, finding: Finding, header: str, scheme: str | None) -> None:
    node = document.at(finding.pointer)
    for name in ("in", "name", "scheme"):
        node.pop(name, None)
    node.update(
        {"type": "http", "scheme": scheme.lower()} if scheme else {"type": "apiKey", "in": "header", "name": header}
    )


_FIXES: dict[str, Callable[..., bool | None]] = {
    "nullable": _nullable,
    "type": _type,
    "relax": _relax,
    "add-field": _add_field,
    "rename": _rename,
    "add-value": _add_value,
    "drop": _drop,
    "add-status": _add_status,
    "move": _move,
    "confirm": _confirm,
    "place-key": _place_key,
}
"""They return True when all that they could do is to leave a note."""


def _note(schema: Any, finding: Finding) -> bool:
    """Leave what a person must decide as a note in the schema."""
    schema["x-probe"] = f"{finding.message} at {finding.path}"
    return True


def _rekey(mapping: Any, old: str, new: str) -> None:
    """Another name for a key, at the same place and with its comments."""
    place = list(mapping).index(old)
    comment = mapping.ca.items.pop(old, None)
    mapping.insert(place, new, mapping.pop(old))
    if comment is not None:
        mapping.ca.items[new] = comment


def _phrase(status: str) -> str:
    try:
        return f"{HTTPStatus(int(status)).phrase}."
    except ValueError:
        return f"Status {status}."


def _flow(values: list[Any]) -> CommentedSeq:
    found = CommentedSeq(values)
    found.fa.set_flow_style()
    return found


def _flow_map(values: dict[str, Any]) -> CommentedMap:
    found = CommentedMap()
    for key, value in values.items():
        found[key] = _flow_map(value) if isinstance(value, dict) else Quoted(value) if key == "$ref" else value
    found.fa.set_flow_style()
    return found
