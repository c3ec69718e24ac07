"""Recordings: those that calls leave behind when they are completed, and those brought in from elsewhere."""

from __future__ import annotations

from typing import Any

from llamadapro_sandbox.clock import DATE, seconds_of
from llamadapro_sandbox.errors import NotFound
from llamadapro_sandbox.files import signed
from llamadapro_sandbox.lifecycle import reached
from llamadapro_sandbox.query import Record
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import TENANT, State, visible

from . import handles

KIND = "recordings"


@handles("GetRecording")
def get_recording(state: State, request: ApiRequest) -> Any:
    recording = state.find(KIND, request.ids["id"], "recording")
    stage = reached(recording, state.clock.time())
    if stage is not None and stage.status != "completed":
        raise NotFound(f"there is no recording {recording['id']}")
    return to_response(state, recording, request.base_url)


@handles("LoadRecording")
def load_recording(state: State, request: ApiRequest) -> Any:
    """The recording of a call that took place elsewhere: the call is noted too."""
    body, start = request.body, request.body.get("callStartTime", "")
    if not (DATE.match(start) and seconds_of(start) > float("-inf") and start[-1:] in "Zz"):
        start = state.clock.stamp()  # the service takes any text here, but can only give back a date
    call: Record = {
        "userId": body["userId"],
        "status": "completed",
        "startTime": start,
        "direction": body.get("callDirection", "outgoing"),
        "duration": None,
        "metadata": None,
        "customData": None,
        **({"to": body["callTo"]} if "callTo" in body else {}),
        **({"from": body["callFrom"]} if "callFrom" in body else {}),
    }
    call = state.add("calls", call)
    recording = state.add(
        KIND, {"callId": call["id"], "url": body["url"], "startTime": start, "providerName": "loaded"}
    )
    state.store.put("calls", call["id"], {**call, "_recordingId": recording["id"]})
    return None


def keep(state: State, call: Record, length: float) -> int:
    """Keep the recording that a call will have when it is completed, and return its id."""
    number = state.store.next_id(KIND)
    recording = {
        "id": number,
        "callId": call["id"],
        "callProviderId": call.get("providerId") or f"call-{call['id']}",
        "callProviderName": call.get("providerName") or "sandbox",
        "startTime": call["startTime"],
        "duration": length,
        "dualChannel": True,
        **result_of(call),
    }
    state.store.put(KIND, number, recording)
    return number


def result_of(call: Record) -> Record:
    """What everything has in common that a call leaves behind: it comes to be when the call ends."""
    end = call["_end"]
    return {
        "tenantId": TENANT,
        "providerId": f"sandbox-{call['id']}",
        "providerName": "sandbox",
        "createdAt": end,
        "updatedAt": end,
        "_plan": call["_plan"],
    }


def to_response(state: State, recording: Record, base_url: str) -> Record:
    """Of a recording made here, the URL is the sandbox's; of one from elsewhere, that which it came with."""
    url = recording["url"] if "url" in recording else signed(state, base_url, f"recordings/{recording['id']}.wav")
    return {**visible(recording), "url": url}
