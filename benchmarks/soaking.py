"""
One long run: waits that end and are followed by others, until so many polls have been sent.

    python -m benchmarks.soaking '{"url": "http://127.0.0.1:1", "polls": 1000000}'

Prints one line of JSON: ``samples`` of seconds, polls so far and resident bytes, every second; and how many
files were open at the beginning and at the end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import sys
import time
from typing import Any

from benchmarks.service import Service, cores
from benchmarks.waiters import Ours, Wait
from benchmarks.waiting import resident, silence, warm_up

SLOTS = 1000
INTERVAL = 0.5
#: Seconds until the job of a slot ends and the next one begins.
LIFE = 10.0


def main() -> None:
    """Soak and print."""
    orders = json.loads(sys.argv[1])
    if (core := cores()[0]) is not None:
        os.sched_setaffinity(0, {core})
    silence()
    service = Service(orders["url"], orders.get("ca"))
    print(json.dumps(asyncio.run(soak(service, int(orders["polls"])))))


async def soak(service: Service, polls: int) -> dict[str, Any]:
    """Wait in each slot for one job after the other."""
    waiter = Ours(service)
    await warm_up(service, waiter)
    generations = math.ceil(polls / (SLOTS * LIFE / INTERVAL))
    began_at = time.monotonic() + 1.0
    # Staggered: at no time do all begin or end.
    service.order(
        {
            generation * SLOTS + slot + 1000: began_at + (generation + (slot + 1) / SLOTS) * LIFE
            for generation in range(generations)
            for slot in range(SLOTS)
        }
    )
    gc.collect()
    service.reset()
    samples: list[tuple[float, int, int]] = []
    files = open_files()
    watcher = asyncio.create_task(watch(service, samples, began_at))
    await asyncio.gather(*(fill(waiter, slot, generations) for slot in range(SLOTS)))
    watcher.cancel()
    stats = service.stats()
    return {
        "samples": samples,
        "files": [files, open_files()],
        "connections": stats["connections"],
        "polls": sum(stats["counts"].values()),
        "waits": SLOTS * generations,
    }


async def fill(waiter: Ours, slot: int, generations: int) -> None:
    """Wait for the jobs of a slot, one after the other."""
    for generation in range(generations):
        job = generation * SLOTS + slot + 1000
        # Each wait begins with a poll at some point of its interval.
        first = time.time() + INTERVAL * slot / SLOTS
        await waiter.wait(Wait(job, INTERVAL, first, 0.0))


async def watch(service: Service, samples: list[tuple[float, int, int]], began_at: float) -> None:
    """Take a sample every second, for ever."""
    while True:
        await asyncio.sleep(1.0)
        counts = (await asyncio.to_thread(service.stats))["counts"]
        samples.append((time.monotonic() - began_at, sum(counts.values()), resident()))


def open_files() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    main()
