"""Campaigns: a message or a call for each row, once by its key, by any number of processes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from inspect import signature
from typing import Any, ClassVar

import attrs
import orjson

from llamadapro._reports import SendIssue, SendReport
from llamadapro.errors import InvalidRequestError, LlamadaProError
from llamadapro_api.writing import did_you_mean

from .ledger import Claim, Entry, Ledger, NewUnit, Outcome, State
from .options import MAX_TEXT, check_callback, check_integer, check_number, is_usable
from .run import MAX_REASON, Job
from .source import Placed

Key = str | Callable[[Any], str]

NUMBERS = ("to", "from_", "to_phone_number", "from_phone_number")
"""Keywords that hold telephone numbers."""
TEXTS = ("variables", "text", "template_name", "language_code")
"""Keywords whose texts must not be empty: it would be a message with a hole. A file's `content` may be: its caption."""
OPEN_STATES: tuple[State, ...] = ("bad", "refused", "unknown")
MIN_RECOUNT = 0.2


@attrs.define(kw_only=True)
class SendMany(Job[SendReport, SendIssue]):
    """The job of a campaign; its units are rows."""

    noun: ClassVar[str] = "campaign"
    only_added: ClassVar[bool] = False
    not_taken: ClassVar[State] = "refused"

    builders: Mapping[str, Callable[..., Awaitable[Any]]]
    """What prepares the request of an operation: its method, run dry; the first is the default."""
    operation: str | None
    common: Mapping[str, Any] | None
    key: Key
    rate: float | None

    report: SendReport = attrs.field(init=False, factory=SendReport)
    _book: Ledger = attrs.field(init=False)
    _build: Callable[..., Awaitable[Any]] = attrs.field(init=False)
    _common: Mapping[str, Any] = attrs.field(init=False)
    _known_rows: int = attrs.field(init=False, default=0)
    _place: int = attrs.field(init=False, default=-1)
    _recounted: float = attrs.field(init=False, default=0.0)
    _recount_took: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        check_integer("max_attempts", self.max_attempts, 1)
        check_number("rate", self.rate, "per second", most=1e6)
        if self.common is not None and not isinstance(self.common, Mapping):
            raise InvalidRequestError(f"common must be a dictionary of keywords, not {type(self.common).__name__}")
        if not isinstance(self.key, str):
            if not callable(self.key):
                raise InvalidRequestError(f"key must be a keyword or a function of a row, not {self.key!r}")
            check_callback("key", self.key)
        if self.operation not in (None, *self.builders):
            raise InvalidRequestError(f"operation must be one of {', '.join(self.builders)}, not {self.operation!r}")

    async def begin(self, ledger: Ledger) -> None:
        self._book = ledger
        join = self.source is None
        if not join:
            self._check_names()
        known, self._known_rows = await ledger.begin(
            *(self.run_name or "", self._about(join)),
            join=join,
            rate=self.rate,
            resend_unknown=self.resend_unknown,
            operations=self.builders.keys(),
        )
        operation = known["operation"]
        self._build, self._common = self.builders[operation], known["common"]
        if operation == "send" and self.key == "to":
            self.key = "to_phone_number"

    def _check_names(self) -> None:
        """Refuse what would make every row bad, on a ledger begun for nothing."""
        operation = self.operation or next(iter(self.builders))
        known = [*signature(self.builders[operation]).parameters]
        for name in self.common or ():
            if isinstance(name, str) and name not in known:
                raise InvalidRequestError(f"common: {operation} has no {name!r}; {did_you_mean(name, known)}")
        if isinstance(self.key, str):
            key = "to_phone_number" if (operation, self.key) == ("send", "to") else self.key
            if key not in known:
                raise InvalidRequestError(f"key: {operation} has no {key!r}; {did_you_mean(key, known)}")
            if key in (self.common or ()):
                raise InvalidRequestError(
                    f"key: {key} is in common, so that all rows would be one: name what tells them apart"
                )

    def _about(self, join: bool) -> dict[str, Any]:
        """What a ledger is the ledger of. Who joins a run names only what should be held against it."""
        about: dict[str, Any] = {"base_url": str(self.session.base_url)}
        if self.operation is not None or not join:
            about["operation"] = self.operation or next(iter(self.builders))
        if self.common is not None or not join:
            common = dict(self.common or {})
            # Any process can read a number in E.164 form, whatever its default region.
            self.session.normalize(common, *NUMBERS)
            try:
                about["common"] = orjson.loads(orjson.dumps(common))  # as a resumed run reads it back
            except TypeError as error:
                raise InvalidRequestError(f"common cannot be written as JSON: {error}") from None
            if hole := _find_hole(about["common"]):  # NaN is one there
                raise InvalidRequestError(
                    f"common: {hole} is missing: leave the keyword out where nothing is to be sent"
                )
        if not join:
            about["key"] = self.key if isinstance(self.key, str) else "a function"
        return about

    async def read(self) -> NewUnit | None:
        taken = await self.source.take(1) if self.source is not None else []
        if not taken:
            return None
        [row] = taken
        self._place = place = row.line if isinstance(row, Placed) else self._place + 1
        try:
            return await self._unit(place, row)
        except Exception as error:  # also what the row's own values raise
            reason = str(error) if isinstance(error, InvalidRequestError) else f"{type(error).__name__}: {error}"
            self._add_issue(place, None, "bad", reason, row)
            return NewUnit(place, None, _to_json(row, default=str), reason.replace("\0", "")[:MAX_REASON])

    async def _unit(self, place: int, row: Any) -> NewUnit:
        if isinstance(row, Exception):
            raise InvalidRequestError(str(row))
        if not isinstance(row, Mapping):
            raise InvalidRequestError(f"a row must be a dictionary, not {type(row).__name__}")
        if odd := [name for name in row if not isinstance(name, str)]:
            raise InvalidRequestError(f"{odd[0]!r} is no keyword: are there more cells than columns?")
        if hole := _find_hole(dict(row)):
            raise InvalidRequestError(f"{hole} is missing: leave the keyword out where nothing is to be sent")
        row = dict(row)
        self.session.normalize(row, *NUMBERS)
        try:
            await self._build(**{**self._common, **row})
        except TypeError as error:
            raise InvalidRequestError(_keywords_only(error)) from None
        payload = _to_json(row)
        if payload is None:
            raise InvalidRequestError("it cannot be written as JSON")
        key = self.key(row) if callable(self.key) else {**self._common, **row}.get(self.key)
        if not callable(self.key):
            if key is None:
                raise InvalidRequestError(f"it has no {self.key}, which is the key")
            key = str(key) if isinstance(key, int) else key
        if not key or not is_usable(key):
            raise InvalidRequestError(f"its key must be a text of at most {MAX_TEXT:,} bytes, not {key!r}"[:MAX_REASON])
        return NewUnit(place, key, payload)

    async def send(self, claim: Claim) -> Outcome:
        prepared = await self._build(**{**self._common, **json.loads(claim.payload)})
        answer = await self.session.send(prepared)
        number = getattr(answer, "id", None)
        return Outcome(claim.id, claim.attempt, "sent", _as_detail(number))

    def added(self, units: Sequence[NewUnit], known: Mapping[str, Entry]) -> int:
        # As far as can be said before the ledger is counted again, which knows the duplicates.
        new = [unit.key is None for unit in units if unit.place >= self._known_rows]
        self.report.read += len(new)
        self.report.bad += sum(new)
        self.report.pending += len(new) - sum(new)
        return len(units)

    def settled(self, claim: Claim, outcome: Outcome) -> int:
        report, state = self.report, outcome.state
        if state != "pending":
            if report.pending:
                report.pending -= 1
            else:  # of a row that another process has added since
                report.read += 1
            setattr(report, state, getattr(report, state) + 1)
        if state in OPEN_STATES:
            self._add_issue(claim.place, claim.key, state, outcome.detail or "", json.loads(claim.payload))
        return 0

    async def progress(self) -> None:
        if self.on_progress is not None:
            # To count takes as long as the ledger is large, so it is done the more seldom.
            if time.monotonic() - self._recounted > max(MIN_RECOUNT, 20 * self._recount_took):
                await self._recount()
            self.on_progress(self.report)

    async def end(self, ledger: Ledger, stopped: Exception | None) -> Exception | None:
        """Take the report from the ledger: figures, and issues, of the run, whoever sent."""
        report = self.report
        with suppress(LlamadaProError):  # of a ledger that is gone, which is what has stopped the run then
            await self._recount()
            async for entry in ledger.entries(*OPEN_STATES):
                if len(report.issues) >= self.max_issues:
                    break
                report.issues.append(_to_issue(entry))
            report.more_issues = report.bad + report.refused + report.unknown - len(report.issues)
        lost = min(self.lost, report.pending)  # of these nothing is known any more
        report.pending, report.unknown = report.pending - lost, report.unknown + lost
        return stopped

    async def _recount(self) -> None:
        began = time.monotonic()
        counts = await self._book.counts()
        report = self.report
        report.sent, report.duplicates = counts.get("sent", 0), counts.get("duplicate", 0)
        report.bad, report.refused = counts.get("bad", 0), counts.get("refused", 0)
        report.unknown = counts.get("unknown", 0)
        report.pending = counts.get("pending", 0) + counts.get("sending", 0)
        report.read = sum(counts.values())
        report.elapsed = self.session.clock.now() - self.began
        self._recounted = time.monotonic()
        self._recount_took = self._recounted - began

    def _add_issue(self, place: int, key: str | None, state: State, reason: str, item: Any) -> None:
        if self.on_issue is not None:
            self.on_issue(SendIssue(row=place, key=key, state=state, reason=reason, item=item))


def _to_issue(entry: Entry) -> SendIssue:
    item = None if entry.payload is None else json.loads(entry.payload)
    return SendIssue(row=entry.place, key=entry.key, state=entry.state, reason=entry.detail or "", item=item)


def _to_json(row: Any, default: Callable[[Any], str] | None = None) -> str | None:
    try:
        return orjson.dumps(row, default=default).decode()
    except (TypeError, RecursionError):
        return None


def _as_detail(number: object) -> str | None:
    return None if number is None else str(number).replace("\0", "")[:MAX_REASON]


def _keywords_only(error: TypeError) -> str:
    """What is wrong with the keywords, without the name of the function that refused them."""
    return re.sub(r"^\S+\(\):? ", "", str(error))


def _find_hole(value: Any, place: str = "") -> str | None:
    """Where there is nothing: None, or a text of the message that is empty. It stands for a missing cell."""
    if value is None or isinstance(value, str):
        return place if value is None or (not value.strip() and place.partition("[")[0] in TEXTS) else None
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = ((f"{place}.{name}" if place else str(name), item) for name, item in value.items())
    elif isinstance(value, (list, tuple)):
        items = ((f"{place}[{index}]", item) for index, item in enumerate(value))
    return next(filter(None, (_find_hole(item, where) for where, item in items)), None)
