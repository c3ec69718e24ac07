"""openapi.yaml as the probe knows it: its operations, where in the file each thing stands, and how to write it back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.emitter import Emitter

from llamadapro import ConfigurationError

PAGE_SIZES = ("pageSize", "limit", "size", "perPage")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
Pointer = tuple[str, ...]
"""The keys that lead from the top of the document to a place in it."""


class _Emitter(Emitter):
    """Writes ``{ a: b }`` with the spaces that the document has, where ruamel.yaml writes ``{a: b}``."""

    _last = ""

    def write_indicator(
        self, indicator: Any, need_whitespace: Any, whitespace: Any = False, indention: Any = False
    ) -> None:
        if indicator == "{":
            whitespace = False
        elif indicator == "}":
            need_whitespace = self._last != "{"
        self._last = indicator
        super().write_indicator(indicator, need_whitespace, whitespace, indention)

    def write_plain(self, *args: Any, **kwargs: Any) -> None:
        self._last = ""
        super().write_plain(*args, **kwargs)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Emitter = _Emitter
    yaml.preserve_quotes = True
    yaml.width = 100_000  # no line is broken that was not
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


@dataclass(frozen=True)
class KeyPlacement:
    """How the API key travels; without a header, as the client does by itself."""

    header: str | None
    scheme: str | None = None

    def __str__(self) -> str:
        value = f"{self.scheme} KEY" if self.scheme else "KEY"
        return f"{self.header}: {value}" if self.header else "the client sends it"


@dataclass(frozen=True)
class Operation:
    """One method on one path."""

    id: str
    method: str
    path: str
    raw: Any
    pointer: Pointer

    @property
    def is_inferred(self) -> bool:
        return bool(self.raw.get("x-provenance") == "inferred")

    @property
    def success(self) -> str:
        return min(str(status) for status in self.raw["responses"] if status.startswith("2"))

    def documented(self, status: str) -> str | None:
        """The key of what the document says of a status."""
        return next((key for key in (status, f"{status[0]}XX", "default") if key in self.raw["responses"]), None)


@cache
def packaged() -> Document:
    """The repository's document (the package holds it, or a link to it). Not to be changed: it is read once."""
    return Document(files("llamadapro_contract").joinpath("openapi.yaml").read_text("utf-8"))


class Document:
    """A document with its comments, order and line numbers."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree: Any = _yaml().load(text)

    @cached_property
    def operations(self) -> dict[str, Operation]:
        found = (
            Operation(item[method]["operationId"], method.upper(), path, item[method], ("paths", path, method))
            for path, item in self.tree["paths"].items()
            for method in METHODS
            if method in item
        )
        return {operation.id: operation for operation in found}

    def find_operation(self, name: str) -> str:
        """The operation's id, however its words are written: `GetContacts`, `get_contacts`."""
        known = {_plain(one): one for one in self.operations}
        if _plain(name) in known:
            return known[_plain(name)]
        close = get_close_matches(_plain(name), known, 3)
        hint = f"did you mean {' or '.join(known[one] for one in close)}?" if close else "openapi.yaml names them"
        raise ConfigurationError(f"there is no operation {name!r}: {hint}")

    @cached_property
    def lists(self) -> list[tuple[Operation, str | None, str | None]]:
        """Operations that list records without an id; what reads one; the parameter for the size of pages, if any."""
        found = []
        for operation in self.operations.values():
            pointer = self.answer(operation, operation.success)
            schema = self.resolve(pointer)[0] if pointer else {}
            if operation.method == "GET" and "{" not in operation.path and "items" in schema.get("properties", ()):
                one = re.compile(rf"GET {re.escape(operation.path)}/{{\w+}}")
                readers = (name for name, it in self.operations.items() if one.fullmatch(f"{it.method} {it.path}"))
                paged = "nextPageToken" in schema["properties"]
                sizes = (name for name, _ in self.parameters(operation, "query") if paged and name in PAGE_SIZES)
                found.append((operation, next(readers, None), next(sizes, None)))
        return found

    def parameters(self, operation: Operation, place: str) -> Iterator[tuple[str, Any]]:
        """Names and schemas of the parameters in the path or in the query."""
        for index in range(len(operation.raw.get("parameters", ()))):
            parameter, _ = self.resolve((*operation.pointer, "parameters", str(index)))
            if parameter["in"] == place:
                yield parameter["name"], parameter["schema"]

    @cached_property
    def security_scheme(self) -> Pointer:
        """That of the first requirement which names one."""
        places = [self.tree, *(operation.raw for operation in self.operations.values())]
        names = (name for place in places for requirement in place.get("security", ()) for name in requirement)
        return ("components", "securitySchemes", next(names, ""))

    @property
    def key_placement(self) -> KeyPlacement:
        try:
            scheme, _ = self.resolve(self.security_scheme)
        except LookupError:
            return KeyPlacement(None)
        if scheme["type"] == "http":
            return KeyPlacement("Authorization", str(scheme["scheme"]).capitalize())
        return KeyPlacement(str(scheme["name"]) if scheme["in"] == "header" else None)

    def at(self, pointer: Pointer) -> Any:
        node = self.tree
        for key in pointer:
            node = node[int(key)] if isinstance(node, list) else node[key]
        return node

    def resolve(self, pointer: Pointer) -> tuple[Any, Pointer]:
        """What stands there, and where it really stands: references are followed."""
        node = self.at(pointer)
        while isinstance(node, dict) and "$ref" in node:
            parts = node["$ref"].removeprefix("#/").split("/")
            pointer = tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)
            node = self.at(pointer)
        return node, pointer

    def answer(self, operation: Operation, status: str) -> Pointer | None:
        """The schema of an answer: None if it has no body, empty if that is not JSON."""
        node, pointer = self.resolve((*operation.pointer, "responses", status))
        names = [name for name in node.get("content", ()) if "json" in name]
        return (*pointer, "content", names[0], "schema") if names else () if node.get("content") else None

    def line(self, pointer: Pointer) -> int:
        """Counted from 1; of the nearest place above that is there."""
        node: Any = self.tree
        line = 1
        for key in pointer:
            if isinstance(node, CommentedSeq) and key.isdigit() and int(key) < len(node):
                line, node = node.lc.item(int(key))[0] + 1, node[int(key)]
            elif isinstance(node, CommentedMap) and key in node:
                line, node = node.lc.key(key)[0] + 1, node[key]
            else:
                break
        return line

    def dump(self) -> str:
        """The text, changes included: comments, order and all that was not touched as they were."""
        out = io.StringIO()
        _yaml().dump(self.tree, out)
        return out.getvalue()


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
