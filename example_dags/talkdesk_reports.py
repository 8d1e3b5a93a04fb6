"""
Every day, fetch the day before from Talkdesk Explore: three reports side by side.

Each report is one task: it requests the report, waits for it without a worker, and writes its file. Needs the
connection ``talkdesk_default``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_jobstatus.operators.talkdesk import TalkdeskRequestReportOperator

# A local folder, or any URI such as s3://lake.
OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108

with DAG(
    dag_id="talkdesk_reports",
    # With "@daily", the data interval of a run has no length in Airflow 3.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["jobstatus", "talkdesk"],
):
    reports = TalkdeskRequestReportOperator.partial(
        task_id="report",
        map_index_template="{{ task.report_type }}",
        start="{{ data_interval_start }}",
        end="{{ data_interval_end }}",
        wait=True,
        # Without the job in its name, a file of a day that is run again replaces the one before.
        fetch=OUTPUT + "/talkdesk/{{ data_interval_start | ds }}/{{ task.report_type }}.csv",
        deferrable=True,
        poke_interval=5,
        timeout=2 * 60 * 60,
    ).expand(report_type=["calls", "contacts", "user_status"])

    @task
    def count_rows(results: Iterable[dict[str, Any]]) -> int:
        return sum(result["manifest"]["rows"] for result in results)

    count_rows(reports.output)
