"""`make prism`: every operation through the public client against Prism, a mock server that nobody here wrote.

Prism holds each request against openapi.yaml by itself (`--errors`: what does not fit is refused) and answers with the
document's examples. It has no memory, so what was sent is compared by scenarios.py, on the sandbox; here it is judged.
Each answer must be read as the model that the document names, and must still say what the example says.

Before that, Prism is asked to judge requests that are wrong on purpose: an oracle that lets these pass is none.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from llamadapro import APIStatusError, AsyncLlamadaPro, LlamadaProError, Page, models
from tests.contract.operation_calls import OPERATION_CALLS, Given, operation_id
from tests.openapi import OPERATIONS, Operation, key_headers, operation_of, operations_of, path_of, read, resolve

CONTACTS = path_of("GetContacts")
TASKS = path_of("GetTasks")

PRISM = "@stoplight/prism-cli@5.14.2"
PATIENCE = 180.0
"""Seconds for Prism to start: the first time, npx fetches it."""
GIVEN = Given(page_token="Xde34567890")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that Prism is ended then too
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    warnings.simplefilter("ignore", DeprecationWarning)  # deprecated fields are sent too
    with tempfile.TemporaryDirectory() as folder, prism(Path(folder)) as url:
        blind = check_oracle(url)
        if blind:
            print("\n".join(blind))
            return 1
        violations = asyncio.run(call_all(url))
    print(f"{len(OPERATIONS)} operations, {violations} violations")
    return 1 if violations else 0


# --- Prism -------------------------------------------------------------------------------------------------------


@contextmanager
def prism(folder: Path) -> Iterator[str]:
    """Prism on a free port, ended with all its children whatever happens."""
    document, log = folder / "openapi.yaml", folder / "prism.log"
    document.write_text(with_key_required(), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["npx", "--yes", PRISM, "mock", "--errors", "--host", "127.0.0.1", "--port", str(port), str(document)]
    with log.open("w") as out:
        try:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        except FileNotFoundError:
            raise SystemExit("npx is not here: Prism needs node 20") from None
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        end_group(process)


def with_key_required() -> str:
    """The document says, as the reference does, that the key is optional; Prism would then not notice its lack."""
    document = read()
    for operation in operations_of(document):
        operation.raw["security"] = [one for one in operation.raw["security"] if one]
    return yaml.safe_dump(document, sort_keys=False)


def wait_until_up(process: subprocess.Popen[Any], url: str, log: Path) -> None:
    ends = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < ends:
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"Prism did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def end_group(process: subprocess.Popen[Any]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)  # npx's children too: it does not end them itself
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def check_oracle(url: str) -> list[str]:
    """What Prism lets pass though it is wrong; empty if it can see."""
    key = key_headers("prism")
    contact = {"firstName": "Jane", "addresses": [{"channelType": "PHONE", "address": "+56912345678"}]}
    wrong: list[tuple[str, str, str, dict[str, str], Any]] = [
        ("a request without a key", "GET", path_of("GetContact", 1), {}, None),
        ("an id that is a word", "GET", path_of("GetContact", "one"), key, None),
        ("a status that is none", "GET", f"{TASKS}?status=pending", key, None),
        ("a name that is a number", "POST", CONTACTS, key, {**contact, "firstName": 5}),
        ("an address without a channel", "POST", CONTACTS, key, {"addresses": [{"address": "+569"}]}),
        ("a path that does not exist", "POST", CONTACTS[:-1], key, contact),
    ]
    with httpx.Client(base_url=url, timeout=30) as client:
        blind = []
        for what, method, path, headers, body in wrong:
            answer = client.request(method, path, headers=headers, json=body)
            if not complaint(answer.status_code, answer.headers):
                blind.append(f"Prism lets pass {what}: {method} {path}")
        answer = client.post(CONTACTS, headers=key, json=contact)
        if found := complaint(answer.status_code, answer.headers):
            blind.append(f"Prism refuses a sound request: {found}")
    return blind


def complaint(status: int, headers: httpx.Headers) -> str:
    """What Prism says against a request or its own answer to it; empty if nothing."""
    if "sl-violations" in headers:
        reported = json.loads(headers["sl-violations"])
        return "; ".join(f"{'.'.join(map(str, one['location']))}: {one['message']}" for one in reported)
    if not 200 <= status < 300 or headers.get("content-type", "").startswith("application/problem+json"):
        return f"answered {status}"
    return ""


# --- the calls ---------------------------------------------------------------------------------------------------


async def call_all(url: str) -> int:
    """Send every operation in each of its calls; print a line for each operation, and return how many violations
    there were."""
    violations = 0
    async with AsyncLlamadaPro("prism", url, max_retries=0) as client:
        for operation in OPERATIONS.values():
            names = [name for name in OPERATION_CALLS if operation_id(name) == operation.id]
            found = [line for name in names for line in await judged(client, operation, name)]
            found = found if names else ["nothing in operation_calls.py calls it"]
            times = f" ({len(names)} calls)" if len(names) > 1 else ""
            print(f"{'VIOLATION' if found else 'ok':10}{operation.id:30}{operation.method:7}{operation.path}{times}")
            for line in found:
                print(f"{'':10}{line}")
            violations += len(found)
    return violations


async def judged(client: AsyncLlamadaPro, operation: Operation, name: str) -> list[str]:
    """What is wrong with one call of an operation."""
    answer: Any = None
    found: list[str] = []
    with client.capture_exchanges() as exchanges:
        try:
            answer = await OPERATION_CALLS[name](client, GIVEN)
        except APIStatusError as error:
            if "sl-violations" not in error.response.headers:  # else they are reported below
                request = error.request
                return [f"{name}: {request.method} {request.url}: {error.status_code} {error.response.text}"]
        except (LlamadaProError, TypeError) as error:
            found.append(f"{name}: {type(error).__name__}: {error}")
    if not exchanges:
        found.append(f"{name}: nothing was sent")
    for exchange in exchanges:
        if wrong := complaint(exchange.status_code or 0, exchange.headers):
            found.append(f"{name}: {exchange.method} {exchange.path}: {wrong}")
        elif operation_of(exchange.method, exchange.path) is not operation:
            found.append(f"{name}: sent {exchange.method} {exchange.path}, which is another operation")
    return found or [f"{name}: {line}" for line in misread(operation, answer)]


def misread(operation: Operation, answer: Any) -> Iterator[str]:
    """Where an answer is not the model that the document names, or does not say what the document's example says."""
    content = operation.success[1]
    if not content:
        if answer is not None:
            yield f"answered {answer!r} instead of None"
        return
    model, items, example = named(content["schema"]), [answer], content["example"]
    if isinstance(answer, Page):
        # The page as the document has it, put together again from what the client makes of it.
        items = answer.items
        answer = model(items=items, next_page_token=answer.next_page_token, total_count=answer.total_count)
        model = named(resolve(content["schema"])["properties"]["items"]["items"])
    for item in items:
        if not isinstance(item, model):
            yield f"read as {type(item).__name__} instead of {model.__name__}"
            return
        if item.unparsed or item.additional_properties:
            yield f"not understood: {item.unparsed or item.additional_properties}"
    if plain(answer.to_dict()) != plain(example):
        yield f"read as {answer.to_dict()}, and the example is {example}"


def named(schema: Mapping[str, str]) -> Any:
    """The model class of a schema that is a reference."""
    return getattr(models, schema["$ref"].rpartition("/")[2])


def plain(value: Any) -> Any:
    """With dates as points in time: they may be written in many ways."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        return datetime.fromisoformat(value)
    return value


if __name__ == "__main__":
    sys.exit(main())
