"""Documents that nobody here wrote, generated: which of their operations come out right, refused, or wrong.

`python -m tests.tools.public_documents FILE…`, with OpenAPI 3.1 documents, or 3.0 ones, which are brought to 3.1 first.
Operations are refused one by one here, so that a document's others are still generated; `make generate` refuses the
document. Right means: generated, checked as `make generate` checks, and a sample made from the document's schemas (not
from generated code) comes back from its reader, and out of its writer, as it was.
"""

from __future__ import annotations

import collections
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from generator import build
from generator.document import METHODS, SHAPE, Document
from generator.openapi30 import to_31
from generator.refusals import Pointer, Refused
from generator.walk import Walk
from openapi_python_client.config import Config, ConfigFile, MetaType
from ruamel.yaml import YAML

from tests.contract.check_generated import ROOT

CONFIG = ROOT / "generator-config.yaml"


def operations(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    methods = (*METHODS, "trace")
    return [(path, key) for path, item in document.get("paths", {}).items() for key in item if key in methods]


def references(node: Any) -> Iterator[str]:
    """Components that something refers to, each as ``schemas/Pet``."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield "/".join(node["$ref"].removeprefix("#/components/").replace("~1", "|").split("/")[:2])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def reached(document: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """Operation → every component that it refers to, at any remove."""
    direct = {
        component(kind, name): set(references(one))
        for kind, named in document.get("components", {}).items()
        for name, one in named.items()
    }
    found = {}
    for path, method in operations(document):
        item = document["paths"][path]
        waiting, seen = {*references([item[method], item.get("parameters")])}, set[str]()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            waiting |= direct.get(name, set()) - seen
        found[path, method] = seen
    return found


def component(kind: str, name: object) -> str:
    return f"{kind}/{str(name).replace('/', '|')}"


def refusals(path: Path) -> dict[Pointer, str]:
    config = Config.from_sources(ConfigFile.load_from_path(CONFIG), MetaType.NONE, path, "utf-8", True, None)
    document = Document(path, config.field_prefix)
    try:
        Walk(document, build.parse(document, config), config)
    except Refused as refused:
        return {("document",): str(refused)}
    return dict(document.refusals.found)


def run(path: Path, scratch: Path) -> None:
    document: dict[str, Any] = YAML(typ="safe").load(path.read_bytes())
    if str(document.get("openapi")).startswith("3.0"):
        document = to_31(document)
    total = operations(document)
    refused: dict[tuple[str, str], str] = {}
    target = scratch / "openapi.yaml"
    while True:
        prune(document)
        target.write_text(json.dumps(document, default=str))
        found = refusals(target)
        hits = {operation: what for pointer, what in found.items() for operation in hit(document, pointer)}
        if not hits:  # nothing is refused any more; or something that no operation has, which is a fault
            break
        for operation in hits:
            del document["paths"][operation[0]][operation[1]]
        refused |= hits
    right, wrong = check(target, document, scratch) if operations(document) else ([], {})
    share = f"{len(right) / len(total):.0%}" if total else "none"
    counts = f"{len(right)} right ({share}), {len(refused)} refused, {len(wrong)} wrong"
    print(f"{path.name}: {len(total)} operations, {counts}")
    for what, count in collections.Counter(words.split(";")[0][:110] for words in refused.values()).most_common(8):
        print(f"    refused {count}: {what}")
    for name, what in [*wrong.items()][:8]:
        print(f"    WRONG {name}: {what[:300]}")


def prune(document: dict[str, Any]) -> None:
    """Leave out the components that no operation reaches, so that what is refused in them condemns no other."""
    used = set[str]().union(*reached(document).values())
    for kind, named in document.get("components", {}).items():
        if kind != "securitySchemes":
            for name in [one for one in named if component(kind, one) not in used]:
                del named[name]


def hit(document: dict[str, Any], pointer: Pointer) -> list[tuple[str, str]]:
    """The operations that a refusal is about."""
    left = operations(document)
    if pointer[0] == "paths" and len(pointer) > 2 and (pointer[1], pointer[2]) in left:
        return [(str(pointer[1]), str(pointer[2]))]
    if pointer[0] == "paths":
        return [one for one in left if one[0] == pointer[1]]
    if pointer[:2] == ("components", "securitySchemes"):
        usual = document.get("security", [])
        return [
            (path, method)
            for path, method in left
            if any(pointer[2] in one for one in document["paths"][path][method].get("security", usual))
        ]
    if pointer[0] == "components" and len(pointer) > 2:
        name = component(str(pointer[1]), pointer[2])
        return [operation for operation, names in reached(document).items() if name in names]
    return left


# --- samples -----------------------------------------------------------------------------------------------------


def sample(document: Mapping[str, Any], schema: Any, depth: int = 0, skip: str = "") -> Any:
    """A value as the schema says; `skip` is the mark of properties that do not go this way."""
    if not isinstance(schema, Mapping):
        return "any"
    if "$ref" in schema:
        found: Any = document
        for step in schema["$ref"][2:].split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return sample(document, found, depth, skip)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("oneOf", "anyOf"):
        members = [one for one in schema.get(key, ()) if one.get("type") != "null"]
        if members and not {"properties", "allOf"} & schema.keys():
            return sample(document, members[0], depth, skip)
    if "allOf" in schema:
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        parts = [sample(document, one, depth, skip) for one in (*schema["allOf"], rest) if SHAPE & one.keys()]
        objects = [part for part in parts if isinstance(part, dict)]
        return {key: value for part in objects for key, value in part.items()} if objects else parts[0] if parts else {}
    kinds = schema.get("type")
    kind = next((one for one in kinds if one != "null"), "null") if isinstance(kinds, list) else kinds
    if kind == "object" or "properties" in schema:
        names = schema.get("properties", {})
        return {
            name: sample(document, one, depth + 1, skip)
            for name, one in names.items()
            if (depth < 3 or name in schema.get("required", ())) and depth < 12 and not flagged(document, one, skip)
        }
    if kind == "array":
        return [sample(document, schema.get("items", {}), depth + 1, skip)] if depth < 3 else []
    texts = {
        "date-time": "2026-01-02T03:04:05Z",
        "date": "2026-01-02",
        "uuid": "12345678-1234-5678-1234-567812345678",
        "byte": "aGk=",
    }
    values = {"string": texts.get(schema.get("format", ""), "text"), "integer": 7, "number": 1.5, "boolean": True}
    return values.get(str(kind), None if kind == "null" else {"any": [1]})


def flagged(document: Mapping[str, Any], schema: Any, mark: str) -> bool:
    while isinstance(schema, Mapping) and "$ref" in schema and not schema.get(mark):
        found: Any = document
        for step in schema["$ref"][2:].split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        schema = found
    return isinstance(schema, Mapping) and bool(schema.get(mark))


def check(target: Path, document: dict[str, Any], scratch: Path) -> tuple[list[str], dict[str, str]]:
    name = f"public_{len([*scratch.iterdir()])}_{abs(hash(target)) % 10000}"
    try:
        build.generate(target, CONFIG, scratch / name)
    except Refused as refused:
        return [], dict.fromkeys((f"{method} {path}" for path, method in operations(document)), str(refused))
    sys.path.insert(0, str(scratch))
    api = importlib.import_module(f"{name}.api")
    writing = importlib.import_module(f"{name}.writing")
    read = Document(target)
    right, wrong = [], {}
    for info in read.operations.values():
        module = sys.modules[getattr(api, info.name).__module__] if hasattr(api, info.name) else None
        operation: Any = vars(module)["_operation"] if module else None
        try:
            for fault in faults(document, read, info, operation, writing):
                wrong.setdefault(f"{info.method} {info.path}", fault)
        except Exception as error:
            wrong[f"{info.method} {info.path}"] = f"{type(error).__name__}: {error}"
        if f"{info.method} {info.path}" not in wrong:
            right.append(info.name)
    return right, wrong


def faults(document: dict[str, Any], read: Document, info: Any, operation: Any, writing: Any) -> Iterator[str]:
    reading = sys.modules[writing.__name__.replace("writing", "reading")]
    for code, raw in info.raw["responses"].items():
        answer = read.resolve(raw)
        content = {kind: one for kind, one in (answer.get("content") or {}).items() if "json" in kind}
        if str(code)[0] == "2" and content and str(code) not in ("204", "205"):
            value = sample(document, next(iter(content.values())).get("schema", {}), skip="writeOnly")
            made = operation._answers.get(str(code).upper(), operation._answers["default"]).read(value)
            if reading.to_plain(made) != value:
                yield f"answer {code}: {short(value)} became {short(reading.to_plain(made))}"
    if info.content_type and "json" in info.content_type:
        body = read.resolve(info.raw["requestBody"])
        value = sample(document, body["content"][info.content_type].get("schema", {}), skip="readOnly")
        write = writing.compile_writer(operation._body_type)
        given = (
            {"body": value}
            if operation._body_keyword
            else {k: v for k, v in value.items() if k not in operation._supplied}
        )
        written = write(given)
        if written != given:
            yield f"body: {short(given)} became {short(written)}"


def short(value: Any) -> str:
    return json.dumps(value, default=str)[:140]


def stock(path: Path) -> str:
    """What openapi-python-client alone says."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).parent / "openapi-python-client"), "generate", "--path", str(path)]
        done = subprocess.run(
            [*command, "--meta", "none", "--output-path", f"{folder}/stock"],
            capture_output=True,
            text=True,
            check=False,
        )
        made = [one for one in Path(folder).rglob("api/*/*.py") if one.name != "__init__.py"]
        said = done.stdout + done.stderr
        return f"    stock: {len(made)} modules, {said.count('WARNING')} warnings, exit {done.returncode}"


def main() -> None:
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(name), Path(folder))
        print(stock(Path(name)), flush=True)


if __name__ == "__main__":
    main()
