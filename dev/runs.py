"""Runs every example DAG once on a real Airflow and says what is not as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.vendor import JobView
from dev.api import RUN_ENDED, Deferral, StackError, TaskRun
from dev.stack import AirflowStack

SENSOR = "BatchJobSensor"
#: How tasks of the example DAGs are to end, if not well.
WANTED = {
    "ruler_failed_upload.watch_upload": "failed",
    "ruler_failed_upload.go_on": "skipped",
    "ruler_revenue.all_stored": "skipped",
}


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

    @property
    def jobs(self) -> list[Mapping[str, Any]]:
        """What the task returned for each job that it has waited for."""
        return job_results(self.result)

    @property
    def has_waited(self) -> bool:
        """Whether the task is there to wait for a job."""
        return self.task.operator == SENSOR or bool(self.jobs)


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
    """Run every DAG once, all at the same time, wait for their ends and report.

    Of a DAG with a schedule, the run is the one that Airflow starts itself. No task runs before all runs are
    there, if the DAGs are paused till then: a task that starts while the API makes a run may block Airflow on
    SQLite.

    :param sandbox: the vendors that it talks to
    :param timeout: seconds after which a run is reported as it stands
    :param watch: called about once a second
    """
    dag_ids = stack.dag_ids()
    if not dag_ids:
        raise StackError(f"there is no DAG in {stack.dags}")
    run_ids = {dag_id: stack.trigger(dag_id) for dag_id in dag_ids if not stack.is_scheduled(dag_id)}
    stack.unpause_all()
    give_up_at = time.monotonic() + timeout
    run_ids = {dag_id: run_ids.get(dag_id) or _scheduled(stack, dag_id, give_up_at) for dag_id in dag_ids}
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
            elif report.has_waited and not any(stay.seconds for stay in report.deferrals):
                found.append(f"Task {name} ended without having been deferred.")
    if not any(report.has_waited for run in reports for report in run.tasks):
        found.append("No task of an example DAG has waited for a job.")
    return found


def job_results(result: Any) -> list[Mapping[str, Any]]:
    """Return the result of each job in what a task returned; none if the task has not waited for jobs."""
    results = result if isinstance(result, list) else [result]
    are_jobs = all(isinstance(each, dict) and {"job_id", "state"} <= each.keys() for each in results)
    return results if are_jobs else []


def _scheduled(stack: AirflowStack, dag_id: str, give_up_at: float) -> str:
    """Return the run that the schedule of a DAG has started."""
    while (run_id := stack.newest_run(dag_id)) is None:
        if time.monotonic() > give_up_at:
            raise StackError(f"no run of {dag_id} was scheduled")
        stack.check_alive()
        time.sleep(0.5)
    return run_id


def _in_order(tasks: Sequence[TaskRun]) -> list[TaskRun]:
    """Sort tasks as they started."""
    return sorted(tasks, key=lambda task: (task.started_at is None, task.started_at, task.task_id))


def _report(stack: AirflowStack, task: TaskRun, jobs: Sequence[JobView]) -> TaskReport:
    result = stack.xcom(task)
    report = TaskReport(task, stack.deferrals(task), result, None)
    if not report.has_waited:
        return report
    polls = sum(job["polls"] for entry in report.jobs for job in jobs if _same_job(entry, job))
    return replace(report, polls=polls)


def _same_job(result: Mapping[str, Any], job: JobView) -> bool:
    """Whether a result is about this job; the sandbox may leave out what stands before the slash."""
    return result["vendor"] == job["vendor"] and f"/{result['job_id']}".endswith(f"/{job['id']}")
