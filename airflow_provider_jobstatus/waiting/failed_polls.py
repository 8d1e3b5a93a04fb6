"""What a poll that brought nothing about its job means: the wait bears it for a while, or ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    VendorError,
)
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.text import STORED_TEXT_LIMIT, clean
from airflow_provider_jobstatus.waiting import messages
from airflow_provider_jobstatus.waiting.confirmation import SPENT_CONFIRMED_AFTER, Confirmations
from airflow_provider_jobstatus.waiting.outcome import LogEntry, OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.poll_schedule import PollSchedule
from airflow_provider_jobstatus.waiting.spec import SAME_POINT, WaitSpec

#: Seconds after the start of a wait in which a 404 may mean "not yet".
NOT_FOUND_GRACE = 120.0
#: Seconds between a refusal and the next try with fresh settings.
RECONNECT_DELAY = 1.0
#: Seconds between the tries that follow: whether the connection has changed, and whether the key works again.
REFUSED_PAUSE = 30.0


class FailedPolls(PollSchedule):
    """
    What failed polls do to the wait for one job, by the table of ``waiting/poller.py``.

    :param memory: of an earlier poller of the same wait.

    :ivar job_id: of the job.
    :ivar event: how the wait ended, or None while it goes on.
    :ivar known_status: what the vendor said last, also to an earlier poller.
    :ivar last_error: why the last poll brought nothing about the job; None if it did.
    :ivar outage_began_at: since when there was no usable response of any kind, or None.
    :ivar reconnect: whether to read the connection again before the next poll; the driver sets it back.
    """

    __slots__ = (
        "_confirmations",
        "_troubled_at",
        "event",
        "job_id",
        "known_status",
        "last_error",
        "outage_began_at",
        "reconnect",
    )

    def __init__(
        self,
        job_id: str,
        spec: WaitSpec,
        now: float,
        memory: Mapping[str, Any],
        jitter: Callable[[], float],
        first_poll_at: float | None = None,
    ) -> None:
        super().__init__(spec, now, memory, jitter, first_poll_at)
        self.job_id = job_id
        self.event: WaitOutcome | None = None
        self.reconnect = False
        seen = memory.get("seen")
        self.known_status = None if seen is None else JobStatus.or_none(seen)
        self.last_error: VendorError | None = None
        self.outage_began_at: float | None = memory.get("outage_began_at")
        # Since when there is trouble, or can be; None if only an earlier poller knows.
        self._troubled_at = now if now <= self.first_poll_at + SAME_POINT else None
        self._confirmations = Confirmations(memory)

    @property
    def refused(self) -> bool:
        """Whether the credentials have been refused since the last usable response."""
        return self._confirmations.refused_since is not None

    def leave(self) -> None:
        """End the wait for this job, because other jobs have decided it."""
        self._end(OutcomeKind.LEFT, "was not waited for any longer")

    def may_ask(self, now: float) -> bool:
        """
        Return whether to poll at ``now``.

        Ends the wait if the deadline comes while the vendor still allows no request.
        """
        if self.spec.deadline_at - SAME_POINT <= now < self.not_before:
            self._time_out()
            return False
        return True

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
        # A second try that comes at once is reported by its end alone.
        if self.event is not None or not new or (isinstance(error, AccessDenied) and until == now):
            return None
        kind = f"{type(error).__name__} {error.status}"
        return self._entry(kind, messages.borne(error, until, self.next_poll_at))

    def _was_refused(self, error: AccessDenied) -> bool:
        """Whether this very job was refused, not only held back with others, or until a time."""
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
            # A time that the vendor names puts off the end as well: polls at that end might go on for ever.
            soonest = now + REFUSED_PAUSE
            self._ask_again_at(soonest if error.retry_after else min(soonest, ends_at))
        return min(ends_at, self.spec.deadline_at)

    def _outage(self, error: VendorError, now: float) -> float | None:
        """Take in that there was no response, and return until when that is borne; None for ever."""
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

    def _entry(self, kind: str, text: str, *, warning: bool = True) -> LogEntry:
        return LogEntry(self.job_id, kind, f"{self.job_id}: {text}", warning)

    def _end(self, outcome: OutcomeKind, message: str) -> None:
        status, text = self.known_status, clean(f"{self.job_id}: {message}", STORED_TEXT_LIMIT)
        if status is not None and status.state.terminal and outcome is not OutcomeKind.BAD_SETTINGS:
            # An earlier poller saw its end, which no later error undoes.
            outcome, text = OutcomeKind.FINISHED, ""
        self.event = WaitOutcome(self.job_id, outcome, status, text)
