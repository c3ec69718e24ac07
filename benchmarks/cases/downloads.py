"""A recording of 200 MB, to a file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.cases.calls import Engine
from benchmarks.measure import Contender, Measure, Row, Work

SIZE = 200 * 2**20
WARM = 2**20
To = Callable[[str, Path], Awaitable[Any]]


@asynccontextmanager
async def fetching(address: str, fetch: To) -> AsyncIterator[Work]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.wav"

        async def work(count: int) -> None:
            size = SIZE if count == 1 else WARM
            await fetch(f"{address}/bytes/{size}", path)
            if path.stat().st_size != size:
                raise SystemExit(f"{path.stat().st_size} bytes came, {size} were there")
            path.unlink()

        yield work


def ours(engine: Engine) -> Contender:
    @asynccontextmanager
    async def contender(address: str) -> AsyncIterator[Work]:
        from llamadapro import AsyncLlamadaPro

        async with (
            AsyncLlamadaPro("key", address, engine=engine) as client,
            fetching(address, client.recordings.download) as work,
        ):
            yield work

    return contender


@asynccontextmanager
async def raw_httpx(address: str) -> AsyncIterator[Work]:
    import httpx

    async with httpx.AsyncClient(timeout=30) as client:

        async def fetch(url: str, path: Path) -> None:
            async with client.stream("GET", url) as response:
                with path.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)

        async with fetching(address, fetch) as work:
            yield work


@asynccontextmanager
async def raw_aiohttp(address: str) -> AsyncIterator[Work]:
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def fetch(url: str, path: Path) -> None:
            async with session.get(url) as response:
                with path.open("wb") as file:
                    async for chunk in response.content.iter_any():
                        file.write(chunk)

        async with fetching(address, fetch) as work:
            yield work


DOWNLOAD = Measure(
    "download",
    {
        "raw httpx": raw_httpx,
        "raw aiohttp": raw_aiohttp,
        "llamadapro": ours("httpx"),
        "llamadapro, aiohttp": ours("aiohttp"),
    },
    warm=2,
    rounds=5,
    quick_rounds=1,
)
MEASURES = [DOWNLOAD]

_WALL = "200 MB download, wall time vs httpx aiter_bytes to a file"
_GROWTH = "the same: resident memory grows by, MiB"
_MIB: dict[str, Any] = {"figure": "growth", "scale": 2**-20, "unit": "MiB"}
ROWS = [
    Row(_WALL, "download", "llamadapro", "raw httpx", 1.0, figure="wall"),
    Row(_WALL, "download", "llamadapro, aiohttp", "raw httpx", 0.5, figure="wall"),
    Row(_WALL, "download", "raw aiohttp", "raw httpx", figure="wall", comparison=True),
    Row(_GROWTH, "download", "llamadapro", bar=16, **_MIB),
    Row(_GROWTH, "download", "llamadapro, aiohttp", bar=16, **_MIB),
]
