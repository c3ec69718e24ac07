"""Custom fields: definitions, the options of LIST fields, and what becomes of values when one of them goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llamadapro_sandbox.errors import BadRequest, Conflict, Issue, NotFound, bad_field, issue
from llamadapro_sandbox.looking import list_options
from llamadapro_sandbox.reading import Ask
from llamadapro_sandbox.store import Record
from llamadapro_sandbox.world import TENANT, World

from . import does

KIND = "definitions"
HOLDERS = {"CONTACT": "contacts", "FUNNEL_CONVERSATION": "conversations"}
"""The entities that custom fields belong to, as far as this API has records of them."""


@does("GetCustomFieldDefinitions")
def get_definitions(world: World, ask: Ask) -> Any:
    return _list(world, KIND, ask)


@does("CreateCustomFieldDefinition")
def create_definition(world: World, ask: Ask) -> Any:
    values = {"fieldLabel": None, "description": None, **ask.operation.known(ask.body)}
    _check_key(world, values)
    return world.add(KIND, values)


@does("GetCustomFieldDefinition")
def get_definition(world: World, ask: Ask) -> Any:
    return _definition(world, ask.ids["id"])


@does("UpdateCustomFieldDefinition")
def update_definition(world: World, ask: Ask) -> Any:
    old = _definition(world, ask.ids["id"])
    values = ask.operation.known(ask.body)
    _check_key(world, {**old, **values}, old["id"])
    return world.change(KIND, old["id"], old, values)


@does("DeleteCustomFieldDefinition")
def delete_definition(world: World, ask: Ask) -> Any:
    definition = _definition(world, ask.ids["id"])
    options, used = world.store.some(_options(definition["id"])), _used(world, definition)
    if (options or used) and not ask.query.get("force"):
        raise Conflict(
            f"definition {definition['id']} has {len(options)} options and {used} values: delete it with force=true",
            details={"options": len(options), "values": used},
        )
    for number, _ in options:
        world.store.delete(_options(definition["id"]), number)
    _drop_values(world, definition, lambda value: True)
    world.store.delete(KIND, definition["id"])
    return definition


@does("GetCustomFieldListOptions")
def get_options(world: World, ask: Ask) -> Any:
    return _list(world, _options(_list_definition(world, ask)["id"]), ask)


@does("CreateCustomFieldListOption")
def create_option(world: World, ask: Ask) -> Any:
    definition = _list_definition(world, ask)
    if ask.body.get("definitionId", definition["id"]) != definition["id"]:
        raise bad_field("definitionId", f"is not the definition of the path, {definition['id']}")
    values = {"label": None, "description": None, **ask.operation.known(ask.body), "definitionId": definition["id"]}
    _check_value(world, values)
    return world.add(_options(definition["id"]), values)


@does("GetCustomFieldListOption")
def get_option(world: World, ask: Ask) -> Any:
    return _option(world, ask)[1]


@does("UpdateCustomFieldListOption")
def update_option(world: World, ask: Ask) -> Any:
    definition, old = _option(world, ask)
    values = {**ask.operation.known(ask.body), "definitionId": definition["id"]}
    _check_value(world, {**old, **values}, old["id"])
    return world.change(_options(definition["id"]), old["id"], old, values)


@does("DeleteCustomFieldListOption")
def delete_option(world: World, ask: Ask) -> Any:
    definition, option = _option(world, ask)
    world.store.delete(_options(definition["id"]), option["id"])
    _drop_values(world, definition, lambda value: value == option["value"])
    return option


def value_issues(world: World, entity: str, given: Record | None, at: str = "customFields") -> list[Issue]:
    """A LIST field can only hold one of its options; fields that nobody defined can hold anything."""
    found: list[Issue] = []
    for _, definition in world.store.some(KIND) if given else []:
        key = definition["fieldKey"]
        value = (given or {}).get(key)
        if definition["entityType"] != entity or definition["fieldType"] != "LIST" or value is None:
            continue
        allowed = [option["value"] for _, option in world.store.some(_options(definition["id"]))]
        if value not in allowed:
            message = f"is not an option of definition {definition['id']}; there are {allowed}"
            found.append(issue("body", f"{at}.{key}", message, "UNKNOWN_OPTION"))
    return found


def check_values(world: World, entity: str, given: Record | None) -> None:
    if found := value_issues(world, entity, given):
        raise BadRequest("; ".join(f"{one['field']} {one['message']}" for one in found), found)


def _options(definition_id: int) -> str:
    return f"options/{definition_id}"


def _list(world: World, kind: str, ask: Ask) -> Any:
    options = list_options(ask.query, ask.operation.fields)
    if ask.query.get("tenantId", TENANT) != TENANT:
        options["tests"] = [_nothing]  # the other tenants of a sandbox have nothing
    return world.list(kind, ask, **options)


def _nothing(record: Record) -> bool:
    return False


def _definition(world: World, number: Any) -> Record:
    return world.find(KIND, number, "custom field definition")


def _list_definition(world: World, ask: Ask) -> Record:
    definition = _definition(world, ask.ids["definitionId"])
    if definition["fieldType"] != "LIST":
        raise bad_field(
            "definitionId",
            f"definition {definition['id']} is of type {definition['fieldType']}: only LIST has options",
            place="path",
        )
    return definition


def _option(world: World, ask: Ask) -> tuple[Record, Record]:
    definition = _list_definition(world, ask)
    option = world.store.get(_options(definition["id"]), ask.ids["optionId"])
    if option is None:
        raise NotFound(f"definition {definition['id']} has no option {ask.ids['optionId']}")
    return definition, option


def _check_key(world: World, values: Record, own: int | None = None) -> None:
    wanted = (values["entityType"], values["fieldKey"])
    for number, other in world.store.some(KIND):
        if number != own and (other["entityType"], other["fieldKey"]) == wanted:
            raise bad_field("fieldKey", f"{wanted[1]!r} is already the key of definition {number}", code="DUPLICATE")


def _check_value(world: World, values: Record, own: int | None = None) -> None:
    for number, other in world.store.some(_options(values["definitionId"])):
        if number != own and other["value"] == values["value"]:
            raise bad_field("value", f"{values['value']!r} is already the value of option {number}", code="DUPLICATE")


def _holders(world: World, definition: Record) -> list[tuple[str, int, Record]]:
    """The records that have a value in this field."""
    kind = HOLDERS.get(definition["entityType"])
    found = world.store.some(kind) if kind else []
    return [(kind or "", n, r) for n, r in found if definition["fieldKey"] in (r.get("customFields") or {})]


def _used(world: World, definition: Record) -> int:
    return len(_holders(world, definition))


def _drop_values(world: World, definition: Record, goes: Callable[[Any], bool]) -> None:
    key = definition["fieldKey"]
    for kind, number, record in _holders(world, definition):
        if goes(record["customFields"][key]):
            record["customFields"] = {name: value for name, value in record["customFields"].items() if name != key}
            world.store.put(kind, number, record)
