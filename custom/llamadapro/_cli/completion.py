"""`llamadapro completion`: what a shell needs to complete commands, operations and options, by argcomplete."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

SHELLS = ("bash", "zsh", "fish")
FURTHER_COMMANDS = ("export", "status")
"""Of `llamadapro campaign`, in the place of its file."""
EPILOG = """examples:
  eval "$(llamadapro completion bash)"            # in ~/.bashrc
  eval "$(llamadapro completion zsh)"             # in ~/.zshrc, after compinit
  llamadapro completion fish | source             # in ~/.config/fish/config.fish

Needs the extra llamadapro[cli].

exit codes: 0 done, 2 not possible
"""


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="llamadapro completion",
        description="Print what a shell needs to complete the command llamadapro.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("shell", choices=SHELLS)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError as missing:
        print(f"llamadapro completion: needs {missing.name}: pip install 'llamadapro[cli]'", file=sys.stderr)
        return 2
    print(shellcode(["llamadapro"], shell=options.shell))
    return 0


def complete() -> None:
    """Answer the shell that completes a command line, and exit; the shell has put the line into the environment."""
    import argcomplete
    from argcomplete.completers import FilesCompleter

    from . import parser as parser_of_all

    words = _words()
    found = _subparser(words[0], words[1:]) if words else None
    further = FURTHER_COMMANDS if words == ["campaign"] else ()

    class Values(FilesCompleter):
        def __call__(self, prefix: str, **about: Any) -> list[str]:
            names = () if about["action"].option_strings else further
            return [*super().__call__(prefix, **about), *(name for name in names if name.startswith(prefix))]

    parser_of_them = parser_of_all({words[0]: found} if found else {})
    argcomplete.autocomplete(parser_of_them, always_complete_options="long", default_completer=Values())


def _words() -> list[str]:
    """The words before the one to be completed, without the command's own name."""
    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    try:
        words = shlex.split(line)
    except ValueError:  # within quotes
        words = line.split()
    return words[1:] if line.endswith((" ", "\t")) else words[1:-1]


def _subparser(command: str, words: Sequence[str]) -> argparse.ArgumentParser | None:
    """The parser of a subcommand; no other is loaded."""
    from . import COMMANDS, load

    if command not in COMMANDS:
        return None
    module = load(command)
    if command == "api":
        known = module.operations()
        return _with_choices(known, *[module.parser(name) for name in words[:1] if name in known])
    found: argparse.ArgumentParser = module.parser(words) if command in ("campaign", "sandbox") else module.parser()
    return _with_choices(module.STEERING, found) if command == "sandbox" and not words else found


def _with_choices(names: Sequence[str], *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(parents=parents, add_help=False)
    found.add_argument("name", nargs="?", choices=names)
    return found
