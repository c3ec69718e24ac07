"""The OpenAPI document made ready: its operations, how each is read, checked and answered, and where keys are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import jsonschema_rs
from yaml import YAMLError

from .errors import Issue, did_you_mean, issue
from .yaml12 import load_yaml

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
Validator = jsonschema_rs.Draft202012Validator
Schema = dict[str, Any]


@dataclass(frozen=True)
class Placement:
    """Where a key is sent: `Authorization: Bearer KEY` has the prefix `Bearer `."""

    place: str
    name: str
    prefix: str = ""

    def __str__(self) -> str:
        shown = f"{self.place} {self.name}"
        return f"{shown} as '{self.prefix}KEY'" if self.prefix else shown


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str
    required: bool
    type: str
    explode: bool
    schema: Schema = field(repr=False)
    validator: Validator = field(repr=False)


@dataclass(frozen=True)
class Content:
    """What a body or an answer holds: a schema for each content type, and the examples that the document gives."""

    document: Document = field(repr=False)
    types: dict[str, Schema]
    examples: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def type(self) -> str:
        """The content type; JSON if there is a choice."""
        return next(filter(is_json, self.types), next(iter(self.types), ""))

    @property
    def schema(self) -> Schema:
        return self.types.get(self.type, {})

    @property
    def validator(self) -> Validator | None:
        return self.document.validator(self.schema) if self.types else None


@dataclass(frozen=True)
class Operation:
    """One method on one path, with all that is needed to read its requests and to check its answers."""

    id: str
    method: str
    path: str
    tag: str
    parameters: tuple[Parameter, ...]
    body: Content | None
    body_required: bool
    answers: dict[int | str, Content]
    """By status: a number, a range such as `2XX`, or `default`."""
    keys: tuple[tuple[Placement, ...], ...]
    """The alternatives of keys to send; empty if none is wanted."""
    fields: frozenset[str] = field(repr=False)
    """The names that a record in the answer can have (of a list: one item's)."""

    @property
    def success(self) -> int:
        exact = [status for status in self.answers if isinstance(status, int) and 200 <= status < 300]
        return min(exact, default=200)

    def answer(self, status: int) -> Content | None:
        for name in (status, f"{status // 100}XX", "default"):
            if name in self.answers:
                return self.answers[name]
        return None

    def known(self, values: dict[str, Any]) -> dict[str, Any]:
        """What of a body belongs in the record: the names the document declares for the answer."""
        return {name: value for name, value in values.items() if name in self.fields}


class Document:
    def __init__(self, text: str):
        self.raw: dict[str, Any] = load_yaml(text)
        self.raw = self._for_validator(self.raw)
        self._compiled: dict[str, Validator] = {}
        self._components: dict[str, Any] = {
            "components": self.raw.get("components", {}),
            **({"paths": self.raw["paths"]} if "#/paths/" in text else {}),
        }
        flags = [flag for flag in ("readOnly", "writeOnly") if flag in text]
        self._one_way = {flag: _optional_if(flag, self._components) for flag in flags}

    def _for_validator(self, node: Any) -> Any:
        """The document in the words of JSON Schema, which knows no discriminator, and takes a reference as a URI, in
        which `ñ` is `%C3%B1`."""
        if isinstance(node, list):
            return [self._for_validator(one) for one in node]
        if not isinstance(node, dict):
            return node
        out = {key: self._for_validator(one) for key, one in cast(Schema, node).items()}
        if isinstance(out.get("$ref"), str):
            out["$ref"] = quote(out["$ref"], safe="#/%~")
        if isinstance(out.get("discriminator"), dict):
            for key in {"oneOf", "anyOf"} & out.keys():
                out[key] = [self._tagged(one, out["discriminator"]) for one in out[key]]
        return out

    def _tagged(self, member: Schema, discriminator: dict[str, Any]) -> Schema:
        """A member of a union, with the tags that it can have, unless it lists them itself."""
        ref, name = member.get("$ref", ""), discriminator["propertyName"]
        if not ref or any({"const", "enum"} & one.keys() for one in self.properties(member).get(name, [])):
            return member
        targets = discriminator.get("mapping", {}).items()
        own = unquote(ref).rpartition("/")[2]
        tags = [tag for tag, target in targets if target.rpartition("/")[2] == own] or [own]
        required = [name] * any(name in one.get("required", ()) for one in self.parts(member))
        return {"allOf": [member, {"properties": {name: {"enum": tags}}, "required": required}]}

    @cached_property
    def operations(self) -> dict[str, Operation]:
        found = [
            self._operation(path, method, self.resolve(item))
            for path, item in self.raw.get("paths", {}).items()
            for method in METHODS
            if method in self.resolve(item)
        ]
        named = {operation.id: operation for operation in found}
        if len(named) < len(found):
            raise ValueError("two operations have the same operationId")
        return named

    @property
    def placements(self) -> frozenset[Placement]:
        """Everywhere that a key can stand."""
        operations = self.operations.values()
        return frozenset(place for one in operations for alternative in one.keys for place in alternative)

    @property
    def base_paths(self) -> set[str]:
        """The paths of the servers: operations are answered below them too."""
        found: set[str] = {""}
        for server in self.raw.get("servers", []):
            url = str(server["url"])
            for name, variable in server.get("variables", {}).items():
                url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
            found.add(urlsplit(url).path.rstrip("/"))
        return found

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """Follow references to other places of the document."""
        seen = set[str]()
        while "$ref" in node:
            if node["$ref"] in seen:
                raise ValueError(f"{node['$ref']} refers to itself")
            seen.add(node["$ref"])
            target: Any = self.raw
            for part in unquote(node["$ref"]).removeprefix("#/").split("/"):
                name = part.replace("~1", "/").replace("~0", "~")
                target = target[int(name) if isinstance(target, list) else name]
            node = target
        return node

    def schema(self, name: str) -> Validator:
        """The validator of a named schema."""
        return self.validator({"$ref": f"#/components/schemas/{name}"})

    def validator(self, schema: Schema, optional: str = "writeOnly") -> Validator:
        """What holds a value against a schema; in an answer writeOnly properties are optional, in a request readOnly
        ones."""
        components = self._one_way.get(optional, self._components)
        name = json.dumps([schema, id(components)], sort_keys=True)
        if name not in self._compiled:
            own = schema if components is self._components else _optional_if(optional, schema)
            self._compiled[name] = Validator({**own, **components}, validate_formats=True)
        return self._compiled[name]

    def parts(self, schema: Any) -> Iterator[Schema]:
        """A schema, what it refers to, and the members of its combinations, one after another."""
        waiting, seen = [schema], set[int]()
        while waiting:
            one = waiting.pop(0)
            if isinstance(one, dict) and id(one) not in seen:
                seen.add(id(one))
                node = cast(Schema, one)
                yield node
                waiting += [self.resolve({"$ref": node["$ref"]})] if "$ref" in node else []
                waiting += [member for name in ("allOf", "anyOf", "oneOf") for member in node.get(name, [])]

    def properties(self, schema: Any) -> dict[str, list[Any]]:
        """The properties of an object schema, each with all its schemas."""
        found: dict[str, list[Any]] = {}
        for one in self.parts(schema):
            for name, inner in one.get("properties", {}).items():
                found.setdefault(name, []).append(inner)
        return found

    def types(self, schema: Any) -> list[str]:
        """The JSON types a schema names, or those of the values that it lists."""
        named = (one.get("type") or _types_of_values(one) for one in self.parts(schema))
        return [kind for kinds in named for kind in ([kinds] if isinstance(kinds, str) else kinds)]

    def kind(self, schema: Any) -> str:
        """What a text stands for in a query or a form: the first type that a schema names, but for null. Where text
        will do, a number stays text."""
        kinds = [kind for kind in self.types(schema) if kind != "null"] or ["string"]
        return "string" if "string" in kinds and kinds[0] in ("integer", "number", "boolean") else kinds[0]

    def items(self, schema: Any) -> Schema:
        """The schema of an array's items."""
        return {"anyOf": [one["items"] for one in self.parts(schema) if "items" in one]}

    def drop_unknown(self, schema: Any, value: Any, place: str = "body", at: str = "") -> list[Issue]:
        """Take out of a value the names that its schema does not list, unless it says that there may be more."""
        found: list[Issue] = []
        if isinstance(value, list):
            items = self.items(schema)
            for index, item in enumerate(value):
                found += self.drop_unknown(items, item, place, f"{at}.{index}" if at else str(index))
        elif isinstance(value, dict) and (properties := self.properties(schema)):
            free = any(one.get("additionalProperties") or "patternProperties" in one for one in self.parts(schema))
            for name, inner in [*cast(dict[str, Any], value).items()]:
                path = f"{at}.{name}" if at else name
                if name in properties:
                    found += self.drop_unknown({"anyOf": properties[name]}, inner, place, path)
                elif not free:
                    del value[name]
                    found.append(unknown(place, path, name, properties))
        return found

    def _operation(self, path: str, method: str, item: dict[str, Any]) -> Operation:
        raw = item[method]
        body = self.resolve(raw.get("requestBody", {}))
        answers = {
            int(status) if str(status).isdigit() else str(status): self._content(self.resolve(answer))
            for status, answer in raw.get("responses", {}).items()
        }
        given = [self._parameter(one) for one in [*item.get("parameters", []), *raw.get("parameters", [])]]
        successes = [one for status, one in answers.items() if str(status)[0] == "2"]
        return Operation(
            id=raw.get("operationId") or f"{method.upper()} {path}",
            method=method.upper(),
            path=path,
            tag=next(iter(raw.get("tags", [])), ""),
            parameters=tuple({(one.place, one.name): one for one in given}.values()),
            body=self._content(body) if body.get("content") else None,
            body_required=bool(body.get("required")),
            answers=answers,
            keys=self._keys(raw.get("security", self.raw.get("security", []))),
            fields=self._fields(successes[0].schema if successes else {}),
        )

    def _content(self, node: dict[str, Any]) -> Content:
        content: dict[str, Any] = node.get("content", {})
        media = sorted(content.values(), key=lambda one: one is not content.get("application/json"))
        listed = [example for one in media for example in one.get("examples", {}).values()]
        examples = [one["example"] for one in media if "example" in one]
        examples += [self.resolve(one)["value"] for one in listed if "value" in self.resolve(one)]
        types = {name.split(";")[0].strip().lower(): one.get("schema", {}) for name, one in content.items()}
        return Content(self, types, tuple(examples))

    def _parameter(self, node: dict[str, Any]) -> Parameter:
        raw = self.resolve(node)
        schema = raw.get("schema", {})
        return Parameter(
            raw["name"],
            raw["in"],
            bool(raw.get("required")),
            self.kind(schema),
            bool(raw.get("explode", raw.get("style", "form") == "form")),
            schema,
            self.validator(schema),
        )

    def _keys(self, security: list[dict[str, Any]]) -> tuple[tuple[Placement, ...], ...]:
        schemes = self.raw.get("components", {}).get("securitySchemes", {})
        alternatives = (tuple(_placement(self.resolve(schemes[name])) for name in one) for one in security)
        return tuple(filter(None, alternatives))  # one without a scheme means "or without a key"

    def _fields(self, schema: Schema) -> frozenset[str]:
        properties = self.properties(schema)
        for one in properties.get("items", []):
            properties = self.properties(self.items(one)) or properties
        return frozenset(name for name, found in properties.items() if not any(map(is_secret, found)))


def is_secret(schema: Any) -> bool:
    """Whether a property is for requests only."""
    return isinstance(schema, dict) and bool(schema.get("writeOnly"))


def _optional_if(flag: str, node: Any) -> Any:
    """The same, but no property with the flag is required."""
    if isinstance(node, list):
        return [_optional_if(flag, one) for one in node]
    if not isinstance(node, dict):
        return node
    out = {key: _optional_if(flag, one) for key, one in cast(Schema, node).items()}
    properties = out.get("properties")
    if isinstance(out.get("required"), list) and isinstance(properties, dict):
        flagged = {name for name, one in properties.items() if isinstance(one, dict) and one.get(flag)}
        out["required"] = [name for name in out["required"] if name not in flagged]
    return out


def _placement(scheme: dict[str, Any]) -> Placement:
    if scheme["type"] == "apiKey":
        return Placement(scheme["in"], scheme["name"])
    name = scheme.get("scheme", "bearer") if scheme["type"] == "http" else "bearer"
    return Placement("header", "Authorization", f"{name.capitalize()} ")


def _types_of_values(schema: Schema) -> list[str]:
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return [names[type(one)] for one in (*schema.get("enum", ()), schema.get("const")) if type(one) in names]


def is_json(kind: str) -> bool:
    return kind in ("application/json", "*/*", "application/*") or kind.endswith("+json")


def unknown(place: str, path: str, name: str, known: Any) -> Issue:
    return issue(place, path, f"is unknown{did_you_mean(name, known)}", "UNKNOWN_FIELD")


def issues(validator: Validator | None, value: Any, place: str = "body", at: str = "") -> list[Issue]:
    """Everything that is wrong with the value, not only the first thing."""
    found: list[Issue] = []
    for error in validator.iter_errors(value) if validator else []:
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
    source = Path(path) if path else files("llamadapro_sandbox").joinpath("openapi.yaml")
    text = source.read_text("utf-8-sig")
    try:
        document = Document(text)
        if not str(document.raw["openapi"]).startswith("3.1"):
            raise ValueError(
                f"it is OpenAPI {document.raw['openapi']}: convert it, as 3.0's nullable means nothing here"
            )
        if not document.operations:
            raise ValueError("it has no operations")
    except (YAMLError, jsonschema_rs.ValidationError, ValueError, LookupError, TypeError, AttributeError) as problem:
        message = f"{source} is no OpenAPI 3.1 document to answer for: {type(problem).__name__}: {problem}"
        raise ValueError(message) from None
    return document
