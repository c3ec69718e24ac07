"""Let a voice agent call someone, read what was said, and leave a task to a colleague.

    python examples/agent_call.py +14155552671 Jane

Talks to $LLAMADAPRO_BASE_URL with $LLAMADAPRO_API_KEY; `llamadapro sandbox` gives you both.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from llamadapro import AsyncLlamadaPro, WaitTimeoutError
from llamadapro.models import Call, Task

AGENT = 1
COLLEAGUE = "7"


async def talk(client: AsyncLlamadaPro, number: str, name: str) -> Call:
    """Call, and return the call once it has ended."""
    call = await client.calls.start_agent(
        voice_agent_id=AGENT, to=number, context_variables={"customerFirstName": name}
    )
    return await client.calls.wait(call.id, timeout=900, on_status=lambda call: print(f"call {call.id}: {call.status}"))


async def words(client: AsyncLlamadaPro, call: Call) -> str | None:
    """What was said; None if nobody answered, or if the text does not come within ten minutes."""
    if call.status != "completed":
        return None
    try:
        return (await client.calls.get_transcription(call.id, timeout=600)).text
    except WaitTimeoutError:
        return None


async def follow_up(client: AsyncLlamadaPro, name: str, call: Call, text: str | None) -> Task:
    """A task for tomorrow: what was said, or to ring again."""
    nothing = f"Ring {name}: the agent's call is {call.status} and left no text"
    return await client.tasks.create(
        objective=nothing if text is None else f"Keep what {name} was promised:\n{text}",
        context={},
        created_by={"type_": "user", "id": COLLEAGUE},
        assigned_to={"type_": "user", "id": COLLEAGUE},
        due_date=timedelta(days=1),
    )


async def main(number: str, name: str) -> None:
    async with AsyncLlamadaPro() as client:
        call = await talk(client, number, name)
        task = await follow_up(client, name, call, await words(client, call))
        print(f"{task.id}, due {task.due_date}: {task.objective}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
