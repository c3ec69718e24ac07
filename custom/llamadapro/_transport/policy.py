"""The retry policy: what became of an attempt, what that means, and whether and when to try again. No side effects.

| outcome of an attempt | safe to repeat | not safe |
|---|---|---|
| NOT_SENT: never reached the service | retry | retry |
| RATE_LIMITED: 429 | retry after Retry-After, else back-off | the same |
| AMBIGUOUS: 408, 5xx, reset, closed, timed out, cut body | retry | no retry: it may have been processed |
| FINAL: any other response | no retry | no retry |
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from time import time

import attrs
import httpx

INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 8.0
MAX_RETRY_AFTER = 1e9

_SECONDS = re.compile(r"\s*\d+(\.\d+)?\s*", re.ASCII)


class Outcome(Enum):
    """What became of one attempt."""

    NOT_SENT = auto()
    RATE_LIMITED = auto()
    AMBIGUOUS = auto()
    FINAL = auto()


@attrs.frozen
class Failure:
    """A failed attempt: what it means for the policy, and all that the error will need. Nothing in it shows the key."""

    outcome: Outcome
    reason: str
    cause: BaseException | None = attrs.field(default=None, repr=False)  # but this: as it was raised
    timed_out: bool = False
    response: httpx.Response | None = None
    """Redacted, with its body."""
    place: str = ""
    advice: str | None = None

    @property
    def retry_after(self) -> float | None:
        if self.response is None:
            return None
        headers = self.response.headers
        return read_retry_after(headers.get("retry-after"), headers.get("date"))

    @property
    def may_have_been_processed(self) -> bool:
        """Whether this attempt alone leaves it open that the service has acted."""
        unreadable = self.response is not None and self.response.is_success
        return self.outcome is Outcome.AMBIGUOUS or unreadable


def outcome_of_status(status_code: int) -> Outcome:
    """What an error status says about the request."""
    if status_code == 429:
        return Outcome.RATE_LIMITED
    if status_code == 408 or status_code >= 500:
        return Outcome.AMBIGUOUS
    return Outcome.FINAL


def retry_delay(
    outcome: Outcome,
    *,
    safe: bool,
    retries: int,
    max_retries: int,
    retry_after: float | None,
    jitter: float,
    remaining: float | None,
) -> float | None:
    """Seconds to wait before the next attempt, or None to give up.

    `retries` is how many there have been, `remaining` what is left of the deadline: a wait that would pass it is
    not worth beginning.
    """
    if retries >= max_retries or outcome is Outcome.FINAL or (outcome is Outcome.AMBIGUOUS and not safe):
        return None
    # Full jitter: clients that failed together do not come back together.
    wait = jitter * backoff(retries) if retry_after is None else retry_after
    return wait if remaining is None or wait < remaining else None


def backoff(retries: int) -> float:
    """The longest wait before the retry after `retries` earlier ones."""
    return min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0 ** min(retries, 16))


def read_retry_after(value: str | None, date: str | None) -> float | None:
    """The seconds of a Retry-After header, a number or an HTTP date; None if it says nothing.

    A date is measured against the response's own Date header, so that a wrong clock on either side does no harm.
    """
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return min(float(value), MAX_RETRY_AFTER)
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(date) if date is not None else None
    return max(0.0, until - (time() if now is None else now))


def _timestamp(text: str) -> float | None:
    try:
        read = parsedate_to_datetime(text)
        # Without a zone (asctime's form, "-0000") it is UTC, as HTTP dates are; not this machine's local time.
        return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
