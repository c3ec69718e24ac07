"""`llamadapro api`, the steering of a sandbox and completion, as a shell runs them."""

from __future__ import annotations

import argparse
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from llamadapro._cli import COMMANDS, api, main
from llamadapro_api.types import File, Moment, PreparedRequest, Uuid
from llamadapro_sandbox import Sandbox
from llamadapro_sandbox.cli import STEERING
from tests.openapi import OPERATIONS

PROGRAM = "import sys; from llamadapro._cli import main; sys.exit(main())"
COMMAND = [sys.executable, "-W", "error", "-c", PROGRAM]
KEY = "sk-cli-0123456789"
FROM = ["--from_phone_number", "+56221234567"]
TEXT = ["create_message", *FROM, "--content", "Hi", "--type", "text"]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """On a socket, and the environment leads to it."""
    sandbox = Sandbox(api_key=KEY)
    with sandbox.serve() as server:
        monkeypatch.setenv("LLAMADAPRO_BASE_URL", server.url)
        monkeypatch.setenv("LLAMADAPRO_API_KEY", KEY)
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.chdir(tmp_path)
        yield sandbox
    sandbox.close()


def run(*arguments: str, text: str = "") -> tuple[int, str, str]:
    out, err, given = io.StringIO(), io.StringIO(), io.TextIOWrapper(io.BytesIO(text.encode()))
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", given)
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue(), err.getvalue()


def call(*arguments: str, text: str = "") -> Any:
    code, out, err = run("api", *arguments, text=text)
    assert (code, err) == (0, "")
    return json.loads(out) if out else None


def complaint(*arguments: str, code: int = 2, text: str = "") -> str:
    """One line on standard error."""
    found, out, err = run(*arguments, text=text)
    assert (found, out, err.count("\n")) == (code, "", 1), err
    return err


# --- api -----------------------------------------------------------------------------------------------------------


def test_a_record_is_created_read_changed_and_deleted(sandbox: Sandbox) -> None:
    addresses = [{"channelType": "PHONE", "address": "+56912345678"}]
    made = call("create_contact", "--first_name", "Jane", "--user_id", "5", "--addresses", json.dumps(addresses))
    assert (made["firstName"], made["userId"], made["addresses"][0]["address"]) == ("Jane", 5, "+56912345678")
    assert call("GetContact", "--id", str(made["id"])) == made
    changed = call("updateContact", "--id", str(made["id"]), "--lastName", "Doe", "--user-id", "null")
    assert (changed["lastName"], changed["userId"]) == ("Doe", None)
    call("delete_contact", "--id", str(made["id"]))
    assert call("get_contacts", "--page_size", "3")["items"] == []


def test_fields_come_from_a_file_or_standard_input(sandbox: Sandbox) -> None:
    """Named as in Python or as on the wire; options go before them."""
    Path("contact.json").write_text('{"firstName": "Jané", "last_name": "Doe", "userId": 5}')
    made = call("create_contact", "--input", "contact.json", "--last_name", "Roe")
    assert (made["firstName"], made["lastName"], made["userId"]) == ("Jané", "Roe", 5)
    assert call("create_contact", "--input", "-", text='{"firstName": "Ann"}')["firstName"] == "Ann"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["create_contac"], "there is no operation 'create_contac'; did you mean create_contact"),
        (["create_contact", "--first_nam", "x"], "there is no option 'first_nam'; did you mean first_name"),
        (["create_contact", "--user_id", "x"], "argument --user_id: must be INTEGER, not 'x'"),
        (["create_contact", "--created_at", "today"], "created_at: 'today' is not an ISO 8601 date"),
        (["create_contact", "--addresses", "[1]"], "addresses[0]: must be a dictionary"),
        (["create_contact", "--input", "missing.json"], "missing.json"),
        (["create_contact", "--input", "text.json"], "--input text.json: not JSON"),
        (["create_contact", "--input", "list.json"], "must be a JSON object with fields of create_contact"),
        (["create_contact", "--input", "other.json"], "unexpected keyword argument 'first'; did you mean"),
        (["get_contact"], "get_contact: needs --id"),
        ([*TEXT], "needs --to_phone_number"),
        ([*TEXT, "--to_phone_number", "912345678"], "'912345678' is not a phone number"),
        ([*TEXT, "--to_phone_number", "+56912345678"], "add --yes"),
        (["get_contacts", "--base-url", "here"], "base_url must start with"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_is_not_understood_is_one_line_and_sends_nothing(sandbox: Sandbox, arguments: list[str], why: str) -> None:
    Path("text.json").write_text("hello")
    Path("list.json").write_text("[]")
    Path("other.json").write_text('{"first": "Jane"}')
    assert why in complaint("api", *arguments)
    assert len(sandbox.requests) == 0


def test_what_the_service_refuses_is_1(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no contact 77" in complaint("api", "get_contact", "--id", "77", code=1)
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "sk-another-0123456789")
    err = complaint("api", "get_contacts", code=1)
    assert "401" in err
    assert "sk-another" not in err


def test_what_reaches_someone_wants_a_yes_and_a_number_in_any_spelling(sandbox: Sandbox) -> None:
    sent = call(*TEXT, "--to_phone_number", "+56 9 1234 5678", "--yes")
    assert sent["recipient"]["address"] == "+56912345678"
    sent = call(*TEXT, "--to_phone_number", "9 1234 5678", "--region", "CL", "--yes")
    assert sent["recipient"]["address"] == "+56912345678"
    assert len(sandbox.requests) == 2


@pytest.mark.parametrize(("word", "code", "requests"), [("y", 0, 1), ("n", 2, 0), ("", 2, 0)])
def test_on_a_terminal_it_asks(sandbox: Sandbox, word: str, code: int, requests: int) -> None:
    us, them = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "api", *TEXT, "--to_phone_number", "+56912345678"],
        stdin=them,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(us, f"{word}\n".encode())
    _, err = process.communicate(timeout=60)
    os.close(us)
    os.close(them)
    assert (process.returncode, len(sandbox.requests)) == (code, requests)
    assert "create_message (from_phone_number +56221234567, to_phone_number +56912345678): send it? [y/N]" in err


@pytest.mark.parametrize(
    ("name", "method", "path", "safe", "reaches"),
    [
        ("create_message", "POST", "/api/v1/whatsapp/messages", False, True),
        ("start_agent_call_v2", "POST", "/api/v2/calls/agent", False, True),
        ("create_broadcast", "POST", "/api/v1/whatsapp/broadcast", False, True),
        ("create_call", "POST", "/api/v1/calls", False, False),
        ("search_messages", "POST", "/api/v1/messages/search", True, False),
        ("update_message", "PUT", "/api/v1/messages/1", True, False),
        ("create_note", "POST", "/api/v1/notes", False, False),
    ],
)
def test_what_reaches_someone_is_known(name: str, method: str, path: str, safe: bool, reaches: bool) -> None:
    assert api.reaches_someone(PreparedRequest(name, method, path, lambda one: one, idempotent=safe)) is reaches


def test_of_the_document_these_reach_someone() -> None:
    found = set()
    for one in OPERATIONS.values():
        name = api.find_name(one.id, api.operations(), "operation")
        safe = one.raw.get("x-safe-to-repeat", one.method != "POST")
        if api.reaches_someone(PreparedRequest(name, one.method, one.path, lambda answer: answer, idempotent=safe)):
            found.add(name)
    calls = {"start_bridge_call", "start_agent_call", "start_agent_call_v2"}
    assert found == {"create_message", "create_template_message", *calls}


def test_all_operations_are_listed_and_explained() -> None:
    code, out, err = run("api", "--list")
    assert (code, err) == (0, "")
    listed = [line.split(maxsplit=1) for line in out.splitlines()]
    assert [name for name, _ in listed] == api.operations()
    assert ["get_contacts", "List contacts."] in listed
    code, out, err = run("api", "CreateContact", "--help")
    assert (code, err) == (0, "")
    for field in api.fields_of("create_contact"):
        assert f"{field.option} {api.describe(field.hint)}" in out
    assert "The company it belongs to." in out


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (str, "17", "17"),
        (str, "null", "null"),
        (str | None, "null", None),
        (int | None, "17", 17),
        (int | str, "17", 17),
        (int | str, "007", "007"),
        (int | str, "1e3", "1e3"),
        (int | str, "true", "true"),
        (float, "1", 1),
        (float | None, "1.5", 1.5),
        (bool, "true", True),
        (Moment | None, "2026-02-15", "2026-02-15"),
        (Uuid, "123", "123"),
        (Literal["1", "2"], "1", "1"),
        (Literal[1, 2], "1", 1),
        (Annotated[int, "any"], "5", 5),
        (Sequence[str], '["a"]', ["a"]),
        (Mapping[str, Any] | None, '{"a": 1}', {"a": 1}),
        (list[int] | str, "a", "a"),
        (Any, "a", "a"),
        (Any, '{"a": null}', {"a": None}),
    ],
)
def test_a_value_is_what_its_type_says(hint: Any, text: str, value: Any) -> None:
    found = api.parse_value(hint, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("hint", "text", "wanted"),
    [(int, "x", "INTEGER"), (bool, "True", "true|false"), (int | None, "true", "INTEGER"), (list, "a", "[JSON, …]")],
)
def test_a_value_of_another_type_is_refused(hint: Any, text: str, wanted: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"must be {re.escape(wanted)}, not"):
        api.parse_value(hint, text)


@pytest.mark.parametrize(
    ("name", "option"), [("first_name", "--first_name"), ("from_", "--from"), ("input", "--input_"), ("yes_", "--yes_")]
)
def test_a_field_has_an_option_of_its_own(name: str, option: str) -> None:
    assert api.Field(name, str, is_path=False, is_required=False, help="").option == option


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "logo.png"
    path.write_bytes(b"PNG")
    assert api.parse_value(bytes, f"@{path}") == b"PNG"
    assert api.parse_value(File, str(path)) == ("logo.png", b"PNG", "image/png")


# --- a reader that goes away -----------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_failure(sandbox: Sandbox) -> None:
    sandbox.seed({"contacts": [{"firstName": "x" * 1000} for _ in range(100)]})
    lines = ("api get_contacts --page_size 100", "api --list", "--help", "sandbox fault")
    modules = ("llamadapro_contract --rate 1000 --only GetContacts", "llamadapro_sandbox fault")
    commands = [[*COMMAND, *line.split()] for line in lines]
    commands += [[sys.executable, "-W", "error", "-m", *line.split()] for line in modules]
    for command in commands:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, "")


# --- steering --------------------------------------------------------------------------------------------------------


def steer(*arguments: str, text: str = "") -> Any:
    code, out, err = run("sandbox", *arguments, text=text)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_running_sandbox_is_steered(sandbox: Sandbox) -> None:
    faults = steer("fault", "kind=status,status=503,times=2,operation=GetContacts", "kind=latency,seconds=1")["faults"]
    assert [one["kind"] for one in faults] == ["status", "latency"]
    assert steer("fault", "--clear")["faults"] == []
    before = sandbox.clock.now()
    assert steer("clock", "--advance", "3600", "--speed", "0")["speed"] == 0
    assert (sandbox.clock.now() - before).total_seconds() >= 3600
    Path("people.yaml").write_text("contacts: [{firstName: Jane}]")
    assert steer("seed", "people.yaml")["contacts"][0]["firstName"] == "Jane"
    assert steer("seed", "-", text='{"contacts": [{"firstName": "Ann"}]}')["contacts"][0]["firstName"] == "Ann"
    assert steer("reset")["counts"] == {}


def test_what_cannot_be_steered_is_said(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no fault 'flood'" in complaint("sandbox", "fault", "kind=flood")
    assert "no sandbox answers at http://127.0.0.1:1" in complaint(
        "sandbox", "reset", "--base-url", "http://127.0.0.1:1"
    )
    assert "key" in complaint("sandbox", "reset", "--api-key", "wrong")
    assert "- must hold an object" in complaint("sandbox", "seed", "-", text="[1]")
    assert "seed.contacts must be a list of objects" in complaint("sandbox", "seed", "-", text="contacts: {}")
    monkeypatch.delenv("LLAMADAPRO_BASE_URL")
    assert "which sandbox?" in complaint("sandbox", "reset")


# --- completion ------------------------------------------------------------------------------------------------------


@pytest.fixture
def complete(tmp_path: Path) -> Callable[[str], set[str]]:
    def complete(line: str) -> set[str]:
        found = tmp_path / "completions"
        variables = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line.encode())), "COMP_TYPE": "9"}
        variables |= {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(found)}
        done = subprocess.run(COMMAND, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return {one.strip() for one in found.read_text().split("\n") if one.strip()}

    return complete


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("llamadapro ", {*COMMANDS}),
        ("llamadapro sand", {"sandbox"}),
        ("llamadapro api ", {"create_contact", "get_contacts"}),
        ("llamadapro api create_contact --first", {"--first_name"}),
        ("llamadapro api create_contact --first_name Jane --y", {"--yes"}),
        ("llamadapro api create_contact --first_name 'Jane D", set()),
        ("llamadapro contract --fail-on ", {"contradiction", "addition", "never"}),
        ("llamadapro import --chunk", {"--chunk-size"}),
        ("llamadapro campaign --temp", {"--template"}),
        ("llamadapro campaign st", {"status"}),
        ("llamadapro campaign status --led", {"--ledger"}),
        ("llamadapro sandbox ", {*STEERING}),
        ("llamadapro sandbox --spe", {"--speed"}),
        ("llamadapro sandbox clock --", {"--advance", "--speed"}),
        ("llamadapro completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_a_shell_completes_commands_operations_and_options(
    complete: Callable[[str], set[str]], line: str, wanted: set[str]
) -> None:
    found = complete(line)
    assert wanted <= found
    if not line.endswith((" ", "--")):
        assert found == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_given_its_script(shell: str) -> None:
    code, out, err = run("completion", shell)
    assert (code, err) == (0, "")
    assert "llamadapro" in out
    if shell == "bash":
        script = 'eval "$1"; complete -p llamadapro'
        done = subprocess.run(["bash", "-c", script, "-", out], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("complete ")
