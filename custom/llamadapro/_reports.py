"""What jobs take, and what became of their rows, one by one and in figures; `llamadapro_jobs` fills these in."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from llamadapro_api.models import BulkIssue

Rows = Iterable[Mapping[str, Any] | Exception] | AsyncIterable[Mapping[str, Any] | Exception]
"""A source of rows; an exception among them stands for a row that could not be read, and says why."""


@attrs.frozen(kw_only=True)
class ImportIssue:
    """What there is to say about one row."""

    row: int | None
    """Its place in the source, from 0; None if the service named none that was sent."""
    sent: bool
    """False for a bad row, which was refused here; True for what the service reports."""
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
class UnfinishedChunk:
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
    unknown: list[UnfinishedChunk] = attrs.field(factory=list)
    """Chunks that may have been processed: check with the service before `resend_unknown=True` sends them again."""
    failed: list[UnfinishedChunk] = attrs.field(factory=list)
    """Chunks that certainly were not processed: the next run on the same ledger sends them again."""
    chunks: int = 0
    resumed: int = 0
    """Chunks that an earlier run had done, so that they were not sent in this one."""
    issues: list[ImportIssue] = attrs.field(factory=list, repr=False)
    """What there is to say about single rows: the first `max_issues` of them; `on_issue` is given every one."""
    more_issues: int = 0
    """How many there are in addition."""
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
        return f"{self.read:,} rows read: {self.successful:,} successful{_listed(figures)}"


@attrs.frozen(kw_only=True)
class SendIssue:
    """A row that was not sent, or of which that is not known."""

    row: int
    """Its place in the source, from 0; the line where the source is a file of the command line."""
    key: str | None
    """What it is known by in the ledger; None for a bad row."""
    state: str
    """bad: refused here, and never sent. refused: certainly without effect. unknown: perhaps sent."""
    reason: str
    item: Any = attrs.field(repr=False)
    """The row; None if the ledger could not keep it."""


@attrs.define(kw_only=True)
class SendReport:
    """What became of the rows of a run, whichever processes sent them.

    Each row that was read is in one of `sent`, `duplicates`, `bad`, `refused`, `unknown`, `pending`.
    """

    read: int = 0
    """Rows taken from the source."""
    sent: int = 0
    """Rows that the service has taken."""
    duplicates: int = 0
    """Rows whose key an earlier row has."""
    bad: int = 0
    """Rows that were refused here and not sent."""
    refused: int = 0
    """Rows that the service refused, or answered with 429 too often."""
    unknown: int = 0
    """Rows that may have been sent: check with the service before they are sent again (`resend_unknown=True`)."""
    pending: int = 0
    """Rows that are still to be sent: the next run on the same ledger sends them."""
    issues: list[SendIssue] = attrs.field(factory=list, repr=False)
    """The bad, refused and unknown rows: the first `max_issues` of them; `on_issue` is given every one."""
    more_issues: int = 0
    """How many there are in addition."""
    elapsed: float = 0.0
    """Seconds, of this process."""

    @property
    def complete(self) -> bool:
        """Whether every row was sent, once."""
        return self.read == self.sent + self.duplicates

    def __str__(self) -> str:
        figures = {"duplicates": self.duplicates, "bad": self.bad, "refused by the service": self.refused}
        figures |= {"of unknown outcome": self.unknown, "pending": self.pending}
        return f"{self.read:,} rows read: {self.sent:,} sent{_listed(figures)}"


def _listed(figures: Mapping[str, int]) -> str:
    return "".join(f", {count:,} {name}" for name, count in figures.items() if count)
