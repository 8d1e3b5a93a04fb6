"""The list of jobs of the Ruler stand-in: an array without pages.

Source: https://rulerapi.com/batch-jobs/jobs
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_provider_jobstatus.sandbox.dialects import DIALECTS
from airflow_provider_jobstatus.sandbox.lists import ListDialect, MakePage, Page
from airflow_provider_jobstatus.sandbox.ruler.jobs import LISTED_KEYS, RulerJob

_PATH = re.compile(r"/v1/[^/]+/batch/jobs")


def list_page(
    jobs: Mapping[tuple[str, str], RulerJob], site: str, now: float, shown: Mapping[str, object] | None
) -> Page:
    """Return the list of a site's jobs. It is no status request of any of them.

    :param shown: What each job shows in place of its own keys; with None, what it shows in a list.
    """
    entries = []
    here = {job_id: job for (of_site, job_id), job in jobs.items() if of_site == site}
    for job_id, job in here.items():
        if shown is None and not job.listed:
            job.timeline.show_in_list(now)
        differs = job.listed.take() if shown is None else shown
        if differs is not None:
            body = job.status(now, differs)
            entries.append(
                {"jobId": job_id, "jobType": job.job_type} | {key: body[key] for key in LISTED_KEYS}
            )
    return Page(entries=entries)


def list_dialect(path: str, page: MakePage) -> ListDialect | None:
    """Return how Ruler puts things at a path, if it is that of a list."""
    if not _PATH.fullmatch(path):
        return None
    job = {
        "jobId": "",
        "jobType": "revenue",
        "status": "processing",
        "percentageProgress": 50,
        "failureReason": None,
    }
    return ListDialect(words=DIALECTS["ruler"].words, id_key="jobId", page=page, job=job)
