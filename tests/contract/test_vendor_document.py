"""`make document`: openapi.yaml from a document that the service publishes and our overlay on it.

`tests/contract/vendor/` holds ten of our operations as TSOA would publish them: OpenAPI 3.0, `nullable`, every number a
double, `Pick_…` names, enums of one value, two operations of one name, a relative server. And an overlay on it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from generator.openapi30 import schema_to_31, to_31
from generator.vendor import OVERLAY, RESULT, VENDOR, dump, main
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from ruamel.yaml import YAML

from tests.contract.check_generated import generate
from tests.openapi import ROOT, operations_of, read
from tests.strategies import SOME, json_values

PUBLISHED = Path(__file__).parent / "vendor"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the vendor's document and our overlay in it."""
    (tmp_path / "vendor").mkdir()
    shutil.copy(PUBLISHED / "openapi.json", tmp_path / VENDOR)
    shutil.copy(PUBLISHED / "overlay.yaml", tmp_path / OVERLAY)
    return tmp_path


def overlaid(root: Path, *actions: dict[str, Any]) -> Path:
    """The same repository with another overlay."""
    overlay = {"overlay": "1.0.0", "info": {"title": "Test", "version": "1"}, "actions": list(actions)}
    (root / OVERLAY).write_text(yaml.safe_dump(overlay, sort_keys=False))
    return root


def published() -> Any:
    return json.loads((PUBLISHED / "openapi.json").read_bytes())


# --- the way there -----------------------------------------------------------------------------------------------


def test_without_a_vendors_document_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == main([str(tmp_path), "--check"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "openapi.yaml is written by hand: there is no vendor/openapi.json "
        "(docs/vendor-document.md says what to do with one)."
    )
    assert [*tmp_path.iterdir()] == []


def test_an_overlay_without_a_vendors_document_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / VENDOR).unlink()
    assert main([str(root)]) == 1
    assert "overlay.yaml has nothing to lie on: there is no vendor/openapi.json" in capsys.readouterr().err


def test_both_give_a_document_of_openapi_31(root: Path) -> None:
    before = (root / VENDOR).read_bytes()
    assert main([str(root)]) == 0
    assert (root / VENDOR).read_bytes() == before
    text = (root / RESULT).read_text("utf-8")
    assert text.startswith("# Written by `make document` from vendor/openapi.json and overlay.yaml. Do not edit")
    document = read(root / RESULT)
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert document["openapi"] == "3.1.0"
    assert "nullable" not in text
    assert document["servers"] == [{"url": "https://api.llamadapro.app"}]
    operations = {operation.id: operation for operation in operations_of(document)}
    assert len(operations) == len(operations_of(published())) == 10
    assert operations["StartAgentCallV2"].path == "/api/v2/calls/agent"
    assert operations["SearchContacts"].raw["x-safe-to-repeat"] is True
    assert operations["GetContacts"].parameters[-1]["schema"] == {"type": ["string", "null"]}
    schemas = document["components"]["schemas"]
    contact, call = schemas["Contact"]["properties"], schemas["Call"]["properties"]
    assert contact["id"] == {"type": "integer", "format": "int64"}
    assert contact["userId"] == {"type": ["integer", "null"], "format": "int64"}
    assert call["duration"] == {"type": ["number", "null"], "format": "double"}
    assert schemas["Task"]["properties"]["assignedTo"]["anyOf"] == [
        {"$ref": "#/components/schemas/Actor"},
        {"type": "null"},
    ]
    assert schemas["SearchContactsBody"]["properties"]["pageSize"] == {
        "type": "integer",
        "format": "int64",
        "exclusiveMinimum": 0,
        "maximum": 100,
        "examples": [20],
    }
    assert {"type": "string"} in schemas["CallStatus"]["anyOf"]


def test_the_examples_that_the_vendor_prints_stay_valid(root: Path) -> None:
    assert main([str(root)]) == 0
    document = read(root / RESULT)
    checked = 0
    for operation in operations_of(document):
        for example in operation.success[1].get("examples", {}).values():
            schema = {**operation.success[1]["schema"], "components": document["components"]}
            assert [error.message for error in Draft202012Validator(schema).iter_errors(example["value"])] == []
            checked += 1
    assert checked == 9  # one answers nothing


def test_what_was_written_is_not_touched_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(root)])
    text = (root / RESULT).read_bytes()
    capsys.readouterr()
    assert main([str(root)]) == 0
    assert "openapi.yaml is as it was" in capsys.readouterr().out
    assert (root / RESULT).read_bytes() == text


# --- drift -------------------------------------------------------------------------------------------------------


def test_drift_is_found(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(root), "--check"]) == 1  # not written yet
    main([str(root)])
    capsys.readouterr()
    assert main([str(root), "--check"]) == 0
    path = root / RESULT
    by_hand = path.read_text("utf-8").replace("operationId: GetContacts", "operationId: ListContacts")
    path.write_text(by_hand, "utf-8")
    assert main([str(root), "--check"]) == 1
    out, err = capsys.readouterr()
    assert "-      operationId: ListContacts\n+      operationId: GetContacts" in out
    assert "run `make document`" in err
    assert path.read_text("utf-8") == by_hand


def test_a_new_publication_is_drift(root: Path) -> None:
    main([str(root)])
    document = published()
    document["components"]["schemas"]["Contact"]["properties"]["nickname"] = {"type": "string"}
    (root / VENDOR).write_text(json.dumps(document))
    assert main([str(root), "--check"]) == 1


# --- overlays ----------------------------------------------------------------------------------------------------


def test_targets_that_match_nothing_are_named_with_their_lines(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / RESULT).write_text("as it was\n")
    overlaid(
        root,
        {"target": "$.paths['/api/v1/persons'].get", "update": {"summary": "List"}},
        {"target": "$.info", "update": {"title": "LlamadaPro"}},
        {"target": "$.components.schemas..properties[?@.format == 'decimal']", "remove": True},
    )
    assert main([str(root)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "overlay.yaml:6: actions[0]: target $.paths['/api/v1/persons'].get matches nothing; "
        "correct the target or remove it",
        "overlay.yaml:12: actions[2]: target $.components.schemas..properties[?@.format == 'decimal'] matches nothing; "
        "correct the target or remove it",
        "openapi.yaml is as it was",
    ]
    assert (root / RESULT).read_text() == "as it was\n"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"target": "$.paths[", "update": {}}, "is no JSONPath"),
        ({"target": "$.info", "updates": {}}, "updates is unknown; known are description, remove, target, update"),
        ({"target": "$.info"}, "must have `update`, or `remove: true`"),
        ({"update": {}}, "must have a `target`"),
        ({"target": "$.info", "remove": "yes"}, "`remove` must be true or false"),
        ({"target": "$.info", "update": "x"}, "is an object, so `update` must be one"),
        ({"target": "$.info.title", "update": "x"}, "is a single value; select the object that contains it"),
        ({"target": "$", "remove": True}, "is the document itself"),
    ],
)
def test_an_action_that_cannot_be_applied_is_named(
    root: Path, capsys: pytest.CaptureFixture[str], action: dict[str, Any], words: str
) -> None:
    assert main([str(overlaid(root, action))]) == 1
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith("overlay.yaml:6: actions[0]: ")
    assert words in line
    assert not (root / RESULT).exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("overlay: [", "is no YAML"),
        ("openapi: 3.1.0\n", "is no overlay"),
        ("overlay: 1.0.0\nactions: []\n", "at least one action"),
        ("overlay: 1.0.0\naction: []\nactions: [{target: $, update: {}}]\n", "action is unknown"),
    ],
)
def test_what_is_no_overlay_is_refused(root: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (root / OVERLAY).write_text(text)
    assert main([str(root)]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "vendor/openapi.json is no JSON"),
        ('{"swagger": "2.0"}', "must be OpenAPI 3.0 or 3.1, not something else"),
        ('{"openapi": "4.0.0"}', "must be OpenAPI 3.0 or 3.1, not 4.0.0"),
        ("[]", "must be OpenAPI 3.0 or 3.1"),
    ],
)
def test_what_is_no_document_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], content: str, words: str
) -> None:
    (root / VENDOR).write_text(content)
    assert main([str(root)]) == 1
    assert words in capsys.readouterr().err


def test_actions_merge_append_replace_and_remove_one_after_the_other(root: Path) -> None:
    overlaid(
        root,
        {"target": "$.info", "update": {"contact": {"name": "Support"}, "version": "2.0.0"}},
        {"target": "$.paths..parameters[?@.name == 'page' || @.name == 'pageToken']", "remove": True},
        {"target": "$.paths['/api/v1/contacts'].get.tags", "update": "People"},
        {"target": "$.paths.*.*", "update": {"tags": ["All"]}},
        {"target": "$.components.schemas.Contact.required", "remove": True},
        {"target": "$.components.schemas.Contact", "update": {"required": ["id"]}},
    )
    assert main([str(root)]) == 0
    document = read(root / RESULT)
    assert document["info"] == {"title": "llamadapro-api", "version": "2.0.0", "contact": {"name": "Support"}}
    listed = document["paths"]["/api/v1/contacts"]["get"]
    assert [one["name"] for one in listed["parameters"]] == ["pageSize"]
    assert listed["tags"] == ["Contacts", "People", "All"]
    assert document["components"]["schemas"]["Contact"]["required"] == ["id"]


def test_a_status_and_a_date_need_no_quotes_in_an_overlay(root: Path) -> None:
    (root / OVERLAY).write_text("""
overlay: 1.0.0
actions:
- target: $.paths['/api/v1/contacts'].get
  update: {responses: {200: {description: All of them}}, x-since: 2026-01-02}
""")
    before = published()["paths"]["/api/v1/contacts"]["get"]["responses"]
    assert main([str(root)]) == 0
    listed = read(root / RESULT)["paths"]["/api/v1/contacts"]["get"]
    assert listed["responses"].keys() == before.keys()
    assert listed["responses"]["200"]["description"] == "All of them"
    assert "content" in listed["responses"]["200"]
    assert str(listed["x-since"]) == "2026-01-02"


def test_a_document_of_31_stays_in_its_own_words(root: Path) -> None:
    main([str(root)])
    document = read(root / RESULT)
    (root / VENDOR).write_text(json.dumps(document))
    overlaid(root, {"target": "$.info", "update": {"version": "2.0.0"}})
    assert main([str(root)]) == 0
    assert read(root / RESULT) == document | {"info": document["info"] | {"version": "2.0.0"}}


# --- from 3.0 to 3.1 ---------------------------------------------------------------------------------------------

bounds = st.integers(-3, 3)
scalars = st.none() | st.booleans() | st.integers(-4, 4) | st.sampled_from(["", "a", "bb"])


def schemas(depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of 3.0 with a type."""
    numbers = st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": bounds,
            "maximum": bounds,
            "exclusiveMinimum": st.booleans(),
            "exclusiveMaximum": st.booleans(),
            "example": bounds,
            "nullable": st.booleans(),
        },
    )
    texts = st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"enum": st.just(["a", "bb"]), "maxLength": st.just(1)}
    )
    plain = numbers | texts | st.fixed_dictionaries({"type": st.just("boolean")}, optional={"nullable": st.booleans()})
    if not depth:
        return plain
    inner = schemas(depth - 1)
    lists = st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"nullable": st.booleans()})
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from(["example", "nullable"]), inner)},
        optional={
            "required": st.just(["nullable"]),
            "additionalProperties": st.booleans() | inner,
            "nullable": st.booleans(),
        },
    )
    members = st.lists(inner, min_size=1, max_size=3)
    unions = st.builds(lambda key, parts: {key: parts}, st.sampled_from(["anyOf", "allOf"]), members)
    return plain | lists | objects | unions


values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["example", "nullable", "x"]), inner),
    max_leaves=4,
)


@settings(SOME, max_examples=150)
@given(schemas(), st.lists(values, min_size=5, max_size=20))
def test_a_converted_schema_takes_the_same_values(schema: dict[str, Any], some: list[Any]) -> None:
    old, new = OAS30Validator(schema), Draft202012Validator(schema_to_31(schema))
    Draft202012Validator.check_schema(schema_to_31(schema))
    assert [new.is_valid(value) for value in some] == [old.is_valid(value) for value in some]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"$ref": "#/x", "nullable": True}, {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]}),
        ({"$ref": "#/x", "description": "d", "minLength": 1}, {"$ref": "#/x", "description": "d"}),
        (
            {"allOf": [{"$ref": "#/x"}], "nullable": True, "description": "d"},
            {"anyOf": [{"$ref": "#/x"}, {"type": "null"}], "description": "d"},
        ),
        (
            {"allOf": [{"$ref": "#/x"}, {"$ref": "#/y"}], "nullable": True},
            {"anyOf": [{"allOf": [{"$ref": "#/x"}, {"$ref": "#/y"}]}, {"type": "null"}]},
        ),
        (
            {"oneOf": [{"type": "string"}, {"$ref": "#/x"}], "nullable": True},
            {"oneOf": [{"type": "string"}, {"$ref": "#/x"}, {"type": "null"}]},
        ),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"enum": ["a"], "nullable": True}, {"enum": ["a", None]}),
        ({"nullable": True}, {}),
        ({"type": "string", "enum": ["header"], "nullable": False}, {"type": "string", "enum": ["header"]}),
        ({"type": "integer", "exclusiveMinimum": True}, {"type": "integer"}),
    ],
)
def test_null_and_references_are_said_in_31(old: dict[str, Any], new: dict[str, Any]) -> None:
    """What `nullable` means to those who publish it: 3.0 itself lets it stand next to a type only."""
    assert schema_to_31(old) == new


def test_names_and_data_that_look_like_keywords_are_left_alone() -> None:
    data = {"schema": {"nullable": True, "type": "string"}}
    nullable = {"type": "string", "nullable": True}
    document = {
        "openapi": "3.0.3",
        "paths": {
            "/x": {
                "get": {
                    "x-note": data,
                    "responses": {
                        "default": {
                            "description": "",
                            "headers": {"x-left": {"schema": nullable}},
                            "content": {"application/json": {"schema": nullable, "example": data}},
                        }
                    },
                }
            }
        },
        "components": {"schemas": {"example": nullable}, "parameters": {"examples": {"schema": nullable}}},
    }
    converted = to_31(document)
    both = {"type": ["string", "null"]}
    get = converted["paths"]["/x"]["get"]
    assert get["x-note"] == data
    answer = get["responses"]["default"]
    assert answer["headers"]["x-left"]["schema"] == answer["content"]["application/json"]["schema"] == both
    assert answer["content"]["application/json"]["example"] == data
    assert converted["components"] == {"schemas": {"example": both}, "parameters": {"examples": {"schema": both}}}


@SOME
@given(
    st.dictionaries(
        st.text(max_size=3) | st.sampled_from(["on", "1e3", "0o17", "=", "~"]),
        json_values
        | st.from_regex(r"[-+]?[0-9._:eExob]{1,8}", fullmatch=True)
        | st.sampled_from(["yes", "1e3", "0o17", "012", "08_", "1_000", "2024-01-01", "1:30", "null", "", " a\n b\n"]),
    )
)
def test_a_document_reads_the_same_by_both_rules_of_yaml(document: dict[str, Any]) -> None:
    """The sandbox reads it as YAML 1.1, the generator as 1.2."""
    text = dump(document)
    for loaded in (yaml.safe_load(text), YAML(typ="safe").load(text)):
        assert json.dumps(loaded) == json.dumps(document)


# --- generated ---------------------------------------------------------------------------------------------------

PROGRAM = """
import json
from llamadapro_api import models
from tests.openapi import functions

found = functions()
answer = json.loads(input())
contact = found["get_contact"](1001).read(answer)
address = {"channel_type": "PHONE", "address": "+56912345678"}
created = found["create_contact"](first_name="Jane", user_id=None, addresses=[address])
header = {"type_": "header", "parameters": ["Jane"]}
numbers = {"from_phone_number": "+56221234567", "to_phone_number": "+56912345678"}
sent = found["create_template_message"](template_name="hi", language_code="es", components=[header], **numbers)
print(json.dumps([sorted(found), contact.id, contact.last_name, created.method, created.body]))
print(json.dumps([sent.body, sorted(models.__all__)]))
"""


def test_the_generator_takes_what_both_give(root: Path) -> None:
    assert main([str(root)]) == 0
    shutil.copytree(ROOT / "custom" / "generator", root / "custom" / "generator")
    config = (ROOT / "generator-config.yaml").read_text()
    names = {"PickContactAddressChannelTypeOrAddress": {"class_name": "NewAddress", "module_name": "new_address"}}
    (root / "generator-config.yaml").write_text(f"{config}\n{yaml.safe_dump({'class_overrides': names})}")
    generate(root, root / "generated" / "llamadapro_api")
    example = published()["paths"]["/api/v1/contacts/{id}"]["get"]["responses"]["200"]["content"]["application/json"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "generated"), str(ROOT)])},
        input=json.dumps(example["examples"]["Example 1"]["value"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found, number, last_name, method, body), (message, models) = map(json.loads, done.stdout.splitlines())
    assert found == sorted(operation.name for operation in operations_of(read(root / RESULT)))
    assert (number, last_name, method) == (1001, None, "POST")
    assert body == {
        "firstName": "Jane",
        "userId": None,
        "addresses": [{"channelType": "PHONE", "address": "+56912345678"}],
    }
    assert message["components"] == [{"type": "header", "parameters": ["Jane"]}]
    assert {"Contact", "NewAddressDict"} <= set(models)
