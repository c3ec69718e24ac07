"""Answers held against a document, and the document changed: forms of schema that the service's own answers lack."""

from __future__ import annotations

from typing import Any

import pytest

from llamadapro_contract.compare import Comparer
from llamadapro_contract.document import Document
from llamadapro_contract.findings import Finding
from llamadapro_contract.patch import patch_document

TEXT = """\
openapi: 3.1.0
paths:
  /things:
    get:
      operationId: GetThing
      responses:
        '200':
          description: One.
          content:
            application/json:
              schema: { $ref: '#/components/schemas/Thing' }
    put:
      operationId: PutThing
      responses:
        '403': { $ref: '#/components/responses/Forbidden' }
components:
  responses:
    Forbidden: { description: Not yours. }
  schemas:
    Error: { type: object }
    Level: # shared by many
      type: string
      enum: [low, high]
    Text: { type: object, required: [text], properties: { text: { type: string } } }
    Link: { type: object, required: [url], properties: { url: { type: string } } }
    Thing:
      type: object
      required: [id]
      properties:
        id: { type: integer }
        level: { $ref: '#/components/schemas/Level' }
        kind: { type: string, const: thing }
        code: { type: string, pattern: '^[A-Z]+$' }
        parts: { type: array, items: { type: string } }
        part:
          anyOf:
            - { $ref: '#/components/schemas/Text' }
            - { $ref: '#/components/schemas/Link' }
        labels:
          type: object
          additionalProperties: { type: string }
"""
THING = ("components", "schemas", "Thing")
RESPONSES = ("paths", "/things", "get", "responses")


def findings(**fields: Any) -> list[Finding]:
    return [*Comparer(Document(TEXT)).compare({"id": 1, **fields}, THING, "GetThing")]


def changed(*found: Finding) -> Document:
    return Document(patch_document(TEXT, found)[0])


def fix(pointer: tuple[str, ...], *how: Any) -> Finding:
    return Finding("contradiction", "any", "what was seen", pointer, "$.there", fix=how)


def test_what_fits_leaves_nothing_to_say() -> None:
    fields: dict[str, Any] = {"code": "AB", "labels": {"a": "b"}, "part": {"url": "https://x"}, "parts": []}
    assert findings(**fields, level="low", kind="thing") == []


@pytest.mark.parametrize(
    ("fields", "kind", "path", "words"),
    [
        ({"code": "ab"}, "pattern", "$.code", "does not match ^[A-Z]+$"),
        ({"labels": {"a": 1}}, "type", "$.labels.a", "an integer instead of a string"),
        ({"labels": {"two words": 1}}, "type", "$.labels['two words']", "an integer instead of a string"),
        ({"kind": "other"}, "value-new", "$.kind", "'other' is not in the closed set (thing)"),
        ({"part": {"url": 5}}, "type", "$.part.url", "an integer instead of a string"),
        ({"part": {"text": None}}, "null", "$.part.text", "null, which is not allowed"),
        ({"part": None}, "null", "$.part", "null, which is not allowed"),
        ({"part": "a text"}, "type", "$.part", "a string instead of an object"),
        ({"part": {"url": "https://x", "alt": "x"}}, "field-undocumented", "$.part.alt", "alt (string)"),
    ],
)
def test_a_divergence_is_reported_at_its_path(fields: dict[str, Any], kind: str, path: str, words: str) -> None:
    """Of several forms, the one that fits best is spoken of."""
    [found] = findings(**fields)
    assert (found.kind, found.path) == (kind, path)
    assert words in found.message


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (None, {}),
        ("2026-02-15T10:00:00Z", {"type": "string", "format": "date-time"}),
        ("2026-02-15", {"type": "string"}),
        ([1.5], {"type": "array", "items": {"type": "number"}}),
        ([], {"type": "array", "items": {}}),
    ],
)
def test_an_undocumented_field_is_suggested_as_what_it_seems_to_be(value: Any, schema: dict[str, Any]) -> None:
    [found] = findings(extra=value)
    assert changed(found).at((*THING, "properties", "extra")) == schema


def test_what_a_person_should_decide_is_only_noted() -> None:
    """Null in a set that many fields share; an object in place of a text; a new value where no set is."""
    for pointer, how in {
        (*THING[:2], "Level"): ("nullable",),
        (*THING, "properties", "code"): ("type", "object"),
        (*THING, "properties", "parts"): ("type", "string"),
        (*THING, "properties", "kind"): ("add-value", "other"),
    }.items():
        schema = changed(fix(pointer, *how)).at(pointer)
        assert schema == Document(TEXT).at(pointer) | {"x-probe": "what was seen at $.there"}


def test_a_required_field_is_renamed_in_both_places() -> None:
    thing = changed(fix(THING, "rename", "id", "number")).at(THING)
    assert thing["required"] == ["number"]
    assert [*thing["properties"]][0] == "number"  # noqa: RUF015  (the order is what matters)


def test_of_several_required_fields_one_is_relaxed() -> None:
    text = TEXT.replace("required: [id]", "required: [id, level]")
    assert Document(patch_document(text, [fix(THING, "relax", "id")])[0]).at(THING)["required"] == ["level"]


@pytest.mark.parametrize(
    ("status", "response"),
    [
        ("403", {"$ref": "#/components/responses/Forbidden"}),
        ("410", "Gone."),
        ("499", "Status 499."),
        ("200", "One."),
    ],
)
def test_a_status_is_added_as_the_document_has_others(status: str, response: Any) -> None:
    responses = changed(fix(RESPONSES, "add-status", status)).at(RESPONSES)
    assert (responses[status] if status == "403" else responses[status]["description"]) == response
    assert [*responses] == sorted({"200", status})


def test_a_place_that_is_gone_has_the_line_of_what_lies_above() -> None:
    document = Document(TEXT)
    assert document.line((*THING, "properties", "gone")) == document.line((*THING, "properties"))
    assert TEXT.splitlines()[document.line(THING) - 1] == "    Thing:"
