"""`make check-generated`: regenerate aside and compare, byte for byte; then count the operations, in and out.

A hand edit in generated/, or a change of the document, the configuration or the generator that was not followed by
`make generate`, fails with the difference.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.openapi import ROOT, operations_of, read

COMMITTED = ROOT / "generated" / "llamadapro_api"
SHOWN = 200


def generate(root: Path, output: Path) -> None:
    """Run the generator of `root` on its document and configuration."""
    command = [sys.executable, "-m", "generator", str(root / "openapi.yaml"), str(root / "generator-config.yaml")]
    done = subprocess.run(
        [*command, str(output)],
        env={**os.environ, "PYTHONPATH": str(root / "custom")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"generation failed:\n{done.stdout}{done.stderr}")


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def difference(committed: dict[str, str], fresh: dict[str, str]) -> list[str]:
    """A unified diff from what is committed to what the document gives; empty when they are the same."""
    lines: list[str] = []
    for name in sorted(committed.keys() | fresh.keys()):
        if committed.get(name) == fresh.get(name):
            continue
        old, new = committed.get(name), fresh.get(name)
        ours = f"generated/{name}" if old is not None else "(not in generated/)"
        fresh_one = f"from openapi.yaml: {name}" if new is not None else "(no longer generated)"
        changes = [
            *difflib.unified_diff((old or "").splitlines(), (new or "").splitlines(), ours, fresh_one, lineterm="")
        ]
        # An empty file, there on one side only, has no lines to differ in.
        lines += changes or [f"--- {ours}", f"+++ {fresh_one}"]
    return lines


def operations_in(document: Path) -> int:
    return len(operations_of(read(document)))


def operations_out(package: Path) -> int:
    return sum(path.name != "__init__.py" for path in (package / "api").rglob("*.py"))


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "llamadapro_api"
        generate(ROOT, fresh)
        lines = difference(files(COMMITTED), files(fresh))
        counts = operations_in(ROOT / "openapi.yaml"), operations_out(fresh)
    if lines:
        print("\n".join(lines[:SHOWN]))
        more = f" ({len(lines) - SHOWN} more lines not shown)" if len(lines) > SHOWN else ""
        print(f"\ngenerated/ is not what openapi.yaml gives: run `make generate` and commit the result{more}")
        return 1
    if counts[0] != counts[1]:
        print(f"operations: {counts[0]} in the document, {counts[1]} generated")
        return 1
    print(f"generated/ is up to date: {counts[0]} operations in, {counts[1]} out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
