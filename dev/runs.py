"""Runs every example DAG once on a real Airflow and says what is not as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.vendor import JobView
from dev.api import RUN_ENDED, Deferral, StackError, TaskRun
from dev.stack import AirflowStack

SENSOR = "BatchJobSensor"
#: How tasks of the example DAGs are to end, if not well.
WANTED = {"ruler_failed_upload.watch_upload": "failed", "ruler_failed_upload.go_on": "skipped"}


@dataclass(frozen=True)
class TaskReport:
    """What became of one task.

    :param deferrals: each stay in the triggerer, as Airflow recorded it
    :param result: what the task returned
    :param polls: status requests that the sandbox counted for the task's jobs, None if it waits for none
    """

    task: TaskRun
    deferrals: Sequence[Deferral]
    result: Any
    polls: int | None

    @property
    def deferred_seconds(self) -> float:
        """How long the task was out of every worker."""
        return sum(deferral.seconds or 0.0 for deferral in self.deferrals)


@dataclass(frozen=True)
class RunReport:
    """What became of one DAG run."""

    dag_id: str
    run_id: str
    state: str
    tasks: Sequence[TaskReport]


@dataclass(frozen=True)
class Snapshot:
    """How far the runs are: the tasks of each DAG, and the jobs that the sandbox has."""

    tasks: Mapping[str, Sequence[TaskRun]]
    jobs: Sequence[JobView]


def run_every_dag(
    stack: AirflowStack,
    sandbox: Sandbox,
    *,
    timeout: float = 300.0,
    watch: Callable[[Snapshot], None] = lambda snapshot: None,
) -> list[RunReport]:
    """Trigger every DAG once, all at the same time, wait for their ends and report.

    :param sandbox: the vendors that it talks to
    :param timeout: seconds after which a run is reported as it stands
    :param watch: called about once a second
    """
    run_ids = {dag_id: stack.trigger(dag_id) for dag_id in stack.dag_ids()}
    if not run_ids:
        raise StackError(f"there is no DAG in {stack.dags}")
    give_up_at = time.monotonic() + timeout
    while True:
        states = {dag_id: stack.run_state(dag_id, run_id) for dag_id, run_id in run_ids.items()}
        tasks = {dag_id: stack.tasks(dag_id, run_id) for dag_id, run_id in run_ids.items()}
        watch(Snapshot(tasks, sandbox.jobs()))
        if time.monotonic() > give_up_at or all(state in RUN_ENDED for state in states.values()):
            break
        stack.check_alive()
        time.sleep(1.0)
    jobs = sandbox.jobs()
    return [
        RunReport(
            dag_id,
            run_id,
            states[dag_id],
            [_report(stack, task, jobs) for task in _in_order(tasks[dag_id])],
        )
        for dag_id, run_id in run_ids.items()
    ]


def shortcomings(reports: Sequence[RunReport]) -> list[str]:
    """Return a sentence for everything that is not as it should be; empty if all is well."""
    found = []
    for run in reports:
        if run.state != "success":
            found.append(f"DAG {run.dag_id} ended as {run.state}.")
        for report in run.tasks:
            name = f"{run.dag_id}.{report.task.name}"
            if report.task.state != WANTED.get(name, "success"):
                found.append(f"Task {name} ended as {report.task.state}.")
            elif report.task.operator == SENSOR and not any(stay.seconds for stay in report.deferrals):
                found.append(f"Task {name} ended without having been deferred.")
    if not any(report.task.operator == SENSOR for run in reports for report in run.tasks):
        found.append(f"No example DAG has a {SENSOR}: nothing was waited for.")
    return found


def _in_order(tasks: Sequence[TaskRun]) -> list[TaskRun]:
    """Sort tasks as they started."""
    return sorted(tasks, key=lambda task: (task.started_at is None, task.started_at, task.task_id))


def _report(stack: AirflowStack, task: TaskRun, jobs: Sequence[JobView]) -> TaskReport:
    result = stack.xcom(task)
    polls = None
    if task.operator == SENSOR:
        waited_for = [entry for entry in (result if isinstance(result, list) else [result]) if entry]
        polls = sum(job["polls"] for entry in waited_for for job in jobs if _same_job(entry, job))
    return TaskReport(task, stack.deferrals(task), result, polls)


def _same_job(result: Mapping[str, Any], job: JobView) -> bool:
    """Whether a sensor's result is about this job; the sandbox may leave out what stands before the slash."""
    return result["vendor"] == job["vendor"] and f"/{result['job_id']}".endswith(f"/{job['id']}")
