"""
All waits of a triggerer that use the same connection, and their one way to the vendor.

One schedule asks about every job when its turn has come, whoever waits for it: a job is asked about once for
all who wait for it, many jobs in a list of the vendor's by one request, and no more is asked than the key's
budget allows.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from time import monotonic
from typing import Self
from weakref import WeakKeyDictionary

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError, unreadable
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.fleet.list_cache import Lists
from airflow_provider_jobstatus.fleet.list_poller import ListReader
from airflow_provider_jobstatus.fleet.poll_queue import TURN, Schedule
from airflow_provider_jobstatus.fleet.request_pool import Questions
from airflow_provider_jobstatus.fleet.rounds import join, leave
from airflow_provider_jobstatus.fleet.session import Access
from airflow_provider_jobstatus.fleet.shared_job import Job
from airflow_provider_jobstatus.fleet.subscription import Wait
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.waiting.completion import durations_of
from airflow_provider_jobstatus.waiting.refusals import Refusals
from airflow_provider_jobstatus.waiting.spec import LAST_POLL_PATIENCE

# Sessions belong to one event loop. A triggerer has one.
_fleets: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Fleet]] = WeakKeyDictionary()


def fleet(conn_id: str) -> Fleet:
    """
    Return those who wait on a connection, to be joined with ``async with``.

    :param conn_id: of the connection; it is read when it is first needed.
    """
    known = _fleets.setdefault(asyncio.get_running_loop(), {})
    return known.get(conn_id) or known.setdefault(conn_id, Fleet(conn_id))


class Fleet:
    """
    The waits on one connection, and the schedule of their questions.

    Questions run in tasks of the fleet, so that the end of one wait does not end what others are waiting for.
    The last who leaves closes the session.

    :param conn_id: of the connection.

    :ivar users: how many wait.
    """

    def __init__(self, conn_id: str) -> None:
        self.users = 0
        self._access = Access(conn_id)
        self._jobs: dict[str, Job] = {}
        self._lists = Lists()
        self._schedule = Schedule(self._turn)
        self._questions = Questions(self._access, self._schedule.alarm)
        self._loading = False
        self._reader = ListReader(self._access, self._questions, self._schedule, self._tell, self._spread)

    async def __aenter__(self) -> Self:
        self.users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.users -= 1
        if self.users == 0:
            del _fleets[asyncio.get_running_loop()][self._access.conn_id]
            await self._close()

    async def serve(self, wait: Wait) -> None:
        """Return when the wait is over. A fault of ours that ended it is raised."""
        wait.joined = self._access.readings
        self._access.refusals.renew(wait.spec.started_at - wait.offset)
        for poller in wait.pollers:
            poller.durations = durations_of(self._access.conn_id, poller.job_id)
            job = self._jobs.get(poller.job_id) or self._jobs.setdefault(poller.job_id, Job(poller.job_id))
            at = monotonic()
            job.add(poller, wait, at)
            if (hook := self._access.hook) is not None:
                self._lists.place(job, hook, at)
            self._put(job)
        wait.listed = self._read_of
        join(wait)
        try:
            await wait.over
        finally:
            leave(wait)
            for job_id in {poller.job_id for poller in wait.pollers}:
                if (known := self._jobs.get(job_id)) is not None:
                    known.leave(wait)
                    self._put(known)

    @property
    def busy(self) -> bool:
        """Whether an answer of the vendor or of Airflow is under way."""
        return self._questions.under_way > 0

    def _read_of(self, job_id: str) -> tuple[float, float] | None:
        """Return when the list that covers a job was read last, and is read next; None if none does."""
        job = self._jobs.get(job_id)
        if job is None or job.list is None or not job.covered:
            return None
        return job.list.read_at, job.list.due

    async def _close(self) -> None:
        """End what is under way and close the session."""
        await self._questions.close()
        self._schedule.alarm.set(math.inf)
        await self._access.close()

    # -- the schedule

    def _turn(self) -> None:
        """Do what is due, and set the alarm for what comes next."""
        self._schedule.alarm.hold()
        self._questions.in_line = False
        try:
            seconds = self._dispatch()
        except BaseException as fault:
            self._fail(fault)
            self._schedule.alarm.set(0.0)
            raise
        self._schedule.alarm.set(seconds)

    def _dispatch(self) -> float:
        """Do what is due, and return the seconds until there is more to do; infinity if that will be told."""
        at = monotonic()
        for _ in range(TURN):
            item = self._schedule.first_ready(at)
            if item is None:
                return self._schedule.pause(at)
            hook = self._access.hook
            if hook is None:
                self._load()
                return math.inf
            delay = self._look(item, hook, at) if isinstance(item, Job) else self._reader.look(item, hook, at)
            if delay is not None:
                return delay
        return 0.0

    def _look(self, job: Job, hook: BatchJobHook, at: float) -> float | None:
        """Look at a job whose turn it is; or return the seconds until that may be done."""
        if self._doubtful(job, hook, at):
            if self._access.readings > max(wait.joined for _, wait in job.members):
                error = unreadable(self._access.conn_id, "was changed, and is read again")
                self._tell(job, error, None, at)
                return None
            self._access.expire()
            self._load()
            return math.inf
        for poller, wait in job.awaited(at):
            if not (wait.belongs(poller, hook, at) and wait.may_ask(poller, at)) and not job.open:
                self._put(job)
                return None
        listed = self._lists.of(job, hook, at)
        if listed is not None and listed.fresh(job, at):
            status = listed.running(job)
            if status is not None:
                self._reader.cover(listed, job, status)
                self._tell(job, status, None, at)
                return None
            listed = None
        elif listed is not None and listed.reading:
            self._schedule.hold(job)
            listed.hungry.append(job)
            return None
        budget = self._access.budget
        if (refusal := budget.refusal(at, self._access.conn_id)) is not None:
            self._tell(job, refusal, None, at)
            return None
        refusals = self._access.refusals
        if (held := refusals.hold(job.job_id, at, self._access.conn_id)) is not None:
            self._tell(job, held, None, at)
            return None
        if budget.full(at - job.due):
            return self._questions.wait_for_room()
        if (delay := budget.delay(at)) > 0.0:
            return self._postpone(job, hook, at, delay)
        self._schedule.hold(job)
        if listed is None or refusals.active:
            refusals.asks(job.job_id)
            budget.take(at)
            self._questions.start(partial(self._ask, job, hook, refusals), job.fail, budget)
        else:
            listed.hungry.append(job)
            self._reader.start(listed, hook, at)
        following = self._schedule.first_ready(at)
        if following is not None and budget.full(at - following.due):
            return self._questions.wait_for_room()
        return None

    def _doubtful(self, job: Job, hook: BatchJobHook, at: float) -> bool:
        """
        Return whether a wait for a job may be of the account to which its connection leads by now.

        The settings in use do not lead there, and were read before it began.
        """
        return any(
            not wait.agrees(hook) and self._access.read_by <= wait.joined for _, wait in job.awaited(at)
        )

    def _postpone(self, job: Job, hook: BatchJobHook, at: float, delay: float) -> float | None:
        """Let a job wait for its turn in the budget; not so long that its deadline passes without an end."""
        if any(
            at + wait.offset > poller.spec.deadline_at + LAST_POLL_PATIENCE for poller, wait in job.members
        ):
            error = TransportError("was not asked in time, as its budget was used up", vendor=hook.conn_type)
            error.conn_id = self._access.conn_id
            self._tell(job, error, None, at)
            return None
        if at - job.due > job.interval / 2:
            strain = self._access.budget.strain(len(self._jobs), job.interval)
            if strain is not None:
                job.members[0][1].warn(f"connection {self._access.conn_id!r}: {strain}")
        return delay

    def _put(self, job: Job) -> None:
        """Put a job where it belongs from now on, or forget it if nobody waits for it."""
        if job.open:
            if not job.under_way:
                self._schedule.put_job(job)
        else:
            self._schedule.drop(job)
            self._lists.leave(job)
            self._access.refusals.forget(job.job_id)
            if self._jobs.get(job.job_id) is job:
                del self._jobs[job.job_id]

    # -- questions

    def _load(self) -> None:
        if not self._loading:
            self._loading = True
            self._questions.start(self._load_hook, self._fail)

    async def _load_hook(self) -> None:
        try:
            hook = await self._access.load()
        finally:
            self._loading = False
            self._schedule.alarm.set(0.0)
        at = monotonic()
        if isinstance(hook, BatchJobHook):
            for job in list(self._jobs.values()):
                for poller, wait in job.awaited(at):
                    if self._access.read_by > wait.joined:
                        wait.belongs(poller, hook, at)
                if not job.open:
                    self._put(job)
                elif self._lists.place(job, hook, at) and not job.under_way:
                    self._schedule.put_job(job)
            return
        self._tell_ready(hook, at)

    async def _ask(self, job: Job, hook: BatchJobHook, refusals: Refusals) -> None:
        """Ask about one job, for all who wait for it."""
        answer: JobStatus | VendorError | SettingsError | None = None
        try:
            answer = await self._questions.ask(hook, job.question(hook))
        except SettingsError as error:  # its id is none
            answer = error
        finally:
            job.under_way = False
            refusals.observe(job.job_id, answer, monotonic())
        at = monotonic()
        job.by_itself, job.asked_at = False, at
        self._tell(job, answer, hook, at)
        if isinstance(answer, Exception):
            self._spread(answer, at)

    def _fail(self, fault: BaseException) -> None:
        for job in self._jobs.values():
            job.fail(fault)

    def _spread(self, error: Exception, at: float) -> None:
        """Tell all who are in line why somebody got no answer, if the vendor is away for all of them."""
        if self._access.budget.down and isinstance(error, VendorError):
            reason = f"was not asked, as others got no answer: {error.reason}"
            shared = TransportError(reason, vendor=error.vendor)
            shared.asked = False
            shared.conn_id = self._access.conn_id
            self._tell_ready(shared, at)

    def _tell_ready(self, error: VendorError | SettingsError, at: float) -> None:
        """Tell all whose turn it is why there is no answer."""
        while (item := self._schedule.first_ready(at)) is not None:
            if isinstance(item, Job):
                self._tell(item, error, None, at)
            else:
                self._reader.do_without(item, at)

    def _tell(
        self,
        job: Job,
        answer: JobStatus | VendorError | SettingsError,
        hook: BatchJobHook | None,
        at: float,
    ) -> None:
        """
        Tell all who wait for a job what is known of it.

        :param hook: by which it was asked about; None if it was not, or if its list was.
        """
        if job.list is not None and (hook is not None or isinstance(answer, Exception)):
            # Now its waits know something else than its list does.
            job.list.covered.pop(job, None)
        for poller, wait in job.awaited(at):
            if hook is not None and not wait.agrees(hook):
                # It joined while the question was under way, and is of another account than that.
                continue
            wait.observe(poller, answer, at)
            if poller.reconnect:
                poller.reconnect = False
                self._access.forget(hook)
        self._put(job)
