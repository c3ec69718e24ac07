"""Waiting for a call, and for the recording and the transcription that it leaves some time after its end."""

from __future__ import annotations

from typing import Any

import pytest

from llamadapro import errors
from llamadapro_sandbox import Sandbox
from tests.clocks import FakeClock
from tests.faults.clients import client_for
from tests.faults.server import End, answer, fault_server, outcome

TO, FAILING = "+14155552671", "+15005550001"


async def test_a_call_is_waited_for(client: Any) -> None:
    started, seen = await client.calls.bridge(to=TO), list[str | None]()
    call = await client.calls.wait(started.id, on_status=lambda call: seen.append(call.status))
    assert call.status == "completed"
    assert seen == sorted({*seen}, key=["queued", "ringing", "in-progress", "completed"].index)


@pytest.mark.parametrize("leaves", ["get_recording", "get_transcription"])
async def test_what_a_call_leaves_is_waited_for(client: Any, leaves: str) -> None:
    started = await client.calls.bridge(to=TO)
    get = getattr(client.calls, leaves)
    with pytest.raises(errors.NotFoundError):
        await get(started.id)
    assert await get(started.id, timeout=60) == await get(started.id)


@pytest.mark.parametrize("leaves", ["get_recording", "get_transcription"])
async def test_what_can_no_longer_come_ends_the_wait_at_once(client: Any, sandbox: Sandbox, leaves: str) -> None:
    started = await client.calls.bridge(to=FAILING)
    sandbox.clock.advance(60)
    before = sandbox.clock.time()
    with pytest.raises(errors.WaitTimeoutError, match=r"the \w+ of call 1: call 1 ended with status 'failed'"):
        await getattr(client.calls, leaves)(started.id, timeout=60)
    assert sandbox.clock.time() == before


@pytest.mark.parametrize("leaves", ["get_recording", "get_transcription"])
async def test_what_does_not_come_in_time_ends_the_wait(client: Any, sandbox: Sandbox, leaves: str) -> None:
    sandbox.settings.call_seconds = 1000
    started = await client.calls.bridge(to=TO)
    with pytest.raises(errors.WaitTimeoutError, match=r"timed out after 60 s waiting for the \w+ of call 1"):
        await getattr(client.calls, leaves)(started.id, timeout=60)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_a_wait_has_an_end(sandbox: Sandbox, client: Any, timeout: float) -> None:
    with pytest.raises(errors.InvalidRequestError, match="timeout must be"):
        await client.calls.wait(1, timeout=timeout)
    assert len(sandbox.requests) == 0


async def test_an_error_of_the_question_is_no_end_of_the_wait() -> None:
    """The call may have ended long ago: nobody could be asked."""
    with fault_server().site(then=outcome("silence", End.HANG)) as site:
        async with client_for("httpx", site.url, timeout=0.1, max_retries=0) as client:
            with pytest.raises(errors.APITimeoutError):
                await client.calls.wait(1, timeout=30)


async def test_a_last_answer_that_comes_too_late_is_reported() -> None:
    clock = FakeClock()
    with fault_server().site(then=answer(200, {"id": 1, "status": "ringing"})) as site:
        async with client_for("httpx", site.url, clock=clock) as client:
            with pytest.raises(errors.WaitTimeoutError, match="last status was 'ringing'") as caught:
                await client.calls.wait(1, timeout=30, on_status=lambda call: setattr(clock, "time", clock.time + 31))
    assert caught.value.last.status == "ringing"
    assert len(site.requests) == 1
