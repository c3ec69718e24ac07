"""Run on a fresh package, in a process of its own: does everything in it import, resolve and compile?

Prints the method and path of every operation, as JSON.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import typing
from pathlib import Path
from typing import Any


def main(package: Path) -> None:
    sys.path.insert(0, str(package.parent))
    root = importlib.import_module(package.name)
    modules = [importlib.import_module(one.name) for one in pkgutil.walk_packages(root.__path__, f"{root.__name__}.")]
    reading, writing, operations = (
        importlib.import_module(f"{root.__name__}.{name}") for name in ("reading", "writing", "operations")
    )
    found = []
    for module in modules:
        for value in list(vars(module).values()):
            if isinstance(value, operations.Operation):
                value.check()
                found.append((value.method, value.path))
            elif isinstance(value, type) and value.__module__ == module.__name__:
                _check_class(value, reading, writing)
    for name in ("models", "api"):
        names = importlib.import_module(f"{root.__name__}.{name}")
        for each in names.__all__:
            getattr(names, each)
    print(json.dumps(found))


def _check_class(value: Any, reading: Any, writing: Any) -> None:
    if issubclass(value, reading.Model) and value is not reading.Model:
        value.from_dict({}).to_dict()
    elif issubclass(value, dict) and value.__annotations__:
        typing.get_type_hints(value, include_extras=True)
        writing.compile_writer(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
