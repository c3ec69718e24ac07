"""Messages as tasks of procrastinate, which keeps its queue in PostgreSQL.

No retry, and stalled jobs are left alone: a job whose worker has died stays `doing`. It may have sent its message, so
it is for a person to look at, and not for another worker to run (procrastinate's own recipe for retrying stalled jobs
sends some messages twice).

    procrastinate --app procrastinate_tasks.app worker
"""

from __future__ import annotations

import os

import procrastinate

from llamadapro import AsyncLlamadaPro

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["DATABASE_URL"]))


@app.task(queue="messages")  # no `retry=`
async def send_text(to: str, text: str) -> str | None:
    async with AsyncLlamadaPro() as client:
        message = await client.messages.send_text(to=to, text=text, from_=os.environ["SENDER"])
    return message.id


async def stalled() -> list[int | None]:
    """The jobs that somebody has to look at: their worker has not been heard of."""
    jobs = await app.job_manager.get_stalled_jobs(queue="messages")
    return [job.id for job in jobs]
