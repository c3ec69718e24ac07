"""From an HTTP request to what it asks: the key, the path's ids, the query and the body, held against the document."""

from __future__ import annotations

import email.policy
import hmac
import json
import re
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any, cast
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request

from .document import Content, Document, Operation, Parameter, Placement, is_json, issues, unknown
from .errors import BadRequest, Issue, NotFound, Unauthorized, describe, invalid, issue

MAX_DEPTH = 100
CONTROL_KEY = Placement("header", "X-Sandbox-Key")
"""Where the key may stand in requests to the sandbox itself, whatever the document says of the API."""
INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
WARNING = "X-Sandbox-Warning"
RESERVED_HEADERS = ("accept", "content-type", "authorization")
"""What OpenAPI does not let a document declare as parameters."""


@dataclass(frozen=True)
class ApiRequest:
    """A valid request, as a handler reads it."""

    operation: Operation
    ids: dict[str, Any] = field(default_factory=dict[str, Any])
    query: dict[str, Any] = field(default_factory=dict[str, Any])
    body: Any = None
    base_url: str = "http://sandbox"
    path: str = ""


def check_key(keys: tuple[tuple[Placement, ...], ...], request: Request, key: str) -> None:
    """A key that is optional in the document is wanted here, so that a forgotten one is noticed."""
    if not keys or any(all(_is_right(place, request, key) for place in places) for places in keys):
        return
    named = " or ".join(" and ".join(map(str, places)) for places in keys)
    if any(_given(place, request) is not None for places in keys for place in places):
        raise Unauthorized(f"the API key in the {named} is not this sandbox's")
    raise Unauthorized(f"no API key: send it in the {named}")


def _given(place: Placement, request: Request) -> str | None:
    sources = {"query": request.query_params, "cookie": request.cookies}
    return sources.get(place.place, request.headers).get(place.name)


def _is_right(place: Placement, request: Request, key: str) -> bool:
    given = _given(place, request)
    wanted = f"{place.prefix}{key}"
    if given is None:
        return False
    if place.prefix and given[: len(place.prefix)].casefold() == place.prefix.casefold():
        given = place.prefix + given[len(place.prefix) :]
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def read(
    document: Document, operation: Operation, request: Request, raw: bytes, *, base_url: str = "", strict: bool = False
) -> tuple[ApiRequest, str]:
    """Check everything and report everything at once; returns a warning too, empty if nothing is unknown."""
    ids = _ids(operation, request)
    query, found = _parameters(document, operation, "query", request.query_params)
    found += _parameters(document, operation, "header", request.headers)[1]
    known = {one.name for one in operation.parameters if one.place == "query"}
    known |= {place.name for places in operation.keys for place in places if place.place == "query"}
    unsure = [unknown("query", name, name, known) for name in request.query_params if name not in known]
    body = None
    if operation.body is not None and (raw or operation.body_required):
        try:
            if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
                raise _bad_body(f"must be sent without Content-Encoding: {coding}")
            body, schema = read_body(document, operation.body, raw, request.headers.get("content-type", ""))
            found += issues(document.validator(schema, "readOnly"), body)
            unsure += document.drop_unknown(schema, body)
        except BadRequest as problem:
            found += problem.details["issues"]
    if found or (strict and unsure):
        raise invalid(found + (unsure if strict else []), operation.id)
    return ApiRequest(operation, ids, query, body, base_url, request.scope["path"]), warning_of(unsure)


def warning_of(unsure: list[Issue]) -> str:
    """Unknown names in one line, as a header can hold it."""
    return "; ".join(map(describe, unsure)).encode("unicode_escape").decode()[:1000].strip()


def _ids(operation: Operation, request: Request) -> dict[str, Any]:
    """The path's ids. One of the wrong form is simply not found."""
    _check_escapes(operation, request)
    ids: dict[str, Any] = {}
    declared = {one.name: one for one in operation.parameters if one.place == "path"}
    for index, name in enumerate(re.findall(r"{([^}]+)}", operation.path)):
        text = request.scope["path_params"][index]
        ids[name] = text
        if parameter := declared.get(name):
            if parameter.type == "integer" and not (INTEGER.fullmatch(text) and abs(int(text)) < 2**63):
                raise NotFound(f"{operation.id}: {parameter.name} {_short(text)} is not an id; ids are integers")
            ids[parameter.name] = value = _typed(parameter.type, text)
            if wrong := issues(parameter.validator, value, "path", parameter.name):
                if operation.answer(404) is None:
                    raise invalid(wrong, operation.id)
                raise NotFound(f"{operation.id}: {describe(wrong[0])}")
    return ids


def _check_escapes(operation: Operation, request: Request) -> None:
    """Percent-escapes that are no text are refused, as Express does: with a 400, where the document lists one."""
    raw: bytes = request.scope.get("raw_path") or b""
    if b"%" in raw:
        try:
            unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            if operation.answer(400):
                raise invalid([issue("path", "", "is not UTF-8 text")], operation.id) from None
            raise NotFound("the path is not UTF-8 text") from None


def _parameters(
    document: Document, operation: Operation, place: str, given: QueryParams | Headers
) -> tuple[dict[str, Any], list[Issue]]:
    """The declared parameters of the query or of the headers, and what is wrong with them."""
    values: dict[str, Any] = {}
    found: list[Issue] = []
    for parameter in operation.parameters:
        name, texts = parameter.name, given.getlist(parameter.name)
        if parameter.place != place or (place == "header" and name.lower() in RESERVED_HEADERS):
            continue
        if not texts:
            found += [issue(place, name, "is required", "REQUIRED_FIELD")] if parameter.required else []
        elif parameter.type != "array" and len(texts) > 1:
            found.append(issue(place, name, "is given more than once"))
        else:
            value = _list(document, parameter, texts) if parameter.type == "array" else _typed(parameter.type, texts[0])
            if wrong := issues(parameter.validator, value, place, name):
                found += wrong
            else:
                values[name] = value
    return values, found


def _list(document: Document, parameter: Parameter, given: list[str]) -> list[Any]:
    kind = document.kind(document.items(parameter.schema))
    explode = parameter.explode and parameter.place == "query"
    texts = given if explode else [part.strip() for text in given for part in text.split(",")]
    return [_typed(kind, text) for text in texts]


def _typed(kind: str, text: str) -> Any:
    """Text that reads as the wanted type becomes it; other text stays text, and the validator says what is wrong."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind in ("integer", "number") and len(text) < 400 and (NUMBER.fullmatch(text) or INTEGER.fullmatch(text)):
        try:
            return int(text) if text.lstrip("-").isdigit() else _number(text)
        except BadRequest:
            return text
    return text


def read_body(document: Document, content: Content, raw: bytes, content_type: str) -> tuple[Any, Any]:
    """A body as a JSON value, and the schema it must meet."""
    kind = content_type.split(";")[0].strip().lower()
    ranges = (kind, f"{kind.split('/')[0]}/*", "*/*")
    named = next((one for one in ranges if one in content.types), None)
    if named is None:
        wanted = " or ".join(content.types)
        raise _bad_body(f"must be sent with Content-Type: {wanted}, not {kind or 'without one'}")
    schema = content.types[named]
    if is_json(kind):
        return parse_json(raw), schema
    if kind == "application/x-www-form-urlencoded":
        return _form(document, schema, [(n, v) for n, v in parse_qsl(_text(raw), keep_blank_values=True)]), schema
    if kind == "multipart/form-data":
        return _form(document, schema, _parts(raw, content_type)), schema
    return _text(raw) if kind.startswith("text/") else raw.decode("latin-1"), schema


def _parts(raw: bytes, content_type: str) -> list[tuple[str, str]]:
    """Names and contents of a multipart body; what is no text stands for its bytes."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message: Any = BytesParser(policy=email.policy.HTTP).parsebytes(head + raw)
    if not message.is_multipart():
        raise _bad_body("is not multipart/form-data")
    found: list[tuple[str, str]] = []
    for one in message.iter_parts():
        name = one.get_param("name", header="content-disposition")
        content = one.get_payload(decode=True)
        if not isinstance(name, str) or content is None:
            raise _bad_body("has a part without a name")
        try:
            found.append((name, content.decode("utf-8")))
        except UnicodeDecodeError:
            found.append((name, content.decode("latin-1")))
    return found


def _form(document: Document, schema: Any, fields: list[tuple[str, str]]) -> dict[str, Any]:
    """The fields of a form as the types their schemas name."""
    properties = document.properties(schema)
    values: dict[str, Any] = {}
    for name, text in fields:
        wanted = {"anyOf": properties.get(name, [])}
        if "array" in document.types(wanted):
            values.setdefault(name, []).append(_field(document, document.items(wanted), text))
        else:
            values[name] = _field(document, wanted, text)
    return values


def _field(document: Document, schema: Any, text: str) -> Any:
    kinds = document.types(schema)
    if "object" in kinds or "array" in kinds:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text if "string" in kinds else _typed(document.kind(schema), text)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad_body("is not UTF-8 text") from None


def parse_json(raw: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, no key twice, not endlessly deep; what is not becomes a 400 with the reason."""
    if not raw:
        raise _bad_body("is required", "REQUIRED_FIELD")
    text = _text(raw)
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_constant, object_pairs_hook=_object)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair can be written so, but is no text
    except UnicodeError:
        raise _bad_body("is not UTF-8 text") from None
    except RecursionError:
        raise _bad_body("is nested too deeply") from None
    except ValueError as problem:
        raise _bad_body(f"is not JSON: {problem}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise _bad_body("is nested too deeply")
    return value


def _bad_body(message: str, code: str = "INVALID_BODY") -> BadRequest:
    return invalid([issue("body", "", message, code)])


def _number(text: str) -> int | float:
    """91.0 is an integer in JSON: let it be one in Python too, or it cannot count or slice."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _bad_body(f"holds a number that is out of range: {text[:40]}")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _constant(text: str) -> Any:
    raise _bad_body(f"is not JSON: {text} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _bad_body("is not JSON that can be relied on: an object has a key twice")
    return values


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict | list):
                inner += cast(Any, item).values() if isinstance(item, dict) else item
        level = inner
    return depth


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
