"""A wait as one value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome

WaitFor = Literal["all", "any"]
IfStalled = Literal["warn", "fail"]

#: Version of a stored wait.
VERSION = 1

#: Points in time that lie closer together, in seconds, are one and the same: one may be reached a hair early.
SAME_POINT = 0.001
#: Seconds after a deadline up to which the last poll may still wait for the rate of the key, or for others.
LAST_POLL_PATIENCE = 60.0
#: A trigger that fires at once loses tasks to a race in Airflow's scheduler, so its first poll waits this
#: long.
MIN_DEFERRAL = 5.0


#: Marks what a DAG's author says of a wait by an argument of the same name.
_OPTION = {"option": True}


@dataclass(frozen=True, slots=True)
class WaitSpec:
    """
    A wait: how often to poll, until when, how patiently, when it is over, and what an earlier poll learned.

    Points in time are epoch seconds, durations are seconds. The sensor makes it, and the trigger stores it as
    plain arguments: no field holds a secret, and the defaults are part of the format. Everything that waits
    reads it. An option of a wait is one field here, of the name of its argument.

    Polls lie on a grid that starts at ``first_poll_at``, so that a triggerer that takes over, however often,
    polls at the very points at which the one before would have polled.

    :param poll_interval: between two polls of a running job.
    :param started_at: of the first poll, on the worker.
    :param first_poll_at: of the first poll after that one.
    :param deadline_at: of the last poll.
    :param max_outage: how long the vendor may give no usable response; None for ever.
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
    :param not_before: the vendor named this time at the first poll: no request is sent before.
    :param told: digest of what the first poll wrote into the task's log: it is not written again.
    :param words: shapes of unknown status words that the task's log was warned of.
    :param seen: what the vendor said at the first poll, of the last few jobs that were polled then.
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
        for name in _REQUIRED:
            if name not in stored:
                raise ValueError(f"the arguments of this wait cannot be read: {name} is missing")
        known: dict[str, Any] = {}
        for name in _FIELDS & stored.keys():
            value = stored[name]
            known[name] = tuple(value) if isinstance(value, list) else value
        return cls(**known)

    def learned(self, job_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the memory of the first poll for the pollers of these jobs in the triggerer."""
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

    def decided_by(self, event: WaitOutcome) -> bool:
        """Return whether the wait is over for every job, now that one has ended so."""
        ended_well = (
            event.outcome is OutcomeKind.FINISHED
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


# Worked out once: a triggerer that starts reads thousands of waits.
_FIELDS = frozenset(each.name for each in fields(WaitSpec))
_REQUIRED = [each.name for each in fields(WaitSpec) if each.default is MISSING]


def _next_multiple(start: float, interval: float, now: float) -> float:
    steps = math.floor((now - start) / interval) + 1
    point = start + steps * interval
    # Rounding may hand back the point that is now, or one that lies a hair after it.
    return point if point - now >= SAME_POINT else start + (steps + 1) * interval
