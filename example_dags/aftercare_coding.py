"""
Have Aftercare code the answers to a survey, and write what it found as Parquet.

The download is a task of its own here: cleared, it writes the file again and submits nothing. Needs the
connection ``aftercare_default`` and the extra ``[parquet]``.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG, task

from airflow_provider_jobstatus.operators.aftercare import (
    AftercareDownloadCodingResultsOperator,
    AftercareSubmitCodingOperator,
)

OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108

with DAG(dag_id="aftercare_coding", schedule=None, tags=["jobstatus", "aftercare"]):

    @task
    def read_answers() -> list[dict[str, str]]:
        """Return a row for each answer. XCom keeps it; of many or personal answers, give ``body`` a file."""
        question = "Why did you choose us?"
        answers = ["It is cheap", "A friend told me", "The price", "No idea"]
        return [
            {"question": question, "responseIdentifier": f"r{number}", "answer": answer}
            for number, answer in enumerate(answers)
        ]

    code = AftercareSubmitCodingOperator(
        task_id="code",
        survey_identifier="spring-survey",
        rows=read_answers(),
        wait=True,
        allowed_states=("succeeded",),
        deferrable=True,
        poke_interval=5,
        timeout=6 * 60 * 60,
    )
    AftercareDownloadCodingResultsOperator(
        task_id="fetch",
        job_id=code.output,
        destination=OUTPUT + "/aftercare/{{ run_id }}.parquet",
        file_format="parquet",
    )
