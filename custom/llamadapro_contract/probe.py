"""Sends requests to the service and compares its answers. Read-only by default; sends no message, starts no call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import httpx

from llamadapro import APIStatusError, AsyncLlamadaPro, ConfigurationError, LlamadaProError

from .compare import Comparer
from .document import Document, KeyPlacement, Operation, Pointer
from .findings import Finding, Report, Severity

Connect = Callable[[KeyPlacement, str | None], AsyncLlamadaPro]
"""Builds a client that sends this key, or without one the real key, in this way."""

EXCLUDED: dict[str, tuple[str, ...]] = {
    "sends a message": ("CreateMessage", "CreateTemplateMessage"),
    "starts a call": ("StartBridgeCall", "StartAgentCall", "StartAgentCallV2"),
    "leaves records that nothing deletes": ("UploadMedia", "LoadRecording", "CreateCall", "Create", "BulkCreate"),
    "changes conversations that are not test data": ("BulkUpdate",),
}
"""Why some operations are never requested."""

CRUD_NOUNS = ("Contact", "Task", "CustomFieldDefinition", "CustomFieldListOption")
"""What `--write` creates, changes and deletes."""

PATH_ALTERNATIVES: dict[str, tuple[str, ...]] = {
    "/custom-fields/definitions": ("/custom-field-definitions", "/customFields/definitions", "/custom-fields"),
    "/custom-fields/definitions/{definitionId}/options": (
        "/custom-field-definitions/{definitionId}/options",
        "/custom-field-definitions/{definitionId}/list-options",
        "/custom-fields/definitions/{definitionId}/list-options",
        "/custom-fields/{definitionId}/options",
    ),
    "/calls/{callId}/transcription": ("/calls/{callId}/transcriptions", "/calls/{callId}/transcript"),
    "/calls/{callId}/recording": ("/calls/{callId}/recordings",),
    "/recordings/": ("/call-recordings/", "/calls/recordings/"),
    "/messages/": ("/whatsapp/messages/",),
}
"""What an inferred path may be called instead; nothing else is guessed."""

KEY_PLACEMENTS = (
    *(KeyPlacement("X-API-Key"), KeyPlacement("Authorization", "Bearer")),
    *(KeyPlacement("Authorization"), KeyPlacement("Api-Key")),
)
"""The usual ways to send a key, tried on a 401. Not the query: servers write it into their logs."""

NAMED: dict[str, tuple[str, ...]] = {
    "messageId": ("GetMessage",),
    "callId": ("GetCall", "GetCallTranscription", "GetCallRecording"),
    "recordingId": ("GetRecording",),
}
"""Ids of records that no list has, and what reads them."""
MAY_BE_MISSING = ("GetCallTranscription", "GetCallRecording")

MISSING_PATH = "/api/v1/contract-probe-missing"
MISSING_ID = 999_999_999_999
WRONG_KEY = "contract-probe-wrong-key"
Ids = Mapping[str, Any]
NO_IDS: Ids = {}
Fix = tuple[Any, ...]


async def probe(
    connect: Connect,
    document: Document,
    report: Report,
    *,
    write: bool = False,
    ids: Ids = NO_IDS,
    items: int = 3,
    placement: KeyPlacement | None = None,
) -> Report:
    """Send all requests that are allowed; what was found until an error is in the report, too.

    `ids`: of records that no list has. `items`: how many records of a list are read. `placement`: of the key.
    """
    report.document = document
    report.operations = report.operations or tuple(document.operations)
    async with AsyncExitStack() as stack:
        run = _Probe(connect, document, report, stack)
        try:
            await run.find_service(placement or document.key_placement)
            await run.read(ids, items)
            await run.check_auth()
            if write:
                await run.write()
        finally:
            run.summarize(write)
    return report


class _Probe:
    def __init__(self, connect: Connect, document: Document, report: Report, stack: AsyncExitStack) -> None:
        self.connect, self.document, self.report, self.stack = connect, document, report, stack
        self.comparer = Comparer(document)
        self.moved: dict[str, str] = {}
        self.requested: dict[str, int] = {}
        """The operations, and the status that the last request of each was answered."""
        self.missing: tuple[int, str] = (0, "")

    # --- one request ---------------------------------------------------------------------------------------------

    async def use(self, placement: KeyPlacement) -> None:
        """Send all further requests with the key in this place."""
        self.placement = placement
        self.client = await self.stack.enter_async_context(self.connect(placement, None))

    async def raw(
        self, method: str, path: str, params: Any = None, json: Any = None, client: AsyncLlamadaPro | None = None
    ) -> httpx.Response:
        self.report.requests += 1
        try:
            return await (client or self.client).request(method, path, params=params, json=json)
        except APIStatusError as error:
            return error.response

    async def ask(self, name: str, ids: Ids = NO_IDS, params: Any = None, json: Any = None, real: bool = True) -> Any:
        """Request an operation and compare its answer: the body of a success, else None. `real`: its ids exist."""
        operation = self.document.operations.get(name)
        if operation is None:
            return None
        first = None
        for path in _paths(operation, self.moved):
            target = _fill_path(path, ids)
            response = await self.raw(operation.method, target, params, json)
            self.requested[name] = response.status_code
            wrong = self._is_wrong_path(response, target, real)
            if not wrong and (first is None or response.is_success or response.status_code == 404):
                if first is not None:
                    self.moved[operation.path] = path
                    message, at = f"{operation.path} is {path}", ("paths", operation.path)
                    self._add("path-moved", message, at, name, ("move", path))
                return self.judge(operation, response)
            first = first or f"{operation.method} {path} answers {response.status_code}"
        self._add("path-missing", f"{first}, as a path that does not exist", operation.pointer, name)
        return None

    def _is_wrong_path(self, response: httpx.Response, path: str, real: bool) -> bool:
        """Whether it is the path that is not found, rather than the record."""
        if response.status_code == 405 or (real and response.status_code == 404):
            return True
        return response.status_code == 404 and "*" in self.missing[1] and _normalize(response, path) == self.missing

    def judge(self, operation: Operation, response: httpx.Response) -> Any:
        """Compare an answer with the document."""
        status, name = str(response.status_code), operation.id
        like = operation.documented(status)
        if like is None:
            message = f"the status {status} is not documented ({', '.join(operation.raw['responses'])})"
            passing = response.status_code == 429 or response.status_code >= 500
            at, fix = (*operation.pointer, "responses"), ("add-status", status)
            self._add("status", message, at, name, fix, "addition" if passing else "contradiction")
            like = operation.success if response.is_success else operation.documented("401")
        pointer = self.document.answer(operation, like) if like else None
        body, readable = _body(response)
        if pointer is None:
            if response.content and like:
                at, message = (*operation.pointer, "responses", like), f"the answer {status} has a body, undocumented"
                self._add("body-unexpected", message, at, name)
        elif pointer and not readable:
            message = f"the answer {status} is not JSON ({_content_type(response)})"
            self._add("body-unreadable", message, pointer, name)
        elif pointer:
            self._compare(body, pointer, name)
        if not response.is_success:
            return None
        self.report.succeeded.add(name)
        return body

    def _compare(self, body: Any, pointer: Pointer, operation: str) -> None:
        if operation in self.report.operations:
            for finding in self.comparer.compare(body, pointer, operation):
                self.report.add(finding, operation)

    def _add(
        self, kind: str, message: str, at: Pointer, name: str, fix: Fix = (), severity: Severity = "contradiction"
    ) -> None:
        if name in self.report.operations:
            self.report.add(Finding(severity, kind, message, at, fix=fix), name)

    # --- what is requested ---------------------------------------------------------------------------------------

    async def find_service(self, documented: KeyPlacement) -> None:
        """Make sure that the service is there, and find out how it takes the key."""
        await self.use(documented)
        self.missing = _normalize(await self.raw("GET", MISSING_PATH), MISSING_PATH)
        answer, refused = "", False
        for operation, _, _ in self.document.lists:
            response = await self.raw("GET", operation.path)
            if response.status_code == 401:
                response = await self._place_key(operation, documented)
            alike = response.is_success and _normalize(response, operation.path) == self.missing  # as any path is
            wrong_path = alike or self._is_wrong_path(response, operation.path, real=True)
            if _body(response)[1] and not wrong_path and response.status_code < 500 and response.status_code != 403:
                return
            answer = f"GET {operation.path} answers {response.status_code} ({_content_type(response)})"
            answer += f" to {response.headers['location']}" if "location" in response.headers else ""
            refused = response.status_code == 403 and _body(response)[1]
        if refused:
            raise ConfigurationError(f"the service refuses the key: {answer}")
        if answer:
            raise ConfigurationError(f"this is not the service that openapi.yaml describes: {answer}; check --base-url")

    async def _place_key(self, operation: Operation, documented: KeyPlacement) -> httpx.Response:
        others = [one for one in KEY_PLACEMENTS if one != documented]
        for placement in others:
            await self.use(placement)
            response = await self.raw("GET", operation.path)
            if response.status_code != 401:
                message = f"the service takes the key as {placement}, not as {documented}"
                fix = ("place-key", placement.header, placement.scheme or "")
                name = operation.id if self._wants(operation.id) else self.report.operations[0]
                self._add("key-placement", message, self.document.security_scheme, name, fix)
                return response
        ways = ", ".join(map(str, [documented, *others]))
        raise ConfigurationError(f"the service refuses the key: GET {operation.path} answers 401 to {ways}")

    def _wants(self, *names: str | None) -> bool:
        return any(name in self.report.operations for name in names)

    async def read(self, ids: Ids, count: int) -> None:
        for operation, reader, size in self.document.lists:
            if self._wants(operation.id, reader):
                items = _items(await self.ask(operation.id, params={size: count} if size else None))
                for item in filter(_has_id, items[:count] if reader else ()):
                    await self.ask(str(reader), self._ids(str(reader), item["id"]))
                if size and len(items) > 1:
                    await self._check_paging(operation.id, size, "params")
        if self._wants("SearchContacts"):
            found = await self.ask("SearchContacts", json={"size": count, "includeTotalCount": True})
            if len(_items(found)) > 1:
                await self._check_paging("SearchContacts", "size", "json")
        if self._wants("GetCustomFieldListOptions", "GetCustomFieldListOption"):
            await self._read_options(count)
        for id_name, names in NAMED.items():
            for name in names if id_name in ids else ():
                if self._wants(name):
                    await self.ask(name, {**ids, "id": ids[id_name]}, real=name not in MAY_BE_MISSING)
        for operation in self.document.operations.values():
            if operation.method == "GET" and "{" in operation.path and self._wants(operation.id):
                await self.ask(operation.id, self._ids(operation.id, None), real=False)

    async def _read_options(self, count: int) -> None:
        lists = _items(await self.ask("GetCustomFieldDefinitions", params={"filterBy": "fieldType:LIST"}))
        for definition in [one for one in lists if one.get("fieldType") == "LIST" and _has_id(one)][:count]:
            parent = {"definitionId": definition["id"]}
            for option in filter(_has_id, _items(await self.ask("GetCustomFieldListOptions", parent))[:count]):
                await self.ask("GetCustomFieldListOption", {**parent, "optionId": option["id"]})

    async def _check_paging(self, name: str, size: str, place: str) -> None:
        """There are two items at least: a page of one must lead to another."""
        at = self.document.operations[name].pointer
        page: dict[str, Any] = {place: {size: 1}}
        first = await self.ask(name, **page)
        token = first.get("nextPageToken") if isinstance(first, dict) else None
        if token is None:
            self._add("page-token-missing", "there is more, and no nextPageToken leads to it", at, name)
            return
        page[place]["pageToken"] = token
        second = await self.ask(name, **page)
        begins, before = ([one["id"] if _has_id(one) else one for one in _items(page)[:1]] for page in (second, first))
        if begins and begins == before:
            message = "the page that pageToken leads to begins like the previous one"
            self._add("page-token-ignored", message, at, name)

    async def check_auth(self) -> None:
        """Check that unauthenticated requests are rejected."""
        wrong = await self.stack.enter_async_context(self.connect(self.placement, WRONG_KEY))
        # The client always sends a key: this one where nobody looks for it.
        none = await self.stack.enter_async_context(self.connect(KeyPlacement("X-Contract-Probe"), "none"))
        for operation in [one for one, _, _ in self.document.lists if self._wants(one.id)]:
            documented = operation.documented("401")
            for client in (wrong, none):
                path = self.moved.get(operation.path, operation.path)
                response = await self.raw(operation.method, path, client=client)
                if response.status_code == 401 and documented:
                    self._compare(_body(response)[0], self.document.answer(operation, documented) or (), operation.id)
                elif response.is_success and client is wrong:
                    message = f"a wrong key is answered {response.status_code}, not 401"
                    self._add("key-not-checked", message, (*operation.pointer, "responses", "401"), operation.id)

    def _ids(self, name: str, last: Any) -> dict[str, Any]:
        """Ids for a path: its last as given, or none that exists."""
        return {
            name: last or (MISSING_ID if schema.get("type") == "integer" else "contract-probe-none")
            for name, schema in self.document.parameters(self.document.operations[name], "path")
        }

    # --- with --write --------------------------------------------------------------------------------------------

    async def write(self) -> None:
        mark = f"contract-probe-{token_hex(4)}"
        async with AsyncExitStack() as stack:
            if self._wants_crud("Contact"):
                await self._crud_cycle("Contact", {}, {"firstName": mark}, {"lastName": mark}, stack)
            if self._wants_crud("Task"):
                task = self._task(mark, _items(await self.ask("GetTasks", params={"limit": 5})))
                if task is None:
                    about = "there is none of a user whose conversation it could be about"
                    self.report.notes.append(f"no task was created: {about}")
                else:
                    await self._crud_cycle("Task", {}, task, {"objective": f"{mark}, changed"}, stack, "taskId")
            if self._wants_crud("CustomFieldDefinition") or self._wants_crud("CustomFieldListOption"):
                await self._write_custom_field(mark, stack)

    async def _write_custom_field(self, mark: str, stack: AsyncExitStack) -> None:
        changed = {"fieldLabel": f"{mark}, changed"}
        field = {"entityType": "CONTACT", "fieldKey": mark.replace("-", "_"), "fieldLabel": mark, "fieldType": "LIST"}
        made = await self._crud_cycle("CustomFieldDefinition", {}, field, changed, stack)
        if made is not None and self._wants_crud("CustomFieldListOption"):
            parent, changed = {"definitionId": made}, {"label": f"{mark}, changed"}
            option = {"definitionId": made, "value": mark, "label": mark}
            await self._crud_cycle("CustomFieldListOption", parent, option, changed, stack, "optionId")
            await self.ask("GetCustomFieldListOptions", parent)

    def _wants_crud(self, noun: str) -> bool:
        return self._wants(*(f"{verb}{noun}" for verb in ("Create", "Update", "Delete")))

    async def _crud_cycle(
        self, noun: str, parent: dict[str, Any], body: Any, changes: Any, stack: AsyncExitStack, key: str = "id"
    ) -> Any:
        """Create, read, change; deleted when the stack unwinds, whatever happens. The new id, or None."""
        made = await self.ask(f"Create{noun}", parent, json=body)
        if not isinstance(made, dict) or "id" not in made:
            if made is not None:
                self.report.notes.append(f"Create{noun} answers without an id: look for {body} and delete it")
            return None
        ids = {**parent, key: made["id"]}
        stack.push_async_callback(self._remove, noun, ids)
        await self.ask(f"Get{noun}", ids)
        await self.ask(f"Update{noun}", ids, json=changes)
        return made["id"]

    async def _remove(self, noun: str, ids: dict[str, Any]) -> None:
        with suppress(LlamadaProError):
            await self.ask(f"Delete{noun}", ids)
        if f"Delete{noun}" not in self.report.succeeded:
            self.report.notes.append(f"could not delete the test data {noun} {ids}: delete it by hand")

    @staticmethod
    def _task(mark: str, tasks: list[dict[str, Any]]) -> dict[str, Any] | None:
        """About the conversation of another, due in a far future and for its user: an AI employee might set to work."""
        for task in tasks:
            by, about = task.get("createdBy"), task.get("context")
            if isinstance(about, dict) and isinstance(by, dict) and by.get("type") == "user":
                by = {"id": by.get("id"), "type": "user"}
                due = {"dueDate": "2099-12-31T00:00:00.000Z", "status": "scheduled"}
                return {"context": about, "objective": mark, "createdBy": by, "assignedTo": by, **due}
        return None

    # --- at the end ----------------------------------------------------------------------------------------------

    def summarize(self, wrote: bool) -> None:
        """Derive what only all answers together show."""
        for pointer, old, new in self.comparer.renamed_fields():
            for kind, name in (("field-undocumented", new), ("field-missing", old)):
                self.report.drop(kind, pointer, name)
            message = f"the field {old} never came, and {new} did: it seems to be renamed"
            for name in self.comparer.seen.operations[pointer]:
                self._add("field-renamed", message, pointer, name, ("rename", old, new))
        for pointer, names, operations in self.comparer.unseen_fields():
            fields = ", ".join(f"{_schema_name(pointer)}.{name}" for name in names)
            self.report.add(Finding("not seen", "field-not-seen", "in no answer", pointer, fields, operations))
        for name in self.report.operations:
            operation = self.document.operations[name]
            if name in self.report.succeeded:
                fix = ("confirm",) if operation.is_inferred else ()
                message = f"{operation.method} {self.moved.get(operation.path, operation.path)} is there"
                self._add("operation", message, operation.pointer, name, fix, "confirmation")
            else:
                self._add("operation-not-seen", self._why(name, wrote), operation.pointer, name, (), "not seen")

    def _why(self, name: str, wrote: bool) -> str:
        for reason, names in EXCLUDED.items():
            if name in names:
                return f"never requested ({reason})"
        if name in self.requested:
            return f"requested, and answered {self.requested[name]}"
        if self.document.operations[name].method == "GET":
            return "there was no record to request"
        if not name.endswith(CRUD_NOUNS):
            return "the probe has no request for it"
        return "there was nothing to do it with" if wrote else "only requested with --write"


def _fill_path(path: str, ids: Mapping[str, Any]) -> str:
    def fill(found: re.Match[str]) -> str:
        value = ids.get(found[1], ids.get("id", MISSING_ID))
        return quote(str(value), safe="")

    return re.sub(r"{(\w+)}", fill, path)


def _paths(operation: Operation, moved: Mapping[str, str]) -> Iterator[str]:
    """Where it should be; then as what lies above it moved, and, only to read, other spellings."""
    own = operation.path
    yield moved.get(own, own)
    above = [new + own[len(old) :] for old, new in moved.items() if own.startswith(old) and own != old]
    others: list[str] = []
    if operation.method == "GET":
        others = [own.replace(old, new) for old, news in PATH_ALTERNATIVES.items() for new in news if old in own]
    spellings: dict[str, None] = dict.fromkeys([*above, *others])
    yield from spellings


def _normalize(response: httpx.Response, path: str) -> tuple[int, str]:
    """An answer without what differs from one request to the next; its path is a star."""
    return response.status_code, re.sub(r"[0-9a-f-]*[0-9][0-9a-f-]*", "0", response.text.replace(path, "*"))


def _body(response: httpx.Response) -> tuple[Any, bool]:
    try:
        return response.json(), True
    except (ValueError, RecursionError):
        return None, False


def _content_type(response: httpx.Response) -> str:
    return response.headers.get("content-type") or "no content type"


def _schema_name(pointer: Pointer) -> str:
    return pointer[2] if pointer[:2] == ("components", "schemas") else pointer[-1]


def _has_id(item: dict[str, Any]) -> bool:
    return isinstance(item.get("id"), int | str) and item["id"] != ""


def _items(page: Any) -> list[dict[str, Any]]:
    items = page.get("items") if isinstance(page, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
