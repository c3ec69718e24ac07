"""A first tour of the client: contacts, WhatsApp messages, an agent's call, a task and a bulk import.

python examples/quickstart.py --sandbox      starts a local sandbox for itself, and stops it at the end
python examples/quickstart.py                talks to $LLAMADAPRO_BASE_URL with $LLAMADAPRO_API_KEY
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from llamadapro import AsyncLlamadaPro

FROM = "+56912345678"
JANE = "+14155552671"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def heading(text: str) -> None:
    print(f"\n\033[1;36m{text}\033[0m" if COLOUR else f"\n{text}")


def line(label: str, value: object) -> None:
    print(f"  \033[2m{label:<14}\033[0m{value}" if COLOUR else f"  {label:<14}{value}")


async def tour(client: AsyncLlamadaPro) -> None:
    heading("Contacts: create three, find them again by iterating")
    for name, number in (("Jane", JANE), ("Pedro", "+56987654321"), ("Lucía", "+525512345678")):
        contact = await client.contacts.create(
            first_name=name, addresses=[{"channel_type": "WHATSAPP", "address": number}]
        )
        line("created", f"{contact.first_name}, contact {contact.id}")
    async for contact in client.contacts.list(page_size=2):
        address = contact.addresses[0].address if contact.addresses else "no address"
        line("found", f"{contact.first_name}, {address}")

    heading("WhatsApp: a text and a template")
    text = await client.messages.send_text(to=JANE, from_=FROM, text="Hi Jane, this is the quickstart.")
    line("text", f"message {text.id}, {text.status}")
    template = await client.messages.send_template(
        to=JANE, from_=FROM, template_name="welcome", language_code="en", variables=["Jane"]
    )
    line("template", f"message {template.id}, {template.status}")

    heading("A voice agent calls")
    call = await client.calls.start_agent(voice_agent_id=1, to=JANE, context_variables={"customerFirstName": "Jane"})
    line("started", f"call {call.id}, {call.status}")
    call = await client.calls.wait(call.id, timeout=60)
    line("ended", f"{call.status} after {call.duration:g} s" if call.duration is not None else call.status)
    transcription = await client.calls.get_transcription(call.id)
    for spoken in (transcription.text or "").splitlines():
        line("", spoken)

    heading("A task that follows from it")
    task = await client.tasks.create(
        objective="Send Jane the proposal",
        context={},
        created_by={"type_": "user", "id": "1"},
        assigned_to={"type_": "user", "id": "1"},
        due_date=datetime.now(UTC) + timedelta(days=2),
    )
    line("created", f"{task.id}, {task.status}, due {task.due_date:%d %B}")
    task = await client.tasks.complete(task.id)
    line("completed", f"{task.id}, {task.status}")

    heading("Three conversations at once, one of them bad")
    result = await client.conversations.bulk_create(
        [
            {"funnel_id": 1, "contact": {"first_name": "Ana", "phones": ["+573001234567"]}},
            {"contact": {"first_name": "Nobody knows which funnel"}},
            {"funnel_id": 1, "contact": {"first_name": "Luis", "phones": ["+51987654321"]}},
        ]
    )
    counts = result.report.counts
    if counts is not None:
        line("counts", f"{counts.successful} created, {counts.errors} refused, {counts.total} in all")
    for item in result.report.items_issues or []:
        for issue in item.errors or []:
            line(f"item {item.index}", f"{issue.field}: {issue.message} ({issue.code})")


@contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """A sandbox in a process of its own, on a free port."""
    command = [sys.executable, "-m", "llamadapro_sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed = iter(process.stdout or ())
            address = next(printed).split(" on ")[1].strip()
            key = next(printed).split(": ")[1].strip()
            yield address, key
        finally:
            process.terminate()


async def main() -> None:
    if "--sandbox" not in sys.argv[1:]:
        async with AsyncLlamadaPro() as client:
            await tour(client)
        return
    with sandbox() as (address, key):
        print(f"The sandbox speaks the API on {address}; nothing leaves this machine.")
        async with AsyncLlamadaPro(key, address) as client:
            await tour(client)
    heading("Done. The sandbox has stopped.")


if __name__ == "__main__":
    asyncio.run(main())
