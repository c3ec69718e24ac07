"""Claim first: at most one message a key, whatever queue brings the task, and however often it brings it.

A queue that delivers at least once runs a task again when its worker has died. So the task's first step is a commit
that only one of them can make; whoever cannot, sends nothing. What has a claim and no outcome may have been sent: look
at the service, as the queue cannot know.
"""

from __future__ import annotations

from typing import Any

import psycopg

from llamadapro import APIError, AsyncLlamadaPro

TABLE = "create table if not exists claims (key text primary key, outcome text)"


async def send_once(database: str, client: AsyncLlamadaPro, key: str, **message: Any) -> bool:
    """Send a text unless its key has been claimed; whether it was sent by this call."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        claim = "insert into claims (key) values (%s) on conflict do nothing"
        if (await connection.execute(claim, (key,))).rowcount == 0:
            return False
        outcome = "unknown"
        try:
            outcome = (await client.messages.send_text(**message)).id
        except APIError as error:
            if not error.may_have_been_processed:
                outcome = f"not sent: {error}"
            raise
        finally:
            await connection.execute("update claims set outcome = %s where key = %s", (outcome, key))
    return True
