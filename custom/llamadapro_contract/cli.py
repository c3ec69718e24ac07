"""`llamadapro contract`: check a service against openapi.yaml, and suggest how the document should read."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from llamadapro import ConfigurationError, LlamadaProError

from .findings import DIFFERENCES, FAIL_ON, Report, read_baseline
from .reporting import FORMATS

if TYPE_CHECKING:
    from llamadapro import AsyncLlamadaPro

    from .document import Document, KeyPlacement

EPILOG = """It reads: lists, some items of each, the search, records that cannot exist, and the lists with a wrong key.
With --write it also creates, changes and deletes a contact, a task (for the user of another one), a custom field and an
option, all marked contract-probe-…. It never sends a message and never starts a call. Messages, calls and recordings
are in no list: name some with --id. If the key is refused (401), it tries the usual ways to send it.

examples:
  llamadapro contract --base-url https://api.llamadapro.app --write-baseline accepted.json  # accept what differs
  llamadapro contract --baseline accepted.json --output junit=contract.xml --output markdown=contract.md
  llamadapro contract --base-url http://127.0.0.1:8080 --write --patch openapi.patch && git apply openapi.patch
  llamadapro contract --id callId=9001 --id messageId=msg_501 --id recordingId=3001 --only GetCall

environment:
  LLAMADAPRO_API_KEY   the service's key; without it, it is asked for where there is a terminal; it is never shown
  LLAMADAPRO_BASE_URL  the service's address; --base-url goes before it
  LLAMADAPRO_LOG       debug: a line per request on standard error

exit codes: 0 no difference that fails, 1 there is one, 2 the service could not be checked, 130 interrupted
"""
ID_NAMES = ("callId", "messageId", "recordingId")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="llamadapro contract",
        description="Check a live service against openapi.yaml.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--base-url", metavar="URL", help="default: $LLAMADAPRO_BASE_URL, else the OpenAPI document's")
    add("--api-key", metavar="KEY", help="better not: others on this machine can read it; see below")
    add("--api-key-header", metavar="NAME", help="the header that carries the key, if not the OpenAPI document's")
    add("--write", action="store_true", help="also create, change and delete marked test data")
    add("--only", action="append", metavar="OPERATION", help="check this operation; may be repeated (default: all)")
    add("--id", action="append", default=[], type=_id, metavar="NAME=ID", help=f"one of {', '.join(ID_NAMES)}")
    add("--baseline", type=Path, metavar="FILE", help="accepted differences, which do not fail")
    add("--write-baseline", type=Path, metavar="FILE", help="accept the present differences from the next run on")
    add("--fail-on", choices=FAIL_ON, default="contradiction", help="what is exit code 1 (default: contradiction)")
    add("--format", choices=FORMATS, default="text", help="of the report on standard output (default: text)")
    add(
        "--output", action="append", default=[], type=_output, metavar="FORMAT=FILE", help="also write the report there"
    )
    add("--patch", type=Path, metavar="FILE", help="write the suggested change of openapi.yaml there, as a diff")
    add("--document", type=Path, metavar="FILE", help="another openapi.yaml than that of this package")
    add("--rate", type=requests_per_second, default=2.0, metavar="N", help="requests per second at most (default: 2)")
    add("--items", type=_count, default=3, metavar="N", help="how many items of a list are read (default: 3)")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(argv)
    report = Report(base_url=options.base_url or "the service", fail_on=options.fail_on)
    try:
        try:
            asyncio.run(_check(options, report))
        except ModuleNotFoundError as missing:
            report.error = f"needs {missing.name}: pip install 'llamadapro[contract]'"
        except (LlamadaProError, OSError) as error:
            report.error = " ".join(str(error).split())
        return _publish(options, report)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _complain(str(error))


async def _check(options: argparse.Namespace, report: Report) -> None:
    # Late: whoever asks for help does not wait for all this, nor needs the extra.
    from llamadapro import AsyncLlamadaPro

    from .document import KeyPlacement
    from .probe import probe

    document = _document(options.document)
    report.operations = tuple(map(document.find_operation, options.only or document.operations))
    if options.baseline and not (options.baseline == options.write_baseline and not options.baseline.exists()):
        report.baseline = read_baseline(options.baseline)
    options.api_key = report.key = options.api_key or _key()

    def connect(placement: KeyPlacement, key: str | None) -> AsyncLlamadaPro:
        return AsyncLlamadaPro(
            key or options.api_key,
            options.base_url,
            rate_limit=options.rate,
            api_key_scheme=placement.scheme or None,
            api_key_header=None if placement.scheme else placement.header,
        )

    placement = KeyPlacement(options.api_key_header) if options.api_key_header else document.key_placement
    async with connect(placement, None) as client:
        report.base_url = str(client).removeprefix("<AsyncLlamadaPro ").removesuffix(">")
    limits = {"write": options.write, "ids": dict(options.id), "items": options.items}
    await probe(connect, document, report, placement=placement, **limits)


def _publish(options: argparse.Namespace, report: Report) -> int:
    """Write what was found, or why nothing could be; the exit code."""

    report.error = None if report.error is None else report.shown(report.error)
    report.notes = [*map(report.shown, report.notes)]
    unwritten = None
    for name, path in options.output:
        try:
            path.write_text(FORMATS[name](report) + "\n", "utf-8")
        except OSError as error:  # the others are written all the same
            unwritten = unwritten or error
    if report.document is not None and report.error is None:
        if options.write_baseline:
            options.write_baseline.write_text(report.new_baseline(), "utf-8")
        if options.patch:
            _write_patch(options, report, report.document)
    if report.error is None or options.format != "text":
        with suppress(AttributeError):  # a test may put something simpler in its place
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        sys.stdout.write(FORMATS[options.format](report) + "\n")
    if report.error is not None:
        _complain(report.error)
    if unwritten is not None:
        raise unwritten
    return report.exit_code


def _write_patch(options: argparse.Namespace, report: Report, document: Document) -> None:
    from .patch import patch_document, unified_diff

    changed, rest = patch_document(document.text, report.of(*DIFFERENCES, "confirmation"))
    options.patch.write_text(unified_diff(document.text, changed, rest), "utf-8")
    left = f"; {len(rest)} differences are not in it: its first lines name them" if rest else ""
    print(f"the suggested change of openapi.yaml is in {options.patch}{left}", file=sys.stderr)


def _complain(problem: str) -> int:
    print(f"llamadapro contract: {problem}", file=sys.stderr)
    return 2


def _document(path: Path | None) -> Document:
    from ruamel.yaml.error import YAMLError

    from .document import Document, packaged

    if path is None:
        return packaged()
    try:
        document = Document(path.read_text("utf-8"))
        if not document.operations or not document.key_placement:  # read now, so that the error names the file
            raise LookupError("it has no operations")
    except (YAMLError, LookupError, TypeError, AttributeError, UnicodeError) as error:
        raise ConfigurationError(
            f"{path} is no openapi.yaml like this package's: {type(error).__name__}: {error}"
        ) from None
    return document


def _key() -> str:
    found = os.environ.get("LLAMADAPRO_API_KEY")
    if not found and not sys.stdin.isatty():
        raise ConfigurationError("no API key: set LLAMADAPRO_API_KEY")
    return found or getpass("API key: ")


def requests_per_second(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError("it must be above 0")
    return rate


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return int(text)


def _id(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if name not in ID_NAMES or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(f'{one}=…' for one in ID_NAMES)}")
    return name, value


def _output(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if name not in FORMATS or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(f'{one}=FILE' for one in FORMATS)}")
    if not Path(path).parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {Path(path).parent}")
    return name, Path(path)
