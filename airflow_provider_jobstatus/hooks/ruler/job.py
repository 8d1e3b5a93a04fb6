"""Job ids of Ruler."""

from __future__ import annotations

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import job_id_text, path_segment
from airflow_provider_jobstatus.hooks.base import BatchJobHook


def split_job_id(hook: BatchJobHook, job_id: str) -> tuple[str, str]:
    """
    Return ``siteId`` and ``jobId``, each quoted for a path.

    :raises SettingsError: not of the form that this module documents.
    """
    site, slash, job = job_id_text(job_id).rpartition("/")
    if not slash:
        site = hook.settings.text("site_id") or ""
        if not site:
            raise SettingsError(
                f"job_id {job!r} names no site: give '<siteId>/<jobId>', or set extra 'site_id' of "
                f"connection {hook.conn_id!r}"
            )
    return path_segment(site, "siteId"), path_segment(job, "jobId")
