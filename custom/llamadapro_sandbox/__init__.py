"""A stateful local server that speaks the LlamadaPro API, for trying things out and for tests: no account, no network.

    from llamadapro_sandbox import Sandbox

    sandbox = Sandbox()
    transport = httpx.ASGITransport(app=sandbox)   # in process; or `python -m llamadapro_sandbox` for a server

It knows only openapi.yaml, neither the client nor the generated code: so a mistake in one cannot hide in the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import Sandbox as Sandbox
    from .state import Settings as Settings

__all__ = ["Sandbox", "Settings", "create_app"]


def create_app(**options: Any) -> Sandbox:
    """A sandbox as an ASGI application; the options are those of `Sandbox`."""
    from .app import Sandbox

    return Sandbox(**options)


if not TYPE_CHECKING:  # a checker that saw it would take any misspelt name for one of these

    def __getattr__(name: str) -> Any:
        # Starlette and jsonschema-rs are an extra: importing this package must not need them.
        if name == "Sandbox":
            from .app import Sandbox

            return Sandbox
        if name == "Settings":
            from .state import Settings

            return Settings
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
