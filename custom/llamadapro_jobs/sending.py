"""Campaigns: a message or a call for each row, once by its key, by any number of processes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any, Protocol

import orjson

from llamadapro._reports import Rows, SendIssue, SendReport
from llamadapro._transport import Clock
from llamadapro.errors import InvalidPhoneNumberError, InvalidRequestError, LlamadaProError
from llamadapro_api.types import PreparedRequest

from .ledger import Claim, Entry, Ledger, NewUnit, Outcome, State, open_ledger
from .run import BATCH, MAX_REASON, Limits, Run, check_integer, job_error
from .source import Source

Key = str | Callable[[Any], str]

NUMBERS = ("to", "from_", "to_phone_number", "from_phone_number")
"""Keywords that hold telephone numbers."""
OPEN_STATES: tuple[State, ...] = ("bad", "refused", "unknown")
MIN_RECOUNT = 0.2


class Session(Protocol):
    """What is asked of the client's session."""

    @property
    def clock(self) -> Clock: ...

    @property
    def base_url(self) -> object: ...

    def to_e164(self, value: str) -> str: ...

    async def send(self, prepared: PreparedRequest[Any]) -> Any: ...


async def send_many(
    session: Session,
    builders: Mapping[str, Callable[..., PreparedRequest[Any]]],
    rows: Rows | None,
    *,
    operation: str | None,
    common: Mapping[str, Any] | None,
    key: Key,
    ledger: str | PathLike[str] | Ledger | None,
    run: str | None,
    rate: float | None,
    concurrency: int,
    resend_unknown: bool,
    max_attempts: int,
    stop_after: int,
    timeout: float | None,
    on_progress: Callable[[SendReport], object] | None,
    on_issue: Callable[[SendIssue], object] | None,
    max_issues: int,
) -> SendReport:
    """Send a request for each row; `builders` prepare one for each operation, the first being the default."""
    limits = Limits(concurrency=concurrency, stop_after=stop_after, timeout=timeout)
    check_integer("max_attempts", max_attempts, 1)
    check_integer("max_issues", max_issues, 0)
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < 1e6):
        raise InvalidRequestError(f"rate must be a number per second above 0, or None, not {rate!r}")
    join = rows is None
    if operation is None and not join:
        operation = next(iter(builders))
    if operation is not None and operation not in builders:
        raise InvalidRequestError(f"operation must be one of {', '.join(builders)}, not {operation!r}")
    if not isinstance(key, str) and not callable(key):
        raise InvalidRequestError(f"key must be a keyword or a function of a row, not {key!r}")
    source = None if rows is None else Source(rows, "rows")
    about = _about(session, operation, common, key, join)
    book = open_ledger(ledger, session.clock, "campaign")
    try:
        known, _ = await book.begin(run or "", about, join=join, rate=rate, resend_unknown=resend_unknown)
        if known["operation"] not in builders:
            raise InvalidRequestError(f"the ledger is of {known['operation']}, which is another method's to resume")
        job = SendMany(
            session,
            builders[known["operation"]],
            known["common"],
            source=source,
            key="to_phone_number" if known["operation"] == "send" and key == "to" else key,
            ledger=book,
            max_attempts=max_attempts,
            on_progress=on_progress,
            on_issue=on_issue,
        )
        loop = Run(job, book, limits, session.clock, has_source=source is not None)
        await loop.run(job.report)
        with suppress(LlamadaProError):  # of a ledger that is gone, which is what has stopped the run then
            await job.complete(max_issues)
    finally:
        await book.close()
    if loop.stopped is not None:
        raise job_error("campaign", loop.stopped, job.report) from loop.stopped
    return job.report


def _about(
    session: Session, operation: str | None, common: Mapping[str, Any] | None, key: Key, join: bool
) -> dict[str, Any]:
    """What a ledger is the ledger of. Who joins a run names only what should be held against it."""
    about: dict[str, Any] = {"base_url": str(session.base_url)}
    if operation is not None:
        about["operation"] = operation
    if common is not None or not join:
        try:
            # As JSON holds it: what a resumed run reads back must be equal.
            about["common"] = orjson.loads(orjson.dumps(_with_e164(session, dict(common or {}))))
        except TypeError as error:
            raise InvalidRequestError(f"common cannot be written as JSON: {error}") from None
    if not join:
        about["key"] = key if isinstance(key, str) else "a function"
    return about


def _with_e164(session: Session, keywords: dict[str, Any]) -> dict[str, Any]:
    """With telephone numbers in E.164 form: any process can then read them, whatever its default region."""
    for name in NUMBERS:
        if isinstance(keywords.get(name), str):
            try:
                keywords[name] = session.to_e164(keywords[name])
            except InvalidPhoneNumberError as error:
                raise InvalidPhoneNumberError(f"{name}: {error}") from None
    return keywords


class SendMany:
    """The job of a campaign; its units are rows."""

    only_added = False
    ahead = 2 * BATCH
    not_taken: State = "refused"

    def __init__(
        self,
        session: Session,
        build: Callable[..., PreparedRequest[Any]],
        common: Mapping[str, Any],
        *,
        source: Source | None,
        key: Key,
        ledger: Ledger,
        max_attempts: int,
        on_progress: Callable[[SendReport], object] | None,
        on_issue: Callable[[SendIssue], object] | None,
    ) -> None:
        self.max_attempts: int | None = max_attempts
        self.report = SendReport()
        self._session = session
        self._build = build
        self._common = common
        self._source = source
        self._key = key
        self._ledger = ledger
        self._on_progress = on_progress
        self._on_issue = on_issue
        self._began = session.clock.now()
        self._place = -1
        self._recounted = self._recount_took = 0.0

    async def read(self) -> NewUnit | None:
        assert self._source is not None
        taken = await self._source.take(1)
        if not taken:
            return None
        [row] = taken
        # A row of a file knows its line.
        self._place = place = getattr(row, "line", self._place + 1)
        try:
            return self._unit(place, row)
        except Exception as error:  # also what the row's own values raise
            reason = str(error) if isinstance(error, InvalidRequestError) else f"{type(error).__name__}: {error}"
            self._add_issue(place, None, "bad", reason, row)
            return NewUnit(place, None, _to_json(row, default=str), reason.replace("\0", "")[:MAX_REASON])

    def _unit(self, place: int, row: Any) -> NewUnit:
        if isinstance(row, Exception):
            raise InvalidRequestError(str(row))
        if not isinstance(row, Mapping):
            raise InvalidRequestError(f"a row must be a dictionary, not {type(row).__name__}")
        if odd := [name for name in row if not isinstance(name, str)]:
            raise InvalidRequestError(f"{odd[0]!r} is no keyword: are there more cells than columns?")
        if hole := _find_none(dict(row)):
            raise InvalidRequestError(f"{hole} is missing: leave the keyword out where nothing is to be sent")
        row = _with_e164(self._session, dict(row))
        try:
            self._build(**{**self._common, **row})
        except TypeError as error:
            raise InvalidRequestError(_keywords_only(error)) from None
        payload = _to_json(row)
        if payload is None:
            raise InvalidRequestError("it cannot be written as JSON")
        key = self._key(row) if callable(self._key) else {**self._common, **row}.get(self._key)
        if not callable(self._key) and isinstance(key, int):
            key = str(key)
        if not isinstance(key, str) or not key or "\0" in key:
            raise InvalidRequestError(f"its key must be a text, not {key!r}")
        return NewUnit(place, key, payload)

    async def send(self, claim: Claim) -> Outcome:
        answer = await self._session.send(self._build(**{**self._common, **json.loads(claim.payload)}))
        number = getattr(answer, "id", None)
        return Outcome(claim.id, claim.attempt, "sent", None if number is None else str(number))

    def added(self, units: Sequence[NewUnit], known: Mapping[str, Entry]) -> int:
        self.report.read += len(units)
        return len(units)

    def settled(self, claim: Claim, outcome: Outcome) -> int:
        report, state = self.report, outcome.state
        if state != "pending":
            report.pending = max(0, report.pending - 1)
            setattr(report, state, getattr(report, state) + 1)
        if state in OPEN_STATES:
            self._add_issue(claim.place, claim.key, state, outcome.detail or "", json.loads(claim.payload))
        return 0

    async def progress(self) -> None:
        if self._on_progress is not None:
            # To count takes as long as the ledger is large, so it is done the more seldom.
            if time.monotonic() - self._recounted > max(MIN_RECOUNT, 20 * self._recount_took):
                await self._recount()
            self._on_progress(self.report)

    async def complete(self, max_issues: int) -> None:
        """Take the report from the ledger: figures, and issues, of the run, whoever sent."""
        await self._recount()
        issues = 0
        async for entry in self._ledger.entries(*OPEN_STATES):
            issues += 1
            if issues > max_issues:
                break
            self.report.issues.append(_to_issue(entry))
        self.report.more_issues = self.report.bad + self.report.refused + self.report.unknown - len(self.report.issues)

    async def _recount(self) -> None:
        began = time.monotonic()
        counts = await self._ledger.counts()
        report = self.report
        report.sent, report.duplicates = counts.get("sent", 0), counts.get("duplicate", 0)
        report.bad, report.refused = counts.get("bad", 0), counts.get("refused", 0)
        report.unknown = counts.get("unknown", 0)
        report.pending = counts.get("pending", 0) + counts.get("sending", 0)
        report.read = sum(counts.values())
        report.elapsed = self._session.clock.now() - self._began
        self._recounted = time.monotonic()
        self._recount_took = self._recounted - began

    def _add_issue(self, place: int, key: str | None, state: State, reason: str, item: Any) -> None:
        if self._on_issue is not None:
            self._on_issue(SendIssue(row=place, key=key, state=state, reason=reason, item=item))


def _to_issue(entry: Entry) -> SendIssue:
    item = None if entry.payload is None else json.loads(entry.payload)
    return SendIssue(row=entry.place, key=entry.key, state=entry.state, reason=entry.detail or "", item=item)


def _to_json(row: Any, default: Callable[[Any], str] | None = None) -> str | None:
    try:
        return orjson.dumps(row, default=default).decode()
    except (TypeError, RecursionError):
        return None


def _keywords_only(error: TypeError) -> str:
    """What is wrong with the keywords, without the name of the function that refused them."""
    return re.sub(r"^\S+\(\):? ", "", str(error))


def _find_none(value: Any, place: str = "") -> str | None:
    """Where there is a None: in a row that stands for a missing cell, and would be sent as a hole."""
    if value is None:
        return place
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(item, str) and (found := _find_none(item, f"{place}.{name}" if place else str(name))):
                return found
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            if not isinstance(item, str) and (found := _find_none(item, f"{place}[{index}]")):
                return found
    return None
