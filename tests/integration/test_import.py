"""Imports on a real socket: many rows among faults, and the command `llamadapro import` from its header to Ctrl-C."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llamadapro import AsyncLlamadaPro
from llamadapro._cli import main
from llamadapro_jobs.cli.import_ import parser
from llamadapro_sandbox import Sandbox
from tests.clocks import FakeClock
from tests.tools.import_many import prove

HEADER = ["funnel_id", "custom_fields.n", "contact.first_name", "contact.phones"]
PROGRAM = "import sys; from llamadapro._cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Sandbox, str]]:
    """One for all tests: to stop it takes longer than most of them."""
    sandbox = Sandbox(speed=0)
    with sandbox.serve() as server:
        yield sandbox, server.url
    sandbox.close()


@pytest.fixture
def sandbox(server: tuple[Sandbox, str], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """An empty sandbox on a socket; the environment leads to it."""
    sandbox, url = server
    sandbox.reset()
    monkeypatch.setenv("LLAMADAPRO_BASE_URL", url)
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sandbox")
    return sandbox


def numbers(sandbox: Sandbox) -> list[int]:
    """The rows that the sandbox has, as often as they are there."""
    return sorted(int(record["customFields"]["n"]) for _, record in sandbox.store.some("conversations"))


def row(number: int) -> list[str]:
    return ["3", str(number), f"Zoë {number}", f"+569{number:08d}"]


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV file of so many rows, some of them replaced."""

    def write(count: int, **replaced: list[str]) -> Path:
        path = tmp_path / "people.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(HEADER)
            lines.writerows(replaced.get(f"row_{number}", row(number)) for number in range(count))
        return path

    return write


def run(*arguments: object) -> int:
    return main(["import", *map(str, arguments)])


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_many_rows_among_faults_on_both_engines(sandbox: Sandbox, tmp_path: Path, engine: Any) -> None:
    for how in (
        {"kind": "status", "status": 429, "retry_after": 3, "probability": 0.2},
        {"kind": "status", "status": 503, "when": "after", "probability": 0.1},
        {"kind": "reset", "when": "within", "probability": 0.1},
        {"kind": "reset", "when": "before", "probability": 0.1},
    ):
        sandbox.faults.add(**how, operation="BulkCreate")

    def rows() -> Iterator[dict[str, Any]]:
        for n in range(1_000):
            phone = "12" if n % 100 == 7 else f"9{n:08d}"
            yield {"funnel_id": 1, "custom_fields": {"n": n}, "contact": {"phones": [phone]}}

    async with AsyncLlamadaPro(engine=engine, default_region="CL", _clock=FakeClock()) as client:
        for _ in range(6):
            report = await client.conversations.import_many(rows(), chunk_size=20, ledger=tmp_path / "ledger")
            if not report.failed:
                break
    unknown = {n for chunk in report.unknown for n in range(chunk.first, chunk.last + 1)}
    good = {n for n in range(1_000) if n % 100 != 7}
    there = numbers(sandbox)
    assert len(there) == len({*there})
    assert good - unknown <= {*there} <= good
    assert unknown
    assert [issue.row for issue in report.issues] == [*range(7, 1_000, 100)]
    assert (report.read, report.bad, report.failed) == (1_000, 10, [])
    assert report.successful == 990 - report.unknown_rows


def test_an_import_that_is_killed_and_resumed_neither_loses_nor_doubles_a_row(tmp_path: Path) -> None:
    outcome = prove(rows=2_000, chunk_size=50, folder=tmp_path)
    assert outcome.violations == [], str(outcome)


# --- the command -------------------------------------------------------------------------------------------------


def test_all_rows_imported_and_never_again(
    sandbox: Sandbox, people: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(25)
    assert run(path, "--chunk-size", 10) == 0
    printed = capsys.readouterr()
    assert printed.out == "25 rows read: 25 successful\n"
    assert printed.err == ""
    assert Path(f"{path}.ledger").exists()
    assert run(path, "--chunk-size", 10) == 0
    assert "3 of 3 chunks were done in an earlier run, and not sent again" in capsys.readouterr().out
    assert numbers(sandbox) == [*range(25)]
    assert run(path, "--ledger", path.with_suffix(".other")) == 0
    assert len(numbers(sandbox)) == 50


def test_bad_rows_are_reported_with_their_lines(
    sandbox: Sandbox, people: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(6, row_1=["x", "1", "Ana", ""], row_4=["3", "4", "Eva"])
    assert run(path) == 1
    printed = capsys.readouterr()
    assert printed.out == "6 rows read: 4 successful, 2 bad\n"
    assert printed.err.splitlines() == [
        f"{path}:3: funnel_id: must be an integer, not 'x' (str)",
        f"{path}:6: it has 3 cells, and the header 4",
    ]
    assert numbers(sandbox) == [0, 2, 3, 5]


def test_the_file_of_bad_rows_can_be_mended_and_imported(
    sandbox: Sandbox, people: Callable[..., Path], tmp_path: Path
) -> None:
    path = people(5, row_1=["x", "1", "Ana", "12"], row_3=["3", "3", "Eva"])
    bad = tmp_path / "bad.csv"
    assert run(path, "--bad-rows", bad) == 1
    written = [*csv.reader(io.StringIO(bad.read_text("utf-8"), newline=""))]
    assert written[0] == [*HEADER, "_line", "_problem"]
    assert written[1][:5] == ["x", "1", "Ana", "12", "3"]
    assert written[2] == ["3", "3", "Eva", "", "5", "it has 3 cells, and the header 4"]
    bad.write_text(bad.read_text("utf-8").replace("x,1,Ana,12", "3,1,Ana,+56912345678"), "utf-8")
    still = tmp_path / "still.csv"
    assert run(bad, "--bad-rows", still) == 0
    assert still.read_text("utf-8").splitlines() == [",".join([*HEADER, "_line", "_problem"])]
    assert numbers(sandbox) == [*range(5)]


def test_rows_that_the_service_refuses(
    sandbox: Sandbox, people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "changes.csv"
    path.write_text("id,contact.first_name\n1,Ana\n77,Eva\n")
    assert run(people(1)) == 0
    assert run(path, "--update") == 1
    printed = capsys.readouterr()
    assert "2 rows read: 1 successful, 1 refused by the service" in printed.out
    assert f"{path}:3: id: there is no conversation 77" in printed.err
    (_, contact), *_ = sandbox.store.some("contacts")
    assert contact["firstName"] == "Ana"


def test_what_is_unknown_or_failed_is_reported_with_its_lines(
    sandbox: Sandbox, people: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(30, row_12=["x", "12", "", ""])
    options = [path, "--chunk-size", 10, "--concurrency", 1]
    sandbox.faults.add("status", status=503, when="after", times=1)
    sandbox.faults.add("status", status=400, times=1)
    assert run(*options) == 1
    out = capsys.readouterr().out
    assert "30 rows read: 10 successful, 1 bad, 10 of unknown outcome, 9 failed" in out
    assert "unknown: lines 2 to 11 (10 good rows): " in out
    assert "failed: lines 12 to 21 (9 good rows): " in out
    assert run(*options) == 1
    assert numbers(sandbox) == [number for number in range(30) if number != 12]
    assert run(*options, "--resend-unknown") == 1
    assert numbers(sandbox)[:4] == [0, 0, 1, 1]
    assert "30 rows read: 29 successful, 1 bad\n" in capsys.readouterr().out


def test_national_numbers_zones_and_columns(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "Contact.First Name;contact.phones;created at;custom_fields.n;remark\nZoë;9 1234 5678;2026-07-01 10:00;0;x\n",
        "latin-1",
    )
    options = ["--region", "CL", "--timezone", "America/Santiago", "--set", "funnel_id=3", "--ignore", "remark"]
    assert run(path, *options, "--delimiter", ";", "--encoding", "latin-1") == 0
    ((_, conversation),) = sandbox.store.some("conversations")
    ((_, contact),) = sandbox.store.some("contacts")
    assert (conversation["funnelId"], conversation["createdAt"]) == (3, "2026-07-01T10:00:00-04:00")
    assert (contact["firstName"], contact["addresses"][0]["address"]) == ("Zoë", "+56912345678")


@pytest.mark.parametrize(
    ("header", "options", "why"),
    [
        (["funel_id"], [], "unknown column 'funel_id'; did you mean 'funnel_id'?"),
        (["contact.first_name"], [], "no column 'funnel_id'"),
        (HEADER, ["--region", "Chile"], "two-letter country code"),
        (HEADER, ["--chunk-size", "0"], "chunk_size must be an integer of at least 1"),
        (HEADER, ["--timeout", "0"], "timeout must be"),
        (HEADER, ["--encoding", "utf-9"], "unknown encoding: utf-9"),
        (HEADER, ["--delimiter", "ab"], "cannot be read as CSV"),
    ],
)
def test_what_cannot_be_done(
    sandbox: Sandbox,
    tmp_path: Path,
    header: list[str],
    options: list[str],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(",".join(header) + "\n" + ",".join(row(1)[: len(header)]) + "\n", "utf-8")
    assert run(path, *options) == 2
    assert why in capsys.readouterr().err
    assert len(sandbox.requests) == 0


@pytest.mark.parametrize("options", [["--set", "funnel_id"], ["--timezone", "Mars/Base"], ["--api-key", "secret"]])
def test_arguments_that_are_none(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(tmp_path / "people.csv", *options)
    assert caught.value.code == 2


def test_the_key_is_no_argument() -> None:
    assert "key" not in {action.dest.rpartition("_")[2] for action in parser()._actions}


def test_the_key_is_asked_for_where_there_is_a_terminal(
    sandbox: Sandbox, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LLAMADAPRO_API_KEY")
    path = people(1)
    assert run(path) == 2
    assert "no API key" in capsys.readouterr().err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("llamadapro_jobs.cli.command.getpass", lambda prompt: "sandbox")
    assert run(path) == 0


def test_files_that_are_not_there_or_unreadable(
    sandbox: Sandbox, people: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(30)
    assert run(path.with_name("nobody.csv")) == 2
    assert "No such file" in capsys.readouterr().err
    assert run(path, "--bad-rows", path) == 2
    assert run(path, "--bad-rows", f"{path}.ledger") == 2
    assert "would overwrite" in capsys.readouterr().err
    assert run(path, "--ledger", path) == 2
    assert "not a database" in capsys.readouterr().err
    assert len(sandbox.requests) == 0
    path.write_bytes(path.read_bytes() * 40 + "Zoë".encode("latin-1"))
    assert run(path, "--chunk-size", 100) == 2
    printed = capsys.readouterr()
    assert "is not utf-8-sig" in printed.err
    assert "name its --encoding" in printed.err
    assert "rows read" in printed.out


def test_a_wrong_key_stops_it(
    sandbox: Sandbox, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(100)
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "wrong-key-8f2a")
    assert run(path, "--chunk-size", 10, "--concurrency", 1) == 2
    printed = capsys.readouterr()
    assert "401" in printed.err
    assert "10 rows read: 0 successful, 10 failed" in printed.out
    assert "8f2a" not in printed.err + printed.out
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sandbox")
    assert run(path, "--chunk-size", 10) == 0
    assert numbers(sandbox) == [*range(100)]


# --- interruptions -----------------------------------------------------------------------------------------------


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "import", str(path), "--chunk-size", "5"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})


def wait_for(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_sees_through_what_is_being_sent(
    sandbox: Sandbox, people: Callable[..., Path], number: signal.Signals
) -> None:
    path = people(200)
    sandbox.faults.add("latency", seconds=0.2)
    process = start(path)
    wait_for(lambda: len(sandbox.requests) >= 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert "once more to stop at once" in err
    assert "The same command goes on from here." in err
    assert "unknown" not in out
    assert 0 < len(numbers(sandbox)) < 200
    sandbox.faults.clear()
    assert run(path, "--chunk-size", 5) == 0
    assert numbers(sandbox) == [*range(200)]


def test_a_second_interrupt_does_not_wait(
    people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(40)
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sandbox")
    sandbox = Sandbox()  # of its own: what was cut off has its effect later, and not in another test
    sandbox.faults.add("latency", seconds=2, times=4)
    with sandbox.serve() as server:
        monkeypatch.setenv("LLAMADAPRO_BASE_URL", server.url)
        process = start(path)
        wait_for(lambda: len(sandbox.requests) == 4)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert run(path, "--chunk-size", 5) == 1
    sandbox.close()
    assert "40 rows read: 20 successful, 20 of unknown outcome" in capsys.readouterr().out


# --- what is shown -----------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(
    sandbox: Sandbox, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    assert run(people(20, row_3=["x", "3", "", ""]), "--chunk-size", 5) == 1
    shown = terminal.getvalue()
    assert "100%" in shown
    assert "20 rows read: 19 successful, 1 bad" in shown
    assert ":5: funnel_id" in shown


def test_lines_now_and_then_where_rich_is_not_installed(
    sandbox: Sandbox, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("llamadapro_jobs.cli.output.PLAIN_INTERVAL", 0.0)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert run(people(20), "--chunk-size", 5, "--concurrency", 1) == 0
    assert terminal.getvalue().splitlines() == [f"{n} rows read: {n} successful" for n in (5, 10, 15, 20)]


def test_what_an_import_needs_is_loaded_by_those_who_import() -> None:
    code = (
        "import sys; before = {*sys.modules}; "
        "from llamadapro import AsyncLlamadaPro; AsyncLlamadaPro('key').conversations; "
        "print({'sqlite3', 'llamadapro_jobs.run', 'llamadapro._reports'} & sys.modules.keys() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("command", ["contract", "import", "sandbox"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: llamadapro {command}" in capsys.readouterr().out
