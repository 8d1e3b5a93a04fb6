"""Jobs that are waited for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_provider_jobstatus.waiting.spec import SAME_POINT

if TYPE_CHECKING:
    from airflow_provider_jobstatus.core.jobs import JobStatus
    from airflow_provider_jobstatus.core.operation import Operation
    from airflow_provider_jobstatus.fleet.list_cache import SharedList
    from airflow_provider_jobstatus.fleet.subscription import Wait
    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.waiting.poller import JobPoller


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
        "_asked_by",
        "_question",
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
        self._asked_by: BatchJobHook | None = None
        self._question: Operation[JobStatus] | None = None

    def question(self, hook: BatchJobHook) -> Operation[JobStatus]:
        """Return the question for its status; its id is parsed once. :raises SettingsError: it is none."""
        if self._question is None or self._asked_by is not hook:
            self._question = hook.status_operation(hook.parse_job_id(self.job_id))
            self._asked_by = hook
        return self._question

    def add(self, poller: JobPoller, wait: Wait, at: float) -> None:
        """Take in one more who waits for it. Those who ask alike ask together."""
        if self.members:
            first, its_wait = self.members[0]
            if first.spec.poll_interval == poller.spec.poll_interval:
                poller.align(first.first_poll_at - its_wait.offset + wait.offset, at + wait.offset)
        self._keep([*self.members, (poller, wait)])
        self._all_awaited = False

    def leave(self, wait: Wait) -> None:
        """Let one go who waited for it."""
        self._keep([member for member in self.members if member[1] is not wait])

    def _keep(self, members: list[tuple[JobPoller, Wait]]) -> None:
        self.members = members
        self.interval = min((poller.spec.poll_interval for poller, _ in members), default=self.interval)

    @property
    def open(self) -> bool:
        """Whether somebody still waits for it. Those who do not any more are let go."""
        for poller, wait in self.members:
            if poller.event is not None or wait.over.done():
                self._keep([each for each in self.members if not (each[0].event or each[1].over.done())])
                break
        return bool(self.members)

    def next_look(self) -> tuple[float, bool]:
        """Return when to look at it next, by the fleet's clock, and whether that is somebody's last look."""
        due, last = math.inf, False
        for poller, wait in self.members:
            if poller.next_poll_at - wait.offset < due:
                due = poller.next_poll_at - wait.offset
                last = poller.next_poll_at >= poller.spec.deadline_at
        return due, last

    @property
    def covered(self) -> bool:
        """Whether its list is all that its waits need, but for their first looks and their last."""
        return self.list is not None and self in self.list.covered

    @property
    def own_look(self) -> float:
        """When to look at it although a list covers it, by the fleet's clock."""
        return min(
            (poller.next_poll_at if poller.last_status is None else poller.spec.deadline_at) - wait.offset
            for poller, wait in self.members
        )

    def go_on(self, at: float) -> None:
        """Look at it by itself again: its list did not show it this time."""
        for poller, wait in self.members:
            poller.go_on(at + wait.offset)

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
            if at + wait.offset >= min(poller.first_poll_at, poller.spec.deadline_at) - SAME_POINT
        ]
        self._all_awaited = len(awaited) == len(self.members)
        return awaited

    @property
    def deadline(self) -> float:
        """When somebody's last look is due, by the fleet's clock."""
        return min(poller.spec.deadline_at - wait.offset for poller, wait in self.members)

    def at_deadline(self, at: float) -> bool:
        """Whether this look is somebody's last."""
        return any(at + wait.offset >= poller.spec.deadline_at for poller, wait in self.members)

    @property
    def steady(self) -> bool:
        """Whether all look at it at even distances, as long as it runs."""
        return not any(poller.spec.exponential_backoff for poller, _ in self.members)

    @property
    def watched(self) -> bool:
        """Whether somebody needs what a list does not tell: row counts, or what is true this very moment."""
        return any(
            poller.spec.stalled_after is not None or poller.spec.adaptive for poller, _ in self.members
        )
