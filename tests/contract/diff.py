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

from tests.openapi import ROOT, Document, Operation, operations_of, read

REDOCLY = "@redocly/cli@2.77.0"
IMPACTS = ("none", "patch", "minor", "major")
PARTS = ["openapi.yaml", "pyproject.toml", "CHANGELOG.md", "custom", "generated"]

OURS = ("llamadapro", "llamadapro_api")
PUBLIC = ("llamadapro", "llamadapro_api.models", "llamadapro_api.api")
"""What users import, and what they are typed by."""


@dataclass(frozen=True, order=True)
class Change:
    impact: str
    where: str
    what: str
    group: str = ""
    """What it has in common with others of its kind; by default `what`."""


def grouped(changes: Iterable[Change], shown: int | None = 3) -> Iterator[str]:
    """The lines to print, gravest first: how often each kind of change was found, and the first few of its places."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in sorted(changes, key=lambda one: (-IMPACTS.index(one.impact), one.where)):
        groups.setdefault((change.impact, change.group or change.what), []).append(change)
    for (impact, text), members in groups.items():
        if len(members) == 1:
            yield f"{impact:6} {members[0].what}"
        else:
            yield f"{impact:6} {len(members)} × {text}"
        for change in members[:shown]:
            detail = f": {change.what}" if len(members) > 1 and change.what != text else ""
            yield f"{'':6} {change.where}{detail}"
        if shown is not None and len(members) > shown:
            yield f"{'':6} … and {len(members) - shown} more (ARGS=--all)"


def judged(changes: Iterable[Change]) -> str:
    """The gravest of them."""
    return max((change.impact for change in changes), key=IMPACTS.index, default="none")


# --- the document ------------------------------------------------------------------------------------------------


def document_changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """What the wire does not notice and a generated client does: the names of schemas, operations and parameters; and
    an operation that no longer answers what it did."""
    for name in _schemas(old) - _schemas(new):
        yield Change("major", f"components.schemas.{name}", "the schema is gone or renamed, and with it a model")
    after = {_key_of(operation): operation for operation in operations_of(new)}
    for operation in operations_of(old):
        key = _key_of(operation)
        if key not in after:
            continue  # redocly reports a path or a method that is gone
        now = after[key]
        if now.id != operation.id:
            yield Change("major", key, f"the operation {operation.id} is now {now.id}, and so is its function")
        for name in sorted(_parameters(operation) - _parameters(now)):
            yield Change("major", key, f"the parameter {name} is gone or renamed, and with it a keyword")
        if operation.success[1] and not now.success[1]:
            what = f"it answers nothing ({now.success[0]}), and answered {_named(operation)}"
            yield Change("major", key, what, "operation that answers nothing where it answered something")
    was, is_now = ([server["url"] for server in one.get("servers", [])] for one in (old, new))
    if was != is_now:
        yield Change("minor", "servers", f"the address {', '.join(was)} is now {', '.join(is_now)}")
    if _keys(old) != _keys(new):
        yield Change("major", "securitySchemes", f"the key's place {_keys(old)} is now {_keys(new)}")


def unanswered(document: Document, names: dict[str, Name]) -> Iterator[Change]:
    """Generated functions that give nothing back although the document promises an answer."""
    for operation in operations_of(document):
        function = names.get(f"api.{operation.name}")
        if operation.success[1] and function and re.search(r"\[None\]$", function.type):
            what = f"api.{operation.name} answers nothing, and openapi.yaml promises {_named(operation)}"
            yield Change("major", _key_of(operation), what, "generated function that drops the promised answer")


def redocly_changes(report: dict[str, Any]) -> Iterator[Change]:
    """From the JSON of `redocly diff`; what a component does to many operations is one change."""
    found = {}
    for change in report["changes"]:
        for verdict in change.get("verdicts") or [{"impact": change["impact"], "message": change["kind"]}]:
            pointer = verdict.get("location", {}).get("pointer", change["path"])
            group = _transition(change) or re.sub(r"`[^`]+`( of `[^`]+`)? ?|:? `.*`|: '.*'", "", verdict["message"])
            found[pointer, verdict["message"]] = Change(verdict["impact"], pointer, verdict["message"], group)
    yield from found.values()


def _transition(change: dict[str, Any]) -> str:
    """What became what, and in which direction it travels: `integer → number in answers`."""
    sides = [(change.get(side) or {}).get("value") for side in ("base", "revision")]
    if change["kind"] != "modified" or change.get("property") not in ("type", "format"):
        return ""
    old, new = (" | ".join(one) if isinstance(one, list) else str(one or "(none)") for one in sides)
    places = {"/responses/": " in answers", "/requestBody/": " in bodies", "/parameters/": " in parameters"}
    where = next((text for part, text in places.items() if part in change["path"]), "")
    return f"{'format ' if change['property'] == 'format' else ''}{old} → {new}{where}"


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


def _keys(document: dict[str, Any]) -> list[str]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    return [" ".join(str(one.get(part, "")) for part in ("type", "in", "name", "scheme")) for one in schemes.values()]


def _key_of(operation: Operation) -> str:
    """A path's parameters have no names on the wire: two paths that differ in them only are the same."""
    return f"{operation.method} {re.sub('{.+?}', '{}', operation.path)}"


def _parameters(operation: Operation) -> set[str]:
    return {one["name"] for one in operation.parameters}


def _named(operation: Operation) -> str:
    schema = operation.success[1].get("schema", {})
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else f"a value of type {schema.get('type', 'any')}"


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
        elif path.startswith("llamadapro_api.api") and member.is_function:
            _collect_value(member, f"api.{name}", found, taken=False)
        elif not path.startswith("llamadapro_api"):
            _collect_value(member, where, found, taken=False)


def _collect_class(modules: Any, cls: Any, where: str, found: dict[str, Name], within: tuple[str, ...] = ()) -> None:
    if not within:
        found[where] = Name("class")
    keys = any("TypedDict" in str(base) for base in cls.bases)
    for name, member in cls.members.items():
        if (name.startswith("_") and name != "__init__") or member.is_alias:
            continue
        _collect_value(member, f"{where}.{name}", found, taken=keys)
        returned = getattr(member.annotation, "canonical_path", "") if "property" in member.labels else ""
        if returned.partition(".")[0] in OURS and returned not in within:
            target = modules.get_member(returned)
            target = target.final_target if target.is_alias else target
            if target.is_class:
                _collect_class(modules, target, f"{where}.{name}", found, (*within, cls.path, returned))


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
    parser = argparse.ArgumentParser(
        prog="make diff BASE=… ARGS=…", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("base", help="a git ref, such as the tag of the last release")
    parser.add_argument("--all", action="store_true", help="list every place of a kind of change")
    arguments = parser.parse_args(argv)
    base = arguments.base
    with tempfile.TemporaryDirectory() as scratch:
        old = Path(scratch)
        _check_out(base, old)
        names, document = snapshot(ROOT), read()
        changes = [*api_changes(snapshot(old), names), *unanswered(document, names)]
        changes += document_changes(read(old / "openapi.yaml"), document)
        if shutil.which("npx"):
            changes += redocly_changes(redocly(old / "openapi.yaml", ROOT / "openapi.yaml"))
        else:
            print("node is not here: the document was not given to redocly", file=sys.stderr)
        versions = [version_of(at) for at in (old, ROOT)]
    for line in grouped(changes, None if arguments.all else 3):
        print(line)
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
