"""The sandbox on documents of other services: everything that it answers follows from the document."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.document import Document, load
from llamadapro_sandbox.errors import BadRequest
from llamadapro_sandbox.samples import sample
from llamadapro_sandbox.sections import handlers
from tests.openapi import key_headers, path_of

CONTACTS = path_of("GetContacts")

DOCUMENT = """
openapi: 3.1.0
info: {title: Pets, version: "1"}
servers: [{url: "https://{region}.example.org/v2", variables: {region: {default: eu}}}]
security: [{Bearer: []}, {Query: []}]
paths:
  /pets:
    get:
      operationId: listPets
      parameters:
        - {name: limit, in: query, schema: {type: integer}}
        - {name: kind, in: query, schema: {type: string}}
        - {name: tags, in: query, schema: {type: array, items: {type: string}}}
        - {name: "ids[]", in: query, schema: {type: array, items: {type: integer}}}
        - {name: X-Trace, in: header, schema: {type: string, format: uuid}}
      responses: {"200": {description: d, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}}
    post:
      operationId: createPet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}}
      responses: {"201": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
  /pets/{pet-id}: {$ref: "#/components/pathItems/Pet"}
  /pets/{pet-id}/photo:
    post:
      operationId: photo
      parameters: [{name: pet-id, in: path, required: true, schema: {type: string}}]
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema:
              type: object
              required: [file, count]
              properties: {file: {type: string, format: binary}, count: {type: integer}, tags: {type: array, items: {type: string}}}
      responses: {"202": {description: d}}
  /login:
    post:
      operationId: login
      security: []
      requestBody:
        required: true
        content:
          application/x-www-form-urlencoded: {schema: {type: object, required: [user], properties: {user: {type: string}, age: {type: integer}}}}
      responses: {"200": {description: d, content: {application/json: {schema: {type: string, enum: [fine, bad]}}}}}
  /shelves/{shelf}/books:
    parameters: [{name: shelf, in: path, required: true, schema: {type: string}}]
    get: {operationId: listBooks, responses: {"200": {description: d, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Book"}}}}}}}
    post:
      operationId: createBook
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Book"}}}}
      responses:
        "201": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Book"}}}}
        default: {description: e, content: {application/json: {schema: {type: object, required: [oops], properties: {oops: {type: string}}}}}}
  /shelves/{shelf}/books/{isbn}:
    parameters: [{name: isbn, in: path, required: true, schema: {type: string}}, {name: shelf, in: path, required: true, schema: {type: string}}]
    get: {operationId: getBook, responses: {"200": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Book"}}}}}}
  /text: {get: {responses: {"200": {description: d, content: {text/plain: {schema: {type: string}}}}}}}
  /count: {get: {operationId: count, responses: {"200": {description: d, content: {application/json: {schema: {type: integer, minimum: 5}}}}}}}
  /nothing: {get: {operationId: nothing, responses: {"200": {description: d, content: {application/json: {schema: {type: "null"}}}}}}}
  /example: {get: {operationId: example, responses: {"200": {description: d, content: {application/json: {example: {name: Rex}, schema: {type: object}}}}}}}
  /node:
    get: {operationId: node, responses: {"2XX": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Node"}}}}}}
    patch:
      operationId: patchNode
      requestBody: {content: {application/merge-patch+json: {schema: {type: object, properties: {name: {type: string}}}}}}
      responses: {"204": {description: d}}
  /union:
    get:
      operationId: union
      responses:
        "200": {description: d, content: {application/json: {schema: {oneOf: [{$ref: "#/components/schemas/A"}, {$ref: "#/components/schemas/B"}]}}}}
        default: {description: e, content: {application/json: {schema: {type: object, required: [reason], properties: {reason: {type: string}}}}}}
components:
  securitySchemes: {Bearer: {type: http, scheme: bearer}, Query: {type: apiKey, in: query, name: key}}
  pathItems:
    Pet:
      parameters: [{name: pet-id, in: path, required: true, schema: {type: string}}]
      get:
        operationId: getPet
        responses:
          "200": {description: d, content: {application/json: {schema: {type: object, required: [data], properties: {data: {$ref: "#/components/schemas/Pet"}}}}}}
          "404": {description: n}
      put:
        operationId: putPet
        requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}}
        responses: {"200": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
      delete: {operationId: deletePet, responses: {"204": {description: d}}}
  schemas:
    NewPet: {type: object, required: [name], properties: {name: {type: string, minLength: 2}, kind: {enum: [cat, dog]}, tags: {type: array, items: {type: string}}}}
    Pet:
      allOf:
        - {$ref: "#/components/schemas/NewPet"}
        - {type: object, required: [id, createdAt], properties: {id: {type: string, format: uuid}, createdAt: {type: string, format: date-time}}}
    Book: {type: object, properties: {isbn: {type: string}, title: {type: string}}}
    Node: {type: object, required: [name], properties: {name: {type: string}, next: {anyOf: [{$ref: "#/components/schemas/Node"}, {type: "null"}]}}}
    A: {type: object, required: [kind, a], properties: {kind: {const: a}, a: {type: integer}}}
    B: {type: object, required: [kind, b], properties: {kind: {const: b}, b: {type: string}}}
"""  # noqa: E501


@pytest.fixture
async def pets(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    path = tmp_path / "pets.yaml"
    path.write_text(DOCUMENT)
    with Sandbox(document=path, api_key="k") as sandbox:
        headers = {"Authorization": "Bearer k"}
        transport = sandbox.transport()
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox/v2", headers=headers) as client:
            yield client


async def test_records_by_the_shape_of_their_paths(pets: httpx.AsyncClient) -> None:
    made = [
        (await pets.post("/pets", json={"name": name, "kind": kind})).json()
        for name, kind in (("Rex", "dog"), ("Tom", "cat"))
    ]
    assert made[0]["name"] == "Rex"
    assert len({one["id"] for one in made}) == 2
    assert (await pets.get("/pets")).json() == made
    assert (await pets.get("/pets?limit=1")).json() == made[:1]
    assert (await pets.get("/pets?kind=cat")).json() == made[1:]
    path = f"/pets/{made[1]['id']}"
    assert (await pets.get(path)).json() == {"data": made[1]}
    assert (await pets.put(path, json={"name": "Tim"})).json() == {**made[1], "name": "Tim"}
    assert (await pets.get(path)).json()["data"]["name"] == "Tim"
    assert (await pets.delete(path)).status_code == 204
    assert (await pets.get(path)).status_code == 404
    assert (await pets.get("/pets")).json() == made[:1]


async def test_a_list_of_values_in_a_query_asks_for_any_of_them(pets: httpx.AsyncClient) -> None:
    for name, tags in (("Rex", ["a", "b"]), ("Tom", ["c"]), ("Tim", [])):
        await pets.post("/pets", json={"name": name, "tags": tags})
    for query, names in (("tags=b", ["Rex"]), ("tags=b&tags=c", ["Rex", "Tom"]), ("tags=x", [])):
        assert [one["name"] for one in (await pets.get(f"/pets?{query}")).json()] == names
    seen = (await pets.get("http://sandbox/_sandbox/requests", headers={"X-Sandbox-Key": "k"})).json()["requests"]
    assert [one["query"]["tags"] for one in seen[-3:]] == ["b", ["b", "c"], "x"]


async def test_an_id_is_named_by_the_path_and_given_once(pets: httpx.AsyncClient) -> None:
    for isbn in ("2", None, "1"):
        await pets.post("/shelves/a/books", json={"title": "t"} | ({"isbn": isbn} if isbn else {}))
    books = (await pets.get("/shelves/a/books")).json()
    assert len({one["isbn"] for one in books}) == len(books) == 3
    assert (await pets.get("/shelves/a/books/2")).json() == {"title": "t", "isbn": "2"}
    assert (await pets.get("/shelves/b/books/2")).status_code == 404
    again = await pets.post("/shelves/a/books", json={"isbn": "2"})
    assert (again.status_code, again.json()) == (409, {"oops": "isbn 2 is taken already"})


HEAD = "{openapi: 3.1.0, info: {title: t, version: '1'}, paths: "


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- 1", "list"),
        ("a: [}", "parsing"),
        (HEAD + "{}}", "no operations"),
        ("{openapi: 3.0.3, paths: {/x: {get: {responses: {}}}}}", "OpenAPI 3.0.3: convert it"),
        (HEAD + "{/x: {get: {responses: {}, security: [{K: []}]}}}}", "KeyError: 'K'"),
        (HEAD + "{/x: {$ref: '#/paths/~1x'}}}", "refers to itself"),
        (HEAD + "{/x: {get: {responses: {'200': {$ref: 'other.yaml#/X'}}}}}}", "other.yaml"),
        (HEAD + "{/x: {get: {operationId: a, responses: {}}, put: {operationId: a, responses: {}}}}}", "operationId"),
        (HEAD + "{/x: {get: {responses: {}}}, /x: {put: {responses: {}}}}}", "/x is given twice"),
    ],
)
def test_what_is_no_document_is_refused_by_its_name(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path} is no OpenAPI 3.1 document") as refused:
        Sandbox(document=path)
    assert problem in str(refused.value)


async def test_what_is_received_is_held_against_the_document(pets: httpx.AsyncClient) -> None:
    for method, path, content in (
        ("POST", "/pets", {"json": {"name": "x"}}),
        ("POST", "/pets", {"json": {"name": "Rex", "kind": "llama"}}),
        ("POST", "/pets", {"data": {"name": "Rex"}}),
        ("GET", "/pets?ids[]=one", {}),
        ("GET", "/pets", {"headers": {"X-Trace": "no"}}),
        ("POST", "/login", {"data": {"user": "me", "age": "old"}}),
        ("POST", "/login", {"json": {"user": "me"}}),
        ("POST", "/pets/1/photo", {"data": {"count": "3"}, "files": {"picture": b""}}),
        ("POST", "/pets/1/photo", {"data": {"count": "x"}, "files": {"file": b""}}),
        ("PATCH", "/node", {"json": {"name": "x"}}),
    ):
        answer = await pets.request(method, path, **content)
        assert answer.status_code == 400, (method, path, content)
        assert answer.json()["details"]["issues"]
    fine: dict[str, Any] = {"data": {"count": "3", "tags": ["a", "b"]}, "files": {"file": b"\xff\x00\r\n"}}
    assert (await pets.post("/pets/1/photo", **fine)).status_code == 202
    merge = {"Content-Type": "application/merge-patch+json"}
    assert (await pets.patch("/node", content=b'{"name": "x"}', headers=merge)).status_code == 204
    assert (await pets.get("/pets?ids[]=1&ids[]=2")).status_code == 200


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/text", b"text"),
        ("/count", b"5"),
        ("/nothing", b"null"),
        ("/example", b'{"name":"Rex"}'),
        ("/union", b'{"kind":"a","a":1}'),
    ],
)
async def test_every_kind_of_answer(pets: httpx.AsyncClient, path: str, wanted: bytes) -> None:
    answer = await pets.get(path)
    assert (answer.status_code, answer.content) == (200, wanted)


async def test_where_the_key_is_sent_is_the_documents(pets: httpx.AsyncClient) -> None:
    none = {"Authorization": ""}
    assert (await pets.get("/count", headers={"Authorization": "bearer k"})).status_code == 200
    assert (await pets.get("/count?key=k", headers=none)).status_code == 200
    assert (await pets.post("/login", data={"user": "me"}, headers=none)).json() == "fine"
    for headers in ({"Authorization": "k"}, {"Authorization": "Bearer x"}, {"Authorization": "", "X-API-Key": "k"}):
        answer = await pets.get("/count", headers=headers)
        assert answer.status_code == 401
        assert "Authorization as 'Bearer KEY' or query key" in answer.json()["message"]
    assert "API key" in (await pets.get("/union", headers=none)).json()["reason"]
    assert (await pets.get("http://sandbox/_sandbox", headers={"X-Sandbox-Key": "k", **none})).status_code == 200
    # A link or a form of another site can carry a query: it steers nothing.
    assert (await pets.post("http://sandbox/_sandbox/reset?key=k", headers=none)).status_code == 401


async def test_paths_below_the_server_and_without_it(pets: httpx.AsyncClient) -> None:
    assert (await pets.get("http://sandbox/count")).content == (await pets.get("http://sandbox/v2/count")).content


UNUSUAL = {
    "openapi": "3.1.0",
    "paths": {
        "/things/{level}/{key}": {
            "post": {
                "operationId": "make",
                "parameters": [
                    {"name": "level", "in": "path", "required": True, "schema": {"const": 7}},
                    {"name": "key", "in": "path", "required": True, "schema": {"type": ["integer", "string"]}},
                    {"name": "big", "in": "query", "schema": {"enum": [2**60, 1]}},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Año"}}}},
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Año"}}}}
                },
            }
        },
        "/big/{id}": {
            "get": {
                "operationId": "big",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"204": {}},
            }
        },
    },
    "components": {
        "schemas": {
            "Año": {
                "type": "object",
                "required": ["id", "secret", "fruit"],
                "properties": {
                    "id": {"type": "integer", "readOnly": True},
                    "secret": {"type": "string", "writeOnly": True},
                    "fruit": {"$ref": "#/components/schemas/Fruit"},
                    "mood": {"allOf": [{"$ref": "#/components/schemas/Mood"}], "description": "😀"},
                },
            },
            "Mood": {"type": "string", "enum": ["😀", "sad"]},
            "Fruit": {
                "oneOf": [{"$ref": "#/components/schemas/Apple"}, {"$ref": "#/components/schemas/Pear"}],
                "discriminator": {"propertyName": "sort", "mapping": {"p1": "#/components/schemas/Pear"}},
            },
            "Apple": {"type": "object", "required": ["sort"], "properties": {"sort": {"type": "string"}}},
            "Pear": {
                "type": "object",
                "required": ["sort"],
                "properties": {"sort": {"type": "string"}, "n": {"type": "integer"}},
            },
        }
    },
}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
async def test_what_json_schema_alone_would_misread(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "unusual.json"
    path.write_text(mark + json.dumps(UNUSUAL), "utf-8")
    with Sandbox(document=path, strict=True) as sandbox:
        async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as client:
            for key in ("5", "five"):
                body = {"secret": "s", "fruit": {"sort": "p1"}, "mood": "😀"}
                answer = await client.post(f"/things/7/{key}", params={"big": str(2**60)}, json=body)
                assert answer.status_code == 200, answer.text
                assert answer.json()["mood"] == "😀"
                assert answer.json()["fruit"]["sort"] in ("Apple", "p1")
                assert answer.json().keys() == {"id", "fruit", "mood"}
            for tag in ("Pear", "p2", None):
                answer = await client.post("/things/7/5", json={"secret": "s", "fruit": {"sort": tag}})
                assert answer.status_code == 400
            assert (await client.post("/things/8/5", json={"secret": "s", "fruit": {"sort": "p1"}})).status_code == 400
            for number, status in ((2**60, 204), (-5, 204), (2**63, 404), ("x", 404)):
                assert (await client.get(f"/big/{number}")).status_code == status


async def test_another_header_for_the_key_is_one_edit() -> None:
    text = load().raw
    scheme = next(iter(text["components"]["securitySchemes"]))
    changed = Document(json.dumps(text))
    changed.raw["components"]["securitySchemes"][scheme] = {"type": "apiKey", "in": "header", "name": "X-Renamed"}
    with Sandbox(document=changed) as sandbox:
        async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as client:
            answers = [await client.get(CONTACTS, headers={name: "sandbox"}) for name in ("X-Renamed", "X-API-Key")]
            assert (await client.get("/_sandbox", headers={"X-Renamed": "sandbox"})).status_code == 200
        assert [one.status_code for one in answers] == [200, 401]
        assert "x-renamed" not in sandbox.requests[0].headers


async def test_a_corrected_path_keeps_its_behavior() -> None:
    raw = json.loads(json.dumps(load().raw))
    raw["paths"] = {
        f"/moved{number}{''.join(re.findall('/{.+?}', path))}": item
        for number, (path, item) in enumerate(raw["paths"].items())
    }
    moved = Document(json.dumps(raw))
    assert handlers(moved) == handlers(load())
    with Sandbox(document=moved, seed={"contacts": [{"firstName": "Jane"}]}) as sandbox:
        headers, path = key_headers("sandbox"), moved.operations["GetContacts"].path
        async with httpx.AsyncClient(
            transport=sandbox.transport(), base_url="http://sandbox", headers=headers
        ) as client:
            assert [one["firstName"] for one in (await client.get(path)).json()["items"]] == ["Jane"]


def test_a_seed_of_another_api_is_refused() -> None:
    """It has an operation of the name, but neither its tag nor its path says that it is this API's."""
    changed = Document(DOCUMENT.replace("createPet", "CreateContact"))
    assert handlers(changed) == {}
    with (
        Sandbox(document=changed) as sandbox,
        pytest.raises(BadRequest, match="the document has no CreateContact of this API"),
    ):
        sandbox.seed({"contacts": [{"name": "Rex"}]})


@pytest.mark.parametrize("name", sorted(load().raw["components"]["schemas"]))
def test_a_sample_of_every_schema_of_the_document(name: str) -> None:
    document = load()
    schema = {"$ref": f"#/components/schemas/{name}"}
    assert document.validator(schema).is_valid(sample(document, schema))


@pytest.mark.parametrize("operation", sorted(load().operations))
async def test_every_operation_without_its_handler(sandbox: Sandbox, api: httpx.AsyncClient, operation: str) -> None:
    """The default can answer each of them, as the document says."""
    sandbox.handlers = {}
    asked = sandbox.document.operations[operation]
    path = asked.path
    for parameter in asked.parameters:
        path = path.replace(f"{{{parameter.name}}}", "1")
    body = sample(sandbox.document, asked.body.schema) if asked.body else None
    answer = await api.request(asked.method, path, json=body)
    assert answer.status_code in (asked.success, 404), answer.text
