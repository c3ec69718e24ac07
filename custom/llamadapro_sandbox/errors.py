"""The API's refusals: each is an exception that becomes the error body (code, error, message, details)."""

from __future__ import annotations

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


def error_body(status: int, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"code": status, "error": HTTPStatus(status).phrase, "message": message, "details": details or {}}


def issue(place: str, field: str, message: str, code: str = "INVALID_FIELD") -> Issue:
    """One thing that is wrong: `place` is body, query, path or header; `field` the dotted way to the value."""
    return {"in": place, "field": field, "code": code, "message": message}


def bad_field(field: str, message: str, *, place: str = "body", code: str = "INVALID_FIELD") -> BadRequest:
    """A 400 about a single field that only the handler could notice."""
    return BadRequest(f"{place}.{field}: {message}", [issue(place, field, message, code)])
