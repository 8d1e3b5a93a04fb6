"""Without Airflow: nothing is submitted twice and nothing is lost, wherever a worker is killed.

A worker's process is killed with `kill -9` at six points of a submission, and replies of the vendor get lost.
Then the task is tried again, and cleared where it says that nobody knows whether there is a job.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_jobstatus.sandbox import Sandbox
from dev.chaos.jobs import VENDORS
from dev.chaos.orders import PATHS, jobs_last
from dev.chaos.rig import Bar, command
from dev.chaos.tries import FileStore, Point, Try, TryServer, preload

#: What an author of a DAG gives a task; clears add as many.
RETRIES = 3
#: So many tries without an end count as a lost run.
MOST_TRIES = 16
#: After so many tries nothing happens any more: what is killed each time ends never.
MISHAPS = 8
#: Where the store's calls stand in a submission, by point.
POINTS: Mapping[str, Sequence[Point]] = {
    "1 before the intent is kept": [("get", 0, True), ("get", 0, False), ("set", 0, True)],
    "2 intent kept, nothing sent": [("set", 0, False), ("get", 1, True), ("get", 1, False)],
    "3 sent, reply not there": [],
    "4 reply there, id not kept": [("set", 1, True)],
    "5 id kept, before return or deferral": [("set", 1, False)],
    "6 during the wait": [],
}
LOST = "a lost reply"
#: Jobs end after so many seconds.
LASTING = 1.5
REPLIES: Sequence[Mapping[str, object]] = (
    {"disconnect": True},
    {"http": 500},
    {"http": 504, "body": "<html>"},
    {"http": 200, "body": "<html>"},
    {"http": 302, "headers": {"Location": "/login"}},
    {"http": 403, "body": "<html>"},
)


@dataclass
class Counts:
    """What was counted at one vendor.

    :param asked: jobs that were asked for: one a run, and one for each clear after `SubmissionUnknown`
    """

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    tries: int = 0
    unknown: int = 0
    asked: int = 0
    made: int = 0
    doubles: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Add what was counted elsewhere."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Runs:
    """Runs of a task at one vendor.

    :param folder: for everything that is written
    :param server: runs the tries
    """

    def __init__(self, vendor: str, folder: Path, server: TryServer, sandbox: Sandbox, seed: int) -> None:
        self.counts = Counts()
        self._vendor, self._folder, self._server, self._sandbox = vendor, folder, server, sandbox
        self._dice = random.Random(f"{seed} {vendor}")
        connection = json.dumps(sandbox.connection(vendor))
        self._env = {f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT": connection}
        jobs_last(sandbox, LASTING)
        self._known = self._jobs()

    def run(self, point: str, *, kept: bool = True) -> bool:
        """Run a task to its end, with a mishap in its first try, and in some of the others.

        :return: whether the first try met with it
        """
        counts, number, max_tries, unknown, met = self.counts, 0, RETRIES, 0, False
        counts.runs += 1
        task = self._folder / f"{self._folder.name}-{self._vendor}-{counts.runs}"
        task.mkdir()
        name = f"{point}, run {task.name}"
        given = self._arguments(point, task)
        ended: dict[str, Any] | None = None
        while number < MOST_TRIES:
            number += 1
            mishap = point if number == 1 else self._dice.choice([*POINTS, *[""] * 10]) if kept else ""
            mishap = mishap if number <= MISHAPS else ""
            dies: Point | None = self._dice.choice(POINTS.get(mishap) or [None])
            if dies is not None and self._vendor == "questionpro" and number == 1:
                # Before all else its first try notes that it has begun: a call of each kind.
                dies = (dies[0], dies[1] + 1, dies[2])
            plan = Try(
                vendor=self._vendor, folder=str(task), number=number, max_tries=max_tries, env=self._env,
                given=given, kept=kept, dies=dies,
            )  # fmt: skip
            ended = self._server.run(plan, self._prepare(mishap, task, kept))
            counts.tries += 1
            met = met or (number == 1 and (ended is None or point == LOST))
            if ended is None:
                counts.kills[mishap] += 1
                continue
            if "job_id" in ended:
                break
            if ended["error"] == "SubmissionUnknown":
                unknown += 1
                # A person looks at the vendor's page, and clears the task.
                max_tries = number + RETRIES
                given = {**given, "resubmit_when_cleared": self._vendor == "questionpro"}
            elif ended["final"] or number > max_tries:
                break
        self._judge(name, ended, unknown)
        return met

    def _judge(self, name: str, ended: Mapping[str, Any] | None, unknown: int) -> None:
        counts, jobs = self.counts, self._jobs()
        made, self._known = jobs - self._known, jobs
        counts.unknown += unknown
        counts.asked += 1 + unknown
        counts.made += len(made)
        if len(made) > 1 + unknown:
            counts.doubles.append(f"{name}: {len(made)} jobs, {1 + unknown} asked for")
        if ended is None or ended.get("job_id") not in made:
            counts.lost.append(f"{name}: {ended}")

    def _arguments(self, point: str, task: Path) -> dict[str, Any]:
        waits = point.startswith("6") or self._dice.random() < 0.25
        deferrable = not point.startswith("6") and self._dice.random() < 0.7
        wait = {"wait": True, "deferrable": deferrable, "poke_interval": 1, "timeout": 60}
        fetch = {"fetch": f"{task}/report.csv"} if self._vendor == "talkdesk" else {}
        return {"retries": RETRIES, **({**wait, **fetch} if waits else {})}

    def _prepare(self, mishap: str, task: Path, kept: bool) -> Callable[[], bool]:
        """Let the vendor lose its reply, and return what says when the process is killed from outside."""
        script: list[object] = []
        if mishap == LOST:
            script.append({"after_work": self._dice.random() < 0.7, **self._dice.choice(REPLIES)})
        if mishap.startswith("3"):
            # Long enough for the process to be gone.
            script.append({"after_work": True, "delay_seconds": 3, "http": 500})
        self._sandbox.put_answers(PATHS[self._vendor], script, method="POST")
        began_at, store, known = 0.0, FileStore(task / "state.json"), len(self._jobs())
        pause = self._dice.uniform(0, 0.05 if mishap.startswith("3") else 2.2)

        def watch() -> bool:
            nonlocal began_at
            if mishap[:1] not in ("3", "6"):
                return False
            if not began_at:
                begun = (
                    len(self._jobs()) > known
                    if mishap.startswith("3") or not kept
                    else any(record["state"] == "made" for record in store.read().values())
                )
                began_at = time.monotonic() if begun else 0.0
            return bool(began_at) and time.monotonic() >= began_at + pause

        return watch

    def _jobs(self) -> set[str]:
        return {str(job["id"]) for job in self._sandbox.jobs() if job["vendor"] == self._vendor}


def run(folder: Path, times: int, seed: int) -> list[Bar]:
    """Kill a worker so many times at each point, for each vendor, and lose as many replies."""
    began_at = time.monotonic()
    # The sandbox's, in this process.
    logging.disable(logging.WARNING)
    preload()
    servers = {vendor: TryServer() for vendor in VENDORS}

    def at(vendor: str) -> tuple[Counts, Counts]:
        counted = []
        with Sandbox() as sandbox:
            for kept in (True, False):
                home = folder / ("kept" if kept else "not-kept")
                home.mkdir(exist_ok=True)
                runs = Runs(vendor, home, servers[vendor], sandbox, seed)
                # Below Airflow 3.3 nothing helps against a kill but the vendor's own list.
                found = vendor in ("questionpro", "talkdesk")
                points = list(POINTS) if kept else [point for point in POINTS if found and point[0] in "36"]
                for point in (*points, LOST):
                    wanted = times if kept else min(times, 5)
                    while wanted:
                        # A wait may be over before the process is killed.
                        wanted -= runs.run(point, kept=kept)
                counted.append(runs.counts)
        return counted[0], counted[1]

    with ThreadPoolExecutor(len(servers)) as pool:
        both = list(pool.map(at, servers))
    for server in servers.values():
        server.stop()
    bars = []
    for name, some in (("", [kept for kept, _ in both]), (" below Airflow 3.3", [not_ for _, not_ in both])):
        total = Counts()
        for counts in some:
            total.add(counts)
        kills = [f"{point}: {count}" for point, count in sorted(total.kills.items())]
        bars += [
            Bar(f"runs{name}", total.runs),
            Bar(f"processes killed{name}", total.kills.total(), None, kills),
            Bar(f"tries{name}", total.tries),
            Bar(f"ends as SubmissionUnknown, then cleared{name}", total.unknown),
            Bar(f"jobs asked for{name}", total.asked),
            Bar(f"jobs made{name}", total.made),
            Bar(f"jobs that nobody asked for{name}", len(total.doubles), 0, total.doubles),
            Bar(f"lost runs{name}", len(total.lost), 0, total.lost),
        ]
    return [*bars, Bar("seconds", round(time.monotonic() - began_at))]


def measure(folder: Path, kills: int, seed: int) -> list[Bar]:
    """Kill so many processes, and return what was counted."""
    return run(folder, max(1, kills // (len(VENDORS) * len(POINTS))), seed)


if __name__ == "__main__":
    sys.exit(command("dev.chaos.submissions", __doc__, measure, 1200, "kills"))
