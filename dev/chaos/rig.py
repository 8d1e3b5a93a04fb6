"""What all chaos runs share: the command line, the comparison with the truth, the table at the end."""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_jobstatus.sandbox.faults.random_faults import FaultReport
from dev.chaos.jobs import Job

#: How many of a vendor's requests meet a fault, of one.
FAULT_RATE = 0.2
_SHOWN = 10


@dataclass(frozen=True)
class Bar:
    """One line.

    :param value: what was counted
    :param most: what it may be at most, None if it is only reported
    :param details: what was counted, to be shown if there was too much of it
    """

    name: str
    value: int
    most: int | None = None
    details: Iterable[object] = field(default=(), repr=False)

    @property
    def missed(self) -> bool:
        """Whether there is too much of it."""
        return self.most is not None and self.value > self.most


@dataclass(frozen=True)
class Finished:
    """What is left to count when all waits are over.

    :param lost: jobs of which no end was reported
    :param wrong: jobs of which another end was reported
    :param twice: waits that were completed more than once
    :param early: calls that came before the `Retry-After` that their caller had received
    :param told_another: early calls whose `Retry-After` another process had received
    :param leaks: where a secret was found
    :param more: what only this run counts
    """

    waits: int
    lost: Sequence[str]
    wrong: Sequence[str]
    twice: Sequence[object]
    polls: int
    faults: FaultReport
    early: Sequence[object]
    told_another: int
    leaks: Sequence[object]
    seconds: float
    more: Sequence[Bar]

    def bars(self) -> list[Bar]:
        """Return the table of the run, with what each figure must be."""
        met = self.faults["faults"]
        return [
            Bar("waits", self.waits),
            *(
                Bar(name, len(found), 0, found)
                for name, found in (
                    ("lost", self.lost),
                    ("finished twice", self.twice),
                    ("wrong state", self.wrong),
                    ("early calls after Retry-After", self.early),
                    ("secrets found", self.leaks),
                )
            ),
            Bar("early calls whose `Retry-After` another process had received", self.told_another),
            Bar("polls", self.polls),
            Bar("requests", self.faults["requests"]),
            Bar(
                "faults", sum(met.values()), None, [f"{name}: {count}" for name, count in sorted(met.items())]
            ),
            *self.more,
            Bar("seconds", round(self.seconds)),
        ]


def compare(
    jobs: Iterable[Job], reported: Mapping[tuple[str, str], str], truth: Mapping[tuple[str, str], str]
) -> tuple[list[str], list[str]]:
    """Return the jobs of which no end was reported, and those of which another one was.

    :param reported: how each job has ended as its wait says, by vendor and id
    :param truth: how each has ended
    """
    lost, wrong = [], []
    for job in jobs:
        key = job.vendor, job.job_id
        if key not in reported:
            lost.append(f"{job.job_id}: no end, truly {truth[key]}")
        elif reported[key] != truth[key]:
            wrong.append(f"{job.job_id}: {reported[key]}, truly {truth[key]}")
    return lost, wrong


def command(
    name: str,
    about: str | None,
    measure: Callable[[Path, int, int], Sequence[Bar]],
    usual: int,
    what: str = "waits",
    arguments: Sequence[str] | None = None,
) -> int:
    """Run it and print the table; the exit code is 1 if a bar is missed.

    :param name: of the module
    :param about: its docstring
    :param measure: takes a folder for everything that is written, how many, and the seed of all dice
    :param usual: how many, if not said
    :param what: there are so many of
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument(f"--{what}", dest="count", type=int, default=usual)
    parser.add_argument("--seed", type=int, default=None, help="default: any")
    parser.add_argument("--keep", type=Path, default=None, help="folder for all logs; default: none is kept")
    given = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    print(f"{given.count} {what}, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jobstatus-chaos-") as folder:
        home = given.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        # Airflow writes its configuration where it is imported first.
        os.environ["AIRFLOW_HOME"] = str(home)
        bars = measure(home, given.count, seed)
    title = (about or "").strip().partition("\n")[0]
    return show(title, bars, f"python -m {name} --{what} {given.count} --seed {seed}")


def show(title: str, bars: Sequence[Bar], replay: str) -> int:
    """Print the table, and what was missed; return the exit code.

    :param title: what the table is of
    :param bars: its lines
    :param replay: the command that repeats the run
    """
    width = max(len(bar.name) for bar in bars)
    print(f"\n{title}")
    for bar in bars:
        print(f"  {bar.name:<{width}}  {bar.value:>12,}{'   <-- must be 0' if bar.missed else ''}")
    for bar in bars:
        if bar.missed or bar.most is None:
            for detail in list(bar.details)[:_SHOWN]:
                print(f"    {bar.name}: {detail}")
    missed = [bar.name for bar in bars if bar.missed]
    print(f"{'missed: ' + ', '.join(missed) if missed else 'all bars are met'}; to repeat it: {replay}\n")
    return 1 if missed else 0
