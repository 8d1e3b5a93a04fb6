"""A vendor that this package does not know: its hook as its own provider would write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

from airflow_provider_jobstatus.core.auth import Auth, HeaderKey
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, text_or_none
from airflow_provider_jobstatus.core.responses import expect, expect_json
from airflow_provider_jobstatus.hooks.base import BatchJobHook


class ToyHook(BatchJobHook):
    """Talks to the toy vendor: a key in a header, ``{"state": "Busy", "why": null}`` for a status."""

    conn_type = "toy"
    conn_name_attr = "toy_conn_id"
    default_conn_name = "toy_default"
    hook_name = "Toy"
    public_url = "https://api.toy.example/v1"
    statuses: ClassVar[dict[str, JobState]] = {
        "Busy": JobState.RUNNING,
        "Done": JobState.SUCCEEDED,
        "Broken": JobState.FAILED,
    }

    def __init__(self, toy_conn_id: str = default_conn_name) -> None:
        super().__init__(toy_conn_id)

    def make_auth(self) -> Auth:
        return HeaderKey("X-Toy-Key", self.settings.required("password", self.settings.password, "set it"))

    def status_flow(self, job_id: str) -> Flow[JobStatus]:
        if not job_id.isdigit():
            raise SettingsError(f"job_id {job_id!r} is no number")
        request = self.request("GET", f"/jobs/{quote(job_id)}", {"view": "short & sweet"})
        reply = expect_json(request, (yield request))
        word, state = self.read_state(request, reply.get("state"))
        return JobStatus(str(int(job_id)), self.conn_type, state, word, text_or_none(reply.get("why")))

    def ping_flow(self) -> Flow[str]:
        request = self.request("GET", "/me")
        expect(request, (yield request))
        return "the toy vendor knows the key"


class NotABatchJobHook:
    """What another provider has registered for its connection type."""

    def __iter__(self) -> Iterator[str]:
        return iter(())
