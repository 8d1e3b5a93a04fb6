"""A wait as the scheduler knows it."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import WaitSpec


class Wait:
    """A wait, as far as the scheduler knows it."""

    __slots__ = ("decided", "joined_at", "lookups", "open", "pollers", "spec")

    def __init__(self, spec: WaitSpec, pollers: Sequence[JobPoller], now: float, lookups: int) -> None:
        self.spec = spec
        self.pollers = pollers
        self.joined_at = now
        # Lookups of the connection that had begun.
        self.lookups = lookups
        self.open = len(pollers)
        self.decided = False
