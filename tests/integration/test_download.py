"""`recordings.download` over real sockets: complete or not at all, resumed where that is certain, and without the key.

Hosts are sites of the fault server (they play what a host may do to a download) and the sandbox. Retries take no time.
"""

# ruff: noqa: ASYNC220, ASYNC240  (small files; and a process that is there to be killed)
from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import hashlib
import json
import os
import pickle
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from llamadapro import errors, models
from llamadapro._media.download import MAX_REDIRECTS, check_url, validator_of
from llamadapro_sandbox import Sandbox
from tests.clocks import FakeClock
from tests.faults.clients import KEY, available, client_for, leaks, outcome_of
from tests.faults.server import Drip, End, Outcome, Received, Site, answer, fault_server, outcome, refused, response
from tests.openapi import KEY_HEADER, key_headers, path_of

BODY = os.urandom(300_000)
OTHER = os.urandom(len(BODY))
ETAG, NEXT = '"v1"', '"v2"'
RANGE = re.compile(r"bytes=(\d+)-")
AUTHORITY = trustme.CA()

engines = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(engine, marks=pytest.mark.skipif(not available(engine), reason="needs an extra"))
        for engine in ("httpx", "aiohttp", "caller")
    ],
)


def part(body: bytes, start: int, etag: str | None = ETAG, *, stop: int | None = None) -> bytes:
    """A good answer to a question for the rest."""
    stop = len(body) if stop is None else stop
    fields = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"} | ({"ETag": etag} if etag else {})
    return response(206, body[start:stop], headers=fields, type_="audio/wav")


def complete(body: bytes = BODY, etag: str | None = ETAG) -> bytes:
    return response(200, body, headers={"ETag": etag} if etag else {}, type_="audio/wav")


def host(body: bytes = BODY, etag: str | None = ETAG) -> Callable[[Received], Outcome]:
    """A host as it should be: ranges, as long as the file is still the one that is asked for."""

    def play(request: Received) -> Outcome:
        wanted = RANGE.fullmatch(request.headers.get("range", ""))
        if wanted and request.headers.get("if-range", etag) == etag and int(wanted[1]) < len(body):
            return outcome("part", part(body, int(wanted[1]), etag), End.KEEP)
        return outcome("complete", complete(body, etag), End.KEEP)

    return play


def cut(sent: int, end: End = End.CLOSE, body: bytes = BODY, etag: str | None = ETAG) -> Outcome:
    """An answer that breaks off after so many bytes of its body."""
    answered = complete(body, etag)
    return outcome("cut", answered[: len(answered) - len(body) + sent], end)


def cutting(step: int) -> Callable[[Received], Outcome]:
    """A host that breaks every answer off after `step` bytes."""

    def play(request: Received) -> Outcome:
        wanted = RANGE.fullmatch(request.headers.get("range", ""))
        start = int(wanted[1]) if wanted else 0
        answered = part(BODY, start) if wanted else complete()
        missing = max(len(BODY) - start - step, 0)
        return outcome("cut", answered[: len(answered) - missing], End.KEEP if not missing else End.CLOSE)

    return play


def asked(site: Site) -> list[str | None]:
    return [request.headers.get("range") for request in site.requests]


def left(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "call.wav"


async def interrupt(engine: str, url: Any, path: Path, **options: Any) -> None:
    """A first run that fails."""
    async with client_for(engine, "http://api.invalid", max_retries=0) as client:
        with pytest.raises(errors.APIConnectionError):
            await client.recordings.download(url, path, **options)


# --- a complete file ----------------------------------------------------------------------------------------------


@engines
async def test_a_file_comes_complete_and_without_the_key(engine: str, path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with fault_server().site(then=host()) as site:
        # Not even to the API's own origin: it is a recording's host here.
        async with client_for(engine, site.url, default_headers={"X-Tenant": "acme"}) as client:
            got = await client.recordings.download(
                f"{site.url}/a.wav?sig=1", str(path), on_progress=lambda *n: seen.append(n)
            )
    assert got == path
    assert path.read_bytes() == BODY
    assert left(path.parent) == {"call.wav"}
    assert seen[-1] == (len(BODY), len(BODY))
    assert all(one[0] < next_[0] for one, next_ in pairwise(seen))
    (request,) = site.requests
    assert request.headers["accept-encoding"] == "identity"
    assert request.path == "/a.wav?sig=1"
    assert KEY not in str(request)
    assert {"x-tenant", "range", "authorization", "cookie", KEY_HEADER.lower()}.isdisjoint(request.headers)


@engines
async def test_a_signed_url_arrives_as_it_was_signed(engine: str, path: Path) -> None:
    target = "/a%2Fb%7Ec/%41.wav?X-Amz-Credential=AK%2F20%2Fus&sig=a%2Bb%3D&x=%7E%41&p=a+b%20c&q=%C3%A9"
    with fault_server().site(then=host()) as site:
        async with client_for(engine, "http://api.invalid") as client:
            await client.recordings.download(site.url + target + "#fragment", path)
    assert [request.path for request in site.requests] == [target]


async def test_a_callers_client_keeps_its_defaults_to_itself(path: Path) -> None:
    hooked: list[str] = []

    async def hook(request: httpx.Request) -> None:
        hooked.append(request.url.path)

    own = httpx.AsyncClient(
        headers={**key_headers(KEY), "X-Own": "1"}, cookies={"session": KEY}, auth=("me", KEY), params={"k": KEY},
        event_hooks={"request": [hook]},
    )  # fmt: skip
    with fault_server().site(then=host()) as site:
        async with own, client_for("httpx", "http://api.invalid", http_client=own) as client:
            await client.recordings.download(f"{site.url}/a.wav", path)
    assert hooked == ["/a.wav"]
    assert KEY not in str(site.requests)
    assert {"cookie", "authorization", "x-own"}.isdisjoint(site.requests[0].headers)


@engines
@pytest.mark.parametrize("length", [None, 0])
async def test_a_file_without_a_length_or_without_a_byte(engine: str, path: Path, length: int | None) -> None:
    seen: list[tuple[int, int | None]] = []
    body = BODY if length is None else b""
    head = response(200, length=length, type_=None)
    with fault_server().site(then=outcome("open end", head + body, End.CLOSE)) as site:
        async with client_for(engine, "http://api.invalid") as client:
            await client.recordings.download(site.url, path, on_progress=lambda *n: seen.append(n))
    assert path.read_bytes() == body
    assert seen[-1:] == ([(len(BODY), None)] if body else [])
    assert left(path.parent) == {"call.wav"}


@engines
async def test_what_is_there_already_is_replaced_only_by_a_complete_file(engine: str, path: Path) -> None:
    path.write_bytes(b"earlier")
    with fault_server().site(cut(100_000), then=host()) as site:
        await interrupt(engine, site.url, path)
        assert path.read_bytes() == b"earlier"
        async with client_for(engine, "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert path.read_bytes() == BODY


# --- resuming ----------------------------------------------------------------------------------------------------


@engines
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
async def test_a_cut_body_is_taken_up_where_it_broke(engine: str, path: Path, end: End) -> None:
    clock = FakeClock()
    with fault_server().site(cut(100_000, end), then=host()) as site:
        async with client_for(engine, "http://api.invalid", clock=clock) as client:
            await client.recordings.download(site.url, path)
    assert path.read_bytes() == BODY
    first, second = site.requests
    assert "range" not in first.headers
    wanted = RANGE.fullmatch(second.headers["range"])
    assert wanted
    assert int(wanted[1]) == 100_000 or end is End.RESET  # a reset may overtake what was sent before it
    assert second.headers["if-range"] == ETAG
    assert len(clock.sleeps) == 1


@engines
async def test_tries_are_counted_only_while_nothing_comes(engine: str, path: Path) -> None:
    with fault_server().site(then=cutting(40_000)) as site:
        async with client_for(engine, "http://api.invalid", max_retries=1) as client:
            await client.recordings.download(site.url, path)
    assert path.read_bytes() == BODY
    assert asked(site) == [None, *(f"bytes={n * 40_000}-" for n in range(1, 8))]


@engines
async def test_tries_that_bring_nothing_end(engine: str, path: Path) -> None:
    with fault_server().site(cut(100_000), then=outcome("closed", End.CLOSE)) as site:
        async with client_for(engine, "http://api.invalid", max_retries=2) as client:
            with pytest.raises(errors.APIConnectionError) as caught:
                await client.recordings.download(site.url, path)
    # The first brought something; then two more that bring nothing, as any other call.
    assert len(site.requests) == 3
    assert caught.value.may_have_been_processed is False
    assert not path.exists()
    assert len((path.parent / "call.wav.part").read_bytes()) == 100_000


@engines
async def test_a_host_without_ranges_that_always_breaks_is_not_asked_for_ever(engine: str, path: Path) -> None:
    with fault_server().site(then=cut(50_000, etag=None)) as site:
        async with client_for(engine, "http://api.invalid", max_retries=2) as client:
            with pytest.raises(errors.APIConnectionError):
                await client.recordings.download(site.url, path)
    assert asked(site) == [None] * 3


@engines
@pytest.mark.parametrize("resume", [True, False])
async def test_an_earlier_run_is_gone_on_with(engine: str, path: Path, resume: bool) -> None:
    seen: list[tuple[int, int | None]] = []
    with fault_server().site(cut(100_000), then=host()) as site:
        await interrupt(engine, site.url, path)
        assert left(path.parent) == {"call.wav.part", "call.wav.part.json"}
        async with client_for(engine, "http://api.invalid") as client:
            await client.recordings.download(site.url, path, resume=resume, on_progress=lambda *n: seen.append(n))
    assert asked(site) == [None, "bytes=100000-" if resume else None]
    if resume:
        assert seen[0][0] > 100_000
    assert path.read_bytes() == BODY
    assert left(path.parent) == {"call.wav"}


async def test_a_recording_is_known_again_though_its_url_is_signed_anew(path: Path) -> None:
    def recording(number: int, url: str) -> models.Recording:
        return models.Recording.from_dict({"id": number, "url": url})

    with fault_server().site(*[cut(100_000)] * 5, then=host()) as site:
        await interrupt("httpx", recording(5, f"{site.url}/a?sig=1"), path)
        await interrupt("httpx", recording(6, f"{site.url}/a?sig=2"), path)  # another recording
        await interrupt("httpx", f"{site.url}/a?sig=3", path)  # nothing is known but the URL
        await interrupt("httpx", f"{site.url}/a?sig=4", path)
        await interrupt("httpx", recording(6, f"{site.url}/b?sig=5"), path)
        async with client_for("httpx", "http://api.invalid") as client:
            await client.recordings.download(recording(6, f"{site.url}/b?sig=6"), path)
    assert asked(site) == [None, None, None, None, None, "bytes=100000-"]
    assert path.read_bytes() == BODY


STALE = {
    "all of another version": outcome("new", complete(OTHER, NEXT), End.KEEP),
    "a part of another version": outcome("new", part(OTHER, 100_000, NEXT), End.KEEP),
    "a part of another length": outcome("new", part(OTHER + b"x", 100_000), End.KEEP),
    "another part": outcome("new", part(BODY, 90_000), End.KEEP),
    "a part that nobody describes": outcome("new", response(206, OTHER[100_000:], headers={"ETag": ETAG}), End.KEEP),
    "not so many bytes": answer(416, b"", headers={"Content-Range": "bytes */5"}),
}


@engines
@pytest.mark.parametrize("stale", STALE)
async def test_parts_of_two_versions_are_never_put_together(engine: str, path: Path, stale: str) -> None:
    with fault_server().site(cut(100_000), STALE[stale], then=host(OTHER, NEXT)) as site:
        await interrupt(engine, site.url, path)
        async with client_for(engine, "http://api.invalid", max_retries=0) as client:  # it takes no retry
            await client.recordings.download(site.url, path)
    assert path.read_bytes() == OTHER
    assert asked(site)[1] == "bytes=100000-"
    assert asked(site)[2:] == ([] if "all of" in stale else [None])


async def test_a_part_may_be_shorter_than_asked_for(path: Path) -> None:
    few = outcome("few", part(BODY, 100_000, stop=150_000), End.KEEP)
    with fault_server().site(cut(100_000), few, then=host()) as site:
        async with client_for("httpx", "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert asked(site) == [None, "bytes=100000-", "bytes=150000-"]
    assert path.read_bytes() == BODY


async def test_a_run_killed_before_the_last_step_takes_it(path: Path) -> None:
    with fault_server().site(cut(100_000), then=host()) as site:
        await interrupt("httpx", site.url, path)
        (path.parent / "call.wav.part").write_bytes(BODY)
        async with client_for("httpx", "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert asked(site)[1:] == [f"bytes={len(BODY) - 1}-"]
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    "notes",
    [b"", b"{}", b"[]", b"\xff", b'{"source": 1, "validator": null, "total": 5}', "too long", "another source", "crlf"],
)
async def test_notes_that_do_not_fit_mean_starting_over(path: Path, notes: bytes | str) -> None:
    part_file, notes_file = path.parent / "call.wav.part", path.parent / "call.wav.part.json"
    with fault_server().site(cut(100_000), then=host()) as site:
        await interrupt("httpx", site.url, path)
        good = json.loads(notes_file.read_bytes())
        if notes == "too long":
            part_file.write_bytes(BODY + b"x")
        elif notes == "another source":
            notes_file.write_text(json.dumps(good | {"source": "0" * 64}))
        elif notes == "crlf":
            notes_file.write_text(json.dumps(good | {"validator": '"v1"\r\nX-Bad: 1'}))
        else:
            assert isinstance(notes, bytes)
            notes_file.write_bytes(notes)
        async with client_for("httpx", "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert asked(site) == [None, None]
    assert path.read_bytes() == BODY


def test_only_strong_validators_count() -> None:
    early, later = "Mon, 23 Nov 2026 02:00:00 GMT", "Mon, 23 Nov 2026 02:00:01 GMT"

    def found(**headers: str) -> str | None:
        return validator_of(
            httpx.Response(200, headers={name.replace("_", "-"): value for name, value in headers.items()})
        )

    assert found(etag='"a"', last_modified=early, date=later) == '"a"'
    assert found(etag='W/"a"') is None
    assert found(etag='W/"a"', last_modified=early, date=later) == early
    assert found(last_modified=early, date=early) is None  # it may change again within the second
    assert found(last_modified=early) is None
    assert found(last_modified="yesterday", date=later) is None
    assert found(last_modified=early, date="Mon, 23 Nov 2026 02:00:01 -0000") is None
    assert found() is None


async def test_a_killed_process_leaves_what_the_next_one_goes_on_with(path: Path) -> None:
    """SIGKILL: no handler, no clean-up; and the file that was there keeps its name until the new one is complete.

    Writing is a step behind: with 2.5 MB received, the first mebibyte is certainly on the disk.
    """
    program = (
        "import asyncio, sys\n"
        "from llamadapro import AsyncLlamadaPro\n"
        "async def main():\n"
        "    client = AsyncLlamadaPro('key', 'http://api.invalid')\n"
        "    tell = lambda received, total: received > 2_500_000 and print('now', flush=True)\n"
        "    await client.recordings.download(sys.argv[1], sys.argv[2], on_progress=tell)\n"
        "asyncio.run(main())\n"
    )
    body = BODY * 10
    hanging = complete(body)[: -len(BODY)]
    with fault_server().site(outcome("hangs", hanging, End.HANG), then=host(body)) as site:
        command = [sys.executable, "-c", program, site.url, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            await asyncio.to_thread(process.stdout.readline)
            process.send_signal(signal.SIGKILL)
        assert left(path.parent) == {"call.wav.part", "call.wav.part.json"}
        async with client_for("httpx", "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert path.read_bytes() == body
    wanted = RANGE.fullmatch(asked(site)[1] or "")
    assert wanted
    assert int(wanted[1]) >= 2**20


# --- redirects ---------------------------------------------------------------------------------------------------


def moved(to: str, code: int = 302) -> Outcome:
    return answer(code, b"gone elsewhere", headers={"Location": to})


@engines
async def test_redirects_are_followed_and_the_range_with_them(engine: str, path: Path) -> None:
    with (
        fault_server().site(cut(100_000), then=host()) as other,
        fault_server().site(then=moved(f"{other.url}/b?s=%2F")) as site,
    ):
        async with client_for(engine, site.url) as client:
            await client.recordings.download(f"{site.url}/a", path)
    assert path.read_bytes() == BODY
    assert [request.path for request in (*site.requests, *other.requests)] == ["/a", "/a", "/b?s=%2F", "/b?s=%2F"]
    assert asked(other) == [None, "bytes=100000-"]
    assert KEY not in str(site.requests + other.requests)


@engines
async def test_redirects_end(engine: str, path: Path) -> None:
    def on(request: Received) -> Outcome:
        return moved(f"/{len(site.requests)}", 307)

    with fault_server().site(then=on) as site:
        async with client_for(engine, "http://api.invalid") as client:
            _, error = await outcome_of(client.recordings.download(site.url, path))
    assert type(error) is errors.APIStatusError
    assert error.status_code == 307
    assert "more than 5 times" in str(error)
    assert len(site.requests) == MAX_REDIRECTS + 1
    assert left(path.parent) == set()


@engines
@pytest.mark.parametrize(
    "to",
    [
        "ftp://127.0.0.1/a",
        "http://me:pw@127.0.0.1/a",
        "file:///etc/passwd",
        "https:///a",
        "http://h:99999/a",
    ],
)
async def test_a_redirect_to_nowhere_is_not_followed(engine: str, path: Path, to: str) -> None:
    with fault_server().site(then=moved(to)) as site:
        async with client_for(engine, "http://api.invalid") as client:
            _, error = await outcome_of(client.recordings.download(site.url, path))
    assert type(error) is errors.APIStatusError
    assert "redirected to where nothing can be fetched" in str(error)
    assert len(site.requests) == 1


@engines
async def test_a_redirect_to_what_no_host_can_be_called_is_an_error_of_ours(engine: str, path: Path) -> None:
    """A caller's client reads the name before we do."""
    with fault_server().site(then=moved("http://xn--/a")) as site:
        async with client_for(engine, site.url, max_retries=0) as client:
            for call in (client.recordings.download(site.url, path), client.contacts.get(5)):
                _, error = await outcome_of(call)
                assert isinstance(error, errors.APIError)


@contextlib.asynccontextmanager
async def tls(answered: bytes) -> AsyncIterator[str]:
    """A host with a certificate that only the test's own authority has signed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answered)
            await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_certificates_are_checked_even_if_the_api_has_none(engine: str, path: Path) -> None:
    closing = response(200, BODY, headers={"Connection": "close"})
    async with tls(closing) as url:
        # The API is on http, for which no certificates were loaded.
        async with client_for(engine, "http://api.invalid", max_retries=0) as client:
            with pytest.raises(errors.APIConnectionError, match="certificate"):
                await client.recordings.download(url, path)
        trusting = ssl.create_default_context()
        AUTHORITY.configure_trust(trusting)
        async with client_for(engine, "https://api.invalid", verify=trusting) as client:
            await client.recordings.download(url, path)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_a_redirect_from_https_to_http_is_refused(engine: str, path: Path) -> None:
    with fault_server().site(then=host()) as site:
        verify = ssl.create_default_context()
        AUTHORITY.configure_trust(verify)
        closing = response(302, headers={"Location": site.url, "Connection": "close"})
        async with tls(closing) as url, client_for(engine, "http://api.invalid", verify=verify) as client:
            with pytest.raises(errors.APIStatusError, match="from https to http"):
                await client.recordings.download(url, path)
    assert site.requests == []


# --- what goes wrong ---------------------------------------------------------------------------------------------


@engines
@pytest.mark.parametrize(
    ("code", "kind", "tries"),
    [
        (403, errors.PermissionDeniedError, 1),
        (404, errors.NotFoundError, 1),
        (410, errors.APIStatusError, 1),
        (416, errors.APIStatusError, 1),
        (429, errors.RateLimitError, 3),
        (503, errors.InternalServerError, 3),
    ],
)
async def test_statuses(engine: str, path: Path, code: int, kind: type[errors.APIStatusError], tries: int) -> None:
    with fault_server().site(then=answer(code, b"<Error/>", type_="text/xml")) as site:
        async with client_for(engine, site.url) as client:
            _, error = await outcome_of(client.recordings.download(f"{site.url}/a?sig=hush", path))
    assert type(error) is kind
    assert (len(site.requests), error.status_code, error.body) == (tries, code, "<Error/>")
    assert error.may_have_been_processed is False
    assert "API key" not in str(error)
    assert str(error).startswith(f"GET {site.url}/a: {code}: ")
    assert leaks(error) == []
    assert "hush" not in f"{error} {error.request.url}"
    assert type(pickle.loads(pickle.dumps(error))) is kind
    assert left(path.parent) == set()


@engines
async def test_retry_after_is_honoured_within_the_deadline(engine: str, path: Path) -> None:
    clock = FakeClock()
    with fault_server().site(answer(503, headers={"Retry-After": "7"}), then=host()) as site:
        async with client_for(engine, "http://api.invalid", clock=clock) as client:
            await client.recordings.download(site.url, path)
    assert clock.sleeps == [7.0]
    with fault_server().site(answer(429, headers={"Retry-After": "3600"})) as site:
        async with client_for(engine, "http://api.invalid", clock=clock, deadline=60.0) as client:
            with pytest.raises(errors.RateLimitError) as caught:
                await client.recordings.download(site.url, path)
    assert caught.value.retry_after == 3600
    assert clock.sleeps == [7.0]


@engines
async def test_silence_ends_and_is_taken_up(engine: str, path: Path) -> None:
    with fault_server().site(cut(100_000, End.HANG), then=host()) as site:
        async with client_for(engine, "http://api.invalid", timeout=60.0, deadline=None) as client:
            await client.recordings.download(site.url, path, timeout=0.1)
    assert path.read_bytes() == BODY
    assert asked(site) == [None, "bytes=100000-"]


@engines
async def test_silence_for_ever_is_a_timeout(engine: str, path: Path) -> None:
    headers = outcome("dripped headers", b"HTTP/1.1 200 OK\r\n", Drip(b"X-Drip: 1\r\n"))
    with fault_server().site(outcome("silent", End.HANG), headers) as site:
        async with client_for(engine, "http://api.invalid", max_retries=1) as client:
            _, error = await outcome_of(client.recordings.download(site.url, path, timeout=0.1))
        assert type(error) is errors.APITimeoutError
        assert isinstance(error, TimeoutError)
        assert "nothing came for 0.1 s after 2 attempts" in str(error)
        assert await site.until(lambda site: site.open == 0)


@engines
async def test_a_slow_host_is_not_a_silent_one(engine: str, path: Path) -> None:
    """Longer than `timeout`, `deadline` and the idle limit together, but never silent."""
    pieces = [step for n in range(8) for step in (BODY[n * 1000 : n * 1000 + 1000], 0.05)]
    slow = outcome("slow", response(200, length=None, headers={"Content-Length": "8000"}), *pieces, End.KEEP)
    with fault_server().site(slow) as site:
        async with client_for(engine, "http://api.invalid", timeout=0.1, deadline=0.2, max_retries=0) as client:
            await client.recordings.download(site.url, path, timeout=0.3)
    assert path.read_bytes() == BODY[:8000]


@engines
@pytest.mark.parametrize(
    "played",
    [
        answer(200, b"\x1f\x8b0000", headers={"Content-Encoding": "gzip"}),
        answer(204),
        answer(202, b"later"),
        outcome("unasked", part(BODY, 0), End.KEEP),
    ],
)
async def test_what_is_not_the_file_is_refused(engine: str, path: Path, played: Outcome) -> None:
    with fault_server().site(then=played) as site:
        async with client_for(engine, "http://api.invalid") as client:
            _, error = await outcome_of(client.recordings.download(site.url, path))
    assert type(error) is errors.APIResponseValidationError
    assert len(site.requests) == 1
    assert left(path.parent) == set()


async def test_more_bytes_than_promised_are_noticed(path: Path) -> None:
    """A caller's transport need not hold bodies against Content-Length."""

    async def more() -> AsyncIterator[bytes]:
        yield BODY + b"x"

    def play(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Length": str(len(BODY)), "ETag": ETAG}, content=more())

    own = httpx.AsyncClient(transport=httpx.MockTransport(play))
    async with own, client_for("httpx", "http://api.invalid", http_client=own) as client:
        with pytest.raises(errors.APIConnectionError, match="ended after 300001 of 300000"):
            await client.recordings.download("http://host.invalid/", path)
    assert left(path.parent) == set()


async def test_a_hook_of_the_callers_client_may_raise_or_read(path: Path) -> None:
    async def hook(answered: httpx.Response) -> None:
        answered.raise_for_status()
        await answered.aread()

    own = httpx.AsyncClient(event_hooks={"response": [hook]})
    with fault_server().site(answer(503), answer(200, BODY), answer(404)) as site:
        async with own, client_for("httpx", "http://api.invalid", http_client=own) as client:
            await client.recordings.download(site.url, path)
            with pytest.raises(errors.NotFoundError):
                await client.recordings.download(site.url, path)
    assert path.read_bytes() == BODY


@engines
async def test_nobody_there(engine: str, path: Path) -> None:
    with refused() as url:
        async with client_for(engine, "http://api.invalid") as client:
            _, error = await outcome_of(client.recordings.download(f"{url}/a?sig=hush", path))
    assert type(error) is errors.APIConnectionError
    assert str(error).startswith(f"GET {url}/a: could not reach the service")
    assert "3 attempts" in str(error)
    assert leaks(error) == []
    assert left(path.parent) == set()


# --- the disk, the caller, and other downloads -------------------------------------------------------------------


@engines
async def test_errors_of_the_disk_come_out_as_they_are(engine: str, path: Path) -> None:
    body = BODY * 10
    with fault_server().site(then=host(body)) as site:
        async with client_for(engine, "http://api.invalid") as client:
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
            try:
                with pytest.raises(OSError, match="File too large"):
                    await client.recordings.download(site.url, path)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert not path.exists()
            assert len(site.requests) == 1
            await client.recordings.download(site.url, path)  # what fitted is not fetched again
    assert asked(site)[1] == "bytes=1500000-"
    assert path.read_bytes() == body


@engines
async def test_a_callbacks_error_comes_out_as_it_is(engine: str, path: Path) -> None:
    def tell(received: int, total: int | None) -> None:
        raise TimeoutError("the caller's own")

    with fault_server().site(then=host()) as site:
        async with client_for(engine, "http://api.invalid", max_connections=1) as client:
            with pytest.raises(TimeoutError, match="the caller's own"):
                await client.recordings.download(site.url, path, on_progress=tell)
            assert (path.parent / "call.wav.part").stat().st_size > 0
            await client.recordings.download(site.url, path)
    assert len(site.requests) == 2
    assert path.read_bytes() == BODY


@engines
async def test_cancelling_keeps_what_has_come_and_nothing_else(engine: str, path: Path) -> None:
    body = BODY * 10
    with fault_server().site(outcome("stops", complete(body)[: -len(BODY)], End.HANG), then=host(body)) as site:
        async with client_for(engine, "http://api.invalid", max_connections=1) as client:
            tasks = asyncio.all_tasks()
            enough = asyncio.Event()
            running = asyncio.create_task(
                client.recordings.download(
                    site.url, path, on_progress=lambda n, _: enough.set() if n > 2_500_000 else None
                )
            )
            await enough.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert left(path.parent) == {"call.wav.part", "call.wav.part.json"}
            kept = (path.parent / "call.wav.part").stat().st_size
            assert kept >= 2_500_000
            assert (path.parent / "call.wav.part").read_bytes() == body[:kept]
            assert await site.until(lambda site: site.open == 0)
            assert asyncio.all_tasks() == tasks
            await client.recordings.download(site.url, path)  # the only slot is free again
    assert asked(site) == [None, f"bytes={kept}-"]
    assert path.read_bytes() == body


@engines
async def test_one_file_is_written_by_one_download(engine: str, path: Path) -> None:
    with fault_server().site(cut(100_000, End.HANG), then=host()) as site:
        async with client_for(engine, "http://api.invalid") as client:
            begun = asyncio.Event()
            first = asyncio.create_task(
                client.recordings.download(site.url, path, timeout=0.2, on_progress=lambda *_: begun.set())
            )
            await begun.wait()
            with pytest.raises(errors.InvalidRequestError, match="being downloaded already"):
                await client.recordings.download(site.url, path)
            await first
    assert path.read_bytes() == BODY
    assert len(site.requests) == 2


async def test_a_file_system_without_locks_is_no_reason_to_fail(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("llamadapro._media.partial_file.fcntl.flock", no_locks)
    with fault_server().site(then=host()) as site:
        async with client_for("httpx", "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert path.read_bytes() == BODY


async def test_a_part_that_somebody_else_wrote_to_is_not_taken_for_the_file(path: Path) -> None:
    part = path.with_name(f"{path.name}.part")

    def meddle(*_: Any) -> None:
        with part.open("ab") as file:
            file.write(b"not of the file")

    with fault_server().site(then=host()) as site:
        async with client_for("httpx", "http://api.invalid") as client:
            with pytest.raises(OSError, match="was changed by somebody else"):
                await client.recordings.download(site.url, path, on_progress=meddle)
    assert not path.exists()


@engines
async def test_downloads_take_their_turn_with_all_other_calls(engine: str, path: Path) -> None:
    def play(request: Received) -> Outcome:
        if request.path == path_of("GetContact", 5):
            return answer(200, {"id": 5})
        return outcome("slow", complete()[:-1], 0.02, BODY[-1:], End.KEEP)

    with fault_server().site(then=play) as site:
        async with client_for(engine, site.url, max_connections=2) as client:
            files = [path.with_name(f"{n}.wav") for n in range(6)]
            await asyncio.gather(
                *(client.recordings.download(site.url, file) for file in files),
                *(client.contacts.get(5) for _ in range(6)),
            )
        assert len(site.requests) == 12
        assert site.peak <= 2
    assert all(file.read_bytes() == BODY for file in files)


@engines
async def test_what_cannot_be_downloaded_is_refused_at_once(engine: str, path: Path) -> None:
    async with client_for(engine, "http://api.invalid") as client:
        download = client.recordings.download
        for wrong in (
            "",
            "call.wav",
            "ftp://host/a",
            "https://",
            "http://me:pw@host/a",
            "http://h\n/a",
            "http://h/\udcff",
            "http://h:99999/a",
            "http://xn--/a",
            "http://a..b/a",
            "5",
        ):
            with pytest.raises(errors.InvalidRequestError):
                await download(wrong, path)
        for number in (5, None):
            with pytest.raises(errors.InvalidRequestError, match="get the recording by its id first"):
                await download(number, path)
        with pytest.raises(errors.InvalidRequestError, match="recording 5 has no URL"):
            await download(models.Recording.from_dict({"id": 5}), path)
        for timeout in (0, -1, float("nan")):
            with pytest.raises(errors.InvalidRequestError, match="timeout"):
                await download("http://host.invalid", path, timeout=timeout)
        with pytest.raises(IsADirectoryError):
            await download("http://host.invalid", path.parent)
        with pytest.raises(FileNotFoundError):
            await download("http://host.invalid", path.parent / "nowhere" / "a.wav")
        for nowhere in ("a\0b", "\ud800", None):
            with pytest.raises(errors.InvalidRequestError, match="not the path of a file"):
                await download("http://host.invalid", nowhere)
        assert left(path.parent) == set()
    with pytest.raises(errors.ConfigurationError, match="closed"):
        await client.recordings.download("http://host.invalid", path)
    assert left(path.parent) == set()


def test_urls_lose_only_their_fragment() -> None:
    assert str(check_url("HTTPS://Host:443/a%2F?b=%7E#c")) == "https://host/a%2F?b=%7E"


@engines
async def test_a_write_that_falls_short_is_completed(engine: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamadapro._media.partial_file.WRITE_SIZE", 50_000)
    monkeypatch.setattr(os, "writev", lambda file, chunks: os.write(file, b"".join(chunks)[:1000]))
    with fault_server().site(then=host()) as site:
        async with client_for(engine, "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert path.read_bytes() == BODY


# --- what is in the way ------------------------------------------------------------------------------------------

NO_FILES = {
    "a named pipe": os.mkfifo,
    "a socket": lambda path: bind(path),
    "a device": lambda path: os.symlink(os.devnull, path),
}


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


async def refusal_of(path: Path) -> str:
    with fault_server().site(then=host()) as site:
        async with client_for("httpx", "http://api.invalid") as client:
            with pytest.raises(errors.InvalidRequestError) as caught:
                await client.recordings.download(site.url, path)
        assert site.connections == 0
    return str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="there are none of these")
@pytest.mark.parametrize("kind", NO_FILES)
async def test_a_download_replaces_nothing_but_files(kind: str, path: Path) -> None:
    NO_FILES[kind](path)
    before = path.lstat()
    assert await refusal_of(path) == f"{path} is {kind}, which no download replaces; choose another path"
    assert os.path.samestat(before, path.lstat())
    assert list(path.parent.iterdir()) == [path]


async def test_a_device_that_appears_meanwhile_is_not_replaced_either(path: Path) -> None:
    def link(_received: int, _total: int | None) -> None:
        if not path.exists():
            path.symlink_to(os.devnull)

    with fault_server().site(then=host()) as site:
        async with client_for("httpx", "http://api.invalid") as client:
            with pytest.raises(errors.InvalidRequestError, match="is a device"):
                await client.recordings.download(site.url, path, on_progress=link)
    assert path.is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="there are none of these")
@pytest.mark.parametrize("kind", ["a symbolic link", "a hard link", "a named pipe", "a directory"])
async def test_nothing_is_written_through_what_stands_where_the_part_should(kind: str, path: Path) -> None:
    part, victim = path.with_name("call.wav.part"), path.with_name("victim")
    victim.write_bytes(b"precious")
    make: dict[str, Callable[[], object]] = {
        "a symbolic link": lambda: part.symlink_to(victim),
        "a hard link": lambda: part.hardlink_to(victim),
        "a named pipe": lambda: os.mkfifo(part),
        "a directory": part.mkdir,
    }
    make[kind]()
    said = await refusal_of(path)
    assert said.startswith(f"{part} is ")
    assert kind in said
    assert said.endswith(", where a download keeps what it has received; remove it")
    assert victim.read_bytes() == b"precious"


async def test_metadata_is_not_written_through_a_link(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_bytes(b"precious")
    path.with_name("call.wav.part.json").symlink_to(victim)
    with fault_server().site(then=host()) as site:
        async with client_for("httpx", "http://api.invalid") as client:
            await client.recordings.download(site.url, path)
    assert (path.read_bytes(), victim.read_bytes()) == (BODY, b"precious")


# --- proxies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_the_environments_proxies_count_for_the_files_host(
    engine: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fault_server().site(then=host()) as proxy, fault_server().site(then=answer(200, {"id": 5})) as api:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with client_for(engine, api.url) as client:
            await client.contacts.get(5)
            await client.recordings.download("http://files.invalid/a?sig=%2F", path)
            await client.contacts.get(5)
    assert [request.path for request in proxy.requests] == ["http://files.invalid/a?sig=%2F"]
    assert KEY not in str(proxy.requests)
    assert len(api.requests) == 2
    assert path.read_bytes() == BODY


# --- the sandbox -------------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(speed=0)
    yield sandbox
    sandbox.close()


@engines
async def test_a_recording_of_the_sandbox_cut_on_the_way(engine: str, path: Path, sandbox: Sandbox) -> None:
    size = 4 * 2**20
    with sandbox.serve() as server:
        complete_one = sandbox.add_recording(bytes=size, base_url=server.url)
        sandbox.faults.add("reset", when="within", operation="file", times=2)
        async with client_for(engine, server.url, api_key="sandbox") as client:
            recording = await client.recordings.get(complete_one["id"])
            await client.recordings.download(recording, path)
            expected = hashlib.sha256((await client.request("GET", recording.url)).content).hexdigest()
    assert path.stat().st_size == size
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected


async def test_the_sandbox_in_process(path: Path, sandbox: Sandbox) -> None:
    recording = sandbox.add_recording(bytes=2**20)
    own = httpx.AsyncClient(transport=sandbox.transport())
    async with own, client_for("httpx", "http://sandbox", api_key="sandbox", http_client=own) as client:
        await client.recordings.download(recording["url"], path)
    assert path.stat().st_size == 2**20


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_memory_is_flat(engine: str, path: Path, sandbox: Sandbox) -> None:
    size = 24 * 2**20
    with sandbox.serve() as server:
        recording = sandbox.add_recording(bytes=size, base_url=server.url)
        async with client_for(engine, server.url, api_key="sandbox") as client:
            gc.collect()
            tracemalloc.start()
            try:
                await client.recordings.download(recording["url"], path)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert path.stat().st_size == size
    assert peak < 8 * 2**20, f"{peak:,} bytes"
