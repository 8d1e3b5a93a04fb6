"""
Talkdesk Explore: reports.

Auth
    OAuth client credentials, exchanged at the account's own login host: by client secret (Basic), or by a
    signed JWT.
Job id
    ``"<report_type>/<jobId>"``, such as ``"calls/0f9c"``: Talkdesk's ids are scoped by report type.
Sources, read 2026-11-21
    https://docs.talkdesk.com/reference/check-a-report-status, .../download-a-report, .../execute-a-report,
    .../cc-basic, .../cc-jwt and https://docs.talkdesk.com/docs/signed-jwt. Hosts of Australia and the UK, and
    that an expired token may answer 403, are read from clients only.
Quirks
    A finished job answers its status with a redirect (300 by the page, 302 or 303 in practice), with or
    without a body; or with 200 and the job; or with 200 and the report itself. The redirect is the answer and
    is not followed. The page lists words in upper and in lower case. 204 means "not yet". The file is a
    redirect to a signed address of another host, which refuses our credentials and is good for a short time
    only.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import Any, ClassVar

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.ids import job_id_text, path_segment
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.redirects import REDIRECTS, target_of
from airflow_provider_jobstatus.core.replies import expect, expect_json, json_object, load_json, unexpected
from airflow_provider_jobstatus.core.scan import Outline
from airflow_provider_jobstatus.hooks.base import MAX_LIST_BYTES
from airflow_provider_jobstatus.hooks.talkdesk_login import TalkdeskLogin

#: How often a signed address that has expired is asked for again.
MAX_ADDRESSES = 3

#: Jobs on a page of the list: the most that clients ask for.
PAGE_SIZE = 200
#: Pages of a list that are read; a longer one costs more than it saves.
MAX_PAGES = 10

#: Redirects that the page, the older page or working clients read as "done" wherever they point.
_DONE = frozenset({300, 302, 303})


class TalkdeskHook(TalkdeskLogin):
    """
    Talks to Talkdesk Explore.

    :param talkdesk_conn_id: connection of type ``talkdesk``.
    """

    conn_type = "talkdesk"
    conn_name_attr = "talkdesk_conn_id"
    default_conn_name = "talkdesk_default"
    hook_name = "Talkdesk Explore"
    public_url = "https://api.talkdeskapp.com"
    statuses: ClassVar[dict[str, JobState]] = {
        "created": JobState.RUNNING,
        "processing": JobState.RUNNING,
        "uploading": JobState.RUNNING,
        "done": JobState.SUCCEEDED,
        "failed": JobState.FAILED,
        # In no list of the pages; clients test for it.
        "error": JobState.FAILED,
        "canceled": JobState.CANCELLED,
        "deleted": JobState.CANCELLED,
    }
    extra_fields = frozenset({"account", "region", "token_url", "private_key", "key_id", "algorithm"})

    def __init__(self, talkdesk_conn_id: str = default_conn_name) -> None:
        super().__init__(talkdesk_conn_id)

    def status_flow(self, job_id: str) -> Flow[JobStatus]:
        """
        Ask for a job's status: ``GET /data/reports/{type}/jobs/{id}``.

        Smallest replies relied on: 200 ``{"job": {"status": "processing"}}``, 300 without a body, 204, and
        200 ``{"entries": []}``.
        """
        kind, job = self.split_job_id(job_id)
        request = self.request("GET", f"/data/reports/{kind}/jobs/{job}", outline=_JobOutline)
        response: Response = yield request
        if response.status == 204:
            return JobStatus(job_id, self.conn_type, JobState.RUNNING, "204 No Content")
        if response.status in REDIRECTS:
            self._check_redirect(request, response, job)
        reply = self._job_of(request, response)
        asked = job_id_text(job_id).rpartition("/")[2]
        self.check_id(request, asked, reply.get("id"))
        word, state = self.read_state(request, reply.get("status"))
        return JobStatus(job_id, self.conn_type, state, word)

    def _job_of(self, request: Request, response: Response) -> dict[str, Any]:
        """Return the job of a reply; of a redirect or of the report itself, one that is done."""
        if response.status in REDIRECTS:
            try:
                reply = load_json(response.body)
            except ValueError:
                reply = {}
            job = reply.get("job", reply) if isinstance(reply, dict) else {}
            return job if isinstance(job, dict) and "status" in job else {"status": "done"}
        reply = expect_json(request, response)
        if "job" not in reply and "status" not in reply and "entries" in reply:
            return {"status": "done"}
        job = reply.get("job", reply)
        if not isinstance(job, dict):
            raise unexpected(request, "answered a job that is no JSON object")
        return job

    @staticmethod
    def _check_redirect(request: Request, response: Response, job: str) -> None:
        path = re.split(r"[?#]", response.headers.get("location", ""))[0]  # where urlsplit() may raise
        if response.status not in _DONE and not path.endswith(f"/files/{job}"):
            raise unexpected(
                request, f"answered {response.status}, and not to the job's file", response.status
            )

    def list_place(self, job_id: str) -> tuple[str, str]:
        """Return the report type, quoted: each has a list; and the job."""
        return self.split_job_id(job_id)[0], job_id_text(job_id).partition("/")[2]

    def list_flow(self, name: str) -> Flow[Listing]:
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
            request = self.request(
                "GET",
                f"/data/reports/{name}/jobs",
                {"page": str(page), "per_page": str(PAGE_SIZE)},
                max_bytes=MAX_LIST_BYTES,
            )
            reply = expect_json(request, (yield request))
            embedded = reply.get("_embedded")
            jobs = embedded.get("jobs") if isinstance(embedded, dict) else None
            if not isinstance(jobs, list):
                raise unexpected(request, "answered no list of jobs")
            entries += [
                (job["id"], Listed(job["status"]))
                for job in jobs
                if isinstance(job, dict)
                and isinstance(job.get("id"), str)
                and isinstance(job.get("status"), str)
            ]
            if len(jobs) < PAGE_SIZE:
                return Listing.of(entries, page)
        raise unexpected(request, f"answered a list of more than {MAX_PAGES} pages")

    def ping_flow(self) -> Flow[str]:
        """
        Ask for a job that cannot exist: ``GET /data/reports/calls/jobs/{id}``. Refused credentials show
        before.
        """
        request = self.request("GET", f"/data/reports/calls/jobs/{uuid.UUID(int=0)}")
        response: Response = yield request
        error = json_object(response.body)
        # One page leaves out the message, another the description.
        told = error.get("message", error.get("description"))
        if response.status in (400, 404) and isinstance(error.get("code"), str) and isinstance(told, str):
            return "Talkdesk accepts the credentials"
        raise self.foreign(
            request,
            response,
            'Talkdesk\'s error for a job that does not exist: 404 with {"code": "...", "message": "..."}',
        )

    def file_flow(self, job_id: str) -> Flow[Response]:
        """
        Open a finished report: ``GET /data/reports/{type}/files/{id}``, and the signed address that it
        redirects to.

        The reply is streamed: for ``BlockingClient.open``. The second request carries nothing of ours. An
        address that has expired is asked for again.

        :raises NotFound: there is no file: not yet, or no more.
        :raises UnexpectedResponse: an address that must not be called, a second redirect, a page of HTML.
        """
        kind, job = self.split_job_id(job_id)
        request = self.request(
            "GET", f"/data/reports/{kind}/files/{job}", headers={"Accept": "*/*"}, stream=True
        )
        for _ in range(MAX_ADDRESSES):
            response: Response = yield request
            if response.status in REDIRECTS:
                stored = Request(
                    self.conn_type,
                    "GET",
                    target_of(request, response),
                    {"Accept": "*/*"},
                    stream=True,
                    anonymous=True,
                )
                response = yield stored
                if response.status == 403:
                    continue
                # A storage may repeat the signed address in its error.
                expect(stored, replace(response, body=b""))
            else:
                expect(request, response)
            if response.content_type == "text/html":
                raise unexpected(request, "answered a page of HTML instead of a report")
            return response
        raise unexpected(request, f"gave {MAX_ADDRESSES} signed addresses, and the storage refused each", 403)

    def split_job_id(self, job_id: str) -> tuple[str, str]:
        """
        Return report type and job id, each quoted for a path.

        :raises SettingsError: not of the form that this module documents.
        """
        kind, slash, job = job_id_text(job_id).partition("/")
        if not slash:
            raise SettingsError(f"job_id {kind!r} names no report type: give '<report_type>/<jobId>'")
        return path_segment(kind, "report type"), path_segment(job, "jobId")


class _JobOutline(Outline):
    """A job; or the beginning of the report itself, whatever its size: no row is kept or awaited."""

    def __init__(self) -> None:
        super().__init__(keep=("job", "id", "status"), enough=lambda members: "job" in members)

    def feed(self, chunk: bytes) -> bool:
        """Take in what comes next, and return whether no more is needed."""
        return super().feed(chunk) or ("entries" in self.items and "status" not in self.members)

    def json(self) -> bytes:
        """Return the kept members as a small JSON object; of rows, that there are any."""
        if "entries" in self.items:
            self.members.setdefault("entries", b"[]")
        return super().json()
