"""A round through all waits of an event loop, so that each gives a sign of life when one is due."""

from __future__ import annotations

import math
from collections import deque

from airflow_provider_jobstatus.fleet.subscription import Subscription
from airflow_provider_jobstatus.fleet.timer import LoopClock, Timer

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
        self._timer = Timer(clock, self._go_on, background=True)

    def join(self, wait: Subscription) -> None:
        """Visit a wait from now on, in each round."""
        self._waits[wait] = None
        self._timer.no_later_than(self._clock.now() + PAUSE)

    def leave(self, wait: Subscription) -> None:
        """Visit a wait no more."""
        self._waits.pop(wait, None)
        if not self._waits:
            self._timer.set(math.inf)

    def _go_on(self) -> None:
        """Visit the next few, and set the timer for those that follow."""
        if not self._left:
            self._left.extend(self._waits)
        now, jobs = self._clock.now(), 0
        while self._left and jobs < SLICE:
            wait = self._left.popleft()
            if wait in self._waits:
                wait.visit(now)
                jobs += len(wait.pollers)
        self._timer.set(now if self._left else now + PAUSE)
