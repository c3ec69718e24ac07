"""`make downloads`: a 200 MB recording of the sandbox, fetched at once, and interrupted and resumed, on both engines.

Prints sizes, hashes, memory and times, compared with plain httpx writing `aiter_bytes` to a file in the same run. Each
way has a process of its own, so that its peak memory is its own; the sandbox has one too. Another size: give it in MB.
"""

# ruff: noqa: ASYNC240  (a program that does nothing else meanwhile)
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from examples.quickstart import sandbox
from llamadapro import AsyncLlamadaPro
from llamadapro.models import Recording
from tests.openapi import key_headers

WAYS = ("plain httpx", "httpx", "aiohttp")
ROUNDS = 3
FLAT = 16 * 2**20
"""How far the peak may grow over a download; a 200 MB body held anywhere would pass it many times over."""


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def plain(url: str, path: Path) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
        with path.open("wb") as file:
            async for chunk in response.aiter_bytes():
                file.write(chunk)


async def interrupted(client: AsyncLlamadaPro, recording: Recording, path: Path, size: int) -> tuple[int, int]:
    """Cancelled at half; what was kept, and where the second download began."""
    half = asyncio.Event()
    first = asyncio.create_task(
        client.recordings.download(recording, path, on_progress=lambda n, _: half.set() if n >= size // 2 else None)
    )
    await half.wait()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    assert not path.exists()
    kept = path.with_name(f"{path.name}.part").stat().st_size
    seen: list[int] = []
    await client.recordings.download(recording, path, on_progress=lambda n, _: seen.append(n))
    return kept, seen[0]


async def measure(way: str, address: str, number: int, small: int, folder: Path) -> dict[str, Any]:
    """One way, in a process of its own: once to warm up, then at once, then interrupted and resumed."""
    found: dict[str, Any] = {"times": []}
    engine: Any = "aiohttp" if way == "aiohttp" else "httpx"
    path = folder / f"{way.replace(' ', '-')}.wav"
    async with AsyncLlamadaPro("sandbox", address, engine=engine) as client:
        recording = await client.recordings.get(number)
        first = await client.recordings.get(small)

        async def fetch(what: Recording) -> None:
            assert what.url is not None
            if way == "plain httpx":
                await plain(what.url, path)
            else:
                await client.recordings.download(what, path)

        await fetch(first)
        before = peak()
        for _ in range(ROUNDS):
            path.unlink()
            started = time.perf_counter()
            await fetch(recording)
            found["times"].append(time.perf_counter() - started)
        found |= {"size": path.stat().st_size, "sha256": digest(path)}
        if way != "plain httpx":
            path.unlink()
            kept, begun = await interrupted(client, recording, path, found["size"])
            found |= {"kept": kept, "begun": begun, "resumed size": path.stat().st_size, "resumed sha256": digest(path)}
        found |= {"peak": peak(), "growth": peak() - before, "left": sorted(one.name for one in folder.iterdir())}
    path.unlink()
    return found


def main() -> int:
    if sys.argv[1:2] == ["measure"]:
        way, address, number, small, folder = sys.argv[2:]
        print(json.dumps(asyncio.run(measure(way, address, int(number), int(small), Path(folder)))))
        return 0
    size = int(sys.argv[1] if sys.argv[1:] else 200) * 2**20
    results: dict[str, Any] = {}
    with (
        sandbox() as (address, key),
        httpx.Client(base_url=address, headers=key_headers(key), trust_env=False) as api,
        tempfile.TemporaryDirectory() as folder,
    ):
        number, small = (api.post("/_sandbox/recordings", json={"bytes": n}).json()["id"] for n in (size, 2**20))
        api.delete("/_sandbox/requests")
        for way in WAYS:
            command = [
                sys.executable,
                "-m",
                "tests.tools.download",
                "measure",
                way,
                address,
                str(number),
                str(small),
                folder,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
            if done.returncode:
                raise SystemExit(done.stderr)
            results[way] = json.loads(done.stdout)
    faults = list(judge(results, size))
    print_all(results)
    print("\n".join(faults) or "all as it should be")
    return bool(faults)


def judge(results: dict[str, Any], size: int) -> Iterator[str]:
    right = results["plain httpx"]
    for way, found in results.items():
        for kind in ("", "resumed "):
            if found.get(f"{kind}size", size) != size or found.get(f"{kind}sha256", right["sha256"]) != right["sha256"]:
                yield f"{way}: the {kind}file is not the recording"
        if way == "plain httpx":
            continue
        if found["growth"] > FLAT:
            yield f"{way}: memory grew by {found['growth'] / 2**20:.0f} MB"
        if found["kept"] < size // 2 or not found["kept"] < found["begun"] < found["kept"] + 2**20:
            yield f"{way}: {found['kept']:,} bytes were kept, but the second download began with {found['begun']:,}"
        if len(found["left"]) != 1:
            yield f"{way}: left behind {found['left']}"


def print_all(results: dict[str, Any]) -> None:
    base = statistics.median(results["plain httpx"]["times"])
    for way, found in results.items():
        times = statistics.median(found["times"])
        print(f"{way}: {found['size']:,} bytes, sha256 {found['sha256'][:16]}…")
        rate = found["size"] / times / 2**20
        print(f"  median of {ROUNDS}: {times:.2f} s, {times / base:.2f} of plain httpx, {rate:.0f} MB/s")
        if "kept" in found:
            print(
                f"  cancelled with {found['kept']:,} bytes kept, resumed there; sha256 {found['resumed sha256'][:16]}…"
            )
        print(
            f"  peak memory {found['peak'] / 2**20:.1f} MB, of it {found['growth'] / 2**20:.1f} MB since the first MB\n"
        )


if __name__ == "__main__":
    sys.exit(main())
