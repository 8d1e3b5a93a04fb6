"""
Wait for a report at Talkdesk Explore, and fetch its file.

Needs the connection ``talkdesk_default``. Give the report's type and job id when you trigger the DAG.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG, Param

from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

# A local folder, or any URI such as s3://lake/talkdesk. A trailing slash would keep the storage's own file
# name.
OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108

with DAG(
    dag_id="talkdesk_report",
    schedule=None,
    params={"job_id": Param("calls/calls-demo", type="string", title="<report_type>/<jobId>")},
    tags=["jobstatus", "talkdesk"],
):
    job_id = "{{ params.job_id }}"

    wait_for_report = BatchJobSensor(
        task_id="wait_for_report",
        conn_id="talkdesk_default",
        job_id=job_id,
        poke_interval=5,
        timeout=2 * 60 * 60,
        deferrable=True,
    )
    fetch_report = TalkdeskDownloadReportOperator(
        task_id="fetch_report",
        job_id=job_id,
        destination=OUTPUT + "/{{ run_id }}/calls.csv",
    )
    wait_for_report >> fetch_report
