"""How the wait for a job ended, and what its log says on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar
from zlib import crc32

from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.text import STORED_TEXT_LIMIT, clean, storable


class OutcomeKind(StrEnum):
    """How a wait for one job ended."""

    FINISHED = "finished"
    TIMED_OUT = "timed_out"
    GAVE_UP = "gave_up"
    REFUSED = "refused"
    UNKNOWN_JOB = "unknown_job"
    BAD_SETTINGS = "bad_settings"
    #: The vendor says that it runs, and nothing about it has changed for too long.
    STALLED = "stalled"
    #: Not waited for any longer: other jobs decided the wait.
    LEFT = "left"
    #: A bug of ours ended the wait; the traceback is in the triggerer's log.
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class WaitOutcome:
    """
    How the wait for one job ended: what travels from the triggerer to the worker.

    :param job_id: as the task gives it.
    :param outcome: how it ended.
    :param status: the last status seen, if any; always there if the job finished.
    :param message: for a person, if the job did not finish.
    """

    job_id: str
    outcome: OutcomeKind
    status: JobStatus | None = None
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON that every database stores."""
        return {
            "job_id": storable(self.job_id),
            "outcome": self.outcome.value,
            "status": None if self.status is None else self.status.as_dict(),
            "message": clean(self.message, STORED_TEXT_LIMIT),
        }

    @classmethod
    def from_dict(cls, value: object) -> WaitOutcome:
        """
        Read what :meth:`as_dict` wrote.

        :raises ValueError: it is something else, or a finished job without a terminal state.
        """
        if not isinstance(value, Mapping) or set(value) != set(cls.__dataclass_fields__):
            raise ValueError("not the end of a wait")
        status = None if value["status"] is None else JobStatus.from_dict(value["status"])
        if not isinstance(value["job_id"], str):
            raise ValueError("the end of a wait for no job")
        event = cls(value["job_id"], OutcomeKind(value["outcome"]), status, str(value["message"]))
        if event.outcome is OutcomeKind.FINISHED and (status is None or not status.state.terminal):
            raise ValueError("a finished job without its terminal state")
        if status is not None and status.job_id != event.job_id:
            raise ValueError("the status of another job")
        return event


@dataclass(frozen=True, slots=True)
class LogEntry:
    """
    Something about one job that a person should know.

    :param job_id: of the job.
    :param kind: the same for all jobs with entries of this kind.
    :param text: the line.
    :param warning: whether it is more than progress.
    """

    #: Kind of the entry that a job is seen again after failed polls.
    ANSWERS_AGAIN: ClassVar = "answers again"

    job_id: str
    kind: str
    text: str
    warning: bool = True


def digest(job_id: str, status: JobStatus | None) -> int:
    """
    Return a number that identifies what was logged of a job; 0 for nothing.

    Where the vendor shows a job's progress, only that counts: its list has no counts of rows.
    """
    if status is None:
        return 0
    told = status.describe() if status.progress is None else f"{status.vendor_status!r} {status.progress} %"
    return crc32(f"{job_id}: {told}".encode("utf-8", "surrogatepass"))
