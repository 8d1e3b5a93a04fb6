"""What a wait leaves in XCom, also when its task fails or is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_jobstatus._compat import AirflowRescheduleException
from airflow_provider_jobstatus.core.ids import job_ids, lasting
from airflow_provider_jobstatus.core.jobs import JobStatus, job_result
from airflow_provider_jobstatus.exceptions import JobStatusError

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

#: Airflow's key of what a task returns.
RETURN_VALUE = "return_value"


class JobTask(Protocol):
    """A task that waits for jobs: a sensor, or another operator."""

    job_id: Any
    do_xcom_push: bool

    @property
    def log(self) -> Logger:
        """The task's log."""


class Results:
    """
    The results of a task's jobs, as far as they are known.

    :param task: that waits for the jobs.

    :ivar ids: of the jobs, each once; empty until they have been read.
    :ivar seen: returns what the vendor said last of each of these, or nothing if none was polled.
    """

    def __init__(self, task: JobTask) -> None:
        self.ids: list[str] = []
        self.seen: Callable[[], Sequence[JobStatus | None]] = list
        self._task = task
        self._places: list[str] = []
        self._many: bool | None = None

    def read_ids(self) -> list[str]:
        """
        Return the ids of the jobs, each once: an id that a list has twice is one job.

        :raises SettingsError: they cannot be used.
        """
        # What a template makes may be readable only once, and dag.test() resumes with this very object.
        self._task.job_id = lasting(self._task.job_id)
        self._places, self._many = job_ids(self._task.job_id)
        self.ids = list(dict.fromkeys(self._places))
        return self.ids

    def value(self) -> Any:
        """Return what the task returns: a dict, or of a list of ids a list of dicts, one for each place."""
        results = self.of_places()
        return results if self._many else results[0]

    def of_places(self) -> list[dict[str, Any]]:
        """Return the result for each place in the list of ids."""
        seen = dict(zip(self.ids, self.seen() or [None] * len(self.ids), strict=True))
        return [job_result(job_id, seen[job_id]) for job_id in self._places]

    def leave(self, context: Context) -> None:
        """Write them where Airflow keeps what a task returns. An error in that is only logged."""
        if self._many is not None:
            leave(self._task, self.value, context)


def leave(task: JobTask, value: Callable[[], Any], context: Context) -> None:
    """Write a value where Airflow keeps what a task returns. An error in that is only logged."""
    instance = context.get("ti")
    if instance is None or not task.do_xcom_push:
        return
    try:
        instance.xcom_push(RETURN_VALUE, value())
    except Exception as error:  # noqa: BLE001 - how the task ends is decided; a backend may raise anything
        task.log.warning("The results cannot be kept in XCom: %s", type(error).__name__)


@contextmanager
def kept_results(task: JobTask, context: Context) -> Iterator[Results]:
    """Leave the results in XCom if the task is about to fail or to be skipped; else Airflow does that."""
    results = Results(task)
    try:
        yield results
    except BaseException as end:
        if isinstance(end, JobStatusError) and end.results is not None:
            end.results = results.of_places()
        # A deferral is no Exception.
        if isinstance(end, (Exception, AirflowTaskTimeout)) and not isinstance(
            end, AirflowRescheduleException
        ):
            results.leave(context)
        raise
