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


SLOW = (
    "contract/test_battery.py",
    "contract/test_diff.py",
    "contract/test_document.py::test_a_defect_is_noticed",
    "contract/test_generated.py",
    "contract/test_refusals.py",
    "contract/test_schemathesis.py",
    "contract/test_vendor_document.py",
    "integration/sandbox/test_page.py",
    "integration/sandbox/test_writers.py",
    "integration/test_cli.py",
    "integration/test_cli_api.py",
    "integration/test_contract_pipeline.py",
    "integration/test_contract_probe.py",
    "integration/test_docs.py::test_a_broken_block_is_found",
    "integration/test_docs.py::test_the_code_of_a_page_runs",
    "integration/test_examples.py",
    "integration/test_fault_server.py",
    "integration/test_import.py",
    "integration/test_observing.py",
    "integration/test_scenarios.py::test_a_field_that_is_lost_on_the_way_is_noticed",
    "integration/test_shared_rate_limit.py",
    "integration/test_soak.py",
    "integration/test_testing_plugin.py",
    "jobs/test_campaign_command.py",
    "jobs/test_chaos.py",
    "jobs/test_lost_commits.py",
    "jobs/test_workers.py",
)
"""What starts browsers, servers or many processes, generates code, or proves a check: `make test-slow`."""


OTHER_ENGINES = ("httpx2", "caller", "caller-aiohttp")
"""They confirm in `make test-slow` what httpx and aiohttp, which most people use, show at once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        engine = callspec and callspec.params.get("engine")
        if engine in OTHER_ENGINES or any(f"tests/{slow}" in item.nodeid for slow in SLOW):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("serial") and "tests/integration/" not in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: make looks for serial tests in tests/integration only")
