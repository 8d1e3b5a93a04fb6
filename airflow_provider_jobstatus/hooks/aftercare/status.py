"""How a status is read from Aftercare's responses; see :mod:`airflow_provider_jobstatus.hooks.aftercare`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow_provider_jobstatus.core.contradictions import MEMBERS
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, text_or_none
from airflow_provider_jobstatus.core.json_outline import JsonOutline
from airflow_provider_jobstatus.core.responses import expect_json, json_object
from airflow_provider_jobstatus.hooks.aftercare.job import AftercareJobId
from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: Codes of the error for a job that does not exist, by status.
_UNKNOWN = {400: "INVALID_REQUEST", 404: "NOT_FOUND"}
#: What its errors consist of; and what its message is about, as any server has such a code.
_ERROR_KEYS = frozenset({"code", "message", "details"})
_ABOUT_A_JOB = re.compile(r"\b(?:batch|job|resource)", re.IGNORECASE)


def status_flow(hook: BatchJobHook, job: AftercareJobId) -> Flow[JobStatus]:
    """
    Ask for a job's status: ``GET /coding/{batchJobId}``, ``GET /data-quality/batch/{batchJobId}``.

    Smallest reply relied on: ``{"status": "processing"}``
    """
    request = hook.request("GET", job.path, outline=partial(_outline, hook))
    reply = expect_json(request, (yield request))
    hook.check_job(request, job.job, reply)
    word, state = hook.read_state(request, reply.get("status"))
    hook.check_success(request, word, reply)
    detail = None
    results = reply.get("results")
    if state in (JobState.PARTIAL, JobState.FAILED) and isinstance(results, Mapping):
        said = [results.get(key) for key in ("code", "message")]
        told = [text_or_none(part) for part in said if not isinstance(part, (dict, list))]
        detail = ": ".join(filter(None, told)) or None
    return JobStatus(job.text, hook.conn_type, state, word, detail)


def ping_flow(hook: BatchJobHook) -> Flow[str]:
    """Ask for a job that cannot exist: ``GET /coding/{batchJobId}``. A refused key shows before."""
    request = hook.request("GET", f"/coding/{uuid.UUID(int=0)}", outline=partial(_outline, hook))
    response = yield request
    error = json_object(response.body)
    own = error.get("code") == _UNKNOWN.get(response.status, ...) and error.keys() <= _ERROR_KEYS
    if own and _ABOUT_A_JOB.search(str(error.get("message"))):
        return "Aftercare accepts the key"
    raise hook.foreign(
        request,
        response,
        "Aftercare's error for an unknown job: 404 with "
        '{"code": "NOT_FOUND", "message": "Batch job not found"} (if this is Aftercare with another '
        "message, the key was accepted, and waits work)",
    )


def _outline(hook: BatchJobHook) -> JsonOutline:
    def enough(reply: Any) -> bool:
        # A failure is explained in `results`; of a success they are all that follows.
        word = reply.get("status") if isinstance(reply, dict) and "batchJobId" in reply else None
        return isinstance(word, str) and hook.known_state(word) is JobState.SUCCEEDED

    return JsonOutline(MEMBERS, enough, must=("batchJobId",))
