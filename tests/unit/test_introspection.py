"""What a method shows of itself (signature, annotations, help), and how it names itself when it is called wrongly."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import pydoc
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import httpx
import pytest

from llamadapro import AsyncLlamadaPro, resources
from llamadapro_api import api, models

PUBLIC_MODULES = ("llamadapro", *(f"llamadapro.{name}" for name in (
    "addresses", "errors", "models", "phone", "resources", "search", "whatsapp"
)))  # fmt: skip


def sections() -> Iterator[tuple[str, Any]]:
    client = AsyncLlamadaPro("key", "http://localhost:1")
    for name, member in inspect.getmembers(AsyncLlamadaPro, lambda member: isinstance(member, cached_property)):
        assert member is not None
        yield name, getattr(client, name)
    yield "custom_fields.definitions", client.custom_fields.definitions
    yield "custom_fields.options", client.custom_fields.options


METHODS: dict[str, Callable[..., Any]] = {
    f"{section}.{name}": method
    for section, resource in sections()
    for name, method in inspect.getmembers(resource, inspect.ismethod)
    if not name.startswith("_")
}
each_method = pytest.mark.parametrize("name", METHODS)


def required(name: str) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(METHODS[name]).parameters.values() if one.default is one.empty]


async def error_of(name: str, *args: Any, **kwargs: Any) -> str:
    """What a method says of arguments that do not fit it."""
    try:
        await METHODS[name](*args, **kwargs)
    except TypeError as error:
        return str(error)
    pytest.fail("it was taken")


# --- signatures --------------------------------------------------------------------------------------------------


@each_method
def test_a_signature_shows_every_keyword_with_its_type(name: str) -> None:
    method: Any = METHODS[name]
    signature = inspect.signature(method)
    for parameter in signature.parameters.values():
        assert parameter.kind is not parameter.VAR_KEYWORD, "`**fields` names no keyword"
        assert not isinstance(parameter.annotation, str)
    assert not isinstance(signature.return_annotation, str)
    assert list(inspect.signature(method.__func__).parameters) == ["self", *signature.parameters]
    assert str(signature) == str(inspect.signature(method))
    assert signature.replace() == signature


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("contacts.create", "create_contact"),
        ("contacts.search", "search_contacts"),
        ("tasks.list", "get_tasks"),
        ("calls.create", "create_call"),
        ("messages.send", "create_message"),
        ("custom_fields.options.create", "create_custom_field_list_option"),
    ],
)
def test_the_keywords_are_those_of_the_operation(name: str, operation: str) -> None:
    def keywords(function: Callable[..., Any]) -> dict[str, bool]:
        """Name → whether it must be given."""
        found = inspect.signature(function).parameters.values()
        return {one.name: one.default is one.empty for one in found if one.kind is one.KEYWORD_ONLY}

    own = {"max_items": False, "prefetch": False} if name.endswith((".list", ".search")) else {}
    assert keywords(METHODS[name]) == own | keywords(getattr(api, operation))


def test_a_signature_binds() -> None:
    signature = inspect.signature(METHODS["contacts.update"])
    assert signature.bind(5, first_name="Jane").arguments == {"contact_id": 5, "first_name": "Jane"}
    with pytest.raises(TypeError, match="fist_name"):
        signature.bind(5, fist_name="Jane")
    assert signature.return_annotation is models.Contact
    assert signature.parameters["first_name"].annotation == str | None


@each_method
def test_help_lists_the_keywords(name: str) -> None:
    shown = pydoc.plain(pydoc.render_doc(METHODS[name]))
    assert all(f"{keyword}:" in shown for keyword in inspect.signature(METHODS[name]).parameters)


@each_method
def test_a_method_is_still_what_it_is(name: str) -> None:
    """Mocks and frameworks ask."""
    walks = name.endswith((".list", ".search"))
    assert inspect.iscoroutinefunction(METHODS[name]) is not walks
    assert METHODS[name].__name__ == name.rpartition(".")[2]
    assert inspect.getdoc(METHODS[name])


@each_method
def test_the_example_of_a_method_fits_it(name: str) -> None:
    """And each has one."""
    text = inspect.getdoc(METHODS[name]) or ""
    section, _, method = name.rpartition(".")
    blocks = [
        *re.findall(r"``([^`]+)``", text),
        *(textwrap.dedent(one) for one in re.findall(r"(?:^ {4}.*\n?|^\n)+", text, re.MULTILINE)),
    ]
    examples = 0
    for block in blocks:
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(block)):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if isinstance(node, ast.Call) and called.removeprefix("client.") in METHODS:
                    keywords = {one.arg or "": None for one in node.keywords}
                    inspect.signature(METHODS[called.removeprefix("client.")]).bind(*node.args, **keywords)
                    examples += called == f"client.{section}.{method}"
    assert examples, text


# --- annotations -------------------------------------------------------------------------------------------------


def annotated() -> Iterator[tuple[str, Any]]:
    """Every public function and class, and every public method and property of the classes."""
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", vars(module)):
            value = getattr(module, name)
            if name.startswith("_") or not getattr(value, "__module__", "").startswith("llamadapro"):
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{module_name}.{name}", value
            for member_name, member in inspect.getmembers_static(value) if inspect.isclass(value) else ():
                function = getattr(member, "func", getattr(member, "fget", getattr(member, "__func__", member)))
                if inspect.isfunction(function) and function.__module__.startswith("llamadapro"):
                    yield f"{module_name}.{name}.{member_name}", function


def test_every_annotation_can_be_resolved() -> None:
    found = dict(annotated())
    assert {"llamadapro.Page.get_next_page", "llamadapro.resources.Calls.wait", "llamadapro.errors.APIError"} <= {
        *found
    }
    for name, value in found.items():
        try:
            typing.get_type_hints(value)
        except NameError as error:
            pytest.fail(f"{name}: {error}")
    assert typing.get_type_hints(found["llamadapro.errors.APIError"])["request"] is httpx.Request
    assert typing.get_type_hints(found["llamadapro.AsyncLlamadaPro.contacts"])["return"] is resources.Contacts


# --- wrong arguments ---------------------------------------------------------------------------------------------


@each_method
async def test_an_unknown_keyword_is_an_error_that_names_the_method(name: str) -> None:
    arguments = [5 for one in required(name) if one.kind is not one.KEYWORD_ONLY]
    assert (await error_of(name, *arguments, xyz=1)).startswith(f"{name}(): unknown keyword 'xyz'; ")


@pytest.mark.parametrize("name", [name for name in METHODS if required(name)])
async def test_so_is_a_missing_argument(name: str) -> None:
    assert await error_of(name) == f"{name}(): missing {', '.join(one.name for one in required(name))}"


@pytest.mark.parametrize(
    ("name", "keyword", "meant"),
    [
        ("tasks.list", "state", "status"),
        ("contacts.create", "firstName", "first_name"),
        ("messages.send_text", "txt", "text"),
        ("messages.send_template", "template", "template_name"),
        ("messages.upload_media", "filename", "file_name"),
        ("calls.bridge", "from", "from_"),
        ("conversations.import_many", "chunksize", "chunk_size"),
    ],
)
async def test_what_was_probably_meant_is_suggested(name: str, keyword: str, meant: str) -> None:
    positional = [[] for one in required(name) if one.kind is not one.KEYWORD_ONLY]
    said = await error_of(name, *positional, **{keyword: "x"})
    assert said == f"{name}(): unknown keyword {keyword!r}; did you mean {meant!r}?"


async def test_what_goes_by_position_and_what_does_not() -> None:
    assert "no positional arguments, but 1 was given; use keywords" in await error_of("contacts.create", "Jane")
    assert "takes only contact_id, but 2 were given; use keywords" in await error_of("contacts.get", 5, 6)
    assert "contact_id is positional: give it without its name" in await error_of("contacts.get", contact_id=5)


def test_options_and_free_requests_say_it_too() -> None:
    client = AsyncLlamadaPro("key", "http://localhost:1")
    with pytest.raises(TypeError, match=r"^with_options\(\): unknown keyword 'timeot'; did you mean 'timeout'\?$"):
        client.with_options(timeot=5)  # type: ignore[call-arg]


async def test_a_type_error_of_other_origin_is_left_alone() -> None:
    def on_status(_call: object) -> None:
        raise TypeError("the caller's own")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": 5}))
    async with httpx.AsyncClient(transport=transport) as own:
        client = AsyncLlamadaPro("key", "http://localhost:1", http_client=own)
        with pytest.raises(TypeError, match=r"^the caller's own$"):
            await client.calls.wait(5, on_status=on_status)


@pytest.mark.parametrize(
    ("name", "arguments", "keywords"),
    [
        ("tasks.complete", [None], {}),
        ("tasks.cancel", [None], {}),
        ("calls.wait", [None], {}),
        ("calls.get_recording", [None], {"timeout": 5}),
        ("messages.wait", [None], {}),
        ("contacts.update", [5], {"first_name": 5}),
        ("messages.send_text", [], {"to": "+56912345678", "from_": "+56912345678", "text": 5}),
    ],
)
async def test_a_bad_value_names_the_method_that_was_called(
    name: str, arguments: list[Any], keywords: dict[str, Any]
) -> None:
    from llamadapro import InvalidRequestError

    with pytest.raises(InvalidRequestError, match=f"^{name}: "):
        await METHODS[name](*arguments, **keywords)
