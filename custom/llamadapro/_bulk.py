"""One batch: the service's report, held against the items that were sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import attrs

from llamadapro_api import models  # inherited annotations name it too
from llamadapro_api.types import PreparedRequest


class ItemIssues(NamedTuple):
    """What the service has to say about one item of a batch."""

    item: Any
    """The caller's own item; None if the service named none that was sent."""
    errors: list[models.BulkIssue]
    """Why it was refused."""
    warnings: list[models.BulkIssue]
    """What was doubtful about it."""


@attrs.define(kw_only=True)
class BulkOutcome(models.BulkResult):
    """What became of a batch: the service's answer, and the items it is about."""

    items: Sequence[Any] = attrs.field(default=(), repr=False, eq=False)
    """What was given, in its order."""

    @property
    def issues(self) -> list[ItemIssues]:
        """The items about which there is something to say: ``for item, errors, warnings in result.issues``."""
        return [
            ItemIssues(None if index is None else self.items[index], errors, warnings)
            for index, errors, warnings in iter_issues(self.report, len(self.items))
        ]


def with_items(call: PreparedRequest[models.BulkResult], items: Sequence[Any]) -> PreparedRequest[BulkOutcome]:
    """The same call, whose answer remembers the items."""

    def read(answer: Any) -> BulkOutcome:
        outcome = BulkOutcome.from_dict(answer)
        outcome.items = items
        return outcome

    return call.with_reader(read)


def iter_issues(
    report: models.BulkReport | None, sent: int
) -> Iterator[tuple[int | None, list[models.BulkIssue], list[models.BulkIssue]]]:
    """Index, errors and warnings of each item that a report is about; an index that was not sent is None."""
    for entry in (report and report.items_issues) or ():
        if entry is not None:  # a null among them is not worth a failure
            index = entry.index if isinstance(entry.index, int) and 0 <= entry.index < sent else None
            yield index, [one for one in entry.errors or () if one], [one for one in entry.warnings or () if one]
