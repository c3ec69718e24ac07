"""Several processes under one rate limit: the client takes any object with `async acquire()`.

`pyrate-limiter` keeps the count where all of them see it: in a SQLite file on one machine, in Redis across machines.

    pip install pyrate-limiter filelock
    python examples/shared_rate_limit.py limit.sqlite 4 20      # four workers that send twenty messages each

For Redis, build the bucket with `await RedisBucket.init([rate], redis.asyncio.Redis(), "llamadapro")` instead.
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

from llamadapro import AsyncLlamadaPro

PER_SECOND = 10


class SharedLimit:
    """At most `requests` requests `per` second, minute or hour by all processes that name the same file."""

    def __init__(self, path: str, requests: int, per: Duration = Duration.SECOND) -> None:
        rates = [Rate(requests, per)]
        self._limiter = Limiter(SQLiteBucket.init_from_file(rates, db_path=path, use_file_lock=True))

    async def acquire(self) -> None:
        await self._limiter.try_acquire_async("llamadapro")


async def send(path: str, messages: int) -> str:
    """What one worker does: a client of its own, and the limit of all."""
    async with AsyncLlamadaPro(rate_limit=SharedLimit(path, PER_SECOND)) as client:
        texts = [f"message {number} of worker {os.getpid()}" for number in range(1, messages + 1)]
        sending = (client.messages.send_text(to="+14155552671", from_="+56912345678", text=text) for text in texts)
        sent = await asyncio.gather(*sending)
    return f"worker {os.getpid()} sent {len(sent)} messages"


def work(path: str, messages: int) -> str:
    return asyncio.run(send(path, messages))


if __name__ == "__main__":
    path, workers, messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with ProcessPoolExecutor(workers) as pool:
        for summary in pool.map(work, [path] * workers, [messages] * workers):
            print(summary)
