"""`llamadapro contract` in a pipeline: baseline, exit codes, reports that keep their names, what is not the service."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from llamadapro import ConfigurationError
from llamadapro_contract.cli import main, parser
from llamadapro_contract.document import Document, KeyPlacement, packaged
from llamadapro_contract.findings import FAIL_ON, KINDS
from llamadapro_contract.patch import patch_document
from llamadapro_sandbox.server import Server
from tests.integration.test_contract_probe import (
    CONTACTS,
    DIVERGENCES,
    KEY,
    RENAMED,
    ROOT,
    TASKS,
    Change,
    Exchange,
    Rewriting,
    answered,
    ask,
    put,
    seeded,
)
from tests.openapi import KEY_HEADER, OPERATIONS, key_value

PAGE = ROOT / "docs" / "guide" / "contract.md"
NULL = put(CONTACTS, "tenantId", None)
CONTACTS_ONLY = ("--only", "GetContacts")
EXTRA = put(CONTACTS, "score", 0.5, "addresses")


def both(*changes: Any) -> Change:
    def answer(exchange: Exchange) -> None:
        for change in changes:
            change(exchange)

    return Change(answer)


class Service(Rewriting):
    """The sandbox on a socket, with differences that can be changed while it serves."""

    def __init__(self) -> None:
        super().__init__(seeded(), Change())
        self.connections = self.app.connections


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    service = Service()
    with Server(service, connections=service.app.connections) as server:
        monkeypatch.setenv("LLAMADAPRO_BASE_URL", server.url)
        monkeypatch.setenv("LLAMADAPRO_API_KEY", KEY)
        monkeypatch.chdir(tmp_path)
        yield service
    service.app.close()


def check(*arguments: str) -> int:
    return main(["--rate", "1000", *arguments])


def cases(path: str) -> dict[tuple[str, str], ElementTree.Element]:
    return {(one.attrib["classname"], one.attrib["name"]): one for one in ElementTree.parse(path).getroot()}


def results(path: str, tag: str) -> set[tuple[str, str]]:
    return {name for name, case in cases(path).items() if case.find(tag) is not None}


def report(path: str = "report.json") -> Any:
    return json.loads(Path(path).read_text())


ODD = "a|b`c\\|<script>&]]>\x1b[31m\x00\u2028\ud800\uffff\n::error::" + KEY


@pytest.mark.parametrize(
    "change",
    [put(CONTACTS, ODD, ODD, "firstName"), put(CONTACTS, "createdAt", ODD), put(CONTACTS, KEY, KEY, "firstName")],
)
def test_whatever_a_service_says_the_reports_are_well_formed_and_without_the_key(
    service: Service, change: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.change = Change(change)
    names = {"junit": "report.xml", "json": "report.json", "markdown": "report.md", "github": "report.log"}
    outputs = [part for name, path in names.items() for part in ("--output", f"{name}={path}")]
    check(*CONTACTS_ONLY, *outputs, "--write-baseline", "accepted.json", "--patch", "it.patch")
    accepted = check(*CONTACTS_ONLY, "--baseline", "accepted.json", "--fail-on", "addition")
    texts = [*capsys.readouterr(), *(Path(name).read_text() for name in (*names.values(), "accepted.json", "it.patch"))]
    assert accepted == 0
    assert len(cases("report.xml")) > len(KINDS)
    assert report()["findings"]
    rows = [line for line in texts[4].splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} == {5}
    for text in texts:
        assert KEY not in text
        assert "<script>" not in text or text is not texts[4]
        assert all(one.isprintable() or one == "\n" for one in text)
        assert not any(line.startswith("::error::") for line in text.splitlines())


# --- baseline ----------------------------------------------------------------------------------------------------


def test_accepted_differences_do_not_fail_and_new_ones_do(service: Service) -> None:
    service.change = both(NULL, EXTRA)
    assert check(*CONTACTS_ONLY, "--write-baseline", "accepted.json") == 1
    assert (
        check(*CONTACTS_ONLY, "--baseline", "accepted.json", "--fail-on", "addition", "--output", "json=report.json")
        == 0
    )
    assert report()["counts"] | {"confirmation": 0, "not seen": 0} == {
        "contradiction": 0,
        "addition": 0,
        "confirmation": 0,
        "not seen": 0,
        "accepted": len(report("accepted.json")["accepted"]),
        "resolved": 0,
    }
    service.change = both(NULL, EXTRA, put(CONTACTS, "createdAt", None))
    assert check(*CONTACTS_ONLY, "--baseline", "accepted.json", "--output", "json=report.json") == 1
    new = [one for one in report()["findings"] if one["severity"] == "contradiction" and not one["accepted"]]
    assert {one["path"].rpartition(".")[2] for one in new} == {"createdAt"}


def test_the_same_difference_at_another_place_is_a_new_one(service: Service) -> None:
    """`createdAt` and `updatedAt` refer to one schema of the document."""
    service.change = Change(put(CONTACTS, "createdAt", "15/02/2026"))
    assert check(*CONTACTS_ONLY, "--write-baseline", "accepted.json") == 1
    service.change = both(put(CONTACTS, "createdAt", "16/02/2026"))
    assert check(*CONTACTS_ONLY, "--baseline", "accepted.json") == 0
    service.change = both(put(CONTACTS, "createdAt", "15/02/2026"), put(CONTACTS, "updatedAt", "15/02/2026"))
    assert check(*CONTACTS_ONLY, "--baseline", "accepted.json") == 1


def test_an_entry_that_no_longer_occurs_is_resolved(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.change = Change(NULL)
    check(*CONTACTS_ONLY, "--write-baseline", "accepted.json")
    accepted = {one["id"] for one in report("accepted.json")["accepted"]}
    service.change = Change()
    capsys.readouterr()
    assert check(*CONTACTS_ONLY, "--baseline", "accepted.json") == 0
    resolved = re.findall("^resolved: (.*) no longer occurs", capsys.readouterr().out, re.MULTILINE)
    assert set(resolved) == accepted
    assert check(*CONTACTS_ONLY, "--baseline", "accepted.json", "--write-baseline", "accepted.json") == 0
    assert report("accepted.json")["accepted"] == []


def test_what_a_run_cannot_see_is_not_resolved(service: Service) -> None:
    """The entry of an operation that this run does not check stays, as does what people wrote into it."""
    service.change = Change(NULL)
    check("--write-baseline", "accepted.json")
    content = report("accepted.json")
    content["accepted"][0]["reason"] = "they know"
    Path("accepted.json").write_text(json.dumps(content))
    service.change = Change()
    assert check("--baseline", "accepted.json", "--only", "GetTasks", "--write-baseline", "new.json") == 0
    assert report("new.json") == content


def test_the_first_run_may_name_a_baseline_that_it_writes(service: Service) -> None:
    service.change = Change(NULL)
    both_ways = ("--baseline", "accepted.json", "--write-baseline", "accepted.json")
    assert [check(*CONTACTS_ONLY, *both_ways), check(*CONTACTS_ONLY, *both_ways)] == [1, 0]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"accepted": [1]}', '{"accepted": {"a": 1}}', '{"accepted": [{}]}', "[" * 99_999),
        *('{"accepted": [{"id": null}]}', '{"accepted": [{"id": "a", "operations": 5}]}', '{"version": 2}'),
        '{"accepted": [{"id": "a", "operations": [["GetContacts"]]}]}',
    ],
)
def test_what_is_no_baseline_is_said(service: Service, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("accepted.json").write_text(text)
    assert check("--baseline", "accepted.json") == 2
    assert "accepted.json cannot be read as a baseline" in capsys.readouterr().err
    assert check("--baseline", "missing.json") == 2
    assert len(service.app.requests) == 0


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (Change(), {"contradiction": 0, "addition": 0, "never": 0}),
        (Change(EXTRA), {"contradiction": 0, "addition": 1, "never": 0}),
        (Change(NULL), {"contradiction": 1, "addition": 1, "never": 0}),
    ],
    ids=["none", "addition", "contradiction"],
)
def test_what_fails_can_be_chosen(service: Service, change: Change, codes: dict[str, int]) -> None:
    service.change = change
    assert {name: check("--fail-on", name, "--only", "GetContacts") for name in FAIL_ON} == codes


# --- reports -----------------------------------------------------------------------------------------------------


def test_cases_are_named_alike_whatever_the_result(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("--output", "junit=passing.xml") == 0
    service.change = both(NULL, EXTRA)
    assert check("--output", "junit=failing.xml", "--output", "json=report.json") == 1
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "another-key-0123456789")
    assert check("--output", "junit=error.xml") == 2
    names = {("service", "answers"), *((name, kind) for name in packaged().operations for kind in KINDS)}
    assert cases("passing.xml").keys() == cases("failing.xml").keys() == cases("error.xml").keys() == names
    assert results("passing.xml", "failure") == results("passing.xml", "error") == set()
    found = [one for one in report()["findings"] if one["severity"] == "contradiction"]
    assert results("failing.xml", "failure") == {(name, "null") for one in found for name in one["operations"]}
    assert results("error.xml", "error") == {("service", "answers")}
    assert results("error.xml", "skipped") == names - {("service", "answers")}
    assert results("passing.xml", "skipped") == {
        name for name in names if name[0] in {one["operations"][0] for one in report()["findings"] if unseen(one)}
    }


def unseen(finding: dict[str, Any]) -> bool:
    return bool(finding["kind"] == "operation-not-seen")


def test_several_reports_come_of_one_run(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.change = Change(NULL)
    named = [f"{name}=report.{name}" for name in ("junit", "markdown", "json", "text", "github")]
    assert check(*(word for one in named for word in ("--output", one))) == 1
    before = len(service.app.requests)
    out = capsys.readouterr().out
    assert Path("report.text").read_text() == out
    for name in ("junit", "markdown", "json", "github"):
        assert "null, which is not allowed" in Path(f"report.{name}").read_text()
    assert check() == 1
    assert len(service.app.requests) == 2 * before


def test_the_summary_comes_first_and_what_was_not_seen_is_a_line_for_each_reason(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.change = Change(NULL)
    check("--output", "markdown=report.md")
    lines = capsys.readouterr().out.splitlines()
    seen = f"9 of {len(OPERATIONS)} operations seen"
    assert re.match(rf"\d+ requests to http://\S+: \d contradictions?, 0 additions, {seen}", lines[0])
    reasons = [line.partition(":")[0] for line in lines if line.startswith("not seen")]
    assert len(reasons) == len(set(reasons)) <= 7
    [sending] = [line for line in lines if line.startswith("not seen, never requested (sends a message): ")]
    assert set(sending.partition(": ")[2].split(", ")) == {"CreateMessage", "CreateTemplateMessage"}
    assert Path("report.md").read_text().splitlines()[2] == lines[0]


def test_annotations_name_what_fails(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.change = both(NULL, EXTRA)
    assert check("--format", "github", "--only", "GetContacts") == 1
    _, *lines = capsys.readouterr().out.splitlines()
    assert {line.split(" title=")[0] for line in lines} == {"::error", "::warning"}
    assert lines[0].startswith("::error title=null (GetContacts)::null, which is not allowed $.items[0].tenantId")


def test_only_some_operations_are_checked(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.change = both(NULL, put(TASKS, "status", "paused", "objective"))
    assert check("--only", "get_task", "--output", "json=report.json", "--output", "junit=report.xml") == 1
    assert {name for one in report()["findings"] for name in one["operations"]} == {"GetTask"}
    assert {name for name, _ in cases("report.xml")} == {"service", "GetTask"}
    assert {one.operation for one in service.app.requests} <= {"GetContacts", "GetTasks", "GetTask", None}
    assert check("--only", "GetContact", "--only", "DeleteTask") == 1
    assert check("--only", "GetTsk") == 2
    assert "there is no operation 'GetTsk': did you mean GetTask" in capsys.readouterr().err


async def test_only_what_is_chosen_is_written() -> None:
    _, sandbox = await ask(packaged(), only=("UpdateContact",))
    written = {one.operation for one in sandbox.requests if one.method != "GET"}
    assert written == {"CreateContact", "UpdateContact", "DeleteContact"}


# --- no service --------------------------------------------------------------------------------------------------


@contextmanager
def site(status: int, content: str, text: str = "<h1>Hello</h1>", **headers: str) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": content, "Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "content", "text"),
    [
        (200, "text/html", "<h1>Hello</h1>"),
        (404, "text/html", "<h1>Not here</h1>"),
        (403, "text/html", "<h1>Go away</h1>"),
        (404, "application/json", '{"detail": "Not Found"}'),
        (200, "application/json", '{"hello": "world"}'),
    ],
)
def test_what_is_not_the_service_is_one_sentence(
    service: Service, status: int, content: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with site(status, content, text) as url:
        assert check("--base-url", url, "--output", "json=report.json") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"answers {status} ({content})" in err
    assert "check --base-url" in err
    assert report()["error"] in err


def test_a_key_that_may_do_nothing_is_not_a_check_that_passed(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.change = Change(answered(lambda exchange: True, 403, {"code": 403, "error": "F", "message": "no"}))
    assert check() == 2
    assert "the service refuses the key: GET " in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["[" * 99_999, {"items": [{}, {"id": None}, {"id": {}}, {"id": ""}]}])
def test_a_list_without_ids_is_no_missing_path(service: Service, wrong: Any) -> None:
    service.change = Change(answered(lambda exchange: exchange.path == CONTACTS, 200, wrong))
    assert check("--only", "GetContact", "--only", "GetContacts", "--output", "json=report.json") == 1
    kinds = {one["kind"] for one in report()["findings"] if one["severity"] == "contradiction"}
    assert not kinds & {"path-missing", "page-token-ignored"}


def test_where_a_redirect_leads_is_said(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    with site(301, "text/html", "moved", location="https://elsewhere.example/") as url:
        assert check("--base-url", url) == 2
    assert "answers 301 (text/html) to https://elsewhere.example/" in capsys.readouterr().err


async def test_a_service_that_is_down_is_not_checked() -> None:
    down = answered(lambda exchange: True, 500, {"code": 500, "message": "down"})
    with pytest.raises(ConfigurationError, match="answers 500"):
        await ask(packaged(), Change(down))


def test_a_service_that_cannot_be_reached_is_one_failure(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    outputs = ["--output", "junit=report.xml", "--output", "markdown=report.md", "--output", "json=report.json"]
    assert check("--base-url", url, *outputs, "--write-baseline", "accepted.json") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "could not reach the service" in err
    assert results("report.xml", "error") == {("service", "answers")}
    assert results("report.xml", "failure") == set()
    assert report()["requests"] == 1
    assert "not checked: " in Path("report.md").read_text()
    assert not Path("accepted.json").exists()


@pytest.mark.parametrize("arguments", [("--items", "0"), ("--items", "-1"), ("--rate", "0")])
def test_numbers_that_make_no_sense_are_refused(service: Service, arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        check(*arguments)
    assert len(service.app.requests) == 0


def test_an_output_that_cannot_be_written_is_said_first(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("junit", "junit=", "pdf=report.pdf", "junit=nowhere/report.xml"):
        with pytest.raises(SystemExit):
            check("--output", wrong)
    assert "there is no folder nowhere" in capsys.readouterr().err
    assert len(service.app.requests) == 0


def test_an_output_that_fails_does_not_lose_the_others(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    assert check(*CONTACTS_ONLY, "--output", "junit=folder", "--output", "json=report.json") == 2
    out, err = capsys.readouterr()
    assert "1 of 1 operations seen" in out
    assert "folder" in err
    assert report()["counts"]["contradiction"] == 0


@pytest.mark.parametrize(("change", "code"), [(Change(), 0), (Change(NULL), 1)])
def test_a_reader_that_goes_away_changes_no_exit_code(service: Service, change: Change, code: int) -> None:
    service.change = change
    command = f"{shlex.quote(sys.executable)} -m llamadapro contract --rate 1000 --format json --only GetContacts"
    line = f"{command} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{code}\n", "")


# --- the key -----------------------------------------------------------------------------------------------------


def key_in(header: str, prefix: str = "") -> Change:
    """The service takes the key in this header only."""

    def headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        sent = {name.lower(): value.decode() for name, value in given}
        value = sent.get(header.lower().encode(), "")
        key = value.removeprefix(prefix) if value.startswith(prefix) else ""
        name = KEY_HEADER.lower().encode()
        return [*(one for one in given if one[0].lower() != name), (name, key_value(key).encode())]

    return Change(headers=headers)


USUAL = [*map(KeyPlacement, ("X-API-Key", "Authorization", "Api-Key")), KeyPlacement("Authorization", "Bearer")]
PLACEMENTS = [one for one in USUAL if one != packaged().key_placement]


@pytest.mark.parametrize("placement", PLACEMENTS, ids=str)
async def test_another_place_of_the_key_is_found_and_the_rest_checked(placement: KeyPlacement) -> None:
    change = key_in(placement.header or "", f"{placement.scheme} " if placement.scheme else "")
    result, _ = await ask(packaged(), change, write=False)
    [found] = result.of("contradiction")
    assert (found.kind, found.message) == (
        "key-placement",
        f"the service takes the key as {placement}, not as {KEY_HEADER}: {key_value('KEY')}",
    )
    assert len(result.of("confirmation")) == 9
    changed, rest = patch_document(packaged().text, result.findings)
    assert rest == []
    assert Document(changed).key_placement == placement
    again, _ = await ask(Document(changed), change, write=False)
    assert again.of("contradiction") == []


async def test_the_usual_header_is_tried_where_the_document_has_another() -> None:
    text = packaged().text.replace(f"name: {KEY_HEADER}", "name: X-Another")
    result, _ = await ask(Document(text), key_in("X-API-Key"), write=False)
    assert [one.kind for one in result.of("contradiction")] == ["key-placement"]


def test_a_key_that_is_refused_everywhere_is_said(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMADAPRO_API_KEY", "another-key-0123456789")
    assert check("--output", "json=report.json") == 2
    usual = ("X-API-Key: KEY", "Authorization: Bearer KEY", "Authorization: KEY", "Api-Key: KEY")
    ways = ", ".join(dict.fromkeys([f"{KEY_HEADER}: {key_value('KEY')}", *usual]))
    assert f"the service refuses the key: GET {TASKS} answers 401 to {ways}" in capsys.readouterr().err
    assert "another-key" not in Path("report.json").read_text()


# --- the patch ---------------------------------------------------------------------------------------------------


def test_the_patch_says_what_it_leaves_out(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.change = both(NULL, DIVERGENCES["wrong type"][0].answer)
    assert check("--patch", "openapi.patch", "--only", "GetContacts") == 1
    text = Path("openapi.patch").read_text()
    left = "# not in this patch: type (GetContacts): an object instead of an integer or null; openapi.yaml:"
    assert text.startswith(left)
    assert "1 differences are not in it" in capsys.readouterr().err
    Path("openapi.yaml").write_text(packaged().text)
    subprocess.run(["git", "apply", "openapi.patch"], check=True)
    assert Path("openapi.yaml").read_text() != packaged().text


# --- the guide ---------------------------------------------------------------------------------------------------


def blocks(language: str) -> list[Any]:
    return [yaml.safe_load(one) for one in re.findall(rf"```{language}.*?\n(.*?)```", PAGE.read_text(), re.DOTALL)]


def commands(lines: list[str]) -> Iterator[list[str]]:
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:2] == ["llamadapro", "contract"]:
            yield words[2:]


def test_the_pipelines_of_the_guide_can_be_copied(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are sound, and their commands are run: each file that a later step takes is there."""
    github, gitlab = blocks("yaml")
    [job] = github["jobs"].values()
    assert github[True].keys() == {"schedule", "workflow_dispatch"}  # YAML reads `on` as true
    runs = [step["run"] for step in job["steps"] if "run" in step]
    [lines] = [one for one in gitlab.values() if "script" in one]
    assert gitlab["contract"]["rules"][0]["if"] == '$CI_PIPELINE_SOURCE == "schedule"'
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    service.change = Change(RENAMED)
    Path("accepted.json").write_text('{"accepted": []}')
    run = [*commands(runs), *commands(lines["script"])]
    assert len(run) == 2
    for arguments in run:
        arguments = [re.sub(r"\$GITHUB_STEP_SUMMARY", "summary.md", one) for one in arguments]
        options = parser().parse_args(arguments)
        assert main([*arguments, "--rate", "1000"]) == 1
        for _, path in options.output:
            assert "firstName never came" in path.read_text()
    kept = gitlab["contract"]["artifacts"]
    assert Path(kept["reports"]["junit"]).exists()
    [upload] = [step["with"]["path"] for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    assert Path(upload).exists()
