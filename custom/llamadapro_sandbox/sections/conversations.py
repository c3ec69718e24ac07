"""Conversations: created and changed one by one or in batches, where a bad item does not hold up the good ones."""

from __future__ import annotations

from typing import Any, cast

from llamadapro_sandbox.document import issues
from llamadapro_sandbox.errors import BadRequest, Issue, issue
from llamadapro_sandbox.reading import Ask
from llamadapro_sandbox.store import Record, part
from llamadapro_sandbox.world import World

from . import contacts, does
from .custom_fields import value_issues

KIND = "conversations"
LARGEST_BATCH = 1000
EMPTY: Record = {"userId": None, "funnelStatusId": None, "archivedAt": None, "customFields": {}}


@does("Create")
def create_conversation(world: World, ask: Ask) -> Any:
    if found := _problems(world, ask.body, updating=False):
        raise BadRequest("; ".join(f"{one['field']} {one['message']}" for one in found), found)
    conversation, _ = _create(world, ask.body, ask.operation.fields)
    contact = world.store.get(contacts.KIND, conversation["contactId"])
    return {**conversation, "channelSessions": [], "contacts": [contacts.shown(contact)] if contact else []}


@does("BulkCreate")
def bulk_create(world: World, ask: Ask) -> Any:
    return _batch(world, ask, updating=False)


@does("BulkUpdate")
def bulk_update(world: World, ask: Ask) -> Any:
    return _batch(world, ask, updating=True)


def _batch(world: World, ask: Ask, *, updating: bool) -> Any:
    """The report of a batch: an entry for each item about which there is something to say."""
    items = ask.body["conversations"]
    report: dict[str, Any] = {"itemsIssues": [], "batchErrors": _batch_errors(items)}
    counts = {"successful": 0, "warnings": 0, "duplicates": 0, "errors": 0, "total": len(items)}
    for index, item in enumerate([] if report["batchErrors"] else items):
        entry = {"index": index, **_item(world, item, updating)}
        counts["errors" if entry["errors"] else "successful"] += 1
        counts["warnings"] += bool(entry["warnings"])
        counts["duplicates"] += bool(entry["existingEntities"])
        if entry["errors"] or entry["warnings"]:
            report["itemsIssues"].append(entry)
    verb = "updated" if updating else "created"
    return {
        "message": f"{counts['successful']} of {counts['total']} conversations {verb}",
        "operationId": f"bulk_{world.store.next_id('batches')}",
        "report": {**report, "counts": counts},
    }


def _batch_errors(items: list[Any]) -> list[Record]:
    if not items:
        return [_told(issue("body", "conversations", "holds no conversation", "EMPTY_BATCH"))]
    if len(items) > LARGEST_BATCH:
        message = f"holds {len(items)} conversations; a batch has at most {LARGEST_BATCH}"
        return [_told(issue("body", "conversations", message, "BATCH_TOO_LARGE"))]
    return []


def _item(world: World, item: Any, updating: bool) -> Record:
    """Do what one item of a batch asks, or say why not."""
    name = "BulkSingleConversationUpdateParams" if updating else "BulkSingleConversationCreateParams"
    found = issues(world.document.schema(name), item) or _problems(world, item, updating=updating)
    entry: Record = {"errors": [_told(one) for one in found], "warnings": [], "existingEntities": {}}
    if found:
        named = cast(Record, item).get("id") if isinstance(item, dict) else None
        return {**entry, "itemId": named} if type(named) is int else entry
    fields = world.document.operations["Create"].fields
    conversation, matched = (_update if updating else _create)(world, item, fields)
    if matched:
        told = issue("body", "contact", f"is contact {matched['id']}, which was updated", "EXISTING_CONTACT")
        entry |= {"warnings": [_told(told)], "existingEntities": {"contactId": matched["id"]}}
    return {**entry, "itemId": conversation["id"]}


def _told(found: Issue) -> Record:
    return {"field": found["field"], "message": found["message"], "code": found["code"], "context": {}}


def _problems(world: World, item: Record, *, updating: bool) -> list[Issue]:
    """What no schema can say: whether the things that are named exist."""
    found = value_issues(world, "FUNNEL_CONVERSATION", item.get("customFields"))
    contact = part(item, "contact")
    found += value_issues(world, "CONTACT", contact.get("customFields"), "contact.customFields")
    if updating and world.store.get(KIND, _id(item["id"])) is None:
        found.append(issue("body", "id", f"there is no conversation {item['id']}", "NOT_FOUND"))
    if not updating and item.get("contactId") is None and item.get("contact") is None:
        found.append(issue("body", "contactId", "or contact is required", "REQUIRED_FIELD"))
    for field, number in (("contactId", item.get("contactId")), ("contact.id", contact.get("id"))):
        if number is not None and world.store.get(contacts.KIND, _id(number)) is None:
            found.append(issue("body", field, f"there is no contact {number}", "NOT_FOUND"))
    return found


def _id(number: int) -> int:
    """A number that SQLite can look for; one beyond all ids is nobody's."""
    return number if abs(number) < 2**53 else -1


def _create(world: World, item: Record, fields: frozenset[str]) -> tuple[Record, Record | None]:
    """The new conversation, and the contact if it was there before and had to be matched."""
    described, number, matched = item.get("contact"), item.get("contactId"), None
    if number is not None:
        contact = world.find(contacts.KIND, number, "contact")
        if described is not None:
            contacts.from_description(world, described, contact)
    else:
        matched = contacts.match(world, described or {})
        number = contacts.from_description(world, described or {}, matched)["id"]
    values = {name: value for name, value in item.items() if name in fields}
    return world.add(KIND, {**EMPTY, **values, "contactId": number}), matched


def _update(world: World, item: Record, fields: frozenset[str]) -> tuple[Record, Record | None]:
    old = world.find(KIND, item["id"], "conversation")
    values = {name: value for name, value in item.items() if name in fields}
    described, matched = item.get("contact"), None
    if described is not None:
        number = described.get("id", old["contactId"])
        known = world.store.get(contacts.KIND, number) or (matched := contacts.match(world, described))
        values["contactId"] = contacts.from_description(world, described, known)["id"]
    return world.change(KIND, old["id"], old, values), matched
