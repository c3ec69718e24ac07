"""What `llamadapro import` shows: progress and bad rows as it goes, figures at the end."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import fstat
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .table import BadRow, Row, Table, TableError

if TYPE_CHECKING:
    from .._bulk import ImportIssue, ImportReport, OpenChunk

PLAIN_INTERVAL = 2.0
_OURS = ("_line", "_problem")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Places:
    """The rows of a table; remembers the lines of each chunk, to name these rather than the numbers of rows."""

    def __init__(self, table: Table, size: int) -> None:
        self._table = table
        self._size = max(1, size)
        self._lines: dict[int, tuple[int, int]] = {}

    def __iter__(self) -> Iterator[Row | BadRow]:
        for row, item in enumerate(self._table):
            first, _ = self._lines.get(row // self._size, (item.line, 0))
            self._lines[row // self._size] = (first, item.line)
            yield item

    def of(self, chunk: OpenChunk) -> str:
        return "lines {} to {}".format(*self._lines[chunk.number])


def show_result(report: ImportReport | None, places: Places | None = None) -> None:
    """The figures, on standard output."""
    if report is None:
        return
    print(report)
    if report.resumed:
        print(f"{report.resumed:,} of {report.chunks:,} chunks were done in an earlier run, and not sent again")
    for name, chunks in (("unknown", report.unknown), ("failed", report.failed)):
        for chunk in chunks:
            where = places.of(chunk) if places else f"rows {chunk.first + 1} to {chunk.last + 1}"
            print(f"{name}: {where} ({chunk.rows:,} good rows): {chunk.reason}")
    if report.unknown:
        print("Unknown rows may have been imported: look at the service before --resend-unknown sends them again.")
    if report.failed:
        print("Failed rows were not imported: the same command sends them again.")
    sys.stdout.flush()


@contextmanager
def tell_bad_rows(
    path: Path | None, source: Path, ledger: Path, table: Table
) -> Iterator[Callable[[ImportIssue], None]]:
    """Rows that were not imported: on standard error, or in a CSV file that can be mended and imported."""
    if path is None:

        def tell(issue: ImportIssue) -> None:
            if issue.errors:
                say(f"{source}:{_line(issue)}: {issue.reason}")

        yield tell
        return
    if path.resolve() in (source.resolve(), ledger.resolve()):
        raise TableError(f"--bad-rows would overwrite {path}, which is needed")
    with path.open("w", encoding="utf-8", newline="") as file:
        kept = [place for place, name in enumerate(table.header) if name not in _OURS]
        writer = csv.writer(file, delimiter=table.delimiter)
        writer.writerow([*(table.header[place] for place in kept), *_OURS])

        def write(issue: ImportIssue) -> None:
            if issue.errors:
                cells = issue.item.cells if isinstance(issue.item, Row | BadRow) else []
                row = [cells[place] if place < len(cells) else "" for place in kept]
                writer.writerow([*row, _line(issue), issue.reason])

        yield write


def _line(issue: ImportIssue) -> str:
    return str(issue.item.line) if isinstance(issue.item, Row | BadRow) else "?"


@contextmanager
def progress(file: TextIO) -> Iterator[Callable[[ImportReport], None]]:
    """A bar where there is a terminal and rich is installed (the extra `cli`); else a line now and then."""
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
        # How far the file has been read: to count its rows first would be to read it twice.
        task = bar.add_task("", total=fstat(file.fileno()).st_size or None)
        yield lambda report: bar.update(task, completed=file.buffer.tell(), description=str(report))


def _plain() -> Callable[[ImportReport], None]:
    told = time.monotonic()

    def show(report: ImportReport) -> None:
        nonlocal told
        if time.monotonic() - told >= PLAIN_INTERVAL:
            told = time.monotonic()
            say(str(report))

    return show
