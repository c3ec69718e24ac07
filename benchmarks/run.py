"""`make bench`: measure everything, print the table, and write docs/benchmarks.md and its plot.

`--quick` takes fewer and shorter rounds and writes nothing; `--only get send` measures these alone; `--runs 3` does it
all three times and takes the median of the medians. Exits 0 whatever the figures are: they are there to be read.
"""

# ruff: noqa: S603  (starts this project's own programs)
from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import Figures, Row
from benchmarks.report import Run, markdown, plot

ROOT = Path(__file__).resolve().parent.parent
CASES = ("calls", "models", "starting", "pages", "downloads", "jobs", "sandbox", "peers")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        generate_stock(Path(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), folder])
        started = time.monotonic()
        runs = []
        for number in range(options.runs):
            if options.runs > 1:
                _say(f"run {number + 1} of {options.runs}")
            with server() as address:
                runs.append(one_run(address, quick=options.quick, only=options.only))
        took = time.monotonic() - started
    rows = [row for row in _rows() if row.measure in runs[0]]
    text = markdown(rows, runs, quick=options.quick, seconds=took)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(runs))
    folder_for_docs = options.output or (None if options.quick or options.only else ROOT / "docs")
    if folder_for_docs is not None:
        folder_for_docs.mkdir(parents=True, exist_ok=True)
        (folder_for_docs / "benchmarks.md").write_text(text)
        plot(rows, runs, folder_for_docs / "benchmarks.png")
        _say(f"written: {folder_for_docs / 'benchmarks.md'}, {folder_for_docs / 'benchmarks.png'}")


def one_run(address: str, *, quick: bool, only: list[str]) -> Run:
    found: dict[str, dict[str, Figures]] = {}
    for case in CASES:
        module = f"benchmarks.cases.{case}"
        for one in importlib.import_module(module).MEASURES:
            if (not only or one.name in only) and (not quick or one.quick_rounds):
                started = time.monotonic()
                found[one.name] = measure.run(module, one, address, quick=quick)
                _say(f"{one.name}: {time.monotonic() - started:.0f} s")
    return found


def generate_stock(folder: Path) -> None:
    """What the generator makes of the same document when it is left alone."""
    config = folder / "config.yaml"
    config.write_text("package_name_override: stock_api\nliteral_enums: true\npost_hooks: []\n")
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta", "none"]
    command += ["--path", ROOT / "openapi.yaml", "--config", config, "--output-path", folder / "stock_api"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _rows() -> list[Row]:
    return [row for case in CASES for row in importlib.import_module(f"benchmarks.cases.{case}").ROWS]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under two minutes; writes nothing")
    parser.add_argument("--runs", type=int, default=1, help="do it all so many times")
    parser.add_argument("--only", nargs="+", default=[], metavar="MEASURE", help="measure these alone; writes nothing")
    parser.add_argument("--output", type=Path, help="write the table and the plot here instead of to docs/")
    parser.add_argument("--json", type=Path, help="write every single figure to this file")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
