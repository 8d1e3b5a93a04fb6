"""How a mailing's status is read from QuestionPro's responses; see ``hooks.questionpro``."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_jobstatus.core.errors import NotFound, RequestRejected
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, utc_time
from airflow_provider_jobstatus.core.responses import json_object
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro.envelope import is_own, unwrap
from airflow_provider_jobstatus.hooks.questionpro.job import QuestionProJobId


def status_flow(hook: BatchJobHook, job: QuestionProJobId) -> Flow[JobStatus]:
    """
    Ask for a mailing's status: ``GET /micropanel/batches/{batchID}``.

    Smallest reply relied on: ``{"response": {"status": "Delivery Successful"}}``

    :raises RateLimited: ``spent`` if the licence's calls are used up.
    """
    request = hook.request("GET", f"/micropanel/batches/{job.segment}")
    reply = unwrap(request, (yield request))
    hook.check_job(request, job.number, reply)
    batch = reply["response"]
    word = hook.read_word(request, batch.get("status"))
    hook.check_success(request, word, reply)
    state = hook.known_state(word)
    return JobStatus(
        job.text,
        hook.conn_type,
        state or JobState.RUNNING,
        word,
        created_at=utc_time(batch.get("creationTimestamp")),
        known=state is not None,
    )


def ping_flow(hook: BatchJobHook) -> Flow[str]:
    """Ask for a mailing that cannot exist: ``GET /micropanel/batches/0``. A refused key shows before."""
    request = hook.request("GET", "/micropanel/batches/0")
    response = yield request
    wanted = (
        "QuestionPro's error for a batch that does not exist: "
        '404 with {"response": {"error": {"id": "1040", "name": "...", "message": "..."}}}'
    )
    try:
        unwrap(request, response)
    except (NotFound, RequestRejected):
        envelope = json_object(response.body).get("response")
        error = envelope.get("error") if isinstance(envelope, Mapping) else None
        if isinstance(error, Mapping) and is_own(error):
            return "QuestionPro accepts the key"
    raise hook.foreign(request, response, wanted)
