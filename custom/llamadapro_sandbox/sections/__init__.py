"""The behaviour of the API, one file per section: a function per operation, found by its operationId."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from llamadapro_sandbox.reading import Ask
from llamadapro_sandbox.world import World

Behaviour = Callable[[World, Ask], Any]
BEHAVIOURS: dict[str, Behaviour] = {}
SECTIONS = ("calls", "contacts", "conversations", "custom_fields", "messages", "recordings", "tasks")


def does(operation_id: str) -> Callable[[Behaviour], Behaviour]:
    """This function is what the operation does. It returns the answer's body, or None for an answer without one."""

    def keep(behaviour: Behaviour) -> Behaviour:
        BEHAVIOURS[operation_id] = behaviour
        return behaviour

    return keep


def behaviours() -> dict[str, Behaviour]:
    for section in SECTIONS:
        import_module(f".{section}", __package__)
    return BEHAVIOURS
