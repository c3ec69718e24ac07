"""Contacts: their addresses, the list, the search, and the matching of a described person with a known one."""

from __future__ import annotations

from typing import Any

from llamadapro_sandbox.errors import TooManyRequests, bad_field
from llamadapro_sandbox.looking import Sort, Test, check_field, condition, list_options, text_test
from llamadapro_sandbox.paging import page
from llamadapro_sandbox.reading import Ask
from llamadapro_sandbox.store import Record, many
from llamadapro_sandbox.world import TENANT, World

from . import does
from .custom_fields import check_values

KIND = "contacts"
EMPTY: Record = {
    **dict.fromkeys(("providerId", "providerName", "nationalId", "firstName", "lastName", "email", "phone")),
    **dict.fromkeys(("userId", "contactCompanyId", "companyPosition", "metadata")),
}


@does("GetContacts")
def get_contacts(world: World, ask: Ask) -> Any:
    return world.list(KIND, ask, **list_options(ask.query, ask.operation.fields), shown=shown)


@does("CreateContact")
def create_contact(world: World, ask: Ask) -> Any:
    check_values(world, "CONTACT", ask.body.get("customFields"))
    return shown(create(world, ask.operation.known(ask.body)))


@does("GetContact")
def get_contact(world: World, ask: Ask) -> Any:
    return shown(world.find(KIND, ask.ids["id"], "contact"))


@does("UpdateContact")
def update_contact(world: World, ask: Ask) -> Any:
    contact = world.find(KIND, ask.ids["id"], "contact")
    check_values(world, "CONTACT", ask.body.get("customFields"))
    return shown(update(world, contact, ask.operation.known(ask.body)))


@does("DeleteContact")
def delete_contact(world: World, ask: Ask) -> Any:
    contact = world.find(KIND, ask.ids["id"], "contact")
    world.store.delete(KIND, contact["id"])
    world.store.set_addresses(contact["id"], set())
    return shown(contact)


@does("SearchContacts")
def search_contacts(world: World, ask: Ask) -> Any:
    _limit(world)
    body = ask.body
    tests = _search_filters(ask)
    if not body.get("includeArchived"):
        tests.append(lambda hit: hit.get("archivedAt") is None)
    if body.get("search"):
        tests.append(text_test(body["search"]))
    return page(
        world.store,
        KIND,
        size=body.get("size"),
        token=body.get("pageToken"),
        tests=tests,
        sort=_search_sort(ask),
        shown=hit,
        count=bool(body.get("includeTotalCount")),
        where="body",
    )


def create(world: World, values: Record) -> Record:
    addresses = many(values, "addresses")
    contact = world.add(KIND, {**EMPTY, "customFields": {}, **values, "addresses": []})
    contact["addresses"] = _addresses(world, contact, addresses)
    return _keep(world, contact)


def update(world: World, contact: Record, values: Record) -> Record:
    if "addresses" in values:
        values["addresses"] = _addresses(world, contact, many(values, "addresses"))
    return _keep(world, world.change(KIND, contact["id"], contact, values))


def archive(world: World, number: int, when: str) -> None:
    """The API has no way to archive a contact, though its search can leave archived ones out: seeds can."""
    world.store.put(KIND, number, {**world.find(KIND, number, "contact"), "archivedAt": when})


def match(world: World, described: Record) -> Record | None:
    """The contact that already has one of the described person's telephone numbers or e-mail addresses."""
    wanted = [normal(text) for text in [*many(described, "phones"), *many(described, "emails")]]
    number = world.store.contact_at(wanted)
    return world.store.get(KIND, number) if number is not None else None


def from_description(world: World, described: Record, known: Record | None = None) -> Record:
    """Create the contact that a conversation describes, or bring the one it was matched with up to date."""
    values = {name: value for name, value in described.items() if name not in ("phones", "emails", "id")}
    old = [{"channelType": a["channelType"], "address": a["address"]} for a in many(known or {}, "addresses")]
    seen = {normal(address["address"]) for address in old}
    for channel, texts in (("PHONE", many(described, "phones")), ("EMAIL", many(described, "emails"))):
        old += [{"channelType": channel, "address": text} for text in texts if normal(text) not in seen]
    if old:
        values["addresses"] = old
    return update(world, known, values) if known else create(world, values)


def shown(contact: Record) -> Record:
    return {name: value for name, value in contact.items() if name != "archivedAt"}


def hit(contact: Record) -> Record:
    """A contact as the search shows it: from an index that writes ids as text and knows about archiving."""
    links = {name: None if contact.get(name) is None else str(contact[name]) for name in ("userId", "contactCompanyId")}
    return {
        **contact,
        **links,
        "id": str(contact["id"]),
        "modelType": "Contact",
        "eventSequence": contact["id"],
        "eventTimestamp": contact["updatedAt"],
    }


def normal(address: str) -> str:
    return "".join(address.split()).casefold()


def _keep(world: World, contact: Record) -> Record:
    world.store.put(KIND, contact["id"], contact)
    texts = [contact.get("phone"), contact.get("email"), *(address["address"] for address in contact["addresses"])]
    world.store.set_addresses(contact["id"], {normal(text) for text in texts if text})
    return contact


def _addresses(world: World, contact: Record, given: list[Record]) -> list[Record]:
    """The given addresses as records; one that was there before keeps its id."""
    before = {(a["channelType"], a["address"]): a for a in contact.get("addresses", [])}
    now = world.clock.stamp()
    kept: list[Record] = []
    for address in given:
        channel, text = address["channelType"], address["address"]
        kept.append(
            before.pop((channel, text), None)
            or {
                "id": world.store.next_id("addresses"),
                "tenantId": TENANT,
                "contactId": contact["id"],
                "channelType": channel,
                "address": text,
                "createdAt": now,
                "updatedAt": now,
            }
        )
    return kept


def _search_filters(ask: Ask) -> list[Test]:
    """All conditions must hold, or one of those marked `or`: meeting it is enough."""
    must: list[Test] = []
    enough: list[Test] = []
    for index, one in enumerate(ask.body.get("filters") or []):
        place = f"filters.{index}"
        check_field(one["field"], ask.operation.fields, f"{place}.field", "body")
        try:
            test = condition(one["field"], one["operator"], one.get("value"))
        except ValueError as problem:
            raise bad_field(f"{place}.operator", str(problem)) from None
        (enough if one.get("or") else must).append(test)
    if not enough:
        return must
    return [lambda hit: (bool(must) and all(test(hit) for test in must)) or any(test(hit) for test in enough)]


def _search_sort(ask: Ask) -> Sort:
    sort: Sort = []
    for index, one in enumerate(ask.body.get("sort") or []):
        place, direction = f"sort.{index}", one.get("direction", "asc")
        check_field(one["field"], ask.operation.fields, f"{place}.field", "body")
        if direction not in ("asc", "desc"):
            raise bad_field(f"{place}.direction", f"{direction!r} is not a direction; use asc or desc")
        sort.append((one["field"], direction == "desc"))
    return sort


def _limit(world: World) -> None:
    allowed = world.settings.search_per_second
    if allowed is None:
        return
    second = int(world.clock.time())
    used = world.searches[1] + 1 if world.searches[0] == second else 1
    if used > allowed:
        raise TooManyRequests(f"only {allowed} searches a second are answered", headers={"Retry-After": "1"})
    world.searches = (second, used)
