"""What the probe finds, and the report of it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from .document import Document, Pointer

Severity = Literal["contradiction", "addition", "confirmation", "not seen"]
SEVERITIES: tuple[Severity, ...] = ("contradiction", "addition", "not seen", "confirmation")


@dataclass(frozen=True)
class Finding:
    """One difference between the service and the document, or one thing that was seen to be as it says."""

    severity: Severity
    kind: str
    """Such as `field-missing`; docs/regenerating.md lists them."""
    message: str
    pointer: Pointer
    """Where it stands in the document."""
    path: str = ""
    """Where in the answer, as a JSON path."""
    operations: tuple[str, ...] = ()
    fix: tuple[Any, ...] = ()
    """How the document would fit: see `patch`."""
    line: int = 0

    @property
    def location(self) -> str:
        return "#/" + "/".join(key.replace("~", "~0").replace("/", "~1") for key in self.pointer)

    @property
    def operation(self) -> str:
        return ", ".join(self.operations) or "-"


@dataclass
class Report:
    """All findings; the same thing found in several answers is one finding."""

    document: Document
    base_url: str
    requests: int = 0
    notes: list[str] = field(default_factory=list)
    _found: dict[tuple[Any, ...], Finding] = field(default_factory=dict)

    def add(self, finding: Finding, operation: str = "") -> None:
        key = (finding.kind, finding.pointer, repr(finding.fix[:2]) if finding.fix else finding.message)
        old = self._found.get(key, finding)
        asked = (*old.operations, *finding.operations, operation)
        operations = dict.fromkeys(name for name in asked if name)
        self._found[key] = Finding(
            old.severity,
            old.kind,
            old.message,
            old.pointer,
            old.path,
            tuple(operations),
            old.fix,
            self.document.line(old.pointer),
        )

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
        return [found for found in self.findings if found.severity == severity]

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(found.severity for found in self.findings)
        return {severity: counted[severity] for severity in SEVERITIES}
