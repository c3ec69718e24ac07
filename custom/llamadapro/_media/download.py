"""Fetching a file from whatever host its URL names: never with the key, and in as many attempts as it takes.

Each attempt asks for what is still missing (Range, and If-Range so that all parts are of one version), as long as they
bring something. The bytes go into a `PartialFile`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from .._config import NO_TIMEOUTS, Config, as_seconds
from .._headers import USER_AGENT, RawHeaders
from .._httpx2 import AnyURL, parse_url
from .._session import Session
from .._transport import Transport
from .._transport.base_engine import Engine, OutgoingRequest
from .._transport.body import read_body
from .._transport.failures import (
    MAX_ERROR_BODY,
    failure_of_status,
    failure_without_answer,
    is_network_failure,
    redact_response,
)
from .._transport.policy import Failure, Outcome
from .._transport.state import RequestState
from ..errors import InvalidRequestError
from . import to_path
from .partial_file import PartialFile
from .partial_file import Progress as Progress

MAX_REDIRECTS = 5
NEVER = float("-inf")
SLACK = 0.05
"""The part of its timeout by which a silent host may be found out too late."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", re.ASCII)
_ADVICE = {
    401: "it wants credentials, and none are ever sent to a host that a record's URL names",
    403: "its URL may have expired: get the record again for a new one",
    404: "it may be gone, or its URL have expired: get the record again for a new one",
}


async def download(
    session: Session,
    url: str,
    path: str | os.PathLike[str],
    *,
    source: str | None,
    on_progress: Progress | None,
    resume: bool,
    timeout: float,
) -> Path:
    """Download a file to `path`, completely or not at all. `source` names it if its URL does not, being signed anew."""
    address = check_url(url)
    if as_seconds(timeout) is None:
        raise InvalidRequestError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    name = str(address) if source is None else f"{source} {address.copy_with(query=None)}"
    part = PartialFile(to_path(path), name, on_progress, resume=resume)
    try:
        await session.transport.run(Download(session.transport, session.config, address, part, timeout))
        await part.finish()
    finally:
        part.close()
    return part.path


def check_url(url: str | AnyURL) -> httpx.URL:
    """A URL that may be fetched; raises `InvalidRequestError` with the reason for any other."""
    try:
        parsed = parse_url(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise InvalidRequestError(f"this is not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequestError("a URL to download from must begin with https:// or http:// and name a host")
    if parsed.userinfo:
        raise InvalidRequestError("a URL to download from must not hold a user and password")
    return parsed.copy_with(fragment=None)


class Download(RequestState[None]):
    """One file on its way. `timeout` is how many seconds may pass without a byte."""

    rate_limited = False

    def __init__(self, transport: Transport, config: Config, url: httpx.URL, file: PartialFile, timeout: float) -> None:
        self._shown = url.copy_with(query=None)  # the query may hold a signature
        super().__init__(
            *("download", "GET", str(self._shown)),
            config=config,
            clock=transport.clock,
            redactor=transport.redactor,
        )
        self._url = url
        self._file = file
        self._timeout = timeout
        self._most = 0
        self._own_error: Exception | None = None

    @property
    def is_repeatable(self) -> bool:
        return True

    def note(self, failure: Failure) -> None:
        if self._file.size > self._most:  # only tries that bring nothing are counted
            self.retries, self._most = 0, self._file.size

    def remaining(self) -> float | None:
        return self.config.deadline  # a download may last longer, a single wait of it may not

    def attempt_end(self, *, queueing: bool) -> float | None:
        return None if queueing else asyncio.get_running_loop().time() + self._timeout

    def timeout_failure(self, error: TimeoutError) -> Failure:
        return Failure(Outcome.AMBIGUOUS, f"nothing came for {self._timeout:g} s", error, timed_out=True)

    def redacted_request(self) -> httpx.Request:
        return httpx.Request("GET", self._shown)

    def advice(self, status_code: int | None) -> str | None:
        return None if status_code is None else _ADVICE.get(status_code)

    async def exchange(self, engine: Engine, scope: asyncio.Timeout) -> Failure | None:
        """Ask, along redirects (they can lose no key), and take what is answered."""
        url, redirects = self._url, 0
        while True:
            host = engine.for_origin(url)
            try:
                async with host.open(self._request(url)) as response:
                    self.response = response
                    if self._is_stale(response):
                        self._restart(None, None)
                        continue
                    if not response.has_redirect_location:
                        return await self._receive(response, scope)
            except httpx.HTTPStatusError as error:  # a hook of the caller's client raised for the status
                return failure_of_status(self, error.response, b"")
            except Exception as error:
                if error is self._own_error or not is_network_failure(error):
                    raise
                return failure_without_answer(self, error, unsent=host.is_unsent(error))
            redirects += 1
            following = _follow(url, response.headers["location"])
            if isinstance(following, str) or redirects > MAX_REDIRECTS:
                why = following if isinstance(following, str) else f"more than {MAX_REDIRECTS} times"
                return failure_of_status(self, response, b"", advice=f"redirected {why}")
            url = following

    def _request(self, url: httpx.URL) -> OutgoingRequest:
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Accept": "*/*",
            "Accept-Encoding": "identity",  # or lengths and ranges would not be the file's own
            "User-Agent": USER_AGENT,
        }
        if self._file.size and self._file.validator:
            headers |= {"Range": f"bytes={self._file.size}-", "If-Range": self._file.validator}
        return OutgoingRequest("GET", str(url), RawHeaders().replaced(headers), b"", NO_TIMEOUTS)

    def _is_stale(self, response: httpx.Response) -> bool:
        """Whether the rest cannot be had, so that all has to be asked for."""
        status = response.status_code
        return self._file.size > 0 and (status == 416 or (status == 206 and self._total_of_part(response) is None))

    def _total_of_part(self, response: httpx.Response) -> int | None:
        """The size of the complete file, if this part begins where the file ends and is of the same version."""
        file, found = self._file, _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[1]) != file.size or file.total not in (None, int(found[2])):
            return None
        same = file.validator is not None and validator_of(response) in (None, file.validator)
        return int(found[2]) if same else None

    async def _receive(self, response: httpx.Response, scope: asyncio.Timeout) -> Failure | None:
        file, status = self._file, response.status_code
        if not 200 <= status < 300:
            return failure_of_status(self, response, await _error_body(response))
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity") or status not in (200, 206) or (status == 206 and not file.size):
            what = f"answered {status}{encoding and ' in ' + encoding}, which is not the file as it was asked for"
            return Failure(Outcome.FINAL, self.redactor.redact(what), response=redact_response(self, response, b""))
        if status == 200:
            self._restart(validator_of(response), _length_of(response))
        else:
            file.total = self._total_of_part(response)
        now, timed = asyncio.get_running_loop().time, NEVER
        async for chunk in _chunks(response):
            with self._noting_own_errors():
                if file.feed(chunk):
                    scope.reschedule(None)  # a slow disk is not a silent host
                    timed = NEVER
                    await file.write()
            if now() > timed + self._timeout * SLACK:  # a timer for each chunk would cost more than the chunk
                timed = now()
                scope.reschedule(timed + self._timeout * (1 + SLACK))
        if file.total in (None, file.size):
            return None
        failure = Failure(Outcome.AMBIGUOUS, f"the body ended after {file.size} of {file.total} bytes")
        if file.size > (file.total or 0):
            self._restart(None, None)
        return failure

    def _restart(self, validator: str | None, total: int | None) -> None:
        with self._noting_own_errors():
            self._file.restart(validator, total)

    @contextmanager
    def _noting_own_errors(self) -> Iterator[None]:
        """The file's errors (the disk's, a callback's) are not the network's, and are raised as they are."""
        try:
            yield
        except Exception as error:
            self._own_error = error
            raise


def _follow(url: httpx.URL, location: str) -> httpx.URL | str:
    """Where a redirect leads, or why it is not followed."""
    try:
        following = check_url(url.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        return f"to where nothing can be fetched: {error}"
    return "from https to http" if url.scheme == "https" and following.scheme == "http" else following


def validator_of(response: httpx.Response) -> str | None:
    """What can be sent as If-Range: a strong ETag, or a date of change that is strong too (RFC 9110, 8.8.2.2)."""
    headers: Mapping[str, str] = response.headers
    etag, changed = headers.get("etag", ""), headers.get("last-modified", "")
    if etag.startswith('"') and etag.isascii() and etag.isprintable():
        return etag
    try:
        age = parsedate_to_datetime(headers["date"]) - parsedate_to_datetime(changed)
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return None
    return changed if age.total_seconds() >= 1 and changed.isascii() else None


def _length_of(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None


def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """As they come: gathering them into larger ones costs more than it saves."""
    if response.is_stream_consumed or not isinstance(response.stream, httpx.AsyncByteStream):
        return _at_once(response.content)  # a hook of the caller's client, or a mock, has read it already
    return response.stream.__aiter__()


async def _at_once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _error_body(response: httpx.Response) -> bytes:
    try:
        return await read_body(response, MAX_ERROR_BODY)
    except Exception:  # the status says enough
        return b""
