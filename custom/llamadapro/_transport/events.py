"""What happened inside: a debug line and an event per attempt, and the exchanges of `client.capture_exchanges()`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs
import httpx

from ..errors import ConfigurationError

log: logging.Logger = logging.getLogger("llamadapro.transport")

_LEVELS = ("debug", "info", "warning", "error")


@attrs.frozen(kw_only=True)
class Attempt:
    """One attempt of one call, as given to `on_attempt`."""

    operation: str
    """The operation's name in snake_case, such as ``get_contact``; ``request`` for `client.request`."""
    method: str
    path: str
    """Without the query, which may hold personal data."""
    number: int
    """1 for the first."""
    elapsed: float
    """Seconds, from taking a connection to the end of the body."""
    status_code: int | None
    """None if no response came."""
    request_id: str | None
    error: str | None
    """What went wrong, in a few words; None if nothing."""


@attrs.frozen(kw_only=True)
class Exchange:
    """One call, as captured by `client.capture_exchanges()`: what its last attempt brought, and how many there were."""

    operation: str
    method: str
    path: str
    status_code: int | None
    headers: httpx.Headers
    request_id: str | None
    attempts: int
    elapsed: float
    """Seconds, waiting included."""


Captures = tuple[tuple[object, list[Exchange]], ...]
_captures: ContextVar[Captures] = ContextVar("llamadapro_captures", default=())


@contextmanager
def capture(owner: object) -> Iterator[list[Exchange]]:
    """Collect the exchanges of `owner`'s calls made in this context and in tasks started from it."""
    exchanges: list[Exchange] = []
    token = _captures.set((*_captures.get(), (owner, exchanges)))
    try:
        yield exchanges
    finally:
        _captures.reset(token)


def add_exchange(owner: object, make: Callable[[], Exchange]) -> None:
    """Add an exchange to the captures of its owner; costs nothing where there are none."""
    for captured, exchanges in _captures.get():
        if captured is owner:
            exchanges.append(make())


def notify(on_attempt: Callable[[Attempt], Any] | None, make: Callable[[], Attempt]) -> None:
    """The debug line, and the caller's callback; a callback's own failure must not change what is sent.

    Costs nothing where there is neither.
    """
    debugged = log.isEnabledFor(logging.DEBUG)
    if on_attempt is None and not debugged:
        return
    attempt = make()
    if debugged:
        result = attempt.status_code if attempt.error is None else f"{attempt.status_code or '-'} ({attempt.error})"
        log.debug(
            "%s %s -> %s in %.0f ms, attempt %d, request id %s",
            *(attempt.method, attempt.path, result, attempt.elapsed * 1000, attempt.number, attempt.request_id or "-"),
        )
    if on_attempt is not None:
        try:
            on_attempt(attempt)
        except Exception:
            log.exception("on_attempt failed")


def set_up_logging() -> None:
    """``LLAMADAPRO_LOG=debug`` logs a line per attempt to standard error, without any other set-up."""
    level = os.environ.get("LLAMADAPRO_LOG", "").lower()
    if not level:
        return
    if level not in _LEVELS:
        raise ConfigurationError(f"LLAMADAPRO_LOG must be one of {', '.join(_LEVELS)}, not {level!r}")
    logger = logging.getLogger("llamadapro")
    logger.setLevel(level.upper())
    if not logger.hasHandlers():  # an app that has set up its own logging gets the lines there
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(handler)
