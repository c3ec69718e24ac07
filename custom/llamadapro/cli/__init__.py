"""The command `llamadapro`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="llamadapro", description="Tools of the LlamadaPro client for Python.")
    parser.add_argument("--version", action="version", version=f"llamadapro {version('llamadapro')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (words, _) in _COMMANDS.items():
        commands.add_parser(name, help=f"{words} (see: llamadapro {name} --help)", add_help=False)
    # The subcommand parses its own arguments, and what it needs is loaded only then: it may be installed or not.
    run = _COMMANDS[parser.parse_args(arguments[:1]).command][1]
    return run(arguments[1:])


def _import(arguments: Sequence[str]) -> int:
    from .importing import main as run

    return run(arguments)


def _sandbox(arguments: Sequence[str]) -> int:
    try:
        from llamadapro_sandbox.cli import main as run

        return run(arguments)  # its `--help` needs nothing: what is missing turns up only here
    except ModuleNotFoundError as error:
        return _lacks("sandbox", error)


def _contract(arguments: Sequence[str]) -> int:
    try:
        from llamadapro_contract.cli import main as run
    except ModuleNotFoundError as error:
        return _lacks("contract", error)
    return run(arguments)


def _lacks(extra: str, error: ModuleNotFoundError) -> int:
    print(f"this command needs {error.name}: pip install 'llamadapro[{extra}]'", file=sys.stderr)
    return 2


_COMMANDS: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "contract": ("hold a live service against openapi.yaml", _contract),
    "import": ("create or change conversations from a CSV file", _import),
    "sandbox": ("a local server that speaks the API", _sandbox),
}
