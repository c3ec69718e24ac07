"""Imports of any size: rows are taken from their source chunk by chunk, checked, sent, and written down in a ledger.

Nothing is sent twice: a chunk that is done is not sent again, one that certainly was not processed is sent again by
the next run on the same ledger, and one whose outcome nobody knows only when that is asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar

import attrs
import orjson

from llamadapro._bulk import iter_issues
from llamadapro._reports import ImportIssue, ImportReport, UnfinishedChunk
from llamadapro.errors import InvalidRequestError
from llamadapro_api.errors import ValidationError
from llamadapro_api.models import BulkIssue, BulkReport, BulkResult

from .ledger import POLL, Claim, Entry, Ledger, NewUnit, Outcome, State, Turn
from .options import check_integer
from .run import MAX_REASON, Job, OtherSource, StopRun


@attrs.frozen
class Chunk:
    """So many rows, whichever of them are bad."""

    number: int
    first: int
    items: list[Any]
    digest: str
    """Tells whether a source gives the same rows again."""
    checked: tuple[list[Any], dict[int, Any]] | None
    """The rows to send, and the issue of each that cannot be, by its place in the source; None if not looked at yet."""


@attrs.define(kw_only=True)
class ImportMany(Job[ImportReport, ImportIssue]):
    """The job of an import; its units are chunks."""

    noun: ClassVar[str] = "import"
    rows_name: ClassVar[str] = "items"
    only_added: ClassVar[bool] = True
    not_taken: ClassVar[State] = "pending"

    check: Callable[[Any], Any]
    """Makes a row what is to be sent, or raises `ValidationError` or `InvalidRequestError`."""
    send_rows: Callable[[list[Any]], Awaitable[BulkResult]]
    operation: str
    chunk_size: int

    report: ImportReport = attrs.field(init=False, factory=ImportReport)
    _known_rows: int = attrs.field(init=False, default=0)
    _number: int = attrs.field(init=False, default=0)
    _ended: bool = attrs.field(init=False, default=False)
    _in_hand: dict[str, Chunk] = attrs.field(init=False, factory=dict)
    # Chunks that another worker is sending; without their rows.
    _elsewhere: dict[str, Chunk] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        check_integer("chunk_size", self.chunk_size, 1)
        self.ahead: int = self.concurrency

    async def begin(self, ledger: Ledger) -> None:
        about = {"operation": self.operation, "base_url": str(self.session.base_url), "chunk_size": self.chunk_size}
        _, self._known_rows = await ledger.begin(self.run_name or "", about, resend_unknown=self.resend_unknown)

    async def read(self) -> NewUnit | None:
        items = [] if self._ended or self.source is None else await self.source.take(self.chunk_size)
        self._ended = len(items) < self.chunk_size
        if not items:
            return None
        number, self._number = self._number, self._number + 1
        first = number * self.chunk_size
        # What an earlier run has read is looked at only if it is to be sent.
        checked = None if first < self._known_rows else self._checked(first, items)
        chunk = self._in_hand[str(number)] = Chunk(number, first, items, _digest(items), checked)
        return NewUnit(first + len(items) - 1, str(number), _payload(chunk))

    async def send(self, claim: Claim) -> Outcome:
        chunk = self._in_hand[claim.key]
        if json.loads(claim.payload)["digest"] != chunk.digest:
            raise StopRun from _changed(chunk)
        if chunk.checked is None:
            chunk = self._in_hand[claim.key] = attrs.evolve(chunk, checked=self._checked(chunk.first, chunk.items))
        assert chunk.checked is not None
        good, _ = chunk.checked
        state, detail = _classify(await self.send_rows(good)) if good else ("sent", "{}")
        return Outcome(claim.id, claim.attempt, state, detail, payload=_payload(chunk))

    def added(self, units: Sequence[NewUnit], known: Mapping[str, Entry]) -> int:
        for key, entry in known.items():
            chunk = self._in_hand.pop(key)
            if json.loads(entry.payload or "{}")["digest"] != chunk.digest:
                raise _changed(chunk)
            if entry.state == "sending":
                self._elsewhere[key] = attrs.evolve(chunk, items=[], checked=None)
                continue
            self.report.resumed += entry.state == "sent"
            self._count(chunk, entry.state, entry.payload, entry.detail)
        return len(known)

    def settled(self, claim: Claim, outcome: Outcome) -> int:
        chunk = self._in_hand.pop(claim.key)
        payload = outcome.payload or (claim.payload if chunk.checked is None else _payload(chunk))
        self._count(chunk, outcome.state, payload, outcome.detail)
        return 1

    async def progress(self) -> None:
        """After each chunk, in `_count`."""

    async def end(self, ledger: Ledger, stopped: Exception | None) -> Exception | None:
        report = self.report
        try:
            while self._elsewhere and stopped is None:
                await self._see_others(ledger)
        except Exception as error:  # also out of a callback of the user's
            stopped = error
        report.elapsed = self.session.clock.now() - self.began
        for listed in (report.unknown, report.failed):
            listed.sort(key=lambda chunk: chunk.number)
        report.issues.sort(key=lambda issue: -1 if issue.row is None else issue.row)
        if stopped is None and self._known_rows > report.read:
            return _other_source(f"it ended after {report.read} rows, and the ledger knows {self._known_rows}")
        return stopped

    async def _see_others(self, ledger: Ledger) -> None:
        """Count the chunks that other workers have sent meanwhile."""
        await ledger.turn(Turn())  # what they leave behind becomes unknown
        async for entry in ledger.entries("pending", "sent", "unknown"):
            if chunk := self._elsewhere.pop(entry.key or "", None):
                self._count(chunk, entry.state, entry.payload, entry.detail)
        if self._elsewhere:
            await asyncio.sleep(POLL)

    def _checked(self, first: int, items: list[Any]) -> tuple[list[Any], dict[int, Any]]:
        good: list[Any] = []
        bad: dict[int, Any] = {}
        for row, item in enumerate(items, first):
            try:
                if isinstance(item, Exception):
                    raise InvalidRequestError(str(item))
                ready = self.check(item)
                orjson.dumps(ready)  # a row that JSON cannot hold would spoil its chunk
                good.append(ready)
            except ValidationError as error:
                bad[row] = BulkIssue(field=error.place or None, message=error.reason, code="BAD_ROW").to_dict()
            except Exception as error:  # of the row's values, which may raise anything
                bad[row] = BulkIssue(message=str(error) or type(error).__name__, code="BAD_ROW").to_dict()
        return good, bad

    def _count(self, chunk: Chunk, state: State, payload: str | None, detail: str | None) -> None:
        """Add a chunk whose outcome stands, from this run or an earlier one, to the report."""
        report = self.report
        stored = json.loads(payload or "{}")
        bad: dict[int, Any] = dict(stored["bad"])
        sent = [row for row in range(chunk.first, chunk.first + stored["rows"]) if row not in bad]
        answer = BulkReport.from_dict(json.loads(detail or "{}") if state == "sent" else {})
        entries = [*iter_issues(answer, len(sent))]
        report.chunks += 1
        report.read += stored["rows"]
        report.bad += len(bad)
        if state == "sent":
            named = [index for index, errors, _ in entries if errors]
            counts, listed = answer.counts, min(len({*named} - {None}) + named.count(None), len(sent))
            # A service may list fewer items than it refused, count errors rather than items, or count wrong.
            successful = max(0, min(_int_or(counts and counts.successful, len(sent)), len(sent) - listed))
            report.successful += successful
            report.refused += max(listed, min(_int_or(counts and counts.errors, 0), len(sent) - successful))
            report.warnings += _int_or(counts and counts.warnings, 0)
            report.duplicates += _int_or(counts and counts.duplicates, 0)
        else:
            place = {"number": chunk.number, "first": chunk.first, "last": chunk.first + stored["rows"] - 1}
            unfinished = UnfinishedChunk(**place, rows=len(sent), reason=detail or "it was not sent")
            (report.unknown if state == "unknown" else report.failed).append(unfinished)
        for row, issue in bad.items():
            self._add_issue(chunk, row, False, [BulkIssue.from_dict(issue)], [])
        for index, errors, warnings in entries:
            self._add_issue(chunk, None if index is None else sent[index], True, errors, warnings)
        report.elapsed = self.session.clock.now() - self.began
        if self.on_progress is not None:
            self.on_progress(report)

    def _add_issue(
        self, chunk: Chunk, row: int | None, sent: bool, errors: list[BulkIssue], warnings: list[BulkIssue]
    ) -> None:
        item = None if row is None or not chunk.items else chunk.items[row - chunk.first]
        issue = ImportIssue(row=row, sent=sent, errors=errors, warnings=warnings, item=item)
        if len(self.report.issues) < self.max_issues:
            self.report.issues.append(issue)
        else:
            self.report.more_issues += 1
        if self.on_issue is not None:
            self.on_issue(issue)


def _payload(chunk: Chunk) -> str:
    bad = chunk.checked[1] if chunk.checked is not None else {}
    return json.dumps({"digest": chunk.digest, "rows": len(chunk.items), "bad": [*bad.items()]})


def _digest(items: list[Any]) -> str:
    digest = blake2b(digest_size=16)
    for item in items:
        try:
            text = orjson.dumps(item, default=str, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # what JSON cannot hold is a bad row, but part of the source all the same
            text = repr(item).encode("utf-8", "backslashreplace")
        digest.update(text + b"\n")
    return digest.hexdigest()


def _classify(result: BulkResult) -> tuple[State, str]:
    """What an answer says about the chunk: its report as JSON if it was sent, else the reason."""
    report: BulkReport | None = result.report
    successful = report and report.counts and report.counts.successful
    if report is None or (successful is None and (report.items_issues is None or report.batch_errors)):
        return "unknown", "the answer does not say what became of the rows"
    if report.batch_errors and successful == 0:
        said = "; ".join(str(one.message or one.code) for one in report.batch_errors if one)
        return "pending", f"the service refused the batch: {said}"[:MAX_REASON].replace("\0", "")
    return "sent", json.dumps(report.to_dict())


def _int_or(count: Any, otherwise: int) -> int:
    return count if isinstance(count, int) else otherwise


def _changed(chunk: Chunk) -> OtherSource:
    return _other_source(f"rows {chunk.first} to {chunk.first + len(chunk.items) - 1} differ, counted from 0")


def _other_source(how: str) -> OtherSource:
    return OtherSource(
        f"this is not the source that the ledger was begun with: {how}. Give a changed source a ledger of its own, and "
        "leave out what has been imported"
    )
