"""A value that a schema allows: what the sandbox answers where it has neither a record nor an example."""

from __future__ import annotations

import math
from typing import Any, cast

from .document import Document, Schema, is_secret

FORMATS = {
    "date-time": "2026-01-01T12:00:00.000Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "email": "jane@example.org",
    "uri": "https://example.org/",
    "uri-reference": "/",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "c2FuZGJveA==",
    "json-pointer": "/a",
    "regex": ".*",
}
PLACEHOLDER = "text"
MAX_DEPTH = 6
"""Deeper, only what is required is filled in, so that recursive schemas come to an end."""
PATTERNED = (
    *("1", "a", "A", "abc", "ABC", "abc-123", "A1", "0" * 8),
    *("+14155552671", "2026-01-01", "12:00", "a@b.co", "#fff"),
)
"""Tried in turn where a pattern is asked for."""


def sample(document: Document, schema: Any, depth: int = 0) -> Any:
    """A value for a schema: its own example where it has a right one, else made up."""
    if not isinstance(schema, dict):
        return None
    node = cast(Schema, schema)
    for given in (*node.get("examples", [])[:3], node.get("example"), node.get("default")):
        if given is not None and document.validator(node).is_valid(given):
            return given
    if "const" in node:
        return node["const"]
    if "enum" in node:
        return node["enum"][0]
    if "$ref" in node:
        return sample(document, document.resolve({"$ref": node["$ref"]}), depth + 1)
    for name in ("oneOf", "anyOf"):
        if name in node:
            rest = {key: value for key, value in node.items() if key != name}
            return _branch(document, node, node[name], rest, depth)
    if "allOf" in node:
        return _joined(document, node, depth)
    return _made(document, node, depth)


def _branch(document: Document, node: Schema, branches: list[Any], rest: Schema, depth: int) -> Any:
    """The first branch whose value the schema allows; beyond some depth `null` is preferred."""
    ordered = sorted(branches, key=lambda one: document.types(one)[:1] != ["null"]) if depth > MAX_DEPTH else branches
    value: Any = None
    for branch in ordered:
        value = _joined(document, {"allOf": [branch, rest]}, depth) if rest.get("properties") else None
        if value is None:
            value = sample(document, branch, depth + 1)
        if depth > 3 * MAX_DEPTH or document.validator(node).is_valid(value):
            break
    return value


def _joined(document: Document, node: Schema, depth: int) -> Any:
    """Members of an allOf, their samples put together if they are objects."""
    rest = {key: value for key, value in node.items() if key != "allOf"}
    made = [sample(document, one, depth + 1) for one in node["allOf"]]
    if rest.get("properties"):
        made.append(sample(document, rest, depth))
    if made and all(isinstance(one, dict) for one in made):
        return {name: value for one in made for name, value in one.items()}
    merged: Schema = {}
    for one in node["allOf"]:
        merged |= document.resolve(one)
    return sample(document, {**merged, **rest}, depth) if "allOf" not in merged else next(iter(made), None)


def _made(document: Document, node: Schema, depth: int) -> Any:
    kinds = node.get("type") or ("object" if "properties" in node else "array" if "items" in node else "string")
    listed = [kinds] if isinstance(kinds, str) else kinds
    kind = "null" if depth > MAX_DEPTH and "null" in listed else listed[0]
    if kind == "object":
        return _object(document, node, depth)
    if kind == "array":
        if depth > MAX_DEPTH and not node.get("minItems"):
            return []
        items = [sample(document, one, depth + 1) for one in node.get("prefixItems", [])]
        return items + [sample(document, node.get("items"), depth + 1)] * max(node.get("minItems", 1) - len(items), 0)
    if kind in ("integer", "number"):
        return _number(node, kind)
    return {"boolean": True, "null": None}.get(kind) if kind != "string" else _text(document, node)


def _object(document: Document, node: Schema, depth: int) -> Any:
    required = node.get("required", [])
    properties: Schema = node.get("properties", {})
    every = depth <= MAX_DEPTH and "not" not in node
    names = [name for name in properties if (every or name in required) and not is_secret(properties[name])]
    made = {name: sample(document, properties[name], depth + 1) for name in names}
    more = node.get("additionalProperties")
    missing = [name for name in required if name not in properties]
    return {**made, **{name: sample(document, more if isinstance(more, dict) else {}, depth + 1) for name in missing}}


def _number(node: Schema, kind: str) -> float:
    step = node.get("multipleOf") or 1
    low = node.get("minimum", node.get("exclusiveMinimum", None))
    high = node.get("maximum", node.get("exclusiveMaximum", None))
    start = low if low is not None else min(step, high) if high is not None else step
    value = math.ceil(start / step) * step
    if value == node.get("exclusiveMinimum"):
        value = value + step if high is None or value + step < high else (value + high) / 2
    elif high is not None and value == node.get("exclusiveMaximum"):
        value -= step
    return int(value) if kind == "integer" else value


def _text(document: Document, node: Schema) -> str:
    if "pattern" in node:
        validator = document.validator(node)
        return next((text for text in PATTERNED if validator.is_valid(text)), "")
    text: str = FORMATS.get(node.get("format", ""), PLACEHOLDER)
    return text.ljust(node.get("minLength", 0), "x")[: node.get("maxLength")]
