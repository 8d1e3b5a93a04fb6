"""`make demo`: a sandbox of the vendors, a real Airflow, each example DAG once, a table of what came out."""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from airflow_provider_jobstatus.sandbox import Sandbox
from dev import report, runs
from dev.airflow_environment import port_trouble
from dev.api import StackError
from dev.stack import AirflowStack

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".demo"


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep Airflow's page up until Ctrl-C")
    parser.add_argument("--port", default="", help="port of Airflow's page, a free one by default")
    arguments = parser.parse_args()
    # make may be stopped by any of these; a background shell even hands SIGINT down as ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What arrives is the vendor's text; a terminal that cannot show a letter is no reason to fail.
        sys.stdout.reconfigure(errors="replace")
    progress = report.Progress()
    try:
        port = _port(arguments.port)
        with _only_one():
            return _run(progress, port, keep=arguments.keep)
    except KeyboardInterrupt:
        progress.settle()
        return _trouble("stopped before the end; nothing is left running", code=130)
    except StackError as error:
        progress.settle()
        return _trouble(str(error))


def _run(progress: report.Progress, port: int | None, *, keep: bool) -> int:
    results = FOLDER / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    with Sandbox() as sandbox:
        progress.say(f"Sandbox of the vendors: {sandbox.api_url}")
        env = {**sandbox.environment(), "JOBSTATUS_DEMO_OUTPUT": str(results)}
        stack = AirflowStack(
            FOLDER / "airflow",
            ROOT / "example_dags",
            env,
            port=port,
            paused=True,
            progress=lambda message: progress.show([f"Airflow {stack.airflow_version}: {message}"]),
        )
        with stack:
            progress.say(f"Airflow {stack.airflow_version}: {stack.address}")
            progress.say(f"Running each example DAG once: {', '.join(stack.dag_ids())}")
            finished = runs.run_every_dag(
                stack,
                sandbox,
                watch=lambda snapshot: progress.show(report.snapshot_lines(snapshot)),
            )
            complaints = runs.shortcomings(finished)
            _conclude(progress, stack, finished, complaints)
            if keep:
                _keep(progress, stack)
    return 1 if complaints else 0


def _conclude(
    progress: report.Progress, stack: AirflowStack, finished: list[runs.RunReport], complaints: list[str]
) -> None:
    progress.say(f"\n{report.table(finished)}")
    progress.say(f"\n{report.files(finished)}")
    if rows := report.rejected_rows(finished):
        progress.say(f"\n{rows}")
    for failed in report.failures(finished):
        progress.say(f"\nThe end of the log of {failed.task.dag_id}.{failed.task.name}")
        progress.say("\n".join(stack.logs(failed.task).splitlines()[-8:]))
    progress.say()
    if complaints:
        for complaint in complaints:
            _trouble(complaint)
        _trouble(f"Airflow's own logs are in {stack.home / 'components'} and {stack.home / 'logs'}")
    else:
        waits = sum(task.has_waited for run in finished for task in run.tasks)
        progress.say(report.conclusion(len(report.failures(finished)), waits))


def _keep(progress: report.Progress, stack: AirflowStack) -> None:
    progress.say(
        f"\nAirflow's page: {stack.address}   user: {stack.username}   password: {stack.password}\n"
        "It stays until Ctrl-C."
    )
    try:
        while True:
            stack.check_alive()
            time.sleep(1.0)
    except KeyboardInterrupt:
        progress.say("\nStopping Airflow.")


@contextmanager
def _only_one() -> Iterator[None]:
    """Hold the folder: two demos at once would write into the same Airflow home."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "running").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StackError(
                f"another demo is running in this checkout (process {lock.read().strip()})"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"PORT must be a number from 1 to 65535, not {text!r}")
    if trouble := port_trouble(int(text)):
        raise StackError(
            f"cannot use port {text} for Airflow's page ({trouble}): "
            "name another one, or leave PORT out for a free one"
        )
    return int(text)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _trouble(text: str, code: int = 1) -> int:
    print(f"make demo: {text}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
