"""A ledger in a SQLite file, for one process at a time; it survives `kill -9` and a power cut.

Its statements run in a thread of its own, each turn as one commit that is synced to the disk.
"""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from os import PathLike, fspath
from typing import Any, TypeVar

import attrs

from llamadapro.errors import InvalidRequestError, LlamadaProError

from .ledger import Batch, Granted, Ledger, Rows, Turn
from .statements import SCHEMA, Dialect

T = TypeVar("T")

APPLICATION = 0x6C6C7001
"""In the file's header, so that no other program's database is written to."""
VERSION = 2
OLDEST_SQLITE = (3, 35)

SQLITE = Dialect(
    now=":now",
    identity="integer primary key",
    lock="",
    skip_locked="",
    json_rows="(select {columns} from json_each(:{parameter})) as s",
    json_column="json_extract(value, '$.{name}') as {name}",
)


class SqliteLedger(Ledger):
    """A `Ledger` in a file; without a path in a temporary one, gone when it is closed.

    `now` gives seconds, and is wall time at the first look; `noun` is what uses the file, for messages.
    """

    dialect = SQLITE
    lease: float = math.inf
    """The file is locked: what an earlier process had in hand is known to be lost."""

    def __init__(
        self, path: str | PathLike[str] | None, *, now: Callable[[], float] = time.monotonic, noun: str = "job"
    ) -> None:
        super().__init__()
        self._name = "the temporary ledger" if path is None else f"ledger {fspath(path)!r}"
        self._path = "" if path is None else fspath(path)
        self._noun = noun
        self._now, self._offset = now, time.time() - now()
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._db: sqlite3.Connection | None = None

    async def open(self, *, create: bool) -> None:
        await self._call(lambda: self._open(create))

    async def close(self) -> None:
        if self._db is not None:
            await self._call(self._db.close)
        self._thread.shutdown()

    async def execute(self, batch: Callable[[bool], Batch]) -> Rows:
        return await self._call(lambda: self._transaction(*batch(False)))

    async def _call(self, work: Callable[[], T]) -> T:
        with self._wrap_errors(LlamadaProError):
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transaction(self, texts: Mapping[str, str], parameters: Mapping[str, Any]) -> Rows:
        db = self._db
        assert db is not None
        parameters = {**parameters, "now": self._offset + self._now()}
        db.execute("begin immediate")
        try:
            rows = {name: db.execute(text, parameters).fetchall() for name, text in texts.items()}
            db.execute("commit")
        except BaseException:
            if db.in_transaction:  # a full disk has rolled it back already
                db.execute("rollback")
            raise
        return rows

    def _open(self, create: bool) -> None:
        if self._db is not None:
            return
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise InvalidRequestError(f"a ledger needs SQLite 3.35 or newer; this Python has {sqlite3.sqlite_version}")
        if not create and not os.path.exists(self._path):
            raise InvalidRequestError(f"{self._name} does not exist: nobody has begun a run on it")
        folder = os.path.dirname(os.path.abspath(self._path))
        if os.path.isdir(self._path):
            raise InvalidRequestError(f"{self._name} cannot be opened: it is a folder; name a file in it")
        if not os.path.isdir(folder):
            raise InvalidRequestError(f"{self._name} cannot be opened: there is no folder {folder!r}; create it first")
        with self._wrap_errors(InvalidRequestError):
            self._db = db = sqlite3.connect(self._path, isolation_level=None, timeout=0, check_same_thread=False)
            # Held from the first access to the end: two processes on one ledger would send the same units.
            db.execute("pragma locking_mode = exclusive")
            application, tables, version = db.execute(
                "select application_id, (select count(*) from sqlite_master), user_version "
                "from pragma_application_id, pragma_user_version"
            ).fetchone()
            if tables and application != APPLICATION:
                raise InvalidRequestError(f"{self._name} is the database of another program: choose another file")
            if tables and version != VERSION:
                raise InvalidRequestError(
                    f"{self._name} was written by another version of LlamadaPro: finish it with that version, or begin "
                    "a new ledger without what it has sent"
                )
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = full")
            if not tables:
                pragmas = f"pragma application_id = {APPLICATION}; pragma user_version = {VERSION}"
                db.executescript(f"begin; {pragmas}; {SQLITE.sql(SCHEMA)}; commit")

    @contextmanager
    def _wrap_errors(self, kind: type[LlamadaProError]) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            held = f"; another {self._noun} is using it: wait until that ends" if "locked" in str(error) else ""
            raise kind(f"{self._name} cannot be used: {error}{held}") from None


class PlanLedger(SqliteLedger):
    """A temporary ledger that grants no claim: for a run that only reads its source.

    It holds what the file at `path` does, if there is one.
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__(path if path and os.path.exists(path) else None)

    def _open(self, create: bool) -> None:
        super()._open(create)
        kept, path, self._path = self._db, self._path, ""
        if path and kept is not None:
            with closing(kept), self._wrap_errors(InvalidRequestError):
                self._db = copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)
                for statement in kept.iterdump():
                    copy.execute(statement)

    async def turn(self, turn: Turn) -> Granted:
        return await super().turn(attrs.evolve(turn, places=0))
