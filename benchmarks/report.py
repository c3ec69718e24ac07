"""From figures to a table with every bar held or missed, and a plot of what is measured next to plain httpx."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.measure import Figures, Row

Run = dict[str, dict[str, Figures]]
"""Measure → contender → its figures."""

_PACKAGES = (
    *("httpx", "httpcore", "sniffio", "aiohttp", "httpx-aiohttp", "orjson", "attrs", "pydantic", "msgspec"),
    *("openapi-python-client", "openai", "githubkit", "stripe"),
)

HEAD = """# Benchmarks

Written by `make bench`. Do not edit: run it.

{taken}

**How to read it.** Each line is the median over interleaved rounds of one contender's figure divided by another's of
the same round, with the smallest and largest of those ratios behind it. The figure is CPU time of the client's
process unless the line says wall time or memory; the server is another process, every contender has one of its own,
and in each round another one is first. Where a bar says "at least", more is better; everywhere else less is. Absolute
times are left out on purpose: on another machine they are others. "vs" names the baseline, 1 ×.

**What is compared.** *raw httpx* is one shared `httpx.AsyncClient` with its default limits, `get(…)` or `post(…)` and
`.json()`: no models, retries, errors or deadline. *no sniffio* is the same where that package is not installed.
*stock generator* is openapi-python-client 0.29.1 without our templates, from the same `openapi.yaml`. The peers
(openai, githubkit, stripe) speak other services' APIs: their lists of twenty are each measured next to raw httpx on
their own answer, which compares what the clients add but not the clients with each other, for the records differ in
size (githubkit runs without its cache of answers, which is on by default and costs ten times the call). Not
comparable, and so not here: their creates and sends (other bodies, and they repeat them after a lost answer), uploads
and downloads, and pages fetched ahead, which none of them has. pydantic's and msgspec's models of the page are strict
and drop unknown fields, where ours keep both going. In *import + construct + first resource* our client reads the
certificates only at the first connection, httpx when it is built; the line *certificates loaded* has both alike. A
new interpreter's own start is not counted.

![What calls, a start and a download cost next to plain httpx, by client](benchmarks.png)
"""


def ratios(row: Row, run: Run) -> list[float]:
    """One value for each round."""
    top = run[row.measure][row.contender][row.figure]
    if not row.baseline:
        return [value * row.scale for value in top]
    below = run[row.baseline_measure or row.measure][row.baseline][row.figure]
    return [a / b for a, b in zip(top, below, strict=True)]


def middle(row: Row, runs: Sequence[Run]) -> float:
    """The median of the runs' medians."""
    return median(median(ratios(row, run)) for run in runs)


def holds(row: Row, runs: Sequence[Run]) -> bool | None:
    """Whether the bar is held, as measured and not as rounded; None where there is none."""
    if row.bar is None:
        return None
    value = middle(row, runs)
    return value >= row.bar if row.at_least else value <= row.bar


def markdown(rows: Sequence[Row], runs: Sequence[Run], *, quick: bool, seconds: float) -> str:
    ours = [row for row in rows if row.bar is not None]
    missed = [row for row in ours if not holds(row, runs)]
    parts = [HEAD.format(taken=_taken(runs, quick, seconds)), "## Bars\n"]
    parts.append(f"{len(ours) - len(missed)} of {len(ours)} held, {len(missed)} missed.\n")
    parts.append("| what | who | median | range | bar | |\n|---|---|---|---|---|---|")
    parts += [_line(row, runs) for row in ours]
    parts.append("\n## Compared with others\n\n| what | who | baseline | median | range |\n|---|---|---|---|---|")
    parts += [_line(row, runs) for row in rows if row.bar is None]
    parts.append("\n## Measured with\n\n" + ", ".join(_versions()) + f"; Python {platform.python_version()}.\n")
    return "\n".join(parts)


def _taken(runs: Sequence[Run], quick: bool, seconds: float) -> str:
    if quick:
        left_out = "few and short rounds, memory over 100,000 items left out; for a first look"
        return f"**A quick run ({seconds:.0f} s): {left_out}.**"
    many = "One run" if len(runs) == 1 else f"{len(runs)} runs, medians of their medians"
    return f"{many}, {seconds:.0f} s in all, on {platform.system()} {platform.machine()}."


def _line(row: Row, runs: Sequence[Run]) -> str:
    every = [value for run in runs for value in ratios(row, run)]
    value, span = f"{_number(middle(row, runs))} {row.unit}", f"{_number(min(every))}–{_number(max(every))}"
    if row.bar is None:
        return f"| {row.title} | {row.contender} | {row.baseline or '–'} | {value} | {span} |"
    bar = f"{'at least' if row.at_least else 'at most'} {row.bar:g}"
    who = "" if row.at_least else row.contender
    return f"| {row.title} | {who} | {value} | {span} | {bar} | {'held' if holds(row, runs) else '**missed**'} |"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _versions() -> list[str]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} (absent)")
    return found


def plot(rows: Sequence[Row], runs: Sequence[Run], path: Path) -> None:
    """A panel for each thing that is measured next to plain httpx: who takes how much of its time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        if row.unit == "×" and row.baseline.startswith(("raw httpx", "bare httpx", "raw, ")):
            panels.setdefault(row.title, []).append((middle(row, runs), row.contender))
    figure, axes = pyplot.subplots(len(panels), 1, figsize=(10, 0.3 * sum(len(one) + 2.6 for one in panels.values())),
                                   height_ratios=[len(one) + 1 for one in panels.values()], squeeze=False)  # fmt: skip
    for axis, (title, found) in zip(axes.flat, panels.items(), strict=True):
        values, names = zip(*sorted(found), strict=True)
        colours = ["#2a7f62" if name.startswith("llamadapro") else "#8d99ae" for name in names]
        axis.bar_label(axis.barh(names, values, color=colours), fmt=" %.2f")
        axis.axvline(1, color="black", linewidth=1)
        axis.set_title(title, loc="left", fontsize=10, fontweight="bold")
        axis.set_xlim(0, max(2.0, *values) * 1.08)
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    figure.text(0.99, 0.002, "the line: plain httpx; less is better", ha="right", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
