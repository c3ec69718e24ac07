"""What the generator refuses, each with its place in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from ruamel.yaml import YAML

Pointer = tuple[str | int, ...]


class Unsupported(Exception):
    """Something in the document for which no right code can be written."""

    def __init__(self, pointer: Pointer, what: str) -> None:
        super().__init__(what)
        self.pointer = pointer
        self.what = what


@attrs.define
class Refused(Exception):
    """All that was refused; nothing was written."""

    lines: list[str]

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Refusals:
    """Refusals as they are found, to be shown all at once in the order of their lines."""

    def __init__(self, path: Path, raw: bytes) -> None:
        self._path = path
        self._raw = raw
        self.found: list[tuple[Pointer, str]] = []
        self.notes: list[str] = []
        """What is passed over, and said."""

    def add(self, pointer: Pointer, what: str) -> None:
        if (pointer, what) not in self.found:
            self.found.append((pointer, what))

    @contextmanager
    def collected(self, where: Pointer = ()) -> Iterator[None]:
        """Refuse what is unsupported here, and go on; what is no OpenAPI at all is refused at `where`."""
        try:
            yield
        except Unsupported as refused:
            self.add(refused.pointer, refused.what)
        except (AttributeError, TypeError, ValueError, LookupError) as error:
            if not where:
                raise
            self.add(where, f"is not as OpenAPI 3.1 has it ({error}); `make redocly` says what it expects")

    def note(self, pointer: Pointer, what: str) -> None:
        self.notes.append(f"note: {place(pointer)}: {what}")

    def check(self) -> None:
        """Raise what was found."""
        if self.found:
            root = YAML(typ="safe").compose(self._raw)
            found = sorted((_line(root, pointer), place(pointer), what) for pointer, what in self.found)
            raise Refused([f"{self._path.name}:{line}: {where}: {what}" for line, where, what in found])


def place(pointer: Pointer) -> str:
    """A pointer in words: ``GET /x, responses.200``, ``Contact, properties.id``."""
    if pointer[:1] == ("paths",) and len(pointer) > 1:
        named = len(pointer) > 2 and str(pointer[2]).isalpha() and pointer[2] not in ("servers", "parameters")
        head = f"{str(pointer[2]).upper()} {pointer[1]}" if named else str(pointer[1])
        rest = pointer[3:] if named else pointer[2:]
    elif pointer[:2] == ("components", "schemas") and len(pointer) > 2:
        head, rest = str(pointer[2]), pointer[3:]
    else:
        return ".".join(map(str, pointer)) or "document"
    return f"{head}, {'.'.join(map(str, rest))}" if rest else head


def _line(node: Any, pointer: Pointer) -> int:
    """The line of the nearest thing that the document has."""
    line = node.start_mark.line + 1
    for step in pointer:
        if isinstance(step, int) and node.id == "sequence" and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
            continue
        pairs = node.value if node.id == "mapping" else ()
        found = next(((key, value) for key, value in pairs if key.value == str(step)), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return int(line)
