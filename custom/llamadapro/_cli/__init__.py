"""The command `llamadapro`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import ModuleType
from typing import Any, TextIO, cast

from .._version import __version__

EPILOG = """environment:
  LLAMADAPRO_API_KEY   the service's key; all but the sandbox ask for it where there is a terminal
  LLAMADAPRO_BASE_URL  the service's address, if not the OpenAPI document's
  LLAMADAPRO_LOG       debug: a line per request on standard error

examples:
  llamadapro sandbox --port 8080
  llamadapro api create_contact --first_name Jane
  llamadapro import people.csv --region CL
  llamadapro campaign people.csv --template welcome --from +56912345678 --dry-run
  llamadapro COMMAND --help

exit codes: 0 all is well, 1 something was found or is left to do, 2 not possible or not understood, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; returns the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from .completion import complete

        complete()
    arguments = list(sys.argv[1:] if argv is None else argv)
    out, err = cast(TextIO, _Stream(sys.stdout or StringIO())), cast(TextIO, _Stream(sys.stderr or StringIO()))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            return _run(arguments)
        except KeyboardInterrupt:
            return 130
        finally:
            out.flush()
            err.flush()


def _run(arguments: Sequence[str]) -> int:
    # The subcommand parses its own arguments, and what it needs is loaded only then: it may be installed or not.
    command = parser().parse_args(arguments[:1]).command
    if command is None:
        parser().print_help(sys.stderr)
        return 2
    return int(load(command).main(arguments[1:]))


class _Stream:
    """A standard stream whose reader may go away (`| head`): what is written then is dropped, and no failure."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())


def parser(subparsers: Mapping[str, argparse.ArgumentParser] | None = None) -> argparse.ArgumentParser:
    """Knows the names of the subcommands, and the arguments of those that are given."""
    found = argparse.ArgumentParser(
        prog="llamadapro",
        description="Tools of the LlamadaPro client for Python.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--version", action="version", version=f"llamadapro {__version__}")
    commands = found.add_subparsers(dest="command", metavar="COMMAND")
    for name, words in COMMANDS.items():
        parents = [one for one in [(subparsers or {}).get(name)] if one]
        commands.add_parser(name, help=words, add_help=False, parents=parents)
    return found


def load(command: str) -> ModuleType:
    """The module of a subcommand, with its `main` and `parser`."""
    module: ModuleType
    match command:
        case "api":
            from . import api as module
        case "campaign":
            from llamadapro_jobs.cli import campaign as module
        case "completion":
            from . import completion as module
        case "contract":
            from llamadapro_contract import cli as module
        case "import":
            from llamadapro_jobs.cli import import_ as module
        case _:
            from llamadapro_sandbox import cli as module
    return module


COMMANDS = {
    "api": "send any operation of the API, and print its answer",
    "campaign": "send a WhatsApp template to each line of a CSV file, once",
    "completion": "let a shell complete commands and options",
    "contract": "check a live service against openapi.yaml",
    "import": "create or change conversations from a CSV file",
    "sandbox": "run a local server that speaks the API",
}
