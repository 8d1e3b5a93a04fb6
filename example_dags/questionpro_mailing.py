"""
Invite a panel to a survey at QuestionPro, wait until the mails are out, and export the answers.

A mailing is never sent twice: not by a retry, and by a clear only with ``resubmit_when_cleared=True``. People
answer for days; a DAG of your own exports then. Needs the connection ``questionpro_default``. QuestionPro
documents no status word for a failure; those that you know belong into the connection's extra ``statuses``.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_jobstatus.operators.questionpro import (
    QuestionProExportResponsesOperator,
    QuestionProSendBatchOperator,
)

OUTPUT = os.environ.get("JOBSTATUS_DEMO_OUTPUT", "/tmp/jobstatus")  # noqa: S108
SURVEY = 5001

with DAG(dag_id="questionpro_mailing", schedule=None, tags=["jobstatus", "questionpro"]):
    send = QuestionProSendBatchOperator(
        task_id="send",
        body={
            "compose": {"surveyID": SURVEY, "templateID": 12},
            "recipients": {"filterType": 3, "existingFilterID": 34},
            "send": {"notification": {"enableEmailInvitation": True}},
        },
        wait=True,
        deferrable=True,
        # Each poll is a call of the licence: without this argument, one in ten minutes.
        poke_interval=5,
        timeout=2 * 60 * 60,
    )
    export = QuestionProExportResponsesOperator(
        task_id="export",
        survey_id=SURVEY,
        destination=OUTPUT + "/questionpro/{{ run_id }}.ndjson",
        max_calls=50,
    )
    send >> export
