"""From a request to what is asked: the key, the path's ids, the query and the body, held against the document."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from .document import Document, Operation, issues
from .errors import BadRequest, Issue, NotFound, Unauthorized, issue

MAX_DEPTH = 100
INTEGER = re.compile(r"[0-9]{1,15}")
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class ApiRequest:
    """A valid request, as a handler reads it."""

    operation: Operation
    ids: dict[str, Any] = field(default_factory=dict[str, Any])
    query: dict[str, Any] = field(default_factory=dict[str, Any])
    body: Any = None
    base_url: str = "http://sandbox"


def check_key(document: Document, request: Request, key: str) -> None:
    """The key is optional in the document, as on the API's page; here it is not, so that a forgotten one is noticed."""
    name = document.key_header
    given = request.headers.get(name)
    if given is None:
        raise Unauthorized(f"no API key: send it in the header {name}")
    if not hmac.compare_digest(given.encode("latin-1"), key.encode()):
        raise Unauthorized(f"the API key in the header {name} is not this sandbox's")


def read(operation: Operation, request: Request, raw: bytes, base_url: str) -> ApiRequest:
    """Check everything and complain about everything at once."""
    ids = _ids(operation, request)
    query, found = _query(operation, request)
    body = None
    if operation.body is not None and (raw or operation.body_required):
        try:
            body = parse_json(raw, request.headers.get("content-type", ""))
            found += issues(operation.body, body)
        except BadRequest as problem:
            found += problem.details["issues"]
    if found:
        listed = "; ".join(f"{i['in']}{'.' if i['field'] else ''}{i['field']} {i['message']}" for i in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise BadRequest(f"{operation.id}: {listed}{more}", found)
    return ApiRequest(operation, ids, query, body, base_url)


def _ids(operation: Operation, request: Request) -> dict[str, Any]:
    """The path's ids. One of the wrong form is simply not found."""
    _check_escapes(operation, request)
    ids: dict[str, Any] = {}
    for parameter in operation.parameters:
        if parameter.place == "path":
            text = request.path_params[parameter.name]
            if parameter.type == "integer" and not INTEGER.fullmatch(text):
                raise NotFound(f"{operation.id}: {parameter.name} {_short(text)} is not an id; ids are integers")
            ids[parameter.name] = int(text) if parameter.type == "integer" else text
    return ids


def _check_escapes(operation: Operation, request: Request) -> None:
    """Percent-escapes that are no text are refused, as Express does: with a 400, where the document lists one."""
    raw: bytes = request.scope.get("raw_path") or b""
    if b"%" in raw:
        try:
            unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            message = "the path is not UTF-8 text"
            if 400 in operation.answers:
                raise BadRequest(message, [issue("path", "", "is not UTF-8 text")]) from None
            raise NotFound(message) from None


def _query(operation: Operation, request: Request) -> tuple[dict[str, Any], list[Issue]]:
    """The declared query parameters; others are ignored, as the service does."""
    query: dict[str, Any] = {}
    found: list[Issue] = []
    for parameter in operation.parameters:
        if parameter.place != "query":
            continue
        given = request.query_params.getlist(parameter.name)
        if len(given) > 1:
            found.append(issue("query", parameter.name, "is given more than once"))
        elif given:
            value = _typed(parameter.type, given[0])
            wrong = issues(parameter.validator, value, "query", parameter.name)
            found += wrong
            if not wrong:
                query[parameter.name] = value
        elif parameter.required:
            found.append(issue("query", parameter.name, "is required", "REQUIRED_FIELD"))
    return query, found


def _typed(kind: str, text: str) -> Any:
    """Text that reads as the wanted type becomes it; other text stays text, and the validator says what is wrong."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind in ("integer", "number") and len(text) < 400 and NUMBER.fullmatch(text):
        try:
            return int(text) if text.lstrip("-").isdigit() else _number(text)
        except BadRequest:
            return text
    return text


def parse_json(raw: bytes, content_type: str) -> Any:
    """Strict JSON: UTF-8, no NaN, no key twice, not endlessly deep; what is not becomes a 400 with the reason."""
    kind = content_type.split(";")[0].strip().lower()
    if kind != "application/json":
        raise _not_json(f"must be sent with Content-Type: application/json, not {kind or 'without one'}")
    if not raw:
        raise BadRequest("no body", [issue("body", "", "is required", "REQUIRED_FIELD")])
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_float=_number, parse_constant=_constant, object_pairs_hook=_object)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair can be written so, but is no text
    except UnicodeError:
        raise _not_json("is not UTF-8 text") from None
    except RecursionError:
        raise _not_json("is nested too deeply") from None
    except ValueError as problem:
        raise _not_json(f"is not JSON: {problem}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise _not_json("is nested too deeply")
    return value


def _not_json(message: str) -> BadRequest:
    return BadRequest(f"the body {message}", [issue("body", "", message, "INVALID_JSON")])


def _number(text: str) -> int | float:
    """91.0 is an integer in JSON: let it be one in Python too, or it cannot count or slice."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _not_json(f"holds a number that is out of range: {text[:40]}")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _constant(text: str) -> Any:
    raise _not_json(f"is not JSON: {text} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _not_json("is not JSON that can be relied on: an object has a key twice")
    return values


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        level = inner
    return depth


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
