"""The charts of the benchmarks: SVG, in colours that everybody can tell apart, with markers beside."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from benchmarks import fleet as fleets
from benchmarks import restart as restarts
from benchmarks.runs import Record, over, select, unique

Folder = PathLike[str]

#: Of Okabe and Ito; a marker and a dash each, for print in grey.
STYLES = {
    "floor": ("#000000", "o", "--", "floor: bare aiohttp"),
    "ours": ("#0072B2", "s", "-", "BatchJobTrigger"),
    "http_sensor": ("#D55E00", "^", "-", "HttpSensorTrigger"),
    "dbt_cloud": ("#009E73", "v", "-", "DbtCloudRunJobTrigger"),
    "databricks": ("#CC79A7", "D", "-", "DatabricksExecutionTrigger"),
}
#: Least delay, in seconds, that the chart of delays tells apart.
LEAST = 0.01


def nothing(records: Sequence[Record], folder: Folder) -> None:
    """Draw nothing: a table says it all."""


def waits(records: Sequence[Record], folder: Folder) -> None:
    """Draw what polls cost and how late ends are known, over the number of waits."""
    plain = [case for case in unique(records) if case["together"] and not case.get("heartbeat")]
    plain = [case for case in plain if not case.get("window")]
    pictures: list[tuple[str, str, Any]] = [
        ("bench-cpu.svg", "CPU per poll, ratio to the floor", _ratio),
        ("bench-load.svg", "share of one core in use, %", lambda _, run: run["cpu"] / run["wall"] * 100),
        (
            "bench-late.svg",
            "end known after the interval, 99th percentile, s",
            lambda _, run: max(run["beyond"]["p99"], LEAST),
        ),
    ]
    for name, label, value in pictures:
        figure, panels = _figure(2)
        for panel, tls in zip(panels, (False, True), strict=True):
            for waiter, (colour, marker, dash, title) in STYLES.items():
                cases = [case for case in plain if case["tls"] is tls and case["waiter"] == waiter]
                if not cases:
                    continue
                found = [
                    (case["waits"], _values(records, case, value))
                    for case in sorted(cases, key=lambda case: case["waits"])
                ]
                _line(panel, found, colour, marker, dash, title)
            panel.set_title("HTTPS" if tls else "HTTP")
            panel.set_xscale("log")
            panel.set_xlabel("waits in one event loop")
            panel.set_ylabel(label)
            if name != "bench-load.svg":
                panel.set_yscale("log")
                panel.yaxis.set_major_formatter("{x:g}")
            panel.xaxis.set_major_formatter("{x:,.0f}")
        panels[0].legend(frameon=False, fontsize=8)
        _save(figure, folder, name)


def _ratio(floor: Record, run: Record) -> float:
    return float(run["cpu"] / run["polls"] / (floor["cpu"] / floor["polls"]))


def _values(records: Sequence[Record], case: Record, value: Any) -> list[float]:
    floor = select(records, case, waiter="floor")
    return [value(floor[number], run) for number, run in select(records, case).items() if number in floor]


def fleet(records: Sequence[Record], folder: Folder) -> None:
    """Draw from how many waits a list pays, and what strangers in it cost."""
    figure, (left, right) = _figure(2)
    for lists, colour, marker, dash, title in (
        ("never", "#D55E00", "^", "--", "a question each"),
        ("always", "#0072B2", "s", "-", "one list"),
    ):
        found = [
            (case["waits"], _spent(records, case))
            for case in unique(records)
            if case["part"] == "few" and case["lists"] == lists
        ]
        _line(left, found, colour, marker, dash, title)
    left.set_xlabel("waits on the same list")
    left.set_ylabel("CPU per interval, ms")
    left.legend(frameon=False, fontsize=8)
    among = [case for case in unique(records) if case["part"] == "strangers"]
    single = select(records, among[-1])
    found = []
    for case in among[:-1]:
        costs = {number: fleets.per_interval(run, case)[1] for number, run in select(records, case).items()}
        floor = {number: fleets.per_interval(run, among[-1])[1] for number, run in single.items()}
        found.append((case["settings"]["strangers"], over(costs, floor)))
    _line(right, found, "#0072B2", "s", "-", "one list")
    right.axhline(1.0, color="#000000", linestyle=":", linewidth=1)
    right.set_xlabel(f"entries that are nobody's, beside {fleets.AMONG_STRANGERS}")
    right.set_ylabel("CPU, ratio to a question each")
    _save(figure, folder, "bench-lists.svg")


def _spent(records: Sequence[Record], case: Record) -> list[float]:
    return [fleets.per_interval(run, case)[1] * 1000 for run in select(records, case).values()]


def restart(records: Sequence[Record], folder: Folder) -> None:
    """Draw the requests of each second after a restart, of the first round."""
    figure, (panel,) = _figure(1)
    colours = {"floor": "#000000", "http_sensor": "#D55E00", "ours": "#0072B2"}
    for case in unique(records):
        if case["waiter"] == "ours" and case["together"]:
            colour, dash = "#56B4E9", "-."
        else:
            colour, dash = colours[case["waiter"]], STYLES[case["waiter"]][2]
        counts = restarts.rates(next(iter(select(records, case).values())), case["stop"])
        seconds = [sum(counts[at : at + 10]) for at in range(0, len(counts), 10)]
        title = restarts.NAMES[case["waiter"], case["together"]].replace("`", "")
        panel.step(range(len(seconds)), seconds, where="post", color=colour, linestyle=dash, label=title)
    panel.set_yscale("symlog", linthresh=100)
    panel.yaxis.set_major_formatter("{x:,.0f}")
    panel.set_xlabel("seconds after the restart")
    panel.set_ylabel("requests in that second")
    panel.legend(frameon=False, fontsize=8)
    _save(figure, folder, "bench-restart.svg")


def soak(records: Sequence[Record], folder: Folder) -> None:
    """Draw the memory over the polls."""
    figure, (panel,) = _figure(1)
    samples = records[0]["measured"]["samples"]
    panel.plot([sample[1] for sample in samples], [sample[2] / 2**20 for sample in samples], color="#0072B2")
    panel.set_ylim(bottom=0)
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.set_xlabel("polls so far")
    panel.set_ylabel("resident memory, MiB")
    _save(figure, folder, "bench-soak.svg")


def _figure(panels: int) -> Any:
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures make the same file.
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, panels, figsize=(4.6 * panels + 0.4, 3.6), squeeze=False)
    for panel in axes[0]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    return figure, axes[0]


def _line(
    panel: Any, found: Iterable[tuple[float, list[float]]], colour: str, marker: str, dash: str, title: str
) -> None:
    """Draw medians, with bars from the least to the greatest."""
    points = [(at, values) for at, values in found if values]
    middles = [statistics.median(values) for _, values in points]
    below = [middle - min(values) for middle, (_, values) in zip(middles, points, strict=True)]
    above = [max(values) - middle for middle, (_, values) in zip(middles, points, strict=True)]
    panel.errorbar(
        [at for at, _ in points],
        middles,
        yerr=[below, above],
        color=colour,
        marker=marker,
        markersize=5,
        linestyle=dash,
        linewidth=1.4,
        capsize=2,
        label=title,
    )


def _save(figure: Any, folder: Folder, name: str) -> None:
    from matplotlib import pyplot

    figure.tight_layout()
    figure.savefig(Path(folder, name), metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
