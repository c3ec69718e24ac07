"""`llamadapro sandbox fault|clock|seed|reset`: steer a sandbox that runs, through its control interface."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

STEERING = ("fault", "clock", "seed", "reset")
TIMEOUT = 30.0
EPILOG = """It steers the sandbox at $LLAMADAPRO_BASE_URL with the key $LLAMADAPRO_API_KEY, which `llamadapro sandbox`
prints; --base-url and --api-key go before these.

examples:
  llamadapro sandbox fault kind=status,status=503,times=2     # the next two requests fail; names as for --fault
  llamadapro sandbox fault                                    # those that are set
  llamadapro sandbox fault --clear
  llamadapro sandbox clock --advance 3600 --speed 0
  llamadapro sandbox seed people.yaml
  llamadapro sandbox reset

exit codes: 0 done, 2 not possible
"""


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--base-url", metavar="URL", help="default: $LLAMADAPRO_BASE_URL")
    common.add_argument("--api-key", metavar="KEY", help="default: $LLAMADAPRO_API_KEY, else that of any sandbox")
    layout: dict[str, Any] = {"epilog": EPILOG, "formatter_class": argparse.RawDescriptionHelpFormatter}
    found = argparse.ArgumentParser(prog="llamadapro sandbox", **layout)
    commands = found.add_subparsers(dest="command", required=True)
    layout["parents"] = [common]
    fault = commands.add_parser("fault", help="let something go wrong, or list what will", **layout)
    fault.add_argument("faults", nargs="*", type=pairs, metavar="NAME=VALUE,…", help="as for --fault of the server")
    fault.add_argument("--clear", action="store_true", help="remove all faults first")
    clock = commands.add_parser("clock", help="move the clock", **layout)
    clock.add_argument("--advance", type=float, default=0.0, metavar="SECONDS", help="let so much time pass at once")
    clock.add_argument("--speed", type=float, metavar="N", help="how fast it runs; 0 stands still")
    seed = commands.add_parser("seed", help="add data", **layout)
    seed.add_argument("file", metavar="FILE", help="JSON or YAML, as for --seed of the server; - for standard input")
    commands.add_parser("reset", help="remove all data", **layout)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        answer = _steer(options)
    except ModuleNotFoundError as missing:
        return complain(f"needs {missing.name}: pip install 'llamadapro[sandbox]'")
    except (OSError, ValueError) as error:
        return complain(error)
    say(json.dumps(answer, ensure_ascii=False, indent=2))
    return 0


def _steer(options: argparse.Namespace) -> Any:
    if options.command == "fault":
        if options.clear:
            _send(options, "DELETE", "faults")
        for fault in options.faults:
            _send(options, "POST", "faults", fault)
        return _send(options, "GET", "faults")
    if options.command == "clock":
        speed = {} if options.speed is None else {"speed": options.speed}
        return _send(options, "POST", "clock", {"advance": options.advance, **speed})
    if options.command == "seed":
        from .seeding import read_seed

        return _send(options, "POST", "seed", read_seed(options.file))
    _send(options, "POST", "reset")
    return {"counts": _send(options, "GET", "")["counts"]}


def _send(options: argparse.Namespace, method: str, action: str, body: Any = None) -> Any:
    import httpx

    from .core import DEFAULT_KEY
    from .request import CONTROL_KEY, WARNING

    url = options.base_url or os.environ.get("LLAMADAPRO_BASE_URL")
    if not url:
        raise ValueError("which sandbox? set LLAMADAPRO_BASE_URL or --base-url to the address that it printed")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} must start with http:// or https://")
    key = options.api_key or os.environ.get("LLAMADAPRO_API_KEY") or DEFAULT_KEY
    try:
        with httpx.Client(trust_env=False, timeout=TIMEOUT, headers={CONTROL_KEY.name: key}) as client:
            answer = client.request(method, f"{url.rstrip('/')}/_sandbox/{action}", json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ValueError(f"no sandbox answers at {url}: {error}") from None
    try:
        said: Any = answer.json() if answer.content else None
        if answer.is_success:
            if WARNING in answer.headers:
                complain(f"warning: {answer.headers[WARNING]}")
            return said
        issues = said.get("details", {}).get("issues", [])
        reason = "; ".join(f"{one['in']}.{one['field']} {one['message']}" for one in issues) or str(said["message"])
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError(f"what answers at {url} is not a sandbox: it answers {answer.status_code}") from None
    raise ValueError(reason)


def pairs(text: str) -> dict[str, Any]:
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


def say(*lines: str) -> None:
    """Print; a reader that goes away (`| head`) is no failure."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(problem: object) -> int:
    print(f"llamadapro sandbox: {problem}", file=sys.stderr)
    return 2
