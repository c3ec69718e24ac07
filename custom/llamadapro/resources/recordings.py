"""Recordings of calls (section v1/recordings)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamadapro_api.api.v1recordings.get_recording import get_recording
from llamadapro_api.api.v1recordings.load_recording import LoadRecordingBody, load_recording

from .resource import Resource

if TYPE_CHECKING:
    from typing import Unpack

    from llamadapro_api.models import Recording


class Recordings(Resource):
    """Recordings of calls."""

    async def get(self, recording_id: int | str, /) -> Recording:
        """Get what is known of a recording, its URL among it (GetRecording)."""
        return await self._send(get_recording, recording_id)

    async def load(self, **fields: Unpack[LoadRecordingBody]) -> None:
        """Have the service take in a recording from a URL (LoadRecording); keywords: `LoadRecordingBody`.

        The page shows no answer for success, so 200, 201 and 204 are all taken for one. `call_start_time` is plain
        text there; ISO 8601 is the safe choice. Phone numbers must be E.164. Example::

            await client.recordings.load(user_id=7, url="https://example.com/call.wav", call_direction="incoming")
        """
        self._check_numbers(fields, "call_to", "call_from")
        await self._send(load_recording, **fields)
