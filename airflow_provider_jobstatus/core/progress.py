"""How far a wait has come, for Airflow's page of the waiting task: a small XCom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_jobstatus.core.chronicle import FEW
from airflow_provider_jobstatus.core.poller import JobPoller

#: Key of the XCom.
KEY = "progress"


def summary(pollers: Sequence[JobPoller]) -> dict[str, Any]:
    """
    Return how far a wait has come.

    :return: ``{"ended", "jobs"}``, and for a few jobs ``"status"``: by job id what is known of each.
    """
    ended = sum(poller.event is not None for poller in pollers)
    value: dict[str, Any] = {"ended": ended, "jobs": len(pollers)}
    if len(pollers) <= FEW:
        value["status"] = {
            poller.job_id: poller.last_status and poller.last_status.as_dict() for poller in pollers
        }
    return value
