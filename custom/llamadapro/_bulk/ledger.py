"""What became of each chunk of an import, in a SQLite file that survives `kill -9` and a power cut.

A chunk is written down as "sending" before it is sent, and with its outcome afterwards; each is a commit of its own,
synced to the disk (0.3 ms at the median, 5 ms at the 99th percentile on a plain SSD: short enough for the event loop).
A chunk that is found as "sending" was under way when its process ended: nobody knows what became of it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any, Literal

import attrs

from ..errors import InvalidRequestError, LlamadaProError

State = Literal["sending", "done", "failed", "unknown"]
"""failed: certainly not processed. unknown: perhaps."""

FORMAT = 1
APPLICATION = 0x6C6C7001
"""In the file's header, so that no other program's database is written to."""

_TABLES = """
create table about (name text primary key, value text not null) without rowid;
create table chunks (
    number integer primary key, first integer not null, last integer not null, digest blob not null,
    state text not null, bad text not null, told text not null
);
"""
_LOST = json.dumps({"reason": "the run that sent it ended before its answer came"})


@attrs.frozen
class Entry:
    """What is known of one chunk."""

    digest: bytes
    """Of its rows as the source gave them."""
    state: State
    bad: Any
    """The rows that were not sent, and why; as `begin` was given it."""
    told: Any
    """The service's report, or why there is none; as `end` was given it."""


class Ledger:
    """The chunks of one import. `about` is what must be the same whenever it is resumed.

    Without a path the ledger is a temporary file, gone when it is closed. It is held by one import at a time.

    Raises `InvalidRequestError` if the file cannot be opened, is no ledger, in use, or of another import;
    `LlamadaProError` if later it cannot be written.
    """

    def __init__(self, path: str | PathLike[str] | None, about: Mapping[str, str | int]) -> None:
        self._name = "the temporary ledger" if path is None else f"ledger {fspath(path)!r}"
        with self._translated(InvalidRequestError):
            self._db = sqlite3.connect("" if path is None else fspath(path), isolation_level=None, timeout=0)
        try:
            with self._translated(InvalidRequestError):
                self._open({name: str(value) for name, value in {"format": FORMAT, **about}.items()})
        except BaseException:
            self.close()
            raise

    def _open(self, about: Mapping[str, str]) -> None:
        # Held from the first access to the end: two imports on one ledger would send the same chunks.
        self._db.execute("pragma locking_mode = exclusive")
        application, tables = self._db.execute(
            "select application_id, (select count(*) from sqlite_master) from pragma_application_id"
        ).fetchone()
        if tables and application != APPLICATION:
            raise InvalidRequestError(f"{self._name} is the database of another program: choose another file")
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        if not tables:
            self._db.executescript(f"begin; pragma application_id = {APPLICATION}; {_TABLES}")
            self._db.executemany("insert into about values (?, ?)", about.items())
            self._db.execute("commit")
        known = dict(self._db.execute("select name, value from about"))
        for name, value in about.items():
            if known.get(name) != value:
                raise InvalidRequestError(
                    f"{self._name} was begun with {name} {known.get(name)}, now it is {value}: resume with the same, "
                    "or give the new import a ledger of its own"
                )
        self._db.execute("update chunks set state = 'unknown', told = ? where state = 'sending'", (_LOST,))

    def find(self, number: int) -> Entry | None:
        """What earlier runs, or this one, wrote down about a chunk."""
        with self._translated():
            query = "select digest, state, bad, told from chunks where number = ?"
            row = self._db.execute(query, (number,)).fetchone()
        return row and Entry(row[0], row[1], json.loads(row[2]), json.loads(row[3]))

    def begin(self, number: int, first: int, last: int, digest: bytes, bad: Any) -> None:
        """Write a chunk down as about to be sent; `first` and `last` are its rows, for whoever reads the file."""
        with self._translated():
            values = (number, first, last, digest, json.dumps(bad))
            self._db.execute("insert or replace into chunks values (?, ?, ?, ?, 'sending', ?, 'null')", values)

    def end(self, number: int, state: State, told: Any) -> None:
        """Write down what became of it."""
        with self._translated():
            values = (state, json.dumps(told), number)
            self._db.execute("update chunks set state = ?, told = ? where number = ?", values)

    def rows(self) -> int:
        """How many rows of the source have been in a chunk, in this run or before."""
        with self._translated():
            return int(self._db.execute("select coalesce(max(last) + 1, 0) from chunks").fetchone()[0])

    def close(self) -> None:
        """Let go of the file. Closing twice does no harm."""
        self._db.close()

    @contextmanager
    def _translated(self, kind: type[LlamadaProError] = LlamadaProError) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            held = "; another import is using it: wait until that ends" if "locked" in str(error) else ""
            raise kind(f"{self._name} cannot be used: {error}{held}") from None
