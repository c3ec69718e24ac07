"""YAML as OpenAPI means it: what JSON can say."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import yaml


def load_yaml(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text, object_pairs_hook=_once)  # YAML has no escapes for what is beyond 16 bits
    return yaml.load(text, Loader=_loader())  # noqa: S506 - derived from the safe loader


def _loader() -> Any:
    """YAML 1.2 as OpenAPI wants it: dates and keys are text, booleans true or false, no key is given twice."""
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    kept = {
        first: [(tag, pattern) for tag, pattern in rules if not tag.endswith((":timestamp", ":bool"))]
        for first, rules in base.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self: Any, node: Any, deep: bool = False) -> Any:
        seen = set[Any]()
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
            seen.add((key.tag, key.value))
        return base.construct_mapping(self, node, deep)

    own = {"yaml_implicit_resolvers": kept, "construct_mapping": construct_mapping, "flatten_mapping": _keys_as_text}
    loader: Any = type("Loader", (base,), own)
    loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
    return loader


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError  # YAML says which key it is, and where
    return found


def _keys_as_text(loader: Any, node: yaml.MappingNode) -> None:
    yaml.SafeLoader.flatten_mapping(loader, node)
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            key.tag = "tag:yaml.org,2002:str"
