"""The command `llamadapro campaign`, from the header of its file to Ctrl-C."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llamadapro._cli import main
from llamadapro_sandbox import Sandbox
from tests.jobs.test_send_many import number

SENDER = "+56912345678"
PROGRAM = "import sys; from llamadapro._cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Sandbox, str]]:
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


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV file of so many people, and lines of any kind behind them."""

    def write(count: int, *more: str) -> Path:
        path = tmp_path / "people.csv"
        lines = ["to,name", *(f"{number(place)},Zoë {place}" for place in range(count)), *more]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path

    return write


def run(path: Path, *options: object) -> int:
    return main(["campaign", str(path), "--template", "welcome", "--from", SENDER, *map(str, options)])


def received(sandbox: Sandbox) -> Counter[str]:
    return Counter(message["recipient"]["address"] for _, message in sandbox.store.some("messages"))


def test_each_line_gets_one_message_however_often_the_command_is_given(
    sandbox: Sandbox, people: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(30, "+56 9 0000 0000,again in other words")
    for _ in range(2):
        assert run(path) == 0
        printed = capsys.readouterr()
        assert (printed.out, printed.err) == ("31 rows read: 30 sent, 1 duplicates\n", "")
    assert received(sandbox) == {number(place): 1 for place in range(30)}
    assert sandbox.requests[0].json["variables"][0]["value"].startswith("Zoë")
    assert Path(f"{path}.welcome.ledger").exists()


BAD = ("12,Ana", f"{number(7)},", f"{number(8)}", f"{number(9)},Ana,Eva", ",Ana")


def test_lines_with_a_hole_are_named_and_not_sent(
    sandbox: Sandbox, people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, bad = people(2, *BAD), tmp_path / "bad.csv"
    assert run(path) == 1
    printed = capsys.readouterr()
    assert printed.out == "7 rows read: 2 sent, 5 bad\n"
    assert [line.split(": ", 1)[0] for line in printed.err.splitlines()] == [f"{path}:{line}" for line in range(4, 9)]
    assert "the cell is empty" in printed.err
    assert run(path, "--bad-rows", bad) == 1
    written = [*csv.DictReader(io.StringIO(bad.read_text("utf-8"), newline=""))]
    assert [(row["to"], row["_line"]) for row in written] == [
        *(("12", "4"), (number(7), "5"), (number(8), "6"), (number(9), "7"), ("", "8"))
    ]
    assert received(sandbox) == {number(place): 1 for place in range(2)}


def test_what_was_refused_or_may_have_been_sent_is_listed_and_can_be_exported(
    sandbox: Sandbox, people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = people(5), tmp_path / "out.csv"
    sandbox.faults.add("status", status=503, when="after", operation="CreateTemplateMessage", times=1)
    sandbox.faults.add("status", status=400, operation="CreateTemplateMessage", times=1)
    assert run(path, "--concurrency", 1) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("5 rows read: 3 sent, 1 refused by the service, 1 of unknown outcome\n")
    assert f"\nunknown: {path}:2: {number(0)}: " in printed
    assert f"\nrefused: {path}:3: {number(1)}: " in printed
    ledger = f"{path}.welcome.ledger"
    assert main(["campaign", "status", "--ledger", ledger]) == 1
    assert "send_template: 1 refused, 3 sent, 1 unknown; 0 at work" in capsys.readouterr().out
    assert main(["campaign", "export", "--state", "unknown", "--ledger", ledger, str(out)]) == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text("utf-8"), newline=""))
    assert (row["to"], row["variable_1"], row["_line"], row["_state"]) == (number(0), "Zoë 0", "2", "unknown")
    assert run(path, "--resend-unknown") == 1
    assert received(sandbox) == {**{number(place): 1 for place in (2, 3, 4)}, number(0): 2}
    assert run(out, "--ledger", tmp_path / "another") == 0  # what is exported is a file of the same sort


def test_a_dry_run_sends_nothing_and_leaves_nothing(
    sandbox: Sandbox, people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(600, number(0) + ",again", *BAD)
    assert run(path, "--dry-run", "--rate", 2) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"first: {{'to': '{number(0)}', 'variables': ['Zoë 0']}}",
        "600 messages would be sent, 1 duplicates, 5 bad; nothing was sent",
        "at 2 a second: 5 minutes",
    ]
    assert len(printed.err.splitlines()) == 5
    assert len(sandbox.requests) == 0
    assert [*tmp_path.iterdir()] == [path]


def test_a_dry_run_shows_what_is_left_and_holds_the_ledger_against_it(
    sandbox: Sandbox, people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(3)
    sandbox.faults.add("status", status=503, when="after", operation="CreateTemplateMessage", times=1)
    assert run(path) == 1
    people(5, *BAD[:1])
    before, _ = Path(f"{path}.welcome.ledger").read_bytes(), capsys.readouterr()
    assert run(path, "--dry-run") == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "2 messages would be sent, 0 duplicates, 1 bad; nothing was sent",
        "so far: 6 rows read: 2 sent, 1 bad, 1 of unknown outcome, 2 pending",
    ]
    assert run(path, "--dry-run", "--resend-unknown") == 1
    assert "3 messages would be sent" in capsys.readouterr().out
    assert run(path, "--dry-run", "--language", "es") == 2
    assert "language_code en, now it is es" in capsys.readouterr().err
    assert run(path, "--dry-run", "--ledger", "postgresql://db/jobs") == 1
    assert "a plan looks into files only" in capsys.readouterr().out
    assert len(sandbox.requests) == 3
    assert Path(f"{path}.welcome.ledger").read_bytes() == before
    assert {*tmp_path.iterdir()} == {path, Path(f"{path}.welcome.ledger")}


def test_an_export_has_a_header_all_cells_in_their_columns_and_overwrites_nothing_else(
    sandbox: Sandbox, people: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = people(1, f"{number(8)}", "12,Ana"), tmp_path / "out.csv"
    assert run(path) == 1
    ledger = f"{path}.welcome.ledger"
    export = ["campaign", "export", "--ledger", ledger, "--state"]
    for state, cells in (
        ("bad", [["", "", "3"], ["12", "Ana", "4"]]),
        ("unknown", []),
        ("sent", [[number(0), "Zoë 0", "2"]]),
    ):
        assert main([*export, state, str(out)]) == 0
        header, *lines = csv.reader(io.StringIO(out.read_text("utf-8"), newline=""))
        assert header == ["to", *(["variable_1"] if cells else []), "_line", "_state", "_problem"]
        assert [line[:3] for line in lines] == cells
    capsys.readouterr()
    assert main([*export, "bad", str(path)]) == 2
    assert "is no earlier export: name another file" in capsys.readouterr().err
    assert path.read_text("utf-8").startswith("to,name\n")
    path.write_text("funnel_id,contact.emails\n3,a@example.com\n")
    assert main(["import", str(path)]) == 0
    assert main(["campaign", "export", "--ledger", f"{path}.ledger", "--state", "sent", str(tmp_path / "new.csv")]) == 2
    assert "the run is of bulk_create" in capsys.readouterr().err


def test_an_import_has_a_dry_run_too(sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "people.csv"
    path.write_text("funnel_id,contact.emails\n3,a@example.com\n3,none\nx,\n")
    assert main(["import", str(path), "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert printed.out.endswith("1 rows would be sent, 0 duplicates, 2 bad; nothing was sent\n")
    assert f"{path}:3: contact.emails[0]: 'none' is not an e-mail address" in printed.err
    assert len(sandbox.requests) == 0
    assert [*tmp_path.iterdir()] == [path]
    assert main(["import", str(path)]) == 1
    capsys.readouterr()
    assert main(["import", str(path), "--dry-run"]) == 1
    assert capsys.readouterr().out.endswith(
        "0 rows would be sent, 0 duplicates, 2 bad; nothing was sent\nso far: 3 rows read: 1 successful, 2 bad\n"
    )


def test_another_campaign_on_the_same_ledger_is_refused(
    sandbox: Sandbox, people: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(1)
    assert run(path) == 0
    ledger = f"{path}.welcome.ledger"
    assert main(["campaign", str(path), "--template", "x", "--from", SENDER, "--ledger", ledger]) == 2
    assert "template_name welcome, now it is x" in capsys.readouterr().err
    assert run(path, "--language", "es") == 2
    assert "language_code en, now it is es" in capsys.readouterr().err
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        ("name\nAna\n", [], "there must be one column 'to'"),
        ("to,name,to\n", [], "there must be one column 'to'"),
        (f"_to,name\n{number(1)},Ana\n", [], "there must be one column 'to'"),
        ("", [], "no header"),
        (f"to,,name\n{number(1)},Ana,\n", [], "column 2 has no name"),
        (
            f"to,name\n{number(1)},Ana\n",
            ["--ledger", ""],
            "ledger must be a path",
        ),  # perhaps a variable that is not set
        (f"to,name\n{number(1)},Ana\n", ["--language", ""], "language_code is missing"),
        (f"to;name\n{number(1)};Ana\n", [], "delimiter"),
        (f"to,name\n{number(1)},Ana\n", ["--rate", "0"], "rate must be"),
        (f"to,name\n{number(1)},Ana\n", ["--from", "12"], "from_: '12'"),
        (f"to,name\n{number(1)},Ana\n", ["--encoding", "utf-9"], "unknown encoding"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    sandbox: Sandbox, tmp_path: Path, content: str, options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(content)
    assert run(path, *options) == 2
    assert why in capsys.readouterr().err
    assert len(sandbox.requests) == 0


def test_a_file_in_another_encoding_is_a_sentence(
    sandbox: Sandbox, people: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(3)
    path.write_bytes(path.read_text("utf-8").encode("latin-1"))
    assert run(path) == 2
    assert "name its --encoding" in capsys.readouterr().err
    assert run(path, "--encoding", "latin-1") == 0
    assert sandbox.requests[0].json["variables"][0]["value"].startswith("Zoë")


def test_a_wrong_key_stops_it_at_once(
    sandbox: Sandbox, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(300)
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "wrong-key-8f2a")
    assert run(path) == 2
    printed = capsys.readouterr()
    assert "401" in printed.err
    assert printed.out == "300 rows read: 0 sent, 300 pending\n"
    assert "8f2a" not in printed.err + printed.out
    assert len(sandbox.requests) <= 20
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sandbox")
    assert run(path) == 0
    assert received(sandbox) == {number(place): 1 for place in range(300)}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_sees_out_what_is_being_sent(
    sandbox: Sandbox, people: Callable[..., Path], signal_number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(200)
    sandbox.faults.add("latency", seconds=0.15)
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "campaign", str(path), "--template", "welcome"]
    process = subprocess.Popen(
        [*command, "--from", SENDER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    ends = time.monotonic() + 20
    while len(sandbox.requests) < 5:
        assert time.monotonic() < ends, "it did not begin to send"
        time.sleep(0.01)
    process.send_signal(signal_number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "The same command goes on from here." in err
    assert "unknown" not in out
    assert 0 < len(received(sandbox)) < 200
    sandbox.faults.clear()
    assert run(path) == 0
    assert received(sandbox) == {number(place): 1 for place in range(200)}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_many_messages_are_asked_about_and_a_bar_shows_their_rate(
    sandbox: Sandbox, people: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr("llamadapro_jobs.cli.campaign.ASK_ABOVE", 20)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdin", Terminal("n\ny\n"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    path = people(30)
    assert run(path) == 130
    assert "Send up to 30 messages? [y/N]\nNothing was sent." in terminal.getvalue()
    assert len(sandbox.requests) == 0
    assert run(path) == 0
    assert run(path, "--yes") == 0
    assert terminal.getvalue().count("[y/N]") == 2
    assert "30 rows read: 30 sent" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert len(received(sandbox)) == 30


def test_two_commands_share_a_run_in_postgres(
    sandbox: Sandbox, people: Callable[..., Path], postgres_ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = people(20)
    for _ in range(2):
        assert run(path, "--ledger", postgres_ledger, "--run", "spring") == 0
    assert main(["campaign", "status", "--ledger", postgres_ledger]) == 0
    assert capsys.readouterr().out.endswith("spring: send_template: 20 sent; 0 at work\n")
    assert received(sandbox) == {number(place): 1 for place in range(20)}
