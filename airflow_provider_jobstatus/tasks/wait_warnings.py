"""What a person should know before a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_jobstatus.tasks.rescheduling import reschedule_warning
from airflow_provider_jobstatus.waiting.adaptive import FLOOR_SHARE
from airflow_provider_jobstatus.waiting.spec import WaitSpec

if TYPE_CHECKING:
    from airflow_provider_jobstatus.hooks.base import BatchJobHook


def wait_warnings(hook: BatchJobHook, spec: WaitSpec, jobs: int, reschedule: bool) -> list[str]:
    """Return the lines for the log of a wait for so many jobs."""
    calls = spec.most_polls() * jobs
    cost = hook.cost_warning(calls * round(1 / FLOOR_SHARE) if spec.adaptive else calls)
    race = reschedule_warning(spec.poll_interval) if reschedule else None
    return list(filter(None, (*hook.connection_warnings(), cost, race)))
