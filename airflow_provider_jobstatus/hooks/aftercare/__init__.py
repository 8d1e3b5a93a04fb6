"""
Aftercare: AI coding of survey answers.

Auth
    ``X-Aftercare-Key``: an API key, as password. A bad key is a 403; 401 is not documented.
Job id
    ``"<batchJobId>"`` for coding and brand coding, ``"data-quality/<batchJobId>"`` for data-quality batches.
Sources, read 2026-11-21
    https://docs.getaftercare.com/api-reference/coding/get, .../coding/create, .../data-quality/batch, and the
    OpenAPI file of https://github.com/Kontractify/docs (2025-06-10). That brand coding is polled like coding
    is inferred.
Quirks
    A finished job's reply carries all its results, some hundred megabytes of them: only its outline is read.
    On the two failure words ``results`` is an error object instead. A malformed id is a 400. Results come in
    pages; the query parameter that takes a cursor is documented nowhere.
"""

from __future__ import annotations

from typing import ClassVar

from airflow_provider_jobstatus.core.auth import Auth, HeaderKey
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.responses import json_object
from airflow_provider_jobstatus.hooks.aftercare import status
from airflow_provider_jobstatus.hooks.aftercare.job import parse_job_id
from airflow_provider_jobstatus.hooks.base import BatchJobHook


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
    extra_fields = frozenset({"cursor_parameter"})

    def make_auth(self) -> Auth:
        """Return the API key."""
        key = self.settings.header_key("password", self.settings.password, "set it to the API key")
        return HeaderKey("X-Aftercare-Key", key)

    parse_job_id = staticmethod(parse_job_id)
    status_flow = status.status_flow
    ping_flow = status.ping_flow

    def is_own_error(self, response: Response) -> bool:
        """Whether it is an object with a ``code``."""
        return "code" in json_object(response.body)
