"""Fetching a file from whatever host its URL names: never with the key, and in as many attempts as it takes.

One attempt after another asks for what is still missing (Range, and If-Range so that the parts are of one version),
as long as they bring something. What the bytes go into is the caller's `Target`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Protocol

import httpx

from ..config import Config
from ..errors import APIError, APIStatusError, ConfigurationError, InvalidRequestError
from .body import BadBody, read_body
from .engines import HiddenHeaders, OutgoingRequest
from .failures import REQUEST_ID_HEADER, Failure, failure_of_status, failure_without_answer
from .observe import Attempt, tell
from .policy import Outcome, wait_before_retry
from .secrecy import public_cause
from .send import Transport

MOST_REDIRECTS = 5
LARGEST_ERROR = 2**16

_REDIRECTS = (301, 302, 303, 307, 308)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", re.ASCII)
_NO_TIMEOUT = {"connect": None, "read": None, "write": None, "pool": None}  # one scope does for all

_ADVICE = {
    401: "the URL needs credentials, and none are ever sent to a recording's host",
    403: "the URL may have expired: get the recording again for a new one",
    404: "the file may be gone, or the URL have expired: get the recording again for a new one",
    410: "the file is gone",
}


class Target(Protocol):
    """Where the bytes go, and what is known of those that are there already."""

    size: int
    total: int | None
    validator: str | None
    """The ETag or date of the version that they belong to; None where there is no telling, so nothing to resume."""

    def restart(self, validator: str | None, total: int | None) -> None:
        """Drop what is there, and begin with another version."""
        ...

    async def write(self, chunk: bytes) -> None: ...


def check_url(url: str | httpx.URL) -> httpx.URL:
    """A URL that may be fetched; raises `InvalidRequestError` with the reason for any other."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidRequestError(f"this is not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequestError("the URL must begin with https:// or http:// and name a host")
    if parsed.userinfo:
        raise InvalidRequestError("the URL must not hold a user and password")
    return parsed.copy_with(fragment=None)


class Download:
    """One file on its way. `timeout` is how many seconds may pass without a byte."""

    writes = uncertain = False  # for the errors: nothing is changed by reading

    def __init__(self, transport: Transport, config: Config, url: httpx.URL, target: Target, timeout: float) -> None:
        self._transport = transport
        self._config = config
        self._url = url
        self._target = target
        self._timeout = timeout
        self._own_error: BaseException | None = None
        self._response: httpx.Response | None = None
        self.attempts = 0
        # The query may hold a signature: it is shown nowhere.
        self._shown = url.copy_with(query=None)
        self.title = f"GET {self._shown}"

    async def run(self) -> None:
        """Fetch the file whole; raises an `APIError`, or what the target raised."""
        retries = best = 0
        while (failure := await self._attempt()) is not None:
            if self._target.size > best:
                retries, best = 0, self._target.size
            wait = wait_before_retry(
                failure.outcome,
                safe=True,
                retries=retries,
                max_retries=self._config.max_retries,
                retry_after=failure.retry_after,
                jitter=self._transport.clock.jitter(),
                remaining=self._config.deadline,  # of a whole call elsewhere, here of one wait
            )
            if wait is None:
                cause = failure.cause and public_cause(failure.cause, self._config.api_key, self.public_request())
                raise self._to_error(failure) from cause
            retries += 1
            await self._transport.clock.sleep(wait)

    async def _attempt(self) -> Failure | None:
        if self._transport.closed:
            raise ConfigurationError("this client is closed; build a new one, or keep it open longer")
        self.attempts += 1
        self._response = None
        started = self._transport.clock.now()
        try:
            async with self._transport._limits.slots, asyncio.timeout(self._timeout) as scope:
                failure = await self._exchange(scope)
        except TimeoutError as error:
            if error is self._own_error:
                raise
            failure = Failure(Outcome.UNKNOWN, f"nothing came for {self._timeout:g} s", error, timed_out=True)
        tell(self._config.on_attempt, self._to_attempt(self._transport.clock.now() - started, failure))
        return failure

    async def _exchange(self, scope: asyncio.Timeout) -> Failure | None:
        """Send the request, along redirects (there is no key to lose), and take what is answered."""
        url, redirects = self._url, 0
        while True:
            engine = self._transport._engine.elsewhere(url)
            try:
                async with engine.open(self._request(url)) as response:
                    self._response = response
                    if self._is_stale(response):
                        self._target.restart(None, None)
                        continue
                    if response.status_code not in _REDIRECTS:
                        return await self._take(response, scope)
            except httpx.HTTPStatusError as error:  # a hook of the caller's client raised for the status
                return failure_of_status(error.response, b"")
            except Exception as error:
                if error is self._own_error:
                    raise
                return failure_without_answer(error, never_sent=engine.never_sent(error))
            redirects += 1
            following = _follow(url, response)
            if isinstance(following, str) or redirects > MOST_REDIRECTS:
                reason = following if isinstance(following, str) else f"it redirected more than {MOST_REDIRECTS} times"
                return Failure(Outcome.FINAL, reason, response=response)
            url = following

    def _request(self, url: httpx.URL) -> OutgoingRequest:
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Accept": "*/*",
            "Accept-Encoding": "identity",  # the length and the ranges are those of the file itself
            "User-Agent": self._transport._user_agent,
        }
        if self._target.size and self._target.validator:
            headers |= {"Range": f"bytes={self._target.size}-", "If-Range": self._target.validator}
        raw = HiddenHeaders((name.encode("ascii"), value.encode("ascii")) for name, value in headers.items())
        return OutgoingRequest("GET", url, raw, b"", _NO_TIMEOUT)

    def _is_stale(self, response: httpx.Response) -> bool:
        """Whether this is no answer to a question for the rest: it has to be asked again, for all."""
        if not self._target.size or response.status_code not in (206, 416):
            return False
        return response.status_code == 416 or not self._fits(response)

    def _fits(self, response: httpx.Response) -> bool:
        """Whether a part begins where the target ends, and is of the same version."""
        target, found = self._target, _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[1]) != target.size or target.total not in (None, int(found[2])):
            return False
        return validator_of(response) in (None, target.validator)

    async def _take(self, response: httpx.Response, scope: asyncio.Timeout) -> Failure | None:
        target, status = self._target, response.status_code
        if not 200 <= status < 300:
            return await _failure_with_body(response)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if status not in (200, 206) or encoding not in ("", "identity") or (status == 206 and not self._fits(response)):
            what = f"answered {status} with Content-Encoding {encoding!r}, not with the file as it is"
            return Failure(Outcome.FINAL, what, response=response)
        if status == 200:
            target.restart(validator_of(response), _length_of(response))
        async for chunk in _chunks(response):
            await self._write(chunk, scope)
        if target.total in (None, target.size):
            return None
        what = f"the body ended after {target.size} of {target.total} bytes"
        if target.total is not None and target.size > target.total:
            target.restart(None, None)
        return Failure(Outcome.UNKNOWN, what)

    async def _write(self, chunk: bytes, scope: asyncio.Timeout) -> None:
        scope.reschedule(None)  # a slow disk is not a silent host
        try:
            await self._target.write(chunk)
        except Exception as error:
            self._own_error = error
            raise
        scope.reschedule(asyncio.get_running_loop().time() + self._timeout)
