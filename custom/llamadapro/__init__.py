"""LlamadaPro for Python: an async client for contacts, tasks, conversations, WhatsApp messages, calls and voice agents.

Start with `AsyncLlamadaPro`. Everything here is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from ._lazy import lazy_names
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import models as models
    from ._bulk import BulkOutcome as BulkOutcome
    from ._client import AsyncLlamadaPro as AsyncLlamadaPro
    from ._config import RateLimiter as RateLimiter
    from ._pagination import AsyncPaginator as AsyncPaginator
    from ._pagination import Page as Page
    from ._reports import ImportIssue as ImportIssue
    from ._reports import ImportReport as ImportReport
    from ._reports import SendIssue as SendIssue
    from ._reports import SendReport as SendReport
    from ._transport import Attempt as Attempt
    from ._transport import Exchange as Exchange
    from .errors import *  # noqa: F403
    from .phone import to_e164 as to_e164

__all__ = [  # noqa: F405 - errors has its own
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncLlamadaPro",
    "AsyncPaginator",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BulkOutcome",
    "ConfigurationError",
    "ConflictError",
    "Exchange",
    "ImportIssue",
    "ImportReport",
    "InternalServerError",
    "InvalidPhoneNumberError",
    "InvalidRequestError",
    "JobError",
    "LlamadaProError",
    "NotFoundError",
    "Page",
    "PaginationError",
    "PermissionDeniedError",
    "RateLimitError",
    "RateLimiter",
    "SendIssue",
    "SendReport",
    "UnprocessableEntityError",
    "WaitTimeoutError",
    "__version__",
    "models",
    "to_e164",
]

_SUBMODULES = ("addresses", "errors", "models", "phone", "resources", "search", "whatsapp")
_MODULES = {
    "AsyncLlamadaPro": "._client",
    "AsyncPaginator": "._pagination",
    "Attempt": "._transport",
    "BulkOutcome": "._bulk",
    "Exchange": "._transport",
    "ImportIssue": "._reports",
    "ImportReport": "._reports",
    "Page": "._pagination",
    "RateLimiter": "._config",
    "SendIssue": "._reports",
    "SendReport": "._reports",
    "to_e164": ".phone",
}

if not TYPE_CHECKING:  # a checker that saw it would take any misspelt name for one of ours
    # What is not elsewhere is an error class.
    __getattr__, __dir__ = lazy_names(
        __name__,
        {name: _MODULES.get(name, ".errors") for name in __all__ if name not in (*_SUBMODULES, "__version__")},
        globals(),
        _SUBMODULES,
    )
