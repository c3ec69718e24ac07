"""The API key, and headers that hold it, kept out of reprs, logs and tracebacks."""

from __future__ import annotations

from functools import cached_property
from typing import NoReturn


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

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """As text, for engines that want it so; most requests of a client share one of these lists."""
        return [(name.decode("ascii"), value.decode("ascii")) for name, value in self]

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"
