"""Which ledger an address means."""

from __future__ import annotations

from os import PathLike

from llamadapro._transport import Clock
from llamadapro.errors import InvalidRequestError

from .ledger import Ledger


def open_ledger(ledger: str | PathLike[str] | Ledger | None, clock: Clock, noun: str) -> Ledger:
    """The ledger at a path or a ``postgresql://`` URL; None for a temporary one. `noun` is what uses it."""
    if isinstance(ledger, Ledger):
        return ledger
    if isinstance(ledger, str) and ledger.startswith(("postgresql://", "postgres://")):
        from .postgres import PostgresLedger

        return PostgresLedger(ledger)
    if ledger is not None and (not isinstance(ledger, (str, PathLike)) or not str(ledger)):
        raise InvalidRequestError(f"ledger must be a path or a postgresql:// URL, not {ledger!r}")
    from .sqlite import SqliteLedger

    return SqliteLedger(ledger, now=clock.now, noun=noun)
