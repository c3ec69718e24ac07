"""Many items at once: a batch's report held against the items that were sent, and imports of any size, in chunks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batch import BulkOutcome as BulkOutcome
    from .batch import ItemIssues as ItemIssues
    from .report import ImportIssue as ImportIssue
    from .report import ImportReport as ImportReport
    from .report import OpenChunk as OpenChunk
    from .source import Rows as Rows

_MODULES = {
    "BulkOutcome": ".batch",
    "ImportIssue": ".report",
    "ImportReport": ".report",
    "ItemIssues": ".batch",
    "OpenChunk": ".report",
    "Rows": ".source",
}

__all__ = ["BulkOutcome", "ImportIssue", "ImportReport", "ItemIssues", "OpenChunk", "Rows"]


def __getattr__(name: str) -> Any:
    # Loaded by those who use them: most programs touch conversations without importing a million.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
