"""
The lists of a vendor in which jobs stand: when one serves a job, is read, and is left alone.

The middle of the three layers of the :class:`~airflow_provider_jobstatus.fleet.scheduler.Scheduler`, whose
theory of operation stands there; that of a list stands in
:mod:`~airflow_provider_jobstatus.fleet.list_cache`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from airflow_provider_jobstatus.core.errors import AccessDenied, SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus, Listing
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.fleet.actions import ReadList
from airflow_provider_jobstatus.fleet.list_cache import DISTRUST, MAX_PAUSE, ListCache
from airflow_provider_jobstatus.fleet.polled_vendor import VendorSession
from airflow_provider_jobstatus.fleet.wait_record import Wait
from airflow_provider_jobstatus.fleet.waits import NOW, Waits
from airflow_provider_jobstatus.fleet.watched_job import Flight, WatchedJob
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import SAME_POINT, WaitSpec
from airflow_provider_jobstatus.waiting.throttle import Throttle

#: Jobs that a stale list has served are polled so many times an interval, and so many a second, at most.
PACE_SLACK, MAX_PACE = 1.25, 100.0


class ListServing(Waits):
    """
    The waits on one connection, and the lists that serve their jobs.

    :param conn_id: of the connection.
    """

    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id)
        self._reading: dict[str, Flight] = {}
        self._last_start = NOW
        # How fast jobs are polled that a stale list has served, and until when.
        self._progress_rate, self._paced_until = Throttle(Rate()), NOW

    def list_times(self, job_id: str) -> tuple[float, float] | None:
        """Return when the list that serves a job was read last, and is read next; None if none does."""
        job = self._jobs.get(job_id)
        listed = None if job is None else self._serving(job)
        return None if listed is None else (listed.read_at, listed.due)

    def join(self, wait_id: int, spec: WaitSpec, pollers: Sequence[JobPoller], now: float) -> None:
        """
        Take in a wait.

        :param wait_id: its number, which no other wait has had.
        :param spec: of the wait, with points in time of the scheduler's clock.
        :param pollers: of its jobs, likewise.
        """
        wait = self._waits[wait_id] = Wait(spec, pollers, now, self._policy.lookups)
        if not pollers:
            self._end(wait_id)
            return
        self._last_start = max(self._last_start, spec.started_at)
        if self._policy.current is not None:
            self._policy.current.refusals.renew(self._last_start)
        self._do(len(pollers), self._join(wait_id, wait, now))

    def list_read(self, name: str, response: Listing | VendorError | SettingsError, now: float) -> None:
        """Take in how the reading of a list has ended."""
        session, listed = self._land_list(name), self._lists[name]
        if isinstance(response, Listing):
            session.key.list_answered(response.requests, now)
            self._do(len(listed), self._update(listed, response, session, now))
            return
        if isinstance(response, AccessDenied) and response.login:
            session.refusals.observe(name, response, now)
        if isinstance(response, VendorError) and response.retry_after:
            session.key.silence_list(name, now + response.retry_after)
        pause = min((job.interval for job in (*listed.waiters, *listed.served)), default=0.0)
        self._give_up(listed, pause, now)

    def list_failed(self, name: str, now: float) -> None:
        """Take in a fault of the provider, or of a hook from elsewhere, in reading a list."""
        self._land_list(name)
        self._give_up(self._lists[name], MAX_PAUSE, now)

    def _land_list(self, name: str) -> VendorSession:
        flight = self._reading.pop(name)
        flight.session.key.concurrency.end(flight.number)
        self.room()
        return flight.session

    def _is_usable(self, listed: ListCache, session: VendorSession, now: float) -> bool:
        return listed.is_usable(now) and not session.key.list_silenced(listed.name, now)

    def _serve(self, listed: ListCache, job: WatchedJob, status: JobStatus) -> None:
        """Leave a job that runs to its list, from now on."""
        if job.is_steady:
            listed.served[job] = status
            if not listed.entry or job.interval < listed.interval:
                listed.interval = min(listed.interval, job.interval)
                self._queue.put(listed, listed.read_at + listed.interval)

    def _wait_for(self, listed: ListCache, job: WatchedJob) -> None:
        self._queue.drop(job)
        job.waits_for_list = True
        listed.waiters.append(job)

    def _go_on(self, job: WatchedJob, now: float) -> None:
        """Poll a job by itself again: its list does not show it."""
        for poller in job.pollers:
            poller.go_on(now)
        self._settle(job)

    def _poll_themselves(self, jobs: Iterable[WatchedJob], now: float, *, urgent: bool = False) -> None:
        """Poll jobs now, whatever a list says of them."""
        for job in jobs:
            if not job.is_away:
                job.own = True
                self._queue.put(job, now, urgent=urgent)
                self.wake_at = NOW

    def _give_up(self, listed: ListCache, pause: float, now: float) -> None:
        """Leave a list alone for a while that could not be read."""
        listed.reading = False
        listed.give_up(now, pause)
        self._do(len(listed.waiters), self._let_waiters_go(listed))
        self._do(len(listed.served), self._do_without(listed, now))
        self._forget_if_empty(listed)

    def _read(self, listed: ListCache, session: VendorSession, now: float) -> None:
        number = session.key.concurrency.start(now)
        session.key.throttle.take(now)
        self._queue.drop(listed)
        listed.reading, listed.began_at = True, now
        self._reading[listed.name] = Flight(number, now, session)
        self._out.append(ReadList(listed.name, session))

    def _place(self, job: WatchedJob, session: VendorSession, now: float) -> None:
        """Put a job into the list that shows it, by what a hook says."""
        if job.session is session and not (job.list_name is not None and job.is_watched):
            return
        place, hook = None, session.hook
        try:
            parsed = hook.parse_job_id(job.job_id)
            if job.session is not session:
                job.session, job.question = session, hook.status_operation(parsed)
            if hook.uses_lists and not job.is_watched:
                place = hook.list_place(parsed)
        except SettingsError:
            # The poll of the job says what is wrong with its id.
            job.session, job.question = session, None
        listed = self._list_of(job)
        if (
            place is not None
            and listed is not None
            and place[0] == listed.name
            and listed.holds(job, place[1])
        ):
            return
        was_served = self._serving(job) is not None
        self._leave_list(job)
        if place is not None:
            job.list_name = place[0]
            self._lists.setdefault(place[0], ListCache(place[0])).add(job, place[1])
        if was_served:
            self._go_on(job, now)

    # -- what is done in slices: each yields after a unit of work

    def _join(self, wait_id: int, wait: Wait, now: float) -> Iterator[None]:
        for poller in wait.pollers:
            if self._waits.get(wait_id) is not wait or wait.decided:
                return
            job = self._jobs.get(poller.job_id)
            if job is None:
                job = self._jobs[poller.job_id] = WatchedJob(poller.job_id)
            job.add(poller, wait_id, now)
            self._deadlines.put(job, max(poller.spec.deadline_at, now))
            if self._policy.current is not None:
                self._place(job, self._policy.current, now)
            due = poller.next_poll_at
            if not job.is_away and (not job.entry or due < job.due):
                self._queue.put(job, due)
            self.wake_at = min(self.wake_at, due, job.deadline_at)
            yield

    def _place_all(self, session: VendorSession, now: float) -> Iterator[None]:
        for job in list(self._jobs.values()):
            if self._jobs.get(job.job_id) is job and self._policy.current is session:
                if self._is_elsewhere(job, session, now) and not self._is_doubtful(job, session, now):
                    self._end_elsewhere(job, session, now)
                self._place(job, session, now)
                if not job.pollers:
                    self._settle(job)
            yield

    def _do_without(self, listed: ListCache, now: float) -> Iterator[None]:
        """Poll each job by itself again that a list has served."""
        self._queue.drop(listed)
        while listed.served:
            job, _ = listed.served.popitem()
            self._go_on(job, now)
            yield

    def _update(
        self, listed: ListCache, listing: Listing, session: VendorSession, now: float
    ) -> Iterator[None]:
        """Take in what a list says, and tell the waits what has changed."""
        stale = listed.is_stale(listing, session.hook)
        if listed:
            yield from listed.update(listing, session.hook, now)
        listed.reading = False
        if stale:
            yield from self._distrust(listed, session, now)
        for job, told in list(listed.served.items()):
            if listed.served.get(job) is told and (status := listed.running(job)) is not told:
                if status is None:
                    del listed.served[job]
                    self._go_on(job, now)
                elif not listed.is_behind(job) and not job.is_away:
                    listed.served[job] = status
                    self._deliver(job, status, now)
                yield
        yield from self._let_waiters_go(listed)
        for job in listed.served:
            if job.changed:
                job.refresh()
        listed.interval = min((job.interval for job in listed.served), default=math.inf)
        if not self._is_usable(listed, session, now):
            yield from self._do_without(listed, now)
        elif listed.served:
            self._queue.put(listed, now + listed.interval)
            self.wake_at = min(self.wake_at, listed.due)
        # A job's own status says more than the end in a list, and is what counts. Once in an interval, should
        # the two disagree.
        for job in listed.ended:
            if not job.is_away and job.awaited(now) and now - job.polled_at >= job.interval - SAME_POINT:
                self._poll_themselves([job], now, urgent=True)
                yield
        self._forget_if_empty(listed)

    def _distrust(self, listed: ListCache, session: VendorSession, now: float) -> Iterator[None]:
        """Leave a list alone that has not caught up with its jobs, and poll each of them evenly spread."""
        jobs = sorted(listed.served, key=lambda job: job.polled_at)
        per_second = min(PACE_SLACK * len(listed) / listed.interval, MAX_PACE)
        self._progress_rate, self._paced_until = Throttle(Rate(per_second, 1)), now + DISTRUST
        session.key.silence_list(listed.name, self._paced_until)
        self._warn(
            jobs,
            f"the vendor's list {listed.name!r} says less than the jobs' own statuses, also "
            f"{2 * listed.interval:.0f} s later: for an hour its {len(listed)} jobs are polled one by one",
        )
        listed.distrust()
        for job in jobs:
            self._poll_themselves([job], now)
            yield

    def _let_waiters_go(self, listed: ListCache) -> Iterator[None]:
        waiters, listed.waiters = listed.waiters, []
        for job in waiters:
            if job.waits_for_list:
                job.waits_for_list = False
                self._settle(job)
            yield
