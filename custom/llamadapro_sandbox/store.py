"""The sandbox's memory: records as JSON in SQLite, in memory or in a file that survives `kill -9`.

SQLite is called synchronously: an operation takes microseconds, and one request is one transaction.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

Record = dict[str, Any]

TABLES = """
create table if not exists records (kind text, id integer, body text not null, primary key (kind, id)) without rowid;
create table if not exists sequences (kind text primary key, last integer not null) without rowid;
create table if not exists addresses (address text, contact integer, primary key (address, contact)) without rowid;
create index if not exists addresses_by_contact on addresses (contact);
create table if not exists notes (name text primary key, value text not null) without rowid;
"""
DUMPED = ("records", "sequences", "addresses")
APPLICATION = 0x6C6C5342
"""Marks the file as a sandbox's, and no other program's."""


class Store:
    """Kinds of records (`contacts`, `tasks`, `options/3`, …), each under an integer id that is never given twice."""

    def __init__(self, path: str = ":memory:"):
        # A test's thread may reset while the server's thread answers: one lock, one writer at a time.
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        application, tables = self._db.execute(
            "select application_id, (select count(*) from sqlite_master) from pragma_application_id"
        ).fetchone()
        if tables and application != APPLICATION:
            self._db.close()
            raise ValueError(f"{path} is the database of another program: choose another file")
        self._db.execute(f"pragma application_id = {APPLICATION}")
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(TABLES)

    def close(self) -> None:
        with self._lock:
            self._db.close()

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
                raise
            self._db.execute("commit")

    def next_id(self, kind: str) -> int:
        row = self._row(
            "insert into sequences values (?, 1) on conflict do update set last = last + 1 returning last", kind
        )
        assert row is not None
        return int(row[0])

    def put(self, kind: str, number: int, record: Record) -> None:
        self._run("insert or replace into records values (?, ?, ?)", kind, number, json.dumps(record))

    def get(self, kind: str, number: int) -> Record | None:
        row = self._row("select body from records where kind = ? and id = ?", kind, number)
        return json.loads(row[0]) if row else None

    def delete(self, kind: str, number: int) -> None:
        self._run("delete from records where kind = ? and id = ?", kind, number)

    def some(self, kind: str, *, after: int = 0, skip: int = 0, limit: int = -1) -> list[tuple[int, Record]]:
        """Records in the order of their creation."""
        query = "select id, body from records where kind = ? and id > ? order by id limit ? offset ?"
        return [(number, json.loads(body)) for number, body in self._rows(query, kind, after, limit, skip)]

    def latest(self, kind: str, limit: int) -> list[tuple[int, Record]]:
        """The newest records, in the order of their creation."""
        query = "select id, body from records where kind = ? order by id desc limit ?"
        return [(number, json.loads(body)) for number, body in reversed(self._rows(query, kind, limit))]

    def count(self, kind: str) -> int:
        row = self._row("select count(*) from records where kind = ?", kind)
        return int(row[0]) if row else 0

    def kinds(self) -> dict[str, int]:
        return dict(self._rows("select kind, count(*) from records group by kind"))

    def set_addresses(self, contact: int, addresses: set[str]) -> None:
        """Make the contact findable by these addresses and no others."""
        self._run("delete from addresses where contact = ?", contact)
        for address in addresses:
            self._run("insert into addresses values (?, ?)", address, contact)

    def contact_at(self, addresses: list[str]) -> int | None:
        """The oldest contact that has one of the addresses, the first address given counting most."""
        for address in addresses:
            row = self._row("select min(contact) from addresses where address = ?", address)
            if row and row[0] is not None:
                return int(row[0])
        return None

    def note(self, name: str, value: Any) -> None:
        self._run("insert or replace into notes values (?, ?)", name, json.dumps(value))

    def noted(self, name: str) -> Any:
        row = self._row("select value from notes where name = ?", name)
        return json.loads(row[0]) if row else None

    def dump(self) -> dict[str, list[list[Any]]]:
        with self.transaction():
            queries = {table: f"select * from {table}" for table in DUMPED}  # noqa: S608 - our own names
            return {table: [list(row) for row in self._rows(query)] for table, query in queries.items()}

    def load(self, dump: dict[str, list[list[Any]]]) -> None:
        """Forget everything and remember the dump instead; an empty dump empties the store."""
        with self.transaction():
            for table in DUMPED:
                self._run(f"delete from {table}")  # noqa: S608
                for row in dump.get(table, []):
                    self._run(f"insert into {table} values ({','.join('?' * len(row))})", *row)  # noqa: S608

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
