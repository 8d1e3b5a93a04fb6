"""What became of the waits of a chaos run, from Airflow's own database and logs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.chaos.jobs import Job
from dev.chaos.rig import compare
from dev.postgres import PostgresDatabase

#: What a wait of ours must not end with while the vendor recovers from every fault.
OUR_ERRORS = re.compile(
    rb"\b(VendorRefused|PollingFailed|UnknownJob|BadTriggerEvent|BadSettings|JobTimedOut)\b"
)
_ENDED = ("success", "failed", "skipped")


#: Task id and map index.
Task = tuple[str, int]


@dataclass
class Outcome:
    """Jobs by what became of their waits, and what else was counted.

    :param lost: not ended, or ended without a report of how the job ended
    :param wrong: reported with an end that the job did not have
    :param twice: completed more than once
    :param our_errors: attempts that ended with an error of ours which no fault justifies
    :param retried: attempts beyond the first; of a task that fails with its job, Airflow makes two
    """

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    our_errors: Counter[str] = field(default_factory=Counter)
    retried: int = 0


def tasks_of(jobs: Sequence[Job]) -> dict[Task, list[Job]]:
    """Return the jobs of each task, by task id and map index, as the DAG of the run makes them."""
    tasks: dict[Task, list[Job]] = {}
    for kind, by_vendor in plan_of(jobs).items():
        for vendor, ids in by_vendor.items():
            known = {job.job_id: job for job in jobs if job.vendor == vendor}
            found = [known[job_id] for job_id in ids]
            name = f"{kind}_{vendor}"
            if kind == "list":
                tasks[name, -1] = found
            else:
                tasks |= {(name, index): [job] for index, job in enumerate(found)}
    return tasks


def plan_of(jobs: Sequence[Job]) -> dict[str, dict[str, list[str]]]:
    """Return the ids by kind and vendor."""
    plan: dict[str, dict[str, list[str]]] = {"wait": {}, "strict": {}, "list": {}}
    for job in jobs:
        plan[job.kind].setdefault(job.vendor, []).append(job.job_id)
    return plan


@dataclass(frozen=True)
class Record:
    """What Airflow has written down, by task id and map index.

    :param states: Airflow's word and the number of the last try
    :param results: what the task returned
    :param ends: how often it was completed
    """

    states: Mapping[Task, tuple[str | None, int]]
    results: Mapping[Task, Any]
    ends: Mapping[Task, int]
    logs: Path


def read(database: PostgresDatabase, logs: Path) -> Record:
    """Return what Airflow says of the waits."""
    states = database.query("SELECT task_id, map_index, state, try_number FROM task_instance")
    results = database.query("SELECT task_id, map_index, value FROM xcom WHERE key = 'return_value'")
    ends = database.query(
        "SELECT task_id, map_index, count(*) AS times FROM log WHERE dag_id = 'chaos' "
        "AND event IN ('success', 'skipped') GROUP BY task_id, map_index"
    )
    return Record(
        {_task(row): (row["state"], row["try_number"]) for row in states},
        {_task(row): row["value"] for row in results},
        {_task(row): row["times"] for row in ends},
        logs,
    )


def judge(record: Record, jobs: Sequence[Job], truth: Mapping[tuple[str, str], str]) -> Outcome:
    """Compare what Airflow says of each wait with how its job has ended.

    :param jobs: all that were waited for
    :param truth: how each has ended, by vendor and id
    """
    outcome = Outcome()
    ends: dict[tuple[str, str], str] = {}
    for task, waited in tasks_of(jobs).items():
        state, tries = record.states.get(task, (None, 0))
        reported = _reported(task, waited, state, record)
        ends |= {
            (job.vendor, job.job_id): reported[job.job_id]
            for job in waited
            if state in _ENDED and job.job_id in reported
        }
        if record.ends.get(task, 0) > 1:
            outcome.twice.append(f"{task[0]}[{task[1]}]")
        outcome.retried += max(tries - 1, 0)
    outcome.lost, outcome.wrong = compare(jobs, ends, truth)
    for path in record.logs.rglob("attempt=*.log*"):
        outcome.our_errors.update(error.decode() for error in set(OUR_ERRORS.findall(path.read_bytes())))
    return outcome


def _reported(task: Task, waited: Sequence[Job], state: str | None, record: Record) -> dict[str, str]:
    """Return what a task has reported of its jobs, by id."""
    result = record.results.get(task)
    if state == "skipped":
        return {job.job_id: "cancelled" for job in waited}
    if state == "failed" and waited[0].kind == "strict":
        logged = _logs_of(task, record.logs)
        ends = {b"JobFailed": "failed", b"JobCancelled": "cancelled"}
        found = [end for error, end in ends.items() if error in logged]
        return {waited[0].job_id: found[0]} if len(found) == 1 else {}
    if state != "success" or result is None:
        return {}
    # Airflow stores the text of the JSON as JSON.
    value = json.loads(result) if isinstance(result, str) else result
    entries = value if isinstance(value, list) else [value]
    return {entry["job_id"]: entry["state"] for entry in entries}


def _logs_of(task: Task, logs: Path) -> bytes:
    """Return what the workers wrote in all attempts: the last may be one that Airflow itself spoiled."""
    name, index = task
    attempts = logs.glob(f"dag_id=chaos/run_id=*/task_id={name}/map_index={index}/attempt=*.log")
    return b"".join(path.read_bytes() for path in attempts if ".trigger." not in path.name)


def _task(row: Mapping[str, Any]) -> Task:
    return row["task_id"], row["map_index"]
