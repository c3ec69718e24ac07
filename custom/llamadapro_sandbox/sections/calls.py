"""Calls: they are started or noted down, ring, are talked through and end, and leave a recording and its text."""

from __future__ import annotations

from typing import Any

from llamadapro_sandbox.clock import moment, written
from llamadapro_sandbox.errors import NotFound
from llamadapro_sandbox.files import signed
from llamadapro_sandbox.lifecycle import CALL, FAILED_CALL, plan, reached
from llamadapro_sandbox.query import Record
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State, visible
from llamadapro_sandbox.store import part

from . import contacts, handles, recordings

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


@handles("StartAgentCallV2")
def start_agent_call_v2(state: State, request: ApiRequest) -> Any:
    body = request.body
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
    return _start(state, values, _dialogue(name, body["objectives"]))


@handles("StartAgentCall")
def start_agent_call(state: State, request: ApiRequest) -> Any:
    body = request.body
    variables = body["contextVariables"]
    values = {
        "from": OWN_NUMBER,
        "to": body["to"],
        "customData": body.get("customData"),
        "providerName": "vapi",
        "metadata": {"voiceAgentId": body["voiceAgentId"], "contextVariables": variables},
    }
    name = variables.get("customerFirstName") or variables.get("firstName")
    return _start(state, values, _dialogue(name, [f"{key}: {value}" for key, value in variables.items()]))


@handles("StartBridgeCall")
def start_bridge_call(state: State, request: ApiRequest) -> Any:
    body = request.body
    values = {
        "from": body.get("from", OWN_NUMBER),
        "to": body["to"],
        "customData": body.get("callCustomData"),
        "providerName": "bridge",
        "metadata": {"providerData": body["providerData"]} if "providerData" in body else None,
    }
    return _start(state, values, _dialogue(None, []))


@handles("CreateCall")
def create_call(state: State, request: ApiRequest) -> Any:
    """Noted as given; but one whose status the sandbox knows goes on from there, and leaves what calls leave."""
    values = {**EMPTY, **request.operation.known(request.body)}
    shares = {status: share for share, status in CALL}
    if values["status"] in NEVER_TALKED:
        return to_response(state, state.add(KIND, values))
    length = state.settings.recording_seconds if values["duration"] is None else max(values["duration"], 0)
    return to_response(state, _add(state, values, shares.get(values["status"]), length, _dialogue(None, [])))


@handles("GetCall")
def get_call(state: State, request: ApiRequest) -> Any:
    return to_response(state, state.find(KIND, request.ids["callId"], "call"))


@handles("GetCallRecording")
def get_call_recording(state: State, request: ApiRequest) -> Any:
    recording = _left_behind(state, request, recordings.KIND, "_recordingId", "recording")
    return recordings.to_response(state, recording, request.base_url)


@handles("GetCallTranscription")
def get_call_transcription(state: State, request: ApiRequest) -> Any:
    transcription = _left_behind(state, request, TRANSCRIPTIONS, "_transcriptionId", "transcription")
    return {
        **visible(transcription),
        "url": signed(state, request.base_url, f"transcriptions/{transcription['id']}.txt"),
    }


def with_timeline(state: State, call: Record, base_url: str) -> Record:
    """A call as the web page shows it: with its statuses and their times, and what it has left behind."""
    shown, way, now = to_response(state, call), call.get("_plan"), state.clock.time()
    stages = [(status, way["start"] + share * way["seconds"]) for share, status in way["stages"]] if way else []
    timeline = [{"status": status, "at": written(moment(at)), "reached": at <= now} for status, at in stages]
    over = not way or shown["status"] == "completed"
    recording = state.store.get(recordings.KIND, call["_recordingId"]) if over and call.get("_recordingId") else None
    text = state.store.get(TRANSCRIPTIONS, call["_transcriptionId"]) if over and call.get("_transcriptionId") else None
    return {
        **shown,
        "timeline": timeline,
        "recording": recordings.to_response(state, recording, base_url) if recording else None,
        "transcription": text["text"] if text else None,
    }


def to_response(state: State, call: Record) -> Record:
    stage = reached(call, state.clock.time())
    if stage is None:
        return visible(call)
    derived: Record = {
        "status": stage.status,
        "updatedAt": written(moment(stage.at)),
        "lastUpdateSequence": stage.index,
    }
    if stage.status == "completed" and call.get("duration") is None:
        derived["duration"] = call["_length"]
    return {**visible(call), **derived}


def _start(state: State, values: Record, text: str) -> Record:
    """Dial: the call is queued now, and goes its way by itself."""
    given = {**EMPTY, **values, "direction": "outgoing", "status": "queued", "startTime": state.clock.stamp()}
    contact = contacts.find(state, values["to"])
    given |= {"contactId": contact["id"]} if contact else {}
    return to_response(state, _add(state, given, 0.0, state.settings.recording_seconds, text))


def _add(state: State, values: Record, share: float | None, length: float, text: str) -> Record:
    """Keep a call that has gone so much of its way (None: it is on none), and what it leaves behind once completed."""
    seconds = state.settings.call_seconds
    start = state.clock.time() - (1.0 if share is None else share) * seconds
    way = None if share is None else plan(values["to"], CALL, FAILED_CALL, start=start, seconds=seconds)
    call = state.add(KIND, {**values, "_plan": way, "_end": written(moment(start + seconds)), "_length": length})
    call["_recordingId"] = recordings.keep(state, call, length)
    call["_transcriptionId"] = number = state.store.next_id(TRANSCRIPTIONS)
    transcription = {"id": number, "recordingId": call["_recordingId"], "text": text, **recordings.result_of(call)}
    state.store.put(TRANSCRIPTIONS, number, transcription)
    state.store.put(KIND, call["id"], call)
    return call


def _left_behind(state: State, request: ApiRequest, kind: str, link: str, what: str) -> Record:
    call = state.find(KIND, request.ids["callId"], "call")
    status, number = to_response(state, call)["status"], call.get(link)
    if number is None or (call.get("_plan") and status != "completed"):
        raise NotFound(f"call {call['id']} has no {what}: it is {status}")
    return state.find(kind, number, what)


def _dialogue(name: Any, points: list[str]) -> str:
    lines = [f"Agent: Hello{f' {name}' if name else ''}, this is a call from the LlamadaPro sandbox."]
    lines += ["Customer: Hello, go ahead."]
    for point in points:
        lines += [f"Agent: {point}", "Customer: Yes, that is fine."]
    return "\n".join([*lines, "Agent: Thank you, goodbye."])
