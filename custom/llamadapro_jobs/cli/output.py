"""What the commands show: progress and bad rows as they go, figures at the end."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import fstat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .table import BadRow, Row, TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llamadapro._reports import ImportIssue, ImportReport, SendIssue, SendReport, UnfinishedChunk

PLAIN_INTERVAL = 2.0
_OUR_COLUMNS = ("_line", "_problem")


def echo(text: str) -> None:
    """Print on standard error."""
    print(text, file=sys.stderr, flush=True)


class LineIndex:
    """The rows of a table; remembers the lines of each chunk, to name these rather than the numbers of rows."""

    def __init__(self, rows: Iterable[Row | BadRow], size: int) -> None:
        self._rows = rows
        self._size = max(1, size)
        self._lines: dict[int, tuple[int, int]] = {}
        self.first: Row | None = None

    def __iter__(self) -> Iterator[Row | BadRow]:
        for row, item in enumerate(self._rows):
            first, _ = self._lines.get(row // self._size, (item.line, 0))
            self._lines[row // self._size] = (first, item.line)
            if self.first is None and isinstance(item, Row):
                self.first = item
            yield item

    def of(self, chunk: UnfinishedChunk) -> str:
        return "lines {} to {}".format(*self._lines[chunk.number])


def show_result(report: ImportReport | SendReport, lines: LineIndex | None = None) -> None:
    """The figures, on standard output."""
    from llamadapro._reports import ImportReport

    print(report)
    if isinstance(report, ImportReport):
        _show_chunks(report, lines)
    elif report.unknown:
        print("Unknown rows may have been sent: check with the service before --resend-unknown sends them again.")
    sys.stdout.flush()


def _show_chunks(report: ImportReport, lines: LineIndex | None) -> None:
    if report.resumed:
        print(f"{report.resumed:,} of {report.chunks:,} chunks were done in an earlier run, and not sent again")
    for name, chunks in (("unknown", report.unknown), ("failed", report.failed)):
        for chunk in chunks:
            where = lines.of(chunk) if lines else f"rows {chunk.first + 1} to {chunk.last + 1}"
            print(f"{name}: {where} ({chunk.rows:,} good rows): {chunk.reason}")
    if report.unknown:
        print("Unknown rows may have been imported: check with the service before --resend-unknown sends them again.")
    if report.failed:
        print("Failed rows were not imported: the same command sends them again.")


def show_plan(
    plan: ImportReport | SendReport, good: int, duplicates: int, first: Any, *, unit: str, ledger: str
) -> None:
    """What would be sent, on standard output."""
    if first is not None and good:
        print(f"first: {dict(first)}")
    print(f"{good:,} {unit} would be sent, {duplicates:,} duplicates, {plan.bad:,} bad; nothing was sent")
    if plan.read > good + duplicates + plan.bad:
        print(f"so far: {plan}")
    if "://" in ledger:
        print("What the ledger in PostgreSQL has as sent is counted too: a plan looks into files only.")
    sys.stdout.flush()


@contextmanager
def write_rejects(
    path: Path | None, source: Path, ledger: str, table: Any
) -> Iterator[Callable[[ImportIssue | SendIssue], None]]:
    """Rows that were not taken: on standard error, or in a CSV file that can be corrected and sent in its turn."""
    if path is None:

        def show(issue: ImportIssue | SendIssue) -> None:
            if _is_reject(issue):
                echo(f"{source}:{_line(issue)}: {issue.reason}")

        yield show
        return
    if path.resolve() in (source.resolve(), Path(ledger).resolve()):
        raise TableError(f"--bad-rows would overwrite {path}, which is needed")
    with path.open("w", encoding="utf-8", newline="") as file:
        kept = [place for place, name in enumerate(table.header) if name not in _OUR_COLUMNS]
        writer = csv.writer(file, delimiter=table.delimiter)
        writer.writerow([*(table.header[place] for place in kept), *_OUR_COLUMNS])

        def write(issue: ImportIssue | SendIssue) -> None:
            if _is_reject(issue):
                cells: Sequence[str] = (
                    issue.item.cells if isinstance(issue.item, Row | BadRow) else table.cells(issue.item)
                )
                row = [cells[place] if place < len(cells) else "" for place in kept]
                writer.writerow([*row, _line(issue), issue.reason])

        yield write


def _is_reject(issue: ImportIssue | SendIssue) -> bool:
    """Warnings are none, nor is what may have been sent: it must not stand in a file that is to be sent."""
    from llamadapro._reports import SendIssue

    return issue.state != "unknown" if isinstance(issue, SendIssue) else bool(issue.errors)


def _line(issue: ImportIssue | SendIssue) -> str:
    if isinstance(issue.item, Row | BadRow):
        return str(issue.item.line)
    return "?" if hasattr(issue, "errors") else str(issue.row)


@contextmanager
def progress(file: TextIO | None) -> Iterator[Callable[[ImportReport | SendReport], None]]:
    """A bar where there is a terminal and rich is installed (the extra `cli`); else a line now and then.

    With a file the bar shows how far it has been read: to count its rows first would be to read it twice. Without, how
    many of the rows that have been read are done with.
    """
    try:
        if not sys.stderr.isatty():
            raise ImportError
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    except ImportError:
        yield _plain()
        return
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=fstat(file.fileno()).st_size or None if file else None)

        def show(report: ImportReport | SendReport) -> None:
            if file is not None:
                bar.update(task, completed=file.buffer.tell(), description=str(report))
            else:
                pending = getattr(report, "pending", 0)
                bar.update(task, total=report.read, completed=report.read - pending, description=_with_rate(report))

        yield show


def _with_rate(report: Any) -> str:
    return f"{report}, {report.sent / report.elapsed:,.1f} a second" if report.elapsed else str(report)


def _plain() -> Callable[[ImportReport | SendReport], None]:
    shown = time.monotonic()

    def show(report: ImportReport | SendReport) -> None:
        nonlocal shown
        if time.monotonic() - shown >= PLAIN_INTERVAL:
            shown = time.monotonic()
            echo(str(report))

    return show
