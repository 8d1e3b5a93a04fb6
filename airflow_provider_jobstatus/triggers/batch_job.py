"""Wait for jobs in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache
from math import ceil
from time import monotonic
from typing import Any
from zlib import crc32

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_jobstatus.core.clock import epoch_offset
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.fleet.progress_writer import Display
from airflow_provider_jobstatus.fleet.runtime import fleet
from airflow_provider_jobstatus.fleet.subscription import Wait
from airflow_provider_jobstatus.waiting.codec import VERSION, compress, encode, summary
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL, JobEvent, Outcome, WaitFor, WaitPlan
from airflow_provider_jobstatus.waiting.stop_condition import Goal
from airflow_provider_jobstatus.waiting.wait_log import Chronicle

__all__ = ["VERSION", "BatchJobTrigger"]

#: Polls lie on steps of the clock: at least so many in an interval, and none longer than so many seconds.
PARTS, LONGEST_STEP = 2, 0.5

#: Arguments that are stored only if they are not the default, so that a triggerer of an earlier version knows
#: all that it is given.
_DEFAULTS: dict[str, Any] = {
    "not_before": 0.0,
    "stalled_after": None,
    "fail_stalled": False,
    "wait_for": "all",
    "fail_fast": False,
    "good_states": None,
    "adaptive": False,
    "told": 0,
    "account": "",
    "refusal_grace": 600.0,
    "words": None,
}


class WaitEvent(TriggerEvent):
    """An event that Airflow writes into its log as a line for a person. What travels is its payload."""

    # Private to the model, so that it does not travel.
    _text: str = ""

    def __init__(self, payload: dict[str, Any], text: str) -> None:
        super().__init__(payload)  # type: ignore[no-untyped-call]
        self._text = text

    def __repr__(self) -> str:
        return self._text

    __str__ = __repr__


class BatchJobTrigger(BaseTrigger):
    """
    Asks for the status of jobs until each has ended, then fires one event.

    Airflow stores the arguments readable, so they name a connection and jobs, and hold no secret. The
    constructor only stores them, and takes ones that it does not know: an exception here would end the whole
    triggerer.

    Reading is all it does, so that it does no harm if two triggerers run it for a while.

    :param conn_id: connection of a type whose hook is a ``BatchJobHook``.
    :param job_ids: of jobs at that vendor.
    :param poll_interval: seconds between two polls of a running job.
    :param started_at: of the first look, on the worker; epoch seconds, as all points in time here.
    :param first_poll_at: of this trigger's first poll; the following lie on a grid from there. Of several
        jobs, the first polls are spread evenly over the time before.
    :param deadline_at: of the last look.
    :param max_outage: seconds without a usable answer after which the wait is given up; None for never.
    :param exponential_backoff: double the interval after each poll of a running job.
    :param max_wait: longest interval that doubling leads to, in seconds; None for any.
    :param version: of these arguments.
    :param not_before: the vendor asked at the first look not to be called before.
    :param stalled_after: seconds that a running job may show the same word, progress and counts, or None.
    :param fail_stalled: whether that ends the wait, or only warns.
    :param wait_for: ``"all"`` or ``"any"`` of the jobs.
    :param fail_fast: whether one job that does not end well ends the wait.
    :param good_states: terminal states that are well; None for ``succeeded`` and ``partial``.
    :param adaptive: look also between two points of the grid, when a job is likely to end.
    :param told: digest of what the first look has written into the task's log: it is not written again.
    :param account: digest of origin and account that the connection led to at the first look; empty for any.
    :param refusal_grace: seconds that the credentials may be refused.
    :param words: shapes of unknown status words that the task's log was warned of.

    The event is what :func:`~airflow_provider_jobstatus.waiting.codec.encode` makes.
    """

    def __init__(
        self,
        conn_id: str = "",
        job_ids: list[str] | None = None,
        poll_interval: float = 60.0,
        started_at: float = 0.0,
        first_poll_at: float = 0.0,
        deadline_at: float = 0.0,
        max_outage: float | None = 3600.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        version: int = VERSION,
        not_before: float = 0.0,
        stalled_after: float | None = None,
        fail_stalled: bool = False,
        wait_for: Any = "all",
        fail_fast: bool = False,
        good_states: list[str] | None = None,
        adaptive: bool = False,
        told: int = 0,
        account: str = "",
        refusal_grace: float = 600.0,
        words: list[str] | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.job_ids = job_ids
        self.poll_interval = poll_interval
        self.started_at = started_at
        self.first_poll_at = first_poll_at
        self.deadline_at = deadline_at
        self.max_outage = max_outage
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.version = version
        self.not_before = not_before
        self.stalled_after = stalled_after
        self.fail_stalled = fail_stalled
        self.wait_for = wait_for
        self.fail_fast = fail_fast
        self.good_states = good_states
        self.adaptive = adaptive
        self.told = told
        self.account = account
        self.refusal_grace = refusal_grace
        self.words = words

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: plain JSON, no secret."""
        return (
            "airflow_provider_jobstatus.triggers.batch_job.BatchJobTrigger",
            {
                "conn_id": self.conn_id,
                "job_ids": self.job_ids,
                "poll_interval": self.poll_interval,
                "started_at": self.started_at,
                "first_poll_at": self.first_poll_at,
                "deadline_at": self.deadline_at,
                "max_outage": self.max_outage,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "version": self.version,
                **{
                    name: value
                    for name, default in _DEFAULTS.items()
                    if (value := getattr(self, name)) != default
                },
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for every job, then yield the one event."""
        try:
            events = await self._wait()
            event = await _event(events)
        except Exception:
            # The outer boundary: an exception that left here would make Airflow run the task's execute()
            # again.
            self.log.exception("The wait was ended by a fault of this provider")
            message = "a fault of this provider ended the wait; its traceback is in the trigger's log"
            events = self._ends(Outcome.CRASHED, message)
            event = await _event(events)
        yield event

    def _ends(self, outcome: Outcome, message: str) -> list[JobEvent]:
        return [JobEvent(job_id, outcome, None, message) for job_id in self.job_ids or ()]

    async def _wait(self) -> list[JobEvent]:
        if self.version != VERSION:
            message = (
                f"this triggerer's airflow-provider-jobstatus does not know waits of version {self.version}; "
                "install the same version everywhere"
            )
            return self._ends(Outcome.BAD_SETTINGS, message)
        # As it is now: a step of the wall clock during the wait neither shortens nor stretches the wait.
        offset = epoch_offset()
        at = monotonic()
        pollers = self._pollers(self.job_ids or [], offset + at)
        if pollers:
            chronicle = Chronicle(self, len(pollers))
            wait = Wait(pollers, self._goal, chronicle, offset, at, self.account)
            async with fleet(self.conn_id) as shared, Display(self, wait.progress) as wait.display:
                await shared.serve(wait)
        return [poller.event for poller in pollers if poller.event is not None]

    def _pollers(self, job_ids: list[str], now: float) -> list[JobPoller]:
        time_before = max(self.first_poll_at - self.started_at - MIN_DEFERRAL, 0.0)
        # Who looks when an end is likely is told the time of the first look, too.
        width = min(self.poll_interval, time_before) if self.adaptive else self.poll_interval
        first = first_polls(job_ids, self.started_at, self.first_poll_at, width)
        memory = {
            "not_before": self.not_before,
            "told": self.told,
            "looked": True,
            "polled_at": self.started_at,
            "words": self.words,
        }
        return [
            JobPoller(job_id, self._plan(first_poll_at), now, memory)
            for job_id, first_poll_at in zip(job_ids, first, strict=True)
        ]

    def _plan(self, first_poll_at: float) -> WaitPlan:
        return WaitPlan(
            poll_interval=self.poll_interval,
            started_at=self.started_at,
            first_poll_at=first_poll_at,
            deadline_at=self.deadline_at,
            max_outage=self.max_outage,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait,
            stalled_after=self.stalled_after,
            fail_stalled=self.fail_stalled,
            adaptive=self.adaptive,
            refusal_grace=self.refusal_grace,
        )

    @property
    def _goal(self) -> Goal:
        return goal(
            self.wait_for, self.fail_fast, None if self.good_states is None else tuple(self.good_states)
        )


async def _event(events: list[JobEvent]) -> WaitEvent:
    """Return the event for these ends. To encode many takes a second: the event loop gets its turns."""
    compressed = []
    for part in compress(events):
        compressed.append(part)
        await asyncio.sleep(0)
    return WaitEvent(encode(events, compressed), summary(events))


@lru_cache(maxsize=256)
def goal(wait_for: WaitFor, fail_fast: bool, good_states: tuple[str, ...] | None) -> Goal:
    """Return when a wait is over. A fleet's waits mostly share one."""
    if good_states is None:
        return Goal(wait_for, fail_fast)
    return Goal(wait_for, fail_fast, frozenset(map(JobState, good_states)))


def first_polls(job_ids: list[str], started_at: float, latest: float, interval: float) -> list[float]:
    """
    Return when to ask about each job first: spread over one interval, so that neither now nor at any later
    point of their grids all are asked about at once.

    By the ids: the same after each restart, and another for each of many waits that are deferred at once. On
    steps of the clock that all waits with this interval share, at each about as many: a poll costs the less
    the more are due at one moment.

    :param started_at: of the wait; no job is asked about in the first seconds after a deferral.
    :param latest: when the first poll of a job alone would be due, without others.
    """
    if interval <= 0.0:
        return [latest] * len(job_ids)
    earliest = latest - min(max(latest - started_at - MIN_DEFERRAL, 0.0), interval)
    share = crc32("\n".join(job_ids).encode("utf-8", "surrogatepass")) / 2**32
    step = interval / max(PARTS, ceil(interval / LONGEST_STEP))
    points = [earliest + (number + share) / len(job_ids) * interval for number in range(len(job_ids))]
    on_step = [ceil(point / step) * step for point in points]
    return [point if point <= earliest + interval else point - interval for point in on_step]
