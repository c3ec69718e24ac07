"""Telephone calls, by people and by AI voice agents (sections v1/calls and v2/calls)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

from llamadapro_api import api, models
from llamadapro_api.types import PreparedRequest

from .._lazy import LazyModule
from .._polling import check_statuses, has_status, poll, poll_until_found
from ._base import Resource

if TYPE_CHECKING:
    from .. import _reports as reports
else:
    reports = LazyModule("llamadapro._reports")

T = TypeVar("T")

FINAL_STATUSES = frozenset({"completed", "failed", "busy", "no-answer", "canceled", "cancelled"})
"""Statuses after which a call does not change. The API reference lists none: these are customary in telephony."""


class Calls(Resource, section="calls"):
    """Telephone calls. A call is never started twice; numbers are E.164, or national with `default_region`."""

    async def bridge(self, *, to: str, **options: Unpack[models.StartBridgeCallOptions]) -> models.Call:
        """Call someone and connect them to a user (StartBridgeCall). Further keywords: `StartBridgeCallOptions`.

        Raises `InvalidPhoneNumberError` before any network use. Example::

            await client.calls.bridge(to="+14155552671", from_="+56912345678")
        """
        fields: dict[str, Any] = {"to": to, **options}
        self._session.normalize(fields, "to", "from_")
        return await self._send(api.start_bridge_call, **fields)

    async def start_agent(
        self,
        *,
        voice_agent_id: int,
        to: str,
        context_variables: Mapping[str, Any],
        **options: Unpack[models.StartAgentCallOptions],
    ) -> models.Call:
        """Let a configured voice agent call someone (StartAgentCall, v1). Further keywords: `StartAgentCallOptions`.

        `context_variables` are the variables of the agent's prompt. Raises `InvalidPhoneNumberError` before any network
        use. Example::

            call = await client.calls.start_agent(
                voice_agent_id=12, to="+14155552671", context_variables={"customerFirstName": "Pedro"}
            )
            call = await client.calls.wait(call.id)
        """
        [to] = self._normalize(to=to)
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
        **options: Unpack[models.StartAgentCallV2Options],
    ) -> models.Call:
        """Let an ad-hoc voice agent, described by the arguments, call someone (StartAgentCall, v2).

        Further keywords: `StartAgentCallV2Options` (personality, constraints, knowledge, limits in seconds). Raises
        `InvalidPhoneNumberError` before any network use. Example::

            await client.calls.start_adhoc_agent(
                to="+14155552671", objectives=["Confirm the appointment"], max_duration_seconds=180
            )
        """
        if from_ is not None:
            options = {**options, "from_phone_number": from_}
        [to] = self._normalize(to=to)
        self._session.normalize(options, "from_phone_number")
        return await self._send(api.start_agent_call_v2, to_phone_number=to, objectives=objectives, **options)

    async def start_many(
        self,
        rows: reports.Rows | None,
        *,
        operation: Literal["start_agent", "start_adhoc_agent", "bridge"] | None = None,
        common: Mapping[str, Any] | None = None,
        key: str | Callable[[Any], str] = "to",
        ledger: str | PathLike[str] | None = None,
        run: str | None = None,
        rate: float | None = None,
        concurrency: int = 20,
        resend_unknown: bool = False,
        max_attempts: int = 5,
        stop_after: int = 50,
        timeout: float | None = None,
        on_progress: Callable[[reports.SendReport], object] | None = None,
        on_issue: Callable[[reports.SendIssue], object] | None = None,
        max_issues: int = 1000,
    ) -> reports.SendReport:
        """Start a call for each row, and none twice, whatever interrupts it (StartAgentCall, StartBridgeCall).

        `operation` is ``"start_agent"`` (if not given), ``"start_adhoc_agent"`` or ``"bridge"``; all else is as in
        `client.messages.send_many`. Example::

            report = await client.calls.start_many(
                [{"to": "+14155552671", "context_variables": {"customerFirstName": "Pedro"}}],
                common={"voice_agent_id": 12},
                ledger="calls.ledger",
                rate=1,
            )
        """
        from llamadapro_jobs.sending import SendMany

        dry = Calls(self._session.dry_run())
        job = SendMany(
            session=self._session,
            builders={"start_agent": dry.start_agent, "start_adhoc_agent": dry.start_adhoc_agent, "bridge": dry.bridge},
            operation=operation,
            common=common,
            key=key,
            ledger=ledger,
            run=run,
            rate=rate,
            concurrency=concurrency,
            resend_unknown=resend_unknown,
            max_attempts=max_attempts,
            stop_after=stop_after,
            timeout=timeout,
            on_progress=on_progress,
            on_issue=on_issue,
            max_issues=max_issues,
        )
        return await job.run(rows)

    async def create(self, **fields: Unpack[models.CreateCallBody]) -> models.Call:
        """Log a call that took place elsewhere (CreateCall); keywords: `CreateCallBody`. Starts no call.

        Numbers are sent as they are: extensions, short codes and "anonymous" are among them. Example::

            await client.calls.create(
                from_="anonymous", to="101", direction="incoming", status="completed", duration=73.0,
                start_time=datetime(2026, 3, 1, 9, 30, tzinfo=UTC), user_id=7, metadata=None,
            )
        """
        return await self._send(api.create_call, **fields)

    async def get(self, call_id: int | str, /) -> models.Call:
        """Get one call with its status (GetCall); raises `NotFoundError` if there is none.

        Example: ``call = await client.calls.get(17)``
        """
        return await self._send(api.get_call, call_id)

    async def get_transcription(
        self, call_id: int | str, /, *, timeout: float | None = None
    ) -> models.CallTranscription:
        """Get the transcription of a call (GetCallTranscription).

        It exists some time after the call has ended, and is a `NotFoundError` until then. With `timeout` (seconds) the
        client polls for it, and raises `WaitTimeoutError` if it does not appear; at once if the call has failed, and
        nothing can appear any more. Example::

            transcription = await client.calls.get_transcription(call.id, timeout=120)
        """
        return await self._once_it_exists("transcription", api.get_call_transcription, call_id, timeout)

    async def get_recording(self, call_id: int | str, /, *, timeout: float | None = None) -> models.Recording:
        """Get a call's recording, with the URL of its audio (GetCallRecording); `timeout` as in `get_transcription`.

        Example: ``recording = await client.calls.get_recording(call.id, timeout=60)``
        """
        return await self._once_it_exists("recording", api.get_call_recording, call_id, timeout)

    async def _once_it_exists(
        self, what: str, operation: Callable[..., PreparedRequest[T]], call_id: int | str, timeout: float | None
    ) -> T:
        async def why_never() -> str | None:
            call = await self.get(call_id)
            over = has_status(call, FINAL_STATUSES) and call.status != "completed"
            return f"call {call_id} ended with status {call.status!r}, so there is none" if over else None

        return await poll_until_found(
            lambda: self._send(operation, call_id),
            timeout=timeout,
            clock=self._session.clock,
            what=f"the {what} of call {call_id}",
            advice="the service has none so far: try again later, unless the call's status says that it failed",
            why_never=why_never,
        )

    async def wait(
        self,
        call_id: int | str,
        /,
        *,
        timeout: float = 600.0,
        final: Collection[str] = FINAL_STATUSES,
        on_status: Callable[[models.Call], object] | None = None,
    ) -> models.Call:
        """Wait until a call has ended, and return it (polls GetCall at growing intervals).

        - `timeout`: seconds.
        - `final`: the statuses that end the wait (`FINAL_STATUSES`); an unknown status neither ends it nor is an error.
        - `on_status`: called with the call whenever its status has changed.

        Raises `WaitTimeoutError`, whose `last` is the call as last seen. Example::

            call = await client.calls.wait(call.id, timeout=300, on_status=lambda call: print(call.status))
        """
        check_statuses(final, "final")
        return await poll(
            lambda: self._send(api.get_call, call_id),
            lambda call: has_status(call, final),
            timeout=timeout,
            clock=self._session.clock,
            what=f"call {call_id} to end",
            on_status=on_status,
        )
