"""`make lowest`: the lowest versions that pyproject.toml allows at run time, with the test tools, as requirements.

An own environment with these runs the unit and wire tests: a lower bound that nobody tries is a guess.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("aiohttp", "sandbox")
"""What the unit and wire tests need; the other extras are tools."""
FOLLOWERS = ("pytest-httpx",)
"""Test tools whose version is tied to that of a runtime dependency: pip finds the one that fits."""


def lowest(settings: dict[str, Any]) -> list[str]:
    """One line for each direct dependency, its lower bound exactly; then the test tools."""
    project = settings["project"]
    optional = project["optional-dependencies"]
    pinned = {}
    for one in [*project["dependencies"], *(line for extra in EXTRAS for line in optional[extra])]:
        found = re.match(r"([A-Za-z0-9_.-]+)(?:\[.*?\])?\s*>=\s*([0-9][0-9.]*)", one)
        if found is None:
            raise SystemExit(f"{one!r} has no lower bound")
        pinned[found[1].lower()] = f"{found[1]}=={found[2]}"
    tools = {re.split(r"[^A-Za-z0-9_.-]", one)[0].lower(): one for one in settings["dependency-groups"]["test"]}
    tools |= {name: name for name in FOLLOWERS}
    return [*pinned.values(), *(one for name, one in tools.items() if name not in pinned)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(tomllib.loads((ROOT / "pyproject.toml").read_text()))) + "\n")
