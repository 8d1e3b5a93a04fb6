"""A round through all waits of an event loop, so that each gives a sign of life when one is due."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context

from airflow_provider_jobstatus.fleet.subscription import Subscription
from airflow_provider_jobstatus.fleet.timer import LoopClock

#: Seconds between two rounds.
PAUSE = 60.0
#: Jobs whose waits are visited before the event loop gets its turn.
SLICE = 100


class Rounds:
    """
    Visits each wait once a round, for as long as there are waits.

    :param clock: of the event loop.
    """

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self._waits: dict[Subscription, None] = {}
        self._left: deque[Subscription] = deque()
        # What is logged in an empty context belongs to no wait.
        self._context = Context()
        self._timer: asyncio.TimerHandle | None = None

    def join(self, wait: Subscription) -> None:
        """Visit a wait from now on, in each round."""
        self._waits[wait] = None
        if self._timer is None:
            self._set(PAUSE)

    def leave(self, wait: Subscription) -> None:
        """Visit a wait no more."""
        self._waits.pop(wait, None)
        if not self._waits and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, seconds: float) -> None:
        self._timer = self._clock.call_later(seconds, self._go_on, self._context, background=True)

    def _go_on(self) -> None:
        """Visit the next few, and set the timer for those who follow."""
        if not self._left:
            self._left.extend(self._waits)
        now, jobs = self._clock.now(), 0
        while self._left and jobs < SLICE:
            wait = self._left.popleft()
            if wait in self._waits:
                wait.visit(now)
                jobs += len(wait.pollers)
        self._set(0.0 if self._left else PAUSE)
