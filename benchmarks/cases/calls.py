"""One small call after another, and many at once: typed here, untyped or by the stock generator elsewhere."""

from __future__ import annotations

import asyncio
import importlib.machinery
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from benchmarks.measure import Contender, Measure, Row, Work

CONTACT = 1001
TO, FROM, TEXT = "+14155552671", "+56912345678", "Hi Jane"
KEY = {"X-API-Key": "key"}
MESSAGE = {"fromPhoneNumber": FROM, "toPhoneNumber": TO, "content": TEXT, "type": "text"}
Engine = Literal["httpx", "aiohttp"]
Call = Callable[[], Awaitable[Any]]


class _Missing(importlib.machinery.PathFinder):
    """Makes a package as absent as it can be: looked for along all of the path, each time, and not found."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        if name == "sniffio":
            importlib.machinery.PathFinder.find_spec("sniffio_that_is_not_there", path, target)
            raise ModuleNotFoundError(name)


def without_sniffio() -> None:
    sys.modules.pop("sniffio", None)
    sys.meta_path.insert(0, _Missing)  # type: ignore[arg-type]


def repeated(call: Call, concurrency: int) -> Work:
    """`call` so many times, so many of them at once."""

    async def work(count: int) -> None:
        left = iter(range(count))

        async def one_after_another() -> None:
            for _ in left:
                await call()

        if concurrency == 1:
            await one_after_another()
        else:
            await asyncio.gather(*[one_after_another() for _ in range(concurrency)])

    return work


def ours(engine: Engine, what: str, concurrency: int = 1) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        from llamadapro import AsyncLlamadaPro

        async with AsyncLlamadaPro("key", address, engine=engine, max_connections=max(100, concurrency)) as client:
            calls: dict[str, Call] = {
                "get": lambda: client.contacts.get(CONTACT),
                "list": lambda: client.contacts.list(page_size=20),
                "send": lambda: client.messages.send_text(to=TO, from_=FROM, text=TEXT),
            }
            yield repeated(calls[what], concurrency)

    return contender


def raw_httpx(what: str, concurrency: int = 1, *, sniffio: bool = True) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        if not sniffio:
            without_sniffio()
        import httpx

        async with httpx.AsyncClient(headers=KEY, timeout=30) as client:
            url = address + PATHS[what]

            async def get() -> Any:
                return (await client.get(url)).json()

            async def send() -> Any:
                return (await client.post(url, json=MESSAGE)).json()

            yield repeated(send if what == "send" else get, concurrency)

    return contender


def raw_aiohttp(what: str, concurrency: int = 1) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=max(100, concurrency))
        async with aiohttp.ClientSession(headers=KEY, connector=connector) as session:
            url = address + PATHS[what]

            async def get() -> Any:
                async with session.get(url) as response:
                    return await response.json()

            async def send() -> Any:
                async with session.post(url, json=MESSAGE) as response:
                    return await response.json()

            yield repeated(send if what == "send" else get, concurrency)

    return contender


def stock(what: str, concurrency: int = 1) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        from stock_api import AuthenticatedClient
        from stock_api.api.v1contacts import get_contact, get_contacts
        from stock_api.api.v1whatsapp import create_message
        from stock_api.models import CreateMessageBody

        client = AuthenticatedClient(base_url=address, token="key", auth_header_name="X-API-Key", prefix="")
        async with client:
            calls: dict[str, Call] = {
                "get": lambda: get_contact.asyncio(client=client, id=CONTACT),
                "list": lambda: get_contacts.asyncio(client=client, page_size=20),
                "send": lambda: create_message.asyncio(client=client, body=CreateMessageBody.from_dict(MESSAGE)),
            }
            yield repeated(calls[what], concurrency)

    return contender


PATHS = {
    "get": f"/api/v1/contacts/{CONTACT}",
    "list": "/api/v1/contacts?pageSize=20",
    "send": "/api/v1/whatsapp/messages",
}

GET = Measure(
    "get",
    {
        "raw httpx": raw_httpx("get"),
        "raw httpx, no sniffio": raw_httpx("get", sniffio=False),
        "raw aiohttp": raw_aiohttp("get"),
        "stock generator": stock("get"),
        "llamadapro": ours("httpx", "get"),
        "llamadapro, aiohttp": ours("aiohttp", "get"),
    },
    count=500,
    quick_count=120,
    warm=30,
    rounds=9,
)
SEND = Measure(
    "send",
    {
        "raw httpx": raw_httpx("send", 100),
        "raw httpx, no sniffio": raw_httpx("send", 100, sniffio=False),
        "raw aiohttp": raw_aiohttp("send", 100),
        "stock generator": stock("send", 100),
        "llamadapro": ours("httpx", "send", 100),
        "llamadapro, aiohttp": ours("aiohttp", "send", 100),
    },
    count=2000,
    quick_count=100,
    warm=100,
    rounds=3,
    quick_rounds=2,
)
CROWD = Measure(
    "crowd",
    {
        "llamadapro, 10 at once": ours("httpx", "send", 10),
        "llamadapro, 1,000 at once": ours("httpx", "send", 1000),
        "llamadapro, aiohttp, 10 at once": ours("aiohttp", "send", 10),
        "llamadapro, aiohttp, 1,000 at once": ours("aiohttp", "send", 1000),
        "raw aiohttp, 10 at once": raw_aiohttp("send", 10),
        "raw aiohttp, 1,000 at once": raw_aiohttp("send", 1000),
    },
    count=2000,
    quick_count=1000,
    warm=20,
    warmer={f"{who}, 1,000 at once": 1000 for who in ("llamadapro", "llamadapro, aiohttp", "raw aiohttp")},
    rounds=5,
    quick_rounds=2,
)
MEASURES = [GET, SEND, CROWD]

_GET = "contacts.get, typed, vs httpx get + json"
_SEND = "send_text, 100 at once, vs httpx post + json"
_CROWD = "CPU of a request at 1,000 at once, vs 10 at once"
ROWS = [
    Row(_GET, "get", "llamadapro", "raw httpx", bar=0.75),
    Row(_GET, "get", "llamadapro, aiohttp", "raw httpx", bar=0.40),
    Row("contacts.get, typed, vs raw aiohttp get + json", "get", "llamadapro, aiohttp", "raw aiohttp", bar=1.25),
    *[
        Row(_GET, "get", name, "raw httpx", comparison=True)
        for name in ("raw httpx, no sniffio", "raw aiohttp", "stock generator")
    ],
    Row(_SEND, "send", "llamadapro", "raw httpx", bar=0.27),
    Row(_SEND, "send", "llamadapro, aiohttp", "raw httpx", bar=0.10),
    *[
        Row(_SEND, "send", name, "raw httpx", comparison=True)
        for name in ("raw httpx, no sniffio", "raw aiohttp", "stock generator")
    ],
    Row(_CROWD, "crowd", "llamadapro, 1,000 at once", "llamadapro, 10 at once", bar=1.5),
    Row(_CROWD, "crowd", "llamadapro, aiohttp, 1,000 at once", "llamadapro, aiohttp, 10 at once", bar=1.5),
    Row(_CROWD, "crowd", "raw aiohttp, 1,000 at once", "raw aiohttp, 10 at once", comparison=True),
]
