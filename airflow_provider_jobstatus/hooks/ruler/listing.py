"""Ruler's lists of jobs, and what they prove; see :mod:`airflow_provider_jobstatus.hooks.ruler`."""

from __future__ import annotations

from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.ids import path_segment
from airflow_provider_jobstatus.core.jobs import Listed, Listing, whole_percent
from airflow_provider_jobstatus.core.responses import expect, expect_list
from airflow_provider_jobstatus.hooks.base import BatchJobHook

_LIST_OF_SITE = (
    "a list of jobs, which alone proves that this is Ruler, as no page shows its errors: set extra 'site_id' "
    "to one of your sites"
)
_NO_SITE = "Ruler accepts the credentials; no site was asked for, as extra 'site_id' is not set"


def list_flow(hook: BatchJobHook, name: str) -> Flow[Listing]:
    """
    Read a site's list of jobs: ``GET /{siteId}/batch/jobs``. No paging is documented.

    Smallest reply relied on: ``[{"jobId": "j1", "status": "processing", "percentageProgress": 40}]``

    :param name: the site, quoted.
    """
    request = list_request(hook, name)
    entries = expect_list(request, (yield request))
    return Listing.of(
        (job, Listed(word, whole_percent(entry.get("percentageProgress"))))
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(job := entry.get("jobId"), str)
        and isinstance(word := entry.get("status"), str)
    )


def list_request(hook: BatchJobHook, site: str) -> Request:
    """Return the request for a site's list of jobs."""
    return hook.request("GET", f"/{site}/batch/jobs")


def ping_flow(hook: BatchJobHook) -> Flow[str]:
    """
    List the default site's jobs: ``GET /{siteId}/batch/jobs``.

    Smallest reply relied on: ``[]``

    No page shows Ruler's errors, so that only a list of jobs proves that Ruler responds. Without a
    default site, the list of a site that cannot exist shows whether the token is refused.
    """
    site = hook.settings.text("site_id")
    source = f"connection {hook.conn_id!r}: extra 'site_id'"
    request = list_request(hook, path_segment(site or "no-such-site", "site", source))
    response = yield request
    if site is not None:
        expect(request, response)
    if not 200 <= response.status < 300:
        raise hook.foreign(request, response, _LIST_OF_SITE)
    jobs = expect_list(request, response)
    if not all(
        isinstance(job, dict) and isinstance(job.get("jobId"), str) and isinstance(job.get("status"), str)
        for job in jobs
    ):
        raise hook.foreign(request, response, "a list of jobs, each with its jobId and status")
    return f"Ruler accepts the credentials and lists the jobs of site {site}" if site else _NO_SITE
