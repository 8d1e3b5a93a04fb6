"""A wait as values: when to ask, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Literal
from zlib import crc32

from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.text import STORED_TEXT_LIMIT, clean, storable

WaitFor = Literal["all", "any"]

#: Points of a grid that lie closer together, in seconds, are one and the same.
SAME_POINT = 0.001
#: A trigger that fires at once loses tasks to a race in Airflow's scheduler, so its first poll waits this
#: long.
MIN_DEFERRAL = 5.0


class Outcome(StrEnum):
    """How a wait for one job ended."""

    FINISHED = "finished"
    TIMED_OUT = "timed_out"
    GAVE_UP = "gave_up"
    REFUSED = "refused"
    UNKNOWN_JOB = "unknown_job"
    BAD_SETTINGS = "bad_settings"
    #: The vendor says that it runs, and nothing about it has changed for too long.
    STALLED = "stalled"
    #: Not waited for any longer: other jobs decided the wait.
    LEFT = "left"
    #: A bug of ours ended the wait; the traceback is in the triggerer's log.
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """
    How the wait for one job ended: what travels from the triggerer to the worker.

    :param job_id: as it was asked for.
    :param outcome: how it ended.
    :param status: the last status seen, if any; always there if the job finished.
    :param message: for a person, if the job did not finish.
    """

    job_id: str
    outcome: Outcome
    status: JobStatus | None = None
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON that every database stores."""
        return {
            "job_id": storable(self.job_id),
            "outcome": self.outcome.value,
            "status": None if self.status is None else self.status.as_dict(),
            "message": clean(self.message, STORED_TEXT_LIMIT),
        }

    @classmethod
    def from_dict(cls, value: object) -> JobEvent:
        """
        Read what :meth:`as_dict` wrote.

        :raises ValueError: it is something else, or a finished job without a terminal state.
        """
        if not isinstance(value, Mapping) or set(value) != set(cls.__dataclass_fields__):
            raise ValueError("not the end of a wait")
        status = None if value["status"] is None else JobStatus.from_dict(value["status"])
        if not isinstance(value["job_id"], str):
            raise ValueError("the end of a wait for no job")
        event = cls(value["job_id"], Outcome(value["outcome"]), status, str(value["message"]))
        if event.outcome is Outcome.FINISHED and (status is None or not status.state.terminal):
            raise ValueError("a finished job without its terminal state")
        if status is not None and status.job_id != event.job_id:
            raise ValueError("the status of another job")
        return event


@dataclass(frozen=True, slots=True)
class News:
    """
    Something about one job that a person would want to read.

    :param job_id: of the job.
    :param kind: what is alike for all jobs that have the same news.
    :param text: the line.
    :param warning: whether it is more than progress.
    """

    #: Kind of the news that a job is seen again after failed polls.
    ANSWERS_AGAIN: ClassVar = "answers again"

    job_id: str
    kind: str
    text: str
    warning: bool = True


def digest(job_id: str, status: JobStatus | None) -> int:
    """
    Return a number by which what was told of a job is known again; 0 for nothing.

    Where the vendor tells a job's progress, it is of no more than that: its list tells no counts of rows.
    """
    if status is None:
        return 0
    told = status.describe() if status.progress is None else f"{status.vendor_status!r} {status.progress} %"
    return crc32(f"{job_id}: {told}".encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """
    When to ask, and for how long. Points in time are epoch seconds, durations are seconds.

    Polls lie on a grid that starts at ``first_poll_at``, so that a triggerer that takes over, however often,
    asks at the very points at which the one before would have asked.

    :param poll_interval: between two polls of a running job.
    :param started_at: of the first look.
    :param first_poll_at: of the first poll after that look.
    :param deadline_at: of the last look.
    :param max_outage: how long the vendor may give no usable answer; None for ever.
    :param exponential_backoff: double the interval after each poll of a running job.
    :param max_wait: longest interval that doubling leads to, or None.
    :param stalled_after: how long a running job may show the same word, progress and counts; None for ever.
    :param fail_stalled: whether that ends the wait, or only warns.
    :param adaptive: look also between two points of the grid, when a job is likely to end.
    :param refusal_grace: how long credentials may be refused, once the vendor has been seen to answer.
    """

    poll_interval: float
    started_at: float
    first_poll_at: float
    deadline_at: float
    max_outage: float | None = 3600.0
    exponential_backoff: bool = False
    max_wait: float | None = None
    stalled_after: float | None = None
    fail_stalled: bool = False
    adaptive: bool = False
    refusal_grace: float = 600.0

    def through(self, point: float) -> WaitPlan:
        """Return the same plan with a grid through ``point``, from about where this one begins."""
        if self.exponential_backoff:
            return self
        earliest = max(self.first_poll_at - self.poll_interval + SAME_POINT, self.started_at + MIN_DEFERRAL)
        steps = math.ceil((earliest - point) / self.poll_interval)
        return replace(self, first_poll_at=point + steps * self.poll_interval)

    def next_point(self, now: float) -> float:
        """Return the first point of the grid after ``now``."""
        if now < self.first_poll_at:
            return self.first_poll_at
        if not self.exponential_backoff:
            return _next_multiple(self.first_poll_at, self.poll_interval, now)
        longest = math.inf if self.max_wait is None else max(self.max_wait, 1.0)
        point, gap = self.first_poll_at, min(self.poll_interval, longest)
        while point - now < SAME_POINT:
            if gap == longest:
                return _next_multiple(point, gap, now)
            gap = min(gap * 2, longest)
            point += gap
        return point

    def most_polls(self) -> int:
        """Return how many looks at one job there may be, the first and the last included, if none fails."""
        looks, point, gap = 2, self.first_poll_at, self.poll_interval
        if self.exponential_backoff:
            longest = math.inf if self.max_wait is None else max(self.max_wait, 1.0)
            gap = min(gap, longest)
            while gap < longest and point < self.deadline_at:
                gap = min(gap * 2, longest)
                looks, point = looks + 1, point + gap
        return looks + max(math.ceil((self.deadline_at - point) / gap), 0)

    def soon(self, now: float) -> float:
        """Return when to ask if others did so until now: within half an interval, as its grid has it then."""
        point = self.next_point(now)
        half = self.poll_interval / 2
        early = not self.exponential_backoff and now >= self.first_poll_at and point - now > half
        return point - half if early else point


def _next_multiple(start: float, interval: float, now: float) -> float:
    steps = math.floor((now - start) / interval) + 1
    point = start + steps * interval
    # Rounding may hand back the point that is now, or one that lies a hair after it.
    return point if point - now >= SAME_POINT else start + (steps + 1) * interval
