"""Promise 2, reading: whatever the service adds, leaves out, nulls or misspells, an answer stays readable.

The shapes come from openapi.yaml itself (see tests/openapi.py), not from the models under test.
"""

from __future__ import annotations

import copy
import json
import pickle
import typing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import llamadapro
from llamadapro import models
from llamadapro_api.errors import DeserializationError
from llamadapro_api.reading import Model
from tests.openapi import DOCUMENT, Shape, answered_schemas, python_name
from tests.strategies import MANY, SOME, json_values, texts

MODELS: dict[str, type[Model]] = {
    name: found
    for name in models.__all__
    if isinstance(found := getattr(models, name), type) and issubclass(found, Model)
}
every_model = pytest.mark.parametrize("name", sorted(MODELS))


def utc(*args: int) -> datetime:
    return datetime(*args, tzinfo=UTC)  # type: ignore[misc,arg-type]


# Read by the rules of their formats, by hand.
READABLE_DATES = {
    "2024-01-02T03:04:05Z": utc(2024, 1, 2, 3, 4, 5),
    "2024-01-02T03:04:05.678Z": utc(2024, 1, 2, 3, 4, 5, 678000),
    "2024-01-02T03:04:05.678901234Z": utc(2024, 1, 2, 3, 4, 5, 678901),
    "2024-01-02T03:04:05z": utc(2024, 1, 2, 3, 4, 5),
    "2024-01-02t03:04:05z": utc(2024, 1, 2, 3, 4, 5),
    "2024-01-02 03:04:05+00:00": utc(2024, 1, 2, 3, 4, 5),
    "2024-01-02T03:04:05-03:00": utc(2024, 1, 2, 6, 4, 5),
    "2024-01-02T03:04:05-0300": utc(2024, 1, 2, 6, 4, 5),
    "2024-01-02T03:04:05": utc(2024, 1, 2, 3, 4, 5),
    "2024-01-02T03:04Z": utc(2024, 1, 2, 3, 4),
    "2024-01-02": utc(2024, 1, 2),
    "20240102T030405Z": utc(2024, 1, 2, 3, 4, 5),
    "2024-12-31T24:00:00Z": utc(2025, 1, 1),
    "2024-01-02T24:00:00-03:00": utc(2024, 1, 3, 3),
    "2016-12-31T23:59:60Z": utc(2017, 1, 1),
    "2016-12-31T20:59:60-03:00": utc(2017, 1, 1),
    "2016-12-31T23:59:60.500Z": utc(2017, 1, 1, 0, 0, 0, 500000),
    "Tue, 02 Jan 2024 03:04:05 GMT": utc(2024, 1, 2, 3, 4, 5),
    "Tue, 2 Jan 2024 03:04:05 -0300": utc(2024, 1, 2, 6, 4, 5),
    "02 Jan 2024 03:04:05 +0000": utc(2024, 1, 2, 3, 4, 5),
    "Tuesday, 02-Jan-24 03:04:05 GMT": utc(2024, 1, 2, 3, 4, 5),
    "0001-01-01T00:00:00+14:00": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    "9999-12-31T23:59:59.999999-12:00": datetime(
        9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-12))
    ),
}
# A month in letters or a year in front leaves nothing to guess; without a zone they are UTC, as the ISO forms are.
PLAIN_DATES = {
    "Tue, 02 Jan 2024 03:04:05": utc(2024, 1, 2, 3, 4, 5),
    "Tue Jan  2 03:04:05 2024": utc(2024, 1, 2, 3, 4, 5),
    "2024-01-02 03:04:05 UTC": utc(2024, 1, 2, 3, 4, 5),
    "2024-01-22 03:04:05 UTC": utc(2024, 1, 22, 3, 4, 5),
}
UNREADABLE_DATES = (
    "", " ", "soon", "null", "12:30", "01/02/2024", "1704164645", "0000-00-00T00:00:00Z", "2024-13-01T00:00:00Z",
    "2024-02-30T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T24:00:00Z", "9999-12-31T23:59:60Z",
    "2024-01-02T25:00:00Z", "2024-01-02T03:04:05+25:00", "2024-01-02T03:04:05 CST", "9" * 5000, "\x00", "\ud800",
    1704164645, 1704164645.5, 0, True, False, [], ["2024-01-02T03:04:05Z"], {}, {"date": "2024-01-02"},
    "-0001-11-30T00:00:00Z",
)  # fmt: skip


def instant(text: Any) -> datetime | None:
    """What a date means, or None: the table above for odd ones, and ISO 8601 for those made by a strategy."""
    if not isinstance(text, str) or text in READABLE_DATES:
        return READABLE_DATES.get(text) if isinstance(text, str) else None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


# --- the wire form of any object, with all that may go wrong with it ----------------------------------------------

zones = st.sampled_from([None, UTC, timezone(timedelta(hours=-3)), timezone(timedelta(hours=5, minutes=45))])
wordy = st.text(st.characters(exclude_categories=["Cs", "N"]), max_size=12)
"""Texts without digits, which no reader can take for a date."""
dates = st.one_of(
    st.datetimes(timezones=zones).map(datetime.isoformat),
    st.sampled_from(sorted(READABLE_DATES)),
    st.sampled_from([one for one in UNREADABLE_DATES if one != "\ud800"]),
    wordy,
)


def value_of(shape: Shape) -> st.SearchStrategy[Any]:
    """What the service may send where the document says `shape`."""
    if shape.kind == "object":
        return st.none() | wire_form(shape.name)
    if shape.kind == "list" and shape.item.kind == "object":
        return st.none() | st.lists(st.none() | wire_form(shape.item.name), max_size=2)
    if shape.kind == "datetime":
        return st.none() | dates
    likely = {
        "integer": st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**53), 2**53).map(float),
        "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "boolean": st.booleans(),
        "text": st.sampled_from(shape.values) | texts if shape.values else texts,
        "choice": st.sampled_from(shape.values or ("",)) | texts,
    }.get(shape.kind, json_values)
    return likely | json_values


@cache
def wire_form(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """An answer, complete or with fields missing, and often with fields that the document does not know."""
    fields = Shape("object", name).fields
    known = {wire: st.deferred(lambda shape=shape: value_of(shape)) for wire, shape in fields.items()}  # type: ignore[misc]
    # Attribute names, and those of the model's own machinery, mean nothing on the wire.
    own = {*map(python_name, fields), "unparsed", "additional_properties", "_absent", "self", "__class__"} - {*fields}
    strange = st.dictionaries(
        (st.sampled_from(sorted(own)) | texts).filter(lambda key: key not in fields), json_values, max_size=2
    )
    some = st.fixed_dictionaries({}, optional=known) | st.fixed_dictionaries(known)
    return st.builds(lambda extra, sent: {**extra, **sent}, strange, some)


def check_same(shape: Shape, came: Any, went: Any, place: str = "") -> None:
    """Whether `to_dict` gives back what was read: the same JSON, but for how a date and an integer are written."""
    if shape.kind == "object" and isinstance(came, dict):
        assert went.keys() == came.keys(), place
        for wire, value in came.items():
            check_same(shape.fields.get(wire, Shape("any")), value, went[wire], f"{place}.{wire}")
    elif shape.kind == "list" and shape.item.kind == "object" and isinstance(came, list):
        assert len(went) == len(came), place
        for index, (one, other) in enumerate(zip(came, went, strict=True)):
            check_same(shape.item, one, other, f"{place}[{index}]")
    elif shape.kind == "datetime" and (moment := instant(came)) is not None:
        assert datetime.fromisoformat(went) == moment, place
    elif shape.kind == "integer" and isinstance(came, float) and came.is_integer() and abs(came) <= 2**53:
        assert (type(went), went) == (int, came), place
    else:
        # As text, because Python takes 1, 1.0 and True for the same.
        assert json.dumps(went, sort_keys=True) == json.dumps(came, sort_keys=True), place


def check_read(name: str, came: dict[str, Any], model: Model) -> None:
    """Whether each attribute reads as it should."""
    fields = Shape("object", name).fields
    assert model.additional_properties == {key: value for key, value in came.items() if key not in fields}
    unparsed = {}
    for wire, shape in fields.items():
        attribute, value = python_name(wire), came.get(wire)
        read = getattr(model, attribute)
        assert model.is_set(attribute) is (wire in came), attribute
        if shape.kind == "other":
            continue  # test_battery.py reads every kind there is
        if value is None:
            assert read is None, attribute
        elif shape.kind == "object":
            assert isinstance(read, MODELS[shape.name])
            check_read(shape.name, value, read)
        elif shape.kind == "list" and shape.item.kind == "object":
            assert type(read) is list
            for one, other in zip(value, read, strict=True):
                assert other is None if one is None else isinstance(other, MODELS[shape.item.name])
        elif shape.kind == "datetime":
            moment = instant(value)
            assert read == moment, attribute
            if moment is None:
                unparsed[attribute] = value
            else:
                assert read.utcoffset() is not None
        else:
            assert read == value, attribute
    others = {python_name(wire) for wire, shape in fields.items() if shape.kind == "other"}
    found = {attribute: value for attribute, value in model.unparsed.items() if attribute not in others}
    assert json.dumps(found, sort_keys=True) == json.dumps(unparsed, sort_keys=True)


def test_the_models_are_the_objects_that_answers_hold() -> None:
    assert set(MODELS) == answered_schemas()
    assert llamadapro.models is models


@every_model
@SOME
@given(data=st.data())
def test_whatever_comes_is_read_and_given_back(name: str, data: st.DataObject) -> None:
    came = data.draw(wire_form(name))
    kept = json.dumps(came, sort_keys=True)
    model = MODELS[name].from_dict(came)
    assert json.dumps(came, sort_keys=True) == kept, "the answer itself was changed"
    check_read(name, came, model)
    went = model.to_dict()
    check_same(Shape("object", name), came, went)
    # What is written can be read again, and is the same thing.
    assert MODELS[name].from_dict(went).to_dict() == went
    for again in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert type(again) is type(model)
        assert again == model
        assert again.to_dict() == went
        assert (again.unparsed, again.additional_properties) == (model.unparsed, model.additional_properties)


@every_model
def test_an_empty_answer_is_read(name: str) -> None:
    model = MODELS[name].from_dict({})
    for wire in Shape("object", name).fields:
        assert getattr(model, python_name(wire)) is None
        assert not model.is_set(python_name(wire))
    assert model.to_dict() == {}
    assert (model.unparsed, model.additional_properties) == ({}, {})


@every_model
def test_nulls_are_read_and_remembered(name: str) -> None:
    came = dict.fromkeys(Shape("object", name).fields)
    model = MODELS[name].from_dict(came)
    assert all(getattr(model, python_name(wire)) is None and model.is_set(python_name(wire)) for wire in came)
    assert model.to_dict() == came


@every_model
def test_an_unknown_field_is_kept_whatever_else_is_there(name: str) -> None:
    known = dict.fromkeys(Shape("object", name).fields)
    for missing in (None, *known):
        came = {**{wire: None for wire in known if wire != missing}, "brandNew": [1]}
        model = MODELS[name].from_dict(came)
        assert model.additional_properties == {"brandNew": [1]}
        assert model.to_dict() == came


def test_models_do_not_share_what_they_hold() -> None:
    first, second = models.Contact.from_dict({"id": 1}), models.Contact.from_dict({"id": 1})
    first.additional_properties["x"] = 1
    first.unparsed["created_at"] = "soon"
    assert (second.additional_properties, second.unparsed) == ({}, {})
    assert models.Contact(id=1).additional_properties == {}


def examples() -> Iterator[tuple[str, str, Any]]:
    """Every example of a success that the document gives."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            for answer in operation.get("responses", {}).values() if isinstance(operation, dict) else ():
                content = answer.get("content", {}).get("application/json", {})
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                given_examples = [one["value"] for one in content.get("examples", {}).values() if "value" in one]
                for value in (*given_examples, *([content["example"]] if "example" in content else ())):
                    if name in MODELS:
                        yield f"{method.upper()} {path}", name, value


def test_the_documents_own_examples_are_read_without_a_rest() -> None:
    found = list(examples())
    assert len(found) >= 5
    for where, name, value in found:
        came = json.loads(json.dumps(value, default=datetime.isoformat))
        model = MODELS[name].from_dict(came)
        assert (model.unparsed, model.additional_properties) == ({}, {}), where
        check_same(Shape("object", name), came, model.to_dict(), where)


# --- dates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "moment"), [*READABLE_DATES.items(), *PLAIN_DATES.items()])
def test_a_date_of_any_usual_form_is_read(text: str, moment: datetime) -> None:
    task = models.Task.from_dict({"id": "1", "dueDate": text})
    assert task.due_date == moment
    assert task.due_date is not None
    assert task.due_date.utcoffset() is not None
    assert task.unparsed == {}
    assert datetime.fromisoformat(task.to_dict()["dueDate"]) == moment


@pytest.mark.parametrize("raw", UNREADABLE_DATES, ids=lambda raw: repr(raw)[:30])
def test_a_date_that_nobody_can_read_is_kept_as_it_came(raw: Any) -> None:
    task = models.Task.from_dict({"id": "1", "dueDate": raw})
    assert task.due_date is None
    assert task.unparsed == {"due_date": raw}
    assert task.unparsed["due_date"] is raw
    assert task.is_set("due_date")
    assert task.to_dict() == {"id": "1", "dueDate": raw}
    # A new value takes its place.
    task.due_date = utc(2026, 1, 2)
    assert task.to_dict() == {"id": "1", "dueDate": "2026-01-02T00:00:00Z"}


date_like = st.from_regex(
    r"[0-9]{1,4}[-/. ]?[0-9a-zA-Z]{0,3}[-/. ]?[0-9]{0,4}[T ,]{0,2}[0-9:.,]{0,15}[ZzA-Y+\-0-9: ]{0,8}"
)


@MANY
@given(st.text(max_size=80) | date_like | st.integers() | st.floats())
@example("24:00")
@example("2024-01-02T03:04:05" + "0" * 60)
@example("1e999999999")
@example("Jan 32 2024 99:99:99")
@example("2024-01-02T03:04:05+99:99")
def test_no_date_fails_an_answer(raw: Any) -> None:
    contact = models.Contact.from_dict({"id": 1, "createdAt": raw})
    if contact.created_at is None:
        assert contact.unparsed == {"created_at": raw}
        assert contact.to_dict()["createdAt"] is raw
    else:
        assert contact.unparsed == {}
        assert contact.created_at.utcoffset() is not None
        assert datetime.fromisoformat(contact.to_dict()["createdAt"]) == contact.created_at


# --- wrong shapes ------------------------------------------------------------------------------------------------


def places(name: str, depth: int = 3) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every place inside an object where another object or a list must stand, and which of the two."""
    if depth == 0:
        return
    for wire, shape in Shape("object", name).fields.items():
        if shape.kind == "object":
            yield (wire,), "an object"
            inner = shape.name
            steps: tuple[str | int, ...] = (wire,)
        elif shape.kind == "list" and shape.item.kind == "object":
            yield (wire,), "a list"
            yield (wire, 2), "an object"
            inner, steps = shape.item.name, (wire, 3)
        else:
            continue
        for place, expected in places(inner, depth - 1):
            yield (*steps, *place), expected


def shown(place: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")


def planted(place: tuple[str | int, ...], value: Any) -> Any:
    """The smallest answer that has `value` at `place`."""
    for step in reversed(place):
        value = [*[{}, None, {}, {}][:step], value] if isinstance(step, int) else {step: value}
    return value


WRONG: dict[str, list[Any]] = {"an object": ["text", 5, 1.5, True, []], "a list": ["text", 5, False, {}]}
FOUND = {str: "a string", int: "a number", float: "a number", bool: "a boolean", list: "a list", dict: "an object"}


@every_model
def test_another_shape_is_refused_with_its_place(name: str) -> None:
    for place, expected in places(name):
        for wrong in WRONG[expected]:
            with pytest.raises(DeserializationError) as caught:
                MODELS[name].from_dict(planted(place, wrong))
            assert caught.value.place == shown(place)
            assert str(caught.value) == f"{shown(place)}: expected {expected}, found {FOUND[type(wrong)]}"


@every_model
@pytest.mark.parametrize("wrong", ["text", 5, 1.5, True, [], [{}], None], ids=repr)
def test_an_answer_that_is_no_object_is_refused(name: str, wrong: Any) -> None:
    found = "null" if wrong is None else FOUND[type(wrong)]
    with pytest.raises(DeserializationError, match=f"^expected an object, found {found}$") as caught:
        MODELS[name].from_dict(wrong)
    assert caught.value.place == ""
    assert isinstance(caught.value, ValueError)


def test_the_place_leads_through_lists() -> None:
    page = {"items": [{"id": 1}, None, {"id": 2, "addresses": None}, {"id": 3, "addresses": "none"}]}
    with pytest.raises(DeserializationError) as caught:
        models.ContactPage.from_dict(page)
    assert caught.value.place == "items[3].addresses"


# --- made by hand ------------------------------------------------------------------------------------------------


def test_a_model_made_by_hand_has_just_what_it_was_given() -> None:
    contact = models.Contact(id=1, first_name="Jane", email=None)
    assert contact.to_dict() == {"id": 1, "firstName": "Jane", "email": None}
    assert contact.is_set("email")
    assert not contact.is_set("phone")
    assert contact.phone is None
    assert contact == models.Contact.from_dict(contact.to_dict())


@every_model
def test_every_model_can_be_made_by_hand(name: str) -> None:
    shape = Shape("object", name)
    needed = {wire: {} if shape.fields[wire].kind == "object" else 1 for wire in shape.required}
    arguments: dict[str, Any] = {python_name(wire): value for wire, value in needed.items()}
    for wire in shape.required:
        if shape.fields[wire].kind == "object":
            arguments[python_name(wire)] = MODELS[shape.fields[wire].name].from_dict({})
        if shape.fields[wire].kind == "list":
            arguments[python_name(wire)], needed[wire] = [], []
    assert MODELS[name](**arguments).to_dict() == needed
    with pytest.raises(TypeError, match="colour"):
        MODELS[name](**arguments, colour="red")


def test_a_field_that_is_given_a_value_is_written() -> None:
    contact = models.Contact.from_dict({"id": 1})
    contact.email = "jane@example.com"
    contact.created_at = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=-3)))
    contact.addresses = [models.ContactAddress(id=2, address="+56912345678")]
    assert contact.is_set("email")
    assert contact.to_dict() == {
        "id": 1,
        "email": "jane@example.com",
        "createdAt": "2026-01-02T03:00:00-03:00",
        "addresses": [{"id": 2, "address": "+56912345678"}],
    }


@pytest.mark.parametrize("name", ["firstName", "colour", "additional_properties", "to_dict", ""])
def test_asking_for_a_field_that_no_contact_has_is_a_mistake(name: str) -> None:
    with pytest.raises(AttributeError, match="Contact"):
        models.Contact.from_dict({"id": 1, "colour": "red"}).is_set(name)
    with pytest.raises(AttributeError):
        models.Contact(id=1).colour = "red"  # type: ignore[attr-defined]


def test_free_form_objects_are_dictionaries() -> None:
    raw = {"id": 1, "customFields": {"size": "XL", "nested": {"a": [1]}}, "metadata": {"from": "import"}}
    contact = models.Contact.from_dict(raw)
    assert type(contact.custom_fields) is dict
    assert contact.custom_fields.get("size") == "XL"
    assert (len(contact.custom_fields), sorted(contact.custom_fields)) == (2, ["nested", "size"])
    assert contact.metadata == {"from": "import"}
    assert contact.to_dict() == raw
    media = models.Media.from_dict({"tags": {"a": "b"}})
    assert type(media.tags) is dict


def test_integers_that_came_as_floats_are_integers() -> None:
    contact = models.Contact.from_dict({"id": 123.0, "userId": 1.5, "contactCompanyId": 2.0**60})
    assert (contact.id, type(contact.id)) == (123, int)
    assert (contact.user_id, contact.contact_company_id) == (1.5, 2.0**60)
    # A number that is not an integer in the document stays what it is.
    assert type(models.Recording.from_dict({"id": 1, "duration": 12.0}).duration) is float


def test_values_that_the_document_does_not_know_are_kept() -> None:
    task = models.Task.from_dict({"id": "1", "status": "postponed", "assignedTo": {"id": "7", "type": "robot"}})
    assert task.status == "postponed"
    assert task.assigned_to is not None
    assert task.assigned_to.type_ == "robot"


# --- types -------------------------------------------------------------------------------------------------------


def parts_of(hint: Any) -> Iterator[Any]:
    """A type and everything it is made of."""
    yield hint
    for inner in typing.get_args(hint):
        yield from parts_of(inner)


@every_model
def test_attributes_are_typed_as_what_they_read_as(name: str) -> None:
    hints = typing.get_type_hints(MODELS[name])
    for wire, shape in Shape("object", name).fields.items():
        hint = hints[python_name(wire)]
        parts = list(parts_of(hint))
        assert not any("unset" in str(part).lower() or "absent" in str(part).lower() for part in parts), wire
        assert not ({datetime, str} <= set(parts)), wire
        assert (datetime in parts) is (shape.kind == "datetime"), wire
        if shape.kind in ("choice", "text"):
            assert str in parts, f"{wire}: an enum is open when it is read"
        if shape.kind == "map":
            assert any(typing.get_origin(part) is dict for part in parts), wire
        if shape.kind not in ("any", "loose") and wire not in Shape("object", name).required:
            assert type(None) in parts, wire


@pytest.mark.parametrize("name", sorted(set(models.__all__) - set(MODELS)))
def test_no_public_type_speaks_of_machinery(name: str) -> None:
    found = getattr(models, name)
    hints = typing.get_type_hints(found) if isinstance(found, type) else {}
    for hint in (found, *hints.values()):
        assert not any("unset" in str(part).lower() for part in parts_of(hint))
