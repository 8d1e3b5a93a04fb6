"""What a rescheduled wait remembers from one poke to the next."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.tasks.worker import WorkerSession
from airflow_provider_jobstatus.waiting.poller import JobPoller

if TYPE_CHECKING:
    from airflow.sdk import Context

MEMORY_KEY = "airflow_provider_jobstatus.wait"

log = logging.getLogger(__name__)


class TaskState:
    """
    What a rescheduled wait remembers from one poke to the next, of failed polls, stalls, and of what was seen
    last: on Airflow 3.3 and later, which keep a task's state. Before, an outage in this mode ends with
    ``timeout``; the first poke says so.

    :param context: Airflow's.

    :ivar began_at: of the first poke, in epoch seconds; None in that one.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._try = context["ti"].try_number
        first = context["ti"].get_first_reschedule_date(context)
        self.began_at: float | None = first.timestamp() if first else None
        kept: Any = self._store.get(MEMORY_KEY) if self._store is not None else None
        # The store outlives a try; what an earlier one saw of the vendor is of no use to this one.
        self._kept: dict[str, Any] = kept if isinstance(kept, dict) and kept.get("try") == self._try else {}
        self._jobs: dict[str, Any] = self._kept.get("jobs", {})

    @property
    def later(self) -> bool:
        """Whether there was a poke before."""
        return self.began_at is not None

    @property
    def session(self) -> dict[str, Any] | None:
        """What is remembered of the session with the vendor; None in the first poke."""
        return self._kept if self.later else None

    @property
    def lasts(self) -> bool:
        """Whether Airflow keeps what is to be remembered."""
        return self._store is not None

    @property
    def told_at(self) -> float:
        """When the last sign of life was given; 0 if there was none."""
        return float(self._kept.get("told_at", 0.0))

    def of(self, job_id: str) -> dict[str, Any]:
        """Return what is remembered of one job."""
        return {**self._jobs.get(job_id, {}), "looked": bool(self._kept)}

    def keep(self, pollers: list[JobPoller], session: WorkerSession, told_at: float) -> None:
        """
        Remember what later pokes need.

        :param told_at: up to when signs of life have been given.
        """
        jobs = {}
        for poller in pollers:
            memory = poller.memory()
            if (status := poller.known_status) is not None:
                memory["seen"] = status.as_dict()
            if poller.refused and poller.polled_at is not None:
                memory["polled_at"] = poller.polled_at
            if memory:
                jobs[poller.job_id] = memory
        kept: dict[str, Any] = {"try": self._try, "jobs": jobs, **session.memory()}
        if told_at > pollers[0].spec.started_at:
            kept["told_at"] = told_at
        if self._store is not None and kept != self._kept:
            self._store.set(MEMORY_KEY, kept)
        # Once a wait: at its first poke.
        if self._store is None and not self.later:
            log.warning(
                "In reschedule mode Airflow below 3.3 keeps no memory between two pokes: an outage ends at"
                " timeout, not after max_outage, and a refused key ends the wait at once, without a grace."
                " With deferrable=True both end as they should."
            )
