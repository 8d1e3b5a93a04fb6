"""What a try makes of the submission of an earlier one, as values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.tasks.submission_record import (
    Attempt,
    NextStep,
    SubmissionRecord,
    SubmissionState,
    next_step,
    step_after_asking,
)

INTENDED, MADE, UNMADE, UNKNOWN = SubmissionState
RECORD = SubmissionRecord(MADE, "digest", 1, 2, 1000.0, {"name": "x"}, "job-1")
SAME, RETRY, CLEARED = Attempt(1, 2, "digest"), Attempt(2, 2, "digest"), Attempt(2, 3, "digest")
SUBMIT, ADOPT, ASK, SEARCH, REFUSE, OTHER = NextStep


@pytest.mark.parametrize(
    ("state", "attempt", "step"),
    [
        (None, SAME, SUBMIT),
        (None, CLEARED, SUBMIT),
        (UNMADE, RETRY, SUBMIT),
        (UNMADE, CLEARED, SUBMIT),
        # Whether it was sent is found out first, in each case.
        (INTENDED, SAME, SEARCH),
        (INTENDED, RETRY, SEARCH),
        (INTENDED, CLEARED, SEARCH),
        (UNKNOWN, RETRY, REFUSE),
        (UNKNOWN, CLEARED, SUBMIT),
        (MADE, SAME, ADOPT),
        (MADE, RETRY, ADOPT),
        (MADE, replace(RETRY, digest="other"), OTHER),
        # A later poke of the same try: a template may move.
        (MADE, replace(SAME, digest="other"), ADOPT),
        (MADE, CLEARED, ASK),
    ],
)
def test_a_try_begins_by_what_an_earlier_one_has_left(
    state: SubmissionState | None, attempt: Attempt, step: NextStep
) -> None:
    record = None if state is None else replace(RECORD, state=state)
    assert next_step(record, attempt, again=True, resubmit=False) is step


def test_a_job_that_must_not_be_made_twice_is_not_submitted_after_a_clear() -> None:
    unknown = replace(RECORD, state=UNKNOWN)
    assert next_step(unknown, CLEARED, again=False, resubmit=False) is REFUSE


def test_a_failed_job_is_asked_for_only_by_a_later_try_that_may_submit_again() -> None:
    steps = [next_step(RECORD, attempt, again=True, resubmit=True) for attempt in (SAME, RETRY)]
    assert steps == [ADOPT, ASK]


@pytest.mark.parametrize(
    ("attempt", "state", "again", "step"),
    [
        (CLEARED, JobState.RUNNING, True, ADOPT),
        (CLEARED, JobState.RUNNING, False, ADOPT),
        (replace(CLEARED, digest="other"), JobState.RUNNING, True, OTHER),
        (CLEARED, JobState.SUCCEEDED, True, SUBMIT),
        (CLEARED, JobState.SUCCEEDED, False, REFUSE),
        (CLEARED, None, True, SUBMIT),
        (RETRY, JobState.FAILED, True, SUBMIT),
        (RETRY, JobState.CANCELLED, True, SUBMIT),
        (RETRY, JobState.PARTIAL, True, ADOPT),
        (replace(RETRY, digest="other"), JobState.PARTIAL, True, OTHER),
        (RETRY, JobState.RUNNING, True, ADOPT),
        (RETRY, None, True, ADOPT),
    ],
)
def test_the_status_of_the_job_decides_whether_it_is_adopted(
    attempt: Attempt, state: JobState | None, again: bool, step: NextStep
) -> None:
    status = None if state is None else JobStatus("job-1", "aftercare", state, "word")
    assert step_after_asking(RECORD, attempt, status, again=again) is step


@pytest.mark.parametrize("record", [RECORD, replace(RECORD, state=INTENDED, before=None, job_id=None)])
def test_a_record_comes_back_as_it_was_written(record: SubmissionRecord) -> None:
    assert SubmissionRecord.from_json(record.as_json()) == record


@pytest.mark.parametrize(
    "changes",
    [{"version": 2}, {"state": "sent"}, {"job_id": None}, {"more": 1}],
    ids=["another version", "an unknown state", "a job without its id", "a member too many"],
)
def test_a_record_that_cannot_be_read_is_not_taken_for_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"it |valid"):
        SubmissionRecord.from_json({**RECORD.as_json(), **changes})
    for other in (None, [], "made", 7):
        with pytest.raises(ValueError, match="no record"):
            SubmissionRecord.from_json(other)
