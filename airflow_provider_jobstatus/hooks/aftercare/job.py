"""Job ids of Aftercare."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_jobstatus.core.ids import JobId, job_id_text, path_segment

_DATA_QUALITY = "data-quality/"


@dataclass(frozen=True, slots=True)
class AftercareJobId(JobId):
    """
    A job of Aftercare.

    :param job: its ``batchJobId``.
    :param path: of its status.
    """

    job: str
    path: str


def parse_job_id(job_id: str) -> AftercareJobId:
    """
    Take a job id apart: ``"<batchJobId>"``, ``"data-quality/<batchJobId>"``.

    :raises SettingsError: it has another form.
    """
    text = job_id_text(job_id)
    job = text.removeprefix(_DATA_QUALITY)
    segment = path_segment(job, "batchJobId")
    return AftercareJobId(
        text, job, f"/coding/{segment}" if job == text else f"/data-quality/batch/{segment}"
    )
