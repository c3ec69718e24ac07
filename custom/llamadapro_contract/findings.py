"""What the probe finds, and the report of all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from .baseline import Baseline

if TYPE_CHECKING:
    from .document import Document, Pointer

Severity = Literal["contradiction", "addition", "not seen", "confirmation"]
SEVERITIES: tuple[Severity, ...] = ("contradiction", "addition", "not seen", "confirmation")
KINDS = (
    "body-unexpected",
    "body-unreadable",
    "field-missing",
    "field-renamed",
    "field-undocumented",
    "format",
    "key-not-checked",
    "key-placement",
    "null",
    "page-token-ignored",
    "page-token-missing",
    "path-missing",
    "path-moved",
    "pattern",
    "status",
    "type",
    "value-new",
)
"""Kinds of differences; docs/regenerating.md explains them."""
FAIL_ON: dict[str, tuple[Severity, ...]] = {
    "contradiction": ("contradiction",),
    "addition": ("contradiction", "addition"),
    "never": (),
}
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
    baseline: Baseline = field(default_factory=Baseline)
    fail_on: str = "contradiction"
    operations: tuple[str, ...] = ()
    """Those that are checked: all of the document, or the ones chosen with `--only`."""
    error: str | None = None
    """Why the service could not be checked, or not to the end."""
    requests: int = 0
    succeeded: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    _found: dict[str, Finding] = field(default_factory=dict)

    def add(self, finding: Finding, operation: str = "") -> None:
        old = self._found.get(finding.id, finding)
        names = (*old.operations, *finding.operations, operation)
        operations = tuple(dict.fromkeys(name for name in names if name))
        line = self.document.line(old.pointer) if self.document else 0
        self._found[finding.id] = replace(old, operations=operations, line=line)

    def extend(self, findings: Iterable[Finding], operation: str) -> None:
        for finding in findings:
            self.add(finding, operation)

    def drop(self, kind: str, pointer: Pointer, name: str) -> None:
        """Forget a finding that turned out to be part of a larger one."""
        self._found = {
            key: found
            for key, found in self._found.items()
            if not (found.kind == kind and found.pointer == pointer and name in found.fix)
        }

    @property
    def findings(self) -> list[Finding]:
        """The worst first, and in the document's order."""
        return sorted(self._found.values(), key=lambda found: (SEVERITIES.index(found.severity), found.line))

    def of(self, severity: Severity) -> list[Finding]:
        """Findings of a severity that the baseline does not accept."""
        return [found for found in self.findings if found.severity == severity and not self.accepts(found)]

    def accepts(self, finding: Finding) -> bool:
        return finding.id in self.baseline.entries

    @property
    def accepted(self) -> list[Finding]:
        return [found for found in self.findings if self.accepts(found)]

    @property
    def resolved(self) -> list[dict[str, Any]]:
        """Entries of the baseline that no longer occur, although one of their operations was seen."""
        return [
            entry
            for key, entry in self.baseline.entries.items()
            if key not in self._found and self.succeeded.intersection(entry.get("operations", ()))
        ]

    def fails(self, finding: Finding) -> bool:
        return finding.severity in FAIL_ON[self.fail_on] and not self.accepts(finding)

    @property
    def exit_code(self) -> int:
        return 2 if self.error is not None else int(any(map(self.fails, self.findings)))

    @property
    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = {severity: len(self.of(severity)) for severity in SEVERITIES}
        return {**counts, "accepted": len(self.accepted), "resolved": len(self.resolved)}

    def new_baseline(self) -> str:
        """Accepts the present differences; entries that this run could not check stay, as do notes in them."""
        resolved = {entry["id"] for entry in self.resolved}
        entries = {key: entry for key, entry in self.baseline.entries.items() if key not in resolved}
        for one in self.findings:
            if one.severity in FAIL_ON["addition"]:
                seen = {"id": one.id, "operations": list(one.operations), "message": one.message}
                entries[one.id] = {**entries.get(one.id, {}), **seen}
        return Baseline(entries).to_json()
