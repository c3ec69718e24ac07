"""The run loop of every job: read units, write down what became of earlier ones, claim as many as are free to be sent.

Nothing is sent before its claim is committed, and every claim is settled with what became of it: by this loop, or by
the end of its lease. When something stops the run, it claims no more and sees out what is being sent.
"""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from llamadapro._reports import Rows
from llamadapro._session import Session
from llamadapro.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    ConfigurationError,
    InvalidRequestError,
    JobError,
    LlamadaProError,
    RateLimitError,
    WaitTimeoutError,
)

from .ledger import Claim, Entry, Granted, Ledger, NewUnit, Outcome, State, Turn
from .opening import open_ledger
from .options import MAX_TEXT, check_callback, check_integer, check_number, is_usable
from .source import Source

Report = TypeVar("Report")
Issue = TypeVar("Issue")

BATCH = 500
"""Units that are added in one turn."""
LATE = 0.1
"""Seconds: a turn in the rate is over then."""
HEARTBEAT = 1.0
"""Seconds: a turn is taken at least so often; a lease holds longer than any of them should take."""
LINGER = 0.004
MAX_LINGER = 0.02
"""Seconds to wait for more outcomes to write down in the same commit: an eighth of what an answer takes, within these.

Longer, and the places that are free meanwhile would tell in the throughput; shorter, and there is a commit for each.
"""
BACK_OFF = 1.0
"""Seconds before a unit that was not taken is tried again, if the service does not say; doubled with each 429."""
MAX_BACK_OFF = 300.0
MAX_REASON = 500
ABOUT_ALL = (401, 402, 403, 404, 405, 406, 407, 415, 421, 426)
"""Statuses about the key, the account, a proxy, the address or the protocol."""
INTERRUPTED = "it was interrupted before its answer came"


class StopRun(Exception):
    """Raised by `Job.send`: the unit was not sent, and the run must stop because of the cause."""


class OtherSource(InvalidRequestError):
    """The source is not that of the ledger."""

    report: Any = None


@attrs.define(kw_only=True)
class Job(ABC, Generic[Report, Issue]):
    """What all jobs are given, and what differs between them."""

    noun: ClassVar[str]
    rows_name: ClassVar[str] = "rows"
    only_added: ClassVar[bool]
    """Whether only this process has what its units hold."""
    not_taken: ClassVar[State]
    """What a unit becomes that the service has refused for itself: refused, or pending for the next run."""

    session: Session
    ledger: str | PathLike[str] | Ledger | None
    run_name: str | None = attrs.field(alias="run")
    concurrency: int
    resend_unknown: bool
    max_attempts: int | None = None
    """How often a unit may be answered with 429 before it is refused; None: not again in this run."""
    stop_after: int
    timeout: float | None
    on_progress: Callable[[Report], object] | None
    on_issue: Callable[[Issue], object] | None
    max_issues: int

    report: Report
    ahead: int = attrs.field(init=False, default=2 * BATCH)
    """How many units may be read before the first of them is done with."""
    lost: int = attrs.field(init=False, default=0)
    """Units that were claimed, and could not be settled as the ledger failed."""
    source: Source | None = attrs.field(init=False, default=None)
    began: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        check_integer("concurrency", self.concurrency, 1)
        check_integer("stop_after", self.stop_after, 1)
        check_integer("max_issues", self.max_issues, 0)
        check_number("timeout", self.timeout, "of seconds")
        check_callback("on_progress", self.on_progress)
        check_callback("on_issue", self.on_issue)
        if not isinstance(self.resend_unknown, bool):
            raise InvalidRequestError(f"resend_unknown must be True or False, not {self.resend_unknown!r}")
        if self.run_name is not None and not is_usable(self.run_name):
            raise InvalidRequestError(
                f"run must be a name of at most {MAX_TEXT:,} bytes, or None, not {self.run_name!r}"
            )

    @abstractmethod
    async def begin(self, ledger: Ledger) -> None:
        """Begin or join the run."""

    @abstractmethod
    async def read(self) -> NewUnit | None:
        """The next unit of the source; None at its end."""

    @abstractmethod
    async def send(self, claim: Claim) -> Outcome:
        """Send a unit."""

    @abstractmethod
    def added(self, units: Sequence[NewUnit], known: Mapping[str, Entry]) -> int:
        """Take note of what is in the ledger now; returns how many units are done with, so that more may be read."""

    @abstractmethod
    def settled(self, claim: Claim, outcome: Outcome) -> int:
        """Take note of what has become of a unit; returns as `added`."""

    @abstractmethod
    async def progress(self) -> None:
        """Report on the run so far."""

    @abstractmethod
    async def end(self, ledger: Ledger, stopped: Exception | None) -> Exception | None:
        """Complete the report; returns what has stopped the run."""

    async def run(self, rows: Rows | None) -> Report:
        """Work until nothing is left; without rows, on what others have left pending.

        What stops that early is raised as a `JobError`, with the report so far.
        """
        self.source = None if rows is None and not self.only_added else Source(rows, self.rows_name)
        self.began = self.session.clock.now()
        ledger = open_ledger(self.ledger, self.session.clock, self.noun)
        try:
            await self.begin(ledger)
            loop = Run(self, ledger)
            await loop.run()
            error = await self.end(ledger, loop.stopped)
        finally:
            await ledger.close()
        if isinstance(error, OtherSource):
            error.report = self.report
            raise error
        if error is not None:
            words = f"the {self.noun} stopped early: {error or type(error).__name__}"
            raise JobError(
                f"{words}. {self.report}. With a ledger, the next run goes on from here.", report=self.report
            ) from error
        return self.report


class Run:
    """One process's part of a run."""

    def __init__(self, job: Job[Any, Any], ledger: Ledger) -> None:
        self._job = job
        self._ledger = ledger
        self._clock = job.session.clock
        self._wake = asyncio.Event()
        self._incoming: deque[NewUnit] = deque()
        self._unread = asyncio.Semaphore(job.ahead)
        self._reading = job.source is not None
        self._source_error: Exception | None = None
        self._reader: asyncio.Task[None] | None = None
        self._flights: set[asyncio.Task[Outcome]] = set()
        # From the claim to the commit of its outcome. What a turn returns beyond these it has claimed itself, or one
        # before it whose answer was lost.
        self._held: dict[int, Claim] = {}
        self._outcomes: list[Outcome] = []
        self._failures = 0
        self._answer_time = 0.0
        self._sending_ends = 0.0
        self._ledger_ahead = -math.inf
        self._excuse_late = True
        self.stopped: Exception | None = None

    async def run(self) -> None:
        """Work until nothing is left or something stops the run, which is `stopped` then."""
        turns = asyncio.create_task(self._turns())
        try:
            done, _ = await asyncio.wait({turns}, timeout=self._job.timeout)
            if not done:
                words = f"the job did not end within its timeout of {self._job.timeout:g} s"
                self._abort(WaitTimeoutError(words, last=self._job.report))
                await asyncio.wait({turns})
        except asyncio.CancelledError as error:
            self._abort(LlamadaProError("the job was cancelled"))
            while not turns.done():
                try:
                    await asyncio.wait({turns})
                except asyncio.CancelledError:
                    continue  # what is not written down would be unknown
            raise error.with_traceback(None) from None
        turns.result()

    def stop(self, error: Exception) -> None:
        """Claim no more. What is being sent is seen through: cut off, its outcome would be unknown."""
        self.stopped = self.stopped or error
        if self._reader is not None:
            self._reader.cancel()
        self._wake.set()

    def _abort(self, error: Exception) -> None:
        self.stop(error)
        for flight in self._flights:
            flight.cancel()

    # --- the loop ---------------------------------------------------------------------------------------------------

    async def _turns(self) -> None:
        if self._reading:
            self._reader = asyncio.create_task(self._read())
        try:
            while await self._turn():
                pass
        except Exception as error:  # the ledger's: nothing can be written down any more
            self.stop(error)
            while self._flights:
                await asyncio.wait(self._flights)
            self._job.lost = len(self._held)
        finally:
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.wait({self._reader})

    async def _turn(self) -> bool:
        """One commit, and what follows from it; False when it was the last."""
        if self._source_error is not None and not self._incoming:
            self.stop(self._source_error)
        outcomes, self._outcomes = self._outcomes, []
        turn = Turn(
            settle=outcomes,
            add=self._take(),
            places=0 if self.stopped else self._job.concurrency - len(self._flights),
            feeding=self._reading and not self.stopped,
            only_added=self._job.only_added,
        )
        began = time.monotonic()
        granted = await self._ledger.turn(turn)
        self._sending_ends = began + self._ledger.lease
        # Before new claims are looked at: a unit that is pending again may be among them already.
        settled = [(self._held.pop(outcome.id), outcome) for outcome in outcomes]
        self._start(granted)
        if turn.only_added:
            answered = {claim.key for claim in granted.claims} | granted.known.keys()
            self._incoming.extendleft(unit for unit in turn.add if unit.key not in answered)
        await self._note(turn.add, granted.known, settled)
        if self.stopped and not self._held:
            return False
        busy = self.stopped or self._reading or self._incoming or self._held or self._source_error
        if not busy and granted.wait is None:
            return False
        await self._pause(granted.wait)
        return True

    def _start(self, granted: Granted) -> None:
        heard, self._excuse_late = self._clock.now(), True
        for claim in granted.claims:
            if claim.id not in self._held:
                # An answer that is late must not shift the turns: of all answers the quickest shows the ledger's clock.
                self._ledger_ahead = max(self._ledger_ahead, claim.now - heard)
                self._held[claim.id] = claim
                flight = asyncio.create_task(self._fly(claim, claim.at - self._ledger_ahead if claim.paced else None))
                self._flights.add(flight)
                flight.add_done_callback(partial(self._land, claim))

    def _take(self) -> list[NewUnit]:
        if self.stopped:
            self._incoming.clear()
        return [self._incoming.popleft() for _ in range(min(BATCH, len(self._incoming)))]

    async def _note(
        self, units: Sequence[NewUnit], known: Mapping[str, Entry], settled: Sequence[tuple[Claim, Outcome]]
    ) -> None:
        """Let the job count what is certain now; an exception out of a callback of the user's stops the run."""
        finished = 0
        notes = [partial(self._job.settled, claim, outcome) for claim, outcome in settled]
        for note in [partial(self._job.added, units, known), *notes] if units else notes:
            try:
                finished += note()
            except Exception as error:
                self.stop(error)
        try:
            await self._job.progress()
        except Exception as error:
            self.stop(error)
        for _ in range(finished):
            self._unread.release()

    async def _pause(self, wait: float | None) -> None:
        """Until there is something to write down, or to claim, or the lease wants to be renewed."""
        self._wake.clear()
        if not (self._outcomes or self._incoming or (self._source_error and not self.stopped)):
            waiting: set[asyncio.Task[Any]] = {asyncio.create_task(self._wake.wait())}
            if wait is not None:
                waiting.add(asyncio.create_task(self._clock.sleep(wait)))
            await asyncio.wait(waiting, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        if self._reading and 0 < len(self._incoming) < BATCH:
            await asyncio.sleep(2 * LINGER)
        elif len(self._outcomes) < len(self._flights) // 4:
            await asyncio.sleep(min(MAX_LINGER, max(LINGER, self._answer_time / 8)))

    async def _read(self) -> None:
        """Read as far ahead as the job allows."""
        breath = time.monotonic()
        try:
            while True:
                await self._unread.acquire()
                unit = await self._job.read()
                if unit is None or self.stopped:
                    break
                self._incoming.append(unit)
                self._wake.set()
                if time.monotonic() - breath > 0.01:
                    await asyncio.sleep(0)
                    breath = time.monotonic()
        except Exception as error:
            self._source_error = error
        except BaseException as error:  # by something within the source, which has not come to its end
            if self.stopped is None:
                cancelled = isinstance(error, asyncio.CancelledError)
                self._source_error = LlamadaProError(
                    f"the source {'was cancelled' if cancelled else f'raised {error!r}'}"
                )
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        finally:
            self._reading = False
            self._wake.set()

    # --- one unit ---------------------------------------------------------------------------------------------------

    async def _fly(self, claim: Claim, turn: float | None) -> Outcome:
        """Send a unit when it is its turn, by our clock."""
        outcome = _unsent(claim)
        try:
            if turn is not None and (not await self._await_turn(turn) or self.stopped):
                return outcome
            # A process that was held up longer than its lease must not send what others may know as unknown.
            if time.monotonic() < self._sending_ends:
                outcome = attrs.evolve(outcome, state="unknown", detail=INTERRUPTED)
                began = time.monotonic()
                outcome = await self._job.send(claim)
                self._failures = 0
                self._answer_time += (time.monotonic() - began - self._answer_time) / 8
        except asyncio.CancelledError:
            pass
        except Exception as error:
            outcome = self._judge(claim, error)
        return outcome

    async def _await_turn(self, turn: float) -> bool:
        """Wait until it has come; False if it is over, because the process was held up.

        What is late gets a turn anew then, instead of leaving in one burst. The first of them is sent nonetheless, so
        that a process that is always late gets on.
        """
        if (wait := turn - self._clock.now()) > 0:
            await self._clock.sleep(wait)
        if self._clock.now() - turn <= LATE:
            return True
        excused, self._excuse_late = self._excuse_late, False
        return excused

    def _land(self, claim: Claim, flight: asyncio.Task[Outcome]) -> None:
        self._flights.discard(flight)
        outcome = _unsent(claim)
        if not flight.cancelled():
            if (error := flight.exception()) is None:
                outcome = flight.result()
            else:  # a GeneratorExit or its like, out of a tool around the call
                self.stop(LlamadaProError(f"a request raised {error!r}"))
                outcome = attrs.evolve(outcome, state="unknown", detail=repr(error)[:MAX_REASON].replace("\0", ""))
        self._outcomes.append(outcome)
        self._wake.set()

    def _judge(self, claim: Claim, error: Exception) -> Outcome:
        """What an error says of the unit, and of the run."""
        state: State = self._job.not_taken
        delay, limited = 0.0, 0
        if isinstance(error, StopRun):
            cause = error.__cause__
            self.stop(cause if isinstance(cause, Exception) else error)
            return _unsent(claim)
        uncertain = error.may_have_been_processed if isinstance(error, APIError) else False
        if _is_fatal(error):
            self.stop(error)
            state = "pending"
        elif isinstance(error, RateLimitError):
            limited = 1
            attempts = self._job.max_attempts
            if attempts is not None and claim.limited + 1 < attempts:
                state = "pending"
                delay = error.retry_after or min(MAX_BACK_OFF, BACK_OFF * 2**claim.limited)
        elif isinstance(error, APIConnectionError):
            state, delay = "pending", BACK_OFF
        if uncertain or not isinstance(error, LlamadaProError):
            state = "unknown"  # what is no error of ours came from a tool around the call
        if state == "unknown" or isinstance(error, (APIConnectionError, RateLimitError)):
            self._failures += 1
            if self._failures >= self._job.stop_after:
                self.stop(error)
        else:
            self._failures = 0
        if self._job.only_added:
            delay = 0.0  # it is for the next run
        return Outcome(claim.id, claim.attempt, state, str(error)[:MAX_REASON].replace("\0", ""), delay, limited)


def _unsent(claim: Claim) -> Outcome:
    return Outcome(claim.id, claim.attempt, "pending", "it was not sent")


def _is_fatal(error: Exception) -> bool:
    """Whether the next unit would fare the same: it is about the key or the address, not about the unit."""
    if isinstance(error, APIStatusError):
        return error.status_code in ABOUT_ALL or 300 <= error.status_code < 400
    return isinstance(error, ConfigurationError) or not isinstance(error, LlamadaProError)
