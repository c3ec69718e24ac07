"""Sends requests to the service and compares its answers. Read-only by default; sends no message, starts no call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from json import JSONDecodeError
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import httpx

from llamadapro import APIStatusError, AsyncLlamadaPro, LlamadaProError

from .compare import Comparer
from .document import Document, Operation, Pointer
from .findings import Finding, Report

LISTS = {
    "GetContacts": ("GetContact", "pageSize"),
    "GetTasks": ("GetTask", "limit"),
    "GetCustomFieldDefinitions": ("GetCustomFieldDefinition", "pageSize"),
}
"""What lists, what reads one item of it, and what says how many a page holds."""

EXCLUDED = {
    "CreateMessage": "sends a message",
    "CreateTemplateMessage": "sends a message",
    "StartBridgeCall": "starts a call",
    "StartAgentCall": "starts a call",
    "StartAgentCallV2": "starts a call",
    "UploadMedia": "leaves media behind that nothing deletes",
    "LoadRecording": "leaves a recording behind that nothing deletes",
    "CreateCall": "leaves a call behind that nothing deletes",
    "Create": "leaves a conversation behind that nothing deletes",
    "BulkCreate": "leaves conversations behind that nothing deletes",
    "BulkUpdate": "changes conversations that nobody marked as test data",
}
"""Never asked, and why."""

PATH_ALTERNATIVES = [
    ("/custom-fields/definitions", "/custom-field-definitions"),
    ("/custom-fields/definitions", "/customFields/definitions"),
    ("/custom-fields/definitions", "/custom-fields"),
    ("/custom-fields/definitions/{definitionId}/options", "/custom-field-definitions/{definitionId}/options"),
    ("/custom-fields/definitions/{definitionId}/options", "/custom-field-definitions/{definitionId}/list-options"),
    ("/custom-fields/definitions/{definitionId}/options", "/custom-fields/definitions/{definitionId}/list-options"),
    ("/custom-fields/definitions/{definitionId}/options", "/custom-fields/{definitionId}/options"),
    ("/calls/{callId}/transcription", "/calls/{callId}/transcriptions"),
    ("/calls/{callId}/transcription", "/calls/{callId}/transcript"),
    ("/calls/{callId}/recording", "/calls/{callId}/recordings"),
    ("/recordings/", "/call-recordings/"),
    ("/recordings/", "/calls/recordings/"),
    ("/messages/", "/whatsapp/messages/"),
]
"""What an inferred path may be called instead; nothing else is guessed."""

MISSING_PATH = "/api/v1/contract-probe-missing"
MISSING_ID = 999_999_999_999


class KeyRejectedError(Exception):
    """The service does not take the key: nothing can be said about it."""


async def probe(
    client: AsyncLlamadaPro,
    unauthenticated: Mapping[str, AsyncLlamadaPro],
    document: Document,
    report: Report,
    *,
    write: bool = False,
    ids: Mapping[str, str] | None = None,
    items: int = 3,
) -> Report:
    """Send all requests that are allowed.

    `unauthenticated`: clients without a valid key. `ids`: of records that no list has.
    """
    asked = _Probe(client, document, report)
    await asked._sample_404()
    await asked.read(dict(ids or {}), items)
    await asked._check_auth(unauthenticated)
    if write:
        await asked.write()
    asked.summarize(write)
    return report


class _Probe:
    def __init__(self, client: AsyncLlamadaPro, document: Document, report: Report) -> None:
        self.client, self.document, self.report = client, document, report
        self.comparer = Comparer(document)
        self.moved: dict[str, str] = {}
        self.succeeded: set[str] = set()
        self.asked: set[str] = set()
        self.missing: tuple[int, str] = (0, "")

    # --- one question --------------------------------------------------------------------------------------------

    async def raw(
        self, method: str, path: str, params: Any = None, json: Any = None, client: AsyncLlamadaPro | None = None
    ) -> httpx.Response:
        self.report.requests += 1
        try:
            return await (client or self.client).request(method, path, params=params, json=json)
        except APIStatusError as error:
            return error.response

    async def ask(
        self,
        name: str,
        ids: Mapping[str, Any] | None = None,
        *,
        params: Any = None,
        json: Any = None,
        real: bool = True,
    ) -> Any:
        """Ask an operation and judge its answer: the body of a success, else None. `real`: its ids exist."""
        operation = self.document.operations[name]
        self.asked.add(name)

        async def send(path: str) -> httpx.Response:
            return await self.raw(operation.method, _fill_path(path, ids or {}), params, json)

        path = self.moved.get(operation.path, operation.path)
        response = await send(path)
        if self._is_wrong_path(response, _fill_path(path, ids or {}), real):
            found = await self._search(operation, send, ids or {}, real)
            if found is None:
                message = f"{operation.method} {path} answers {response.status_code}, as a path that does not exist"
                self._add("contradiction", "path-missing", message, ("paths", operation.path), name)
                return None
            response = found
        return self.judge(operation, response)

    def _is_wrong_path(self, response: httpx.Response, path: str, real: bool) -> bool:
        """Whether it is the path that is not found, rather than the record."""
        if response.status_code == 405 or (real and response.status_code == 404):
            return True
        return response.status_code == 404 and "*" in self.missing[1] and _normalize(response, path) == self.missing

    async def _search(
        self, operation: Operation, send: Callable[[str], Any], ids: Mapping[str, Any], real: bool
    ) -> httpx.Response | None:
        for path in _candidate_paths(operation, self.moved):
            response: httpx.Response = await send(path)
            no_such_record = response.status_code == 404 and not self._is_wrong_path(
                response, _fill_path(path, ids), real
            )
            if response.is_success or no_such_record:
                self.moved[operation.path] = path
                message = f"{operation.path} is {path}"
                self._add(
                    "contradiction", "path-moved", message, ("paths", operation.path), operation.id, ("move", path)
                )
                return response
        return None

    def judge(self, operation: Operation, response: httpx.Response) -> Any:
        """Hold an answer against the document."""
        status, name = str(response.status_code), operation.id
        if status == "401" and name in LISTS:
            raise KeyRejectedError(f"{operation.method} {operation.path} answers 401")
        like = status
        if status not in operation.raw["responses"]:
            known = ", ".join(operation.raw["responses"])
            message = f"the status {status} is not documented ({known})"
            passing = response.status_code == 429 or response.status_code >= 500
            at = (*operation.pointer, "responses")
            self._add("addition" if passing else "contradiction", "status", message, at, name, ("add-status", status))
            like = operation.success if response.is_success else "401"
        pointer = self.document.answer(operation, like)
        body, readable = _body(response)
        if pointer is None:
            if response.content:
                message = f"an answer {status} without a body is documented, and one came"
                self._add("contradiction", "body-unexpected", message, (*operation.pointer, "responses", status), name)
        elif not readable:
            message = f"the answer {status} is no JSON ({response.headers.get('content-type', 'no content type')})"
            self._add("contradiction", "body-unreadable", message, pointer, name)
        else:
            self.report.extend(self.comparer.compare(body, pointer, name), name)
        if not response.is_success:
            return None
        self.succeeded.add(name)
        return body

    def _add(
        self, severity: Any, kind: str, message: str, pointer: Pointer, operation: str = "", fix: tuple[Any, ...] = ()
    ) -> None:
        self.report.add(Finding(severity, kind, message, pointer, fix=fix), operation)

    # --- what is asked -------------------------------------------------------------------------------------------

    async def _sample_404(self) -> None:
        """Record the answer to a path that does not exist."""
        self.missing = _normalize(await self.raw("GET", MISSING_PATH), MISSING_PATH)

    async def read(self, ids: dict[str, str], count: int) -> None:
        for name, (one, size) in LISTS.items():
            items = _items(await self.ask(name, params={size: count}))
            for item in items[:count]:
                await self.ask(one, self._ids(one, item.get("id")))
            if len(items) > 1:
                await self._check_paging(name, size, None)
        if len(_items(await self.ask("SearchContacts", json={"size": count, "includeTotalCount": True}))) > 1:
            await self._check_paging("SearchContacts", None, "size")
        lists = _items(await self.ask("GetCustomFieldDefinitions", params={"filterBy": "fieldType:LIST"}))
        for definition in [one for one in lists if one.get("fieldType") == "LIST"][:count]:
            parent = {"definitionId": definition.get("id")}
            for option in _items(await self.ask("GetCustomFieldListOptions", parent))[:count]:
                await self.ask("GetCustomFieldListOption", {**parent, "optionId": option.get("id")})
        if "messageId" in ids:
            await self.ask("GetMessage", ids)
        if "callId" in ids:
            for name in ("GetCall", "GetCallTranscription", "GetCallRecording"):
                await self.ask(name, ids, real=name == "GetCall")
        if "recordingId" in ids:
            await self.ask("GetRecording", {"id": ids["recordingId"]})
        for operation in self.document.operations.values():
            if operation.method == "GET" and "{" in operation.path:
                await self.ask(operation.id, self._ids(operation.id, None), real=False)

    async def _check_paging(self, name: str, in_query: str | None, in_body: str | None) -> None:
        """There are two items at least: a page of one must lead to another."""
        at = self.document.operations[name].pointer

        async def page(token: dict[str, Any]) -> Any:
            wanted = {str(in_query or in_body): 1, **token}
            return await self.ask(name, params=wanted if in_query else None, json=wanted if in_body else None)

        first = await page({})
        token = first.get("nextPageToken") if isinstance(first, dict) else None
        if token is None:
            message = "there is more, and no nextPageToken leads to it"
            self._add("contradiction", "page-token-missing", message, at, name)
            return
        second = await page({"pageToken": token})
        if _items(second) and _items(second)[0].get("id") == _items(first)[0].get("id"):
            message = "the page that pageToken leads to begins like the previous one"
            self._add("contradiction", "page-token-ignored", message, at, name)

    async def _check_auth(self, unauthenticated: Mapping[str, AsyncLlamadaPro]) -> None:
        """Check that unauthenticated requests are rejected."""
        for name in LISTS:
            operation = self.document.operations[name]
            for credentials, client in unauthenticated.items():
                path = self.moved.get(operation.path, operation.path)
                response = await self.raw(operation.method, path, client=client)
                if response.status_code == 401:
                    body, _ = _body(response)
                    pointer = self.document.answer(operation, "401")
                    self.report.extend(self.comparer.compare(body, pointer or (), name), name)
                elif response.is_success and credentials == "a wrong key":
                    message = f"{credentials} is answered {response.status_code}, not 401"
                    self._add(
                        "contradiction", "key-not-checked", message, (*operation.pointer, "responses", "401"), name
                    )

    def _ids(self, name: str, last: Any) -> dict[str, Any]:
        """Ids for a path: its last as given, or none that exists."""
        found: dict[str, Any] = {}
        operation = self.document.operations[name]
        for index in range(len(operation.raw.get("parameters", ()))):
            parameter, _ = self.document.resolve((*operation.pointer, "parameters", str(index)))
            if parameter["in"] == "path":
                number = parameter["schema"].get("type") == "integer"
                found[parameter["name"]] = last or (MISSING_ID if number else "contract-probe-none")
        return found

    # --- with --write --------------------------------------------------------------------------------------------

    async def write(self) -> None:
        mark = f"contract-probe-{token_hex(4)}"
        async with AsyncExitStack() as stack:
            await self._crud_cycle("Contact", {}, {"firstName": mark}, {"lastName": mark}, stack)
            task = self._task(mark, _items(await self.ask("GetTasks", params={"limit": 5})))
            if task is None:
                self.report.notes.append(
                    "no task was created: there is none of a user whose conversation it could be about"
                )
            else:
                await self._crud_cycle("Task", {}, task, {"objective": f"{mark}, changed"}, stack, "taskId")
            field = {
                "entityType": "CONTACT",
                "fieldKey": mark.replace("-", "_"),
                "fieldLabel": mark,
                "fieldType": "LIST",
            }
            made = await self._crud_cycle("CustomFieldDefinition", {}, field, {"fieldLabel": f"{mark}, changed"}, stack)
            if made is not None:
                parent = {"definitionId": made}
                option = {"definitionId": made, "value": mark, "label": mark}
                await self._crud_cycle(
                    "CustomFieldListOption", parent, option, {"label": f"{mark}, changed"}, stack, "optionId"
                )
                await self.ask("GetCustomFieldListOptions", parent)

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
        if f"Delete{noun}" not in self.succeeded:
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
                self._add("contradiction", "field-renamed", message, pointer, name, ("rename", old, new))
        for pointer, names, operations in self.comparer.unseen_fields():
            message = f"documented and never seen: {', '.join(names)}"
            self.report.add(Finding("not seen", "field-not-seen", message, pointer, operations=operations))
        for name, operation in self.document.operations.items():
            if name in self.succeeded:
                fix = ("confirm",) if operation.is_inferred else ()
                message = f"{operation.method} {self.moved.get(operation.path, operation.path)} is there"
                self._add("confirmation", "operation", message, operation.pointer, name, fix)
            else:
                self._add("not seen", "operation-not-seen", self._why(name, wrote), operation.pointer, name)

    def _why(self, name: str, wrote: bool) -> str:
        if name in EXCLUDED:
            return f"never asked: it {EXCLUDED[name]}"
        if name in self.asked:
            return "asked, but for no record that exists, or refused"
        if self.document.operations[name].method == "GET":
            return "there was no record to ask for"
        return "there was nothing to do it with" if wrote else "only asked with --write"


def _fill_path(path: str, ids: Mapping[str, Any]) -> str:
    def fill(found: re.Match[str]) -> str:
        value = ids.get(found[1], ids.get("id", MISSING_ID))
        return quote(str(value), safe="")

    return re.sub(r"{(\w+)}", fill, path)


def _candidate_paths(operation: Operation, moved: Mapping[str, str]) -> Iterator[str]:
    """Other spellings: as what lies above it moved, then those of the list."""
    tried = {operation.path}

    def fresh(paths: Iterable[str]) -> Iterator[str]:
        for path in paths:
            if path not in tried:
                tried.add(path)
                yield path

    yield from fresh(new + operation.path[len(old) :] for old, new in moved.items() if operation.path.startswith(old))
    if operation.method == "GET":  # nothing is written or deleted where one only guesses
        yield from fresh(operation.path.replace(old, new) for old, new in PATH_ALTERNATIVES if old in operation.path)


def _normalize(response: httpx.Response, path: str) -> tuple[int, str]:
    """An answer without what differs from one request to the next; its path is a star."""
    return response.status_code, re.sub(r"[0-9a-f-]*[0-9][0-9a-f-]*", "0", response.text.replace(path, "*"))


def _body(response: httpx.Response) -> tuple[Any, bool]:
    try:
        return response.json(), True
    except (JSONDecodeError, UnicodeDecodeError, ValueError):
        return None, False


def _items(page: Any) -> list[dict[str, Any]]:
    items = page.get("items") if isinstance(page, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
