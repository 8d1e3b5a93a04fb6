"""What holds for a task once it has submitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException, AirflowTaskTimeout

from airflow_provider_jobstatus._compat import AirflowRescheduleException
from airflow_provider_jobstatus.exceptions import JobFailed, without_retry
from airflow_provider_jobstatus.tasks.order import SubmitRules
from airflow_provider_jobstatus.tasks.submission_store import SubmissionStore
from airflow_provider_jobstatus.waiting import codec


@contextmanager
def accountable(store: SubmissionStore, ids: list[str], rules: SubmitRules) -> Iterator[None]:
    """
    Without a record, let Airflow not retry a failure after a job was made: it would make another.

    :param ids: of the jobs that the task has; they may become more meanwhile.
    """
    try:
        yield
    except (Exception, AirflowTaskTimeout) as error:
        is_failure = not isinstance(error, (AirflowSkipException, AirflowRescheduleException))
        may_be_retried = rules.on_failure and isinstance(error, JobFailed)
        if store.lasts or not ids or not is_failure or may_be_retried:
            raise
        raise without_retry(error, f"submitted: {', '.join(ids[:3])}") from error


def jobs_after_deferral(kept: dict[str, Any], event: Any) -> Any:
    """
    Return the id of the job, or the list of them, for which a task was deferred; None if neither is known.

    :param kept: what was kept over the deferral; dag.test() keeps nothing of it, and resumes another object.
    :param event: of the trigger.
    """
    return kept["job_id"] if kept.get("job_id") else codec.jobs_of(event)
