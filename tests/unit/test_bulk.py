"""Batches and imports: what is sent, what is not, and what is known afterwards; against a service of a few lines."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import sqlite3
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamadapro import (
    APIConnectionError,
    APIStatusError,
    AsyncLlamadaPro,
    AuthenticationError,
    ConfigurationError,
    ImportIssue,
    ImportReport,
    InvalidPhoneNumberError,
    InvalidRequestError,
    JobError,
    LlamadaProError,
    NotFoundError,
    PermissionDeniedError,
    WaitTimeoutError,
)
from llamadapro.models import BulkResult
from llamadapro_jobs.ledger import Granted, Turn
from llamadapro_jobs.sqlite import SqliteLedger
from tests.clocks import FakeClock

Act = Callable[[list[Any]], httpx.Response | Awaitable[httpx.Response]]


def taken(items: list[Any]) -> httpx.Response:
    """Every item is taken, but those whose funnel is 404; those of funnel 300 with a warning."""
    listed = [
        {"index": index, "errors": [{"field": "funnelId", "message": "unknown", "code": "NOT_FOUND"}], "warnings": []}
        for index, item in enumerate(items)
        if item.get("funnelId") == 404
    ] + [
        {"index": index, "errors": [], "warnings": [{"field": "funnelId", "message": "old"}], "existingEntities": {}}
        for index, item in enumerate(items)
        if item.get("funnelId") == 300
    ]
    refused = sum(bool(one["errors"]) for one in listed)
    counts = {"successful": len(items) - refused, "warnings": len(listed) - refused, "duplicates": 0}
    counts |= {"errors": refused, "total": len(items)}
    return answer({"itemsIssues": listed, "batchErrors": [], "counts": counts})


def answer(report: Any) -> httpx.Response:
    return httpx.Response(200, json={"message": "done", "operationId": "bulk_1", "report": report})


def status(code: int, **headers: str) -> Act:
    return lambda items: httpx.Response(code, json={"code": code, "message": "no"}, headers=headers)


def broken(items: list[Any]) -> httpx.Response:
    raise httpx.ReadError("the connection broke")


def unreachable(items: list[Any]) -> httpx.Response:
    raise httpx.ConnectError("refused")


class Service:
    """Does with each request what `acts` says, in turn, and then takes everything."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.received: list[list[Any]] = []
        self.methods: list[str] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)["conversations"]
        self.received.append(items)
        self.methods.append(request.method)
        act = self.acts.pop(0) if self.acts else taken
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            response = act(items)
            return response if isinstance(response, httpx.Response) else await response
        finally:
            self.at_once -= 1

    @property
    def markers(self) -> list[Any]:
        """The rows received, in order, as often as they came."""
        return [item["customFields"]["n"] for items in self.received for item in items]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncLlamadaPro]:
    async with client_of(service) as client:
        yield client


@contextlib.asynccontextmanager
async def client_of(service: Service, **options: Any) -> AsyncIterator[AsyncLlamadaPro]:
    options = {"base_url": "http://service", "_clock": FakeClock()} | options
    async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as http:
        yield AsyncLlamadaPro("key", http_client=http, **options)


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"funnel_id": 1, "custom_fields": {"n": number}, **more} for number in range(count)]


# --- one batch ---------------------------------------------------------------------------------------------------


async def test_issues_lead_back_to_the_callers_own_items(client: AsyncLlamadaPro) -> None:
    items = [{"funnel_id": 1}, {"funnel_id": 404}, {"funnel_id": 300}]
    result = await client.conversations.bulk_create(items)
    assert isinstance(result, BulkResult)
    assert result.report.counts is not None
    assert (result.report.counts.successful, result.report.counts.errors) == (2, 1)
    (refused, errors, nothing), (doubtful, _, warnings) = result.issues
    assert refused is items[1]
    assert [error.code for error in errors] == ["NOT_FOUND"]
    assert nothing == []
    assert doubtful is items[2]
    assert warnings[0].message == "old"
    assert result.message == "done"
    assert result.to_dict().keys() == {"message", "operationId", "report"}


async def test_a_batch_may_be_any_iterable_and_is_sent_once(client: AsyncLlamadaPro, service: Service) -> None:
    result = await client.conversations.bulk_update({"id": number} for number in range(3))
    assert service.methods == ["PUT"]
    assert [item["id"] for item in service.received[0]] == [0, 1, 2]
    assert [item["id"] for item in result.items] == [0, 1, 2]


@pytest.mark.parametrize("index", [None, -1, 2, "0"])
async def test_an_index_that_was_not_sent_leads_to_no_item(
    client: AsyncLlamadaPro, service: Service, index: Any
) -> None:
    service.acts = [
        lambda items: answer({"itemsIssues": [None, {"index": index, "errors": [{"message": "what?"}, None]}]})
    ]
    result = await client.conversations.bulk_create(rows(2))
    assert [(item, [error.message for error in errors]) for item, errors, _ in result.issues] == [(None, ["what?"])]


@pytest.mark.parametrize("report", [None, {}, {"itemsIssues": None}])
async def test_a_report_that_says_nothing_has_no_issues(client: AsyncLlamadaPro, service: Service, report: Any) -> None:
    service.acts = [lambda items: answer(report)]
    assert (await client.conversations.bulk_create(rows(2))).issues == []


async def test_all_bad_numbers_of_a_batch_are_named_at_once_and_nothing_is_sent(
    client: AsyncLlamadaPro, service: Service
) -> None:
    items = [
        {"funnel_id": 1, "contact": {"phones": ["+56912345678", "12"]}},
        {"funnel_id": 1, "contact": {"phones": ("+56912345678",)}},
        {"funnel_id": 1, "contact": {"phones": ["whatsapp:+56912345678"]}},
    ]
    with pytest.raises(InvalidPhoneNumberError, match="2 of 3 items") as caught:
        await client.conversations.bulk_create(items)
    assert "\n  [0].contact.phones[1]: '12'" in str(caught.value)
    assert "\n  [2].contact.phones[0]: 'whatsapp:" in str(caught.value)
    with pytest.raises(InvalidPhoneNumberError, match="and 10 more"):
        await client.conversations.bulk_update([{"id": 1, "contact": {"phones": ["x"]}}] * 30)
    assert service.received == []


async def test_national_numbers_become_international_in_a_copy(service: Service) -> None:
    items = [{"funnel_id": 1, "contact": {"first_name": "Ana", "phones": ["9 1234 5678"]}}]
    before = copy.deepcopy(items)
    async with client_of(service, default_region="CL") as client:
        result = await client.conversations.bulk_create(items)
        await client.conversations.import_many(items)
    assert [received[0]["contact"]["phones"] for received in service.received] == [["+56912345678"]] * 2
    assert service.received[0][0]["contact"]["firstName"] == "Ana"
    assert items == before
    assert result.items[0] is items[0]


async def test_what_is_no_dictionary_goes_to_the_service_to_be_judged(
    client: AsyncLlamadaPro, service: Service
) -> None:
    service.acts = [lambda items: answer({"counts": {}})]
    odd: list[Any] = [None, 7, {"contact": None}, {"contact": {"phones": None}}, {"anything": "else"}]
    await client.conversations.bulk_create(odd)
    assert service.received == [odd]


async def test_create_checks_the_contacts_numbers_too(client: AsyncLlamadaPro, service: Service) -> None:
    with pytest.raises(InvalidPhoneNumberError, match=r"contact\.phones\[0\]"):
        await client.conversations.create(funnel_id=1, contact={"phones": ["12"]})
    assert service.received == []


# --- an import ---------------------------------------------------------------------------------------------------


async def agenerator(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


@pytest.mark.parametrize("source", [list, tuple, iter, agenerator, lambda items: (item for item in items)])
async def test_any_source_is_imported_in_chunks(client: AsyncLlamadaPro, service: Service, source: Any) -> None:
    report = await client.conversations.import_many(source(rows(25)), chunk_size=10, concurrency=2)
    assert [len(items) for items in service.received] == [10, 10, 5]
    assert sorted(service.markers) == [*range(25)]
    assert (report.read, report.sent, report.successful, report.chunks) == (25, 25, 25, 3)
    assert report.complete
    assert report.issues == []


async def test_nothing_to_import(client: AsyncLlamadaPro, service: Service) -> None:
    report = await client.conversations.import_many([])
    assert report.complete
    assert (report.read, report.chunks) == (0, 0)
    assert service.received == []


async def test_bad_rows_and_refused_ones_are_reported_by_their_place_in_the_source(
    client: AsyncLlamadaPro, service: Service
) -> None:
    items: list[Any] = rows(30)
    items[3]["funnel_id"] = "three"
    items[7]["contact"] = {"phones": ["+56912345678", "12"]}
    items[8]["funnel_id"] = 404
    items[14] = {"custom_fields": {"n": 14}}
    items[15] = 15
    items[16] = ValueError("line 18 is torn")
    items[17]["funel_id"] = 1
    items[18]["funnel_id"] = 300
    items[19]["created_at"] = "2026-02-15T10:00:00"
    items[29]["funnel_id"] = 404
    reported: list[ImportIssue] = []
    report = await client.conversations.import_many(items, chunk_size=10, on_issue=reported.append)
    bad = [3, 7, 14, 15, 16, 17, 19]
    assert sorted(service.markers) == [number for number in range(30) if number not in bad]
    assert (report.read, report.bad, report.sent, report.refused, report.warnings) == (30, 7, 23, 2, 1)
    assert (report.successful, report.unaccounted, report.complete) == (21, 0, False)
    assert [issue.row for issue in report.issues] == [3, 7, 8, 14, 15, 16, 17, 18, 19, 29]
    assert sorted(reported, key=lambda issue: issue.row or 0) == report.issues
    assert [issue.row for issue in report.issues if not issue.sent] == bad
    assert all(issue.item is items[issue.row] for issue in report.issues if issue.row is not None)
    reasons = {issue.row: issue.reason for issue in report.issues}
    assert reasons[3] == "funnel_id: must be an integer, not 'three' (str)"
    assert reasons[7].startswith("contact.phones[1]: '12' is not a phone number")
    assert reasons[8] == "funnelId: unknown"
    assert reasons[14] == "lacks funnel_id"
    assert reasons[15] == "must be a dictionary, not 15 (int)"
    assert reasons[16] == "line 18 is torn"
    assert "did you mean 'funnel_id'?" in reasons[17]
    assert reasons[18] == "funnelId: old"
    assert reasons[19].startswith("created_at: 2026-02-15T10:00:00 has no time zone")


async def test_what_json_cannot_hold_spoils_its_row_alone(client: AsyncLlamadaPro, service: Service) -> None:
    items = rows(7)
    deep: Any = {}
    endless: Any = {}
    endless["x"] = endless
    for _ in range(300):
        deep = {"x": deep}
    for row, value in enumerate(("\udc80", 2**70, {"\udc80": 1}, deep, endless), 1):
        items[row]["custom_fields"]["odd"] = value
    report = await client.conversations.import_many(items)
    assert service.markers == [0, 6]
    assert [issue.row for issue in report.issues] == [1, 2, 3, 4, 5]
    assert all(issue.reason for issue in report.issues)


async def test_a_chunk_of_bad_rows_alone_is_not_sent(client: AsyncLlamadaPro, service: Service, tmp_path: Path) -> None:
    items = [*({"funnel_id": None, "nonsense": 1} for _ in range(5)), *rows(2)]
    for _ in range(2):
        report = await client.conversations.import_many(items, chunk_size=5, ledger=tmp_path / "ledger")
        assert (report.bad, report.successful, report.failed, report.unknown) == (5, 2, [], [])
    assert [len(received) for received in service.received] == [2]


async def test_updates_go_to_the_other_operation(client: AsyncLlamadaPro, service: Service) -> None:
    items = [{"id": 5, "contact": {"first_name": "Ana"}}, {"funnel_id": 3}]
    report = await client.conversations.import_many(items, update=True)
    assert service.methods == ["PUT"]
    assert (report.successful, report.bad) == (1, 1)


async def test_issues_in_memory_are_bounded_and_counted(client: AsyncLlamadaPro) -> None:
    reported: list[ImportIssue] = []
    items = [{"nonsense": number} for number in range(50)]
    report = await client.conversations.import_many(items, chunk_size=10, max_issues=7, on_issue=reported.append)
    assert (len(report.issues), report.more_issues, len(reported), report.bad) == (7, 43, 50, 50)


async def test_the_source_is_read_no_faster_than_it_is_sent(client: AsyncLlamadaPro, service: Service) -> None:
    read = 0
    answered = asyncio.Semaphore(0)

    async def wait(items: list[Any]) -> httpx.Response:
        await answered.acquire()
        return taken(items)

    def source() -> Iterator[dict[str, Any]]:
        nonlocal read
        for row in rows(100):
            read += 1
            yield row

    service.acts = [wait] * 10
    task = asyncio.create_task(client.conversations.import_many(source(), chunk_size=10, concurrency=3))
    for chunks in range(3, 11):
        await until(lambda n=chunks: len(service.received) == n)  # type: ignore[misc]
        await asyncio.sleep(0.005)
        assert read == 10 * chunks
        answered.release()
    answered.release()
    answered.release()
    assert (await task).successful == 100
    assert service.most_at_once == 3


async def test_memory_is_bounded_by_the_chunks_in_hand(client: AsyncLlamadaPro, service: Service) -> None:
    class Row(dict[str, Any]):
        __hash__ = object.__hash__  # type: ignore[assignment]

    alive: weakref.WeakSet[Row] = weakref.WeakSet()
    most = 0

    def source() -> Iterator[Row]:
        nonlocal most
        for number in range(2_000):
            row = Row(funnel_id=404, custom_fields={"n": number})
            alive.add(row)
            most = max(most, len(alive))
            yield row

    report = await client.conversations.import_many(source(), chunk_size=20, concurrency=3, max_issues=10)
    assert report.refused == 2_000
    assert most <= 20 * (3 + 1) + 10


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - there is no event for "the client has got so far"
            await asyncio.sleep(0)


# --- what becomes of a chunk -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act", [status(503), status(500), status(408), broken, lambda items: httpx.Response(200, content=b"{")]
)
async def test_a_lost_answer_makes_a_chunk_unknown_which_is_only_sent_again_when_asked_for(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, act: Act
) -> None:
    ledger = tmp_path / "ledger"
    items = rows(9)
    items[4]["funnel_id"] = "bad"
    service.acts = [taken, act, taken]
    for _ in range(2):
        report = await client.conversations.import_many(items, chunk_size=3, concurrency=1, ledger=ledger)
        (unknown,) = report.unknown
        assert (unknown.number, unknown.first, unknown.last, unknown.rows) == (1, 3, 5, 2)
        assert unknown.reason
        assert (report.successful, report.bad, report.unknown_rows, report.unaccounted) == (6, 1, 2, 0)
        assert not report.complete
        assert service.markers == [0, 1, 2, 3, 5, 6, 7, 8]
    report = await client.conversations.import_many(items, chunk_size=3, ledger=ledger, resend_unknown=True)
    assert service.markers[8:] == [3, 5]
    assert (report.successful, report.unknown) == (8, [])


@pytest.mark.parametrize(
    ("acts", "attempts"), [([status(400)], 1), ([status(422)], 1), ([status(429)] * 3, 3), ([unreachable] * 3, 3)]
)
async def test_a_chunk_that_was_not_processed_is_sent_again_by_the_next_run(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, acts: list[Act], attempts: int
) -> None:
    service.acts = [taken, *acts, taken]
    report = await client.conversations.import_many(rows(9), chunk_size=3, concurrency=1, ledger=tmp_path / "ledger")
    (failed,) = report.failed
    assert (failed.first, failed.last, failed.rows) == (3, 5, 3)
    assert (report.successful, report.failed_rows, report.sent, report.unaccounted) == (6, 3, 6, 0)
    assert len(service.received) == 2 + attempts
    service.received.clear()
    report = await client.conversations.import_many(rows(9), chunk_size=3, ledger=tmp_path / "ledger")
    assert service.markers == [3, 4, 5]
    assert report.complete
    assert report.resumed == 2


async def test_a_429_is_waited_for(client: AsyncLlamadaPro, service: Service) -> None:
    service.acts = [status(429, **{"Retry-After": "7"}), taken]
    report = await client.conversations.import_many(rows(3))
    assert report.complete
    assert report.elapsed >= 7


@pytest.mark.parametrize(
    ("report", "state", "successful", "refused", "unaccounted"),
    [
        (None, "unknown", 0, 0, 0),
        ({}, "unknown", 0, 0, 0),
        ({"counts": {}}, "unknown", 0, 0, 0),
        ({"batchErrors": [{"message": "no"}], "itemsIssues": []}, "unknown", 0, 0, 0),
        ({"batchErrors": [None, {"message": "too many"}], "counts": {"successful": 0}}, "failed", 0, 0, 0),
        ({"itemsIssues": [{"index": 1, "errors": [{"message": "no"}]}]}, "done", 4, 1, 0),
        ({"counts": {"successful": 3, "errors": 2}}, "done", 3, 2, 0),
        ({"counts": {"successful": 3.0, "errors": 9}}, "done", 3, 2, 0),
        ({"counts": {"successful": 0, "errors": 5}, "batchErrors": []}, "done", 0, 5, 0),
        ({"counts": {"successful": 3, "duplicates": 2}, "itemsIssues": []}, "done", 3, 0, 2),
        ({"counts": {"successful": 99}, "itemsIssues": [{"index": 1, "errors": [{"message": "no"}]}]}, "done", 4, 1, 0),
        ({"counts": {"successful": 4}, "itemsIssues": [{"index": 1, "errors": [{"code": "A"}]}] * 2}, "done", 4, 1, 0),
        ({"counts": {"successful": -3, "errors": 2}}, "done", 0, 2, 3),
        ({"batchErrors": [{"message": "half"}], "counts": {"successful": 2}, "itemsIssues": []}, "done", 2, 0, 3),
    ],
)
async def test_reports_that_say_less_than_the_document_lose_no_row(
    client: AsyncLlamadaPro,
    service: Service,
    report: Any,
    state: str,
    successful: int,
    refused: int,
    unaccounted: int,
) -> None:
    service.acts = [lambda items: answer(report)]
    got = await client.conversations.import_many(rows(5))
    assert (len(got.unknown), len(got.failed)) == (state == "unknown", state == "failed")
    assert (got.successful, got.refused, got.unaccounted) == (successful, refused, unaccounted)
    assert got.read == got.successful + got.refused + got.unaccounted + got.unknown_rows + got.failed_rows
    assert not got.complete


# --- the ledger --------------------------------------------------------------------------------------------------


async def test_what_is_done_is_not_sent_again_and_the_report_is_complete(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    items = rows(20)
    items[2]["funnel_id"] = 404
    items[3]["funnel_id"] = "bad"
    first = await client.conversations.import_many(items, chunk_size=6, ledger=tmp_path / "ledger")
    reported: list[ImportIssue] = []
    second = await client.conversations.import_many(
        items, chunk_size=6, ledger=str(tmp_path / "ledger"), on_issue=reported.append
    )
    assert len(service.received) == 4
    assert (first.resumed, second.resumed, second.chunks) == (0, 4, 4)
    assert second.issues == first.issues == sorted(reported, key=lambda issue: issue.row or 0)
    assert second.issues[0].item is items[2]
    for figure in ("read", "successful", "refused", "bad", "sent", "unaccounted"):
        assert getattr(first, figure) == getattr(second, figure)


def states(ledger: Path) -> list[str]:
    """The states of all chunks, as the file has them: nobody holds it, or it holds itself only against writers."""
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        return [state for (state,) in database.execute("select state from llamadapro_units order by id")]


async def test_a_chunk_is_written_down_before_it_is_sent(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    copies: list[list[str]] = []

    def look(items: list[Any]) -> httpx.Response:
        # A copy is what a crash at this moment would leave behind.
        for suffix in ("", "-wal"):
            (tmp_path / f"copy{suffix}").write_bytes((tmp_path / f"ledger{suffix}").read_bytes())
        copies.append(states(tmp_path / "copy"))
        return taken(items)

    service.acts = [look]
    await client.conversations.import_many(rows(2), ledger=tmp_path / "ledger")
    assert copies == [["sending"]]
    assert states(tmp_path / "ledger") == ["sent"]


async def test_a_chunk_found_as_sending_is_unknown(client: AsyncLlamadaPro, service: Service, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    await client.conversations.import_many(rows(4), chunk_size=2, ledger=ledger)
    with contextlib.closing(sqlite3.connect(ledger)) as database:  # as a process leaves it that dies while it sends
        database.execute("update llamadapro_units set state = 'sending' where key = '1'")
        database.commit()
    report = await client.conversations.import_many(rows(4), chunk_size=2, ledger=ledger)
    assert [(chunk.first, chunk.last) for chunk in report.unknown] == [(2, 3)]
    assert "ended before its answer came" in report.unknown[0].reason
    assert len(service.received) == 2


def changed_row(items: list[Any]) -> list[Any]:
    items[4]["funnel_id"] = 2
    return items


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (changed_row, "rows 3 to 5 differ"),
        (lambda items: items[1:], "rows 0 to 2 differ"),
        (lambda items: items[:6], "ended after 6 rows, and the ledger knows 8"),
        (lambda items: [*items, items[0]], "rows 6 to 8 differ"),
        (lambda items: [*items[:4], ValueError("torn"), *items[5:]], "rows 3 to 5 differ"),
        (lambda items: [], "ended after 0 rows"),
    ],
)
async def test_another_source_is_noticed(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, change: Callable[[list[Any]], Any], where: str
) -> None:
    await client.conversations.import_many(rows(8), chunk_size=3, ledger=tmp_path / "ledger")
    with pytest.raises(InvalidRequestError, match=where) as caught:
        await client.conversations.import_many(change(rows(8)), chunk_size=3, ledger=tmp_path / "ledger")
    assert "Give a changed source a ledger of its own" in str(caught.value)
    assert len(service.received) == 3


async def test_rows_are_distinguished_by_their_content_not_by_how_it_is_split(
    client: AsyncLlamadaPro, tmp_path: Path
) -> None:
    def odd(name: str) -> list[Any]:
        return [ValueError(name), {1: name}, "text" + name, {"a": 2**80, "b": name}, object]

    await client.conversations.import_many(odd("x"), ledger=tmp_path / "ledger")
    assert (await client.conversations.import_many(odd("x"), ledger=tmp_path / "ledger")).resumed == 1
    with pytest.raises(InvalidRequestError, match="differ"):
        await client.conversations.import_many(odd("y"), ledger=tmp_path / "ledger")


async def test_the_order_of_keys_does_not_matter(client: AsyncLlamadaPro, tmp_path: Path) -> None:
    await client.conversations.import_many([{"funnel_id": 1, "user_id": 2}], ledger=tmp_path / "ledger")
    report = await client.conversations.import_many([{"user_id": 2, "funnel_id": 1}], ledger=tmp_path / "ledger")
    assert report.resumed == 1


async def test_a_ledger_belongs_to_one_import(client: AsyncLlamadaPro, service: Service, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    importing = client.conversations.import_many
    await importing(rows(2), ledger=ledger)
    with pytest.raises(InvalidRequestError, match="chunk_size 500, now it is 5"):
        await importing(rows(2), ledger=ledger, chunk_size=5)
    with pytest.raises(InvalidRequestError, match="operation bulk_create, now it is bulk_update"):
        await importing(rows(2), ledger=ledger, update=True)
    async with client_of(service, base_url="http://elsewhere") as other:
        with pytest.raises(InvalidRequestError, match="base_url http://service, now it is http://elsewhere"):
            await other.conversations.import_many(rows(2), ledger=ledger)
    assert len(service.received) == 1


async def test_a_ledger_is_held_by_one_import_at_a_time(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    async def meanwhile(items: list[Any]) -> httpx.Response:
        with pytest.raises(InvalidRequestError, match="another import is using it"):
            await client.conversations.import_many(rows(2), ledger=tmp_path / "ledger")
        return taken(items)

    service.acts = [meanwhile]
    assert (await client.conversations.import_many(rows(2), ledger=tmp_path / "ledger")).complete
    assert len(service.received) == 1


async def test_other_files_are_no_ledgers_and_stay_as_they_are(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as database:
        database.execute("create table chunks (anything)")
    text = tmp_path / "people.csv"
    text.write_text("name\n" * 300)
    for path, why in ((other, "another program"), (text, "not a database"), (tmp_path / "no" / "where", "open")):
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(InvalidRequestError, match=why):
            await client.conversations.import_many(rows(2), ledger=path)
        assert before == (path.read_bytes() if path.exists() else None)
    assert service.received == []


async def test_a_ledger_that_cannot_be_written_stops_the_import(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = SqliteLedger.turn

    async def full(ledger: SqliteLedger, asked: Turn) -> Granted:
        if len(service.received) == 2 and asked.settle:
            raise LlamadaProError("the disk is full")
        return await turn(ledger, asked)

    monkeypatch.setattr(SqliteLedger, "turn", full)
    with pytest.raises(JobError, match="disk is full") as caught:
        await client.conversations.import_many(rows(9), chunk_size=3, concurrency=1, ledger=tmp_path / "ledger")
    assert report_of(caught.value).successful == 3
    monkeypatch.undo()
    report = await client.conversations.import_many(rows(9), chunk_size=3, ledger=tmp_path / "ledger")
    assert [chunk.number for chunk in report.unknown] == [1]
    assert sorted(service.markers) == [*range(9)]


# --- what stops an import ----------------------------------------------------------------------------------------


def report_of(error: JobError) -> ImportReport:
    assert isinstance(error.report, ImportReport)
    return error.report


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, APIStatusError),
        (302, APIStatusError),
    ],
)
async def test_what_would_hit_every_chunk_stops_the_import_with_the_report_so_far(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, code: int, kind: type[LlamadaProError]
) -> None:
    service.acts = [taken, status(code)]
    with pytest.raises(JobError) as caught:
        await client.conversations.import_many(rows(50), chunk_size=5, concurrency=1, ledger=tmp_path / "ledger")
    assert len(service.received) == 2
    report = report_of(caught.value)
    assert (report.successful, report.failed_rows, report.read) == (5, 5, 10)
    assert type(caught.value.__cause__) is kind
    assert "10 rows read: 5 successful, 5 failed. With a ledger, the next run goes on from here" in str(caught.value)
    service.received.clear()
    report = await client.conversations.import_many(rows(50), chunk_size=5, ledger=tmp_path / "ledger")
    assert report.complete
    assert sorted(service.markers) == [*range(5, 50)]


async def test_a_stop_sees_through_what_is_being_sent(client: AsyncLlamadaPro, service: Service) -> None:
    refused = asyncio.Event()

    async def slow(items: list[Any]) -> httpx.Response:
        await refused.wait()
        return taken(items)

    def refuse(items: list[Any]) -> httpx.Response:
        refused.set()
        return httpx.Response(401, json={})

    service.acts = [slow, slow, refuse]
    with pytest.raises(JobError) as caught:
        await client.conversations.import_many(rows(100), chunk_size=5, concurrency=3)
    report = report_of(caught.value)
    assert (report.successful, report.failed_rows, report.unknown) == (10, 5, [])
    assert len(service.received) == 3


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_stop_does_not_wait_for_a_source_that_stalls(
    client: AsyncLlamadaPro, service: Service, stubborn: bool
) -> None:
    stalling = asyncio.Event()

    async def stalls() -> AsyncIterator[Any]:
        for row in rows(5):
            yield row
        stalling.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not stubborn:
                raise
        for row in rows(5):  # a source that will not be cancelled: what it gives now is too late
            yield row

    async def refuse(items: list[Any]) -> httpx.Response:
        await stalling.wait()
        return httpx.Response(401, json={})

    service.acts = [refuse]
    async with asyncio.timeout(5):
        with pytest.raises(JobError) as caught:
            await client.conversations.import_many(stalls(), chunk_size=5, concurrency=3)
    assert len(service.received) == 1
    assert report_of(caught.value).read == 5


async def test_a_closed_client_stops_the_import(client: AsyncLlamadaPro, service: Service) -> None:
    await client.aclose()
    with pytest.raises(JobError, match="closed") as caught:
        await client.conversations.import_many(rows(50), chunk_size=5, concurrency=2)
    assert report_of(caught.value).failed_rows <= 10
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert service.received == []


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_what_the_source_raises_comes_out(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path, concurrency: int
) -> None:
    def torn() -> Iterator[Any]:
        yield from rows(8)
        raise OSError("the file is gone")

    with pytest.raises(JobError, match="the file is gone") as caught:
        await client.conversations.import_many(
            torn(), chunk_size=3, concurrency=concurrency, ledger=tmp_path / "ledger"
        )
    assert report_of(caught.value).successful == 6
    assert isinstance(caught.value.__cause__, OSError)
    report = await client.conversations.import_many(rows(8), chunk_size=3, ledger=tmp_path / "ledger")
    assert report.complete
    assert sorted(service.markers) == [*range(8)]


async def test_progress_is_reported_after_each_chunk_and_can_stop_the_import(
    client: AsyncLlamadaPro, service: Service
) -> None:
    seen: list[int] = []

    def on_progress(report: ImportReport) -> None:
        seen.append(report.read)
        if len(seen) == 3:
            raise KeyError("enough")

    with pytest.raises(JobError, match="enough") as caught:
        await client.conversations.import_many(rows(100), chunk_size=10, concurrency=1, on_progress=on_progress)
    assert seen == [10, 20, 30]
    assert report_of(caught.value).successful == 30
    assert len(service.received) == 3


async def test_an_exception_from_on_issue_stops_the_import_with_every_row_counted(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    def on_issue(issue: ImportIssue) -> None:
        raise KeyError(issue.row)

    items = rows(20)
    items[6]["funnel_id"] = "bad"
    with pytest.raises(JobError, match="6") as caught:
        await client.conversations.import_many(
            items, chunk_size=5, concurrency=1, ledger=tmp_path / "ledger", on_issue=on_issue
        )
    report = report_of(caught.value)
    assert (report.read, report.successful, report.bad, report.unaccounted) == (10, 9, 1, 0)
    report = await client.conversations.import_many(items, chunk_size=5, ledger=tmp_path / "ledger")
    assert (report.successful, report.unknown) == (19, [])
    assert sorted(service.markers) == [number for number in range(20) if number != 6]


async def test_an_import_ends_by_its_timeout(client: AsyncLlamadaPro, service: Service, tmp_path: Path) -> None:
    async def never(items: list[Any]) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    service.acts = [taken, never]
    with pytest.raises(JobError, match=r"timeout of 0\.3 s") as caught:
        await client.conversations.import_many(
            rows(9), chunk_size=3, concurrency=1, ledger=tmp_path / "ledger", timeout=0.3
        )
    assert isinstance(caught.value.__cause__, WaitTimeoutError)
    assert [chunk.number for chunk in report_of(caught.value).unknown] == [1]
    report = await client.conversations.import_many(rows(9), chunk_size=3, ledger=tmp_path / "ledger")
    assert (report.successful, report.unknown_rows) == (6, 3)
    assert sorted(service.markers) == [*range(9)]


async def test_cancelling_leaves_the_ledger_in_order_and_no_task(
    client: AsyncLlamadaPro, service: Service, tmp_path: Path
) -> None:
    async def never(items: list[Any]) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    before = asyncio.all_tasks()
    service.acts = [taken, never, never]
    task = asyncio.create_task(
        client.conversations.import_many(rows(20), chunk_size=4, concurrency=2, ledger=tmp_path / "ledger")
    )
    await until(lambda: len(service.received) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    report = await client.conversations.import_many(rows(20), chunk_size=4, ledger=tmp_path / "ledger")
    assert [chunk.number for chunk in report.unknown] == [1, 2]
    assert "interrupted" in report.unknown[0].reason
    assert (report.successful, report.unknown_rows, report.resumed) == (12, 8, 1)
    assert sorted(service.markers) == [*range(20)]


async def test_a_resumed_import_leaves_the_event_loop_its_turns(client: AsyncLlamadaPro, tmp_path: Path) -> None:
    await client.conversations.import_many(rows(200), chunk_size=2, ledger=tmp_path / "ledger")
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await client.conversations.import_many(rows(200), chunk_size=2, concurrency=1, ledger=tmp_path / "ledger")
    task.cancel()
    assert turns >= 100


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"chunk_size": 0}, "chunk_size must be an integer of at least 1"),
        ({"chunk_size": True}, "chunk_size"),
        ({"concurrency": 2.5}, "concurrency"),
        ({"update": "no"}, "update must be True or False"),
        ({"max_issues": -1}, "max_issues must be an integer of at least 0"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"timeout": float("nan")}, "timeout"),
    ],
)
async def test_options_that_make_no_sense(
    client: AsyncLlamadaPro, service: Service, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        await client.conversations.import_many(rows(2), **options)
    assert service.received == []


@pytest.mark.parametrize("items", [{"funnel_id": 1}, "people.csv", b"", 7, None])
async def test_sources_that_are_none(client: AsyncLlamadaPro, items: Any) -> None:
    with pytest.raises(InvalidRequestError, match="an iterable of dictionaries"):
        await client.conversations.import_many(items)


async def test_a_service_that_is_not_there_fails_every_chunk_and_loses_none(
    client: AsyncLlamadaPro, service: Service
) -> None:
    service.acts = [unreachable] * 100
    report = await client.conversations.import_many(rows(10), chunk_size=2)
    assert (report.failed_rows, report.unknown, report.successful) == (10, [], 0)
    with pytest.raises(APIConnectionError):
        await client.conversations.bulk_create(rows(1))


def test_a_report_in_words() -> None:
    report = ImportReport(read=1200, successful=1100, bad=100)
    assert str(report) == "1,200 rows read: 1,100 successful, 100 bad"
