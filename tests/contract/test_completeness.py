"""What an operation of the document still lacks in the rest of the repository: one sentence for each, and what to do.

A new operation works as soon as it is generated: `client.send` sends it, the sandbox answers it by its shape. These
tests name what only a person can add.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from llamadapro_sandbox.document import load
from llamadapro_sandbox.sections import handlers
from tests.contract.operation_calls import OPERATION_CALLS, operation_id
from tests.openapi import OPERATIONS, ROOT, Operation, functions

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=str)


@dataclass(frozen=True)
class Repository:
    """What there is: generated functions and used ones by their Python names, the others by operationId."""

    generated: frozenset[str]
    used_by_resources: frozenset[str]
    called_by_tests: frozenset[str]
    handled_by_sandbox: frozenset[str]
    shown_in_guide: frozenset[str]


def used_by_resources() -> Iterator[str]:
    for path in (ROOT / "custom" / "llamadapro" / "resources").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "api":
                yield node.attr


def shown_in_guide() -> Iterator[str]:
    page = (ROOT / "docs" / "guide" / "operations.md").read_text("utf-8")
    yield from re.findall(r"^### (\w+)\n\n```python\n", page, re.MULTILINE)


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository(
        frozenset(functions()),
        frozenset(used_by_resources()),
        frozenset(map(operation_id, OPERATION_CALLS)),
        frozenset(handlers(load())),
        frozenset(shown_in_guide()),
    )


def missing(operation: Operation, repository: Repository) -> Iterator[str]:
    """A sentence for each thing that an operation lacks."""
    if operation.name not in repository.generated:
        yield f"{operation} has no generated function: run `make generate`."
    if operation.id not in repository.called_by_tests:
        yield f"{operation} is called by no test: add it to OPERATION_CALLS in tests/contract/operation_calls.py."
    if operation.name not in repository.used_by_resources:
        yield (
            f"{operation} has no method: add one to custom/llamadapro/resources/; "
            f"until then it is client.send(api.{operation.name}(…))."
        )
    if operation.id not in repository.handled_by_sandbox:
        yield (
            f"{operation} has no behavior in the sandbox, which answers by its shape: "
            f'add it to custom/llamadapro_sandbox/sections/ under @handles("{operation}").'
        )
    if operation.id not in repository.shown_in_guide:
        yield f"{operation} has no example: add it to docs/guide/operations.md under ### {operation}."


@every_operation
def test_an_operation_lacks_nothing(operation: Operation, repository: Repository) -> None:
    found = [*missing(operation, repository)]
    assert not found, "\n".join(["", *found])


def test_nothing_is_left_of_operations_that_are_gone(repository: Repository) -> None:
    names = {operation.name for operation in OPERATIONS.values()}
    assert repository.generated == names
    assert repository.used_by_resources <= names
    for found in (repository.called_by_tests, repository.handled_by_sandbox, repository.shown_in_guide):
        assert found <= OPERATIONS.keys()


@pytest.mark.parametrize(
    ("part", "name", "sentence"),
    [
        ("generated", "get_task", "GetTask has no generated function: run `make generate`."),
        ("called_by_tests", "GetTask", "GetTask is called by no test: add it to OPERATION_CALLS in "),
        (
            "used_by_resources",
            "get_task",
            "GetTask has no method: add one to custom/llamadapro/resources/; until then ",
        ),
        ("handled_by_sandbox", "GetTask", "GetTask has no behavior in the sandbox, which answers by its shape: "),
        ("shown_in_guide", "GetTask", "GetTask has no example: add it to docs/guide/operations.md under ### GetTask."),
    ],
)
def test_each_gap_is_one_sentence(part: str, name: str, sentence: str, repository: Repository) -> None:
    without = replace(repository, **{part: getattr(repository, part) - {name}})
    [found] = missing(OPERATIONS["GetTask"], without)
    assert found.startswith(sentence)
    assert found.endswith(".")


def test_an_operation_that_nobody_knows_lacks_everything(repository: Repository) -> None:
    new = Operation("GetInvoice", "GET", "/api/v1/invoices/{id}", {"responses": {}}, {})
    assert len([*missing(new, repository)]) == 5
