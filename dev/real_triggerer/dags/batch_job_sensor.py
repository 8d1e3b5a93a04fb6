"""The same waits with BatchJobSensor, mapped and over a list; one that is held does not ask meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

PLAN = json.loads(Path(os.environ["JOBSTATUS_BENCH_PLAN"]).read_text())
USUAL = {"poke_interval": PLAN["interval"], "timeout": PLAN["timeout"], "deferrable": True}
HELD = {**USUAL, "poke_interval": PLAN["timeout"]}
RULER = [f"bench/{job}" for job in PLAN["jobs"]]
TALKDESK = [f"calls/{job}" for job in PLAN["jobs"]]

# DAG: connection, jobs, other arguments. A sensor each for the first, one for all of the others.
MAPPED: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "ruler": ("bench_ruler", RULER, USUAL),
    "talkdesk": ("bench_talkdesk", TALKDESK, USUAL),
    "held": ("bench_ruler", RULER, HELD),
}
LISTS: dict[str, tuple[str, list[str]]] = {
    "ruler_list": ("bench_ruler", RULER),
    "talkdesk_list": ("bench_talkdesk", TALKDESK),
    "first_batch_job_sensor": ("bench_ruler", ["bench/1"]),
}

for dag_id, (conn_id, jobs, arguments) in MAPPED.items():
    with DAG(dag_id, schedule=None, max_active_tasks=100_000):
        BatchJobSensor.partial(task_id="wait", conn_id=conn_id, **arguments).expand(job_id=jobs)

for dag_id, (conn_id, jobs) in LISTS.items():
    with DAG(dag_id, schedule=None):
        BatchJobSensor(task_id="wait", conn_id=conn_id, job_id=jobs, **USUAL)
