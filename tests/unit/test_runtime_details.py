"""The generated package's readers and writers one by one: what refusals say, and the edges of what is taken.

The walks over every operation show that the right values pass; this is about the words, which teach, and the limits.
Found by mutation testing: together they kill the mutants that nothing else did.
"""

from __future__ import annotations

import linecache
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from operator import index
from types import MappingProxyType
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

import attrs
import pytest
from typing_extensions import TypedDict

from llamadapro import models
from llamadapro_api.errors import DeserializationError, ValidationError
from llamadapro_api.hints import CompiledOnce
from llamadapro_api.lenient_dates import parse_datetime
from llamadapro_api.reading import ABSENT, Model, reader, rule, to_int, to_plain
from llamadapro_api.types import File, Moment, Tag, Text, Uuid, extra_items
from llamadapro_api.writing import (
    body_id,
    compile_writer,
    header_value,
    path_segment,
    serialize_argument,
    write_bool,
    write_choice,
    write_date,
    write_datetime,
    write_file,
    write_int,
    write_json,
    write_list_of,
    write_map_of,
    write_number,
    write_tagged,
    write_text,
    write_uuid,
    writer,
)

# --- what refusals say -------------------------------------------------------------------------------------------


class Body(TypedDict):
    size: int
    name_: NotRequired[str]


class TextPart(Body):
    type_: Literal["text"]


class ImagePart(Body):
    type_: Literal["image"]


class LoosePart(TypedDict):
    type_: NotRequired[Literal["loose"]]
    size: int


@extra_items(lambda: int)
class OpenBody(Body):
    pass


@extra_items(lambda: int)
class Bag(TypedDict):
    pass


class Pair(TypedDict):
    two: int
    one: int


class Numbered(Body):
    version: Literal[2]


class Measure(TypedDict):
    size: int
    unit: NotRequired[str]


class Color(Enum):
    RED = 1.5


class Number(IntEnum):
    TWO = 2


class Letter(StrEnum):
    B = "b"


class Endless:
    def __index__(self) -> int:
        return index(self)


class Broken(list[Any]):
    def __iter__(self) -> Any:
        raise LookupError


class Timestamp(datetime):
    """As pandas and freezegun have them."""


class Half(float):
    pass


BODY, LENIENT = compile_writer(Body), compile_writer(Body, lenient=True)
PART = write_tagged(Tag("type", {"text": TextPart, "image": ImagePart}))
NUMBERED = write_tagged(Tag("version", {2: Numbered}))
LOOSE = write_tagged(Tag("type", {"text": TextPart, "loose": LoosePart}))
MOMENT = "a datetime with a time zone"
REFUSED: list[tuple[Callable[[Any], Any], Any, str]] = [
    (write_text, 5, "must be a string, not 5 (int)"),
    (write_text, "\ud800", r"'\ud800' is not valid Unicode"),
    (write_bool, "yes", "must be True or False, not 'yes' (str)"),
    (write_bool, 1, "must be True or False, not 1 (int)"),
    (write_int, "5", "must be an integer, not '5' (str)"),
    (write_int, True, "must be an integer, not True (bool)"),
    (write_int, 5.5, "must be an integer, not 5.5 (float)"),
    (write_int, 2**64, "has more than 64 bits"),
    (write_number, "5", "must be a number, not '5' (str)"),
    (write_number, True, "must be a number, not True (bool)"),
    (write_number, math.nan, "nan cannot be sent: JSON has no such number"),
    (write_datetime, 5, f"must be {MOMENT}, or a time from now, not 5 (int)"),
    (write_datetime, object, f"must be {MOMENT}, not <class 'object'> (type)"),
    (
        write_datetime,
        timedelta.max,
        f"must be {MOMENT}, or a time from now, not datetime.timedelta(days=999999999, seconds=86399, microse... "
        "(timedelta)",
    ),
    (
        write_datetime,
        datetime(2024, 1, 2),  # noqa: DTZ001
        "2024-01-02T00:00:00 has no time zone, so its instant is unknown; add one, for instance "
        "value.replace(tzinfo=datetime.UTC) or value.astimezone()",
    ),
    (write_datetime, "soon", "'soon' is not an ISO 8601 date and time; pass a datetime with a time zone"),
    (write_date, "soon", "'soon' is not an ISO 8601 date; pass a datetime.date"),
    (write_date, 5, "must be a date (of a datetime, its .date()), not 5 (int)"),
    (
        write_date,
        datetime(2024, 1, 2, tzinfo=UTC),
        "must be a date (of a datetime, its .date()), not datetime.datetime(2024, 1, 2, 0, 0, tzinfo=datetime.timez... "
        "(datetime)",
    ),
    (
        write_datetime,
        datetime.max.replace(tzinfo=timezone(timedelta(seconds=-1))),
        "9999-12-31T23:59:59.999999-00:00:01 is outside the calendar in UTC",
    ),
    (write_uuid, "soon", "must be a UUID, not 'soon' (str)"),
    (write_uuid, 5, "must be a UUID, not 5 (int)"),
    *(
        (
            write_file,
            value,
            f"must be bytes, or (file name, bytes, content type), not {value!r} ({type(value).__name__})",
        )
        for value, kind in (
            ("text", "str"),
            (("a.txt", b"a"), "tuple"),
            (("a.txt", "a", "text/plain"), "tuple"),
            (["a.txt", b"a", "text/plain"], "list"),
        )
    ),
    (write_file, ("\ud800", b"a", "text/plain"), r"'\ud800' is not valid Unicode"),
    (write_file, ("a.txt", b"a", 5), "must be a string, not 5 (int)"),
    (write_json, {1}, "{1} (set) cannot be sent as JSON"),
    (write_json, Decimal(5), "Decimal('5') (Decimal) cannot be sent as JSON; pass str(value) or float(value)"),
    (write_json, UUID(int=5), f"{UUID(int=5)!r} (UUID) cannot be sent as JSON; pass str(value)"),
    (write_json, Color.RED, "<Color.RED: 1.5> (Color) cannot be sent as JSON; pass its .value"),
    (write_json, ["a", "\ud800"], r"[1]: '\ud800' is not valid Unicode"),
    (write_json, Broken("a"), "[0]: cannot be sent: its own methods raise LookupError"),
    (write_json, {5: 1}, "keys must be strings, not 5 (int)"),
    (write_map_of(write_int), [1], "must be a dictionary, not [1] (list)"),
    (write_map_of(write_int), {"a": "b"}, "a: must be an integer, not 'b' (str)"),
    (write_map_of(write_text), {"a": "\ud800"}, r"a: '\ud800' is not valid Unicode"),
    (write_list_of(write_int), "ab", "must be a list, not 'ab' (str)"),
    (write_list_of(write_int), b"ab", "must be a list, not b'ab' (bytes)"),
    (write_list_of(write_int), bytearray(b"ab"), "must be a list, not bytearray(b'ab') (bytearray)"),
    (write_list_of(write_int), {5}, "must be a list, not {5} (set)"),
    (write_list_of(write_int), [1, "b"], "[1]: must be an integer, not 'b' (str)"),
    (write_choice(["b", "a"]), "c", "must be one of a, b, not 'c' (str)"),
    (write_choice([2, 1]), True, "must be one of 1, 2, not True (bool)"),
    (write_choice([2, 1]), [1], "must be one of 1, 2, not [1] (list)"),
    (BODY, {"size": "x"}, "size: must be an integer, not 'x' (str)"),
    (BODY, [], "must be a dictionary, not [] (list)"),
    (BODY, {5: 1}, "keys must be strings, not 5 (int)"),
    (BODY, {"sise": 1}, "unknown key 'sise'; did you mean 'size'?"),
    (BODY, {"colour": 1}, "unknown key 'colour'; known are size, name_"),
    (BODY, {"name": "x", "name_": "y", "size": 1}, "name_: given twice, also as 'name'"),
    (BODY, {"name": "x"}, "lacks size"),
    (LENIENT, {"\ud800": 1}, r"'\ud800' is not valid Unicode"),
    (LENIENT, {5: 1}, "keys must be strings, not 5 (int)"),
    (compile_writer(OpenBody, top=True), {"size": 1, "name_": "x", "name": 5}, "name: given twice, also as 'name'"),
    (compile_writer(OpenBody, top=True), {"size": 1, "more": "x"}, "more: must be an integer, not 'x' (str)"),
    (compile_writer(Body, top=True), {"size": 1, "name": "x"}, "unknown key 'name'; did you mean 'name_'?"),
    (writer(OpenBody), {"size": 1, "more": "x"}, "more: must be an integer, not 'x' (str)"),
    (writer(Pair), {}, "lacks one, two"),
    (writer(Literal["a"] | str), 5, "must be a string, not 5 (int)"),
    (writer(Literal[1] | str), 2.5, "must be one of 1, not 2.5 (float); or it must be a string, not 2.5 (float)"),
    (PART, "text", "must be a dictionary, not 'text' (str)"),
    (PART, {"type": 5}, "type: must be one of image, text, not 5 (int)"),
    (PART, {}, "type: must be one of image, text, not None (NoneType)"),
    (PART, {"type": ["text"]}, "type: must be one of image, text, not ['text'] (list)"),
    (LOOSE, {"type": "odd", "size": 1}, "type: must be one of loose, text, not 'odd' (str)"),
    (writer(None), 5, "must be None, not 5 (int)"),
    (writer(Sequence[None]), [None, 5], "[1]: must be None, not 5 (int)"),
    (
        writer(int | date),
        "soon",
        "must be an integer, not 'soon' (str); or it 'soon' is not an ISO 8601 date; pass a datetime.date",
    ),
    (writer(int | Sequence[int]), ["a"], "[0]: must be an integer, not 'a' (str)"),
    (writer(Sequence[int] | int), ["a"], "[0]: must be an integer, not 'a' (str)"),
]


@pytest.mark.parametrize(("write", "value", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_a_refusal_says_what_is_wanted_and_what_was_given(write: Callable[[Any], Any], value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        write(value)
    assert str(caught.value) == words


def test_what_has_no_bottom_says_so() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValidationError) as caught:
        serialize_argument(write_json, loop, "tags")
    assert str(caught.value) == "tags: is nested too deeply, or holds itself"


BAD_IDS: list[tuple[Any, str]] = [
    (10**5000, "has too many digits to be an id"),
    (5.5, "an id is an integer or a string, not 5.5 (float)"),
    (None, "an id is an integer or a string, not None (NoneType)"),
    (True, "an id is an integer or a string, not True (bool)"),
    (Endless(), "is nested too deeply, or holds itself"),
    ("..", "'..' cannot be an id: it would be empty or lead to another path"),
    ("\ud800", r"'\ud800' cannot be an id: it would be empty or lead to another path"),
]


@pytest.mark.parametrize(("value", "words"), BAD_IDS, ids=range(len(BAD_IDS)))
def test_an_id_that_is_refused_says_why(value: Any, words: str) -> None:
    for write in (path_segment, body_id):
        with pytest.raises(ValidationError) as caught:
            write(value, "task_id")
        assert str(caught.value) == f"task_id: {words}"


@pytest.mark.parametrize(("value", "sent"), [(-5, -5), (5.0, 5), ("05", 5), ("5a", "5a"), ("-", "-")])
def test_an_id_of_the_path_is_a_number_in_the_body_where_it_is_one(value: Any, sent: Any) -> None:
    assert repr(body_id(value, "task_id")) == repr(sent)


@pytest.mark.parametrize("value", ["a\nb", "ñ", " a", "a\x00"])
def test_what_cannot_stand_in_a_header_is_refused(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        header_value(value, "x_name")
    words = "cannot be the value of a header: printable ASCII without line breaks is"
    assert str(caught.value) == f"x_name: {value!r} {words}"
    assert header_value("a\tb c", "x_name") == "a\tb c"


def test_long_values_are_shown_in_part() -> None:
    for length, shown in ((58, f"'{'x' * 58}'"), (59, f"'{'x' * 56}...")):
        with pytest.raises(ValidationError) as caught:
            write_int("x" * length)
        assert str(caught.value) == f"must be an integer, not {shown} (str)"
    with pytest.raises(ValidationError) as caught:
        write_text(10**5000)
    assert str(caught.value) == "must be a string, not … (int)"


# --- the edges of what is taken ----------------------------------------------------------------------------------


def test_integers_of_64_bits_are_taken() -> None:
    for edge in (-(2**63), 2**64 - 1):
        assert write_int(edge) == write_number(edge) == write_json(edge) == edge
    for beyond in (-(2**63) - 1, 2**64):
        for write in (write_int, write_number, write_json):
            with pytest.raises(ValidationError, match=r"^has more than 64 bits$"):
                write(beyond)


WRITTEN: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (write_bool, True, True),
    (write_bool, False, False),
    (write_int, 5.0, 5),
    (write_number, 1.5, 1.5),
    (write_number, Half(1.5), 1.5),
    (write_datetime, date(2024, 1, 2), "2024-01-02T00:00:00Z"),
    (write_datetime, Timestamp(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00Z"),
    (write_datetime, datetime(2024, 1, 2, tzinfo=timezone(timedelta(0), "GMT")), "2024-01-02T00:00:00Z"),
    (write_uuid, UUID(int=5), str(UUID(int=5))),
    (write_uuid, UUID(int=5).hex, str(UUID(int=5))),
    (write_file, b"a", b"a"),
    (write_file, bytearray(b"a"), b"a"),
    (write_file, ("a.txt", b"a", "text/plain"), ("a.txt", b"a", "text/plain")),
    (write_file, ("a.txt", bytearray(b"a"), "text/plain"), ("a.txt", b"a", "text/plain")),
    (write_json, None, None),
    (write_json, True, True),
    (write_json, 1.5, 1.5),
    (write_json, "ñ", "ñ"),
    (write_json, ("a", None), ["a", None]),
    (write_json, datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00Z"),
    (write_map_of(write_int), MappingProxyType({"a": 5.0, "b": None}), {"a": 5, "b": None}),
    (write_list_of(write_int), (5.0, None), [5, None]),
    (write_list_of(write_text), ["a", "ñ", None], ["a", "ñ", None]),
    (write_choice([1, 2]), 1, 1),
    (write_choice([1, 2]), Number.TWO, 2),
    (write_choice(["a", "b"]), Letter.B, "b"),
    (NUMBERED, {"version": 2, "size": 3.0}, {"size": 3, "version": 2}),
    (writer(OpenBody), {"size": 3.0, "more": 5.0, "name": "x"}, {"size": 3, "more": 5, "name": "x"}),
    (writer(Bag), {"a": 5.0}, {"a": 5}),
    (LOOSE, {"size": 3.0}, {"size": 3}),
    (LOOSE, {"type_": "loose", "size": 3.0}, {"type": "loose", "size": 3}),
    (write_tagged(Tag("type", {"text": TextPart, "body": Body})), {"size": 3.0}, {"size": 3}),
    *((writer(kind), value, value) for kind, value in ((float, 1.5), (bool, True), (Any, [1.5]), (bytes, b"a"))),
    (lambda value: serialize_argument(write_int, value, "size"), None, None),
    (writer(Uuid), UUID(int=5), str(UUID(int=5))),
    (writer(File), bytearray(b"a"), b"a"),
    (writer(Sequence[int]), (5.0,), [5]),
    (writer(Mapping[str, int]), {"5": 5.0}, {"5": 5}),
    (writer(Measure), {"size": 5.0}, {"size": 5}),
    (
        writer(Annotated[TextPart | LoosePart, Tag("type", {"text": TextPart, "loose": LoosePart})]),
        {"size": 5.0},
        {"size": 5},
    ),
    (writer(Literal["a"] | str), "b", "b"),
    (writer(Literal[5] | str), 5, 5),
    (writer(Literal[5] | str), "b", "b"),
    (writer(Moment | date), date(2024, 1, 2), "2024-01-02"),
    (writer(Moment | date), datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00Z"),
    (writer(Measure | Any), {"unit": "kg", "colour": (1.5,)}, {"unit": "kg", "colour": [1.5]}),
    (writer(Measure | Any), (1.5,), [1.5]),
    (writer(int | Any), "b", "b"),
]


@pytest.mark.parametrize(("write", "value", "sent"), WRITTEN, ids=range(len(WRITTEN)))
def test_a_value_is_sent_as_plain_json(write: Callable[[Any], Any], value: Any, sent: Any) -> None:
    written = write(value)
    assert (type(written), repr(written)) == (type(sent), repr(sent))


def test_a_type_that_has_no_form_in_json_is_named_when_the_package_is_generated() -> None:
    for compiled in (rule, writer):
        with pytest.raises(TypeError, match=r"^there is no way to (read|write) <class 'object'>"):
            compiled(object)


def test_the_kind_of_an_object_may_be_named_in_either_way() -> None:
    for tag in ("type", "type_"):
        assert PART({tag: "text", "size": 3.0}) == {"type": "text", "size": 3}


def test_dates_and_texts_are_sent_wherever_they_stand() -> None:
    assert write_json({"a": [date(2024, 1, 2), "b"]}) == {"a": ["2024-01-02", "b"]}
    assert write_date(date(2024, 1, 2)) == write_date("2024-01-02") == "2024-01-02"
    assert [writer(Literal["a"] | int)(value) for value in ("a", 5)] == ["a", 5]


def test_odd_offsets_are_sent_as_they_are() -> None:
    nepal = timezone(timedelta(hours=5, minutes=45))
    assert write_datetime(datetime(2024, 1, 2, 3, 4, tzinfo=nepal)) == "2024-01-02T03:04:00+05:45"


@pytest.mark.parametrize("year", [1, 999, 2024, 9999])
@pytest.mark.parametrize("microsecond", [0, 1, 120000])
def test_utc_is_written_alike_in_every_year(year: int, microsecond: int) -> None:
    moment = datetime(year, 1, 2, 3, 4, 5, microsecond, UTC)
    fraction = {0: "", 1: ".000001", 120000: ".120"}[microsecond]
    assert write_datetime(moment) == f"{year:04}-01-02T03:04:05{fraction}Z"


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the machine's zone cannot be set here")
def test_an_offset_with_seconds_is_sent_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "LMT+4:42:46")
    time.tzset()
    try:
        santiago = timezone(-timedelta(hours=4, minutes=42, seconds=46))
        assert write_datetime(datetime(1890, 1, 1, tzinfo=santiago)) == "1890-01-01T04:42:46Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_integers_that_came_as_floats_are_integers_as_far_as_floats_are_exact() -> None:
    for exact in (0.0, -5.0, 2.0**53, -(2.0**53)):
        assert type(to_int(exact)) is int
        assert to_int(exact) == exact
    for other in (0.5, 2.0**53 + 2, -(2.0**53) - 2, 1e300):
        assert type(to_int(other)) is float


def test_a_date_of_sixty_four_characters_is_read_and_a_longer_one_is_not() -> None:
    text = "Tue, 02 Jan 2024 03:04:05 GMT"
    for length, moment in ((64, datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)), (65, None)):
        padded = text.ljust(length)
        task = models.Task.from_dict({"id": 1, "createdAt": padded})
        assert task.created_at == moment
        assert task.unparsed == ({} if moment else {"created_at": padded})


@pytest.mark.parametrize("text", ["January 2024", "Jan 2024 03:04:05 GMT", "Tue 2024 03:04:05", "03:04:05 GMT"])
def test_a_date_that_lacks_a_part_is_no_date(text: str) -> None:
    task = models.Task.from_dict({"id": 1, "createdAt": text})
    assert (task.created_at, task.unparsed) == (None, {"created_at": text})


# --- models ------------------------------------------------------------------------------------------------------


ADDRESS = {
    "id": 5,
    "tenantId": "t",
    "contactId": 7,
    "channelType": "PHONE",
    "address": "+56912345678",
    "createdAt": "2024-01-02T03:04:05Z",
    "updatedAt": None,
}


@pytest.mark.parametrize("name", ["additional_properties", "unparsed", "absent", "_absent", "unknown"])
def test_a_model_made_by_hand_takes_only_fields(name: str) -> None:
    task: Any = models.Task
    with pytest.raises(TypeError, match=rf"'{name}'"):
        task(**{name: {}})
    with pytest.raises(TypeError, match="positional"):
        task(frozenset())


def test_a_model_shows_what_the_answer_had() -> None:
    task = models.Task.from_dict({"id": "7", "newField": 5, "createdAt": "soon", "updatedAt": None})
    assert (task.additional_properties, task.unparsed) == ({"newField": 5}, {"created_at": "soon"})
    assert repr(task) == (
        "Task(id='7', created_at=None, updated_at=None, additional_properties={'newField': 5}, "
        "unparsed={'created_at': 'soon'})"
    )
    assert repr(models.Task.from_dict({"id": "7"})) == "Task(id='7')"


def test_what_no_answer_had_is_there_when_asked_for() -> None:
    complete, part = models.ContactAddress.from_dict(ADDRESS), models.ContactAddress.from_dict({"id": 5})
    for address in (complete, part):
        assert (address.additional_properties, address.unparsed) == ({}, {})
        address.additional_properties["more"] = 1
        assert address.to_dict()["more"] == 1
    assert all(complete.is_set(name) for name in complete.wire_names)
    assert [name for name in part.wire_names if part.is_set(name)] == ["id"]
    assert models.ContactAddress.from_dict(ADDRESS) == models.ContactAddress.from_dict(ADDRESS)


def test_a_name_that_no_model_has_is_an_attribute_error() -> None:
    address: Any = models.ContactAddress.from_dict(ADDRESS)
    with pytest.raises(AttributeError, match="'ContactAddress' object has no attribute 'adress'") as caught:
        _ = address.adress
    assert (caught.value.name, caught.value.obj) == ("adress", address)


# --- unions ------------------------------------------------------------------------------------------------------


@attrs.define(kw_only=True, repr=False, eq=False)
class Small(Model):
    a: Any = ABSENT
    b: list[Small] | None = ABSENT


@attrs.define(kw_only=True, repr=False, eq=False)
class Large(Model):
    a: Any = ABSENT
    b: Any = ABSENT
    c: Any = ABSENT


@attrs.define(kw_only=True, repr=False, eq=False)
class Other(Model):
    d: Any = ABSENT
    e: Any = ABSENT


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"a": 1, "b": []}, Small),  # as many as of the large one, of which less is missing here
        ({"a": 1, "b": 2, "c": 3}, Large),
        ({"a": 1, "d": 2, "e": 3}, Other),
        ({"d": None, "z": 1, "y": 2}, Other),
        ({}, Small),
    ],
)
def test_an_object_of_several_kinds_is_the_one_that_it_shows_most_of(value: dict[str, Any], kind: type[Model]) -> None:
    for union in (Small | Large | Other, Large | Small | Other, Other | Large | Small):
        if value or union == (Small | Large | Other):
            read = rule(union).read(value, [])
            assert type(read) is (kind if value else type(read))
            assert read.to_dict() == value


def test_what_is_no_object_is_kept_and_what_is_broken_names_its_place() -> None:
    read = rule(Small | Large).read
    for value in (5, "text", [1]):
        assert read(value, []) is value
    with pytest.raises(DeserializationError) as caught:
        read({"a": 1, "b": "broken"}, [])
    assert str(caught.value) == "b: expected a list, found a string"


@extra_items(lambda: date)
@attrs.define(kw_only=True, repr=False, eq=False)
class Open(Model):
    days: list[date] | None = ABSENT
    more: list[date] | None = ABSENT
    most: list[date] | None = ABSENT


@pytest.mark.parametrize(
    ("hint", "raw"),
    [
        (list[date], ["2026-01-02", "soon", 5, None]),
        (list[datetime], ["2026-01-02T00:00:00Z", "soon", {"a": 1}]),
        (dict[str, UUID], {"a": "soon", "b": "12345678-1234-5678-1234-567812345678"}),
        (list[list[date]], [["soon"], "later", ["2026-01-02"]]),
        (list[UUID | int], ["soon", 5]),
        (date, "soon"),
        (list[Open], [{"days": ["soon", "2026-01-02"], "other": "soon", "third": "2026-01-02"}]),
    ],
    ids=str,
)
def test_what_nobody_can_read_is_kept_wherever_it_stands(hint: Any, raw: Any) -> None:
    assert to_plain(reader(hint)(raw)) == raw


TAGGED = Annotated[Small | Large, Tag("a", {"small": Small, 5: Large})]
DAY = date(2026, 1, 2)
READ: list[tuple[Any, Any, Any]] = [
    (int, 5.0, 5),
    (int, 5.5, 5.5),
    (int, "x", "x"),
    (float, 5.0, 5.0),
    (bool, "x", "x"),
    (None, 5, 5),
    (Text, 5.0, 5.0),
    (Literal[1, 2], 2.0, 2),
    (Literal["a", 1], 1.0, 1.0),
    (Literal["a"], 1.0, 1.0),
    (list[None], [None, 5.0], [None, 5.0]),
    (list[int], [5.0, None, "x"], [5, None, "x"]),
    (list[int], "x", "x"),
    (list[str], "x", "x"),
    (dict[str, int], {"a": 5.0, "b": None}, {"a": 5, "b": None}),
    (dict[str, int], [5.0], [5.0]),
    (dict[str, date], {"a": "2026-01-02", "b": None, "c": 5}, {"a": DAY, "b": None, "c": 5}),
    (date, "2026-01-02T00:00:00Z", DAY),
    *((date, f"2026-01-02T{at}Z", f"2026-01-02T{at}Z") for at in ("01:00", "00:01", "00:00:01", "00:00:00.000001")),
    *((hint, odd, odd) for hint in (date, datetime, UUID) for odd in ("soon", 5, ["a"], {"a": 1}, b"a")),
    (int | str, 5.0, 5),
    (int | float, 5.0, 5.0),
    (Literal[5] | str, 5.0, 5),
    (str | bool, 5.0, 5.0),
    (date | int, "2026-01-02", DAY),
    (date | int, 5.0, 5),
    (date | int, "soon", "soon"),
    (UUID | date, "2026-01-02", DAY),
    (UUID | date, str(UUID(int=5)), UUID(int=5)),
    (datetime | date, "2026-01-02", DAY),
    (datetime | date, "2026-01-02T00:00:00Z", datetime(2026, 1, 2, tzinfo=UTC)),
    (list[date] | int, ["2026-01-02"], [DAY]),
    (list[date] | int, "2026-01-02", "2026-01-02"),
    (list[date] | date, "2026-01-02", DAY),
    (dict[str, date] | int, {"a": "2026-01-02"}, {"a": DAY}),
    (date | int, {"a": 1}, {"a": 1}),
    (date | int, [5.0], [5.0]),
    (Small | int, 5.0, 5),
    (Small | int, {"a": 1}, Small(a=1)),
    (Small | dict[str, date], {"a": "2026-01-02"}, Small(a="2026-01-02")),
    (Small | list[date], ["2026-01-02"], [DAY]),
    (list[TAGGED] | int, [{"a": "small", "c": 1}], [Small.from_dict({"a": "small", "c": 1})]),
    (TAGGED | int, {"a": "small", "c": 1}, Small.from_dict({"a": "small", "c": 1})),  # type: ignore[operator]
    (TAGGED | int, {"a": 5}, Large(a=5)),  # type: ignore[operator]
    (Annotated[Small, Tag("a", {"small": Small})], {"a": "other"}, Small(a="other")),
    (Text | Small, {"a": 1}, Small(a=1)),
    (list[Small], [None], [None]),
    (date | str, 5.0, 5.0),
    (int | list[int], 5.0, 5),
]


@pytest.mark.parametrize(("hint", "raw", "read"), READ, ids=range(len(READ)))
def test_an_answer_is_read_by_its_type(hint: Any, raw: Any, read: Any) -> None:
    found = reader(hint)(raw)
    assert (found, repr(found)) == (read, repr(read))


@pytest.mark.parametrize(
    ("hint", "raw", "words"),
    [
        (list[Small], [{}, 5], "[1]: expected an object, found a number"),
        (list[Small], {}, "expected a list, found an object"),
        (dict[str, Small], {"a": "x"}, "a: expected an object, found a string"),
        (dict[str, Small], [], "expected an object, found a list"),
        (list[dict[str, list[Small]]], [{}, {"a": [True]}], "[1].a[0]: expected an object, found a boolean"),
        (list[Small] | int, [5], "[0]: expected an object, found a number"),
        (list[Small | int], "x", "expected a list, found a string"),
    ],
)
def test_what_must_be_decoded_and_cannot_be_is_refused_with_its_place(hint: Any, raw: Any, words: str) -> None:
    with pytest.raises(DeserializationError) as caught:
        reader(hint)(raw)
    assert str(caught.value) == words


@attrs.define(kw_only=True, repr=False, eq=False)
class Varied(Model):
    day: date | int | None = ABSENT
    text: date | str | None = ABSENT
    choice: date | Literal["now"] | None = ABSENT
    free: list[Any] | date | Any = ABSENT
    days: list[date] | None = ABSENT
    by_name: dict[str, date] | None = ABSENT
    numbers: list[int] | None = ABSENT
    object_: Small | date | None = ABSENT
    union: list[date | int] | None = ABSENT
    number: int | str | None = ABSENT
    numbered: list[int | str] | None = ABSENT
    mixed: dict[str, list[int]] | date | None = ABSENT


def test_a_model_keeps_what_nobody_can_read_where_it_belongs() -> None:
    raw: dict[str, Any] = dict.fromkeys(Varied.wire_names.values(), "soon")
    model = Varied.from_dict(raw)
    unread = ["day", "days", "by_name", "object_", "union", "mixed"]
    assert model.unparsed == dict.fromkeys(unread, "soon")
    assert {name: getattr(model, name) for name in Varied.wire_names} == {
        name: None if name in unread else "soon" for name in Varied.wire_names
    }
    assert model.to_dict() == raw
    assert Varied.from_dict({"object": {"a": 1}, "union": ["soon", 5.0], "days": None}).to_dict() == {
        "object": {"a": 1}, "union": ["soon", 5], "days": None
    }  # fmt: skip
    for kept in ({"day": 5}, {"day": {"a": 1}}, {"mixed": {"a": "x"}}, {"days": [None]}, {"byName": {"a": None}}):
        model = Varied.from_dict(kept)
        assert (model.to_dict(), model.unparsed) == (kept, {})
    assert Varied.from_dict({"days": ["2026-01-02"]}).to_dict() == {"days": ["2026-01-02"]}
    for number in (5.0, "x"):
        assert repr(Varied.from_dict({"number": number, "numbered": [number]})) == (
            "Varied(number=5, numbered=[5])" if number == 5 else "Varied(number='x', numbered=['x'])"
        )


def test_what_was_only_looked_at_makes_no_difference() -> None:
    one, other = Small(a=1), Small(a=1)
    assert (one.additional_properties, one.unparsed) == ({}, {})
    assert one == other
    assert one.__eq__(5) is NotImplemented


@attrs.define(kw_only=True, repr=False, eq=False)
class Extended(Small):
    seen: int = 0
    cache: int = attrs.field(default=5, eq=False, repr=False)


def test_fields_of_a_subclass_are_compared_and_shown_as_they_say() -> None:
    assert Extended(a=1, cache=6) == Extended(a=1, cache=7)
    assert Extended(a=1, seen=6) != Extended(a=1, seen=7)
    assert repr(Extended.from_dict({"a": 1})) == "Extended(a=1, seen=0)"


def test_a_moment_without_a_zone_that_somebody_put_in_is_written_without() -> None:
    assert to_plain([datetime(2026, 1, 2), DAY, UUID(int=5)]) == ["2026-01-02T00:00:00", "2026-01-02", str(UUID(int=5))]  # noqa: DTZ001
    assert to_plain({"end": datetime.max.replace(tzinfo=timezone(timedelta(seconds=-1)))}) == {
        "end": "9999-12-31T23:59:59.999999-00:00:01"
    }


def test_outside_models_a_date_that_nobody_can_read_is_the_text_that_came() -> None:
    assert reader(list[date])(["2026-01-02", "soon", None]) == [date(2026, 1, 2), "soon", None]
    (model,) = reader(list[Open])([{"days": ["soon"], "other": "soon", "third": "2026-01-02"}])
    assert (model.days, model.unparsed) == ([None], {"days": ["soon"]})
    assert model.additional_properties == {"other": "soon", "third": date(2026, 1, 2)}


def test_only_the_fields_that_nobody_can_read_are_unparsed() -> None:
    model = Open.from_dict({"days": ["soon"], "more": ["2026-01-02"], "most": ["later", 5]})
    assert (model.days, model.more, model.most) == ([None], [date(2026, 1, 2)], [None, None])
    assert model.unparsed == {"days": ["soon"], "most": ["later", 5]}


def test_null_is_read_where_the_document_allows_it() -> None:
    for hint in (Small | None, list[Small] | None, Small | Large | None, date | None, Any):
        assert reader(hint)(None) is None
    for expected, hint in (("an object", Small), ("a list", list[Small])):
        with pytest.raises(DeserializationError, match=f"^expected {expected}, found null$"):
            reader(hint)(None)


def test_what_is_no_object_of_a_tagged_union_is_kept() -> None:
    read = reader(Annotated[Small | Large, Tag("a", {"small": Small, "large": Large})])
    assert [read(value) for value in ("text", 5, [1])] == ["text", 5, [1]]
    assert [type(read({"a": tag})) for tag in ("small", "large")] == [Small, Large]
    assert type(read({"a": ["odd"], "c": 1})) is Large


def test_an_integer_that_is_one_of_several_kinds_is_read_from_a_float() -> None:
    union = reader(int | str)
    assert [union(value) for value in (5.0, 5.5, "5")] == [5, 5.5, "5"]
    assert type(union(5.0)) is int
    assert type(reader(list[int])([5.0])[0]) is int


def test_only_a_field_can_be_set() -> None:
    with pytest.raises(AttributeError, match="Task has no field 'nothing'"):
        models.Task(id="7").is_set("nothing")


def test_a_field_that_is_absent_says_so_in_a_signature() -> None:
    assert repr(ABSENT) == "<absent>"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Tue Jan 02 2024 03:04:05 GMT+0300", "2024-01-02T00:04:05+00:00"),
        ("Tue Jan 02 2024 03:04:05 UTC -03:00", "2024-01-02T06:04:05+00:00"),
        ("2024-01-02 03:04:05 UTC+3", None),
        ("Tue Jan 02 2024 03:04:05 CLT-0300", None),
        ("Tue Jan 2024 03:04:05", None),
    ],
)
def test_an_offset_is_read_as_written_or_not_at_all(text: str, read: str | None) -> None:
    """python-dateutil alone would turn a named offset round, and find a day where none is given."""
    found = parse_datetime(text)
    assert (found and found.astimezone(UTC).isoformat()) == read


# --- compiling at first use ---------------------------------------------------------------------------------------


def test_tracebacks_show_the_source_of_what_was_compiled() -> None:
    Small.from_dict({"a": 1}).to_dict()
    for name in ("reader of Small", "dumper of Small", "writer of Body"):
        assert linecache.getline(f"<{name}>", 1).startswith(f"def {name.rpartition(' ')[2]}(")


def test_what_is_being_compiled_is_awaited_by_other_threads_and_found_by_what_it_leads_to() -> None:
    begun, go_on, built = threading.Event(), threading.Event(), list[str]()

    def build(key: str) -> Callable[[], str]:
        built.append(key)
        inner = functions["b" if key == "a" else "a"]
        begun.set()
        assert go_on.wait(10)
        return lambda: f"{key}, of {inner.__name__}"

    functions = CompiledOnce(build)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(lambda: functions["a"]())
        assert begun.wait(10)
        second = threads.submit(lambda: functions["a"]())
        go_on.set()
        assert first.result(10) == second.result(10) == "a, of <lambda>"
    assert built == ["a", "b"]


def test_what_could_not_be_compiled_is_tried_again() -> None:
    outcomes: list[Any] = [LookupError("not there yet"), lambda: 5]

    def build(_key: str) -> Callable[[], int]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    functions = CompiledOnce(build)
    with pytest.raises(LookupError):
        functions["a"]
    assert functions["a"]() == 5
