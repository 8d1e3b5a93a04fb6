"""A task's wait on a worker, in each of Airflow's modes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_jobstatus.tasks.blocking_wait import BlockingWait
from airflow_provider_jobstatus.tasks.deferral import prepare
from airflow_provider_jobstatus.tasks.rescheduling import reschedule, reschedule_warning
from airflow_provider_jobstatus.tasks.results import Results
from airflow_provider_jobstatus.tasks.task_state import TaskState
from airflow_provider_jobstatus.tasks.worker import WorkerSession
from airflow_provider_jobstatus.waiting.adaptive import FLOOR_SHARE
from airflow_provider_jobstatus.waiting.outcome import WaitOutcome
from airflow_provider_jobstatus.waiting.spec import WaitSpec

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_jobstatus.hooks.base import BatchJobHook


class WaitingTask(Protocol):
    """A task that waits: a sensor, or an operator that waits for what it has submitted."""

    conn_id: str
    deferrable: bool

    @property
    def log(self) -> Logger:
        """The task's log."""

    @property
    def reschedule(self) -> bool:
        """Whether the task leaves its worker between two polls, if it is not deferrable."""

    def wait_spec(self, hook: BatchJobHook | None, now: float, began_at: float | None) -> WaitSpec:
        """Return the wait that the task's arguments describe."""

    def hand_over(self, arguments: dict[str, Any], timeout: timedelta) -> NoReturn:
        """Defer the task, with the arguments of a ``BatchJobTrigger`` and Airflow's own time-out."""


def wait_in_task(
    task: WaitingTask, results: Results, context: Context
) -> tuple[list[WaitOutcome], dict[str, Exception]]:
    """
    Poll each job once, and wait for those that have not ended, in the task's mode.

    :param results: of the jobs.
    :return: how the wait for each job ended, and the exceptions behind that, by job id.
    :raises SettingsError: the connection or an id cannot be used; nothing was sent.
    :raises VendorError: the connection cannot be read at the first poll.
    """
    ids, state = results.ids, TaskState(context) if task.reschedule and not task.deferrable else None
    with WorkerSession(task.conn_id, state.session if state else None) as session:
        began_at, now = state.began_at if state else None, session.now()
        hook = session.begin(ids)
        spec = task.wait_spec(hook, now, began_at)
        wait = BlockingWait(spec, ids, session, task, state)
        results.seen = wait.seen
        if hook is not None and began_at is None:
            for line in wait_warnings(hook, spec, len(ids), state is not None):
                task.log.warning(line)
        if task.deferrable:
            if (running := wait.first_waiting()) is not None:
                task.hand_over(*prepare(wait, running, session, context.get("ti"), task.log))
        elif state is None:
            wait.run()
        elif waiting := wait.poll_each():
            reschedule(wait, waiting, session, state)
        return wait.events(), wait.causes


def wait_warnings(hook: BatchJobHook, spec: WaitSpec, jobs: int, reschedule: bool) -> list[str]:
    """Return the lines for the log of a wait for so many jobs."""
    calls = spec.most_polls() * jobs
    cost = hook.cost_warning(calls * round(1 / FLOOR_SHARE) if spec.adaptive else calls)
    race = reschedule_warning(spec.poll_interval) if reschedule else None
    return list(filter(None, (*hook.connection_warnings(), *hook.wait_warnings(), cost, race)))
