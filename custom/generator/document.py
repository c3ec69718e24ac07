"""The OpenAPI document, held against what can be generated and brought to the form in which the parser reads it right.

Everything outside the allow-lists below is refused. What passes is rewritten: references to path items, parameters,
bodies and answers are followed, objects get a name each, and only what generated code depends on is left.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import chain, count
from operator import getitem
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs
from jsonpath import JSONPointer
from openapi_python_client.strings import ClassName, PythonIdentifier
from ruamel.yaml.error import YAMLError

from .refusals import Pointer, Refusals, Refused, Unsupported
from .yaml12 import load

FLAGS = ("deprecated", "readOnly", "writeOnly", "x-in-path")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
SAFE_METHODS = ("get", "head", "options", "put", "delete")
ITEM_KEYS = {"summary", "description", "parameters", "$ref"}
IGNORED_HEADERS = {
    *("accept", "content-type", "authorization"),  # mean nothing as parameters, says OpenAPI
    *("host", "content-length", "transfer-encoding", "connection"),  # the client's own to set
}
HEADER = re.compile(r"[!#$%&'*+.^`|~\w-]+", re.ASCII)
STYLES = {"query": "form", "path": "simple", "header": "simple"}
SHAPE = {
    *("type", "format", "enum", "const", "properties", "additionalProperties", "items"),
    *("allOf", "anyOf", "oneOf", "$ref"),
}
SCHEMA_KEYS = SHAPE | {
    *("required", "title", "description", "deprecated", "readOnly", "writeOnly", "discriminator", "contentEncoding"),
    *("contentMediaType", "contentSchema", "default", "example", "examples", "nullable", "xml", "externalDocs"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern"),
    *("minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains", "minProperties"),
    *("maxProperties", "propertyNames", "dependentRequired", "unevaluatedProperties", "unevaluatedItems"),
    *("$comment", "$schema", "$id", "$anchor", "$defs", "id"),
}
KINDS = {"properties": dict, **dict.fromkeys(("required", "enum", "allOf", "anyOf", "oneOf"), list)}
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
IMPORTED = {"models", "types", "dt", "deprecated"}
"""Names that modules of operations import, and an operation cannot have: it gets a trailing underscore."""
ADVICE = {
    "prefixItems": "tuples are not supported; describe an object, or an array of one type",
    "patternProperties": "is not supported; use additionalProperties",
    "additionalItems": "tuples are not supported; describe an object, or an array of one type",
    "$dynamicRef": "is not supported; use $ref",
    "$recursiveRef": "is not supported; use $ref",
    **dict.fromkeys(
        ("not", "if", "then", "else", "dependentSchemas", "dependencies"),
        "is not supported; leave the condition to the service",
    ),
}


@attrs.define
class Parameter:
    """A parameter as generated code sees it."""

    name: str
    place: str
    python_name: str
    required: bool
    deprecated: bool
    comma_separated: bool
    description: str
    pointer: Pointer

    @property
    def parser_name(self) -> str:
        """Its name for the parser, to which a header is a query."""
        if self.place == "path":
            return _in_parser(self.name)
        return f"{self.name} header" if self.place == "header" else self.name


@attrs.define
class OperationInfo:
    """What the parser does not say of an operation."""

    module: str
    method: str
    path: str
    pointer: Pointer
    raw: Mapping[str, Any]
    idempotent: bool
    security: str
    parameters: list[Parameter] = attrs.field(factory=list)
    content_type: str | None = None
    body_required: bool = False
    deprecated_fields: list[str] = attrs.field(factory=list)
    answers: dict[str, str] = attrs.field(factory=dict)
    """Status → json, text or none."""

    @property
    def name(self) -> str:
        return self.module + "_" * (self.module in IMPORTED)

    @property
    def deprecated_keywords(self) -> list[str]:
        """Keywords that the document calls deprecated; those of the body are added by the walk."""
        return [one.python_name for one in self.parameters if one.deprecated] + self.deprecated_fields

    def in_place(self, place: str) -> list[Parameter]:
        return [one for one in self.parameters if one.place == place]

    @property
    def route(self) -> str:
        """The path with the names of its parameters as Python writes them."""
        names = {one.name: one.python_name for one in self.in_place("path")}
        parts = re.split(r"{([^}]+)}", self.path)
        parts[::2] = (quote(part, safe="/?#[]@!$&'()*+,;=:%") for part in parts[::2])
        parts[1::2] = (f"{{{names.get(name, name)}}}" for name in parts[1::2])
        return "".join(parts)


class Document:
    """An OpenAPI document: checked, and rewritten for the parser."""

    def __init__(self, path: Path, prefix: str = "field_") -> None:
        self.name = path.name
        self.raw = path.read_bytes()
        self.refusals = Refusals(path, self.raw)
        self.prefix = prefix
        self.data: dict[str, Any] = self._load(path)
        self.schemes: dict[str, tuple[str, str, str]] = {}
        """Where each key goes: place, name, and what stands in front of the key."""
        self.schemas: dict[str, dict[str, Any]] = {}
        """Every schema that an operation reaches, rewritten: those of the document, and objects that had no name."""
        self.sources: dict[str, Pointer] = {}
        self.discriminators: dict[frozenset[str], tuple[str, dict[str, str]]] = {}
        self.operations: dict[str, OperationInfo] = {}
        self.count = 0
        """How many operations the document has, references to path items followed."""
        self._components: dict[str, Any] = self.data["components"]
        self._paths: dict[str, Any] = {}
        self._annotations: set[str] = set()
        self._names: dict[Pointer, str] = {}
        """Schema that something refers to → its name for the parser."""
        self._classes: dict[str, Pointer] = {}
        self._unnamed: set[Pointer] = set()
        """Schemas that are being rewritten, and in which no property has been entered yet."""
        self._taken = {self._class_name(name) for name in self._components.get("schemas") or ()}
        self._read_operations()

    def _load(self, path: Path) -> dict[str, Any]:
        try:
            data = load(self.raw)
        except (YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise Refused([f"{path.name}{line}: is not YAML or JSON: {getattr(error, 'problem', error)}"]) from None
        if not isinstance(data, dict) or not isinstance(data.get("paths"), dict):
            raise Refused(
                [f"{path.name}:1: document: is no OpenAPI document; it is an object with `openapi` and `paths`"]
            )
        version = str(data.get("openapi", data.get("swagger", "none")))
        if not re.match(r"3\.1(\.|$)", version):
            self.refusals.add(
                ("swagger" if "swagger" in data else "openapi",),
                f"version {version} is not supported; convert the document to 3.1, where `nullable: true` is "
                "`type: [..., 'null']` and `exclusiveMinimum` is a number",
            )
        for key in ("info", "components"):
            data[key] = {} if data.get(key) is None else data[key]
            if not isinstance(data[key], dict):
                self.refusals.add((key,), f"{key} must be an object")
        self.refusals.check()
        return data

    def for_parser(self) -> dict[str, Any]:
        """The document that the parser is given."""
        info = {"title": self.title, "version": str(self.data["info"].get("version", ""))}
        return {"openapi": "3.1.0", "info": info, "paths": self._paths, "components": {"schemas": self.schemas}}

    @property
    def title(self) -> str:
        return str(self.data["info"].get("title", "API"))

    @property
    def server(self) -> str:
        """The first server, its variables filled in with their defaults; a relative one is none."""
        servers = self.data.get("servers") or [{}]
        url = str(servers[0].get("url", ""))
        for name, variable in (servers[0].get("variables") or {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        return url.rstrip("/") if re.match(r"(?i)https?://[^{}]+$", url) else ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    def python_name(self, name: str) -> str:
        """As Python itself spells an identifier (NFKC), so that a keyword is the same name however it is passed."""
        found = str(PythonIdentifier(unicodedata.normalize("NFKC", name), self.prefix))
        return found if found == name else self.python_name(found)  # a name of a name is the name itself

    def _class_name(self, name: str) -> str:
        """The class of a schema, in lower case: two that differ in no more would share a module."""
        return ClassName(name, self.prefix).lower()

    # --- operations -------------------------------------------------------------------------------------------------

    def _read_operations(self) -> None:
        for kind in ("webhooks", "callbacks"):
            if self.data.get(kind):
                self.refusals.note((kind,), f"{', '.join(self.data[kind])} are not generated")
        for path, raw in self.data["paths"].items():
            if not path.startswith("x-"):
                with self.refusals.collected(("paths", path)):
                    self._read_path(path, raw)

    def _read_path(self, path: str, raw: Any) -> None:
        pointer: Pointer = ("paths", path)
        if not path.startswith("/"):
            raise Unsupported(pointer, "a path must begin with /")
        item, _ = self._resolve(raw, pointer)
        for key, operation in item.items():
            if key in METHODS:
                self.count += 1
                with self.refusals.collected((*pointer, key)):
                    self._read_operation(path, key, item, operation, (*pointer, key))
            elif key == "servers":
                self.refusals.add((*pointer, key), "servers of a path are not supported; the client has one base_url")
            elif key not in ITEM_KEYS and not key.startswith("x-"):
                self.refusals.add((*pointer, key), f"{key.upper()} is not supported; methods are {', '.join(METHODS)}")

    def _read_operation(
        self, path: str, method: str, item: Mapping[str, Any], raw: Mapping[str, Any], pointer: Pointer
    ) -> None:
        operation_id = str(
            raw.get("operationId") or f"{method}_{re.sub('[{}]', '', path).strip('/').replace('/', '_')}"
        )
        info = OperationInfo(
            module=self.python_name(operation_id),
            method=method.upper(),
            path=path,
            pointer=pointer,
            raw=raw,
            idempotent=bool(raw.get("x-safe-to-repeat", method in SAFE_METHODS)),
            security=self._security(raw, pointer),
        )
        if info.module in self.operations:
            other = self.operations[info.module]
            raise Unsupported(
                (*pointer, *(("operationId",) if "operationId" in raw else ())),
                f"{operation_id} and the operationId of {other.method} {other.path} are one name in Python, "
                f"{info.name}; rename one",
            )
        if raw.get("servers"):
            raise Unsupported(
                (*pointer, "servers"), "servers of an operation are not supported; the client has one base_url"
            )
        if raw.get("callbacks"):
            self.refusals.note((*pointer, "callbacks"), f"{', '.join(raw['callbacks'])} are not generated")
        in_parser = re.sub(r"{([^}]+)}", lambda found: f"{{{_in_parser(found[1])}}}", path)
        self._paths.setdefault(in_parser, {})[method] = {
            "operationId": info.module,  # in the form of a name that the parser leaves as it is
            "tags": [str(tag) for tag in raw.get("tags") or ["default"]],
            "summary": str(raw.get("summary") or ""),
            "description": str(raw.get("description") or ""),
            "parameters": self._parameters(info, item, operation_id),
            "responses": self._responses(info, operation_id),
            **self._body(info, operation_id),
        }
        self.operations[info.module] = info

    def _parameters(self, info: OperationInfo, item: Mapping[str, Any], operation_id: str) -> list[dict[str, Any]]:
        found: dict[tuple[str, str], tuple[Mapping[str, Any], Pointer]] = {}
        for owner, base in ((item, info.pointer[:2]), (info.raw, info.pointer)):
            for index, one in enumerate(owner.get("parameters") or ()):
                resolved, pointer = self._resolve(one, (*base, "parameters", index))
                if not {"in", "name"} <= resolved.keys():
                    raise Unsupported(pointer, "a parameter needs a `name`, and in what it is: `in`")
                found[resolved["in"], str(resolved["name"])] = resolved, pointer
        in_path = re.findall(r"{([^}]+)}", info.path)
        declared = [name for place, name in found if place == "path"]
        if sorted(in_path) != sorted(declared):
            raise Unsupported(
                info.pointer, f"the path has {in_path}, the parameters have {declared}; they must be the same"
            )
        out = []
        for (place, name), (raw, pointer) in found.items():
            if place == "header" and name.lower() in IGNORED_HEADERS:
                continue
            if place not in STYLES:
                raise Unsupported(
                    pointer, f"{name} is a parameter in a {place}, which is not supported; use a query or a header"
                )
            if place == "header" and not HEADER.fullmatch(name):
                raise Unsupported(pointer, f"{name!r} cannot be the name of a header; letters, digits and hyphens can")
            if raw.get("style", STYLES[place]) != STYLES[place]:
                raise Unsupported(
                    pointer, f"{name} has style {raw['style']}, which is not supported; use style {STYLES[place]}"
                )
            if "schema" not in raw:
                raise Unsupported(pointer, f"{name} has no schema; `content` is not supported in parameters")
            parameter = Parameter(
                name=name,
                place=place,
                python_name=self.python_name(name),
                required=bool(raw.get("required")) or place == "path",
                deprecated=bool(raw.get("deprecated")),
                comma_separated=place == "query" and raw.get("explode") is False,
                description=str(raw.get("description") or ""),
                pointer=pointer,
            )
            info.parameters.append(parameter)
            schema = self._schema(raw["schema"], (*pointer, "schema"), f"{operation_id} {name}")
            # The parser allows less in headers than in queries.
            in_parser = {"name": parameter.parser_name, "in": "path" if place == "path" else "query"}
            out.append({**in_parser, "required": parameter.required, "schema": schema})
        info.parameters.sort(key=lambda one: in_path.index(one.name) if one.place == "path" else len(in_path))
        return out

    def _body(self, info: OperationInfo, operation_id: str) -> dict[str, Any]:
        if info.raw.get("requestBody") is None:
            return {}
        raw, pointer = self._resolve(info.raw["requestBody"], (*info.pointer, "requestBody"))
        content = raw.get("content") or {}
        supported = [kind for kind in content if _is_json(kind)] or [kind for kind in content if _is_form(kind)]
        if not supported:
            kinds = ", ".join(content) or "no content type"
            raise Unsupported((*pointer, "content"), f"{kinds} in a body is not supported; JSON, +json and forms are")
        chosen = supported[0]
        if (
            len(supported) > 1
            and not _is_json(chosen)
            and len({repr(content[one].get("schema")) for one in supported}) > 1
        ):
            raise Unsupported((*pointer, "content"), f"{' and '.join(supported)} have different schemas; leave one")
        if len(content) > 1:
            self.refusals.note(
                pointer, f"sent as {chosen}; {', '.join(one for one in content if one != chosen)} is passed over"
            )
        kind = "application/json" if _is_json(chosen) else media_type(chosen)
        info.content_type, info.body_required = chosen if _is_json(chosen) else kind, bool(raw.get("required"))
        where = (*pointer, "content", chosen, "schema")
        schema = self._schema(content[chosen].get("schema", {}), where, f"{operation_id} Body")
        return {"requestBody": {"required": info.body_required, "content": {kind: {"schema": schema}}}}

    def _responses(self, info: OperationInfo, operation_id: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for code, one in (info.raw.get("responses") or {}).items():
            status = str(code).upper()
            if not re.fullmatch(r"2(\d\d|XX)", status):
                continue
            raw, pointer = self._resolve(one, (*info.pointer, "responses", code))
            empty = info.method == "HEAD" or status in ("204", "205")  # whatever the document shows
            content = {} if empty else raw.get("content") or {}
            texts = (kind for kind in content if kind.startswith("text/") and "event-stream" not in kind)
            chosen = next(chain(filter(_is_json, content), texts), None)
            if content and chosen is None:
                raise Unsupported(
                    pointer,
                    f"an answer of {', '.join(content)} is not supported; JSON and text are, and `recordings.download` "
                    "saves a file from its URL",
                )
            if chosen is None:
                info.answers[status], out[status] = "none", {"description": ""}
                continue
            info.answers[status] = "json" if _is_json(chosen) else "text"
            schema: dict[str, Any] = {"type": "string"}
            if _is_json(chosen):
                where = (*pointer, "content", chosen, "schema")
                schema = self._schema(content[chosen].get("schema", {}), where, f"{operation_id} Response")
            out[status] = {"description": "", "content": {"application/json": {"schema": schema}}}
        if not out:
            raise Unsupported(
                (*info.pointer, "responses"), "has no success; say what the service answers, as 200 for instance"
            )
        return out

    # --- security ---------------------------------------------------------------------------------------------------

    def _security(self, raw: Mapping[str, Any], pointer: Pointer) -> str:
        """The name of the scheme by which the key is sent, or nothing."""
        own = "security" in raw
        alternatives = raw["security"] if own else self.data.get("security") or []
        where: Pointer = (*pointer, "security") if own else ("security",)
        refused = []
        for one in alternatives:
            if not isinstance(one, Mapping):
                raise Unsupported(where, f"{one} must be an object, such as `{one}: []`")
            if len(one) > 1:
                refused.append(f"{' and '.join(one)} at once are not supported; state them as alternatives")
                continue
            for name in one:
                try:
                    self.schemes[name] = self._scheme(name)
                except Unsupported as error:
                    refused.append(error.what)
                else:
                    return str(name)
        if refused and {} not in alternatives:
            raise Unsupported(where, "; ".join(dict.fromkeys(refused)))
        return ""

    def _scheme(self, name: str) -> tuple[str, str, str]:
        pointer: Pointer = ("components", "securitySchemes", name)
        raw, _ = self._resolve((self._components.get("securitySchemes") or {}).get(name) or {}, pointer)
        match raw:
            case {"type": "apiKey", "in": "header" | "query" as place, "name": str(key)} if (
                place == "query" or HEADER.fullmatch(key)
            ):
                return place, key, ""
            case {"type": "http", "scheme": str(scheme)} if scheme.lower() == "bearer":
                return "header", "Authorization", "Bearer "
        kind = " ".join(str(raw[key]) for key in ("type", "scheme", "in") if key in raw) or "missing"
        raise Unsupported(
            pointer,
            f"security scheme {name} ({kind}) is not supported; an API key in a header or the query and "
            "HTTP bearer are (for oauth2, say bearer and pass your token)",
        )

    def resolve(self, thing: Any) -> Mapping[str, Any]:
        """Something that may be a reference, followed."""
        return self._resolve(thing, ())[0]

    # --- schemas ----------------------------------------------------------------------------------------------------

    def _resolve(self, thing: Any, pointer: Pointer) -> tuple[Mapping[str, Any], Pointer]:
        """Follow references within the document."""
        seen = []
        while isinstance(thing, Mapping) and "$ref" in thing:
            ref = unquote(str(thing["$ref"]))
            if not ref.startswith("#/"):
                raise Unsupported(
                    (*pointer, "$ref"), f"{ref} is in another file, which is not supported; bundle the document first"
                )
            if ref in seen:
                raise Unsupported((*pointer, "$ref"), f"{ref} leads back to itself")
            seen.append(ref)
            target = JSONPointer(ref[1:], unicode_escape=False)
            thing = target.resolve(self.data, default=None)
            if thing is None:
                raise Unsupported((*pointer, "$ref"), f"{ref} is not in the document")
            pointer = target.parts
        if not isinstance(thing, Mapping):
            raise Unsupported(pointer, "must be an object")
        return thing, pointer

    def _schema(self, raw: Any, pointer: Pointer, name: str) -> dict[str, Any]:
        """Rewrite a schema; objects in it that have no name get one that begins with `name`."""
        if raw is True:
            return {}
        if not isinstance(raw, Mapping):
            raise Unsupported(pointer, "must be a schema; `false` is not supported")
        if "$ref" in raw:
            return {"$ref": f"#/components/schemas/{self._component(*self._resolve(raw, pointer), name)}"}
        out = self._rewritten(raw, pointer, name)
        return (
            self._named(out, pointer, name)
            if "properties" in out or "allOf" in out or out.get("type") == "object"
            else out
        )

    def _check_keywords(self, raw: Mapping[str, Any], pointer: Pointer) -> None:
        for key, kind in KINDS.items():
            if key in raw and not isinstance(raw[key], kind):
                raise Unsupported((*pointer, key), f"{key} must be {'an object' if kind is dict else 'a list'}")
        kinds = raw.get("type", [])
        for one in kinds if isinstance(kinds, list) else [kinds]:
            if one not in TYPES:
                raise Unsupported((*pointer, "type"), f"{one} is no type; types are {', '.join(TYPES)}")
        for key in raw:
            if key == "not" and _is_condition(raw[key]):
                continue  # which properties go together is for the service to say
            if key in ADVICE:
                self.refusals.add((*pointer, key), f"{key} {ADVICE[key]}")
            elif key not in SCHEMA_KEYS and not str(key).startswith("x-"):
                self._unknown_keyword(str(key), pointer)

    def _unknown_keyword(self, key: str, pointer: Pointer) -> None:
        """JSON Schema takes any other keyword for an annotation; one that is nearly a known one is a slip."""
        known = {_letters(one): one for one in SCHEMA_KEYS}
        near = difflib.get_close_matches(_letters(key), known, n=1, cutoff=0.75)
        if near:
            advice = f"did you mean {known[near[0]]}? An annotation of your own begins with x-"
            self.refusals.add((*pointer, key), f"{key} is no keyword of JSON Schema; {advice}")
        elif key not in self._annotations:
            self._annotations.add(key)
            self.refusals.note(
                (*pointer, key), f"{key} is no keyword of JSON Schema; passed over, here and wherever else it stands"
            )

    def _component(self, raw: Mapping[str, Any], pointer: Pointer, name: str) -> str:
        """Rewrite a schema that something refers to, once; return its name for the parser, its own if it has one."""
        if pointer in self._unnamed:
            raise Unsupported(pointer, "contains itself with no property in between; make it the property of an object")
        if pointer not in self._names:
            key = self._names[pointer] = self._own_name(pointer) or self._free(name)
            self.schemas[key], self.sources[key] = {}, pointer
            self._unnamed.add(pointer)
            with self.refusals.collected(pointer):
                self.schemas[key] = self._part(raw, pointer, key)
            self._unnamed.discard(pointer)
        return self._names[pointer]

    def _own_name(self, pointer: Pointer) -> str:
        if pointer[:2] != ("components", "schemas") or len(pointer) != 3:
            return ""
        key = unicodedata.normalize("NFKC", str(pointer[2])).replace("/", " ")
        python_name = ClassName(key, self.prefix)
        other = self._classes.setdefault(python_name, pointer)
        if other != pointer:
            self.refusals.add(pointer, f"{key} and {other[2]} are one name in Python, {python_name}; rename one")
        return key if other == pointer else ""

    def _free(self, name: str) -> str:
        base = str(ClassName(unicodedata.normalize("NFKC", name), self.prefix))
        numbered = chain([base], (f"{base}{number}" for number in count(2)))
        free = next(one for one in numbered if self._class_name(one) not in self._taken)
        self._taken.add(self._class_name(free))
        return free

    def _named(self, schema: dict[str, Any], pointer: Pointer, name: str) -> dict[str, Any]:
        """Make an object without a name one of the document's schemas, under a name that is free."""
        free = self._free(name)
        self.schemas[free], self.sources[free] = schema, pointer
        return {"$ref": f"#/components/schemas/{free}"}

    def _rewritten(self, raw: Mapping[str, Any], pointer: Pointer, name: str) -> dict[str, Any]:
        self._check_keywords(raw, pointer)
        out: dict[str, Any] = {}
        if raw.get("description"):
            out["description"] = str(raw["description"])
        kinds = raw.get("type")
        if isinstance(kinds, list) and "object" in kinds and not ("enum" in raw or "const" in raw):
            # Each kind with what belongs to it, so that the object among them gets a name.
            rest = {
                key: value for key, value in raw.items() if key not in ("properties", "additionalProperties", "allOf")
            }
            of_kind = {"object": raw, "array": rest, "string": rest}
            members = [{**of_kind.get(kind, {}), "type": kind} for kind in kinds]
            out["anyOf"] = [self._schema(one, pointer, name) for one in members]
            return out if len(members) > 1 else self._rewritten({**raw, "type": "object"}, pointer, name)
        for key in ("anyOf", "oneOf"):
            members = [one for one in raw.get(key) or () if not _is_condition(one)]
            if members and ("properties" in raw or "allOf" in raw):
                raise Unsupported(
                    (*pointer, key), f"{key} next to properties is not supported; put it in a schema of its own"
                )
            if members:
                out[key] = [
                    self._schema(one, (*pointer, key, index), f"{name} {index + 1}")
                    for index, one in enumerate(members)
                ]
                self._note_discriminator(raw, out[key], (*pointer, "discriminator"))
        if "anyOf" in out or "oneOf" in out:
            return out
        self._rewrite_values(raw, out, pointer)
        parts = [
            one
            for one in raw.get("allOf") or ()
            if not isinstance(one, Mapping) or SHAPE & one.keys() or "required" in one
        ]
        if parts:
            out["allOf"] = [self._part(one, (*pointer, "allOf", index), name) for index, one in enumerate(parts)]
            for one in chain(*((part.get("properties") or {}).values() for part in out["allOf"])):
                if type(one.get("const")) in (str, int):  # which the parser merges with a type as an enum only
                    one["enum"] = [one.pop("const")]
        if raw.get("properties"):
            out["properties"] = self._properties(raw, pointer, name)
            out["type"] = "object"
        if "required" in raw:
            out["required"] = [str(one) for one in raw["required"]]
        if "additionalProperties" in raw and raw["additionalProperties"] is not None:
            values = raw["additionalProperties"]
            out["additionalProperties"] = (
                values
                if isinstance(values, bool)
                else self._schema(values, (*pointer, "additionalProperties"), f"{name} Value")
            )
            out["type"] = "object"
        if out.get("type") == "array" or (isinstance(out.get("type"), list) and "array" in out["type"]):
            out["items"] = self._schema(raw.get("items", {}), (*pointer, "items"), f"{name} Item")
        if list(out) == ["allOf"] and len(parts) == 1 and "$ref" in out["allOf"][0]:
            return dict(out["allOf"][0])
        return out

    def _properties(self, raw: Mapping[str, Any], pointer: Pointer, name: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        names: dict[str, str] = {}
        outside, self._unnamed = self._unnamed, set()
        for wire, one in raw["properties"].items():
            where = (*pointer, "properties", wire)
            same = names.setdefault(self.python_name(str(wire)), str(wire))
            if same != wire:
                self.refusals.add(
                    where, f"{wire} and {same} are one name in Python, {self.python_name(str(wire))}; rename one"
                )
                continue
            with self.refusals.collected():
                out[str(wire)] = self._schema(one, where, f"{name} {wire}")
        self._unnamed = outside
        return out

    def _part(self, raw: Any, pointer: Pointer, name: str) -> dict[str, Any]:
        """What needs no name: a component, or a member of allOf, which the parser merges where it is."""
        if isinstance(raw, Mapping) and "$ref" not in raw:
            return self._rewritten(raw, pointer, name)
        return self._schema(raw, pointer, name)

    def _rewrite_values(self, raw: Mapping[str, Any], out: dict[str, Any], pointer: Pointer) -> None:
        """Types, formats, enums and consts, in the forms that the parser knows."""
        for key in ("type", "format"):
            if key in raw:
                out[key] = raw[key]
        if raw.get("contentMediaType") and not raw.get("contentEncoding") and raw.get("type") == "string":
            out["format"] = "binary"
        if "const" in raw:
            value = raw["const"]
            if value is None:
                out["type"] = "null"
            elif isinstance(value, (dict, list, float)):
                raise Unsupported(
                    (*pointer, "const"), "is a const that is neither text, integer nor boolean; leave it out"
                )
            else:
                out["const"] = value
        if "title" in raw and "enum" in raw:
            out["title"] = raw["title"]  # names a set of values; objects have their own names
        values = raw.get("enum") or ()
        kinds = {type(value) for value in values} - {type(None)}
        if not kinds:
            return
        if kinds <= {str} or kinds <= {int}:
            out["enum"] = list(dict.fromkeys(values))
            if isinstance(out.get("type"), list):
                del out["type"]
                if "null" in raw["type"] and None not in values:
                    out["enum"].append(None)
        elif kinds == {bool}:
            out["type"] = "boolean"
        else:
            raise Unsupported(
                (*pointer, "enum"), "has values of several kinds, or numbers with fractions; use one kind, or no enum"
            )

    def _note_discriminator(self, raw: Mapping[str, Any], members: list[dict[str, Any]], pointer: Pointer) -> None:
        found = raw.get("discriminator")
        names = [one["$ref"].rpartition("/")[2] for one in members if "$ref" in one]
        if not found or len(names) < 2:
            return
        mapping = (found.get("mapping") or {}).items()
        targets = {
            str(value): self._names.get(("components", "schemas", str(target).rpartition("/")[2]), "")
            for value, target in mapping
        }
        known = str(found.get("propertyName")), {value: one for value, one in targets.items() if one in names}
        if self.discriminators.setdefault(frozenset(names), known) != known:
            raise Unsupported(
                pointer, "tells the same schemas apart in another way than elsewhere; name the union once"
            )

    # --- what the parser leaves out ---------------------------------------------------------------------------------

    def flags(self, name: str, wire: str) -> Mapping[str, Any]:
        """What the document says of a property besides its type: deprecated, readOnly, writeOnly."""
        flags: dict[str, Any] = {}
        for raw in self._parts_of(self._source(name)):
            one = (raw.get("properties") or {}).get(wire)
            if isinstance(one, Mapping) and one.get("description"):
                flags["description"] = str(one["description"])  # that of a reference is about the field
            while isinstance(one, Mapping):
                flags |= {key: one[key] for key in FLAGS if one.get(key)}
                one = self.resolve(one) if "$ref" in one else None
        return flags

    def is_open(self, name: str) -> bool:
        """Whether an object says that it has other properties than those it names."""
        return any(raw.get("additionalProperties") not in (None, False) for raw in self._parts_of(self._source(name)))

    def _source(self, name: str) -> Any:
        return reduce(getitem, self.sources[name], self.data)

    def _parts_of(self, raw: Any) -> Iterator[Mapping[str, Any]]:
        raw = self.resolve(raw)
        yield raw
        for part in raw.get("allOf") or ():
            yield from self._parts_of(part)


def _in_parser(name: str) -> str:
    """The name of a parameter of a path in the letters that the parser allows there."""
    return name if re.fullmatch(r"[A-Za-z_-][\w-]*", name, re.ASCII) else f"p{name.encode().hex()}"


def media_type(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _is_json(kind: str) -> bool:
    return media_type(kind) == "application/json" or media_type(kind).endswith("+json")


def _is_form(kind: str) -> bool:
    return media_type(kind) in ("multipart/form-data", "application/x-www-form-urlencoded")


def _letters(keyword: str) -> str:
    return re.sub("[^a-z]", "", keyword.lower())


def _is_condition(schema: Any) -> bool:
    """Whether a member of a union says only which properties are there."""
    if not isinstance(schema, Mapping) or "required" not in schema:
        return False
    return SHAPE & schema.keys() <= {"properties"} and not any((schema.get("properties") or {}).values())
