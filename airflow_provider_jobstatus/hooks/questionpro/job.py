"""Job ids of QuestionPro."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import JobId, job_id_text, path_segment
from airflow_provider_jobstatus.core.text import clean


@dataclass(frozen=True, slots=True)
class QuestionProJobId(JobId):
    """
    A mailing of QuestionPro.

    :param number: its ``batchID``, without leading zeros.
    :param segment: the same, as it was given, for a path.
    """

    number: str
    segment: str


def parse_job_id(job_id: str) -> QuestionProJobId:
    """
    Read a job id: digits.

    :raises SettingsError: it has another form.
    """
    text = job_id_text(job_id)
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(f"job_id {clean(text, 80)!r} is no batchID of QuestionPro, which is a number")
    return QuestionProJobId(text, str(int(text)), path_segment(text, "batchID"))
