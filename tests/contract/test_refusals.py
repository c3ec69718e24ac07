"""What the generator refuses: all at once, each with its line and what to do; and `generated/` stays as it was."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generator import build
from generator.build import Package, main
from generator.document import Document

from tests.contract.check_generated import COMMITTED, ROOT, files

Schema = dict[str, Any]
STRING, OBJECT = {"type": "string"}, {"type": "object", "properties": {"a": {"type": "string"}}}
OK = {"200": {"description": ""}}


def json_of(schema: Schema, kind: str = "application/json") -> Schema:
    return {"description": "", "content": {kind: {"schema": schema}}}


def parameter(place: str, schema: Schema = STRING, **more: Any) -> Schema:
    return {"parameters": [{"name": "x", "in": place, "schema": schema, **more}]}


# Operation → what the line shows, and what is said. `post` where it has a body.
OPERATIONS: dict[str, tuple[Schema, str, str]] = {
    "cookie": (parameter("cookie"), "", "in a cookie, which is not supported; use a query or a header"),
    "deep": (
        parameter("query", OBJECT, style="deepObject"),
        "",
        "has style deepObject, which is not supported; use style form",
    ),
    "pipes": (parameter("query", style="pipeDelimited"), "", "has style pipeDelimited"),
    "spaced_header": (
        {"parameters": [{"name": "X Año", "in": "header", "schema": STRING}]},
        "",
        "'X Año' cannot be the name of a header",
    ),
    "spaced_key": (
        {"security": [{"Spaced": []}]},
        '"security"',
        "security scheme Spaced (apiKey header) is not supported",
    ),
    "content": ({"parameters": [{"name": "x", "in": "query", "content": {}}]}, "", "has no schema; `content`"),
    "object_in_query": (parameter("query", OBJECT), "", "x is an object in a query|not allowed in query"),
    "lost_path_name": (parameter("path", required=True), '"get"', "the path has [], the parameters have ['x']"),
    "stream": (
        {"responses": {"200": json_of(STRING, "text/event-stream")}},
        '"200"',
        "text/event-stream is not supported",
    ),
    "binary": (
        {"responses": {"200": json_of(STRING, "audio/mpeg")}},
        '"200"',
        "audio/mpeg is not supported; JSON and text are",
    ),
    "only_default": ({"responses": {"default": json_of(OBJECT)}}, '"responses"', "has no success"),
    "only_errors": ({"responses": {"404": json_of(OBJECT)}}, '"responses"', "has no success"),
    "xml_body": (
        {"requestBody": json_of(STRING, "application/xml")},
        '"content"',
        "application/xml in a body is not supported",
    ),
    "two_forms": (
        {
            "requestBody": {
                "content": {
                    "multipart/form-data": {"schema": OBJECT},
                    "application/x-www-form-urlencoded": {"schema": {**OBJECT, "required": ["a"]}},
                }
            }
        },
        '"content"',
        "have different schemas; leave one",
    ),
    "text_form": ({"requestBody": json_of(STRING, "multipart/form-data")}, '"requestBody"', "a form must be an object"),
    "file_in_json": (
        {"requestBody": json_of({"type": "object", "properties": {"f": {**STRING, "format": "binary"}}})},
        '"f"',
        "multipart bodies only",
    ),
    "untagged": (
        {"requestBody": json_of({"anyOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]})},
        '"requestBody"',
        "nothing tells A and B apart",
    ),
    "oauth": ({"security": [{"OAuth": []}]}, '"security"', "say bearer and pass your token"),
    "basic": ({"security": [{"Basic": []}]}, '"security"', "security scheme Basic (http basic) is not supported"),
    "two_schemes": ({"security": [{"Key": [], "Other": []}]}, '"security"', "Key and Other at once are not supported"),
    "no_scheme": ({"security": [{"Nowhere": []}]}, '"security"', "Nowhere (missing) is not supported"),
    "own_server": (
        {"servers": [{"url": "https://elsewhere"}]},
        '"servers"',
        "servers of an operation are not supported",
    ),
    "twice": (
        {**parameter("query"), "requestBody": json_of({"type": "object", "properties": {"x": STRING}})},
        "",
        "x is a keyword for two things",
    ),
    "external": (
        {"responses": {"200": json_of({"$ref": "other.yaml#/Pet"})}},
        '"schema"|"$ref"',
        "bundle the document first",
    ),
    "nowhere": (
        {"responses": {"200": json_of({"$ref": "#/components/schemas/Nowhere"})}},
        '"schema"|"$ref"',
        "is not in the document",
    ),
    "external_answer": ({"responses": {"200": {"$ref": "other.yaml#/x"}}}, '"$ref"', "bundle the document first"),
}
# Schema → what the line shows, and what is said.
SCHEMAS: dict[str, tuple[Schema, str, str]] = {
    "Tuple": ({"type": "array", "prefixItems": [STRING]}, '"prefixItems"', "tuples are not supported"),
    "Not": ({"not": {"type": "string"}}, '"not"', "leave the condition to the service"),
    "If": ({"if": OBJECT, "then": OBJECT, "type": "object"}, '"if"', "leave the condition to the service"),
    "Patterns": (
        {"type": "object", "patternProperties": {"^x": STRING}},
        '"patternProperties"',
        "use additionalProperties",
    ),
    "Part": (
        {"allOf": [{**OBJECT, "patternProperties": {"^x": STRING}}]},
        '"patternProperties"',
        "use additionalProperties",
    ),
    "Dynamic": ({"$dynamicRef": "#x"}, '"$dynamicRef"', "use $ref"),
    "Slip": ({"type": "array", "min_items": 1}, '"min_items"', "is no keyword of JSON Schema; did you mean minItems?"),
    "Old": ({"$recursiveRef": "#"}, '"$recursiveRef"', "use $ref"),
    "Mixed": ({"enum": ["a", 1]}, '"enum"', "values of several kinds"),
    "Collision": (
        {"type": "object", "properties": {"first_name": STRING, "firstName": STRING}},
        '"firstName"',
        "firstName and first_name are one name in Python, first_name; rename one",
    ),
    "NextTo": (
        {**OBJECT, "oneOf": [OBJECT, {"$ref": "#/components/schemas/A"}]},
        '"oneOf"',
        "put it in a schema of its own",
    ),
    "Never": ({"type": "object", "properties": {"x": False}}, '"x"', "`false` is not supported"),
    "HELLO": (OBJECT, '"HELLO"|"Hello"', "are one name in snake_case, hello; rename one"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for name, (operation, _, _) in OPERATIONS.items():
        paths[f"/{name}"] = {"post" if "requestBody" in operation else "get": {"responses": OK, **operation}}
    for number, name in enumerate((*SCHEMAS, "Hello")):
        responses = {"200": json_of({"$ref": f"#/components/schemas/{name}"})}
        paths[f"/schema/{name}"] = {"get": {"operationId": f"read{number}", "responses": responses}}
    paths["/traced"] = {"trace": {"responses": OK}}
    paths["/same"] = {
        "get": {"operationId": "getIt", "responses": OK},
        "put": {"operationId": "get_it", "responses": OK},
    }
    paths["/elsewhere"] = {"$ref": "other.yaml#/x"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Refused", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, (schema, _, _) in SCHEMAS.items()}
            | {"A": OBJECT, "B": OBJECT, "Hello": OBJECT},
            "securitySchemes": {
                "OAuth": {"type": "oauth2", "flows": {}},
                "Basic": {"type": "http", "scheme": "basic"},
                "Key": {"type": "apiKey", "in": "header", "name": "K"},
                "Spaced": {"type": "apiKey", "in": "header", "name": "Mi clave"},
                "Other": {"type": "apiKey", "in": "query", "name": "k"},
            },
        },
    }


@pytest.fixture(scope="module")
def refused(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Place → the line of the document, and what was said."""
    folder = tmp_path_factory.mktemp("refused")
    text = json.dumps(document, indent=1)
    (folder / "openapi.yaml").write_text(text)
    package = folder / "package"
    shutil.copytree(COMMITTED, package, ignore=shutil.ignore_patterns("__pycache__"))
    lines = run(folder / "openapi.yaml", package)
    assert lines.pop() == f"{package} is as it was"
    assert files(package) == files(COMMITTED)
    found = {}
    for line in lines:
        match = re.fullmatch(r"openapi\.yaml:(\d+): (.+?): (.+)", line)
        assert match, line
        found[f"{match[2]}: {match[3]}"] = text.splitlines()[int(match[1]) - 1], match[3]
    return found


def run(document: Path, package: Path) -> list[str]:
    """Generate, which must fail with words and no traceback; the lines it says."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert main([str(document), str(ROOT / "generator-config.yaml"), str(package)]) == 1
    assert "Traceback" not in said.getvalue()
    return said.getvalue().splitlines()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_refused_by_name(name: str, refused: dict[str, tuple[str, str]]) -> None:
    operation, shown, words = OPERATIONS[name]
    method = "POST" if "requestBody" in operation else "GET"
    check(refused, rf"{method} /{name}\b", shown, words)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_refused_by_name(name: str, refused: dict[str, tuple[str, str]]) -> None:
    check(refused, rf"({name}|Hello)\b" if name == "HELLO" else rf"{name}\b", SCHEMAS[name][1], SCHEMAS[name][2])


def check(refused: dict[str, tuple[str, str]], place: str, shown: str, words: str) -> None:
    mine = [found for where, found in refused.items() if re.match(place, where)]
    assert mine, sorted(refused)
    assert any(part in said for _, said in mine for part in words.split("|")), mine
    assert any(part in line for line, _ in mine for part in shown.split("|")), mine


def test_paths_are_refused_by_name(refused: dict[str, tuple[str, str]]) -> None:
    check(refused, "TRACE /traced", '"trace"', "TRACE is not supported; methods are get,")
    check(refused, "PUT /same, operationId", '"operationId": "get_it"', "are one name in Python, get_it; rename one")
    check(refused, "/elsewhere", '"$ref"', "bundle the document first")


def test_nothing_else_is_refused(refused: dict[str, tuple[str, str]]) -> None:
    assert len(refused) == len(OPERATIONS) + len(SCHEMAS) + 4, sorted(refused)  # `if` and `then` are two


GET_X = b"openapi: 3.1.0\npaths:\n  /x:\n    get:\n"
REF_TO_A = b"%s: {$ref: '#/components/schemas/A'}"


def answers(schema: bytes) -> bytes:
    responses = b"      responses: {200: {content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}\n"
    schemas = b"components:\n  schemas:\n    a: {type: object}\n    A: {%s}\n" % schema
    return GET_X + responses + schemas


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"openapi: 3.0.3\ninfo: {}\npaths: {}\n", "openapi.yaml:1: openapi: version 3.0.3 is not supported; convert"),
        (b"# old\nswagger: '2.0'\npaths: {}\n", "openapi.yaml:2: swagger: version 2.0 is not supported; convert"),
        (b"openapi: [3.1\n", "openapi.yaml:2: is not YAML or JSON"),
        (b"- 5\n", "is no OpenAPI document"),
        (b"openapi: 3.1.0\ninfo: {}\n", "openapi.yaml:1: document: is no OpenAPI document; it is an object with"),
        (b"\xff\xfe\xfa", "openapi.yaml: is not YAML or JSON"),
        (b"openapi: 3.10.0\npaths: {}\n", "openapi.yaml:1: openapi: version 3.10.0 is not supported; convert"),
        (b"openapi: 3.1.0\ninfo: []\npaths: {}\n", "openapi.yaml:2: info: info must be an object"),
        (
            b"openapi: 3.1.0\npaths:\n  /x: {}\n  /x: {}\n",
            'openapi.yaml:4: is not YAML or JSON: found duplicate key "/x"',
        ),
        (b"openapi: 3.1.0\npaths:\n  x: {}\n", "openapi.yaml:3: x: a path must begin with /"),
        (b"openapi: 3.1.0\npaths:\n  /x:\n    get:\n", "openapi.yaml:4: GET /x: is not as OpenAPI 3.1 has it"),
        (GET_X + b"      responses: [200]\n", "openapi.yaml:4: GET /x: is not as OpenAPI 3.1 has it"),
        (
            GET_X + b"      parameters: [{in: query}]\n",
            "openapi.yaml:5: GET /x, parameters.0: a parameter needs a `name`",
        ),
        (
            GET_X + b"      security: [Key]\n",
            "openapi.yaml:5: GET /x, security: Key must be an object, such as `Key: []`",
        ),
        (answers(b"type: file"), "openapi.yaml:9: A, type: file is no type; types are array, boolean,"),
        (answers(b"type: [string, nul]"), "openapi.yaml:9: A, type: nul is no type; types are array, boolean,"),
        (answers(b"properties: [a]"), "openapi.yaml:9: A, properties: properties must be an object"),
        (answers(b"required: true"), "openapi.yaml:9: A, required: required must be a list"),
        (answers(REF_TO_A % b"type: array, items"), "openapi.yaml:9: A: contains itself with no property in between"),
        (answers(REF_TO_A % b"additionalProperties"), "openapi.yaml:9: A: contains itself with no property in between"),
        (answers(b"allOf: [{$ref: '#/components/schemas/A'}]"), "openapi.yaml:9: A: contains itself with no property"),
        (
            answers(b"properties: {b: {$ref: '#/components/schemas/a'}}"),
            "a: a and A are one name in Python, A; rename one",
        ),
    ],
)
def test_what_is_no_such_document_is_refused(raw: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "openapi.yaml").write_bytes(raw)
    lines = run(tmp_path / "openapi.yaml", tmp_path / "package")
    assert words in lines[0]
    assert not (tmp_path / "package").exists()


def test_a_keyword_that_is_none_is_passed_over_and_reported_once(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {**STRING, "frobnicate": 1}, "b": {**STRING, "frobnicate": 2}}}
    operation = {"operationId": "get", "responses": {"200": json_of(schema)}}
    document = {"openapi": "3.1.0", "info": {}, "paths": {"/x": {"get": operation}}}
    (tmp_path / "openapi.yaml").write_text(json.dumps(document))
    refusals = Document(tmp_path / "openapi.yaml").refusals
    assert refusals.found == []
    (note,) = refusals.notes
    assert "properties.a.frobnicate: frobnicate is no keyword of JSON Schema; passed over" in note


# --- whatever fails ------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    package = tmp_path / "out" / "package"
    shutil.copytree(COMMITTED, package, ignore=shutil.ignore_patterns("__pycache__"))
    yield package
    assert files(package) == files(COMMITTED)
    assert [path.name for path in package.parent.iterdir()] == ["package"], "something was left behind"


def fails_with(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(owner, name, fail)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (build.GeneratorData, "from_dict"),
        (Package, "_build_models"),
        (Package, "_build_api"),
        (build, "document_module"),
    ],
)
def test_the_old_package_stays_when_something_breaks(
    owner: Any, name: str, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_with(monkeypatch, owner, name, OSError(28, "No space left on device"))
    assert "No space left on device" in run(ROOT / "openapi.yaml", package)[0]


def test_the_old_package_stays_without_ruff(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openapi_python_client.shutil.which", lambda _name: None)
    assert "ruff is not in PATH; `make setup`" in run(ROOT / "openapi.yaml", package)[-2]


def test_the_old_package_stays_when_the_new_one_does_not_work(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "document_module", lambda _document: "raise LookupError('broken')\n")
    assert "LookupError: broken" in "\n".join(run(ROOT / "openapi.yaml", package))


def test_the_old_package_comes_back_when_it_cannot_be_replaced(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, seen = Path.rename, list[Path]()

    def fail_once(self: Path, target: Path) -> Path:
        seen.append(self)
        if len(seen) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    assert "Input/output error" in run(ROOT / "openapi.yaml", package)[0]


def test_a_missing_operation_is_noticed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = build.parse

    def lose_one(*args: Any) -> Any:
        data = copy.copy(parse(*args))
        for collection in data.endpoint_collections_by_tag.values():
            collection.endpoints = [one for one in collection.endpoints if one.name != "get_task"]
        return data

    monkeypatch.setattr(build, "parse", lose_one)
    assert "operations in the document" in "\n".join(run(ROOT / "openapi.yaml", package))
