"""Promise 6, light: what an import loads, in processes of their own; and that every public name is in its place."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import llamadapro
import llamadapro.errors
import llamadapro.resources
import llamadapro_api.models
from llamadapro_api.document import IDEMPOTENT

OURS = {"llamadapro", "llamadapro_api"}
ROOT = {"llamadapro._lazy", "llamadapro._version"}
"""What the root itself is made of."""
HEAVY = {
    "dateutil",
    "phonenumbers",
    "aiohttp",
    "httpx_aiohttp",
    "starlette",
    "uvicorn",
    "jsonschema_rs",
    "yaml",
    "hypothesis",
    "pytest",
    "llamadapro_sandbox",
}
EVERY_MODEL = len([name for name in llamadapro_api.models.__all__ if not name.endswith(("Body", "Options", "Query"))])


@cache
def loaded(code: str) -> frozenset[str]:
    """The modules that a process has after running `code`, without those that every process has."""
    return _modules(code) - _modules("")


def _modules(code: str) -> frozenset[str]:
    report = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    return frozenset(json.loads(run(f"{code}\n{report}")))


def run(code: str) -> str:
    """Run code where every warning is an error; what it prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def roots(modules: frozenset[str]) -> set[str]:
    """The packages of others, and ours; the standard library does not count."""
    return {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"__mp_main__"}


def within(modules: frozenset[str], package: str) -> set[str]:
    return {name for name in modules if name.startswith(f"{package}.")}


def test_importing_the_package_loads_nothing_of_it() -> None:
    modules = loaded("import llamadapro")
    assert roots(modules) == {"llamadapro"}
    assert within(modules, "llamadapro") == ROOT
    assert "asyncio" not in modules


def test_the_client_costs_little_more_than_httpx() -> None:
    base = loaded("import asyncio, httpx, attrs, orjson")
    client = loaded("import llamadapro; llamadapro.AsyncLlamadaPro")
    assert roots(client) - roots(base) == OURS
    assert not HEAVY & roots(client)
    assert within(client, "llamadapro.resources") == set()
    assert within(client, "llamadapro_api.models") == set()
    assert within(client, "llamadapro_api.api") == set()
    # A handful of modules of the standard library that httpx does not have already.
    assert len({name for name in client - base if name.partition(".")[0] not in OURS}) <= 24


def test_so_do_a_client_and_its_first_resource() -> None:
    code = "from llamadapro import AsyncLlamadaPro; client = AsyncLlamadaPro('key', 'http://localhost:1')"
    built, touched = loaded(code), loaded(f"{code}; client.contacts.list(page_size=5)")
    assert within(built, "llamadapro.resources") == set()
    assert roots(touched) - roots(built) <= {"typing_extensions"}  # older neighbors load it themselves
    assert not HEAVY & roots(touched)
    assert within(touched, "llamadapro.resources") == {"llamadapro.resources._base", "llamadapro.resources._contacts"}
    assert {name.split(".")[2] for name in within(touched, "llamadapro_api.api")} == {"v1contacts"}
    assert len(within(touched, "llamadapro_api.models")) < EVERY_MODEL / 3


def test_touching_a_resource_loads_no_operation_and_no_model() -> None:
    code = "from llamadapro import AsyncLlamadaPro; client = AsyncLlamadaPro('key', 'http://localhost:1')"
    every = "contacts, client.tasks, client.conversations, client.messages, client.calls, client.recordings"
    touched = loaded(f"{code}; client.{every}, client.custom_fields.definitions, client.custom_fields.options")
    assert len(within(touched, "llamadapro.resources")) == 8
    assert within(touched, "llamadapro_api.api") == set()
    assert within(touched, "llamadapro_api.models") == set()


def test_operations_are_found_by_name_and_others_are_not() -> None:
    from llamadapro_api import api

    operations = {name: getattr(api, name) for name in dir(api)}
    assert len(operations) == len(IDEMPOTENT)
    assert all(name == operation.__name__ for name, operation in operations.items())
    with pytest.raises(AttributeError, match="no attribute 'get_contract'"):
        _ = api.get_contract


@pytest.mark.parametrize("name", ["errors", "phone"])
def test_small_modules_load_nothing_heavy(name: str) -> None:
    modules = loaded(f"import llamadapro.{name}")
    assert roots(modules) == {"llamadapro"}
    assert within(modules, "llamadapro") <= ROOT | {"llamadapro.errors", "llamadapro._error_body", "llamadapro.phone"}


def test_numbering_plans_are_loaded_for_a_national_number_only() -> None:
    assert "phonenumbers" not in roots(loaded("from llamadapro import to_e164; to_e164('+56912345678')"))
    assert "phonenumbers" in roots(loaded("from llamadapro import to_e164; to_e164('912345678', 'CL')"))


def test_python_dateutil_is_loaded_for_an_odd_date_only() -> None:
    code = "from llamadapro.models import Task; Task.from_dict({{'id': '1', 'dueDate': '{}'}})"
    assert "dateutil" not in roots(loaded(code.format("2026-01-02T03:04:05.678Z")))
    assert "dateutil" in roots(loaded(code.format("2026-01-02T24:00:00Z")))


def test_the_pytest_plugin_costs_other_projects_nothing() -> None:
    """Every pytest run in an environment with this package imports it."""
    modules = loaded("import llamadapro.testing") - loaded("import pytest")
    assert roots(modules) == {"llamadapro"}
    assert within(modules, "llamadapro") == ROOT | {"llamadapro.testing"}


# --- names -------------------------------------------------------------------------------------------------------


def test_the_root_has_the_promised_names() -> None:
    promised = {
        *("AsyncLlamadaPro", "AsyncPaginator", "Attempt", "BulkOutcome", "Exchange", "ImportIssue", "ImportReport"),
        *("Page", "RateLimiter", "__version__", "models", "to_e164", *llamadapro.errors.__all__),
    }
    assert set(llamadapro.__all__) >= promised
    assert len(set(llamadapro.__all__)) == len(llamadapro.__all__)
    assert set(dir(llamadapro)) >= promised


def test_the_version_is_where_the_build_reads_it() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    how = project["tool"]["hatch"]["version"]
    found = re.search(how["pattern"], (root / how["path"]).read_text("utf-8"))
    assert found
    assert found["version"] == llamadapro.__version__
    assert "version" in project["project"]["dynamic"]


def test_the_package_can_be_run() -> None:
    done = subprocess.run([sys.executable, "-m", "llamadapro", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: llamadapro" in done.stdout


def test_a_star_import_brings_them_all() -> None:
    different = "[name for name in llamadapro.__all__ if globals()[name] is not getattr(llamadapro, name)]"
    assert run(f"from llamadapro import *; import llamadapro; print({different})").strip() == "[]"


@pytest.mark.parametrize("name", ["models", "errors", "phone"])
def test_modules_are_real_ones(name: str) -> None:
    run(f"import llamadapro.{name}; import sys; assert sys.modules['llamadapro.{name}'] is llamadapro.{name}")
    run(f"from llamadapro import {name}; import llamadapro; assert {name} is llamadapro.{name}")
    run(f"import importlib; importlib.import_module('llamadapro.{name}')")


@pytest.mark.parametrize(
    "statement", ["from llamadapro.models import Contact", "import llamadapro; Contact = llamadapro.models.Contact"]
)
def test_a_model_is_loaded_by_name(statement: str) -> None:
    run(f"{statement}\nassert Contact(id=1).to_dict() == {{'id': 1}}")


@pytest.mark.parametrize(
    "module",
    [llamadapro, llamadapro.models, llamadapro_api.models, llamadapro.errors, llamadapro.resources],
    ids=lambda one: one.__name__,
)
def test_every_name_is_there(module: ModuleType) -> None:
    for name in module.__all__:
        assert getattr(module, name) is getattr(module, name)
        assert name in dir(module)
    for missing in ("Nothing", "__wrapped__"):
        with pytest.raises(AttributeError, match=missing):
            getattr(module, missing)


@pytest.mark.parametrize("name", ["llamadapro.resources", "llamadapro_sandbox"])
def test_packages_that_load_late_have_every_name_too(name: str) -> None:
    module = importlib.import_module(name)
    assert all(getattr(module, each) is not None for each in module.__all__)
    with pytest.raises(AttributeError, match="Nothing"):
        module.Nothing  # noqa: B018


@pytest.mark.parametrize(
    "module", [llamadapro, llamadapro.resources, llamadapro_api.models], ids=lambda one: one.__name__
)
def test_type_checkers_see_the_same_names(module: ModuleType) -> None:
    """Lazy names are stated twice: once for type checkers, once at run time."""
    assert module.__file__
    block = next(node for node in ast.parse(Path(module.__file__).read_text()).body if isinstance(node, ast.If))
    stated: dict[str, Any] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            if alias.name == "*":
                every = importlib.import_module("." * node.level + (node.module or ""), module.__name__).__all__
                stated |= dict.fromkeys(every, node)
                continue
            assert alias.asname == alias.name, "without `as`, strict type checkers take it for private"
            stated[alias.name] = node
    assert set(stated) == {*module.__all__} - {"__version__"}
    for name, node in stated.items():
        source = importlib.import_module("." * node.level + (node.module or ""), module.__name__)
        assert getattr(module, name) is (getattr(source, name) if node.module else getattr(module, name))


def test_packages_say_that_they_are_typed() -> None:
    for module in (llamadapro, llamadapro_api):
        assert (Path(str(module.__path__[0])) / "py.typed").is_file()
