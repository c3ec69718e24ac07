"""The ledger: which units of work there are, who is sending them, and what became of them.

One protocol and one set of SQL statements, which `sqlite.py` and `postgres.py` execute. A unit is what one request
sends: a row of a campaign, a chunk of an import. It goes pending → sending → sent, refused or unknown, and its claim
(sending) is committed before it is sent. Claims are fenced by worker and attempt: an outcome is written only where both
still are those of its claim.
"""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import attrs

from llamadapro._transport import Clock
from llamadapro.errors import InvalidRequestError

T = TypeVar("T")

State = Literal["pending", "sending", "sent", "refused", "unknown", "bad", "duplicate"]
"""refused: certainly without effect, and not to be tried again. unknown: perhaps sent, so never sent unasked."""

FORMAT = 2
HORIZON = 1.0
"""Seconds: how far ahead of its turn in the rate a unit is claimed. A claim must leave soon or be unknown."""
POLL = 0.25
"""Seconds between two looks at what other workers have in hand."""
LAPSED = "the run that sent it ended before its answer came"


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
    recover: bool = False
    """Claim nothing; return what this worker has claimed, that is what a commit of unknown outcome may have claimed."""
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
    sending: int = 0
    """How many units the ledger has as being sent by this worker, if it was looked at."""
    paced: bool = False
    """Whether each claim has a turn of its own in the rate; else it goes at once."""


@attrs.frozen
class RunInfo:
    """A run, for those who look at it from outside."""

    name: str
    about: Mapping[str, Any]
    rate: float | None
    workers: int
    """How many hold a lease."""
    counts: Mapping[State, int]


@runtime_checkable
class Ledger(Protocol):
    """What the run loop asks of a ledger. Every method is one transaction; none is undone when its caller is cancelled.

    Raises `InvalidRequestError` where it is no ledger, in use, or of another job; `LlamadaProError` if it cannot be
    written.
    """

    lease: float
    """Seconds that a claim is good for after the turn that renewed it."""

    async def begin(
        self,
        run: str,
        about: Mapping[str, Any],
        *,
        join: bool = False,
        rate: float | None = None,
        resend_unknown: bool = False,
    ) -> tuple[Mapping[str, Any], int]:
        """Begin, resume or (with `join`) only join a run: what it is about, and how far its source has been read."""
        ...

    async def turn(self, turn: Turn) -> Granted:
        """Settle outcomes, renew the lease, add units, claim, and reserve their turns in the rate: one commit."""
        ...

    async def counts(self) -> Mapping[State, int]:
        """How many units are in each state."""
        ...

    def entries(self, *states: State) -> AsyncIterator[Entry]:
        """The units in these states, in the order in which they came."""
        ...

    async def runs(self) -> Sequence[RunInfo]:
        """All runs of the ledger."""
        ...

    async def close(self) -> None:
        """Give up the lease and the connection."""
        ...


Batch = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Statements with their named parameters, executed in their order."""
Rows = Mapping[str, Sequence[Any]]
Steps = Generator[Batch, Rows, T]
"""One transaction: yields statements, is sent their rows, and returns its result."""


@attrs.frozen
class Dialect:
    """Where the two databases differ."""

    now: str
    identity: str
    for_update: str
    skip_locked: str
    json_rows: str
    json_column: str

    def sql(self, text: str) -> str:
        """The statement in this dialect."""
        return text.format(now=self.now, identity=self.identity, lock=self.for_update, skip=self.skip_locked)

    def rows(self, parameter: str, **columns: str) -> str:
        """The JSON array in a parameter as the table `s`."""
        parts = ", ".join(self.json_column.format(name=name, type=kind) for name, kind in columns.items())
        return self.json_rows.format(parameter=parameter, columns=parts)


SCHEMA = """
create table llamadapro_runs (
    id {identity}, name text not null unique, about text not null, rate double precision,
    next_slot double precision not null default 0, read_to bigint not null default 0);
create table llamadapro_workers (
    run bigint not null, worker text not null, lease_until double precision not null, feeding integer not null,
    primary key (run, worker));
create table llamadapro_units (
    id {identity}, run bigint not null, key text, place bigint not null, state text not null,
    attempt integer not null default 0, limited integer not null default 0, not_before double precision not null,
    worker text, payload text, detail text, unique (run, key));
create unique index llamadapro_units_place on llamadapro_units (run, place) where key is null;
create index llamadapro_units_pending on llamadapro_units (run, not_before, id) where state = 'pending';
create index llamadapro_units_sending on llamadapro_units (run, worker) where state = 'sending'
"""


def begin_steps(
    sql: Dialect, run: str, about: Mapping[str, Any], join: bool, rate: float | None, resend_unknown: bool
) -> Steps[tuple[int, Mapping[str, Any], int]]:
    """The run's number, what it is about, and how far its source has been read."""
    batch: dict[str, tuple[str, Mapping[str, Any]]] = {}
    about = {"format": FORMAT, **about}
    if not join:
        create = "insert into llamadapro_runs (name, about) values (:name, :about) on conflict (name) do nothing"
        batch["create"] = (create, {"name": run, "about": json.dumps(about, sort_keys=True)})
    batch["run"] = ("select id, about, read_to from llamadapro_runs where name = :name", {"name": run})
    found = (yield batch)["run"]
    if not found:
        raise InvalidRequestError(f"nobody has begun the run {run!r} on this ledger: begin it with its rows")
    number, text, read_to = found[0]
    known: dict[str, Any] = json.loads(text)
    _check_same(_flat(known), _flat(about), join)
    lapsed = {"run": number, "worker": "", "lapsed": LAPSED}
    changes: dict[str, tuple[str, Mapping[str, Any]]] = {"lapse": (sql.sql(_LAPSE), lapsed)}
    if rate is not None:
        changes["rate"] = ("update llamadapro_runs set rate = :rate where id = :run", {"run": number, "rate": rate})
    if resend_unknown:
        changes["resend"] = (sql.sql(_RESEND), {"run": number})
    yield changes
    return number, known, read_to


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


_RESEND = """
update llamadapro_units set state = 'pending', not_before = {now}, limited = 0 where run = :run and state = 'unknown'
"""
_LAPSE = """
update llamadapro_units set state = 'unknown', detail = :lapsed
where run = :run and state = 'sending' and worker <> :worker and not exists (
    select 1 from llamadapro_workers w
    where w.run = :run and w.worker = llamadapro_units.worker and w.lease_until >= {now})
"""
_RENEW = """
insert into llamadapro_workers (run, worker, lease_until, feeding) values (:run, :worker, {now} + :lease, :feeding)
on conflict (run, worker) do update set lease_until = excluded.lease_until, feeding = excluded.feeding
"""
_SETTLE = """
update llamadapro_units set state = s.state, detail = s.detail, not_before = {now} + s.delay,
    limited = llamadapro_units.limited + s.limited, payload = coalesce(s.payload, llamadapro_units.payload)
from {rows} where llamadapro_units.id = s.id and run = :run and worker = :worker
    and llamadapro_units.attempt = s.attempt and llamadapro_units.state in ('sending', 'unknown')
"""
# A place that has been read before counts no duplicate again: a source that is read anew adds only what is new in it.
_ADD = {
    "add": """
insert into llamadapro_units (run, key, place, state, not_before, payload)
select :run, s.key, s.place, 'pending', {now}, s.payload from {rows} where s.key is not null
order by s.place on conflict (run, key) do nothing
""",
    "bad": """
insert into llamadapro_units (run, key, place, state, not_before, payload, detail)
select :run, null, s.place, 'bad', 0, s.payload, s.reason from {rows} where s.key is null
on conflict do nothing
""",
    "duplicate": """
insert into llamadapro_units (run, key, place, state, not_before)
select :run, null, s.place, 'duplicate', 0 from {rows}
where s.key is not null and s.place >= (select read_to from llamadapro_runs where id = :run)
    and not exists (select 1 from llamadapro_units u where u.run = :run and u.key = s.key and u.place = s.place)
on conflict do nothing
""",
    "corrected": """
delete from llamadapro_units where run = :run and key is null and place in (
    select s.place from {rows} where s.key is not null
        and exists (select 1 from llamadapro_units u where u.run = :run and u.key = s.key and u.place = s.place))
""",
    "read_to": "update llamadapro_runs set read_to = :read_to where id = :run and read_to < :read_to",
}
_RATE = "select rate, next_slot, {now} from llamadapro_runs where id = :run and rate is not null{lock}"
_CLAIM = """
with picked as (
    select id from llamadapro_units where run = :run and state = 'pending' and {which}
    order by not_before, id limit :places{skip}
), numbered as (select id, row_number() over (order by id) - 1 as n from picked)
update llamadapro_units set state = 'sending', worker = :worker, attempt = attempt + 1, detail = null,
    not_before = case when :step > 0 then :start + numbered.n * :step else {now} end
from numbered where llamadapro_units.id = numbered.id
returning llamadapro_units.id, key, place, attempt, limited, payload, not_before, {now}
"""
_RESERVE = """
update llamadapro_runs set next_slot = coalesce((
    select max(not_before) + :step from llamadapro_units
    where run = :run and worker = :worker and state = 'sending' and not_before >= :start), next_slot)
where id = :run
"""
_MINE = """
select id, key, place, attempt, limited, payload, not_before, {now}
from llamadapro_units where run = :run and worker = :worker and state = 'sending'
"""
_AHEAD = """
select (select min(not_before) from llamadapro_units where run = :run and state = 'pending') - {now},
    exists (select 1 from llamadapro_units where run = :run and state = 'sending' and worker <> :worker),
    exists (select 1 from llamadapro_workers
            where run = :run and worker <> :worker and feeding = 1 and lease_until >= {now}),
    next_slot - {now},
    (select count(*) from llamadapro_units where run = :run and state = 'sending' and worker = :worker)
from llamadapro_runs where id = :run
"""
_ENTRY = "select id, key, place, state, payload, detail from llamadapro_units where run = :run and "
_NEW_UNIT = {"place": "bigint", "key": "text", "payload": "text", "reason": "text"}
_OUTCOME = {
    "id": "bigint",
    "attempt": "integer",
    "state": "text",
    "detail": "text",
    "delay": "double precision",
    "limited": "integer",
    "payload": "text",
}


def turn_steps(
    sql: Dialect, run: int, worker: str, lease: float, turn: Turn, *, recover: bool = False
) -> Steps[Granted]:
    """One turn; with `recover` after a commit whose answer was lost.

    The worker's own row comes first: it is locked until a commit of ours that is still under way has ended, so that
    what is read behind it is what became of that commit.
    """
    own = {"run": run, "worker": worker}
    batch: dict[str, tuple[str, Mapping[str, Any]]] = {}
    if lease < math.inf:
        batch["renew"] = (sql.sql(_RENEW), {**own, "lease": lease, "feeding": int(turn.feeding)})
        batch["lapse"] = (sql.sql(_LAPSE), {**own, "lapsed": LAPSED})
    if turn.settle:
        text = _SETTLE.replace("{rows}", sql.rows("settle", **_OUTCOME))
        batch["settle"] = (sql.sql(text), {**own, "settle": _json(turn.settle)})
    if turn.add:
        added = {"run": run, "added": _json(turn.add), "read_to": max(unit.place for unit in turn.add) + 1}
        for name, text in _ADD.items():
            if name == "bad" and all(unit.key is not None for unit in turn.add):
                continue
            text = text.replace("{rows}", sql.rows("added", **_NEW_UNIT))
            batch[name] = (sql.sql(text), {key: value for key, value in added.items() if f":{key}" in text})
    recover = recover or turn.recover
    if recover:
        batch["mine"] = (sql.sql(_MINE), own)
    if recover or turn.places or turn.only_added:
        batch["rate"] = (sql.sql(_RATE), {"run": run})
    rows = yield batch
    if recover:
        return Granted([Claim(*row) for row in rows["mine"]], wait=0.0, paced=bool(rows["rate"]))
    if not turn.places and not (turn.only_added and turn.add):
        return Granted([])

    places, start, step = turn.places, 0.0, 0.0
    if rows["rate"]:
        rate, next_slot, now = rows["rate"][0]
        start, step = max(next_slot, now), 1.0 / rate
        places = max(0, min(places, int((now + HORIZON - start) / step) + 1)) if start - now < HORIZON else 0
    which = "not_before <= {now}"
    claim: dict[str, Any] = {**own, "places": places, "start": start, "step": step}
    after: dict[str, tuple[str, Mapping[str, Any]]] = {}
    if turn.only_added:
        which = "key in (select s.key from {rows})".replace("{rows}", sql.rows("added", key="text"))
        claim["added"] = _json(turn.add)
        after["known"] = (_ENTRY + which, {"run": run, "added": claim["added"]})
    else:
        after["ahead"] = (sql.sql(_AHEAD), own)
    batch = {"claims": (sql.sql(_CLAIM.replace("{which}", which)), claim)}
    if step:
        batch["reserve"] = (sql.sql(_RESERVE), {**own, "start": start, "step": step})
    rows = yield {**batch, **after}
    claims = sorted((Claim(*row) for row in rows["claims"]), key=lambda one: (one.at, one.id))
    if turn.only_added:
        mine = {one.id for one in claims}
        return Granted(claims, {row[1]: Entry(*row) for row in rows["known"] if row[0] not in mine})
    *ahead, sending = rows["ahead"][0]
    return Granted(claims, wait=_wait(*ahead, step=step), paced=step > 0, sending=sending)


def _wait(due: float | None, others_send: bool, others_feed: bool, next_slot: float, *, step: float) -> float | None:
    if due is not None:
        if step:
            due = max(due, next_slot - HORIZON + step / 2)
        return max(due, POLL / 10)
    return POLL if others_send or others_feed else None


def _json(items: Sequence[Any]) -> str:
    return json.dumps([attrs.asdict(item, recurse=False) for item in items])


COUNTS = "select state, count(*) from llamadapro_units where run = :run group by state"
LEAVE = "delete from llamadapro_workers where run = :run and worker = :worker"
_RUNS = """
select id, name, about, rate,
    (select count(*) from llamadapro_workers where run = llamadapro_runs.id and lease_until >= {now})
from llamadapro_runs order by id
"""
PAGE = 1000


def one_step(text: str, **parameters: Any) -> Steps[Sequence[Any]]:
    """The rows of a single statement."""
    return (yield {"it": (text, parameters)})["it"]


def runs_steps(sql: Dialect) -> Steps[Sequence[RunInfo]]:
    """All runs, with their figures."""
    found = (yield {"runs": (sql.sql(_RUNS), {})})["runs"]
    counts = yield {str(number): (COUNTS, {"run": number}) for number, *_ in found}
    return [
        RunInfo(name, json.loads(about), rate, workers, dict(counts[str(number)]))
        for number, name, about, rate, workers in found
    ]


def page_steps(run: int, after: int, states: Sequence[State]) -> Steps[list[Entry]]:
    """The next `PAGE` units in these states."""
    listed = ", ".join(f"'{state}'" for state in states)
    text = f"{_ENTRY} id > :after and state in ({listed}) order by id limit {PAGE}"
    rows = yield from one_step(text, run=run, after=after)
    return [Entry(*row) for row in rows]


class SqlLedger(ABC):
    """What both ledgers do alike; they differ in how a transaction is executed."""

    lease: float
    dialect: ClassVar[Dialect]

    def __init__(self) -> None:
        self._run = 0
        self._worker = os.urandom(8).hex()

    @abstractmethod
    async def execute(self, steps: Callable[[bool], Steps[T]]) -> T:
        """Run a transaction until it is known to be committed; it is given whether an earlier try may have been."""

    async def begin(
        self,
        run: str,
        about: Mapping[str, Any],
        *,
        join: bool = False,
        rate: float | None = None,
        resend_unknown: bool = False,
    ) -> tuple[Mapping[str, Any], int]:
        self._run, known, read_to = await self.execute(
            lambda _: begin_steps(self.dialect, run, about, join, rate, resend_unknown)
        )
        return known, read_to

    async def turn(self, turn: Turn) -> Granted:
        return await self.execute(
            lambda recover: turn_steps(self.dialect, self._run, self._worker, self.lease, turn, recover=recover)
        )

    async def counts(self) -> Mapping[State, int]:
        return dict(await self.execute(lambda _: one_step(COUNTS, run=self._run)))

    async def entries(self, *states: State) -> AsyncIterator[Entry]:
        after = 0
        while page := await self.execute(partial(self._page, after, states)):
            for entry in page:
                yield entry
            after = page[-1].id

    def _page(self, after: int, states: Sequence[State], _: bool) -> Steps[list[Entry]]:
        return page_steps(self._run, after, states)

    async def runs(self) -> Sequence[RunInfo]:
        return await self.execute(lambda _: runs_steps(self.dialect))


def open_ledger(ledger: str | PathLike[str] | Ledger | None, clock: Clock, noun: str) -> Ledger:
    """The ledger at a path or a ``postgresql://`` URL; None for a temporary one. `noun` is what uses it."""
    if isinstance(ledger, Ledger):
        return ledger
    if isinstance(ledger, str) and ledger.startswith(("postgresql://", "postgres://")):
        from .postgres import PostgresLedger

        return PostgresLedger(ledger)
    from .sqlite import SqliteLedger

    return SqliteLedger(ledger, now=clock.now, noun=noun)
