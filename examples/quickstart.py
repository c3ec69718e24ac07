"""A first tour of the client: contacts, WhatsApp messages, an agent's call, a task, a bulk request and a lost answer.

python examples/quickstart.py --sandbox          starts a local sandbox, and stops it at the end
python examples/quickstart.py --sandbox --stay   leaves the sandbox and its web page open until Ctrl-C
python examples/quickstart.py                    talks to $LLAMADAPRO_BASE_URL with $LLAMADAPRO_API_KEY
"""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from llamadapro import APIError, AsyncLlamadaPro

FROM = "+56912345678"
JANE = "+14155552671"
COLOR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
Step = Callable[[AsyncLlamadaPro], Awaitable[None]]


async def contacts(client: AsyncLlamadaPro) -> None:
    """Contacts: create three, find them again by iterating"""
    for name, number in (("Jane", JANE), ("Pedro", "+56987654321"), ("Lucía", "+525512345678")):
        await client.contacts.create(first_name=name, addresses=[{"channel_type": "WHATSAPP", "address": number}])
    async for contact in client.contacts.list(page_size=2):
        print(contact.id, contact.first_name, [address.address for address in contact.addresses or []])


async def messages(client: AsyncLlamadaPro) -> None:
    """WhatsApp: a text and a template"""
    text = await client.messages.send_text(to=JANE, from_=FROM, text="Hi Jane, this is the quickstart.")
    template = await client.messages.send_template(
        to=JANE, from_=FROM, template_name="welcome", language_code="en", variables=["Jane"]
    )
    print(text.id, text.status, "·", template.id, template.status)


async def agent_call(client: AsyncLlamadaPro) -> None:
    """A voice agent calls; its transcription"""
    call = await client.calls.start_agent(voice_agent_id=1, to=JANE, context_variables={"customerFirstName": "Jane"})
    call = await client.calls.wait(call.id, timeout=60)
    print("call", call.id, call.status, f"after {call.duration} s")
    print((await client.calls.get_transcription(call.id, timeout=60)).text)


async def task(client: AsyncLlamadaPro) -> None:
    """A task that follows from it"""
    task = await client.tasks.create(
        objective="Send Jane the proposal",
        context={},
        created_by={"type_": "user", "id": "1"},
        assigned_to={"type_": "user", "id": "1"},
        due_date=datetime.now(UTC) + timedelta(days=2),
    )
    task = await client.tasks.complete(task.id)
    print(task.id, task.status)


async def bulk(client: AsyncLlamadaPro) -> None:
    """Three conversations in one request, one of them invalid"""
    result = await client.conversations.bulk_create(
        [
            {"funnel_id": 1, "contact": {"first_name": "Ana", "phones": ["+573001234567"]}},
            {"contact": {"first_name": "Without a funnel"}},
            {"funnel_id": 1, "contact": {"first_name": "Luis", "phones": ["+51987654321"]}},
        ]
    )
    for item, errors, _ in result.issues:
        print(item, "->", [error.message for error in errors])


async def lost_answer(client: AsyncLlamadaPro) -> None:
    """The answer is lost after the service has acted: the message is not sent twice"""
    try:
        await client.messages.send_text(to=JANE, from_=FROM, text="Your order has shipped.")
    except APIError as error:
        print("may_have_been_processed:", error.may_have_been_processed)


async def show(step: Step, client: AsyncLlamadaPro) -> None:
    """Print a step's own code, then run it."""
    title, code = inspect.getdoc(step) or "", inspect.getsource(step).split('"""\n', 1)[1]
    print(f"\n\033[1;36m{title}\033[0m" if COLOR else f"\n{title}")
    code = textwrap.indent(textwrap.dedent(code).rstrip(), "  ")
    print(f"\033[2m{code}\033[0m\n" if COLOR else f"{code}\n")
    await step(client)


async def show_lost_answer(client: AsyncLlamadaPro) -> None:
    """Have the sandbox cut the connection after it has processed the next message, and count what reached it."""

    async def count() -> int:
        received = await client.request("GET", "/_sandbox/requests", params={"operation": "CreateMessage"})
        return len(received.json()["requests"])

    fault = {"kind": "reset", "when": "after", "operation": "CreateMessage", "times": 1}
    await client.request("POST", "/_sandbox/faults", json=fault)
    before = await count()
    await show(lost_answer, client)
    print("requests at the server:", await count() - before)


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


STEPS: tuple[Step, ...] = (contacts, messages, agent_call, task, bulk)


async def tour(client: AsyncLlamadaPro) -> None:
    for step in STEPS:
        await show(step, client)


async def main(options: list[str]) -> None:
    if "--sandbox" not in options:
        async with AsyncLlamadaPro() as client:
            await tour(client)
        return
    with sandbox() as (address, key):
        print(f"The sandbox speaks the API on {address}; nothing leaves this machine.")
        async with AsyncLlamadaPro(key, address) as client:
            await tour(client)
            await show_lost_answer(client)
        print(
            "\nNext:\n"
            "  llamadapro sandbox --port 8080   your own sandbox, with a web page that shows every request\n"
            "  docs/guide/quickstart.md         write a first program against it\n"
            "  docs/guide/testing.md            use it as pytest fixtures"
        )
        if "--stay" in options:
            print(f"\nOpen {address} in a browser; Ctrl-C ends it.", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nThe sandbox has stopped.")
