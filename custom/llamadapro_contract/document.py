"""openapi.yaml as the probe knows it: its operations, where in the file each thing stands, and how to write it back."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.emitter import Emitter

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

    @property
    def key_header(self) -> str:
        return str(self.tree["components"]["securitySchemes"]["ApiKeyAuth"]["name"])

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
        """The schema of an answer; None if it has no body."""
        node, pointer = self.resolve((*operation.pointer, "responses", status))
        return (*pointer, "content", "application/json", "schema") if "content" in node else None

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
