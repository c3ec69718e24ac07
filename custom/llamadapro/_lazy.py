"""Names that are imported when they are first used; type checkers see ordinary imports instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str], namespace: dict[str, Any], more: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names, and submodules among `more`, are imported on first use."""

    def get(name: str) -> Any:
        if name in modules:
            namespace[name] = getattr(import_module(modules[name], package), name)
        elif name in more:
            namespace[name] = import_module(f".{name}", package)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return namespace[name]

    return get, lambda: sorted({*namespace["__all__"], *more})


class LazyModule(ModuleType):
    """A module that is imported when an attribute of it is used, so that annotations can refer to it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)
