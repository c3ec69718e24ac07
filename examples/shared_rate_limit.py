"""Several processes under one rate limit: the client takes any object with `async acquire()`.

`pyrate-limiter` keeps the count where all of them see it: in a SQLite file on one machine, in Redis across machines.

    pip install pyrate-limiter filelock
    python examples/shared_rate_limit.py limit.sqlite 20      # start as many of these as you like

For Redis, build the bucket with `await RedisBucket.init([rate], redis.asyncio.Redis(), "llamadapro")` instead.
"""

from __future__ import annotations

import asyncio
import os
import sys

from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

from llamadapro import AsyncLlamadaPro

PER_SECOND = 10


class SharedLimit:
    """At most `requests` requests `per` (milliseconds) by all processes that name the same file."""

    def __init__(self, path: str, requests: int, per: int = Duration.SECOND) -> None:
        rates = [Rate(requests, per)]
        self._limiter = Limiter(SQLiteBucket.init_from_file(rates, db_path=path, use_file_lock=True))

    async def acquire(self) -> None:
        await self._limiter.try_acquire_async("llamadapro")


async def main(path: str, messages: int) -> None:
    limit = SharedLimit(path, PER_SECOND)
    async with AsyncLlamadaPro(rate_limit=limit) as client:
        await asyncio.gather(
            *(
                client.messages.send_text(
                    to="+14155552671", from_="+56912345678", text=f"{os.getpid()}, message {number}"
                )
                for number in range(messages)
            )
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
