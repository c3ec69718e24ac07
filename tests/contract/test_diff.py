"""The judge of `make diff`: known changes, one by one, and what it must say of each."""

from __future__ import annotations

import copy
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.diff import (
    api_changes,
    document_changes,
    grouped,
    judged,
    redocly,
    redocly_changes,
    snapshot,
    unanswered,
    version_complaint,
)
from tests.openapi import ROOT, path_of, read

CLIENT = """
from functools import cached_property

from .resources._contacts import Contacts

class AsyncLlamadaPro:
    @cached_property
    def contacts(self) -> Contacts: ...
"""
CONTACTS = """
class Contacts:
    def list(self, *, max_items: int | None = None) -> list[int]: ...
    async def get(self, contact_id: int | str, /) -> str: ...
    async def send(self, to: str, *, text: str = "") -> None: ...
    def _hidden(self, x): ...

class Unreachable:
    def count(self) -> int: ...
"""
PHONE = """
from ._config import Config

def to_e164(value: str, region: str | None = None) -> str: ...
"""
ROOT_MODULE = """
from importlib import import_module

from ._client import AsyncLlamadaPro as AsyncLlamadaPro
from .phone import to_e164 as to_e164

__all__ = ["AsyncLlamadaPro", "to_e164"]
"""
MODELS = """
from typing import Literal, Required, TypedDict
import attrs

Kind = Literal["a", "b"] | str

class CreateContactBody(TypedDict, total=False):
    name: Required[str]
    user_id: int | None
    status: Literal["open", "done"]

@attrs.define
class Contact:
    id: int
    name: str | None = None
    status: Literal["open", "done"] | str | None = None
    kind: Literal["x", "y"] | None = None
    def to_dict(self): ...
"""

# What is replaced by what, and the changes that follow: impact and words.
API_CHANGES: dict[str, tuple[str, str, str, str]] = {
    "nothing": ("class Contacts:", "class Contacts:", "none", ""),
    "private": ("def _hidden(self, x)", "def _other(self)", "none", ""),
    "method gone": (
        '    async def send(self, to: str, *, text: str = "") -> None: ...\n',
        "",
        "major",
        "send: the function is gone",
    ),
    "method renamed": ("def list(", "def all(", "major", "list: the function is gone"),
    "method new": (
        "    def _hidden",
        "    def count(self) -> int: ...\n    def _hidden",
        "minor",
        "count: the function is new",
    ),
    "parameter new": (
        "max_items: int | None = None",
        "max_items: int | None = None, page: int = 1",
        "minor",
        "list(page): the keyword-only is new",
    ),
    "parameter new and required": (
        "max_items: int | None = None",
        "max_items: int | None = None, page: int",
        "major",
        "new and required",
    ),
    "parameter renamed": ("text: str", "body: str", "major", "send(text): the keyword-only is gone"),
    "parameter now required": ('text: str = ""', "text: str", "major", "is now required"),
    "parameter now keyword-only": ("to: str, *, text", "*, to: str, text", "major", "is now keyword-only"),
    "parameter takes more": ("region: str | None", "region: str | int | None", "minor", "its type str | None is now"),
    "parameter takes less": ("region: str | None", "region: str", "major", "its type str | None is now str"),
    "positional-only renamed": ("contact_id: int | str, /", "number: int | str, /", "none", ""),
    "answer gives something else": ("/) -> str", "/) -> bytes", "major", "its type str is now bytes"),
    "answer may be None": ("-> list[int]", "-> list[int] | None", "major", "its type list[int] is now"),
    "key gone": ("    user_id: int | None\n", "", "major", "user_id: the key is gone"),
    "key new": ("    user_id", "    team_id: int\n    user_id", "minor", "team_id: the key is new"),
    "key new and required": (
        "    user_id",
        "    team_id: Required[int]\n    user_id",
        "major",
        "team_id: the key is new and required",
    ),
    "key now required": ("user_id: int | None", "user_id: Required[int | None]", "major", "is now required"),
    "key no longer required": ("name: Required[str]", "name: str", "minor", "is no longer required"),
    "closed set takes more": ('"open", "done"]\n', '"open", "done", "late"]\n', "minor", "is now Literal"),
    "closed set takes less": ('"open", "done"]\n', '"open"]\n', "major", "is now Literal"),
    "model gone": ("class Contact:", "class Person:", "major", "models.Contact: the class is gone"),
    "field gone": ("    name: str | None = None\n", "", "major", "Contact.name: the attribute is gone"),
    "field new": ("    kind:", "    score: float | None = None\n    kind:", "minor", "score: the attribute is new"),
    "field may be None": ("id: int", "id: int | None", "major", "its type int is now int | None"),
    "field is never None": ("name: str | None = None", 'name: str = ""', "minor", "its type str | None is now str"),
    "open set knows more": ('"open", "done"] |', '"open", "done", "late"] |', "minor", "is now Literal"),
    "closed set gives more": ('"x", "y"]', '"x", "y", "z"]', "major", "is now Literal"),
}


def package(folder: Path, change: tuple[str, str] = ("", "")) -> Path:
    files = {
        "custom/llamadapro/__init__.py": ROOT_MODULE,
        "custom/llamadapro/_client.py": CLIENT,
        "custom/llamadapro/_config.py": "class Config:\n    value: int\n",
        "custom/llamadapro/phone.py": PHONE,
        "custom/llamadapro/resources/__init__.py": "",
        "custom/llamadapro/resources/_contacts.py": CONTACTS,
        "custom/llamadapro/_transport/__init__.py": "def nobody(): ...\n",
        "generated/llamadapro_api/__init__.py": "",
        "generated/llamadapro_api/models/__init__.py": "",
        "generated/llamadapro_api/models/contact.py": MODELS,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(*change) if change[0] else text)
    return folder


@pytest.mark.parametrize("name", API_CHANGES)
def test_a_change_of_the_python_api_is_judged(name: str, tmp_path: Path) -> None:
    old, new, impact, words = API_CHANGES[name]
    assert old in CONTACTS + PHONE + MODELS
    changes = [
        *api_changes(snapshot(package(tmp_path / "old")), snapshot(package(tmp_path / "new", (old, new)))),
    ]
    assert judged(changes) == impact, changes
    assert words in "\n".join(f"{change.where}: {change.what}" for change in changes)


def test_only_public_names_are_compared(tmp_path: Path) -> None:
    names = snapshot(package(tmp_path))
    assert {
        "llamadapro.to_e164(region)",
        "llamadapro.phone.to_e164(region)",
        "llamadapro.AsyncLlamadaPro",
        "llamadapro.AsyncLlamadaPro.contacts.get(1)",
        "models.CreateContactBody.user_id",
    } <= names.keys()
    private = ("transport", "hidden", "_client", "_contacts", "Unreachable", "Config", "import_module", "to_dict.self")
    assert [name for name in names if any(part in name for part in private)] == []


def test_the_real_api_has_what_users_rely_on() -> None:
    names = snapshot(ROOT)
    assert {
        "llamadapro.AsyncLlamadaPro",
        "llamadapro.NotFoundError",
        "llamadapro.errors.NotFoundError",
        "llamadapro.phone.to_e164",
        "llamadapro.AsyncLlamadaPro.with_options(timeout)",
        "llamadapro.AsyncLlamadaPro.contacts.update",
        "llamadapro.AsyncLlamadaPro.custom_fields.options.create",
        "llamadapro.AsyncPaginator.collect",
        "models.Contact.first_name",
        "models.CreateContactBody.first_name",
        "models.GetContactsQuery.page_size",
    } <= names.keys()
    assert [name for name in names if re.search(r"\._(?!_init__)", name)] == []
    assert [*api_changes(names, names)] == []


# --- the document ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return read()


def rename(mapping: dict[str, Any], old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


def another_way(document: dict[str, Any]) -> dict[str, Any]:
    """A security scheme that the document does not have yet, whichever it has."""
    bearer = {"type": "http", "scheme": "bearer"}
    present = document["components"]["securitySchemes"]["ApiKeyAuth"]
    return bearer if present["type"] != "http" else {"type": "apiKey", "in": "query", "name": "key"}


DOCUMENT_CHANGES: dict[str, tuple[Any, str, str]] = {
    "nothing": (lambda doc: None, "none", ""),
    "described anew": (lambda doc: doc["info"].update(description="Other words"), "none", ""),
    "schema renamed": (lambda doc: rename(doc["components"]["schemas"], "Task", "Job"), "major", "schemas.Task"),
    "schema new": (lambda doc: doc["components"]["schemas"].update(Job={}), "none", ""),
    "operation renamed": (
        lambda doc: doc["paths"][path_of("GetTasks")]["get"].update(operationId="ListTasks"),
        "major",
        "the operation GetTasks is now ListTasks",
    ),
    "path parameter renamed": (
        lambda doc: doc["components"]["parameters"]["TaskId"].update(name="id"),
        "major",
        "the parameter taskId is gone or renamed",
    ),
    "query parameter renamed": (
        lambda doc: doc["components"]["parameters"]["PageSize"].update(name="perPage"),
        "major",
        "the parameter pageSize is gone or renamed",
    ),
    "parameter component renamed": (
        lambda doc: rename(doc["components"]["parameters"], "TenantId", "Tenant"),
        "none",
        "",
    ),
    "key header renamed": (
        lambda doc: doc["components"]["securitySchemes"]["ApiKeyAuth"].update(name="X-Other"),
        "major",
        "the key's place",
    ),
    "answer gone": (
        lambda doc: doc["paths"][path_of("GetTasks")]["get"]["responses"].update({"200": {"description": "Done."}}),
        "major",
        "it answers nothing (200), and answered TaskPage",
    ),
    "key sent in another way": (
        lambda doc: doc["components"]["securitySchemes"].update(ApiKeyAuth=another_way(doc)),
        "major",
        "the key's place",
    ),
    "server moved": (lambda doc: doc["servers"][0].update(url="https://api.example.org"), "minor", "the address"),
}


@pytest.mark.parametrize("name", DOCUMENT_CHANGES)
def test_a_change_of_names_in_the_document_is_judged(document: dict[str, Any], name: str) -> None:
    change, impact, words = DOCUMENT_CHANGES[name]
    changed = copy.deepcopy(document)
    change(changed)
    if name == "parameter component renamed":
        changed = yaml.safe_load(yaml.safe_dump(changed).replace("parameters/TenantId", "parameters/Tenant"))
    changes = [*document_changes(document, changed)]
    assert judged(changes) == impact
    assert words in "\n".join(f"{change.where}: {change.what}" for change in changes)


def test_what_redocly_says_of_a_component_is_one_change() -> None:
    verdict = {"impact": "major", "message": "gone", "location": {"pointer": "#/components/schemas/Task"}}
    report = {
        "changes": [
            {"path": "#/paths/a", "kind": "modified", "impact": "major", "verdicts": [verdict]},
            {"path": "#/paths/b", "kind": "modified", "impact": "major", "verdicts": [verdict]},
            {"path": "#/info", "kind": "modified", "impact": "patch", "verdicts": []},
        ]
    }
    assert [(one.impact, one.where, one.what) for one in redocly_changes(report)] == [
        ("major", "#/components/schemas/Task", "gone"),
        ("patch", "#/info", "modified"),
    ]


def modified(name: str, old: Any, new: Any, part: str = "responses/200") -> dict[str, Any]:
    """As redocly reports a property whose type changed."""
    verdict = {
        "impact": "major",
        "message": f"Type of `{name}` widened from '{old}' to '{new}'.",
        "location": {"pointer": f"#/components/schemas/Task/properties/{name}"},
    }
    path = f"#/paths/~1tasks/get/{part}/content/application~1json/schema/properties/{name}"
    sides = {"base": {"value": old}, "revision": {"value": new}}
    return {"path": path, "kind": "modified", "property": "type", "impact": "major", "verdicts": [verdict], **sides}


def removed(name: str) -> dict[str, Any]:
    verdict = {"impact": "major", "message": f"Property `{name}` of `Task` was removed."}
    return {"path": f"#/paths/x/{name}", "kind": "removed", "impact": "major", "verdicts": [verdict]}


def test_changes_of_one_kind_are_one_group() -> None:
    numbers = [modified(f"field{number}", "integer", "number") for number in range(86)]
    nullable = modified("other", ["integer", "null"], ["number", "null"], "requestBody")
    lines = [*grouped(redocly_changes({"changes": [*numbers, nullable, removed("a"), removed("b")]}))]
    assert "major  86 × integer → number in answers" in lines
    assert f"{'':6} … and 83 more (ARGS=--all)" in lines
    assert "major  2 × Property was removed." in lines
    assert f"{'':6} #/paths/x/b: Property `b` of `Task` was removed." in lines
    assert "major  Type of `other` widened from '['integer', 'null']' to '['number', 'null']'." in lines
    assert len(lines) == 1 + 3 + 1 + 2 + 3


def test_all_places_can_be_listed() -> None:
    numbers = [modified(f"field{number}", "integer", "number") for number in range(86)]
    lines = [*grouped(redocly_changes({"changes": numbers}), None)]
    assert len(lines) == 87


def test_a_generated_function_that_drops_the_promised_answer_is_named(document: dict[str, Any]) -> None:
    names = snapshot(ROOT)
    assert [*unanswered(document, names)] == []
    broken = names | {"api.get_task": replace(names["api.get_task"], type="types.PreparedRequest[None]")}
    [change] = unanswered(document, broken)
    assert (change.impact, change.where) == ("major", f"GET {path_of('GetTask', '{}')}")
    assert change.what == "api.get_task answers nothing, and openapi.yaml promises Task"


def test_redocly_judges_the_wire(document: dict[str, Any], tmp_path: Path) -> None:
    """Where node and the pinned version are at hand; nothing is fetched for this."""
    try:
        subprocess.run(["npx", "--no", "@redocly/cli@2.77.0", "--version"], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("redocly is not at hand")
    changed = copy.deepcopy(document)
    schemas = changed["components"]["schemas"]
    del changed["paths"][path_of("LoadRecording")]
    schemas["CreateContactBody"]["required"] = ["firstName"]
    schemas["Contact"]["properties"]["score"] = {"type": "number"}
    for name, content in (("old", document), ("new", changed)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    found = [*redocly_changes(redocly(tmp_path / "old.yaml", tmp_path / "new.yaml"))]
    reported = "\n".join(f"{change.impact} {change.where} {change.what}" for change in found)
    assert judged(found) == "major", reported
    [*_, gone] = path_of("LoadRecording").split("/")
    assert any(change.impact == "major" and gone in change.where for change in found), reported
    assert any(change.impact == "major" and "CreateContactBody" in change.where for change in found), reported
    assert any(change.impact in ("minor", "patch") and "score" in change.where for change in found), reported


# --- the version -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "impact", "right"),
    [
        ("1.2.3", "1.2.3", "none", True),
        ("1.2.3", "1.2.3", "patch", False),
        ("1.2.3", "1.2.4", "patch", True),
        ("1.2.3", "1.2.4", "minor", False),
        ("1.2.3", "1.3.0", "minor", True),
        ("1.2.3", "1.3.0", "major", False),
        ("1.2.3", "2.0.0", "major", True),
        ("0.2.3", "0.2.4", "minor", True),
        ("0.2.3", "0.2.4", "major", False),
        ("0.2.3", "0.3.0", "major", True),
        ("0.2.3", "1.0.0", "major", True),
    ],
)
def test_the_version_must_move_with_the_change(old: str, new: str, impact: str, right: bool) -> None:
    assert (version_complaint(old, new, impact, f"## {new} (2026-11-23)\n") == "") is right


def test_the_changelog_must_have_the_version() -> None:
    assert "CHANGELOG" in version_complaint("1.2.3", "1.2.4", "patch", "## Unreleased\n")
