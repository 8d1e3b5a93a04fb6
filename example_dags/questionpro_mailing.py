"""
Wait until QuestionPro has delivered a mailing to a panel.

Needs the connection ``questionpro_default``. Give the batch's id when you trigger the DAG. QuestionPro does
not document its status words; the ones for a failure that you know belong into extra ``statuses`` of the
connection.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

with DAG(
    dag_id="questionpro_mailing",
    schedule=None,
    params={"job_id": Param("1001", type="string", title="<batchID>")},
    tags=["jobstatus", "questionpro"],
):
    wait_for_delivery = BatchJobSensor(
        task_id="wait_for_delivery",
        conn_id="questionpro_default",
        job_id="{{ params.job_id }}",
        poke_interval=5,
        timeout=2 * 60 * 60,
        deferrable=True,
    )

    @task
    def tell(result: dict[str, Any]) -> str:
        return f"mailing {result['job_id']}: {result['vendor_status']}"

    tell(wait_for_delivery.output)
