"""
Every decision about when the jobs of a connection are polled, for all waits of a triggerer, without I/O.

Theory of operation
===================

The scheduler is told what happens, and when: a wait joins (``join``) or leaves (``leave``), the connection
was read (``loaded``, ``not_loaded``), a poll has ended (``answered``, ``poll_failed``), a list was read
(``list_read``, ``list_failed``), another connection with the same key has made room (``room``). The driver
calls ``next`` when ``wake_at`` has come, and carries out the actions that it returns. All points in time are
of one clock, also those of the pollers. Everything that changes the state of a job, a wait or a list stands
here and in the two layers below: ``waits`` delivers responses to waits, ``list_serving`` keeps the lists.

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
2.  The wait is of another account, or must not poll before its deadline: it ends.
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

from airflow_provider_jobstatus.core.errors import (
    ApiError,
    ServerError,
    SettingsError,
    VendorError,
    unreadable,
)
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.fleet.actions import Action, LoadConnection, Poll
from airflow_provider_jobstatus.fleet.list_cache import ListCache
from airflow_provider_jobstatus.fleet.list_serving import ListServing
from airflow_provider_jobstatus.fleet.polled_vendor import VendorSession
from airflow_provider_jobstatus.fleet.waits import NOW, SLICE, Response
from airflow_provider_jobstatus.fleet.watched_job import Flight, WatchedJob

#: Turns in one call of ``next``.
TURNS = 10
#: Seconds until it is seen that another connection with the same key, or a poll that hangs, has made room.
ROOM_CHECK = 0.1
#: Seconds until a list is tried again that waits for the poll of a job.
LIST_CHECK = 1.0


class Scheduler(ListServing):
    """
    Decides for all waits on one connection.

    :param conn_id: of the connection.
    """

    def loaded(self, session: VendorSession, attempt: int, now: float) -> None:
        """Take in the connection as it was read. The session is the same object while nothing has changed."""
        self.wake_at = NOW
        if self._policy.loaded(session, attempt, now):
            session.refusals.renew(self._last_start)
            self._do(len(self._jobs), self._place_all(session, now))

    def not_loaded(self, error: VendorError | SettingsError, attempt: int, now: float) -> str | None:
        """Take in why the connection was not read. Returns a line for the log, if there is one."""
        self.wake_at = NOW
        return self._policy.failed(error, attempt, now)

    @property
    def session(self) -> VendorSession | None:
        """What polls use; None if the connection must be read first."""
        return self._policy.current

    def answered(self, job_id: str, response: Response, now: float) -> None:
        """Take in how a poll has ended."""
        job = self._jobs[job_id]
        flight = self._land(job, response, now)
        listed = self._list_of(job)
        if isinstance(response, JobStatus):
            job.sick = False
            if listed is not None:
                listed.polled(job, response, flight.sent_at)
        else:
            job.sick = isinstance(response, ServerError) or not isinstance(response, ApiError)
        self._deliver(job, response, now, flight.session)

    def poll_failed(self, job_id: str, fault: BaseException, now: float) -> None:
        """Take in a fault of the provider, or of a hook from elsewhere, in a poll: the job's waits end."""
        job = self._jobs[job_id]
        self._land(job, None, now)
        for wait_id in set(job.pollers.values()):
            self._fail(wait_id, fault)
        self._settle(job)

    def close(self) -> None:
        """Count what is in flight no more: others may use the key."""
        for flight in (*self._reading.values(), *(job.flight for job in self._jobs.values() if job.flight)):
            flight.session.key.concurrency.end(flight.number)

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
        for _ in range(TURNS):
            item, without_sick = self._first(now)
            if item is None:
                self._blocked = without_sick
                return self._queue.next_at(without_sick=without_sick)
            if session is None:
                known = self._policy.current
                refused = known is not None and known.refusals.active
                session = self._policy.usable(now, refused=refused)
            if session is None:
                if (error := self._policy.failure(now)) is not None:
                    self._do_without_connection(item, error, now)
                    continue
                if (attempt := self._policy.begin(now)) is not None:
                    self._out.append(LoadConnection(attempt))
                return self._policy.next_at
            if isinstance(item, WatchedJob):
                wait_until = self._turn(item, session, now)
            else:
                wait_until = self._list_turn(item, session, now)
            if wait_until is not None:
                return wait_until
        return NOW

    def _first(self, now: float) -> tuple[WatchedJob | ListCache | None, bool]:
        """Return what has its turn, and whether jobs whose last poll failed had to be left out."""
        if (session := self._policy.current) is None:
            return self._queue.first(now), False
        concurrency = session.key.concurrency
        without_sick = concurrency.is_full_for_sick
        if concurrency.is_open and (item := self._queue.first(now, without_sick=True)) is not None:
            # A job that was well finds out sooner whether the vendor is.
            return item, without_sick
        return self._queue.first(now, without_sick=without_sick), without_sick

    def _turn(self, job: WatchedJob, session: VendorSession, now: float) -> float | None:
        """Do what is to be done for a job; or return until when everything waits."""
        if job.session is not session or (job.list_name is not None and job.is_watched):
            self._place(job, session, now)
        here, is_held = ("", session.hook.account_digest), False
        for poller in job.awaited(now):
            is_held = is_held or poller.not_before > now
            if poller.spec.account not in here:
                if self._is_doubtful(job, session, now):
                    return self._read_first(job, now)
                self._end_elsewhere(job, session, now)
                break
        if job.changed and not (job.own or job.last):
            # Who wanted it so soon may have left.
            job.refresh()
            if not job.pollers or job.next_poll() > now:
                self._settle(job)
                return None
        if is_held:
            self._end_held(job, now)
        if not job.pollers:
            self._settle(job)
            return None
        listed = None if job.own or job.last else self._list_of(job)
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
        key, refusals = session.key, session.refusals
        if (until := key.stopped_until(now)) > now:
            if not key.is_spent and not job.last:
                return until
            if (refusal := key.refusal(now, self._conn_id)) is not None:
                self._deliver(job, refusal, now)
            return None
        if (held := refusals.hold(job.job_id, now, self._conn_id)) is not None:
            self._deliver(job, held, now)
            return None
        if (wait_until := self._room_at(session, job, now)) is not None:
            return wait_until
        if listed is None or refusals.active or key.job_first:
            self._poll(job, session, now)
        else:
            self._wait_for(listed, job)
            self._read(listed, session, now)
        return None

    def _read_first(self, job: WatchedJob, now: float) -> float | None:
        """Read the connection again before a job is polled: it may lead to the account of a wait by now."""
        if self._policy.lookups > max(self._waits[each].lookups for each in job.pollers.values()):
            self._deliver(job, unreadable(self._conn_id, "was changed, and is read again"), now)
            return None
        self._policy.expire()
        if (attempt := self._policy.begin(now)) is not None:
            self._out.append(LoadConnection(attempt))
        return self._policy.next_at

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
            self._blocked = True
            return now + ROOM_CHECK
        delay = key.throttle.delay(now)
        if now < self._paced_until and not (isinstance(item, WatchedJob) and item.last):
            delay = max(delay, self._progress_rate.delay(now))
        if delay <= 0.0:
            return None
        if queued > item.interval / 2 and isinstance(item, WatchedJob):
            text = key.saturation(len(self._jobs), item.interval, now)
            if text is not None:
                self._warn([item], text)
        return now + delay

    def _poll(self, job: WatchedJob, session: VendorSession, now: float) -> None:
        number = session.key.concurrency.start(now, sick=job.sick)
        session.key.throttle.take(now)
        self._progress_rate.take(now)
        session.refusals.asks(job.job_id)
        for poller in job.pollers:
            if poller.outage_began_at is not None and now > poller.next_poll_at:
                # A poll that was not sent is no poll without an answer.
                poller.outage_began_at += now - poller.next_poll_at
        self._queue.drop(job)
        job.flight = Flight(number, now, session)
        self._out.append(Poll(job.job_id, job.question, session))

    def _do_without_connection(
        self, item: WatchedJob | ListCache, error: VendorError | SettingsError, now: float
    ) -> None:
        if isinstance(item, WatchedJob):
            self._deliver(item, error, now)
        else:
            self._do(len(item.served), self._do_without(item, now))

    def _land(self, job: WatchedJob, response: Response | None, now: float) -> Flight:
        """Take note that a poll is in flight no more."""
        flight, job.flight = job.flight, None
        if flight is None:
            raise ValueError(f"no poll of {job.job_id} is in flight")
        key = flight.session.key
        key.concurrency.end(flight.number)
        if not isinstance(response, SettingsError) and response is not None:
            key.observe(response if isinstance(response, VendorError) else None, flight.sent_at, now)
        flight.session.refusals.observe(job.job_id, response, now)
        job.polled_at = flight.sent_at
        self.room()
        return flight
