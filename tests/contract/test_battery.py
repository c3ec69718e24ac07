"""Every kind of type at every place where it can stand: generated, sent over a socket, answered and read back.

One document holds them all, so that they take one run of the generator. What is refused is in test_refusals.py.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import threading
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote
from uuid import UUID

import attrs
import pytest
from generator.build import generate

from llamadapro import AsyncLlamadaPro, PermissionDeniedError
from llamadapro_api import document
from llamadapro_api.types import PreparedRequest
from tests.contract.check_generated import ROOT

Schema = dict[str, Any]
SAME: Any = object()


class Kind(NamedTuple):
    """A type, a value as it is given to a call, the same on the wire, and the same as it is read from an answer."""

    name: str
    schema: Schema
    sent: Any
    wire: Any = SAME
    read: Any = SAME

    @property
    def on_wire(self) -> Any:
        return self.sent if self.wire is SAME else self.wire

    @property
    def as_read(self) -> Any:
        return self.sent if self.read is SAME else self.read


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def either(*members: Schema) -> Schema:
    return {"anyOf": list(members)}


STRING, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
MOMENT, DAY = {"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}
UUID_TEXT = "12345678-1234-5678-1234-567812345678"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

SCALARS = [
    Kind("text", STRING, "añ b&c=d"),
    Kind("email", {"type": "string", "format": "email"}, "a@b.cl"),
    Kind("uri", {"type": "string", "format": "uri"}, "urn:x-y"),
    Kind("integer", INTEGER, 42),
    Kind("long", {"type": "integer", "format": "int64"}, 2**60),
    Kind("number", {"type": "number"}, 1.5),
    Kind("boolean", {"type": "boolean"}, True),
    Kind("moment", MOMENT, NOON, "2026-01-02T12:00:00Z"),
    Kind("day", DAY, date(2026, 1, 2), "2026-01-02"),
    Kind("uuid", {"type": "string", "format": "uuid"}, UUID(UUID_TEXT), UUID_TEXT),
    Kind("byte", {"type": "string", "format": "byte"}, "aGVsbG8="),
    Kind("choice", {"type": "string", "enum": ["red", "dark blue"]}, "dark blue"),
    Kind("open_choice", either({"type": "string", "enum": ["red"]}, STRING), "green"),
    Kind("number_choice", {"type": "integer", "enum": [1, 2]}, 2),
    Kind("constant", {"const": "fixed"}, "fixed"),
    Kind("number_constant", {"const": 7}, 7),
    Kind("named", ref("Color"), "red"),
    Kind("alias", ref("Name"), "Ana"),
    Kind("text_or_integer", {"type": ["string", "integer"]}, 5),
    Kind("integer_or_text", either(INTEGER, STRING), "five"),
    Kind("text_day", DAY, "2026-01-02", read=date(2026, 1, 2)),
    Kind("moment_or_day", either(MOMENT, DAY), date(2026, 1, 2), "2026-01-02"),
    Kind("all_of_one", {"allOf": [ref("Color")], "description": "A color."}, "red"),
    Kind("with_a_default", {"type": "integer", "default": 5}, 6),
]
NULLABLE = [
    Kind("null", NULL, None),
    Kind("null_text", {"type": ["string", "null"]}, None),
    Kind("null_moment", either(MOMENT, NULL), None),
    Kind("moment_or_null", either(MOMENT, NULL), NOON, "2026-01-02T12:00:00Z"),
    Kind("day_or_null", either(DAY, NULL), date(2026, 1, 2), "2026-01-02"),
    Kind("null_choice", {"enum": ["a", None]}, None),
    Kind("null_object", either(ref("Pet"), NULL), None),
]
CAT, DOG = {"kind": "cat", "name": "Tom", "lives": 9}, {"kind": "dog", "name": "Rex", "born": "2026-01-02"}
TREE = {"label": "a", "children": [{"label": "b", "children": []}]}
CHAIN = {"wheels": [{"car": {"wheels": []}}]}
OBJECTS = [
    Kind(
        "object", ref("Pet"), {"pet_name": "Tom", "born_at": NOON}, {"petName": "Tom", "bornAt": "2026-01-02T12:00:00Z"}
    ),
    Kind(
        "inline_object",
        {"type": "object", "properties": {"innerName": STRING}},
        {"inner_name": "x"},
        {"innerName": "x"},
    ),
    Kind("titled_object", {"type": "object", "title": "Twice", "properties": {"a": STRING}}, {"a": "x"}),
    Kind("titled_again", {"type": "object", "title": "Twice", "properties": {"b": STRING}}, {"b": "x"}),
    Kind(
        "nullable_object",
        {"type": ["object", "null"], "properties": {"a": DAY}},
        {"a": date(2026, 1, 2)},
        {"a": "2026-01-02"},
    ),
    Kind(
        "all_of",
        {"allOf": [ref("Pet"), {"type": "object", "properties": {"age": INTEGER}}]},
        {"pet_name": "T", "age": 3},
        {"petName": "T", "age": 3},
    ),
    Kind("recursive", ref("Tree"), TREE),
    Kind("mutually_recursive", ref("Car"), CHAIN),
    Kind("tagged_by_const", {"oneOf": [ref("Cat"), ref("Dog")]}, CAT),
    Kind("tagged_by_const_too", {"oneOf": [ref("Cat"), ref("Dog")]}, {**DOG, "born": date(2026, 1, 2)}, DOG),
    Kind("tagged_by_enum", {"oneOf": [ref("Mail"), ref("Post")]}, {"way": "post", "street": "x", "name": "n"}),
    Kind(
        "tagged_by_discriminator",
        {
            "oneOf": [ref("Apple"), ref("Pear")],
            "discriminator": {
                "propertyName": "sort",
                "mapping": {"a1": "#/components/schemas/Apple", "p1": "#/components/schemas/Pear"},
            },
        },
        {"sort": "p1", "size": 2.5},
    ),
    Kind(
        "tagged_by_name",
        {"oneOf": [ref("Oak"), ref("Fir")], "discriminator": {"propertyName": "tree"}},
        {"tree": "Fir", "height": 3.5},
    ),
    Kind(
        "tagged_by_values_of_a_discriminator",
        {"oneOf": [ref("Mail"), ref("Post")], "discriminator": {"propertyName": "way"}},
        {"way": "post", "street": "x"},
    ),
    Kind("tagged_optionally", {"oneOf": [ref("Plain"), ref("Fancy")]}, {"frills": 3}),
    Kind("text_or_object", either(STRING, ref("Pet")), {"pet_name": "Tom"}, {"petName": "Tom"}),
    Kind(
        "text_or_inline_object",
        {"type": ["string", "object"], "properties": {"a": DAY}, "required": ["a"]},
        {"a": date(2026, 1, 2)},
        {"a": "2026-01-02"},
    ),
    Kind("inline_object_or_text", {"type": ["object", "string"], "properties": {"a": DAY}}, "Tom"),
    Kind("object_or_text", either(ref("Pet"), STRING), "Tom"),
    Kind(
        "text_or_objects",
        either(STRING, {"type": "array", "items": ref("Pet")}),
        [{"pet_name": "Tom"}],
        [{"petName": "Tom"}],
    ),
    Kind("open_object", ref("Open"), {"size": 1, "extra": NOON}, {"size": 1, "extra": "2026-01-02T12:00:00Z"}),
    Kind(
        "odd_names",
        ref("Odd"),
        {"class_": 1, "to_dict_": 2, "models_": 3, "date": date(2026, 1, 2), "snake_name": 5, "x_y": 6},
        {"class": 1, "toDict": 2, "models": 3, "date": "2026-01-02", "snake_name": 5, "x-y": 6},
    ),
]
FREE = {"a": [1, {"b": None}], "c": 1.5}
MAPS = [
    Kind("free", {"type": "object"}, FREE),
    Kind("anything", {}, FREE),
    Kind("anything_at_all", {"description": "Any value."}, "text"),
    Kind("map_of_integers", {"type": "object", "additionalProperties": INTEGER}, {"a": 1, "b c": 2}),
    Kind(
        "map_of_moments", {"type": "object", "additionalProperties": MOMENT}, {"a": NOON}, {"a": "2026-01-02T12:00:00Z"}
    ),
    Kind(
        "map_of_lists", {"type": "object", "additionalProperties": {"type": "array", "items": INTEGER}}, {"a": [1, 2]}
    ),
    Kind(
        "map_of_objects",
        {"type": "object", "additionalProperties": ref("Pet")},
        {"a": {"pet_name": "T"}},
        {"a": {"petName": "T"}},
    ),
]


def listed(kind: Kind) -> Kind:
    value, wire, read = [kind.sent] * 2, [kind.on_wire] * 2, [kind.as_read] * 2
    return Kind(f"list_of_{kind.name}", {"type": "array", "items": kind.schema}, value, wire, read)


LISTS = [listed(kind) for kind in SCALARS]
DEEP = [
    listed(NULLABLE[4]),
    listed(OBJECTS[0]),
    listed(OBJECTS[8]),
    listed(MAPS[3]),
    listed(listed(SCALARS[3])),
    listed(listed(OBJECTS[0])),
    Kind(
        "list_with_null", {"type": "array", "items": either(MOMENT, NULL)}, [NOON, None], ["2026-01-02T12:00:00Z", None]
    ),
    Kind("list_of_null", {"type": "array", "items": NULL}, [None, None]),
    Kind("bare_list", {"type": "array"}, [1, "a", None]),
]
STRUCTURED = [*OBJECTS, *MAPS, *DEEP]
EVERYTHING = [*SCALARS, *NULLABLE, *LISTS, *STRUCTURED]


def an_object(required: list[str] | None = None, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


FIELDS: dict[str, Schema] = {
    "id": {"type": "string", "format": "uuid"},
    "any": {},
    "list": {"type": "array", "items": DAY},
    "map": {"type": "object", "additionalProperties": DAY},
    "const": {"const": "x"},
    **dict.fromkeys(("\u00b5m", "nin\u0303o", "\ufb01n", "año", "日本"), DAY),
}
ODD_SCHEMAS = ("UUID", "Any", "Literal", "Sequence", "TypedDict", "Model", "ABSENT", "NULLS", "\ufb01 x", "日本")
ODD_OPERATIONS = ("models", "types", "dt", "deprecated", "__class__", "import", "\ufb01nd", "3way")
ODD_PARAMETERS = ("año", "user.id", "2nd", "\u00b5", "ids[]")
SCHEMAS: dict[str, Schema] = {
    "Color": {"type": "string", "enum": ["red", "blue"]},
    "Name": {"type": "string", "description": "A name."},
    "Pet": an_object(["petName"], petName=STRING, bornAt=MOMENT),
    "Tree": {
        **an_object(label=STRING, children={"type": "array", "items": ref("Tree")}),
        "$defs": {"Leaf one": an_object(day=DAY, next={"$ref": "#/components/schemas/Tree/$defs/Leaf%20one"})},
    },
    "Car": an_object(wheels={"type": "array", "items": ref("Wheel")}),
    "Wheel": an_object(car=ref("Car")),
    "Cat": an_object(["kind"], kind={"const": "cat"}, name=STRING, lives=INTEGER),
    "Dog": an_object(["kind"], kind={"const": "dog"}, name=STRING, born=DAY),
    "Mail": an_object(["way"], way={"type": "string", "enum": ["mail"]}, name=STRING, street=STRING, box=INTEGER),
    "Post": an_object(["way"], way={"type": "string", "enum": ["post"]}, name=STRING, street=STRING),
    "Plain": an_object(cut={"const": "plain"}, seams=INTEGER),
    "Fancy": an_object(cut={"const": "fancy"}, frills=INTEGER),
    "Apple": an_object(["sort"], sort=STRING, size={"type": "number"}),
    "Pear": an_object(["sort"], sort=STRING, size={"type": "number"}),
    "Oak": an_object(["tree"], tree=STRING, height={"type": "number"}),
    "Fir": an_object(["tree"], tree=STRING, height={"type": "number"}),
    "Open": {**an_object(size=INTEGER), "additionalProperties": MOMENT},
    "Animal": an_object(["kind"], kind=STRING, weight={"type": "number"}),
    "Horse": {"allOf": [ref("Animal"), an_object(kind={"const": "horse"}, weight=INTEGER)]},
    "PutEchoQuery": an_object(a=DAY),
    "PetDict": an_object(b=DAY),
    "EchoBody": an_object(["a"], a=DAY),
    **{name: an_object(["id"], **FIELDS, next=ref(name)) for name in ODD_SCHEMAS},
    "Odd": an_object(
        **{**dict.fromkeys(("class", "toDict", "models", "snake_name", "x-y"), INTEGER), "date": DAY}
    ),
}  # fmt: skip


def answer(schema: Schema, kind: str = "application/json") -> Schema:
    return {"description": "", "content": {kind: {"schema": schema}}}


def body(schema: Schema, kind: str = "application/json", required: bool = True) -> Schema:
    return {"required": required, "content": {kind: {"schema": schema}}}


NOTHING = {"204": {"description": ""}}
KEY = [{"Key": []}]
CLIENTS_OWN_HEADERS = (
    "Accept",
    "content-type",
    "Authorization",
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
)
FORM = an_object(
    ["title"],
    pets={"type": "array", "items": ref("Pet")},
    title=STRING,
    count=INTEGER,
    at=MOMENT,
    tags={"type": "array", "items": STRING},
    more=ref("Pet"),
)
FILE = {"type": "string", "format": "binary"}
SECRETIVE = an_object(["id"], id={**INTEGER, "readOnly": True}, secret={**STRING, "writeOnly": True})
UPLOAD = an_object(["file"], file=FILE, note=STRING, extra={"type": "array", "items": FILE}, meta=ref("Pet"))


def paths() -> dict[str, Any]:
    found: dict[str, Any] = {}

    def add(name: str, method: str = "get", suffix: str = "", **operation: Any) -> None:
        operation = {"operationId": name, "security": KEY, "responses": NOTHING} | operation
        found.setdefault(f"/{name}{suffix}", {})[method] = operation

    for kind in EVERYTHING:
        add(f"answer_{kind.name}", responses={"200": answer(kind.schema)})
        add(f"body_{kind.name}", "post", requestBody=body(kind.schema))
        holder = an_object(["needed"], heldValue=kind.schema, needed=kind.schema)
        add(f"nested_{kind.name}", "put", requestBody=body(holder), responses={"200": answer(holder)})
    for kind in [*SCALARS, *LISTS]:
        parameter = {"name": "theValue", "in": "query", "schema": kind.schema}
        add(f"query_{kind.name}", parameters=[parameter])
        add(f"header_{kind.name}", parameters=[{**parameter, "name": "X-The-Value", "in": "header"}])
        if kind in SCALARS:
            add(f"path_{kind.name}", suffix="/{theValue}", parameters=[{**parameter, "in": "path", "required": True}])
        else:
            add(f"joined_{kind.name}", parameters=[{**parameter, "explode": False, "name": "ids[]"}])
    add("query_anything", parameters=[{"name": "theValue", "in": "query", "schema": {}}])
    add("form", "post", requestBody=body(FORM, "application/x-www-form-urlencoded"))
    add("upload", "post", requestBody=body(UPLOAD, "multipart/form-data"))
    add("merge_patch", "patch", requestBody=body(ref("Pet"), "application/merge-patch+json"))
    add("optional_body", "post", requestBody=body(an_object(note=STRING), required=False))
    add("optional_value", "post", requestBody=body(INTEGER, required=False))
    add("same_schema", "put", requestBody=body(ref("Pet")), responses={"200": answer(ref("Pet"))})
    add("plain_text", responses={"200": answer(STRING, "text/plain")})
    add("problem", responses={"200": answer(ref("Pet"), "application/hal+json")})
    add("created_or_nothing", "post", responses={"201": answer(ref("Pet")), **NOTHING})
    add("two_answers", "post", responses={"200": answer(ref("Pet")), "202": answer(ref("Tree"))})
    add("any_success", responses={"2XX": answer(ref("Pet")), "default": answer(ref("Tree"))})
    add("head_it", "head")
    add("options_it", "options")
    add("delete_it", "delete", requestBody=body(an_object(reason=STRING)))
    own = [{"name": name, "in": "header", "required": True, "schema": STRING} for name in CLIENTS_OWN_HEADERS]
    add("own_headers", "post", parameters=own, requestBody=body(an_object(note=STRING)))
    add("no_key", security=[])
    add("bearer", security=[{"Token": []}])
    add("query_key", security=[{"QueryKey": []}])
    add("alternatives", security=[{"OAuth": ["x"]}, {"Token": []}])
    add("old", deprecated=True, parameters=[{"name": "q", "in": "query", "deprecated": True, "schema": STRING}])
    add("path_and_body", "put", "/{id}", parameters=[{"name": "id", "in": "path", "required": True, "schema": INTEGER}],
        requestBody=body(an_object(id=INTEGER, note=STRING)))  # fmt: skip
    add("read_only", "post", requestBody=body(SECRETIVE),
        responses={"200": answer(ref("Secretive"))})  # fmt: skip
    for number, name in enumerate(ODD_SCHEMAS):
        add(f"odd{number}", "put", requestBody=body(ref(name)), responses={"200": answer(ref(name))})
    for number, name in enumerate(ODD_OPERATIONS):
        parameters = [{"name": "q", "in": "query", "schema": DAY}]
        add(f"operation{number}", operationId=name, parameters=parameters, responses={"200": answer(ref("Pet"))})
    for number, name in enumerate(ODD_PARAMETERS):
        own = [{"name": name, "in": place, "schema": INTEGER, "required": True} for place in ("path", "query")]
        add(f"parameter{number}", "get", f"/añ o/{{{name}}}.json", parameters=own)
    add("horse", "put", requestBody=body(ref("Horse")), responses={"200": answer(ref("Horse"))})
    echoed = an_object(echo=ref("EchoBody"), query=ref("PutEchoQuery"), pet=ref("PetDict"), plain=ref("Pet"))
    add("put_echo", "put", parameters=[{"name": "q", "in": "query", "schema": DAY}], requestBody=body(ref("EchoBody")),
        responses={"200": answer(echoed)})  # fmt: skip
    add("defined", responses={"200": answer({"$ref": "#/components/schemas/Tree/$defs/Leaf%20one"})})
    add("head_of_something", "head", responses={"200": answer(ref("Pet"))})
    found["/referenced"] = {"$ref": "#/components/pathItems/Shared"}
    del found["/old"]["get"]["operationId"]
    return found


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Battery", "version": "1"},
    "servers": [{"url": "https://{region}.example.com/v1/", "variables": {"region": {"default": "cl"}}}],
    "paths": paths(),
    "components": {
        "schemas": SCHEMAS | {"Secretive": SECRETIVE},
        "securitySchemes": {
            "Key": {"type": "apiKey", "in": "header", "name": "X-Battery-Key"},
            "QueryKey": {"type": "apiKey", "in": "query", "name": "api key"},
            "Token": {"type": "http", "scheme": "Bearer"},
            "OAuth": {"type": "oauth2", "flows": {}},
        },
        "pathItems": {
            "Shared": {
                "parameters": [{"$ref": "#/components/parameters/Limit"}],
                "get": {"responses": {"200": {"$ref": "#/components/responses/Found"}}, "security": KEY},
                "post": {
                    "operationId": "post shared!",
                    "requestBody": {"$ref": "#/components/requestBodies/Given"},
                    "responses": {"200": {"$ref": "#/components/responses/Found"}},
                    "security": KEY,
                },
            }
        },
        "parameters": {"Limit": {"name": "limit", "in": "query", "schema": INTEGER}},
        "responses": {"Found": answer(ref("Pet"))},
        "requestBodies": {"Given": body(ref("Pet"))},
    },
}


# --- the generated package, and a server that answers what it is asked to ---------------------------------------------


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("battery")
    # As JSON without the aliases that equal values would get in YAML.
    (folder / "openapi.yaml").write_text(json.dumps(DOCUMENT, indent=1))
    generate(folder / "openapi.yaml", ROOT / "generator-config.yaml", folder / "battery_api")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("battery_api.api")
    for name in [name for name in sys.modules if name.startswith("battery_api")]:
        del sys.modules[name]


class Server:
    """Keeps the last request; answers with `status` and `content`."""

    def __init__(self) -> None:
        self.status, self.kind, self.content = 204, "application/json", b""
        self.method, self.target, self.headers, self.body = "", "", {}, b""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                owner.method, owner.target = self.command, self.path
                owner.headers = {name.lower(): value for name, value in self.headers.items()}
                owner.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(owner.status)
                if owner.status != 204:
                    self.send_header("Content-Type", owner.kind)
                    self.send_header("Content-Length", str(len(owner.content)))
                self.end_headers()
                if owner.status != 204 and self.command != "HEAD":
                    self.wfile.write(owner.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answers(self, value: Any, status: int = 200) -> None:
        self.status, self.kind, self.content = status, "application/json", json.dumps(value).encode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(running: Server) -> Server:
    running.status, running.content = 204, b""
    return running


async def send(server: Server, prepared: Any, **options: Any) -> Any:
    async with AsyncLlamadaPro("battery-key", server.url, **options) as client:
        return await client.send(adopted(prepared))


def adopted(prepared: Any) -> PreparedRequest[Any]:
    """The same request as one of the client's own package: it takes no other."""
    ours: PreparedRequest[Any] = object.__new__(PreparedRequest)
    for name in PreparedRequest.__slots__:
        setattr(ours, name, getattr(prepared, name))
    return ours


def plain(value: Any) -> Any:
    """A value that was read, as it is given to a call: models as dictionaries by their names in Python."""
    if hasattr(value, "to_dict"):
        shown = {one.name: plain(getattr(value, one.name)) for one in attrs.fields(type(value)) if one.name[0] != "_"}
        return {name: one for name, one in shown.items() if value.is_set(name)} | value.additional_properties
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def text(wire: Any) -> str:
    return wire if isinstance(wire, str) else json.dumps(wire)


every_kind = pytest.mark.parametrize("kind", EVERYTHING, ids=lambda kind: kind.name)
every_scalar = pytest.mark.parametrize("kind", SCALARS, ids=lambda kind: kind.name)
every_list = pytest.mark.parametrize("kind", LISTS, ids=lambda kind: kind.name)

# --- every kind at every place -------------------------------------------------------------------------------------


@every_kind
async def test_an_answer_is_read(kind: Kind, api: Any, server: Server) -> None:
    server.answers(kind.on_wire)
    read = await send(server, getattr(api, f"answer_{kind.name}")())
    assert plain(read) == kind.as_read
    assert type(plain(read)) is type(kind.as_read)


@every_kind
async def test_a_body_is_sent(kind: Kind, api: Any, server: Server) -> None:
    operation = getattr(api, f"body_{kind.name}")
    is_object = kind in OBJECTS and not any(word in kind.name for word in ("tagged", "_or_", "nullable"))
    prepared = operation(**kind.sent) if is_object else operation(body=kind.sent)
    assert await send(server, prepared) is None
    assert server.json == kind.on_wire
    assert server.headers["content-type"] == "application/json"


@every_kind
async def test_a_field_goes_both_ways(kind: Kind, api: Any, server: Server) -> None:
    server.answers({"heldValue": kind.on_wire, "needed": kind.on_wire})
    answered = await send(server, getattr(api, f"nested_{kind.name}")(held_value=kind.sent, needed=kind.sent))
    assert server.json == {"heldValue": kind.on_wire, "needed": kind.on_wire}
    assert plain(answered.held_value) == plain(answered.needed) == kind.as_read
    assert answered.to_dict() == {"heldValue": kind.on_wire, "needed": kind.on_wire}
    assert (answered.unparsed, answered.additional_properties) == ({}, {})


@every_scalar
async def test_a_query_is_sent(kind: Kind, api: Any, server: Server) -> None:
    operation = getattr(api, f"query_{kind.name}")
    await send(server, operation(the_value=kind.sent))
    assert server.query == [("theValue", text(kind.on_wire))]
    assert operation(the_value=None).url_path == operation().url_path == f"/query_{kind.name}"


@every_list
async def test_a_list_in_a_query_is_repeated_or_joined(kind: Kind, api: Any, server: Server) -> None:
    await send(server, getattr(api, f"query_{kind.name}")(the_value=kind.sent))
    assert server.query == [("theValue", text(one)) for one in kind.on_wire]
    await send(server, getattr(api, f"joined_{kind.name}")(ids=kind.sent))
    name, _, value = server.target.partition("?")[2].partition("=")
    assert unquote(name) == "ids[]"
    assert [unquote(one) for one in value.split(",")] == [text(one) for one in kind.on_wire]


@every_scalar
async def test_a_header_is_sent(kind: Kind, api: Any, server: Server) -> None:
    value, wire = ("x y", "x y") if kind.name == "text" else (kind.sent, text(kind.on_wire))
    await send(server, getattr(api, f"header_{kind.name}")(x_the_value=value))
    assert server.headers["x-the-value"] == wire
    await send(server, getattr(api, f"header_{kind.name}")())
    assert "x-the-value" not in server.headers


async def test_a_header_that_the_client_sets_is_no_parameter(api: Any, server: Server) -> None:
    assert [*inspect.signature(api.own_headers).parameters] == ["note"]
    await send(server, api.own_headers(note="x"))
    assert (server.headers["content-length"], server.json) == ("12", {"note": "x"})


@every_list
async def test_a_list_in_a_header_is_joined(kind: Kind, api: Any, server: Server) -> None:
    sent = ["x y", "z"] if kind.name == "list_of_text" else kind.sent
    await send(server, getattr(api, f"header_{kind.name}")(x_the_value=sent))
    wires = sent if kind.name == "list_of_text" else [text(one) for one in kind.on_wire]
    assert server.headers["x-the-value"] == ",".join(wires)
    await send(server, getattr(api, f"header_{kind.name}")(x_the_value=[]))
    assert "x-the-value" not in server.headers


@every_scalar
async def test_a_path_is_sent(kind: Kind, api: Any, server: Server) -> None:
    await send(server, getattr(api, f"path_{kind.name}")(kind.sent))
    assert unquote(server.target) == f"/path_{kind.name}/{text(kind.on_wire)}"


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("query_day", "soon", "the_value: 'soon' is not an ISO 8601 date"),
        ("header_day", "soon", "x_the_value: 'soon' is not an ISO 8601 date"),
        ("query_list_of_day", ["2026-01-02", "soon"], r"the_value\[1\]: 'soon' is not an ISO 8601 date"),
        ("query_uuid", "soon", "the_value: must be a UUID"),
        ("body_moment", "soon", "body: 'soon' is not an ISO 8601 date and time"),
        ("body_list_of_day_or_null", [None, "soon"], r"body\[1\]: 'soon' is not an ISO 8601 date"),
        ("body_map_of_moments", {"a": "soon"}, "body.a: 'soon' is not an ISO 8601 date and time"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(name: str, wrong: Any, words: str, api: Any) -> None:
    keyword = {"query": "the_value", "header": "x_the_value", "body": "body"}[name.partition("_")[0]]
    with pytest.raises(ValueError, match=words):
        getattr(api, name)(**{keyword: wrong})


def test_what_is_no_scalar_is_refused_in_a_query(api: Any) -> None:
    for wrong in ({"a": 1}, [[1]], [{}]):
        with pytest.raises(ValueError, match="the_value: must be text, a number or a boolean, not"):
            api.query_anything(the_value=wrong)


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(ODD_SCHEMAS)), ids=lambda number: ascii(ODD_SCHEMAS[number]))
async def test_any_name_of_a_schema_or_field(number: int, api: Any, server: Server) -> None:
    day, days = "2026-01-02", ("\u00b5m", "nin\u0303o", "\ufb01n", "año", "日本")
    wire = {"id": UUID_TEXT, "any": [1], "list": [day], "map": {"a": day}, "const": "x", **dict.fromkeys(days, day)}
    server.answers({**wire, "next": wire})
    own = {"any": "any_", "list": "list_", "map": "map_"}
    given = {own.get(name, unicodedata.normalize("NFKC", name)): value for name, value in wire.items()}
    answered = await send(server, getattr(api, f"odd{number}")(**given, next_=given))
    assert server.json == {**wire, "next": wire} == answered.to_dict()
    for one in (answered, answered.next_):
        assert (one.μm, one.niño, one.fin, one.año, one.日本) == (date(2026, 1, 2),) * 5
        assert (one.id, one.any_, one.list_, one.const) == (UUID(UUID_TEXT), [1], [date(2026, 1, 2)], "x")
        assert (one.unparsed, one.additional_properties) == ({}, {})
    assert type(answered.next_) is type(answered)


async def test_any_name_of_an_operation(api: Any, server: Server) -> None:
    server.answers({"petName": "Tom"})
    names = ("models_", "types_", "dt_", "deprecated_", "field_class", "import_", "find", "field_3way")
    for number, name in enumerate(names):
        assert (await send(server, getattr(api, name)(q="2026-01-02"))).pet_name == "Tom"
        assert server.target == f"/operation{number}?q=2026-01-02"


async def test_any_name_of_a_parameter(api: Any, server: Server) -> None:
    for number, name in enumerate(ODD_PARAMETERS):
        operation = getattr(api, f"parameter{number}")
        keyword = [*inspect.signature(operation).parameters][-1]
        await send(server, operation(5, **{keyword: 6}))
        assert server.target.partition("?")[0] == f"/parameter{number}/a%C3%B1%20o/5.json"
        assert server.query == [(name, "6")]


async def test_dictionaries_give_way_to_schemas_of_their_names(api: Any, server: Server) -> None:
    server.answers({"echo": {"a": "2026-01-02"}, "query": {"a": "2026-01-02"}, "pet": {"b": "2026-01-02"}})
    answered = await send(server, api.put_echo(q="2026-01-03", a="2026-01-02"))
    assert (server.json, server.query) == ({"a": "2026-01-02"}, [("q", "2026-01-03")])
    names = [type(one).__name__ for one in (answered.echo, answered.query, answered.pet)]
    assert names == ["EchoBody", "PutEchoQuery", "PetDict"]
    assert answered.echo.a == answered.query.a == answered.pet.b == date(2026, 1, 2)


# --- bodies --------------------------------------------------------------------------------------------------------


async def test_a_form_is_encoded(api: Any, server: Server) -> None:
    tom = {"pet_name": "Tom"}
    await send(server, api.form(title="a b&c", count=2, at=NOON, tags=["x", "y z"], more=tom, pets=[tom, tom]))
    assert server.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sorted(parse_qsl(server.body.decode())) == [
        *(("at", "2026-01-02T12:00:00Z"), ("count", "2"), ("more", '{"petName":"Tom"}')),
        *(("pets", '{"petName":"Tom"}'), ("pets", '{"petName":"Tom"}')),
        *(("tags", "x"), ("tags", "y z"), ("title", "a b&c")),
    ]


async def test_a_multipart_body_has_its_parts(api: Any, server: Server) -> None:
    files = [b"two", ("three.txt", b"3", "text/x-three")]
    await send(
        server, api.upload(file=("one.png", b"\x89PNG", "image/png"), note="añ", extra=files, meta={"pet_name": "Tom"})
    )
    message = message_from_bytes(
        b"Content-Type: " + server.headers["content-type"].encode() + b"\r\n\r\n" + server.body
    )
    parts: list[Any] = list(message.get_payload())
    shown = [
        (one.get_param("name", header="content-disposition"), one.get_filename(), one.get_payload(decode=True))
        for one in parts
    ]
    assert sorted(shown, key=str) == sorted(
        [
            *(("file", "one.png", b"\x89PNG"), ("note", None, "añ".encode()), ("extra", "file", b"two")),
            *(("extra", "three.txt", b"3"), ("meta", None, b'{"petName":"Tom"}')),
        ],
        key=str,
    )
    kinds = {
        one.get_filename() or one.get_param("name", header="content-disposition"): one["Content-Type"] for one in parts
    }
    assert kinds["one.png"] == "image/png"
    assert kinds["meta"] == "application/json"
    for wrong in ("text", 5, ("name", "text", "type"), ("name", b"x")):
        with pytest.raises(ValueError, match=r"file: must be bytes, or \(file name, bytes, content type\)"):
            api.upload(file=wrong)


async def test_a_body_has_its_own_content_type(api: Any, server: Server) -> None:
    await send(server, api.merge_patch(pet_name="Tom"))
    assert (server.method, server.headers["content-type"]) == ("PATCH", "application/merge-patch+json")
    assert server.json == {"petName": "Tom"}


async def test_an_optional_body_is_left_out(api: Any, server: Server) -> None:
    for prepared in (api.optional_body(), api.optional_value()):
        await send(server, prepared)
        assert server.body == b""
        assert "content-type" not in server.headers
    await send(server, api.optional_body(note=None))
    assert server.json == {"note": None}
    await send(server, api.optional_value(body=5))
    assert server.json == 5


async def test_a_schema_can_be_of_a_body_and_of_an_answer(api: Any, server: Server) -> None:
    server.answers({"petName": "Tom", "bornAt": None, "age": 3})
    pet = await send(server, api.same_schema(pet_name="Tim"))
    assert (type(pet).__name__, pet.pet_name, pet.born_at, pet.additional_properties) == (
        "Pet",
        "Tom",
        None,
        {"age": 3},
    )
    assert server.json == {"petName": "Tim"}


async def test_a_key_that_the_path_has_too_is_distinguished(api: Any, server: Server) -> None:
    await send(server, api.path_and_body(5, id_=6, note="x"))
    assert (server.target, server.json) == ("/path_and_body/5", {"id": 6, "note": "x"})


async def test_what_can_only_be_read_is_not_sent_and_the_other_way_round(api: Any, server: Server) -> None:
    server.answers({"id": 5, "secret": "x"})
    answered = await send(server, api.read_only(secret="s"))
    assert server.json == {"secret": "s"}
    assert (answered.id, answered.additional_properties) == (5, {"secret": "x"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'id'"):
        api.read_only(id=5)


# --- answers -------------------------------------------------------------------------------------------------------


async def test_a_text_is_a_string(api: Any, server: Server) -> None:
    server.answers(None)
    server.kind, server.content = "text/plain; charset=latin-1", "añ".encode("latin-1")
    assert await send(server, api.plain_text()) == "añ"


async def test_other_json_types_are_read(api: Any, server: Server) -> None:
    server.answers({"petName": "Tom"})
    server.kind = "application/hal+json"
    assert (await send(server, api.problem())).pet_name == "Tom"


async def test_each_status_has_its_answer(api: Any, server: Server) -> None:
    server.answers({"petName": "Tom"}, 201)
    assert (await send(server, api.created_or_nothing())).pet_name == "Tom"
    server.status = 204
    assert await send(server, api.created_or_nothing()) is None
    server.answers({"petName": "Tom"})
    assert type(await send(server, api.two_answers())).__name__ == "Pet"
    server.answers({"label": "a"}, 202)
    assert type(await send(server, api.two_answers())).__name__ == "Tree"
    server.answers({"petName": "Tom"}, 207)
    assert type(await send(server, api.any_success())).__name__ == "Pet"


@pytest.mark.parametrize("raw", [5, "9:" + "9" * 40, "soon", ["2026-01-02"], {}, True], ids=str)
async def test_dates_that_nobody_can_read_cost_nothing_else(raw: Any, api: Any, server: Server) -> None:
    for name in ("moment", "day", "uuid"):
        server.answers({"heldValue": raw, "needed": None})
        read = await send(server, getattr(api, f"nested_{name}")(needed=None))
        assert (read.held_value, read.unparsed) == (None, {"held_value": raw})
        assert read.to_dict() == {"heldValue": raw, "needed": None}
        server.answers({"heldValue": [raw, None], "needed": None})
        read = await send(server, getattr(api, f"nested_list_of_{name}")(needed=None))
        assert (read.held_value, read.unparsed) == ([None, None], {"held_value": [raw, None]})
        assert read.to_dict() == {"heldValue": [raw, None], "needed": None}


# --- methods, paths, security ----------------------------------------------------------------------------------------


async def test_what_a_head_request_would_answer_is_not_waited_for(api: Any, server: Server) -> None:
    server.answers(None)
    assert await send(server, api.head_of_something()) is None


async def test_a_schema_within_a_schema_can_refer_to_itself(api: Any, server: Server) -> None:
    server.answers({"day": "2026-01-02", "next": {"day": "2026-01-03"}})
    answered = await send(server, api.defined())
    assert (answered.day, answered.next_.day) == (date(2026, 1, 2), date(2026, 1, 3))


async def test_a_part_of_an_all_of_narrows_another(api: Any, server: Server) -> None:
    server.answers({"kind": "horse", "weight": 500})
    horse = await send(server, api.horse(kind="horse", weight=500))
    assert (server.json, horse.kind, horse.weight) == ({"kind": "horse", "weight": 500}, "horse", 500)
    for wrong in ({"kind": "cow"}, {"kind": "horse", "weight": 1.5}):
        with pytest.raises(ValueError, match=r"kind: must be one of horse|weight: must be an integer"):
            api.horse(**wrong)


async def test_every_method_is_sent(api: Any, server: Server) -> None:
    for prepared, method in (
        (api.head_it(), "HEAD"),
        (api.options_it(), "OPTIONS"),
        (api.delete_it(reason="x"), "DELETE"),
    ):
        assert await send(server, prepared) is None
        assert server.method == method
    assert server.json == {"reason": "x"}


async def test_references_are_followed(api: Any, server: Server) -> None:
    server.answers({"petName": "Tom"})
    assert (await send(server, api.get_referenced(limit=5))).pet_name == "Tom"
    assert server.target == "/referenced?limit=5"
    assert (await send(server, api.post_shared(pet_name="Tim"))).pet_name == "Tom"
    assert server.json == {"petName": "Tim"}


def test_a_request_knows_its_scheme(api: Any) -> None:
    theirs = importlib.import_module("battery_api.document")
    assert theirs.SCHEME == "Key"
    assert {name: tuple(one) for name, one in theirs.SCHEMES.items()} == {
        "Key": ("header", "X-Battery-Key", ""),
        "QueryKey": ("query", "api key", ""),
        "Token": ("header", "Authorization", "Bearer "),
    }
    schemes = [api.head_it().security, api.no_key().security, api.bearer().security, api.query_key().security]
    assert [*schemes, api.alternatives().security] == [None, "", "Token", "QueryKey", "Token"]
    assert theirs.SERVER == "https://cl.example.com/v1"


async def test_the_key_goes_where_the_document_says(api: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = importlib.import_module("battery_api.document")
    monkeypatch.setattr(document, "SCHEMES", theirs.SCHEMES)
    monkeypatch.setattr(document, "SCHEME", theirs.SCHEME)
    names = ("x-battery-key", "authorization")
    for prepared, sent in (
        (api.head_it(), ("battery-key", None)),
        (api.bearer(), (None, "Bearer battery-key")),
        (api.no_key(), (None, None)),
    ):
        await send(server, prepared)
        assert tuple(server.headers.get(name) for name in names) == sent
        assert server.query == []
    await send(server, api.query_key())
    assert server.query == [("api key", "battery-key")]
    assert not {*names} & {*server.headers}
    # An option goes over the document; but a key that is not wanted is not sent.
    for prepared in (api.head_it(), api.bearer(), api.query_key()):
        await send(server, prepared, api_key_scheme="Token", api_key_header="X-Mine")
        assert (server.headers["x-mine"], server.query) == ("Token battery-key", [])
    await send(server, api.no_key(), api_key_scheme="Bearer")
    assert not {*names} & {*server.headers}


async def test_a_key_in_the_query_stays_in(api: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = importlib.import_module("battery_api.document")
    monkeypatch.setattr(document, "SCHEMES", theirs.SCHEMES)
    server.answers({"message": "the key battery-key-0123456789 is wrong"}, 403)
    ours = adopted(api.query_key())
    async with AsyncLlamadaPro("battery-key-0123456789", server.url) as client:
        with pytest.raises(PermissionDeniedError) as caught:
            await client.send(ours)
    assert server.query == [("api key", "battery-key-0123456789")]
    assert caught.value.request is not None
    for shown in (str(caught.value), repr(caught.value), str(caught.value.request.url), repr(vars(caught.value))):
        assert "0123456789" not in shown


def test_what_is_deprecated_is_marked(api: Any) -> None:
    theirs = importlib.import_module("battery_api.document")
    assert {"get_old": frozenset({"q"})} == theirs.DEPRECATED
    with pytest.warns(DeprecationWarning, match="get_old"):
        api.get_old(q="x")


def test_a_misspelt_keyword_is_a_type_error(api: Any) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'titel'; did you mean 'title'\?"):
        api.form(titel="x")
    with pytest.raises(TypeError, match=r"missing required .*'title'"):
        api.form()
