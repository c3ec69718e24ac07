"""The API's error answers: each is an exception that becomes the error body (code, error, message, details)."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

Issue = dict[str, Any]


class ApiError(Exception):
    """An answer other than success, raised by whoever notices the reason."""

    status = 500

    def __init__(self, message: str, *, details: dict[str, Any] | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details or {}
        self.headers: dict[str, str] = headers or {}

    def body(self) -> dict[str, Any]:
        return error_body(self.status, self.message, self.details)


class BadRequest(ApiError):
    """400, with every issue that was found and not only the first."""

    status = 400

    def __init__(self, message: str, issues: list[Issue] | None = None):
        super().__init__(message, details={"issues": issues} if issues else None)

    def __str__(self) -> str:
        found = self.details.get("issues", [])
        return "; ".join(map(describe, found)) or self.message


class Unauthorized(ApiError):
    status = 401


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404


class MethodNotAllowed(ApiError):
    status = 405


class Conflict(ApiError):
    status = 409


class TooManyRequests(ApiError):
    status = 429


class ContractViolation(ApiError):
    """The sandbox itself is wrong: its answer does not match the document, or it has none."""

    status = 500


class SandboxWarning(UserWarning):
    """Something that the API ignores and that is likely a mistake, such as an unknown field in a seed."""


def error_body(status: int, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"code": status, "error": HTTPStatus(status).phrase, "message": message, "details": details or {}}


def issue(place: str, field: str, message: str, code: str = "INVALID_FIELD") -> Issue:
    """One thing that is wrong: `place` is body, query, path or header; `field` the dotted way to the value."""
    return {"in": place, "field": field, "code": code, "message": message}


def place_of(found: Issue) -> str:
    return f"{found['in']}.{found['field']}" if found["field"] else str(found["in"])


def describe(found: Issue) -> str:
    return f"{place_of(found)} {found['message']}"


def invalid(found: list[Issue], what: str = "the request") -> BadRequest:
    """A 400 about these issues: the message names the fields, the details say what is wrong with each."""
    places = list(dict.fromkeys(place_of(one) for one in found))
    more = f" and {len(places) - 10} more" if len(places) > 10 else ""
    return BadRequest(f"{what} is not valid at {', '.join(places[:10])}{more}", found)


def bad_field(field: str, message: str, *, place: str = "body", code: str = "INVALID_FIELD") -> BadRequest:
    """A 400 about a single field that only the handler could notice."""
    return invalid([issue(place, field, message, code)])


def did_you_mean(name: str, known: Iterable[str], *, list_all: bool = True) -> str:
    """The end of a sentence about an unknown name: what is close to it, or else all there are."""
    names = sorted(known)
    by_form = {_form(one): one for one in names}
    close = [by_form[one] for one in get_close_matches(_form(name), by_form, 3)]
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there are {', '.join(names[:30])}{' …' if len(names) > 30 else ''}" if names and list_all else ""


def _form(name: str) -> str:
    """Names that differ in case or underscores only are the closest of all."""
    return name.replace("_", "").replace("-", "").casefold()
