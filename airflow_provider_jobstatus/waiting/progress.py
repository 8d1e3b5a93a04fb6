"""How far a wait has come, for Airflow's page of the waiting task: a small XCom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_jobstatus.core.clock import in_utc
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.status_lines import Polls, last_and_next, own_polls
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED

#: Key of the XCom.
KEY = "progress"
#: What changes with time alone.
_TIMES = ("as_of", "next_poll_at", "deadline_at")


def summary(pollers: Sequence[JobPoller], now: float, polls: Polls = own_polls) -> dict[str, Any]:
    """
    Return how far a wait has come.

    :param now: epoch seconds.
    :param polls: when each job was polled last, and is polled next.
    :return: ``{"ended", "jobs", "in_trouble", "as_of", "next_poll_at", "deadline_at"}``, and for a few jobs
        ``"status"``: by job id what is known of each. In trouble are those whose last poll failed.
        Times are ISO 8601 in UTC.
    """
    waiting = [poller for poller in pollers if poller.event is None]
    _, following = last_and_next(waiting, polls)
    return _value(
        {poller.job_id: poller.event.status if poller.event else poller.known_status for poller in pollers},
        len(pollers),
        ended=sum(_has_ended(poller.event) for poller in pollers),
        in_trouble=sum(poller.last_error is not None for poller in waiting),
        as_of=in_utc(now),
        next_poll_at=None if following is None else in_utc(max(following, now)),
        deadline_at=in_utc(min(poller.spec.deadline_at for poller in waiting)) if waiting else None,
    )


def final_summary(events: Sequence[WaitOutcome], now: float) -> dict[str, Any]:
    """
    Return the same of a wait that is over: no job is polled any more, nor is there a deadline.

    :param events: how the wait for each job ended.
    :param now: epoch seconds.
    """
    return _value(
        {event.job_id: event.status for event in events},
        len(events),
        ended=sum(map(_has_ended, events)),
        in_trouble=0,
        as_of=in_utc(now),
        next_poll_at=None,
        deadline_at=None,
    )


def without_times(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a summary is worth a new one when it changes."""
    return {name: each for name, each in value.items() if name not in _TIMES}


def _has_ended(event: WaitOutcome | None) -> bool:
    return event is not None and event.outcome is OutcomeKind.FINISHED


def _value(statuses: Mapping[str, JobStatus | None], jobs: int, **numbers: Any) -> dict[str, Any]:
    value: dict[str, Any] = {"jobs": jobs, **numbers}
    if jobs <= MAX_DETAILED:
        value["status"] = {job_id: status and status.as_dict() for job_id, status in statuses.items()}
    return value
