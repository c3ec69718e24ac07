"""A WhatsApp campaign: a template to each number of a CSV file, once, however often the campaign is interrupted.

    python examples/campaign.py people.csv welcome +56912345678 [LEDGER]

The column `to` holds the number, `name` the template's variable. The ledger is a file or a ``postgresql://`` URL, which
several of these programs may share. `llamadapro campaign` does the same without a program.
"""

import asyncio
import csv
import sys
from collections.abc import Iterator
from typing import Any

from llamadapro import AsyncLlamadaPro, LlamadaProError


def people(path: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield {"to": row["to"], "variables": [row["name"]]}


async def main(path: str, template: str, sender: str, ledger: str = "campaign.ledger") -> int:
    async with AsyncLlamadaPro() as client:
        report = await client.messages.send_many(
            people(path),
            common={"from_": sender, "template_name": template, "language_code": "en"},
            ledger=ledger,
            run=template,
            rate=20,
            on_progress=lambda report: print(report, file=sys.stderr),
        )
    print(report)
    for issue in report.issues:
        print(f"{issue.state}: row {issue.row}: {issue.reason}")
    return 0 if report.complete else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except (LlamadaProError, OSError) as problem:
        sys.exit(f"campaign: {problem}")
