"""Which ledger an address means."""

from __future__ import annotations

import os
import re
from os import PathLike

from llamadapro._transport import Clock
from llamadapro.errors import InvalidRequestError

from .ledger import Ledger

_NO_PATH = re.compile(
    r":memory:|file:|[a-z][a-z0-9+.-]+:/|.*://|\s*(host|hostaddr|port|dbname|user|password|service)\s*=",
    re.IGNORECASE | re.DOTALL,
)
"""URLs of other schemes, in quotes, or made a `Path`, and psycopg's other form: as a file each machine had its own.

SQLite's own names too: some lead into memory, which remembers nothing.
"""


def open_ledger(ledger: str | PathLike[str] | Ledger | None, clock: Clock, noun: str) -> Ledger:
    """The ledger at a path or a ``postgresql://`` URL; None for a temporary one. `noun` is what uses it."""
    if isinstance(ledger, Ledger):
        return ledger
    if isinstance(ledger, str) and ledger.startswith(("postgresql://", "postgres://")):
        from .postgres import PostgresLedger

        return PostgresLedger(ledger)
    if ledger is not None:
        path = os.fspath(ledger) if isinstance(ledger, (str, PathLike)) else None
        if not path or not isinstance(path, str) or "\0" in path or not _is_encodable(path):
            raise InvalidRequestError(f"ledger must be a path or a postgresql:// URL, not {ledger!r}")
        if _NO_PATH.match(path):
            raise InvalidRequestError(
                "ledger must be a path, or a URL that begins with postgresql:// (not shown: it may hold a password)"
            )
    from .sqlite import SqliteLedger

    return SqliteLedger(ledger, now=clock.now, noun=noun)


def _is_encodable(path: str) -> bool:
    try:
        return bool(os.fsencode(path))
    except UnicodeError:
        return False
