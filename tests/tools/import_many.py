"""50,000 conversations from a CSV with 1 % bad rows, into a sandbox that fails at random; killed midway, and resumed.

    python -m tests.tools.import_many [rows] [chunk size]

The sandbox and `llamadapro import` are programs of their own; the importer gets a SIGKILL when half of the rows have
arrived, and the same command is then run until nothing is left to send. Every row carries a marker of its own, which
is looked for in the sandbox's database. Held against the promise:

- no row is there twice, and no bad row at all;
- every good row is there once, unless it stands in a chunk that is reported as unknown: then once or not at all;
- every bad row is named with its line, and nothing else is.

Prints figures; exits with 1 if any of this does not hold.
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llamadapro_sandbox import Sandbox as State
from tests.openapi import key_headers

FAULTS = (
    "kind=status,status=429,retry_after=0.02,probability=0.15",
    "kind=status,status=503,when=before,probability=0.02",
    "kind=status,status=503,when=after,probability=0.02",
    "kind=reset,when=before,probability=0.02",
    "kind=reset,when=after,probability=0.02",
    "kind=reset,when=within,probability=0.02",
)
HEADER = [
    *("funnel_id", "created_at", "custom_fields.marker", "custom_fields.visits:json"),
    *("contact.first_name", "contact.phones", "contact.emails", "_note"),
]
PROGRAM = """
import resource, sys
from llamadapro._cli import main
from tests.openapi import key_headers
code = main()
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
sys.exit(code)
"""
UNKNOWN = re.compile(r"^unknown: lines (\d+) to (\d+) ", re.MULTILINE)
BAD_SHARE = 0.01
MOST_RUNS = 8


@dataclass
class Source:
    """What was written to the file."""

    good: dict[str, int] = field(default_factory=dict)
    """Marker → line."""
    bad: dict[str, int] = field(default_factory=dict)


@dataclass
class Outcome:
    figures: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def note(self, what: str, value: object) -> None:
        self.figures.append(f"  {what:<42}{value:,}" if isinstance(value, int) else f"  {what:<42}{value}")

    def must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violations.append(otherwise)

    def __str__(self) -> str:
        return "\n".join([*self.figures, *(f"  VIOLATION: {one}" for one in self.violations)])


def write_csv(path: Path, rows: int, seed: int) -> Source:
    """Good rows, and among them at random rows of each way to be bad."""
    source, chance = Source(), random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            marker = f"row-{number:07d}"
            cells = [
                *("3", "2026-02-15T10:00:00-03:00", marker, str(number % 7)),
                *(f"Zoë {number}", f"+569{number:08d}", f"{marker}@example.org;second.{marker}@example.org", "for us"),
            ]
            if chance.random() < BAD_SHARE:
                spoil(cells, chance)
                source.bad[marker] = number + 2
            else:
                source.good[marker] = number + 2
            writer.writerow(cells)
    return source


def spoil(cells: list[str], chance: random.Random) -> None:
    """Make a row bad in one of several ways."""
    place, text = chance.choice(
        [
            (0, "three"),
            (0, ""),
            (1, "2026-02-15 10:00"),  # in no time zone
            (3, "many"),
            (5, "12345"),
            (5, "+56912345678;whatsapp:+56912345678"),
        ]
    )
    cells[place] = text
    if chance.random() < 0.2:
        cells.pop()  # a torn line


class Sandbox:
    """A program of its own, with a database and faults."""

    def __init__(self, db: Path):
        command = [sys.executable, "-m", "llamadapro_sandbox", "--db", str(db), "--speed", "0"]
        for fault in FAULTS:
            command += ["--fault", f"{fault},operation=BulkCreate"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def ask(self, path: str) -> Any:
        request = urllib.request.Request(f"{self.url}/_sandbox{path}", headers=key_headers("sandbox"))
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def conversations(self) -> int:
        return int(self.ask("")["counts"].get("conversations", 0))

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def importer(folder: Path, url: str, chunk_size: int) -> subprocess.Popen[str]:
    options = ["--chunk-size", str(chunk_size), "--bad-rows", str(folder / "bad.csv")]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "import", str(folder / "people.csv"), *options],
        env={**os.environ, "LLAMADAPRO_API_KEY": "sandbox", "LLAMADAPRO_BASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_midway(sandbox: Sandbox, process: subprocess.Popen[str], rows: int) -> int:
    """SIGKILL as soon as half of the rows have arrived; how many had."""
    while process.poll() is None:
        if (there := sandbox.conversations()) >= rows // 2:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return there
        time.sleep(0.005)
    return -1


def arrived(db: Path) -> Counter[str]:
    """How often each marker is in the sandbox's database."""
    sandbox = State(db=db)
    found = Counter(str(record["customFields"]["marker"]) for _, record in sandbox.store.some("conversations"))
    sandbox.close()
    return found


def prove(rows: int, chunk_size: int, folder: Path, seed: int = 20) -> Outcome:
    outcome = Outcome()
    source = write_csv(folder / "people.csv", rows, seed)
    sandbox = Sandbox(folder / "state.sqlite")
    try:
        began = time.monotonic()
        at_kill = kill_midway(sandbox, importer(folder, sandbox.url, chunk_size), rows)
        killed_after = time.monotonic() - began
        outcome.must(0 < at_kill < len(source.good), f"the first run was not killed midway, but at {at_kill}")
        printed, complaints, runs, failed = "", "", 1, True
        began = time.monotonic()
        while failed and runs < MOST_RUNS:
            runs += 1
            process = importer(folder, sandbox.url, chunk_size)
            printed, complaints = process.communicate()
            failed = "\nfailed: " in printed
            if process.returncode != 1:  # 1: there are rows that were not imported, the bad ones
                outcome.must(False, f"run {runs} ended with {process.returncode}: {complaints[-600:]}")
                return outcome
        took = time.monotonic() - began
        faults: dict[str, int] = {}
        for request in sandbox.ask("/requests?operation=BulkCreate")["requests"]:
            name = f"{request['fault']} {request['status']}" if request["fault"] else "answered"
            faults[name] = faults.get(name, 0) + 1
    finally:
        sandbox.end()
    outcome.must(not failed, f"after {runs} runs there still were failed chunks")
    outcome.note("rows", rows)
    outcome.note("of them good / bad", f"{len(source.good):,} / {len(source.bad):,}")
    outcome.note("arrived when the first run was killed", f"{at_kill:,} after {killed_after:.1f} s")
    outcome.note("then resumed and ended", f"after {took:.1f} s in {runs - 1} run(s)")
    outcome.note("what became of the requests", ", ".join(f"{name}: {count}" for name, count in sorted(faults.items())))
    compare(outcome, source, printed, arrived(folder / "state.sqlite"), folder / "bad.csv")
    outcome.note("the importer's peak memory", f"{complaints.split()[-1]} MB")
    outcome.figures += ["  what the last run printed:", *(f"    {line[:110]}" for line in printed.splitlines()[:6])]
    return outcome


def compare(outcome: Outcome, source: Source, printed: str, there: dict[str, int], bad_rows: Path) -> None:
    """Hold the server's database, the last run's report and the file against each other."""
    spans = [(int(first), int(last)) for first, last in UNKNOWN.findall(printed)]
    unknown = {marker for marker, line in source.good.items() if any(first <= line <= last for first, last in spans)}
    twice = [marker for marker, count in there.items() if count > 1]
    lost = [marker for marker in source.good if marker not in there and marker not in unknown]
    strange = [marker for marker in there if marker not in source.good]
    outcome.must(not twice, f"{len(twice)} rows are there twice, such as {twice[:3]}")
    outcome.must(not lost, f"{len(lost)} good rows are silently lost, such as {lost[:3]}")
    outcome.must(not strange, f"{len(strange)} rows should not be there, such as {strange[:3]}")
    with bad_rows.open(encoding="utf-8", newline="") as file:
        named = {int(row["_line"]) for row in csv.DictReader(file)}
    outcome.must(named == {*source.bad.values()}, f"{len(named ^ {*source.bad.values()})} bad rows are named wrongly")
    head = printed.partition("\n")[0]
    figures = {name: int(count.replace(",", "")) for count, name in re.findall(r"(\d[\d,]*) ([a-z ]+)", head)}
    right = {
        "rows read": len(source.good) + len(source.bad),
        "successful": len(source.good) - len(unknown),
        "bad": len(source.bad),
        "of unknown outcome": len(unknown),
    }
    outcome.must(figures == {name: count for name, count in right.items() if count}, f"{head!r} should be {right}")
    present = sum(marker in there for marker in unknown)
    found = f"{present:,} are there, {len(unknown) - present:,} are not"
    outcome.note("good rows there exactly once", sum(there.get(marker) == 1 for marker in source.good))
    outcome.note("listed as unknown", f"{len(unknown):,} rows in {len(spans)} chunks: {found}")
    outcome.note("there twice / silently lost / strange", f"{len(twice)} / {len(lost)} / {len(strange)}")
    outcome.note("bad rows named by line", len(named))


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    chunk_size = int(sys.argv[2]) if len(sys.argv) > 2 else 250
    with tempfile.TemporaryDirectory() as folder:
        outcome = prove(rows, chunk_size, Path(folder))
    print(f"an import, killed and resumed:\n{outcome}")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
