"""
Upload revenue to Ruler Analytics, and pull the rows that it rejects.

A file with mistakes that can be seen is refused before anything is sent. What only Ruler can judge makes the
job ``partial``: then its rejected rows become a file that can be corrected and uploaded again. Needs the
connection ``ruler_default``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from airflow_provider_jobstatus.operators.ruler import (
    RulerDownloadFailuresOperator,
    RulerUploadRevenueOperator,
)

OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108
# Nothing is wrong with the last two to see here, but Ruler does not take their addresses.
ORDERS = """\
RevenueClosedDate,CurrencyCode,Value,EmailAddress,Label,Reference
2025-01-15,GBP,120.50,ann@example.com,Spring,INV-1
2025-01-15,GBP,80.00,bo@example.com,Spring,INV-2
2025-01-16,EUR,99.90,cy@example.com,Spring,INV-3
2025-01-16,GBP,15.25,di@example.com,Spring,INV-4
2025-01-17,GBP,40.00,ed at example.com,Spring,INV-5
2025-01-17,USD,310.00,flo at example.com,Spring,INV-6
"""

with DAG(dag_id="ruler_revenue", schedule=None, tags=["jobstatus", "ruler"]):

    @task
    def export_orders(run_id: str | None = None) -> str:
        """Write what was sold, and return where: rows are personal data, and XCom can be read."""
        file = Path(f"{OUTPUT}/ruler/{run_id}/orders.csv")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ORDERS)
        return str(file)

    upload = RulerUploadRevenueOperator(
        task_id="upload",
        source=export_orders(),
        wait=True,
        deferrable=True,
        poke_interval=5,
        timeout=6 * 60 * 60,
    )

    @task.branch
    def are_all_stored(job: dict[str, Any]) -> str:
        return "pull_rejected_rows" if job["state"] == "partial" else "all_stored"

    all_stored = EmptyOperator(task_id="all_stored")
    pull_rejected_rows = RulerDownloadFailuresOperator(
        task_id="pull_rejected_rows",
        job_id=upload.output,
        destination=OUTPUT + "/ruler/{{ run_id }}/rejected.csv",
        reupload_ready=True,
    )
    are_all_stored(upload.output) >> [all_stored, pull_rejected_rows]
