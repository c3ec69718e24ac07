"""What a measurement is, and how its contenders take turns: round by round, each in a process of its own."""

# ruff: noqa: S603  (starts this project's own programs)
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

Work = Callable[[int], Awaitable["Mapping[str, float] | None"]]
"""Does the thing so many times; may give figures of its own."""
Contender = Callable[[str], AbstractAsyncContextManager[Work]]
"""Given the server's address, sets up what is not to be measured."""

Figures = dict[str, list[float]]
"""Name of a figure (cpu and wall: seconds for one time) to its value in each round."""


@dataclass(frozen=True)
class Measure:
    name: str
    contenders: Mapping[str, Contender] = field(default_factory=dict)
    count: int = 1
    quick_count: int = 1
    rounds: int = 7
    quick_rounds: int = 3
    """0: not in a quick run."""
    warm: int = 1
    """How many times before each round, unmeasured."""
    warmer: Mapping[str, int] = field(default_factory=dict)
    """The same for contenders that need more of it."""
    fresh: bool = False
    """A new process for each round instead of one that lives on."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Instead of contenders: programs for new interpreters, each a line that sets up and one or more to be measured."""


@dataclass(frozen=True)
class Row:
    """A line of the table: a contender's median next to another's."""

    title: str
    measure: str
    contender: str
    baseline: str = ""
    bar: float | None = None
    at_least: bool = False
    """The bar is a smallest value: so many times as fast. Otherwise it is a largest."""
    baseline_measure: str = ""
    figure: str = "cpu"
    scale: float = 1.0
    unit: str = "×"
    comparison: bool = False
    """Of somebody else: shown vs ours, with no bar to hold."""


def run(module: str, measure: Measure, address: str, *, quick: bool) -> dict[str, Figures]:
    """All contenders of a measure, in turn in every round, so that a busy moment of the machine hits all alike."""
    rounds = measure.quick_rounds if quick else measure.rounds
    if measure.programs:
        return _collect(_programs(measure, rounds))
    count = measure.quick_count if quick else measure.count
    return (
        _collect(_fresh(module, measure, address, count, rounds))
        if measure.fresh
        else _collect(_living(module, measure, address, count, rounds))
    )


def _collect(found: Iterator[tuple[str, Mapping[str, float]]]) -> dict[str, Figures]:
    out: dict[str, Figures] = {}
    for contender, figures in found:
        for name, value in figures.items():
            out.setdefault(contender, {}).setdefault(name, []).append(value)
    return out


def _living(
    module: str, measure: Measure, address: str, count: int, rounds: int
) -> Iterator[tuple[str, Mapping[str, float]]]:
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(module, measure, name, address)) for name in measure.contenders}
        for turn in range(rounds):
            for name in _in_turn([*workers], turn):
                yield name, _ask(workers[name], count, measure.warmer.get(name, measure.warm))


def _fresh(
    module: str, measure: Measure, address: str, count: int, rounds: int
) -> Iterator[tuple[str, Mapping[str, float]]]:
    for turn in range(rounds):
        for name in _in_turn([*measure.contenders], turn):
            with _worker(module, measure, name, address) as worker:
                yield name, _ask(worker, count, measure.warm)


def _in_turn(names: list[str], turn: int) -> list[str]:
    """Everybody is first once."""
    at = turn % len(names)
    return names[at:] + names[:at]


@contextmanager
def _worker(module: str, measure: Measure, contender: str, address: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.worker", module, measure.name, contender, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.kill()  # it only listens now
            with suppress(BrokenPipeError):
                process.stdin.close()


def _ask(worker: subprocess.Popen[str], count: int, warm: int) -> dict[str, float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    answer = ""
    with suppress(BrokenPipeError):
        worker.stdin.write(f"{count} {warm}\n")
        worker.stdin.flush()
        answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"{worker.args!r} ended early")
    figures: dict[str, float] = json.loads(answer)
    return figures


_PROGRAM = """import sys, time, json
{setup}
started = time.process_time(), time.perf_counter()
{body}
ended = time.process_time(), time.perf_counter()
print(json.dumps(dict(cpu=ended[0] - started[0], wall=ended[1] - started[1])))
"""


def _programs(measure: Measure, rounds: int) -> Iterator[tuple[str, Mapping[str, float]]]:
    # Whatever this shell says: an installed package has its bytecode, and is not compiled at each start.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    first = -1 if rounds > 1 else 0  # once before, for the bytecode and the file cache
    for turn in range(first, rounds):
        for name in _in_turn([*measure.programs], max(0, turn)):
            setup, _, body = measure.programs[name].partition("\n")
            command = [sys.executable, "-c", _PROGRAM.format(setup=setup, body=body)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr}")
            if turn >= 0:
                yield name, json.loads(done.stdout)
