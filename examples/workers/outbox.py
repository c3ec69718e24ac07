"""An outbox: an order and the message about it are one transaction of the app's own, and the message leaves once.

The app writes into its own table; `deliver` sends what stands there, in a process of its own or in several. The order's
number is the key, so what an interrupted delivery has sent is not sent by the next.

    uvicorn outbox:app        and, next to it:        python outbox.py
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from fastapi import FastAPI

from llamadapro import AsyncLlamadaPro, SendReport

DATABASE = os.environ["DATABASE_URL"]
TABLES = """
create table if not exists orders (id bigint generated always as identity primary key, customer text not null);
create table if not exists outbox (order_id bigint primary key, recipient text not null, content text not null);
"""
app = FastAPI()


@app.post("/orders", status_code=201)
async def create_order(customer: str, phone: str) -> dict[str, int]:
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection, connection.transaction():
        insert = "insert into orders (customer) values (%s) returning id"
        row = await (await connection.execute(insert, (customer,))).fetchone()
        assert row is not None
        message = "insert into outbox values (%s, %s, %s)"
        await connection.execute(message, (row[0], phone, f"Thank you, {customer}: order {row[0]} is on its way"))
    return {"id": row[0]}


async def outbox() -> AsyncIterator[dict[str, Any]]:
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection, connection.cursor("outbox") as cursor:
        await cursor.execute("select order_id, recipient, content from outbox order by order_id")
        async for order, recipient, content in cursor:
            yield {"to": recipient, "text": content, "custom_fields": {"order": order}}


async def deliver() -> SendReport:
    """Send what has not been sent; to be run every few seconds. Rows that were sent may be deleted from the outbox."""
    async with AsyncLlamadaPro() as client:
        return await client.messages.send_many(
            outbox(),
            operation="send_text",
            common={"from_": os.environ["SENDER"]},
            key=lambda row: str(row["custom_fields"]["order"]),
            ledger=DATABASE,
            run="outbox",
        )


if __name__ == "__main__":
    print(asyncio.run(deliver()))
