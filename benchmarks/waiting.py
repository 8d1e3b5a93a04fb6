"""
One measured run: a fresh process with one event loop and any number of waits in it.

    python -m benchmarks.waiting '{"waiter": "ours", "url": "http://127.0.0.1:1", "waits": 1000, ...}'

Prints one line of JSON, see :func:`measure`. The orders are those of :class:`Orders`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import random
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

from benchmarks.peers import WAITERS
from benchmarks.service import Service, cores
from benchmarks.waiters import Wait, Waiter

#: Lag is looked at only after the start burst, which is over after so many seconds.
BURST = 3.0
HEARTBEAT = 0.01
PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Orders:
    """
    What one run does.

    :param waiter: key of :data:`benchmarks.peers.WAITERS`.
    :param url: of the status server.
    :param ca: file of its authority, over TLS.
    :param waits: how many.
    :param seed: of everything random; the same for all waiters of a round.
    :param interval: seconds between two polls of each wait; by default 1 to 5, at random.
    :param hold: seconds in which no job ends.
    :param span: seconds after that in which each job ends, at random.
    :param together: whether all waits ask for the first time at one moment, or at random in their interval.
    :param age: seconds since the first poll of each wait, as after a restart.
    :param lists: whether lists of jobs are read: "always", "never", or None as our trigger decides.
    :param stop: seconds after which whoever still waits is stopped; None for never.
    :param heartbeat: whether the event loop's lag is measured, which costs 2 % of a core.
    :param window: begin and length, in seconds, of the time whose CPU, memory and requests are told apart.
    """

    waiter: str
    url: str
    ca: str | None = None
    waits: int = 1000
    seed: int = 1
    interval: float | None = None
    hold: float = 0.0
    span: float = 8.0
    together: bool = True
    age: float = 0.0
    lists: str | None = None
    stop: float | None = None
    heartbeat: bool = False
    window: tuple[float, float] | None = None

    def plan(self, began_at: float) -> list[Wait]:
        """Return the waits of a run that begins at ``began_at``, by ``time.monotonic()``."""
        chance = random.Random(self.seed)  # noqa: S311 - no secret
        epoch = time.time() - time.monotonic()
        waits = []
        for number in range(self.waits):
            interval = self.interval or chance.randint(1, 5)
            late = chance.random() * interval
            first = began_at + epoch - self.age + (0.0 if self.together else late)
            end = began_at + self.hold + chance.random() * self.span
            waits.append(Wait(1_000_000 + number, interval, first, end))
        return waits


def main() -> None:
    """Measure and print."""
    orders = Orders(**json.loads(sys.argv[1]))
    if (core := cores()[0]) is not None:
        os.sched_setaffinity(0, {core})
    service = Service(orders.url, orders.ca)
    if service.ca:
        # What a peer trusts that has no setting for it.
        os.environ["SSL_CERT_FILE"] = service.ca
    if not orders.waiter.startswith("floor"):
        silence()
    if orders.lists:
        force(orders.lists)
    waiter = WAITERS[orders.waiter](service)
    print(json.dumps(asyncio.run(measure(orders, service, waiter))))


def silence() -> None:
    """Send the log where Airflow's triggerer sends it, as it does; only that nobody reads it."""
    from airflow.sdk.log import configure_logging

    nowhere = open(os.devnull, "wb")  # noqa: SIM115 - for as long as the process lives
    configure_logging(json_output=True, output=nowhere, sending_to_supervisor=True)


def force(lists: str) -> None:
    """Have our triggers read lists of jobs always or never, whatever is worth it."""
    constants: Any = import_module("airflow_provider_jobstatus.fleet.list_cache")
    constants.WORTH_FROM = 1 if lists == "always" else sys.maxsize
    constants.WORTH_RATIO = sys.maxsize


async def measure(orders: Orders, service: Service, waiter: Waiter) -> dict[str, Any]:
    """
    Run all waits to their end.

    :return: ``cpu`` seconds of this process; ``polls``; ``beyond``: how long after its job's end, and after
        its interval, each wait knew of it; ``told``: how long after it the server first said so; ``lags``
        after the start burst and ``worst_lag`` of the whole run; ``window``: what was spent in it; ``turns``:
        how the calls of a key with a limit were shared out; ``server``: what the server counted.
    """
    await warm_up(service, waiter)
    # Time for the jobs to be ordered, and for as many tasks to be made.
    began_at = time.monotonic() + 0.3 + orders.waits * 0.0002
    waits = orders.plan(began_at)
    service.order({wait.job: wait.ends_at for wait in waits})
    waiter.prepare(waits)
    gc.collect()
    service.reset()
    lags: list[tuple[float, float]] = []
    spent, memory = cpu(), resident()
    async with waiter.session():
        helpers = [asyncio.create_task(beat(lags))] if orders.heartbeat else []
        watcher = asyncio.create_task(watch(service, began_at, orders.window, memory))
        if orders.age:
            # This is the restart: whoever is overdue begins now.
            await asyncio.sleep(began_at - time.monotonic())
        tasks = [asyncio.create_task(waiter.wait(wait)) for wait in waits]
        if orders.stop is not None:
            await asyncio.sleep(began_at + orders.stop - time.monotonic())
            for task in tasks:
                task.cancel()
        known_at: list[Any] = await asyncio.gather(*tasks, return_exceptions=orders.stop is not None)
        spent = cpu() - spent
        for helper in helpers:
            helper.cancel()
        window = await watcher
    server, times = service.stats(), service.times()
    counts = server["counts"]
    later = [lag for at, lag in lags if at > began_at + BURST]
    return {
        "cpu": spent,
        "polls": counts.get("status", 0) + counts.get("terminal", 0),
        "beyond": beyond(waits, known_at) if orders.stop is None else None,
        "lags": spread(later) if later else None,
        "worst_lag": max((lag for _, lag in lags), default=None),
        "window": window,
        "turns": turns(times["polled_at"], began_at, waits) if times["polled_at"] else None,
        "told": spread([times["served_at"][job] - at for job, at in times["ends_at"].items()] or [0.0]),
        "began_at": began_at,
        "wall": time.monotonic() - began_at,
        "server": {name: server[name] for name in ("connections", "peak", "counts", "buckets", "server_cpu")},
    }


async def warm_up(service: Service, waiter: Waiter) -> None:
    """Have everything imported, and every cache filled that outlives a wait."""
    service.order({1: 0.0})
    async with waiter.session():
        await waiter.wait(Wait(1, 0.2, time.time() + 0.1, 0.0))


async def beat(lags: list[tuple[float, float]]) -> None:
    """Note how late the loop is, for ever."""
    while True:
        due = time.monotonic() + HEARTBEAT
        await asyncio.sleep(HEARTBEAT)
        lags.append((due, time.monotonic() - due))


async def watch(
    service: Service, began_at: float, window: tuple[float, float] | None, memory: int
) -> dict[str, Any] | None:
    """Return what was spent in the window, and by how much memory had grown at its end."""
    if window is None:
        return None
    begin, length = window
    await asyncio.sleep(began_at + begin - time.monotonic())
    before, spent = await asyncio.to_thread(service.counts), cpu()
    await asyncio.sleep(began_at + begin + length - time.monotonic())
    spent, grown = cpu() - spent, resident() - memory
    after = await asyncio.to_thread(service.counts)
    counts = {name: after.get(name, 0) - before.get(name, 0) for name in before | after}
    return {"cpu": spent, "seconds": length, "memory": grown, "counts": counts}


def beyond(waits: list[Wait], known_at: list[float]) -> dict[str, float]:
    """Return how late the ends were known, over the interval."""
    return spread([at - wait.ends_at - wait.interval for at, wait in zip(known_at, waits, strict=True)])


def turns(polled_at: dict[str, list[float]], began_at: float, waits: list[Wait]) -> dict[str, Any]:
    """Return how often each wait was answered, and the longest time in which one was not."""
    over_at = time.monotonic()
    answers = [polled_at.get(str(wait.job), []) for wait in waits]
    gaps = [max(b - a for a, b in pairwise([began_at, *times, over_at])) for times in answers]
    return {"polls": spread([len(times) for times in answers]), "gaps": spread(gaps)}


def cpu() -> float:
    """Return the CPU seconds of this process so far."""
    return time.process_time()


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return minimum, median, 99th percentile and maximum."""
    ranked = sorted(values)

    def rank(share: float) -> float:
        return ranked[max(math.ceil(share * len(ranked)) - 1, 0)]

    return {"min": ranked[0], "p50": rank(0.5), "p99": rank(0.99), "max": ranked[-1]}


if __name__ == "__main__":
    main()
