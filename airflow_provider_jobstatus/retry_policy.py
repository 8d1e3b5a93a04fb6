"""
Which failures of this provider's tasks are worth a retry, and when (Airflow 3.3, AIP-105)::

    from airflow_provider_jobstatus.retry_policy import JOBSTATUS_RETRY_POLICY

    with DAG("calls", default_args={"retries": 5, "retry_policy": JOBSTATUS_RETRY_POLICY}):
        ...

Below 3.3 Airflow passes over it in ``default_args``, and does not know it as an argument of a task.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    RateLimited,
    RequestRejected,
    SettingsError,
    VendorError,
)
from airflow_provider_jobstatus.exceptions import BadSettings, JobFailed, JobStatusError, VendorRefused

if TYPE_CHECKING:
    from airflow.sdk import Context, RetryDecision

try:
    from airflow.sdk import RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2
    RetryPolicy = object  # type: ignore[assignment, misc]

#: Most that is added to the pause that a vendor asks for, as a share of it: else all that were sent away at
#: the same time come back at the same time.
JITTER = 0.1


class JobStatusRetryPolicy(RetryPolicy):
    """
    Decides by what a task has failed with. The number of retries stays the task's own.

    * Settings, credentials, a spent licence, a request that the vendor rejects, and one that must not be
      repeated fail at once: each try would end alike.
    * A job that has failed or was cancelled fails the task at once, unless the task submits jobs and has
      ``resubmit_on_failure=True``.
    * Where the vendor asks for a pause, the retry comes after it, and not after ``retry_delay``.
    * All else is retried as the task says.

    It also decides on what hooks raise that are called in Python.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Return whether to retry after ``exception``, and when."""
        from airflow.sdk import RetryDecision

        task = None if context is None else context.get("task")
        if reason := _hopeless(exception, getattr(task, "resubmit_on_failure", False) is True):
            return RetryDecision.fail(f"{type(exception).__name__}: {reason}")
        if isinstance(exception, (JobStatusError, VendorError)) and exception.retry_after:
            pause = exception.retry_after * (1 + JITTER * random.random())  # noqa: S311 - jitter
            return RetryDecision.retry(timedelta(seconds=pause), "the vendor asks for this pause")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return all there is to know of it."""
        return {"__type": f"{type(self).__module__}.{type(self).__qualname__}"}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> JobStatusRetryPolicy:
        """Return a policy that decides alike."""
        return cls()


def _hopeless(error: BaseException, may_submit_again: bool) -> str | None:
    """Return why no other try could end better, or None if one could."""
    match error:
        case BadSettings() | SettingsError():
            return "settings that cannot work"
        case VendorRefused() | AccessDenied() | RequestRejected() | RateLimited(spent=True):
            return "the vendor refuses, and will again"
        case VendorError(repeatable=False):
            return "the vendor may have done what was asked, and it must not be done twice"
        case JobFailed() if not may_submit_again:
            return "the job has ended, and stays as it is"
    return None


#: For ``default_args``, or the ``retry_policy`` of a task.
JOBSTATUS_RETRY_POLICY = JobStatusRetryPolicy()
