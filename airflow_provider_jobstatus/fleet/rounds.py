"""A round through all waits of an event loop, so that each gives a sign of life when one is due."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from time import monotonic
from weakref import WeakKeyDictionary

from airflow_provider_jobstatus.fleet.subscription import Wait
from airflow_provider_jobstatus.fleet.timer import call_later

#: Seconds between two rounds.
PAUSE = 60.0
#: Jobs whose waits are visited before the event loop gets its turn.
SLICE = 100

# One timer of the loop for all its waits, of all connections.
_rounds: WeakKeyDictionary[asyncio.AbstractEventLoop, Rounds] = WeakKeyDictionary()


def join(wait: Wait) -> None:
    """Visit a wait from now on, in each round."""
    loop = asyncio.get_running_loop()
    rounds = _rounds.get(loop) or _rounds.setdefault(loop, Rounds())
    rounds.waits[wait] = None
    rounds.begin()


def leave(wait: Wait) -> None:
    """Visit a wait no more. With the last one the rounds end."""
    loop = asyncio.get_running_loop()
    rounds = _rounds[loop]
    del rounds.waits[wait]
    if not rounds.waits:
        rounds.end()
        del _rounds[loop]


class Rounds:
    """
    Visits each wait once a round.

    :ivar waits: to be visited.
    """

    def __init__(self) -> None:
        self.waits: dict[Wait, None] = {}
        self._left: deque[Wait] = deque()
        # What is logged in a context of nobody's belongs to no wait.
        self._context = Context()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Go round from now on, unless that has begun."""
        if self._timer is None:
            self._timer = call_later(PAUSE, self._go_on, self._context)

    def end(self) -> None:
        """Visit nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        """Visit the next few, and set the timer for those who follow."""
        if not self._left:
            self._left.extend(self.waits)
        at, jobs = monotonic(), 0
        while self._left and jobs < SLICE:
            wait = self._left.popleft()
            if wait in self.waits:
                wait.visit(at)
                jobs += len(wait.pollers)
        self._timer = call_later(0.0 if self._left else PAUSE, self._go_on, self._context)
