"""The builders: searches, addresses, template parts, due dates; each checked against what goes over the wire."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Any

import httpx
import pytest
from dateutil.relativedelta import relativedelta
from pytest_httpx import HTTPXMock

from llamadapro import AsyncLlamadaPro, InvalidPhoneNumberError, InvalidRequestError, addresses, search, whatsapp

BASE = "https://llamadapro.test"
NUMBERS = {"to": "+14155552671", "from_": "+56912345678"}
TEMPLATE = {**NUMBERS, "template_name": "ticket", "language_code": "en"}


@pytest.fixture
async def client() -> Any:
    async with AsyncLlamadaPro("key", BASE) as client:
        yield client


@pytest.fixture
def sent(httpx_mock: HTTPXMock) -> Any:
    """Answer everything with a record, and tell the last body."""
    httpx_mock.add_response(json={"id": 1, "items": []}, is_reusable=True)
    return lambda: json.loads(httpx_mock.get_requests()[-1].content)


# ------------------------------------------------------------------------------------------------------------ search


def test_filter_by_joins_conditions() -> None:
    built = search.filter_by(first_name="John", email="john@example.com", user_id=7, archived=False)
    assert built == "firstName:John;email:john@example.com;userId:7;archived:false"


class Color(str, Enum):  # noqa: UP042 # whose str() is another text
    RED = "red"


class Broken(tzinfo):
    def utcoffset(self, _moment: datetime | None) -> timedelta:
        raise RuntimeError


class Index:
    """As numpy's integers."""

    def __index__(self) -> int:
        return 7


def test_a_value_is_compared_as_it_is_written_everywhere() -> None:
    assert search.filter_by(color=Color.RED, count=Index()) == "color:red;count:7"
    for wrong in (5, None, b"name"):
        with pytest.raises(InvalidRequestError, match="not the name of a field"):
            search.where(wrong, "eq", 1)  # type: ignore[arg-type]


def test_filter_by_keeps_colons_and_dates() -> None:
    assert search.filter_by(created_at=datetime(2026, 1, 2, tzinfo=UTC)) == "createdAt:2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"first_name": "a;b"}, "cannot hold a ';'"),
        ({"created_at": datetime(2026, 1, 2)}, "has no time zone"),  # noqa: DTZ001
        ({"first_name": ["a"]}, "expected a string"),
        ({"first_name": None}, "expected a string"),
        ({"amount": float("nan")}, "JSON has no such number"),
        ({"created_at": datetime(2026, 1, 2, tzinfo=Broken())}, "its own methods raise RuntimeError"),
        ({"first name": "a"}, "not the name of a field"),
        ({"a:b": "a"}, "not the name of a field"),
    ],
)
def test_filter_by_refuses_what_the_grammar_cannot_hold(conditions: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        search.filter_by(**conditions)


def test_sort_by() -> None:
    assert search.sort_by(created_at="desc") == "createdAt=desc"
    with pytest.raises(InvalidRequestError, match="'asc' or 'desc'"):
        search.sort_by(created_at="down")  # type: ignore[arg-type]


def test_where_and_order_keep_the_keys_of_custom_fields() -> None:
    assert search.where("custom_fields.shirt_size", "eq", 42, or_=True) == {
        "field": "customFields.shirt_size",
        "operator": "eq",
        "value": "42",
        "or_": True,
    }
    assert search.where("email", "exists") == {"field": "email", "operator": "exists"}
    assert search.order("created_at", "desc") == {"field": "createdAt", "direction": "desc"}


async def test_a_built_search_is_what_the_page_shows(client: AsyncLlamadaPro, sent: Any) -> None:
    await client.contacts.search(
        filters=[
            search.where("addresses.address", "eq", "+56912345678"),
            search.where("addresses.address", "contains", "example.com", or_=True),
        ],
        sort=[search.order("created_at", "desc")],
        size=20,
        include_total_count=True,
    )
    assert sent() == {
        "filters": [
            {"field": "addresses.address", "operator": "eq", "value": "+56912345678"},
            {"field": "addresses.address", "operator": "contains", "value": "example.com", "or": True},
        ],
        "sort": [{"field": "createdAt", "direction": "desc"}],
        "size": 20,
        "includeTotalCount": True,
    }


# --------------------------------------------------------------------------------------------------------- addresses


async def test_addresses_of_a_contact(client: AsyncLlamadaPro, sent: Any) -> None:
    await client.contacts.create(
        addresses=[
            addresses.phone("9 1234 5678", "CL"),
            addresses.whatsapp("+52 1 55 1234 5678"),
            addresses.email(" jane@example.com "),
        ]
    )
    assert sent()["addresses"] == [
        {"channelType": "PHONE", "address": "+56912345678"},
        {"channelType": "WHATSAPP", "address": "+5215512345678"},
        {"channelType": "EMAIL", "address": "jane@example.com"},
    ]


def test_addresses_are_checked() -> None:
    with pytest.raises(InvalidPhoneNumberError):
        addresses.phone("whatsapp:+56912345678")
    for wrong in (
        *("jane", "@example.com", "jane@", "ja ne@example.com", "jane@@example.com", "jane@exam\u200bple.com"),
        *("jane@example.com,joe@example.com", "jane@example.com;joe@example.com", "Jane<jane@example.com>"),
        *(None, float("nan"), 5, b"jane@example.com"),
    ):
        with pytest.raises(InvalidRequestError, match="not an e-mail address"):
            addresses.email(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["phone", "email"])
async def test_deprecated_fields_warn_where_they_are_written(client: AsyncLlamadaPro, sent: Any, field: str) -> None:
    for call in (client.contacts.create(**{field: "x"}), client.contacts.update(1, **{field: "x"})):  # type: ignore[misc]
        with pytest.warns(DeprecationWarning, match=f"{field} is deprecated.*addresses") as caught:
            await call
        assert caught[0].filename == __file__
        assert sent() == {field: "x"}
    with warnings.catch_warnings(record=True) as none:
        await client.contacts.create(first_name="x")
    assert not none


# --------------------------------------------------------------------------------------------------------- templates


async def test_components_have_the_forms_that_whatsapp_documents(client: AsyncLlamadaPro, sent: Any) -> None:
    await client.messages.send_template(
        **TEMPLATE,
        components=[
            whatsapp.header(whatsapp.image(link="https://example.com/ticket.png")),
            whatsapp.body(
                "Jane", whatsapp.currency("12.5", "usd", fallback="$12.50"), whatsapp.date_time("2 December")
            ),
            whatsapp.button(0, whatsapp.payload("confirm-17")),
            whatsapp.button(1, "ticket/17"),
        ],
    )
    assert sent()["components"] == [
        {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/ticket.png"}}]},
        {
            "type": "body",
            "parameters": [
                {"type": "text", "text": "Jane"},
                {
                    "type": "currency",
                    "currency": {"fallback_value": "$12.50", "code": "USD", "amount_1000": 12500},
                },
                {"type": "date_time", "date_time": {"fallback_value": "2 December"}},
            ],
        },
        {
            "type": "button",
            "sub_type": "quick_reply",
            "index": 0,
            "parameters": [{"type": "payload", "payload": "confirm-17"}],
        },
        {"type": "button", "sub_type": "url", "index": 1, "parameters": [{"type": "text", "text": "ticket/17"}]},
    ]


@pytest.mark.parametrize(
    ("parameter", "wire"),
    [
        (whatsapp.video(media_id="7"), {"type": "video", "video": {"id": "7"}}),
        (
            whatsapp.document(link="https://example.com/a.pdf", file_name="a.pdf"),
            {"type": "document", "document": {"link": "https://example.com/a.pdf", "filename": "a.pdf"}},
        ),
        (whatsapp.document(media_id="7"), {"type": "document", "document": {"id": "7"}}),
        (
            whatsapp.currency(Decimal("1.005"), "CLP"),
            {"type": "currency", "currency": {"fallback_value": "1.005 CLP", "code": "CLP", "amount_1000": 1005}},
        ),
    ],
)
async def test_headers_hold_one_parameter(client: AsyncLlamadaPro, sent: Any, parameter: Any, wire: Any) -> None:
    await client.messages.send_template(**TEMPLATE, components=[whatsapp.header(parameter)])
    assert sent()["components"] == [{"type": "header", "parameters": [wire]}]


@pytest.mark.parametrize(
    "build",
    [
        lambda: whatsapp.image(),
        lambda: whatsapp.image(link="x", media_id="y"),
        lambda: whatsapp.currency("1.0005", "USD"),
        lambda: whatsapp.currency("much", "USD"),
        lambda: whatsapp.currency(float("nan"), "USD"),
        lambda: whatsapp.currency(1, "dollars"),
        lambda: whatsapp.currency(1, 840),  # type: ignore[arg-type]
        lambda: whatsapp.body("Jane", None),  # type: ignore[arg-type]
        lambda: whatsapp.header(["Jane"]),  # type: ignore[arg-type]
        lambda: whatsapp.button(0, 5),  # type: ignore[arg-type]
    ],
)
def test_wrong_template_parts_are_refused(build: Any) -> None:
    with pytest.raises(InvalidRequestError):
        build()


async def test_variables_are_texts_or_dictionaries(client: AsyncLlamadaPro, sent: Any) -> None:
    await client.messages.send_template(**TEMPLATE, variables=["Jane", {"value": "Doe"}])
    assert sent()["variables"] == [{"value": "Jane"}, {"value": "Doe"}]
    assert "components" not in sent()


async def test_both_variables_and_components_are_refused_before_the_network(httpx_mock: HTTPXMock) -> None:
    async with AsyncLlamadaPro("key", BASE) as client:
        with pytest.raises(InvalidRequestError, match="not both"):
            await client.messages.send_template(**TEMPLATE, variables=["Jane"], components=[whatsapp.body("Jane")])
    assert httpx_mock.get_requests() == []


# ------------------------------------------------------------------------------------------------------------- tasks


async def due(client: AsyncLlamadaPro, sent: Any, when: Any) -> datetime:
    await client.tasks.update("t", due_date=when)
    return datetime.fromisoformat(sent()["dueDate"])


async def test_due_dates(client: AsyncLlamadaPro, sent: Any) -> None:
    zone = timezone(timedelta(hours=-3))
    assert await due(client, sent, datetime(2026, 12, 1, 9, tzinfo=zone)) == datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert await due(client, sent, date(2026, 12, 1)) == datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC)
    for ahead in (timedelta(days=2), relativedelta(days=2)):
        before = datetime.now(UTC)
        assert before + timedelta(days=2) <= await due(client, sent, ahead) + timedelta(seconds=1)
        assert await due(client, sent, ahead) <= datetime.now(UTC) + timedelta(days=2)
    await client.tasks.update("t", due_date=None)
    assert sent() == {"dueDate": None}


async def test_due_dates_that_cannot_be_sent(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    for wrong in (datetime(2026, 12, 1), "soon", 7, timedelta.max):  # noqa: DTZ001
        with pytest.raises(InvalidRequestError, match="due_date"):
            await client.tasks.update("t", due_date=wrong)  # type: ignore[arg-type]
    assert httpx_mock.get_requests() == []


async def test_complete_and_cancel(client: AsyncLlamadaPro, sent: Any) -> None:
    await client.tasks.complete("t")
    assert sent() == {"status": "completed"}
    await client.tasks.cancel("t")
    assert sent() == {"status": "cancelled"}
    await client.tasks.cancel("t", reason="no longer needed")
    assert sent() == {"status": "cancelled", "cancellationReason": "no longer needed"}


def test_the_mock_stands_in_for_the_default_engine(httpx_mock: HTTPXMock) -> None:
    """What all of this rests on: httpx's own transport is still the one that carries calls."""
    assert httpx.AsyncHTTPTransport.handle_async_request.__module__.startswith("pytest_httpx")
