"""The sandbox that most tests of the sandbox, and many of the client, run on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def sandbox() -> Iterator[Any]:
    """In process, on a clock that moves only when a test says so."""
    from llamadapro_sandbox import Sandbox  # late: most unit tests do without

    sandbox = Sandbox(speed=0)
    yield sandbox
    sandbox.close()
