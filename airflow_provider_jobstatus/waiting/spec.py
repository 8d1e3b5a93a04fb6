"""A wait as values: what it is, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Literal
from zlib import crc32

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.text import STORED_TEXT_LIMIT, clean, storable

WaitFor = Literal["all", "any"]
IfStalled = Literal["warn", "fail"]

#: Version of a stored wait.
VERSION = 1

#: Points of a grid that lie closer together, in seconds, are one and the same.
SAME_POINT = 0.001
#: Seconds after a deadline up to which the last poll may still wait for the rate of the key.
LAST_POLL_PATIENCE = 60.0
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


#: Marks what a DAG's author says of a wait by an argument of the same name.
_OPTION = {"option": True}


@dataclass(frozen=True, slots=True)
class WaitSpec:
    """
    A wait: how often to poll, until when, how patiently, when it is over, and what an earlier poll learned.

    Points in time are epoch seconds, durations are seconds. The sensor makes it, and the trigger stores it as
    plain arguments: no field holds a secret, and the defaults are part of the format. Whatever waits reads
    it. An option of a wait is one field here, of the name of its argument.

    Polls lie on a grid that starts at ``first_poll_at``, so that a triggerer that takes over, however often,
    polls at the very points at which the one before would have polled.

    :param poll_interval: between two polls of a running job.
    :param started_at: of the first poll, on the worker.
    :param first_poll_at: of the first poll after that one.
    :param deadline_at: of the last poll.
    :param max_outage: how long the vendor may give no usable answer; None for ever.
    :param exponential_backoff: double the interval after each poll of a running job.
    :param max_wait: longest interval that doubling leads to, or None.
    :param stalled_after: how long a running job may show the same word, progress and counts; None for ever.
    :param if_stalled: whether that ends the wait, or only warns.
    :param adaptive: poll also between two points of the grid, when a job is likely to end.
    :param wait_for: ``"all"`` of the jobs have ended, or ``"any"`` of them well.
    :param fail_fast: whether one job that does not end well ends the wait.
    :param good_states: terminal states that are well.
    :param refusal_grace: how long credentials may be refused, once the vendor has been seen to answer.
    :param account: digest of origin and account that the connection led to at the first poll; empty for any.
    :param not_before: the vendor asked at the first poll not to be called before.
    :param told: digest of what the first poll has written into the task's log: it is not written again.
    :param words: shapes of unknown status words that the task's log was warned of.
    :param seen: what the vendor said at the first poll, of the last few jobs that it was asked about then.
    """

    poll_interval: float
    started_at: float
    first_poll_at: float
    deadline_at: float
    max_outage: float | None = field(default=3600.0, metadata=_OPTION)
    exponential_backoff: bool = False
    max_wait: float | None = None
    stalled_after: float | None = field(default=None, metadata=_OPTION)
    if_stalled: IfStalled = field(default="warn", metadata=_OPTION)
    adaptive: bool = field(default=False, metadata=_OPTION)
    wait_for: WaitFor = field(default="all", metadata=_OPTION)
    fail_fast: bool = field(default=False, metadata=_OPTION)
    good_states: tuple[str, ...] = (JobState.PARTIAL.value, JobState.SUCCEEDED.value)
    refusal_grace: float = 600.0
    account: str = ""
    not_before: float = 0.0
    told: int = 0
    words: tuple[str, ...] = ()
    seen: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def options(cls) -> list[str]:
        """Return the fields that a DAG's author sets by arguments of the same names."""
        return [each.name for each in fields(cls) if each.metadata.get("option")]

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON: the version, and each field that differs from its default."""
        stored: dict[str, Any] = {"version": VERSION}
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default:
                stored[each.name] = list(value) if isinstance(value, tuple) else value
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> WaitSpec:
        """
        Read what :meth:`as_json` wrote. What is unknown is left out.

        :raises ValueError: it is of another version, or a field is missing. No other exception is raised.
        """
        version = stored.get("version", VERSION)
        if type(version) is not int or version != VERSION:
            raise ValueError(
                f"the airflow-provider-jobstatus here does not know waits of version {clean(version, 20)}; "
                "install the same version everywhere"
            )
        known: dict[str, Any] = {}
        for each in fields(cls):
            if each.name in stored:
                value = stored[each.name]
                known[each.name] = tuple(value) if isinstance(value, list) else value
            elif each.default is MISSING:
                raise ValueError(f"the arguments of this wait cannot be read: {each.name} is missing")
        return cls(**known)

    def learned(self, job_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what the pollers of these jobs in the triggerer know of the first poll, which is done."""
        known = {
            "looked": True,
            "polled_at": self.started_at,
            "not_before": self.not_before,
            "told": self.told,
            "words": list(self.words),
        }
        seen = {status.get("job_id"): status for status in self.seen}
        return [{**known, "seen": seen[each]} if each in seen else known for each in job_ids]

    @property
    def decided_early(self) -> bool:
        """Whether one job may decide the wait for all."""
        return self.wait_for == "any" or self.fail_fast

    def decided_by(self, event: JobEvent) -> bool:
        """Return whether the wait is over for every job, now that one has ended so."""
        ended_well = (
            event.outcome is Outcome.FINISHED
            and event.status is not None
            and event.status.state in self.good_states
        )
        return ended_well if self.wait_for == "any" else self.fail_fast and not ended_well

    def next_point(self, now: float, first_poll_at: float | None = None) -> float:
        """
        Return the first point of the grid after ``now``.

        :param first_poll_at: start of the grid of one of several jobs, if it is another.
        """
        first = self.first_poll_at if first_poll_at is None else first_poll_at
        if now < first:
            return first
        if not self.exponential_backoff:
            return _next_multiple(first, self.poll_interval, now)
        longest = math.inf if self.max_wait is None else max(self.max_wait, 1.0)
        point, gap = first, min(self.poll_interval, longest)
        while point - now < SAME_POINT:
            if gap == longest:
                return _next_multiple(point, gap, now)
            gap = min(gap * 2, longest)
            point += gap
        return point

    def most_polls(self) -> int:
        """Return how many polls of one job there may be, the first and the last included, if none fails."""
        polls, point, gap = 2, self.first_poll_at, self.poll_interval
        if self.exponential_backoff:
            longest = math.inf if self.max_wait is None else max(self.max_wait, 1.0)
            gap = min(gap, longest)
            while gap < longest and point < self.deadline_at:
                gap = min(gap * 2, longest)
                polls, point = polls + 1, point + gap
        return polls + max(math.ceil((self.deadline_at - point) / gap), 0)


def _next_multiple(start: float, interval: float, now: float) -> float:
    steps = math.floor((now - start) / interval) + 1
    point = start + steps * interval
    # Rounding may hand back the point that is now, or one that lies a hair after it.
    return point if point - now >= SAME_POINT else start + (steps + 1) * interval
