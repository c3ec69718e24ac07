"""What `llamadapro import` and `llamadapro campaign` have in common: options, the key, a gentle stop, exit codes."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from llamadapro.errors import JobError, LlamadaProError

from .output import echo, progress, show_result, write_rejects
from .table import CsvLines, TableError

if TYPE_CHECKING:
    from llamadapro import AsyncLlamadaPro, ImportReport, SendReport

ENVIRONMENT = """environment:
  LLAMADAPRO_API_KEY   the service's key; without it, it is asked for where there is a terminal
  LLAMADAPRO_BASE_URL  the service's address; --base-url goes before it
  LLAMADAPRO_LOG       debug: a line per request on standard error
"""
EXIT_CODES = "exit codes: 0 all rows {done}, 1 some were not, 2 not possible or stopped by an error, 130 interrupted\n"


class Interrupted(Exception):
    """Ctrl-C, or a request to end."""


def build_parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_file_options(found: argparse.ArgumentParser, ledger: str, concurrency: int) -> None:
    """The options of a command that sends the lines of a file."""
    add = found.add_argument
    add("file", type=Path, metavar="FILE.csv", help="with a header that names the columns")
    add_ledger_options(found, f"where it is noted what was sent: a file, or postgresql://… (default: {ledger})")
    add("--bad-rows", type=Path, metavar="FILE", help="CSV file to write the rows to that were not taken")
    add("--region", metavar="CL", help="allow national phone numbers of this country")
    add("--concurrency", type=int, default=concurrency, metavar="N", help="requests at a time (default: %(default)s)")
    add("--timeout", type=float, default=120.0, metavar="S", help="seconds to wait for an answer (default: 120)")
    add("--resend-unknown", action="store_true", help="send again what may have been processed")
    add("--dry-run", action="store_true", help="check the file and show what would be sent; send nothing")
    add("--base-url", metavar="URL", help="default: $LLAMADAPRO_BASE_URL, else the service's")
    add("--delimiter", type=_delimiter, default=",", metavar="SIGN", help="between cells; tab for a tab (default: ,)")
    add("--encoding", default="utf-8-sig", help="of the file (default: UTF-8, with or without a BOM)")


def add_ledger_options(found: argparse.ArgumentParser, ledger: str, *, required: bool = False) -> None:
    found.add_argument("--ledger", metavar="PATH", required=required, help=ledger)
    found.add_argument("--run", metavar="NAME", help="the run's name in a ledger that holds several")


def execute(prog: str, options: argparse.Namespace, work: Coroutine[Any, Any, int]) -> int:
    """Run a command; whatever goes wrong is a sentence and an exit code."""
    try:
        return asyncio.run(work)
    except (asyncio.CancelledError, KeyboardInterrupt):
        return _interrupted()
    except (LlamadaProError, TableError, OSError, LookupError, UnicodeError) as error:
        cause: BaseException = error
        if isinstance(error, JobError):
            show_result(error.report)
            cause = error.__cause__ or error
        if isinstance(cause, Interrupted):
            return _interrupted()
        if isinstance(cause, UnicodeError):
            cause = TableError(f"{options.file} is not {options.encoding}: {cause}; name its --encoding")
        echo(f"{prog}: {cause}")
    return 2


def _interrupted() -> int:
    echo("Interrupted. The same command goes on from here.")
    return 130


def build_client(options: argparse.Namespace) -> AsyncLlamadaPro:
    from llamadapro import AsyncLlamadaPro  # late: whoever asks for help does not wait for it

    return AsyncLlamadaPro(
        "dry-run" if options.dry_run else ask_key(),
        options.base_url,
        default_region=options.region,
        timeout=options.timeout,
        deadline=5 * options.timeout,
        max_retries=5,  # nobody waits for a single row: rather slow than left for the next run
    )


def install_signal_handlers() -> Callable[[], None]:
    """What raises `Interrupted` once the user wants to stop. The second time, what is being sent is cut off."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    count = 0

    def note() -> None:
        nonlocal count
        count += 1
        if count == 1:
            echo("Stopping as soon as what is being sent is answered; once more to stop at once.")
        elif task is not None:
            task.cancel()

    def check() -> None:
        if count:
            raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            loop.add_signal_handler(number, note)
    return check


@contextmanager
def callbacks(
    options: argparse.Namespace, ledger: str, table: CsvLines, file: TextIO | None
) -> Iterator[dict[str, Any]]:
    """What the run calls: the bar, of how far the file has been read if it is given, the rejects, and a gentle stop."""
    with write_rejects(options.bad_rows, options.file, ledger, table) as on_issue, progress(file) as show:
        check_interrupt = install_signal_handlers()

        def on_progress(report: ImportReport | SendReport) -> None:
            show(report)
            check_interrupt()

        yield {"on_progress": on_progress, "on_issue": on_issue}


def ask_key() -> str | None:
    """The key, or None: as the client finds it. Never an argument: every user of the machine sees those."""
    if os.environ.get("LLAMADAPRO_API_KEY") or not sys.stdin.isatty():
        return None
    return getpass("API key: ")


def _delimiter(text: str) -> str:
    return "\t" if text in ("tab", "\\t") else text
