"""Time for tests that wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_jobstatus.files import download
from airflow_provider_jobstatus.fleet import (
    list_poller,
    progress_writer,
    request_pool,
    rounds,
    runtime,
    timer,
)
from airflow_provider_jobstatus.fleet import session as access
from airflow_provider_jobstatus.tasks import worker
from airflow_provider_jobstatus.triggers import batch_job

#: Tasks in which triggers run: what a triggerer would cancel.
WAITING: set[asyncio.Task[Any]] = set()


def even_first_polls(job_ids: list[str], started_at: float, latest: float, interval: float) -> list[float]:
    """The first poll of the last job comes exactly at ``latest``, those of the others evenly before."""
    early = min(max(latest - started_at - 5.0, 0.0), interval)
    return [latest - (1 - number / len(job_ids)) * early for number in range(1, len(job_ids) + 1)]


@dataclass(order=True)
class Timer:
    """What rings at a point in time, unless it is cancelled."""

    due: float
    ring: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Do not ring."""
        self.cancelled = True


class FakeTime:
    """
    A clock that a sleep moves on at once.

    :param on_advance: told every number of seconds that pass.

    :ivar now: epoch seconds.
    :ivar woken: when each sleep ended.
    :ivar limit: when the triggerer cancels the trigger that sleeps, or None.
    """

    def __init__(self, on_advance: Callable[[float], object] = lambda _: None) -> None:
        self.now = time.time()
        self.woken: list[float] = []
        self.limit: float | None = None
        self._on_advance = on_advance
        self._timers: list[Timer] = []

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this time in the place of the real one wherever our code waits."""
        monkeypatch.setattr(worker, "steady_clock", lambda: lambda: self.now)
        monkeypatch.setattr(batch_job, "epoch_offset", lambda: 0.0)
        monkeypatch.setattr(worker, "sleep", self.sleep)
        for module in (batch_job, access, timer, progress_writer, runtime, request_pool, list_poller, rounds):
            monkeypatch.setattr(module, "monotonic", lambda: self.now)
        monkeypatch.setattr(timer, "call_later", self.alarm)
        monkeypatch.setattr(rounds, "call_later", self.timer)
        monkeypatch.setattr(batch_job, "first_polls", even_first_polls)
        monkeypatch.setattr(download.time, "sleep", self.sleep)

    def advance_to(self, moment: float) -> None:
        """Let time pass until ``moment``, if that lies ahead."""
        if moment > self.now:
            self._on_advance(moment - self.now)
            self.now = moment

    def sleep(self, seconds: float) -> None:
        """Sleep on the worker."""
        self.advance_to(self.now + seconds)
        self.woken.append(self.now)

    def alarm(self, seconds: float, ring: Callable[[], None], context: Any) -> asyncio.Task[None]:
        """Set an alarm in the triggerer."""
        return asyncio.get_running_loop().create_task(self._ring(seconds, ring))

    def timer(self, seconds: float, ring: Callable[[], None], context: Any) -> Timer:
        """Set a timer in the triggerer that rings on the way, and lets no time pass."""
        self._timers.append(Timer(self.now + seconds, ring))
        return self._timers[-1]

    async def _ring(self, seconds: float, ring: Callable[[], None]) -> None:
        """
        Let time pass, and call. A trigger that waits past its time-out is ended, as the triggerer does.

        No time passes while an answer is under way.
        """
        await asyncio.sleep(0)
        fleets = runtime._fleets[asyncio.get_running_loop()].values()
        while seconds and any(shared.busy for shared in fleets):  # noqa: ASYNC110 - other threads answer
            await asyncio.sleep(0.0002)
        due = self.now + seconds
        if self.limit is not None and due > self.limit:
            self.advance_to(self.limit)
            for task in WAITING:
                task.cancel()
            return
        if seconds:
            self.on_pause(seconds)
            while timer := min((each for each in self._timers if each.due <= due), default=None):
                self._timers.remove(timer)
                self.advance_to(timer.due)
                if not timer.cancelled:
                    timer.ring()
            self.advance_to(due)
            self.woken.append(due)
        ring()

    def on_pause(self, seconds: float) -> None:
        """Called before time passes in the triggerer."""
