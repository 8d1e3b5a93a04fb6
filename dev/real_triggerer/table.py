"""The tables of :mod:`dev.real_triggerer`: ratios first."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.real_triggerer.result import Result, Window

#: What the others are compared with.
PEER = "http_sensor"
_NAMES = {
    "http_sensor": "HttpSensor, mapped",
    "ruler": "BatchJobSensor, mapped, Ruler",
    "talkdesk": "BatchJobSensor, mapped, Talkdesk",
    "ruler_list": "one BatchJobSensor over the list, Ruler",
    "talkdesk_list": "one BatchJobSensor over the list, Talkdesk",
    "held": "BatchJobSensor, mapped, that asks nothing meanwhile",
}
_NOTES = """\
CPU is of all processes of Airflow and PostgreSQL, and again of the whole machine, all programs included. The
triggerer's CPU is that of its processes while all tasks are deferred and no job ends, less what it costs when
idle, as median (least to greatest) of the windows; so are requests and connections. Memory is what the
triggerer holds then, less what it held before. "End to answer" is from a job's end until its own status first
said so, "end to success" until Airflow's database has the task's success; of one sensor over a list, from
the last job's end. CPU to defer, and to finish, from the first end on, is less what an idle Airflow costs in
that time; the machine's is not.
"""

Values = Sequence[float]


def percentile(values: Values, share: float) -> float:
    """Return the value that ``share`` of all lie at or below."""
    ordered = sorted(values)
    return ordered[min(round(share * (len(ordered) - 1)), len(ordered) - 1)]


def rates(windows: Sequence[Window], of: Callable[[Window], float]) -> list[float]:
    """Return a figure of each window, per minute."""
    return [of(window) / window.seconds * 60 for window in windows]


def net_cpu(result: Result) -> list[float]:
    """Return the triggerer's CPU seconds per minute of each window, less those of an idle one."""
    idle = statistics.median(rates(result.idle, lambda window: window.cpu))
    return [rate - idle for rate in rates(result.windows, lambda window: window.cpu)]


def figures(result: Result) -> dict[str, Values]:
    """Return what is compared, by name: nothing, one value, or one a window."""
    assert result.defer is not None
    idle = statistics.median(rates(result.idle, lambda window: window.airflow)) / 60
    defer, finish = result.defer, result.finish
    return {
        "wall to defer, s": [result.exact_defer],
        "CPU to defer, s": [defer.airflow - idle * defer.seconds],
        "CPU to defer, machine, s": [defer.machine],
        "triggerer's CPU while waiting, s per min": net_cpu(result),
        "requests per min": rates(result.windows, lambda window: window.requests),
        "connections per min": rates(result.windows, lambda window: window.connections),
        "triggerer's memory (PSS), MiB": [result.memory.pss - result.idle_memory.pss],
        "triggerer's memory (RSS), MiB": [result.memory.rss - result.idle_memory.rss],
        "end to answer, p50, s": [percentile(result.served, 0.5)] if result.served else [],
        "end to answer, p99, s": [percentile(result.served, 0.99)] if result.served else [],
        "end to success, p50, s": [percentile(result.delays, 0.5)] if result.delays else [],
        "end to success, p99, s": [percentile(result.delays, 0.99)] if result.delays else [],
        "CPU to finish, s": [finish.airflow - idle * finish.seconds] if finish else [],
        "CPU to finish, machine, s": [finish.machine] if finish else [],
    }


def markdown(about: Mapping[str, Any], results: Sequence[Result]) -> str:
    """Return both tables, and how they are to be read."""
    sizes = about["sizes"]
    columns = {result.subject: figures(result) for result in results}
    lines = [
        f"{sizes['waits']} waits, a poll every {sizes['interval']:g} s, the jobs' ends spread over "
        f"{sizes['spread']:g} s. Airflow {about['airflow']}, HttpSensor {about['http_provider']}, "
        f"Python {about['python']}, {about['cores']} cores, parallelism {about['parallelism']}.",
        "",
    ]
    if PEER in columns:
        others = [subject for subject in columns if subject != PEER]
        lines += ["How many times ours HttpSensor's figure is: above 1, ours is less.", ""]
        lines += _head("ratio", others)
        for name, peer in columns[PEER].items():
            lines.append(
                _row(name.rsplit(", ", 1)[0], [_ratio(peer, columns[other][name]) for other in others])
            )
        lines.append("")
    lines += _head("figure", list(columns))
    for name in next(iter(columns.values())):
        lines.append(_row(name, [_figure(found[name]) for found in columns.values()]))
    return "\n".join([*lines, "", _NOTES])


def _head(title: str, subjects: Sequence[str]) -> list[str]:
    names = [title, *(_NAMES[subject] for subject in subjects)]
    return [_row(names[0], names[1:]), "|" + " --- |" * len(names)]


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"


def _ratio(peer: Values, ours: Values) -> str:
    if not peer or not ours:
        return ""
    above, below = statistics.median(peer), statistics.median(ours)
    # What is nothing but noise has no ratio.
    if below <= 0:
        return f"{above:.1f} to {below:.1f}"
    ratio = above / below
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def _figure(values: Values) -> str:
    if not values:
        return ""
    median = f"{statistics.median(values):.2f}"
    return median if len(values) == 1 else f"{median} ({min(values):.2f} to {max(values):.2f})"
