"""The files that records point to: recordings, transcriptions and media, complete or in ranges.

Their URLs are signed: like the service's, they need no key, and expire.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .audio import size_of, wav
from .errors import Forbidden, MethodNotAllowed, NotFound
from .paging import sign
from .state import State

VALID_SECONDS = 3600
PREFIX = "/_sandbox/files/"
RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
Reader = Callable[[int, int], Iterator[bytes]]


def signed(state: State, base_url: str, address: str) -> str:
    path = PREFIX + quote(address)
    expires = str(int(state.clock.time()) + VALID_SECONDS)
    return f"{base_url}{path}?expires={expires}&signature={sign(f'{path} {expires}'.encode())}"


def answer(state: State, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{request.method} is not for files", headers={"Allow": "GET, HEAD"})
    path, query = request.scope["path"], request.query_params
    _check_signature(state, path, query.get("expires", ""), query.get("signature", ""))
    kind, size, read = _open(state, path.removeprefix(PREFIX))
    uploaded = path.startswith(f"{PREFIX}media/")
    etag = f'"{hashlib.blake2b(f"{path} {size}".encode(), digest_size=8).hexdigest()}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Content-Type": kind, "X-Content-Type-Options": "nosniff"}
    if uploaded:  # whatever it is, a browser must not run it here
        headers["Content-Disposition"] = "attachment"
        headers["Content-Security-Policy"] = "sandbox"
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    start, stop, status = 0, size, 200
    wanted = RANGE.fullmatch(request.headers.get("range", ""))
    if wanted and wanted[0] != "bytes=-" and request.headers.get("if-range", etag) == etag:
        start, stop = _range(wanted, size)
        if start >= stop:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        status = 206
    headers["Content-Length"] = str(stop - start)
    body = iter(()) if request.method == "HEAD" else read(start, stop)
    return StreamingResponse(iterate_in_threadpool(body), status, headers)


def _check_signature(state: State, path: str, expires: str, signature: str) -> None:
    right = sign(f"{quote(path)} {expires}".encode("utf-8", "surrogatepass"))
    if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "surrogatepass")):
        raise Forbidden("the signature of this URL is wrong")
    if int(expires) < state.clock.time():
        raise Forbidden("this URL has expired: read the record again for a new one")


def _range(wanted: re.Match[str], size: int) -> tuple[int, int]:
    first, last = wanted[1][:18], wanted[2][:18]
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def _open(state: State, address: str) -> tuple[str, int, Reader]:
    """The type and size of a file, and what reads a part of it."""
    found = re.fullmatch(r"(recordings|transcriptions|media)/([1-9]\d{0,14})(?:\.wav|\.txt)?", address, re.ASCII)
    record = state.store.get(found[1], int(found[2])) if found else None
    if found is None or record is None:
        raise NotFound(f"there is no file {address!r} here")
    if found[1] == "recordings":
        size = int(record.get("_bytes") or size_of(record["duration"]))
        return "audio/wav", size, lambda start, stop: wav(size, start, stop)
    if found[1] == "transcriptions":
        return _in_memory("text/plain; charset=utf-8", record["text"].encode())
    return _in_memory(record["contentType"], base64.b64decode(record["_content"]))


def _in_memory(kind: str, content: bytes) -> tuple[str, int, Reader]:
    if not re.fullmatch(r"[\x20-\x7e]+", kind):
        kind = "application/octet-stream"  # an upload may name any type; a header cannot hold them all
    return kind, len(content), lambda start, stop: iter((content[start:stop],))
