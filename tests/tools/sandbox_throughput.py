"""How fast the sandbox answers a validated GET, compared with a bare Starlette route that returns the same bytes.

`python -m tests.tools.sandbox_throughput [seconds]`. Both are served by uvicorn in a process of their own and asked
by the same raw client over 8 connections, in turns, so that what disturbs one disturbs the other.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import statistics
import sys
import time
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llamadapro_sandbox import Sandbox
from tests.openapi import KEY_HEADER, key_headers, key_value, path_of

PATH = path_of("GetContact", 1)
CONNECTIONS = 8
TURNS = 3
CONTACT = {
    "firstName": "Jane",
    "lastName": "Doe",
    "customFields": {"source": "web"},
    "addresses": [{"channelType": "PHONE", "address": "+56912345678"}],
}


def bare(body: bytes) -> Starlette:
    async def answer(request: Request) -> Response:
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route(path_of("GetContact", "{id}"), answer)])


def serve(app: Any, listener: socket.socket) -> None:
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


async def request(port: int, end: float) -> int:
    """ApiRequest again and again on one connection; a client this plain leaves the processor to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n{KEY_HEADER}: {key_value('sandbox')}\r\n\r\n".encode()
    count = 0
    while time.monotonic() < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    await writer.wait_closed()
    return count


async def rate(port: int, seconds: float) -> float:
    end = time.monotonic() + seconds
    return sum(await asyncio.gather(*(request(port, end) for _ in range(CONNECTIONS)))) / seconds


async def expected(sandbox: Sandbox) -> bytes:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as client:
        return (await client.get(PATH, headers=key_headers(sandbox.api_key))).content


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    sandbox = Sandbox(seed={"contacts": [CONTACT]})
    apps = {"bare Starlette": bare(asyncio.run(expected(sandbox))), "sandbox": sandbox}
    ports, processes = {}, []
    for name, app in apps.items():
        # Of a socket that does not say it is TCP, asyncio leaves Nagle's delay on.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        ports[name] = listener.getsockname()[1]
        processes.append(multiprocessing.get_context("fork").Process(target=serve, args=(app, listener)))
        processes[-1].start()
    rates: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(TURNS):
        for name, port in ports.items():
            rates[name].append(asyncio.run(rate(port, seconds)))
    for process in processes:
        process.terminate()
        process.join()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, median in medians.items():
        print(f"{name:15} {median:7,.0f} requests/s   ({', '.join(f'{one:,.0f}' for one in rates[name])})")
    print(f"ratio           {medians['sandbox'] / medians['bare Starlette']:7.2f}")


if __name__ == "__main__":
    main()
