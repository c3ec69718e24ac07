"""Custom fields: definitions, the options of LIST fields, and what becomes of values when one of them goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llamadapro_sandbox.errors import Conflict, Issue, NotFound, bad_field, invalid, issue
from llamadapro_sandbox.query import Condition, Record, list_options
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import TENANT, State

from . import handles

KIND = "definitions"
HOLDERS = {"CONTACT": "contacts", "FUNNEL_CONVERSATION": "conversations"}
"""The entities that custom fields belong to, as far as this API has records of them."""


@handles("GetCustomFieldDefinitions")
def get_definitions(state: State, request: ApiRequest) -> Any:
    return _list(state, KIND, request)


@handles("CreateCustomFieldDefinition")
def create_definition(state: State, request: ApiRequest) -> Any:
    values = {"fieldLabel": None, "description": None, **request.operation.known(request.body)}
    _check_unique(state, KIND, values, "entityType", "fieldKey")
    return state.add(KIND, values)


@handles("GetCustomFieldDefinition")
def get_definition(state: State, request: ApiRequest) -> Any:
    return _definition(state, request.ids["id"])


@handles("UpdateCustomFieldDefinition")
def update_definition(state: State, request: ApiRequest) -> Any:
    old = _definition(state, request.ids["id"])
    values = request.operation.known(request.body)
    _check_unique(state, KIND, {**old, **values}, "entityType", "fieldKey")
    return state.change(KIND, old["id"], old, values)


@handles("DeleteCustomFieldDefinition")
def delete_definition(state: State, request: ApiRequest) -> Any:
    definition = _definition(state, request.ids["id"])
    options, used = state.store.some(_options(definition["id"])), len(_holders(state, definition))
    if (options or used) and not request.query.get("force"):
        raise Conflict(
            f"definition {definition['id']} has {len(options)} options and {used} values: delete it with force=true",
            details={"options": len(options), "values": used},
        )
    for number, _ in options:
        state.store.delete(_options(definition["id"]), number)
    _drop_values(state, definition, lambda value: True)
    state.store.delete(KIND, definition["id"])
    return definition


@handles("GetCustomFieldListOptions")
def get_options(state: State, request: ApiRequest) -> Any:
    return _list(state, _options(_list_definition(state, request)["id"]), request)


@handles("CreateCustomFieldListOption")
def create_option(state: State, request: ApiRequest) -> Any:
    definition = _list_definition(state, request)
    if request.body.get("definitionId", definition["id"]) != definition["id"]:
        raise bad_field("definitionId", f"is not the definition of the path, {definition['id']}")
    values = {
        "label": None,
        "description": None,
        **request.operation.known(request.body),
        "definitionId": definition["id"],
    }
    _check_unique(state, _options(definition["id"]), values, "value")
    return state.add(_options(definition["id"]), values)


@handles("GetCustomFieldListOption")
def get_option(state: State, request: ApiRequest) -> Any:
    return _option(state, request)[1]


@handles("UpdateCustomFieldListOption")
def update_option(state: State, request: ApiRequest) -> Any:
    definition, old = _option(state, request)
    values = {**request.operation.known(request.body), "definitionId": definition["id"]}
    kind = _options(definition["id"])
    _check_unique(state, kind, {**old, **values}, "value")
    return state.change(kind, old["id"], old, values)


@handles("DeleteCustomFieldListOption")
def delete_option(state: State, request: ApiRequest) -> Any:
    definition, option = _option(state, request)
    state.store.delete(_options(definition["id"]), option["id"])
    _drop_values(state, definition, lambda value: value == option["value"])
    return option


def value_issues(state: State, entity: str, given: Record | None, at: str = "customFields") -> list[Issue]:
    """A LIST field can only hold one of its options; fields that nobody defined can hold anything."""
    found: list[Issue] = []
    for _, definition in state.store.some(KIND) if given else []:
        key = definition["fieldKey"]
        value = (given or {}).get(key)
        if definition["entityType"] != entity or definition["fieldType"] != "LIST" or value is None:
            continue
        allowed = [option["value"] for _, option in state.store.some(_options(definition["id"]))]
        if value not in allowed:
            message = f"is not an option of definition {definition['id']}; there are {allowed}"
            found.append(issue("body", f"{at}.{key}", message, "UNKNOWN_OPTION"))
    return found


def check_values(state: State, entity: str, given: Record | None) -> None:
    if found := value_issues(state, entity, given):
        raise invalid(found)


def _options(definition_id: int) -> str:
    return f"options/{definition_id}"


def _list(state: State, kind: str, request: ApiRequest) -> Any:
    options = list_options(request.query, request.operation.fields)
    if request.query.get("tenantId", TENANT) != TENANT:
        # The other tenants of a sandbox have nothing.
        options["conditions"] = [Condition(lambda record: False, "nothing")]
    return state.list(kind, request, **options)


def _definition(state: State, number: Any) -> Record:
    return state.find(KIND, number, "custom field definition")


def _list_definition(state: State, request: ApiRequest) -> Record:
    definition = _definition(state, request.ids["definitionId"])
    if definition["fieldType"] != "LIST":
        raise bad_field(
            "definitionId",
            f"definition {definition['id']} is of type {definition['fieldType']}: only LIST has options",
            place="path",
        )
    return definition


def _option(state: State, request: ApiRequest) -> tuple[Record, Record]:
    definition = _list_definition(state, request)
    option = state.store.get(_options(definition["id"]), request.ids["optionId"])
    if option is None:
        raise NotFound(f"definition {definition['id']} has no option {request.ids['optionId']}")
    return definition, option


def _check_unique(state: State, kind: str, record: Record, *fields: str) -> None:
    """No other record of the kind has the same values in these fields; the last one names it."""
    for number, other in state.store.some(kind):
        if number != record.get("id") and all(other[field] == record[field] for field in fields):
            message = f"{record[fields[-1]]!r} is already that of {kind.split('/')[0].removesuffix('s')} {number}"
            raise bad_field(fields[-1], message, code="DUPLICATE")


def _holders(state: State, definition: Record) -> list[tuple[str, int, Record]]:
    """The records that have a value in this field."""
    kind = HOLDERS.get(definition["entityType"])
    found = state.store.some(kind) if kind else []
    return [(kind or "", n, r) for n, r in found if definition["fieldKey"] in (r.get("customFields") or {})]


def _drop_values(state: State, definition: Record, goes: Callable[[Any], bool]) -> None:
    key = definition["fieldKey"]
    for kind, number, record in _holders(state, definition):
        if goes(record["customFields"][key]):
            record["customFields"] = {name: value for name, value in record["customFields"].items() if name != key}
            state.store.put(kind, number, record)
