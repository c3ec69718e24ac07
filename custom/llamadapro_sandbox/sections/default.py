"""What an operation does that has no handler of its own: list, create, get, update or delete, by its shape.

The shape is the document's: `/things` and `/things/{id}`, their methods, and the schemas of bodies and answers. What
has no such shape is answered with the document's example, or a value made from the schema.
"""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from llamadapro_sandbox.document import Content, Document, Operation, Schema, is_secret
from llamadapro_sandbox.errors import Conflict, ContractViolation, NotFound
from llamadapro_sandbox.paging import page
from llamadapro_sandbox.query import Condition, Record, any_of, condition
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.samples import sample
from llamadapro_sandbox.state import State

SIZES = ("pageSize", "limit", "page_size", "per_page", "perPage", "size", "count", "maxResults")
TOKENS = ("pageToken", "page_token", "cursor", "after")
NEXT_TOKENS = ("nextPageToken", "next_page_token", "nextCursor", "next_cursor")
TOTALS = ("totalCount", "total_count", "total")


def answer_by_shape(state: State, request: ApiRequest) -> Any:
    """The body of the answer, as the document allows it."""
    operation, document = request.operation, state.document
    content = operation.answers.get(operation.success) or operation.answer(operation.success) or Content(document, {})
    template, item = _collection(operation.path)
    collection = request.path.rstrip("/").rsplit("/", 1)[0] if item else request.path.rstrip("/")
    kind = f"default:{collection}"
    methods = {one.method for one in document.operations.values() if one.path.rstrip("/") == template}
    items = [one for one in document.operations.values() if _collection(one.path) == (template, True)]
    if item and (operation.method not in ("GET", "HEAD") or "POST" in methods or state.store.count(kind)):
        return _on_item(state, request, kind, content, creates="POST" not in methods)
    if not item and operation.method == "POST" and isinstance(request.body, dict) and (items or "GET" in methods):
        return _create(state, request, kind, content, items)
    listed = _list_of(document, content) if not item and operation.method == "GET" else None
    if listed is not None and ("POST" in methods or state.store.count(kind)):
        return _page(state, request, kind, content, listed)
    return example(document, operation, content)


def example(document: Document, operation: Operation, content: Content) -> Any:
    """The first right one of the document's examples, or a made-up value; None for an answer without a body."""
    if content.validator is None:
        return None
    for value in (*content.examples, sample(document, content.schema)):
        if content.validator.is_valid(value):
            return value
    raise ContractViolation(
        f"no value can be made for the answer of {operation.id}: give it an example in the document"
    )


def _collection(path: str) -> tuple[str, bool]:
    """The path of the collection, and whether this is the path of one of its items."""
    path = path.rstrip("/")
    return (path.rsplit("/", 1)[0], True) if path.endswith("}") else (path, False)


def _on_item(state: State, request: ApiRequest, kind: str, content: Content, *, creates: bool) -> Any:
    operation = request.operation
    name, value = list(request.ids.items())[-1]
    found = _find(state, kind, value)
    if found is None:
        if not (creates and operation.method in ("PUT", "PATCH", "POST")):
            raise NotFound(f"there is no {name} {value}")
        found = state.store.next_id("default"), {"_id": value, name: value}
    number, record = found
    if operation.method == "DELETE":
        state.store.delete(kind, number)
    elif operation.method in ("PUT", "PATCH", "POST"):
        changes = cast(Record, request.body) if isinstance(request.body, dict) else {}
        record = {**record, **changes}
        state.store.put(kind, number, record)
    return _shape(state.document, operation, content, record)


def _find(state: State, kind: str, value: Any) -> tuple[int, Record] | None:
    found = state.store.select(kind, [condition("_id", "eq", value)], limit=1)
    return (found[0].number, found[0].record) if found else None


def _create(state: State, request: ApiRequest, kind: str, content: Content, items: list[Operation]) -> Any:
    document, operation = state.document, request.operation
    name = items[0].path.rstrip("/").rsplit("/", 1)[1].strip("{}") if items else "id"
    properties = document.properties(content.schema)
    field = next((one for one in (name, "id") if one in properties), name)
    declared = [one.schema for item in items for one in item.parameters if (one.place, one.name) == ("path", name)]
    given, public, number = request.body.get(field, request.body.get(name)), None, 0
    if given and _find(state, kind, given):
        raise Conflict(f"{name} {given} is taken already")
    while not number or (not given and _find(state, kind, public)):
        number = state.store.next_id("default")
        public = given or _public_id(document, {"anyOf": properties.get(field) or declared}, number)
    record = {**request.body, field: public, "_id": public}
    state.store.put(kind, number, record)
    return _shape(document, operation, content, record)


def _public_id(document: Document, schema: Schema, number: int) -> Any:
    kinds = document.types(schema)
    if "integer" in kinds or "number" in kinds:
        return number
    uuid = any(one.get("format") == "uuid" for one in document.parts(schema))
    return str(UUID(int=number, version=4)) if uuid else str(number)


def _shape(document: Document, operation: Operation, content: Content, record: Record) -> Any:
    """A record as the answer has it: what is stored, what is required in addition, and the same inside a wrapper."""
    validator = content.validator
    if validator is None:
        return None
    values = {name: value for name, value in record.items() if not name.startswith("_")}
    value = _filled(document, content.schema, values)
    if isinstance(value, dict) and validator.is_valid(value) and set(value) & set(values):
        return value
    made = example(document, operation, content)
    if isinstance(made, dict):
        for name, schemas in document.properties(content.schema).items():  # {"data": the record}
            inner = _filled(document, {"anyOf": schemas}, values)
            if isinstance(inner, dict) and set(inner) & set(values) and validator.is_valid({**made, name: inner}):
                return {**made, name: inner}
    return made


def _filled(document: Document, schema: Schema, values: Record) -> Any:
    """The values that the schema knows, with made-up ones for what it requires."""
    properties = document.properties(schema)
    free = any("additionalProperties" in one for one in document.parts(schema)) or not properties
    required = {name for one in document.parts(schema) for name in one.get("required", [])}
    made = sample(document, schema)
    if not isinstance(made, dict):
        return None
    secret = {name for name, found in properties.items() if any(map(is_secret, found))}
    known = {name: value for name, value in values.items() if (free or name in properties) and name not in secret}
    missing = {name: value for name, value in cast(Record, made).items() if name in required}
    wrong = {n for n, v in known.items() if n in properties and not _fits(document, properties[n], v)}
    return {**missing, **{name: value for name, value in known.items() if name not in wrong}}


def _fits(document: Document, schemas: list[Any], value: Any) -> bool:
    return all(document.validator(one).is_valid(value) for one in schemas if isinstance(one, dict))


def _filter(field: str, wanted: Any) -> Condition:
    """The value that a query names, or one of those that it names."""
    return any_of([], [condition(field, "eq", one) for one in (wanted if isinstance(wanted, list) else [wanted])])


def _list_of(document: Document, content: Content) -> tuple[str, Schema] | None:
    """Where an answer holds its list ("" if it is one), and the schema of an item."""
    if "array" in document.types(content.schema):
        return "", document.items(content.schema)
    for name, schemas in document.properties(content.schema).items():
        if "array" in document.types({"anyOf": schemas}):
            return name, document.items({"anyOf": schemas})
    return None


def _page(state: State, request: ApiRequest, kind: str, content: Content, listed: tuple[str, Schema]) -> Any:
    document, query = state.document, request.query
    name, item = listed
    inner = Content(document, {"application/json": item})
    fields = document.properties(item)
    found = page(
        state.store,
        kind,
        size=next((query[one] for one in SIZES if isinstance(query.get(one), int)), None),
        token=next((query[one] for one in TOKENS if isinstance(query.get(one), str)), None),
        number=query.get("page") if isinstance(query.get("page"), int) else None,
        conditions=[_filter(field, value) for field, value in query.items() if field in fields],
        to_response=lambda record: _shape(document, request.operation, inner, record),
    )
    if not name:
        return found["items"]
    properties = document.properties(content.schema)
    answer = {**_filled(document, content.schema, {}), name: found["items"]}
    for token in NEXT_TOKENS:
        if token in properties:
            answer.pop(token, None)
            answer |= {token: found["nextPageToken"]} if "nextPageToken" in found else {}
    return answer | {total: found["totalCount"] for total in TOTALS if total in properties}
