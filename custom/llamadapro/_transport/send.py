"""The one way to the network: every request goes through `Transport.run`, a download's too.

limit → attempt → read → classify → retry or raise. policy.py says what an outcome means; this is the loop that acts on
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from traceback import format_tb
from typing import Any, TypeVar, cast

import httpx

from llamadapro_api import document
from llamadapro_api.errors import DeserializationError
from llamadapro_api.types import PreparedRequest

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import Engine, OutgoingRequest
from .body import InvalidBody, TruncatedBody, decode_text, parse_json, read_body
from .clock import Clock, SystemClock
from .encoding import EncodedRequest
from .engines import build_engine
from .events import add_exchange, log, notify
from .failures import (
    MAX_ERROR_BODY,
    Failure,
    failure_of_status,
    failure_without_answer,
    is_network_failure,
    redact_response,
    unreadable,
)
from .limits import DeadlineExceeded, Limits
from .policy import Outcome, retry_delay
from .redaction import Redactor, redact_error, redact_request
from .state import RequestState

T = TypeVar("T")

MAX_PAUSE = 60.0
"""Seconds that a 429 holds up the other requests of the client, however long it asks its own to wait."""
MAX_AROUND_BODY = 2**20
"""Bytes of headers, interim responses, chunk extensions and trailers, beyond what a body may take."""

_ADVICE = {
    401: "check the API key, and the header it is sent in (api_key_header)",
    403: "the API key may not do this",
    404: "check the id, or whether it has been deleted",
    429: "send less, or set rate_limit",
}
_SETTING = "set base_url or LLAMADAPRO_BASE_URL, or correct openapi.yaml; `llamadapro contract` finds out what is right"


class Transport:
    """Connections, limits and the retry loop; shared by a client and its copies."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.redactor: Redactor = Redactor(config.api_key)
        self.closed: bool = False
        self._limits = Limits(config.max_connections, config.rate_limit, self.clock)
        self._engine: Engine = build_engine(config)

    async def aclose(self) -> None:
        self.closed = True
        await self._engine.aclose()

    async def send(self, prepared: PreparedRequest[T], config: Config) -> T:
        """Send a prepared request as often as needed and allowed; return its response as the model."""
        return await self.run(_CallState(self, prepared, config, lambda state, body: _read(prepared, state, body)))

    async def send_with_id(self, prepared: PreparedRequest[T], config: Config) -> tuple[T, str | None]:
        """The same, with the service's id of the request that brought the response."""
        return await self.run(
            _CallState(self, prepared, config, lambda state, body: (_read(prepared, state, body), state.request_id()))
        )

    async def send_raw(self, prepared: PreparedRequest[Any], config: Config) -> httpx.Response:
        """The same for a response that the OpenAPI document does not describe: as it came."""
        return await self.run(_CallState(self, prepared, config, _CallState.received))

    async def run(self, state: RequestState[T]) -> T:
        """Make attempts until one succeeds or none is left; raises an `APIError`, or what a tool or a sink raised."""
        self._check_open()
        try:
            while True:
                result = await self._attempt(state)
                if not isinstance(result, Failure):
                    return result
                wait = self._retry_delay(result, state)
                if wait is None:
                    break
                log.info("%s: %s; retry %d in %.2f s", state.title, result.reason, state.retries + 1, wait)
                await self.clock.sleep(wait)
        finally:
            add_exchange(self, state.as_exchange)
        raise result.to_error(state) from (
            result.cause and redact_error(result.cause, self.redactor, state.redacted_request())
        )

    def _retry_delay(self, failure: Failure, state: RequestState[T]) -> float | None:
        """Seconds to wait before the next attempt, or None for none."""
        state.note(failure)
        if state.out_of_time:
            return None
        wait = retry_delay(
            failure.outcome,
            safe=state.is_repeatable,
            retries=state.retries,
            max_retries=state.config.max_retries,
            retry_after=failure.retry_after,
            jitter=self.clock.jitter(),
            remaining=state.remaining(),
        )
        if failure.outcome is Outcome.RATE_LIMITED and state.rate_limited:
            pause = min(MAX_PAUSE, failure.retry_after or wait or 0.0)
            self._limits.pause(pause)
            if pause:
                log.info("%s: status 429; all requests of this client wait for %.2f s", state.title, pause)
        return wait

    def _check_open(self) -> None:
        if self.closed:
            raise ConfigurationError("this client is closed; create a new one")

    async def _attempt(self, state: RequestState[T]) -> T | Failure:
        """One attempt, from waiting for its turn to reading the response; it ends by the deadline."""
        state.begin_attempt()
        started = self.clock.now()
        result: T | Failure
        slots = self._limits.slots
        queueing = slots.locked() or self._limits.is_limiting
        scope = asyncio.timeout_at(state.attempt_end(queueing=queueing))
        try:
            async with scope, slots:
                if queueing:
                    if state.rate_limited:
                        await self._limits.acquire(state.remaining())
                    started = self.clock.now()
                    scope.reschedule(state.attempt_end(queueing=False))
                self._check_open()  # it may have been closed meanwhile: nothing is sent any more
                result = await state.exchange(self._engine, scope)
        except TimeoutError as timeout:
            if not scope.expired():  # a limiter's or a sink's; engines' do not come this far
                self._notify(state, started, type(timeout).__name__)
                raise
            result = state.timeout_failure(timeout)
        except DeadlineExceeded:
            state.out_of_time = True
            result = Failure(Outcome.NOT_SENT, "its turn would come after its deadline", None, timed_out=True)
        except Exception as raised:
            self._notify(state, started, type(raised).__name__)
            raise
        self._notify(state, started, result.reason if isinstance(result, Failure) else None)
        return result

    def _notify(self, state: RequestState[T], started: float, error: str | None) -> None:
        notify(state.config.on_attempt, lambda: state.as_attempt(self.clock.now() - started, error))


class _CallState(RequestState[T]):
    """A prepared request on its way to the service."""

    outgoing: OutgoingRequest

    def __init__(
        self,
        transport: Transport,
        prepared: PreparedRequest[Any],
        config: Config,
        read: Callable[[_CallState[T], bytes], T],
    ) -> None:
        super().__init__(
            *(prepared.operation, prepared.method, prepared.url_path.partition("?")[0]),
            config=config,
            clock=transport.clock,
            redactor=transport.redactor,
        )
        self._prepared = prepared
        self._read = read
        self._encoded = EncodedRequest(prepared, config)
        self._by_deadline = True

    @property
    def is_write(self) -> bool:
        """Whether it changes anything at the service; a search is a POST that does not."""
        return self.method not in ("GET", "HEAD", "OPTIONS") and not (
            self.method == "POST" and self._prepared.idempotent
        )

    @property
    def is_repeatable(self) -> bool:
        return self._prepared.idempotent or self.config.retry_unsafe

    def begin_attempt(self) -> None:
        super().begin_attempt()
        sent = self._encoded
        self.outgoing = OutgoingRequest(
            *(self.method, sent.url, sent.headers, sent.content, self.config.httpx_timeouts),
            max_received=2 * self.config.max_response_bytes + MAX_AROUND_BODY,
        )

    def attempt_end(self, *, queueing: bool) -> float | None:
        """By the deadline, or by `timeout`, which counts no queueing."""
        left, limit = self.remaining(), self.config.attempt_timeout
        self._by_deadline = queueing or limit is None or (left is not None and left <= limit)
        seconds = left if self._by_deadline else limit
        return None if seconds is None else asyncio.get_running_loop().time() + seconds

    def remaining(self) -> float | None:
        """Seconds left of the deadline; never negative."""
        if self.config.deadline is None:
            return None
        return max(0.0, self.config.deadline - (self._clock.now() - self._started))

    async def exchange(self, engine: Engine, scope: asyncio.Timeout) -> T | Failure:
        try:
            # In no local variable: a response's repr may quote the key.
            async with engine.open(self.outgoing) as self.response:
                limit = self.config.max_response_bytes
                if not self.response.is_success:
                    limit = min(limit, MAX_ERROR_BODY)
                body = await read_body(self.response, limit, method=self.method)
        except httpx.HTTPStatusError as error:
            # A hook of the caller's client raised for the status: there is a response all the same.
            self.response = error.response
            return failure_of_status(self, error.response, b"")
        except asyncio.CancelledError as error:
            # The frames that it came through hold the key in their locals.
            raise error.with_traceback(None) from None
        except Exception as error:
            if not isinstance(error, (InvalidBody, TruncatedBody)) and not is_network_failure(error):
                raise self._without_frames(error) from None
            return self._failure(error, engine)
        if not self.response.is_success:
            return failure_of_status(self, self.response, body)
        try:
            return self._read(self, body)
        except (InvalidBody, DeserializationError) as error:
            return unreadable(self, self.response, error, body)

    def received(self, body: bytes) -> httpx.Response:
        """The response as its caller gets it."""
        assert self.response is not None
        return redact_response(self, self.response, body, redact_body=False)

    def timeout_failure(self, error: TimeoutError) -> Failure:
        self.out_of_time = self._by_deadline
        limit = (
            f"deadline of {self.config.deadline} s"
            if self._by_deadline
            else f"timeout of {self.config.attempt_timeout} s"
        )
        if self.outgoing.may_have_reached_server:
            return Failure(Outcome.AMBIGUOUS, f"no complete response within the {limit}", error, timed_out=True)
        return Failure(Outcome.NOT_SENT, f"could not reach the service within the {limit}", error, timed_out=True)

    def redacted_request(self) -> httpx.Request:
        sent = self._encoded
        return redact_request(self.method, sent.redacted_url, sent.headers, sent.content, sent.key_name)

    def advice(self, status_code: int | None) -> str | None:
        if status_code is None:
            inferred = str(self.config.base_url) == document.SERVER
            return f"this address is a guess: {_SETTING}" if inferred else None
        if 300 <= status_code < 400:
            location = self.redactor.redact(self.response.headers.get("location", "")) if self.response else ""
            return f"redirects are never followed, check base_url (it points to {location!r})"
        if status_code == 404 and self.method == "DELETE" and self.maybe_processed and self.attempts > 1:
            return "an earlier attempt, whose response was lost, may have deleted it"
        if status_code in (404, 405) and (self.method, self.path) in document.IDEMPOTENT:  # a path without an id
            return f"the address {self.config.base_url} or this path is a guess: {_SETTING}"
        return _ADVICE.get(status_code)

    def _failure(self, error: Exception, engine: Engine) -> Failure:
        """What a failure of the network, or of a body, means; it may have come with a status."""
        if self.response is not None:
            if not self.response.is_success:
                return failure_of_status(self, self.response, b"")
            if isinstance(error, InvalidBody):
                return unreadable(self, self.response, error, b"")
            return failure_without_answer(self, error, unsent=False)
        # What is not even httpx's, before anything was sent, is an engine that could not be built.
        unbuilt = not self.outgoing.may_have_reached_server and not isinstance(error, httpx.HTTPError)
        return failure_without_answer(self, error, unsent=unbuilt or engine.is_unsent(error))

    def _without_frames(self, error: Exception) -> Exception:
        """A tool's or a hook's exception without its frames, whose locals hold the key; a note says where it was."""
        frames = "".join(format_tb(error.__traceback__))
        error = redact_error(error, self.redactor, self.redacted_request())
        note = f"raised while the request was sent, in:\n{frames}"
        if note not in getattr(error, "__notes__", ()):  # a mock may raise the same one again and again
            error.add_note(note)
        return error


def _read(prepared: PreparedRequest[T], state: _CallState[Any], body: bytes) -> T:
    response = state.response
    assert response is not None
    answer = prepared.answer(response.status_code)
    if answer.kind == "text":
        return cast(T, answer.read(decode_text(body, response.charset_encoding)))
    return cast(T, answer.read(parse_json(body) if answer.kind == "json" else None))
