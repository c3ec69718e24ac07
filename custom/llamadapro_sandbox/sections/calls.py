"""Calls: they are started or noted down, ring, are talked through and end, and leave a recording and its text."""

from __future__ import annotations

from typing import Any

from llamadapro_sandbox.clock import moment, written
from llamadapro_sandbox.errors import NotFound
from llamadapro_sandbox.progress import CALL, FAILED_CALL, FAILING_NUMBER, plan, plan_reached
from llamadapro_sandbox.reading import Ask
from llamadapro_sandbox.signing import signed
from llamadapro_sandbox.store import Record, part
from llamadapro_sandbox.world import World, visible

from . import does, recordings
from .contacts import normal

KIND = "calls"
TRANSCRIPTIONS = "transcriptions"
OWN_NUMBER = "+15005550006"
"""Who calls if the request does not say."""
NEVER_TALKED = ("failed", "busy", "no-answer", "canceled", "cancelled")
"""Calls noted with such a status have no recording; with any other unknown one they were talked through."""
EMPTY: Record = {
    **dict.fromkeys(("userId", "teamId", "redirectedTo", "duration", "metadata", "customData")),
    "lastUpdateSequence": 0,
}


@does("StartAgentCallV2")
def start_agent_call_v2(world: World, ask: Ask) -> Any:
    body = ask.body
    names = ("objectives", "personality", "localization", "constraints", "contactInfo", "knowledgeBase", "taskSteps")
    values = {
        "from": body.get("fromPhoneNumber", OWN_NUMBER),
        "to": body["toPhoneNumber"],
        "userId": body.get("userId"),
        "customData": body.get("customData"),
        "providerName": body.get("provider", "vapi"),
        "metadata": {name: body[name] for name in names if name in body},
    }
    name = part(body, "contactInfo").get("firstName")
    return _start(world, values, _dialogue(name, body["objectives"]))


@does("StartAgentCall")
def start_agent_call(world: World, ask: Ask) -> Any:
    body = ask.body
    variables = body["contextVariables"]
    values = {
        "from": OWN_NUMBER,
        "to": body["to"],
        "customData": body.get("customData"),
        "providerName": "vapi",
        "metadata": {"voiceAgentId": body["voiceAgentId"], "contextVariables": variables},
    }
    name = variables.get("customerFirstName") or variables.get("firstName")
    return _start(world, values, _dialogue(name, [f"{key}: {value}" for key, value in variables.items()]))


@does("StartBridgeCall")
def start_bridge_call(world: World, ask: Ask) -> Any:
    body = ask.body
    values = {
        "from": body.get("from", OWN_NUMBER),
        "to": body["to"],
        "customData": body.get("callCustomData"),
        "providerName": "bridge",
        "metadata": {"providerData": body["providerData"]} if "providerData" in body else None,
    }
    return _start(world, values, _dialogue(None, []))


@does("CreateCall")
def create_call(world: World, ask: Ask) -> Any:
    """Noted as given; but one whose status the sandbox knows goes on from there, and leaves what calls leave."""
    values = {**EMPTY, **ask.operation.known(ask.body)}
    shares = {status: share for share, status in CALL}
    if values["status"] in NEVER_TALKED:
        return shown(world, world.add(KIND, values))
    length = world.settings.recording_seconds if values["duration"] is None else max(values["duration"], 0)
    return shown(world, _add(world, values, shares.get(values["status"]), length, _dialogue(None, [])))


@does("GetCall")
def get_call(world: World, ask: Ask) -> Any:
    return shown(world, world.find(KIND, ask.ids["callId"], "call"))


@does("GetCallRecording")
def get_call_recording(world: World, ask: Ask) -> Any:
    recording = _left_behind(world, ask, recordings.KIND, "_recordingId", "recording")
    return recordings.shown(world, recording, ask.base_url)


@does("GetCallTranscription")
def get_call_transcription(world: World, ask: Ask) -> Any:
    transcription = _left_behind(world, ask, TRANSCRIPTIONS, "_transcriptionId", "transcription")
    return {**visible(transcription), "url": signed(world, ask.base_url, f"transcriptions/{transcription['id']}.txt")}


def shown(world: World, call: Record) -> Record:
    stage = plan_reached(call, world.clock.time())
    if stage is None:
        return visible(call)
    told: Record = {"status": stage.status, "updatedAt": written(moment(stage.at)), "lastUpdateSequence": stage.index}
    if stage.status == "completed" and call.get("duration") is None:
        told["duration"] = call["_length"]
    return {**visible(call), **told}


def _start(world: World, values: Record, text: str) -> Record:
    """Dial: the call is queued now, and goes its way by itself."""
    given = {**EMPTY, **values, "direction": "outgoing", "status": "queued", "startTime": world.clock.stamp()}
    contact = world.store.contact_at([normal(values["to"])])
    given |= {"contactId": contact} if contact is not None else {}
    return shown(world, _add(world, given, 0.0, world.settings.recording_seconds, text))


def _add(world: World, values: Record, share: float | None, length: float, text: str) -> Record:
    """Keep a call that has gone so much of its way (None: it is on none), and what it leaves behind once completed."""
    seconds = world.settings.call_seconds
    start = world.clock.time() - (1.0 if share is None else share) * seconds
    way = (
        None
        if share is None
        else plan(CALL, FAILED_CALL, fails=values["to"] == FAILING_NUMBER, start=start, seconds=seconds)
    )
    call = world.add(KIND, {**values, "_plan": way, "_end": written(moment(start + seconds)), "_length": length})
    call["_recordingId"] = recordings.keep(world, call, length)
    call["_transcriptionId"] = number = world.store.next_id(TRANSCRIPTIONS)
    transcription = {"id": number, "recordingId": call["_recordingId"], "text": text, **recordings.result_of(call)}
    world.store.put(TRANSCRIPTIONS, number, transcription)
    world.store.put(KIND, call["id"], call)
    return call


def _left_behind(world: World, ask: Ask, kind: str, link: str, what: str) -> Record:
    call = world.find(KIND, ask.ids["callId"], "call")
    status, number = shown(world, call)["status"], call.get(link)
    if number is None or (call.get("_plan") and status != "completed"):
        raise NotFound(f"call {call['id']} has no {what}: it is {status}")
    return world.find(kind, number, what)


def _dialogue(name: Any, points: list[str]) -> str:
    lines = [f"Agent: Hello{f' {name}' if name else ''}, this is a call from the LlamadaPro sandbox."]
    lines += ["Customer: Hello, go ahead."]
    for point in points:
        lines += [f"Agent: {point}", "Customer: Yes, that is fine."]
    return "\n".join([*lines, "Agent: Thank you, goodbye."])
