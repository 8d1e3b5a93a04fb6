"""Without Airflow: waits in processes that are killed one after the other, while the vendors fail.

Each process does what a triggerer does. One is killed every few seconds; its waits go to another.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.waiting.codec import decode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from dev.chaos import jobs
from dev.chaos.hosts import Crowd, Ledger, Stored
from dev.chaos.jobs import Job
from dev.chaos.rig import FAULT_RATE, Bar, Finished, command, compare

#: Ids of one list wait.
LIST_LENGTH = 25
#: So many seconds after its death, what a process has asked may still be answered: the sandbox has a queue.
QUEUED = 3.0
_TRIGGER = "airflow_provider_jobstatus.triggers.batch_job.BatchJobTrigger"


@dataclass(frozen=True)
class Size:
    """How much is waited for; times are seconds.

    :param shortest: the quickest job
    :param longest: the slowest
    :param processes: how many at once
    :param kill_every: one of them is killed
    :param max_retry_after: the longest that a vendor asks for
    :param limit: after which the run counts as it stands
    """

    waits: int
    poll_interval: float
    shortest: float
    longest: float
    processes: int
    kill_every: float
    max_retry_after: int
    limit: float


def size(waits: int) -> Size:
    """Return what fits a number of waits: half a minute, or some."""
    if waits <= 500:
        return Size(waits, 2.0, 2.0, 8.0, 2, 5.0, 3, 240.0)
    # More processes, so that a death orphans no more waits than the others can take up before the next.
    return Size(waits, 25.0, 20.0, 120.0, 8, 15.0, 15, 1800.0)


def run(folder: Path, plan: Size, seed: int) -> Finished:
    """Wait for all jobs in processes that are killed.

    :param folder: for everything that is written
    :param seed: of all dice
    """
    waited = jobs.plan(plan.waits, seed, shortest=plan.shortest, longest=plan.longest)
    with Sandbox() as sandbox:
        jobs.put(sandbox, waited)
        known = jobs.connections(sandbox)
        env = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in known.items()}
        sandbox.random_faults(FAULT_RATE, seed=seed, max_retry_after=plan.max_retry_after)
        began_at = time.monotonic()
        stored, of_wait = _store(waited, plan, seed)
        ledger = Ledger(stored)
        crowd = Crowd(folder, env, ledger, plan.processes)
        try:
            crowd.run(plan.kill_every, began_at + plan.limit)
        finally:
            crowd.end()
        seconds = time.monotonic() - began_at
        lost, wrong = compare(waited, reported(ledger.events, of_wait), jobs.truth(sandbox, waited))
        faults = sandbox.fault_report()
        numbers = {jobs.number_of(job.job_id): number for number, some in of_wait.items() for job in some}
        early, told_another = [], 0
        for call in faults["early"]:
            number = numbers[jobs.number_of(call["path"])]
            if ledger.changed_hands(number, call["told_at"] - QUEUED, call["at"]):
                told_another += 1
            else:
                held = call["told_at"] - ledger.held_since(number, call["at"])
                early.append(
                    f"{call['path']} {call['due'] - call['at']:.2f} s too early, refused {held:.2f} s after "
                    "the wait had changed hands"
                )
        leaks = [
            f"{path.name}: the key of {name}"
            for path in folder.glob("host-*.log")
            for name, connection in known.items()
            if connection["password"].encode() in path.read_bytes()
        ]
        return Finished(
            plan.waits,
            lost,
            wrong,
            ledger.twice,
            jobs.polls(sandbox, waited),
            faults,
            early,
            told_another,
            leaks,
            seconds,
            [
                Bar("processes killed", crowd.kills),
                Bar("starts of triggers", ledger.starts),
                Bar("exits of their own", len(crowd.exits), 0, crowd.exits),
            ],
        )


def _store(waited: Sequence[Job], plan: Size, seed: int) -> tuple[dict[int, Stored], dict[int, list[Job]]]:
    """Return each wait as Airflow would store it, and its jobs."""
    dice = random.Random(seed)
    groups = [[job] for job in waited if job.kind != "list"]
    many = [job for job in waited if job.kind == "list"]
    groups += [many[at : at + LIST_LENGTH] for at in range(0, len(many), LIST_LENGTH)]
    stored: dict[int, Stored] = {}
    now = time.time()
    for number, group in enumerate(groups):
        wait = WaitSpec(
            poll_interval=plan.poll_interval,
            started_at=now,
            first_poll_at=now + plan.poll_interval * dice.uniform(0.2, 1.2),
            deadline_at=now + 7200.0,
        )
        arguments = {
            "conn_id": f"{group[0].vendor}_chaos",
            "job_ids": [job.job_id for job in group],
            **wait.as_json(),
        }
        stored[number] = (number, _TRIGGER, arguments)
    return stored, dict(enumerate(groups))


def reported(events: Mapping[int, Any], of_wait: Mapping[int, list[Job]]) -> dict[tuple[str, str], str]:
    """Return what the events say of each job, by vendor and id: how it ended, or how else its wait did."""
    ends = {}
    for number, event in events.items():
        group = of_wait[number]
        # As the worker reads it.
        for job, end in zip(group, decode(event, [job.job_id for job in group]), strict=True):
            well = end.outcome is OutcomeKind.FINISHED and end.status is not None
            ends[job.vendor, job.job_id] = (
                end.status.state.value if well and end.status else f"{end.outcome.value}: {end.message}"
            )
    return ends


def measure(folder: Path, waits: int, seed: int) -> list[Bar]:
    """Wait for so many jobs, and return what was counted."""
    return run(folder, size(waits), seed).bars()


if __name__ == "__main__":
    sys.exit(command("dev.chaos.processes", __doc__, measure, 300))
