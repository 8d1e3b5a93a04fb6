"""
What ``adaptive=True`` gains over looks at a fixed interval: detection delay against requests per job.

No server and no real time: the real ``JobPoller`` is asked when to look, and told what a job of a model would
answer then. Worker and triggerer share a wait as in deferred mode: one look at once, the next at least 5 s
later, by another poller. For each fixed interval, adaptive's ``poke_interval`` is sought with which it sends
at most as many requests, and their delays are compared.

    python -m dev.adaptive [--seeds 3] [--kinds 60] [--jobs 40] [--processes 2]

Ends with 1 if a bar is missed in the mix.

What is assumed of the jobs:

- Kinds: their median durations lie evenly over the logarithm, from 2 s to 6 h. The durations of a kind's jobs
  are log-normal about its median; the deviation of the logarithm is the kind's own, even from 0.1 to 0.4.
- A kind's jobs come one after the other, and the wait for a job begins with it. The first of a kind finds no
  history.
- In the mix every other kind tells its progress, as Ruler does. Such a job waits for up to 15 % of its time,
  then works through twenty equal parts, each at a speed of its own (log-normal, 0.3); in one of ten jobs one
  part is five times as slow. After its last row it goes on for up to 5 % of its time at 100 %. Its counts
  move in steps of 0.1 % (a fourth of the jobs), 1 % (half) or 5 % (a fourth). It tells when it began and
  ended.
- All others tell nothing but that they run, and how long they took is known only by when that was seen.
- An answer takes no time, and none fails.

The hardest case is that of jobs of which nothing is known, neither progress nor history: for the slowest
hundredth of them little is better than to look at even intervals. Adaptive then finds young jobs soon, and
old ones late.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import math
import random
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, row_counts
from airflow_provider_jobstatus.waiting.completion import DurationHistory
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL, WaitSpec

#: Epoch seconds at which every wait begins.
START = 2.0**30
SHORTEST, LONGEST = 2.0, 6 * 3600.0
DEVIATIONS = (0.1, 0.4)
WAITS, ENDS, PARTS, UNEVEN = 0.15, 0.05, 20, 0.3
STEPS = (0.001, 0.01, 0.01, 0.05)
TOTAL_ROWS = 1000
#: How many times as good adaptive must be in the mix.
BAR = 2.0
INTERVALS = (15.0, 30.0, 60.0, 120.0, 240.0)
#: What a population is, and how many kinds in two tell their progress; whether durations are remembered.
POPULATIONS: dict[str, tuple[int, bool]] = {
    "mix": (1, True),
    "all tell progress": (2, True),
    "none tells, history": (0, True),
    "none tells, no history": (0, False),
}


@dataclass(frozen=True, slots=True)
class Job:
    """
    A job of the model.

    :param seconds: that it takes.
    :param marks: when each part of its rows is done, seconds after its beginning; empty if it does not tell.
    :param step: by which its share moves.
    """

    kind: int
    seconds: float
    marks: tuple[float, ...] = ()
    step: float = 1.0

    def status(self, age: float) -> JobStatus:
        """Return what the vendor answers at this age."""
        ended = age >= self.seconds
        state = JobState.SUCCEEDED if ended else JobState.RUNNING
        if not self.marks:
            return JobStatus("job", "vendor", state, state.value)
        share = self._share(age)
        return JobStatus(
            "job",
            "vendor",
            state,
            state.value,
            progress=int(share * 100),
            counts=row_counts(total=TOTAL_ROWS, processed=int(share * TOTAL_ROWS + 1e-6)),
            created_at=_iso(0.0),
            completed_at=_iso(self.seconds) if ended else None,
        )

    def _share(self, age: float) -> float:
        part = bisect.bisect(self.marks, age) - 1
        if part < 0:
            return 0.0
        if part >= PARTS:
            return 1.0
        done = (part + (age - self.marks[part]) / (self.marks[part + 1] - self.marks[part])) / PARTS
        return math.floor(done / self.step + 1e-9) * self.step


@dataclass(frozen=True, slots=True)
class Result:
    """What a way of looking cost and gained, over all jobs of a population."""

    interval: float
    requests: float
    median: float
    late: float  # 99th percentile


def _iso(age: float) -> str:
    return datetime.fromtimestamp(START + age, UTC).isoformat()


def make_jobs(telling: int, kinds: int, jobs: int, seed: int) -> list[Job]:
    """Return the jobs of a population, of ``telling`` kinds in two with progress."""
    chance = random.Random(seed)
    made = []
    for kind in range(kinds):
        median = SHORTEST * (LONGEST / SHORTEST) ** ((kind + chance.random()) / kinds)
        deviation = chance.uniform(*DEVIATIONS)
        for _ in range(jobs):
            seconds = min(max(median * math.exp(chance.gauss(0, deviation)), SHORTEST), LONGEST)
            if kind % 2 < telling:
                made.append(Job(kind, seconds, _marks(seconds, chance), chance.choice(STEPS)))
            else:
                made.append(Job(kind, seconds))
    return made


def _marks(seconds: float, chance: random.Random) -> tuple[float, ...]:
    begins, ends = seconds * chance.uniform(0, WAITS), seconds * (1 - chance.uniform(0, ENDS))
    parts = [math.exp(chance.gauss(0, UNEVEN)) for _ in range(PARTS)]
    if chance.random() < 0.1:
        parts[chance.randrange(PARTS)] *= 5
    scale = (ends - begins) / sum(parts)
    return tuple(itertools.accumulate((part * scale for part in parts), initial=begins))


def wait_for(
    job: Job, interval: float, adaptive: bool, durations: DurationHistory | None
) -> tuple[int, float]:
    """Return how many requests a wait for a job took, and how late it saw the end."""
    plan = WaitSpec(interval, START, START + interval, START + 30 * LONGEST, adaptive=adaptive)
    poller = JobPoller("job", plan, START, durations=durations)
    poller.observe(job.status(0.0), START)
    # As the sensor does when it defers.
    first_poll_at = max(poller.next_poll_at, START + MIN_DEFERRAL)
    poller = JobPoller("job", replace(plan, first_poll_at=first_poll_at), START, durations=durations)
    requests = 1
    now = START
    while poller.event is None:
        now = poller.next_poll_at
        poller.observe(job.status(now - START), now)
        requests += 1
    return requests, now - START - job.seconds


def simulate(jobs: list[Job], interval: float, adaptive: bool, history: bool) -> Result:
    """Return the cost and gain of waiting for these jobs."""
    kinds: dict[int, DurationHistory] = {}
    waits = [
        wait_for(job, interval, adaptive, kinds.setdefault(job.kind, DurationHistory()) if history else None)
        for job in jobs
    ]
    delays = sorted(delay for _, delay in waits)
    return Result(
        interval,
        statistics.fmean(requests for requests, _ in waits),
        statistics.median(delays),
        delays[math.ceil(0.99 * len(delays)) - 1],
    )


def compare(population: str, interval: float, kinds: int, jobs: int, seed: int) -> tuple[Result, Result]:
    """Return what looks at a fixed interval give, and what adaptive ones do for no more requests."""
    telling, history = POPULATIONS[population]
    made = make_jobs(telling, kinds, jobs, seed)
    fixed = simulate(made, interval, False, history)
    enough, too_few = math.inf, 0.0  # of the poll interval
    tried = 5 * interval
    best = None
    for _ in range(9):
        result = simulate(made, tried, True, history)
        if result.requests <= fixed.requests:
            enough = min(enough, tried)
            if best is None or result.interval < best.interval:
                best = result
            if result.requests > 0.985 * fixed.requests:
                break
        else:
            too_few = max(too_few, tried)
        guess = tried * (result.requests / (0.993 * fixed.requests)) ** 1.3
        if enough < math.inf and too_few and not too_few < guess < enough:
            guess = math.sqrt(enough * too_few)
        tried = min(guess, LONGEST)
    # Where no interval makes it so few, the last that was tried.
    return fixed, best or result


def main() -> int:
    """Simulate, print, and return 1 if a bar is missed in the mix."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="populations of each sort (default: 3)")
    parser.add_argument("--kinds", type=int, default=60, help="kinds of jobs in each (default: 60)")
    parser.add_argument("--jobs", type=int, default=40, help="jobs of each kind (default: 40)")
    parser.add_argument("--processes", type=int, default=2, help="that share the work (default: 2)")
    arguments = parser.parse_args()
    seeds = range(101, 101 + arguments.seeds)
    rows = [
        (population, interval)
        for population in POPULATIONS
        for interval in INTERVALS
        if population == "mix" or 30 <= interval <= 120
    ]
    print((__doc__ or "").partition("What is assumed")[2].join(["What is assumed", ""]))
    print(f"{arguments.kinds} kinds of {arguments.jobs} jobs; median (min to max) of {len(seeds)} seeds")
    print("adaptive's poke_interval is the shortest with which it sends no more requests than fixed looks\n")
    print(
        f"{'jobs':<24}{'fixed':>7}{'requests':>14}{'adaptive':>10}  {'median delay, s':<20}{'ratio':<22}"
        f"{'99th percentile, s':<20}{'ratio':<22}{'bar'}"
    )
    missed = False
    with ProcessPoolExecutor(arguments.processes) as pool:
        pending = {
            row: [pool.submit(compare, *row, arguments.kinds, arguments.jobs, seed) for seed in seeds]
            for row in rows
        }
        for (population, interval), futures in pending.items():
            pairs = [future.result() for future in futures]
            reached = tell(population, interval, pairs)
            if population == "mix":
                missed |= not reached
    return int(missed)


def tell(population: str, interval: float, pairs: list[tuple[Result, Result]]) -> bool:
    """Print a row, and return whether the bar is reached in the median of the seeds."""
    median = [fixed.median / adaptive.median for fixed, adaptive in pairs]
    late = [fixed.late / adaptive.late for fixed, adaptive in pairs]
    more = "" if all(adaptive.requests <= fixed.requests for fixed, adaptive in pairs) else ", more requests"
    reached = not more and statistics.median(median) >= BAR and statistics.median(late) >= BAR

    def middle(name: str, way: int) -> float:
        return float(statistics.median(getattr(pair[way], name) for pair in pairs))

    print(
        f"{population:<24}{interval:>5.0f} s"
        f"{middle('requests', 0):>7.1f}{middle('requests', 1):>7.1f}{middle('interval', 1):>8.0f} s"
        f"  {middle('median', 0):>6.1f} -> {middle('median', 1):<10.1f}{_spread(median):<22}"
        f"{middle('late', 0):>6.1f} -> {middle('late', 1):<10.1f}{_spread(late):<22}"
        f"{'reached' if reached else 'MISSED'}{more}",
        flush=True,
    )
    return reached


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
