"""How a wait in reschedule mode goes from one poke to the next."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NoReturn

from airflow_provider_jobstatus._compat import AirflowRescheduleException
from airflow_provider_jobstatus.tasks.blocking_wait import BlockingWait
from airflow_provider_jobstatus.tasks.task_state import TaskState
from airflow_provider_jobstatus.tasks.worker import WorkerSession
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.refusals import ASK_PAUSE
from airflow_provider_jobstatus.waiting.spec import WaitSpec

#: Seconds between two pokes in reschedule mode below which Airflow's scheduler failed tasks when that was
#: measured (docs/waiting.md).
SAFE_RESCHEDULE = 60.0


def reschedule(
    wait: BlockingWait, waiting: list[JobPoller], session: WorkerSession, state: TaskState
) -> NoReturn:
    """
    End this poke, and have Airflow start the next one when a poll is due.

    :param waiting: pollers of the jobs to go on with.
    """
    told_at = wait.give_sign()
    state.keep(wait.pollers, session, told_at)
    at = next_poke_at(wait.spec, waiting, session.refusals.again_at, session.now())
    raise AirflowRescheduleException(datetime.fromtimestamp(at, UTC))  # type: ignore[no-untyped-call]


def next_poke_at(spec: WaitSpec, waiting: list[JobPoller], again_at: float, now: float) -> float:
    """
    Return when to start the next poke, which polls each job that may be polled.

    :param waiting: pollers of these jobs.
    :param again_at: when a refused key may be tried again.
    """
    due = [poller.next_poll_at for poller in waiting]
    if all(poller.refused for poller in waiting):
        # Each poke reads the connection, and asks.
        soonest = now + ASK_PAUSE
        if again_at < math.inf:
            soonest = max(soonest, again_at)
        due = [min(max(at, soonest), spec.deadline_at) for at in due]
    at = min(due)
    if spec.adaptive and not spec.decided_early:
        # The last of the jobs to end is the one that matters.
        at = min(max(due), spec.next_point(now))
    return min(max(at, *(poller.not_before for poller in waiting)), spec.deadline_at)


def reschedule_warning(poll_interval: float) -> str | None:
    """Return what a person should know of the distance between two pokes in reschedule mode, if anything."""
    if poll_interval >= SAFE_RESCHEDULE:
        return None
    return (
        f"poke_interval is {poll_interval:g} s in reschedule mode. Airflow's scheduler may fail such a task "
        "without a line in its log, if the next poke is queued before the end of the one before was seen: "
        f"the busier Airflow is, the more often. deferrable=True has no such race; {SAFE_RESCHEDULE:g} s or "
        "more make it rare."
    )
