"""
The waits on a connection: what is delivered to which wait, and when a wait ends.

The second of the five layers of the :class:`~airflow_provider_jobstatus.fleet.scheduler.Scheduler`, whose
theory of operation stands there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.fleet.actions import Action, JobEnded, Log, WaitEnded, Warn
from airflow_provider_jobstatus.fleet.job_places import NOW, SLICE, JobPlaces
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.fleet.wait_record import Wait
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import LAST_POLL_PATIENCE, WaitSpec

Response: TypeAlias = JobStatus | VendorError | SettingsError


class Waits(JobPlaces):
    """
    The waits on one connection, and their jobs.

    :param conn_id: of the connection.
    """

    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id)
        self._waits: dict[int, Wait] = {}
        self._out: list[Action] = []
        self._last_start = NOW

    def join(self, wait_id: int, spec: WaitSpec, pollers: Sequence[JobPoller], now: float) -> None:
        """
        Take in a wait.

        :param wait_id: its number, which no other wait has had.
        :param spec: of the wait, with points in time of the scheduler's clock.
        :param pollers: of its jobs, likewise.
        """
        wait = self._waits[wait_id] = Wait(wait_id, spec, pollers, now, self._policy.lookups)
        if not pollers:
            self._end(wait)
            return
        self._last_start = max(self._last_start, spec.started_at)
        if self._policy.current is not None:
            self._policy.current.refusals.renew(self._last_start)
        self._do(len(pollers), self._join(wait, now))

    def _join(self, wait: Wait, now: float) -> Iterator[None]:
        for poller in wait.pollers:
            if wait.over:
                return
            job = self._jobs.get(poller.job_id)
            if job is None:
                job = self._jobs[poller.job_id] = WatchedJob(poller.job_id)
            job.add(poller, wait, now)
            self._look_at(job, max(poller.spec.deadline_at, now))
            if self._policy.current is not None:
                self._place(job, self._policy.current, now)
            if not job.is_away and poller.next_poll_at < job.due:
                self._queue.put(job, poller.next_poll_at)
            self.wake_at = min(self.wake_at, poller.next_poll_at, job.deadline_at)
            yield

    def leave(self, wait_id: int) -> None:
        """Let a wait go that was cancelled."""
        if (wait := self._waits.pop(wait_id, None)) is not None:
            wait.over = True
            self._do(len(wait.pollers), self._take_out(wait))

    def fail(self, fault: BaseException) -> None:
        """End all waits by a fault."""
        for wait in list(self._waits.values()):
            self._fail(wait, fault)

    def _emit(self, action: Action) -> None:
        self._out.append(action)
        self.wake_at = NOW

    def _deliver(
        self, job: WatchedJob, response: Response, now: float, session: VendorSession | None = None
    ) -> None:
        """
        Deliver a response to all waits for a job.

        :param session: by which it was polled; None if it was not.
        """
        if not isinstance(response, JobStatus) and (listed := self._serving(job)) is not None:
            # Now its waits know something else than its list does.
            del listed.served[job]
        awaited = job.awaited(now)
        job.own = job.last = False
        job.busy = True
        self._queue.drop(job)
        self._do(len(awaited), self._tell(job, awaited, response, now, session))

    def _tell(
        self,
        job: WatchedJob,
        pollers: Iterable[JobPoller],
        response: Response,
        now: float,
        session: VendorSession | None,
    ) -> Iterator[None]:
        for poller in pollers:
            self._observe(job, poller, response, now)
            if poller.reconnect:
                poller.reconnect = False
                if session is not None:
                    self._policy.forget(session)
            yield
        job.busy = False
        self._settle(job)

    def _observe(self, job: WatchedJob, poller: JobPoller, response: Response, now: float) -> None:
        wait = job.pollers.get(poller)
        if wait is None or wait.over:
            return
        try:
            news = poller.observe(response, now)
        except Exception as fault:  # noqa: BLE001 - ends this wait; others go on
            self._fail(wait, fault)
            return
        if news is not None:
            self._emit(Log(wait.number, news, isinstance(response, JobStatus)))
        if poller.event is not None:
            self._end_if_over(job, poller, wait)

    def _end_if_over(self, job: WatchedJob, poller: JobPoller, wait: Wait) -> None:
        """Take note that the wait for a job is over, if it is, and perhaps the whole wait."""
        if poller.event is None:
            return
        job.remove(poller)
        self._emit(JobEnded(wait.number, poller.event))
        wait.open -= 1
        if not wait.open:
            self._end(wait)
        elif wait.spec.decided_by(poller.event):
            wait.over = True
            self._do(len(wait.pollers), self._decide(wait))

    def _decide(self, wait: Wait) -> Iterator[None]:
        """End the wait for the other jobs, as one has decided it."""
        for poller in wait.pollers:
            if poller.event is None:
                poller.leave()
            yield
        yield from self._take_out(wait)
        self._end(wait)

    def _end(self, wait: Wait) -> None:
        if self._waits.pop(wait.number, None) is not None:
            self._emit(WaitEnded(wait.number))

    def _fail(self, wait: Wait, fault: BaseException) -> None:
        if wait.number in self._waits:
            self._emit(WaitEnded(wait.number, fault))
            self.leave(wait.number)

    def _take_out(self, wait: Wait) -> Iterator[None]:
        """Take the pollers of a wait that is over out of their jobs."""
        for poller in wait.pollers:
            if (job := self._jobs.get(poller.job_id)) is not None and poller in job.pollers:
                job.remove(poller)
                if not job.pollers:
                    self._settle(job)
            yield

    def _warn(self, jobs: Iterable[WatchedJob], text: str) -> None:
        """Write a line about the connection into the log of one wait."""
        for job in jobs:
            for wait in job.pollers.values():
                self._emit(Warn(wait.number, f"connection {self._conn_id!r}: {text}"))
                return

    # -- deadlines: a heap of their own

    def _serve_deadlines(self, now: float) -> None:
        """Put jobs first whose deadline has come, and end waits that were not polled in time."""
        for _ in range(SLICE):
            if (job := self._deadlines.first(now)) is None:
                return
            job.deadline_at = math.inf
            self._meet_deadline(job, now)

    def _meet_deadline(self, job: WatchedJob, now: float) -> None:
        in_flight = job.flight is not None or job.busy
        for poller, wait in list(job.pollers.items()):
            if wait.over:
                continue
            at = max(poller.spec.deadline_at, wait.joined_at)
            if at > now:
                self._look_at(job, at)
            elif at + LAST_POLL_PATIENCE > now or in_flight:
                # The response of a poll in flight ends the wait.
                job.last = True
                self._look_at(job, (now if in_flight else at) + LAST_POLL_PATIENCE)
            else:
                self._observe(job, poller, self._too_late(now), now)
        if not job.pollers:
            self._settle(job)
        elif job.last and not in_flight:
            job.waits_for_list = False
            self._queue.put(job, now, urgent=True)

    def _end_held(self, job: WatchedJob, pollers: Iterable[JobPoller], now: float) -> None:
        """End the waits whose deadline has come while the vendor still wants no call for this job."""
        for poller in pollers:
            wait = job.pollers.get(poller) if poller.not_before > now else None
            if wait is not None and not wait.over and not poller.may_ask(now):
                self._end_if_over(job, poller, wait)

    def _too_late(self, now: float) -> VendorError:
        """Return the error of a wait that ends without its last poll."""
        session = self._policy.current
        refusal = None if session is None else session.key.refusal(now, self._conn_id)
        if refusal is not None:
            return refusal
        vendor = "Airflow" if session is None else session.hook.conn_type
        error = TransportError("was not asked in time, as its rate was used up", vendor=vendor)
        error.asked, error.conn_id = False, self._conn_id
        return error
