"""Imports of any size: rows are taken from their source chunk by chunk, checked, sent, and written down in a ledger.

Nothing is sent twice: a chunk that is done is not sent again, one that certainly was not processed is sent again by
the next run on the same ledger, and one whose outcome nobody knows only when that is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from os import PathLike
from typing import TYPE_CHECKING, Any

import attrs
import orjson

from llamadapro_api.errors import ValidationError
from llamadapro_api.models import BulkIssue, BulkReport, BulkResult

from .._transport import Clock
from ..errors import (
    APIError,
    APIStatusError,
    ConfigurationError,
    InvalidRequestError,
    LlamadaProError,
    WaitTimeoutError,
)
from .batch import told
from .report import ImportIssue, ImportReport, OpenChunk
from .source import Chunk, Rows, Source

if TYPE_CHECKING:
    from .ledger import Entry, Ledger, State

LONGEST_REASON = 500


@attrs.frozen(kw_only=True)
class Importer:
    """How to import: what to do with the rows, how many at a time, and whom to tell."""

    check: Callable[[Any], Any]
    """Makes a row what is to be sent, or raises `ValidationError` or `InvalidRequestError`."""
    send: Callable[[list[Any]], Awaitable[BulkResult]]
    """Sends checked rows."""
    about: Mapping[str, str]
    """What must not change between the runs on one ledger."""
    ledger: str | PathLike[str] | None
    chunk_size: int
    concurrency: int
    resend_unknown: bool
    timeout: float | None
    max_issues: int
    on_progress: Callable[[ImportReport], object] | None
    on_issue: Callable[[ImportIssue], object] | None
    clock: Clock

    def __attrs_post_init__(self) -> None:
        for name, least in (("chunk_size", 1), ("concurrency", 1), ("max_issues", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidRequestError(f"{name} must be an integer of at least {least}, not {value!r}")
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidRequestError(f"timeout must be a number of seconds above 0, or None, not {self.timeout!r}")

    async def run(self, rows: Rows) -> ImportReport:
        """Import all rows; what stops the import early is raised, with the report so far as its `report`."""
        from .ledger import Ledger  # SQLite is loaded by those who import

        source = Source(rows, self.chunk_size)
        with closing(Ledger(self.ledger, {**self.about, "chunk_size": str(self.chunk_size)})) as ledger:
            run = _Run(self, source, ledger)
            try:
                async with asyncio.timeout(self.timeout), asyncio.TaskGroup() as group:
                    for _ in range(self.concurrency):
                        group.create_task(run.work())
            except TimeoutError:
                words = f"the import did not end within its timeout of {self.timeout:g} s"
                run.stop(WaitTimeoutError(words, last=run.report))
            return run.result()


class _Run:
    """One run, on its way. Each of its workers holds one chunk at a time, so the source is read no faster than that."""

    def __init__(self, how: Importer, source: Source, ledger: Ledger) -> None:
        self._how = how
        self._source = source
        self._ledger = ledger
        self._reading = asyncio.Lock()
        self._readers: set[asyncio.Task[Any]] = set()
        self._stopped: Exception | None = None
        self._began = how.clock.now()
        self.report = ImportReport()

    async def work(self) -> None:
        """Take chunks until there are none, or until something stops the import."""
        try:
            while (taken := await self._take()) is not None:
                await self._handle(*taken)
                self.report.elapsed = self._how.clock.now() - self._began
                if self._how.on_progress is not None:
                    self._how.on_progress(self.report)
                await asyncio.sleep(0)  # many chunks that are done already must not hold up the event loop
        except Exception as error:
            self.stop(error)

    def stop(self, error: Exception) -> None:
        """Take no more chunks. Those that are being sent are seen through: cut off, their outcome would be unknown."""
        self._stopped = self._stopped or error
        for reader in self._readers:
            reader.cancel()

    def result(self) -> ImportReport:
        report, error = self.report, self._stopped
        report.elapsed = self._how.clock.now() - self._began
        for listed in (report.unknown, report.failed):
            listed.sort(key=lambda chunk: chunk.number)
        report.issues.sort(key=lambda issue: -1 if issue.row is None else issue.row)
        if error is None and (rows := self._ledger.rows()) > report.read:
            error = _changed(f"it ended after {report.read} rows, and the ledger knows {rows}")
        if error is None:
            return report
        error.add_note(f"The import stopped early. {report}. With a ledger, the next run goes on from here.")
        vars(error)["report"] = report
        raise error

    async def _take(self) -> tuple[Chunk, Entry | None] | None:
        """The next chunk, and what earlier runs wrote down about it."""
        task = asyncio.current_task()
        assert task is not None
        self._readers.add(task)
        try:
            async with self._reading:
                chunk = None if self._stopped else await self._source.next()
                if chunk is None or self._stopped:
                    return None
                known = self._ledger.find(chunk.number)
                if known is not None and known.digest != chunk.digest:
                    raise _changed(f"rows {chunk.first} to {chunk.last} differ, counted from 0")
                return chunk, known
        finally:
            self._readers.discard(task)

    async def _handle(self, chunk: Chunk, known: Entry | None) -> None:
        how = self._how
        if known is not None and (known.state == "done" or (known.state == "unknown" and not how.resend_unknown)):
            self.report.resumed += known.state == "done"
            self._count(chunk, dict(known.bad), known.state, known.told)
            return
        good, bad = self._checked(chunk)
        self._ledger.begin(chunk.number, chunk.first, chunk.last, chunk.digest, [*bad.items()])
        state: State = "unknown"
        outcome: Any = {"reason": "it was interrupted before its answer came"}
        try:
            state, outcome = _judged(await how.send(good)) if good else ("done", {})
        except LlamadaProError as error:
            uncertain = isinstance(error, APIError) and error.may_have_been_processed
            state, outcome = "unknown" if uncertain else "failed", {"reason": str(error)[:LONGEST_REASON]}
            if _hits_all(error):
                raise
        finally:
            try:
                self._ledger.end(chunk.number, state, outcome)
            finally:
                self._count(chunk, bad, state, outcome)

    def _checked(self, chunk: Chunk) -> tuple[list[Any], dict[int, Any]]:
        """The rows to send, and the issue of each that cannot be, by its place in the source."""
        good: list[Any] = []
        bad: dict[int, Any] = {}
        for row, item in enumerate(chunk.items, chunk.first):
            try:
                if isinstance(item, Exception):
                    raise InvalidRequestError(str(item))
                ready = self._how.check(item)
                orjson.dumps(ready)  # a row that JSON cannot hold would spoil the whole chunk
                good.append(ready)
            except ValidationError as error:
                bad[row] = BulkIssue(field=error.place or None, message=error.reason, code="BAD_ROW").to_dict()
            except (InvalidRequestError, TypeError, RecursionError) as error:  # the last two: orjson, and the writer
                bad[row] = BulkIssue(message=str(error), code="BAD_ROW").to_dict()
        return good, bad

    def _count(self, chunk: Chunk, bad: Mapping[int, Any], state: State, outcome: Any) -> None:
        """Add a chunk whose outcome stands, from this run or an earlier one, to the report."""
        report = self.report
        sent = [row for row in range(chunk.first, chunk.last + 1) if row not in bad]
        answer = BulkReport.from_dict(outcome if state == "done" else {})
        entries = [*told(answer, len(sent))]
        report.chunks += 1
        report.read += len(chunk.items)
        report.bad += len(bad)
        if state == "done":
            counts, listed = answer.counts, sum(bool(errors) for _, errors, _ in entries)
            successful = _whole(counts and counts.successful, len(sent) - listed)
            report.successful += successful
            # A service may list fewer items than it refused, or count errors rather than items.
            report.refused += max(listed, min(_whole(counts and counts.errors, 0), len(sent) - successful))
            report.warnings += _whole(counts and counts.warnings, 0)
            report.duplicates += _whole(counts and counts.duplicates, 0)
        else:
            place = {"number": chunk.number, "first": chunk.first, "last": chunk.last}
            open_chunk = OpenChunk(**place, rows=len(sent), reason=outcome["reason"])
            (report.unknown if state == "unknown" else report.failed).append(open_chunk)
        for row, issue in bad.items():
            self._tell(chunk, row, False, [BulkIssue.from_dict(issue)], [])
        for index, errors, warnings in entries:
            self._tell(chunk, None if index is None else sent[index], True, errors, warnings)

    def _tell(
        self, chunk: Chunk, row: int | None, sent: bool, errors: list[BulkIssue], warnings: list[BulkIssue]
    ) -> None:
        item = None if row is None else chunk.items[row - chunk.first]
        issue = ImportIssue(row=row, sent=sent, errors=errors, warnings=warnings, item=item)
        if len(self.report.issues) < self._how.max_issues:
            self.report.issues.append(issue)
        else:
            self.report.more_issues += 1
        if self._how.on_issue is not None:
            self._how.on_issue(issue)


def _judged(result: BulkResult) -> tuple[State, Any]:
    """What an answer says about the chunk as a whole."""
    report: BulkReport | None = result.report
    successful = report and report.counts and report.counts.successful
    if report is None or (successful is None and (report.items_issues is None or report.batch_errors)):
        return "unknown", {"reason": "the answer does not say what became of the rows"}
    if report.batch_errors and successful == 0:
        said = "; ".join(str(one.message or one.code) for one in report.batch_errors if one)
        return "failed", {"reason": f"the service refused the batch: {said}"[:LONGEST_REASON]}
    return "done", report.to_dict()


def _whole(count: Any, otherwise: int) -> int:
    return count if isinstance(count, int) else otherwise


def _hits_all(error: LlamadaProError) -> bool:
    """Whether the next chunk would fare the same: it is about the key or the address, not about the rows."""
    if isinstance(error, APIStatusError):
        return error.status_code in (401, 403, 404, 405) or 300 <= error.status_code < 400
    return isinstance(error, ConfigurationError)


def _changed(how: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"this is not the source that the ledger was begun with: {how}. Give a changed source a ledger of its own, and "
        "leave out what has been imported"
    )
