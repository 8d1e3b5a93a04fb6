"""What the scheduler of a connection asks its driver to do: small values, each for one thing."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.fleet.polled_vendor import VendorSession
from airflow_provider_jobstatus.waiting.outcome import LogEntry, WaitOutcome


class Poll(NamedTuple):
    """
    Ask the vendor for the status of a job, and report with ``answered`` or ``poll_failed``.

    :param question: asks for the status; None if the id is malformed.
    """

    job_id: str
    question: Operation[JobStatus] | None
    session: VendorSession


class ReadList(NamedTuple):
    """Read a list of the vendor's, and report with ``list_read`` or ``list_failed``."""

    name: str
    session: VendorSession


class LoadConnection(NamedTuple):
    """
    Read the connection, and report with ``loaded`` or ``not_loaded``.

    :param attempt: number of the lookup. The report of an abandoned lookup is ignored.
    """

    attempt: int


class Log(NamedTuple):
    """
    Write an entry into the log of a wait.

    :param is_status: whether the entry comes from a status of a job, which changes the progress shown.
    """

    wait_id: int
    entry: LogEntry
    is_status: bool


class Warn(NamedTuple):
    """Write a line about the connection as a whole into the log of one of its waits."""

    wait_id: int
    text: str


class JobEnded(NamedTuple):
    """The wait for one job has ended; the wait may go on for other jobs."""

    wait_id: int
    event: WaitOutcome


class WaitEnded(NamedTuple):
    """All of a wait is over."""

    wait_id: int


class WaitFailed(NamedTuple):
    """A fault of the provider, or of a hook from elsewhere, has ended a wait."""

    wait_id: int
    fault: BaseException


Action: TypeAlias = Poll | ReadList | LoadConnection | Log | Warn | JobEnded | WaitEnded | WaitFailed
