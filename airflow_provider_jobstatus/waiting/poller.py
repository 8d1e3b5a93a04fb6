"""
Every decision of a wait, for one job, without I/O: `now` is passed in.

The worker and the triggerer drive the same :class:`JobPoller`: they poll when
:attr:`JobPoller.next_poll_at` has come, pass the response to :meth:`JobPoller.observe`, and stop when there
is a :attr:`JobPoller.event`. What each response does:

==============================  ==============================================  =====================
response                        before the deadline                             after it
==============================  ==============================================  =====================
terminal state                  finished                                        finished
running                         next point of the grid, or when it may end      timed out
running, unchanged for          stalled, or next point of the grid              timed out
``stalled_after``               with a warning
401, 403, first time            new settings and token, again after 1 s         refused
401, 403 with fresh settings    every 30 s, until ``refusal_grace`` has         refused
                                passed; at the first poll refused
our request is wrong            refused                                         refused
404                             keep polling for 120 s, then unknown job        timed out
a 4xx that is not the           once more; seen twice it is as the rows above   timed out
vendor's own
429                             as the vendor says, else backoff; no outage     timed out
429, licence spent              refused if seen again 3 min later, or at the    timed out
                                first poll
anything else that is not       backoff, until ``max_outage`` has passed        timed out, naming it
usable                          without one usable response, then gave up
==============================  ==============================================  =====================

No poll is sent before a ``Retry-After`` is over. A refusal that names one does not count until then.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting import messages
from airflow_provider_jobstatus.waiting.adaptive import next_poll, seconds_taken
from airflow_provider_jobstatus.waiting.completion import DurationHistory, ProgressRate
from airflow_provider_jobstatus.waiting.failed_polls import FailedPolls
from airflow_provider_jobstatus.waiting.outcome import LogEntry, OutcomeKind, WaitOutcome, digest
from airflow_provider_jobstatus.waiting.progress_tracker import ProgressTracker
from airflow_provider_jobstatus.waiting.spec import SAME_POINT, WaitSpec
from airflow_provider_jobstatus.waiting.unknown_words import is_new


class JobPoller(FailedPolls):
    """
    Decides, for one job, when to poll next and when the wait has ended.

    :param job_id: of the job.
    :param spec: of the wait. This job's grid begins at ``first_poll_at``, if that is given.
    :param now: epoch seconds. The first poll is due at the next point of the grid.
    :param memory: what :meth:`memory` of an earlier poller of the same wait returned; and ``"seen"``, what
        that one saw last, as a plain dict, if that is to be known; ``"told"``, the :func:`digest` of what
        is in the log already; and ``"looked"``, whether the first poll of the wait is over.
    :param jitter: returns a random number from 0 to 1.
    :param durations: of jobs of this kind; that of this one is added, and an adaptive wait uses them.

    :ivar unknown_words: shapes of the unknown status words that were logged.
    :ivar last_status: what the vendor said last to this poller, if it ever said something usable.
    """

    # There may be ten thousand of them.
    __slots__ = (
        "_confirmations",
        "_progress_rate",
        "_told",
        "_tracker",
        "durations",
        "last_status",
        "unknown_words",
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
        super().__init__(job_id, spec, now, memory, jitter, first_poll_at)
        self.durations = durations
        self.last_status: JobStatus | None = None
        self.unknown_words = list(memory.get("words", ()))
        self._tracker = ProgressTracker(memory.get("progress"))
        self._progress_rate = ProgressRate(memory.get("progress_rate")) if spec.adaptive else None
        self._told: int | None = memory.get("told")

    def memory(self) -> dict[str, Any]:
        """Return what a later poller of the same wait needs to know; empty if there is no such thing."""
        known = {
            "outage_began_at": self.outage_began_at,
            "words": self.unknown_words,
            "progress": None if self.spec.stalled_after is None else self._tracker.memory(),
            "progress_rate": None if self._progress_rate is None else self._progress_rate.memory(),
        }
        learned = {name: value for name, value in known.items() if value not in (None, [])}
        return self.timing() | self._confirmations.memory() | learned

    def observe(self, answer: JobStatus | VendorError | SettingsError, now: float) -> LogEntry | None:
        """
        Take in what a poll brought.

        :param answer: the status, or why there is none.
        :param now: epoch seconds after the response.
        :return: for the log, if something changed that a person should know.
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
        if not status.known and is_new(status.vendor_status, self.unknown_words):
            text = f"{status.vendor_status!r} is no word that we know, so it counts as running"
            return self._entry("unknown word", text)
        if recovered:
            after = "" if troubled_at is None else f" after {now - troubled_at:.0f} s"
            text = f"answers again{after}: {status.describe()}"
            return self._entry(LogEntry.ANSWERS_AGAIN, text, warning=False)
        if self.event is None and not changed:
            return self._stall(now)
        told, self._told = self._told, None
        if self.event is None and digest(self.job_id, status) != told:
            return self._entry("changed", f"{status.describe()}{self._tracker.estimate(now)}", warning=False)
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
        return self._entry("stalled", text) if self._tracker.first_stall() else None
