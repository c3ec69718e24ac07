"""The one road to the network: every call goes through `Transport.send`.

limit → attempt → read → classify → retry or raise. What an outcome means is policy.py's to say; this is the loop that
acts on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import attrs
import httpx

from llamadapro_api.errors import DeserializationError
from llamadapro_api.types import PreparedRequest

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import Engine, OutgoingRequest
from .body import InvalidBody, parse_json, read_body
from .clock import Clock, SystemClock
from .encoding import EncodedRequest
from .engines import build_engine
from .events import Attempt, Exchange, add_exchange, notify
from .failures import Failure, failure_of_status, failure_without_answer, redact_response, request_id_of, unreadable
from .limits import DeadlineExceeded, Limits
from .policy import Outcome, retry_delay
from .redaction import redact_cause, redact_request

T = TypeVar("T")

# A 429 slows the whole client; however long it asks its own call to wait, the others are held no longer than this.
MAX_PAUSE = 60.0


class Transport:
    """The pool, the limits and the loop; shared by a client and its copies."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self._limits = Limits(config.max_connections, config.rate_limit, self.clock)
        self._engine: Engine = build_engine(config)
        self.closed: bool = False

    async def aclose(self) -> None:
        self.closed = True
        await self._engine.aclose()

    async def send(self, prepared: PreparedRequest[T], config: Config) -> T:
        """Send a prepared call as often as it takes and policy allows; return its answer, read."""
        return await self._run(
            _CallState(prepared, config, self.clock), lambda response, body: _read(prepared, response, body)
        )

    async def send_with_id(self, prepared: PreparedRequest[T], config: Config) -> tuple[T, str | None]:
        """The same; beside the answer, the service's id of the request that brought it."""
        state = _CallState(prepared, config, self.clock)
        return await self._run(state, lambda response, body: (_read(prepared, response, body), request_id_of(response)))

    async def send_raw(self, prepared: PreparedRequest[Any], config: Config) -> httpx.Response:
        """The same for an answer that the document does not know: as it came."""
        state = _CallState(prepared, config, self.clock)
        return await self._run(state, lambda response, body: redact_response(response, body, state.redacted_request()))

    async def _run(self, state: _CallState, read: Callable[[httpx.Response, bytes], T]) -> T:
        self._check_open()
        try:
            while True:
                result = await self._attempt(state, read)
                if not isinstance(result, Failure):
                    return result.value
                wait = self._retry_delay(result, state)
                if wait is None:
                    break
                await self.clock.sleep(wait)
        finally:
            add_exchange(self, state.as_exchange)
        cause = result.cause and redact_cause(result.cause, state.config.api_key, state.redacted_request())
        raise result.to_error(state) from cause

    def _retry_delay(self, failure: Failure, state: _CallState) -> float | None:
        """Note what the failure leaves uncertain; seconds to wait before the next attempt, or None for none."""
        state.maybe_processed = state.maybe_processed or failure.may_have_been_processed
        if state.ended:
            return None
        wait = retry_delay(
            failure.outcome,
            safe=state.prepared.idempotent or state.config.retry_unsafe,
            retries=state.attempts - 1,
            max_retries=state.config.max_retries,
            retry_after=failure.retry_after,
            jitter=self.clock.jitter(),
            remaining=state.remaining(),
        )
        if failure.outcome is Outcome.RATE_LIMITED:
            self._limits.pause(min(MAX_PAUSE, failure.retry_after or wait or 0.0))
        return wait

    def _check_open(self) -> None:
        if self.closed:
            raise ConfigurationError("this client is closed; create a new one")

    async def _attempt(self, state: _CallState, read: Callable[[httpx.Response, bytes], T]) -> _Success[T] | Failure:
        """One attempt, from waiting for its turn to the answer read; never longer than what is left of the deadline."""
        state.begin_attempt()
        started = self.clock.now()
        result: _Success[T] | Failure
        at_once = self._limits.has_capacity()
        scope = asyncio.timeout_at(state.end(queueing=not at_once))
        try:
            async with scope, self._limits.slots:
                if not at_once:
                    await self._limits.acquire(state.remaining())
                    started = self.clock.now()
                    scope.reschedule(state.end(queueing=False))
                self._check_open()  # it may have been closed meanwhile: nothing leaves any more
                result = await self._exchange(state, read)
        except TimeoutError as error:
            if not scope.expired():
                raise  # a limiter of the caller's; engines' errors do not come this far
            result = _timeout_failure(state, error)
        except DeadlineExceeded:
            state.ended = True
            result = Failure(Outcome.NOT_SENT, "its turn would come after its deadline", None, timed_out=True)
        notify(state.config.on_attempt, lambda: state.as_attempt(self.clock.now() - started, result))
        return result

    async def _exchange(self, state: _CallState, read: Callable[[httpx.Response, bytes], T]) -> _Success[T] | Failure:
        """Send the request, read the answer's body whole, and then the answer."""
        try:
            async with self._engine.open(state.outgoing) as response:
                state.response = response
                try:
                    body = await read_body(response, state.config.max_response_bytes, method=state.prepared.method)
                except Exception as error:
                    return _body_failure(response, error)
        except httpx.HTTPStatusError as error:
            # A hook of the caller's client raised for the status: the answer is there all the same.
            state.response = error.response
            return failure_of_status(error.response, b"")
        except Exception as error:
            # What is not even the network's failure, before anything was sent, is an engine that could not be built.
            unbuilt = not state.outgoing.touched and not isinstance(error, httpx.HTTPError)
            return failure_without_answer(error, unsent=unbuilt or self._engine.never_sent(error))
        except asyncio.CancelledError as error:
            # The frames that it came through hold the key in their locals.
            raise error.with_traceback(None) from None
        if not 200 <= response.status_code < 300:
            return failure_of_status(response, body)
        try:
            return _Success(read(response, body))
        except (InvalidBody, DeserializationError) as error:
            return unreadable(response, error, body)


@attrs.frozen
class _Success(Generic[T]):
    """A success, told apart from a `Failure` whatever its value is."""

    value: T


class _CallState:
    """One call on its way: what is sent, and what has become of it so far."""

    def __init__(self, prepared: PreparedRequest[Any], config: Config, clock: Clock) -> None:
        self.prepared = prepared
        self.config = config
        self._clock = clock
        self._started = clock.now()
        self._encoded = EncodedRequest(prepared, config)
        self.attempts = 0
        self.outgoing: OutgoingRequest
        self.response: httpx.Response | None = None
        self.maybe_processed = False
        self.ended = False
        """Whether the deadline has come, or would come before anything else could."""
        self.by_deadline = True

    @property
    def is_write(self) -> bool:
        """Whether the call changes anything at the service; a search is a POST that does not."""
        return self.prepared.method not in ("GET", "HEAD", "OPTIONS") and not (
            self.prepared.method == "POST" and self.prepared.idempotent
        )

    @property
    def path(self) -> str:
        return self.prepared.url_path.partition("?")[0]

    @property
    def title(self) -> str:
        return f"{self.prepared.method} {self.path}"

    def begin_attempt(self) -> None:
        self.attempts += 1
        self.response = None
        sent = self._encoded
        self.outgoing = OutgoingRequest(
            self.prepared.method, sent.url, sent.headers, sent.content, self.config.httpx_timeouts
        )

    def end(self, *, queueing: bool) -> float | None:
        """When the attempt must end, in the loop's time: by the deadline, or by `timeout`, which counts no queueing."""
        left, limit = self.remaining(), self.config.attempt_timeout
        self.by_deadline = queueing or limit is None or (left is not None and left <= limit)
        seconds = left if self.by_deadline else limit
        return None if seconds is None else asyncio.get_running_loop().time() + seconds

    def remaining(self) -> float | None:
        """Seconds left of the deadline; never negative."""
        if self.config.deadline is None:
            return None
        return max(0.0, self.config.deadline - (self._clock.now() - self._started))

    def redacted_request(self) -> httpx.Request:
        sent = self._encoded
        return redact_request(self.prepared.method, sent.redacted_url, sent.headers, sent.content, sent.key_name)

    def redact(self, text: str) -> str:
        """Without the key, which the service may quote in what it says."""
        return self.config.api_key.redact(text)

    def as_attempt(self, elapsed: float, result: object) -> Attempt:
        return Attempt(
            operation=self.prepared.operation,
            method=self.prepared.method,
            path=self.path,
            number=self.attempts,
            elapsed=elapsed,
            status_code=None if self.response is None else self.response.status_code,
            request_id=request_id_of(self.response),
            error=self.redact(result.reason) if isinstance(result, Failure) else None,
        )

    def as_exchange(self) -> Exchange:
        return Exchange(
            operation=self.prepared.operation,
            method=self.prepared.method,
            path=self.path,
            status_code=None if self.response is None else self.response.status_code,
            headers=httpx.Headers() if self.response is None else httpx.Headers(self.response.headers.raw),
            request_id=request_id_of(self.response),
            attempts=self.attempts,
            elapsed=self._clock.now() - self._started,
        )


def _read(prepared: PreparedRequest[T], response: httpx.Response, body: bytes) -> T:
    answer = prepared.answer(response.status_code)
    if answer.kind == "none":
        return cast(T, answer.read(None))
    if answer.kind == "text":
        return cast(T, answer.read(body.decode(response.charset_encoding or "utf-8", "replace")))
    return cast(T, answer.read(parse_json(body)))


def _timeout_failure(state: _CallState, error: TimeoutError) -> Failure:
    state.ended = state.by_deadline
    limit = f"deadline of {state.config.deadline} s" if state.ended else f"timeout of {state.config.attempt_timeout} s"
    if state.outgoing.touched:
        return Failure(Outcome.AMBIGUOUS, f"no complete response within the {limit}", error, timed_out=True)
    return Failure(Outcome.NOT_SENT, f"could not reach the service within the {limit}", error, timed_out=True)


def _body_failure(response: httpx.Response, error: Exception) -> Failure:
    """An answer whose status is known and whose body could not be had."""
    if not 200 <= response.status_code < 300:
        return failure_of_status(response, b"")
    if isinstance(error, InvalidBody):
        return unreadable(response, error, b"")
    return failure_without_answer(error, unsent=False)
