"""The ledger: which units of work there are, who is sending them, and what became of them.

What both databases do alike; `sqlite.py` and `postgres.py` execute it. A unit is what one request sends: a row of a
campaign, a chunk of an import. It goes pending → sending → sent, refused or unknown, and its claim (sending) is
committed before it is sent. Claims are fenced by worker and attempt: an outcome is written only where both still are
those of its claim.
"""

from __future__ import annotations

import json
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Literal

import attrs

from llamadapro.errors import InvalidRequestError

from . import statements
from .statements import HORIZON, Dialect

State = Literal["pending", "sending", "sent", "refused", "unknown", "bad", "duplicate"]
"""refused: certainly without effect, and not to be tried again. unknown: perhaps sent, so never sent unasked."""
Batch = tuple[Mapping[str, str], Mapping[str, Any]]
"""Statements by what they are for, in their order, and the parameters of all of them."""
Rows = Mapping[str, Sequence[Any]]
"""What each statement has returned."""

FORMAT = 2
POLL = 0.25
"""Seconds between two looks at what other workers have in hand."""


@attrs.frozen
class NewUnit:
    """A unit as the source gives it."""

    place: int
    """Where it stands in the source."""
    key: str | None
    """What makes it the same as another; None for a bad one, which is only written down."""
    payload: str | None
    """JSON."""
    reason: str | None = None
    """Why it is bad."""


@attrs.frozen
class Claim:
    """A unit that this worker is to send."""

    id: int
    key: str
    place: int
    attempt: int
    limited: int
    """How often the service has answered it with 429."""
    payload: str
    at: float
    """When its turn is, by the ledger's clock."""
    now: float
    """What the ledger's clock said when it was claimed."""
    paced: bool
    """Whether it must wait for its turn, as the run has a rate."""


@attrs.frozen
class Outcome:
    """What became of a claim."""

    id: int
    attempt: int
    state: State
    detail: str | None = None
    delay: float = 0.0
    """Seconds before a pending one may be claimed again."""
    limited: int = 0
    payload: str | None = None
    """In place of the present one."""


@attrs.frozen
class Entry:
    """A unit as it stands in the ledger."""

    id: int
    key: str | None
    place: int
    state: State
    payload: str | None
    detail: str | None


@attrs.frozen(kw_only=True)
class Turn:
    """What a worker writes down and asks for in one commit."""

    settle: Sequence[Outcome] = ()
    add: Sequence[NewUnit] = ()
    places: int = 0
    """How many more units it can send."""
    feeding: bool = False
    """Whether its source has more."""
    only_added: bool = False
    """Claim none but those that are added: the ledger does not hold their rows."""


@attrs.frozen
class Granted:
    """What a turn gives."""

    claims: Sequence[Claim]
    known: Mapping[str, Entry] = attrs.field(factory=dict)
    """With `only_added`: those that were not claimed, by their key."""
    wait: float | None = None
    """Seconds until there may be more to claim; None if nothing is left that this worker could come to send."""


@attrs.frozen
class RunInfo:
    """A run, for those who look at it from outside."""

    name: str
    about: Mapping[str, Any]
    rate: float | None
    workers: int
    """How many hold a lease."""
    counts: Mapping[State, int]


class Ledger(ABC):
    """What the run loop asks of a ledger. Every method is one transaction; none is undone when its caller is cancelled.

    Raises `InvalidRequestError` where it is no ledger, in use, or of another job; `LlamadaProError` if it cannot be
    written.
    """

    dialect: ClassVar[Dialect]
    lease: float
    """Seconds that a claim is good for after the turn that renewed it."""

    def __init__(self) -> None:
        self._run = 0
        self._worker = os.urandom(8).hex()
        self._lapsed_at = -math.inf

    async def open(self, *, create: bool) -> None:  # noqa: B027 - a server is there, and its tables with its connection
        """Make sure that it is there; with `create` it need not be yet."""

    @abstractmethod
    async def execute(self, batch: Callable[[bool], Batch]) -> Rows:
        """Run a transaction until it is certainly committed; `batch` is given whether an earlier try may have been."""

    @abstractmethod
    async def close(self) -> None:
        """Give up the lease and the connection. Closing twice does no harm."""

    async def begin(
        self,
        run: str,
        about: Mapping[str, Any],
        *,
        join: bool = False,
        rate: float | None = None,
        resend_unknown: bool = False,
        operations: Collection[str] = (),
    ) -> tuple[Mapping[str, Any], int]:
        """Begin, resume or (with `join`) only join a run: what it is about, and how far its source has been read.

        Nothing is changed in a run of another job, or of none of the `operations` if these are given.
        """
        await self.open(create=not join)
        about = {"format": FORMAT, **about}
        begin = {"find": statements.FIND_RUN} if join else {"new": statements.CREATE_RUN, "find": statements.FIND_RUN}
        found = (await self._rows(begin, name=run, about=json.dumps(about, sort_keys=True)))["find"]
        if not found:
            raise InvalidRequestError(f"nobody has begun the run {run!r} on this ledger: begin it with its rows")
        self._run, text, read_to = found[0]
        known: dict[str, Any] = json.loads(text)
        _check_same(_flat(known), _flat(about), join)
        if operations and known["operation"] not in operations:
            raise InvalidRequestError(f"the ledger is of {known['operation']}, which is another method's to resume")
        changes = {"lapse": statements.LAPSE}
        if rate is not None:
            changes["rate"] = statements.SET_RATE
        if resend_unknown:
            changes["resend"] = statements.RESEND
        changes |= {"times": statements.MEND_TIMES, "slot": statements.MEND_SLOT}
        await self._rows(changes, run=self._run, worker="", rate=rate)
        return known, read_to

    async def turn(self, turn: Turn) -> Granted:
        """Settle outcomes, renew the lease, add units, claim, and reserve their turns in the rate: one commit."""
        rows = await self.execute(lambda recover: self._turn(turn, recover))
        if "mine" in rows:
            return Granted([Claim(*row) for row in rows["mine"]], wait=0.0)
        claims = sorted((Claim(*row) for row in rows.get("claims", ())), key=lambda claim: (claim.at, claim.id))
        mine = {claim.id for claim in claims}
        known = {row[1]: Entry(*row) for row in rows.get("known", ()) if row[0] not in mine}
        return Granted(claims, known, _wait(*rows["ahead"][0]) if "ahead" in rows else None)

    async def counts(self) -> Mapping[State, int]:
        """How many units are in each state."""
        return dict((await self._rows({"counts": statements.COUNTS}, run=self._run))["counts"])

    async def entries(self, *states: State) -> AsyncIterator[Entry]:
        """The units in these states, in the order in which they came."""
        after, page = 0, {"page": statements.page(states)}
        while rows := (await self._rows(page, run=self._run, after=after))["page"]:
            for row in rows:
                yield Entry(*row)
            after = rows[-1][0]

    async def runs(self) -> Sequence[RunInfo]:
        """All runs of the ledger."""
        await self.open(create=False)
        rows = await self._rows({"runs": statements.RUNS, "counts": statements.ALL_COUNTS})
        counts: dict[int, dict[State, int]] = {}
        for number, state, count in rows["counts"]:
            counts.setdefault(number, {})[state] = count
        return [
            RunInfo(name, json.loads(about), rate, workers, counts.get(number, {}))
            for number, name, about, rate, workers in rows["runs"]
        ]

    async def _rows(self, texts: Mapping[str, str], **parameters: Any) -> Rows:
        batch = {name: _in_dialect(self.dialect, text) for name, text in texts.items()}, parameters
        return await self.execute(lambda _: batch)

    def _turn(self, turn: Turn, recover: bool) -> Batch:
        """The statements of a turn. After a commit whose answer was lost they claim nothing, but find what it claimed.

        The worker's own row comes first: it is locked until a commit of ours that is still under way has ended, so that
        what is read behind it is what became of that commit.
        """
        texts: dict[str, str] = {}
        parameters: dict[str, Any] = {"run": self._run, "worker": self._worker, "places": turn.places}
        if self.lease < math.inf:
            texts["renew"] = statements.RENEW
            parameters |= {"lease": self.lease, "feeding": int(turn.feeding)}
            if time.monotonic() > self._lapsed_at + self.lease / 30:
                texts["lapse"] = statements.LAPSE
                self._lapsed_at = time.monotonic()
        if turn.settle:
            texts["settle"] = statements.SETTLE
            parameters["settle"] = _json(turn.settle)
        if turn.add:
            texts |= statements.ADD
            parameters |= {"added": _json(turn.add), "read_to": max(unit.place for unit in turn.add) + 1}
        if recover:
            texts["mine"] = statements.MINE
        else:
            if turn.places:
                which = statements.ADDED if turn.only_added else statements.DUE
                if turn.add or not turn.only_added:
                    texts["claims"] = statements.CLAIM.replace("{which}", which)
                    texts["reserve"] = statements.RESERVE
                if not turn.only_added:
                    texts["ahead"] = statements.AHEAD
            if turn.add and turn.only_added:
                texts["known"] = statements.KNOWN
        return {name: _in_dialect(self.dialect, text) for name, text in texts.items()}, parameters


@cache
def _in_dialect(dialect: Dialect, text: str) -> str:
    return dialect.sql(text)


def _wait(
    due: float | None, others_send: bool, others_feed: bool, next_slot: float, rate: float | None
) -> float | None:
    if due is not None:
        return max(due, next_slot - HORIZON + 0.5 / rate if rate else 0.0, POLL / 10)
    return POLL if others_send or others_feed else None


def _json(items: Sequence[Any]) -> str:
    return json.dumps([attrs.asdict(item, recurse=False) for item in items])


def _check_same(known: Mapping[str, Any], now: Mapping[str, Any], join: bool) -> None:
    """Refuse another job: it would take what this one has sent for its own. Who joins may leave things out."""
    names = [name for name in (now if join else {**now, **known}) if known.get(name) != now.get(name)]
    if "operation" in names:
        names = ["operation"]  # all else differs then
    if names:
        differs = "; with ".join(f"{name} {known.get(name)}, now it is {now.get(name)}" for name in names)
        raise InvalidRequestError(
            f"the ledger was begun with {differs}: resume with the same, or give the new job a ledger or a run of its "
            "own"
        )


def _flat(about: Mapping[str, Any]) -> dict[str, Any]:
    """With the keywords that all rows have in common next to the rest, so that each is named by itself."""
    given: Mapping[str, Any] = about.get("common") or {}
    common = {_LABELS.get(name, name): value for name, value in given.items()}
    return {**{name: value for name, value in about.items() if name != "common"}, **common}


_LABELS = {name: f"sender ({name})" for name in ("from_", "from_phone_number")}
