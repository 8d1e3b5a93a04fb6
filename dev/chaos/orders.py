"""What the submitting tasks of a chaos run ask the vendors for."""

from __future__ import annotations

from typing import Any

from airflow_provider_jobstatus.operators.aftercare import AftercareSubmitCodingOperator
from airflow_provider_jobstatus.operators.questionpro import QuestionProSendBatchOperator
from airflow_provider_jobstatus.operators.ruler import RulerUploadRevenueOperator
from airflow_provider_jobstatus.operators.submitting import SubmitOperator
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskRequestReportOperator
from airflow_provider_jobstatus.sandbox import Sandbox

_CODING = {
    "surveyResponses": [
        {
            "questionIdentifier": "q",
            "question": "?",
            "responseEntries": [{"responseIdentifier": "r", "answer": "a"}],
        }
    ],
}
_MAILING = {"compose": {"surveyID": 7}, "recipients": {"filterType": 1}, "send": {"sendNow": True}}
_ROW = {
    "RevenueClosedDate": "2024-01-15T10:00:00",
    "CurrencyCode": "GBP",
    "Value": "125.50",
    "EmailAddress": "jo@example.com",
    "Label": "a",
}
_REPORT: dict[str, Any] = {
    "report_type": "calls",
    "start": "2026-03-01T00:00:00Z",
    "end": "2026-03-02T00:00:00Z",
}
#: Where a vendor's jobs are made.
PATHS = {
    "aftercare": "/api/v1/coding",
    "questionpro": "/a/api/v2/micropanel/batches",
    "ruler": "/v1/demo-site/revenue/batch",
    "talkdesk": "/data/reports/calls/jobs",
}


def operator(vendor: str, name: str, **given: Any) -> SubmitOperator:
    """Return an operator that submits.

    :param name: stands in what is sent; templated
    """
    if vendor == "aftercare":
        return AftercareSubmitCodingOperator(body={"surveyIdentifier": name, **_CODING}, **given)
    if vendor == "questionpro":
        return QuestionProSendBatchOperator(body={**_MAILING, "note": name}, **given)
    if vendor == "ruler":
        return RulerUploadRevenueOperator(rows=[{**_ROW, "Reference": name}], **given)
    return TalkdeskRequestReportOperator(**_REPORT, name=name, **given)


def jobs_last(sandbox: Sandbox, seconds: float) -> None:
    """Let jobs that are made from now on end after so many seconds."""
    sandbox.change_settings("aftercare", create_queued_seconds=0, create_processing_seconds=seconds)
    sandbox.change_settings("questionpro", create_running_seconds=seconds)
    sandbox.change_settings("ruler", upload_pending_seconds=0, upload_processing_seconds=seconds)
    sandbox.change_settings("talkdesk", execute_seconds=seconds)
