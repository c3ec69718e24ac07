"""The soak of issue 3: many sends at once, a third of them into faults, some cancelled, and a ledger at the server.

    python -m tests.tools.soak [--sends 2000] [--concurrency 100] [--seed 7] [--engine httpx]

Each send carries a text of its own, so the server can tell what it took in how often. Held against the promise:

- a send is taken at most once (a 429 is a refusal, so it is not taken), and a send that succeeded exactly once;
- a send that was taken, or may have been, and failed, says `may_have_been_processed`; no other does (a refusal that
  the client no longer waited for is counted apart: who gave up waiting cannot know);
- a cancelled send is taken at most once, and nothing else goes wrong by it;
- at the end no connection, task or file descriptor is left, and never were more than `max_connections` open.

Prints figures for each engine; exits with 1 if any of this does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.clocks import HurriedClock
from tests.faults.cases import BY_NAME, FAULTS
from tests.faults.clients import OWN, available, client_for
from tests.faults.server import End, Outcome, Received, answer, fault_server, outcome, response

SEND = BY_NAME["messages.send"]
_PLAY = {fault.name: fault for fault in FAULTS}


def _fault(name: str) -> Outcome:
    play = _PLAY[name].play
    assert play is not None
    return play(SEND)


TAKEN = {  # the service has the send, and its answer is lost, late, broken or an error
    "reset": outcome("reset", End.RESET),
    "closed": outcome("closed", End.CLOSE),
    "reset mid headers": _fault("reset mid headers"),
    "reset mid body": _fault("reset mid body"),
    "short body": _fault("short body"),
    "truncated chunks": _fault("truncated chunks"),
    "gzip cut short": _fault("gzip cut short"),
    "garbage": _fault("garbage instead of HTTP"),
    "408": _fault("408"),
    "500": _fault("500"),
    "503, Retry-After": answer(503, {}, headers={"Retry-After": "0"}),
    "HTML": _fault("200, HTML"),
    "silence": outcome("silence", End.HANG),
    "drip": _fault("deadline: dripping body"),
}
REFUSED = {
    "429": answer(429, {}, headers={"Retry-After": "0"}),
    "429, back-off": answer(429, {}),
}
REJECTED = {"400": _fault("400"), "422": _fault("422")}


@dataclass
class Ledger:
    """What the server took, by the text of the send. Written by its thread, read when all is over."""

    scripts: dict[str, list[Outcome]]
    taken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: Received) -> Outcome:
        text = json.loads(request.body)["content"]
        with self.lock:
            script = self.scripts.get(text)
            played = script.pop(0) if script else None
            if played in REFUSED.values():
                self.refused[text] += 1
            elif played in REJECTED.values():
                self.rejected[text] += 1
            else:
                self.taken[text] += 1
            if played is not None:
                self.faults[next(n for n, o in (TAKEN | REFUSED | REJECTED).items() if o is played)] += 1
                return played
        return outcome("slow", len(text) % 8 / 1000, response(200, {"id": text}), End.KEEP)


def plan(sends: int, seed: int, share: float = 0.3) -> tuple[dict[str, list[Outcome]], set[str]]:
    """Which sends meet which faults, and which will be cancelled: the same for the same seed."""
    dice = random.Random(seed)
    scripts: dict[str, list[Outcome]] = {}
    cancelled: set[str] = set()
    kinds = [*TAKEN.values(), *REFUSED.values(), *REFUSED.values(), *REJECTED.values()]
    for number in range(sends):
        text = f"send-{number}"
        if dice.random() < share:
            scripts[text] = [dice.choice(kinds)]
            while (
                scripts[text][-1] in REFUSED.values() and dice.random() < 0.5
            ):  # a refusal may be followed by anything
                scripts[text].append(dice.choice(kinds))
        if dice.random() < 0.06:
            cancelled.add(text)
    return scripts, cancelled


def descriptors() -> int | None:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None


@dataclass
class Report:
    engine: str
    figures: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"engine {self.engine}", *(f"  {name:<34} {value}" for name, value in self.figures.items())]
        return "\n".join(lines + [f"  VIOLATION {one}" for one in self.violations[:20]])


async def soak(engine: str, sends: int, concurrency: int, seed: int) -> Report:
    """One engine's soak, in the running loop."""
    from llamadapro.errors import APIError, APITimeoutError

    scripts, to_cancel = plan(sends, seed)
    report, ledger = Report(engine), Ledger({text: list(script) for text, script in scripts.items()})
    results: dict[str, Any] = {}
    dice = random.Random(seed + 1)
    delays = {text: dice.random() * 0.03 for text in sorted(to_cancel)}
    fault_server()  # its own descriptors do not count
    gc.collect()
    tasks_before, before = asyncio.all_tasks(), descriptors()
    began = time.monotonic()
    gate = asyncio.Semaphore(concurrency)

    async def send(client: Any, text: str) -> None:
        async with gate:
            call = asyncio.ensure_future(
                client.messages.send(
                    from_phone_number="+56912345679", to_phone_number="+56912345678", type_="text", content=text
                )
            )
            if text in delays:
                await asyncio.sleep(delays[text])
                call.cancel()
            try:
                results[text] = await call
            except (Exception, asyncio.CancelledError) as error:
                results[text] = error.with_traceback(None)

    with fault_server().site(then=ledger.take) as site:
        options = {"timeout": httpx.Timeout(10.0, read=0.5), "deadline": 2.0, "clock": HurriedClock(seed)}
        async with client_for(engine, site.url, max_connections=concurrency, **options) as client:
            await asyncio.gather(*(send(client, f"send-{number}") for number in range(sends)))
        took = time.monotonic() - began
        if not await site.until(lambda site: site.open == 0):
            report.violations.append(f"{site.open} connections open after aclose()")
        peak, received, connections = site.peak, len(site.requests), site.connections
    for _ in range(100):
        if not (left := asyncio.all_tasks() - tasks_before):
            break
        await asyncio.sleep(0.01)
    gc.collect()
    after = descriptors()
    if left:
        report.violations.append(f"{len(left)} tasks left: {list(left)[:3]}")
    if before is not None and after != before:
        report.violations.append(f"{before} descriptors before, {after} after")
    if peak > concurrency:
        report.violations.append(f"{peak} connections at once, {concurrency} allowed")

    outcomes: Counter[str] = Counter()
    for number in range(sends):
        text = f"send-{number}"
        result, taken = results[text], ledger.taken[text]
        outcomes["success" if not isinstance(result, BaseException) else type(result).__name__] += 1
        if taken > 1:
            report.violations.append(f"{text} was taken {taken} times")
        if isinstance(result, asyncio.CancelledError):
            if text not in to_cancel:
                report.violations.append(f"{text} was cancelled by nobody")
        elif isinstance(result, APIError):
            outcomes["ambiguous"] += result.may_have_been_processed
            turned_down = ledger.refused[text] + ledger.rejected[text]
            if taken == 0 and turned_down and isinstance(result, APITimeoutError) and result.may_have_been_processed:
                outcomes["refusal after the read timeout"] += 1
            elif result.may_have_been_processed is not (taken == 1):
                said = f"may_have_been_processed={result.may_have_been_processed}"
                report.violations.append(f"{text} was taken {taken} times, yet {type(result).__name__} says {said}")
        elif isinstance(result, BaseException):
            report.violations.append(f"{text}: {type(result).__name__} came out: {result}")
        elif taken != 1 or result.id != text:
            report.violations.append(f"{text} succeeded as {result.id}, taken {taken} times")
    report.figures = {
        "sends": sends,
        "seconds": round(took, 2),
        "requests received": received,
        "taken": sum(ledger.taken.values()),
        "taken twice": sum(count > 1 for count in ledger.taken.values()),
        "refused with 429": sum(ledger.refused.values()),
        "rejected with 4xx": sum(ledger.rejected.values()),
        "faults played": sum(ledger.faults.values()),
        "share of sends that met a fault": f"{len(scripts) / sends:.0%}",
        **{f"→ {name}": count for name, count in sorted(outcomes.items())},
        "connections opened, most at once": f"{connections}, {peak}",
        "descriptors before and after": f"{before}, {after}",
        "violations": len(report.violations),
    }
    unmet = set(TAKEN | REFUSED | REJECTED) - set(ledger.faults)
    if outcomes["CancelledError"] == 0 or (unmet and sends >= 1000):
        report.violations.append(f"the soak did not exercise what it should: never met {unmet or 'a cancelled call'}")
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--sends", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--engine", action="append", choices=OWN)
    chosen = parser.parse_args()
    violations = 0
    for engine in chosen.engine or OWN:
        if not available(engine):
            print(f"engine {engine}: not installed (llamadapro[aiohttp])")
            continue
        report = asyncio.run(soak(engine, chosen.sends, chosen.concurrency, chosen.seed))
        print(report, flush=True)
        violations += len(report.violations)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
