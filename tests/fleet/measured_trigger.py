"""
Wait for many jobs in a process of its own, and print by how much its memory grew, as JSON.

Usage: ``python -m tests.fleet.measured_trigger <jobs>``, with the connection ``aftercare_default`` in the
environment. Each job runs at the first question and has ended at the second. A wait for one job comes first,
so that what is imported on the way is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from tests.support.modes import first_event


def wait(jobs: int) -> int:
    """Wait as the triggerer does; return the size of the event in bytes."""
    now = time.time()
    ids = [f"job-{number}" for number in range(jobs)]
    waiting = BatchJobTrigger(
        "aftercare_default", ids, poll_interval=1.0, started_at=now, first_poll_at=now, deadline_at=now + 3600
    )
    return len(json.dumps(asyncio.run(first_event(waiting)).payload))


def memory_bytes(name: str) -> int:
    """Return a figure of ``/proc/self/status``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def main() -> None:
    """Run the command line."""
    wait(1)
    gc.collect()
    before, began = memory_bytes("VmRSS"), time.perf_counter()
    event_bytes = wait(int(sys.argv[1]))
    grown = memory_bytes("VmHWM") - before
    print(  # noqa: T201
        json.dumps({"event_bytes": event_bytes, "grown_bytes": grown, "seconds": time.perf_counter() - began})
    )


if __name__ == "__main__":
    main()
