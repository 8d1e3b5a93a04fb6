"""
Measure everything that docs/performance.md says about waits, and print it as tables.

    python -m benchmarks [--quick] [--only waits,fleet] [--rounds N] [--report]

Makes its environment once, under ``build/bench``, where the results of every run are kept as JSON.
The tables go to ``tables.md`` beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import coding_results, environment, fleet, limits, restart, soak, waits
from benchmarks.runs import FOLDER, Record, rounds


@dataclass(frozen=True)
class Part:
    """
    One question of the benchmarks.

    :param title: as a heading.
    :param cases: the runs of a round, by whether it is a quick one.
    :param tables: the lines that show the records.
    :param repeated: whether one round is not enough.
    :param rounds: how many there are, unless they are counted or quick.
    """

    title: str
    cases: Callable[[bool], list[Record]]
    tables: Callable[[Sequence[Record]], list[str]]
    repeated: bool = True
    rounds: int = 3


def main() -> None:
    """Measure, save, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes, and figures that are but a hint")
    parser.add_argument(
        "--only", default="", help="waits, fleet, limits, restart, results, soak; all by default"
    )
    parser.add_argument("--rounds", type=int, help="of each comparison (default: 3 or 9; quick: 1)")
    parser.add_argument("--polls", type=int, default=1_000_000, help="of the soak")
    parser.add_argument("--seconds", type=float, default=600.0, help="of the run against a limit")
    parser.add_argument("--report", action="store_true", help="measure nothing: show what was measured last")
    arguments = parser.parse_args()
    environment.enter("benchmarks")
    parts = {
        "waits": Part("Waits in one event loop", waits.suite, waits.tables),
        "fleet": Part("Lists of jobs", fleet.cases, fleet.tables),
        "limits": Part(
            "A key with a limit",
            partial(limits.cases, seconds=arguments.seconds),
            limits.tables,
            repeated=False,
        ),
        "restart": Part("After a restart", restart.cases, restart.tables),
        "results": Part("Rows of results", coding_results.cases, coding_results.tables, rounds=9),
        "soak": Part("Soak", partial(soak.cases, polls=arguments.polls), soak.tables, repeated=False),
    }
    chosen = arguments.only.split(",") if arguments.only else list(parts)
    if unknown := set(chosen) - set(parts):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    results = FOLDER / ("quick" if arguments.quick else "results")
    results.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        part, file = parts[name], results / f"{name}.json"
        count = arguments.rounds or (1 if arguments.quick else part.rounds)

        def save(records: list[Record], file: os.PathLike[str] = file) -> None:
            with open(file, "w") as stream:
                json.dump(records, stream)

        if not arguments.report:
            rounds(part.cases(arguments.quick), count if part.repeated else 1, save)
    # Parts that were measured earlier stay in the file.
    known = {name: results / f"{name}.json" for name in parts if (results / f"{name}.json").is_file()}
    shown = {
        name: "\n".join(
            [f"## {parts[name].title}", "", *parts[name].tables(json.loads(file.read_text())), ""]
        )
        for name, file in known.items()
    }
    head = f"Airflow {version()}, Python {platform.python_version()}, {os.cpu_count()} cores\n"
    (results / "tables.md").write_text("\n".join([head, *shown.values()]))
    print("\n".join([head, *(shown[name] for name in chosen)]))


def version() -> str:
    """Return Airflow's version."""
    from importlib.metadata import version as installed

    return installed("apache-airflow")


if __name__ == "__main__":
    main()
