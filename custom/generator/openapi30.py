"""OpenAPI 3.0 brought to 3.1, where a schema is JSON Schema: the same document, said in the other version's words.

Only schemas differ in meaning. `format: binary` and `format: byte` stay: JSON Schema ignores them as it does any other
format, and the generator reads them.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
ANNOTATIONS = {
    *("title", "description", "deprecated", "readOnly", "writeOnly", "default", "example", "examples", "externalDocs")
}
"""What may stand next to a `$ref` in 3.1 without adding to it; 3.0 ignores it."""
NAMED = {
    *("paths", "responses", "content", "headers", "encoding", "callbacks", "links", "variables"),
    *("schemas", "parameters", "requestBodies", "securitySchemes"),
}
"""Whose keys are names of the document's own, which may look like keywords."""


def to_31(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of a 3.0 document as 3.1."""
    return {**_walked(document), "openapi": "3.1.0"}


def _walked(node: Any) -> Any:
    """Everything around the schemas."""
    if isinstance(node, list):
        return [_walked(one) for one in node]
    if not isinstance(node, dict):
        return node
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("example", "examples") or key.startswith("x-"):
            out[key] = value  # data, whatever it looks like
        elif key == "schema":
            out[key] = schema_to_31(value)
        elif key in NAMED and isinstance(value, dict):
            convert = schema_to_31 if key == "schemas" else _walked
            out[key] = {name: convert(one) for name, one in value.items()}
        else:
            out[key] = _walked(value)
    return out


def schema_to_31(schema: Any) -> Any:
    """A schema of 3.0 in the words of 3.1."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:  # 3.0 ignores what stands next to it
        schema = {key: value for key, value in schema.items() if _says_nothing(key) or key in ("$ref", "nullable")}
    out = {key: _inner(key, value) for key, value in schema.items() if key != "nullable"}
    if "example" in out:  # 3.1 has a list of them in a schema
        out["examples"] = [*out.get("examples", ()), out.pop("example")]
    for limit, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(out.get(limit), bool):
            exclusive = out.pop(limit)
            if exclusive and bound in out:
                out[limit] = out.pop(bound)
    return _with_null(out) if schema.get("nullable") is True else out


def _says_nothing(key: str) -> bool:
    return key in ANNOTATIONS or key.startswith("x-")


def _inner(key: str, value: Any) -> Any:
    """What a keyword holds, its schemas converted."""
    if key in ("allOf", "anyOf", "oneOf"):
        return [schema_to_31(one) for one in value]
    if key == "properties":
        return {name: schema_to_31(one) for name, one in value.items()}
    return schema_to_31(value) if key in ("items", "not", "additionalProperties") else value


def _with_null(schema: Schema) -> Schema:
    """Null is a value like any other: of the type, of the enum, of the union. What must hold of all values goes into
    a member of a union of its own."""
    if "allOf" in schema or "$ref" in schema:
        notes = {key: value for key, value in schema.items() if _says_nothing(key)}
        rest = {key: value for key, value in schema.items() if key not in notes}
        lone = rest["allOf"][0] if list(rest) == ["allOf"] and len(rest["allOf"]) == 1 else rest
        return {"anyOf": [lone, {"type": "null"}], **notes}
    out = dict(schema)
    if "type" in out:
        kinds = out["type"] if isinstance(out["type"], list) else [out["type"]]
        out["type"] = list(dict.fromkeys([*kinds, "null"]))
    if "enum" in out:
        out["enum"] = [*(one for one in out["enum"] if one is not None), None]
    for key in ("anyOf", "oneOf"):
        if key in out:
            out[key] = [*out[key], {"type": "null"}]
    return out
