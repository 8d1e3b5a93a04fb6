"""Talkdesk's lists of jobs; see :mod:`airflow_provider_jobstatus.hooks.talkdesk`."""

from __future__ import annotations

from typing import Any

from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.jobs import Listed, Listing
from airflow_provider_jobstatus.core.responses import expect_json, unexpected
from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: Jobs on a page of the list: the most that clients ask for.
PAGE_SIZE = 200
#: Pages of a list that are read; a longer one costs more than it saves.
MAX_PAGES = 10


def list_flow(hook: BatchJobHook, name: str) -> Flow[Listing]:
    """
    Read the list of a report type's jobs: ``GET /data/reports/{type}/jobs?page=1&per_page=200``.

    Smallest reply relied on, of each page:
    ``{"_embedded": {"jobs": [{"id": "j1", "status": "processing"}]}}``

    The list of Explore stands on no page; its path and its paging are read from clients, its form from
    the page of the older API. A page that is not full is the last.

    :param name: the report type, quoted.
    :raises UnexpectedResponse: a page without jobs in that form, or more than :data:`MAX_PAGES`.
    """
    entries: list[tuple[str, Listed]] = []
    for page in range(1, MAX_PAGES + 1):
        request, jobs = yield from page_flow(hook, name, page)
        entries += [
            (job["id"], Listed(job["status"]))
            for job in jobs
            if isinstance(job, dict) and isinstance(job.get("id"), str) and isinstance(job.get("status"), str)
        ]
        if len(jobs) < PAGE_SIZE:
            return Listing.of(entries, page)
    raise unexpected(request, f"answered a list of more than {MAX_PAGES} pages")


def page_flow(hook: BatchJobHook, name: str, page: int) -> Flow[tuple[Request, list[Any]]]:
    """
    Read a page of the list, and return its entries with the request for it.

    :param name: the report type, quoted.
    :raises UnexpectedResponse: it has no jobs in that form.
    """
    query = {"page": str(page), "per_page": str(PAGE_SIZE)}
    request = hook.request("GET", f"/data/reports/{name}/jobs", query)
    embedded = expect_json(request, (yield request)).get("_embedded")
    jobs = embedded.get("jobs") if isinstance(embedded, dict) else None
    if not isinstance(jobs, list):
        raise unexpected(request, "answered no list of jobs")
    return request, jobs
