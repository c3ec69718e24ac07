"""Recordings of calls (section v1/recordings)."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from llamadapro_api import api, models

from .._lazy import LazyModule
from ..errors import InvalidRequestError
from ._base import Resource

if TYPE_CHECKING:
    from .._media import download
else:
    download = LazyModule("llamadapro._media.download")


class Recordings(Resource, section="recordings"):
    """Recordings of calls."""

    async def get(self, recording_id: int | str, /) -> models.Recording:
        """Get a recording, with the URL of its audio (GetRecording); raises `NotFoundError` if there is none.

        Example: ``recording = await client.recordings.get(17)``
        """
        return await self._send(api.get_recording, recording_id)

    async def load(self, **fields: Unpack[models.LoadRecordingBody]) -> None:
        """Import an external recording from its URL (LoadRecording); keywords: `LoadRecordingBody`.

        The API reference shows no successful response, so 200, 201 and 204 all count as success. `call_start_time` is
        plain text there; ISO 8601 is the safe choice. Phone numbers must be E.164. Example::

            await client.recordings.load(user_id=7, url="https://example.com/call.wav", call_direction="incoming")
        """
        known = (name for name in ("call_to", "call_from") if fields.get(name) is not None)  # nobody is reached by it
        self._session.normalize(fields, *known)
        await self._send(api.load_recording, **fields)

    async def download(
        self,
        recording_or_url: models.Recording | str,
        path: str | PathLike[str],
        /,
        *,
        on_progress: download.Progress | None = None,
        resume: bool = True,
        timeout: float = 30.0,
    ) -> Path:
        """Download a recording's audio to `path`, atomically, and return it as a `Path`.

        The bytes are collected in ``<path>.part``. A broken connection is resumed for as long as each attempt makes
        progress (`max_retries` counts the attempts without any). With `resume`, so is what an earlier run left, if the
        host confirms that the file is unchanged: pass the `Recording` for that, since a signed URL differs each time.

        - `on_progress`: called with the bytes received and the total (None if unknown); the count falls when the host
          has to start again.
        - `timeout`: seconds that may pass without a byte; there is no other limit.

        Memory stays flat; one of `max_connections` is in use. The API key and `default_headers` are never sent to the
        host of the URL; redirects are followed.

        Raises `InvalidRequestError` for what cannot be downloaded, the `APIError` family (`NotFoundError`,
        `PermissionDeniedError` for an expired URL, `APITimeoutError`, …), and `OSError` for disk errors.
        Example::

            recording = await client.calls.get_recording(call.id, timeout=60)
            await client.recordings.download(recording, "call.wav", on_progress=print)
        """
        if isinstance(recording_or_url, models.Recording):
            url, source = recording_or_url.url, f"recording {recording_or_url.id}"
            if not url:
                raise InvalidRequestError(f"{source} has no URL (yet): get it again later")
        elif isinstance(recording_or_url, str):
            url, source = recording_or_url, None
        else:
            raise InvalidRequestError(
                f"download takes a Recording or its URL, not {recording_or_url!r}: get the recording by its id first"
            )
        return await download.download(
            self._session,
            url,
            path,
            source=source,
            on_progress=on_progress,
            resume=resume,
            timeout=timeout,
        )
