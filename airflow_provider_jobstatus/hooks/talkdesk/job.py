"""Job ids of Talkdesk."""

from __future__ import annotations

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import job_id_text, path_segment


def split_job_id(job_id: str) -> tuple[str, str]:
    """
    Return report type and job id, each quoted for a path.

    :raises SettingsError: not of the form ``"<report_type>/<jobId>"``.
    """
    kind, slash, job = job_id_text(job_id).partition("/")
    if not slash:
        raise SettingsError(f"job_id {kind!r} names no report type: give '<report_type>/<jobId>'")
    return path_segment(kind, "report type"), path_segment(job, "jobId")
