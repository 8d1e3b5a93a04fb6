"""
The waits on a connection: who is told what, when a wait ends, and where a job belongs.

The lowest of the three layers of the :class:`~airflow_provider_jobstatus.fleet.scheduler.Scheduler`, whose
theory of operation stands there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError, unreadable
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.fleet.actions import Action, JobEnded, Log, WaitEnded, WaitFailed, Warn
from airflow_provider_jobstatus.fleet.deadlines import Deadlines
from airflow_provider_jobstatus.fleet.due_queue import DueQueue
from airflow_provider_jobstatus.fleet.list_cache import ListCache
from airflow_provider_jobstatus.fleet.polled_vendor import VendorSession
from airflow_provider_jobstatus.fleet.wait_record import Wait
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob
from airflow_provider_jobstatus.waiting.outcome import WaitOutcome
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.session_policy import SessionPolicy
from airflow_provider_jobstatus.waiting.spec import LAST_POLL_PATIENCE

#: Units of work that are done at once; more are done in slices of so many.
SLICE = 50
#: At once.
NOW = -math.inf

Response: TypeAlias = JobStatus | VendorError | SettingsError


class Waits:
    """
    The waits on one connection, and their jobs.

    :param conn_id: of the connection.

    :ivar wake_at: when to call ``next``, at the latest.
    """

    def __init__(self, conn_id: str) -> None:
        self.wake_at = math.inf
        self._conn_id = conn_id
        self._policy: SessionPolicy[VendorSession] = SessionPolicy(unreadable(conn_id, "takes too long"))
        self._waits: dict[int, Wait] = {}
        self._jobs: dict[str, WatchedJob] = {}
        self._lists: dict[str, ListCache] = {}
        self._queue = DueQueue()
        self._deadlines = Deadlines(self._jobs)
        self._work: deque[Iterator[None]] = deque()
        self._out: list[Action] = []
        self._blocked = False

    def __len__(self) -> int:
        """Return how many waits there are."""
        return len(self._waits)

    def leave(self, wait_id: int) -> None:
        """Let a wait go that was cancelled."""
        if (wait := self._waits.pop(wait_id, None)) is not None:
            self._do(len(wait.pollers), self._leave(wait))

    def fail(self, fault: BaseException) -> None:
        """End all waits by a fault."""
        for wait_id in list(self._waits):
            self._fail(wait_id, fault)

    def _deliver(
        self, job: WatchedJob, response: Response, now: float, session: VendorSession | None = None
    ) -> None:
        """
        Tell all waits for a job what is known of it.

        :param session: by which it was polled; None if it was not.
        """
        if not isinstance(response, JobStatus) and (listed := self._serving(job)) is not None:
            # Now its waits know something else than its list does.
            del listed.served[job]
        awaited = job.awaited(now)
        job.own = job.last = False
        job.entry = 0
        if len(awaited) > SLICE:
            job.busy = True
            self._do(len(awaited), self._tell(job, awaited, response, now, session))
            return
        for poller in awaited:
            self._inform(job, poller, response, now, session)
        self._settle(job)

    def _tell(
        self,
        job: WatchedJob,
        pollers: Iterable[JobPoller],
        response: Response,
        now: float,
        session: VendorSession | None,
    ) -> Iterator[None]:
        for poller in pollers:
            self._inform(job, poller, response, now, session)
            yield
        job.busy = False
        self._settle(job)

    def _inform(
        self,
        job: WatchedJob,
        poller: JobPoller,
        response: Response,
        now: float,
        session: VendorSession | None,
    ) -> None:
        self._observe(job, poller, response, now)
        if poller.reconnect:
            poller.reconnect = False
            if session is not None:
                self._policy.forget(session)

    def _observe(self, job: WatchedJob, poller: JobPoller, response: Response, now: float) -> None:
        wait_id = job.pollers.get(poller)
        if wait_id is None or (wait := self._waits.get(wait_id)) is None or wait.decided:
            return
        try:
            news = poller.observe(response, now)
        except Exception as fault:  # noqa: BLE001 - ends this wait; others go on
            self._fail(wait_id, fault)
            return
        if news is not None:
            self._out.append(Log(wait_id, news, isinstance(response, JobStatus)))
            self.wake_at = NOW
        if poller.event is not None:
            self._job_ended(job, poller, poller.event)

    def _job_ended(self, job: WatchedJob, poller: JobPoller, event: WaitOutcome) -> None:
        """Take note that the wait for a job is over, and perhaps the whole wait."""
        wait_id = job.pollers[poller]
        wait = self._waits[wait_id]
        job.remove(poller)
        self._out.append(JobEnded(wait_id, event))
        self.wake_at = NOW
        wait.open -= 1
        if wait.spec.decided_by(event) and wait.open:
            wait.decided = True
            self._do(len(wait.pollers), self._decide(wait_id, wait))
        elif not wait.open:
            self._end(wait_id)

    def _end(self, wait_id: int) -> None:
        del self._waits[wait_id]
        self._out.append(WaitEnded(wait_id))
        self.wake_at = NOW

    def _fail(self, wait_id: int, fault: BaseException) -> None:
        if (wait := self._waits.pop(wait_id, None)) is not None:
            self._out.append(WaitFailed(wait_id, fault))
            self.wake_at = NOW
            self._do(len(wait.pollers), self._leave(wait))

    def _warn(self, jobs: Iterable[WatchedJob], text: str) -> None:
        """Write a line about the connection into the log of one wait."""
        for job in jobs:
            for wait_id in job.pollers.values():
                self._out.append(Warn(wait_id, f"connection {self._conn_id!r}: {text}"))
                self.wake_at = NOW
                return

    def room(self) -> None:
        """Take note that a request with this key has ended."""
        if self._blocked:
            self.wake_at = NOW

    def _is_elsewhere(self, job: WatchedJob, session: VendorSession, now: float) -> bool:
        """Return whether the settings in use lead to another account than that of a wait for a job."""
        here = ("", session.hook.account_digest)
        return any(poller.spec.account not in here for poller in job.awaited(now))

    def _is_doubtful(self, job: WatchedJob, session: VendorSession, now: float) -> bool:
        """
        Return whether a wait for a job may be of the account to which its connection leads by now.

        The settings in use do not lead there, and their lookup began before the wait.
        """
        waits = [self._waits.get(job.pollers[poller]) for poller in job.awaited(now)]
        return any(
            wait.spec.account not in ("", session.hook.account_digest)
            and self._policy.found_by <= wait.lookups
            for wait in waits
            if wait is not None
        )

    def _end_elsewhere(self, job: WatchedJob, session: VendorSession, now: float) -> None:
        """End the waits for a job that are of another account than the one that the connection leads to."""
        for poller in job.awaited(now):
            if poller.spec.account not in ("", session.hook.account_digest):
                try:
                    session.hook.check_account(poller.spec.account)
                except SettingsError as error:
                    self._observe(job, poller, error, now)

    def _end_held(self, job: WatchedJob, now: float) -> None:
        """End the waits whose deadline has come while the vendor still wants no call for this job."""
        for poller in job.awaited(now):
            wait = self._waits.get(job.pollers[poller])
            if wait is None or wait.decided or poller.may_ask(now) or poller.event is None:
                continue
            self._job_ended(job, poller, poller.event)

    # -- deadlines: a heap of their own

    def _serve_deadlines(self, now: float) -> None:
        """Put jobs first whose deadline has come, and end waits that were not polled in time."""
        for _ in range(SLICE):
            if (job := self._deadlines.pop(now)) is None:
                return
            self._meet_deadline(job, now)

    def _meet_deadline(self, job: WatchedJob, now: float) -> None:
        in_flight = job.flight is not None or job.busy
        for poller, wait_id in list(job.pollers.items()):
            at = max(poller.spec.deadline_at, self._waits[wait_id].joined_at)
            if at > now:
                self._deadlines.put(job, at)
            elif at + LAST_POLL_PATIENCE > now or in_flight:
                # The answer of a poll in flight ends the wait.
                job.last = True
                self._deadlines.put(job, max(at, now if in_flight else at) + LAST_POLL_PATIENCE)
            else:
                self._observe(job, poller, self._too_late(now), now)
        if not job.pollers:
            self._settle(job)
        elif job.last and not in_flight:
            job.waits_for_list = False
            self._queue.put(job, now, urgent=True)

    def _too_late(self, now: float) -> VendorError:
        """Return what a wait is told that ends without its last poll."""
        session = self._policy.current
        refusal = None if session is None else session.key.refusal(now, self._conn_id)
        if refusal is not None:
            return refusal
        vendor = "Airflow" if session is None else session.hook.conn_type
        error = TransportError("was not asked in time, as its rate was used up", vendor=vendor)
        error.asked, error.conn_id = False, self._conn_id
        return error

    # -- where a job belongs

    def _settle(self, job: WatchedJob) -> None:
        """Put a job where it belongs from now on, or forget it if no wait is left."""
        if job.flight is not None or job.busy or self._jobs.get(job.job_id) is not job:
            return
        if not job.pollers:
            self._queue.drop(job)
            self._leave_list(job)
            if self._policy.current is not None:
                self._policy.current.refusals.forget(job.job_id)
            del self._jobs[job.job_id]
        elif not job.waits_for_list:
            served = self._serving(job) is not None
            due = job.next_poll_beside_list() if served else job.next_poll()
            if due < math.inf:
                self._queue.put(job, due)
                self.wake_at = min(self.wake_at, due)

    def _list_of(self, job: WatchedJob) -> ListCache | None:
        return None if job.list_name is None else self._lists.get(job.list_name)

    def _serving(self, job: WatchedJob) -> ListCache | None:
        listed = self._list_of(job)
        return listed if listed is not None and job in listed.served else None

    def _leave_list(self, job: WatchedJob) -> None:
        listed, job.list_name = self._list_of(job), None
        if listed is not None:
            listed.remove(job)
            self._forget_if_empty(listed)

    def _forget_if_empty(self, listed: ListCache) -> None:
        if not listed and not listed.reading:
            self._queue.drop(listed)
            self._lists.pop(listed.name, None)

    # -- what is done in slices: each yields after a unit of work

    def _do(self, units: int, work: Iterator[None]) -> None:
        """Do some work, at once if it is little."""
        if units <= SLICE:
            for _ in work:
                pass
        else:
            self._work.append(work)
            self.wake_at = NOW

    def _leave(self, wait: Wait) -> Iterator[None]:
        for poller in wait.pollers:
            if (job := self._jobs.get(poller.job_id)) is not None and poller in job.pollers:
                job.remove(poller)
                if not job.pollers:
                    self._settle(job)
            yield

    def _decide(self, wait_id: int, wait: Wait) -> Iterator[None]:
        """End the wait for the other jobs, as one has decided it."""
        for poller in wait.pollers:
            if poller.event is None:
                poller.leave()
            yield
        yield from self._leave(wait)
        if self._waits.get(wait_id) is wait:
            self._end(wait_id)
