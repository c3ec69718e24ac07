"""Headers and the API key among them: which can be sent, which go with every request, and that no repr shows them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NoReturn

from ._version import __version__
from .errors import ConfigurationError

USER_AGENT = f"llamadapro-python/{__version__}"

_RESERVED = ("host", "content-type", "content-length", "transfer-encoding", "connection")


class Secret:
    """A text that no repr, log or traceback shows, and that cannot be pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds its API key and cannot be pickled; create one where it is used")


class RawHeaders(list[tuple[bytes, bytes]]):
    """Headers as they are sent, the key among them, whose repr shows only how many there are."""

    def replaced(self, headers: Mapping[str, str]) -> RawHeaders:
        """A copy with these headers in the place of those of the same names."""
        new = {name.lower().encode(): (name.encode(), value.encode()) for name, value in headers.items()}
        kept = [one for one in self if one[0].lower() not in new]
        return RawHeaders([*kept, *new.values()])

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """As text, for engines that want it so; most requests of a client share one of these lists."""
        return [(name.decode("ascii"), value.decode("ascii")) for name, value in self]

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"


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
