"""The walk: every operation of openapi.yaml through its public method, and what comes back compared with what went in.

One entry per operationId, each for itself on a sandbox that others have used before. The list of operations comes from
the document: `walk` fails for an operation without an entry, for an entry whose operation did not go over the wire, and
for whatever else goes over it. What is sent stands in ways.py.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from llamadapro import AsyncLlamadaPro, AsyncPaginator, ConflictError, NotFoundError, models
from llamadapro._pagination import Page
from llamadapro_api.reading import Model
from llamadapro_sandbox import Sandbox
from tests.contract import ways
from tests.contract.ways import WAYS, Fields, Given, operation_of, operations

T = TypeVar("T", bound=Model)


class Walk:
    """What an entry works with: the client, the sandbox's clock and memory, and ids that nobody else uses."""

    def __init__(self, client: AsyncLlamadaPro, sandbox: Sandbox) -> None:
        self.client = client
        self.sandbox = sandbox
        self._tags = count(1)

    def given(self, **ids: Any) -> Given:
        return Given(tag=next(self._tags), tenant="sandbox", **ids)

    async def go(self, way: str, given: Given) -> Any:
        return await WAYS[way](self.client, given)

    def later(self, seconds: float = 1) -> None:
        """Time passes, and nobody waits."""
        self.sandbox.clock.advance(seconds)

    def kept(self, kind: str, number: int | None = None) -> dict[str, Any]:
        """A record as the sandbox remembers it (the last one of its kind): for what no operation reads."""
        records = dict(self.sandbox.store.some(kind))
        assert records, f"the sandbox keeps no {kind}"
        return records[max(records) if number is None else number]


Entry = Callable[[Walk], Awaitable[None]]
ENTRIES: dict[str, Entry] = {}


def entry(operation: str) -> Callable[[Entry], Entry]:
    """This function walks that operation."""

    def keep(function: Entry) -> Entry:
        assert operation not in ENTRIES, f"{operation} has two entries"
        ENTRIES[operation] = function
        return function

    return keep


class WalkFailed(Exception):
    """All that a walk found wrong, one operation a line."""


@dataclass
class Step:
    """What became of one entry."""

    sent: set[str]
    """The operations that went over the wire and were answered as documented."""
    found: list[str]
    error: Exception | None = None


async def walk(client: AsyncLlamadaPro, sandbox: Sandbox, entries: Mapping[str, Entry] | None = None) -> int:
    """Walk all entries and return how many operations went over the wire; raises `WalkFailed`."""
    entries = ENTRIES if entries is None else entries
    found = [f"{one}: no operation of openapi.yaml" for one in entries if one not in operations()]
    found += [f"{one}: no entry reaches it" for one in operations() if one not in entries]
    walking = Walk(client, sandbox)
    steps = [await step(walking, name, function) for name, function in entries.items()]
    found += [line for one in steps for line in one.found]
    sent = {operation for one in steps for operation in one.sent}
    found += [f"{one}: never sent" for one in operations() if one not in sent]
    if found:
        errors = [one.error for one in steps if one.error is not None]
        raise WalkFailed("\n".join(found)) from (ExceptionGroup("entries", errors) if errors else None)
    return len(sent)


async def step(walking: Walk, name: str, function: Entry) -> Step:
    """Walk one entry."""
    result = Step(set(), [])
    with walking.client.capture_exchanges() as exchanges:
        try:
            await function(walking)
        except Exception as error:
            result.error = error
            result.found.append(f"{name}: {type(error).__name__}: {error}")
    for exchange in exchanges:
        operation = operation_of(exchange.method, exchange.path)
        if exchange.operation == "request":
            continue  # a file of the sandbox's: no operation of the document
        if operation is None or operation.name != exchange.operation:
            result.found.append(f"{name}: sent {exchange.method} {exchange.path} as {exchange.operation}")
        elif exchange.status_code == ways.success(operation)[0]:
            result.sent.add(operation.id)
    if name not in result.sent:
        result.found.append(f"{name}: its entry did not send it, or it was never answered as documented")
    return result


# --- comparing ---------------------------------------------------------------------------------------------------


def same(seen: Any, sent: Any, what: str = "answer") -> None:
    """What came back has everything that was sent: the request's keys are the answer's attributes."""
    found = [*differences(seen, sent, what)]
    assert not found, "; ".join(found)


def differences(seen: Any, sent: Any, at: str) -> Iterator[str]:
    if isinstance(sent, Mapping) and hasattr(type(seen), "wire_names"):
        for key, value in sent.items():
            yield from differences(getattr(seen, key), value, f"{at}.{key}")
    elif isinstance(sent, list) and isinstance(seen, list) and len(seen) == len(sent):
        for index, (one, other) in enumerate(zip(seen, sent, strict=True)):
            yield from differences(one, other, f"{at}[{index}]")
    elif type(seen) is not type(sent) or seen != sent:
        yield f"{at} is {seen!r}, and {sent!r} was sent"


def unchanged(after: Any, before: Any, *but: str) -> None:
    """Every attribute is as it was, but for those named and the time of the change, which has moved on."""
    names = set(type(after).wire_names) - {*but, "updated_at"}
    changed = [
        f"{name} was {getattr(before, name)!r}" for name in names if getattr(after, name) != getattr(before, name)
    ]
    assert not changed, f"changed without being asked: {', '.join(changed)}"
    assert after.updated_at > before.updated_at, "updated_at stayed"


ABSENT: dict[type[Any], set[str]] = {
    models.Call: {
        *("contact_id", "funnel_conversation_id", "session_id", "opportunity_id", "analysis_config_id"),
        *("provider_id", "agent_score", "category"),
    },
    models.ContactSearchHit: {"archived_at"},
    models.Message: {
        *("conversation_id", "funnel_conversation_id", "session_id", "provider_id", "contact_id"),
        "media_processing",
    },
}
"""What the sandbox leaves out, as it may. Every other field of an answer must have come."""


def is_model(seen: Any, model: type[T]) -> T:
    assert isinstance(seen, model), f"{type(seen).__name__} instead of {model.__name__}"
    assert not seen.additional_properties, f"fields that the document lacks: {seen.additional_properties}"
    assert not seen.unparsed, f"dates that could not be read: {seen.unparsed}"
    lost = [name for name in seen.wire_names if not seen.is_set(name) and name not in ABSENT.get(model, ())]
    assert not lost, f"fields that did not come: {', '.join(lost)}"
    return seen


E = TypeVar("E", bound=Exception)


async def refused(error: type[E], awaitable: Awaitable[Any]) -> E:
    try:
        seen = await awaitable
    except error as refusal:
        return refusal
    raise AssertionError(f"no {error.__name__}, but {seen!r}")


async def gone(awaitable: Awaitable[Any]) -> None:
    error = await refused(NotFoundError, awaitable)
    assert (error.status_code, error.code) == (404, 404)


@contextmanager
def warns(*names: str) -> Iterator[None]:
    """Each of these keywords is deprecated, and the caller is told so at the line that awaits."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    told = [str(one.message) for one in caught if (one.category, one.filename) == (DeprecationWarning, __file__)]
    assert [name for name in names if not any(name in text for text in told)] == [], f"only {told}"


async def listed(
    walking: Walk, way: str, given: Given, wanted: Sequence[Any], model: type[Any], *, numbered: bool = True
) -> None:
    """The list holds what is wanted, in this order, however it is walked; five items on pages of two."""

    def paginator() -> AsyncPaginator[Any]:
        made = WAYS[way](walking.client, given)
        assert isinstance(made, AsyncPaginator)
        return made

    with walking.client.capture_exchanges() as exchanges:
        items = [is_model(item, model) async for item in paginator()]
    assert [item.id for item in items] == [one.id for one in wanted]
    assert items == list(wanted), "the list shows its items otherwise than they were answered"
    assert len(exchanges) == 3, f"{len(exchanges)} requests for 5 items on pages of 2"
    first = await paginator()
    assert isinstance(first, Page)
    assert (len(first.items), first.total_count, first.has_next_page()) == (2, 5, True)
    sizes = [len(page.items) async for page in paginator().iter_pages()]
    assert sizes == [2, 2, 1]
    resumed = await WAYS[way](walking.client, replace(given, page_token=first.next_page_token))
    assert [item.id for item in resumed.items] == [one.id for one in wanted[2:4]]
    if numbered:
        second = await WAYS[way](walking.client, replace(given, page=2))
        assert [item.id for item in second.items] == [one.id for one in wanted[2:4]]


def wire(value: Any) -> Any:
    """Keys that Python cannot have as they are, as the wire has them: ``type_`` is ``type``."""
    if isinstance(value, Mapping):
        return {key.removesuffix("_"): wire(inner) for key, inner in value.items()}
    return [wire(inner) for inner in value] if isinstance(value, list) else value


def camel(value: Any) -> Any:
    """The same, all keys in camelCase: for what the sandbox keeps of a request as it came."""
    if isinstance(value, Mapping):
        return {_camel(key): camel(inner) for key, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value


def _camel(key: str) -> str:
    first, *rest = key.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def arrived(walking: Walk, operation: str, fields: Fields) -> None:
    """The last request had these fields: for what the sandbox takes and does not tell again."""
    received = walking.sandbox.requests.of(operation)[-1].json
    for name, value in camel(fields).items():
        assert name in received, f"{operation} was sent without {name}"
        seen = datetime.fromisoformat(received[name]) if isinstance(value, datetime) else received[name]
        assert seen == value, f"{operation} was sent with {name} {seen!r}"


def picked(fields: Fields, *names: str) -> Fields:
    return {name: fields[name] for name in names}


# --- tasks -------------------------------------------------------------------------------------------------------


async def new_task(walking: Walk, given: Given | None = None, **other: Any) -> models.Task:
    return await walking.client.tasks.create(**{**ways.task(given or walking.given()), **other})


@entry("GetTasks")
async def get_tasks(walking: Walk) -> None:
    given = walking.given(conversation=990_000)
    due = ways.task(given)["due_date"]
    wanted = [await new_task(walking, given, objective=f"Number {number}") for number in range(5)]
    others: list[Fields] = [
        {"due_date": due + timedelta(seconds=1)},
        {"due_date": due - timedelta(milliseconds=250)},
        {"due_date": None},
        {"context": {"conversation_id": 990_001}},
        {"assigned_to": {"type_": "user", "id": f"ai-{given.tag}"}},
        {"assigned_to": {"type_": "ai_employee", "id": "another"}},
        {"status": "cancelled"},
    ]
    for other in others:
        await new_task(walking, given, **other)
    await listed(walking, "GetTasks", given, wanted, models.Task, numbered=False)


@entry("CreateTask")
async def create_task(walking: Walk) -> None:
    given = walking.given()
    made = is_model(await walking.go("CreateTask", given), models.Task)
    same(made, ways.task(given))
    assert made.id
    assert made.created_at == made.updated_at == datetime.fromisoformat(walking.sandbox.clock.stamp())
    assert (made.completed_at, made.cancelled_at, made.cancellation_reason) == (None, None, None)
    assert await walking.client.tasks.get(made.id) == made
    done = await new_task(walking, status="completed", due_date=None)
    assert (done.status, done.due_date) == ("completed", None)


@entry("GetTask")
async def get_task(walking: Walk) -> None:
    made, other = await new_task(walking), await new_task(walking)
    assert made.id != other.id
    assert is_model(await walking.go("GetTask", walking.given(task=made.id)), models.Task) == made
    await gone(walking.client.tasks.get(f"{other.id}0000"))


@entry("UpdateTask")
async def update_task(walking: Walk) -> None:
    made = await new_task(walking)
    walking.later()
    narrow = await walking.client.tasks.update(made.id, objective="Send it today")
    assert narrow.objective == "Send it today"
    unchanged(narrow, made, "objective")
    walking.later()
    given = walking.given(task=made.id)
    wide = is_model(await walking.go("UpdateTask", given), models.Task)
    arrived(walking, "UpdateTask", {"completed_at": None})
    same(wide, ways.task_changes(given))
    unchanged(wide, narrow, *ways.task_changes(given))
    assert await walking.client.tasks.get(made.id) == wide

    second = await new_task(walking)
    walking.later()
    done = await walking.go("UpdateTask/complete", walking.given(task=second.id))
    assert (done.status, done.completed_at) == ("completed", done.updated_at)
    unchanged(done, second, "status", "completed_at")
    third = await new_task(walking)
    walking.later()
    off = await walking.go("UpdateTask/cancel", walking.given(task=third.id))
    assert (off.status, off.cancelled_at, off.cancellation_reason) == ("cancelled", off.updated_at, "Too late")
    unchanged(off, third, "status", "cancelled_at", "cancellation_reason")


@entry("DeleteTask")
async def delete_task(walking: Walk) -> None:
    made, other = await new_task(walking), await new_task(walking)
    assert is_model(await walking.go("DeleteTask", walking.given(task=made.id)), models.Task) == made
    await gone(walking.client.tasks.get(made.id))
    await gone(walking.client.tasks.delete(made.id))
    assert await walking.client.tasks.get(other.id) == other


# --- conversations -----------------------------------------------------------------------------------------------


def is_person(seen: models.Contact, sent: Fields) -> None:
    """The contact is the one described; its numbers and addresses are among its addresses."""
    same(seen, {name: value for name, value in sent.items() if name not in ("phones", "emails", "custom_fields")})
    custom_fields = seen.custom_fields or {}
    same({key: custom_fields.get(key) for key in sent["custom_fields"]}, sent["custom_fields"])
    addresses = [(one.channel_type, one.address) for one in seen.addresses or []]
    for channel, texts in (("PHONE", sent["phones"]), ("EMAIL", sent["emails"])):
        for text in texts:
            assert (channel, text) in addresses, f"{text} is not among {addresses}"


@entry("Create")
async def create_conversation(walking: Walk) -> None:
    given = walking.given()
    sent = ways.conversation(given)
    made = is_model(await walking.go("Create", given), models.Conversation)
    same(made, {name: value for name, value in sent.items() if name != "contact"})
    assert made.channel_sessions == []
    assert made.contacts is not None
    (contact,) = made.contacts
    assert contact.id == made.contact_id
    is_person(is_model(contact, models.Contact), sent["contact"])
    assert await walking.client.contacts.get(contact.id) == contact

    again = walking.given(contact=contact.id)
    second = is_model(await walking.go("Create/contact_id", again), models.Conversation)
    same(second, ways.conversation_with(again))
    assert second.id != made.id
    assert second.contacts == [contact]


@entry("BulkCreate")
async def bulk_create(walking: Walk) -> None:
    known = await new_contact(walking)
    given = walking.given(contact=known.id)
    result = is_model(await walking.go("BulkCreate", given), models.BulkResult)
    assert result.message
    assert result.operation_id
    report = result.report
    assert report.counts is not None
    same(report.counts, {"successful": 2, "warnings": 0, "duplicates": 0, "errors": 2, "total": 4})
    assert report.batch_errors == []
    issues = report.items_issues or []
    assert [one.index for one in issues] == [2, 3]
    told = [{(error.field, error.code) for error in one.errors or []} for one in issues]
    assert told[0] == {("contactId", "NOT_FOUND")}
    assert ("funnelId", "REQUIRED_FIELD") in told[1]
    assert all(error.message for one in issues for error in one.errors or [])

    sent = ways.conversations(given)
    assert [(one.item, one.errors) for one in result.issues] == [
        (item, one.errors) for item, one in zip(sent[2:], issues, strict=True)
    ]

    # No operation reads a conversation: the sandbox says what it made of them.
    last = walking.kept("conversations")["id"]
    first, second = (models.Conversation.from_dict(walking.kept("conversations", last - back)) for back in (1, 0))
    same(first, {name: value for name, value in sent[0].items() if name != "contact"})
    same(second, sent[1])
    assert first.contact_id is not None
    is_person(await walking.client.contacts.get(first.contact_id), sent[0]["contact"])


@entry("BulkUpdate")
async def bulk_update(walking: Walk) -> None:
    made = await walking.go("Create", walking.given())
    untouched = await walking.go("Create", walking.given())
    walking.later()
    given = walking.given(conversation=made.id, contact=made.contact_id)
    result = is_model(await walking.go("BulkUpdate", given), models.BulkResult)
    assert result.message
    assert result.operation_id
    assert result.report.counts is not None
    same(result.report.counts, {"successful": 1, "warnings": 0, "duplicates": 0, "errors": 1, "total": 2})
    (issue,) = result.report.items_issues or []
    same(issue, {"index": 1, "item_id": ways.UNKNOWN, "warnings": []})
    (error,) = issue.errors or []
    same(error, {"field": "id", "code": "NOT_FOUND"})

    sent, refused_one = ways.conversation_changes(given)
    assert [(one.item, one.errors) for one in result.issues] == [(refused_one, [error])]
    seen = models.Conversation.from_dict(walking.kept("conversations", made.id))
    same(seen, {name: value for name, value in sent.items() if name not in ("contact", "custom_fields")})
    assert seen.custom_fields == {**made.custom_fields, **sent["custom_fields"]}
    contact = await walking.client.contacts.get(made.contact_id)
    is_person(contact, sent["contact"])
    before = made.contacts[0]
    unchanged(contact, before, *sent["contact"], "addresses")
    other = await walking.client.contacts.get(untouched.contact_id)
    assert other == untouched.contacts[0]


# --- contacts ----------------------------------------------------------------------------------------------------


async def new_contact(walking: Walk, given: Given | None = None, **other: Any) -> models.Contact:
    return await walking.client.contacts.create(**{**ways.contact(given or walking.given()), **other})


POSITIONS = ("Chef", "Driver", "Actor", "Buyer", "Editor")
ORDERED = tuple(sorted(POSITIONS, reverse=True))


@entry("GetContacts")
async def get_contacts(walking: Walk) -> None:
    given = walking.given()
    made = {position: await new_contact(walking, given, company_position=position) for position in POSITIONS}
    others: list[Fields] = [
        {"first_name": "Janet"},
        {"last_name": f"{given.surname}0"},
        {"addresses": []},
    ]
    for other in others:
        await new_contact(walking, given, **other)
    await listed(walking, "GetContacts", given, [made[position] for position in ORDERED], models.Contact)


@entry("CreateContact")
async def create_contact(walking: Walk) -> None:
    given = walking.given()
    made = is_model(await walking.go("CreateContact", given), models.Contact)
    same(made, ways.contact(given))
    assert [(type(one), one.contact_id) for one in made.addresses or []] == [(models.ContactAddress, made.id)] * 3
    assert await walking.client.contacts.get(made.id) == made

    given = walking.given()
    with warns("email", "phone"):
        old = await walking.go("CreateContact/deprecated", given)
    same(old, {**ways.contact(given), **ways.deprecated(given)})
    bare = await walking.client.contacts.create()
    assert bare.id != made.id
    assert (bare.first_name, bare.addresses) == (None, [])


@entry("GetContact")
async def get_contact(walking: Walk) -> None:
    made, other = await new_contact(walking), await new_contact(walking)
    assert is_model(await walking.go("GetContact", walking.given(contact=made.id)), models.Contact) == made
    assert await walking.client.contacts.get(str(other.id)) == other
    await gone(walking.client.contacts.get(ways.UNKNOWN))


@entry("UpdateContact")
async def update_contact(walking: Walk) -> None:
    made = await new_contact(walking)
    walking.later()
    narrow = await walking.client.contacts.update(made.id, first_name="Janet")
    assert narrow.first_name == "Janet"
    unchanged(narrow, made, "first_name")
    walking.later()
    given = walking.given(contact=made.id)
    sent = ways.contact_changes(given)
    wide = is_model(await walking.go("UpdateContact", given), models.Contact)
    arrived(walking, "UpdateContact", picked(sent, "tenant_id", "updated_at"))
    same(wide, {name: value for name, value in sent.items() if name not in ("updated_at", "custom_fields")})
    assert wide.custom_fields == {**(made.custom_fields or {}), **sent["custom_fields"]}
    unchanged(wide, narrow, *sent)
    assert await walking.client.contacts.get(made.id) == wide
    walking.later()
    with warns("email", "phone"):
        old = await walking.go("UpdateContact/deprecated", given)
    same(old, ways.deprecated(given))
    unchanged(old, wide, *ways.deprecated(given))


@entry("DeleteContact")
async def delete_contact(walking: Walk) -> None:
    made, other = await new_contact(walking), await new_contact(walking)
    assert is_model(await walking.go("DeleteContact", walking.given(contact=made.id)), models.Contact) == made
    await gone(walking.client.contacts.get(made.id))
    await gone(walking.client.contacts.delete(made.id))
    assert await walking.client.contacts.get(other.id) == other


@entry("SearchContacts")
async def search_contacts(walking: Walk) -> None:
    given = walking.given()
    made = {position: await new_contact(walking, given, company_position=position) for position in POSITIONS}
    # Found by the condition that is enough by itself; older than the other Chef, so before it.
    janet = {"channel_type": "EMAIL", "address": f"janet.{given.tag}@example.org"}
    older: Fields = {"company_position": "Chef", "created_at": datetime(2020, 1, 1, tzinfo=UTC)}
    chef = await new_contact(walking, given, last_name="Gómez-Ñandú", addresses=[janet], **older)
    # Not found: no condition holds; the text does not occur; it is gone.
    await new_contact(walking, given, last_name=f"{given.surname}0")
    await new_contact(walking, given, last_name="Doe", addresses=[janet])
    await walking.client.contacts.delete((await new_contact(walking, given)).id)
    (old,) = walking.sandbox.seed({"contacts": [{"lastName": given.surname, "archivedAt": "2024-01-01T00:00:00Z"}]})[
        "contacts"
    ]
    archived = await walking.client.contacts.get(old["id"])
    wanted = [made["Editor"], made["Driver"], chef, made["Chef"], made["Buyer"], made["Actor"], archived]

    def paginator() -> AsyncPaginator[models.ContactSearchHit]:
        found = WAYS["SearchContacts"](walking.client, given)
        assert isinstance(found, AsyncPaginator)
        return found

    hits = [is_model(hit, models.ContactSearchHit) async for hit in paginator()]
    assert [hit.id for hit in hits] == [str(contact.id) for contact in wanted]
    for hit, contact in zip(hits, wanted, strict=True):
        is_hit(hit, contact)
    assert [hit.archived_at for hit in hits] == [None] * 6 + [datetime(2024, 1, 1, tzinfo=UTC)]
    first = await paginator()
    assert (len(first.items), first.total_count, first.has_next_page()) == (2, 7, True)
    resumed = await WAYS["SearchContacts"](walking.client, replace(given, page_token=first.next_page_token))
    assert [hit.id for hit in resumed.items] == [hit.id for hit in hits[2:4]]


def is_hit(hit: models.ContactSearchHit, contact: models.Contact) -> None:
    """The search shows the contact as it is, but for the ids, which are texts there."""
    ids = ("id", "user_id", "contact_company_id")
    for name in models.Contact.wire_names:
        value = getattr(contact, name)
        seen, wanted = getattr(hit, name), str(value) if name in ids and value is not None else value
        assert seen == wanted, f"{name} is {seen!r} in the search, and {wanted!r} in the contact"
    assert (hit.model_type, hit.event_timestamp) == ("Contact", hit.updated_at)
    assert hit.event_sequence


# --- messages ----------------------------------------------------------------------------------------------------


def is_message(seen: models.Message, sent: Fields, content: str) -> None:
    """Just sent, from our number to theirs."""
    is_model(seen, models.Message)
    same(seen, picked(sent, "user_id", "custom_fields"))
    same(seen, {"content": content, "status": "pending", "direction": "outbound", "channel": "whatsapp", "errors": []})
    same(seen.sender, {"address": sent.get("from_", sent.get("from_phone_number"))})
    same(seen.recipient, {"address": sent.get("to", sent.get("to_phone_number"))})


@entry("GetMessage")
async def get_message(walking: Walk) -> None:
    made = await walking.go("CreateMessage/text", walking.given())
    other = await walking.go("CreateMessage/text", walking.given())
    given = walking.given(message=made.id)
    assert made.id != other.id
    assert is_model(await walking.go("GetMessage", given), models.Message) == made
    seen = []
    for seconds in (0.6, 0.6, 6):
        walking.later(seconds)
        seen.append((await walking.go("GetMessage", given)).status)
    assert seen == ["sent", "delivered", "read"]
    last = await walking.go("GetMessage", given)
    assert (last.content, last.recipient) == (made.content, made.recipient)
    await gone(walking.client.messages.get(f"{other.id}0000"))


@entry("CreateTemplateMessage")
async def create_template_message(walking: Walk) -> None:
    given = walking.given()
    sent = ways.template(given)
    named = {"type": "template", "templateName": sent["template_name"], "languageCode": sent["language_code"]}
    by_variables = await walking.go("CreateTemplateMessage/variables", given)
    is_message(by_variables, sent, "[appointment_reminder] Jane 15:30")
    assert by_variables.metadata == {**named, "variables": ways.VARIABLES}
    by_components = await walking.go("CreateTemplateMessage/components", given)
    is_message(by_components, sent, "[appointment_reminder] Jane")
    assert by_components.metadata == {**named, "components": wire(ways.COMPONENTS)}
    assert by_components.id != by_variables.id
    assert await walking.client.messages.get(by_variables.id) == by_variables
    assert await walking.client.messages.get(by_components.id) == by_components


@entry("CreateMessage")
async def create_message(walking: Walk) -> None:
    given = walking.given()
    contact = await new_contact(walking, given)
    file = await walking.go("UploadMedia", given)
    given = replace(given, file=file.file_id)
    sent = ways.message(given)
    made = await walking.go("CreateMessage", given)
    is_message(made, sent, sent["content"])
    assert made.contact_id == contact.id
    (attachment,) = made.attachments
    same(is_model(attachment, models.MessageAttachment), {"id": file.file_id, "type_": "image", "is_cacheable": True})
    same(attachment.metadata, {"fileName": file.file_name, "contentType": file.content_type, "size": file.size})
    assert await walking.client.messages.get(made.id) == made

    text = ways.text_message(given)
    second = await walking.go("CreateMessage/text", given)
    is_message(second, text, text["text"])
    assert second.attachments == []
    assert second.id != made.id


@entry("UploadMedia")
async def upload_media(walking: Walk) -> None:
    given = walking.given()
    sent = ways.media(given)
    made = is_model(await walking.go("UploadMedia", given), models.Media)
    same(made, picked(sent, "file_name", "content_type", "tags"))
    assert made.size == len(base64.b64decode(sent["content"]))
    assert made.url
    assert made.file_id
    assert made.media_id
    again = await walking.go("UploadMedia/file_id", replace(given, file=made.file_id))
    assert again.media_id != made.media_id
    same(again, {"file_id": made.file_id, "size": made.size, **picked(sent, "file_name", "content_type", "tags")})


# --- custom fields -----------------------------------------------------------------------------------------------


async def new_definition(walking: Walk, given: Given | None = None, **other: Any) -> models.CustomFieldDefinition:
    fields = {**ways.definition(given or walking.given()), **other}
    return await walking.client.custom_fields.definitions.create(**fields)


async def new_option(walking: Walk, definition: int, **fields: Any) -> models.CustomFieldListOption:
    return await walking.client.custom_fields.options.create(definition, **fields)


@entry("GetCustomFieldDefinitions")
async def get_definitions(walking: Walk) -> None:
    given = walking.given()
    fields = {"entity_type": "PRODUCT", "field_type": "DATE", "description": f"Season {given.tag} and after"}
    made = {}
    for label in POSITIONS:
        made[label] = await new_definition(walking, field_label=label, **fields)
    for other in ({"entity_type": "CONTACT"}, {"field_type": "STRING"}, {"description": None}):
        await new_definition(walking, field_label="Another", **{**fields, **other})
    wanted = [made[label] for label in ORDERED]
    await listed(walking, "GetCustomFieldDefinitions", given, wanted, models.CustomFieldDefinition)
    elsewhere = walking.client.custom_fields.definitions.list(tenant_id="another")
    assert await elsewhere.collect() == []


@entry("CreateCustomFieldDefinition")
async def create_definition(walking: Walk) -> None:
    given = walking.given()
    made = is_model(await walking.go("CreateCustomFieldDefinition", given), models.CustomFieldDefinition)
    same(made, ways.definition(given))
    assert await walking.client.custom_fields.definitions.get(made.id) == made


@entry("GetCustomFieldDefinition")
async def get_definition(walking: Walk) -> None:
    made, other = await new_definition(walking), await new_definition(walking)
    assert made.id != other.id
    seen = await walking.go("GetCustomFieldDefinition", walking.given(definition=made.id))
    assert is_model(seen, models.CustomFieldDefinition) == made
    await gone(walking.client.custom_fields.definitions.get(ways.UNKNOWN))


@entry("UpdateCustomFieldDefinition")
async def update_definition(walking: Walk) -> None:
    made = await new_definition(walking)
    walking.later()
    narrow = await walking.client.custom_fields.definitions.update(made.id, field_label="Fidelity")
    assert narrow.field_label == "Fidelity"
    unchanged(narrow, made, "field_label")
    walking.later()
    given = walking.given(definition=made.id)
    sent = ways.definition_changes(given)
    wide = is_model(await walking.go("UpdateCustomFieldDefinition", given), models.CustomFieldDefinition)
    arrived(walking, "UpdateCustomFieldDefinition", picked(sent, "tenant_id", "updated_at"))
    same(wide, {name: value for name, value in sent.items() if name != "updated_at"})
    unchanged(wide, narrow, *sent)
    assert await walking.client.custom_fields.definitions.get(made.id) == wide


@entry("DeleteCustomFieldDefinition")
async def delete_definition(walking: Walk) -> None:
    definitions = walking.client.custom_fields.definitions
    made, other = await new_definition(walking), await new_definition(walking)
    await new_option(walking, made.id, value="gold")
    contact = await new_contact(walking, custom_fields={made.field_key: "gold", "source": "web"})
    in_use = await refused(ConflictError, definitions.delete(made.id))
    assert in_use.details == {"options": 1, "values": 1}
    assert await definitions.get(made.id) == made
    seen = await walking.go("DeleteCustomFieldDefinition", walking.given(definition=made.id))
    assert is_model(seen, models.CustomFieldDefinition) == made
    await gone(definitions.get(made.id))
    assert (await walking.client.contacts.get(contact.id)).custom_fields == {"source": "web"}
    assert await definitions.delete(other.id) == other
    await gone(definitions.get(other.id))


@entry("GetCustomFieldListOptions")
async def get_options(walking: Walk) -> None:
    definition, other = await new_definition(walking), await new_definition(walking)
    made = {}
    for value in POSITIONS:
        made[value] = await new_option(walking, definition.id, value=value, label="Gold or old", description="metal")
    await new_option(walking, definition.id, value="Zinc", label="Gold or old", description="wood")
    await new_option(walking, definition.id, value="Young", label="Young", description="metal")
    await new_option(walking, other.id, value="Chef", label="Gold or old", description="metal")
    given = walking.given(definition=definition.id)
    wanted = [made[value] for value in ORDERED]
    await listed(walking, "GetCustomFieldListOptions", given, wanted, models.CustomFieldListOption)
    elsewhere = walking.client.custom_fields.options.list(definition.id, tenant_id="another")
    assert await elsewhere.collect() == []
    await gone(walking.client.custom_fields.options.list(ways.UNKNOWN))


@entry("CreateCustomFieldListOption")
async def create_option(walking: Walk) -> None:
    definition = await new_definition(walking)
    given = walking.given(definition=definition.id)
    made = is_model(await walking.go("CreateCustomFieldListOption", given), models.CustomFieldListOption)
    same(made, {"definition_id": definition.id, **ways.option(given)})
    assert await walking.client.custom_fields.options.get(definition.id, made.id) == made


@entry("GetCustomFieldListOption")
async def get_option(walking: Walk) -> None:
    definition = await new_definition(walking)
    made = await new_option(walking, definition.id, value="gold", label="Gold")
    other = await new_option(walking, definition.id, value="silver")
    given = walking.given(definition=definition.id, option=made.id)
    assert is_model(await walking.go("GetCustomFieldListOption", given), models.CustomFieldListOption) == made
    assert made.id != other.id
    await gone(walking.client.custom_fields.options.get(definition.id, ways.UNKNOWN))


@entry("UpdateCustomFieldListOption")
async def update_option(walking: Walk) -> None:
    options = walking.client.custom_fields.options
    definition = await new_definition(walking)
    made = await new_option(walking, definition.id, value="gold", label="Gold", description="The best")
    walking.later()
    narrow = await options.update(definition.id, made.id, label="Golden")
    assert narrow.label == "Golden"
    unchanged(narrow, made, "label")
    walking.later()
    given = walking.given(definition=definition.id, option=made.id)
    sent = ways.option_changes(given)
    wide = is_model(await walking.go("UpdateCustomFieldListOption", given), models.CustomFieldListOption)
    arrived(walking, "UpdateCustomFieldListOption", picked(sent, "tenant_id", "updated_at"))
    same(wide, {name: value for name, value in sent.items() if name != "updated_at"})
    unchanged(wide, narrow, *sent)
    assert await options.get(definition.id, made.id) == wide


@entry("DeleteCustomFieldListOption")
async def delete_option(walking: Walk) -> None:
    options = walking.client.custom_fields.options
    definition = await new_definition(walking)
    made = await new_option(walking, definition.id, value="gold")
    other = await new_option(walking, definition.id, value="silver")
    given = walking.given(definition=definition.id, option=made.id)
    assert is_model(await walking.go("DeleteCustomFieldListOption", given), models.CustomFieldListOption) == made
    await gone(options.get(definition.id, made.id))
    assert await options.list(definition.id).collect() == [other]


# --- calls and recordings ----------------------------------------------------------------------------------------


async def is_queued(walking: Walk, call: models.Call, given: Given) -> None:
    """Just started, to the number given; the same call can be read."""
    is_model(call, models.Call)
    same(call, {"to": given.number, "status": "queued", "direction": "outgoing", "duration": None})
    assert await walking.client.calls.get(call.id) == call


@entry("StartAgentCallV2")
async def start_adhoc_agent(walking: Walk) -> None:
    given = walking.given()
    sent = ways.adhoc_agent(given)
    call = await walking.go("StartAgentCallV2", given)
    await is_queued(walking, call, given)
    same(call, {"from_": ways.OUR_NUMBER, "provider_name": "vapi", **picked(sent, "user_id", "custom_data")})
    names = ("objectives", "personality", "localization", "constraints", "contact_info", "knowledge_base", "task_steps")
    assert call.metadata == camel(picked(sent, *names))
    silent = ("max_duration_seconds", "silence_timeout_seconds", "provider", "provider_config")
    arrived(walking, "StartAgentCallV2", picked(sent, *silent))


@entry("StartBridgeCall")
async def start_bridge_call(walking: Walk) -> None:
    given = walking.given()
    contact = await new_contact(walking, given)
    sent = ways.bridge(given)
    call = await walking.go("StartBridgeCall", given)
    await is_queued(walking, call, given)
    same(call, {"from_": sent["from_"], "contact_id": contact.id, "custom_data": sent["call_custom_data"]})
    assert call.metadata == {"providerData": sent["provider_data"]}


@entry("StartAgentCall")
async def start_agent_call(walking: Walk) -> None:
    given = walking.given()
    sent = ways.agent(given)
    call = await walking.go("StartAgentCall", given)
    await is_queued(walking, call, given)
    same(call, picked(sent, "custom_data"))
    assert call.metadata == {
        "voiceAgentId": sent["voice_agent_id"],
        "contextVariables": sent["context_variables"],
    }


@entry("CreateCall")
async def create_call(walking: Walk) -> None:
    given = walking.given()
    call = is_model(await walking.go("CreateCall", given), models.Call)
    same(call, ways.past_call(given))
    assert await walking.client.calls.get(call.id) == call
    empty = {"user_id": None, "metadata": None, "redirected_to": None, "duration": None, "team_id": None}
    second = await walking.client.calls.create(**{**ways.past_call(given), **empty, "status": "no-answer"})
    same(second, {**ways.past_call(given), **empty, "status": "no-answer"})


@entry("GetCall")
async def get_call(walking: Walk) -> None:
    call = await walking.go("StartBridgeCall", walking.given())
    given = walking.given(call=call.id)
    assert is_model(await walking.go("GetCall", given), models.Call) == call
    seen = []
    for seconds in (0.4, 0.5, 1.2):
        walking.later(seconds)
        seen.append((await walking.go("GetCall", given)).status)
    assert seen == ["ringing", "in-progress", "completed"]
    ended = await walking.go("GetCall/wait", given)
    unchanged(ended, call, "status", "duration", "last_update_sequence")
    assert ended.duration
    await gone(walking.client.calls.get(ways.UNKNOWN))


async def ended_call(walking: Walk) -> models.Call:
    """A call from its start to its end; nothing is left behind before."""
    started = await walking.go("StartAgentCall", walking.given())
    await gone(walking.client.calls.get_transcription(started.id))
    await gone(walking.client.calls.get_recording(started.id))
    walking.later(60)
    ended: models.Call = await walking.go("GetCall/wait", walking.given(call=started.id))
    assert (ended.id, ended.status) == (started.id, "completed")
    return ended


@entry("GetCallTranscription")
async def get_call_transcription(walking: Walk) -> None:
    call = await ended_call(walking)
    seen = is_model(await walking.go("GetCallTranscription", walking.given(call=call.id)), models.CallTranscription)
    recording = await walking.client.calls.get_recording(call.id)
    same(seen, {"recording_id": recording.id, "tenant_id": call.tenant_id})
    variables = ways.agent(walking.given())["context_variables"]
    assert f"Hello {variables['customerFirstName']}" in (seen.text or "")
    assert f"customerLastName: {variables['customerLastName']}" in (seen.text or "")
    file = await walking.client.request("GET", seen.url or "")
    assert file.text == seen.text


@entry("GetCallRecording")
async def get_call_recording(walking: Walk) -> None:
    call = await ended_call(walking)
    seen = is_model(await walking.go("GetCallRecording", walking.given(call=call.id)), models.Recording)
    same(seen, {"call_id": call.id, "start_time": call.start_time, "duration": call.duration, "dual_channel": True})
    same(seen, {"call_provider_name": call.provider_name, "created_at": call.updated_at})
    assert await walking.client.recordings.get(seen.id) == seen
    assert seen.url
    past = await walking.go("CreateCall", walking.given())
    same(await walking.client.calls.get_recording(past.id), {"call_id": past.id, "duration": past.duration})


@entry("GetRecording")
async def get_recording(walking: Walk) -> None:
    call = await ended_call(walking)
    made = await walking.client.calls.get_recording(call.id)
    seen = await walking.go("GetRecording", walking.given(recording=made.id))
    assert is_model(seen, models.Recording) == made
    await gone(walking.client.recordings.get(ways.UNKNOWN))


@entry("LoadRecording")
async def load_recording(walking: Walk) -> None:
    given = walking.given()
    sent = ways.loaded_recording(given)
    assert await walking.go("LoadRecording", given) is None
    # The answer is empty: the sandbox says which recording it made, and the client reads it.
    start = datetime.fromisoformat(sent["call_start_time"])
    recording = await walking.client.recordings.get(walking.kept("recordings")["id"])
    same(recording, {"url": sent["url"], "start_time": start})
    assert recording.call_id is not None
    call = await walking.client.calls.get(recording.call_id)
    same(call, {"to": sent["call_to"], "from_": sent["call_from"], "direction": "incoming", "start_time": start})
    same(call, picked(sent, "user_id"))
    assert await walking.client.calls.get_recording(call.id) == recording
