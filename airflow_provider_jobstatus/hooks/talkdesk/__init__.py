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
    The status of a finished job is a redirect (300 by the page, 302 or 303 in practice), with or
    without a body; or with 200 and the job; or with 200 and the report itself, which the files address then
    confirms. No redirect is followed. The page lists words in upper and in lower case. 204 means
    "not yet". The file is a redirect to a signed address of another host, which refuses our credentials and
    is good for a short time only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from airflow_provider_jobstatus.core.auth import origin
from airflow_provider_jobstatus.core.errors import AccessDenied
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.responses import json_object
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_settings import ConnectionSettings
from airflow_provider_jobstatus.hooks.talkdesk import listing, login, ping, results, status
from airflow_provider_jobstatus.hooks.talkdesk.job import TalkdeskJobId, parse_job_id
from airflow_provider_jobstatus.hooks.validators import with_port

if TYPE_CHECKING:
    from airflow.sdk import Connection


class TalkdeskHook(BatchJobHook):
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

    @classmethod
    def read_settings(cls, connection: Connection) -> ConnectionSettings:
        """Return the connection, checked; without a host, that of its region."""
        settings = super().read_settings(connection)
        if (connection.host or "").strip():
            return settings
        return settings.at(with_port(login.region_of(settings).api, connection.port))

    make_auth = login.make_auth
    parse_job_id = staticmethod(parse_job_id)
    status_flow = status.status_flow
    list_flow = listing.list_flow
    ping_flow = ping.ping_flow
    file_operation = results.file_operation
    delete_operation = results.delete_operation

    def idle_extras(self) -> Iterator[tuple[str, str]]:
        """Yield what a host, a login's address or a secret takes the place of."""
        given = {name for name, value in self.settings.extra.items() if value not in (None, "")}
        if {"account", "token_url"} <= given:
            yield "account", "extra 'token_url' says where to log in"
        if "region" in given and origin(login.region_of(self.settings).api) != origin(self.settings.base_url):
            yield "region", "the connection has a host"
        for name in ("key_id", "algorithm"):
            if name in given and "private_key" not in given:
                yield name, "extra 'private_key' is not set"

    def account(self) -> tuple[str, ...]:
        """Return the login host: it is the account's own, and the region's."""
        return tuple(map(str, origin(login.token_url(self))))

    def explain_refusal(self, error: AccessDenied) -> None:
        """Say also which scope is needed."""
        super().explain_refusal(error)
        if error.path.startswith(f"{urlsplit(self.settings.base_url).path}{login.REPORTS}"):
            error.add(f"this call needs the scope {login.SCOPES[error.method]}")
        elif error.method == "POST":
            login.add_scope(error)

    def list_place(self, job: TalkdeskJobId) -> tuple[str, str]:
        """Return the report type, quoted: each has a list; and the job."""
        return job.type_segment, job.job

    def is_own_error(self, response: Response) -> bool:
        """Whether it is an object with a ``code``."""
        return "code" in json_object(response.body)
