"""What became of an import, row by row and in figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from llamadapro_api.models import BulkIssue


@attrs.frozen(kw_only=True)
class ImportIssue:
    """What there is to say about one row."""

    row: int | None
    """Its place in the source, from 0; None if the service named none that was sent."""
    sent: bool
    """False for a bad row, which was refused here; True for what the service says."""
    errors: Sequence[BulkIssue]
    """Why it was not imported; empty for a row with warnings only."""
    warnings: Sequence[BulkIssue]
    """What the service found doubtful about it."""
    item: Any = attrs.field(repr=False)
    """The row as the source gave it."""

    @property
    def reason(self) -> str:
        """The errors, or else the warnings, in a line."""
        return "; ".join(
            ": ".join(str(part) for part in (one.field, one.message or one.code) if part)
            for one in self.errors or self.warnings
        )


@attrs.frozen(kw_only=True)
class OpenChunk:
    """A chunk that was not imported, or of which that is not known."""

    number: int
    first: int
    """The place of its first row in the source, from 0."""
    last: int
    """The place of its last row."""
    rows: int
    """How many of its rows were sent, or were to be: the bad ones are not among them."""
    reason: str


@attrs.define(kw_only=True)
class ImportReport:
    """What became of the rows of an import, in this run and in earlier ones on the same ledger.

    Each row that was read is in one of `successful`, `refused`, `bad`, `unknown_rows`, `failed_rows`, `unaccounted`.
    """

    read: int = 0
    """Rows taken from the source."""
    successful: int = 0
    """Rows that the service created or changed."""
    refused: int = 0
    """Rows that the service refused."""
    warnings: int = 0
    """Rows that the service found doubtful, by its own count; they may be among the successful too."""
    duplicates: int = 0
    """Rows that the service found to be there already, by its own count; they may be among the successful too."""
    bad: int = 0
    """Rows that were refused here and not sent."""
    unknown: list[OpenChunk] = attrs.field(factory=list)
    """Chunks that may have been processed: look at the service before they are sent again (`resend_unknown=True`)."""
    failed: list[OpenChunk] = attrs.field(factory=list)
    """Chunks that certainly were not processed: the next run on the same ledger sends them again."""
    chunks: int = 0
    resumed: int = 0
    """Chunks that an earlier run had done, so that they were not sent in this one."""
    issues: list[ImportIssue] = attrs.field(factory=list, repr=False)
    """What there is to say about single rows: the first `max_issues` of them; `on_issue` is given every one."""
    more_issues: int = 0
    """How many there are beside these."""
    elapsed: float = 0.0
    """Seconds, of this run."""

    @property
    def unknown_rows(self) -> int:
        """Rows of chunks that may have been processed."""
        return sum(chunk.rows for chunk in self.unknown)

    @property
    def failed_rows(self) -> int:
        """Rows of chunks that certainly were not processed."""
        return sum(chunk.rows for chunk in self.failed)

    @property
    def sent(self) -> int:
        """Rows that the service has answered for, or may have got."""
        return self.read - self.bad - self.failed_rows

    @property
    def unaccounted(self) -> int:
        """Rows that the service got, and counted neither as successful nor as refused."""
        return max(0, self.sent - self.unknown_rows - self.successful - self.refused)

    @property
    def complete(self) -> bool:
        """Whether every row was imported."""
        return self.read == self.successful

    def __str__(self) -> str:
        figures = {"refused by the service": self.refused, "bad": self.bad, "of unknown outcome": self.unknown_rows}
        figures |= {"failed": self.failed_rows, "unaccounted for": self.unaccounted}
        others = "".join(f", {count:,} {name}" for name, count in figures.items() if count)
        return f"{self.read:,} rows read: {self.successful:,} successful{others}"
