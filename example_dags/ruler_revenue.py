"""
Wait for a batch upload of revenue at Ruler Analytics, and pull the rows that it rejected.

Needs the connection ``ruler_default``. Give the job's id when you trigger the DAG.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG, Param

from airflow_provider_jobstatus.operators.ruler import RulerDownloadFailuresOperator
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

# A local folder, or any URI such as s3://lake/ruler. A trailing slash would keep Ruler's own file name.
OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108

with DAG(
    dag_id="ruler_revenue",
    schedule=None,
    params={"job_id": Param("demo-site/revenue-demo", type="string", title="<siteId>/<jobId>")},
    tags=["jobstatus", "ruler"],
):
    job_id = "{{ params.job_id }}"

    wait_for_upload = BatchJobSensor(
        task_id="wait_for_upload",
        conn_id="ruler_default",
        job_id=job_id,
        poke_interval=5,
        timeout=6 * 60 * 60,
        deferrable=True,
    )
    pull_rejected_rows = RulerDownloadFailuresOperator(
        task_id="pull_rejected_rows",
        job_id=job_id,
        destination=OUTPUT + "/{{ run_id }}/rejected.csv",
    )
    wait_for_upload >> pull_rejected_rows
