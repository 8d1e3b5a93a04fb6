"""Waits and downloads at vendors that fail in every way and repeat each secret; for test_secrets.py."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108

#: DAG: connection, job id, mode.
WAITS = {
    "aftercare_deferred": ("aftercare", "deferred", "deferred"),
    "aftercare_refused": ("aftercare", "refused", "deferred"),
    "questionpro_deferred": ("questionpro", "7", "deferred"),
    "questionpro_lost": ("questionpro", "8", "deferred"),
    "ruler_deferred": ("ruler", "site/deferred", "deferred"),
    "ruler_fails": ("ruler", "site/fails", "deferred"),
    "ruler_login_refused": ("ruler_login_refused", "site/never", "deferred"),
    "ruler_poke": ("ruler", "site/poke", "poke"),
    "talkdesk_deferred": ("talkdesk", "calls/deferred", "deferred"),
    "talkdesk_signed": ("talkdesk_signed", "calls/signed", "deferred"),
}

for name, (conn_id, job_id, mode) in WAITS.items():
    with DAG(dag_id=name, schedule=None):
        wait = BatchJobSensor(
            task_id="wait",
            conn_id=conn_id,
            job_id=job_id,
            poke_interval=1,
            timeout=100,
            max_outage=timedelta(seconds=2 if name.endswith("lost") else 60),
            deferrable=mode == "deferred",
            mode="poke",
        )
        if name == "ruler_deferred":
            wait >> RulerDownloadRevenueFailuresOperator(
                task_id="fetch", job_id=job_id, ruler_conn_id=conn_id, destination=f"{OUTPUT}/ruler.csv"
            )
        if name == "talkdesk_deferred":
            for file in ("deferred", "gone"):
                wait >> TalkdeskDownloadReportOperator(
                    task_id=f"fetch_{file}",
                    job_id=f"calls/{file}",
                    talkdesk_conn_id=conn_id,
                    destination=f"{OUTPUT}/{file}.csv",
                )
