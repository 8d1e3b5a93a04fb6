"""
Aftercare: AI coding of survey answers.

Auth
    ``X-Aftercare-Key``: an API key, as password. A bad key is a 403; 401 is not documented.
Job id
    ``"<batchJobId>"`` for coding and brand coding, ``"data-quality/<batchJobId>"`` for data-quality batches.
Sources, read 2026-11-21
    https://docs.getaftercare.com/api-reference/coding/get, .../coding/create, .../data-quality/batch, and the
    OpenAPI file of https://github.com/Kontractify/docs (2025-06-10). That brand coding is asked for like
    coding is inferred.
Quirks
    A finished job's reply carries all its results, some hundred megabytes of them: only its outline is read.
    On the two failure words ``results`` is an error object instead. A malformed id is a 400.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_jobstatus.core.auth import Auth, HeaderKey
from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.ids import job_id_text, path_segment
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, text_or_none
from airflow_provider_jobstatus.core.json_outline import JsonOutline
from airflow_provider_jobstatus.core.responses import expect_json, json_object
from airflow_provider_jobstatus.hooks.base import BatchJobHook

_DATA_QUALITY = "data-quality/"
#: Codes of the error for a job that does not exist, by status.
_UNKNOWN = {400: "INVALID_REQUEST", 404: "NOT_FOUND"}
#: What its errors consist of; and of what the message of that one tells, as any server has such a code.
_ERROR_KEYS = frozenset({"code", "message", "details"})
_ABOUT_A_JOB = re.compile(r"\b(?:batch|job|resource)", re.IGNORECASE)


class AftercareHook(BatchJobHook):
    """
    Talks to Aftercare.

    :param aftercare_conn_id: connection of type ``aftercare``.
    :param http: ``method`` of :meth:`run`, and what else ``HttpOperator`` gives.
    """

    conn_type = "aftercare"
    conn_name_attr = "aftercare_conn_id"
    default_conn_name = "aftercare_default"
    hook_name = "Aftercare"
    public_url = "https://surveys.getaftercare.com/api/v1"
    credential = "the API key (password)"
    statuses: ClassVar[dict[str, JobState]] = {
        "queued": JobState.RUNNING,
        "processing": JobState.RUNNING,
        "completed": JobState.SUCCEEDED,
        "partial_failure": JobState.PARTIAL,
        "total_failure": JobState.FAILED,
        # Of data-quality batches only, which have no partial failure.
        "failed": JobState.FAILED,
    }
    extra_fields = frozenset()

    def __init__(self, aftercare_conn_id: str = default_conn_name, **http: Any) -> None:
        super().__init__(aftercare_conn_id, **http)

    def make_auth(self) -> Auth:
        """Return the API key."""
        key = self.settings.header_key("password", self.settings.password, "set it to the API key")
        return HeaderKey("X-Aftercare-Key", key)

    def status_flow(self, job_id: str) -> Flow[JobStatus]:
        """
        Ask for a job's status: ``GET /coding/{batchJobId}``, ``GET /data-quality/batch/{batchJobId}``.

        Smallest reply relied on: ``{"status": "processing"}``
        """
        path, asked = self._path(job_id)
        request = self.request("GET", path, outline=self._outline)
        reply = expect_json(request, (yield request))
        self.check_id(request, asked, reply.get("batchJobId"))
        word, state = self.read_state(request, reply.get("status"))
        detail = None
        results = reply.get("results")
        if state in (JobState.PARTIAL, JobState.FAILED) and isinstance(results, Mapping):
            said = [results.get(key) for key in ("code", "message")]
            told = [text_or_none(part) for part in said if not isinstance(part, (dict, list))]
            detail = ": ".join(filter(None, told)) or None
        return JobStatus(job_id, self.conn_type, state, word, detail)

    def ping_flow(self) -> Flow[str]:
        """Ask for a job that cannot exist: ``GET /coding/{batchJobId}``. A refused key shows before."""
        request = self.request("GET", f"/coding/{uuid.UUID(int=0)}", outline=self._outline)
        response: Response = yield request
        error = json_object(response.body)
        own = error.get("code") == _UNKNOWN.get(response.status, ...) and error.keys() <= _ERROR_KEYS
        if own and _ABOUT_A_JOB.search(str(error.get("message"))):
            return "Aftercare accepts the key"
        raise self.foreign(
            request,
            response,
            "Aftercare's error for an unknown job: 404 with "
            '{"code": "NOT_FOUND", "message": "Batch job not found"} (if this is Aftercare with another '
            "message, the key was accepted, and waits work)",
        )

    def is_own_error(self, response: Response) -> bool:
        """Whether it is an object with a ``code``."""
        return "code" in json_object(response.body)

    def _outline(self) -> JsonOutline:
        def enough(reply: Any) -> bool:
            # A failure is explained in `results`; of a success they are all that follows.
            word = reply.get("status") if isinstance(reply, dict) and "batchJobId" in reply else None
            return isinstance(word, str) and self.known_state(word) is JobState.SUCCEEDED

        keep = ("batchJobId", "status", "results", "code", "message")
        return JsonOutline(keep, enough, must=("batchJobId",))

    @staticmethod
    def _path(job_id: str) -> tuple[str, str]:
        text = job_id_text(job_id)
        asked = text.removeprefix(_DATA_QUALITY)
        segment = path_segment(asked, "batchJobId")
        return f"/data-quality/batch/{segment}" if asked != text else f"/coding/{segment}", asked
