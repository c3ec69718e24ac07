"""Promise 2, writing: what an operation's function is given is what would be sent, or it is refused with its place.

Every operation of openapi.yaml is walked; what is expected of each comes from there (see tests/openapi.py).
"""

from __future__ import annotations

import copy
import enum
import inspect
import math
import re
import typing
import unicodedata
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote
from zoneinfo import ZoneInfo

import httpx
import pytest
import typing_extensions
from dateutil.relativedelta import relativedelta
from hypothesis import example, given
from hypothesis import strategies as st

from llamadapro import models
from llamadapro_api import document
from llamadapro_api.errors import ValidationError
from llamadapro_api.types import PreparedRequest
from tests.openapi import (
    DOCUMENT,
    KEY_HEADER,
    OPENAPI,
    OPERATIONS,
    Keyword,
    Operation,
    Shape,
    functions,
    key_value,
    path_of,
    python_name,
    snake,
)
from tests.strategies import MANY, SOME, json_values, texts

CONTACTS = path_of("GetContacts")
TASKS = path_of("GetTasks")

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=str)
described = pytest.mark.parametrize(
    "operation",
    [
        one
        for one in OPERATIONS.values()
        if not any("other" in keyword.shape.kinds() for keyword in one.keywords)
        and not any(keyword.shape.kinds() & {"list", "map", "object"} for keyword in one.query)
    ],
    ids=str,
)
"""Operations whose values are all of the kinds below; test_battery.py has every kind there is."""
with_path = pytest.mark.parametrize("operation", [one for one in OPERATIONS.values() if one.path_names], ids=str)
NAN, INF = math.nan, math.inf
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def call(operation: Operation | str, *ids: Any, **arguments: Any) -> PreparedRequest[Any]:
    """Prepare a call; ids and what is required besides are made up."""
    operation = OPERATIONS[operation] if isinstance(operation, str) else operation
    needed = {one.name: None for one in operation.keywords if one.required}
    ids = ids or (7,) * len(operation.path_names)
    prepared = operation.function(*ids, **{**needed, **arguments})
    assert isinstance(prepared, PreparedRequest)
    return prepared


# --- the functions -----------------------------------------------------------------------------------------------


def test_there_is_a_function_for_every_operation_and_no_other() -> None:
    assert {operation.name for operation in OPERATIONS.values()} == set(functions())


@every_operation
def test_a_function_takes_what_the_document_says(operation: Operation) -> None:
    parameters = inspect.signature(operation.function).parameters.values()
    ids = [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_ONLY]
    assert ids == [snake(name) for name in operation.path_names]
    keywords = {one.name: one.default is one.empty for one in parameters if one.name not in ids}
    assert keywords == {one.name: one.required for one in operation.keywords}
    assert {one.kind for one in parameters if one.name not in ids} <= {inspect.Parameter.KEYWORD_ONLY}


@every_operation
def test_its_keyword_dictionaries_say_the_same(operation: Operation) -> None:
    module = inspect.getmodule(operation.function)
    own = [
        one
        for one in vars(module).values()
        if typing_extensions.is_typeddict(one) and one.__module__ == module.__name__
    ]  # type: ignore[union-attr]
    keys: dict[str, bool] = {}
    for one in own:
        hints = typing.get_type_hints(one, include_extras=True)
        keys |= {key: typing.get_origin(hint) is typing.Required for key, hint in hints.items()}
        assert getattr(models, one.__name__) is one
    assert keys == {one.name: one.required for one in operation.keywords}


@every_operation
def test_an_unknown_keyword_is_a_type_error_that_names_it(operation: Operation) -> None:
    for name in ("colour", "page_sise", *(one.wire for one in operation.keywords if one.wire != one.name)):
        with pytest.raises(TypeError, match=rf"\b{name}\b"):
            call(operation, **{name: "x"})
    for name in {*operation.from_path, *(snake(one) for one in operation.path_names)}:
        with pytest.raises(TypeError, match=rf"\b{name}\b"):
            call(operation, **{name: 5})


@every_operation
def test_a_missing_argument_is_a_type_error_that_names_it(operation: Operation) -> None:
    needed = {one.name: None for one in operation.keywords if one.required}
    ids = (7,) * len(operation.path_names)
    for name in needed:
        with pytest.raises(TypeError, match=rf"\b{name}\b"):
            operation.function(*ids, **{key: value for key, value in needed.items() if key != name})
    if ids:
        with pytest.raises(TypeError, match=snake(operation.path_names[-1])):
            operation.function(*ids[1:], **needed)
    with pytest.raises(TypeError, match="positional"):
        operation.function(*ids, "one too many", **needed)


@every_operation
def test_a_call_knows_its_method_its_answer_and_whether_it_may_be_repeated(operation: Operation) -> None:
    prepared = call(operation)
    assert (prepared.method, prepared.operation) == (operation.method, operation.name)
    assert (prepared.body is None) is (not operation.has_body)
    assert prepared.has_body is (operation.answer is not None)
    if operation.answer is None:
        assert prepared.read(None) is None
    elif operation.answer.kind == "object":
        assert type(prepared.read({})) is getattr(models, operation.answer.name)
    assert prepared.idempotent is may_be_repeated(operation)


def may_be_repeated(operation: Operation) -> bool:
    """The first sentence of promise 1."""
    if operation.id in ("BulkUpdate", "SearchContacts"):
        return operation.id == "SearchContacts"
    return operation.method in ("GET", "DELETE", "PUT")


def test_the_table_of_what_may_be_repeated_is_the_promise() -> None:
    routes = {
        (one.method, re.sub(r"{(.+?)}", lambda found: f"{{{snake(found[1])}}}", one.path)): may_be_repeated(one)
        for one in OPERATIONS.values()
    }
    assert routes == document.IDEMPOTENT


def test_the_document_module_says_what_the_document_says() -> None:
    import hashlib

    raw = OPENAPI.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == document.DIGEST
    assert DOCUMENT["servers"][0]["url"] == document.SERVER
    placement = document.SCHEMES[document.SCHEME]
    assert (placement.place, placement.name, f"{placement.prefix}k") == ("header", KEY_HEADER, key_value("k"))


# --- what is given is what is sent -------------------------------------------------------------------------------

zones = st.one_of(
    st.just(UTC),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from(["America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]).map(ZoneInfo),
)
# From 1970: earlier ones have local mean times, with seconds in their offsets; see below.
moments = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001
Pair = tuple[Any, Any]
"""What is given, and what is to be sent; a datetime in the latter stands for any text that means it."""


def both(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Pair]:
    return strategy.map(lambda value: (value, value))


def pair(shape: Shape) -> st.SearchStrategy[Pair]:
    """Anything that may be given where the document says `shape`."""
    if shape.kind in ("object", "loose"):
        return dictionary(shape)
    if shape.kind == "tagged":
        return st.one_of([dictionary(one) for one in shape.inner])
    if shape.kind == "list":
        items = st.lists(st.deferred(lambda: or_none(shape.item)), max_size=2)
        return st.builds(
            lambda pairs, form: (form(one for one, _ in pairs), [other for _, other in pairs]),
            items,
            st.sampled_from([list, tuple]),
        )
    if shape.kind == "map":
        return st.builds(
            lambda pairs, form: (
                form({k: one for k, (one, _) in pairs.items()}),
                {k: o for k, (_, o) in pairs.items()},
            ),
            st.dictionaries(texts, or_none(shape.item), max_size=2),
            st.sampled_from([dict, MappingProxyType]),
        )
    return {
        "text": both(texts),
        "choice": both(st.sampled_from(shape.values or ("",))),
        "integer": both(st.integers(-(2**63), 2**63 - 1))
        | st.integers(-(2**53), 2**53).map(lambda number: (float(number), number)),
        "number": both(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)),
        "boolean": both(st.booleans()),
        "datetime": both(moments) | moments.map(lambda moment: (moment.isoformat(), moment)),
        "any": both(json_values | moments),
    }[shape.kind]


def or_none(shape: Shape) -> st.SearchStrategy[Pair]:
    return st.just((None, None)) | pair(shape)


@st.composite
def dictionary(draw: st.DrawFn, shape: Shape) -> Pair:
    """A dictionary with its keys in either form; in a loose one, also keys that the document does not know."""
    fields = Shape("object", shape.name).fields
    required = fields.keys() & Shape("object", shape.name).required if shape.kind == "object" else set()
    given_out: dict[str, Any] = {}
    sent: dict[str, Any] = {}
    for wire, field in fields.items():
        if wire in required or draw(st.booleans()):
            # What tells the kinds of a tagged one apart cannot be null.
            value, to_send = draw(pair(field) if field.kind == "choice" else or_none(field))
            given_out[draw(st.sampled_from([wire, python_name(wire)]))] = value
            sent[wire] = to_send
    if shape.kind == "loose":
        known = {*fields, *map(python_name, fields)}
        for key, value in draw(st.dictionaries(texts, json_values, max_size=2)).items():
            if key not in known:
                given_out[key] = sent[key] = value
    return given_out, sent


@cache
def arguments(keywords: tuple[Keyword, ...]) -> st.SearchStrategy[dict[str, tuple[Keyword, Any, Any]]]:
    """Some keywords, all the required ones among them: name → keyword, what is given, what is to be sent."""

    def one(keyword: Keyword) -> st.SearchStrategy[tuple[Keyword, Any, Any]]:
        return or_none(keyword.shape).map(lambda values: (keyword, *values))

    return st.fixed_dictionaries(
        {keyword.name: one(keyword) for keyword in keywords if keyword.required},
        optional={keyword.name: one(keyword) for keyword in keywords if not keyword.required},
    )


def check_sent(expected: Any, sent: Any, place: str) -> None:
    if isinstance(expected, datetime):
        assert RFC_3339.fullmatch(sent), f"{place}: {sent}"
        assert datetime.fromisoformat(sent) == expected, place
    elif isinstance(expected, dict):
        assert type(sent) is dict, place
        assert sent.keys() == expected.keys(), place
        for key, value in expected.items():
            check_sent(value, sent[key], f"{place}.{key}")
    elif isinstance(expected, list):
        assert type(sent) is list, place
        for index, (value, other) in enumerate(zip(expected, sent, strict=True)):
            check_sent(value, other, f"{place}[{index}]")
    else:
        assert (type(sent), sent) == (type(expected), expected), place


def check_query(expected: dict[str, Any], query: str) -> None:
    sent = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    assert len(sent) == len(dict(sent)), "a parameter is sent twice"
    assert dict(sent).keys() == {name for name, value in expected.items() if value is not None}
    for name, text in sent:
        value = expected[name]
        if isinstance(value, datetime):
            check_sent(value, text, name)
        else:
            assert text == (str(value).lower() if isinstance(value, bool) else str(value))


@described
@SOME
@given(data=st.data())
def test_what_is_given_is_what_is_sent(operation: Operation, data: st.DataObject) -> None:
    query, body = data.draw(arguments(operation.query)), data.draw(arguments(operation.body))
    given_out = {name: value for name, (_, value, _) in (query | body).items()}
    before = copy.deepcopy({k: dict(v) if isinstance(v, MappingProxyType) else str(v) for k, v in given_out.items()})
    count = len(operation.path_names)
    ids = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count))

    prepared = operation.function(*ids, **given_out)

    path, _, text = prepared.url_path.partition("?")
    named = dict(zip(operation.path_names, ids, strict=True))
    assert path == re.sub(r"{(.+?)}", lambda found: str(named[found[1]]), operation.path)
    check_query({keyword.wire: to_send for keyword, _, to_send in query.values()}, text)
    assert prepared.url_path.isascii()
    if operation.has_body:
        expected = {keyword.wire: to_send for keyword, _, to_send in body.values()}
        expected |= {wire: named.get(wire, ids[-1]) for wire in operation.from_path}
        check_sent(expected, prepared.body, "body")
    else:
        assert prepared.body is None
    after = {k: dict(v) if isinstance(v, MappingProxyType) else str(v) for k, v in given_out.items()}
    assert after == before, "the caller's own data was changed"


def test_absent_is_not_sent_and_none_is_null() -> None:
    assert call("UpdateContact").body == {}
    assert call("UpdateContact", email=None, addresses=None, metadata=None).body == {
        "email": None,
        "addresses": None,
        "metadata": None,
    }
    assert call("UpdateContact", addresses=[None, {"channel_type": None, "address": "x"}]).body == {
        "addresses": [None, {"channelType": None, "address": "x"}]
    }


def test_in_a_query_none_is_absent() -> None:
    assert call("GetTasks", due_before=None, limit=None).url_path == TASKS
    assert call("GetTasks", limit=0, assigned_to_id="").url_path == f"{TASKS}?limit=0&assignedToId="
    assert call("GetTasks", limit=20.0).url_path == f"{TASKS}?limit=20"


@pytest.mark.parametrize("force", [True, False])
def test_booleans_in_a_query_are_true_and_false(force: bool) -> None:
    path = path_of("GetCustomFieldDefinition", 7)
    assert call("DeleteCustomFieldDefinition", force=force).url_path == f"{path}?force={str(force).lower()}"


def test_a_query_is_encoded() -> None:
    target = call("GetContacts", filter_by="firstName:José & Söhne+1/2?#=%", page_token="a b\n").url_path
    assert target == (
        f"{CONTACTS}?filterBy=firstName%3AJos%C3%A9%20%26%20S%C3%B6hne%2B1%2F2%3F%23%3D%25&pageToken=a%20b%0A"
    )


@pytest.mark.parametrize(("given_id", "sent"), [(71, 71), ("71", 71), (71.0, 71), ("gold", "gold")])
def test_a_body_key_that_the_path_supplies_is_filled_in(given_id: Any, sent: Any) -> None:
    prepared = call("CreateCustomFieldListOption", given_id, value="XL")
    assert prepared.body == {"definitionId": sent, "value": "XL"}
    assert prepared.url_path == path_of("GetCustomFieldListOptions", sent)


def test_bulk_items_let_unknown_keys_through() -> None:
    item = {"funnel_id": 3, "contact": {"first_name": "Jane"}, "internalTag": {"a": (1, 2)}, "when": moment(0)}
    sent = {
        "funnelId": 3,
        "contact": {"firstName": "Jane"},
        "internalTag": {"a": [1, 2]},
        "when": "2026-01-02T03:04:05Z",
    }
    for operation in ("BulkCreate", "BulkUpdate"):
        prepared = call(operation, conversations=[item | {"id": 5}, {}, "anything", 5, None])
        assert prepared.body is not None
        first = prepared.body["conversations"][0]
        assert first.pop("funnelId", first.pop("funnel_id", None)) == 3
        assert first == {key: value for key, value in sent.items() if key != "funnelId"} | {"id": 5}
        assert prepared.body["conversations"][1:] == [{}, "anything", 5, None]


# --- refused with its place --------------------------------------------------------------------------------------


def moment(hours: int) -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=hours)))


class Text(enum.StrEnum):
    TEXT = "text"


NAIVE = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001
REFUSED: dict[str, list[Any]] = {
    "text": [5, True, 1.5, b"x", [], {}, object(), NAIVE],
    "choice": ["nope", "", 5, True, [], {}, object()],
    "integer": [True, False, "5", 1.5, NAN, INF, -INF, [], {}, Decimal(5)],
    "number": [True, False, "1.5", NAN, INF, -INF, [], {}, Decimal("1.5")],
    "boolean": [1, 0, 1.0, "true", "", [], {}],
    "datetime": [NAIVE, NAIVE.isoformat(), "2026-01-02", "tomorrow", "", 5, 1704164645.5, True, [], {}],
    "list": ["text", 5, True, {}, {1, 2}, object()],
    "map": ["text", 5, True, [], [("a", 1)], object(), {1: "x"}, {None: "x"}],
    "object": ["text", 5, True, [], [("a", 1)], object(), {1: "x"}, {"colour": "red"}],
    "tagged": ["text", 5, True, [], object()],
    "any": [NAN, INF, -INF, b"x", {1, 2}, object(), NAIVE, Decimal(5), {1: "x"}, uuid.UUID(int=5)],
    "loose": [NAN, INF, b"x", {1, 2}, object(), NAIVE, {1: "x"}],
}


def refusals(shape: Shape) -> Iterator[tuple[str, Any]]:
    """Values that cannot be sent where the document says `shape`, with the place inside that is at fault."""
    for wrong in REFUSED[shape.kind]:
        yield "", wrong
    if shape.kind == "list":
        for place, wrong in refusals(shape.item):
            yield f"[1]{place}", [None, wrong]
            yield f"[0]{place}", (wrong,)
    elif shape.kind == "map":
        for place, wrong in refusals(shape.item):
            yield f".size{place}", {"colour": None, "size": wrong}
    elif shape.kind in ("any", "loose"):
        for wrong in REFUSED["any"]:
            yield ".colour", {"colour": wrong}
            yield ".colour[1].size", {"colour": ["x", {"size": wrong}]}
    if shape.kind == "tagged":
        for kind in (None, "nope", 5, ["header"]):
            yield ".type", {"type": kind}
        yield ".type", {}
        for one in shape.inner:
            yield from ((place, wrong) for place, wrong in nested(one) if place not in (".type", ".type_"))
    elif shape.kind in ("object", "loose"):
        yield from nested(shape)


def nested(shape: Shape) -> Iterator[tuple[str, Any]]:
    fields = Shape("object", shape.name).fields
    needed = {python_name(wire): None for wire in Shape("object", shape.name).required}
    needed |= {python_name(wire): one.values[0] for wire, one in fields.items() if one.kind == "choice" and one.values}  # type: ignore[misc]
    for wire, field in fields.items():
        for place, wrong in refusals(field):
            yield f".{python_name(wire)}{place}", {**needed, python_name(wire): wrong}


@described
def test_what_cannot_be_sent_is_refused_with_its_place(operation: Operation) -> None:
    count = 0
    for keyword in operation.keywords:
        for place, wrong in refusals(keyword.shape):
            with pytest.raises(ValidationError) as caught:
                call(operation, **{keyword.name: wrong})
            assert caught.value.place == f"{keyword.name}{place}", wrong
            assert str(caught.value) == f"{caught.value.place}: {caught.value.reason}"
            assert len(caught.value.reason) > 10
            count += 1
    assert bool(count) is bool(operation.keywords)


def test_keys_may_be_written_as_on_the_wire_too() -> None:
    sent = {"addresses": [{"channelType": "PHONE", "address": "+56912345678"}]}
    for key in ("channel_type", "channelType"):
        assert call("CreateContact", addresses=[{key: "PHONE", "address": "+56912345678"}]).body == sent


def test_a_key_given_in_both_forms_is_refused() -> None:
    address = {"channel_type": "PHONE", "channelType": "PHONE", "address": "+56912345678"}
    with pytest.raises(ValidationError, match=r"addresses\[0\]\.channelType: given twice.*channelType"):
        call("CreateContact", addresses=[address])
    with pytest.raises(ValidationError, match="given twice"):
        call("BulkCreate", conversations=[{"funnel_id": 3, "funnelId": 3}])


def test_an_unknown_key_is_refused_with_advice() -> None:
    with pytest.raises(
        ValidationError, match=r"^addresses\[1\]: unknown key 'chanel_type'; did you mean 'channel_type'\?$"
    ):
        call("CreateContact", addresses=[None, {"chanel_type": "PHONE"}])
    with pytest.raises(ValidationError, match=r"^assigned_to: unknown key 'zzz'; known are id, type_$"):
        call("UpdateTask", assigned_to={"zzz": 1})


def test_a_missing_key_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"^addresses\[0\]: lacks address, channel_type$"):
        call("CreateContact", addresses=[{}])
    with pytest.raises(ValidationError, match=r"^assigned_to: lacks type_$"):
        call("UpdateTask", assigned_to={"id": "7"})


def test_closed_sets_are_checked_and_named() -> None:
    with pytest.raises(
        ValidationError, match=r"^status: must be one of cancelled, completed, overdue, scheduled, not 'done'"
    ):
        call("UpdateTask", status="done")
    with pytest.raises(ValidationError, match=r"^components\[0\]\.type: must be one of body, button, header"):
        call("CreateTemplateMessage", components=[{"type_": "footer"}])
    # An open set takes what it does not know.
    assert call("CreateContact", addresses=[{"channel_type": "FAX", "address": "1"}]).body is not None


@pytest.mark.parametrize("operation", ["GetTasks", "UpdateTask"])
def test_a_naive_datetime_is_refused_with_advice(operation: str) -> None:
    keyword = "due_before" if operation == "GetTasks" else "due_date"
    with pytest.raises(ValidationError, match="no time zone") as caught:
        call(operation, **{keyword: NAIVE})
    assert "tzinfo=datetime.UTC" in str(caught.value)
    assert "astimezone" in str(caught.value)


@pytest.mark.parametrize(
    ("given_moment", "sent"),
    [
        (moment(0), "2026-01-02T03:04:05Z"),
        (moment(-3), "2026-01-02T03:04:05-03:00"),
        (datetime(2026, 1, 2, 3, 4, 5, 600000, UTC), "2026-01-02T03:04:05.600Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 600001, UTC), "2026-01-02T03:04:05.600001Z"),
        (datetime(2026, 7, 2, tzinfo=ZoneInfo("America/Santiago")), "2026-07-02T00:00:00-04:00"),
        (datetime(33, 4, 3, tzinfo=UTC), "0033-04-03T00:00:00Z"),
        ("2026-01-02T03:04:05.600z".upper(), "2026-01-02T03:04:05.600Z"),
    ],
)
def test_aware_datetimes_are_sent_as_they_are(given_moment: Any, sent: str) -> None:
    assert call("UpdateTask", due_date=given_moment).body == {"dueDate": sent}
    assert parse_qsl(call("GetTasks", due_after=given_moment).url_path.partition("?")[2]) == [("dueAfter", sent)]


def test_a_date_is_its_first_moment_in_utc() -> None:
    assert call("UpdateTask", due_date=date(2026, 1, 2)).body == {"dueDate": "2026-01-02T00:00:00Z"}


@pytest.mark.parametrize("ahead", [timedelta(days=3, hours=1), timedelta(days=-3), relativedelta(months=2)], ids=repr)
def test_a_time_from_now_is_counted_from_now(ahead: Any) -> None:
    before = datetime.now(UTC)
    body = call("UpdateTask", due_date=ahead).body
    after = datetime.now(UTC)
    assert body is not None
    assert before + ahead <= datetime.fromisoformat(body["dueDate"]) <= after + ahead


@pytest.mark.parametrize(
    "ahead", [timedelta.max, timedelta.min, relativedelta(years=9999), relativedelta(years=-9999)], ids=repr
)
def test_a_time_from_now_beyond_the_calendar_is_refused(ahead: Any) -> None:
    with pytest.raises(ValidationError, match="due_date"):
        call("UpdateTask", due_date=ahead)


@pytest.mark.parametrize(
    "odd",
    [
        datetime(1890, 1, 1, tzinfo=ZoneInfo("America/Santiago")),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-4, minutes=-42, seconds=-45))),
        datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=timezone(timedelta(seconds=30, microseconds=5))),
    ],
    ids=str,
)
def test_an_offset_with_seconds_is_sent_in_a_form_that_others_can_read(odd: datetime) -> None:
    check_sent({"dueDate": odd}, call("UpdateTask", due_date=odd).body, "body")


class OldEnum(str, enum.Enum):  # noqa: UP042  (the kind that str() does not unwrap)
    COMPLETED = "completed"


class Number(enum.IntEnum):
    FIVE = 5


@pytest.mark.parametrize("status", [OldEnum.COMPLETED, enum.StrEnum("New", {"COMPLETED": "completed"}).COMPLETED])  # type: ignore[attr-defined]
def test_enums_are_sent_as_their_values(status: Any) -> None:
    assert call("GetTasks", status=status).url_path == f"{TASKS}?status=completed"
    assert call("GetTasks", assigned_to_id=status).url_path == f"{TASKS}?assignedToId=completed"
    assert call("GetTask", status).url_path == path_of("GetTask", "completed")
    assert httpx.Response(200, json=call("UpdateTask", status=status).body).json() == {"status": "completed"}
    assert call("GetTasks", limit=Number.FIVE).url_path == f"{TASKS}?limit=5"
    assert call("GetTask", Number.FIVE).url_path == path_of("GetTask", 5)
    assert call("CreateCustomFieldListOption", status).body["definitionId"] == "completed"  # type: ignore[index]


steps = st.lists(st.one_of(st.integers(0, 3), st.from_regex("[a-z]{1,5}", fullmatch=True)), max_size=6)


@MANY
@given(path=steps, wrong=st.sampled_from([NAN, INF, -INF, NAIVE, b"x", object()]))
def test_whatever_cannot_be_json_is_found_however_deep(path: list[int | str], wrong: Any) -> None:
    value = wrong
    for step in reversed(path):
        value = [*[None, "x", {"a": 1.5}][:step], value] if isinstance(step, int) else {"before": 1, step: value}
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    with pytest.raises(ValidationError) as caught:
        call("CreateContact", custom_fields={"size": value})
    assert caught.value.place == f"custom_fields.size{shown}"
    with pytest.raises(ValidationError) as caught:
        call("CreateContact", metadata=value)
    assert caught.value.place == f"metadata{shown}"


def bottomless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = [value]
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(20_000):
        value = [value]
    return value


@pytest.mark.parametrize("value", [bottomless(), deep()], ids=["that holds itself", "20,000 lists deep"])
def test_what_has_no_bottom_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="metadata"):
        call("CreateContact", metadata=value)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff"], ids=ascii)
def test_a_text_that_is_not_unicode_is_refused_in_a_query(text: str) -> None:
    with pytest.raises(ValidationError, match="search_by"):
        call("GetContacts", search_by=text)


def test_a_number_too_long_to_be_written_is_refused() -> None:
    for keyword in ("limit", "conversation_id"):
        with pytest.raises(ValidationError, match=keyword):
            call("GetTasks", **{keyword: 10**5000})
    with pytest.raises(ValidationError, match="task_id"):
        call("GetTask", 10**5000)
    with pytest.raises(ValidationError, match="task_id"):
        call("GetTask", [10**5000])
    with pytest.raises(ValidationError, match="definition_id"):
        call("CreateCustomFieldListOption", 10**5000)


@MANY
@given(value=json_values | st.floats() | st.binary() | st.datetimes() | st.sets(st.integers()), data=st.data())
def test_no_value_makes_anything_but_a_refusal_come_out(value: Any, data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from([one for one in OPERATIONS.values() if one.keywords]))
    keyword = data.draw(st.sampled_from(operation.keywords))
    try:
        call(operation, **{keyword.name: value})
    except ValidationError as error:
        place = error.place
    else:
        place = keyword.name
    assert place.startswith(keyword.name)


# --- ids in paths ------------------------------------------------------------------------------------------------

NO_IDS: tuple[Any, ...] = (
    "", " ", "\t", "\u00a0 ", ".", "..", "/", "a/b", "../1", "1/..", "\\", "a\\b", "..\\", "a\x00", "\n", "5\r\nX: y",
    "\x7f", "\x85", "\ud800", "a\udfff", NAN, INF, -INF, 1.5, True, False, None, b"5", [], [5], {}, (), object(),
    Decimal(5), uuid.UUID(int=5), datetime(2026, 1, 1, tzinfo=UTC), 5j,
)  # fmt: skip
IDS = (
    (5, "5"), ("5", "5"), (123.0, "123"), (-0.0, "0"), (-5, "-5"), (2**63, str(2**63)), ("a_1-a.b~c", "a_1-a.b~c"),
    ("...", "..."), ("%2e%2e", "%252e%252e"), ("%2F", "%252F"), ("?a=1#b", "%3Fa%3D1%23b"), ("a b", "a%20b"),
    ("ñ☃", "%C3%B1%E2%98%83"), ("a;b=c,d:e@f", None), ("5.0", "5.0"),
)  # fmt: skip


def others(operation: Operation, index: int, value: Any) -> list[Any]:
    """Ids for an operation: `value` in one place, a plain one in the others."""
    ids: list[Any] = [7] * len(operation.path_names)
    ids[index] = value
    return ids


def check_target(operation: Operation, target: str, index: int, text: str) -> None:
    """The target has the template's segments one for one, and every reader of URLs sees the same."""
    expected = [f"{{{operation.path_names[index]}}}"]
    path, _, query = target.partition("?")
    assert query == ""
    segments, template = path.split("/"), operation.path.split("/")
    assert len(segments) == len(template)
    for segment, pattern in zip(segments, template, strict=True):
        if not pattern.startswith("{"):
            assert segment == pattern
        else:
            assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", segment)
            assert unquote(segment, errors="strict") == (text if [pattern] == expected else "7")
            assert segment not in (".", "..")
    assert httpx.URL(f"https://h{target}").raw_path == target.encode()


@with_path
@pytest.mark.parametrize("value", NO_IDS, ids=lambda value: ascii(value)[:20])
def test_what_cannot_be_an_id_is_refused_by_name(operation: Operation, value: Any) -> None:
    for index, name in enumerate(operation.path_names):
        with pytest.raises(ValidationError) as caught:
            call(operation, *others(operation, index, value))
        assert caught.value.place == snake(name)
        assert snake(name) in str(caught.value)


@with_path
def test_ids_are_one_segment(operation: Operation) -> None:
    for index in range(len(operation.path_names)):
        for value, segment in IDS:
            target = call(operation, *others(operation, index, value)).url_path
            check_target(operation, target, index, unquote(segment) if segment else str(value))
            assert segment is None or segment in target.split("/")


@with_path
@MANY
@given(
    value=st.one_of(
        st.text(max_size=8),
        st.text("./\\%20?#&=;:@ \t\nae", max_size=8),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.none(),
        st.binary(max_size=3),
    )
)
@example(value="")
@example(value="..")
def test_no_id_leads_anywhere_else(operation: Operation, value: Any) -> None:
    for index, name in enumerate(operation.path_names):
        ids = others(operation, index, value)
        try:
            target = call(operation, *ids).url_path
        except ValidationError as error:
            refused = error
        else:
            assert isinstance(value, (int, str)) or (isinstance(value, float) and value.is_integer())
            text = str(int(value) if isinstance(value, float) else value)
            assert not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)
            check_target(operation, target, index, text)
            continue
        assert refused.place == snake(name)
        # What is plainly an id is not refused.
        assert type(value) is not int or abs(value) >= 2**63
        assert not (isinstance(value, float) and value.is_integer()) or abs(value) >= 2**53
        assert not (isinstance(value, str) and re.fullmatch(r"[\w-]+", value, re.ASCII))


def test_a_call_shows_where_it_goes_and_not_what_it_carries() -> None:
    prepared = call("GetTask", 5)
    assert repr(prepared) == f"<PreparedRequest get_task: GET {path_of('GetTask', 5)}>"
    assert not hasattr(prepared, "__dict__")
