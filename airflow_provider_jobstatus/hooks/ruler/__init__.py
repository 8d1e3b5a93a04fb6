"""
Ruler Analytics: batch uploads of revenue, and of opportunities, whose status is polled in the same way.

Auth
    ``Authorization: Bearer``: an access token as password; or user (login) and password, exchanged at the
    login host, which is another one than the API's.
Job id
    ``"<siteId>/<jobId>"``, or ``"<jobId>"`` with the connection's ``site_id``.
Sources, read 2026-11-21
    https://rulerapi.com/batch-jobs, with /status, /jobs and /revenue-failures below it, and
    https://rulerapi.com/post-get-access-token; on 2026-11-28 those named in the modules of uploads
Quirks
    100 % progress says nothing about success. Times are UTC without an offset. ``failed`` may come without a
    reason: then all rows were rejected, unless its counts say otherwise. The life of a token and the response
    to a failed login are not documented.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from airflow_provider_jobstatus.core.auth import Auth, ExchangedToken, HeaderKey
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.tokens import token_slot
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler import listing, orphans, results, status, submit
from airflow_provider_jobstatus.hooks.ruler.job import RulerJobId, parse_job_id
from airflow_provider_jobstatus.hooks.ruler.login import LOGIN_URL, login_flow


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
    credential = "the user (login) and the password"
    statuses: ClassVar[dict[str, JobState]] = {
        "pending": JobState.RUNNING,
        "processing": JobState.RUNNING,
        "complete": JobState.SUCCEEDED,
        "partialcomplete": JobState.PARTIAL,
        "failed": JobState.FAILED,
    }
    extra_fields = frozenset({"site_id", "auth_url", "check_failure_count", "upload_path", "part_name"})

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
            token_slot(url, login, secret), lambda: login_flow(self, url, login, secret), (secret,)
        )

    def shown_credential(self) -> str:
        """Return what is shown: a token alone, or a user with a password."""
        return "the access token (password)" if self.settings.login is None else self.credential

    def account(self) -> tuple[str, ...]:
        """Return the default site."""
        return (self.settings.text("site_id") or "",)

    parse_job_id = parse_job_id
    status_flow = status.status_flow
    list_flow = listing.list_flow
    ping_flow = listing.ping_flow
    failures_operation = results.failures_operation
    upload_place = submit.upload_place
    upload_operation = submit.upload_operation
    jobs_before_operation = orphans.jobs_before_operation
    search_operation = orphans.search_operation

    def list_place(self, job: RulerJobId) -> tuple[str, str]:
        """Return the site, quoted: each has a list; and the job."""
        return job.site_segment, job.job

    def checks_failure_count(self) -> bool:
        """
        Return whether the failures must have as many rows as ``failureCount`` says; no page says they do.

        :raises SettingsError: extra ``check_failure_count`` is neither true nor false.
        """
        return self.settings.flag("check_failure_count", default=True)

    def is_own_error(self, response: Response) -> bool:
        """
        Whether it is a JSON object, and no 404: no page shows what Ruler says of a job that it does not know,
        and a gateway without a route says that in JSON, too.
        """
        return response.status not in (404, 410) and super().is_own_error(response)

    def is_own_refusal(self, response: Response) -> bool:
        """Return whether a 4xx shows that an upload has made no job."""
        return submit.is_own_refusal(response) or super().is_own_refusal(response)

    def revenue_failures(self, job_id: str) -> Iterator[list[str]]:
        """
        Yield the rejected rows of a finished job as Ruler's CSV has them: first the header, then the rows.

        Rows are lists because the header may repeat ``Label``, and may be shorter or longer than the header.
        They hold personal data. They are streamed: memory does not grow with their number. They are not
        compared with ``failureCount``, so that a reply without length or chunks whose end is lost between two
        rows is not noticed: the download operator notices it.

        :param job_id: of a job that ended ``partialcomplete`` or ``failed``.
        :raises VendorError: no usable response, or one that ends early.
        """
        return results.revenue_failures(self, self.parse_job_id(job_id))
