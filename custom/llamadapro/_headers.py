"""Which headers can be sent, and those that go with every request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._secret import RawHeaders
from ._version import __version__
from .errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

    from llamadapro_api.document import KeyPlacement

    from ._secret import Secret

ACCEPT_ENCODING = "gzip, deflate"
USER_AGENT = f"llamadapro-python/{__version__}"

_RESERVED = ("host", "content-type", "content-length", "transfer-encoding", "connection")


def is_header_value(value: Any) -> bool:
    """Whether a text can be sent as it is; a line break in it could smuggle in another header."""
    return (
        isinstance(value, str) and value.isascii() and value.replace("\t", " ").isprintable() and value == value.strip()
    )


def check_headers(headers: Any) -> Mapping[str, str]:
    """A copy of the headers; raises `ConfigurationError` for the first that cannot be sent."""
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"default_headers must be a dictionary, not {type(headers).__name__}")
    for name, value in headers.items():
        check_header_name(name)
        if not isinstance(value, str):
            raise ConfigurationError(f"the value of header {name} must be a string, not {type(value).__name__}")
        if not is_header_value(value):
            # The value may be a secret: it is not shown.
            raise ConfigurationError(f"the value of header {name} must be printable ASCII without line breaks")
    return dict(headers)


def check_header_name(name: Any) -> str:
    """The name; raises `ConfigurationError` for one that cannot be sent, or that the client sets itself."""
    if not isinstance(name, str) or not name or not all(sign.isalnum() or sign in "!#$%&'*+-.^_`|~" for sign in name):
        raise ConfigurationError(f"{name!r} is not a header name")
    if not name.isascii():
        raise ConfigurationError(f"header name {name!r} must be ASCII")
    if name.lower() in _RESERVED:
        raise ConfigurationError(f"the header {name} is set by the client and cannot be overridden")
    return name


def build_headers(
    base_url: httpx.URL, default_headers: Mapping[str, str], placement: KeyPlacement | None, key: Secret
) -> RawHeaders:
    """The client's own headers, the caller's over them, and over all the key, if a header carries it."""
    headers = {
        "Host": base_url.netloc.decode("ascii"),
        "Accept": "application/json",
        "Accept-Encoding": ACCEPT_ENCODING,
        "User-Agent": USER_AGENT,
    }
    by_name = {name.lower(): (name, value) for name, value in (headers | dict(default_headers)).items()}
    if placement is None or placement.place != "header":
        return RawHeaders((name.encode("ascii"), value.encode("ascii")) for name, value in by_name.values())
    by_name.pop(placement.name.lower(), None)
    built = RawHeaders((name.encode("ascii"), value.encode("ascii")) for name, value in by_name.values())
    built.append((placement.name.encode("ascii"), f"{placement.prefix}{key.reveal()}".encode("ascii")))
    return built
