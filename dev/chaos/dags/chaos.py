"""Waits for many jobs at four vendors: mapped ones, ones that fail with their job, and one over a list."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

PLAN = json.loads(Path(os.environ["JOBSTATUS_CHAOS_PLAN"]).read_text())
USUAL = {
    "poke_interval": PLAN["poke_interval"],
    "timeout": 7200,
    "deferrable": True,
    # What a user sets against Airflow's own mishaps, such as an api-server that is down when a task begins.
    "retries": 3,
    "retry_delay": timedelta(seconds=5),
}

with DAG("chaos", schedule=None, max_active_tasks=2000):
    for vendor, jobs in PLAN["wait"].items():
        BatchJobSensor.partial(
            task_id=f"wait_{vendor}",
            conn_id=f"{vendor}_chaos",
            allowed_states=("succeeded", "partial", "failed"),
            skipped_states=("cancelled",),
            **USUAL,
        ).expand(job_id=jobs)
    for vendor, jobs in PLAN["strict"].items():
        strict = {**USUAL, "retries": 2}
        BatchJobSensor.partial(task_id=f"strict_{vendor}", conn_id=f"{vendor}_chaos", **strict).expand(
            job_id=jobs
        )
    for vendor, jobs in PLAN["list"].items():
        BatchJobSensor(
            task_id=f"list_{vendor}",
            conn_id=f"{vendor}_chaos",
            job_id=jobs,
            allowed_states=("succeeded", "partial", "failed", "cancelled"),
            **USUAL,
        )
