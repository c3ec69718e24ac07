"""`make diff BASE=<git ref>`: what changed since BASE for those who use the API or this package; patch, minor or major.

Two judges, for a change can be harmless on the wire and break a program (a schema renamed), or the other way round:
`redocly diff` with a rule of our own reads openapi.yaml, and griffe reads the Python API (public names, signatures,
keyword dictionaries, models). Fails when the version, or the changelog, did not move accordingly.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import griffe
import yaml

ROOT = Path(__file__).resolve().parents[2]
REDOCLY = "@redocly/cli@2.77.0"
IMPACTS = ("none", "patch", "minor", "major")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
PARTS = ["openapi.yaml", "pyproject.toml", "CHANGELOG.md", "custom", "generated"]

OURS = ("llamadapro", "llamadapro_api")
PUBLIC = ("llamadapro", "llamadapro_api.models", "llamadapro_api.api")
"""What users import, and what they are typed by."""


@dataclass(frozen=True, order=True)
class Change:
    impact: str
    where: str
    what: str


def judged(changes: Iterable[Change]) -> str:
    """The gravest of them."""
    return max((change.impact for change in changes), key=IMPACTS.index, default="none")


# --- the document ------------------------------------------------------------------------------------------------


def document_changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """What the wire does not notice and a generated client does: the names of schemas, operations and parameters."""
    for name in _schemas(old) - _schemas(new):
        yield Change("major", f"components.schemas.{name}", "the schema is gone or renamed, and with it a model")
    after = _operations(new)
    for key, (operation, parameters) in _operations(old).items():
        if key not in after:
            continue  # redocly tells of a path or a method that is gone
        if after[key][0] != operation:
            yield Change("major", key, f"the operation {operation} is now {after[key][0]}, and so is its function")
        for name in parameters - after[key][1]:
            yield Change("major", key, f"the parameter {name} is gone or renamed, and with it a keyword")
    before, now = ([server["url"] for server in one.get("servers", [])] for one in (old, new))
    if before != now:
        yield Change("minor", "servers", f"the address {', '.join(before)} is now {', '.join(now)}")
    if _key(old) != _key(new):
        yield Change("major", "securitySchemes", f"the key's header {_key(old)} is now {_key(new)}")


def redocly_changes(report: dict[str, Any]) -> Iterator[Change]:
    """From the JSON of `redocly diff`; what a component does to many operations is told once."""
    found = {}
    for change in report["changes"]:
        for verdict in change.get("verdicts") or [{"impact": change["impact"], "message": change["kind"]}]:
            pointer = verdict.get("location", {}).get("pointer", change["path"])
            found[pointer, verdict["message"]] = Change(verdict["impact"], pointer, verdict["message"])
    yield from found.values()


def redocly(old: Path, new: Path) -> dict[str, Any]:
    """Runs `redocly diff`; raises OSError where it cannot be had."""
    command = ["npx", "--yes", REDOCLY, "diff", str(old), str(new), "--format", "json", "--fail-on", "none"]
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    done = subprocess.run(command, env={**os.environ, **quiet}, capture_output=True, text=True, check=False)
    if not done.stdout.lstrip().startswith("{"):
        raise OSError(f"redocly says nothing: {done.stderr[-500:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _schemas(document: dict[str, Any]) -> set[str]:
    return set(document.get("components", {}).get("schemas", {}))


def _key(document: dict[str, Any]) -> list[str]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    return [scheme.get("name", "") for scheme in schemes.values()]


def _operations(document: dict[str, Any]) -> dict[str, tuple[str, set[str]]]:
    found = {}
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                given = [*item.get("parameters", []), *item[method].get("parameters", [])]
                names = {_resolved(document, one)["name"] for one in given}
                # A path's parameters have no names on the wire: two paths that differ in them only are the same.
                key = f"{method.upper()} {re.sub('{.+?}', '{}', path)}"
                found[key] = (item[method].get("operationId", ""), names)
    return found


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


# --- the Python API ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name:
    """A public name, or a parameter of one. `taken`: its values come from the user, rather than go to them."""

    kind: str
    type: str = ""
    required: bool = False
    taken: bool = False


def snapshot(folder: Path, public: Sequence[str] = PUBLIC) -> dict[str, Name]:
    """All public names below a folder with `custom` and `generated` in it, by where a user finds them: a class of a
    private module by each public module that exports it, and by each property that returns it."""
    loader = griffe.GriffeLoader(search_paths=[folder / "custom", folder / "generated"], allow_inspection=False)
    found: dict[str, Name] = {}
    for root in public:
        try:
            loader.load(root.partition(".")[0])
            module = loader.modules_collection[root]
        except (ImportError, KeyError):
            continue  # not there yet, or no longer
        _collect(loader.modules_collection, module, root, found)
    return found


def _collect(modules: Any, module: Any, path: str, found: dict[str, Name]) -> None:
    for name, member in module.members.items():
        where = f"{path}.{name}"
        if name.startswith("_") or (module.exports and member.is_imported and name not in module.exports):
            continue
        if member.is_alias:
            # Only a package, or an `__all__`, hands on what it imports from us.
            if not module.is_init_module or member.target_path.partition(".")[0] not in OURS:
                continue
            member = modules.get_member(member.target_path)
        if member.is_module:
            if member.path == where:
                _collect(modules, member, where, found)
        elif member.is_class:
            # Where a generated class is defined is our affair; it is known by its name alone.
            where = f"models.{name}" if path.startswith("llamadapro_api") else where
            _collect_class(modules, member, where, found)
        elif not path.startswith("llamadapro_api"):
            _collect_value(member, where, found, taken=False)


def _collect_class(modules: Any, cls: Any, where: str, found: dict[str, Name]) -> None:
    found[where] = Name("class")
    keys = any("TypedDict" in str(base) for base in cls.bases)
    for name, member in cls.members.items():
        if (name.startswith("_") and name != "__init__") or member.is_alias:
            continue
        _collect_value(member, f"{where}.{name}", found, taken=keys)
        returned = getattr(member.annotation, "canonical_path", "") if "property" in member.labels else ""
        if "._" in returned and returned.partition(".")[0] in OURS:
            _collect_class(modules, modules.get_member(returned), f"{where}.{name}", found)


def _collect_value(member: Any, where: str, found: dict[str, Name], *, taken: bool) -> None:
    if member.is_function:
        found[where] = Name("function", str(member.returns or ""))
        for index, parameter in enumerate(member.parameters):
            if not parameter.name.startswith("_") and parameter.name not in ("self", "cls"):
                kind = str(parameter.kind.value) if parameter.kind else ""
                variadic = kind.startswith("variadic")
                positional = kind == "positional-only"
                name = f"{where}({index if positional else parameter.name})"  # of one without a name, its place counts
                required = parameter.default is None and not variadic
                found[name] = Name(kind, str(parameter.annotation or ""), required, taken=True)
    elif member.is_attribute:
        kind = str(member.annotation or "")
        required = taken and kind.startswith("Required[")
        found[where] = Name("key" if taken else "attribute", kind, required, taken)


def api_changes(old: dict[str, Name], new: dict[str, Name]) -> Iterator[Change]:
    """What a program that was written and typed against the old names notices of the new ones."""
    for where in sorted(old.keys() - new.keys()):
        if _owner(where) not in old or _owner(where) in new:
            yield Change("major", where, f"the {old[where].kind} is gone")
    for where in sorted(new.keys() - old.keys()):
        if _owner(where) not in new or _owner(where) in old:
            name = new[where]
            needed = name.required and _owner(where) in old
            what = f"the {name.kind} is new{' and required' if needed else ''}"
            yield Change("major" if needed else "minor", where, what)
    for where in sorted(old.keys() & new.keys()):
        before, now = old[where], new[where]
        if before.kind != now.kind:
            wider = now.kind == "positional or keyword"
            yield Change("minor" if wider else "major", where, f"the {before.kind} is now {now.kind}")
        if before.required != now.required:
            what = "is now required" if now.required else "is no longer required"
            yield Change("major" if now.required else "minor", where, what)
        if _plain(before.type) != _plain(now.type):
            what = f"its type {before.type or '(none)'} is now {now.type or '(none)'}"
            yield Change(_type_impact(before, now), where, what)


def _type_impact(before: Name, now: Name) -> str:
    """What is taken may grow, what is given may shrink; a value more in a set that was open breaks nobody."""
    old, new = _options(before.type), _options(now.type)
    if not before.type:
        return "minor"
    if now.taken:
        return "minor" if old <= new else "major"
    if "str" in old & new:
        old, new = ({one for one in side if one[:1] not in "'\""} for side in (old, new))
    return "minor" if new <= old else "major"


def _options(text: str) -> set[str]:
    """The members of a union, the values of a Literal among them."""
    found: set[str] = set()
    for part in _split(_plain(text), "|"):
        literal = re.fullmatch(r"Literal\[(.*)\]", part)
        found |= set(_split(literal[1], ",")) if literal else {part}
    return found


def _split(text: str, sign: str) -> list[str]:
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[(") - (letter in "])")
        if letter == sign and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _plain(text: str) -> str:
    found = re.fullmatch(r"(?:Not)?Required\[(.*)\]", text)
    return found[1] if found else text


def _owner(where: str) -> str:
    return where.partition("(")[0] if "(" in where else where.rpartition(".")[0]


# --- the version -------------------------------------------------------------------------------------------------


def version_complaint(old: str, new: str, impact: str, changelog: str) -> str:
    """What is wrong with the new version; empty if nothing. Below 1.0, breaking is what the second number is for."""
    if impact == "none":
        return ""
    before, now = _numbers(old), _numbers(new)
    place = {"major": 0, "minor": 1, "patch": 2}[impact]
    if before[0] == 0:
        place = min(place + 1, 2)
    wanted = (*before[:place], before[place] + 1, *(0 for _ in before[place + 1 :]))
    if now < wanted:
        return f"{impact}: the version must be at least {'.'.join(map(str, wanted))} after {old}, not {new}"
    if not re.search(rf"^#+ .*{re.escape(new)}\b", changelog, re.MULTILINE):
        return f"CHANGELOG.md has no heading for {new}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        raise SystemExit(f"{version!r} is not a version like 1.2.3")
    return tuple(map(int, found.groups()))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make diff BASE=…", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("base", help="a git ref, such as the tag of the last release")
    base = parser.parse_args(argv).base
    with tempfile.TemporaryDirectory() as scratch:
        old = Path(scratch)
        _check_out(base, old)
        changes = [*api_changes(snapshot(old), snapshot(ROOT))]
        changes += document_changes(*(yaml.safe_load((at / "openapi.yaml").read_bytes()) for at in (old, ROOT)))
        if shutil.which("npx"):
            changes += redocly_changes(redocly(old / "openapi.yaml", ROOT / "openapi.yaml"))
        else:
            print("node is not here: the document was not given to redocly", file=sys.stderr)
        versions = [version_of(at) for at in (old, ROOT)]
    for change in sorted(changes, key=lambda one: (-IMPACTS.index(one.impact), one.where)):
        print(f"{change.impact:6} {change.where}\n{'':6} {change.what}")
    impact = judged(changes)
    print(f"{len(changes)} changes since {base}: {impact}; version {versions[0]} → {versions[1]}")
    complaint = version_complaint(versions[0], versions[1], impact, (ROOT / "CHANGELOG.md").read_text("utf-8"))
    if complaint:
        print(complaint)
    return 1 if complaint else 0


def version_of(root: Path) -> str:
    """The version in `_version.py`, or in the pyproject.toml of releases before 0.2."""
    file = root / "custom/llamadapro/_version.py"
    if file.exists():
        return str(runpy.run_path(str(file))["__version__"])
    return str(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def _check_out(ref: str, folder: Path) -> None:
    packed = subprocess.run(["git", "archive", "--format=tar", ref, *PARTS], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise SystemExit(f"{ref}: {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(folder, filter="data")


if __name__ == "__main__":
    sys.exit(main())
