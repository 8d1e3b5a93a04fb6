"""How 1,000 waits come back after a restart of the triggerer: all at once, or as they were."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.runs import Record, select, spread, unique
from benchmarks.status_jobs import BUCKET

INTERVAL = 10.0
NAMES = {
    ("floor", False): "floor",
    ("http_sensor", False): "`HttpSensorTrigger`",
    ("ours", False): "`BatchJobTrigger`, waits begun at any time",
    ("ours", True): "`BatchJobTrigger`, waits begun at one moment",
}


def cases(quick: bool) -> list[Record]:
    """Return the runs of a round."""
    usual: Record = {"waits": 1000, "interval": INTERVAL, "age": 1000.0, "hold": 1e6}
    return [
        {"waiter": waiter, "together": together, **usual, "stop": INTERVAL * (2 if quick else 4)}
        for waiter, together in NAMES
    ]


def rates(run: Record, stop: float) -> list[float]:
    """Return the requests of each tenth of a second, from the beginning to the end of a run."""
    buckets = run["server"]["buckets"]
    first = int(run["began_at"] / BUCKET)
    return [buckets.get(str(first + number), 0) for number in range(int(stop / BUCKET))]


def peak_over_mean(run: Record, stop: float) -> float:
    """Return the requests of the worst second over those of a usual one."""
    counts = rates(run, stop)
    width = round(1 / BUCKET)
    worst = max(sum(counts[at : at + width]) for at in range(len(counts) - width + 1))
    return worst / (sum(counts) / stop)


def tables(records: Sequence[Record]) -> list[str]:
    """Return the table in Markdown."""
    lines = [
        "| 1,000 waits, 10 s | worst second over the mean | requests per second, mean |",
        "| --- | --- | --- |",
    ]
    for case in unique(records):
        runs = list(select(records, case).values())
        means = [sum(rates(run, case["stop"])) / case["stop"] for run in runs]
        lines.append(
            f"| {NAMES[case['waiter'], case['together']]} "
            f"| {spread(peak_over_mean(run, case['stop']) for run in runs)} | {spread(means, '.0f')} |"
        )
    return lines
