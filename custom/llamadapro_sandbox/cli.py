"""The command line: start the sandbox as a server, say where it is, and stop cleanly."""

from __future__ import annotations

import argparse
import shlex
import sqlite3
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .steer import STEERING as STEERING
from .steer import complain, pairs, say
from .steer import main as steer
from .steer import parser as steering_parser

if TYPE_CHECKING:
    from .faults import Faults
    from .request_log import LoggedRequest

EPILOG = """settings, with --set, in seconds but for the last:
  call_seconds=2        from the start of a call to its end
  message_seconds=1     from sending a message to its delivery
  recording_seconds=12  the length of a call's recording
  search_per_second=    how many searches are answered in a second, more are a 429 (default: all)

faults, with --fault; of several that fit a request, the first hits it:
  kind=status           the answer is status=503, with retry_after=SECONDS if that is given
  kind=latency          the answer waits for seconds=0.1
  kind=reset            the connection is cut
  kind=slow_drip        the answer comes in pieces of size=16 bytes, with seconds=0.1 after each
  when=before           status, reset: before the request has an effect; or after it; or (reset) within the answer
  operation= method= path=   only such requests: CreateContact, POST, /api/v1/contacts/*
  times=  probability=1      how many requests it hits in all; the share of those that fit

examples:
  llamadapro sandbox --port 8080 --db state.sqlite --seed people.yaml
  llamadapro sandbox --fault kind=status,status=503,probability=0.1 --fault kind=latency,seconds=2,operation=GetContacts
  llamadapro sandbox --set call_seconds=30 --set search_per_second=5

It prints its address, the key to use and what to export, and serves until Ctrl-C. No environment variable changes it.
One that runs is steered with: llamadapro sandbox fault|clock|seed|reset (--help shows how).

exit codes: 0 stopped, 2 could not start (a port in use, a file that cannot be read)
"""


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Of the server, or of the steering that the words begin with."""
    if words and words[0] in STEERING:
        return steering_parser()
    found = argparse.ArgumentParser(
        prog="llamadapro sandbox",
        description="A local LlamadaPro to try things on and to test with.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port to listen on; 0 picks a free one (default)")
    add("--allow-remote", action="store_true", help="let --host be an address that others can reach")
    add("--db", default=":memory:", metavar="PATH", help="SQLite file for the state (default: in memory)")
    add("--api-key", default="sandbox", metavar="KEY", help="the key to ask for (default: %(default)s)")
    add("--seed", metavar="FILE", help="JSON or YAML file with data to start with, if there is none yet")
    several: dict[str, Any] = {"action": "append", "default": []}
    add("--fault", **several, type=pairs, metavar="NAME=VALUE,…", help="let something go wrong; see below")
    add("--set", **several, type=pairs, metavar="NAME=VALUE", help="change a setting; see below")
    add("--speed", type=float, default=1.0, metavar="N", help="how fast the clock runs; 0 stands still (default: 1)")
    add("--strict", action="store_true", help="refuse fields that the document does not have")
    add("--allow-host", **several, metavar="NAME", help="a name it may be reached under; localhost is")
    add("--document", metavar="FILE", help="another OpenAPI 3.1 document to answer for")
    add("--log", action="store_true", help="write every request to standard error")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in STEERING:
        return steer(arguments)
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as missing:
        return complain(f"needs {missing.name}: pip install 'llamadapro[sandbox]'")
    except sqlite3.Error as error:
        return complain(f"{options.db}: {error}")
    except (OSError, ValueError, OverflowError) as error:
        return complain(error)


def _run(options: argparse.Namespace) -> int:
    from .app import Sandbox, is_loopback
    from .errors import ApiError
    from .seeding import read_seed

    if not options.allow_remote and not is_loopback(options.host):
        raise ValueError(f"{options.host} can be reached from elsewhere; add --allow-remote if that is wanted")
    settings = {name: value for pairs in options.set for name, value in pairs.items()}
    data = read_seed(options.seed) if options.seed else None
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always")
            sandbox = Sandbox(
                db=options.db,
                api_key=options.api_key,
                speed=options.speed,
                seed=data,
                document=options.document,
                strict=options.strict,
                hosts=options.allow_host,
                **settings,
            )
    except ApiError as error:
        raise ValueError(f"{options.seed}: {error}") from None
    for warning in odd:
        print(f"llamadapro sandbox: warning: {options.seed}: {warning.message}", file=sys.stderr)
    try:
        for fault in options.fault:
            _add(sandbox.faults, fault)
        if options.log:
            sandbox.requests.on_answer = _log
        server = sandbox.serve(host=options.host, port=options.port)
        say(
            f"LlamadaPro sandbox on {server.url}",
            f"API key: {options.api_key}",
            f"export LLAMADAPRO_BASE_URL={server.url} LLAMADAPRO_API_KEY={shlex.quote(options.api_key)}",
            f"open {server.url}/ to look into it, and steer it with: llamadapro sandbox {'|'.join(STEERING)}",
        )
        server.run()
    finally:
        sandbox.close()
    return 0


def _add(faults: Faults, fault: dict[str, Any]) -> None:
    try:
        faults.add(**fault)
    except TypeError:
        given = ",".join(f"{name}={value}" for name, value in fault.items())
        raise ValueError(f"--fault {given} is none: it has a kind, and names and numbers as --help shows") from None


def _log(entry: LoggedRequest) -> None:
    fault = f" ({entry.fault})" if entry.fault else ""
    status = "no answer" if entry.status is None else entry.status
    fault += f" ({entry.warning})" if entry.warning else ""
    print(
        f"{entry.at} {entry.method} {entry.path} {entry.operation or '-'} {status}{fault}", file=sys.stderr, flush=True
    )
