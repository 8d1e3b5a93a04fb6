"""
One long run: waits that end and are followed by others, until so many polls have been sent.

    python -m benchmarks.soaking '{"waiter": "ours", "url": "http://127.0.0.1:1", "polls": 1000000}'

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
from array import array
from typing import Any

from benchmarks.peers import WAITERS
from benchmarks.service import Service, cores
from benchmarks.status_jobs import FIRST
from benchmarks.waiters import Wait, Waiter
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
    waiter = WAITERS[orders["waiter"]](service)
    print(json.dumps(asyncio.run(soak(service, waiter, int(orders["polls"])))))


async def soak(service: Service, waiter: Waiter, polls: int) -> dict[str, Any]:
    """Wait in each slot for one job after the other."""
    await warm_up(service, waiter)
    generations = math.ceil(polls / (SLOTS * LIFE / INTERVAL))
    began_at = time.monotonic() + 1.0
    # Ordered by a rule: a list of them would leave room behind in which memory could grow unseen.
    service.order(succession=(began_at, SLOTS, LIFE))
    gc.collect()
    service.reset()
    # All their room is there from the beginning: what grows is not the measurement.
    samples = array("d", [0.0]) * (3 * (math.ceil(generations * LIFE) * 10 + 600))
    files = open_files()
    watcher = asyncio.create_task(watch(service, samples, began_at))
    async with waiter.session():
        await asyncio.gather(*(fill(waiter, slot, generations) for slot in range(SLOTS)))
    watcher.cancel()
    stats = service.stats()
    return {
        "samples": [tuple(samples[at : at + 3]) for at in range(0, len(samples), 3) if samples[at]],
        "files": [files, open_files()],
        "connections": stats["connections"],
        "polls": sum(stats["counts"].values()),
        "waits": SLOTS * generations,
    }


async def fill(waiter: Waiter, slot: int, generations: int) -> None:
    """Wait for the jobs of a slot, one after the other."""
    for generation in range(generations):
        job = FIRST + generation * SLOTS + slot
        # Each wait begins with a poll at some point of its interval.
        first = time.time() + INTERVAL * slot / SLOTS
        await waiter.wait(Wait(job, INTERVAL, first, 0.0))


async def watch(service: Service, samples: array[float], began_at: float) -> None:
    """Take a sample every second, while there is room for it."""
    for at in range(0, len(samples), 3):
        await asyncio.sleep(1.0)
        counts = await asyncio.to_thread(service.counts)
        samples[at] = time.monotonic() - began_at
        samples[at + 1], samples[at + 2] = sum(counts.values()), resident()


def open_files() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    main()
