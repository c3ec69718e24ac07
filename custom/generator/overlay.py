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

KEYS = {"overlay", "info", "extends", "actions"}
ACTION_KEYS = {"target", "description", "update", "remove"}


@attrs.define
class OverlayError(Exception):
    """All that is wrong with an overlay, or with what it is applied to."""

    lines: list[str]

    def __str__(self) -> str:
        return "\n".join(self.lines)


@attrs.frozen
class Action:
    """One change: `update` is merged into what `target` selects, or that is removed."""

    place: str
    target: str
    update: Any = None
    remove: bool = False

    def apply(self, document: Any) -> None:
        """Change the document in place; raises `OverlayError`."""
        try:
            found = list(jsonpath.finditer(self.target, document))
        except jsonpath.JSONPathError as error:
            reason = str(error).partition("\n")[0]
            raise OverlayError([f"{self.place}: target {self.target} is no JSONPath: {reason}"]) from None
        if not found:
            raise OverlayError([f"{self.place}: target {self.target} matches nothing; correct the target or remove it"])
        if self.remove:
            once = {match.parts: match for match in found}
            # From the end, so that the indexes of those before stay right.
            for parts in sorted(once, key=lambda parts: [str(part).zfill(9) for part in parts], reverse=True):
                self._remove(once[parts])
        else:
            for match in found:
                self._update(match)

    def _remove(self, match: jsonpath.JSONPathMatch) -> None:
        if match.parent is None:
            raise OverlayError([f"{self.place}: target {self.target} is the document itself, which cannot be removed"])
        del match.parent.value[match.parts[-1]]

    def _update(self, match: jsonpath.JSONPathMatch) -> None:
        value = match.value
        if isinstance(value, list):
            value.append(copy.deepcopy(self.update))
        elif not isinstance(value, dict):
            raise OverlayError([f"{self.place}: {match.path} is a single value; select the object that contains it"])
        elif not isinstance(self.update, dict):
            raise OverlayError([f"{self.place}: {match.path} is an object, so `update` must be one"])
        else:
            merge(value, self.update)


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
    """The actions of an overlay; raises `OverlayError`."""
    text = path.read_text("utf-8")
    try:
        data, nodes = YAML(typ="safe").load(text), YAML().compose(text)
    except YAMLError as error:
        raise OverlayError([f"{path.name} is no YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(data, dict) or not str(data.get("overlay", "")).startswith("1."):
        raise OverlayError([f"{path.name} is no overlay: it must begin with `overlay: 1.0.0`"])
    wrong = [f"{path.name}: {problem}" for problem in _unknown(data, KEYS)]
    actions = data.get("actions")
    if not isinstance(actions, list) or not actions:
        raise OverlayError([*wrong, f"{path.name}: `actions` must be a list with at least one action"])
    lines = next(value for key, value in nodes.value if key.value == "actions").value
    found = []
    for index, (raw, node) in enumerate(zip(actions, lines, strict=True)):
        place = f"{path.name}:{node.start_mark.line + 1}: actions[{index}]"
        problems = _problems(raw)
        wrong += [f"{place}: {problem}" for problem in problems]
        if not problems:
            found.append(Action(place, raw["target"], raw.get("update"), raw.get("remove", False)))
    if wrong:
        raise OverlayError(wrong)
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

    Raises `OverlayError` with every action that matches nothing or does not fit.
    """
    result = copy.deepcopy(document)
    wrong: list[str] = []
    for action in actions:
        try:
            action.apply(result)
        except OverlayError as error:
            wrong += error.lines
    if wrong:
        raise OverlayError(wrong)
    return result
