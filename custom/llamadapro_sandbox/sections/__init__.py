"""The handler of the API, one file per section: a function per operation, found by its operationId."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State

Handler = Callable[[State, ApiRequest], Any]
HANDLERS: dict[str, Handler] = {}
SECTIONS = ("calls", "contacts", "conversations", "custom_fields", "messages", "recordings", "tasks")


def handles(operation_id: str) -> Callable[[Handler], Handler]:
    """This function is what the operation does. It returns the answer's body, or None for an answer without one."""

    def keep(handler: Handler) -> Handler:
        HANDLERS[operation_id] = handler
        return handler

    return keep


def handlers() -> dict[str, Handler]:
    for section in SECTIONS:
        import_module(f".{section}", __package__)
    return HANDLERS
