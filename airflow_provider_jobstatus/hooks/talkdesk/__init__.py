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
    without a body; or with 200 and the job; or with 200 and the report itself, which the files address is
    then asked to confirm. No redirect is followed. The page lists words in upper and in lower case. 204 means
    "not yet". The file is a redirect to a signed address of another host, which refuses our credentials and
    is good for a short time only.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from airflow_provider_jobstatus.core.content import expect_file
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.ids import job_id_text
from airflow_provider_jobstatus.core.jobs import JobState, Listed, Listing
from airflow_provider_jobstatus.core.redirects import REDIRECTS, target_of
from airflow_provider_jobstatus.core.responses import expect_json, json_object, unexpected
from airflow_provider_jobstatus.hooks.talkdesk.status import TalkdeskStatus

#: Signed addresses that are tried: one that has expired is asked for again once.
MAX_ADDRESSES = 2

#: Jobs on a page of the list: the most that clients ask for.
PAGE_SIZE = 200
#: Pages of a list that are read; a longer one costs more than it saves.
MAX_PAGES = 10

#: What Talkdesk's errors consist of, and what their codes look like in practice.
_ERROR_KEYS = frozenset({"code", "message", "description", "fields"})
_CODE = re.compile(r"\d{7}", re.ASCII)


class TalkdeskHook(TalkdeskStatus):
    """
    Talks to Talkdesk Explore.

    :param talkdesk_conn_id: connection of type ``talkdesk``.
    :param http: ``method`` of :meth:`run`, and what else ``HttpOperator`` gives.
    """

    conn_type = "talkdesk"
    conn_name_attr = "talkdesk_conn_id"
    default_conn_name = "talkdesk_default"
    hook_name = "Talkdesk Explore"
    public_url = "https://api.talkdeskapp.com"
    credential = "client id and client secret, or the private key,"
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

    def __init__(self, talkdesk_conn_id: str = default_conn_name, **http: Any) -> None:
        super().__init__(talkdesk_conn_id, **http)

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
        if response.status in (400, 404) and _is_full_error(json_object(response.body)):
            return "Talkdesk accepts the credentials"
        raise self.foreign(
            request,
            response,
            "Talkdesk's error for a job that does not exist: 404 with "
            '{"code": "...", "message": "...", "description": "...", "fields": []}, where a code of seven '
            "digits and a message are enough (its codes are on no page: if this is Talkdesk all the same, "
            "the credentials were accepted, and waits work)",
        )

    def is_own_error(self, response: Response) -> bool:
        """Whether it is an object with a ``code``."""
        return "code" in json_object(response.body)

    def file_flow(self, job_id: str) -> Flow[Response]:
        """
        Open a finished report: ``GET /data/reports/{type}/files/{id}``, and the signed address that it
        redirects to.

        The reply is streamed: for ``BlockingClient.open``. The second request carries nothing of ours. A
        storage may refuse an address that has expired with any 4xx: another address is asked for, once.

        :raises NotFound: there is no file: not yet, or no more.
        :raises ServerError: a 2xx that is no file, such as "not yet".
        :raises UnexpectedResponse: an address that must not be called, a second redirect, an empty file that
            comes from no storage, or addresses that are refused.
        """
        kind, job = self.split_job_id(job_id)
        request = self.request(
            "GET", f"/data/reports/{kind}/files/{job}", headers={"Accept": "*/*"}, stream=True
        )
        for _ in range(MAX_ADDRESSES):
            response: Response = yield request
            if response.status not in REDIRECTS:
                if expect_file(request, response).headers.get("content-length") == "0":
                    raise unexpected(request, "answered with an empty file")
                return response
            stored = Request(
                self.conn_type,
                "GET",
                target_of(request, response),
                {"Accept": "*/*"},
                stream=True,
                anonymous=True,
            )
            response = yield stored
            if not _may_have_expired(response):
                break
        # A storage may repeat the signed address in its error.
        shown = response if response.status < 300 else replace(response, body=b"")
        if _may_have_expired(response) and response.status not in (404, 410):
            reason = f"gave {MAX_ADDRESSES} signed addresses, and the storage refused each"
            raise unexpected(request, f"{reason}, the last with {response.status}", response.status)
        return expect_file(stored, shown)


def _is_full_error(error: Mapping[str, object]) -> bool:
    """
    Return whether an error is Talkdesk's and not any server's with a ``code`` and a ``message``.

    One page leaves out the message, another the description.
    """
    code, told = error.get("code"), error.get("message", error.get("description"))
    if not isinstance(code, str) or not isinstance(told, str) or not error.keys() <= _ERROR_KEYS:
        return False
    return bool(_CODE.fullmatch(code)) or not error.keys() <= {"code", "message"}


def _may_have_expired(response: Response) -> bool:
    """Return whether a storage refuses an address, rather than all calls for the time being."""
    later = response.status in (408, 425, 429) or "retry-after" in response.headers
    return 400 <= response.status < 500 and not later
