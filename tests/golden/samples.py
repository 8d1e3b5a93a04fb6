"""
What the golden files hold, made by today's code.

``python -m tests.golden.samples <folder>`` writes a folder: once, for a release. See CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.codec import encode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome

#: Epoch seconds of the first look: 2026-11-01 00:00 UTC.
STARTED_AT = 1793491200.0
MAX_DETAILED, MANY = 3, 30

_TIMES: dict[str, Any] = {
    "poll_interval": 60.0,
    "started_at": STARTED_AT,
    "first_poll_at": STARTED_AT + 60.0,
    "deadline_at": STARTED_AT + 7200.0,
}
TRIGGERS = {
    "single": BatchJobTrigger("ruler_default", ["site/job-0"], **_TIMES),
    "list": BatchJobTrigger("ruler_default", job_ids := [f"site/job-{n}" for n in range(MANY)], **_TIMES),
    # With which exponential_backoff does not go.
    "adaptive": BatchJobTrigger("ruler_default", ["site/job-0"], **_TIMES, adaptive=True),
    "all options": BatchJobTrigger(
        "ruler_default",
        job_ids[:MAX_DETAILED],
        **_TIMES,
        max_outage=None,
        exponential_backoff=True,
        max_wait=600.0,
        not_before=STARTED_AT + 5.0,
        stalled_after=900.0,
        if_stalled="fail",
        wait_for="any",
        fail_fast=True,
        good_states=["succeeded"],
        account="0123456789abcdef",
        refusal_grace=60.0,
        words=["sending #"],
    ),
}


def end(number: int, outcome: OutcomeKind) -> WaitOutcome:
    """Return how the wait for a job ended, with all that a status may hold."""
    job_id = f"site/job-{number}"
    finished = outcome is OutcomeKind.FINISHED
    status = JobStatus(
        job_id,
        "ruler",
        JobState.PARTIAL if finished else JobState.RUNNING,
        "partialcomplete" if finished else "processing",
        f"row {number} has no date" if number % 10 == 2 else None,
        100 if finished else 40,
        {"total": 1000, "processed": 1000, "succeeded": 990, "failed": None},
        "2026-10-31T23:59:59.500000+00:00",
        "2026-11-01T01:00:00+00:00" if finished else None,
    )
    seen = finished or number % 3 != 1
    message = "" if finished else f"{job_id}: {outcome.value}"
    return WaitOutcome(job_id, outcome, status if seen else None, message)


def ends(outcome: OutcomeKind, jobs: int) -> list[WaitOutcome]:
    """Return the ends of some jobs, all alike."""
    return [end(number, outcome) for number in range(jobs)]


def files() -> dict[str, Any]:
    """Return what today's code writes, by the name of the file."""
    arguments = {f"trigger, {name}.json": trigger.serialize()[1] for name, trigger in TRIGGERS.items()}
    events = {
        f"event, {outcome.value}, {name}.json": encode(ends(outcome, jobs))
        for outcome in OutcomeKind
        for name, jobs in (("few", MAX_DETAILED), ("many", MANY))
    }
    return {**arguments, **events}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    for name, content in files().items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")
