"""
The lists of a vendor in which jobs stand: when one serves a job, is read, and is left alone.

The fourth of the five layers of the :class:`~airflow_provider_jobstatus.fleet.scheduler.Scheduler`, whose
theory of operation stands there; that of a list stands in
:mod:`~airflow_provider_jobstatus.fleet.list_cache`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from airflow_provider_jobstatus.core.errors import AccessDenied, SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus, Listing
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.fleet.account_waits import AccountWaits
from airflow_provider_jobstatus.fleet.actions import ReadList
from airflow_provider_jobstatus.fleet.job_places import NOW
from airflow_provider_jobstatus.fleet.list_cache import DISTRUST, MAX_PAUSE, ListCache
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.fleet.watched_job import Flight, WatchedJob
from airflow_provider_jobstatus.waiting.spec import SAME_POINT
from airflow_provider_jobstatus.waiting.throttle import Throttle

#: Seconds, or up to twice as many, until it is seen that another connection with the same key, or a poll
#: that hangs, has made room.
ROOM_CHECK = 0.1
#: Seconds until a list is tried again that waits for the poll of a job.
LIST_CHECK = 1.0
#: Jobs that a stale list has served are polled so many times an interval, and so many a second, at most.
PACE_SLACK, MAX_PACE = 1.25, 100.0


class ListServing(AccountWaits):
    """
    The waits on one connection, and the lists that serve their jobs.

    :param conn_id: of the connection.
    """

    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id)
        # How fast jobs are polled that a stale list has served, and until when.
        self._pace, self._paced_until = Throttle(Rate()), NOW

    def list_times(self, job_id: str) -> tuple[float, float] | None:
        """Return when the list that serves a job was read last, and is read next; None if none does."""
        job = self._jobs.get(job_id)
        listed = None if job is None else self._serving(job)
        return None if listed is None or listed.due == math.inf else (listed.read_at, listed.due)

    def list_read(self, name: str, response: Listing | VendorError | SettingsError, now: float) -> None:
        """Take in how the reading of a list has ended."""
        listed = self._lists[name]
        flight = self._land(listed)
        session = flight.session
        if isinstance(response, Listing):
            session.key.list_answered(response.requests, now)
            self._do(len(listed), self._take_in(listed, response, flight, now))
            return
        if isinstance(response, AccessDenied) and response.login:
            session.refusals.observe(name, response, now)
        if isinstance(response, VendorError) and response.retry_after:
            session.key.silence_list(name, now + response.retry_after)
        pause = min((job.interval for job in (*listed.waiters, *listed.served)), default=0.0)
        self._give_up(listed, pause, now)

    def list_failed(self, name: str, now: float) -> None:
        """Take in a fault of the provider, or of a hook from elsewhere, in reading a list."""
        listed = self._lists[name]
        if listed.flight is not None:
            self._land(listed)
        self._give_up(listed, MAX_PAUSE, now)

    def _take_in(self, listed: ListCache, listing: Listing, flight: Flight, now: float) -> Iterator[None]:
        """Take in a list; one that a hook cannot interpret is left alone, and its jobs are polled."""
        jobs = [*listed.waiters, *listed.served]
        try:
            yield from self._update(listed, listing, flight, now)
        except Exception as fault:  # noqa: BLE001 - a hook from elsewhere; its jobs have their own statuses
            self._warn(jobs, f"the list {listed.name!r} is not used for a while: {type(fault).__name__}")
            self._give_up(listed, MAX_PAUSE, now)

    def _is_usable(self, listed: ListCache, session: VendorSession, now: float) -> bool:
        return listed.is_usable(now) and not session.key.list_silenced(listed.name, now)

    def _serve(self, listed: ListCache, job: WatchedJob, status: JobStatus) -> None:
        """Leave a job that runs to its list, from now on."""
        if job.is_steady:
            listed.served[job] = status
            if listed.due == math.inf or job.interval < listed.interval:
                listed.interval = min(listed.interval, job.interval)
                self._queue.put(listed, listed.read_at + listed.interval)

    def _read(self, listed: ListCache, session: VendorSession, now: float) -> None:
        self._launch(listed, session, now)
        listed.reading = True
        self._out.append(ReadList(listed.name, session))

    def _list_turn(self, listed: ListCache, session: VendorSession, now: float) -> float | None:
        """Read a list whose turn has come; or return until when everything waits."""
        if listed.reading or not listed.served:
            self._queue.drop(listed)
        elif not self._is_usable(listed, session, now) or session.refusals.of_key:
            self._do(len(listed.served), self._do_without(listed, now))
        elif (until := session.key.stopped_until(now)) > now:
            self._queue.put(listed, until)
        elif session.key.job_first:
            self._poll_themselves(listed.sample()[:1], now)
            self._queue.put(listed, now + LIST_CHECK)
        elif (wait_until := self._room_at(session, listed, now)) is not None:
            return wait_until
        else:
            self._poll_themselves(listed.sample(), now)
            self._read(listed, session, now)
        return None

    def _room_at(self, session: VendorSession, item: WatchedJob | ListCache, now: float) -> float | None:
        """Return when there is room for one more request; None if there is now."""
        key, queued = session.key, now - item.due
        if key.concurrency.is_full(now, queued):
            return self._no_room(now)
        delay = key.throttle.delay(now)
        if now < self._paced_until and not (isinstance(item, WatchedJob) and item.last):
            delay = max(delay, self._pace.delay(now))
        if delay <= 0.0:
            return None
        if queued > item.interval / 2 and isinstance(item, WatchedJob):
            text = key.saturation(len(self._jobs), item.interval, now)
            if text is not None:
                self._warn([item], text)
        return now + delay

    @staticmethod
    def _is_full(session: VendorSession | None, item: WatchedJob | ListCache, now: float) -> bool:
        """
        Return whether a request must wait, before the turn of the next item: else most jobs would have two
        turns, one of them for nothing. After a stop of the key every turn counts.
        """
        if session is None or session.key.job_first:
            return False
        return session.key.concurrency.is_full(now, now - item.due)

    def _no_room(self, now: float) -> float:
        """Take note that there is no room for one more request; return when that is looked at again."""
        self._blocked = True
        # The same for many turns, so that the timer stays as it is.
        return (now // ROOM_CHECK + 2) * ROOM_CHECK

    def _give_up(self, listed: ListCache, pause: float, now: float) -> None:
        """Leave a list alone for a while that could not be read."""
        listed.reading = False
        listed.give_up(now, pause)
        self._do(len(listed.waiters), self._let_waiters_go(listed))
        self._do(len(listed.served), self._do_without(listed, now))
        self._forget_if_empty(listed)

    # -- what is done in slices: each yields after a unit of work

    def _do_without(self, listed: ListCache, now: float) -> Iterator[None]:
        """Poll each job by itself again that a list has served."""
        self._queue.drop(listed)
        while listed.served:
            job, _ = listed.served.popitem()
            self._go_on(job, now)
            yield

    def _update(self, listed: ListCache, listing: Listing, flight: Flight, now: float) -> Iterator[None]:
        """Take in what a list says, and let the waits know what has changed."""
        session = flight.session
        stale = listed.is_stale(listing, session.hook, flight.sent_at)
        if listed:
            yield from listed.update(listing, session.hook, now)
        listed.reading = False
        if stale:
            yield from self._distrust(listed, session, now)
        for job, known in list(listed.served.items()):
            if listed.served.get(job) is known and (status := listed.running(job)) is not known:
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
        if jobs:
            per_second = min(PACE_SLACK * len(listed) / listed.interval, MAX_PACE)
            self._pace, self._paced_until = Throttle(Rate(per_second, 1)), now + DISTRUST
        session.key.silence_list(listed.name, now + DISTRUST)
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
