"""The handlers of the API, one file per section: a function per operation, found by its operationId."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from llamadapro_sandbox.document import Document, Operation
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State

Handler = Callable[[State, ApiRequest], Any]
HANDLERS: dict[str, Handler] = {}
SECTIONS: dict[str, tuple[str, ...]] = {
    "calls": ("calls",),
    "contacts": ("contacts",),
    "conversations": ("conversations",),
    "custom_fields": ("custom-fields", "custom-field-definitions", "custom-field-list-options"),
    "messages": ("messages", "whatsapp"),
    "recordings": ("recordings",),
    "tasks": ("tasks",),
}
"""The sections, and the words in their operations' tags or paths: another API may have an operation called `Create`.
Either will do, so that a corrected path keeps its handlers."""


def handles(operation_id: str) -> Callable[[Handler], Handler]:
    """This function is what the operation does. It returns the answer's body, or None for an answer without one."""

    def keep(handler: Handler) -> Handler:
        HANDLERS[operation_id] = handler
        return handler

    return keep


def handlers(document: Document) -> dict[str, Handler]:
    """The handlers of a document's operations; those without one are answered by their shape."""
    for section in SECTIONS:
        import_module(f".{section}", __package__)
    return {
        name: handler
        for name, handler in HANDLERS.items()
        if name in document.operations
        and _words(document.operations[name]) & set(SECTIONS[handler.__module__.rsplit(".", 1)[1]])
    }


def _words(operation: Operation) -> set[str]:
    return set(re.split("[/ ]", f"{operation.tag} {operation.path}".lower()))
