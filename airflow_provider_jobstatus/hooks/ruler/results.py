"""The rows that a job of Ruler's has rejected; see :mod:`airflow_provider_jobstatus.hooks.ruler`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from typing import Literal

from airflow_provider_jobstatus.core.content import JUDGED_BYTES, expect_file, framing, misfit
from airflow_provider_jobstatus.core.csv_rows import csv_rows
from airflow_provider_jobstatus.core.encodings import peek
from airflow_provider_jobstatus.core.errors import NotFound, UnexpectedResponse
from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import json_object
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler.job import RulerJobId
from airflow_provider_jobstatus.hooks.ruler.status import unexplained
from airflow_provider_jobstatus.hooks.ruler.upload_columns import JobType

FailuresFormat = Literal["csv", "json"]

_MEDIA_TYPES = {"csv": "text/csv", "json": "application/json"}


def failures_flow(
    hook: BatchJobHook,
    job: RulerJobId,
    file_format: FailuresFormat = "csv",
    job_type: JobType = "revenue",
) -> Flow[Response]:
    """
    Open the rejected rows of a job: ``GET /{siteId}/batch/{jobId}/failures?format=csv``; of opportunities
    ``GET /{siteId}/opportunity/batch/{jobId}/failures?format=csv``.

    Offered once the job has ended with rejected rows. The reply is streamed: for ``hook.open``.

    :raises NotFound: also for a job that has none; the response for a fully good job is not documented.
    :raises ServerError: a 2xx that is no file, such as "not yet".
    """
    between = "" if job_type == "revenue" else f"/{job_type}"
    request = hook.request(
        "GET",
        f"/{job.site_segment}{between}/batch/{job.job_segment}/failures",
        {"format": plain(file_format)},
        headers={"Accept": _MEDIA_TYPES[file_format]},
    )
    response = yield request
    try:
        return expect_file(request, response)
    except NotFound as error:
        error.own = bool(json_object(response.body))
        raise


def failures_operation(
    hook: BatchJobHook,
    job: RulerJobId,
    file_format: FailuresFormat = "csv",
    job_type: JobType = "revenue",
) -> Operation[Response]:
    """Return the operation that opens the rejected rows of a job."""
    return Operation(partial(failures_flow, hook, job, file_format, job_type), streamed=True)


def failures_name(job_type: JobType, file_format: FailuresFormat) -> str:
    """Return the name of a file of rejected rows, without the job."""
    return f"failures.{file_format}" if job_type == "revenue" else f"{job_type}-failures.{file_format}"


def revenue_failures(hook: BatchJobHook, job: RulerJobId) -> Iterator[list[str]]:
    """Yield the rejected rows of a finished job, the header first."""
    with hook.open(failures_operation(hook, job)) as reply:
        head, chunks = peek(reply.chunks or (), JUDGED_BYTES)
        if sent := misfit("csv", reply.content_type, head, len(head) < JUDGED_BYTES):
            reason = f"sent {sent.describe((*hook.auth.secrets, *reply.secrets))} instead of rows"
            raise UnexpectedResponse(reason, vendor=hook.conn_type)
        try:
            yield from csv_rows(chunks, to_line_end=not framing(reply.headers))
        except csv.Error as error:
            raise UnexpectedResponse(f"sent rows that are no CSV: {error}", vendor=hook.conn_type) from None


def rejected_rows(status: JobStatus) -> int | None:
    """Return how many rows a job has rejected, as it says or as its totals leave; None if unknown."""
    counts = status.counts or {}
    if (failed := counts.get("failed")) is not None:
        return failed
    total, processed, succeeded = (counts.get(key) for key in ("total", "processed", "succeeded"))
    if total is None or succeeded is None or processed not in (None, total):
        return None
    return max(total - succeeded, 0)


def says_no_rows(status: JobStatus) -> bool:
    """Return whether nothing that a good job says is against its having no rejected rows."""
    counts = status.counts or {}
    total = counts.get("total")
    done = all(counts.get(key) in (None, total) for key in ("processed", "succeeded"))
    known = status.detail is None or counts.get("failed") == 0
    return (
        status.state is JobState.SUCCEEDED and not counts.get("failed") and known and (done or total is None)
    )


def may_have_no_rows(status: JobStatus) -> bool:
    """Return whether an ended job that has no rejected rows to show does not contradict its own words."""
    rejected = rejected_rows(status)
    unclear = status.state is JobState.SUCCEEDED and (status.counts or {}).get("failed") is None
    if status.state is JobState.PARTIAL or rejected or unclear:
        return False
    # Without a reason, all rows were rejected.
    return rejected == 0 or status.detail not in (None, unexplained(status.counts or {}))
