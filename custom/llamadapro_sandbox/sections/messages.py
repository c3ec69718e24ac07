"""Messages: WhatsApp texts, templates and media; a sent message makes its way to the phone and is read there."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from llamadapro_sandbox.clock import moment, written
from llamadapro_sandbox.errors import invalid, issue
from llamadapro_sandbox.files import signed
from llamadapro_sandbox.lifecycle import FAILED_MESSAGE, MESSAGE, plan, reached
from llamadapro_sandbox.query import Record
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import TENANT, State, number_in, visible
from llamadapro_sandbox.store import many

from . import contacts, handles

KIND = "messages"
PREFIX = "message_"
MEDIA = "media"
UNDELIVERABLE: Record = {
    "code": 131026,
    "title": "Message undeliverable",
    "message": "the number fails on purpose",
    "provider": "whatsapp",
}


@handles("GetMessage")
def get_message(state: State, request: ApiRequest) -> Any:
    public_id = request.ids["messageId"]
    message = state.find(KIND, number_in(public_id, PREFIX), "message", public_id)
    return to_response(state, message, request.base_url)


@handles("CreateMessage")
def create_message(state: State, request: ApiRequest) -> Any:
    body = request.body
    attachments = [{"type": body["type"], "fileId": body["fileId"]}] if body.get("fileId") else []
    return _send(state, request, body["content"], {"type": body["type"]}, attachments)


@handles("CreateTemplateMessage")
def create_template_message(state: State, request: ApiRequest) -> Any:
    body = request.body
    names = ("templateName", "languageCode", "variables", "components")
    metadata = {"type": "template", **{name: body[name] for name in names if name in body}}
    return _send(state, request, _template_text(body), metadata, [])


@handles("UploadMedia")
def upload_media(state: State, request: ApiRequest) -> Any:
    body = request.body
    if not body.get("fileId"):
        missing = [name for name in ("fileName", "contentType", "content") if body.get(name) is None]
        if missing:
            found = [issue("body", name, "is required without a fileId", "REQUIRED_FIELD") for name in missing]
            raise invalid(found)
    number = state.store.next_id(MEDIA)
    known = _by_file_id(state, body.get("fileId")) or {}
    content = _decoded(body["content"]) if body.get("content") is not None else b""
    record: Record = {
        "size": known.get("size", len(content)),
        "fileName": body.get("fileName") or known.get("fileName", "file"),
        "contentType": body.get("contentType") or known.get("contentType", "application/octet-stream"),
        "fileId": body.get("fileId") or f"file_{number}",
        "mediaId": f"media_{number}",
        "tags": body.get("tags") or known.get("tags", {}),
        "tenantId": TENANT,
        "_content": known.get("_content", base64.b64encode(content).decode()),
    }
    state.store.put(MEDIA, number, record)
    return {**request.operation.known(visible(record)), "url": signed(state, request.base_url, f"media/{number}")}


def to_response(state: State, message: Record, base_url: str) -> Record:
    now = reached(message, state.clock.time())
    assert now is not None
    errors = [UNDELIVERABLE] if now.status == "failed" else []
    attachments = [_attachment(state, one, base_url, now.index > 0) for one in message["attachments"]]
    derived = {"status": now.status, "updatedAt": written(moment(now.at)), "errors": errors, "attachments": attachments}
    return {**visible(message), **derived}


def _send(state: State, request: ApiRequest, content: str, metadata: Record, attachments: list[Record]) -> Record:
    body = request.body
    contact, seconds = contacts.find(state, body["toPhoneNumber"]), state.settings.message_seconds
    values: Record = {
        "content": content,
        "status": "pending",
        "direction": "outbound",
        "channel": "whatsapp",
        "sender": {"address": body["fromPhoneNumber"], "role": "user"},
        "recipient": {"address": body["toPhoneNumber"], "role": "contact"},
        "attachments": attachments,
        "metadata": metadata,
        "errors": [],
        "customFields": body.get("customFields") or {},
        **({"userId": body["userId"]} if "userId" in body else {}),
        **({"contactId": contact["id"]} if contact else {}),
        "_plan": plan(body["toPhoneNumber"], MESSAGE, FAILED_MESSAGE, start=state.clock.time(), seconds=seconds),
    }
    return to_response(state, state.add(KIND, values, prefix=PREFIX), request.base_url)


def _template_text(body: Record) -> str:
    """What the phone shows, as far as it is known without the template: its name and the texts put into it."""
    texts = [one.get("value") for one in many(body, "variables")]
    for component in many(body, "components"):
        texts += [one.get("text") for one in many(component, "parameters")]
    return " ".join([f"[{body['templateName']}]", *(str(text) for text in texts if text is not None)])


def _decoded(content: str) -> bytes:
    """Base64 as JSON carries files; other text is taken as it is."""
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return content.encode()


def _by_file_id(state: State, file_id: str | None) -> Record | None:
    """A file that was uploaded here before; others are of the files service, about which nothing is known."""
    return state.store.get(MEDIA, number_in(file_id or "", "file_"))


def _attachment(state: State, attachment: Record, base_url: str, processed: bool) -> Record:
    file_id = attachment["fileId"]
    media = _by_file_id(state, file_id)
    address = f"media/{file_id.removeprefix('file_')}" if media else f"files/{contacts.normal(file_id)}"
    unsigned = f"{base_url}/_sandbox/files/{address}"
    status = {"status": "completed" if processed else "pending"}
    return {
        "id": file_id,
        "type": attachment["type"],
        "url": signed(state, base_url, address),
        "unsignedUrl": unsigned,
        "metadata": {name: media[name] for name in ("fileName", "contentType", "size")} if media else {},
        "mediaProcessing": {"textRepresentation": status, "summary": status},
        "isCacheable": True,
    }
