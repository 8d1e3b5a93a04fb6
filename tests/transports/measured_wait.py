"""
Wait for one job in a process of its own, and print by how much its memory grew, as JSON.

Usage: ``python -m tests.transports.measured_wait <how> <small job> <large job>``. The small job is waited for
first, so that what is imported on the way is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import requests

from airflow_provider_jobstatus.hooks.connection_lookup import read_connection
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from tests.support.modes import TaskInstance, first_event, stored_and_loaded

CONN_ID = "aftercare_default"


def trigger(job_id: str) -> str:
    """Wait as the triggerer does."""
    now = time.time()
    # The first poll comes at the next point of the grid.
    waiting = stored_and_loaded(
        BatchJobTrigger(
            CONN_ID, [job_id], poll_interval=0.1, started_at=now, first_poll_at=now, deadline_at=now + 600
        )
    )
    (job,) = asyncio.run(first_event(waiting)).payload["jobs"]
    state: str = job["status"]["state"]
    return state


def worker(job_id: str) -> str:
    """Wait as the worker does."""
    context: Any = {"ti": TaskInstance()}
    sensor = BatchJobSensor(task_id="wait", conn_id=CONN_ID, job_id=job_id, deferrable=False)
    state: str = sensor.execute(context)["state"]
    return state


def careless(job_id: str) -> str:
    """Ask as one does who holds the whole reply."""
    connection = read_connection(CONN_ID)
    headers = {"X-Aftercare-Key": connection.password or ""}
    reply = requests.get(f"{connection.host}/coding/{job_id}", headers=headers, timeout=300)
    return "succeeded" if b'"completed"' in reply.content else "unknown"


def memory_bytes(name: str) -> int:
    """Return a figure of ``/proc/self/status``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def main(how: str, small_job: str, large_job: str) -> None:
    """Wait for both, and print what the second wait took."""
    wait = {"trigger": trigger, "worker": worker, "careless": careless}[how]
    assert wait(small_job) == "succeeded"
    gc.collect()
    # The high-water mark begins anew.
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory_bytes("VmRSS"), time.perf_counter()
    state = wait(large_job)
    seconds, after = time.perf_counter() - began, memory_bytes("VmHWM")
    result = {"state": state, "growth_bytes": after - before, "seconds": seconds}
    sys.stdout.write(f"RESULT {json.dumps(result)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
