"""One answer against one schema: its own walker, since it separates additions from contradictions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from .document import Document, Pointer
from .findings import Finding

MIN_SIMILARITY = 0.55
_PLAIN = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Seen:
    """Which fields the objects of each schema had, over all answers."""

    fields: dict[Pointer, set[str]] = field(default_factory=lambda: defaultdict(set))
    unknown_fields: dict[Pointer, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    operations: dict[Pointer, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))


class Comparer:
    """Compares answers with a document, and remembers what it has seen."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.seen: Seen = Seen()
        self._operation = ""

    def compare(self, value: Any, pointer: Pointer, operation: str) -> Iterator[Finding]:
        self._operation = operation
        return self._value(value, pointer, "$")

    def _value(self, value: Any, pointer: Pointer, path: str) -> Iterator[Finding]:
        schema, resolved = self.document.resolve(pointer)
        for found in self._check(value, schema, resolved, path):
            # Where many places share a schema, each is a difference of its own; the fields of an object are not.
            own = found.path == path and found.kind != "field-missing"
            yield replace(found, origin=pointer) if own else found

    def _check(self, value: Any, schema: Any, pointer: Pointer, path: str) -> Iterator[Finding]:
        branches = "anyOf" if "anyOf" in schema else "oneOf"
        if branches in schema:
            yield from self._union(value, (*pointer, branches), path)
            return
        kinds = schema.get("type")
        if kinds is None:
            return
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        kind = json_type(value)
        if kind not in kinds and not (kind == "integer" and "number" in kinds):
            if value is None:
                yield Finding("contradiction", "null", "null, which is not allowed", pointer, path, fix=("nullable",))
            else:
                message = f"{_with_article(kind)} instead of {' or '.join(map(_with_article, kinds))}"
                yield Finding("contradiction", "type", message, pointer, path, fix=("type", kind))
        elif kind == "object":
            yield from self._object(value, schema, pointer, path)
        elif kind == "array" and "items" in schema:
            for index, item in enumerate(value):
                yield from self._value(item, (*pointer, "items"), f"{path}[{index}]")
        else:
            yield from _scalar(value, schema, pointer, path)

    def _object(self, value: dict[str, Any], schema: Any, pointer: Pointer, path: str) -> Iterator[Finding]:
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", not known)
        if known:
            self.seen.fields[pointer] |= value.keys() & known.keys()
            self.seen.operations[pointer][self._operation] = None
        for name in schema.get("required", ()):
            if name not in value:
                message = f"the required field {name} is missing"
                yield Finding("contradiction", "field-missing", message, pointer, path, fix=("relax", name))
        for name, inner in value.items():
            inner_path = f"{path}.{name}" if _PLAIN.fullmatch(name) else f"{path}[{name!r}]"
            if name in known:
                yield from self._value(inner, (*pointer, "properties", name), inner_path)
            elif isinstance(others, dict):
                yield from self._value(inner, (*pointer, "additionalProperties"), inner_path)
            elif not others:
                self.seen.unknown_fields[pointer].setdefault(name, inner)
                message = f"the field {name} ({json_type(inner)}) is not documented"
                fix = ("add-field", name, _schema_of(inner))
                yield Finding("addition", "field-undocumented", message, pointer, inner_path, fix=fix)

    def _union(self, value: Any, pointer: Pointer, path: str) -> Iterator[Finding]:
        branches = [(*pointer, str(index)) for index in range(len(self.document.at(pointer)))]
        if isinstance(value, str):
            # Known values or any text: an open set. A new one is no contradiction, but worth knowing.
            sets = [at for at in branches if "enum" in self.document.resolve(at)[0]]
            texts = [at for at in branches if self.document.resolve(at)[0] == {"type": "string"}]
            if sets and texts:
                known = [one for at in sets for one in self.document.resolve(at)[0]["enum"]]
                if value not in known:
                    at = self.document.resolve(sets[0])[1]
                    message = f"the value {_abbreviate(value)} is new in an open set ({', '.join(map(str, known))})"
                    yield Finding("addition", "value-new", message, at, path, fix=("add-value", value))
                return
        # The branch that it fits best gives the findings; what the others saw does not count.
        trials = [self._trial(value, at, path) for at in branches]
        contradictions = [sum(one.severity == "contradiction" for one in trial) for trial in trials]
        best = min(range(len(branches)), key=lambda index: (contradictions[index], len(trials[index])))
        if value is None and contradictions[best]:
            yield Finding("contradiction", "null", "null, which is not allowed", pointer[:-1], path, fix=("nullable",))
        else:
            yield from self._value(value, branches[best], path)

    # --- over all answers ----------------------------------------------------------------------------------------

    def renamed_fields(self) -> Iterator[tuple[Pointer, str, str]]:
        """Documented fields that never came, with undocumented ones that could be the same."""
        for pointer, unknown_fields in self.seen.unknown_fields.items():
            schema = self.document.at(pointer)
            absent = [name for name in schema["properties"] if name not in self.seen.fields[pointer]]
            pairs = sorted(
                (-_similarity(old, new), old, new)
                for old in absent
                for new, value in unknown_fields.items()
                if not any(one.severity == "contradiction" for one in self._trial(value, (*pointer, "properties", old)))
            )
            used: set[str] = set()
            for negative_similarity, old, new in pairs:
                if -negative_similarity >= MIN_SIMILARITY and not used & {old, new}:
                    used |= {old, new}
                    yield pointer, old, new

    def unseen_fields(self) -> Iterator[tuple[Pointer, list[str], tuple[str, ...]]]:
        for pointer, operations in self.seen.operations.items():
            schema = self.document.at(pointer)
            names = [name for name in schema["properties"] if name not in self.seen.fields[pointer]]
            if names:
                yield pointer, names, tuple(operations)

    def _trial(self, value: Any, pointer: Pointer, path: str = "$") -> list[Finding]:
        before, self.seen = self.seen, Seen()
        try:
            return list(self._value(value, pointer, path))
        finally:
            self.seen = before


def json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"  # JSON knows one kind of number: 91.0 is an integer
    names = {float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _scalar(value: Any, schema: Any, pointer: Pointer, path: str) -> Iterator[Finding]:
    closed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if closed is not None and value is not None and value not in closed:
        message = f"the value {_abbreviate(value)} is not in the closed set ({', '.join(map(str, closed))})"
        yield Finding("contradiction", "value-new", message, pointer, path, fix=("add-value", value))
    if schema.get("format") == "date-time" and isinstance(value, str) and not _is_date_time(value):
        message = f"{_abbreviate(value)} is no date-time"
        yield Finding("contradiction", "format", message, pointer, path, fix=("drop", "format"))
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        message = f"a text that does not match {schema['pattern']}"
        yield Finding("contradiction", "pattern", message, pointer, path, fix=("drop", "pattern"))


def _abbreviate(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}…"


def _is_date_time(text: str) -> bool:
    """As RFC 3339 has it, with an offset; how the client makes do with less is its own affair."""
    try:
        return "T" in text.upper() and datetime.fromisoformat(text.upper()).tzinfo is not None
    except ValueError:
        return False


def _schema_of(value: Any, depth: int = 3) -> dict[str, Any]:
    """The simplest schema that a value fits; of lists in lists, only the outer ones."""
    kind = json_type(value)
    if kind == "null":
        return {}
    if kind == "string" and _is_date_time(value):
        return {"type": "string", "format": "date-time"}
    if kind == "array":
        return {"type": "array", "items": _schema_of(value[0], depth - 1) if value and depth else {}}
    if kind == "object":
        return {"$ref": "#/components/schemas/FreeFormObject"}
    return {"type": kind}


def _similarity(one: str, other: str) -> float:
    """Of two names; a word in common counts."""
    words = [set(re.findall(r"[A-Z]?[a-z0-9]+", name.replace("_", " "))) for name in (one, other)]
    lower = [{word.lower() for word in group} for group in words]
    common = len(lower[0] & lower[1]) / max(1, min(map(len, lower)))
    return max(common * 0.9, SequenceMatcher(None, one.lower(), other.lower()).ratio())


def _with_article(kind: str) -> str:
    return {"null": "null", "array": "an array", "object": "an object", "integer": "an integer"}.get(kind, f"a {kind}")
