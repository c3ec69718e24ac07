"""`llamadapro api`: send any operation of the OpenAPI document, and print its answer as JSON."""

from __future__ import annotations

import argparse
import ast
import asyncio
import inspect
import json
import mimetypes
import os
import re
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import partial
from getpass import getpass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin
from uuid import UUID

from typing_extensions import is_typeddict

from llamadapro_api import api
from llamadapro_api.errors import ValidationError
from llamadapro_api.hints import evaluate
from llamadapro_api.reading import Model
from llamadapro_api.types import PreparedRequest

from ..errors import APIError, InvalidRequestError, LlamadaProError

EPILOG = """values:
  Text goes as it is; numbers, true, false and null as in JSON; lists and objects as JSON; a file as @PATH. Names may be
  written as in Python, on the wire, or with hyphens: --first_name, --firstName, --first-name.

examples:
  llamadapro api --list
  llamadapro api create_contact --help
  llamadapro api get_contacts --page_size 5 | jq .items
  llamadapro api create_contact --first_name Jane --addresses '[{"channelType": "PHONE", "address": "+56912345678"}]'
  echo '{"firstName": "Jane"}' | llamadapro api create_contact --input -

What sends a message or starts a call asks first; --yes answers, and is needed where there is no terminal.

environment:
  LLAMADAPRO_API_KEY   the service's key; without it, it is asked for where there is a terminal
  LLAMADAPRO_BASE_URL  the service's address; --base-url goes before it
  LLAMADAPRO_LOG       debug: a line per request on standard error

exit codes: 0 the service did it, 1 it did not, or could not be reached, 2 nothing was sent, 130 interrupted
"""
OWN_OPTIONS = ("base_url", "help", "input", "region", "yes")
REACHING_WORDS = frozenset(
    ["send", "message", "messages", "sms", "call", "calls", "dial", "start", "notify", "broadcast"]
)
"""Words in the name or path of an operation that, unless it is safe to repeat, may reach a person."""
REACHING_NOBODY = frozenset(["create_call"])
"""Records a call that took place elsewhere."""
_NAMES: dict[Any, str] = {
    str: "TEXT",
    int: "INTEGER",
    float: "NUMBER",
    bool: "true|false",
    datetime: "DATE-TIME",
    date: "DATE",
    UUID: "UUID",
    list: "[JSON, …]",
    dict: "{JSON}",
    bytes: "@FILE",
    Any: "JSON",
}
"""Types that a text may become, as the help shows them."""
_TEXTS = {str, datetime, date, UUID, bytes, None}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


@dataclass(frozen=True)
class Field:
    """A keyword of an operation."""

    name: str
    hint: Any
    is_path: bool
    is_required: bool
    help: str

    @property
    def option(self) -> str:
        """As in Python, without the underscore that reserved words have there; but for the command's own options."""
        plain = self.name.rstrip("_")
        return f"--{plain}_" if plain in OWN_OPTIONS else f"--{plain}"

    @property
    def dest(self) -> str:
        return f"field {self.name}"


def parser(operation: str | None = None) -> argparse.ArgumentParser:
    """Of the command, or of one operation."""
    if operation is None:
        found = _Parser(
            prog="llamadapro api",
            description="Send any operation of the API, and print its answer as JSON.",
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        found.add_argument("--list", action="store_true", help="name all operations")
        found.add_argument("operation", nargs="?", metavar="OPERATION", help="such as get_contacts or GetContacts")
        found.add_argument("fields", nargs="*", metavar="--FIELD VALUE", help="OPERATION --help names them")
        return found
    found = _Parser(
        prog=f"llamadapro api {operation}",
        description=inspect.getdoc(getattr(api, operation)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for field in fields_of(operation):
        needed = "needed; " if field.is_required else ""
        found.add_argument(
            field.option,
            dest=field.dest,
            type=partial(parse_value, field.hint),
            default=argparse.SUPPRESS,
            metavar=describe(field.hint).replace("%", "%%"),
            help=f"{needed}{field.help}".rstrip("; ").replace("%", "%%") or None,
        )
    own = found.add_argument_group("of this command")
    own.add_argument("--input", metavar="FILE", help="a JSON object with fields, - for standard input")
    own.add_argument("--region", metavar="CL", help="allow national phone numbers of this country")
    own.add_argument("--yes", action="store_true", help="send without asking")
    own.add_argument("--base-url", metavar="URL", help="default: $LLAMADAPRO_BASE_URL, else the service's")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0].startswith("-"):
        if parser().parse_args(arguments).list:
            print("\n".join(f"{name:40} {summary(name)}" for name in operations()))
            return 0
        parser().print_help(sys.stderr)
        return 2
    operation = None
    try:
        operation = find_name(arguments[0], operations(), "operation")
        options = parser(operation).parse_args([*_normalize(operation, arguments[1:])])
        answer = asyncio.run(_send(operation, options))
    except APIError as error:
        return _complain(operation, error, 1)
    except (LlamadaProError, ValidationError, OSError) as error:
        return _complain(operation, error, 2)
    if answer is not None:
        print(to_json(answer))
    return 0


async def _send(operation: str, options: argparse.Namespace) -> Any:
    values = {field.name: getattr(options, field.dest) for field in fields_of(operation) if field.dest in options}
    if options.input:
        values = {**read_input(operation, options.input), **values}
    prepared = prepare(operation, values)
    if reaches_someone(prepared):
        from ..phone import to_e164

        numbers = {name: to_e164(value, options.region) for name, value in values.items() if _is_number(name, value)}
        prepared = prepare(operation, values | numbers)
        _confirm(operation, options, numbers)

    from .._client import AsyncLlamadaPro

    key = None if os.environ.get("LLAMADAPRO_API_KEY") or not sys.stdin.isatty() else getpass("API key: ")
    async with AsyncLlamadaPro(key, options.base_url) as client:
        return await client.send(prepared)


def prepare(operation: str, values: Mapping[str, Any]) -> PreparedRequest[Any]:
    """Raises `InvalidRequestError` or the generated `ValidationError`: nothing is sent."""
    fields = fields_of(operation)
    if missing := [field.option for field in fields if field.is_required and field.name not in values]:
        raise InvalidRequestError(f"needs {', '.join(missing)}")
    keywords = dict(values)
    ids = [keywords.pop(field.name) for field in fields if field.is_path]
    try:
        prepared: PreparedRequest[Any] = getattr(api, operation)(*ids, **keywords)
    except TypeError as error:  # a keyword that the operation does not know
        raise InvalidRequestError(str(error)) from None
    return prepared


# --- what there is -------------------------------------------------------------------------------------------------


def operations() -> list[str]:
    return [name for name in dir(api) if inspect.isfunction(getattr(api, name))]


def summary(operation: str) -> str:
    return (inspect.getdoc(getattr(api, operation)) or "").partition("\n")[0]


def fields_of(operation: str) -> list[Field]:
    """The keywords of an operation, with what the OpenAPI document says of them."""
    function = getattr(api, operation)
    docs = _field_docs(function)
    return [
        Field(
            name,
            evaluate(parameter.annotation, function),
            parameter.kind is parameter.POSITIONAL_ONLY,
            parameter.default is parameter.empty,
            docs.get(name, ""),
        )
        for name, parameter in inspect.signature(function).parameters.items()
    ]


def _field_docs(function: Callable[..., Any]) -> dict[str, str]:
    """The texts under the fields of the classes that describe an operation's keywords."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    except (OSError, SyntaxError):  # installed without its source
        return {}
    found = {}
    for body in (node.body for node in tree.body if isinstance(node, ast.ClassDef)):
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                    found[name] = " ".join(doc.split())
    return found


def find_name(name: str, known: Sequence[str], what: str) -> str:
    """One of the names, however its words are written. Raises `InvalidRequestError`."""
    plain = {_plain(one): one for one in reversed(known)}
    if name in known or _plain(name) in plain:
        return name if name in known else plain[_plain(name)]
    close = get_close_matches(_plain(name), plain, 2)
    hint = f"; did you mean {' or '.join(plain[one] for one in close)}?" if close else ""
    raise InvalidRequestError(f"there is no {what} {name!r}{hint}")


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()


def _normalize(operation: str, arguments: Sequence[str]) -> Iterator[str]:
    """Options as the parser knows them."""
    known = [field.option[2:] for field in fields_of(operation)] + [one.replace("_", "-") for one in OWN_OPTIONS]
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option.startswith("--"):
            option = f"--{find_name(option[2:], known, 'option')}"
        yield f"{option}{equals}{value}"


# --- values --------------------------------------------------------------------------------------------------------


def parse_value(hint: Any, text: str) -> Any:
    """The value that a text stands for, where such a type is wanted; the operation checks it further."""
    kinds = _kinds(hint)
    if bytes in kinds:
        return _read_file(Path(text.removeprefix("@")), with_name=tuple in kinds)
    if text == "null" and None in kinds:
        return None
    if kinds <= _TEXTS:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if Any in kinds or (type(value) in kinds) or (isinstance(value, int) and float in kinds):
        return value
    if str in kinds:
        return text
    raise argparse.ArgumentTypeError(f"must be {describe(hint)}, not {text!r}")


def _kinds(hint: Any) -> set[Any]:
    """What a text may become: str, int, float, bool, None, list, dict; Any for all; what JSON has as text; a file."""
    origin = get_origin(hint)
    if origin in (Union, UnionType, Annotated):
        members = get_args(hint)[:1] if origin is Annotated else get_args(hint)
        return set().union(*map(_kinds, members))
    if origin is Literal:
        return {type(one) for one in get_args(hint)}
    if hint in (Any, None, *_NAMES):
        return {hint}
    kind = origin or hint
    if not isinstance(kind, type) or kind is type(None):
        return {None}
    if is_typeddict(hint) or issubclass(kind, Mapping):
        return {dict}
    return {list} if issubclass(kind, Sequence) and kind is not tuple else {tuple} & {kind}


def describe(hint: Any) -> str:
    """A type as the help shows it."""
    kinds, choices = _kinds(hint), [*map(str, _choices(hint))]
    names = [name for kind, name in _NAMES.items() if kind in kinds and not (choices and kind in (str, int))]
    return "|".join([*choices, *names]) or "TEXT"


def _choices(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    elif get_origin(hint) in (Union, UnionType, Annotated):
        for one in get_args(hint):
            yield from _choices(one)


def _read_file(path: Path, *, with_name: bool) -> Any:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return (path.name, content, kind) if with_name else content


def read_input(operation: str, source: str) -> dict[str, Any]:
    """Fields from a file or from standard input, named as in Python or as on the wire."""
    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    try:
        value = json.loads(data)
    except ValueError as error:
        raise InvalidRequestError(f"--input {source}: not JSON: {error}") from None
    names = {_plain(field.name): field.name for field in fields_of(operation)}
    if "body" in names:
        return {"body": value}
    if not isinstance(value, dict):
        raise InvalidRequestError(f"--input {source}: must be a JSON object with fields of {operation}")
    return {names.get(_plain(str(name)), str(name)): item for name, item in value.items()}


def to_json(answer: Any) -> str:
    """As the service sent it, indented."""
    dump = partial(json.dumps, answer, indent=2, default=_as_json)
    text = dump(ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return dump()
    return text


def _as_json(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, date):
        return value.isoformat()
    return b64encode(value).decode() if isinstance(value, bytes) else str(value)


# --- what reaches someone ------------------------------------------------------------------------------------------


def reaches_someone(prepared: PreparedRequest[Any]) -> bool:
    """Whether it may send a message or start a call."""
    words = re.findall("[a-z]+", f"{prepared.operation} {prepared.url_path}".lower())
    return (
        not prepared.idempotent
        and prepared.method == "POST"
        and prepared.operation not in REACHING_NOBODY
        and not REACHING_WORDS.isdisjoint(words)
    )


def _is_number(name: str, value: Any) -> bool:
    return isinstance(value, str) and (name in ("to", "from_") or name.endswith("phone_number"))


def _confirm(operation: str, options: argparse.Namespace, numbers: Mapping[str, str]) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequestError("sends a message or starts a call: add --yes to do so without a terminal")
    about = ", ".join(f"{name.rstrip('_')} {number}" for name, number in numbers.items())
    print(f"{operation} ({about}): send it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidRequestError("not sent")


def _complain(operation: str | None, problem: object, code: int) -> int:
    print(" ".join(f"llamadapro api{f' {operation}' if operation else ''}: {problem}".split()), file=sys.stderr)
    return code
