"""`python -m tests.faults`: the fault matrix as a table, for `make faults`; exit 1 if it differs from the promise.

Every cell is one operation against one fault over a real socket: the requests counted at the server. Two rows a fault
where the fault may also happen once only: "… once" is a fault followed by a good answer. A cell that differs from
DESIGN.md's table carries a `!`, and what is wrong is said below the table.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from tests.faults.cases import FAULTS, KINDS, Fault, Row
from tests.faults.clients import ENGINES, Seen, available, run_fault

ONCE = (Row.LIMITED, Row.UNKNOWN)


def _line(name: str, row: list[Seen]) -> str:
    cells = {seen.kind.name: f"{seen.requests}{'' if seen.ok else '!'}" for seen in row}
    classes = dict.fromkeys("success" if s.error is None else type(s.error).__name__ for s in row)
    counts = " ".join(f"{cells.get(kind.name, '·'):>3}" for kind in KINDS)
    verdict = "OK" if all(seen.ok for seen in row) else "FAIL"
    return f"{name:<36} {counts}  {verdict:<4} {' / '.join(classes)}"


async def _table(engine: str, faults: tuple[Fault, ...]) -> list[str]:
    wrong: list[str] = []
    print(f"\nengine: {engine}\n{'':<36} {' '.join(f'{kind.short:>3}' for kind in KINDS)}")
    title: Row | None = None
    for fault in faults:
        if fault.row is not title:
            title = fault.row
            print(f"-- {title.value}")
        for once in (False, True) if fault.row in ONCE else (False,):
            row = await run_fault(engine, fault, once=once)
            name = fault.name + ", once" * once
            print(_line(name, row), flush=True)
            wrong += [f"{engine}: {name}: {seen}" for seen in row if not seen.ok]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--engine", action="append", choices=ENGINES, help="only this one (may be repeated)")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    chosen = parser.parse_args()
    faults = tuple(fault for fault in FAULTS if chosen.only in fault.name)
    print("requests counted at the server, by kind of operation; max_retries=2")
    print(", ".join(f"{kind.short}={kind.name}" for kind in KINDS))
    wrong: list[str] = []
    for engine in chosen.engine or ENGINES:
        if not available(engine):
            print(f"\nengine: {engine}: not installed (llamadapro[aiohttp])")
            continue
        began = time.monotonic()
        wrong += asyncio.run(_table(engine, faults))
        print(f"{engine}: {time.monotonic() - began:.1f} s")
    print("\n" + ("\n".join(wrong) or f"the matrix is as promised: {len(faults)} faults, {len(KINDS)} kinds"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
