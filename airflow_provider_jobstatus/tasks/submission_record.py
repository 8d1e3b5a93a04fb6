"""What is remembered of a submission, and what a later try makes of it: pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum, StrEnum
from typing import Any

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus

#: Version of a stored record.
VERSION = 1


class SubmissionState(StrEnum):
    """How far a submission is."""

    #: The request may have been sent, and may have made a job.
    INTENDED = "intended"
    #: The vendor has named the job.
    MADE = "made"
    #: It is certain that no job was made.
    UNMADE = "unmade"
    #: A person was told that whether there is a job is unknown.
    UNKNOWN = "unknown"


class NextStep(Enum):
    """What a try does about the job that it is to submit."""

    SUBMIT = "submit"
    #: The job of an earlier try is the task's.
    ADOPT = "adopt"
    #: The status of that job decides.
    ASK = "ask"
    #: An earlier try may have made a job: look for it.
    SEARCH = "search"
    #: Whether there is a job is unknown, or it must not be submitted again.
    REFUSE = "refuse"
    #: The job of an earlier try is not what is asked for now: other arguments were given since.
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    A try of a task.

    :param number: of the try; Airflow counts on after a clear.
    :param max_tries: Airflow's, which a clear changes.
    :param digest: of what the task asks for.
    """

    number: int
    max_tries: int
    digest: str


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """
    What is remembered of one submission, from before its request is sent: plain JSON without a secret.

    :param digest: of what was asked for.
    :param number: of the try that submitted or adopted the job.
    :param max_tries: Airflow's, in that try.
    :param at: when the request was about to be sent, in epoch seconds.
    :param before: what a search for the job needs to know of the time before.
    """

    state: SubmissionState
    digest: str
    number: int
    max_tries: int
    at: float
    before: Any = None
    job_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the record as Airflow stores it."""
        return {"version": VERSION, **asdict(self), "state": self.state.value}

    @classmethod
    def from_json(cls, stored: object) -> SubmissionRecord:
        """
        Return a stored record.

        :raises ValueError: it cannot be read; it is not to be taken for none.
        """
        if not isinstance(stored, Mapping) or stored.get("version") != VERSION:
            raise ValueError("it is of another version, or no record")
        names = {field.name for field in fields(cls)}
        if stored.keys() != names | {"version"}:
            raise ValueError("it has other members than a record")
        record = cls(**{**{name: stored[name] for name in names}, "state": SubmissionState(stored["state"])})
        if record.state is SubmissionState.MADE and not record.job_id:
            raise ValueError("it names no job")
        return record

    def cleared_since(self, attempt: Attempt) -> bool:
        """
        Return whether the task was cleared after this record: Airflow then sets max_tries anew, as a rule
        higher, but lower if the DAG's retries are fewer by now. Not if it was cleared in the middle of a try:
        Airflow counts that as a retry.
        """
        return attempt.max_tries != self.max_tries


def next_step(record: SubmissionRecord | None, attempt: Attempt, *, again: bool, resubmit: bool) -> NextStep:
    """
    Return what a try does first.

    :param record: of an earlier try, or None.
    :param again: whether a cleared task may submit anew.
    :param resubmit: whether a job that failed is submitted again by a later try.
    """
    if record is None or record.state is SubmissionState.UNMADE:
        return NextStep.SUBMIT
    cleared = record.cleared_since(attempt)
    if record.state is SubmissionState.INTENDED:
        return NextStep.SEARCH
    if record.state is SubmissionState.UNKNOWN:
        return NextStep.SUBMIT if cleared and again else NextStep.REFUSE
    if cleared or (resubmit and attempt.number > record.number):
        return NextStep.ASK
    return _adopted(record, attempt)


def _adopted(record: SubmissionRecord, attempt: Attempt) -> NextStep:
    """Return whether the job is what is asked for. Within a try it is, though a template may move."""
    same = record.number == attempt.number or record.digest == attempt.digest
    return NextStep.ADOPT if same else NextStep.OTHER


def step_after_asking(
    record: SubmissionRecord, attempt: Attempt, status: JobStatus | None, *, again: bool
) -> NextStep:
    """
    Return what a try does about a job of an earlier try, by the job's status.

    :param status: None if the vendor does not know the job any more.
    """
    state = None if status is None else status.state
    if not record.cleared_since(attempt):
        failed = state in (JobState.FAILED, JobState.CANCELLED)
        return NextStep.SUBMIT if failed else _adopted(record, attempt)
    if state is JobState.RUNNING:
        return _adopted(record, attempt)
    return NextStep.SUBMIT if again else NextStep.REFUSE
