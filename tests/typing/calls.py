"""What a type checker must say of calls: the types that come out, and every mistake that it has to find.

Checked by `make types`, never run. A line that says `type: ignore` is a mistake; were it accepted, the comment would
be one too many, and mypy (with the code given) and pyright both complain of that.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import date, datetime, timedelta
from typing import assert_type

import httpx

from llamadapro import (
    AsyncLlamadaPro,
    AsyncPaginator,
    Page,
    __version__,
    addresses,
    resources,
    search,
    to_e164,
    whatsapp,
)
from llamadapro.models import (
    Call,
    CallTranscription,
    Contact,
    ContactSearchHit,
    CustomFieldDefinition,
    Message,
    Recording,
    Task,
)
from llamadapro_api import api


async def lists(client: AsyncLlamadaPro) -> None:
    contacts = client.contacts.list(page_size=100, max_items=5, prefetch=True, filter_by="firstName:Jane")
    assert_type(contacts, AsyncPaginator[Contact])
    page = await contacts
    assert_type(page, Page[Contact])
    assert_type(page.items, list[Contact])
    assert_type(list(page), list[Contact])
    assert_type(len(page), int)
    assert_type(page.next_page_token, str | None)
    assert_type(page.total_count, int | None)
    assert_type(page.has_next_page(), bool)
    assert_type(await page.get_next_page(), Page[Contact])
    assert_type(contacts.iter_pages(), AsyncGenerator[Page[Contact], None])
    assert_type(await contacts.collect(), list[Contact])
    assert_type([contact.id async for contact in contacts], list[int])
    assert_type(contacts.next_page_token, str | None)
    async for contact in contacts:
        assert_type(contact, Contact)
    assert_type(client.contacts.search(size=5), AsyncPaginator[ContactSearchHit])
    assert_type(client.tasks.list(status="overdue"), AsyncPaginator[Task])
    assert_type(client.custom_fields.definitions.list(), AsyncPaginator[CustomFieldDefinition])

    client.contacts.list(page_sise=100)  # type: ignore[call-arg]
    client.contacts.list(page_size="100")  # type: ignore[arg-type]
    client.contacts.list("Jane")  # type: ignore[call-arg, arg-type]
    client.tasks.list(status="late")  # type: ignore[arg-type]
    [*client.contacts.list()]  # type: ignore[misc]


async def writes(client: AsyncLlamadaPro) -> None:
    assert_type(
        await client.contacts.create(
            first_name="Jane", addresses=[{"channel_type": "WHATSAPP", "address": "+56912345678"}]
        ),
        Contact,
    )
    assert_type(await client.contacts.update(5, last_name=None), Contact)
    assert_type(await client.contacts.update("5", first_name="Jane"), Contact)
    for due in (timedelta(days=1), date(2026, 1, 1), datetime.now().astimezone()):
        await client.tasks.update("task_1", due_date=due)
    assert_type(await client.messages.send_text(to="+1", from_="+2", text="Hi", user_id="7"), Message)
    assert_type(
        await client.messages.send_template(
            to="+1",
            from_="+2",
            template_name="ticket",
            language_code="en",
            components=[whatsapp.body("Jane", whatsapp.currency("12.50", "USD"))],
        ),
        Message,
    )

    await client.contacts.create(fist_name="Jane")  # type: ignore[call-arg]
    await client.contacts.create(first_name=5)  # type: ignore[arg-type]
    await client.contacts.create(addresses=[{"channel": "PHONE"}])  # type: ignore[typeddict-item, typeddict-unknown-key]
    await client.contacts.get(contact_id=5)  # type: ignore[call-arg]
    await client.contacts.get(5.0)  # type: ignore[arg-type]
    await client.tasks.create(objective="Send")  # type: ignore[call-arg]
    await client.tasks.update("task_1", status="done")  # type: ignore[arg-type]
    await client.tasks.update("task_1", due_date="tomorrow")  # type: ignore[arg-type]
    await client.messages.send_text("+1", from_="+2", text="Hi")  # type: ignore[call-arg]
    await client.messages.send_text(to="+1", text="Hi")  # type: ignore[call-arg]
    await client.messages.send_text(to="+1", from_="+2", text="Hi", user=7)  # type: ignore[call-arg]
    await client.messages.send_media(to="+1", from_="+2", file=5)  # type: ignore[arg-type]
    await client.messages.send_media(to="+1", from_="+2", file="a.pdf", type="pdf")  # type: ignore[arg-type]


async def calls(client: AsyncLlamadaPro) -> None:
    call = await client.calls.start_agent(voice_agent_id=1, to="+1", context_variables={"name": "Jane"})
    assert_type(call, Call)
    assert_type(await client.calls.wait(call.id, on_status=lambda call: print(call.status)), Call)
    assert_type(await client.calls.get_transcription(call.id, timeout=60), CallTranscription)
    assert_type(await client.calls.get_recording(call.id), Recording)

    await client.calls.start_agent(voice_agent_id="1", to="+1", context_variables={})  # type: ignore[arg-type]
    await client.calls.start_agent(voice_agent_id=1, to="+1")  # type: ignore[call-arg]
    await client.calls.start_adhoc_agent(to="+1", objectives="Confirm", max_seconds=5)  # type: ignore[call-arg]


async def around(client: AsyncLlamadaPro) -> None:
    copy = client.with_options(timeout=httpx.Timeout(5), deadline=None, max_retries=0, retry_unsafe=True)
    assert_type(copy, AsyncLlamadaPro)
    response = await client.request("GET", "/api/v1/anything", params={"page": 2})
    assert_type(response, httpx.Response)
    await client.request("GET", "/api/v1/anything", params=[("tag", "a"), ("tag", "b")])
    assert_type(await client.send(api.get_contact(5)), Contact)
    assert_type(client.contacts, resources.Contacts)
    assert_type(__version__, str)
    with client.capture_exchanges() as exchanges:
        await client.contacts.get(5)
    assert_type([exchange.request_id for exchange in exchanges], list[str | None])
    assert_type([exchange.status_code for exchange in exchanges], list[int | None])
    assert_type([exchange.headers for exchange in exchanges], list[httpx.Headers])
    async with AsyncLlamadaPro("key", rate_limit=5, on_attempt=lambda attempt: print(attempt.number)) as other:
        assert_type(other, AsyncLlamadaPro)
    assert_type(to_e164("912345678", "CL", strict=True), str)
    client.contacts.list(filter_by=search.filter_by(first_name="Jane"))
    client.contacts.search(filters=[search.where("addresses.address", "eq", "+56912345678")])
    await client.contacts.create(addresses=[addresses.phone("+56912345678")])

    client.with_options(max_retry=0)  # type: ignore[call-arg]
    client.with_options(engine="aiohttp")  # type: ignore[call-arg]
    await client.send("get_contact")  # type: ignore[arg-type]
    await client.request("GET", "/api/v1/anything", json_body={})  # type: ignore[call-arg]
    AsyncLlamadaPro("key", engine="requests")  # type: ignore[arg-type]
    AsyncLlamadaPro("key", rate_limit="5/s")  # type: ignore[arg-type]
    AsyncLlamadaPro("key", time_out=5)  # type: ignore[call-arg]
    with client as _:  # type: ignore[attr-defined]
        pass
