"""Job ids of Talkdesk."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import JobId, job_id_text, path_segment


@dataclass(frozen=True, slots=True)
class TalkdeskJobId(JobId):
    """
    A job of Talkdesk.

    :param job: its ``jobId``.
    :param type_segment: its report type, quoted for a path.
    :param job_segment: its ``jobId``, quoted for a path.
    """

    job: str
    type_segment: str
    job_segment: str


def parse_job_id(job_id: str) -> TalkdeskJobId:
    """
    Take a job id apart.

    :raises SettingsError: not of the form ``"<report_type>/<jobId>"``.
    """
    text = job_id_text(job_id)
    kind, slash, job = text.partition("/")
    if not slash:
        raise SettingsError(f"job_id {kind!r} names no report type: give '<report_type>/<jobId>'")
    return TalkdeskJobId(text, job, path_segment(kind, "report type"), path_segment(job, "jobId"))


def file_path(job: TalkdeskJobId) -> str:
    """Return the path of a job's file."""
    return f"/data/reports/{job.type_segment}/files/{job.job_segment}"
