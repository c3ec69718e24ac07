"""`llamadapro contract`: hold a service against openapi.yaml, and suggest how the document should read."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from llamadapro import ConfigurationError, LlamadaProError

if TYPE_CHECKING:
    from llamadapro import AsyncLlamadaPro

    from .document import Document

EPILOG = """It reads: lists, some items of each, the search, records that cannot exist, and the lists with a wrong key.
With --write it also creates a contact, a task (for the user of another one), a custom field and an option, all marked
contract-probe-…, changes them and deletes them again. It never sends a message and never starts a call. Messages, calls
and recordings are in no list: name some with --id.

examples:
  llamadapro contract --base-url https://api.llamadapro.app
  llamadapro contract --base-url http://127.0.0.1:8080 --write --patch openapi.patch && git apply openapi.patch
  llamadapro contract --base-url … --id callId=9001 --id messageId=msg_501 --id recordingId=3001 --format junit

environment:
  LLAMADAPRO_API_KEY   the service's key; without it, it is asked for where there is a terminal; it is never shown
  LLAMADAPRO_BASE_URL  the service's address; --base-url goes before it
  LLAMADAPRO_LOG       debug: a line per request on standard error

exit codes: 0 no contradiction, 1 contradictions, 2 the service could not be asked, 130 interrupted
"""
MIN_REDACTED_LENGTH = 12
"""Shorter keys are words that a report may use by chance."""
FORMAT_NAMES = ("json", "junit", "markdown", "text")
ID_NAMES = ("callId", "messageId", "recordingId")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="llamadapro contract",
        description="Hold a live service against openapi.yaml.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--base-url", metavar="URL", help="default: $LLAMADAPRO_BASE_URL, else the document's")
    add("--api-key", metavar="KEY", help="better not: others on this machine can read it; see below")
    add("--api-key-header", metavar="NAME", help="the header that carries the key, if not the document's")
    add("--write", action="store_true", help="also create, change and delete marked test data")
    add("--id", action="append", default=[], type=_id, metavar="NAME=ID", help=f"one of {', '.join(ID_NAMES)}")
    add("--format", choices=FORMAT_NAMES, default="text", help="of the report (default: text)")
    add("--patch", type=Path, metavar="FILE", help="write the suggested change of openapi.yaml there, as a diff")
    add("--document", type=Path, metavar="FILE", help="another openapi.yaml than that of this package")
    add("--rate", type=requests_per_second, default=2.0, metavar="N", help="requests per second at most (default: 2)")
    add("--items", type=int, default=3, metavar="N", help="how many items of a list are read (default: 3)")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(argv)
    try:
        return asyncio.run(_run(options))
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as missing:
        print(f"llamadapro contract: needs {missing.name}: pip install 'llamadapro[contract]'", file=sys.stderr)
    except (LlamadaProError, OSError) as error:
        print(f"llamadapro contract: {error}", file=sys.stderr)
    return 2


async def _run(options: argparse.Namespace) -> int:
    # Late: whoever asks for help does not wait for all this, nor needs the extra.
    from llamadapro import AsyncLlamadaPro

    from .findings import Report
    from .patch import patch_document, unified_diff
    from .probe import KeyRejectedError, probe
    from .reporting import FORMATS

    document = _document(options.document)
    async with AsyncExitStack() as stack:

        async def client(key: str, header: str) -> AsyncLlamadaPro:
            made = AsyncLlamadaPro(key, options.base_url, api_key_header=header, rate_limit=options.rate)
            return await stack.enter_async_context(made)

        header = options.api_key_header or document.key_header
        key = options.api_key or _key()
        known = await client(key, header)
        unauthenticated = {
            "a wrong key": await client("contract-probe-wrong-key", header),
            "no key": await client("none", "X-Contract-Probe"),  # the client always sends one: here, where nobody looks
        }
        report = Report(document, _shown(known))
        try:
            await probe(
                known, unauthenticated, document, report, write=options.write, ids=dict(options.id), items=options.items
            )
        except KeyRejectedError as refused:
            raise ConfigurationError(f"the service refuses the key: {refused}") from None
    print(_without(key, FORMATS[options.format](report)))
    if options.patch:
        changed = patch_document(document.text, report.findings)
        options.patch.write_text(_without(key, unified_diff(document.text, changed)), "utf-8")
        print(f"the suggested change of openapi.yaml is in {options.patch}", file=sys.stderr)
    return 1 if report.of("contradiction") else 0


def _document(path: Path | None) -> Document:
    from ruamel.yaml.error import YAMLError

    from .document import Document, packaged

    if path is None:
        return packaged()
    try:
        document = Document(path.read_text("utf-8"))
        if not document.operations or not document.key_header:  # read now, so that the error names the file
            raise LookupError("it has no operations")
    except (YAMLError, LookupError, TypeError, AttributeError, UnicodeError) as error:
        raise ConfigurationError(
            f"{path} is no openapi.yaml like this package's: {type(error).__name__}: {error}"
        ) from None
    return document


def _shown(client: AsyncLlamadaPro) -> str:
    return str(client).removeprefix("<AsyncLlamadaPro ").removesuffix(">")


def _key() -> str:
    found = os.environ.get("LLAMADAPRO_API_KEY")
    if not found and not sys.stdin.isatty():
        raise ConfigurationError("no API key: set LLAMADAPRO_API_KEY")
    return found or getpass("API key: ")


def _without(key: str, text: str) -> str:
    """What a service answers may quote the key."""
    return text.replace(key, "<key>") if len(key) >= MIN_REDACTED_LENGTH else text


def requests_per_second(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError("it must be above 0")
    return rate


def _id(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if name not in ID_NAMES or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(f'{one}=…' for one in ID_NAMES)}")
    return name, value
