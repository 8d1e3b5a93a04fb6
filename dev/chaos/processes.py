"""Without Airflow: waits in processes that are killed one after the other, while the vendors fail.

Each process does what a triggerer does. One is killed every few seconds; its waits go to another.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.random_faults import FaultReport
from airflow_provider_jobstatus.waiting.codec import decode
from airflow_provider_jobstatus.waiting.spec import Outcome
from dev.chaos import jobs
from dev.chaos.hosts import Crowd, Ledger, Stored
from dev.chaos.jobs import Job
from dev.chaos.table import Bar, show

FAULT_RATE = 0.2
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


@dataclass(frozen=True)
class Finished:
    """What is left when all processes have ended."""

    lost: list[str]
    wrong: list[str]
    early: list[str]
    told_another: int
    twice: list[int]
    kills: int
    starts: int
    exits: list[str]
    polls: int
    faults: FaultReport
    secrets: int
    seconds: float


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
        lost, wrong = compare(ledger.events, of_wait, jobs.truth(sandbox, waited))
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
                    f"{call['path']} {call['due'] - call['at']:.2f} s too early, told {held:.2f} s after the "
                    "wait had changed hands"
                )
        secrets = sum(
            path.read_bytes().count(connection["password"].encode())
            for path in folder.glob("host-*.log")
            for connection in known.values()
        )
        return Finished(
            lost,
            wrong,
            early,
            told_another,
            ledger.twice,
            crowd.kills,
            ledger.starts,
            crowd.exits,
            jobs.polls(sandbox, waited),
            faults,
            secrets,
            seconds,
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
        arguments = {
            "conn_id": f"{group[0].vendor}_chaos",
            "job_ids": [job.job_id for job in group],
            "poll_interval": plan.poll_interval,
            "started_at": now,
            "first_poll_at": now + plan.poll_interval * dice.uniform(0.2, 1.2),
            "deadline_at": now + 7200.0,
            "max_outage": 3600.0,
            "exponential_backoff": False,
            "max_wait": None,
            "version": 1,
        }
        stored[number] = (number, _TRIGGER, arguments)
    return stored, dict(enumerate(groups))


def compare(
    events: Mapping[int, Any], of_wait: dict[int, list[Job]], truth: dict[tuple[str, str], str]
) -> tuple[list[str], list[str]]:
    """Return the waits that were lost, and those that ended with something that is not so."""
    lost, wrong = [], []
    for number, group in of_wait.items():
        if number not in events:
            lost += [f"{job.job_id}: no event" for job in group]
            continue
        # As the worker reads it: of many jobs, the event is short.
        ends = decode(events[number], [job.job_id for job in group])
        for job, end in zip(group, ends, strict=True):
            state = end.status.state.value if end.status else None
            is_so = truth[job.vendor, job.job_id]
            if (end.outcome, state) != (Outcome.FINISHED, is_so):
                wrong.append(f"{job.job_id}: {end.outcome.value}, {state}, truly {is_so}; {end.message}")
    return lost, wrong


def bars(plan: Size, finished: Finished) -> list[Bar]:
    """Return the table of a run, with what each figure must be."""
    faults = Counter(finished.faults["faults"])
    return [
        Bar("waits", plan.waits),
        Bar("lost", len(finished.lost), 0, finished.lost),
        Bar("finished twice", len(finished.twice), 0, finished.twice),
        Bar("wrong state", len(finished.wrong), 0, finished.wrong),
        Bar("polls", finished.polls),
        Bar("requests", finished.faults["requests"]),
        Bar("faults", faults.total(), None, [f"{name}: {count}" for name, count in sorted(faults.items())]),
        Bar("early calls after Retry-After", len(finished.early), 0, finished.early),
        Bar("... that a killed process had been told", finished.told_another),
        Bar("processes killed", finished.kills),
        Bar("starts of triggers", finished.starts),
        Bar("exits of their own", len(finished.exits), 0, finished.exits),
        Bar("secrets found", finished.secrets, 0),
        Bar("seconds", round(finished.seconds)),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the table; the exit code is 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m dev.chaos.processes", description=__doc__)
    parser.add_argument("--waits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None, help="default: any")
    given = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    plan = size(given.waits)
    print(f"{plan.waits} waits, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jobstatus-chaos-") as folder:
        # Airflow writes its configuration where it is imported first.
        os.environ["AIRFLOW_HOME"] = folder
        finished = run(Path(folder), plan, seed)
    replay = f"python -m dev.chaos.processes --waits {plan.waits} --seed {seed}"
    return show("Waits in processes of their own", bars(plan, finished), replay)


if __name__ == "__main__":
    sys.exit(main())
