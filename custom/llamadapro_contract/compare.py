"""One answer against one schema: a walker of its own, for it must tell what is new from what is wrong."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from .document import Document, Pointer
from .findings import Finding

_ALIKE = 0.55
_PLAIN = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Seen:
    """Which fields the objects of each schema had, over all answers."""

    objects: dict[Pointer, int] = field(default_factory=lambda: defaultdict(int))
    fields: dict[Pointer, set[str]] = field(default_factory=lambda: defaultdict(set))
    strangers: dict[Pointer, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
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

    def _value(self, value: Any, pointer: Pointer, place: str) -> Iterator[Finding]:
        schema, pointer = self.document.resolve(pointer)
        branches = "anyOf" if "anyOf" in schema else "oneOf"
        if branches in schema:
            yield from self._union(value, (*pointer, branches), place)
            return
        kinds = schema.get("type")
        if kinds is None:
            return
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        kind = kind_of(value)
        if kind not in kinds and not (kind == "integer" and "number" in kinds):
            if value is None:
                yield Finding("contradiction", "null", "null, which is not allowed", pointer, place, fix=("nullable",))
            else:
                what = f"{_a(kind)} instead of {' or '.join(map(_a, kinds))}"
                yield Finding("contradiction", "type", what, pointer, place, fix=("type", kind))
        elif kind == "object":
            yield from self._object(value, schema, pointer, place)
        elif kind == "array" and "items" in schema:
            for index, item in enumerate(value):
                yield from self._value(item, (*pointer, "items"), f"{place}[{index}]")
        else:
            yield from _scalar(value, schema, pointer, place)

    def _object(self, value: dict[str, Any], schema: Any, pointer: Pointer, place: str) -> Iterator[Finding]:
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", not known)
        if known:
            self.seen.objects[pointer] += 1
            self.seen.fields[pointer] |= value.keys() & known.keys()
            self.seen.operations[pointer][self._operation] = None
        for name in schema.get("required", ()):
            if name not in value:
                what = f"the required field {name} is missing"
                yield Finding("contradiction", "field-missing", what, pointer, place, fix=("relax", name))
        for name, inner in value.items():
            where = f"{place}.{name}" if _PLAIN.fullmatch(name) else f"{place}[{name!r}]"
            if name in known:
                yield from self._value(inner, (*pointer, "properties", name), where)
            elif isinstance(others, dict):
                yield from self._value(inner, (*pointer, "additionalProperties"), where)
            elif not others:
                self.seen.strangers[pointer].setdefault(name, inner)
                what = f"the field {name} ({kind_of(inner)}) is not documented"
                fix = ("add-field", name, _schema_of(inner))
                yield Finding("addition", "field-undocumented", what, pointer, where, fix=fix)

    def _union(self, value: Any, pointer: Pointer, place: str) -> Iterator[Finding]:
        branches = [(*pointer, str(index)) for index in range(len(self.document.at(pointer)))]
        if isinstance(value, str):
            # Known values or any text: an open set. A new one is no contradiction, but worth knowing.
            sets = [at for at in branches if "enum" in self.document.resolve(at)[0]]
            texts = [at for at in branches if self.document.resolve(at)[0] == {"type": "string"}]
            if sets and texts:
                known = [one for at in sets for one in self.document.resolve(at)[0]["enum"]]
                if value not in known:
                    at = self.document.resolve(sets[0])[1]
                    what = f"the value {_short(value)} is new in an open set ({', '.join(map(str, known))})"
                    yield Finding("addition", "value-new", what, at, place, fix=("add-value", value))
                return
        # The branch that it fits best tells what is wrong with it. What the others saw does not count.
        before = self.seen
        found: list[tuple[int, int, int]] = []
        for at in branches:
            self.seen = Seen()
            told = list(self._value(value, at, place))
            found.append((sum(one.severity == "contradiction" for one in told), len(told), len(found)))
        self.seen = before
        best = min(found)
        if value is None and best[0]:
            yield Finding("contradiction", "null", "null, which is not allowed", pointer[:-1], place, fix=("nullable",))
            return
        yield from self._value(value, branches[best[2]], place)

    # --- what only all answers together tell ---------------------------------------------------------------------

    def renamed(self) -> Iterator[tuple[Pointer, str, str]]:
        """Documented fields that never came, with undocumented ones that could be the same."""
        for pointer, strangers in self.seen.strangers.items():
            schema = self.document.at(pointer)
            absent = [name for name in schema["properties"] if name not in self.seen.fields[pointer]]
            pairs = sorted(
                (-_likeness(old, new), old, new)
                for old in absent
                for new, value in strangers.items()
                if not any(one.severity == "contradiction" for one in self._trial(value, (*pointer, "properties", old)))
            )
            used: set[str] = set()
            for unlikeness, old, new in pairs:
                if -unlikeness >= _ALIKE and not used & {old, new}:
                    used |= {old, new}
                    yield pointer, old, new

    def unseen(self) -> Iterator[tuple[Pointer, list[str], tuple[str, ...]]]:
        for pointer in self.seen.objects:
            schema = self.document.at(pointer)
            names = [name for name in schema["properties"] if name not in self.seen.fields[pointer]]
            if names:
                yield pointer, names, tuple(self.seen.operations[pointer])

    def _trial(self, value: Any, pointer: Pointer) -> list[Finding]:
        before, self.seen = self.seen, Seen()
        try:
            return list(self._value(value, pointer, "$"))
        finally:
            self.seen = before


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"  # JSON knows one kind of number: 91.0 is whole
    names = {float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _scalar(value: Any, schema: Any, pointer: Pointer, place: str) -> Iterator[Finding]:
    closed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if closed is not None and value is not None and value not in closed:
        what = f"the value {_short(value)} is not in the closed set ({', '.join(map(str, closed))})"
        yield Finding("contradiction", "value-new", what, pointer, place, fix=("add-value", value))
    if schema.get("format") == "date-time" and isinstance(value, str) and not _is_moment(value):
        what = f"{_short(value)} is no date-time"
        yield Finding("contradiction", "format", what, pointer, place, fix=("drop", "format"))
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        what = f"a text that does not match {schema['pattern']}"
        yield Finding("contradiction", "pattern", what, pointer, place, fix=("drop", "pattern"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}…"


def _is_moment(text: str) -> bool:
    """As RFC 3339 has it, with an offset; how the client makes do with less is its own affair."""
    try:
        return "T" in text.upper() and datetime.fromisoformat(text.upper()).tzinfo is not None
    except ValueError:
        return False


def _schema_of(value: Any) -> dict[str, Any]:
    """The simplest schema that a value fits."""
    kind = kind_of(value)
    if kind == "null":
        return {}
    if kind == "string" and _is_moment(value):
        return {"type": "string", "format": "date-time"}
    if kind == "array":
        return {"type": "array", "items": _schema_of(value[0]) if value else {}}
    if kind == "object":
        return {"$ref": "#/components/schemas/FreeFormObject"}
    return {"type": kind}


def _likeness(one: str, other: str) -> float:
    """Of two names; a word in common counts."""
    words = [set(re.findall(r"[A-Z]?[a-z0-9]+", name.replace("_", " "))) for name in (one, other)]
    lower = [{word.lower() for word in group} for group in words]
    common = len(lower[0] & lower[1]) / max(1, min(map(len, lower)))
    return max(common * 0.9, SequenceMatcher(None, one.lower(), other.lower()).ratio())


def _a(kind: str) -> str:
    return {"null": "null", "array": "an array", "object": "an object", "integer": "an integer"}.get(kind, f"a {kind}")
