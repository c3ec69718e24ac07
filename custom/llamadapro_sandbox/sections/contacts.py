"""Contacts: their addresses, the list, the search, and the matching of a described person with a known one."""

from __future__ import annotations

from typing import Any

from llamadapro_sandbox.errors import TooManyRequests, bad_field
from llamadapro_sandbox.paging import page
from llamadapro_sandbox.query import (
    Condition,
    Record,
    Sort,
    any_of,
    check_field,
    condition,
    list_options,
    text_condition,
)
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import TENANT, State, visible
from llamadapro_sandbox.store import many

from . import handles
from .custom_fields import check_values

KIND = "contacts"
EMPTY: Record = {
    **dict.fromkeys(("providerId", "providerName", "nationalId", "firstName", "lastName", "email", "phone")),
    **dict.fromkeys(("userId", "contactCompanyId", "companyPosition", "metadata", "archivedAt")),
    "_archived": False,
    "_modelType": "Contact",
}
FIELDS: dict[str, str] = {"eventSequence": "id", "eventTimestamp": "updatedAt", "modelType": "_modelType"}
"""Fields that only a hit of the search has, and the field of the contact that they show."""


@handles("GetContacts")
def get_contacts(state: State, request: ApiRequest) -> Any:
    return state.list(KIND, request, **list_options(request.query, request.operation.fields), to_response=to_response)


@handles("CreateContact")
def create_contact(state: State, request: ApiRequest) -> Any:
    check_values(state, "CONTACT", request.body.get("customFields"))
    return to_response(create(state, request.operation.known(request.body)))


@handles("GetContact")
def get_contact(state: State, request: ApiRequest) -> Any:
    return to_response(state.find(KIND, request.ids["id"], "contact"))


@handles("UpdateContact")
def update_contact(state: State, request: ApiRequest) -> Any:
    contact = state.find(KIND, request.ids["id"], "contact")
    check_values(state, "CONTACT", request.body.get("customFields"))
    return to_response(update(state, contact, request.operation.known(request.body)))


@handles("DeleteContact")
def delete_contact(state: State, request: ApiRequest) -> Any:
    contact = state.find(KIND, request.ids["id"], "contact")
    state.store.delete(KIND, contact["id"])
    return to_response(contact)


@handles("SearchContacts")
def search_contacts(state: State, request: ApiRequest) -> Any:
    _limit(state)
    body = request.body
    conditions = _search_filters(request)
    if not body.get("includeArchived"):
        conditions.append(condition("_archived", "eq", False))
    if body.get("search", "").strip():
        conditions.append(text_condition(body["search"]))
    return page(
        state.store,
        KIND,
        size=body.get("size"),
        token=body.get("pageToken"),
        conditions=conditions,
        sort=_search_sort(request),
        to_response=hit,
        count=bool(body.get("includeTotalCount")),
        where="body",
    )


def create(state: State, values: Record) -> Record:
    contact = state.new(KIND, {**EMPTY, "customFields": {}, **values, "addresses": []})
    contact["addresses"] = _addresses(state, contact, many(values, "addresses"))
    contact |= _findable(contact)
    state.store.put(KIND, contact["id"], contact)
    return contact


def update(state: State, contact: Record, values: Record) -> Record:
    if "addresses" in values:
        values["addresses"] = _addresses(state, contact, many(values, "addresses"))
    return state.change(KIND, contact["id"], contact, {**values, **_findable({**contact, **values})})


def archive(state: State, number: int, when: str) -> None:
    """The API has no way to archive a contact, though its search can leave archived ones out: seeds can."""
    state.store.put(KIND, number, {**state.find(KIND, number, "contact"), "archivedAt": when, "_archived": True})


def match(state: State, described: Record) -> Record | None:
    """The contact that already has one of the described person's telephone numbers or e-mail addresses."""
    return find(state, *many(described, "phones"), *many(described, "emails"))


def find(state: State, *addresses: str) -> Record | None:
    """The oldest contact that has one of the addresses, the first address given counting most."""
    conditions = (condition("_addresses", "eq", normal(address)) for address in addresses)
    found = (state.store.select(KIND, [one], limit=1) for one in conditions)
    return next((contacts[0].record for contacts in found if contacts), None)


def from_description(state: State, described: Record, known: Record | None = None) -> Record:
    """Create the contact that a conversation describes, or bring the one it was matched with up to date."""
    values = {name: value for name, value in described.items() if name not in ("phones", "emails", "id")}
    old = [{"channelType": a["channelType"], "address": a["address"]} for a in many(known or {}, "addresses")]
    seen = {normal(address["address"]) for address in old}
    for channel, texts in (("PHONE", many(described, "phones")), ("EMAIL", many(described, "emails"))):
        old += [{"channelType": channel, "address": text} for text in texts if normal(text) not in seen]
    if old:
        values["addresses"] = old
    return update(state, known, values) if known else create(state, values)


def to_response(contact: Record) -> Record:
    return {name: value for name, value in visible(contact).items() if name != "archivedAt"}


def hit(contact: Record) -> Record:
    """A contact as the search shows it: from an index that writes ids as text and knows about archiving."""
    links = {name: None if contact.get(name) is None else str(contact[name]) for name in ("userId", "contactCompanyId")}
    archived = {"archivedAt": contact["archivedAt"]} if contact.get("archivedAt") else {}
    return {
        **to_response(contact),
        **archived,
        **links,
        "id": str(contact["id"]),
        "modelType": "Contact",
        "eventSequence": contact["id"],
        "eventTimestamp": contact["updatedAt"],
    }


def normal(address: str) -> str:
    return "".join(address.split()).casefold()


def _findable(contact: Record) -> Record:
    """By which addresses the contact is found, as the index holds them."""
    texts = [contact.get("phone"), contact.get("email"), *(one["address"] for one in contact["addresses"])]
    return {"_addresses": sorted({normal(text) for text in texts if text})}


def _addresses(state: State, contact: Record, given: list[Record]) -> list[Record]:
    """The given addresses as records; one that was there before keeps its id."""
    before = {(a["channelType"], a["address"]): a for a in contact.get("addresses", [])}
    now = state.clock.stamp()
    kept: list[Record] = []
    for address in given:
        channel, text = address["channelType"], address["address"]
        kept.append(
            before.pop((channel, text), None)
            or {
                "id": state.store.next_id("addresses"),
                "tenantId": TENANT,
                "contactId": contact["id"],
                "channelType": channel,
                "address": text,
                "createdAt": now,
                "updatedAt": now,
            }
        )
    return kept


def _search_filters(request: ApiRequest) -> list[Condition]:
    """All conditions must hold, or one of those marked `or`: meeting it is enough."""
    must: list[Condition] = []
    enough: list[Condition] = []
    for index, one in enumerate(request.body.get("filters") or []):
        place = f"filters.{index}"
        check_field(one["field"], request.operation.fields, f"{place}.field", "body")
        try:
            found = condition(_field(one["field"]), one["operator"], one.get("value"))
        except ValueError as problem:
            raise bad_field(f"{place}.operator", str(problem)) from None
        (enough if one.get("or") else must).append(found)
    return [any_of(must, enough)] if enough else must


def _field(name: str) -> str:
    return FIELDS.get(name, name)


def _search_sort(request: ApiRequest) -> Sort:
    sort: Sort = []
    for index, one in enumerate(request.body.get("sort") or []):
        place, direction = f"sort.{index}", one.get("direction", "asc")
        check_field(one["field"], request.operation.fields, f"{place}.field", "body")
        if direction not in ("asc", "desc"):
            raise bad_field(f"{place}.direction", f"{direction!r} is not a direction; use asc or desc")
        sort.append((_field(one["field"]), direction == "desc"))
    return sort


def _limit(state: State) -> None:
    allowed = state.settings.search_per_second
    if allowed is None:
        return
    second = int(state.clock.time())
    used = state.searches[1] + 1 if state.searches[0] == second else 1
    if used > allowed:
        raise TooManyRequests(f"only {allowed} searches a second are answered", headers={"Retry-After": "1"})
    state.searches = (second, used)
