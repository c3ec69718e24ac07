"""The sandbox's memory: records as JSON in SQLite, in memory or in a file that survives `kill -9`.

Every value of a record stands in an index too, so that a page of a list costs the same however many records there are:
sorted and filtered pages walk the index, and read the records they answer with. SQLite is called synchronously: an
operation takes microseconds, and one request is one transaction.
"""

# ruff: noqa: S608 - queries are put together from our own words only; values are parameters

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, NamedTuple, cast

from .query import NULL, Condition, Record, is_indexed, join_keys, key, leaves, order_key, text_of

TABLES = """
create table if not exists kinds (name text primary key, number integer not null, records integer not null);
create table if not exists records (row integer primary key, body text not null);
create table if not exists fields (
  id integer primary key, kind integer, path text, complete integer default 0, several integer default 0,
  unique (kind, path)
);
create table if not exists entries (
  field integer, key blob, row integer, first integer, primary key (field, key, row)
) without rowid;
create table if not exists sequences (kind text primary key, last integer not null) without rowid;
create table if not exists notes (name text primary key, value text not null) without rowid;
"""
TEXTS = "create virtual table if not exists texts using fts5(text, tokenize = 'trigram')"
SEARCHED = ("contacts", "definitions")
"""The kinds whose texts are indexed: lists of all others are short, and searched record by record."""
FORMAT = 3
APPLICATION = 0x6C6C5342
"""Marks the file as a sandbox's, and no other program's."""
KIND_BITS = 40
"""A row is the number of its kind and its id in one integer, so the rows of a kind stand together in order of id."""
FEW = 400
"""So few matches are read and sorted at once; of more, a page is found by walking the order."""
SOME = 5000
"""So many rows are looked up as a set while an order is walked; of more, each record met is tested."""
END = b"\xff"
Entries = dict[tuple[int, bytes], bool]
"""What the index holds of a record: field and key, and whether it is the record's first value of that field."""


class Found(NamedTuple):
    key: bytes
    """Where the record stands in the order."""
    number: int
    record: Record


class Store:
    """Kinds of records (`contacts`, `tasks`, `options/3`, …), each under an integer id that is never given twice."""

    def __init__(self, path: str = ":memory:"):
        # A test's thread may reset while the server's thread answers: one lock, one writer at a time.
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as problem:
            raise ValueError(f"{path}: {problem}") from None
        self.close: weakref.finalize[[], Any] = weakref.finalize(self, self._db.close)
        """Closes the database; what nobody closes is closed when it is no longer referenced."""
        self.versions: dict[str, int] = {}
        """How often the records of a kind have changed."""
        self._searched: tuple[str, ...] = ()
        self._forget()
        try:
            self._open(path)
        except BaseException as problem:
            self.close()
            if isinstance(problem, sqlite3.Error):
                raise ValueError(f"{path}: {problem}") from None
            raise

    def _open(self, path: str) -> None:
        application, version, tables = self._db.execute(
            "select application_id, user_version, (select count(*) from sqlite_master)"
            " from pragma_application_id, pragma_user_version"
        ).fetchone()
        if tables and application != APPLICATION:
            raise ValueError(f"{path} is the database of another program: choose another file")
        if tables and version != FORMAT:
            raise ValueError(f"{path} was written by another version of the sandbox: choose another file, or delete it")
        self._db.execute(f"pragma application_id = {APPLICATION}")
        self._db.execute(f"pragma user_version = {FORMAT}")
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(TABLES)
        try:
            self._db.execute(TEXTS)
            self._searched = SEARCHED
        except sqlite3.OperationalError:
            pass  # a SQLite without FTS5: texts are searched record by record

    def _forget(self) -> None:
        """Forget what was read from the tables."""
        self._kinds: dict[str, int] = {}
        self._fields: dict[tuple[str, str], int] = {}
        self._complete: dict[str, set[str]] = {}
        self._counts: dict[tuple[str, ...], tuple[int, int]] = {}

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All of it or nothing."""
        with self._lock:
            if self._db.in_transaction:  # a seed runs many requests as one
                yield
                return
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                self._forget()
                raise
            self._db.execute("commit")

    # ----------------------------------------------------------------------------------------------- one record

    def next_id(self, kind: str) -> int:
        row = self._row(
            "insert into sequences values (?, 1) on conflict do update set last = last + 1 returning last", kind
        )
        return int(row[0])

    def put(self, kind: str, number: int, record: Record) -> None:
        with self.transaction():
            row, old, body = self._base(kind) + number, self.get(kind, number), json.dumps(record)
            self._write_entries(row, self._entries(kind, old), self._entries(kind, record))
            self._run("insert into records values (?, ?) on conflict do update set body = excluded.body", row, body)
            if kind in self._searched:
                self._run("insert or replace into texts (rowid, text) values (?, ?)", row, text_of(record))
            if old is None and not self.count(kind):  # of the first record, every value has its place
                self._mark_complete(kind, [path for path, _, first in leaves(record) if first and "." not in path])
            self._changed(kind, 0 if old is not None else 1)

    def get(self, kind: str, number: int) -> Record | None:
        row = self._row("select body from records where row = ?", self._base(kind) + number)
        return json.loads(row[0]) if row else None

    def delete(self, kind: str, number: int) -> None:
        with self.transaction():
            old = self.get(kind, number)
            if old is None:
                return
            row = self._base(kind) + number
            self._write_entries(row, self._entries(kind, old), {})
            self._run("delete from records where row = ?", row)
            if kind in self._searched:
                self._run("delete from texts where rowid = ?", row)
            self._changed(kind, -1)

    # ------------------------------------------------------------------------------------------------ many records

    def some(self, kind: str) -> list[tuple[int, Record]]:
        """In the order of their creation."""
        with self._lock:
            return [(number, record) for _, number, record in self._walk(kind, [])]

    def latest(self, kind: str, limit: int, before: int = 0) -> list[tuple[int, Record]]:
        """The newest records, or the newest of those before an id; newest first."""
        base = self._base(kind)
        query = "select row, body from records where row > ? and row < ? order by row desc limit ?"
        rows = self._rows(query, base, base + (before or 2**KIND_BITS), limit)
        return [(row - base, json.loads(body)) for row, body in rows]

    def select(
        self,
        kind: str,
        conditions: list[Condition],
        *,
        order: str = "",
        descending: bool = False,
        after: tuple[bytes, int] | None = None,
        skip: int = 0,
        limit: int,
    ) -> list[Found]:
        """Records that meet all conditions, in an order (of creation if it is empty)."""
        with self._lock:
            few = self._few(kind, conditions)
            if few is None:
                if order:
                    self._complete_order(kind, order)
                return list(islice(self._walk(kind, conditions, order, descending, after, skip), limit))
            if not order:
                rest = (Found(b"", number, record) for number, record in few)
                return list(islice((one for one in rest if after is None or one[:2] > after), skip, skip + limit))
            placed = [Found(order_key(record, order), number, record) for number, record in few]
        placed = [one for one in placed if after is None or (one[:2] < after if descending else one[:2] > after)]
        return sorted(placed, key=lambda one: one[:2], reverse=descending)[skip : skip + limit]

    def count(self, kind: str, conditions: Iterable[Condition] = ()) -> int:
        """How many records meet all conditions; known by heart until a record of the kind changes."""
        conditions = list(conditions)
        if not conditions:
            row = self._row("select records from kinds where name = ?", kind)
            return int(row[0]) if row else 0
        with self._lock:
            name, version = (kind, *(one.name for one in conditions)), self.versions.get(kind, 0)
            known = self._counts.get(name)
            if known is None or known[0] != version:
                if len(self._counts) >= 100:
                    self._counts.clear()
                self._counts[name] = known = (version, self._count(kind, conditions))
            return known[1]

    def counts(self) -> dict[str, int]:
        return dict(self._rows("select name, records from kinds where records > 0"))

    def _few(self, kind: str, conditions: list[Condition]) -> Iterator[tuple[int, Record]] | None:
        """All matches in order of their ids, each read when it is asked for, if a condition shows there are few."""
        base = self._base(kind)
        for one in conditions:
            query, values = self._rows_of(kind, one)
            rows = self._rows(f"{query} limit {FEW + 1}", *values) if query else []
            if query and len(rows) <= FEW:
                numbers = sorted({row - base for (row,) in rows})
                read = ((number, self.get(kind, number)) for number in numbers)
                return (
                    (number, record)
                    for number, record in read
                    if record is not None and all(other.holds(record) for other in conditions)
                )
        return None

    def _walk(
        self,
        kind: str,
        conditions: list[Condition],
        order: str = "",
        descending: bool = False,
        after: tuple[bytes, int] | None = None,
        skip: int = 0,
    ) -> Iterator[Found]:
        """Matches one after another: SQLite tests equality in the index, everything else is tested on the record."""
        base = self._base(kind)
        compare, direction = ("<", "desc") if descending else (">", "asc")
        rest = [one for one in conditions if not (one.exact and one.points)]
        where, values = self._equalities(kind, [one for one in conditions if one not in rest])
        for one in rest:
            inner, inner_values = self._rows_of(kind, one)
            if inner and len(self._rows(f"{inner} limit {SOME + 1}", *inner_values)) <= SOME:
                where, values = f"{where} and o.row in ({inner})", [*values, *inner_values]
                rest = [other for other in rest if other is not one or not one.exact]
        if order:
            ranges = [one for one in rest if one.spans and one.field == order and not self._has_several(kind, order)]
            rest = [one for one in rest if one not in ranges or not one.exact]
            spans = [(b"", END)]
            for one in ranges:
                pairs = ((max(low, first), min(high, last)) for low, high in spans for first, last in {*one.spans})
                spans = [(low, high) for low, high in pairs if low < high]
            query = (
                f"select o.key, o.row, r.body from entries o cross join records r on r.row = o.row where o.field = ?"
                f" and o.first = 1 and (o.key, o.row) {compare} (?, ?) and o.key {'>=' if descending else '<'} ?{where}"
                f" order by o.key {direction}, o.row {direction}"
            )
            parameters: list[list[Any]] = []
            for low, high in sorted(spans, reverse=descending):
                begin, end = ((high, 0), low) if descending else ((low, 0), high)
                place, number = (min if descending else max)(begin, after or begin)
                parameters.append([self._field(kind, order), place, number + base, end, *values])
        else:
            query = f"select x'', o.row, o.body from records o where o.row > ? and o.row < ?{where} order by o.row"
            parameters = [[base + (after[1] if after else 0), base + 2**KIND_BITS, *values]]
        offset = 0 if rest or len(parameters) > 1 else skip
        rows = chain.from_iterable(self._db.execute(f"{query} limit -1 offset {offset}", one) for one in parameters)
        found = (Found(place, row - base, json.loads(body)) for place, row, body in rows)
        matching = (one for one in found if all(condition.holds(one.record) for condition in rest))
        yield from islice(matching, skip - offset, None)

    def _count(self, kind: str, conditions: list[Condition]) -> int:
        first = min(conditions, key=lambda one: len(one.spans) or (2 if one.texts else 9))
        if not all(one.exact and self._rows_of(kind, one)[0] for one in conditions):
            few = self._few(kind, conditions)
            return sum(1 for _ in (self._walk(kind, conditions) if few is None else few))
        query, values = self._rows_of(kind, first)
        others = [one for one in conditions if one is not first]
        where, more = self._equalities(kind, [one for one in others if one.points])
        for one in others:
            if not one.points:
                inner, inner_values = self._rows_of(kind, one)
                where, more = f"{where} and o.row in ({inner})", [*more, *inner_values]
        distinct = "" if first.texts or len(first.points) == 1 else "distinct "
        return int(self._row(f"select count({distinct}o.row) from ({query}) o where 1{where}", *values, *more)[0])

    def _rows_of(self, kind: str, one: Condition) -> tuple[str, list[Any]]:
        """A query for the rows that the index has for a condition; empty if it cannot help."""
        if one.alternatives:
            queries = [self._rows_of(kind, alternative) for alternative in one.alternatives]
            united = " union all ".join(f"select row from ({query})" for query, _ in queries)
            return (
                (united, [value for _, some in queries for value in some]) if all(q for q, _ in queries) else ("", [])
            )
        if one.spans:
            field, keys = self._field(kind, one.field), one.points
            query = "select row from entries where field = ? and key"
            if keys:
                return f"{query} in ({','.join('?' * len(keys))})", [field, *keys]
            values = [value for low, high in one.spans for value in (field, low, high)]
            return " union all ".join([f"{query} >= ? and key < ?"] * len(one.spans)), values
        if one.texts and kind in self._searched:
            wanted = " AND ".join('"{}"'.format(text.replace('"', '""')) for text in one.texts)
            base, query = self._base(kind), "select rowid as row from texts where texts match ?"
            return f"{query} and rowid > ? and rowid < ?", [wanted, base, base + 2**KIND_BITS]
        return "", []

    def _equalities(self, kind: str, conditions: list[Condition]) -> tuple[str, list[Any]]:
        where, values = "", list[Any]()
        for one in conditions:
            keys = ",".join("?" * len(one.points))
            where += f" and exists (select 1 from entries e where e.field = ? and e.key in ({keys}) and e.row = o.row)"
            values += [self._field(kind, one.field), *one.points]
        return where, values

    # ---------------------------------------------------------------------------------------------------- the index

    def _base(self, kind: str) -> int:
        """The row before the first of a kind."""
        if kind not in self._kinds:
            self._run("insert or ignore into kinds select ?, count(*) + 1, 0 from kinds", kind)
            self._kinds[kind] = int(self._row("select number from kinds where name = ?", kind)[0])
        return self._kinds[kind] << KIND_BITS

    def _field(self, kind: str, path: str) -> int:
        found = self._fields.get((kind, path))
        if found is None:
            number = self._base(kind) >> KIND_BITS
            self._run("insert or ignore into fields (kind, path) values (?, ?)", number, path)
            found = int(self._row("select id from fields where kind = ? and path = ?", number, path)[0])
            self._fields[kind, path] = found
        return found

    def _entries(self, kind: str, record: Record | None) -> Entries:
        entries: Entries = {}
        if record is None:
            return entries
        missing = set(self._orders(kind))
        for path, value, first in leaves(record):
            place = self._field(kind, path), key(value)
            entries[place] = entries.get(place, False) or first
            missing.discard(path)
        return entries | {(self._field(kind, order), order_key(record, order)): True for order in missing}

    def _write_entries(self, row: int, old: Entries, new: Entries) -> None:
        delete = "delete from entries where field = ? and key = ? and row = ?"
        self._db.executemany(delete, [(*place, row) for place, first in old.items() if new.get(place) != first])
        insert = "insert into entries values (?, ?, ?, ?)"
        self._db.executemany(insert, [(*p, row, first) for p, first in new.items() if old.get(p) != first])
        several = {(field,) for (field, _), first in new.items() if not first}
        self._db.executemany("update fields set several = 1 where id = ? and several = 0", several)

    def _has_several(self, kind: str, path: str) -> bool:
        """Whether a record has or had several values there: only the first says where it stands in an order."""
        return bool(self._row("select several from fields where id = ?", self._field(kind, path))[0])

    def _orders(self, kind: str) -> set[str]:
        """The orders in which every record of a kind has its place."""
        if kind not in self._complete:
            query = "select path from fields where kind = ? and complete"
            self._complete[kind] = {path for (path,) in self._rows(query, self._base(kind) >> KIND_BITS)}
        return self._complete[kind]

    def _complete_order(self, kind: str, order: str) -> None:
        """Give every record a place in an order that is asked for the first time."""
        if order in self._orders(kind):
            return
        base, field = self._base(kind), self._field(kind, order)
        first = "select row, key from entries where field = ? and first = 1"
        with self.transaction():
            placed = {row for row, _ in self._rows(first, field)}
            rows = self._rows("select row from records where row > ? and row < ?", base, base + 2**KIND_BITS)
            names = [name.removeprefix("-") for name in order.split(";")]
            if all(map(is_indexed, names)):
                keys = [dict(self._rows(first, self._field(kind, name))) for name in names]
                missing = [
                    (field, join_keys([one.get(row, NULL) for one in keys], order), row, 1)
                    for (row,) in rows
                    if row not in placed
                ]
            else:
                missing = [(field, order_key(record, order), base + n, 1) for n, record in self.some(kind)]
            self._db.executemany("insert or replace into entries values (?, ?, ?, ?)", missing)
            self._mark_complete(kind, [order])

    def _mark_complete(self, kind: str, orders: list[str]) -> None:
        self._db.executemany("update fields set complete = 1 where id = ?", [(self._field(kind, o),) for o in orders])
        self._orders(kind).update(orders)

    def _changed(self, kind: str, more: int) -> None:
        self.versions[kind] = self.versions.get(kind, 0) + 1
        if more:
            self._run("update kinds set records = records + ? where name = ?", more, kind)

    # -------------------------------------------------------------------------------------------------------- others

    def note(self, name: str, value: Any) -> None:
        self._run("insert or replace into notes values (?, ?)", name, json.dumps(value))

    def noted(self, name: str) -> Any:
        row = self._row("select value from notes where name = ?", name)
        return json.loads(row[0]) if row else None

    def dump(self) -> dict[str, list[list[Any]]]:
        with self.transaction():
            kinds = {number: name for name, number in self._rows("select name, number from kinds")}
            records = self._rows("select row, body from records order by row")
            return {
                "records": [[kinds[row >> KIND_BITS], row % 2**KIND_BITS, body] for row, body in records],
                "sequences": [list(row) for row in self._rows("select * from sequences")],
            }

    def load(self, dump: dict[str, list[list[Any]]]) -> None:
        """Forget everything and remember the dump instead; an empty dump empties the store."""
        with self.transaction():
            for table in ("records", "entries", "fields", "kinds", "sequences"):
                self._run(f"delete from {table}")
            if self._searched:
                self._run("delete from texts")
            self.versions = {kind: version + 1 for kind, version in self.versions.items()}
            self._forget()
            for kind, number, body in dump.get("records", []):
                self.put(kind, number, json.loads(body))
            self._db.executemany("insert into sequences values (?, ?)", dump.get("sequences", []))

    def watch(self, call: Callable[[], int] | None, instructions: int) -> None:
        """Have SQLite call something every so many of its instructions: a measure of cost that no load changes."""
        self._db.set_progress_handler(call, instructions)

    def _run(self, query: str, *values: Any) -> None:
        with self._lock:
            self._db.execute(query, values)

    def _row(self, query: str, *values: Any) -> Any:
        with self._lock:
            return self._db.execute(query, values).fetchone()

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def part(record: Record, name: str) -> Record:
    """The object in a record, empty if it has none."""
    return cast(Record, record.get(name) or {})


def many(record: Record, name: str) -> list[Any]:
    """The list in a record, empty if it has none."""
    return cast(list[Any], record.get(name) or [])
