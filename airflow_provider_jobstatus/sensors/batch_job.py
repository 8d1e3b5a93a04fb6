"""Wait for batch jobs, at any vendor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.sensors.waiting_sensor import WaitingSensor
from airflow_provider_jobstatus.tasks import arguments

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

#: Name of one of several tasks that a mapped sensor becomes. Never a number, which a native template would
#: make of the id of a job that has no letters, while Airflow requires a text; and its column is short.
MAP_INDEX_TEMPLATE = (
    "job {{ (task.job_id['job_id'] if task.job_id is mapping else task.job_id) | string | truncate(100) }}"
)


class BatchJobSensor(WaitingSensor):
    """
    Wait until batch jobs have ended, at whatever vendor the connection is of.

    The vendor is known by the connection's type. The first poll is made on the worker: a job that has ended
    already costs no wait, and unusable settings, a malformed id or refused credentials fail there. With
    ``deferrable=True`` the rest of the wait runs in the triggerer and holds no worker slot. A poll
    without a response is never taken for a failed job: the wait goes on, see ``max_outage``.

    :param conn_id: (templated) connection of one of this provider's types, or of any whose hook is a
        ``BatchJobHook``.
    :param job_id: (templated) one id or a list: literal, template (the text of a list is read as that list),
        output of another task, also of mapped ones, or the dict that an earlier sensor returned. The ids of a
        set are sorted.
    :param allowed_states: terminal states that count as success. A ``partial`` job, which passes by default,
        is logged as a warning; ``("succeeded",)`` is strict.
    :param skipped_states: terminal states that skip the task. Any other terminal state fails it.
    :param max_outage: seconds or timedelta without one usable response after which the wait is given up.
        Default one hour; None for never.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param poke_interval: seconds or timedelta between two polls of a running job, at least one second.
        Default 60; at QuestionPro, whose licence counts each call, 600.
    :param timeout: seconds or timedelta from the first poll to the deadline, at least ``poke_interval``.
        Default: Airflow's ``[sensors] default_timeout``. At the deadline the job is polled one last time.
    :param mode: ``"poke"`` or ``"reschedule"``, for ``deferrable=False``.
    :param soft_fail: a time-out skips the task instead of failing it; a failed job still fails it.
    :param never_fail: whatever would fail the task skips it.
    :param silent_fail: Airflow's word for ``max_outage=None``.
    :param exponential_backoff: double the interval after each poll, up to ``max_wait``.
    :param wait_for: of several jobs ``"all"``, or ``"any"``: the first to end in one of ``allowed_states``.
    :param fail_fast: with ``wait_for="all"``, do not wait for the others once a job has failed.
    :param stalled_after: seconds or timedelta that a running job may show the same status, progress and
        counts. Default: for ever. A triggerer that takes over counts anew.
    :param if_stalled: what to do then: ``"warn"``, or ``"fail"`` as at a time-out.
    :param adaptive: poll more often when a job is likely to end, by its progress, or its age and how long
        others took; at other times only every ``poke_interval``, which may then be some five times as long
        for as many requests. Pauses are no shorter than a 25th of it, or one second.

    :return: a dict a job: ``{"job_id", "vendor", "state", "vendor_status", "detail", "progress", "counts",
        "created_at", "completed_at"}``; for a list of ids a list in the same order. Times are ISO 8601 with
        offset or None, ``progress`` is a whole percent or None, ``counts`` is ``{"total", "processed",
        "succeeded", "failed"}`` or None. Of a job that others have decided the wait for, the dict says what
        was last known; if that is nothing, all but ``job_id`` is None. A task that fails or is skipped leaves
        the same in XCom, unless ``do_xcom_push`` is False.

    :raises JobFailed, JobCancelled: the vendor says so. A retry polls again, with the same result.
    :raises JobTimedOut: Airflow does not retry.
    :raises PollingFailed: no usable response for ``max_outage``. A retry polls again.
    :raises UnknownJob: 404 for two minutes. A retry polls again.
    :raises VendorRefused: credentials, permission, spent licence. A retry polls again.
    :raises BadTriggerEvent: the triggerer failed, or is of another version. A retry polls again.
    :raises BadSettings: connection, job id or arguments; Airflow does not retry. What can be known when the
        DAG is parsed fails there.
    """

    template_fields: Sequence[str] = ("conn_id", "job_id")
    ui_color = "#dfeef5"

    def __init__(self, *, conn_id: str, job_id: Any, **kwargs: Any) -> None:
        arguments.connection_id("conn_id", conn_id)
        job_id = arguments.jobs(job_id)
        super().__init__(**kwargs)
        self.conn_id = plain(conn_id)
        self.job_id = job_id

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Begin a mapped sensor: Airflow's page shows each of its tasks by its job, not by a number."""
        made: OperatorPartial = super().partial(**kwargs)
        if made.kwargs.get("map_index_template") is None:
            made.kwargs["map_index_template"] = MAP_INDEX_TEMPLATE
        return made

    def execute(self, context: Context) -> Any:
        """Poll each job once, and wait for those that have not ended yet."""
        return self.wait_for_jobs(context)
