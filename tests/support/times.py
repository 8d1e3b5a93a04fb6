"""Time for tests that wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from airflow_provider_jobstatus.operators import download
from airflow_provider_jobstatus.sensors import wait as sensors
from airflow_provider_jobstatus.triggers import batch_job as triggers


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

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this time in the place of the real one wherever our code waits."""
        for module in (sensors, triggers):
            monkeypatch.setattr(module, "steady_clock", lambda: lambda: self.now)
        monkeypatch.setattr(sensors, "sleep", self.sleep)
        monkeypatch.setattr(triggers, "sleep", self.asleep)
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

    async def asleep(self, seconds: float) -> None:
        """Sleep in the triggerer, which ends a trigger that sleeps past its time-out."""
        due = self.now + seconds
        await asyncio.sleep(0)
        if self.limit is not None and due > self.limit:
            self.advance_to(self.limit)
            raise asyncio.CancelledError
        self.advance_to(due)
        self.woken.append(due)
