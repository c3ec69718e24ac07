"""openapi.yaml made ready: its operations, and a compiled validator for each schema that is needed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from .errors import Issue, issue

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
Validator = jsonschema_rs.Draft202012Validator


def load_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_loader())  # noqa: S506 - derived from the safe loader


def _loader() -> Any:
    """YAML 1.2 as OpenAPI wants it: dates stay text, and only true and false are booleans."""
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    kept = {
        first: [(tag, pattern) for tag, pattern in rules if not tag.endswith((":timestamp", ":bool"))]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    loader: Any = type("Loader", (base,), {"yaml_implicit_resolvers": kept})
    loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
    return loader


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str
    required: bool
    type: str
    validator: Validator


@dataclass(frozen=True)
class Operation:
    """One method on one path, with all that is needed to read its requests and to check its answers."""

    id: str
    method: str
    path: str
    tag: str
    parameters: tuple[Parameter, ...]
    body: Validator | None
    body_required: bool
    answers: dict[int, Validator | None]
    fields: frozenset[str] = field(repr=False)
    """The names that a record in the answer can have (of a list: one item's)."""

    @property
    def success(self) -> int:
        return min(status for status in self.answers if 200 <= status < 300)

    def known(self, values: dict[str, Any]) -> dict[str, Any]:
        """What of a body belongs in the record: the names the document declares for the answer."""
        return {name: value for name, value in values.items() if name in self.fields}


class Document:
    def __init__(self, text: str):
        self.raw: dict[str, Any] = load_yaml(text)
        self._compiled: dict[str, Validator] = {}

    @cached_property
    def operations(self) -> dict[str, Operation]:
        found = (
            self._operation(path, method, item)
            for path, item in self.raw["paths"].items()
            for method in METHODS
            if method in item
        )
        return {operation.id: operation for operation in found}

    @property
    def key_header(self) -> str:
        """The header that carries the API key."""
        schemes = self.raw["components"]["securitySchemes"].values()
        return next(str(scheme["name"]) for scheme in schemes if scheme.get("in") == "header")

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """Follow references to other places of the document."""
        while "$ref" in node:
            target: Any = self.raw
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def schema(self, name: str) -> Validator:
        """The validator of a named schema."""
        return self._compile({"$ref": f"#/components/schemas/{name}"})

    def _compile(self, schema: dict[str, Any]) -> Validator:
        name = json.dumps(schema, sort_keys=True)
        if name not in self._compiled:
            root = {**schema, "components": {"schemas": self.raw["components"]["schemas"]}}
            self._compiled[name] = Validator(root, validate_formats=True)
        return self._compiled[name]

    def _operation(self, path: str, method: str, item: dict[str, Any]) -> Operation:
        raw = item[method]
        body = self.resolve(raw.get("requestBody", {}))
        answers = {int(status): _json(self.resolve(answer)) for status, answer in raw["responses"].items()}
        return Operation(
            id=raw["operationId"],
            method=method.upper(),
            path=path,
            tag=raw.get("tags", [""])[0],
            parameters=tuple(self._parameter(p) for p in [*item.get("parameters", []), *raw.get("parameters", [])]),
            body=self._compile(_json(body)) if body else None,
            body_required=bool(body.get("required")),
            answers={status: self._compile(schema) if schema else None for status, schema in answers.items()},
            fields=self._fields(answers[min(answers)]),
        )

    def _parameter(self, node: dict[str, Any]) -> Parameter:
        raw = self.resolve(node)
        schema = raw["schema"]
        kind = self.resolve(schema).get("type", "string")
        return Parameter(raw["name"], raw["in"], bool(raw.get("required")), kind, self._compile(schema))

    def _fields(self, schema: dict[str, Any]) -> frozenset[str]:
        properties: dict[str, Any] = self.resolve(schema).get("properties", {})
        if "items" in properties:
            properties = self.resolve(self.resolve(properties["items"])["items"]).get("properties", {})
        return frozenset(properties)


def _json(holder: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body or an answer; empty if it has none."""
    content: dict[str, Any] = holder.get("content", {})
    return dict(content["application/json"]["schema"]) if "application/json" in content else {}


def issues(validator: Validator, value: Any, place: str = "body", at: str = "") -> list[Issue]:
    """Everything that is wrong with the value, not only the first thing."""
    found: list[Issue] = []
    for error in validator.iter_errors(value):
        found.extend(_to_issues(error, place, at))
    return found


def _to_issues(error: jsonschema_rs.ValidationError, place: str, at: str) -> list[Issue]:
    kind: Any = error.kind
    path = [*([at] if at else []), *(str(part) for part in error.instance_path)]
    if kind.name == "required":
        return [issue(place, ".".join([*path, kind.property]), "is required", "REQUIRED_FIELD")]
    if kind.name == "anyOf":
        # `anyOf: [Thing, null]` given a bad Thing: report what is wrong with the Thing, not that neither matches.
        right_type = [branch for branch in kind.context if not _wrong_type(branch, error.instance_path)]
        if len(right_type) == 1:
            return [found for inner in right_type[0] for found in _to_issues(inner, place, at)]
    return [issue(place, ".".join(path), _short(error.message))]


def _wrong_type(branch: list[jsonschema_rs.ValidationError], path: list[str | int]) -> bool:
    return any(getattr(error.kind, "name", "") == "type" and error.instance_path == path for error in branch)


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:200]} … {text[-90:]}"


@cache
def load(path: str | None = None) -> Document:
    """The repository's document (the package holds it, or a link to it), or another one to try out."""
    text = (
        Path(path).read_text("utf-8")
        if path
        else files("llamadapro_sandbox").joinpath("openapi.yaml").read_text("utf-8")
    )
    return Document(text)
