"""OpenAPI Overlay 1.0: our decisions on top of a document that we do not edit.

https://spec.openapis.org/overlay/v1.0.0.html
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import attrs
import jsonpath
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from . import yaml12
from .refusals import Refused

KEYS = {"overlay", "info", "extends", "actions"}
ACTION_KEYS = {"target", "description", "update", "remove"}


@attrs.frozen
class Action:
    """One change: `update` is merged into what `target` selects, or that is removed."""

    place: str
    target: str
    update: Any = None
    remove: bool = False

    def apply(self, document: Any) -> str:
        """Change the document in place; return what is wrong with that, or nothing."""
        try:
            found = list(jsonpath.finditer(self.target, document))
        except jsonpath.JSONPathError as error:
            return f"target {self.target} is no JSONPath: {str(error).splitlines()[0]}"
        if not found:
            return f"target {self.target} matches nothing; correct the target or remove it"
        if not self.remove:
            return next(filter(None, map(self._update, found)), "")
        once = {match.parts: match for match in found}
        # From the end, so that the indexes of those before stay right.
        for parts in sorted(once, key=lambda parts: [str(part).zfill(9) for part in parts], reverse=True):
            parent = once[parts].parent
            if parent is None:
                return f"target {self.target} is the document itself, which cannot be removed"
            del parent.value[parts[-1]]
        return ""

    def _update(self, match: jsonpath.JSONPathMatch) -> str:
        value = match.value
        if isinstance(value, list):
            value.append(copy.deepcopy(self.update))
        elif not isinstance(value, dict):
            return f"{match.path} is a single value; select the object that contains it"
        elif not isinstance(self.update, dict):
            return f"{match.path} is an object, so `update` must be one"
        else:
            merge(value, self.update)
        return ""


def merge(target: dict[str, Any], update: dict[str, Any]) -> None:
    """Objects are merged, arrays appended to, anything else replaced."""
    for key, value in update.items():
        present = target.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            merge(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            present.extend(copy.deepcopy(value))
        else:
            target[key] = copy.deepcopy(value)


def load(path: Path) -> list[Action]:
    """The actions of an overlay; raises `Refused`."""
    text = path.read_text("utf-8")
    try:
        data, nodes = yaml12.load(text.encode()), YAML().compose(text)
    except YAMLError as error:
        raise Refused([f"{path.name} is no YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(data, dict) or not str(data.get("overlay", "")).startswith("1."):
        raise Refused([f"{path.name} is no overlay: it must begin with `overlay: 1.0.0`"])
    wrong = [f"{path.name}: {problem}" for problem in _unknown(data, KEYS)]
    actions = data.get("actions")
    if not isinstance(actions, list) or not actions:
        raise Refused([*wrong, f"{path.name}: `actions` must be a list with at least one action"])
    lines = next(value for key, value in nodes.value if key.value == "actions").value
    found = []
    for index, (raw, node) in enumerate(zip(actions, lines, strict=True)):
        place = f"{path.name}:{node.start_mark.line + 1}: actions[{index}]"
        problems = _problems(raw)
        wrong += [f"{place}: {problem}" for problem in problems]
        if not problems:
            found.append(Action(place, raw["target"], raw.get("update"), raw.get("remove", False)))
    if wrong:
        raise Refused(wrong)
    return found


def _problems(raw: Any) -> list[str]:
    if not isinstance(raw, dict) or not isinstance(raw.get("target"), str):
        return ["must have a `target`, a JSONPath"]
    wrong = _unknown(raw, ACTION_KEYS)
    if not isinstance(raw.get("remove", False), bool):
        wrong.append("`remove` must be true or false")
    if "update" not in raw and not raw.get("remove"):
        wrong.append("must have `update`, or `remove: true`")
    return wrong


def _unknown(raw: dict[Any, Any], known: set[str]) -> list[str]:
    names = ", ".join(sorted(known))
    return [f"{key} is unknown; known are {names}" for key in raw if key not in known and not str(key).startswith("x-")]


def apply(actions: list[Action], document: dict[str, Any]) -> dict[str, Any]:
    """A copy of the document with all actions applied, each to what the one before left.

    Raises `Refused` with every action that matches nothing or does not fit.
    """
    result = copy.deepcopy(document)
    wrong = [f"{action.place}: {problem}" for action in actions if (problem := action.apply(result))]
    if wrong:
        raise Refused(wrong)
    return result
