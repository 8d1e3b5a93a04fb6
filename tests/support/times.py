"""Time for tests that wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_jobstatus.fleet import runtime
from airflow_provider_jobstatus.fleet.timer import LoopClock
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
        self._soon: set[asyncio.Task[None]] = set()

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this time in the place of the real one wherever our code waits."""
        monkeypatch.setattr(worker, "steady_clock", lambda: lambda: self.now)
        monkeypatch.setattr(worker, "sleep", self.sleep)
        monkeypatch.setattr(runtime, "LoopClock", lambda: FakeClock(self))
        monkeypatch.setattr(batch_job, "first_polls", even_first_polls)
        monkeypatch.setattr("time.sleep", self.sleep)

    def advance_to(self, moment: float) -> None:
        """Let time pass until ``moment``, if that lies ahead."""
        if moment > self.now:
            self._on_advance(moment - self.now)
            self.now = moment

    def sleep(self, seconds: float) -> None:
        """Sleep on the worker."""
        self.advance_to(self.now + seconds)
        self.woken.append(self.now)

    def alarm(self, seconds: float, ring: Callable[[], None]) -> asyncio.Task[None]:
        """Set an alarm in the triggerer."""
        task = asyncio.get_running_loop().create_task(self._ring(seconds, ring))
        if not seconds:
            self._soon.add(task)
            task.add_done_callback(self._soon.discard)
        return task

    def timer(self, seconds: float, ring: Callable[[], None]) -> Timer:
        """Set a timer in the triggerer that rings on the way, and lets no time pass."""
        self._timers.append(Timer(self.now + seconds, ring))
        return self._timers[-1]

    async def _ring(self, seconds: float, ring: Callable[[], None]) -> None:
        """
        Let time pass, and call. A trigger that waits past its time-out is ended, as the triggerer does.

        No time passes while an answer is under way, or something is due now.
        """
        await asyncio.sleep(0)
        while seconds and (self._soon or runtime.current().is_busy):  # noqa: ASYNC110 - other threads answer
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


class FakeClock(LoopClock):
    """The clock of an event loop that goes by a :class:`FakeTime`."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__()
        self._time = time

    def now(self) -> float:
        return self._time.now

    def ahead(self) -> float:
        return 0.0

    def call_later(
        self, seconds: float, callback: Callable[[], None], context: Context, *, background: bool = False
    ) -> Any:
        return (self._time.timer if background else self._time.alarm)(seconds, callback)
