"""What happens by itself: calls and messages pass through their statuses, derived from the clock alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FAILING_NUMBER = "+15005550001"
"""A call or message to this number fails; every other number can be reached."""

Stages = tuple[tuple[float, str], ...]
"""When a status is reached, as a share of the way, and its name."""

CALL: Stages = ((0.0, "queued"), (0.15, "ringing"), (0.4, "in-progress"), (1.0, "completed"))
FAILED_CALL: Stages = ((0.0, "queued"), (0.15, "ringing"), (0.4, "failed"))
MESSAGE: Stages = ((0.0, "pending"), (0.5, "sent"), (1.0, "delivered"), (5.0, "read"))
FAILED_MESSAGE: Stages = ((0.0, "pending"), (0.5, "failed"))


@dataclass(frozen=True)
class Reached:
    status: str
    at: float
    """The moment it was reached, in seconds since 1970."""
    index: int


def plan(to: str, stages: Stages, failing: Stages, *, start: float, seconds: float) -> dict[str, Any]:
    """What a record to a number remembers of the way it is on: it takes `seconds` to share 1.0."""
    return {"stages": failing if to == FAILING_NUMBER else stages, "start": start, "seconds": seconds}


def reached(record: dict[str, Any], now: float) -> Reached | None:
    """Where a record stands on its way; None if it is on none."""
    if not (way := record.get("_plan")):
        return None
    times = [way["start"] + share * way["seconds"] for share, _ in way["stages"]]
    index = max(index for index, at in enumerate(times) if index == 0 or at <= now)
    return Reached(way["stages"][index][1], times[index], index)
