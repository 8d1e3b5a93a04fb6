"""Job ids of Ruler."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import JobId, job_id_text, path_segment
from airflow_provider_jobstatus.hooks.base import BatchJobHook


@dataclass(frozen=True, slots=True)
class RulerJobId(JobId):
    """
    A job of Ruler.

    :param job: its ``jobId``.
    :param site_segment: its ``siteId``, quoted for a path.
    :param job_segment: its ``jobId``, quoted for a path.
    """

    job: str
    site_segment: str
    job_segment: str


def parse_job_id(hook: BatchJobHook, job_id: str) -> RulerJobId:
    """
    Take a job id apart: ``"<siteId>/<jobId>"``, or ``"<jobId>"`` with the connection's ``site_id``.

    :raises SettingsError: it has another form.
    """
    text = job_id_text(job_id)
    site, slash, job = text.rpartition("/")
    if not slash:
        site = hook.settings.text("site_id") or ""
        if not site:
            raise SettingsError(
                f"job_id {job!r} names no site: give '<siteId>/<jobId>', or set extra 'site_id' of "
                f"connection {hook.conn_id!r}"
            )
    return RulerJobId(text, job, path_segment(site, "siteId"), path_segment(job, "jobId"))
