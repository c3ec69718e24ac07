"""An application worth testing: it welcomes new contacts on WhatsApp, once each."""

from __future__ import annotations

from llamadapro import AsyncLlamadaPro, InternalServerError

SENDER = "+56912345678"


async def welcome(client: AsyncLlamadaPro, name: str, number: str) -> str:
    """Create the contact and send the welcome template; returns the result to show."""
    contact = await client.contacts.create(first_name=name, addresses=[{"channel_type": "WHATSAPP", "address": number}])
    try:
        message = await client.messages.send_template(
            to=number, from_=SENDER, template_name="welcome", language_code="en", variables=[name]
        )
    except InternalServerError as error:
        # It may have gone out: sending it again could welcome twice.
        return "unsure" if error.may_have_been_processed else "failed"
    return f"contact {contact.id}: {message.status}"


async def follow_up(client: AsyncLlamadaPro, number: str) -> str:
    """Let the agent call; returns the status and the transcription."""
    call = await client.calls.start_agent(voice_agent_id=1, to=number, context_variables={})
    call = await client.calls.wait(call.id)
    transcription = await client.calls.get_transcription(call.id, timeout=60)
    return f"{call.status}: {transcription.text}"
