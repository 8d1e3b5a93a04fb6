"""Reading a vendor's lists of jobs, for all who wait for the jobs in them."""

from __future__ import annotations

import logging
import math
from asyncio import sleep
from collections.abc import Callable
from functools import partial
from time import monotonic

from airflow_provider_jobstatus.core.errors import AccessDenied
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.fleet.list_cache import MAX_PAUSE, SharedList
from airflow_provider_jobstatus.fleet.poll_queue import TURN, Schedule
from airflow_provider_jobstatus.fleet.request_pool import Questions
from airflow_provider_jobstatus.fleet.session import Access
from airflow_provider_jobstatus.fleet.shared_job import Job
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

log = logging.getLogger(__name__)


class ListReader:
    """
    Reads lists in their turn, and tells the waits of the jobs in them what has changed.

    :param access: to the vendor.
    :param questions: in which it is asked.
    :param schedule: of jobs and lists.
    :param tell: told what is known of a job, and when.
    :param spread: told why there was no answer, and when.
    """

    def __init__(
        self,
        access: Access,
        questions: Questions,
        schedule: Schedule,
        tell: Callable[[Job, JobStatus, None, float], None],
        spread: Callable[[Exception, float], None],
    ) -> None:
        self._access = access
        self._questions = questions
        self._schedule = schedule
        self._tell = tell
        self._spread = spread

    def look(self, listed: SharedList, hook: BatchJobHook, at: float) -> float | None:
        """Read a list whose turn it is; or return the seconds until that may be done."""
        budget = self._access.budget
        if listed.reading or not listed.covered:
            self._schedule.drop(listed)
        elif (
            not listed.usable(at) or budget.refusal(at, self._access.conn_id) or self._access.refusals.of_key
        ):
            self.do_without(listed, at)
        elif budget.full(at - listed.due):
            return self._questions.wait_for_room()
        elif (delay := budget.delay(at)) > 0.0:
            return delay
        else:
            self.start(listed, hook, at)
        return None

    def start(self, listed: SharedList, hook: BatchJobHook, at: float) -> None:
        """Begin to read a list."""
        self._access.budget.take(at)
        self._schedule.drop(listed)
        listed.reading = True
        read, failed = partial(self._read, listed, hook), partial(self._failed, listed)
        self._questions.start(read, failed, self._access.budget)

    def cover(self, listed: SharedList, job: Job, status: JobStatus) -> None:
        """
        Leave a job that runs to its list, from now on.

        :param status: which its waits are told.
        """
        if job.steady:
            listed.covered[job] = status
            if not listed.entry or job.interval < listed.interval:
                listed.interval = min(listed.interval, job.interval)
                self._schedule.put(listed, listed.read_at + listed.interval, urgent=False)

    def do_without(self, listed: SharedList, at: float) -> None:
        """Look at each job by itself that a list has covered until now."""
        self._schedule.drop(listed)
        for job in list(listed.covered):
            self._uncover(listed, job, at)

    def _uncover(self, listed: SharedList, job: Job, at: float) -> None:
        del listed.covered[job]
        job.go_on(at)
        if not job.under_way:
            self._schedule.put_job(job)

    async def _read(self, listed: SharedList, hook: BatchJobHook) -> None:
        try:
            listing = await self._questions.ask(hook, hook.list_operation(listed.name))
        finally:
            listed.reading = False
            hungry, listed.hungry = listed.hungry, []
            for job in hungry:
                job.under_way = False
                if job.open:
                    self._schedule.put_job(job)
        at = monotonic()
        if isinstance(listing, Exception):
            if isinstance(listing, AccessDenied) and listing.login:
                self._access.refusals.observe(listed.name, listing, at)
            self._spread(listing, at)
            listed.give_up(at, min((job.interval for job in (*hungry, *listed.covered)), default=0.0))
            self.do_without(listed, at)
            return
        for _ in range(listing.requests - 1):
            self._access.budget.take(at)
        if not listed:
            # They have gone meanwhile; it says nothing against the list.
            return
        listed.take(listing, hook, at)
        await self._tell_changes(listed, at)
        listed.interval = min((job.interval for job in listed.covered), default=math.inf)
        if not listed.usable(at):
            self.do_without(listed, at)
        elif listed.covered:
            self._schedule.put(listed, at + listed.interval, urgent=False)
        for job in listed.ended():
            # Its own status says more, and is what counts. Once in its interval, should the two disagree.
            if not job.under_way and job.awaited(at) and at - job.asked_at >= job.interval - SAME_POINT:
                job.by_itself = True
                self._schedule.put(job, at, urgent=True)

    async def _tell_changes(self, listed: SharedList, at: float) -> None:
        """Tell who is concerned; the event loop gets its turn meanwhile."""
        changed = [(job, told) for job, told in listed.covered.items() if listed.running(job) is not told]
        for number, (job, told) in enumerate(changed, 1):
            # Meanwhile, its waits may have been told otherwise, or have gone.
            if listed.covered.get(job) is told:
                status = listed.running(job)
                if status is None or job.at_deadline(at):
                    # A last look is at the job itself.
                    self._uncover(listed, job, at)
                else:
                    listed.covered[job] = status
                    self._tell(job, status, None, at)
            if number % TURN == 0:
                await sleep(0)

    def _failed(self, listed: SharedList, fault: BaseException) -> None:
        """Do without a list that a fault of ours, or of somebody's own hook, makes unreadable."""
        log.error(
            "The list %r cannot be read: each job is asked about by itself", listed.name, exc_info=fault
        )
        at = monotonic()
        listed.give_up(at, MAX_PAUSE)
        self.do_without(listed, at)
