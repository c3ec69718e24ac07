"""Telephone calls, by people and by AI voice agents (sections v1/calls and v2/calls)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llamadapro_api import api

from .._polling import poll, poll_until_there
from ._base import Resource

if TYPE_CHECKING:
    from typing import Unpack

    from llamadapro_api.models import (
        Call,
        CallTranscription,
        CreateCallBody,
        Recording,
        StartAgentCallOptions,
        StartAgentCallV2Options,
        StartBridgeCallOptions,
    )

FINAL_STATUSES = frozenset({"completed", "failed", "busy", "no-answer", "canceled", "cancelled"})
"""Statuses after which a call does not change. The page lists none: these are the usual ones of the trade."""


class Calls(Resource):
    """Telephone calls. A call is never started twice; numbers are E.164, or national with `default_region`."""

    async def bridge(self, *, to: str, **options: Unpack[StartBridgeCallOptions]) -> Call:
        """Call someone and connect them to a user (StartBridgeCall). Further keywords: `StartBridgeCallOptions`.

        Example: ``await client.calls.bridge(to="+14155552671", from_="+56912345678")``
        """
        fields: dict[str, Any] = {"to": to, **options}
        self._check_numbers(fields, "to", "from_")
        return await self._send(api.start_bridge_call, **fields)

    async def start_agent(
        self,
        *,
        voice_agent_id: int,
        to: str,
        context_variables: Mapping[str, Any],
        **options: Unpack[StartAgentCallOptions],
    ) -> Call:
        """Let a configured voice agent call someone (StartAgentCall, v1).

        `context_variables` are what the agent's prompt refers to. Example::

            call = await client.calls.start_agent(
                voice_agent_id=12, to="+14155552671", context_variables={"customerFirstName": "Pedro"}
            )
            call = await client.calls.wait(call.id)
        """
        [to] = self._numbers(to=to)
        return await self._send(
            api.start_agent_call,
            voice_agent_id=voice_agent_id,
            to=to,
            context_variables=context_variables,
            **options,
        )

    async def start_adhoc_agent(
        self,
        *,
        to: str,
        objectives: Sequence[str],
        from_: str | None = None,
        **options: Unpack[StartAgentCallV2Options],
    ) -> Call:
        """Let an agent that is described right here call someone (StartAgentCall, v2).

        Further keywords: `StartAgentCallV2Options` (personality, constraints, knowledge, limits in seconds). Example::

            await client.calls.start_adhoc_agent(
                to="+14155552671", objectives=["Confirm the appointment"], max_duration_seconds=180
            )
        """
        if from_ is not None:
            options = {**options, "from_phone_number": from_}
        [to] = self._numbers(to=to)
        self._check_numbers(options, "from_phone_number")
        return await self._send(api.start_agent_call_v2, to_phone_number=to, objectives=objectives, **options)

    async def create(self, **fields: Unpack[CreateCallBody]) -> Call:
        """Record a call that took place elsewhere (CreateCall); keywords: `CreateCallBody`. Starts no call."""
        self._check_numbers(fields, "from_", "to", "redirected_to")
        return await self._send(api.create_call, **fields)

    async def get(self, call_id: int | str, /) -> Call:
        """Get one call with its status (GetCall)."""
        return await self._send(api.get_call, call_id)

    async def get_transcription(self, call_id: int | str, /, *, timeout: float | None = None) -> CallTranscription:
        """Get what was said in a call (GetCallTranscription).

        It exists some time after the call has ended, and is a `NotFoundError` until then; with `timeout` (seconds)
        it is waited for, and a `WaitTimeoutError` if it does not come.
        """
        return await poll_until_there(
            lambda: self._send(api.get_call_transcription, call_id),
            timeout=timeout,
            clock=self._clock,
            what=f"the transcription of call {call_id}",
        )

    async def get_recording(self, call_id: int | str, /, *, timeout: float | None = None) -> Recording:
        """Get a call's recording, its URL among it (GetCallRecording); `timeout` as in `get_transcription`."""
        return await poll_until_there(
            lambda: self._send(api.get_call_recording, call_id),
            timeout=timeout,
            clock=self._clock,
            what=f"the recording of call {call_id}",
        )

    async def wait(
        self,
        call_id: int | str,
        /,
        *,
        timeout: float = 600.0,
        final: Collection[str] = FINAL_STATUSES,
        on_status: Callable[[Call], object] | None = None,
    ) -> Call:
        """Wait until a call has ended, and return it (GetCall, again and again, at growing intervals).

        `timeout` is in seconds; `final` holds the statuses that count as an end (`FINAL_STATUSES`); `on_status` is
        called with the call whenever its status is a new one. An unknown status is neither an end nor an error.
        Raises `WaitTimeoutError`, whose `last` is the call as last seen. Example::

            call = await client.calls.wait(call.id, timeout=300, on_status=lambda call: print(call.status))
        """
        return await poll(
            lambda: self.get(call_id),
            lambda call: call.status in final,
            timeout=timeout,
            clock=self._clock,
            what=f"call {call_id} to end",
            on_status=on_status,
        )
