"""
Every decision about when the jobs of a connection are polled, for all waits of a triggerer, without I/O.

Theory of operation
===================

The scheduler is notified of what happens, and when: a wait joins (``join``) or leaves (``leave``), the
connection was read (``loaded``, ``not_loaded``), a poll has ended (``answered``, ``poll_failed``), a list
was read (``list_read``, ``list_failed``), another connection with the same key has made room (``room``).
The driver calls ``next`` when ``wake_at`` has come, and carries out the actions that it returns. All points
in time are of one clock, also those of the pollers. Everything that changes the state of a job, a wait or a
list stands here and in the four layers below: ``job_places`` puts jobs where they belong, ``waits``
delivers responses, ``account_waits`` has the connection read, ``list_serving`` keeps the lists.

A job is in exactly one of these places:

========================  ==============================================  ==================================
place                     it comes there                                  it leaves
========================  ==============================================  ==================================
the queue                 whenever it is nowhere else                     when its turn has come
in flight (``flight``)    its own poll is sent                            the poll has ended
``busy``                  a response goes to many waits                   the last of them has it
``waits_for_list``        its turn has come, and its list is read first   the list was read, or its deadline
nowhere                   a list serves it                                the list says something new, a
                                                                          sample, a deadline, a new wait
========================  ==============================================  ==================================

What the turn of a job leads to; the first row that applies:

1.  The connection must be read first: it is read, and everything waits.
2.  The wait is of another account, must not poll before its deadline, or its id is malformed: it ends.
3.  Its list was read of late and shows it running: its waits get that status, and the list serves it.
4.  Its list is being read: it waits for the list.
5.  The key is stopped: everything waits. A spent licence ends a wait at its deadline.
6.  The key or the job is refused: the wait gets that error.
7.  Too many requests are in flight, or the rate of the key is used up: everything waits.
8.  Its list may be used: the list is read, and the job waits for it. If not, the job is polled.

Deadlines have a heap of their own, which comes before the queue: a wait ends though the turn of its job never
comes. What concerns many jobs or waits is done in slices: one call of ``next`` does a bounded amount of work.
"""

from __future__ import annotations

import math
from typing import cast

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    RateLimited,
    ServerError,
    SettingsError,
    VendorError,
)
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.fleet.actions import Action, Poll
from airflow_provider_jobstatus.fleet.job_places import NOW, SLICE
from airflow_provider_jobstatus.fleet.list_cache import ListCache
from airflow_provider_jobstatus.fleet.list_serving import ListServing
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.fleet.waits import Response
from airflow_provider_jobstatus.fleet.watched_job import Flight, WatchedJob

#: Turns in one call of ``next``.
TURNS = 10


class Scheduler(ListServing):
    """
    Decides for all waits on one connection.

    :param conn_id: of the connection.
    """

    def answered(self, job_id: str, response: Response, now: float) -> None:
        """Take in how a poll has ended."""
        job = self._jobs[job_id]
        flight = self._landed(job, response, now)
        if isinstance(response, JobStatus):
            job.sick = False
            if job.list_name is not None and (listed := self._list_of(job)) is not None:
                listed.polled(job, response, flight.sent_at)
        else:
            job.sick = isinstance(response, ServerError) or not isinstance(response, ApiError)
        self._deliver(job, response, now, flight.session)

    def poll_failed(self, job_id: str, fault: BaseException, now: float) -> None:
        """Take in a fault of the provider, or of a hook from elsewhere, in a poll: the job's waits end."""
        job = self._jobs[job_id]
        if job.flight is not None:
            self._landed(job, None, now)
        # Its response may have been under delivery.
        job.busy = False
        for wait in set(job.pollers.values()):
            self._fail(wait, fault)
        self._settle(job)

    def _landed(self, job: WatchedJob, response: Response | None, now: float) -> Flight:
        """Take note of how a poll has ended, for the key and for what follows."""
        flight = self._land(job)
        key = flight.session.key
        job.limited_at, limited_before = math.inf, job.limited_at
        if isinstance(response, JobStatus):
            key.observe(None, flight.sent_at, now)
        elif isinstance(response, VendorError):
            is_limited = isinstance(response, (RateLimited, AccessDenied)) and bool(response.retry_after)
            if is_limited and not (isinstance(response, RateLimited) and response.spent):
                job.limited_at = now
            # What is the key's would also have met the jobs polled well since this one's last pause.
            if job.limited_at == math.inf or limited_before >= key.answered_at:
                key.observe(response, flight.sent_at, now)
        refusals = flight.session.refusals
        refusals.observe(job.job_id, response, now)
        if job.session is not None and job.session.refusals is not refusals:
            # It is polled with other settings by now, and nothing else would forget it here.
            refusals.forget(job.job_id)
        job.polled_at = flight.sent_at
        return flight

    # -- what is to be done

    def next(self, now: float) -> list[Action]:
        """Return what is to be done now, and set ``wake_at``."""
        self._blocked = False
        for _ in range(SLICE):
            if not self._work:
                break
            if next(self._work[0], self) is self:
                self._work.popleft()
        self._serve_deadlines(now)
        wake_at = self._serve_queue(now)
        self.wake_at = NOW if self._work else min(wake_at, self._deadlines.next_at())
        out, self._out = self._out, []
        return out

    def _serve_queue(self, now: float) -> float:
        """Let jobs and lists have their turns; return when the next one comes."""
        session: VendorSession | None = None
        sent = False
        for _ in range(TURNS):
            item, without_sick = self._first(now)
            if item is None:
                self._blocked = without_sick
                return self._queue.next_at(without_sick=without_sick)
            if sent and self._is_full(session, item, now):
                return self._no_room(now)
            if session is None:
                known = self._policy.current
                refused = known is not None and known.refusals.active
                session = self._policy.usable(now, refused=refused)
            if session is None:
                if (error := self._policy.failure(now)) is None:
                    return self._load(now)
                if isinstance(item, WatchedJob):
                    self._deliver(item, error, now)
                else:
                    self._do(len(item.served), self._do_without(item, now))
                continue
            if isinstance(item, WatchedJob):
                wait_until = self._turn(item, session, now)
            else:
                wait_until = self._list_turn(item, session, now)
            if wait_until is not None:
                return wait_until
            sent = item.flight is not None
        return NOW

    def _first(self, now: float) -> tuple[WatchedJob | ListCache | None, bool]:
        """Return what has its turn, and whether jobs whose last poll failed had to be left out."""
        if (session := self._policy.current) is None:
            return self._queue.first(now), False
        concurrency = session.key.concurrency
        if not concurrency.is_strained:
            return self._queue.first(now), False
        without_sick = concurrency.is_full_for_sick
        if concurrency.is_open and (item := self._queue.first(now, without_sick=True)) is not None:
            # A job that was well finds out sooner whether the vendor is.
            return item, without_sick
        return self._queue.first(now, without_sick=without_sick), without_sick

    def _turn(self, job: WatchedJob, session: VendorSession, now: float) -> float | None:
        """Do what is to be done for a job; or return until when everything waits."""
        if job.session is not session or job.list_name is not None:
            self._place(job, session, now)
        awaited = job.awaited(now)
        if strangers := self._strangers(awaited, session):
            if self._is_doubtful(job, strangers):
                return self._read_first(job, now)
            self._end_elsewhere(job, strangers, session, now)
        self._end_held(job, awaited, now)
        must = job.own or job.last
        if job.changed and not must:
            # The wait that needed it so soon may have left.
            job.refresh()
            if job.next_poll() > now:
                self._settle(job)
                return None
        if not job.pollers:
            self._settle(job)
            return None
        if isinstance(job.operation, SettingsError):
            self._deliver(job, job.operation, now)
            return None
        listed = None if must or job.list_name is None else self._list_of(job)
        if listed is not None and not self._is_usable(listed, session, now):
            listed = None
        if listed is not None and listed.is_fresh(job, now):
            if (status := listed.running(job)) is not None:
                self._serve(listed, job, status)
                self._deliver(job, status, now)
                return None
            listed = None
        elif listed is not None and listed.reading:
            self._wait_for(listed, job)
            return None
        return self._request(job, listed, session, now)

    def _request(
        self, job: WatchedJob, listed: ListCache | None, session: VendorSession, now: float
    ) -> float | None:
        """Poll a job, or read its list if that may be used; or return until when everything waits."""
        key, refusals = session.key, session.refusals
        if (until := key.stopped_until(now)) > now:
            if not key.is_spent and not job.last:
                return until
            error: VendorError | None = key.refusal(now, self._conn_id)
        else:
            error = refusals.hold(job.job_id, now, self._conn_id)
        if error is not None:
            self._deliver(job, error, now)
        elif (wait_until := self._room_at(session, job, now)) is not None:
            return wait_until
        elif listed is None or refusals.active or key.job_first:
            self._poll(job, session, now)
        else:
            self._wait_for(listed, job)
            self._read(listed, session, now)
        return None

    def _poll(self, job: WatchedJob, session: VendorSession, now: float) -> None:
        self._launch(job, session, now)
        self._pace.take(now)
        session.refusals.asks(job.job_id)
        for poller in job.pollers:
            if poller.outage_began_at is not None and now > poller.next_poll_at:
                # A poll that was not sent is no poll without a response.
                poller.outage_began_at += now - poller.next_poll_at
        self._out.append(Poll(job.job_id, cast("Operation[JobStatus]", job.operation), session))
