"""`python -m tests.tools.tools`: which tools see the client's requests, on each engine, for `make tools`; exit 1 if one
does not. Each tool is installed into an environment of its own under build/tools (that needs PyPI, once); the checks
themselves (`one_tool.py`) need no network. `--write` puts the table into docs/tools.md.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "build" / "tools"
PAGE = ROOT / "docs" / "tools.md"
SCRIPT = Path(__file__).with_name("one_tool.py")
ENGINES = {
    "httpx": "`httpx`",
    "aiohttp": "`aiohttp`",
    "httpx2": "`httpx2`",
    "caller": "your `httpx.AsyncClient`",
    "caller-httpx2": "your `httpx2.AsyncClient`",
}
TOOLS: dict[str, tuple[str, list[str]]] = {
    "sentry": ("Sentry", ["sentry-sdk"]),
    "ddtrace": ("Datadog", ["ddtrace"]),
    "newrelic": ("New Relic", ["newrelic"]),
    "elastic": ("Elastic APM", ["elastic-apm"]),
    "opentelemetry": (
        "OpenTelemetry",
        [
            "opentelemetry-sdk",
            "opentelemetry-instrumentation-httpx",
            "opentelemetry-instrumentation-aiohttp-client",
        ],
    ),
    "logfire": ("Logfire", ["logfire[httpx,aiohttp-client]"]),
    "respx": ("respx", ["respx"]),
    "respx-httpx": ('respx, `using="httpx"`', ["respx"]),
    "pytest-httpx": ("pytest-httpx", ["pytest-httpx", "pytest-asyncio"]),
    "pook": ("pook", ["pook"]),
    "vcrpy": ("VCR.py", ["vcrpy"]),
    "mocket": ("mocket", ["mocket"]),
}
TRACERS = ("sentry", "ddtrace", "newrelic", "elastic", "opentelemetry", "logfire")


def python_of(tool: str) -> Path:
    """The interpreter of the tool's environment, which is made if it is not there."""
    folder = ENVIRONMENTS / tool.removesuffix("-httpx") if tool == "respx-httpx" else ENVIRONMENTS / tool
    python, ready = folder / "bin" / "python", folder / ".ready"
    if not ready.exists():
        print(f"installing {', '.join(TOOLS[tool][1])}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--editable", f"{ROOT}[aiohttp,httpx2]", *TOOLS[tool][1]], check=True)
        ready.touch()
    return python


def check(tool: str, engine: str) -> dict[str, Any]:
    """What `one_tool.py` found, with the tool switched on before the client is built and after its first request."""
    found: dict[str, Any] = {}
    for order in ("before", "after") if tool in TRACERS else ("before",):
        command = [python_of(tool), "-W", "ignore", SCRIPT, tool, engine, order]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        try:
            result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            result = {"version": "?", "wrong": [f"the check broke: {done.stderr[-300:]}"]}
        if result["wrong"]:
            result["wrong"] = [f"switched on {order}: {wrong}" for wrong in result["wrong"]]
        if not found or result["wrong"]:
            found = result
    return found


def cell(result: dict[str, Any]) -> str:
    if result["wrong"]:
        return "**no**"
    return "yes" if result["wrong"] == [] else (result.get("reason") or "–")


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    lines = [f"| tool | version | {' | '.join(ENGINES.values())} |", "|---|---|" + "---|" * len(ENGINES)]
    for tool, row in results.items():
        version = next(iter(row.values()))["version"]
        lines.append(f"| {TOOLS[tool][0]} | {version} | {' | '.join(cell(row[engine]) for engine in ENGINES)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.tools", description=__doc__)
    parser.add_argument("--only", action="append", choices=TOOLS, help="only this tool (may be repeated)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/tools.md")
    chosen = parser.parse_args()
    results: dict[str, dict[str, dict[str, Any]]] = {}
    wrong = []
    for tool in chosen.only or TOOLS:
        results[tool] = {engine: check(tool, engine) for engine in ENGINES}
        wrong += [
            f"{tool} on {engine}: {'; '.join(one['wrong'])}" for engine, one in results[tool].items() if one["wrong"]
        ]
        print(f"{tool:<14} {'  '.join(f'{engine}: {cell(one)}' for engine, one in results[tool].items())}", flush=True)
    print("\n" + ("\n".join(wrong) or table(results)))
    if chosen.write:
        page = PAGE.read_text("utf-8")
        PAGE.write_text(re.sub(r"(?m)^\| tool (?:.*\n)+?(?=\n|\Z)", table(results) + "\n", page), "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
