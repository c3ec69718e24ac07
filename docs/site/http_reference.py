"""Prepares openapi.yaml for the HTTP reference: a way back, where each operation is known from, and a Python sample.

    python docs/site/http_reference.py OUTPUT

The samples are the blocks of docs/guide/operations.md, which the tests run.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROVENANCE = {
    "documented": "Method and path are printed in the API reference.",
    "inferred": "**Inferred:** the API reference does not print this method and path. "
    "[How to correct it](provenance.html).",
    "confirmed": "Confirmed against the live service.",
}


def samples() -> dict[str, str]:
    """operationId → Python code."""
    page = (ROOT / "docs" / "guide" / "operations.md").read_text("utf-8")
    return dict(re.findall(r"^### (\w+)\n\n```python\n(.*?)```$", page, re.MULTILINE | re.DOTALL))


def annotate(document: dict[str, Any], code: dict[str, str]) -> None:
    """Add to `document`, in place, what Redoc shows for each operation."""
    document["info"]["description"] = f"[← Guide and Python reference](index.html)\n\n{document['info']['description']}"
    for item in document["paths"].values():
        for operation in item.values():
            if not isinstance(operation, dict) or "operationId" not in operation:
                continue
            provenance = PROVENANCE.get(operation.get("x-provenance", ""), "")
            operation["description"] = f"{operation.get('description', '')}\n\n{provenance}".strip()
            sample = code.get(operation["operationId"])
            if sample is not None:
                operation["x-codeSamples"] = [{"lang": "Python", "source": sample}]


if __name__ == "__main__":
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
    annotate(document, samples())
    output = Path(sys.argv[1])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")
