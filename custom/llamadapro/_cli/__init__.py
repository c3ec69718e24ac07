"""The command `llamadapro`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

EPILOG = """environment:
  LLAMADAPRO_API_KEY   the service's key; all but the sandbox ask for it where there is a terminal
  LLAMADAPRO_BASE_URL  the service's address, if not the document's
  LLAMADAPRO_LOG       debug: a line per request on standard error

examples:
  llamadapro sandbox --port 8080
  llamadapro import people.csv --region CL
  llamadapro campaign people.csv --template welcome --from +56912345678 --dry-run
  llamadapro COMMAND --help

exit codes: 0 all is well, 1 something was found or is left to do, 2 not possible or not understood, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="llamadapro",
        description="Tools of the LlamadaPro client for Python.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (words, _) in _COMMANDS.items():
        commands.add_parser(name, help=words, add_help=False)
    # The subcommand parses its own arguments, and what it needs is loaded only then: it may be installed or not.
    command = parser.parse_args(arguments[:1]).command
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return _COMMANDS[command][1](arguments[1:])
    except KeyboardInterrupt:
        return 130


class _Version(argparse.Action):
    """Looked up when it is asked for: that takes longer than all else here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"llamadapro {version('llamadapro')}")
        parser.exit()


def _campaign(arguments: Sequence[str]) -> int:
    from llamadapro_jobs.cli.campaign import main as run

    return run(arguments)


def _import(arguments: Sequence[str]) -> int:
    from llamadapro_jobs.cli.import_ import main as run

    return run(arguments)


def _sandbox(arguments: Sequence[str]) -> int:
    from llamadapro_sandbox.cli import main as run

    return run(arguments)


def _contract(arguments: Sequence[str]) -> int:
    from llamadapro_contract.cli import main as run

    return run(arguments)


_COMMANDS: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "campaign": ("send a WhatsApp template to each line of a CSV file, once", _campaign),
    "contract": ("hold a live service against openapi.yaml", _contract),
    "import": ("create or change conversations from a CSV file", _import),
    "sandbox": ("run a local server that speaks the API", _sandbox),
}
