"""A WhatsApp campaign: a template to each number of a CSV file, once, however often the campaign is interrupted.

    python examples/campaign.py people.csv --template welcome --from +56912345678

The column `to` holds the number; the other columns are the template's variables, in their order. Each number is
written down in a ledger before its message is sent, and again with what became of it. After an interruption run the
same command again: what was sent is not sent again, nor is what may have been; that is listed, to be looked at.
`pip install 'llamadapro[cli]'` shows a bar.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from llamadapro import APIError, AsyncLlamadaPro, AuthenticationError, InvalidRequestError, LlamadaProError, to_e164
from llamadapro.models import Message

AT_A_TIME = 20
"""How many messages are on their way at once; how many leave in a second is for `rate_limit` to say."""

State = Literal["sending", "sent", "refused", "unknown"]
"""refused: certainly not sent, so that the next run tries again. unknown: perhaps sent, so that none does."""

Row = tuple[str, Sequence[str]]
"""A number, and the variables of its message."""


class Ledger:
    """What became of each number; every change is on the disk before the next line runs."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        # A second campaign on the same ledger gets an error instead of taking our messages for lost ones.
        self._db.execute("pragma locking_mode = exclusive")
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.execute("create table if not exists numbers (number text primary key, state text, told text)")
        lost = "update numbers set state = 'unknown', told = 'the run that sent it was interrupted'"
        self._db.execute(f"{lost} where state = 'sending'")

    def begin(self, number: str) -> bool:
        """Write down that a message is about to be sent; False if it must not be."""
        claim = "insert into numbers values (?, 'sending', '')"
        again = "on conflict do update set state = 'sending' where state = 'refused'"
        return self._db.execute(f"{claim} {again}", (number,)).rowcount == 1

    def end(self, number: str, state: State, told: str) -> None:
        """Write down what became of it."""
        self._db.execute("update numbers set state = ?, told = ? where number = ?", (state, told, number))

    def entries(self) -> list[tuple[str, State, str]]:
        return self._db.execute("select number, state, told from numbers order by rowid").fetchall()


async def send_all(send: Callable[..., Awaitable[Message]], ledger: Ledger, rows: Generator[Row]) -> None:
    """Take rows, which others take from as well, until there are none left."""
    for number, variables in rows:
        if not ledger.begin(number):
            continue
        try:
            message = await send(to=number, variables=variables or None)
        except (APIError, InvalidRequestError) as error:
            perhaps = isinstance(error, APIError) and error.may_have_been_processed
            ledger.end(number, "unknown" if perhaps else "refused", str(error))
            if isinstance(error, AuthenticationError):
                rows.close()  # the others would be refused as well
        else:
            ledger.end(number, "sent", message.id)


def read(path: Path, region: str | None) -> list[Row]:
    """The rows of the file, each number in the one spelling by which the ledger knows it."""
    rows: list[Row] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file)
        for row in lines:
            try:
                rows.append((to_e164(row.pop("to", ""), region), [*row.values()]))
            except InvalidRequestError as error:
                raise SystemExit(f"{path}, line {lines.line_num}: {error}") from None
    return rows


def shown(rows: Sequence[Row]) -> Generator[Row]:
    """The rows, with a bar of how many are taken; with plain lines where rich or a terminal is missing."""
    if sys.stderr.isatty() and find_spec("rich"):
        from rich.console import Console
        from rich.progress import track

        yield from track(rows, "Sending", console=Console(stderr=True))
        return
    for count, row in enumerate(rows, 1):
        yield row
        if count % 100 == 0:
            print(f"{count:,} of {len(rows):,}", file=sys.stderr)


def told(ledger: Ledger) -> bool:
    """Say what became of the campaign, and whether every message was sent."""
    entries = ledger.entries()
    counts = Counter(state for _, state, _ in entries)
    print(", ".join(f"{count:,} {state}" for state, count in counts.items()) or "nothing to send")
    for number, state, reason in entries:
        if state != "sent":
            print(f"{state}: {number}: {reason}")
    return {*counts} <= {"sent"}


async def main(options: argparse.Namespace) -> int:
    rows = shown(read(options.file, options.region))
    ledger = Ledger(options.ledger or options.file.with_suffix(f".{options.template}.ledger"))
    async with AsyncLlamadaPro(rate_limit=options.rate) as client, asyncio.TaskGroup() as tasks:
        send = partial(
            client.messages.send_template,
            from_=options.sender,
            template_name=options.template,
            language_code=options.language,
        )
        for _ in range(AT_A_TIME):
            tasks.create_task(send_all(send, ledger, rows))
    return 0 if told(ledger) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Send a WhatsApp template to each number of a CSV file, once.")
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    parser.add_argument("--from", dest="sender", required=True, metavar="NUMBER")
    parser.add_argument("--template", required=True)
    parser.add_argument("--language", default="en")
    parser.add_argument("--region", help="country of national numbers, such as CL")
    parser.add_argument("--rate", type=float, default=20, help="messages per second (default: 20)")
    parser.add_argument("--ledger", type=Path, help="default: FILE.TEMPLATE.ledger")
    try:
        sys.exit(asyncio.run(main(parser.parse_args())))
    except (LlamadaProError, OSError, sqlite3.Error) as problem:
        sys.exit(f"campaign: {problem}")
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command goes on from here.")
