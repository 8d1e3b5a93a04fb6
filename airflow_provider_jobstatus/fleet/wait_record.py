"""A wait as the scheduler knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import WaitSpec


@dataclass(slots=True, eq=False)
class Wait:
    """
    A wait, as far as the scheduler knows it.

    :param lookups: how many lookups of the connection had begun when it joined.

    :ivar open: how many of its jobs have not ended.
    :ivar over: whether it is decided, cancelled or failed: what is left is to take its pollers out.
    """

    number: int
    spec: WaitSpec
    pollers: Sequence[JobPoller]
    joined_at: float
    lookups: int
    open: int = field(init=False)
    over: bool = False

    def __post_init__(self) -> None:
        self.open = len(self.pollers)
