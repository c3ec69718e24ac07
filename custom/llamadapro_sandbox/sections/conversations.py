"""Conversations: created and changed one by one or in batches, where a bad item does not hold up the good ones."""

from __future__ import annotations

from typing import Any, cast

from llamadapro_sandbox.document import issues
from llamadapro_sandbox.errors import Issue, invalid, issue
from llamadapro_sandbox.query import Record
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State
from llamadapro_sandbox.store import part

from . import contacts, handles
from .custom_fields import value_issues

KIND = "conversations"
MAX_BATCH = 1000
EMPTY: Record = {"userId": None, "funnelStatusId": None, "archivedAt": None, "customFields": {}}


@handles("Create")
def create_conversation(state: State, request: ApiRequest) -> Any:
    if found := _problems(state, request.body, updating=False):
        raise invalid(found)
    conversation, _ = _create(state, request.body)
    contact = state.store.get(contacts.KIND, conversation["contactId"])
    return {**conversation, "channelSessions": [], "contacts": [contacts.to_response(contact)] if contact else []}


@handles("BulkCreate")
def bulk_create(state: State, request: ApiRequest) -> Any:
    return _batch(state, request, updating=False)


@handles("BulkUpdate")
def bulk_update(state: State, request: ApiRequest) -> Any:
    return _batch(state, request, updating=True)


def _batch(state: State, request: ApiRequest, *, updating: bool) -> Any:
    """The report of a batch: an entry for each item about which there is something to say."""
    items = request.body["conversations"]
    report: dict[str, Any] = {"itemsIssues": [], "batchErrors": _batch_errors(items)}
    counts = {"successful": 0, "warnings": 0, "duplicates": 0, "errors": 0, "total": len(items)}
    for index, item in enumerate([] if report["batchErrors"] else items):
        entry = {"index": index, **_item(state, item, updating)}
        counts["errors" if entry["errors"] else "successful"] += 1
        counts["warnings"] += bool(entry["warnings"])
        counts["duplicates"] += bool(entry["existingEntities"])
        if entry["errors"] or entry["warnings"]:
            report["itemsIssues"].append(entry)
    verb = "updated" if updating else "created"
    return {
        "message": f"{counts['successful']} of {counts['total']} conversations {verb}",
        "operationId": f"bulk_{state.store.next_id('batches')}",
        "report": {**report, "counts": counts},
    }


def _batch_errors(items: list[Any]) -> list[Record]:
    if not items:
        return [_to_entry(issue("body", "conversations", "holds no conversation", "EMPTY_BATCH"))]
    if len(items) > MAX_BATCH:
        message = f"holds {len(items)} conversations; a batch has at most {MAX_BATCH}"
        return [_to_entry(issue("body", "conversations", message, "BATCH_TOO_LARGE"))]
    return []


def _item(state: State, item: Any, updating: bool) -> Record:
    """Do what one item of a batch asks, or say why not."""
    name = "BulkSingleConversationUpdateParams" if updating else "BulkSingleConversationCreateParams"
    found = issues(state.document.schema(name), item) or _problems(state, item, updating=updating)
    entry: Record = {"errors": [_to_entry(one) for one in found], "warnings": [], "existingEntities": {}}
    if found:
        named = cast(Record, item).get("id") if isinstance(item, dict) else None
        return {**entry, "itemId": named} if type(named) is int else entry
    conversation, matched = (_update if updating else _create)(state, item)
    if matched:
        matched_issue = issue("body", "contact", f"is contact {matched['id']}, which was updated", "EXISTING_CONTACT")
        entry |= {"warnings": [_to_entry(matched_issue)], "existingEntities": {"contactId": matched["id"]}}
    return {**entry, "itemId": conversation["id"]}


def _to_entry(found: Issue) -> Record:
    return {"field": found["field"], "message": found["message"], "code": found["code"], "context": {}}


def _problems(state: State, item: Record, *, updating: bool) -> list[Issue]:
    """What no schema can say: whether the things that are named exist."""
    found = value_issues(state, "FUNNEL_CONVERSATION", item.get("customFields"))
    contact = part(item, "contact")
    found += value_issues(state, "CONTACT", contact.get("customFields"), "contact.customFields")
    if updating and state.store.get(KIND, _id(item["id"])) is None:
        found.append(issue("body", "id", f"there is no conversation {item['id']}", "NOT_FOUND"))
    if not updating and item.get("contactId") is None and item.get("contact") is None:
        found.append(issue("body", "contactId", "or contact is required", "REQUIRED_FIELD"))
    for field, number in (("contactId", item.get("contactId")), ("contact.id", contact.get("id"))):
        if number is not None and state.store.get(contacts.KIND, _id(number)) is None:
            found.append(issue("body", field, f"there is no contact {number}", "NOT_FOUND"))
    return found


def _id(number: int) -> int:
    """A number that SQLite can look for; one beyond all ids is nobody's."""
    return number if abs(number) < 2**53 else -1


def _create(state: State, item: Record) -> tuple[Record, Record | None]:
    """The new conversation, and the contact if it was there before and had to be matched."""
    described, number, matched = item.get("contact"), item.get("contactId"), None
    if number is not None:
        contact = state.find(contacts.KIND, number, "contact")
        if described is not None:
            contacts.from_description(state, described, contact)
    else:
        matched = contacts.match(state, described or {})
        number = contacts.from_description(state, described or {}, matched)["id"]
    values = state.document.operations["Create"].known(item)
    return state.add(KIND, {**EMPTY, **values, "contactId": number}), matched


def _update(state: State, item: Record) -> tuple[Record, Record | None]:
    old = state.find(KIND, item["id"], "conversation")
    values = state.document.operations["Create"].known(item)
    described, matched = item.get("contact"), None
    if described is not None:
        number = described.get("id", old["contactId"])
        known = state.store.get(contacts.KIND, number) or (matched := contacts.match(state, described))
        values["contactId"] = contacts.from_description(state, described, known)["id"]
    return state.change(KIND, old["id"], old, values), matched
