"""YAML as OpenAPI means it: what JSON can say. Keys and dates are texts; JSON itself is YAML."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import MappingNode, ScalarNode


class _Constructor(SafeConstructor):
    def construct_yaml_str(self, node: Any) -> str:
        """JSON writes what is beyond 16 bits as two escapes."""
        return str(self.construct_scalar(node)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def flatten_mapping(self, node: MappingNode) -> Any:
        merged = super().flatten_mapping(node)
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                key.tag = "tag:yaml.org,2002:str"
        return merged


for _kind in ("str", "timestamp"):
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_kind}", _Constructor.construct_yaml_str)


def load(raw: bytes) -> Any:
    """Read a document; raises `YAMLError` or `UnicodeDecodeError`."""
    yaml = YAML(typ="safe")
    yaml.Constructor = _Constructor
    return yaml.load(raw)
