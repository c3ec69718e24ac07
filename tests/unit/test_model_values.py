"""Models as values: copied, changed, compared, pickled, shown, and taken by pydantic and FastAPI; and odd arguments."""

from __future__ import annotations

import copy
import enum
import pickle
import sys
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import attrs
import pydantic
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from llamadapro import models
from llamadapro_api import api
from llamadapro_api.errors import ValidationError
from llamadapro_api.reading import ABSENT, Model
from tests.openapi import path_of

REPLACE = getattr(copy, "replace", copy.copy)
"""copy.replace is of Python 3.13."""
RAW = {"id": 1, "email": None, "createdAt": "soon", "brandNew": 5, "addresses": [{"id": 2, "x": 1}]}


@pytest.fixture
def contact() -> models.Contact:
    return models.Contact.from_dict(RAW)


# --- copies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again",
    [
        attrs.evolve,
        copy.copy,
        copy.deepcopy,
        lambda one: pickle.loads(pickle.dumps(one)),
        getattr(copy, "replace", copy.copy),
    ],
    ids=["evolve", "copy", "deepcopy", "pickle", "replace"],
)
def test_a_copy_loses_nothing(again: Any, contact: models.Contact) -> None:
    made = again(contact)
    assert made == contact
    assert made.to_dict() == RAW
    assert (made.additional_properties, made.unparsed) == ({"brandNew": 5}, {"created_at": "soon"})
    assert [made.is_set(name) for name in ("email", "phone")] == [True, False]
    made.additional_properties["more"] = 1
    made.unparsed.clear()
    assert contact.to_dict() == RAW


def test_a_changed_copy_leaves_the_original_alone(contact: models.Contact) -> None:
    changed = attrs.evolve(contact, first_name="Jane", created_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert changed.to_dict() == {**RAW, "firstName": "Jane", "createdAt": "2026-01-02T00:00:00Z"}
    changed.additional_properties["more"] = 1
    changed.unparsed.clear()
    assert contact.to_dict() == RAW
    # To attrs, None for a field that is absent is no change.
    assert not attrs.evolve(contact, phone=None).is_set("phone")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace is of Python 3.13")
def test_a_replaced_copy_is_an_evolved_one(contact: models.Contact) -> None:
    assert copy.replace(contact, first_name="Jane") == attrs.evolve(contact, first_name="Jane")  # type: ignore[attr-defined,unused-ignore]


@pytest.mark.parametrize(
    "other",
    [
        {**RAW, "email": "a@b.cl"},
        {**RAW, "phone": None},
        {**RAW, "brandNew": 6},
        {**RAW, "createdAt": "later"},
        {key: value for key, value in RAW.items() if key != "email"},
    ],
)
def test_models_that_differ_in_anything_are_not_equal(other: dict[str, Any], contact: models.Contact) -> None:
    assert models.Contact.from_dict(other) != contact
    assert contact != RAW


def test_a_model_that_was_changed_to_be_the_same_is_equal(contact: models.Contact) -> None:
    other = models.Contact.from_dict({**RAW, "firstName": "Jane"})
    contact.first_name = "Jane"
    assert contact == other
    with pytest.raises(TypeError, match="unhashable"):
        hash(contact)


# --- pydantic and FastAPI --------------------------------------------------------------------------------------------


class Holder(pydantic.BaseModel):
    contact: models.Contact
    others: list[models.Contact] = []
    body: models.CreateContactBody | None = None


def test_pydantic_takes_models(contact: models.Contact) -> None:
    holder = Holder(contact=RAW, others=[contact])  # type: ignore[arg-type]
    assert holder.contact == contact
    assert holder.others[0] is contact
    assert holder.model_dump(mode="json")["contact"] == RAW
    assert Holder.model_validate_json(holder.model_dump_json()) == holder
    schema = Holder.model_json_schema()
    assert schema["properties"]["contact"] == {"$ref": "#/$defs/Contact"}
    assert schema["$defs"]["Contact"]["properties"]["createdAt"]["anyOf"] == [
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ]
    with pytest.raises(pydantic.ValidationError, match="addresses: expected a list, found a number"):
        Holder(contact={"addresses": 5})  # type: ignore[arg-type]


def test_pydantic_takes_request_dictionaries() -> None:
    adapter = pydantic.TypeAdapter(models.CreateContactBody)
    address = {"channel_type": "PHONE", "address": "+56912345678"}
    body = adapter.validate_python({"created_at": "2026-01-02T03:04:05Z", "addresses": [address]})
    sent = api.create_contact(**body).body
    assert sent == {
        "createdAt": "2026-01-02T03:04:05Z",
        "addresses": [{"channelType": "PHONE", "address": "+56912345678"}],
    }
    with pytest.raises(pydantic.ValidationError, match="first_name"):
        adapter.validate_python({"first_name": 5})


@pytest.mark.parametrize("name", models.__all__)
def test_every_type_has_a_json_schema(name: str) -> None:
    assert pydantic.TypeAdapter(getattr(models, name)).json_schema()


def test_fastapi_answers_with_models(contact: models.Contact) -> None:
    app = FastAPI()

    @app.get("/one")
    def one() -> models.Contact:
        return contact

    @app.post("/many")
    def many(body: models.CreateContactBody) -> list[models.Contact]:
        return [models.Contact(id=7, first_name=body.get("first_name"))]

    with TestClient(app) as client:
        assert client.get("/one").json() == RAW
        assert client.post("/many", json={"first_name": "Jane"}).json() == [{"id": 7, "firstName": "Jane"}]
        assert client.post("/many", json={"first_name": 5}).status_code == 422
        document = client.get("/openapi.json").json()
    answers = [item[method]["responses"]["200"] for item in document["paths"].values() for method in item]
    one_answer, many_answer = (answer["content"]["application/json"]["schema"] for answer in answers)
    assert one_answer == {"$ref": "#/components/schemas/Contact"} == many_answer["items"]
    schemas = document["components"]["schemas"]
    assert {"Contact", "ContactAddress"} <= schemas.keys()
    addresses = {"type": "array", "items": {"$ref": "#/components/schemas/ContactAddress"}}
    assert addresses in schemas["Contact"]["properties"]["addresses"]["anyOf"]


@attrs.define(kw_only=True, repr=False, eq=False)
class Wheel(Model):
    """A wheel."""

    car: Car | None = ABSENT
    size: Literal["small"] | str = ABSENT
    tags: dict[str, UUID] = ABSENT


@attrs.define(kw_only=True, repr=False, eq=False)
class Car(Model):
    """A car."""

    wheels: list[Wheel] | None = ABSENT


def test_models_that_lead_back_to_themselves_have_a_json_schema() -> None:
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(list[Car] | Wheel)
    definitions = adapter.json_schema()["$defs"]
    wheel, car = ({"$ref": f"#/$defs/{name}"} for name in ("Wheel", "Car"))
    assert wheel in [one.get("items") for one in definitions["Car"]["properties"]["wheels"]["anyOf"]]
    assert car in definitions["Wheel"]["properties"]["car"]["anyOf"]
    assert definitions["Wheel"].get("description") in ("A wheel.", None)  # pydantic 2.9 takes no docstring
    tags = definitions["Wheel"]["properties"]["tags"]
    assert tags["additionalProperties"] == {"type": "string", "format": "uuid"}
    raw = [{"wheels": [{"car": {"wheels": [], "plate": 5}, "size": "huge"}]}]
    assert adapter.dump_python(adapter.validate_python(raw)) == raw


# --- odd arguments -------------------------------------------------------------------------------------------------


class Index:
    """An integer that is none of Python's, such as numpy's."""

    def __index__(self) -> int:
        return 7


class NotATime(datetime):
    """As pandas' NaT: a datetime whose methods raise."""

    def utcoffset(self) -> Any:
        raise ValueError("NaTType does not support utcoffset")


class BrokenZone(tzinfo):
    def utcoffset(self, _moment: datetime | None) -> timedelta:
        raise RuntimeError("no such zone")


class Broken:
    def __index__(self) -> int:
        raise MemoryError("out of reach")

    def __repr__(self) -> str:
        raise ValueError("no repr")


RAISES = "cannot be sent: its own methods raise"


class Color(enum.Enum):
    RED = 1


def test_what_is_an_integer_by_its_index_is_one() -> None:
    assert api.create_contact(user_id=Index(), metadata={"a": [Index()]}).body == {"userId": 7, "metadata": {"a": [7]}}  # type: ignore[typeddict-item]
    assert api.get_contact(Index()).url_path == path_of("GetContact", 7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"created_at": NotATime(2026, 1, 1)}, f"created_at: {RAISES} ValueError"),
        (
            {"created_at": datetime(2026, 1, 1, tzinfo=BrokenZone())},
            f"created_at: {RAISES} RuntimeError",
        ),
        (
            {"metadata": {"a": [NotATime(2026, 1, 1)]}},
            f"metadata.a[0]: {RAISES} ValueError",
        ),
        ({"user_id": Broken()}, f"user_id: {RAISES} MemoryError"),
        ({"email": Broken()}, "email: must be a string, not … (Broken)"),
        (
            {"metadata": Decimal(1)},
            "Decimal('1') (Decimal) cannot be sent as JSON; pass str(value) or float(value)",
        ),
        (
            {"metadata": [UUID(int=5)]},
            "metadata[0]: UUID('00000000-0000-0000-0000-000000000005') (UUID) cannot be sent as JSON; pass str",
        ),
        ({"metadata": {"a": Color.RED}}, "metadata.a: <Color.RED: 1> (Color) cannot be sent as JSON; pass its .value"),
        (
            {"created_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14, seconds=3)))},
            "created_at: 0001-01-01T00:00:00+14:00:03 is outside the calendar in UTC",
        ),
        (
            {"created_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12, seconds=-3)))},
            "created_at: 9999-12-31T23:00:00-12:00:03 is outside the calendar in UTC",
        ),
    ],
)
def test_a_value_whose_own_methods_raise_is_refused_with_its_place(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        api.create_contact(**arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize("raw", ["9:5" + "9" * 30, "0001-01-01T00:00:00+14:00:03", "9999-12-31T23:59:59-12:00:03"])
def test_dates_at_the_edge_of_the_calendar_cost_nothing(raw: str) -> None:
    contact = models.Contact.from_dict({"id": 1, "createdAt": raw})
    assert contact.to_dict() == {"id": 1, "createdAt": raw}
