"""What generated code raises: for an argument that cannot be sent, and for an answer that cannot be read."""

from __future__ import annotations

from typing import Self


class _PathError(ValueError):
    """A refusal that collects its place on the way up, so that no place is computed while all is well."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place: str = ""

    def at(self, step: str | int) -> Self:
        """Prefix the place with a key or an index."""
        here = f"[{step}]" if isinstance(step, int) else step
        joint = "." if self.place and not self.place.startswith("[") else ""
        self.place = f"{here}{joint}{self.place}"
        return self

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" if self.place else self.reason


class ValidationError(_PathError):
    """An argument cannot be sent: `place` says which one, `reason` why."""


class DeserializationError(_PathError):
    """An answer does not have the shape that the OpenAPI document gives it: `place` says where."""
