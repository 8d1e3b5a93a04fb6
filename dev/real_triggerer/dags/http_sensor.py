"""Airflow's own way to wait for many jobs: a mapped HttpSensor, which waits for a 404 to end."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

PLAN = json.loads(Path(os.environ["JOBSTATUS_BENCH_PLAN"]).read_text())
USUAL = {
    "task_id": "wait",
    "http_conn_id": "bench_http",
    "method": "GET",
    "poke_interval": PLAN["interval"],
    "timeout": PLAN["timeout"],
    "deferrable": True,
}

with DAG("http_sensor", schedule=None, max_active_tasks=100_000):
    HttpSensor.partial(**USUAL).expand(endpoint=[f"/ready/{job}" for job in PLAN["jobs"]])

with DAG("first_http_sensor", schedule=None):
    HttpSensor(endpoint="/ready/1", **USUAL)
