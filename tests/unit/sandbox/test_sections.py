"""Tasks, conversations, custom fields, messages, calls and recordings behave as the reference describes them."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import httpx
import pytest

from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.clock import moment, written
from tests.openapi import path_of

CONTACTS = path_of("GetContacts")
MEDIA = path_of("UploadMedia")
CALLS = path_of("CreateCall")

TASKS = path_of("GetTasks")
CONVERSATIONS = path_of("Create")
BULK = path_of("BulkCreate")
DEFINITIONS = path_of("GetCustomFieldDefinitions")
MESSAGES = path_of("CreateMessage")
NUMBERS = {"fromPhoneNumber": "+56221234567", "toPhoneNumber": "+56912345678"}
FAILING = "+15005550001"


async def ok(call: Any) -> Any:
    answer = await call
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.content else None


def task(**fields: Any) -> dict[str, Any]:
    actor = {"id": "1", "type": "user"}
    return {"context": {}, "objective": "o", "createdBy": actor, "assignedTo": actor, **fields}


# -------------------------------------------------------------------------------------------------------------- tasks


async def test_a_task_through_its_life(api: httpx.AsyncClient) -> None:
    made = await ok(api.post(TASKS, json=task(context={"conversationId": 5})))
    assert made["status"] == "scheduled"
    url = path_of("GetTask", made["id"])
    done = await ok(api.put(url, json={"status": "completed"}))
    assert done["completedAt"] == done["updatedAt"]
    assert done["objective"] == "o"
    again = await ok(api.put(url, json={"status": "scheduled", "objective": "p"}))
    assert (again["completedAt"], again["objective"]) == (None, "p")
    reason = {"status": "cancelled", "cancellationReason": "no time"}
    off = await ok(api.put(url, json=reason))
    assert off["cancelledAt"]
    assert off["cancellationReason"] == "no time"
    assert await ok(api.delete(url)) == off
    assert (await api.get(url)).status_code == 404


async def test_a_given_date_is_kept(api: httpx.AsyncClient) -> None:
    made = await ok(api.post(TASKS, json=task()))
    when = "2024-02-03T04:05:06+01:00"
    done = await ok(api.put(path_of("GetTask", made["id"]), json={"status": "completed", "completedAt": when}))
    assert done["completedAt"] == when


async def test_a_task_falls_overdue_by_the_clock(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    due = written(moment(sandbox.clock.time() + 60))
    made = await ok(api.post(TASKS, json=task(dueDate=due)))
    assert made["status"] == "scheduled"
    sandbox.clock.advance(61)
    assert (await ok(api.get(path_of("GetTask", made["id"]))))["status"] == "overdue"
    assert (await ok(api.get(f"{TASKS}?status=overdue")))["totalCount"] == 1
    assert (await ok(api.get(f"{TASKS}?status=scheduled")))["totalCount"] == 0
    moved = await ok(api.put(path_of("GetTask", made["id"]), json={"dueDate": "2999-01-01T00:00:00Z"}))
    assert moved["status"] == "scheduled"


async def test_a_task_that_was_called_overdue_is_scheduled_again_by_a_new_date(api: httpx.AsyncClient) -> None:
    made = await ok(api.post(TASKS, json=task(status="overdue")))
    later = await ok(api.put(path_of("GetTask", made["id"]), json={"dueDate": "2999-01-01T00:00:00Z"}))
    assert (made["status"], later["status"]) == ("overdue", "scheduled")


@pytest.mark.parametrize("due", ["2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z"])
async def test_dates_that_python_lacks_are_dates(api: httpx.AsyncClient, due: str) -> None:
    """A leap second, and the year 0: RFC 3339 knows both."""
    made = await ok(api.post(TASKS, json=task(dueDate=due)))
    assert (made["dueDate"], made["status"]) == (due, "overdue")


async def test_tasks_are_filtered(api: httpx.AsyncClient) -> None:
    bot = {"id": "9", "type": "ai_employee"}
    await ok(api.post(TASKS, json=task(context={"conversationId": 1}, dueDate="2030-01-01T00:00:00Z")))
    await ok(api.post(TASKS, json=task(context={"conversationId": 2}, assignedTo=bot, status="completed")))

    async def ids(query: str) -> list[str]:
        return [one["id"] for one in (await ok(api.get(f"{TASKS}?{query}")))["items"]]

    assert await ids("conversationId=2") == ["task_2"]
    assert await ids("assignedToType=ai_employee&assignedToId=9") == ["task_2"]
    assert await ids("assignedToType=user&assignedToId=9") == []
    assert await ids("dueBefore=2030-01-02T00:00:00Z&dueAfter=2029-12-31T00:00:00Z") == ["task_1"]
    assert await ids("dueBefore=2029-01-02T00:00:00Z") == []
    assert await ids("status=completed") == ["task_2"]
    page = await ok(api.get(f"{TASKS}?limit=1"))
    assert await ids(f"limit=1&pageToken={page['nextPageToken']}") == ["task_2"]


# ------------------------------------------------------------------------------------------------------ conversations


async def test_a_conversation_creates_matches_and_updates_its_contact(api: httpx.AsyncClient) -> None:
    jane = {"firstName": "Jane", "phones": ["+56 912345678"], "emails": ["jane@example.org"], "customFields": {"a": 1}}
    first = await ok(api.post(CONVERSATIONS, json={"funnelId": 5, "contact": jane, "customFields": {"source": "web"}}))
    contact = first["contacts"][0]
    assert first["contactId"] == contact["id"]
    assert first["customFields"] == {"source": "web"}
    assert [(one["channelType"], one["address"]) for one in contact["addresses"]] == [
        ("PHONE", "+56 912345678"),
        ("EMAIL", "jane@example.org"),
    ]
    other = {"lastName": "Doe", "emails": ["JANE@example.org", "doe@example.org"]}
    second = await ok(api.post(CONVERSATIONS, json={"funnelId": 5, "contact": other}))
    matched = second["contacts"][0]
    assert (matched["id"], matched["firstName"], matched["lastName"]) == (contact["id"], "Jane", "Doe")
    assert [one["address"] for one in matched["addresses"]][2:] == ["doe@example.org"]
    third = await ok(api.post(CONVERSATIONS, json={"funnelId": 5, "contact": {"phones": ["+1234567890"]}}))
    assert third["contactId"] != contact["id"]


async def test_a_contact_made_the_legacy_way_is_matched_too(api: httpx.AsyncClient) -> None:
    made = await ok(api.post(CONTACTS, json={"phone": "+56912345678"}))
    body = {"funnelId": 1, "contact": {"phones": ["+56912345678"]}}
    assert (await ok(api.post(CONVERSATIONS, json=body)))["contactId"] == made["id"]
    await ok(api.delete(path_of("GetContact", made["id"])))
    new = (await ok(api.post(CONVERSATIONS, json=body)))["contactId"]
    assert new != made["id"]
    assert (await ok(api.post(CONVERSATIONS, json=body)))["contactId"] == new


async def test_a_conversation_needs_a_contact_that_exists(api: httpx.AsyncClient) -> None:
    for body in ({"funnelId": 1}, {"funnelId": 1, "contactId": 77}, {"contactId": 1}):
        assert (await api.post(CONVERSATIONS, json=body)).status_code == 400
    made = await ok(api.post(CONTACTS, json={"firstName": "A"}))
    body = {"funnelId": 1, "contactId": made["id"], "contact": {"firstName": "B"}}
    assert (await ok(api.post(CONVERSATIONS, json=body)))["contacts"][0]["firstName"] == "B"


async def test_bulk_create_does_what_it_can_and_reports_the_rest(api: httpx.AsyncClient) -> None:
    known = await ok(api.post(CONTACTS, json={"email": "known@example.org"}))
    items = [
        {"funnelId": 1, "contact": {"phones": ["+56912345678"]}},
        {"contact": {"firstName": 7}},
        "nonsense",
        {"funnelId": 1, "contact": {"emails": ["known@example.org"]}},
        {"funnelId": 1, "contactId": 10**30},
        {"funnelId": 1},
    ]
    result = await ok(api.post(BULK, json={"conversations": items}))
    report = result["report"]
    assert report["counts"] == {"successful": 2, "warnings": 1, "duplicates": 1, "errors": 4, "total": 6}
    by_index = {one["index"]: one for one in report["itemsIssues"]}
    assert set(by_index) == {1, 2, 3, 4, 5}
    assert {(e["field"], e["code"]) for e in by_index[1]["errors"]} == {
        ("funnelId", "REQUIRED_FIELD"),
        ("contact.firstName", "INVALID_FIELD"),
    }
    assert by_index[3]["warnings"][0]["code"] == "EXISTING_CONTACT"
    assert by_index[3]["existingEntities"] == {"contactId": known["id"]}
    assert by_index[4]["errors"][0]["code"] == "NOT_FOUND"
    assert by_index[5]["errors"][0]["code"] == "REQUIRED_FIELD"


async def test_a_batch_may_be_wrong_altogether(api: httpx.AsyncClient) -> None:
    for conversations, code in (([], "EMPTY_BATCH"), ([{}] * 1001, "BATCH_TOO_LARGE")):
        result = await ok(api.post(BULK, json={"conversations": conversations}))
        assert [one["code"] for one in result["report"]["batchErrors"]] == [code]
        assert result["report"]["counts"]["successful"] == 0
    assert (await api.post(BULK, json={})).status_code == 400


async def test_bulk_update_changes_only_what_is_given(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    made = await ok(api.post(CONVERSATIONS, json={"funnelId": 5, "userId": 3, "contact": {"firstName": "Jane"}}))
    items = [
        {"id": made["id"], "contact": {"id": made["contactId"], "lastName": "Doe"}},
        {"id": made["id"], "funnelStatusId": 9},
        {"id": 99, "userId": 1},
        {"userId": 1},
        {"id": made["id"], "contact": {"id": 99}},
    ]
    report = (await ok(api.put(BULK, json={"conversations": items})))["report"]
    assert report["counts"] == {"successful": 2, "warnings": 0, "duplicates": 0, "errors": 3, "total": 5}
    assert [(one["index"], one.get("itemId")) for one in report["itemsIssues"]] == [(2, 99), (3, None), (4, made["id"])]
    records = await ok(api.get("/_sandbox/records"))
    assert (
        records["conversations"][0] | {"userId": 3, "funnelId": 5, "funnelStatusId": 9} == records["conversations"][0]
    )
    assert (records["contacts"][0]["firstName"], records["contacts"][0]["lastName"]) == ("Jane", "Doe")


# ------------------------------------------------------------------------------------------------------ custom fields


def definition(**fields: Any) -> dict[str, Any]:
    return {"entityType": "CONTACT", "fieldKey": "level", "fieldType": "LIST", **fields}


async def test_definitions_have_unique_keys_within_their_entity(api: httpx.AsyncClient) -> None:
    first = await ok(api.post(DEFINITIONS, json=definition(fieldLabel="Level")))
    assert (await api.post(DEFINITIONS, json=definition())).status_code == 400
    other = await ok(api.post(DEFINITIONS, json=definition(entityType="COMPANY")))
    assert (
        await api.put(path_of("GetCustomFieldDefinition", other["id"]), json={"entityType": "CONTACT"})
    ).status_code == 400
    changed = await ok(api.put(path_of("GetCustomFieldDefinition", first["id"]), json={"description": "d"}))
    assert (changed["fieldLabel"], changed["description"], changed["fieldKey"]) == ("Level", "d", "level")
    assert (await ok(api.get(path_of("GetCustomFieldDefinition", first["id"])))) == changed
    listed = await ok(api.get(f"{DEFINITIONS}?filterBy=entityType:COMPANY"))
    assert [one["id"] for one in listed["items"]] == [other["id"]]
    assert (await ok(api.get(f"{DEFINITIONS}?tenantId=another")))["items"] == []
    assert (await ok(api.get(f"{DEFINITIONS}?tenantId=sandbox")))["totalCount"] == 2


async def test_options_of_a_list(api: httpx.AsyncClient) -> None:
    made = await ok(api.post(DEFINITIONS, json=definition()))
    url = path_of("GetCustomFieldListOptions", made["id"])
    gold = await ok(api.post(url, json={"definitionId": made["id"], "value": "gold", "label": "Gold"}))
    assert (await api.post(url, json={"definitionId": made["id"], "value": "gold"})).status_code == 400
    assert (await api.post(url, json={"definitionId": 99, "value": "silver"})).status_code == 400
    assert (await api.get(path_of("GetCustomFieldListOptions", 99))).status_code == 404
    assert await ok(api.get(path_of("GetCustomFieldListOption", made["id"], gold["id"]))) == gold
    changed = await ok(
        api.put(
            path_of("GetCustomFieldListOption", made["id"], gold["id"]), json={"label": "Golden", "definitionId": 3}
        )
    )
    assert (changed["label"], changed["value"], changed["definitionId"]) == ("Golden", "gold", made["id"])
    assert (await ok(api.get(url)))["items"] == [changed]
    plain = await ok(api.post(DEFINITIONS, json=definition(fieldKey="age", fieldType="NUMBER")))
    for path in (
        path_of("GetCustomFieldListOptions", plain["id"]),
        path_of("GetCustomFieldListOption", plain["id"], 1),
    ):
        assert (await api.get(path)).status_code == 400


async def test_values_of_a_list_must_be_options_and_go_with_them(api: httpx.AsyncClient) -> None:
    made = await ok(api.post(DEFINITIONS, json=definition()))
    url = path_of("GetCustomFieldListOptions", made["id"])
    gold = await ok(api.post(url, json={"definitionId": made["id"], "value": "gold"}))
    refused = await api.post(CONTACTS, json={"customFields": {"level": "iron"}})
    reported = refused.json()["details"]["issues"][0]
    assert (refused.status_code, reported["field"], reported["code"]) == (400, "customFields.level", "UNKNOWN_OPTION")
    await ok(api.post(url, json={"definitionId": made["id"], "value": "silver"}))
    jane = await ok(api.post(CONTACTS, json={"customFields": {"level": "gold", "other": 1}}))
    john = await ok(api.post(CONTACTS, json={"customFields": {"level": "silver"}}))
    await ok(api.delete(path_of("GetCustomFieldListOption", made["id"], gold["id"])))
    assert (await api.get(path_of("GetCustomFieldListOption", made["id"], gold["id"]))).status_code == 404
    assert (await ok(api.get(path_of("GetContact", jane["id"]))))["customFields"] == {"other": 1}
    assert (await ok(api.get(path_of("GetContact", john["id"]))))["customFields"] == {"level": "silver"}


async def test_a_definition_in_use_is_deleted_only_by_force(api: httpx.AsyncClient) -> None:
    made = await ok(api.post(DEFINITIONS, json=definition(fieldType="STRING")))
    url = path_of("GetCustomFieldDefinition", made["id"])
    jane = await ok(api.post(CONTACTS, json={"customFields": {"level": "any"}}))
    refused = await api.delete(url)
    assert refused.status_code == 409
    assert refused.json()["details"] == {"options": 0, "values": 1}
    assert (await api.delete(f"{url}?force=perhaps")).status_code == 400
    await ok(api.delete(f"{url}?force=true"))
    assert (await api.get(url)).status_code == 404
    assert (await ok(api.get(path_of("GetContact", jane["id"]))))["customFields"] == {}


# ----------------------------------------------------------------------------------------------------------- messages


async def test_a_message_makes_its_way(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sent = await ok(api.post(MESSAGES, json={**NUMBERS, "type": "text", "content": "Hi", "userId": "7"}))
    seen = [sent["status"]]
    for seconds in (0.5, 0.5, 4):
        sandbox.clock.advance(seconds)
        seen.append((await ok(api.get(path_of("GetMessage", sent["id"]))))["status"])
    assert seen == ["pending", "sent", "delivered", "read"]
    assert (sent["content"], sent["direction"], sent["recipient"]["address"]) == ("Hi", "outbound", "+56912345678")
    assert (await api.get(path_of("GetMessage", "message_99"))).status_code == 404


async def test_a_message_to_the_failing_number_fails(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    body = {**NUMBERS, "toPhoneNumber": FAILING, "type": "text", "content": "Hi"}
    sent = await ok(api.post(MESSAGES, json=body))
    sandbox.clock.advance(10)
    failed = await ok(api.get(path_of("GetMessage", sent["id"])))
    assert failed["status"] == "failed"
    assert failed["errors"][0]["code"] == 131026


async def test_templates_take_variables_or_components(api: httpx.AsyncClient) -> None:
    body = {**NUMBERS, "templateName": "welcome", "languageCode": "es"}
    components = [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}]
    by_variables = await ok(api.post(path_of("CreateTemplateMessage"), json={**body, "variables": [{"value": "Ana"}]}))
    by_components = await ok(api.post(path_of("CreateTemplateMessage"), json={**body, "components": components}))
    assert by_variables["content"] == by_components["content"] == "[welcome] Ana"
    both = await api.post(path_of("CreateTemplateMessage"), json={**body, "variables": [], "components": components})
    assert both.status_code == 400
    assert "variables" in both.json()["details"]["issues"][0]["message"]
    assert (
        await api.post(path_of("CreateTemplateMessage"), json={**body, "toPhoneNumber": "912345678"})
    ).status_code == 400


async def test_media_is_uploaded_either_way_and_sent(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    url, content = MEDIA, b"\x89PNG and so on"
    direct = {"fileName": "a.png", "contentType": "image/png", "content": base64.b64encode(content).decode()}
    media = await ok(api.post(url, json={**direct, "fromPhoneNumber": "+56221234567", "tags": {"a": "b"}}))
    assert (media["size"], media["fileName"], media["tags"]) == (len(content), "a.png", {"a": "b"})
    assert (await httpx_get(sandbox, media["url"])).content == content
    again = await ok(api.post(url, json={"fileId": media["fileId"], "fromPhoneNumber": "+56221234567"}))
    assert (again["fileId"], again["size"]) == (media["fileId"], media["size"])
    assert again["mediaId"] != media["mediaId"]
    for bad in ({}, {"fileName": "a", "contentType": "b"}):
        assert (await api.post(url, json={**bad, "fromPhoneNumber": "+56221234567"})).status_code == 400
    sent = await ok(api.post(MESSAGES, json={**NUMBERS, "type": "image", "content": "Look", "fileId": media["fileId"]}))
    attachment = sent["attachments"][0]
    assert (attachment["type"], attachment["mediaProcessing"]["summary"]["status"]) == ("image", "pending")
    assert (await httpx_get(sandbox, attachment["url"])).content == content


async def test_media_need_neither_base64_nor_a_type_for_a_header(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    fields = {"fileName": "a.txt", "contentType": "text/español", "content": "plain, as it is"}
    media = await ok(api.post(MEDIA, json={**fields, "fromPhoneNumber": "+56221234567"}))
    file = await httpx_get(sandbox, media["url"])
    assert (file.text, file.headers["Content-Type"]) == ("plain, as it is", "application/octet-stream")


# -------------------------------------------------------------------------------------------------------------- calls


async def httpx_get(sandbox: Sandbox, url: str, **headers: str) -> httpx.Response:
    """Without a key, as a signed URL is fetched."""
    async with httpx.AsyncClient(transport=sandbox.transport()) as client:
        return await client.get(url, headers=headers)


STARTS: list[tuple[str, dict[str, Any]]] = [
    (path_of("StartAgentCallV2"), {"toPhoneNumber": "+56912345678", "objectives": ["Confirm Tuesday"]}),
    (path_of("StartAgentCall"), {"voiceAgentId": 3, "to": "+56912345678", "contextVariables": {"day": "Tuesday"}}),
    (path_of("StartBridgeCall"), {"to": "+56912345678", "callCustomData": {"a": 1}}),
]


@pytest.mark.parametrize(("path", "body"), STARTS)
async def test_a_call_is_made_and_leaves_a_recording_and_its_text(
    sandbox: Sandbox, api: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    call = await ok(api.post(path, json=body))
    url, seen = path_of("GetCall", call["id"]), [call["status"]]
    for seconds in (0.5, 0.5, 0.5):
        assert (await api.get(path_of("GetCallRecording", call["id"]))).status_code == 404
        assert (await api.get(path_of("GetCallTranscription", call["id"]))).status_code == 404
        assert (await api.get(path_of("GetRecording", 1))).status_code == 404
        sandbox.clock.advance(seconds)
        seen.append((await ok(api.get(url)))["status"])
    sandbox.clock.advance(0.5)
    done = await ok(api.get(url))
    assert [*seen, done["status"]] == ["queued", "ringing", "in-progress", "in-progress", "completed"]
    assert done["updatedAt"] > call["updatedAt"]
    recording = await ok(api.get(path_of("GetCallRecording", call["id"])))
    assert await ok(api.get(path_of("GetRecording", recording["id"]))) == recording
    assert (recording["callId"], recording["duration"]) == (call["id"], done["duration"])
    transcription = await ok(api.get(path_of("GetCallTranscription", call["id"])))
    assert "Tuesday" in transcription["text"] or path == path_of("StartBridgeCall")
    assert (await httpx_get(sandbox, transcription["url"])).text == transcription["text"]


async def test_a_call_to_the_failing_number_fails(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    call = await ok(api.post(path_of("StartBridgeCall"), json={"to": FAILING}))
    sandbox.clock.advance(5)
    assert (await ok(api.get(path_of("GetCall", call["id"]))))["status"] == "failed"
    assert (await api.get(path_of("GetCallRecording", call["id"]))).status_code == 404


async def test_a_noted_call_keeps_what_it_was_given(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    body = {
        "status": "no-answer",
        "userId": None,
        "metadata": {"a": 1},
        "from": "+1",
        "to": "+2",
        "duration": 3.5,
        "direction": "incoming",
        "startTime": "2024-01-01T00:00:00Z",
        "teamId": 4,
    }
    call = await ok(api.post(CALLS, json=body))
    assert call | body == call
    sandbox.clock.advance(100)
    assert (await ok(api.get(path_of("GetCall", call["id"]))))["status"] == "no-answer"
    assert (await api.get(path_of("GetCallRecording", call["id"]))).status_code == 404
    other = await ok(api.post(CALLS, json={**body, "status": "answered"}))
    assert other["status"] == "answered"
    assert (await ok(api.get(path_of("GetCallTranscription", other["id"]))))["text"]
    done = await ok(api.post(CALLS, json={**body, "status": "completed"}))
    assert (done["status"], done["duration"]) == ("completed", 3.5)
    assert (await ok(api.get(path_of("GetCallRecording", done["id"]))))["duration"] == 3.5
    queued = await ok(api.post(CALLS, json={**body, "status": "queued", "duration": None}))
    assert queued["status"] == "queued"
    sandbox.clock.advance(2)
    assert (await ok(api.get(path_of("GetCall", queued["id"]))))["status"] == "completed"


async def test_a_recording_from_elsewhere(api: httpx.AsyncClient) -> None:
    body = {"userId": 3, "url": "https://files.example.org/1.mp3", "callTo": "+1", "callStartTime": "yesterday"}
    answer = await api.post(path_of("LoadRecording"), json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    recording = await ok(api.get(path_of("GetRecording", 1)))
    assert recording["url"] == body["url"]
    call = await ok(api.get(path_of("GetCall", recording["callId"])))
    assert (call["userId"], call["to"], call["status"]) == (3, "+1", "completed")
    assert await ok(api.get(path_of("GetCallRecording", call["id"]))) == recording
    await api.post(path_of("LoadRecording"), json={"userId": 3, "url": ""})  # no recording of the sandbox's own
    assert (await ok(api.get(path_of("GetRecording", 2))))["url"] == ""


# --------------------------------------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("size", [44, 48, 1_000_000, 1_000_001])
async def test_a_recording_of_any_size_can_be_played(sandbox: Sandbox, size: int) -> None:
    recording = sandbox.add_recording(bytes=size)
    answer = await httpx_get(sandbox, recording["url"])
    assert len(answer.content) == int(answer.headers["Content-Length"]) == size // 4 * 4
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (2, 8000, 2)
        assert sound.getnframes() / 8000 == recording["duration"]


async def test_a_recording_is_served_in_ranges(sandbox: Sandbox) -> None:
    url = sandbox.add_recording(seconds=5)["url"]
    complete = await httpx_get(sandbox, url)
    content, etag = complete.content, complete.headers["ETag"]
    for wanted, start, stop in (("0-0", 0, 1), ("40-63", 40, 64), ("64000-", 64000, None), ("-10", -10, None)):
        part = await httpx_get(sandbox, url, Range=f"bytes={wanted}")
        assert part.status_code == 206
        assert part.content == content[start:stop]
        assert part.headers["Content-Range"].endswith(f"/{len(content)}")
    assert (await httpx_get(sandbox, url, Range=f"bytes={len(content)}-")).status_code == 416
    assert (await httpx_get(sandbox, url, Range="bytes=5-2")).status_code == 416
    for odd in ("bytes=-", "bytes=0-1,4-5", "lines=1-2"):
        assert (await httpx_get(sandbox, url, Range=odd)).content == content
    assert (await httpx_get(sandbox, url, **{"Range": "bytes=0-9", "If-Range": etag})).status_code == 206
    assert (await httpx_get(sandbox, url, **{"Range": "bytes=0-9", "If-Range": '"old"'})).content == content
    assert (await httpx_get(sandbox, url, **{"If-None-Match": etag})).status_code == 304


async def test_signed_urls_expire_and_cannot_be_made_up(sandbox: Sandbox) -> None:
    first, second = sandbox.add_recording(seconds=1)["url"], sandbox.add_recording(seconds=1)["url"]
    assert (await httpx_get(sandbox, first.replace("/1.wav", "/2.wav"))).status_code == 403
    assert (await httpx_get(sandbox, second.split("?")[0])).status_code == 403
    async with httpx.AsyncClient(transport=sandbox.transport()) as client:
        refused = await client.post(first)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
    sandbox.clock.advance(3601)
    assert (await httpx_get(sandbox, first)).status_code == 403


async def test_a_file_whose_record_is_gone_is_gone_too(sandbox: Sandbox) -> None:
    empty = sandbox.snapshot()
    url = sandbox.add_recording(seconds=1)["url"]
    sandbox.restore(empty)
    assert (await httpx_get(sandbox, url)).status_code == 404
