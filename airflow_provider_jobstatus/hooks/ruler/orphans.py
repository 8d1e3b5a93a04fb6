"""
How the job of an upload is found whose reply was lost; see :mod:`airflow_provider_jobstatus.hooks.ruler`.

Ruler has no name for a job that the client chooses. The job is among those that were not in the site's list
before the upload, of the same type, made since, with as many rows as the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import clock_difference, expect_list, unexpected
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler.job import parse_job_id
from airflow_provider_jobstatus.hooks.ruler.listing import list_request
from airflow_provider_jobstatus.hooks.ruler.status import status_flow
from airflow_provider_jobstatus.hooks.ruler.submit import UploadPlace

#: Longest list of which the ids are kept: 8 bytes each, in Airflow's database.
MAX_LISTED = 5_000
#: Most new jobs whose status is read.
MAX_NEW = 50
#: Seconds by which times of the vendor's servers may differ.
CLOCK_TOLERANCE = 120.0
#: Seconds from the list to the end of the upload: a job that is made later is another's. A retry may search
#: hours later, and a file of as many rows may have been uploaded in between.
LONGEST_UPLOAD = 3600.0
_KEY_LENGTH = 8


def jobs_before_flow(hook: BatchJobHook, place: UploadPlace) -> Flow[dict[str, Any]]:
    """
    Note a site's jobs before an upload: ``GET /{siteId}/batch/jobs``.

    :return: plain JSON: the ids, shortened, and the vendor's time.
    :raises UnexpectedResponse: the list cannot be read, or is longer than :data:`MAX_LISTED`.
    """
    response, jobs = yield from _list_flow(hook, place)
    if len(jobs) > MAX_LISTED:
        raise UnexpectedResponse(f"lists more than {MAX_LISTED} jobs", vendor=hook.conn_type)
    now = response.received_at
    return {"jobs": "".join(map(_key, jobs)), "at": now + clock_difference(response, now)}


def search_flow(
    hook: BatchJobHook, place: UploadPlace, rows: int, before: Mapping[str, Any]
) -> Flow[list[str]]:
    """
    Look for the job of an upload: the list again, and the status of each job that is new in it.

    A job whose status does not have its number of rows yet may be another's. It is left out, unless there is
    one besides that fits, which then does not count as the only one.

    :param rows: of the upload.
    :param before: from :func:`jobs_before_flow`.
    :return: the ids of the jobs that may be it.
    :raises UnexpectedResponse: the list cannot be read, or too much is new in it.
    """
    known = {before["jobs"][at : at + _KEY_LENGTH] for at in range(0, len(before["jobs"]), _KEY_LENGTH)}
    _, jobs = yield from _list_flow(hook, place)
    new = [job for job, kind in jobs.items() if _key(job) not in known and kind in (None, place.job_type)]
    if len(new) > MAX_NEW:
        raise UnexpectedResponse(f"lists {len(new)} jobs that are new", vendor=hook.conn_type)
    found, unclear = [], []
    for job in new:
        status = yield from status_flow(hook, parse_job_id(hook, f"{place.site}/{job}"))
        fits = _fits(status, rows, float(before["at"]))
        if fits is None:
            unclear.append(status.job_id)
        elif fits:
            found.append(status.job_id)
    return [*found, *unclear] if found else []


def _list_flow(hook: BatchJobHook, place: UploadPlace) -> Flow[tuple[Response, dict[str, str | None]]]:
    """Return the reply, and the site's jobs with their types."""
    site = parse_job_id(hook, f"{place.site}/any").site_segment
    request = list_request(hook, site)
    response = yield request
    jobs: dict[str, str | None] = {}
    for entry in expect_list(request, response):
        if not isinstance(entry, Mapping) or not isinstance(job := entry.get("jobId"), str):
            raise unexpected(request, "answered a list with a job that has no id")
        kind = entry.get("jobType")
        jobs[job] = kind.strip().casefold() if isinstance(kind, str) else None
    return response, jobs


def _fits(status: JobStatus, rows: int, at: float) -> bool | None:
    """Return whether a job may be that of an upload, or None where that cannot be told yet."""
    total = (status.counts or {}).get("total")
    if status.created_at is not None:
        since = datetime.fromisoformat(status.created_at).timestamp() - at
        if not -CLOCK_TOLERANCE <= since <= LONGEST_UPLOAD:
            return False
    if not total or status.created_at is None:
        return None
    return total == rows


def _key(job: str) -> str:
    return hashlib.sha256(job.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_LENGTH]


def jobs_before_operation(hook: BatchJobHook, place: UploadPlace) -> Operation[dict[str, Any]]:
    """Return the operation that notes a site's jobs before an upload."""
    return Operation(partial(jobs_before_flow, hook, place))


def search_operation(
    hook: BatchJobHook, place: UploadPlace, rows: int, before: Mapping[str, Any]
) -> Operation[list[str]]:
    """Return the operation that looks for the job of an upload."""
    return Operation(partial(search_flow, hook, place, rows, before))
