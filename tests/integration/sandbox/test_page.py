"""The page at `/`, in a real browser; skipped where there is none."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from llamadapro_sandbox import Sandbox

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")


async def dom(url: str, profile: Path) -> str:
    """The page's document once its script has run."""
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=1500",
    ]
    assert BROWSER is not None
    process = await asyncio.create_subprocess_exec(
        BROWSER, *options, "--dump-dom", url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    content, _ = await asyncio.wait_for(process.communicate(), 30)
    return content.decode()


async def test_the_page_shows_what_is_inside(
    sandbox: Sandbox, url: str, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await api.post("/api/v1/contacts", json={"firstName": "<b>Jane</b>"})
    await api.post("/api/v1/calls/bridge", json={"to": "+56912345678"})
    page = await dom(f"{url}/", tmp_path)
    assert "&lt;b&gt;Jane&lt;/b&gt;" in page
    for text in ("CreateContact", "StartBridgeCall", "+56912345678", "queued", "none yet"):
        assert text in page
    assert "is not this sandbox's" in await dom(f"{url}/#wrong", tmp_path)
