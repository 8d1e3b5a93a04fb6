"""Jobs that are waited for, in the order in which it is their turn."""

from __future__ import annotations

import heapq
import math
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

from airflow_provider_jobstatus.core.chance import Durations
from airflow_provider_jobstatus.core.wait import SAME_POINT

if TYPE_CHECKING:
    from airflow_provider_jobstatus.core.poller import JobPoller
    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.triggers.lists import SharedList
    from airflow_provider_jobstatus.triggers.wait import Wait

#: Least time between two turns, as a part of the interval of who is due, and in seconds.
TOGETHER, LONGEST_TOGETHER = 0.01, 1.0


class Job:
    """
    A job and all who wait for it: one answer serves them all.

    :param job_id: as its waits name it.

    :ivar members: a poller for each who waits, with its wait.
    :ivar interval: seconds in which to look at it once.
    :ivar due: when to look at it next, by the fleet's clock.
    :ivar entry: number of its place in the queue.
    :ivar list: the vendor's list that shows it, if that may be used.
    :ivar hook: by which that was found.
    :ivar under_way: whether an answer that tells of it is under way.
    :ivar by_itself: whether the next look must be a question about this very job.
    :ivar asked_at: when the last such question was answered.
    """

    __slots__ = (
        "_all_awaited",
        "asked_at",
        "by_itself",
        "due",
        "entry",
        "hook",
        "interval",
        "job_id",
        "list",
        "members",
        "under_way",
    )

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.members: list[tuple[JobPoller, Wait]] = []
        self.interval = math.inf
        self.due = 0.0
        self.entry = 0
        self.list: SharedList | None = None
        self.hook: BatchJobHook | None = None
        self.under_way = False
        self.by_itself = False
        self.asked_at = -1e9
        self._all_awaited = False

    def add(self, poller: JobPoller, wait: Wait, at: float) -> None:
        """Take in one more who waits for it. Those who ask alike ask together."""
        if self.members:
            first, its_wait = self.members[0]
            if first.plan.poll_interval == poller.plan.poll_interval:
                poller.align(first.plan.first_poll_at - its_wait.offset + wait.offset, at + wait.offset)
        self.members.append((poller, wait))
        self.interval = min(self.interval, poller.plan.poll_interval)
        self._all_awaited = False

    @property
    def open(self) -> bool:
        """Whether somebody still waits for it. Those who do not any more are let go."""
        for poller, wait in self.members:
            if poller.event is not None or wait.over.done():
                self.members = [
                    member for member in self.members if member[0].event is None and not member[1].over.done()
                ]
                break
        return bool(self.members)

    def next_look(self) -> tuple[float, bool]:
        """Return when to look at it next, by the fleet's clock, and whether that is somebody's last look."""
        due, last = math.inf, False
        for poller, wait in self.members:
            if poller.next_poll_at - wait.offset < due:
                due = poller.next_poll_at - wait.offset
                last = poller.next_poll_at >= poller.plan.deadline_at
        return due, last

    def fail(self, fault: BaseException) -> None:
        """End the waits for it by a fault of ours."""
        for _, wait in self.members:
            wait.fail(fault)

    def awaited(self, at: float) -> list[tuple[JobPoller, Wait]]:
        """Return those whose first look has come: an event before would lose their task to a race."""
        if self._all_awaited:
            return self.members
        awaited = [
            (poller, wait)
            for poller, wait in self.members
            if at + wait.offset >= min(poller.plan.first_poll_at, poller.plan.deadline_at) - SAME_POINT
        ]
        self._all_awaited = len(awaited) == len(self.members)
        return awaited

    @property
    def deadline(self) -> float:
        """When somebody's last look is due, by the fleet's clock."""
        return min(poller.plan.deadline_at - wait.offset for poller, wait in self.members)

    def at_deadline(self, at: float) -> bool:
        """Whether this look is somebody's last."""
        return any(at + wait.offset >= poller.plan.deadline_at for poller, wait in self.members)

    @property
    def watched(self) -> bool:
        """Whether somebody needs what a list does not tell: row counts, or what is true this very moment."""
        return any(
            poller.plan.stalled_after is not None or poller.plan.adaptive for poller, _ in self.members
        )


@lru_cache(maxsize=256)
def durations_of(conn_id: str, kind: str) -> Durations:
    """
    Return how long jobs of a kind took that this process has waited for.

    :param kind: what stands before the last slash of their ids: site, report type, or nothing.
    """
    return Durations()


class Timeline:
    """
    Whose turn it is: who is due comes in the order of the points in time at which he became due, so that
    those who had to wait are all late by the same time; and last looks and ends to be confirmed come first.
    """

    def __init__(self) -> None:
        self._later: list[tuple[float, int, Job, bool]] = []
        self._ready: list[tuple[bool, float, int, Job]] = []
        self._numbers = count(1)

    def put(self, job: Job, due: float, *, urgent: bool) -> None:
        """
        Put a job where it belongs from now on.

        :param urgent: to be asked about before others that are due.
        """
        job.due, job.entry = due, next(self._numbers)
        heapq.heappush(self._later, (due, job.entry, job, urgent))

    @staticmethod
    def drop(job: Job) -> None:
        """Take a job out."""
        job.entry = 0

    def first_ready(self, at: float) -> Job | None:
        """Return the job whose turn it is at a point in time, if any."""
        while self._later and self._later[0][0] <= at:
            due, entry, job, urgent = heapq.heappop(self._later)
            if job.entry == entry:
                heapq.heappush(self._ready, (not urgent, due, entry, job))
        while self._ready:
            _, _, entry, job = self._ready[0]
            if job.entry == entry:
                return job
            heapq.heappop(self._ready)
        return None

    def pause(self, at: float) -> float | None:
        """
        Return the seconds until somebody else is due; None if nobody is.

        Those who become due shortly after each other, compared with their intervals, are looked after in one
        turn: to wake up costs as much as a question.
        """
        while self._later and self._later[0][2].entry != self._later[0][1]:
            heapq.heappop(self._later)
        if not self._later:
            return None
        due, _, job, urgent = self._later[0]
        return max(due - at, 0.0 if urgent else min(job.interval * TOGETHER, LONGEST_TOGETHER))
