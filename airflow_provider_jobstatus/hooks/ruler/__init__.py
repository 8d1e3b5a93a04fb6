"""
Ruler Analytics: batch uploads of revenue, and of opportunities, whose status is asked for in the same way.

Auth
    ``Authorization: Bearer``: an access token as password; or user (login) and password, exchanged at the
    login host, which is another one than the API's.
Job id
    ``"<siteId>/<jobId>"``, or ``"<jobId>"`` with the connection's ``site_id``.
Sources, read 2026-11-21
    https://rulerapi.com/batch-jobs, with /status, /jobs and /revenue-failures below it, and
    https://rulerapi.com/post-get-access-token
Quirks
    100 % progress says nothing about success. Times are UTC without an offset. ``failed`` may come without a
    reason: then all rows were rejected, unless its counts say otherwise. The life of a token and the answer
    to a failed login are not documented.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from airflow_provider_jobstatus.core.auth import Auth, ExchangedToken, HeaderKey
from airflow_provider_jobstatus.core.content import JUDGED_BYTES, expect_file, framing, misfit
from airflow_provider_jobstatus.core.encodings import peek
from airflow_provider_jobstatus.core.errors import (
    NotFound,
    SettingsError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.ids import job_id_text, path_segment
from airflow_provider_jobstatus.core.jobs import (
    JobState,
    JobStatus,
    Listed,
    Listing,
    row_counts,
    text_or_none,
    utc_time,
    whole_percent,
)
from airflow_provider_jobstatus.core.responses import expect, expect_json, expect_list
from airflow_provider_jobstatus.core.rows import csv_rows
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.core.tokens import Token, token_flow, token_slot
from airflow_provider_jobstatus.hooks.base import BatchJobHook

FailuresFormat = Literal["csv", "json"]

#: Where user and password are exchanged for a token, unless the connection's ``auth_url`` says otherwise.
LOGIN_URL = "https://authapi.rulerapi.com/v1/login"
_MEDIA_TYPES = {"csv": "text/csv", "json": "application/json"}


class RulerHook(BatchJobHook):
    """
    Talks to Ruler Analytics.

    :param ruler_conn_id: connection of type ``ruler``.
    :param http: ``method`` of :meth:`run`, and what else ``HttpOperator`` gives.
    """

    conn_type = "ruler"
    conn_name_attr = "ruler_conn_id"
    default_conn_name = "ruler_default"
    hook_name = "Ruler Analytics"
    public_url = "https://rest.rulerapi.com/v1"
    credential = "the access token or password"
    statuses: ClassVar[dict[str, JobState]] = {
        "pending": JobState.RUNNING,
        "processing": JobState.RUNNING,
        "complete": JobState.SUCCEEDED,
        "partialcomplete": JobState.PARTIAL,
        "failed": JobState.FAILED,
    }
    extra_fields = frozenset({"site_id", "auth_url", "check_failure_count"})

    def __init__(self, ruler_conn_id: str = default_conn_name, **http: Any) -> None:
        super().__init__(ruler_conn_id, **http)

    def make_auth(self) -> Auth:
        """Return the access token, or the exchange of user and password."""
        settings = self.settings
        fix = "set it to an access token, or a password"
        if settings.login is None:
            token = settings.header_key("password", settings.password, fix)
            return HeaderKey("Authorization", token, scheme="Bearer")
        secret = settings.required("password", settings.password, fix)
        url = settings.url("auth_url", LOGIN_URL)
        login = settings.login
        return ExchangedToken(
            token_slot(url, login, secret), lambda: self.login_flow(url, login, secret), (secret,)
        )

    def account(self) -> tuple[str, ...]:
        """Return the default site."""
        return (self.settings.text("site_id") or "",)

    def login_flow(self, url: str, user: str, password: str) -> Flow[Token]:
        """
        Exchange user and password: ``POST https://authapi.rulerapi.com/v1/login``.

        :raises AccessDenied: 400, 401 or 403. What a failed login answers is not documented.
        """
        form = urlencode({"username": user, "password": password}).encode()
        request = Request(
            self.conn_type, "POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, form
        )
        return token_flow(request, (password,))

    def status_flow(self, job_id: str) -> Flow[JobStatus]:
        """
        Ask for a job's status: ``GET /{siteId}/batch/{jobId}/status``.

        Smallest reply relied on: ``{"status": "processing"}``
        """
        site, job = self.split_job_id(job_id)
        request = self.request("GET", f"/{site}/batch/{job}/status")
        reply = expect_json(request, (yield request))
        self.check_id(request, job_id_text(job_id).rpartition("/")[2], reply.get("jobId"))
        word, state = self.read_state(request, reply.get("status"))
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
            detail = _unexplained(counts or {})
        return JobStatus(
            job_id=job_id,
            vendor=self.conn_type,
            state=state,
            vendor_status=word,
            detail=detail,
            progress=whole_percent(reply.get("percentageProgress")),
            counts=counts,
            created_at=utc_time(reply.get("createdDateTime")),
            completed_at=utc_time(reply.get("completedDateTime")),
        )

    def list_place(self, job_id: str) -> tuple[str, str]:
        """Return the site, quoted: each has a list; and the job."""
        return self.split_job_id(job_id)[0], job_id_text(job_id).rpartition("/")[2]

    def list_flow(self, name: str) -> Flow[Listing]:
        """
        Read a site's list of jobs: ``GET /{siteId}/batch/jobs``. No paging is documented.

        Smallest reply relied on: ``[{"jobId": "j1", "status": "processing", "percentageProgress": 40}]``

        :param name: the site, quoted.
        """
        request = self._list_request(name)
        entries = expect_list(request, (yield request))
        return Listing.of(
            (job, Listed(word, whole_percent(entry.get("percentageProgress"))))
            for entry in entries
            if isinstance(entry, dict)
            and isinstance(job := entry.get("jobId"), str)
            and isinstance(word := entry.get("status"), str)
        )

    def _list_request(self, site: str) -> Request:
        return self.request("GET", f"/{site}/batch/jobs")

    def ping_flow(self) -> Flow[str]:
        """
        List the default site's jobs: ``GET /{siteId}/batch/jobs``.

        Smallest reply relied on: ``[]``

        No page shows Ruler's errors, so that only a list of jobs proves who answers. Without a default site,
        a site that cannot exist is asked for, to tell a refused token from a site that is not set.
        """
        site = self.settings.text("site_id")
        source = f"connection {self.conn_id!r}: extra 'site_id'"
        request = self._list_request(path_segment(site or "no-such-site", "site", source))
        response: Response = yield request
        if site is not None:
            expect(request, response)
        if not 200 <= response.status < 300:
            raise self.foreign(request, response, _LIST_OF_SITE)
        jobs = expect_list(request, response)
        if not all(
            isinstance(job, dict) and isinstance(job.get("jobId"), str) and isinstance(job.get("status"), str)
            for job in jobs
        ):
            raise self.foreign(request, response, "a list of jobs, each with its jobId and status")
        return f"Ruler accepts the credentials and lists the jobs of site {site}" if site else _NO_SITE

    def checks_failure_count(self) -> bool:
        """
        Return whether the failures must have as many rows as ``failureCount`` says; no page says they do.

        :raises SettingsError: extra ``check_failure_count`` is neither true nor false.
        """
        return self.settings.flag("check_failure_count", default=True)

    def failures_flow(self, job_id: str, file_format: FailuresFormat = "csv") -> Flow[Response]:
        """
        Open the rejected rows of a job: ``GET /{siteId}/batch/{jobId}/failures?format=csv``.

        Offered once the job has ended with rejected rows. The reply is streamed: for ``BlockingClient.open``.

        :raises NotFound: also for a job that has none; what a fully good job answers is not documented.
        :raises ServerError: a 2xx that is no file, such as "not yet".
        """
        site, job = self.split_job_id(job_id)
        request = self.request(
            "GET",
            f"/{site}/batch/{job}/failures",
            {"format": file_format},
            headers={"Accept": _MEDIA_TYPES[file_format]},
            stream=True,
        )
        response: Response = yield request
        try:
            return expect_file(request, response)
        except NotFound as error:
            error.own = super().is_own_error(response)
            raise

    def is_own_error(self, response: Response) -> bool:
        """
        Whether it is a JSON object, and no 404: no page shows what Ruler says of a job that it does not know,
        and a gateway without a route says that in JSON, too.
        """
        return response.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE) and super().is_own_error(
            response
        )

    def revenue_failures(self, job_id: str) -> Iterator[list[str]]:
        """
        Yield the rejected rows of a finished job as Ruler's CSV has them: first the header, then the rows.

        Rows are lists because the header may repeat ``Label``, and may be shorter or longer than the header.
        They hold personal data. They are streamed: memory does not grow with their number. They are not
        compared with ``failureCount``, so that a reply without length or chunks whose end is lost between two
        rows is not noticed: the download operator notices it.

        :param job_id: of a job that ended ``partialcomplete`` or ``failed``.
        :raises VendorError: no usable answer, or one that ends early.
        """
        flow = self.with_credentials(self.failures_flow(job_id))
        with self.connect() as client, client.open(flow) as reply:
            head, chunks = peek(reply.chunks or (), JUDGED_BYTES)
            if sent := misfit("csv", reply.content_type, head, len(head) < JUDGED_BYTES):
                reason = f"sent {sent.describe(self.auth.secrets)} instead of rows"
                raise UnexpectedResponse(reason, vendor=self.conn_type)
            try:
                yield from csv_rows(chunks, to_line_end=not framing(reply.headers))
            except csv.Error as error:
                raise UnexpectedResponse(
                    f"sent rows that are no CSV: {error}", vendor=self.conn_type
                ) from None

    def split_job_id(self, job_id: str) -> tuple[str, str]:
        """
        Return ``siteId`` and ``jobId``, each quoted for a path.

        :raises SettingsError: not of the form that this module documents.
        """
        site, slash, job = job_id_text(job_id).rpartition("/")
        if not slash:
            site = self.settings.text("site_id") or ""
            if not site:
                raise SettingsError(
                    f"job_id {job!r} names no site: give '<siteId>/<jobId>', or set extra 'site_id' of "
                    f"connection {self.conn_id!r}"
                )
        return path_segment(site, "siteId"), path_segment(job, "jobId")


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
    return rejected == 0 or status.detail not in (None, _unexplained(status.counts or {}))


def _unexplained(counts: Mapping[str, int | None]) -> str:
    """Return what is known of a failure without a reason: never more than the job's counts allow."""
    total, succeeded, failed = (counts.get(key) for key in ("total", "succeeded", "failed"))
    if failed == 0:
        return "Ruler gives no reason, and counts no rejected rows"
    if succeeded or (total is not None and failed is not None and failed != total):
        return "Ruler gives no reason; fetch the failures to see which rows were rejected"
    return "Ruler gives no reason, so all rows were rejected; fetch the failures to see why"


_LIST_OF_SITE = (
    "a list of jobs, which alone proves that this is Ruler, as no page shows its errors: set extra 'site_id' "
    "to one of your sites"
)
_NO_SITE = "Ruler accepts the credentials; no site was asked for, as extra 'site_id' is not set"
