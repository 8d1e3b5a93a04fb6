"""Single runs of the benchmarks, each in processes of its own, and what several rounds of them say."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.service import Service

ROOT = Path(__file__).absolute().parents[1]
FOLDER = ROOT / "build" / "bench"

Record = dict[str, Any]


class RunError(Exception):
    """A run did not come to its end."""


def run(
    module: str = "benchmarks.waiting", tls: bool = False, settings: Record | None = None, **orders: Any
) -> Record:
    """
    Measure once: with a fresh server, in a fresh process.

    :param module: of the process; it takes its orders as one argument, and prints what it measured.
    :param settings: of the server.
    :param orders: such as those of :class:`benchmarks.waiting.Orders`, without the server's address.
    :raises RunError: the process ended badly.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    env = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(FOLDER),
        "AIRFLOW_HOME": str(FOLDER / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
    }
    with Service.started(tls) as service:
        service.order(**(settings or {}))
        command = [sys.executable, "-m", module, json.dumps({**orders, "url": service.url, "ca": service.ca})]
        done = subprocess.run(command, cwd=FOLDER, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"{orders}: a run ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    measured: Record = json.loads(done.stdout.splitlines()[-1])
    return measured


def rounds(cases: Sequence[Record], count: int, save: Callable[[list[Record]], None]) -> list[Record]:
    """
    Run every case once a round, so that a noisy minute hits all of them.

    :param cases: arguments of :func:`run`.
    :param save: told all records after each.
    :return: for each run its ``round``, its ``case`` and what it ``measured``.
    """
    records: list[Record] = []
    for number in range(count):
        for case in cases:
            orders = {name: value for name, value in case.items() if name != "part"}
            told = ", ".join(f"{name} {value}" for name, value in orders.items())
            print(f"round {number + 1} of {count}: {told}", file=sys.stderr, flush=True)
            measured = run(**orders, seed=number + 1)
            records.append({"round": number + 1, "case": case, "measured": measured})
            save(records)
    return records


def select(records: Iterable[Record], case: Record, **other: Any) -> dict[int, Record]:
    """Return what the runs of a case measured, or of one that differs in something, by round."""
    wanted = {**case, **other}
    return {record["round"]: record["measured"] for record in records if record["case"] == wanted}


def unique(records: Iterable[Record]) -> list[Record]:
    """Return each case once, in the order of the first round."""
    found: list[Record] = []
    for record in records:
        if record["case"] not in found:
            found.append(record["case"])
    return found


def over(values: dict[int, float], floor: dict[int, float]) -> list[float]:
    """Return each round's ratio to the floor of the same round."""
    return [value / floor[number] for number, value in values.items() if number in floor]


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """Return the median, with the least and the greatest."""
    known = list(values)
    if not known:
        return "-"
    median, least, most = statistics.median(known), min(known), max(known)
    if len(known) == 1:
        return f"{median:{form}}"
    return f"{median:{form}} ({least:{form}} to {most:{form}})"
