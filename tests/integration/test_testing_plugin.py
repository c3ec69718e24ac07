"""`llamadapro.testing`: the fixtures as an application's own test run sees them, in a pytest process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "testing_your_app"
EACH_MODE = pytest.mark.parametrize("mode", ["auto", "strict"])


def run(folder: Path, *options: str) -> tuple[int, str]:
    """Run pytest in a folder that has nothing of ours but the installed package."""
    scope = "asyncio_default_fixture_loop_scope=function"  # else pytest-asyncio warns
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-o", scope, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@EACH_MODE
def test_the_example_application_passes(tmp_path: Path, mode: str) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    code, printed = run(tmp_path, "-o", f"asyncio_mode={mode}", "-q")
    assert code == 0, printed
    assert "4 passed" in printed


@EACH_MODE
def test_it_works_with_pytest_httpx(tmp_path: Path, mode: str) -> None:
    """pytest-httpx takes over httpx's own transport; the in-process client does not use it."""
    (tmp_path / "test_both.py").write_text(
        "import httpx, pytest\n"
        "@pytest.mark.asyncio\n"
        "async def test_both(httpx_mock, llamadapro_client):\n"
        "    httpx_mock.add_response(url='https://other.example/', text='mocked')\n"
        "    async with httpx.AsyncClient() as other:\n"
        "        assert (await other.get('https://other.example/')).text == 'mocked'\n"
        "    assert (await llamadapro_client.contacts.create(first_name='Jane')).first_name == 'Jane'\n"
    )
    code, printed = run(tmp_path, "-o", f"asyncio_mode={mode}", "-q")
    assert code == 0, printed
    assert "1 passed" in printed


def test_each_test_has_a_sandbox_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_alone.py").write_text(
        "import pytest\n"
        "@pytest.mark.asyncio\n"
        "@pytest.mark.parametrize('name', ['one', 'two'])\n"
        "async def test_alone(llamadapro_client, name):\n"
        "    await llamadapro_client.contacts.create(first_name=name)\n"
        "    assert [c.first_name async for c in llamadapro_client.contacts.list()] == [name]\n"
    )
    code, printed = run(tmp_path, "-q")
    assert code == 0, printed
    assert "2 passed" in printed


def test_a_missing_extra_fails_with_advice(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['starlette'] = None\n")
    (tmp_path / "test_green.py").write_text("def test_green(llamadapro_client):\n    pass\n")
    code, printed = run(tmp_path)
    assert code == 1, printed
    assert "1 error" in printed
    assert "skipped" not in printed
    assert "pip install 'llamadapro[sandbox]'" in printed


def test_the_plugin_loads_nothing_but_pytest() -> None:
    """It is imported in every test run where the package is installed."""
    code = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import llamadapro.testing\n"
        "print(sorted(set(sys.modules) - before))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = ("httpx", "asyncio", "llamadapro_api", "llamadapro_sandbox", "llamadapro._client")
    assert "'llamadapro.testing'" in printed
    assert not [name for name in heavy if f"'{name}'" in printed], printed
