"""The sandbox without a socket, for httpx: as httpx.ASGITransport, but a cut connection arrives as one."""

from __future__ import annotations

import httpx


class InProcess(httpx.ASGITransport):
    """An answer arrives in one piece: slow drips and large downloads want `Sandbox.serve()`."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionResetError as cut:
            raise httpx.ReadError(str(cut), request=request) from cut
