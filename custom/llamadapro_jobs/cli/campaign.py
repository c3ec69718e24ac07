"""`llamadapro campaign`: a WhatsApp template to each line of a CSV file, once, and what became of it."""

from __future__ import annotations

import argparse
import csv
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamadapro.errors import InvalidRequestError

from ..ledger import Entry, Ledger, State
from ..opening import open_ledger
from .command import (
    ENVIRONMENT,
    EXIT_CODES,
    add_file_options,
    add_ledger_options,
    build_client,
    build_parser,
    callbacks,
    execute,
)
from .output import LineIndex, echo, show_plan, show_result
from .table import CampaignTable

if TYPE_CHECKING:
    from llamadapro import AsyncLlamadaPro, SendReport

EPILOG = """columns:
  to holds the number; the others are the template's variables, in their order. A column _NAME is left out. A line that
  lacks a cell is bad, and not sent.

further commands:
  llamadapro campaign status --ledger PATH [--run NAME]
  llamadapro campaign export --state unknown --ledger PATH [--run NAME] OUT.csv

examples:
  llamadapro campaign people.csv --template welcome --from +56912345678 --dry-run
  llamadapro campaign people.csv --template welcome --from +56912345678 --rate 20 --bad-rows bad.csv
  llamadapro campaign people.csv --template offer --from +56912345678 --ledger postgresql://db/jobs --run black-friday

{environment}
The same command again goes on from where it stopped: nobody gets a second message. With a PostgreSQL ledger any number
of processes may work on one run.

{exit_codes}"""
STATES: tuple[State, ...] = ("unknown", "refused", "bad", "pending", "sent")
ASK_ABOVE = 1000


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Of the command, or of the further command that the words begin with."""
    if words and words[0] in FURTHER:
        return FURTHER[words[0]]()
    epilog = EPILOG.format(environment=ENVIRONMENT, exit_codes=EXIT_CODES.format(done="sent"))
    found = build_parser("llamadapro campaign", "Send a WhatsApp template to each line of a CSV file, once.", epilog)
    add_file_options(found, "FILE.csv.TEMPLATE.ledger", concurrency=20)
    add = found.add_argument
    add("--template", required=True, metavar="NAME", help="the template that WhatsApp has approved")
    add("--from", dest="sender", required=True, metavar="NUMBER", help="the number to send from")
    add("--language", default="en", metavar="CODE", help="of the template (default: en)")
    add("--rate", type=float, metavar="N", help="messages per second, over all processes of the run")
    add("--yes", action="store_true", help=f"do not ask before more than {ASK_ABOVE:,} messages")
    found.set_defaults(work=_run)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = [*(sys.argv[1:] if argv is None else argv)]
    found = parser(arguments)
    options = found.parse_args(arguments[1:] if arguments and arguments[0] in FURTHER else arguments)
    return execute(found.prog, options, options.work(options))


async def _run(options: argparse.Namespace) -> int:
    ledger = f"{options.file}.{options.template}.ledger" if options.ledger is None else options.ledger
    async with build_client(options) as client:
        if options.dry_run or (sys.stdin.isatty() and sys.stderr.isatty() and not options.yes):
            plan, first = await _plan(options, client, ledger)
            if options.dry_run:
                show_plan(plan, plan.pending, plan.duplicates, first, unit="messages", ledger=ledger)
                if options.rate:
                    print(f"at {options.rate:g} a second: {_duration(plan.pending / options.rate)}")
                return 1 if plan.bad else 0
            if plan.pending > ASK_ABOVE and not _agrees(plan.pending):
                echo("Nothing was sent.")
                return 130
        with options.file.open(encoding=options.encoding, newline="") as file:
            table = CampaignTable(file, delimiter=options.delimiter)
            with callbacks(options, ledger, table, None) as called:
                report = await _send(options, client, table, ledger, **called)
    show_result(report)
    for issue in report.issues:
        if issue.state != "bad":
            print(f"{issue.state}: {options.file}:{issue.row}: {issue.key}: {issue.reason}")
    return 0 if report.complete else 1


async def _send(
    options: argparse.Namespace, client: AsyncLlamadaPro, rows: Any, ledger: Any, **callbacks: Any
) -> SendReport:
    return await client.messages.send_many(
        rows,
        common={
            "from_": options.sender,
            "template_name": options.template,
            "language_code": options.language,
        },
        ledger=ledger,
        run=options.run,
        rate=options.rate,
        concurrency=options.concurrency,
        resend_unknown=options.resend_unknown,
        **callbacks,
    )


async def _plan(options: argparse.Namespace, client: AsyncLlamadaPro, ledger: str) -> tuple[SendReport, Any]:
    """What would be sent: the run itself, on a copy of the ledger that lets nothing go."""
    from ..sqlite import PlanLedger

    def show(issue: Any) -> None:
        if options.dry_run:
            echo(f"{options.file}:{issue.row}: {issue.reason}")

    with options.file.open(encoding=options.encoding, newline="") as file:
        lines = LineIndex(CampaignTable(file, delimiter=options.delimiter), sys.maxsize)
        return await _send(options, client, lines, PlanLedger(ledger), on_issue=show), lines.first


def _agrees(count: int) -> bool:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # the event loop's would wait for the answer
    try:
        echo(f"Send up to {count:,} messages? [y/N]")
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        return False
    finally:
        signal.signal(signal.SIGINT, previous)


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{seconds:.0f} seconds" if minutes < 2 else f"{minutes:.0f} minutes" if hours < 2 else f"{hours:.1f} hours"


# --- a ledger from outside -------------------------------------------------------------------------------------------


def _status_parser() -> argparse.ArgumentParser:
    found = build_parser("llamadapro campaign status", "Show what has become of the rows of a ledger.", "")
    add_ledger_options(found, "a file, or postgresql://…", required=True)
    found.set_defaults(work=_status)
    return found


def _export_parser() -> argparse.ArgumentParser:
    words = "Write the rows in one state to a CSV file, which can be sent as a campaign of its own."
    found = build_parser("llamadapro campaign export", words, "")
    found.add_argument("file", type=Path, metavar="OUT.csv")
    found.add_argument("--state", choices=STATES, required=True, help="which rows")
    add_ledger_options(found, "a file, or postgresql://…", required=True)
    found.set_defaults(work=_export, encoding="utf-8")
    return found


@asynccontextmanager
async def _ledger(options: argparse.Namespace) -> AsyncIterator[Ledger]:
    from llamadapro._transport import SystemClock

    ledger = open_ledger(options.ledger, SystemClock(), "campaign")
    try:
        yield ledger
    finally:
        await ledger.close()


async def _status(options: argparse.Namespace) -> int:
    async with _ledger(options) as ledger:
        found = [run for run in await ledger.runs() if options.run in (None, run.name)]
    if not found:
        raise InvalidRequestError("the ledger holds no such run")
    for run in found:
        figures = ", ".join(f"{run.counts[state]:,} {state}" for state in sorted(run.counts))
        rate = f", {run.rate:g} a second" if run.rate else ""
        print(
            f"{run.name or '(no name)'}: {run.about['operation']}: {figures or 'nothing'}; {run.workers} at work{rate}"
        )
    open_states = {"pending", "sending", "unknown", "refused", "bad"}
    return 1 if any(open_states.intersection(run.counts) for run in found) else 0


async def _export(options: argparse.Namespace) -> int:
    if options.file.resolve() == Path(options.ledger).resolve():  # noqa: ASYNC240 - nothing else runs yet
        raise InvalidRequestError(f"{options.file} is the ledger")
    if not _is_export(options.file):
        raise InvalidRequestError(f"{options.file} exists, and is no earlier export: name another file")
    async with _ledger(options) as ledger:
        runs = {run.name: run for run in await ledger.runs()}
        name = options.run or ""
        if name not in runs:
            raise InvalidRequestError(f"the ledger holds no run {name!r}; there are: {', '.join(map(repr, runs))}")
        about = runs[name].about
        if "common" not in about:
            raise InvalidRequestError(f"the run is of {about['operation']}, whose rows are in the file that it imports")
        await ledger.begin(name, {"base_url": about["base_url"]}, join=True)
        width, others, count = 0, dict[str, None](), 0
        async for _, row in _rows(ledger, options.state):
            width, count = max(width, len(row.get("variables") or ())), count + 1
            others |= dict.fromkeys(row.keys() - {"to", "variables"})
        names, variables = sorted(others), [f"variable_{place}" for place in range(1, width + 1)]
        with options.file.open("w", encoding=options.encoding, newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["to", *variables, *(f"_{name}" for name in names), *_OUR_COLUMNS])
            async for entry, row in _rows(ledger, options.state):
                cells = [*(row.get("variables") or ()), *[""] * width][:width]
                values = [row.get("to", entry.key), *cells, *(row.get(name, "") for name in names)]
                texts = [text if isinstance(text, str) or text is None else json.dumps(text) for text in values]
                writer.writerow([*texts, entry.place, entry.state, entry.detail or ""])
    echo(f"{count:,} rows written to {options.file}")
    return 0


async def _rows(ledger: Ledger, state: State) -> AsyncIterator[tuple[Entry, dict[str, Any]]]:
    """The rows in this state; empty ones for those that are not in the ledger."""
    async for entry in ledger.entries(state):
        row = json.loads(entry.payload or "null")
        yield entry, row if isinstance(row, dict) else {}


def _is_export(path: Path) -> bool:
    """Whether nothing else is lost if it is written."""
    if not path.is_file() or not path.stat().st_size:
        return True
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return tuple(next(csv.reader(file), ())[-len(_OUR_COLUMNS) :]) == _OUR_COLUMNS


_OUR_COLUMNS = ("_line", "_state", "_problem")
FURTHER = {"status": _status_parser, "export": _export_parser}
