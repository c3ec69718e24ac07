"""Every block of code in the guide and the README runs, against a sandbox.

Python blocks of a page share one namespace, in which `client` and `sandbox` are there already; `await` may stand
anywhere. Functions called `test_…` are called with the fixtures that they name. A block with a title is written to a
file of that name. Of shell blocks the lines that begin with `llamadapro`, `pytest` or `python` are run.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sybil import Document, Example, Region
from sybil.evaluators.python import pad
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, FencedCodeBlockLexer

from llamadapro import AsyncLlamadaPro
from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.cli import STEERING
from llamadapro_sandbox.server import Server

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
FENCED = FencedCodeBlockLexer(r"[^\n]+", mapping={"language": "arguments", "source": "source"})
HIDDEN = DirectiveInHTMLCommentLexer("hidden", "python")
"""Set-up that a reader need not see: <!-- hidden: python … -->"""

Run = Callable[[Path], int]


@pytest.fixture
def run(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    llamadapro_client: AsyncLlamadaPro,
    llamadapro_sandbox: Sandbox,
    llamadapro_server: Server,
) -> Iterator[Run]:
    """Runs the blocks of a page, in a folder of its own; returns how many there were."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("LLAMADAPRO_API_KEY", llamadapro_sandbox.api_key)
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", llamadapro_server.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ticket.pdf").write_bytes(b"%PDF-1.7")

    with asyncio.Runner() as runner:
        called: set[Callable[..., Any]] = set()

        def run_python(example: Example) -> None:
            example.namespace["client"] = llamadapro_client  # a block may have closed one of its own by that name
            code = compile(
                pad(example.parsed, example.line + example.parsed.line_offset),
                example.path,
                "exec",
                ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
            finish(eval(code, example.namespace))
            for name, function in [*example.namespace.items()]:
                if name.startswith("test_") and function not in called:
                    called.add(function)
                    llamadapro_sandbox.reset()
                    fixtures = inspect.signature(function).parameters
                    finish(function(**{one: request.getfixturevalue(one) for one in fixtures}))

        def finish(result: Any) -> None:
            if inspect.isawaitable(result):
                runner.run(_awaited(result))

        def parse(document: Document) -> Iterator[Region]:
            for region in [*FENCED(document), *HIDDEN(document)]:
                language, _, title = region.lexemes["arguments"].partition(' title="')
                region.parsed = region.lexemes["source"]
                if title:
                    region.evaluator = partial(_write, tmp_path / title.rstrip('"'))
                elif language == "python":
                    region.evaluator = run_python
                elif language == "sh":
                    region.evaluator = _run_shell
                else:
                    continue
                yield region

        def run_page(path: Path) -> int:
            document = Document.parse(str(path), parse)
            document.namespace.update(
                sandbox=llamadapro_sandbox,
                rows=_rows(),
                my_app=SimpleNamespace(welcome=_welcome),
            )
            examples = [*document.examples()]
            for example in examples:
                example.evaluate()
            return len(examples)

        yield run_page
        runner.run(llamadapro_client._session.config.http_client.aclose())


async def _awaited(result: Any) -> Any:
    return await result


def _write(path: Path, example: Example) -> None:
    path.write_text(example.parsed)


def _run_shell(example: Example) -> None:
    for line in example.parsed.replace("\\\n", " ").splitlines():
        line = line.replace("llamadapro contract", "llamadapro contract --rate 500")  # the sandbox need not be spared
        if line.startswith("llamadapro sandbox") and line.split()[2] not in STEERING:
            _start_and_stop(line)
        elif line.startswith("python -m pip "):
            continue  # installed already
        elif line.startswith(("llamadapro ", "pytest", "python ", "echo ")):
            done = subprocess.run(
                line, shell=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def _start_and_stop(line: str) -> None:
    """A server would run for ever: it works once it has printed its key. Its port may be in use here."""
    command = shlex.split(re.sub(r"--port \d+", "--port 0", line), comments=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline(), process.stdout.readline()]
        process.terminate()
        assert printed[1].startswith("API key:"), f"{line}\n{''.join(printed)}{process.stdout.read()}"


def _rows() -> Iterator[dict[str, Any]]:
    for number in range(3):
        yield {"funnel_id": 3, "contact": {"first_name": "Jane", "phones": [f"+5691234567{number}"]}}


async def _welcome(client: AsyncLlamadaPro, number: str) -> None:
    await client.messages.send_template(to=number, from_="+56912345678", template_name="welcome", language_code="en")


BLOCK = re.compile(r"^ *```(?:python|sh)", re.MULTILINE)
PAGES_WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page: Path, run: Run) -> None:
    assert run(page) >= len(BLOCK.findall(page.read_text("utf-8")))


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("```python\nawait client.contacts.got(1)\n```", "got"),
        ("```python\nasync def test_never(llamadapro_client):\n    assert not llamadapro_client\n```", "assert"),
        ("```sh\nllamadapro import --colour\n```", "--colour"),
        ('```python title="test_it.py"\ndef test_it():\n    assert not 1\n```\n\n```sh\npytest\n```', "1 failed"),
        ("- a list\n\n    ```python\n    nowhere\n    ```", "nowhere"),
        ("<!-- hidden: python\nassert not sandbox, 'empty'\n-->", "empty"),
    ],
)
def test_a_broken_block_is_found(block: str, said: str, run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{block}\n")
    with pytest.raises((AssertionError, AttributeError, NameError)) as found:
        run(page)
    assert said in f"{found.value!r} {found.getrepr()}"


def test_a_failure_names_the_line_of_the_page(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```python\ngood = 1\n```\n\n```python\nfine = good\nnowhere\n```\n")
    with pytest.raises(NameError) as found:
        run(page)
    assert (str(found.traceback[-1].path), found.traceback[-1].lineno + 1) == (str(page), 9)


PRIVATE_IMPORT = re.compile(r"^\s*(?:from|import)\s+llamadapro(?:_api)?(?:\.\w+)*\._\w+", re.MULTILINE)


@pytest.mark.parametrize(
    "file",
    [
        *PAGES,
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "examples").rglob("*.py")),
        *sorted((ROOT / "docs" / "reference").glob("*.md")),
    ],
    ids=lambda file: f"{file.parent.name}-{file.name}",
)
def test_only_public_names_are_imported(file: Path) -> None:
    assert not PRIVATE_IMPORT.findall(file.read_text("utf-8"))


def test_the_readme_is_complete_as_a_package_page() -> None:
    """A package index shows it without the repository: a relative link would lead nowhere."""
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert not [link for link in links if not link.startswith(("https://", "#"))]
