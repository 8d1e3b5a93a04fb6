"""
Wait for the coding of survey answers at Aftercare, and tell what became of it.

Needs the connection ``aftercare_default``. Give the batch's id when you trigger the DAG.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

with DAG(
    dag_id="aftercare_coding",
    schedule=None,
    params={"job_id": Param("coding-demo", type="string", title="<batchJobId>")},
    tags=["jobstatus", "aftercare"],
):
    wait_for_coding = BatchJobSensor(
        task_id="wait_for_coding",
        conn_id="aftercare_default",
        job_id="{{ params.job_id }}",
        poke_interval=5,
        timeout=6 * 60 * 60,
        allowed_states=("succeeded",),
        deferrable=True,
    )

    @task
    def tell(result: dict[str, Any]) -> str:
        return f"{result['job_id']} ended {result['vendor_status']}"

    tell(wait_for_coding.output)
