"""On a real Airflow: no second job and no lost wait, whatever happens to a task that submits.

While the jobs run, triggerers are killed and paused, tasks are cleared, and workers' processes are killed.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_jobstatus.sandbox import Sandbox
from dev import guard
from dev.api import StackError
from dev.chaos.jobs import VENDORS, connections
from dev.chaos.orders import PATHS, jobs_last
from dev.chaos.rig import Bar, command
from dev.postgres import PostgresDatabase
from dev.stack import AirflowStack

DAGS = Path(__file__).parent / "submit_dags"
ROOT = Path(__file__).resolve().parents[2]
DAG_ID = "submissions"
#: The jobs run until all is over, then they end.
LONG, SOON = 100_000.0, 3.0
#: Longer than Airflow takes to give a paused triggerer's waits to another.
PAUSE = 40.0
WORKER = b"airflow worker -- "
#: How many of the workers' processes are killed, and within how many seconds of their life.
SHARE, LIFE = 0.25, 3.0
_LIMIT = 600.0


@dataclass
class Counts:
    """What was done, and what was seen of it.

    :param cleared: clears by the state of the task, and by whether Airflow raised `max_tries` at once
    :param unknown: clears after `SubmissionUnknown`, by what is sent for the task
    """

    done: Counter[str] = field(default_factory=Counter)
    cleared: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


class Disturber:
    """Disturbs tasks whose jobs run.

    :param pace: seconds between two clears; a triggerer is killed after every fifth
    """

    def __init__(
        self, stack: AirflowStack, database: PostgresDatabase, sandbox: Sandbox, pace: float, seed: int
    ) -> None:
        self.counts = Counts()
        self._stack, self._database, self._sandbox, self._pace = stack, database, sandbox, pace
        self._dice = random.Random(seed)
        self._paused: tuple[str, float] | None = None
        self._due: dict[int, float] = {}
        self._turn = 0

    def run(self, disturbances: int) -> None:
        """Disturb so many times."""
        next_at = time.monotonic()
        while self.counts.done.total() - self.counts.done["kill a worker's process"] < disturbances:
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + self._pace
                self._disturb()
            self.step()

    def step(self, kill: bool = True) -> None:
        """Do what is due at any time: kill workers' processes, clear tasks that have failed."""
        if self._paused and time.monotonic() >= self._paused[1]:
            self._stack.resume(self._paused[0])
            self._paused = None
        for pid in self._workers():
            if pid not in self._due:
                killed = kill and self._dice.random() < SHARE
                self._due[pid] = time.monotonic() + self._dice.uniform(0, LIFE) if killed else float("inf")
            if time.monotonic() >= self._due[pid]:
                self._due[pid] = float("inf")
                os.kill(pid, signal.SIGKILL)
                self.counts.done["kill a worker's process"] += 1
        for row in self._tasks("state = 'failed'"):
            name = f"{row['run_id']}-{row['task_id']}"
            if "SubmissionUnknown" not in self._log(row):
                self.counts.failed.append(f"{name}: {self._log(row)[-600:]}")
            self.counts.unknown[name] += 1
            self._clear(row)
        self._stack.check_alive()
        time.sleep(0.2)

    def tasks_left(self, state: str) -> int:
        """Return how many tasks are in any other state than this."""
        return len(self._tasks(f"state IS DISTINCT FROM '{state}'"))

    def wake(self) -> None:
        """Wake the triggerer that is paused."""
        if self._paused:
            self._paused = self._paused[0], 0.0
            self.step(kill=False)

    def _disturb(self) -> None:
        self._turn += 1
        if self._turn % 10 == 0 and not self._paused:
            name = self._other()
            self._stack.pause(name)
            self._paused = name, time.monotonic() + PAUSE
            self.counts.done["pause a triggerer"] += 1
        elif self._turn % 10 == 5:
            name = self._other()
            self._stack.kill(name)
            self._stack.launch(name)
            self.counts.done["kill a triggerer"] += 1
        else:
            wanted = "running" if self._dice.random() < 0.2 else "deferred"
            rows = self._tasks(f"state = '{wanted}'") or self._tasks("state IN ('deferred', 'running')")
            if rows:
                self._clear(self._dice.choice(rows))
                self.counts.done["clear a task"] += 1

    def _other(self) -> str:
        """Return a triggerer that is not paused, each in its turn."""
        names = [name for name in self._stack.triggerers if not self._paused or name != self._paused[0]]
        return names[self._turn // 5 % len(names)]

    def _clear(self, row: dict[str, Any]) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": row["run_id"],
            "task_ids": [row["task_id"]],
            "only_failed": False,
        }
        try:
            self._stack.post(f"/dags/{DAG_ID}/clearTaskInstances", body)
        except StackError as error:
            # A triggerer that is paused in the middle of a transaction may hold what a clear needs.
            print(error, flush=True)
            self.counts.cleared["no answer"] += 1
            return
        [now] = self._tasks(f"run_id = '{row['run_id']}' AND task_id = '{row['task_id']}'")
        raised = "raised" if now["max_tries"] > row["max_tries"] else "not raised"
        self.counts.cleared[f"{row['state']}: max_tries {raised}"] += 1

    def _workers(self) -> list[int]:
        found = []
        for pid in guard.session_members([self._stack.session("scheduler")]):
            try:
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(WORKER):
                    found.append(pid)
            except OSError:
                continue
        return found

    def _tasks(self, where: str) -> list[dict[str, Any]]:
        columns = "run_id, task_id, state, try_number, max_tries"
        return self._database.query(f"SELECT {columns} FROM task_instance WHERE {where}")  # noqa: S608

    def _log(self, row: dict[str, Any]) -> str:
        """Return the log of the try that has failed."""
        folder = self._stack.home / "logs"
        place = (
            f"dag_id={DAG_ID}/run_id={row['run_id']}/task_id={row['task_id']}/attempt={row['try_number']}.log"
        )
        path = folder / place
        return path.read_text(errors="replace") if path.exists() else ""


def run(home: Path, disturbances: int, seed: int) -> list[Bar]:
    """Disturb tasks that submit, and count jobs and lost waits."""
    began_at = time.monotonic()
    # The sandbox's, in this process.
    logging.disable(logging.WARNING)
    short = disturbances <= 20
    tasks, runs, pace = (1, 2, 3.0) if short else (2, 6, 5.0)
    env = {"PYTHONPATH": str(ROOT), "JOBSTATUS_CHAOS_TASKS": str(tasks)}
    with Sandbox() as sandbox, PostgresDatabase() as database:
        jobs_last(sandbox, LONG)
        stack = AirflowStack(home / "home", DAGS, env, triggerers=2, database=database, progress=print)
        with stack:
            for name, connection in connections(sandbox).items():
                stack.add_connection(name.replace("_chaos", "_default"), connection)
            disturber = Disturber(stack, database, sandbox, pace, seed)
            share = disturbances // runs
            ids = []
            for number in range(runs):
                ids.append(stack.trigger(DAG_ID))
                disturber.run(disturbances if number == runs - 1 else share * (number + 1))
                print(f"{time.monotonic() - began_at:6.0f} s  {dict(disturber.counts.done)}", flush=True)
            disturber.wake()
            _until(lambda: disturber.tasks_left("deferred") == 0, disturber)
            # A job that is submitted from now on ends soon.
            jobs_last(sandbox, SOON)
            sandbox.advance_clock(LONG * 2)
            _until(lambda: disturber.tasks_left("success") == 0, disturber)
            left = database.task_states("state IS DISTINCT FROM 'success'")
            results = database.query("SELECT run_id, task_id, value FROM xcom WHERE key = 'return_value'")
    counts = disturber.counts
    found = {f"{row['run_id']}-{row['task_id']}": row["value"]["job_id"] for row in results}
    jobs = {str(job["id"]) for job in sandbox.jobs()}
    posts = [
        str(request["body"])
        for request in sandbox.requests
        if request["method"] == "POST" and request["target"] in PATHS.values()
    ]
    names = {f"{run_id}-{vendor}-{number}" for run_id in ids for vendor in VENDORS for number in range(tasks)}
    doubles, lost = [], [f"{count} tasks {state}" for state, count in left.items()]
    # A job that two tasks take for their own is one that is lost.
    lost += [f"{job}: of {times} tasks" for job, times in Counter(found.values()).items() if times > 1]
    for name in sorted(names):
        sent = sum(name in body for body in posts)
        if sent > 1 + counts.unknown[name]:
            doubles.append(f"{name}: {sent} requests, {1 + counts.unknown[name]} asked for")
        if found.get(name) not in jobs:
            lost.append(f"{name}: {found.get(name)}")
    return [
        Bar("tasks", len(names)),
        *(Bar(f"times: {name}", count) for name, count in sorted(counts.done.items())),
        *(Bar(f"cleared while {name}", count) for name, count in sorted(counts.cleared.items())),
        Bar("requests for a job", len(posts)),
        Bar("clears after SubmissionUnknown", counts.unknown.total()),
        Bar("tasks that failed otherwise", len(counts.failed), 0, counts.failed),
        Bar("second jobs", len(doubles), 0, doubles),
        Bar("lost waits", len(lost), 0, lost),
        Bar("seconds", round(time.monotonic() - began_at)),
    ]


def _until(reached: Any, disturber: Disturber) -> None:
    give_up_at = time.monotonic() + _LIMIT
    while not reached() and time.monotonic() < give_up_at:
        disturber.step(kill=False)
        time.sleep(1.0)


def measure(folder: Path, disturbances: int, seed: int) -> list[Bar]:
    """Disturb so many times, and return what was counted."""
    return run(folder, disturbances, seed)


if __name__ == "__main__":
    sys.exit(command("dev.chaos.submissions_on_airflow", __doc__, measure, 200, "disturbances"))
