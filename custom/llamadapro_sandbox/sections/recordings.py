"""Recordings: those that calls leave behind when they are completed, and those brought in from elsewhere."""

from __future__ import annotations

from typing import Any

from llamadapro_sandbox.clock import seconds_of
from llamadapro_sandbox.errors import NotFound
from llamadapro_sandbox.looking import DATE
from llamadapro_sandbox.progress import plan_reached
from llamadapro_sandbox.reading import Ask
from llamadapro_sandbox.signing import signed
from llamadapro_sandbox.store import Record
from llamadapro_sandbox.world import TENANT, World, visible

from . import does

KIND = "recordings"


@does("GetRecording")
def get_recording(world: World, ask: Ask) -> Any:
    recording = world.find(KIND, ask.ids["id"], "recording")
    stage = plan_reached(recording, world.clock.time())
    if stage is not None and stage.status != "completed":
        raise NotFound(f"there is no recording {recording['id']}")
    return shown(world, recording, ask.base_url)


@does("LoadRecording")
def load_recording(world: World, ask: Ask) -> Any:
    """The recording of a call that took place elsewhere: the call is noted too."""
    body, start = ask.body, ask.body.get("callStartTime", "")
    if not (DATE.match(start) and seconds_of(start) > float("-inf") and start[-1:] in "Zz"):
        start = world.clock.stamp()  # the service takes any text here, but can only give back a date
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
    call = world.add("calls", call)
    recording = world.add(
        KIND, {"callId": call["id"], "url": body["url"], "startTime": start, "providerName": "loaded"}
    )
    world.store.put("calls", call["id"], {**call, "_recordingId": recording["id"]})
    return None


def keep(world: World, call: Record, length: float) -> int:
    """Keep the recording that a call will have when it is completed, and return its id."""
    number = world.store.next_id(KIND)
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
    world.store.put(KIND, number, recording)
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


def shown(world: World, recording: Record, base_url: str) -> Record:
    return {**visible(recording), "url": url_of(world, recording, base_url)}


def url_of(world: World, recording: Record, base_url: str) -> str:
    """Of a recording made here, a URL of the sandbox; of one from elsewhere, that which it came with."""
    return recording.get("url") or signed(world, base_url, f"recordings/{recording['id']}.wav")
