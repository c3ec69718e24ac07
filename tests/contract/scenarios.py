"""Every operation of openapi.yaml through its public method, and what comes back compared with what went in.

One scenario per operationId, each for itself on a sandbox that others have used before; what is sent stands in
operation_calls.py. `run_all` fails for a scenario whose operation did not go over the wire, and for whatever else goes
over it. An operation without a scenario of its own has each of its calls sent, and its answers read.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from llamadapro import AsyncLlamadaPro, AsyncPaginator, ConflictError, NotFoundError, models
from llamadapro._pagination import Page
from llamadapro_api.reading import Model
from llamadapro_sandbox import Sandbox
from tests.contract import operation_calls as calls
from tests.contract.operation_calls import OPERATION_CALLS, Fields, Given, operation_id
from tests.openapi import OPERATIONS, operation_of

T = TypeVar("T", bound=Model)


class Run:
    """What a scenario works with: the client, the sandbox's clock and memory, and ids that nobody else uses."""

    def __init__(self, client: AsyncLlamadaPro, sandbox: Sandbox) -> None:
        self.client = client
        self.sandbox = sandbox
        self._tags = count(1)

    def given(self, **ids: Any) -> Given:
        return Given(tag=next(self._tags), tenant="sandbox", **ids)

    async def go(self, name: str, given: Given) -> Any:
        return await OPERATION_CALLS[name](self.client, given)

    def later(self, seconds: float = 1) -> None:
        """Time passes, and nobody waits."""
        self.sandbox.clock.advance(seconds)

    def kept(self, kind: str, number: int | None = None) -> dict[str, Any]:
        """A record as the sandbox remembers it (the last one of its kind): for what no operation reads."""
        records = dict(self.sandbox.store.some(kind))
        assert records, f"the sandbox keeps no {kind}"
        return records[max(records) if number is None else number]


Scenario = Callable[[Run], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(operation: str) -> Callable[[Scenario], Scenario]:
    """This function is the scenario of that operation."""

    def keep(function: Scenario) -> Scenario:
        assert operation not in SCENARIOS, f"{operation} has two scenarios"
        SCENARIOS[operation] = function
        return function

    return keep


class ScenariosFailed(Exception):
    """All that the scenarios found wrong, one operation a line."""


@dataclass
class Result:
    """What became of one scenario."""

    sent: set[str]
    """The operations that went over the wire and were answered as documented."""
    found: list[str]
    error: Exception | None = None


def scenarios() -> dict[str, Scenario]:
    """For each operation of the document that something calls, its own scenario or `sent_and_read`."""
    called = {operation_id(name) for name in OPERATION_CALLS}
    return {name: partial(sent_and_read, operation=name) for name in OPERATIONS if name in called} | SCENARIOS


async def sent_and_read(run: Run, operation: str) -> None:
    """All that can be asked of an operation that nobody has written a scenario for."""
    for name in [name for name in OPERATION_CALLS if operation_id(name) == operation]:
        answer = await run.go(name, run.given())
        shape = OPERATIONS[operation].answer
        if shape is None:
            assert answer is None, f"{answer!r} instead of None"
        elif isinstance(answer, Page):
            for item in answer.items:
                assert not {**item.unparsed, **item.additional_properties}, f"not understood: {item!r}"
        elif shape.kind == "object":
            is_model(answer, getattr(models, shape.name), complete=False)


async def run_all(client: AsyncLlamadaPro, sandbox: Sandbox, chosen: Mapping[str, Scenario] | None = None) -> set[str]:
    """Run all scenarios and return the operations that went over the wire; raises `ScenariosFailed`.

    An operation that nothing calls has no scenario: test_completeness.py names it.
    """
    chosen = scenarios() if chosen is None else chosen
    found = [f"{one}: no operation of openapi.yaml" for one in chosen if one not in OPERATIONS]
    run = Run(client, sandbox)
    results = [await run_one(run, name, function) for name, function in chosen.items()]
    found += [line for one in results for line in one.found]
    sent = {operation for one in results for operation in one.sent}
    found += [f"{one}: never sent" for one in chosen if one not in sent]
    if found:
        errors = [one.error for one in results if one.error is not None]
        raise ScenariosFailed("\n".join(found)) from (ExceptionGroup("scenarios", errors) if errors else None)
    return sent


async def run_one(run: Run, name: str, function: Scenario) -> Result:
    """Run one scenario."""
    result = Result(set(), [])
    with run.client.capture_exchanges() as exchanges:
        try:
            await function(run)
        except Exception as error:
            result.error = error
            result.found.append(f"{name}: {type(error).__name__}: {error}")
    for exchange in exchanges:
        operation = operation_of(exchange.method, exchange.path)
        if exchange.operation == "request":
            continue  # a file of the sandbox's: no operation of the document
        if operation is None or operation.name != exchange.operation:
            result.found.append(f"{name}: sent {exchange.method} {exchange.path} as {exchange.operation}")
        elif exchange.status_code == operation.success[0]:
            result.sent.add(operation.id)
    if name not in result.sent:
        result.found.append(f"{name}: its scenario did not send it, or it was never answered as documented")
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


def is_model(seen: Any, model: type[T], *, complete: bool = True) -> T:
    assert isinstance(seen, model), f"{type(seen).__name__} instead of {model.__name__}"
    assert not seen.additional_properties, f"fields that the document lacks: {seen.additional_properties}"
    assert not seen.unparsed, f"dates that could not be read: {seen.unparsed}"
    absent = ABSENT.get(model, ()) if complete else seen.wire_names
    lost = [name for name in seen.wire_names if not seen.is_set(name) and name not in absent]
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
    """Each of these keywords is deprecated, and the caller is warned at the line that awaits."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    reported = [str(one.message) for one in caught if (one.category, one.filename) == (DeprecationWarning, __file__)]
    assert [name for name in names if not any(name in text for text in reported)] == [], f"only {reported}"


async def listed(
    run: Run, name: str, given: Given, wanted: Sequence[Any], model: type[Any], *, numbered: bool = True
) -> None:
    """The list holds what is wanted, in this order, however it is iterated; five items on pages of two."""

    def paginator() -> AsyncPaginator[Any]:
        made = OPERATION_CALLS[name](run.client, given)
        assert isinstance(made, AsyncPaginator)
        return made

    with run.client.capture_exchanges() as exchanges:
        items = [is_model(item, model) async for item in paginator()]
    assert [item.id for item in items] == [one.id for one in wanted]
    assert items == list(wanted), "the list shows its items otherwise than they were answered"
    assert len(exchanges) == 3, f"{len(exchanges)} requests for 5 items on pages of 2"
    first = await paginator()
    assert isinstance(first, Page)
    assert (len(first.items), first.total_count, first.has_next_page()) == (2, 5, True)
    sizes = [len(page.items) async for page in paginator().iter_pages()]
    assert sizes == [2, 2, 1]
    resumed = await OPERATION_CALLS[name](run.client, replace(given, page_token=first.next_page_token))
    assert [item.id for item in resumed.items] == [one.id for one in wanted[2:4]]
    if numbered:
        second = await OPERATION_CALLS[name](run.client, replace(given, page=2))
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


def arrived(run: Run, operation: str, fields: Fields) -> None:
    """The last request had these fields: for what the sandbox takes and does not tell again."""
    received = run.sandbox.requests.of(operation)[-1].json
    for name, value in camel(fields).items():
        assert name in received, f"{operation} was sent without {name}"
        seen = datetime.fromisoformat(received[name]) if isinstance(value, datetime) else received[name]
        assert seen == value, f"{operation} was sent with {name} {seen!r}"


def picked(fields: Fields, *names: str) -> Fields:
    return {name: fields[name] for name in names}


# --- tasks -------------------------------------------------------------------------------------------------------


async def new_task(run: Run, given: Given | None = None, **other: Any) -> models.Task:
    return await run.client.tasks.create(**{**calls.task(given or run.given()), **other})


@scenario("GetTasks")
async def get_tasks(run: Run) -> None:
    given = run.given(conversation=990_000)
    due = calls.task(given)["due_date"]
    wanted = [await new_task(run, given, objective=f"Number {number}") for number in range(5)]
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
        await new_task(run, given, **other)
    await listed(run, "GetTasks", given, wanted, models.Task, numbered=False)


@scenario("CreateTask")
async def create_task(run: Run) -> None:
    given = run.given()
    made = is_model(await run.go("CreateTask", given), models.Task)
    same(made, calls.task(given))
    assert made.id
    assert made.created_at == made.updated_at == datetime.fromisoformat(run.sandbox.clock.stamp())
    assert (made.completed_at, made.cancelled_at, made.cancellation_reason) == (None, None, None)
    assert await run.client.tasks.get(made.id) == made
    done = await new_task(run, status="completed", due_date=None)
    assert (done.status, done.due_date) == ("completed", None)


@scenario("GetTask")
async def get_task(run: Run) -> None:
    made, other = await new_task(run), await new_task(run)
    assert made.id != other.id
    assert is_model(await run.go("GetTask", run.given(task=made.id)), models.Task) == made
    await gone(run.client.tasks.get(f"{other.id}0000"))


@scenario("UpdateTask")
async def update_task(run: Run) -> None:
    made = await new_task(run)
    run.later()
    narrow = await run.client.tasks.update(made.id, objective="Send it today")
    assert narrow.objective == "Send it today"
    unchanged(narrow, made, "objective")
    run.later()
    given = run.given(task=made.id)
    wide = is_model(await run.go("UpdateTask", given), models.Task)
    arrived(run, "UpdateTask", {"completed_at": None})
    same(wide, calls.task_changes(given))
    unchanged(wide, narrow, *calls.task_changes(given))
    assert await run.client.tasks.get(made.id) == wide

    second = await new_task(run)
    run.later()
    done = await run.go("UpdateTask/complete", run.given(task=second.id))
    assert (done.status, done.completed_at) == ("completed", done.updated_at)
    unchanged(done, second, "status", "completed_at")
    third = await new_task(run)
    run.later()
    off = await run.go("UpdateTask/cancel", run.given(task=third.id))
    assert (off.status, off.cancelled_at, off.cancellation_reason) == ("cancelled", off.updated_at, "Too late")
    unchanged(off, third, "status", "cancelled_at", "cancellation_reason")


@scenario("DeleteTask")
async def delete_task(run: Run) -> None:
    made, other = await new_task(run), await new_task(run)
    assert is_model(await run.go("DeleteTask", run.given(task=made.id)), models.Task) == made
    await gone(run.client.tasks.get(made.id))
    await gone(run.client.tasks.delete(made.id))
    assert await run.client.tasks.get(other.id) == other


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


@scenario("Create")
async def create_conversation(run: Run) -> None:
    given = run.given()
    sent = calls.conversation(given)
    made = is_model(await run.go("Create", given), models.Conversation)
    same(made, {name: value for name, value in sent.items() if name != "contact"})
    assert made.channel_sessions == []
    assert made.contacts is not None
    (contact,) = made.contacts
    assert contact.id == made.contact_id
    is_person(is_model(contact, models.Contact), sent["contact"])
    assert await run.client.contacts.get(contact.id) == contact

    again = run.given(contact=contact.id)
    second = is_model(await run.go("Create/contact_id", again), models.Conversation)
    same(second, calls.conversation_with(again))
    assert second.id != made.id
    assert second.contacts == [contact]


@scenario("BulkCreate")
async def bulk_create(run: Run) -> None:
    known = await new_contact(run)
    given = run.given(contact=known.id)
    result = is_model(await run.go("BulkCreate", given), models.BulkResult)
    assert result.message
    assert result.operation_id
    report = result.report
    assert report.counts is not None
    same(report.counts, {"successful": 2, "warnings": 0, "duplicates": 0, "errors": 2, "total": 4})
    assert report.batch_errors == []
    issues = report.items_issues or []
    assert [one.index for one in issues] == [2, 3]
    reported = [{(error.field, error.code) for error in one.errors or []} for one in issues]
    assert reported[0] == {("contactId", "NOT_FOUND")}
    assert ("funnelId", "REQUIRED_FIELD") in reported[1]
    assert all(error.message for one in issues for error in one.errors or [])

    sent = calls.conversations(given)
    assert [(one.item, one.errors) for one in result.issues] == [
        (item, one.errors) for item, one in zip(sent[2:], issues, strict=True)
    ]

    # No operation reads a conversation: the sandbox says what it made of them.
    last = run.kept("conversations")["id"]
    first, second = (models.Conversation.from_dict(run.kept("conversations", last - back)) for back in (1, 0))
    same(first, {name: value for name, value in sent[0].items() if name != "contact"})
    same(second, sent[1])
    assert first.contact_id is not None
    is_person(await run.client.contacts.get(first.contact_id), sent[0]["contact"])


@scenario("BulkUpdate")
async def bulk_update(run: Run) -> None:
    made = await run.go("Create", run.given())
    untouched = await run.go("Create", run.given())
    run.later()
    given = run.given(conversation=made.id, contact=made.contact_id)
    result = is_model(await run.go("BulkUpdate", given), models.BulkResult)
    assert result.message
    assert result.operation_id
    assert result.report.counts is not None
    same(result.report.counts, {"successful": 1, "warnings": 0, "duplicates": 0, "errors": 1, "total": 2})
    (issue,) = result.report.items_issues or []
    same(issue, {"index": 1, "item_id": calls.UNKNOWN, "warnings": []})
    (error,) = issue.errors or []
    same(error, {"field": "id", "code": "NOT_FOUND"})

    sent, refused_one = calls.conversation_changes(given)
    assert [(one.item, one.errors) for one in result.issues] == [(refused_one, [error])]
    seen = models.Conversation.from_dict(run.kept("conversations", made.id))
    same(seen, {name: value for name, value in sent.items() if name not in ("contact", "custom_fields")})
    assert seen.custom_fields == {**made.custom_fields, **sent["custom_fields"]}
    contact = await run.client.contacts.get(made.contact_id)
    is_person(contact, sent["contact"])
    before = made.contacts[0]
    unchanged(contact, before, *sent["contact"], "addresses")
    other = await run.client.contacts.get(untouched.contact_id)
    assert other == untouched.contacts[0]


# --- contacts ----------------------------------------------------------------------------------------------------


async def new_contact(run: Run, given: Given | None = None, **other: Any) -> models.Contact:
    return await run.client.contacts.create(**{**calls.contact(given or run.given()), **other})


POSITIONS = ("Chef", "Driver", "Actor", "Buyer", "Editor")
ORDERED = tuple(sorted(POSITIONS, reverse=True))


@scenario("GetContacts")
async def get_contacts(run: Run) -> None:
    given = run.given()
    made = {position: await new_contact(run, given, company_position=position) for position in POSITIONS}
    others: list[Fields] = [
        {"first_name": "Janet"},
        {"last_name": f"{given.surname}0"},
        {"addresses": []},
    ]
    for other in others:
        await new_contact(run, given, **other)
    await listed(run, "GetContacts", given, [made[position] for position in ORDERED], models.Contact)


@scenario("CreateContact")
async def create_contact(run: Run) -> None:
    given = run.given()
    made = is_model(await run.go("CreateContact", given), models.Contact)
    same(made, calls.contact(given))
    assert [(type(one), one.contact_id) for one in made.addresses or []] == [(models.ContactAddress, made.id)] * 3
    assert await run.client.contacts.get(made.id) == made

    given = run.given()
    with warns("email", "phone"):
        old = await run.go("CreateContact/deprecated", given)
    same(old, {**calls.contact(given), **calls.deprecated(given)})
    bare = await run.client.contacts.create()
    assert bare.id != made.id
    assert (bare.first_name, bare.addresses) == (None, [])


@scenario("GetContact")
async def get_contact(run: Run) -> None:
    made, other = await new_contact(run), await new_contact(run)
    assert is_model(await run.go("GetContact", run.given(contact=made.id)), models.Contact) == made
    assert await run.client.contacts.get(str(other.id)) == other
    await gone(run.client.contacts.get(calls.UNKNOWN))


@scenario("UpdateContact")
async def update_contact(run: Run) -> None:
    made = await new_contact(run)
    run.later()
    narrow = await run.client.contacts.update(made.id, first_name="Janet")
    assert narrow.first_name == "Janet"
    unchanged(narrow, made, "first_name")
    run.later()
    given = run.given(contact=made.id)
    sent = calls.contact_changes(given)
    wide = is_model(await run.go("UpdateContact", given), models.Contact)
    arrived(run, "UpdateContact", picked(sent, "tenant_id", "updated_at"))
    same(wide, {name: value for name, value in sent.items() if name not in ("updated_at", "custom_fields")})
    assert wide.custom_fields == {**(made.custom_fields or {}), **sent["custom_fields"]}
    unchanged(wide, narrow, *sent)
    assert await run.client.contacts.get(made.id) == wide
    run.later()
    with warns("email", "phone"):
        old = await run.go("UpdateContact/deprecated", given)
    same(old, calls.deprecated(given))
    unchanged(old, wide, *calls.deprecated(given))


@scenario("DeleteContact")
async def delete_contact(run: Run) -> None:
    made, other = await new_contact(run), await new_contact(run)
    assert is_model(await run.go("DeleteContact", run.given(contact=made.id)), models.Contact) == made
    await gone(run.client.contacts.get(made.id))
    await gone(run.client.contacts.delete(made.id))
    assert await run.client.contacts.get(other.id) == other


@scenario("SearchContacts")
async def search_contacts(run: Run) -> None:
    given = run.given()
    made = {position: await new_contact(run, given, company_position=position) for position in POSITIONS}
    # Found by the condition that is enough by itself; older than the other Chef, so before it.
    janet = {"channel_type": "EMAIL", "address": f"janet.{given.tag}@example.org"}
    older: Fields = {"company_position": "Chef", "created_at": datetime(2020, 1, 1, tzinfo=UTC)}
    chef = await new_contact(run, given, last_name="Gómez-Ñandú", addresses=[janet], **older)
    # Not found: no condition holds; the text does not occur; it is gone.
    await new_contact(run, given, last_name=f"{given.surname}0")
    await new_contact(run, given, last_name="Doe", addresses=[janet])
    await run.client.contacts.delete((await new_contact(run, given)).id)
    (old,) = run.sandbox.seed({"contacts": [{"lastName": given.surname, "archivedAt": "2024-01-01T00:00:00Z"}]})[
        "contacts"
    ]
    archived = await run.client.contacts.get(old["id"])
    wanted = [made["Editor"], made["Driver"], chef, made["Chef"], made["Buyer"], made["Actor"], archived]

    def paginator() -> AsyncPaginator[models.ContactSearchHit]:
        found = OPERATION_CALLS["SearchContacts"](run.client, given)
        assert isinstance(found, AsyncPaginator)
        return found

    hits = [is_model(hit, models.ContactSearchHit) async for hit in paginator()]
    assert [hit.id for hit in hits] == [str(contact.id) for contact in wanted]
    for hit, contact in zip(hits, wanted, strict=True):
        is_hit(hit, contact)
    assert [hit.archived_at for hit in hits] == [None] * 6 + [datetime(2024, 1, 1, tzinfo=UTC)]
    first = await paginator()
    assert (len(first.items), first.total_count, first.has_next_page()) == (2, 7, True)
    resumed = await OPERATION_CALLS["SearchContacts"](run.client, replace(given, page_token=first.next_page_token))
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


@scenario("GetMessage")
async def get_message(run: Run) -> None:
    made = await run.go("CreateMessage/text", run.given())
    other = await run.go("CreateMessage/text", run.given())
    given = run.given(message=made.id)
    assert made.id != other.id
    assert is_model(await run.go("GetMessage", given), models.Message) == made
    seen = []
    for seconds in (0.6, 0.6, 6):
        run.later(seconds)
        seen.append((await run.go("GetMessage", given)).status)
    assert seen == ["sent", "delivered", "read"]
    last = await run.go("GetMessage", given)
    assert (last.content, last.recipient) == (made.content, made.recipient)
    await gone(run.client.messages.get(f"{other.id}0000"))


@scenario("CreateTemplateMessage")
async def create_template_message(run: Run) -> None:
    given = run.given()
    sent = calls.template(given)
    named = {"type": "template", "templateName": sent["template_name"], "languageCode": sent["language_code"]}
    by_variables = await run.go("CreateTemplateMessage/variables", given)
    is_message(by_variables, sent, "[appointment_reminder] Jane 15:30")
    assert by_variables.metadata == {**named, "variables": calls.VARIABLES}
    by_components = await run.go("CreateTemplateMessage/components", given)
    is_message(by_components, sent, "[appointment_reminder] Jane")
    assert by_components.metadata == {**named, "components": wire(calls.COMPONENTS)}
    assert by_components.id != by_variables.id
    assert await run.client.messages.get(by_variables.id) == by_variables
    assert await run.client.messages.get(by_components.id) == by_components


@scenario("CreateMessage")
async def create_message(run: Run) -> None:
    given = run.given()
    contact = await new_contact(run, given)
    file = await run.go("UploadMedia", given)
    given = replace(given, file=file.file_id)
    sent = calls.message(given)
    made = await run.go("CreateMessage", given)
    is_message(made, sent, sent["content"])
    assert made.contact_id == contact.id
    (attachment,) = made.attachments
    same(is_model(attachment, models.MessageAttachment), {"id": file.file_id, "type_": "image", "is_cacheable": True})
    same(attachment.metadata, {"fileName": file.file_name, "contentType": file.content_type, "size": file.size})
    assert await run.client.messages.get(made.id) == made

    text = calls.text_message(given)
    second = await run.go("CreateMessage/text", given)
    is_message(second, text, text["text"])
    assert second.attachments == []
    assert second.id != made.id


@scenario("UploadMedia")
async def upload_media(run: Run) -> None:
    given = run.given()
    sent = calls.media(given)
    made = is_model(await run.go("UploadMedia", given), models.Media)
    same(made, picked(sent, "file_name", "content_type", "tags"))
    assert made.size == len(base64.b64decode(sent["content"]))
    assert made.url
    assert made.file_id
    assert made.media_id
    again = await run.go("UploadMedia/file_id", replace(given, file=made.file_id))
    assert again.media_id != made.media_id
    same(again, {"file_id": made.file_id, "size": made.size, **picked(sent, "file_name", "content_type", "tags")})


# --- custom fields -----------------------------------------------------------------------------------------------


async def new_definition(run: Run, given: Given | None = None, **other: Any) -> models.CustomFieldDefinition:
    fields = {**calls.definition(given or run.given()), **other}
    return await run.client.custom_fields.definitions.create(**fields)


async def new_option(run: Run, definition: int, **fields: Any) -> models.CustomFieldListOption:
    return await run.client.custom_fields.options.create(definition, **fields)


@scenario("GetCustomFieldDefinitions")
async def get_definitions(run: Run) -> None:
    given = run.given()
    fields = {"entity_type": "PRODUCT", "field_type": "DATE", "description": f"Season {given.tag} and after"}
    made = {}
    for label in POSITIONS:
        made[label] = await new_definition(run, field_label=label, **fields)
    for other in ({"entity_type": "CONTACT"}, {"field_type": "STRING"}, {"description": None}):
        await new_definition(run, field_label="Another", **{**fields, **other})
    wanted = [made[label] for label in ORDERED]
    await listed(run, "GetCustomFieldDefinitions", given, wanted, models.CustomFieldDefinition)
    elsewhere = run.client.custom_fields.definitions.list(tenant_id="another")
    assert await elsewhere.collect() == []


@scenario("CreateCustomFieldDefinition")
async def create_definition(run: Run) -> None:
    given = run.given()
    made = is_model(await run.go("CreateCustomFieldDefinition", given), models.CustomFieldDefinition)
    same(made, calls.definition(given))
    assert await run.client.custom_fields.definitions.get(made.id) == made


@scenario("GetCustomFieldDefinition")
async def get_definition(run: Run) -> None:
    made, other = await new_definition(run), await new_definition(run)
    assert made.id != other.id
    seen = await run.go("GetCustomFieldDefinition", run.given(definition=made.id))
    assert is_model(seen, models.CustomFieldDefinition) == made
    await gone(run.client.custom_fields.definitions.get(calls.UNKNOWN))


@scenario("UpdateCustomFieldDefinition")
async def update_definition(run: Run) -> None:
    made = await new_definition(run)
    run.later()
    narrow = await run.client.custom_fields.definitions.update(made.id, field_label="Fidelity")
    assert narrow.field_label == "Fidelity"
    unchanged(narrow, made, "field_label")
    run.later()
    given = run.given(definition=made.id)
    sent = calls.definition_changes(given)
    wide = is_model(await run.go("UpdateCustomFieldDefinition", given), models.CustomFieldDefinition)
    arrived(run, "UpdateCustomFieldDefinition", picked(sent, "tenant_id", "updated_at"))
    same(wide, {name: value for name, value in sent.items() if name != "updated_at"})
    unchanged(wide, narrow, *sent)
    assert await run.client.custom_fields.definitions.get(made.id) == wide


@scenario("DeleteCustomFieldDefinition")
async def delete_definition(run: Run) -> None:
    definitions = run.client.custom_fields.definitions
    made, other = await new_definition(run), await new_definition(run)
    await new_option(run, made.id, value="gold")
    contact = await new_contact(run, custom_fields={made.field_key: "gold", "source": "web"})
    in_use = await refused(ConflictError, definitions.delete(made.id))
    assert in_use.details == {"options": 1, "values": 1}
    assert await definitions.get(made.id) == made
    seen = await run.go("DeleteCustomFieldDefinition", run.given(definition=made.id))
    assert is_model(seen, models.CustomFieldDefinition) == made
    await gone(definitions.get(made.id))
    assert (await run.client.contacts.get(contact.id)).custom_fields == {"source": "web"}
    assert await definitions.delete(other.id) == other
    await gone(definitions.get(other.id))


@scenario("GetCustomFieldListOptions")
async def get_options(run: Run) -> None:
    definition, other = await new_definition(run), await new_definition(run)
    made = {}
    for value in POSITIONS:
        made[value] = await new_option(run, definition.id, value=value, label="Gold or old", description="metal")
    await new_option(run, definition.id, value="Zinc", label="Gold or old", description="wood")
    await new_option(run, definition.id, value="Young", label="Young", description="metal")
    await new_option(run, other.id, value="Chef", label="Gold or old", description="metal")
    given = run.given(definition=definition.id)
    wanted = [made[value] for value in ORDERED]
    await listed(run, "GetCustomFieldListOptions", given, wanted, models.CustomFieldListOption)
    elsewhere = run.client.custom_fields.options.list(definition.id, tenant_id="another")
    assert await elsewhere.collect() == []
    await gone(run.client.custom_fields.options.list(calls.UNKNOWN))


@scenario("CreateCustomFieldListOption")
async def create_option(run: Run) -> None:
    definition = await new_definition(run)
    given = run.given(definition=definition.id)
    made = is_model(await run.go("CreateCustomFieldListOption", given), models.CustomFieldListOption)
    same(made, {"definition_id": definition.id, **calls.option(given)})
    assert await run.client.custom_fields.options.get(definition.id, made.id) == made


@scenario("GetCustomFieldListOption")
async def get_option(run: Run) -> None:
    definition = await new_definition(run)
    made = await new_option(run, definition.id, value="gold", label="Gold")
    other = await new_option(run, definition.id, value="silver")
    given = run.given(definition=definition.id, option=made.id)
    assert is_model(await run.go("GetCustomFieldListOption", given), models.CustomFieldListOption) == made
    assert made.id != other.id
    await gone(run.client.custom_fields.options.get(definition.id, calls.UNKNOWN))


@scenario("UpdateCustomFieldListOption")
async def update_option(run: Run) -> None:
    options = run.client.custom_fields.options
    definition = await new_definition(run)
    made = await new_option(run, definition.id, value="gold", label="Gold", description="The best")
    run.later()
    narrow = await options.update(definition.id, made.id, label="Golden")
    assert narrow.label == "Golden"
    unchanged(narrow, made, "label")
    run.later()
    given = run.given(definition=definition.id, option=made.id)
    sent = calls.option_changes(given)
    wide = is_model(await run.go("UpdateCustomFieldListOption", given), models.CustomFieldListOption)
    arrived(run, "UpdateCustomFieldListOption", picked(sent, "tenant_id", "updated_at"))
    same(wide, {name: value for name, value in sent.items() if name != "updated_at"})
    unchanged(wide, narrow, *sent)
    assert await options.get(definition.id, made.id) == wide


@scenario("DeleteCustomFieldListOption")
async def delete_option(run: Run) -> None:
    options = run.client.custom_fields.options
    definition = await new_definition(run)
    made = await new_option(run, definition.id, value="gold")
    other = await new_option(run, definition.id, value="silver")
    given = run.given(definition=definition.id, option=made.id)
    assert is_model(await run.go("DeleteCustomFieldListOption", given), models.CustomFieldListOption) == made
    await gone(options.get(definition.id, made.id))
    assert await options.list(definition.id).collect() == [other]


# --- calls and recordings ----------------------------------------------------------------------------------------


async def is_queued(run: Run, call: models.Call, given: Given) -> None:
    """Just started, to the number given; the same call can be read."""
    is_model(call, models.Call)
    same(call, {"to": given.number, "status": "queued", "direction": "outgoing", "duration": None})
    assert await run.client.calls.get(call.id) == call


@scenario("StartAgentCallV2")
async def start_adhoc_agent(run: Run) -> None:
    given = run.given()
    sent = calls.adhoc_agent(given)
    call = await run.go("StartAgentCallV2", given)
    await is_queued(run, call, given)
    same(call, {"from_": calls.OUR_NUMBER, "provider_name": "vapi", **picked(sent, "user_id", "custom_data")})
    names = (
        "objectives",
        "personality",
        "localization",
        "constraints",
        "contact_info",
        "knowledge_base",
        "task_steps",
    )
    assert call.metadata == camel(picked(sent, *names))
    silent = ("max_duration_seconds", "silence_timeout_seconds", "provider", "provider_config")
    arrived(run, "StartAgentCallV2", picked(sent, *silent))


@scenario("StartBridgeCall")
async def start_bridge_call(run: Run) -> None:
    given = run.given()
    contact = await new_contact(run, given)
    sent = calls.bridge(given)
    call = await run.go("StartBridgeCall", given)
    await is_queued(run, call, given)
    same(call, {"from_": sent["from_"], "contact_id": contact.id, "custom_data": sent["call_custom_data"]})
    assert call.metadata == {"providerData": sent["provider_data"]}


@scenario("StartAgentCall")
async def start_agent_call(run: Run) -> None:
    given = run.given()
    sent = calls.agent(given)
    call = await run.go("StartAgentCall", given)
    await is_queued(run, call, given)
    same(call, picked(sent, "custom_data"))
    assert call.metadata == {
        "voiceAgentId": sent["voice_agent_id"],
        "contextVariables": sent["context_variables"],
    }


@scenario("CreateCall")
async def create_call(run: Run) -> None:
    given = run.given()
    call = is_model(await run.go("CreateCall", given), models.Call)
    same(call, calls.past_call(given))
    assert await run.client.calls.get(call.id) == call
    empty = {"user_id": None, "metadata": None, "redirected_to": None, "duration": None, "team_id": None}
    second = await run.client.calls.create(**{**calls.past_call(given), **empty, "status": "no-answer"})
    same(second, {**calls.past_call(given), **empty, "status": "no-answer"})


@scenario("GetCall")
async def get_call(run: Run) -> None:
    call = await run.go("StartBridgeCall", run.given())
    given = run.given(call=call.id)
    assert is_model(await run.go("GetCall", given), models.Call) == call
    seen = []
    for seconds in (0.4, 0.5, 1.2):
        run.later(seconds)
        seen.append((await run.go("GetCall", given)).status)
    assert seen == ["ringing", "in-progress", "completed"]
    ended = await run.go("GetCall/wait", given)
    unchanged(ended, call, "status", "duration", "last_update_sequence")
    assert ended.duration
    await gone(run.client.calls.get(calls.UNKNOWN))


async def ended_call(run: Run) -> models.Call:
    """A call from its start to its end; nothing is left behind before."""
    started = await run.go("StartAgentCall", run.given())
    await gone(run.client.calls.get_transcription(started.id))
    await gone(run.client.calls.get_recording(started.id))
    run.later(60)
    ended: models.Call = await run.go("GetCall/wait", run.given(call=started.id))
    assert (ended.id, ended.status) == (started.id, "completed")
    return ended


@scenario("GetCallTranscription")
async def get_call_transcription(run: Run) -> None:
    call = await ended_call(run)
    seen = is_model(await run.go("GetCallTranscription", run.given(call=call.id)), models.CallTranscription)
    recording = await run.client.calls.get_recording(call.id)
    same(seen, {"recording_id": recording.id, "tenant_id": call.tenant_id})
    variables = calls.agent(run.given())["context_variables"]
    assert f"Hello {variables['customerFirstName']}" in (seen.text or "")
    assert f"customerLastName: {variables['customerLastName']}" in (seen.text or "")
    file = await run.client.request("GET", seen.url or "")
    assert file.text == seen.text


@scenario("GetCallRecording")
async def get_call_recording(run: Run) -> None:
    call = await ended_call(run)
    seen = is_model(await run.go("GetCallRecording", run.given(call=call.id)), models.Recording)
    same(seen, {"call_id": call.id, "start_time": call.start_time, "duration": call.duration, "dual_channel": True})
    same(seen, {"call_provider_name": call.provider_name, "created_at": call.updated_at})
    assert await run.client.recordings.get(seen.id) == seen
    assert seen.url
    past = await run.go("CreateCall", run.given())
    same(await run.client.calls.get_recording(past.id), {"call_id": past.id, "duration": past.duration})


@scenario("GetRecording")
async def get_recording(run: Run) -> None:
    call = await ended_call(run)
    made = await run.client.calls.get_recording(call.id)
    seen = await run.go("GetRecording", run.given(recording=made.id))
    assert is_model(seen, models.Recording) == made
    await gone(run.client.recordings.get(calls.UNKNOWN))


@scenario("LoadRecording")
async def load_recording(run: Run) -> None:
    given = run.given()
    sent = calls.loaded_recording(given)
    assert await run.go("LoadRecording", given) is None
    # The answer is empty: the sandbox says which recording it made, and the client reads it.
    start = datetime.fromisoformat(sent["call_start_time"])
    recording = await run.client.recordings.get(run.kept("recordings")["id"])
    same(recording, {"url": sent["url"], "start_time": start})
    assert recording.call_id is not None
    call = await run.client.calls.get(recording.call_id)
    same(call, {"to": sent["call_to"], "from_": sent["call_from"], "direction": "incoming", "start_time": start})
    same(call, picked(sent, "user_id"))
    assert await run.client.calls.get_recording(call.id) == recording
