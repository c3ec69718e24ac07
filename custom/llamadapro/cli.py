"""The command `llamadapro`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="llamadapro", description="Tools of the LlamadaPro client for Python.")
    parser.add_argument("--version", action="version", version=f"llamadapro {version('llamadapro')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "sandbox", help="a local server that speaks the API (see: llamadapro sandbox --help)", add_help=False
    )
    # The subcommand parses its own arguments: it may be installed or not.
    parser.parse_args(arguments[:1])
    return _sandbox(arguments[1:])


def _sandbox(arguments: Sequence[str]) -> int:
    try:
        from llamadapro_sandbox.cli import main as run
    except ModuleNotFoundError as error:
        print(f"the sandbox needs {error.name}: pip install 'llamadapro[sandbox]'", file=sys.stderr)
        return 2
    return run(arguments)
