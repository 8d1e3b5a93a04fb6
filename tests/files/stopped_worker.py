"""A worker that fetches a file in a process of its own, to be stopped there by a signal."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess

# Imported before the fork, where it is needed: a worker begins within milliseconds.
import airflow.providers.amazon.aws.fs.s3  # noqa: F401
import s3fs  # noqa: F401

from airflow_provider_jobstatus.files import remote_file
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator


def start(destination: str, part_bytes: int) -> ForkServerProcess:
    """Start a worker with the environment of now."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dev.chaos.preload", __name__])
    process = context.Process(target=_fetch, args=(destination, part_bytes, dict(os.environ)), daemon=True)
    process.start()
    return process


def _fetch(destination: str, part_bytes: int, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    remote_file.PART_BYTES = part_bytes
    task = RulerDownloadRevenueFailuresOperator(task_id="fetch", job_id="site/job", destination=destination)
    signal.signal(signal.SIGTERM, lambda *_: task.on_kill())  # what Airflow's task runner does
    task.execute({})
