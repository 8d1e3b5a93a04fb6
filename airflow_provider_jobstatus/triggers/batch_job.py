"""Wait for jobs in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from math import ceil
from typing import Any
from zlib import crc32

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_jobstatus.fleet import runtime
from airflow_provider_jobstatus.fleet.progress_writer import ProgressWriter
from airflow_provider_jobstatus.fleet.subscription import Subscription
from airflow_provider_jobstatus.waiting.codec import compress, encode, summary
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL, VERSION, WaitSpec
from airflow_provider_jobstatus.waiting.wait_log import WaitLog

__all__ = ["VERSION", "BatchJobTrigger"]

#: Polls lie on steps of the clock: at least so many in an interval, and none longer than so many seconds.
PARTS, LONGEST_STEP = 2, 0.5
#: Pollers that are made before the event loop gets its turn.
SLICE = 500


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
    Polls jobs until each has ended, then fires one event.

    Airflow stores the arguments readable, so they name a connection and jobs, and hold no secret. The
    constructor only stores them, and takes ones that it does not know: an exception here would end the whole
    triggerer.

    Reading is all it does, so that it does no harm if two triggerers run it for a while.

    :param conn_id: connection of a type whose hook is a ``BatchJobHook``.
    :param job_ids: of jobs at that vendor.
    :param wait: the fields of a :class:`~airflow_provider_jobstatus.waiting.spec.WaitSpec` and its version.
        Of several jobs, the first polls are spread evenly over the time before ``first_poll_at``.

    :ivar spec: of the wait; None if ``wait`` cannot be read, as of a newer version.

    The event is what :func:`~airflow_provider_jobstatus.waiting.codec.encode` makes.
    """

    def __init__(self, conn_id: str = "", job_ids: list[str] | None = None, **wait: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.job_ids = job_ids
        self.spec: WaitSpec | None = None
        try:
            self.spec = WaitSpec.from_json(wait)
        except ValueError as problem:
            self._unread, self._problem = wait, str(problem)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: plain JSON, no secret."""
        return (
            "airflow_provider_jobstatus.triggers.batch_job.BatchJobTrigger",
            {
                "conn_id": self.conn_id,
                "job_ids": self.job_ids,
                **(self._unread if self.spec is None else self.spec.as_json()),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for every job, then yield the one event."""
        try:
            if self.spec is None:
                events = self._ends(OutcomeKind.BAD_SETTINGS, self._problem)
            else:
                events = await self._wait(self.spec)
            event = await _event(events)
        except Exception:
            # The outer boundary: an exception that left here would make Airflow run the task's execute()
            # again.
            self.log.exception("The wait was ended by a fault of this provider")
            message = "a fault of this provider ended the wait; its traceback is in the trigger's log"
            events = self._ends(OutcomeKind.CRASHED, message)
            event = await _event(events)
        yield event

    def _ends(self, outcome: OutcomeKind, message: str) -> list[WaitOutcome]:
        return [WaitOutcome(job_id, outcome, None, message) for job_id in self.job_ids or ()]

    async def _wait(self, spec: WaitSpec) -> list[WaitOutcome]:
        # A step of the wall clock during the wait neither shortens nor stretches it.
        here = runtime.current()
        spec = here.admit(spec)
        pollers: list[JobPoller] = []
        for poller in pollers_for(self.job_ids or [], spec, here.clock.now()):
            pollers.append(poller)
            # To make many takes time.
            if len(pollers) % SLICE == 0:
                await asyncio.sleep(0)
        if pollers:
            wait = Subscription(spec, pollers, WaitLog(self, len(pollers)), here.clock.now())
            async with ProgressWriter(self, wait.progress, here.writes) as wait.progress_writer:
                await here.serve(self.conn_id, wait)
        return [poller.event for poller in pollers if poller.event is not None]


def pollers_for(job_ids: list[str], spec: WaitSpec, now: float) -> Iterator[JobPoller]:
    """Yield a poller for each job of a wait, in the triggerer."""
    time_before = max(spec.first_poll_at - spec.started_at - MIN_DEFERRAL, 0.0)
    # The first poll of an adaptive wait comes when the worker's poll has set it.
    width = min(spec.poll_interval, time_before) if spec.adaptive else spec.poll_interval
    first = first_polls(job_ids, spec.started_at, spec.first_poll_at, width)
    for job_id, first_poll_at, learned in zip(job_ids, first, spec.learned(job_ids), strict=True):
        yield JobPoller(job_id, spec, now, learned, first_poll_at=first_poll_at)


async def _event(events: list[WaitOutcome]) -> WaitEvent:
    """Return the event for these ends. To encode many takes a second: the event loop gets its turns."""
    compressed = []
    for part in compress(events):
        compressed.append(part)
        await asyncio.sleep(0)
    return WaitEvent(encode(events, compressed), summary(events))


def first_polls(job_ids: list[str], started_at: float, latest: float, interval: float) -> list[float]:
    """
    Return when to poll each job first: spread over one interval, so that neither now nor at any later point
    of their grids all are polled at once.

    By the ids: the same after each restart, and another for each of many waits that are deferred at once. On
    steps of the clock that all waits with this interval share, at each about as many: a poll costs the less
    the more are due at one moment.

    :param started_at: of the wait; no job is polled in the first seconds after a deferral.
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
