"""`llamadapro import`: conversations from a CSV file, resumed where it was interrupted."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from getpass import getpass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from llamadapro_api.models import BulkSingleConversationCreateParamsDict as Created
from llamadapro_api.models import BulkSingleConversationUpdateParamsDict as Updated

from ..errors import LlamadaProError
from .output import Places, progress, say, show_result, tell_bad_rows
from .table import Keys, Table, TableError

if TYPE_CHECKING:
    from .._bulk import ImportReport

EPILOG = """columns:
{columns}
  Several numbers or addresses are separated by a semicolon. An empty cell sends nothing. Values of custom fields are
  sent as text; a column such as custom_fields.age:json reads 42, true or null. A column _NAME is left out.

examples:
  llamadapro import people.csv --region CL --set funnel_id=3
  llamadapro import changes.csv --update --bad-rows bad.csv --timezone America/Santiago

environment:
  LLAMADAPRO_API_KEY   the service's key; without it, it is asked for where there is a terminal
  LLAMADAPRO_BASE_URL  the service's address; --base-url goes before it
  LLAMADAPRO_LOG       debug: a line per request on standard error

The same command again resumes an interrupted import; what was imported is not sent again. To import the same file anew,
name another --ledger.

exit codes: 0 all rows imported, 1 some were not, 2 not possible or stopped by an error, 130 interrupted
"""


class Interrupted(Exception):
    """Ctrl-C, or a request to end."""


def parser() -> argparse.ArgumentParser:
    names = fill(", ".join(Keys(Created).names()), 118, initial_indent="  ", subsequent_indent="  ")
    found = argparse.ArgumentParser(
        prog="llamadapro import",
        description="Create conversations from a CSV file, or change them.",
        epilog=EPILOG.format(columns=names),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("file", type=Path, metavar="FILE.csv", help="with a header that names the columns")
    add("--update", action="store_true", help="change the conversations that the column id names")
    add("--ledger", type=Path, metavar="PATH", help="where it is noted what was sent (default: FILE.csv.ledger)")
    add("--bad-rows", type=Path, metavar="FILE", help="CSV file to write the rows to that were not imported")
    add("--set", action="append", default=[], type=_pair, metavar="COLUMN=VALUE", help="the same for every row")
    add("--ignore", action="append", default=[], metavar="COLUMN", help="leave this column out")
    add("--region", metavar="CL", help="let national phone numbers of this country in")
    add("--timezone", type=_zone, metavar="NAME", help="for times without one, such as America/Santiago")
    add("--chunk-size", type=int, default=500, metavar="ROWS", help="in one request (default: 500)")
    add("--concurrency", type=int, default=4, metavar="N", help="requests at a time (default: 4)")
    add("--timeout", type=float, default=120.0, metavar="S", help="seconds to wait for an answer (default: 120)")
    add("--resend-unknown", action="store_true", help="send again what may have been processed")
    add("--base-url", metavar="URL", help="default: $LLAMADAPRO_BASE_URL, else the service's")
    add("--delimiter", type=_sign, default=",", metavar="SIGN", help="between cells; tab for a tab (default: a comma)")
    add("--encoding", default="utf-8-sig", help="of the file (default: UTF-8, with or without a BOM)")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(argv)
    try:
        return asyncio.run(_run(options))
    except (asyncio.CancelledError, KeyboardInterrupt, Interrupted) as stop:
        show_result(getattr(stop, "report", None))
        say("Interrupted. The same command goes on from here.")
        return 130
    except UnicodeError as error:
        show_result(getattr(error, "report", None))
        say(f"llamadapro import: {options.file} is not {options.encoding}: {error}; name its --encoding")
    except (LlamadaProError, TableError, OSError, LookupError) as error:
        show_result(getattr(error, "report", None))
        say(f"llamadapro import: {error}")
    return 2


async def _run(options: argparse.Namespace) -> int:
    from .._client import AsyncLlamadaPro  # late: whoever asks for help does not wait for it

    ledger = options.ledger or Path(f"{options.file}.ledger")
    with ExitStack() as stack:
        file = stack.enter_context(options.file.open(encoding=options.encoding, newline=""))
        kind = Updated if options.update else Created
        fixed = dict(options.set)
        table = Table(
            file, kind, delimiter=options.delimiter, ignored=options.ignore, fixed=fixed, zone=options.timezone
        )
        client = AsyncLlamadaPro(
            _key(),
            options.base_url,
            default_region=options.region,
            timeout=options.timeout,
            deadline=5 * options.timeout,
            max_retries=5,  # nobody waits for a single row: rather slow than left for the next run
        )
        on_issue = stack.enter_context(tell_bad_rows(options.bad_rows, options.file, ledger, table))
        show = stack.enter_context(progress(file))
        interrupted = _listen()

        def on_progress(report: ImportReport) -> None:
            show(report)
            if interrupted():
                raise Interrupted

        async with client:
            places = Places(table, options.chunk_size)
            report = await client.conversations.import_many(
                places,
                update=options.update,
                chunk_size=options.chunk_size,
                concurrency=options.concurrency,
                ledger=ledger,
                resend_unknown=options.resend_unknown,
                on_progress=on_progress,
                on_issue=on_issue,
                max_issues=0,
            )
    show_result(report, places)
    return 0 if report.complete else 1


def _listen() -> Callable[[], bool]:
    """Whether the user wants to stop. The second time, what is being sent is cut off, and becomes unknown."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    count = 0

    def note() -> None:
        nonlocal count
        count += 1
        if count == 1:
            say("Stopping as soon as what is being sent is answered; once more to stop at once.")
        elif task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            loop.add_signal_handler(number, note)
    return lambda: count > 0


def _key() -> str | None:
    """Never an argument: the whole machine sees those, and the shell writes them down. None: as the client finds it."""
    if os.environ.get("LLAMADAPRO_API_KEY") or not sys.stdin.isatty():
        return None
    return getpass("API key: ")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not COLUMN=VALUE")
    return name, value


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"there is no time zone {name!r}; one is America/Santiago") from None


def _sign(text: str) -> str:
    return "\t" if text in ("tab", "\\t") else text
