"""The command `llamadapro` as a shell runs it: help, exit codes, what goes to which stream, and never a traceback."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import pytest

from llamadapro_sandbox import Sandbox, Settings
from llamadapro_sandbox.faults import KINDS, Fault

DOCUMENT = Path(__file__).parents[2] / "openapi.yaml"
COMMANDS = ("api", "completion", "contract", "import", "sandbox")
PROGRAM = "import sys; from llamadapro._cli import main; sys.exit(main())"
MODULES = (
    "import sys; from llamadapro._cli import main\ntry: main()\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
)
WITHOUT = "import sys; sys.modules[{!r}] = None; from llamadapro._cli import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key, an address where nobody listens, and a folder to work in."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", f"http://127.0.0.1:{nobody}")
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sandbox")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("LLAMADAPRO_LOG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """On a socket, and the environment leads to it."""
    sandbox = Sandbox()
    with sandbox.serve() as server:
        monkeypatch.setenv("LLAMADAPRO_BASE_URL", server.url)
        yield sandbox
    sandbox.close()


def start(*arguments: str, program: str = PROGRAM) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
        env={**os.environ},
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments: str, program: str = PROGRAM) -> tuple[int, str, str]:
    process = start(*arguments, program=program)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def complaint(*arguments: str, program: str = PROGRAM) -> str:
    """What a command that cannot do its work says: on standard error, with the exit code 2."""
    code, out, err = run(*arguments, program=program)
    assert (code, out) == (2, ""), err
    return err


# --- help --------------------------------------------------------------------------------------------------------


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version") == (0, f"llamadapro {version('llamadapro')}\n", "")


def test_without_a_command_it_explains_itself() -> None:
    _, explained, _ = run("--help")
    assert complaint() == explained


@pytest.mark.parametrize("command", [(), *((one,) for one in COMMANDS)])
def test_help_says_all_there_is_to_know(command: tuple[str, ...]) -> None:
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {' '.join(['llamadapro', *command])} ")
    assert "\nexamples:\n" in out
    assert "exit codes: 0 " in out
    if command not in (("sandbox",), ("completion",)):
        for variable in ("LLAMADAPRO_API_KEY", "LLAMADAPRO_BASE_URL", "LLAMADAPRO_LOG"):
            assert f"\n  {variable} " in out
    for name in () if command else COMMANDS:
        assert re.search(rf"\n    {name}\s", out)


def test_the_sandbox_names_its_faults_and_settings() -> None:
    _, out, _ = run("sandbox", "--help")
    for kind in KINDS:
        assert f"\n  kind={kind} " in out
    for field in fields(Fault):
        assert f"{field.name}=" in out or field.name == "hits"  # counted by the sandbox
    for setting in fields(Settings):
        default = "" if setting.default is None else f"{setting.default:g}"
        assert f"\n  {setting.name}={default} " in out


@pytest.mark.parametrize("arguments", [("--help",), *((one, "--help") for one in COMMANDS)])
def test_nobody_waits_for_help(arguments: tuple[str, ...]) -> None:
    _, _, modules = run(*arguments, program=MODULES)
    heavy = {"httpx", "rich", "starlette", "uvicorn", "yaml", "ruamel.yaml", "jsonschema_rs"}
    assert not heavy & set(modules.split())


# --- what is not possible ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("sandbox", "starlette", "sandbox"),
        ("sandbox", "yaml", "sandbox"),
        ("contract", "ruamel", "contract"),
        ("completion bash", "argcomplete", "cli"),
    ],
)
def test_a_missing_extra_is_named(command: str, module: str, extra: str) -> None:
    err = complaint(*command.split(), program=WITHOUT.format(module))
    assert err.startswith(f"llamadapro {command.split()[0]}: needs {module}")
    assert err.endswith(f": pip install 'llamadapro[{extra}]'\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["teleport"], "invalid choice: 'teleport'"),
        (["sandbox", "--port", "99999"], "port must be 0-65535"),
        (["sandbox", "--host", "0.0.0.0"], "add --allow-remote"),
        (["sandbox", "--db", "nowhere/state.sqlite"], "nowhere/state.sqlite: unable to open database file"),
        (["sandbox", "--db", "text.csv"], "text.csv: file is not a database"),
        (["sandbox", "--db", "other.sqlite"], "other.sqlite is the database of another program"),
        (["sandbox", "--seed", "nowhere.yaml"], "nowhere.yaml"),
        (["sandbox", "--seed", "torn.yaml"], "torn.yaml cannot be read: "),
        (["sandbox", "--seed", "text.csv"], "text.csv must hold an object whose keys are of definitions, contacts, "),
        (
            ["sandbox", "--fault", "kind=flood"],
            "there is no fault 'flood'; there are latency, reset, slow_drip, status",
        ),
        (["sandbox", "--fault", "status=503"], "--fault status=503 is none: it has a kind"),
        (["sandbox", "--fault", "kind=status,odds=1"], "a fault has no 'odds'; there are method"),
        (["sandbox", "--set", "call_seconds=long"], "'call_seconds' must be a number"),
        (["sandbox", "--speed", "nan"], "the clock's speed must be a number from 0 to"),
        (["sandbox", "--api-key", ""], "the API key must be printable ASCII"),
        (["contract"], "could not reach the service ("),
        (["contract", "--base-url", "here"], "base_url must start with https:// or http://"),
        (["contract", "--document", "nowhere.yaml"], "nowhere.yaml"),
        (["contract", "--document", "torn.yaml"], "torn.yaml is no openapi.yaml"),
        (["contract", "--document", "text.csv"], "text.csv is no openapi.yaml"),
        (["contract", "--document", "bytes.csv"], "bytes.csv is no openapi.yaml"),
        (["contract", "--rate", "0"], "--rate: it must be above 0"),
        (["contract", "--id", "contactId=1"], "is not one of callId=…"),
        (["import"], "required: FILE.csv"),
        (["import", "nowhere.csv"], "nowhere.csv"),
        (["import", "."], "Is a directory"),
        (["import", "bytes.csv"], "'utf-8' codec can't decode"),
        (["import", "text.csv"], "unknown column 'name'"),
        (["import", "good.csv", "--ledger", "nowhere/ledger"], "'nowhere/ledger' cannot be opened: there is no folder"),
        (["import", "good.csv", "--base-url", "here"], "base_url must start with https:// or http://"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_cannot_be_done_is_said(arguments: list[str], why: str, tmp_path: Path) -> None:
    (tmp_path / "text.csv").write_text("name\nJane\n")
    (tmp_path / "good.csv").write_text("funnel_id\n3\n")
    (tmp_path / "bytes.csv").write_bytes(b"\xd0\xff\x00")
    (tmp_path / "torn.yaml").write_text("contacts: [\n")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("create table theirs (id)")
    err = complaint(*arguments)
    assert why in err
    assert f"llamadapro{f' {arguments[0]}' if arguments[0] in COMMANDS else ''}: " in err


@pytest.mark.parametrize("arguments", [("contract",), ("import", "good.csv")])
def test_a_missing_key_is_said(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("funnel_id\n3\n")
    monkeypatch.delenv("LLAMADAPRO_API_KEY")
    assert "LLAMADAPRO_API_KEY" in complaint(*arguments)


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in complaint("sandbox", "--port", str(taken.getsockname()[1]))


# --- exit codes --------------------------------------------------------------------------------------------------


def test_a_service_as_the_document_says_is_0_and_another_1(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.seed({"contacts": [{"firstName": "Jane"}]})
    code, out, err = run("contract", "--rate", "1000")
    assert (code, err) == (0, "")
    assert " 0 contradictions," in out
    other = tmp_path / "openapi.yaml"
    other.write_text(DOCUMENT.read_text("utf-8").replace("tenantId: { type: string }", "tenantId: { type: integer }"))
    code, out, err = run("contract", "--rate", "1000", "--document", str(other))
    assert (code, err) == (1, "")
    assert "a string instead of an integer" in out


def test_rows_that_are_left_over_are_1(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("funnel_id\nx\n")
    code, out, err = run("import", "good.csv")
    assert (code, out) == (1, "1 rows read: 0 successful, 1 bad\n")
    assert err == "good.csv:2: funnel_id: must be an integer, not 'x' (str)\n"


def test_ctrl_c_is_130(sandbox: Sandbox) -> None:
    asked = threading.Event()
    sandbox.faults.add("latency", seconds=1)
    sandbox.requests.on_answer = lambda entry: asked.set()
    process = start("contract", "--rate", "1000")
    assert asked.wait(30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


def test_so_it_is_before_the_sandbox_serves(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    os.mkfifo(seed)
    process = start("sandbox", "--seed", str(seed))
    with seed.open("w"):  # opened here once it is opened there: now it reads, and waits
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
