"""
Where a job belongs: in the queue, with a list, or nowhere.

The lowest of the five layers of the :class:`~airflow_provider_jobstatus.fleet.scheduler.Scheduler`, whose
theory of operation stands there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from operator import attrgetter

from airflow_provider_jobstatus.core.errors import SettingsError, unreadable
from airflow_provider_jobstatus.fleet.due_heap import DueHeap
from airflow_provider_jobstatus.fleet.due_queue import DueQueue
from airflow_provider_jobstatus.fleet.list_cache import ListCache
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.fleet.watched_job import Flight, WatchedJob
from airflow_provider_jobstatus.waiting.session_policy import SessionPolicy

#: Units of work that are done at once; more are done in slices of so many.
SLICE = 50
#: At once.
NOW = -math.inf


class JobPlaces:
    """
    The jobs of one connection.

    :param conn_id: of the connection.

    :ivar wake_at: when to call ``next``, at the latest.
    """

    def __init__(self, conn_id: str) -> None:
        self.wake_at = math.inf
        self._conn_id = conn_id
        self._policy: SessionPolicy[VendorSession] = SessionPolicy(unreadable(conn_id, "takes too long"))
        self._jobs: dict[str, WatchedJob] = {}
        self._lists: dict[str, ListCache] = {}
        self._queue = DueQueue()
        self._deadlines = DueHeap[WatchedJob](attrgetter("deadline_at"))
        self._work: deque[Iterator[None]] = deque()
        self._blocked = False

    def room(self) -> None:
        """Take note that a request with this key has ended."""
        if self._blocked:
            self.wake_at = NOW

    def close(self) -> None:
        """Count what is in flight no more, and forget refusals of the jobs: others may use the key."""
        items: list[WatchedJob | ListCache] = [*self._jobs.values(), *self._lists.values()]
        for item in items:
            if item.flight is not None:
                self._land(item)
        for job in self._jobs.values():
            self._forget_refusal(job)

    def _launch(self, item: WatchedJob | ListCache, session: VendorSession, now: float) -> None:
        """Count a request that is sent."""
        number = session.key.concurrency.start(now, sick=item.sick)
        session.key.throttle.take(now)
        self._queue.drop(item)
        item.flight = Flight(number, now, session)

    def _land(self, item: WatchedJob | ListCache) -> Flight:
        """Count a request in flight no more."""
        flight, item.flight = item.flight, None
        if flight is None:
            raise ValueError("no request is in flight")
        flight.session.key.concurrency.end(flight.number)
        if self._blocked:
            self.wake_at = NOW
        return flight

    def _do(self, units: int, work: Iterator[None]) -> None:
        """Do some work that yields after each unit: at once if it is little, else in slices."""
        if units <= SLICE:
            for _ in work:
                pass
        else:
            self._work.append(work)
            self.wake_at = NOW

    def _look_at(self, job: WatchedJob, at: float) -> None:
        """Look for waits for a job that must end no later than at a point in time."""
        if at < job.deadline_at:
            job.deadline_at = at
            self._deadlines.put(job)

    def _settle(self, job: WatchedJob) -> None:
        """Put a job where it belongs from now on, or forget it if no wait is left."""
        if self._jobs.get(job.job_id) is not job:
            # Its last wait has left.
            self._queue.drop(job)
            return
        if job.flight is not None or job.busy:
            return
        if not job.pollers:
            self._queue.drop(job)
            self._leave_list(job)
            self._forget_refusal(job)
            job.deadline_at = math.inf
            del self._jobs[job.job_id]
        elif not job.waits_for_list:
            is_served = job.list_name is not None and self._serving(job) is not None
            due = job.next_poll_beside_list() if is_served else job.next_poll()
            if due < math.inf:
                self._queue.put(job, due)
                self.wake_at = min(self.wake_at, due)

    @staticmethod
    def _forget_refusal(job: WatchedJob) -> None:
        """Forget that a job was refused, also while the connection is read again: others share refusals."""
        if job.session is not None:
            job.session.refusals.forget(job.job_id)

    def _place(self, job: WatchedJob, session: VendorSession, now: float) -> None:
        """Put a job into the list that shows it, by what a hook says."""
        if job.session is session and (job.list_name is None or not job.is_watched):
            return
        if job.session is not None and job.session.refusals is not session.refusals:
            self._forget_refusal(job)
        place, hook = None, session.hook
        try:
            parsed = hook.parse_job_id(job.job_id)
            if job.session is not session:
                job.session, job.operation = session, hook.status_operation(parsed)
            if hook.uses_lists and not job.is_watched:
                place = hook.list_place(parsed)
        except SettingsError as malformed:
            job.session, job.operation = session, malformed
        except Exception as fault:  # noqa: BLE001 - a hook from elsewhere; the waits of other jobs go on
            text = f"the connection's hook cannot read this id: {type(fault).__name__}"
            job.session, job.operation = session, SettingsError(text)
        listed = self._list_of(job)
        if place == (None if listed is None else (listed.name, listed.key_of(job))):
            return
        was_served = self._serving(job) is not None
        self._leave_list(job)
        if place is not None:
            job.list_name, key = place
            self._lists.setdefault(job.list_name, ListCache(job.list_name)).add(job, key)
        if was_served:
            self._go_on(job, now)

    def _go_on(self, job: WatchedJob, now: float) -> None:
        """Poll a job by itself again: its list does not show it."""
        for poller in job.pollers:
            poller.go_on(now)
        self._settle(job)

    def _wait_for(self, listed: ListCache, job: WatchedJob) -> None:
        self._queue.drop(job)
        job.waits_for_list = True
        listed.waiters.append(job)

    def _poll_themselves(self, jobs: Iterable[WatchedJob], now: float, *, urgent: bool = False) -> None:
        """Poll jobs now, whatever a list says of them."""
        for job in jobs:
            # Its waits may have left since the jobs were gathered.
            if not job.is_away and self._jobs.get(job.job_id) is job:
                job.own = True
                self._queue.put(job, now, urgent=urgent)
                self.wake_at = NOW

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
            self._lists.pop(listed.name, None)
