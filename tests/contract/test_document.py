"""Holds openapi.yaml against the facts of the reference page and against docs/provenance.md.

Each check is a function that returns its complaints. The document must draw none, and at the end a defect is sown for
every check to show that it bites. The page's facts are in reference_fields.json: names, types, marks and statuses.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.openapi import (
    DOCUMENT,
    OPERATIONS,
    ROOT,
    Document,
    Json,
    Operation,
    json_content,
    operations_of,
    path_of,
    resolve,
)

Doc = Document

# Statuses that the page does not list.
ADDED_STATUSES = {
    204: {"LoadRecording"},
    400: {
        "GetTasks", "CreateTask", "UpdateTask", "LoadRecording", "GetContacts", "CreateContact", "UpdateContact",
        "SearchContacts", "CreateTemplateMessage", "CreateMessage", "UploadMedia", "StartBridgeCall", "StartAgentCall",
        "CreateCall",
    },
    404: {"GetMessage", "GetCustomFieldListOptions", "CreateCustomFieldListOption"},
    429: {"SearchContacts"},
}  # fmt: skip

# The lists that the page prints completely, and a table (operation, row) where each stands. Nothing else is closed.
CLOSED_ENUMS = {
    "TaskStatus": ("GetTasks", "query", "status"),
    "AssigneeType": ("GetTasks", "query", "assignedToType"),
    "CallDirection": ("LoadRecording", "body", "callDirection"),
    "WhatsAppMessageType": ("CreateMessage", "body", "type"),
    "CustomFieldEntityType": ("CreateCustomFieldDefinition", "body", "entityType"),
    "CustomFieldType": ("CreateCustomFieldDefinition", "body", "fieldType"),
    "EmployeePersonalityLocalization": ("StartAgentCallV2", "body", "localization"),
    "VoiceProvider": ("StartAgentCallV2", "body", "provider"),
}

# Numbers that are measured; every other number of the page is an integer in practice.
MEASURED = {
    "duration", "maxDurationSeconds", "silenceTimeoutSeconds", "agentScore", "temperature", "speed", "stability",
    "style", "optimizeStreamingLatency", "confidenceThreshold",
}  # fmt: skip

# Answers whose record a request table describes too: there a field can be null in the answer if it can in the request.
RECORD_TABLES = {
    "Task": ["CreateTask", "UpdateTask"],
    "Contact": ["CreateContact", "UpdateContact"],
    "ContactSearchHit": ["CreateContact", "UpdateContact"],
    "Conversation": ["Create"],
    "CustomFieldListOption": ["CreateCustomFieldListOption", "UpdateCustomFieldListOption"],
    "CustomFieldDefinition": ["CreateCustomFieldDefinition", "UpdateCustomFieldDefinition"],
    "Call": ["CreateCall"],
}

PAGE: Json = json.loads((Path(__file__).parent / "reference_fields.json").read_text())


def on_the_page(doc: Doc) -> list[Operation]:
    return [operation for operation in operations_of(doc) if operation.id in PAGE["operations"]]


def name_of(node: Json) -> str:
    return str(node["$ref"].rpartition("/")[2]) if "$ref" in node else "(inline)"


def json_schema(doc: Doc, holder: Json) -> Json:
    return json_content(holder, doc).get("schema", {})


def body_schema(doc: Doc, operation: Operation) -> Json:
    return json_schema(doc, operation.raw["requestBody"])


def schemas(doc: Doc) -> dict[str, Json]:
    named: dict[str, Json] = doc["components"]["schemas"]
    return named


def kinds(schema: Json) -> set[str]:
    kind = schema.get("type", [])
    return set(kind if isinstance(kind, list) else [kind])


def known_values(doc: Doc, schema: Json) -> list[Json]:
    """The values that a closed or open set names."""
    schema = resolve(schema, doc)
    if "const" in schema:
        return [schema["const"]]
    return [*schema.get("enum", []), *(value for part in schema.get("anyOf", []) for value in known_values(doc, part))]


def is_open(doc: Doc, schema: Json) -> bool:
    return any(resolve(part, doc) == {"type": "string"} for part in resolve(schema, doc).get("anyOf", []))


def is_textual(doc: Doc, schema: Json) -> bool:
    schema = resolve(schema, doc)
    return "string" in kinds(schema) or is_open(doc, schema)


def every_schema(doc: Doc) -> Iterator[tuple[str, Json]]:
    """Every schema of the document with the place where it stands, nested ones too."""

    def inside(place: str, schema: Json) -> Iterator[tuple[str, Json]]:
        yield place, schema
        for name, part in schema.get("properties", {}).items():
            yield from inside(f"{place}.{name}", part)
        for key in ("anyOf", "oneOf", "allOf"):
            for index, part in enumerate(schema.get(key, [])):
                yield from inside(f"{place} {key}[{index}]", part)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                yield from inside(f"{place} {key}", schema[key])

    for name, schema in schemas(doc).items():
        yield from inside(name, schema)
    for operation in operations_of(doc):
        for parameter in operation.parameters:
            yield from inside(f"{operation.id} {parameter['name']}", parameter["schema"])
        holders = [("body", operation.raw.get("requestBody")), *operation.raw["responses"].items()]
        for label, holder in holders:
            for media in (resolve(holder, doc) or {}).get("content", {}).values():
                yield from inside(f"{operation.id} {label}", media["schema"])


# --------------------------------------------------------------------------------------------- the page's facts


def compare_row(doc: Doc, place: str, row: Json, schema: Json) -> Iterator[str]:
    """A table's row against the schema of a body's field or of a parameter."""
    plain = resolve(schema, doc)
    if row["type"] == "any":
        if set(plain) - {"description"}:
            yield f"{place}: the page allows anything"
        return
    if row["type"] == "number":
        wanted = "number" if place.rpartition(".")[2] in MEASURED else "integer"
        if wanted not in kinds(plain):
            yield f"{place}: should be {wanted}"
    elif row["type"] == "string":
        if not is_textual(doc, plain):
            yield f"{place}: should be string"
    elif row["type"] not in kinds(plain):
        yield f"{place}: should be {row['type']}"
    if ("null" in kinds(plain)) != row.get("nullable", False):
        yield f"{place}: nullable on one side only"
    if plain.get("format") != row.get("format"):
        yield f"{place}: the format differs"
    if plain.get("enum") != row.get("enum"):
        yield f"{place}: the closed list differs"
    if plain.get("deprecated", False) != row.get("deprecated", False):
        yield f"{place}: deprecated on one side only"


def compare_sample(doc: Doc, place: str, sample: Json, schema: Json, seen: set[str]) -> Iterator[str]:
    """A sample of the page against a schema, to the last leaf; `seen` gathers the fields that the page shows."""
    name, plain = name_of(schema), resolve(schema, doc)
    if isinstance(sample, dict):
        if "anyOf" in plain:  # a template's component: the one that the sample's `type` tells
            reported = sample["type"].removeprefix("string such as ")
            for part in plain["anyOf"]:
                if resolve(part, doc)["properties"]["type"].get("const") == reported:
                    yield from compare_sample(doc, place, sample, part, seen)
                    return
            yield f"{place}: no variant for {reported}"
            return
        for field, value in sample.items():
            if field not in plain.get("properties", {}):
                yield f"{place}.{field}: the page shows it, {name} lacks it"
                continue
            seen.add(f"{name}.{field}")
            yield from compare_sample(doc, f"{place}.{field}", value, plain["properties"][field], seen)
    elif isinstance(sample, list):
        if plain.get("type") != "array":
            yield f"{place}: should be an array"
            return
        items = plain["items"]
        if items.get("anyOf", [{}])[0].get("$ref"):  # a bulk item: the known form or anything
            items = items["anyOf"][0]
        yield from compare_sample(doc, f"{place}[]", sample[0], items, seen)
    elif not leaf_fits(doc, place.rpartition(".")[2], sample, plain):
        yield f"{place}: the page shows {sample}"


def leaf_fits(doc: Doc, field: str, sample: str, plain: Json) -> bool:
    if sample == "any":
        return not set(plain) - {"description"}
    if sample == "dictionary":
        return plain.get("type") == "object" and plain.get("additionalProperties") is True
    if sample == "dictionary of strings":
        return bool(plain.get("type") == "object" and plain.get("additionalProperties") == {"type": "string"})
    if sample == "number":
        return ("number" if field in MEASURED else "integer") in kinds(plain)
    if sample == "boolean":
        return "boolean" in kinds(plain)
    if sample == "date-time":
        return "string" in kinds(plain) and plain.get("format") == "date-time"
    if not is_textual(doc, plain) or "format" in plain:
        return False
    return sample == "string" or sample.removeprefix("string such as ") in known_values(doc, plain)


def shown_fields(doc: Doc) -> tuple[set[str], list[str]]:
    """The fields, as Schema.field, that the page shows in a table or sample; and what differs."""
    seen: set[str] = set()
    wrong: list[str] = []
    for operation in on_the_page(doc):
        page = PAGE["operations"][operation.id]
        answer = "401" if operation.id == "LoadRecording" else "200"
        schema = json_schema(doc, resolve(operation.raw["responses"][answer], doc))
        sample = PAGE["samples"][page["response_sample"]]
        wrong += compare_sample(doc, f"{operation.id} {answer}", sample, schema, seen)
        if "request_sample" in page:
            body = body_schema(doc, operation)
            sample = PAGE["samples"][page["request_sample"]]
            wrong += compare_sample(doc, f"{operation.id} body", sample, body, seen)
            seen |= {f"{name_of(body)}.{row}" for row, facts in page["body"].items() if facts.get("name") != "inferred"}
    return seen, wrong


def check_operations(doc: Doc) -> list[str]:
    """Every operation of the page, in its order; the page prints where some of them are."""
    found = operations_of(doc)
    ids = [operation.id for operation in found]
    wrong = [f"{one}: missing" for one in PAGE["operations"] if one not in ids]
    wrong += [f"{one}: twice" for one in dict.fromkeys(ids) if ids.count(one) > 1]
    for operation in found:
        printed = PAGE["operations"].get(operation.id, {}).get("usage", here := f"{operation.method} {operation.path}")
        if printed != here:
            wrong.append(f"{operation.id}: {here}, and the page prints {printed}")
    if not wrong and [one for one in ids if one in PAGE["operations"]] != list(PAGE["operations"]):
        wrong.append("not in the order of the page")
    return wrong


def check_tables(doc: Doc) -> list[str]:
    """Every row of every table: parameters and the top level of bodies, and no row that the page lacks."""
    wrong: list[str] = []
    for operation in on_the_page(doc):
        page = PAGE["operations"][operation.id]
        for where in ("path", "query"):
            rows = page.get(where, {})
            given = {p["name"]: p for p in operation.parameters if p["in"] == where}
            wrong += [
                f"{operation.id} {name}: {where} parameter on one side only"
                for name in rows.keys() ^ given.keys()
                if given.get(name, {}).get("x-provenance") != "inferred"
            ]
            for name in rows.keys() & given.keys():
                if given[name].get("required", False) != rows[name].get("required", False):
                    wrong.append(f"{operation.id} {name}: required on one side only")
                wrong += compare_row(doc, f"{operation.id}.{name}", rows[name], given[name]["schema"])
        if ("body" in page) != ("requestBody" in operation.raw):
            wrong.append(f"{operation.id}: body on one side only")
            continue
        if "body" not in page:
            continue
        if resolve(operation.raw["requestBody"], doc).get("required") is not True:
            wrong.append(f"{operation.id}: the body is required")
        schema = resolve(body_schema(doc, operation), doc)
        required = {name for name, row in page["body"].items() if row.get("required")}
        if required != set(schema.get("required", [])):
            wrong.append(f"{operation.id}: required fields differ: {required ^ set(schema.get('required', []))}")
        if list(page["body"]) != list(schema["properties"]):
            wrong.append(f"{operation.id}: the fields or their order differ")
        for name in page["body"].keys() & schema["properties"].keys():
            wrong += compare_row(doc, f"{operation.id}.{name}", page["body"][name], schema["properties"][name])
    return wrong


def check_samples(doc: Doc) -> list[str]:
    return shown_fields(doc)[1]


def check_statuses(doc: Doc) -> list[str]:
    """The page's statuses, unmarked, and the added ones, marked; nothing else."""
    wrong = []
    for operation in on_the_page(doc):
        listed = set(PAGE["operations"][operation.id]["statuses"])
        added = {status for status, ids in ADDED_STATUSES.items() if operation.id in ids}
        found = {int(status) for status in operation.raw["responses"]}
        if found != listed | added:
            wrong.append(f"{operation.id}: statuses differ: {found ^ (listed | added)}")
        for status in found:
            marked = resolve(operation.raw["responses"][str(status)], doc).get("x-provenance") == "inferred"
            if marked != (status in added):
                wrong.append(f"{operation.id} {status}: the mark is wrong")
    return wrong


def check_error_bodies(doc: Doc) -> list[str]:
    wrong = [
        f"{operation.id} {status}: the body is not Error"
        for operation in operations_of(doc)
        for status, response in operation.raw["responses"].items()
        if int(status) >= 400
        and resolve(response, doc).get("content", {}).get("application/json", {}).get("schema")
        != {"$ref": "#/components/schemas/Error"}
    ]
    wrong += compare_sample(doc, "Error", PAGE["samples"]["error"], {"$ref": "#/components/schemas/Error"}, set())
    return wrong


def check_security(doc: Doc) -> list[str]:
    """On each operation, because the generator ignores it at the top; and optional, as on the page."""
    security = [{name: []} for name in doc["components"]["securitySchemes"]] + [{}]
    return [f"{o.id}: security" for o in operations_of(doc) if o.raw.get("security") != security]


def check_nullable_answers(doc: Doc) -> list[str]:
    wrong = []
    bodies = {name_of(body_schema(doc, o)) for o in operations_of(doc) if "requestBody" in o.raw}
    for name, schema in schemas(doc).items():
        rows: dict[str, Json] = {}
        for table in RECORD_TABLES.get(name, []):
            rows |= PAGE["operations"][table]["body"]
        for field, part in schema.get("properties", {}).items():
            below = name.startswith("BulkSingle")  # a request's, whose table is Create's
            facts = PAGE["operations"]["Create"]["body"] if below else rows
            wanted = facts.get(field, {}).get("nullable", False)
            if name not in bodies and ("null" in kinds(part)) != wanted:
                wrong.append(f"{name}.{field}: nullable on one side only")
    return wrong


def check_deprecated(doc: Doc) -> list[str]:
    """E-mail and telephone of a contact, in requests and answers, and nothing else."""
    found = {place for place, schema in every_schema(doc) if schema.get("deprecated")}
    wanted = {
        f"{schema}.{field}"
        for schema in ("CreateContactBody", "UpdateContactBody", "Contact", "ContactSearchHit")
        for field in ("email", "phone")
    }
    return [f"{place}: deprecated on one side only" for place in sorted(found ^ wanted)]


def check_enums(doc: Doc) -> list[str]:
    """A list is closed only if a table prints it; every other one stands next to `type: string`."""
    wrong = []
    for name, (operation, where, row) in CLOSED_ENUMS.items():
        if schemas(doc).get(name, {}).get("enum") != PAGE["operations"][operation][where][row]["enum"]:
            wrong.append(f"{name}: not the list of {operation}")
    for place, schema in every_schema(doc):
        if "enum" not in schema or place in CLOSED_ENUMS:
            continue
        owner = re.fullmatch(r"(\w+) anyOf\[0\]", place)
        if not owner or not is_open(doc, schemas(doc)[owner[1]]):
            wrong.append(f"{place}: closed, but no table prints the list")
    constants = {place for place, schema in every_schema(doc) if "const" in schema}
    variants = {resolve(part, doc)["properties"]["type"]["const"] for part in components_of_templates(doc)}
    if len(constants) != 3 or variants != {"header", "body", "button"}:
        wrong.append("constants: only a template's components have one")
    return wrong


def components_of_templates(doc: Doc) -> list[Json]:
    return list(schemas(doc)["WhatsAppTemplateMessageComponent"]["anyOf"])


# --------------------------------------------------------------------------------------------------- provenance


CONFIRMED = "confirmed"
"""What the probe has seen at the live service; it comes with the probe's suggested patch."""


def check_marks(doc: Doc) -> list[str]:
    """Inferred is what the page does not print, documented what it does."""
    wrong = []
    for operation in operations_of(doc):
        page = PAGE["operations"].get(operation.id, {})
        wanted = "documented" if "usage" in page else "inferred"
        if operation.raw.get("x-provenance") not in (wanted, CONFIRMED):
            wrong.append(f"{operation.id}: should be {wanted}")
        for parameter in operation.parameters if page else ():
            printed = parameter["name"] in page.get(parameter["in"], {})
            if (parameter.get("x-provenance") == "inferred") == printed:
                wrong.append(f"{operation.id} {parameter['name']}: the mark is wrong")
    guesses = [*doc["servers"], *doc["components"]["securitySchemes"].values()]
    wrong += [
        "server and key header are inferred"
        for place in guesses
        if place.get("x-provenance") not in ("inferred", CONFIRMED)
    ]
    shown, _ = shown_fields(doc)
    for name, schema in schemas(doc).items():
        if schema.get("x-provenance") not in {"documented", "inferred", CONFIRMED}:
            wrong.append(f"{name}: without a mark")
        fields = schema.get("properties", {})
        if schema.get("x-provenance") == "inferred" and not any(f"{name}.{field}" in shown for field in fields):
            continue  # inferred as one
        for field, part in fields.items():
            if (part.get("x-provenance") == "inferred") == (f"{name}.{field}" in shown):
                wrong.append(f"{name}.{field}: the mark is wrong")
    return wrong


@cache
def provenance() -> str:
    return (ROOT / "docs" / "provenance.md").read_text()


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without backticks."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("`", "") for cell in row] for row in rows[1:] if not row[0].startswith("---")]


def check_list(doc: Doc, text: str) -> list[str]:
    """docs/provenance.md lists every inference of the document and nothing else."""
    ops = operations_of(doc)
    bodies = {name_of(body_schema(doc, o)) for o in ops if "requestBody" in o.raw}
    facts: dict[str, set[str]] = {
        "Server and key": {
            *(f"servers: {server['url']}" for server in doc["servers"]),
            *(f"components.securitySchemes: {name}" for name in doc["components"]["securitySchemes"]),
        },
        "Operations": {f"{o.id}: {o.method} {o.path}" for o in ops if o.raw.get("x-provenance") == "inferred"},
        "Parameters": {f"{o.id} {p['name']}" for o in ops for p in o.parameters if p.get("x-provenance") == "inferred"},
        "Responses": {
            f"{o.id} {status}"
            for o in ops
            for status, response in o.raw["responses"].items()
            if resolve(response, doc).get("x-provenance") == "inferred"
        },
        "Fields": {
            f"{name}.{field}"
            for name, schema in schemas(doc).items()
            for field, part in schema.get("properties", {}).items()
            if part.get("x-provenance") == "inferred"
        },
        "Schemas": {name for name, schema in schemas(doc).items() if schema.get("x-provenance") == "inferred"},
        "Required fields": {
            f"{name}: {', '.join(schema['required'])}"
            for name, schema in schemas(doc).items()
            if "required" in schema and name not in bodies
        },
    }
    wrong = []
    for heading, wanted in facts.items():
        rows = rows_of(text, heading)
        if heading == "Server and key" or heading in {"Operations", "Required fields"}:
            listed = {f"{row[0]}: {row[1]}" for row in rows}
        else:
            listed = {row[0] for row in rows}
        if len(listed) != len(rows):
            wrong.append(f"{heading}: a row stands twice")
        wrong += [f"docs/provenance.md lacks a row for {entry} under {heading}." for entry in sorted(wanted - listed)]
        wrong += [
            f"docs/provenance.md has a row for {entry} under {heading}, which is no guess of openapi.yaml."
            for entry in sorted(listed - wanted)
        ]
    for enum in CLOSED_ENUMS:
        if enum not in text:
            wrong.append(f"{enum}: the list of closed sets lacks it")
    return wrong


# ------------------------------------------------------------------------------------------- sound in itself


def check_shadowing(doc: Doc) -> list[str]:
    """No two paths of one method that the same address could mean, such as /x/{id} and /x/word."""

    def covers(one: str, other: str) -> bool:
        pairs = list(zip(one.split("/"), other.split("/"), strict=False))
        return one.count("/") == other.count("/") and all(a == b or "{" in a or "{" in b for a, b in pairs)

    ops = operations_of(doc)
    return [
        f"{a.method} {a.path} and {b.path}"
        for index, a in enumerate(ops)
        for b in ops[index + 1 :]
        if a.method == b.method and covers(a.path, b.path)
    ]


def check_no_inline_objects(doc: Doc) -> list[str]:
    named = schemas(doc).keys()
    return [
        f"{place}: an object without a name"
        for place, schema in every_schema(doc)
        if place not in named and ("object" in kinds(schema) or "properties" in schema)
    ]


def check_bounds(doc: Doc) -> list[str]:
    pairs = [("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")]
    return [
        f"{place}: {low} above {high}"
        for place, schema in every_schema(doc)
        for low, high in pairs
        if low in schema and high in schema and schema[low] > schema[high]
    ]


def check_words(doc: Doc) -> list[str]:
    """Everything says what it is."""
    ops = operations_of(doc)
    wrong = [f"{o.id}: no {key}" for o in ops for key in ("summary", "description") if not o.raw.get(key)]
    wrong += [f"{name}: no description" for name, schema in schemas(doc).items() if not schema.get("description")]
    for operation in ops:
        for parameter in operation.parameters:
            # The generator reads the schema's description and drops the parameter's.
            if not resolve(parameter["schema"], doc).get("description"):
                wrong.append(f"{operation.id} {parameter['name']}: no description")
    return wrong


def examples(doc: Doc) -> Iterator[tuple[str, Json, Json]]:
    """Every example with its place and schema."""

    def given(place: str, holder: Json) -> Iterator[tuple[str, Json, Json]]:
        if "example" in holder:
            yield place, holder["schema"], holder["example"]
        for name, example in holder.get("examples", {}).items():
            yield f"{place} {name}", holder["schema"], resolve(example, doc)["value"]

    for operation in operations_of(doc):
        for parameter in operation.parameters:
            yield from given(f"{operation.id} {parameter['name']}", parameter)
        for label, holder in [("body", operation.raw.get("requestBody")), *operation.raw["responses"].items()]:
            holder = resolve(holder, doc) or {}
            for media in holder.get("content", {}).values():
                yield from given(f"{operation.id} {label}", media)
            for header, raw in holder.get("headers", {}).items():
                yield from given(f"{operation.id} {label} {header}", resolve(raw, doc))
    for place, schema in every_schema(doc):
        for example in schema.get("examples", []):
            yield f"{place} example", schema, example


def strict(doc: Doc) -> Json:
    """The document's schemas that do not allow what they do not name: a misspelt field in an example must show."""
    components = copy.deepcopy(doc["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
            for part in schema["properties"].values():
                variants = part.get("items", {}).get("anyOf", [])
                part.get("items", {}).update({"anyOf": variants[:1]} if "$ref" in (variants or [{}])[0] else {})
    return components


def check_examples(doc: Doc) -> list[str]:
    wrong = []
    components = strict(doc)
    found = set()
    for place, schema, example in examples(doc):
        found.add(" ".join(place.split()[:2]))
        holder = {"$ref": "#/schema", "schema": schema, "components": components}
        validator = jsonschema_rs.Draft202012Validator(holder, validate_formats=True)
        wrong += [f"{place}: {error.message}" for error in validator.iter_errors(example)]
    for operation in operations_of(doc):
        wanted = {f"{operation.id} {parameter['name']}" for parameter in operation.parameters}
        wanted |= {f"{operation.id} body"} if "requestBody" in operation.raw else set()
        wanted |= {f"{operation.id} {status}" for status in operation.raw["responses"] if status != "204"}
        wrong += [f"{place}: no example" for place in sorted(wanted - found)]
    return wrong


def check_answer_examples_complete(doc: Doc) -> list[str]:
    """An answer's example shows every field that the page shows, so that a mock server exercises every model."""

    def missing(place: str, sample: Json, example: Json) -> Iterator[str]:
        if isinstance(sample, dict) and isinstance(example, dict):
            for field, value in sample.items():
                if field not in example:
                    yield f"{place}.{field}: not in the example"
                yield from missing(f"{place}.{field}", value, example.get(field))
        elif isinstance(sample, list):
            if not example:
                yield f"{place}: no item in the example"
            for item in example or []:
                yield from missing(f"{place}[]", sample[0], item)

    wrong: list[str] = []
    for place, _, example in examples(doc):
        name, _, label = place.partition(" ")
        # A call that has just been started has no score yet.
        on_page = name in PAGE["operations"]
        if on_page and label == "200" and name not in {"StartAgentCallV2", "StartBridgeCall", "StartAgentCall"}:
            sample = PAGE["samples"][PAGE["operations"][name]["response_sample"]]
            wrong += missing(name, sample, example)
    return wrong


def check_specification(doc: Doc) -> list[str]:
    return [error.message for error in OpenAPIV31SpecValidator(doc).iter_errors()]


def check_repeatable(doc: Doc) -> list[str]:
    """The method tells whether a call is safe to repeat, except for these two."""
    found = {o.id: o.raw["x-safe-to-repeat"] for o in operations_of(doc) if "x-safe-to-repeat" in o.raw}
    return [] if found == {"SearchContacts": True, "BulkUpdate": False} else [f"x-safe-to-repeat: {found}"]


def check_modes_of_templates(doc: Doc) -> list[str]:
    """A template message takes variables or components, never both; the document itself says so."""
    schema = {"$ref": "#/components/schemas/CreateTemplateMessageBody", "components": doc["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema)
    body = {
        "fromPhoneNumber": "+56221234567",
        "toPhoneNumber": "+56912345678",
        "templateName": "hello",
        "languageCode": "es",
    }
    variables, components = {"variables": [{"value": "Jane"}]}, {"components": [{"type": "body"}]}
    wanted = {"none": True, "variables": True, "components": True, "both": False}
    found = {
        "none": validator.is_valid(body),
        "variables": validator.is_valid(body | variables),
        "components": validator.is_valid(body | components),
        "both": validator.is_valid(body | variables | components),
    }
    return [f"template with {mode}: {found[mode]}" for mode in wanted if found[mode] != wanted[mode]]


# ------------------------------------------------------------------------------------------------------- tests


def check_provenance_list(doc: Doc) -> list[str]:
    return check_list(doc, provenance())


CHECKS: list[Callable[[Doc], list[str]]] = [
    check_operations,
    check_tables,
    check_samples,
    check_statuses,
    check_error_bodies,
    check_security,
    check_nullable_answers,
    check_deprecated,
    check_enums,
    check_marks,
    check_provenance_list,
    check_shadowing,
    check_no_inline_objects,
    check_bounds,
    check_words,
    check_examples,
    check_answer_examples_complete,
    check_specification,
    check_repeatable,
    check_modes_of_templates,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_document(check: Callable[[Doc], list[str]]) -> None:
    assert check(DOCUMENT) == []


# Each defect with the check that must notice it: the path to a place in the document, and what to put there (or DROP).
DROP = object()
S = ("components", "schemas")
R = ("components", "responses")


def at(operation_id: str, *rest: str | int) -> tuple[str | int, ...]:
    operation = OPERATIONS[operation_id]
    return ("paths", operation.path, operation.method.lower(), *rest)


TASKS = at("GetTasks")
DEFECTS: list[tuple[Callable[[Doc], list[str]], tuple[str | int, ...], Json]] = [
    (check_operations, ("paths", path_of("GetTasks"), "delete"), {"operationId": "DeleteTask", "responses": {}}),
    (check_operations, ("paths", path_of("GetTasks")[:-1]), {"get": {"operationId": "GetTasks", "responses": {}}}),
    (check_operations, ("paths", path_of("StartBridgeCall")), DROP),
    (check_operations, (*TASKS, "operationId"), "CreateTask"),
    (check_tables, (*TASKS, "parameters", 0), DROP),
    (check_tables, (*TASKS, "parameters", 0, "required"), True),
    (check_tables, (*TASKS, "parameters", 3, "schema", "format"), DROP),
    (check_tables, ("components", "parameters", "PageSize", "schema", "type"), "number"),
    (check_tables, (*S, "CreateTaskBody", "required"), ["context"]),
    (check_tables, (*S, "UpdateContactBody", "properties", "tenantId"), DROP),
    (check_tables, (*S, "UpdateTaskBody", "properties", "dueDate", "type"), "string"),
    (check_tables, (*S, "CreateContactBody", "properties", "phone", "deprecated"), DROP),
    (check_tables, (*S, "CreateCallBody", "properties", "status", "enum"), ["completed"]),
    (check_tables, (*S, "CreateCallBody", "properties", "metadata", "type"), "object"),
    (check_samples, (*S, "MediaProcessingResult", "properties", "errorMessage"), DROP),
    (check_samples, (*S, "MessageParty", "properties", "displayName"), DROP),
    (check_samples, (*S, "BulkCounts", "properties", "duplicates"), DROP),
    (check_samples, (*S, "ChannelSession", "properties", "endTime", "format"), DROP),
    (check_samples, (*S, "Message", "properties", "createdAt", "format"), "date-time"),
    (check_samples, (*S, "ContactSearchHit", "properties", "id", "type"), "integer"),
    (check_samples, (*S, "Recording", "properties", "duration", "type"), "integer"),
    (check_samples, (*S, "MessageStatus", "anyOf", 0, "enum"), ["sent"]),
    (check_samples, (*S, "StringDictionary", "additionalProperties"), True),
    (check_statuses, (*TASKS, "responses", "500"), DROP),
    (check_statuses, (*TASKS, "responses", "400", "$ref"), "#/components/responses/BadRequest"),
    (check_statuses, (*TASKS, "responses", "409"), {"$ref": "#/components/responses/Conflict"}),
    (check_error_bodies, (*R, "NotFound", "content"), DROP),
    (check_error_bodies, (*S, "Error", "properties", "details"), DROP),
    (check_security, (*TASKS, "security"), DROP),
    (check_security, (*TASKS, "security"), [{"ApiKeyAuth": []}]),
    (check_nullable_answers, (*S, "Task", "properties", "dueDate", "type"), "string"),
    (check_nullable_answers, (*S, "Recording", "properties", "url", "type"), ["string", "null"]),
    (check_deprecated, (*S, "Contact", "properties", "email", "deprecated"), DROP),
    (check_enums, (*S, "TaskStatus", "enum"), ["completed", "cancelled", "scheduled", "overdue", "pending"]),
    (check_enums, (*S, "ChannelType", "anyOf", 1), DROP),
    (check_enums, (*S, "Call", "properties", "status", "enum"), ["queued"]),
    (check_enums, (*S, "MessageStatus"), {"type": "string", "enum": ["pending"]}),
    (check_marks, (*TASKS, "x-provenance"), "inferred"),
    (check_marks, at("StartBridgeCall", "x-provenance"), "documented"),
    (check_marks, at("GetCall", "parameters", 0, "x-provenance"), DROP),
    (check_marks, ("servers", 0, "x-provenance"), DROP),
    (check_marks, ("components", "securitySchemes", "ApiKeyAuth", "x-provenance"), DROP),
    (check_marks, (*S, "Task", "x-provenance"), DROP),
    (check_marks, (*S, "Task", "properties", "status", "x-provenance"), "inferred"),
    (check_marks, (*S, "StartBridgeCallBody", "properties", "providerData", "x-provenance"), DROP),
    (check_marks, (*S, "Task", "properties", "title"), {"type": "string"}),
    (check_provenance_list, ("servers", 0, "url"), "https://api.example.org"),
    (check_provenance_list, ("components", "securitySchemes", "Other"), {"type": "http", "scheme": "bearer"}),
    (check_provenance_list, at("StartBridgeCall", "x-provenance"), "documented"),
    (check_provenance_list, (*TASKS, "responses", "404"), {"$ref": "#/components/responses/AssumedNotFound"}),
    (check_provenance_list, (*S, "Task", "properties", "title"), {"x-provenance": "inferred"}),
    (check_provenance_list, (*S, "ProviderData", "x-provenance"), "documented"),
    (check_provenance_list, (*S, "TaskContext", "required"), ["conversationId"]),
    (check_shadowing, ("paths", path_of("GetContact", "mine")), {"get": {"operationId": "GetMine"}}),
    (
        check_shadowing,
        ("paths", re.sub(r"[^/]+(?=/[^/]+$)", "{section}", path_of("SearchContacts"))),
        {"post": {"operationId": "Search"}},
    ),
    (check_no_inline_objects, (*S, "Task", "properties", "context"), {"type": "object"}),
    (check_no_inline_objects, (*S, "Task", "properties", "list"), {"type": "array", "items": {"properties": {}}}),
    (check_bounds, (*TASKS, "parameters", 0, "schema"), {"minimum": 2, "maximum": 1}),
    (check_words, (*TASKS, "description"), DROP),
    (check_words, (*TASKS, "parameters", 0, "schema", "description"), DROP),
    (check_words, (*S, "Task", "description"), DROP),
    (check_examples, (*TASKS, "parameters", 0, "example"), "twenty"),
    (check_examples, (*TASKS, "parameters", 0, "example"), DROP),
    (check_examples, (*R, "Task", "content", "application/json", "example", "dueDate"), "tomorrow"),
    (check_examples, (*R, "Task", "content", "application/json", "example", "titel"), "x"),
    (check_examples, (*R, "Conflict", "content", "application/json", "example", "code"), "409"),
    (check_examples, (*R, "Call", "content", "application/json", "example"), DROP),
    (check_examples, ("components", "headers", "RetryAfter", "example"), 2),
    (check_examples, (*S, "E164PhoneNumber", "examples"), ["56912345678"]),
    (
        check_answer_examples_complete,
        (*R, "Message", "content", "application/json", "example", "recipient", "role"),
        DROP,
    ),
    (check_answer_examples_complete, (*R, "Message", "content", "application/json", "example", "attachments"), []),
    (check_specification, (*R, "Task", "description"), DROP),
    (check_specification, ("info", "title"), DROP),
    (check_repeatable, at("SearchContacts", "x-safe-to-repeat"), DROP),
    (check_modes_of_templates, (*S, "CreateTemplateMessageBody", "not"), DROP),
]


@pytest.mark.parametrize(
    ("check", "path", "value"),
    DEFECTS,
    ids=[f"{check.__name__}: {'/'.join(str(step) for step in path[1:])}" for check, path, _ in DEFECTS],
)
def test_a_defect_is_noticed(check: Callable[[Doc], list[str]], path: tuple[str | int, ...], value: Json) -> None:
    doc = copy.deepcopy(DOCUMENT)
    holder: Json = doc
    for step in path[:-1]:
        holder = holder[step]
    if value is DROP:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    assert check(doc) != []


def test_every_check_has_a_defect() -> None:
    assert {check for check, *_ in DEFECTS} == set(CHECKS)


def test_stale_list_is_noticed() -> None:
    text = provenance()
    row = next(line for line in text.splitlines() if line.startswith("| GetCall callId"))
    assert check_list(DOCUMENT, text.replace(row, ""))
    assert check_list(DOCUMENT, text.replace(row, f"{row}\n| GetTask taskId | A guess no more. |"))
