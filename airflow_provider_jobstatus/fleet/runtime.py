"""What all waits of an event loop share: a clock, a driver for each connection, what is known of each key."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from weakref import WeakKeyDictionary

from airflow_provider_jobstatus.fleet.driver import Driver
from airflow_provider_jobstatus.fleet.progress_writer import WriteQueue
from airflow_provider_jobstatus.fleet.rounds import Rounds
from airflow_provider_jobstatus.fleet.subscription import Subscription
from airflow_provider_jobstatus.fleet.timer import LoopClock
from airflow_provider_jobstatus.waiting.completion import durations_of
from airflow_provider_jobstatus.waiting.session_policy import Keys
from airflow_provider_jobstatus.waiting.spec import WaitSpec

# Sessions belong to one event loop. A triggerer has one.
_runtimes: WeakKeyDictionary[asyncio.AbstractEventLoop, Runtime] = WeakKeyDictionary()


def current() -> Runtime:
    """Return the runtime of the running event loop."""
    loop = asyncio.get_running_loop()
    return _runtimes.get(loop) or _runtimes.setdefault(loop, Runtime(LoopClock()))


class Runtime:
    """
    The waits of one event loop.

    :param clock: of the event loop.

    :ivar writes: the order in which waits show their progress.
    """

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.writes = WriteQueue(clock)
        self._rounds = Rounds(clock)
        self._drivers: dict[str, Driver] = {}
        self._keys = Keys()
        self._numbers = count()

    @property
    def is_busy(self) -> bool:
        """Whether a response of a vendor or of Airflow is under way."""
        return any(driver.is_busy for driver in self._drivers.values())

    def admit(self, spec: WaitSpec) -> WaitSpec:
        """Return a wait with its points in time by the clock here: the only conversion that there is."""
        ahead = self.clock.ahead()
        if not ahead:
            return spec
        return replace(
            spec,
            started_at=spec.started_at - ahead,
            first_poll_at=spec.first_poll_at - ahead,
            deadline_at=spec.deadline_at - ahead,
            not_before=spec.not_before and spec.not_before - ahead,
        )

    async def serve(self, conn_id: str, subscription: Subscription) -> None:
        """Return when a wait on a connection is over. A fault that ended it is raised."""
        for poller in subscription.pollers:
            poller.durations = durations_of(conn_id, poller.job_id)
        if conn_id not in self._drivers:
            self._drivers[conn_id] = Driver(conn_id, self.clock, self._keys)
        driver, wait_id = self._drivers[conn_id], next(self._numbers)
        self._rounds.join(subscription)
        try:
            driver.join(wait_id, subscription)
            await subscription.over
        finally:
            driver.leave(wait_id)
            self._rounds.leave(subscription)
            if not driver.has_waits:
                del self._drivers[conn_id]
                try:
                    await driver.close()
                finally:
                    in_use = set[str]().union(*(each.in_use for each in self._drivers.values()))
                    self._keys.forget(in_use, self.clock.now())
