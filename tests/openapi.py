"""openapi.yaml as the tests see it: read here anew, so that what they expect never comes from the code under test."""

from __future__ import annotations

import builtins
import importlib
import keyword
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
OPENAPI = ROOT / "openapi.yaml"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

Json = Any
Document = dict[str, Any]


def read(path: Path = OPENAPI) -> Document:
    """A document, or any other YAML or JSON file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: Document = yaml.load(path.read_bytes(), loader)
    return loaded


DOCUMENT = read()
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]


def resolve(node: Json, document: Document = DOCUMENT) -> Json:
    """Follow references to their place in the document."""
    while isinstance(node, dict) and "$ref" in node:
        target: Json = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def json_content(holder: Json, document: Document = DOCUMENT) -> Json:
    """The media type of a body's or an answer's JSON; empty if it has none."""
    return resolve(holder, document).get("content", {}).get("application/json", {})


# --- the key -----------------------------------------------------------------------------------------------------


def _key() -> tuple[str, str]:
    schemes = DOCUMENT["components"]["securitySchemes"].values()
    for scheme in map(resolve, schemes):
        if scheme["type"] == "apiKey" and scheme["in"] == "header":
            return scheme["name"], ""
        if scheme["type"] == "http" and scheme["scheme"].lower() == "bearer":
            return "Authorization", "Bearer "
    raise LookupError("openapi.yaml has no security scheme that puts the key into a header")


KEY_HEADER, _KEY_PREFIX = _key()


def key_value(key: str) -> str:
    """What the header that carries the key says."""
    return f"{_KEY_PREFIX}{key}"


def key_headers(key: str) -> dict[str, str]:
    """What a request without the client must bring."""
    return {KEY_HEADER: key_value(key)}


# --- values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """What the document says of one value.

    `kind` is one of text, choice, integer, number, boolean, datetime, list, map (free-form), object, tagged (one of
    several objects), loose (an object or anything else), any, and other (what no operation of ours has had yet).
    """

    kind: str
    name: str = ""
    """Of an object: its schema."""
    values: tuple[str, ...] = ()
    """Of a choice: all there are; of a text: those that the document knows."""
    inner: tuple[Shape, ...] = ()
    """Of a list or a map: what it holds; of a tagged one: the objects."""

    @property
    def fields(self) -> dict[str, Shape]:
        """The properties of an object by their names on the wire."""
        return fields_of(self.name)

    @property
    def required(self) -> frozenset[str]:
        return frozenset(SCHEMAS[self.name].get("required", ()))

    @property
    def item(self) -> Shape:
        return self.inner[0]

    def kinds(self, seen: frozenset[str] = frozenset()) -> set[str]:
        """Its own kind, and those of all that it holds."""
        held = list(self.inner)
        if self.name and self.name not in seen:
            held += self.fields.values()
        return {self.kind}.union(*(one.kinds(seen | {self.name}) for one in held))


ANY = Shape("any")
OTHER = Shape("other")


@cache
def fields_of(name: str) -> dict[str, Shape]:
    return {wire: shape_of(schema) for wire, schema in SCHEMAS[name]["properties"].items()}


def shape_of(schema: Mapping[str, Any], name: str = "") -> Shape:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return shape_of(SCHEMAS[name], name)
    if "anyOf" in schema or "oneOf" in schema:
        return _shape_of_union([shape_of(part) for part in schema.get("anyOf") or schema["oneOf"]])
    kinds = schema.get("type", "any")
    kind = next(one for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null")
    if kind == "array":
        return Shape("list", inner=(shape_of(schema["items"]),))
    if kind == "object":
        if "properties" in schema:
            return Shape("object", name) if name else OTHER
        values = schema.get("additionalProperties", True)
        return Shape("map", inner=(shape_of(values) if isinstance(values, dict) else ANY,))
    if kind == "string":
        if schema.get("format") == "date-time":
            return Shape("datetime")
        if schema.get("format") in ("date", "uuid", "binary", "byte"):
            return OTHER
        closed = schema.get("enum") or ([schema["const"]] if "const" in schema else ())
        return Shape("choice", values=tuple(closed)) if closed else Shape("text")
    return OTHER if {"enum", "const"} & schema.keys() else Shape(kind)


def _shape_of_union(parts: list[Shape]) -> Shape:
    kinds = {part.kind for part in parts}
    if "text" in kinds and kinds <= {"text", "choice"}:
        return Shape("text", values=tuple(value for part in parts for value in part.values))
    if kinds == {"object", "any"}:
        return Shape("loose", next(part.name for part in parts if part.kind == "object"))
    return Shape("tagged", inner=tuple(parts)) if kinds == {"object"} else OTHER


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def python_name(wire: str) -> str:
    """A name of the document as Python users write it: `from` is `from_`, `type` is `type_`; `id` stays."""
    name = snake(wire)
    taken = keyword.iskeyword(name) or (name != "id" and name in vars(builtins))
    return f"{name}_" if taken else name


# --- operations --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keyword:
    """A keyword of an operation's function."""

    wire: str
    shape: Shape
    required: bool

    @property
    def name(self) -> str:
        return python_name(self.wire)


@dataclass(frozen=True, eq=False)
class Operation:
    """One method on one path, as the document has it."""

    id: str
    method: str
    path: str
    raw: Json = field(repr=False)
    document: Document = field(repr=False)
    shared: Json = field(default=(), repr=False)
    """The parameters of its path."""

    def __str__(self) -> str:
        return self.id

    @property
    def name(self) -> str:
        """As the client calls it: ``GetCallRecording`` is ``get_call_recording``, ``…V2`` is ``…_v2``."""
        return snake(self.id)

    @property
    def function(self) -> Callable[..., Any]:
        return functions()[self.name]

    @property
    def path_names(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(.+?)}", self.path))

    @property
    def parameters(self) -> list[Json]:
        return [resolve(one, self.document) for one in (*self.shared, *self.raw.get("parameters", ()))]

    @property
    def query(self) -> tuple[Keyword, ...]:
        return tuple(
            Keyword(one["name"], shape_of(one["schema"]), bool(one.get("required")))
            for one in self.parameters
            if one["in"] == "query"
        )

    @property
    def has_body(self) -> bool:
        return "requestBody" in self.raw

    @property
    def body_schema(self) -> Json:
        """The schema of its JSON body, resolved; empty if it has none."""
        content = json_content(self.raw.get("requestBody", {}), self.document)
        return resolve(content.get("schema", {}), self.document)

    @property
    def body(self) -> tuple[Keyword, ...]:
        """Without what the path supplies."""
        required = self.body_schema.get("required", ())
        return tuple(
            Keyword(wire, shape_of(schema), wire in required)
            for wire, schema in self.body_schema.get("properties", {}).items()
            if not self._in_path(wire)
        )

    @property
    def from_path(self) -> tuple[str, ...]:
        """Names on the wire of what the body demands and the path supplies."""
        names = self.body_schema.get("properties", {})
        return tuple(wire for wire in names if wire in self.body_schema.get("required", ()) and self._in_path(wire))

    def _in_path(self, wire: str) -> bool:
        """A body need not repeat what the path says: a key of a path parameter's name, or the id that it ends with."""
        supplied = {snake(name) for name in self.path_names} | ({"id"} if self.path.endswith("}") else set())
        return snake(wire) in supplied

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        return self.query + self.body

    @property
    def success(self) -> tuple[int, Json]:
        """The status of success, and the media type that describes its JSON (empty if it has none)."""
        status = min(code for code in map(str, self.raw["responses"]) if code.startswith("2"))
        responses = {str(code): answer for code, answer in self.raw["responses"].items()}
        return int(status.replace("XX", "00")), json_content(responses[status], self.document)

    @property
    def answer(self) -> Shape | None:
        """What its success holds; None if nothing."""
        content = self.success[1]
        return shape_of(content["schema"]) if content else None

    def matches(self, method: str, path: str) -> bool:
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.path)
        return method == self.method and re.fullmatch(pattern, path) is not None


def operations_of(document: Document) -> list[Operation]:
    """In the document's order."""
    return [
        Operation(
            raw.get("operationId", f"{method} {path}"), method.upper(), path, raw, document, item.get("parameters", ())
        )
        for path, item in ((path, resolve(item, document)) for path, item in document["paths"].items())
        for method, raw in item.items()
        if method in METHODS
    ]


OPERATIONS: Mapping[str, Operation] = {one.id: one for one in operations_of(DOCUMENT)}
"""By operationId, in the document's order."""


def path_of(operation_id: str, *ids: object) -> str:
    """The path of an operation on the wire, its ids in their order: ``path_of("GetContact", 1001)``."""
    path = OPERATIONS[operation_id].path
    for name, value in zip(OPERATIONS[operation_id].path_names, ids, strict=True):
        path = path.replace(f"{{{name}}}", str(value))
    return path


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request on the wire stands for; ``/contacts/search`` is no contact of the id "search"."""
    found = [operation for operation in OPERATIONS.values() if operation.matches(method, path)]
    return min(found, key=lambda operation: operation.path.count("{"), default=None)


@cache
def functions() -> dict[str, Callable[..., Any]]:
    """Every operation function of the generated package, by name: the one that its module is named after."""
    import llamadapro_api.api as package

    found = {}
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not info.ispkg:
            name = info.name.rpartition(".")[2]
            found[name] = getattr(importlib.import_module(info.name), name)
    return found


def answered_schemas() -> set[str]:
    """Every object that an answer can hold."""
    found: set[str] = set()

    def reach(shape: Shape) -> None:
        if shape.kind == "object" and shape.name not in found:
            found.add(shape.name)
            for inner in shape.fields.values():
                reach(inner)
        for inner in shape.inner:
            reach(inner)

    for operation in OPERATIONS.values():
        if operation.answer:
            reach(operation.answer)
    return found
