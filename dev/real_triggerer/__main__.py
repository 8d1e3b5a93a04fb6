"""
What deferred waits cost on a real Airflow: HttpSensor and BatchJobSensor, mapped, and one over a list.

    python -m dev.real_triggerer --waits 1000

Airflow's scheduler, dag-processor, triggerer and api-server, PostgreSQL and a status server run on 127.0.0.1.
Each DAG has a fresh triggerer and is measured in turn: an idle triggerer; all tasks until they are deferred;
some windows while all wait and no job ends; the jobs' ends, spread over a time, until all tasks have
succeeded. Airflow, this package and HttpSensor's provider are installed once, at pinned versions, into an
environment of their own under ``build/``. A full run takes one to two hours on two cores. Linux only.

Writes ``<output>.json``, with all that was measured, and ``<output>.md``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from dev import bootstrap

FOLDER = bootstrap.ROOT / "build" / "real-triggerer"
PEERS = Path(__file__).with_name("constraints.txt")
DAGS = Path(__file__).with_name("dags")


def run(given: argparse.Namespace, home: Path) -> None:
    """Measure all that was asked for; what is there is written after each DAG."""
    # Airflow is in the environment's interpreter only.
    from benchmarks.service import Service
    from dev.postgres import PostgresDatabase
    from dev.real_triggerer import table as real_table
    from dev.real_triggerer.measure import FIRST, Measurement
    from dev.real_triggerer.result import Result, Sizes
    from dev.real_triggerer.vendor import Vendor
    from dev.stack import AirflowStack

    sizes = Sizes(
        waits=given.waits,
        interval=given.interval,
        windows=given.windows,
        window=given.window,
        spread=given.spread_per_job * given.waits,
        settle=given.settle,
        limit=600.0 + 3.0 * given.waits + given.spread_per_job * given.waits,
    )
    jobs = range(FIRST + 1, FIRST + 1 + given.waits)
    # A change of the files meanwhile is not to be measured.
    dags = shutil.copytree(DAGS, home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    plan = home / "plan.json"
    plan.write_text(json.dumps({"jobs": list(jobs), "interval": given.interval, "timeout": 6 * 3600.0}))
    env = {
        "JOBSTATUS_BENCH_PLAN": str(plan),
        "AIRFLOW__CORE__PARALLELISM": str(given.parallelism),
        "AIRFLOW__CORE__MAX_MAP_LENGTH": str(given.waits + 100),
        "AIRFLOW__TRIGGERER__CAPACITY": str(given.waits + 100),
        "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "64",
    }
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "airflow": version("apache-airflow-core"),
        "http_provider": version("apache-airflow-providers-http"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "parallelism": given.parallelism,
        "sizes": dataclasses.asdict(sizes),
    }
    results: list[Result] = []
    began_at = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - began_at:6.0f} s  {message}", file=sys.stderr, flush=True)

    with (
        Service.started(pinned=False) as service,
        PostgresDatabase() as database,
        AirflowStack(home / "home", dags, env, database=database, progress=say) as stack,
    ):
        vendor = Vendor(service)
        for conn_id, connection in vendor.connections().items():
            stack.add_connection(conn_id, connection)
        measurement = Measurement(stack, database, vendor, sizes, jobs, say)
        measurement.warm_up()
        for subject in given.subjects:
            results.append(measurement.measure(subject))
            found = {"about": about, "results": [dataclasses.asdict(result) for result in results]}
            given.output.parent.mkdir(parents=True, exist_ok=True)
            given.output.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    table = real_table.markdown(about, results)
    given.output.with_suffix(".md").write_text(table)
    print(table)


def main() -> None:
    """Measure and print."""
    subjects = ("http_sensor", "ruler", "talkdesk", "ruler_list", "held")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--waits", type=int, default=1000, help="of each DAG (default 1000)")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two polls (default 5)")
    parser.add_argument(
        "--subjects", nargs="+", default=subjects, help=f"DAGs (default {' '.join(subjects)})"
    )
    parser.add_argument("--parallelism", type=int, default=4, help="tasks that run at once (default 4)")
    parser.add_argument("--windows", type=int, default=3, help="how many, idle and waiting (default 3)")
    parser.add_argument("--window", type=float, default=20.0, help="seconds of each (default 20)")
    parser.add_argument("--settle", type=float, default=20.0, help="seconds of rest before them (default 20)")
    parser.add_argument(
        "--spread-per-job", type=float, default=0.5, help="seconds between two ends (default 0.5)"
    )
    parser.add_argument("--output", type=Path, default=FOLDER / "result", help="without suffix")
    parser.add_argument("--keep", type=Path, default=None, help="folder for all logs; default: none is kept")
    given = parser.parse_args()
    bootstrap.enter("dev.real_triggerer", FOLDER / "venv", PEERS)
    # The triggerer keeps a log open for each wait.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="jobstatus-bench-") as folder:
        run(given, given.keep or Path(folder))


if __name__ == "__main__":
    main()
