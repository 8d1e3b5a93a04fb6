"""What the scheduler of a connection has its driver do: small values, each for one thing."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.waiting.outcome import LogEntry, WaitOutcome


class Poll(NamedTuple):
    """Request the status of a job, and report with ``answered`` or ``poll_failed``."""

    job_id: str
    operation: Operation[JobStatus]
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
    """
    All of a wait is over.

    :param fault: of the provider, or of a hook from elsewhere, if one has ended it.
    """

    wait_id: int
    fault: BaseException | None = None


Action: TypeAlias = Poll | ReadList | LoadConnection | Log | Warn | JobEnded | WaitEnded
