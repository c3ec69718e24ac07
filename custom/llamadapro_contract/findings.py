"""What the probe finds, and the report of all of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llamadapro import ConfigurationError

if TYPE_CHECKING:
    from .document import Document, Pointer

MIN_REDACTED_LENGTH = 12
"""Shorter keys are words that a report may use by chance."""
Severity = Literal["contradiction", "addition", "not seen", "confirmation"]
SEVERITIES: tuple[Severity, ...] = ("contradiction", "addition", "not seen", "confirmation")
KINDS = (
    *("body-unexpected", "body-unreadable", "field-missing", "field-renamed", "field-undocumented", "format"),
    *("key-not-checked", "key-placement", "null", "page-token-ignored", "page-token-missing", "path-missing"),
    *("path-moved", "pattern", "status", "type", "value-new"),
)
"""Kinds of differences; docs/regenerating.md explains them."""
DIFFERENCES = ("contradiction", "addition")
VERSION = 1
"""Of the baseline file."""
FAIL_ON: dict[str, tuple[str, ...]] = {"contradiction": ("contradiction",), "addition": DIFFERENCES, "never": ()}
"""What `--fail-on` takes, and the severities that it makes fail."""


@dataclass(frozen=True)
class Finding:
    """One difference between the service and the document, or one thing that agrees or was not seen."""

    severity: Severity
    kind: str
    message: str
    pointer: Pointer
    """Where the document would have to change."""
    path: str = ""
    """Where in the answer, as a JSON path."""
    operations: tuple[str, ...] = ()
    fix: tuple[Any, ...] = ()
    """How the document would fit: see `patch`."""
    line: int = 0
    origin: Pointer = ()
    """Where the document refers to `pointer`, if that is a schema which many places share."""

    @property
    def location(self) -> str:
        return _json_pointer(self.pointer)

    @property
    def id(self) -> str:
        """The same in every run: made of where the difference is, not of when or in which answer it was seen."""
        detail = [str(one) for one in self.fix[1:3] if not isinstance(one, dict)]
        return " ".join([self.severity, self.kind, _json_pointer(self.origin or self.pointer), *detail])

    @property
    def operation(self) -> str:
        return ", ".join(self.operations) or "-"


def _json_pointer(keys: Pointer) -> str:
    return "#/" + "/".join(key.replace("~", "~0").replace("/", "~1") for key in keys)


@dataclass
class Report:
    """All findings; the same difference in several answers is one finding."""

    document: Document | None = None
    base_url: str = ""
    key: str = ""
    """The API key: what a service answers may quote it."""
    baseline: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Entries of accepted differences, by id."""
    fail_on: str = "contradiction"
    operations: tuple[str, ...] = ()
    """Those that are checked: all of the document, or the ones chosen with `--only`."""
    error: str | None = None
    """Why the service could not be checked, or not to the end."""
    requests: int = 0
    succeeded: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    _found: dict[str, Finding] = field(default_factory=dict)

    def shown(self, text: str) -> str:
        """What a service says, for any format and any terminal: on one line, and without the key."""
        if len(self.key) >= MIN_REDACTED_LENGTH:
            text = text.replace(self.key, "<key>")
        return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)

    def add(self, finding: Finding, operation: str = "") -> None:
        fix = tuple(self.shown(one) if isinstance(one, str) else one for one in finding.fix)
        finding = replace(finding, message=self.shown(finding.message), path=self.shown(finding.path), fix=fix)
        old = self._found.get(finding.id, finding)
        names = (*old.operations, *finding.operations, operation)
        operations = tuple(dict.fromkeys(name for name in names if name))
        line = self.document.line(old.pointer) if self.document else 0
        self._found[finding.id] = replace(old, operations=operations, line=line)

    def drop(self, kind: str, pointer: Pointer, name: str) -> None:
        """Forget a finding that turned out to be part of a larger one."""
        for key, one in [*self._found.items()]:
            if (one.kind, one.pointer) == (kind, pointer) and name in one.fix:
                del self._found[key]

    @property
    def findings(self) -> list[Finding]:
        """The worst first, and in the document's order."""
        return sorted(self._found.values(), key=lambda found: (SEVERITIES.index(found.severity), found.line))

    def of(self, *groups: str) -> list[Finding]:
        """Findings of these severities that the baseline does not accept; or those that it does, `accepted`."""
        return [found for found in self.findings if self.group(found) in groups]

    def group(self, finding: Finding) -> str:
        return "accepted" if finding.id in self.baseline else finding.severity

    def fails(self, finding: Finding) -> bool:
        return self.group(finding) in FAIL_ON[self.fail_on]

    @property
    def resolved(self) -> list[dict[str, Any]]:
        """Entries of the baseline that no longer occur, although one of their operations was seen."""
        gone = (entry for key, entry in self.baseline.items() if key not in self._found)
        return [entry for entry in gone if self.succeeded.intersection(entry.get("operations", ()))]

    @property
    def exit_code(self) -> int:
        return 2 if self.error is not None else int(any(map(self.fails, self.findings)))

    @property
    def counts(self) -> dict[str, int]:
        return {group: len(self.of(group)) for group in (*SEVERITIES, "accepted")} | {"resolved": len(self.resolved)}

    def new_baseline(self) -> str:
        """Accepts the present differences; entries that this run could not check stay, as do notes in them."""
        entries = {key: entry for key, entry in self.baseline.items() if entry not in self.resolved}
        for one in self.findings:
            if one.severity in DIFFERENCES:
                seen = {"id": one.id, "operations": list(one.operations), "message": one.message}
                entries[one.id] = {**entries.get(one.id, {}), **seen}
        content = {"version": VERSION, "accepted": [entries[key] for key in sorted(entries)]}
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def read_baseline(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of a baseline file. Raises `ConfigurationError`."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if content.get("version", VERSION) != VERSION:
            raise ValueError(f"version {content['version']} is unknown")
        entries = [(entry["id"], entry.get("operations", []), entry) for entry in content["accepted"]]
        if not all(isinstance(one, str) for number, names, _ in entries for one in (number, *names)):
            raise ValueError("an id or an operation is no text")
        return {number: entry for number, _, entry in entries}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"{path} cannot be read as a baseline ({problem}); --write-baseline creates one"
        ) from None
