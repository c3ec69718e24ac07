"""What the service says went wrong, whatever the shape of its error body. The service's own shape is inferred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, NamedTuple

_MAX_WORDS = 1000
_MAX_HTML = 2**16
_MAX_DEPTH = 4
_MAX_ITEMS = 20

_ENCLOSING = {"!--": "-->", "script": "</script", "style": "</style", "title": "</title"}
"""What is no visible text, and where it ends."""
_MESSAGE_KEYS = ("message", "error_description", "detail", "msg", "reason", "description", "error", "errors", "fault")
"""Where the words may stand, the most specific first. Titles and codes name the error rather than explain it."""
_PLACE_KEYS = ("loc", "field", "path", "param", "property", "pointer", "source", "name")
_CODE_KEYS = ("code", "errorcode", "error_code")
_SAYS_NOTHING = {"status", "statuscode", "status_code", "success", "ok", "timestamp", "type", "details", *_CODE_KEYS}


class ErrorBody(NamedTuple):
    """An error body, read."""

    message: str | None
    """The service's own words; None if it said nothing."""
    code: int | str | None
    details: Any
    """What it says beyond its message."""


def read_error_body(body: Any) -> ErrorBody:
    """Find the words in a decoded error body: problem details, FastAPI's, NestJS's and Laravel's lists, HTML …"""
    fields = _lower_keys(body)
    nested = _lower_keys(fields.get("error"))
    code = _first(fields, _CODE_KEYS) or _first(nested, _CODE_KEYS)
    message = _text_of(body) or None
    if code is None and "error_description" in fields and isinstance(fields.get("error"), str):
        code = fields["error"]  # OAuth 2
    details = next((one["details"] for one in (fields, nested) if "details" in one), None)
    if details is None and _first(fields, ("message", "detail")):
        details = fields.get("errors")
    return ErrorBody(message, code if isinstance(code, (int, str)) else None, details)


def _text_of(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return _cut(" ".join((_html_text(value) if value.lstrip().startswith("<") else value).split()))
    if depth > _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return _cut("; ".join(text for one in value[:_MAX_ITEMS] if (text := _text_of(one, depth + 1))))
    if not isinstance(value, Mapping):
        return ""
    fields = _lower_keys(value)
    words = next((text for key in _MESSAGE_KEYS if (text := _text_of(fields.get(key), depth + 1))), "")
    title = fields.get("title")
    if isinstance(title, str) and title:
        words = f"{title}: {words}" if words and words != title else title
    if not words:
        left = {key: one for key, one in value.items() if str(key).lower() not in _SAYS_NOTHING}
        return _cut("; ".join(_by_key(left, depth + 1)))
    if place := depth and _first(fields, _PLACE_KEYS):
        return _cut(f"{_place(place)}: {words}")
    return _cut(words)


def _by_key(fields: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Fields that nobody has heard of, such as a list of complaints for each field of the request."""
    for key, value in list(fields.items())[:_MAX_ITEMS]:
        text = _text_of(value, depth) or (str(value) if isinstance(value, (bool, int, float)) else "")
        if text:
            yield f"{key}: {text}"


def _place(value: Any) -> str:
    """Where an error is, as in ``body.to``."""
    if isinstance(value, Mapping):
        value = next(iter(value.values()), "")
    return ".".join(map(str, value)) if isinstance(value, list) else str(value)


def _first(fields: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((fields[key] for key in keys if fields.get(key) not in (None, "")), None)


def _lower_keys(value: Any) -> Mapping[str, Any]:
    return {str(key).lower(): one for key, one in value.items()} if isinstance(value, Mapping) else {}


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_WORDS else f"{text[: _MAX_WORDS - 3]}..."


def _html_text(markup: str) -> str:
    """The title and the visible text of a page. One pass by hand: neither regular expressions nor html.parser take
    linear time for what is never closed.
    """
    markup = markup[:_MAX_HTML]
    lower = markup.lower() if len(markup.lower()) == len(markup) else markup
    title, text = "", [""]
    at = 0
    while (start := markup.find("<", at)) >= 0:
        text.append(markup[at:start])
        name = next((name for name in _ENCLOSING if lower.startswith(name, start + 1)), "")
        stop = lower.find(_ENCLOSING.get(name, ">"), start)
        if name == "title":
            title = markup[markup.find(">", start) + 1 : stop if stop >= 0 else None]
        if stop < 0:
            at = len(markup)
            break
        at = markup.find(">", stop) + 1 or len(markup)
    text.append(markup[at:])
    title, words = _plain(title), _plain(" ".join(text))
    return words if words.startswith(title) else f"{title}: {words}" if words else title


def _plain(text: str) -> str:
    return " ".join(unescape(text).split())
