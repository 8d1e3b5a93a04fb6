"""
Wait for a batch upload at Ruler Analytics that may fail, and pull the rows that it rejected if it does.

A sensor that fails, times out or is skipped leaves in XCom what it knows of its jobs. So the next task can
look at it, with ``trigger_rule="all_done"``, as the sensor has failed. Of a job of which nothing is known,
``state`` is None. The length of a list is not there for a mapped task: loop over it, or map over a task that
returns it.

Needs the connection ``ruler_default``. Give the job's id when you trigger the DAG.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_jobstatus.operators.ruler import RulerDownloadFailuresOperator
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108

with DAG(
    dag_id="ruler_failed_upload",
    schedule=None,
    params={"job_id": Param("demo-site/revenue-rejected", type="string", title="<siteId>/<jobId>")},
    tags=["jobstatus", "ruler"],
):
    watch_upload = BatchJobSensor(
        task_id="watch_upload",
        conn_id="ruler_default",
        job_id="{{ params.job_id }}",
        allowed_states=("succeeded",),
        poke_interval=5,
        timeout=6 * 60 * 60,
        deferrable=True,
    )

    @task.branch(trigger_rule="all_done")
    def look_at_upload(upload: dict[str, Any] | None) -> str:
        """Choose the next task by what the sensor knows of the job."""
        match upload and upload["state"]:
            case "succeeded":
                return "go_on"
            case "failed" | "partial":
                return "pull_rejected_rows"
            case state:
                raise ValueError(f"the upload is {state or 'unknown'}, see the log of watch_upload")

    go_on = EmptyOperator(task_id="go_on")
    pull_rejected_rows = RulerDownloadFailuresOperator(
        task_id="pull_rejected_rows",
        job_id="{{ params.job_id }}",
        destination=OUTPUT + "/ruler/{{ run_id }}/failed.csv",
    )
    look_at_upload(watch_upload.output) >> [go_on, pull_rejected_rows]
