"""Campaigns on both ledgers: what is sent, what is not, and what is known afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import psycopg
import pytest

from llamadapro import (
    APIStatusError,
    AsyncLlamadaPro,
    AuthenticationError,
    ConfigurationError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    JobError,
    NotFoundError,
    RateLimitError,
    SendIssue,
    SendReport,
    WaitTimeoutError,
)
from tests.clocks import FakeClock, SimulatedClock
from tests.jobs.conftest import Act, Service, client_of
from tests.postgres import PostgresServer

COMMON = {"from_": "+56912345678", "template_name": "welcome", "language_code": "en"}


def number(place: int) -> str:
    return f"+569{place:08d}"


def rows(count: int) -> list[dict[str, Any]]:
    return [{"to": number(place), "variables": [f"Zoë {place}"]} for place in range(count)]


def status(code: int, **headers: str) -> Act:
    return lambda body: httpx.Response(code, json={"message": "no"}, headers=headers)


def unreachable(body: Any) -> httpx.Response:
    raise httpx.ConnectError("refused")


def lost(body: Any) -> httpx.Response:
    raise httpx.ReadTimeout("no answer")


async def send(client: AsyncLlamadaPro, source: Any, ledger: Any, **options: Any) -> SendReport:
    options = {"common": COMMON, "run": "run"} | options
    return await client.messages.send_many(source, ledger=ledger, **options)


def figures(report: SendReport) -> dict[str, int]:
    names = ("read", "sent", "duplicates", "bad", "refused", "unknown", "pending")
    return {name: count for name in names if (count := getattr(report, name))}


# --- rows --------------------------------------------------------------------------------------------------------


async def agenerator(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


@pytest.mark.parametrize("source", [list, iter, agenerator])
async def test_each_row_is_sent_once_however_often_the_same_is_done_again(
    client: AsyncLlamadaPro, service: Service, ledger: Any, source: Any
) -> None:
    for _ in range(3):
        report = await send(client, source(rows(60)), ledger)
        assert figures(report) == {"read": 60, "sent": 60}
        assert report.complete
    assert service.received == {number(place): 1 for place in range(60)}
    assert service.bodies[0]["variables"][0]["value"].startswith("Zoë")
    assert {body["templateName"] for body in service.bodies} == {"welcome"}
    assert service.most_at_once <= 20


async def test_numbers_are_one_key_in_every_spelling(service: Service, ledger: Any) -> None:
    async with client_of(service, default_region="CL") as client:
        same = [{"to": spelling} for spelling in ("+56 9 1234-5678", "+56912345678", "9 1234 5678", "(9) 1234.5678")]
        report = await send(client, same, ledger)
    assert figures(report) == {"read": 4, "sent": 1, "duplicates": 3}
    assert service.received == {"+56912345678": 1}


async def test_a_key_may_be_another_keyword_or_a_function_of_the_row(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    people = [{"to": number(1), "user_id": name} for name in ("ana", "eva", "ana")]
    assert figures(await send(client, people, tmp_path / "a", key="user_id")) == {"read": 3, "sent": 2, "duplicates": 1}
    both = {"read": 3, "sent": 2, "duplicates": 1}
    assert figures(await send(client, people, tmp_path / "b", key=lambda row: f"{row['to']}/{row['user_id']}")) == both
    report = await send(client, [*people, {"to": number(2)}], tmp_path / "c", key=lambda row: row["user_id"])
    assert figures(report) == {"read": 4, "sent": 2, "duplicates": 1, "bad": 1}
    assert "user_id" in report.issues[0].reason


async def test_a_key_that_no_ledger_can_hold_makes_its_row_bad_and_holds_up_no_other(
    client: AsyncLlamadaPro, ledger: Any
) -> None:
    keys = ["\ud800", "a\0", "é" * 1001, "", None, "é" * 1000]
    people = [{**row, "user_id": str(place)} for place, row in enumerate(rows(len(keys)))]
    report = await send(client, people, ledger, key=lambda row: keys[int(row["user_id"])])
    assert figures(report) == {"read": 6, "sent": 1, "bad": 5}
    assert {issue.reason.partition(", not")[0] for issue in report.issues} == {
        "its key must be a text of at most 2,000 bytes"
    }
    report = await send(client, [{"to": number(0)}], ledger, run="another", key="user_id")
    assert report.issues[0].reason == "it has no user_id, which is the key"


async def test_whatever_id_the_service_gives_is_written_down(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    service.always = lambda body: httpx.Response(201, json={"id": "message\0" + "x" * 10_000})
    for _ in range(2):
        assert figures(await send(client, rows(2), ledger)) == {"read": 2, "sent": 2}
    assert len(service.bodies) == 2


class LineOfItsOwn(dict[str, Any]):
    """An attribute of this name is not the row's place: dictionaries of some libraries have one for each key."""

    line = "seven"


class Hostile:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"to": "12"}, "to: '12' is not a phone number"),
        ({"to": None, "variables": ["x"]}, "to is missing"),
        ({"variables": ["x"]}, "missing to"),
        ({"to": number(7), "variables": None}, "variables is missing"),
        ({"to": number(7), "variables": ["Ana", None]}, "variables[1] is missing"),
        ({"to": number(7), "custom_fields": {"name": None}}, "custom_fields.name is missing"),
        ({"to": number(7), "variabels": ["Ana"]}, "variabels"),
        ({"to": number(7), None: ["one cell too many"]}, "more cells than columns"),
        ({"to": number(7), "variables": ["x"], "components": []}, "not both"),
        ({"to": number(7), "variables": ["Ana", " "]}, "variables[1] is missing"),
        ({"to": number(7), "variables": [{"value": ""}]}, "variables[0].value is missing"),
        ({"to": number(7), "variables": "Ana"}, "variables: must be a list of texts"),
        ({"to": number(7), "variables": {"name": "Ana"}}, "variables: must be a list of texts"),
        (LineOfItsOwn(to="12"), "'12' is not a phone number"),
        ({"to": number(7), "custom_fields": {"x": Hostile()}}, ""),
        ({"to": number(7), "custom_fields": {"x": "\udc80"}}, ""),
        (ValueError("line 8 is torn"), "line 8 is torn"),
        (7, "must be a dictionary"),
    ],
)
async def test_a_row_that_cannot_be_sent_is_named_by_its_place_and_holds_up_no_other(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, row: Any, why: str
) -> None:
    seen: list[SendIssue] = []
    source = [*rows(3), row, *rows(5)[3:]]
    for _ in range(2):
        report = await send(client, source, tmp_path / "ledger", on_issue=seen.append)
        assert figures(report) == {"read": 6, "sent": 5, "bad": 1}
        (issue,) = report.issues
        assert (issue.row, issue.state, issue.key) == (3, "bad", None)
        assert why in issue.reason
    assert [(issue.row, issue.reason) for issue in seen] == [(3, issue.reason)] * 2
    assert service.received == {number(place): 1 for place in range(5)}


class Again:
    """Each time it is asked for its iterator it begins anew, as many a class that was written in haste does."""

    def __init__(self) -> None:
        self.left: list[Any] = []

    def __iter__(self) -> Again:
        self.left = rows(3)
        return self

    def __next__(self) -> Any:
        if not self.left:
            raise StopIteration
        return self.left.pop()


class AgainAsync(Again):
    __iter__ = None  # type: ignore[assignment]

    def __aiter__(self) -> AgainAsync:
        self.left = rows(3)
        return self

    async def __anext__(self) -> Any:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


class Poor:
    """Its iterators have the one method that a loop needs."""

    def __iter__(self) -> Any:
        left = iter(rows(3))
        return type("Next", (), {"__next__": lambda _: next(left)})()


class PoorAsync:
    def __aiter__(self) -> Any:
        left = agenerator(rows(3))
        return type("Next", (), {"__anext__": lambda _: anext(left)})()


@pytest.mark.parametrize("source", [Again, AgainAsync, Poor, PoorAsync])
async def test_whatever_a_loop_can_read_is_a_source(client: AsyncLlamadaPro, tmp_path: Path, source: Any) -> None:
    assert figures(await send(client, source(), tmp_path / "ledger")) == {"read": 3, "sent": 3}


async def test_a_source_that_grows_or_is_corrected_sends_what_is_new(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    first = [{"to": number(0)}, {"to": "oops"}, {"to": number(0)}]
    assert figures(await send(client, first, ledger)) == {"read": 3, "sent": 1, "duplicates": 1, "bad": 1}
    second = [{"to": number(0)}, {"to": number(1)}, {"to": number(0)}, {"to": number(2)}]
    assert figures(await send(client, second, ledger)) == {"read": 4, "sent": 3, "duplicates": 1}
    third = [{"to": number(3)}, *second]
    report = await send(client, third, ledger)
    assert (report.sent, report.bad, report.pending) == (4, 0, 0)
    assert service.received == {number(place): 1 for place in range(4)}


@pytest.mark.parametrize(
    ("section", "operation", "row", "common"),
    [
        ("messages", "send_text", {"to": number(1), "text": "Hi"}, {"from_": number(9)}),
        (
            "messages",
            "send",
            {"to_phone_number": number(1)},
            {"from_phone_number": number(9), "content": "Hi", "type_": "text"},
        ),
        (
            "messages",
            "send",
            {"to_phone_number": number(1), "content": ""},  # no caption
            {"from_phone_number": number(9), "type_": "image", "file_id": "file_1"},
        ),
        ("calls", "start_agent", {"to": number(1), "context_variables": {"a": 1}}, {"voice_agent_id": 3}),
        ("calls", "start_adhoc_agent", {"to": number(1)}, {"objectives": ["Confirm"]}),
        ("calls", "bridge", {"to": number(1)}, {"from_": number(9)}),
        ("calls", None, {"to": number(1), "context_variables": {}}, {"voice_agent_id": 3}),
    ],
)
async def test_the_other_operations(
    client: AsyncLlamadaPro, service: Service, ledger: Any, section: str, operation: Any, row: Any, common: Any
) -> None:
    resource = client.messages if section == "messages" else client.calls
    job: Any = resource.send_many if section == "messages" else resource.start_many  # type: ignore[union-attr]
    for _ in range(2):
        report = await job([row, row], operation=operation, common=common, ledger=ledger)
        assert figures(report) == {"read": 2, "sent": 1, "duplicates": 1}
    assert len(service.bodies) == 1


async def test_a_stream_is_sent_while_it_is_read(client: AsyncLlamadaPro, service: Service, ledger: Any) -> None:
    """The source goes on only after its first row has arrived at the service."""

    async def source() -> AsyncIterator[Any]:
        for row in rows(3):
            yield row
            async with asyncio.timeout(5):
                while not service.received[row["to"]]:  # noqa: ASYNC110 - nothing else says so
                    await asyncio.sleep(0.001)

    assert (await send(client, source(), ledger)).sent == 3


async def test_no_more_rows_are_in_memory_than_a_few_turns_take(client: AsyncLlamadaPro, tmp_path: Path) -> None:
    import weakref

    class Row(dict[str, Any]):
        __hash__ = object.__hash__  # type: ignore[assignment]

    alive: weakref.WeakSet[Row] = weakref.WeakSet()
    most = 0

    def source() -> Iterator[Row]:
        nonlocal most
        for place in range(6_000):
            row = Row(to=number(place % 50))
            alive.add(row)
            most = max(most, len(alive))
            yield row

    report = await send(client, source(), tmp_path / "ledger")
    assert figures(report) == {"read": 6_000, "sent": 50, "duplicates": 5_950}
    assert most < 20


# --- whose ledger it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"common": {**COMMON, "from_": number(5)}}, "sender (from_)"),
        ({"common": {**COMMON, "template_name": "other"}}, "template_name"),
        ({"common": {**COMMON, "language_code": "es"}}, "language_code"),
        ({"common": {**COMMON, "user_id": "x"}}, "user_id"),
        ({"operation": "send_text", "common": {"from_": COMMON["from_"], "text": "Hi"}}, "operation"),
        ({"key": "user_id"}, "key"),
    ],
)
async def test_another_campaign_is_refused_and_nothing_sent(
    client: AsyncLlamadaPro, service: Service, ledger: Any, change: dict[str, Any], named: str
) -> None:
    await send(client, rows(2), ledger)
    before = +service.received
    with pytest.raises(InvalidRequestError) as caught:
        await send(client, rows(5), ledger, **change)
    assert f"was begun with {named} " in str(caught.value)
    assert service.received == before


async def test_another_service_and_another_kind_of_job_are_refused(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    service.acts = [lost]
    await send(client, rows(2), ledger)
    async with client_of(service, base_url="http://elsewhere") as other:
        for source in (rows(2), None):
            with pytest.raises(InvalidRequestError, match="base_url http://service, now it is http://elsewhere"):
                await send(other, source, ledger)
    with pytest.raises(InvalidRequestError, match="operation"):
        await client.conversations.import_many([{"funnel_id": 1}], ledger=ledger, run="run")
    with pytest.raises(InvalidRequestError, match="another method"):
        await client.calls.start_many(None, ledger=ledger, run="run", resend_unknown=True)
    assert figures(await send(client, rows(2), ledger)) == {"read": 2, "sent": 1, "unknown": 1}
    assert len(service.bodies) == 2


async def test_one_ledger_holds_several_runs(client: AsyncLlamadaPro, service: Service, ledger: Any) -> None:
    await send(client, rows(3), ledger, run="spring")
    await send(client, rows(3), ledger, run="summer", common={**COMMON, "template_name": "summer"})
    assert service.received == {number(place): 2 for place in range(3)}


async def test_who_joins_needs_no_source_and_a_run_that_was_begun(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    with pytest.raises(InvalidRequestError, match="begun"):
        await client.messages.send_many(None, ledger=ledger, run="run")
    service.always = status(401)
    with pytest.raises(JobError):
        await send(client, rows(30), ledger)
    service.always = None
    report = await client.messages.send_many(None, ledger=ledger, run="run")
    assert figures(report) == {"read": 30, "sent": 30}
    with pytest.raises(InvalidRequestError, match="'other'"):
        await client.messages.send_many(None, ledger=ledger, run="other")


async def test_files_of_others_and_of_the_first_edition_are_refused(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "old.ledger"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(f"pragma application_id = {0x6C6C7001}; create table about (name text, value text);")
    with pytest.raises(InvalidRequestError, match="written by another version"):
        await send(client, rows(1), path)
    path.write_text("to,name\n" * 100)
    with pytest.raises(InvalidRequestError, match="not a database"):
        await send(client, rows(1), path)
    with pytest.raises(InvalidRequestError, match="cannot be reached"):
        await send(client, rows(1), "postgresql://nobody:secret-8f2a@127.0.0.1:1/x")
    with pytest.raises(InvalidRequestError, match="PostgreSQL URL"):
        await send(client, rows(1), "postgresql://[")
    assert service.bodies == []


async def test_the_password_of_a_ledger_is_not_shown(
    client: AsyncLlamadaPro, postgres: PostgresServer, postgres_ledger: str
) -> None:
    postgres.add_role("guarded", "right-password")
    guarded = postgres_ledger.replace("postgres@", "guarded:secret-8f2a@")
    for url in (guarded, "postgresql://nobody:secret-8f2a@127.0.0.1:1/x", "postgresql://nobody:secret-8f2a@[x/y"):
        with pytest.raises(InvalidRequestError) as caught:
            await send(client, rows(1), url)
        error: BaseException | None = caught.value
        assert "secret-8f2a" not in "".join(traceback.format_exception(caught.value))
        while error is not None:
            assert "secret-8f2a" not in f"{error!r}"
            error = error.__context__
        assert ("password authentication failed" in str(caught.value)) is (url == guarded)


async def test_a_file_that_cannot_be_a_ledger_is_refused(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as database:
        database.execute("create table theirs (name text)")
    before = other.read_bytes()
    for ledger, why in (
        (other, "another program: choose another file"),
        (tmp_path, "is a folder; name a file in it"),
        (tmp_path / "no" / "such.ledger", "no folder '.*no'; create it"),
        ("", "ledger must be a path"),
        (7, "ledger must be a path"),
        ("a\0b", "ledger must be a path"),
        ("\ud800", "ledger must be a path"),
        (Path("/proc/version"), "cannot be used"),  # nobody may write there
    ):
        with pytest.raises(InvalidRequestError, match=why):
            await send(client, rows(1), ledger)
    assert other.read_bytes() == before
    assert service.bodies == []


@pytest.mark.parametrize("begun", [False, True])
async def test_a_read_only_database_is_refused_at_once(
    client: AsyncLlamadaPro, service: Service, postgres_ledger: str, begun: bool
) -> None:
    if begun:
        await send(client, rows(1), postgres_ledger)
    url = f"{postgres_ledger}?options=-c%20default_transaction_read_only%3Don"
    async with asyncio.timeout(20):
        with pytest.raises(InvalidRequestError, match="read-only transaction"):
            await send(client, rows(2), url)
    assert len(service.bodies) == begun


@pytest.mark.parametrize(
    "ledger",
    [
        "mysql://ana:hush@127.0.0.1:1/jobs",
        Path("postgresql://ana:hush@127.0.0.1:1/jobs"),
        " postgresql://ana:hush@127.0.0.1:1/jobs",
        "'postgresql://ana:hush@127.0.0.1:1/jobs'",
        "host=127.0.0.1 port=1 password=hush",
        ":memory:",
        "file:people.ledger?mode=memory",
        "postgresql://ana:hu@hush@127.0.0.1:1/jobs",
        "postgresql://ana:1/hush@127.0.0.1:1/jobs",
        "postgresql://ana:hush%@127.0.0.1:1/jobs",
    ],
)
async def test_what_is_no_proper_address_is_no_file_either_and_not_shown(
    client: AsyncLlamadaPro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequestError, match="postgresql://") as caught:
        await send(client, rows(1), ledger)
    assert "hush" not in f"{caught.value!r} {caught.value.__context__!r}"
    assert os.listdir(tmp_path) == []


async def test_a_postgres_ledger_says_which_extra_it_needs(
    client: AsyncLlamadaPro, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "llamadapro_jobs.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"llamadapro\[postgres\]"):
        await send(client, rows(1), "postgresql://127.0.0.1/x")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"concurrency": 0}, "concurrency must be an integer of at least 1"),
        ({"max_attempts": True}, "max_attempts"),
        ({"stop_after": 0}, "stop_after"),
        ({"rate": 0}, "rate must be a number"),
        ({"rate": "20"}, "rate"),
        ({"rate": float("inf")}, "rate"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"run": 7}, "run must be a name"),
        ({"common": [1]}, "common must be a dictionary"),
        ({"common": {"language_code": None}}, "common: language_code is missing"),
        ({"common": {"custom_fields": {"age": float("nan")}}}, "common: custom_fields.age is missing"),
        ({"common": {"tempalte_name": "welcome"}}, "common: send_template has no 'tempalte_name'; did you mean"),
        ({"operation": "send_media"}, "operation must be one of send_template, send_text, send"),
        ({"key": 7}, "key must be"),
        ({"common": {"from_": "12"}}, "from_: '12'"),
        ({"common": {"custom_fields": object()}}, "JSON"),
        ({"key": "phone"}, "key: send_template has no 'phone'"),
        ({"common": {**COMMON, "to": number(3)}}, "key: to is in common"),
        ({"operation": "send", "common": {"to_phone_number": number(3)}}, "key: to_phone_number is in common"),
        ({"key": AsyncMock()}, "key must be a plain function"),
        ({"operation": ["send"]}, "operation must be one of"),
        ({"concurrency": 10**20}, "concurrency must be an integer"),
        ({"timeout": 10**400}, "timeout must be a number"),
        ({"rate": 5e-324}, "rate must be a number"),
        ({"rate": 1e7}, "at most 1e\\+06"),
        ({"run": "\ud800"}, "run must be a name"),
        ({"run": "é" * 1001}, "run must be a name of at most 2,000 bytes"),
        ({"resend_unknown": "false"}, "resend_unknown must be True or False"),
        ({"on_progress": 7}, "on_progress must be a function"),
        ({"on_progress": asyncio.sleep}, "on_progress must be a plain function"),
        ({"on_issue": AsyncMock()}, "on_issue must be a plain function"),
        ({"source": "people.csv"}, "rows must be an iterable"),
    ],
)
async def test_options_that_make_no_sense(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    source = options.pop("source", rows(1))
    with pytest.raises(InvalidRequestError, match=why):
        await send(client, source, tmp_path / "ledger", **options)
    assert service.bodies == []
    assert not (tmp_path / "ledger").exists()


# --- what becomes of a row ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act", [status(503), status(500), status(408), lost, lambda body: httpx.Response(200, content=b"{")]
)
async def test_a_lost_answer_makes_a_row_unknown_which_is_sent_again_only_when_asked_for(
    client: AsyncLlamadaPro, service: Service, ledger: Any, act: Act
) -> None:
    service.acts = [None, act]
    for _ in range(2):
        report = await send(client, rows(4), ledger, concurrency=1)
        assert figures(report) == {"read": 4, "sent": 3, "unknown": 1}
        (issue,) = report.issues
        assert (issue.state, issue.key, issue.row) == ("unknown", number(1), 1)
        assert issue.reason
        assert issue.item == rows(4)[1]
        assert len(service.bodies) == 4
    assert figures(await send(client, rows(4), ledger, resend_unknown=True)) == {"read": 4, "sent": 4}
    assert service.received == {number(place): 1 for place in range(4)}


@pytest.mark.parametrize("code", [400, 409, 422])
async def test_what_the_service_refuses_is_not_sent_again(
    client: AsyncLlamadaPro, service: Service, ledger: Any, code: int
) -> None:
    seen: list[SendIssue] = []
    service.acts = [None, status(code)]
    for _ in range(2):
        report = await send(client, rows(3), ledger, concurrency=1, on_issue=seen.append)
        assert figures(report) == {"read": 3, "sent": 2, "refused": 1}
    assert [(issue.row, issue.state) for issue in seen] == [(1, "refused")]
    assert str(code) in seen[0].reason
    assert len(service.bodies) == 3


async def test_a_429_is_tried_again_not_before_its_time(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    service.acts = [status(429, **{"Retry-After": "40"})] * 2
    report = await send(client, rows(2), tmp_path / "ledger")
    assert figures(report) == {"read": 2, "sent": 2}
    assert report.elapsed >= 40
    assert len(service.bodies) == 4


async def test_a_429_frees_its_place_for_others(client: AsyncLlamadaPro, service: Service, ledger: Any) -> None:
    service.acts = [status(429, **{"Retry-After": "0.2"})]
    report = await send(client, rows(5), ledger, concurrency=1)
    assert figures(report) == {"read": 5, "sent": 5}
    assert service.bodies[0] == service.bodies[5]


async def test_a_row_that_meets_429_too_often_is_refused(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    def limited(body: Any) -> httpx.Response:
        wrong = body["toPhoneNumber"] == number(1)
        return httpx.Response(429, headers={"Retry-After": "0.01"}) if wrong else httpx.Response(201, json={"id": "m"})

    service.always = limited
    report = await send(client, rows(3), ledger, max_attempts=3)
    assert figures(report) == {"read": 3, "sent": 2, "refused": 1}
    assert sum(body["toPhoneNumber"] == number(1) for body in service.bodies) == 3


async def test_a_row_that_is_pending_again_may_be_claimed_in_the_very_turn_that_says_so(
    client: AsyncLlamadaPro, service: Service, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamadapro_jobs.run.BACK_OFF", -1.0)  # its time has come before the claim is looked for
    service.acts = [unreachable] * 7
    report = await send(client, rows(3), ledger)
    assert figures(report) == {"read": 3, "sent": 3}
    assert service.received == {number(place): 1 for place in range(3)}


# --- what stops a run --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "kind", "left"),
    [
        (status(429, **{"Retry-After": "0.01"}), RateLimitError, "pending"),
        (unreachable, Exception, "pending"),
        (status(503), APIStatusError, "unknown"),
        (lost, Exception, "unknown"),
    ],
)
async def test_failures_in_a_row_stop_the_run_and_the_next_goes_on(
    client: AsyncLlamadaPro, service: Service, ledger: Any, act: Act, kind: type[Exception], left: str
) -> None:
    service.always = act
    with pytest.raises(JobError) as caught:
        await send(client, rows(100), ledger, stop_after=10, concurrency=4, max_attempts=1000)
    assert isinstance(caught.value.__cause__, kind)
    report = caught.value.report
    assert report.read == 100 == report.pending + report.unknown
    assert 10 <= len(service.bodies) <= 14
    assert report.unknown == (len(service.bodies) if left == "unknown" else 0)
    service.always = None
    again = await send(client, rows(100), ledger)
    assert again.sent == 100 - report.unknown
    assert {*service.received.values()} == {1}


async def test_failures_that_are_not_in_a_row_do_not_stop_it(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    service.acts = [act for _ in range(20) for act in (status(503), status(503), None)]
    report = await send(client, rows(60), tmp_path / "ledger", stop_after=3, concurrency=1)
    assert figures(report) == {"read": 60, "sent": 20, "unknown": 40}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, AuthenticationError),
        (404, NotFoundError),
        *[(code, APIStatusError) for code in (402, 403, 407, 415, 302)],
    ],
)
async def test_what_would_hit_every_row_stops_the_run_at_once(
    client: AsyncLlamadaPro, service: Service, ledger: Any, code: int, kind: type[Exception]
) -> None:
    service.acts = [None, status(code)]
    with pytest.raises(JobError) as caught:
        await send(client, rows(50), ledger, concurrency=1)
    assert isinstance(caught.value.__cause__, kind)
    assert figures(caught.value.report) == {"read": 50, "sent": 1, "pending": 49}
    assert len(service.bodies) == 2
    assert figures(await send(client, rows(50), ledger)) == {"read": 50, "sent": 50}


async def test_what_is_no_exception_out_of_a_tool_stops_it_too(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    def broken(body: Any) -> httpx.Response:
        raise GeneratorExit

    service.acts = [broken]
    with pytest.raises(JobError, match=r"a request raised GeneratorExit\(\)") as caught:
        await send(client, rows(9), ledger, concurrency=1)
    assert figures(caught.value.report) == {"read": 9, "unknown": 1, "pending": 8}


async def test_what_a_failing_ledger_could_not_note_is_reported_as_unknown(
    client: AsyncLlamadaPro, service: Service, postgres_ledger: str
) -> None:
    async def drop(body: Any) -> httpx.Response:
        async with await psycopg.AsyncConnection.connect(postgres_ledger, autocommit=True) as connection:
            await connection.execute("drop table llamadapro_units")
        return httpx.Response(201, json={})

    service.acts = [drop]
    with pytest.raises(JobError, match="cannot be used: relation") as caught:
        await send(client, rows(3), postgres_ledger, concurrency=1)
    assert figures(caught.value.report) == {"read": 3, "unknown": 1, "pending": 2}


async def test_a_closed_client_stops_the_run(client: AsyncLlamadaPro, service: Service, tmp_path: Path) -> None:
    await client.aclose()
    with pytest.raises(JobError) as caught:
        await send(client, rows(5), tmp_path / "ledger")
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert figures(caught.value.report) == {"read": 5, "pending": 5}


async def test_an_exception_from_on_progress_sees_out_what_is_being_sent(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    async def slow(body: Any) -> httpx.Response:
        await asyncio.sleep(0.02)
        return httpx.Response(201)

    def enough(report: SendReport) -> None:
        if report.sent >= 10:
            raise KeyError("enough")

    service.always = slow
    with pytest.raises(JobError, match="enough") as caught:
        await send(client, rows(200), ledger, on_progress=enough, concurrency=5)
    assert isinstance(caught.value.__cause__, KeyError)
    report = caught.value.report
    assert (report.unknown, report.refused) == (0, 0)
    assert 10 <= report.sent == sum(service.received.values()) < 100
    assert report.sent + report.pending == report.read
    service.always = None
    assert (await send(client, rows(200), ledger)).sent == 200
    assert {*service.received.values()} == {1}


async def test_what_the_source_raises_comes_out_with_what_was_read_left_pending_or_sent(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    def torn() -> Iterator[Any]:
        yield from rows(30)
        raise OSError("the file is gone")

    with pytest.raises(JobError, match="the file is gone") as caught:
        await send(client, torn(), ledger)
    assert isinstance(caught.value.__cause__, OSError)
    report = caught.value.report
    assert report.sent + report.pending == report.read == 30
    assert figures(await send(client, rows(30), ledger)) == {"read": 30, "sent": 30}
    assert {*service.received.values()} == {1}


async def test_an_async_source_that_fails_midway_has_not_come_to_its_end(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    async def torn(error: BaseException) -> AsyncIterator[Any]:
        for row in rows(5):
            yield row
        raise error

    def torn_at_once(error: BaseException) -> Iterator[Any]:
        yield from rows(5)
        raise error

    class Unopened:
        def __iter__(self) -> Iterator[Any]:
            raise OSError("cannot be opened")

    with pytest.raises(JobError, match="cannot be opened"):
        await send(client, Unopened(), ledger)
    with pytest.raises(JobError, match=r"raised GeneratorExit\(\)"):
        await send(client, torn_at_once(GeneratorExit()), ledger)
    for error, why in (
        (OSError("the line is dead"), "the line is dead"),
        (asyncio.CancelledError(), "was cancelled"),
        (GeneratorExit(), "raised GeneratorExit"),
    ):
        with pytest.raises(JobError, match=why) as caught:
            await send(client, torn(error), ledger)
        assert figures(caught.value.report) == {"read": 5, "sent": 5}
    assert service.received == {number(place): 1 for place in range(5)}


async def test_a_source_that_was_closed_has_no_rows(client: AsyncLlamadaPro, tmp_path: Path) -> None:
    source = agenerator(rows(5))
    await source.aclose()
    assert figures(await send(client, source, tmp_path / "ledger")) == {}


async def never(body: Any) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_run_ends_by_its_timeout(client: AsyncLlamadaPro, service: Service, ledger: Any) -> None:
    service.acts = [None, never]
    with pytest.raises(JobError) as caught:
        await send(client, rows(9), ledger, concurrency=1, timeout=1.0)
    assert isinstance(caught.value.__cause__, WaitTimeoutError)
    assert figures(caught.value.report) == {"read": 9, "sent": 1, "unknown": 1, "pending": 7}


async def test_cancelling_leaves_the_ledger_in_order_and_no_task(
    client: AsyncLlamadaPro, service: Service, ledger: Any
) -> None:
    before = asyncio.all_tasks()
    service.acts = [None, never, never]
    task = asyncio.create_task(send(client, rows(9), ledger, concurrency=2))
    async with asyncio.timeout(5):
        while len(service.bodies) < 3:  # noqa: ASYNC110 - nothing else says so
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert figures(await send(client, rows(9), ledger)) == {"read": 9, "sent": 7, "unknown": 2}


# --- rate and figures --------------------------------------------------------------------------------------------


async def test_the_rate_is_kept(service: Service, tmp_path: Path) -> None:

    clock = FakeClock()
    moments: list[float] = []

    def note(body: Any) -> httpx.Response:
        moments.append(clock.now())
        return httpx.Response(201)

    service.always = note
    async with client_of(service, _clock=clock) as client:
        await send(client, rows(100), tmp_path / "ledger", rate=20)
        await send(client, [{"to": number(1000 + place)} for place in range(20)], tmp_path / "ledger")
    moments.sort()
    within = max(sum(start <= moment < start + 1 for moment in moments) for start in moments)
    assert within <= 21
    assert moments[-1] - moments[0] >= 119 / 20 - 0.1


async def test_a_clock_that_was_wrong_and_a_rate_that_was_lower_hold_up_no_later_run(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, now = FakeClock(), time.time
    async with client_of(service, _clock=clock) as client:
        service.acts = [status(401)]
        monkeypatch.setattr(time, "time", lambda: now() + 1e7)
        with pytest.raises(JobError):
            await send(client, rows(2), tmp_path / "ledger", rate=0.001, concurrency=1)
        monkeypatch.undo()
        clock.sleeps.clear()
        assert figures(await send(client, rows(2), tmp_path / "ledger", rate=100)) == {"read": 2, "sent": 2}
        assert sum(clock.sleeps) < 60


async def test_a_process_that_was_held_up_sends_no_burst_and_goes_on_at_its_rate(
    service: Service, tmp_path: Path
) -> None:
    clock, moments, rate, held_up = SimulatedClock(), list[float](), 20, 1.5

    def note(body: Any) -> httpx.Response:
        moments.append(clock.now())
        if len(moments) == 50:
            clock.advance(held_up)
        return httpx.Response(201)

    service.always = note
    async with client_of(service, _clock=clock) as client, clock.running():
        assert (await send(client, rows(300), tmp_path / "ledger", rate=rate)).sent == 300
    assert max(sum(start <= moment < start + 5 for moment in moments) for start in moments) <= 5 * 1.05 * rate
    assert moments[-1] - moments[0] <= 299 / rate + held_up + 0.1
    assert set(service.received.values()) == {1}


async def test_a_process_that_is_always_late_gets_on(service: Service, tmp_path: Path) -> None:
    class Late(SimulatedClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + 0.5)

    clock = Late()
    async with client_of(service, _clock=clock) as client, clock.running():
        assert (await send(client, rows(50), tmp_path / "ledger", rate=20)).sent == 50


async def test_each_report_accounts_for_every_row_that_was_read(client: AsyncLlamadaPro, ledger: Any) -> None:
    names = ("sent", "duplicates", "bad", "refused", "unknown", "pending")
    read: list[int] = []

    def note(report: SendReport) -> None:
        assert report.read == sum(getattr(report, name) for name in names)
        read.append(report.read)

    source = [*rows(1200), *rows(300), *[{"to": "12"}] * 100]
    for more in (0, 700):
        await send(client, [*source, *rows(more)], ledger, on_progress=note)
        assert max(read) == len(source) + more


async def test_issues_in_memory_are_bounded_and_counted(client: AsyncLlamadaPro, tmp_path: Path) -> None:
    seen: list[SendIssue] = []
    bad = [{"to": str(place)} for place in range(50)]
    report = await send(client, bad, tmp_path / "ledger", max_issues=7, on_issue=seen.append)
    assert (len(report.issues), report.more_issues, len(seen), report.bad) == (7, 43, 50, 50)
    assert str(report) == "50 rows read: 0 sent, 50 bad"


async def test_a_file_is_used_by_one_campaign_at_a_time(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    async def meanwhile(body: Any) -> httpx.Response:
        with pytest.raises(InvalidRequestError, match="another campaign is using it"):
            await send(client, rows(2), tmp_path / "ledger")
        return httpx.Response(201)

    service.acts = [meanwhile]
    assert (await send(client, rows(1), tmp_path / "ledger")).complete


async def test_a_common_number_is_checked_before_anything_else(client: AsyncLlamadaPro, tmp_path: Path) -> None:
    with pytest.raises(InvalidPhoneNumberError, match="from_: "):
        await send(client, rows(1), tmp_path / "ledger", common={**COMMON, "from_": "whatsapp:+56912345678"})
