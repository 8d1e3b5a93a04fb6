"""A job that is waited for, and the waits for it."""

from __future__ import annotations

import math
from typing import NamedTuple
from zlib import crc32

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.fleet.wait_record import Wait
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import SAME_POINT


class Flight(NamedTuple):
    """
    A request in flight.

    :param number: among the requests of its key.
    """

    number: int
    sent_at: float
    session: VendorSession


class WatchedJob:
    """
    A job and the pollers of all waits for it: one response serves them all.

    It holds facts; the scheduler alone changes them.

    :param job_id: as its waits name it.

    :ivar pollers: with the wait of each.
    :ivar interval: seconds in which to poll it once.
    :ivar deadline_at: when to look for waits that must end; infinity for never.
    :ivar due: when its turn comes; infinity if it has no place in the queue.
    :ivar list_name: of the vendor's list that shows it, if there is one.
    :ivar session: by which that list was found, and its id parsed.
    :ivar operation: requests its status; instead, what is wrong with its id if that is malformed.
    :ivar flight: its poll that is in flight, or None.
    :ivar busy: whether a response is being delivered to its waits.
    :ivar polled_at: when its last own poll was sent; before the first, the past, in an order of its own.
    :ivar waits_for_list: whether it waits for a list that is being read.
    :ivar own: whether its next poll must be of its own, whatever a list says.
    :ivar last: whether its next poll is the last one of a wait.
    :ivar sick: whether its last own poll brought no usable response.
    :ivar limited_at: when its last own poll brought a refusal with ``Retry-After``; infinity if it did not.
    :ivar changed: whether waits have left since its place in the queue was found.
    """

    __slots__ = (
        "_all_awaited",
        "_backing_off",
        "_watching",
        "busy",
        "changed",
        "deadline_at",
        "due",
        "flight",
        "interval",
        "job_id",
        "last",
        "limited_at",
        "list_name",
        "operation",
        "own",
        "polled_at",
        "pollers",
        "session",
        "sick",
        "waits_for_list",
    )

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.pollers: dict[JobPoller, Wait] = {}
        self.interval = self.deadline_at = self.due = self.limited_at = math.inf
        self.list_name: str | None = None
        self.session: VendorSession | None = None
        self.operation: Operation[JobStatus] | SettingsError | None = None
        self.flight: Flight | None = None
        # So that the jobs of a list are polled in an order that has nothing to do with when they were made.
        self.polled_at = -1e12 - crc32(job_id.encode("utf-8", "surrogatepass"))
        self.waits_for_list = self.own = self.last = self.sick = self.busy = self.changed = False
        self._all_awaited = False
        self._backing_off = self._watching = 0

    def add(self, poller: JobPoller, wait: Wait, now: float) -> None:
        """Take in one more poller. Those with the same interval poll together."""
        first = next(iter(self.pollers), None)
        if first is not None and first.spec.poll_interval == poller.spec.poll_interval:
            poller.align(first.first_poll_at, now)
        self.pollers[poller] = wait
        self.interval = min(self.interval, poller.spec.poll_interval)
        self._count(poller, 1)
        self._all_awaited = False

    def remove(self, poller: JobPoller) -> None:
        """Let a poller go."""
        if self.pollers.pop(poller, None) is not None:
            self._count(poller, -1)
            self.changed = True

    def refresh(self) -> None:
        """Find out anew how often the pollers that are left poll."""
        self.changed = False
        self.interval = min((poller.spec.poll_interval for poller in self.pollers), default=math.inf)

    def _count(self, poller: JobPoller, number: int) -> None:
        self._backing_off += number * poller.spec.exponential_backoff
        self._watching += number * (poller.spec.stalled_after is not None or poller.spec.adaptive)

    @property
    def is_steady(self) -> bool:
        """Whether all poll it at even distances, as long as it runs."""
        return not self._backing_off

    @property
    def is_watched(self) -> bool:
        """Whether a wait needs what a list does not show: row counts, or what is true this very moment."""
        return self._watching > 0

    @property
    def is_away(self) -> bool:
        """Whether it waits for something else than its turn."""
        return self.flight is not None or self.busy or self.waits_for_list

    def next_poll(self) -> float:
        """Return when to poll it next; infinity for never."""
        due = math.inf
        # A generator would cost more than the rest of a job's turn.
        for poller in self.pollers:
            due = min(due, poller.next_poll_at)
        return due

    def next_poll_beside_list(self) -> float:
        """Return when its turn comes although a list serves it; infinity for never."""
        return min(
            (poller.next_poll_at for poller in self.pollers if poller.last_status is None), default=math.inf
        )

    def awaited(self, now: float) -> list[JobPoller]:
        """Return the pollers whose first poll has come: an event before would lose their task to a race."""
        if self._all_awaited:
            return list(self.pollers)
        awaited = [
            poller
            for poller in self.pollers
            if now >= min(poller.first_poll_at, poller.spec.deadline_at) - SAME_POINT
        ]
        self._all_awaited = len(awaited) == len(self.pollers)
        return awaited
