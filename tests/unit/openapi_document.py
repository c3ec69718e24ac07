"""openapi.yaml as these tests see it: read here anew, so that what they expect never comes from the generated code."""

from __future__ import annotations

import builtins
import importlib
import keyword
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

DOCUMENT: dict[str, Any] = yaml.load(
    (Path(__file__).parents[2] / "openapi.yaml").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
)
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]

SOME = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""For properties that run once for each of many models or operations."""

MANY = settings(SOME, max_examples=300)
"""For properties that run once."""


@dataclass(frozen=True)
class Shape:
    """What the document says of one value.

    `kind` is one of text, choice, integer, number, boolean, datetime, list, map (free-form), object, tagged (one of
    several objects), loose (an object or anything else) and any.
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


ANY = Shape("any")


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
            return Shape("object", name)
        values = schema.get("additionalProperties", True)
        return Shape("map", inner=(ANY if values is True else shape_of(values),))
    if kind == "string":
        if schema.get("format") == "date-time":
            return Shape("datetime")
        closed = schema.get("enum") or ([schema["const"]] if "const" in schema else ())
        return Shape("choice", values=tuple(closed)) if closed else Shape("text")
    assert kind in ("integer", "number", "boolean", "any"), kind
    return Shape(kind)


def _shape_of_union(parts: list[Shape]) -> Shape:
    kinds = {part.kind for part in parts}
    if kinds <= {"text", "choice"}:
        assert "text" in kinds, "a union of closed sets"
        return Shape("text", values=tuple(value for part in parts for value in part.values))
    if kinds == {"object", "any"}:
        return Shape("loose", next(part.name for part in parts if part.kind == "object"))
    assert kinds == {"object"}, kinds
    return Shape("tagged", inner=tuple(parts))


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


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    path_names: tuple[str, ...]
    query: tuple[Keyword, ...]
    body: tuple[Keyword, ...]
    """Without what the path supplies."""
    from_path: tuple[str, ...]
    """Names on the wire of what the body demands and the path supplies."""
    has_body: bool
    answer: str | None
    """The schema of its success."""

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        return self.query + self.body

    @property
    def name(self) -> str:
        return snake(self.id)

    @property
    def function(self) -> Callable[..., Any]:
        return functions()[self.name]

    def __str__(self) -> str:
        return self.id


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


def _operations() -> Iterator[Operation]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if not isinstance(operation, dict) or "operationId" not in operation:
                continue
            parameters = [_resolved(one) for one in (*item.get("parameters", ()), *operation.get("parameters", ()))]
            in_path = tuple(re.findall(r"{(.+?)}", path))
            body = _json_schema(operation.get("requestBody", {}))
            required = frozenset(body.get("required", ()))
            # A body need not repeat what the path says: a key of a path parameter's name, or the id that it ends with.
            supplied = {snake(name) for name in in_path} | ({"id"} if path.endswith("}") else set())
            success = next(_resolved(answer) for code, answer in operation["responses"].items() if str(code)[0] == "2")
            yield Operation(
                id=operation["operationId"],
                method=method.upper(),
                path=path,
                path_names=in_path,
                query=tuple(
                    Keyword(one["name"], shape_of(one["schema"]), bool(one.get("required")))
                    for one in parameters
                    if one["in"] == "query"
                ),
                body=tuple(
                    Keyword(wire, shape_of(schema), wire in required)
                    for wire, schema in body.get("properties", {}).items()
                    if snake(wire) not in supplied
                ),
                from_path=tuple(
                    wire for wire in body.get("properties", {}) if wire in required and snake(wire) in supplied
                ),
                has_body=bool(body),
                answer=_schema_name(success),
            )


def _resolved(thing: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in thing:
        return thing
    found: Any = DOCUMENT
    for step in thing["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def _json_schema(content: dict[str, Any]) -> dict[str, Any]:
    content = _resolved(content)
    schema = content.get("content", {}).get("application/json", {}).get("schema", {})
    return _resolved(schema)


def _schema_name(answer: dict[str, Any]) -> str | None:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return schema["$ref"].rpartition("/")[2] if schema else None


OPERATIONS = tuple(_operations())
BY_ID = {operation.id: operation for operation in OPERATIONS}


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

    for operation in OPERATIONS:
        if operation.answer:
            reach(Shape("object", operation.answer))
    return found


# --- values ------------------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Whatever JSON can say."""
