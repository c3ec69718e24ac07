"""`llamadapro import`: conversations from a CSV file, resumed where it was interrupted."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from textwrap import fill
from typing import Any
from zoneinfo import ZoneInfo

from llamadapro_api.models import BulkSingleConversationCreateParamsDict as Created
from llamadapro_api.models import BulkSingleConversationUpdateParamsDict as Updated

from .command import ENVIRONMENT, EXIT_CODES, add_file_options, build_client, build_parser, callbacks, execute
from .output import LineIndex, show_plan, show_result
from .table import ColumnIndex, Table

EPILOG = """columns:
{columns}
  Several numbers or addresses are separated by a semicolon. An empty cell sends nothing. Values of custom fields are
  sent as text; a column such as custom_fields.age:json reads 42, true or null. A column _NAME is left out.

examples:
  llamadapro import people.csv --region CL --set funnel_id=3
  llamadapro import changes.csv --update --bad-rows bad.csv --timezone America/Santiago

{environment}
The same command again resumes an interrupted import; what was imported is not sent again. To import the same file anew,
name another --ledger.

{exit_codes}"""


def parser() -> argparse.ArgumentParser:
    names = fill(", ".join(ColumnIndex(Created).names()), 118, initial_indent="  ", subsequent_indent="  ")
    epilog = EPILOG.format(columns=names, environment=ENVIRONMENT, exit_codes=EXIT_CODES.format(done="imported"))
    found = build_parser("llamadapro import", "Create conversations from a CSV file, or change them.", epilog)
    add_file_options(found, "FILE.csv.ledger", concurrency=4)
    add = found.add_argument
    add("--update", action="store_true", help="change the conversations that the column id names")
    add("--set", action="append", default=[], type=_pair, metavar="COLUMN=VALUE", help="the same for every row")
    add("--ignore", action="append", default=[], metavar="COLUMN", help="leave this column out")
    add("--timezone", type=_zone, metavar="NAME", help="for times without one, such as America/Santiago")
    add("--chunk-size", type=int, default=500, metavar="ROWS", help="in one request (default: 500)")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(argv)
    return execute("llamadapro import", options, _run(options))


async def _run(options: argparse.Namespace) -> int:
    from ..sqlite import PlanLedger

    ledger: Any = f"{options.file}.ledger" if options.ledger is None else options.ledger
    with options.file.open(encoding=options.encoding, newline="") as file:
        table = Table(
            file,
            Updated if options.update else Created,
            delimiter=options.delimiter,
            ignored=options.ignore,
            fixed=dict(options.set),
            zone=options.timezone,
        )
        lines = LineIndex(table, options.chunk_size)
        plan: Any = PlanLedger(ledger) if options.dry_run else None
        async with build_client(options) as client:
            with callbacks(options, ledger, table, file) as called:
                report = await client.conversations.import_many(
                    lines,
                    update=options.update,
                    chunk_size=options.chunk_size,
                    concurrency=options.concurrency,
                    ledger=plan or ledger,
                    run=options.run,
                    resend_unknown=options.resend_unknown,
                    max_issues=0,
                    **called,
                )
    if options.dry_run:
        show_plan(report, report.failed_rows, 0, lines.first, unit="rows", ledger=ledger)
        return 1 if report.bad else 0
    show_result(report, lines)
    return 0 if report.complete else 1


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
