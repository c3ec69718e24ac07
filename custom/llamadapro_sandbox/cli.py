"""The command line: start the sandbox as a server, say where it is, and stop cleanly."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .log import Received

EPILOG = """examples:
  llamadapro sandbox --port 8080 --db state.sqlite --seed people.yaml
  llamadapro sandbox --fault kind=status,status=503,probability=0.1 --fault kind=latency,seconds=2,operation=GetContacts
  llamadapro sandbox --set call_seconds=30 --set search_per_second=5
"""


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="llamadapro sandbox",
        description="A local LlamadaPro to try things on and to test with.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    found.add_argument("--port", type=int, default=0, help="port to listen on; 0 picks a free one (default)")
    found.add_argument("--allow-remote", action="store_true", help="let --host be an address that others can reach")
    found.add_argument(
        "--db", default=":memory:", metavar="PATH", help="SQLite file for the state (default: in memory)"
    )
    found.add_argument("--api-key", default="sandbox", metavar="KEY", help="the key to ask for (default: %(default)s)")
    found.add_argument("--seed", metavar="FILE", help="JSON or YAML file with data to start with, if there is none yet")
    found.add_argument("--fault", action="append", default=[], type=_pairs, metavar="NAME=VALUE,…", help="let go wrong")
    found.add_argument("--set", action="append", default=[], type=_pairs, metavar="NAME=VALUE", help="change a setting")
    found.add_argument("--speed", type=float, default=1.0, help="how fast the clock runs; 0 stands still (default: 1)")
    found.add_argument("--log", action="store_true", help="write every request to standard error")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if not options.allow_remote and not _loopback(options.host):
        print(f"{options.host} can be reached from elsewhere; add --allow-remote if that is wanted", file=sys.stderr)
        return 2
    try:
        return _run(options)
    except (OSError, ValueError, TypeError, OverflowError) as problem:
        print(f"llamadapro sandbox: {problem}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    from .app import Sandbox
    from .errors import Refusal
    from .seeding import read_seed

    settings = {name: value for pairs in options.set for name, value in pairs.items()}
    data = read_seed(options.seed) if options.seed else None
    try:
        sandbox = Sandbox(db=options.db, api_key=options.api_key, speed=options.speed, seed=data, **settings)
    except Refusal as refusal:
        raise ValueError(f"{options.seed}: {refusal}") from None
    for fault in options.fault:
        sandbox.faults.add(**fault)
    if options.log:
        sandbox.requests.on_answer = _log
    try:
        server = sandbox.serve(host=options.host, port=options.port)
        print(f"LlamadaPro sandbox on {server.url}", f"API key: {options.api_key}", sep="\n", flush=True)
        server.run()
    finally:
        sandbox.close()
    return 0


def _pairs(text: str) -> dict[str, Any]:
    """`kind=status,status=503`: numbers become numbers."""
    pairs: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"{part!r} is not name=value")
        pairs[name.strip()] = _value(value.strip())
    return pairs


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _log(entry: Received) -> None:
    fault = f" ({entry.fault})" if entry.fault else ""
    status = "no answer" if entry.status is None else entry.status
    print(
        f"{entry.at} {entry.method} {entry.path} {entry.operation or '-'} {status}{fault}", file=sys.stderr, flush=True
    )
