"""The ledger's tables and statements, in the words of both databases.

Parameters are named (``:run``). ``{now}`` is the database's clock; ``{added}`` and ``{settle}`` are the JSON arrays in
these parameters, as the table `s`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

LAPSED = "the run that sent it ended before its answer came"
HORIZON = 1.0
"""Seconds: how far ahead of its turn in the rate a unit is claimed. A claim must leave soon or be unknown."""
PAGE = 1000
"""Units that are read at a time."""


@attrs.frozen
class Dialect:
    """Where the two databases differ."""

    now: str
    identity: str
    lock: str
    skip_locked: str
    json_rows: str
    json_column: str

    def sql(self, text: str) -> str:
        """The statement in this dialect."""
        text = text.replace("{now}", self.now).replace("{identity}", self.identity)
        text = text.replace("{lock}", self.lock).replace("{skip locked}", self.skip_locked)
        for parameter, columns in (("added", NEW_UNIT), ("settle", OUTCOME)):
            parts = ", ".join(self.json_column.format(name=name, type=kind) for name, kind in columns.items())
            text = text.replace(f"{{{parameter}}}", self.json_rows.format(parameter=parameter, columns=parts))
        return text


NEW_UNIT: Mapping[str, str] = {"place": "bigint", "key": "text", "payload": "text", "reason": "text"}
OUTCOME: Mapping[str, str] = {
    "id": "bigint",
    "attempt": "integer",
    "state": "text",
    "detail": "text",
    "delay": "double precision",
    "limited": "integer",
    "payload": "text",
}

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

CREATE_RUN = "insert into llamadapro_runs (name, about) values (:name, :about) on conflict (name) do nothing"
FIND_RUN = "select id, about, read_to from llamadapro_runs where name = :name"
SET_RATE = "update llamadapro_runs set rate = :rate where id = :run"
RESEND = """
update llamadapro_units set state = 'pending', not_before = {now}, limited = 0 where run = :run and state = 'unknown'
"""
# Times that no clock which went right can have written, and turns that an earlier, lower rate has put off.
MEND_TIMES = """
update llamadapro_units set not_before = {now} where run = :run and state = 'pending'
    and not_before > {now} + case when limited = 0 then 0 else 604800 end
"""
MEND_SLOT = f"""
update llamadapro_runs set next_slot = {{now}} where id = :run and next_slot > {{now}} + {HORIZON} + 1 / rate
"""
LEAVE = "delete from llamadapro_workers where run = :run and worker = :worker"

RENEW = """
insert into llamadapro_workers (run, worker, lease_until, feeding) values (:run, :worker, {now} + :lease, :feeding)
on conflict (run, worker) do update set lease_until = excluded.lease_until, feeding = excluded.feeding
"""
LAPSE = f"""
update llamadapro_units set state = 'unknown', detail = '{LAPSED}'
where run = :run and state = 'sending' and worker <> :worker and not exists (
    select 1 from llamadapro_workers w
    where w.run = :run and w.worker = llamadapro_units.worker and w.lease_until >= {{now}})
"""
# What is known for certain replaces unknown; that it was not sent does not: others may have listed it meanwhile.
# The plus keeps SQLite from going through all units of the run instead of looking up each by its id.
SETTLE = """
update llamadapro_units set state = s.state, detail = s.detail, not_before = {now} + s.delay,
    limited = llamadapro_units.limited + s.limited, payload = coalesce(s.payload, llamadapro_units.payload)
from {settle} where llamadapro_units.id = s.id and +run = :run and worker = :worker
    and llamadapro_units.attempt = s.attempt
    and (llamadapro_units.state = 'sending' or llamadapro_units.state = 'unknown' and s.state <> 'pending')
"""
# A place that has been read before counts no duplicate again: a source that is read anew adds only what is new in it.
# SQLite keeps the order of a cross join: what is corrected is looked up by its place, not among all duplicates.
ADD = {
    "add": """
insert into llamadapro_units (run, key, place, state, not_before, payload)
select :run, s.key, s.place, 'pending', {now}, s.payload from {added} where s.key is not null
order by s.place on conflict (run, key) do nothing
""",
    "bad": """
insert into llamadapro_units (run, key, place, state, not_before, payload, detail)
select :run, null, s.place, 'bad', 0, s.payload, s.reason from {added} where s.key is null
on conflict do nothing
""",
    "duplicate": """
insert into llamadapro_units (run, key, place, state, not_before)
select :run, null, s.place, 'duplicate', 0 from {added}
where s.key is not null and s.place >= (select read_to from llamadapro_runs where id = :run)
    and not exists (select 1 from llamadapro_units u where u.run = :run and u.key = s.key and u.place = s.place)
on conflict do nothing
""",
    "corrected": """
delete from llamadapro_units where id in (
    select d.id from {added} cross join llamadapro_units d
    where s.key is not null and d.run = :run and d.place = s.place and d.key is null
        and exists (select 1 from llamadapro_units u where u.run = :run and u.key = s.key and u.place = s.place))
""",
    "read_to": "update llamadapro_runs set read_to = :read_to where id = :run and read_to < :read_to",
}

DUE = "not_before <= {now}"
ADDED = "key in (select s.key from {added})"
_CLAIMED = """llamadapro_units.id, key, place, attempt, limited, payload, not_before, {now},
    exists (select 1 from llamadapro_runs where id = :run and rate is not null)"""
# With a rate the run's row is locked first, so that workers take its turns one after the other.
CLAIM = f"""
with pace as (
    select 1 / rate as step, case when next_slot > {{now}} then next_slot else {{now}} end as start
    from llamadapro_runs where id = :run and rate is not null{{lock}}
), picked as (
    select id from llamadapro_units where run = :run and state = 'pending' and {{which}}
    order by not_before, id limit :places{{skip locked}}
), numbered as (
    select id, (select start from pace) + (row_number() over (order by id) - 1) * (select step from pace) as slot
    from picked
)
update llamadapro_units set state = 'sending', worker = :worker, attempt = attempt + 1, detail = null,
    not_before = coalesce(numbered.slot, {{now}})
from numbered
where llamadapro_units.id = numbered.id and (numbered.slot is null or numbered.slot <= {{now}} + {HORIZON})
returning {_CLAIMED}
"""
RESERVE = """
update llamadapro_runs set next_slot = mine.last + 1 / rate
from (select max(not_before) as last from llamadapro_units
      where run = :run and worker = :worker and state = 'sending') as mine
where id = :run and rate is not null and mine.last + 1 / rate > next_slot
"""
MINE = f"select {_CLAIMED} from llamadapro_units where run = :run and worker = :worker and state = 'sending'"
AHEAD = """
select (select min(not_before) from llamadapro_units where run = :run and state = 'pending') - {now},
    exists (select 1 from llamadapro_units where run = :run and state = 'sending' and worker <> :worker),
    exists (select 1 from llamadapro_workers
            where run = :run and worker <> :worker and feeding = 1 and lease_until >= {now}),
    next_slot - {now}, rate
from llamadapro_runs where id = :run
"""

_ENTRY = "select id, key, place, state, payload, detail from llamadapro_units where run = :run and "
KNOWN = _ENTRY + ADDED
COUNTS = "select state, count(*) from llamadapro_units where run = :run group by state"
RUNS = """
select id, name, about, rate,
    (select count(*) from llamadapro_workers where run = llamadapro_runs.id and lease_until >= {now})
from llamadapro_runs order by id
"""
ALL_COUNTS = "select run, state, count(*) from llamadapro_units group by run, state"


def page(states: tuple[str, ...]) -> str:
    """The next `PAGE` units in these states."""
    listed = ", ".join(f"'{state}'" for state in states)
    return f"{_ENTRY} id > :after and state in ({listed}) order by id limit {PAGE}"
