"""Bytes to models and back: a page of 100 contacts read, 500 conversations written; no network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson

from benchmarks import data
from benchmarks.measure import Contender, Measure, Row, Work

PAGE = orjson.dumps(data.contact_page(100))
SPARSE = orjson.dumps(data.sparse_page(100))
ITEMS = [data.conversation(number) for number in range(500)]


def repeated(build: Callable[[], Callable[[], Any]]) -> Contender:
    @asynccontextmanager
    async def contender(_address: str) -> AsyncIterator[Work]:
        once = build()

        async def work(count: int) -> None:
            for _ in range(count):
                once()

        yield work

    return contender


def read_ours(page: bytes) -> Callable[[], Any]:
    from llamadapro.models import ContactPage

    return lambda: ContactPage.from_dict(orjson.loads(page))


def read_stock(page: bytes) -> Callable[[], Any]:
    from stock_api.models import ContactPage

    return lambda: ContactPage.from_dict(json.loads(page))


def read_stock_with_orjson() -> Callable[[], Any]:
    from stock_api.models import ContactPage

    return lambda: ContactPage.from_dict(orjson.loads(PAGE))


def read_pydantic(page: bytes) -> Callable[[], Any]:
    from benchmarks.cases.other_models import PydanticPage

    return lambda: PydanticPage.model_validate_json(page)


def read_msgspec() -> Callable[[], Any]:
    import msgspec

    from benchmarks.cases.other_models import MsgspecPage

    decoder = msgspec.json.Decoder(MsgspecPage)
    return lambda: decoder.decode(PAGE)


def write_ours() -> Callable[[], Any]:
    from llamadapro_api import api

    return lambda: orjson.dumps(api.bulk_create(conversations=ITEMS).body)


def write_ours_with_numbers() -> Callable[[], Any]:
    """As `conversations.bulk_create` does it: the telephone numbers checked too."""
    from llamadapro import AsyncLlamadaPro
    from llamadapro_api import api

    numbers_checked = AsyncLlamadaPro("key").conversations._all_with_numbers  # noqa: SLF001  (without the sending)
    return lambda: orjson.dumps(api.bulk_create(conversations=numbers_checked([*ITEMS])).body)


def _stock_body() -> Any:
    from stock_api.models import BulkCreateBody

    wire = write_ours()()  # what goes over the wire is the same for both
    return BulkCreateBody.from_dict(json.loads(wire))


def write_stock_from_data() -> Callable[[], Any]:
    """From the same plain data as ours: stock output sends models only, so its users build them first."""
    from stock_api import models

    def free_form(values: dict[str, Any]) -> Any:
        out = models.FreeFormObject()
        out.additional_properties = values
        return out

    def contact(fields: dict[str, Any]) -> Any:
        fields = {**fields, "custom_fields": free_form(fields["custom_fields"])}
        return models.BulkConversationContactCreateParams(**fields)

    def conversation(fields: dict[str, Any]) -> Any:
        own = {"custom_fields": free_form(fields["custom_fields"]), "contact": contact(fields["contact"])}
        return models.BulkSingleConversationCreateParams(**{**fields, **own})

    return lambda: json.dumps(models.BulkCreateBody([conversation(item) for item in ITEMS]).to_dict()).encode()


def write_stock() -> Callable[[], Any]:
    """From models that are there already: half of the way, since to build them is not counted against it."""
    body = _stock_body()
    return lambda: json.dumps(body.to_dict()).encode()


def write_stock_with_orjson() -> Callable[[], Any]:
    body = _stock_body()
    return lambda: orjson.dumps(body.to_dict())


READ = Measure(
    "read",
    {
        "llamadapro": repeated(lambda: read_ours(PAGE)),
        "stock generator": repeated(lambda: read_stock(PAGE)),
        "stock generator, orjson": repeated(read_stock_with_orjson),
        "pydantic v2": repeated(lambda: read_pydantic(PAGE)),
        "msgspec": repeated(read_msgspec),
        "json alone": repeated(lambda: lambda: json.loads(PAGE)),
        "orjson alone": repeated(lambda: lambda: orjson.loads(PAGE)),
    },
    count=100,
    quick_count=30,
    warm=10,
    rounds=15,
    quick_rounds=5,
)
READ_SPARSE = Measure(
    "read_sparse",
    {
        "llamadapro": repeated(lambda: read_ours(SPARSE)),
        "stock generator": repeated(lambda: read_stock(SPARSE)),
        "pydantic v2": repeated(lambda: read_pydantic(SPARSE)),
    },
    count=100,
    quick_count=30,
    warm=10,
    rounds=15,
    quick_rounds=5,
)
WRITE = Measure(
    "write",
    {
        "llamadapro": repeated(write_ours),
        "llamadapro, numbers checked": repeated(write_ours_with_numbers),
        "stock generator": repeated(write_stock_from_data),
        "stock generator, models ready": repeated(write_stock),
        "stock generator, models ready, orjson": repeated(write_stock_with_orjson),
    },
    count=30,
    quick_count=6,
    warm=2,
    rounds=15,
    quick_rounds=5,
)
MEASURES = [READ, READ_SPARSE, WRITE]

_READ = "page of 100 contacts, bytes to models"
_SPARSE = "the same page without 4 of 17 fields"
_WRITE = "500 bulk conversations, plain data to bytes"
ROWS = [
    Row(f"{_READ}: times as fast as json + stock output", "read", "stock generator", "llamadapro", 3, at_least=True),
    Row(f"{_READ}, vs pydantic v2", "read", "llamadapro", "pydantic v2", 0.85),
    Row(f"{_SPARSE}, vs pydantic v2", "read_sparse", "llamadapro", "pydantic v2", 1.0),
    Row(f"{_SPARSE}, vs ours", "read_sparse", "stock generator", "llamadapro", comparison=True),
    *[
        Row(f"{_READ}, vs ours", "read", name, "llamadapro", comparison=True)
        for name in ("stock generator, orjson", "msgspec", "json alone", "orjson alone")
    ],
    Row(
        f"{_WRITE}: times as fast as json + stock models", "write", "stock generator", "llamadapro", 1.2, at_least=True
    ),
    *[
        Row(f"{_WRITE}, vs ours", "write", name, "llamadapro", comparison=True)
        for name in WRITE.contenders
        if name not in ("llamadapro", "stock generator")
    ],
]
