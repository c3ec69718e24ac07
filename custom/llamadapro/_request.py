"""Requests to any path of the service, for `client.request`: checked as strictly as those of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urlencode

import httpx

from llamadapro_api import document
from llamadapro_api.errors import ValidationError
from llamadapro_api.types import PreparedRequest
from llamadapro_api.writing import serialize_argument, write_json

from .errors import InvalidRequestError


def prepare_request(base_url: httpx.URL, method: Any, path: Any, params: Any, json: Any) -> PreparedRequest[Any]:
    """Raises `InvalidRequestError` for what cannot be sent, or would be sent elsewhere."""
    if not isinstance(method, str) or not method.isascii() or not method.isalpha():
        raise InvalidRequestError(f"request: {method!r} is not an HTTP method")
    method = method.upper()
    url_path = _own_path(base_url, path)
    query = urlencode([*_query(params)])
    if query:
        url_path += f"{'&' if '?' in url_path else '?'}{query}"
    # However the path is spelled, an operation that is not safe to repeat must be recognized.
    route = normpath(unquote(url_path.partition("?")[0]))
    idempotent = document.IDEMPOTENT.get((method, route), method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
    return PreparedRequest("request", method, url_path, _unread, idempotent=idempotent, body=_plain(json, "json"))


def _own_path(base_url: httpx.URL, path: Any) -> str:
    """The path and query to send, once it is certain that they lead to this service and nowhere else."""
    origin = f"{base_url.scheme}://{base_url.netloc.decode('ascii')}"
    prefix = f"{origin}{base_url.path.rstrip('/')}"
    if isinstance(path, str) and path.startswith(f"{prefix}/"):
        path = path[len(prefix) :]
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise InvalidRequestError(
            f"request: {path!r} must be a path that begins with one '/', or a URL under {base_url}"
        )
    try:
        return httpx.URL(origin + path).raw_path.decode("ascii")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidRequestError(f"request: {path!r} is not a path: {error}") from None


def _query(params: Any) -> Iterator[tuple[str, str]]:
    for name, value in _pairs(params):
        name = _plain(name, "params")
        plain = _plain(value, f"params.{name}")
        for item in plain if isinstance(plain, list) else [plain]:
            if isinstance(item, (dict, list)):
                raise InvalidRequestError(f"request: params.{name}: a query holds texts, numbers and booleans")
            if item is not None:
                yield name, str(item).lower() if isinstance(item, bool) else str(item)


def _pairs(params: Any) -> Iterable[tuple[str, Any]]:
    if params is None:
        return []
    pairs: Any = params
    if isinstance(params, httpx.QueryParams):
        pairs = params.multi_items()
    elif isinstance(params, Mapping):
        pairs = params.items()
    elif not isinstance(params, (list, tuple)) or not all(isinstance(pair, (list, tuple)) for pair in params):
        raise InvalidRequestError(
            f"request: params: expected a dictionary or a list of pairs of name and value, not {params!r}"
        )
    built = [(*pair,) for pair in pairs]
    for pair in built:
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise InvalidRequestError(f"request: params: {pair!r} is not a pair of name and value")
    return built


def _plain(value: Any, name: str) -> Any:
    """Plain JSON data, checked as strictly as the keywords of operations are."""
    try:
        return serialize_argument(write_json, value, name)
    except ValidationError as error:
        raise InvalidRequestError(f"request: {error}") from None


def _unread(_answer: Any) -> Any:
    raise NotImplementedError("the answer of `request` is returned as it came")
