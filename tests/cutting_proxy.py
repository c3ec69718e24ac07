"""A TCP proxy in front of PostgreSQL that cuts a connection after a commit, before its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit


class CuttingProxy:
    """Asks `cut` of every transaction whether its commit is to be answered; it is given what the client had sent."""

    def __init__(self, url: str, cut: Callable[[bytes], bool]) -> None:
        self._to = urlsplit(url)
        self._cut = cut
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.cuts = 0

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._to._replace(netloc=f"postgres@127.0.0.1:{port}"))

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        to_reader, to_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        answers = asyncio.create_task(_pump(to_reader, writer))
        said = b""
        try:
            while data := await reader.read(65536):
                said += data
                commit = b"COMMIT\0" in data
                if commit and self._cut(said):
                    self.cuts += 1
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    to_writer.write(data)
                    # The end of what the client says may come by itself.
                    rest = asyncio.create_task(_pump(reader, to_writer))
                    try:
                        async with asyncio.timeout(10):
                            # The server's "ready, not in a transaction" is the sign that it has committed.
                            heard = b""
                            while not heard.endswith(b"Z\0\0\0\5I"):
                                piece = await to_reader.read(65536)
                                assert piece, "the server has hung up"
                                heard += piece
                    finally:
                        rest.cancel()
                    return
                to_writer.write(data)
                if commit:
                    said = b""
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            writer.transport.abort()
            to_writer.transport.abort()
            self._serving.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
