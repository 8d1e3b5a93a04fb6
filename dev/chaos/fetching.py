"""A worker that fetches a file in a process of its own, to be stopped there."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# Imported before the fork, where it is needed: a worker begins within milliseconds.
import airflow.providers.amazon.aws.fs.s3  # noqa: F401
import s3fs  # type: ignore[import-untyped]  # noqa: F401
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

import airflow_provider_jobstatus.files.download
import airflow_provider_jobstatus.transports.blocking  # noqa: F401
from airflow_provider_jobstatus.exceptions import JobStatusError
from airflow_provider_jobstatus.files import remote_file, retry_budget
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from dev.chaos.breaks import FAILED, STOPPED

with suppress(ImportError):  # a disk and an S3 do without
    importlib.import_module("sshfs")


@dataclass(frozen=True)
class Fetch:
    """What a worker does.

    :param part_bytes: size of an upload's parts
    :param log: file for all that it says; None: where this process says it
    :param sftp_port: of the server that `sftp://` means
    :param disk_bytes: no file may become larger
    :param memory: file for what is in `memory://` at the end, and the content of the destination before
    """

    destination: str
    part_bytes: int
    if_exists: str = "replace"
    log: Path | None = None
    sftp_port: int = 0
    disk_bytes: int | None = None
    memory: tuple[Path, bytes | None] | None = None


def start(fetch: Fetch) -> ForkServerProcess:
    """Start a worker with the environment of now."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dev.chaos.preload", __name__])
    process = context.Process(target=_work, args=(fetch, dict(os.environ)), daemon=True)
    process.start()
    return process


def _work(fetch: Fetch, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    remote_file.PART_BYTES = fetch.part_bytes
    retry_budget.MAX_TRIES = 1
    if fetch.log:
        # A full disk takes no log either.
        with (fetch.log if fetch.disk_bytes is None else Path(os.devnull)).open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
    if fetch.sftp_port:
        ssh = importlib.import_module("sshfs").SSHFileSystem
        attach("sftp", fs=ssh("127.0.0.1", port=fetch.sftp_port, username="anyone"))
    if fetch.disk_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (fetch.disk_bytes, resource.RLIM_INFINITY))
    memory = MemoryFileSystem()
    attach("memory", fs=memory)
    if fetch.memory and fetch.memory[1] is not None:
        memory.pipe_file(fetch.destination, fetch.memory[1])
    task = RulerDownloadRevenueFailuresOperator(
        task_id="fetch",
        job_id="site/job",
        destination=fetch.destination,
        if_exists=fetch.if_exists,  # type: ignore[arg-type]
    )
    signal.signal(signal.SIGTERM, lambda *_: task.on_kill())  # what Airflow's task runner does
    try:
        task.execute({})
    except JobStatusError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(FAILED)
    except SystemExit:
        sys.exit(STOPPED)
    finally:
        if fetch.memory:
            held = {path.rpartition("/")[2]: memory.cat_file(path).hex() for path in memory.store}
            fetch.memory[0].write_text(json.dumps(held))
