"""Pytest fixtures for applications that use the client: a sandbox of their own for each test, nothing to configure.

::

    async def test_welcome(llamadapro_client, llamadapro_sandbox):
        await my_app.welcome(llamadapro_client, "+14155552671")
        assert llamadapro_sandbox.requests[-1].operation == "CreateMessage"

- `llamadapro_sandbox`: the sandbox, in memory: `seed`, `faults`, `clock`, `requests`, `snapshot`, `reset`.
- `llamadapro_client`: a client that talks to it in process. Its clock is the sandbox's: what the client would sleep
  (a back-off, the pauses of `calls.wait`) passes at once, in the sandbox too.
- `llamadapro_server`: the same sandbox on a real socket, for drips, resets and large downloads; its `url`, and the key
  ``sandbox``, go to a client of yours.

Loaded by pytest wherever this package is installed, so nothing but pytest is imported before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llamadapro_sandbox import Sandbox
    from llamadapro_sandbox.server import Server

    from . import AsyncLlamadaPro


@pytest.fixture
def llamadapro_sandbox() -> Iterator[Sandbox]:
    """A fresh sandbox, in memory."""
    try:
        from llamadapro_sandbox import Sandbox
    except ImportError as missing:
        # A test that is skipped looks like one that passes.
        pytest.fail(f"the sandbox needs {missing.name}: pip install 'llamadapro[sandbox]'", pytrace=False)
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def llamadapro_client(llamadapro_sandbox: Sandbox) -> AsyncLlamadaPro:
    """A client of the sandbox, in process."""
    import asyncio
    import random

    import httpx

    from . import AsyncLlamadaPro

    class SandboxClock:
        """Sleeping advances the sandbox's clock instead of waiting."""

        def now(self) -> float:
            return llamadapro_sandbox.clock.time()

        async def sleep(self, seconds: float) -> None:
            llamadapro_sandbox.clock.advance(seconds)
            await asyncio.sleep(0)

        def jitter(self) -> float:
            return random.random()

    return AsyncLlamadaPro(
        llamadapro_sandbox.api_key,
        "http://sandbox",
        http_client=httpx.AsyncClient(transport=llamadapro_sandbox.transport()),
        _clock=SandboxClock(),
    )


@pytest.fixture
def llamadapro_server(llamadapro_sandbox: Sandbox) -> Iterator[Server]:
    """The sandbox on a real socket, in a thread of its own."""
    with llamadapro_sandbox.serve() as server:
        yield server
