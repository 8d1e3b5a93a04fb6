"""How a job's status is read from Ruler's responses; see :mod:`airflow_provider_jobstatus.hooks.ruler`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from airflow_provider_jobstatus.core.contradictions import SITE, named
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.jobs import (
    JobState,
    JobStatus,
    row_counts,
    text_or_none,
    utc_time,
    whole_percent,
)
from airflow_provider_jobstatus.core.responses import expect_json, unexpected
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler.job import RulerJobId


def status_flow(hook: BatchJobHook, job: RulerJobId) -> Flow[JobStatus]:
    """
    Ask for a job's status: ``GET /{siteId}/batch/{jobId}/status``.

    Smallest reply relied on: ``{"status": "processing"}``
    """
    request = hook.request("GET", f"/{job.site_segment}/batch/{job.job_segment}/status")
    reply = expect_json(request, (yield request))
    hook.check_job(request, job.job, reply)
    for site in named(reply, SITE):
        if str(site).casefold() != unquote(job.site_segment).casefold():
            raise unexpected(request, f"answered for the site {clean(site, 80)!r}")
    word, state = hook.read_state(request, reply.get("status"))
    hook.check_success(request, word, reply)
    detail = text_or_none(reply.get("failureReason"))
    counts = row_counts(
        total=reply.get("totalRows"),
        processed=reply.get("processedRows"),
        succeeded=reply.get("successCount"),
        failed=reply.get("failureCount"),
    )
    failed = reply.get("failureCount")
    if detail is None and failed is not None and (counts or {}).get("failed") is None:
        detail = f"Ruler counts {clean(failed, 40)!r} rejected rows, which is no number of rows"
    elif state is JobState.FAILED and detail is None:
        detail = unexplained(counts or {})
    return JobStatus(
        job_id=job.text,
        vendor=hook.conn_type,
        state=state,
        vendor_status=word,
        detail=detail,
        progress=whole_percent(reply.get("percentageProgress")),
        counts=counts,
        created_at=utc_time(reply.get("createdDateTime")),
        completed_at=utc_time(reply.get("completedDateTime")),
    )


def unexplained(counts: Mapping[str, int | None]) -> str:
    """Return what is known of a failure without a reason: never more than the job's counts allow."""
    total, succeeded, failed = (counts.get(key) for key in ("total", "succeeded", "failed"))
    if failed == 0:
        return "Ruler gives no reason, and counts no rejected rows"
    if succeeded or (total is not None and failed is not None and failed != total):
        return "Ruler gives no reason; fetch the failures to see which rows were rejected"
    return "Ruler gives no reason, so all rows were rejected; fetch the failures to see why"
