"""One contender in a process of its own; asked on stdin how many times, it answers with figures on stdout."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import resource
import sys
import time
from collections.abc import Mapping

from benchmarks.measure import Measure, Work


async def serve(measure: Measure, contender: str, address: str) -> None:
    async with measure.contenders[contender](address) as work:
        # Nothing else is to happen in this process meanwhile: a blocking read is meant.
        while line := sys.stdin.readline():
            count, warm = map(int, line.split())
            if warm:
                await work(warm)
            print(json.dumps(await timed(work, count)), flush=True)


async def timed(work: Work, count: int) -> Mapping[str, float]:
    gc.collect()
    memory = peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    own = await work(count)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    figures = {"cpu": cpu / count, "wall": wall / count, "growth": float(peak_memory() - memory)}
    return figures if own is None else figures | dict(own)


def peak_memory() -> int:
    """The most that was resident so far, in bytes; rusage's figure begins with what the parent process had."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    module, name, contender, address = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    measures: list[Measure] = importlib.import_module(module).MEASURES
    asyncio.run(serve(next(one for one in measures if one.name == name), contender, address))


if __name__ == "__main__":
    main()
