"""LlamadaPro for Python: an async client for contacts, tasks, conversations, WhatsApp messages, calls and voice agents.

Start with `AsyncLlamadaPro`. Everything here is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import models as models
    from ._client import AsyncLlamadaPro as AsyncLlamadaPro
    from ._pagination import AsyncPaginator as AsyncPaginator
    from ._pagination import Page as Page
    from .errors import APIConnectionError as APIConnectionError
    from .errors import APIError as APIError
    from .errors import APIResponseValidationError as APIResponseValidationError
    from .errors import APIStatusError as APIStatusError
    from .errors import APITimeoutError as APITimeoutError
    from .errors import AuthenticationError as AuthenticationError
    from .errors import BadRequestError as BadRequestError
    from .errors import ConfigurationError as ConfigurationError
    from .errors import ConflictError as ConflictError
    from .errors import InternalServerError as InternalServerError
    from .errors import InvalidPhoneNumberError as InvalidPhoneNumberError
    from .errors import InvalidRequestError as InvalidRequestError
    from .errors import LlamadaProError as LlamadaProError
    from .errors import NotFoundError as NotFoundError
    from .errors import PaginationError as PaginationError
    from .errors import PermissionDeniedError as PermissionDeniedError
    from .errors import RateLimitError as RateLimitError
    from .errors import UnprocessableEntityError as UnprocessableEntityError
    from .errors import WaitTimeoutError as WaitTimeoutError
    from .phone import to_e164 as to_e164

_SUBMODULES = ("addresses", "errors", "models", "phone", "search", "whatsapp")
_MODULES = {
    "AsyncLlamadaPro": "._client",
    "AsyncPaginator": "._pagination",
    "Page": "._pagination",
    "to_e164": ".phone",
}

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncLlamadaPro",
    "AsyncPaginator",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "InternalServerError",
    "InvalidPhoneNumberError",
    "InvalidRequestError",
    "LlamadaProError",
    "NotFoundError",
    "Page",
    "PaginationError",
    "PermissionDeniedError",
    "RateLimitError",
    "UnprocessableEntityError",
    "WaitTimeoutError",
    "models",
    "to_e164",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    # What is not elsewhere is an error class.
    module = _MODULES.get(name, ".errors")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
