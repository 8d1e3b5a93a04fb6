"""Tasks that submit a job each, at four vendors, and wait for its end."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from dev.chaos.jobs import VENDORS
from dev.chaos.orders import operator

#: Tasks a vendor.
TASKS = int(os.environ["JOBSTATUS_CHAOS_TASKS"])

with DAG("submissions", schedule=None, max_active_tasks=1000, max_active_runs=100):
    for vendor in VENDORS:
        for number in range(TASKS):
            operator(
                vendor,
                f"{{{{ run_id }}}}-{vendor}-{number}",
                task_id=f"{vendor}-{number}",
                wait=True,
                deferrable=True,
                poke_interval=20,
                timeout=7200,
                # Otherwise a mailing that may have been sent is refused for good.
                resubmit_when_cleared=vendor == "questionpro",
                # A worker's process is killed more often than a user's.
                retries=20,
                retry_delay=timedelta(seconds=2),
            )
