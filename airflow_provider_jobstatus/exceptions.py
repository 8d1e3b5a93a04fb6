"""
All that a user may have to catch: what a task of this provider can fail with, and what its hooks raise.

Tasks::

    JobStatusError
      JobFailed             the vendor says so: detail, counts
      JobCancelled
      JobTimedOut           our deadline; also AirflowSensorTimeout
      JobNotFinished        an operator was called too early
      PollingFailed         gave up asking; what became of the job is unknown
      VendorRefused         credentials, permission, spent licence, a request that the vendor rejects
      UnknownJob            still 404 after the grace
      BadTriggerEvent       missing, foreign or newer
      NotSubmitted          certain that no job was made, and another try may make one
      SubmissionUnknown     sent, no reply; also AirflowFailException
      DownloadIncomplete
      DestinationError
      BadSettings           connection, job id or arguments; also AirflowFailException, ValueError

Airflow retries all of them as the task's ``retries`` say, but for the three that are also an exception of
Airflow's own, which it never retries. On Airflow 3.3, ``retry_policy.JOBSTATUS_RETRY_POLICY`` decides better.

Hooks that are called in Python::

    VendorError             a conversation with the vendor failed; vendor, method, path, status
      TransportError        no usable reply
        SendError           certain that nothing was sent
      ApiError              a status that was not expected
        AccessDenied        401, 403
        NotFound            404, 410
        RateLimited         429; retry_after
        ServerError         5xx, 408, 425
        RequestRejected     any other 4xx
      UnexpectedResponse    wrong content, unknown word
    SettingsError           connection or job id unusable
"""

from __future__ import annotations

from typing import Any, Self

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    NotFound,
    RateLimited,
    RequestRejected,
    SendError,
    ServerError,
    SettingsError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)

__all__ = [
    "AccessDenied",
    "ApiError",
    "BadSettings",
    "BadTriggerEvent",
    "DestinationError",
    "DownloadIncomplete",
    "JobCancelled",
    "JobFailed",
    "JobNotFinished",
    "JobStatusError",
    "JobTimedOut",
    "NotFound",
    "NotSubmitted",
    "PollingFailed",
    "RateLimited",
    "RequestRejected",
    "SendError",
    "ServerError",
    "SettingsError",
    "SubmissionUnknown",
    "TransportError",
    "UnexpectedResponse",
    "UnknownJob",
    "VendorError",
    "VendorRefused",
]


class JobStatusError(Exception):
    """
    Root of what a task of this provider can fail with.

    :ivar results: of a wait for several jobs, what the sensor would have returned: each job as far as it is
        known.
    :ivar retry_after: seconds for which the vendor, or what came in its place, asks to wait; None if it does
        not.
    """

    results: list[dict[str, Any]] | None = None
    retry_after: float | None = None


class JobFailed(JobStatusError):
    """
    The vendor says that a job failed.

    :param message: for a person.
    :param status: what the sensor would have returned for the job.

    :ivar detail: the vendor's explanation, or None.
    :ivar counts: rows, or None.
    """

    def __init__(self, message: str, status: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status or {}
        self.detail: str | None = self.status.get("detail")
        self.counts: dict[str, int | None] | None = self.status.get("counts")


class JobCancelled(JobFailed):
    """The vendor says that a job was cancelled or deleted."""


class JobTimedOut(JobStatusError, AirflowSensorTimeout):
    """The deadline came first. Airflow does not retry; the job may still run."""


class JobNotFinished(JobStatusError):
    """An operator ran while its job still runs. Wait with ``BatchJobSensor`` first."""


class PollingFailed(JobStatusError):
    """
    No usable response for ``max_outage``, or no connection to poll with at first: what became of the
    job is unknown. A retry only polls again.
    """


class VendorRefused(JobStatusError):
    """Credentials, permission, a spent licence, or a request that the vendor rejects as wrong."""


class UnknownJob(JobStatusError):
    """The vendor does not know the job, also some time after the wait began."""


class BadTriggerEvent(JobStatusError):
    """What came back from the triggerer is missing, foreign or newer. A retry polls again."""


class NotSubmitted(JobStatusError):
    """No job was made, and that is certain: the vendor, or Airflow, could not be reached. A retry submits."""


class SubmissionUnknown(JobStatusError, AirflowFailException):
    """A job may have been made. Never sent again by machine: check with the vendor first."""


class DownloadIncomplete(JobStatusError):
    """A download ended early or could not be verified; nothing of it was kept."""


class DestinationError(JobStatusError):
    """
    The destination cannot be written.

    :ivar existing: path of the file that is there and may not be replaced, if that is why.
    """

    existing: str | None = None

    @classmethod
    def of_existing(cls, path: str, if_exists: str) -> Self:
        """Return the error for a file that is there and may not be replaced."""
        error = cls(f"{path} exists already, and if_exists is {if_exists!r}")
        error.existing = path
        return error


class BadSettings(JobStatusError, AirflowFailException, ValueError):
    """
    A connection, a job id or an argument that cannot work however often it is tried.

    A ``ValueError``, too, as Airflow's own operators raise it for an argument when the DAG is parsed.
    """


def task_error(error: VendorError | SettingsError, otherwise: type[JobStatusError]) -> JobStatusError:
    """
    Return what a task fails with when a conversation with a vendor has failed.

    :param error: of the conversation.
    :param otherwise: for an error that another try may not meet again.
    """
    failed: JobStatusError
    match error:
        case SettingsError():
            return BadSettings(str(error))
        case AccessDenied():
            failed = VendorRefused(f"{error}: check {error.credential} in {_where(error)}")
        case RequestRejected() | RateLimited(spent=True):
            failed = VendorRefused(str(error))
        case NotFound():
            failed = UnknownJob(
                f"{error}; check the job id, and that {_where(error)} is of the account of the job; it may "
                "also have been deleted"
            )
        case _:
            failed = otherwise(str(error))
    failed.retry_after = error.retry_after
    return failed


def not_submitted(error: VendorError) -> JobStatusError:
    """Return what a task fails with if certainly no job was made."""
    if isinstance(error, NotFound):
        return VendorRefused(str(error))
    return task_error(error, otherwise=NotSubmitted)


def without_retry(error: BaseException, remark: str) -> JobStatusError:
    """
    Return an error as one that Airflow does not retry: a subclass of its class.

    :param error: any other than one of this provider's becomes :class:`PollingFailed`.
    :param remark: appended to its message.
    """
    kind = type(error) if isinstance(error, JobStatusError) else PollingFailed
    if not issubclass(kind, AirflowFailException):
        kind = type(kind.__name__, (kind, AirflowFailException), {"__doc__": kind.__doc__})
    ended = kind.__new__(kind)
    ended.__dict__.update(error.__dict__)
    ended.args = (f"{error}; {remark}, so Airflow does not retry",)
    return ended


def _where(error: VendorError) -> str:
    return f"connection {error.conn_id!r}" if error.conn_id else "the connection"
