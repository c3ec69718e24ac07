"""`make document`: openapi.yaml from the vendor's document and our overlay on top of it.

`vendor/openapi.json` is what the service publishes, untouched; `overlay.yaml` holds our decisions. Until the service
publishes one, neither file exists, and openapi.yaml is written by hand.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from .openapi30 import to_31
from .overlay import apply, load
from .refusals import Refused

VENDOR, OVERLAY, RESULT = "vendor/openapi.json", "overlay.yaml", "openapi.yaml"
SHOWN = 60
"""Lines of a difference."""
HEADER = f"# Written by `make document` from {VENDOR} and {OVERLAY}. Do not edit: change the overlay.\n"


class _Dumper(yaml.CSafeDumper if hasattr(yaml, "CSafeDumper") else yaml.SafeDumper):  # type: ignore[misc]
    """YAML that means the same by the rules of 1.1 and of 1.2: both are spoken here."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(0o[0-7_]+|([\d_]*\.[\d_]*|[\d_]+)([eE][-+]?\d+)?)$"),
    list("-+.0123456789"),
)


def build(root: Path) -> str:
    """What openapi.yaml must be; raises `Refused`."""
    try:
        document = json.loads((root / VENDOR).read_bytes())
    except ValueError as error:
        raise Refused([f"{VENDOR} is no JSON: {error}"]) from None
    version = str(document.get("openapi", "")) if isinstance(document, dict) else ""
    if not version.startswith(("3.0.", "3.1.")):
        found = version or "something else"
        raise Refused([f"{VENDOR} must be OpenAPI 3.0 or 3.1, not {found}; convert it first"])
    if (root / OVERLAY).exists():
        document = apply(load(root / OVERLAY), document)
    if version.startswith("3.0."):
        document = to_31(document)
    return HEADER + dump(document)


def dump(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make document", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when openapi.yaml is something else")
    arguments = parser.parse_args(argv)
    root: Path = arguments.root
    if not (root / VENDOR).exists():
        if (root / OVERLAY).exists():
            print(f"{OVERLAY} has nothing to lie on: there is no {VENDOR}", file=sys.stderr)
            return 1
        print(f"{RESULT} is written by hand: there is no {VENDOR} (docs/vendor-document.md says what to do with one).")
        return 0
    try:
        text = build(root)
    except Refused as error:
        print(error, file=sys.stderr)
        print(f"{RESULT} is as it was", file=sys.stderr)
        return 1
    result = root / RESULT
    present = result.read_text("utf-8") if result.exists() else ""
    sources = f"{VENDOR} and {OVERLAY}"
    if not arguments.check:
        result.write_text(text, "utf-8")
        print(f"{RESULT} is {'as it was' if text == present else 'written anew: go on with `make generate`'}")
        return 0
    if text == present:
        print(f"{RESULT} is what {sources} give")
        return 0
    lines = difflib.unified_diff(present.splitlines(), text.splitlines(), RESULT, sources, lineterm="")
    print("\n".join(islice(lines, SHOWN)))
    print(f"{RESULT} is not what {sources} give: run `make document`, and commit the result", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
