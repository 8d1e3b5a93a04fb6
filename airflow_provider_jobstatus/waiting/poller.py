"""
Every decision of a wait, for one job, without I/O: `now` is passed in.

The worker and the triggerer drive the same :class:`JobPoller`: ask when :attr:`JobPoller.next_poll_at` has
come, tell it what came back, stop when it has an :attr:`JobPoller.event`. What each answer does:

==============================  ==============================================  =====================
answer                          before the deadline                             after it
==============================  ==============================================  =====================
terminal state                  finished                                        finished
running                         next point of the grid, or when it may end      timed out
running, unchanged for          stalled, or next point of the grid              timed out
``stalled_after``               with a warning
401, 403, first time            new settings and token, again after 1 s         refused
401, 403 with fresh settings    every 30 s, until ``refusal_grace`` has         refused
                                passed; at the first look refused
our request is wrong            refused                                         refused
404                             keep asking for 120 s, then unknown job         timed out
a 4xx that is not the           once more; seen twice it is as the rows above   timed out
vendor's own
429                             as the vendor says, else backoff; no outage     timed out
429, licence spent              refused if seen again 3 min later, or at the    timed out
                                first look
anything else that is no        backoff, until ``max_outage`` has passed        timed out, naming it
answer                          without one answer, then gave up
==============================  ==============================================  =====================

No poll is sent before a ``Retry-After`` is over. A refusal that names one does not count until then.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    SettingsError,
    VendorError,
)
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.text import STORED_TEXT_LIMIT, clean
from airflow_provider_jobstatus.waiting import messages
from airflow_provider_jobstatus.waiting.adaptive import next_poll, seconds_taken
from airflow_provider_jobstatus.waiting.completion import DurationHistory, ProgressRate
from airflow_provider_jobstatus.waiting.confirmation import SPENT_CONFIRMED_AFTER, Confirmations
from airflow_provider_jobstatus.waiting.outcome import LogEntry, OutcomeKind, WaitOutcome, digest
from airflow_provider_jobstatus.waiting.poll_schedule import PollSchedule
from airflow_provider_jobstatus.waiting.progress_tracker import ProgressTracker
from airflow_provider_jobstatus.waiting.spec import SAME_POINT, WaitSpec
from airflow_provider_jobstatus.waiting.unknown_words import UnknownWords

#: Seconds after the start of a wait in which a 404 may mean "not yet".
NOT_FOUND_GRACE = 120.0
#: Seconds between a refusal and the next try with fresh settings.
RECONNECT_DELAY = 1.0
#: Seconds between the tries that follow: whether the connection has changed, and whether the key works again.
REFUSED_PAUSE = 30.0


class JobPoller(PollSchedule):
    """
    Decides, for one job, when to ask next and when the wait has ended.

    :param job_id: of the job.
    :param spec: of the wait. This job's grid begins at ``first_poll_at``, if that is given.
    :param now: epoch seconds. The first poll is due at the next point of the grid.
    :param memory: what :meth:`memory` of an earlier poller of the same wait returned; and ``"seen"``, what
        that one saw last, as a plain dict, if that is to be known; ``"told"``, the :func:`digest` of what
        the log was told already; and ``"looked"``, whether the wait's first look lies behind.
    :param jitter: returns a random number from 0 to 1.
    :param durations: of jobs of this kind; it is told how long this one took, and an adaptive wait uses it.

    :ivar event: how the wait ended, or None while it goes on.
    :ivar last_status: what the vendor said last to this poller, if it ever said something usable.
    :ivar known_status: what it said last, also to an earlier poller.
    :ivar last_error: why the last poll brought nothing about the job; None if it did.
    :ivar outage_began_at: since when there was no usable answer of any kind, or None.
    :ivar reconnect: whether to read the connection again before asking; the driver sets it back.
    """

    # There may be ten thousand of them.
    __slots__ = (
        "_confirmations",
        "_progress_rate",
        "_told",
        "_tracker",
        "_troubled_at",
        "_words",
        "durations",
        "event",
        "job_id",
        "known_status",
        "last_error",
        "last_status",
        "outage_began_at",
        "reconnect",
    )

    def __init__(
        self,
        job_id: str,
        spec: WaitSpec,
        now: float,
        memory: Mapping[str, Any] | None = None,
        jitter: Callable[[], float] = random.random,
        durations: DurationHistory | None = None,
        first_poll_at: float | None = None,
    ) -> None:
        memory = memory or {}
        super().__init__(spec, now, memory, jitter, first_poll_at)
        self.job_id = job_id
        self.event: WaitOutcome | None = None
        self.reconnect = False
        self.durations = durations
        self.last_status: JobStatus | None = None
        self.last_error: VendorError | None = None
        # Since when there is trouble, or can be; None if only an earlier poller knows.
        self._troubled_at = now if now <= self.first_poll_at + SAME_POINT else None
        self._confirmations = Confirmations(memory)
        self._words = UnknownWords(memory.get("words"))
        self.known_status = JobStatus.or_none(memory.get("seen"))
        self._tracker = ProgressTracker(memory.get("progress"))
        self._progress_rate = ProgressRate(memory.get("progress_rate")) if spec.adaptive else None
        self._told: int | None = memory.get("told")
        self.outage_began_at = memory.get("outage_began_at")

    @property
    def refused(self) -> bool:
        """Whether the credentials are refused, since the last good answer."""
        return self._confirmations.refused_since is not None

    @property
    def unknown_words(self) -> list[str]:
        """Shapes of the unknown words that the log was told of."""
        return self._words.shapes

    def memory(self) -> dict[str, Any]:
        """Return what a later poller of the same wait needs to know; empty if there is no such thing."""
        known = self.timing() | self._confirmations.memory()
        if self.outage_began_at is not None:
            known["outage_began_at"] = self.outage_began_at
        if self._words.shapes:
            known["words"] = self._words.shapes
        if self.spec.stalled_after is not None:
            known["progress"] = self._tracker.memory()
        if self._progress_rate is not None and (looks := self._progress_rate.memory()):
            known["progress_rate"] = looks
        return known

    def leave(self) -> None:
        """End the wait for this job, because others have decided it."""
        self._end(OutcomeKind.LEFT, "was not waited for any longer")

    def may_ask(self, now: float) -> bool:
        """
        Return whether to ask at ``now``.

        Ends the wait if the deadline comes while the vendor still wants to be left alone.
        """
        if self.spec.deadline_at - SAME_POINT <= now < self.not_before:
            self._time_out()
            return False
        return True

    def observe(self, answer: JobStatus | VendorError | SettingsError, now: float) -> LogEntry | None:
        """
        Take in what a poll brought.

        :param answer: the status, or why there is none.
        :param now: epoch seconds after the answer.
        :return: for the log, if something changed that a person would want to know.
        """
        if isinstance(answer, JobStatus):
            self.polled_at, self.errors = now, 0
            return self._saw(answer, now)
        if isinstance(answer, SettingsError):
            self._end(OutcomeKind.BAD_SETTINGS, str(answer))
            return None
        self.errors += 1
        if answer.asked:
            self.polled_at = now
        return self._missed(answer, now)

    def _saw(self, status: JobStatus, now: float) -> LogEntry | None:
        recovered, troubled_at, self._troubled_at = self.last_error, self._troubled_at, now
        changed = self._tracker.see(status, now)
        seen_running = self.last_status is not None
        self.last_status = self.known_status = status if changed else status.or_fuller(self.last_status)
        self.last_error = self.outage_began_at = None
        self._confirmations.clear()
        self._failures = 0
        self._heed(status.retry_after, now)
        if status.state.terminal:
            self.event = WaitOutcome(self.job_id, OutcomeKind.FINISHED, status)
            seconds = seconds_taken(status, self.spec.started_at, now, seen_running=seen_running)
            if self.durations is not None and seconds is not None:
                self.durations.add(seconds)
        elif now >= self.spec.deadline_at:
            self._time_out()
        elif self._progress_rate is None:
            self._ask_again_at(self.next_point(now))
        else:
            first, pace = self.first_poll_at, self._progress_rate
            self._ask_again_at(next_poll(self.spec, pace, self.durations, status, now, first))
        if not status.known and self._words.is_new(status.vendor_status):
            text = f"{status.vendor_status!r} is no word that we know, so it counts as running"
            return self._news("unknown word", text)
        if recovered:
            after = "" if troubled_at is None else f" after {now - troubled_at:.0f} s"
            text = f"answers again{after}: {status.describe()}"
            return self._news(LogEntry.ANSWERS_AGAIN, text, warning=False)
        if self.event is None and not changed:
            return self._stall(now)
        told, self._told = self._told, None
        if self.event is None and digest(self.job_id, status) != told:
            return self._news("changed", f"{status.describe()}{self._tracker.estimate(now)}", warning=False)
        return None

    def _stall(self, now: float) -> LogEntry | None:
        limit = self.spec.stalled_after
        stalled = self._tracker.stalled_for(now)
        # A point in time may be reached a hair too early: Airflow stores it in whole microseconds.
        if limit is None or stalled < limit - SAME_POINT:
            return None
        text = f"nothing has changed for {stalled:.0f} s: {self.last_status.describe()}"  # type: ignore[union-attr]
        if self.spec.if_stalled == "fail":
            self._end(OutcomeKind.STALLED, f"{text}. {messages.MAY_STILL_RUN}")
            return None
        return self._news("stalled", text) if self._tracker.first_stall() else None

    def _missed(self, error: VendorError, now: float) -> LogEntry | None:
        known, until = self.last_error, None
        if known is None and self.outage_began_at is not None:
            self._troubled_at = self.outage_began_at
        elif known is None and self._troubled_at is not None:
            self._troubled_at = now
        self.last_error = error if error.asked else known or error
        self._heed(error.retry_after, now)
        late = now >= self.spec.deadline_at
        match error:
            case AccessDenied() if late and self._was_refused(error):
                self._end(OutcomeKind.REFUSED, messages.refused(error, self._confirmations.refused_for(now)))
            case AccessDenied() if not late:
                until = self._refuse(error, now)
            case RateLimited(spent=True) if self._confirmations.is_spent(now):
                self._end(OutcomeKind.REFUSED, messages.rejected(error))
            case RequestRejected() if self._confirmations.is_final(error):
                self._end(OutcomeKind.REFUSED, messages.rejected(error))
            case _ if late:
                self._time_out()
            case NotFound() if now < self.spec.started_at + NOT_FOUND_GRACE:
                self.outage_began_at, until = None, self.spec.started_at + NOT_FOUND_GRACE
                self._ask_again_at(min(self.next_point(now), until))
            case NotFound() if self._confirmations.is_final(error):
                self._end(OutcomeKind.UNKNOWN_JOB, messages.unknown_job(error, now - self.spec.started_at))
            case NotFound() | RequestRejected():
                self.outage_began_at, self._confirmations.stray = None, True
                self._back_off(error, now)
            case RateLimited():
                self.outage_began_at = None
                self._back_off(error, now)
                if error.spent and (since := self._confirmations.spent_since) is not None:
                    self._ask_again_at(max(self.next_poll_at, since + SPENT_CONFIRMED_AFTER))
            case _:
                until = self._outage(error, now)
        self._confirmations.looked |= not isinstance(error, AccessDenied)
        new = known is None or (error.asked and known.asked and str(error) != str(known))
        # A second try that comes at once says all by its end.
        if self.event is not None or not new or (isinstance(error, AccessDenied) and until == now):
            return None
        kind = f"{type(error).__name__} {error.status}"
        return self._news(kind, messages.borne(error, until, self.next_poll_at))

    def _was_refused(self, error: AccessDenied) -> bool:
        """Whether this very job was refused, not only left out because of others, or until a time."""
        last = self.last_error
        return isinstance(last, AccessDenied) and last.asked and not error.retry_after

    def _refuse(self, error: AccessDenied, now: float) -> float:
        """Take in a refusal before the deadline, and return until when refusals are borne."""
        first = not self.refused
        ends_at = self._confirmations.refused_until(error, now, self.spec.refusal_grace)
        if first:
            self.reconnect = True
            self._ask_again_at(now + RECONNECT_DELAY)
        elif now >= ends_at - SAME_POINT:
            self._end(OutcomeKind.REFUSED, messages.refused(error, self._confirmations.refused_for(now)))
        else:
            # A time that the vendor names puts off the end as well: to ask at that end might be for ever.
            soonest = now + REFUSED_PAUSE
            self._ask_again_at(soonest if error.retry_after else min(soonest, ends_at))
        return min(ends_at, self.spec.deadline_at)

    def _news(self, kind: str, text: str, *, warning: bool = True) -> LogEntry:
        return LogEntry(self.job_id, kind, f"{self.job_id}: {text}", warning)

    def _outage(self, error: VendorError, now: float) -> float | None:
        """Take in that there was no answer, and return until when that is borne; None for ever."""
        if self.outage_began_at is None:
            self.outage_began_at = now
        if self.spec.max_outage is None:
            self._back_off(error, now)
            return None
        ends_at = self.outage_began_at + self.spec.max_outage
        if now >= ends_at - SAME_POINT:
            self._end(OutcomeKind.GAVE_UP, messages.gave_up(error, self.spec.max_outage))
        else:
            self._back_off(error, now, no_later_than=ends_at)
        return min(ends_at, self.spec.deadline_at)

    def _time_out(self) -> None:
        waited = self.spec.deadline_at - self.spec.started_at
        self._end(OutcomeKind.TIMED_OUT, messages.timed_out(waited, self.known_status, self.last_error))

    def _end(self, outcome: OutcomeKind, message: str) -> None:
        status, text = self.known_status, clean(f"{self.job_id}: {message}", STORED_TEXT_LIMIT)
        if status is not None and status.state.terminal and outcome is not OutcomeKind.BAD_SETTINGS:
            # An earlier poller saw its end, which no trouble since then undoes.
            outcome, text = OutcomeKind.FINISHED, ""
        self.event = WaitOutcome(self.job_id, outcome, status, text)
