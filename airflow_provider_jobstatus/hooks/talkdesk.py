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

import base64
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import urlencode

from airflow_provider_jobstatus.core.auth import Auth, ExchangedToken, Token, token_flow, token_slot
from airflow_provider_jobstatus.core.errors import NotFound, RequestRejected, SettingsError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.ids import job_id_text, path_segment
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.pem import proper_pem
from airflow_provider_jobstatus.core.redirects import REDIRECTS, target_of
from airflow_provider_jobstatus.core.replies import expect, expect_json, load_json, unexpected
from airflow_provider_jobstatus.core.scan import Outline
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Connection


class Region(NamedTuple):
    """Base URL of a region's API, and the domain of its accounts' login hosts, where it is known."""

    api: str
    login_domain: str | None


REGIONS = {
    "us": Region("https://api.talkdeskapp.com", "talkdeskid.com"),
    "eu": Region("https://api.talkdeskapp.eu", "talkdeskid.eu"),
    "ca": Region("https://api.talkdeskappca.com", "talkdeskidca.com"),
    "au": Region("https://api.mytalkdesk.au", "talkdeskid.au"),
    "uk": Region("https://api.talkdeskapp.co.uk", None),
}
#: Life of a signed login, in seconds.
ASSERTION_LIFE = 300
#: How often a signed address that has expired is asked for again.
MAX_ADDRESSES = 3

#: Redirects that the page, the older page or working clients read as "done" wherever they point.
_DONE = frozenset({300, 302, 303})


class TalkdeskHook(BatchJobHook):
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

    @classmethod
    def read_settings(cls, connection: Connection) -> Settings:
        """Return the connection, checked; without a host, that of its region."""
        settings = super().read_settings(connection)
        if (connection.host or "").strip():
            return settings
        return settings.at(cls._region(settings).api)

    @staticmethod
    def _region(settings: Settings) -> Region:
        name = (settings.text("region") or "us").lower()
        if name not in REGIONS:
            raise settings.error("extra 'region'", f"is {name!r}", f"there are {', '.join(REGIONS)}")
        return REGIONS[name]

    def make_auth(self) -> Auth:
        """Return the exchange of client credentials: by signed JWT if there is a ``private_key``."""
        settings = self.settings
        url = self._token_url()
        client = settings.required("login", settings.login, "set it to the client id")
        key = settings.text("private_key", multiline=True)
        if key is not None:
            key_id = settings.required("extra 'key_id'", settings.text("key_id"), "set it to the key's id")
            algorithm = settings.text("algorithm") or "ES256"
            if algorithm not in ("ES256", "RS256"):
                raise settings.error("extra 'algorithm'", f"is {algorithm!r}", "there are ES256 and RS256")
            try:
                pem = proper_pem(key)
            except ValueError as problem:
                raise settings.error(
                    "extra 'private_key'", str(problem), "give it with its BEGIN and END lines"
                ) from None
            return ExchangedToken(
                token_slot(url, client, pem),
                lambda: self.signed_login_flow(url, client, pem, key_id, algorithm),
                (pem, key, *pem.splitlines()[1:-1]),  # an answer may lay out its lines in another way
                refusals=frozenset({401, 403}),
            )
        secret = settings.required(
            "password", settings.password, "set it to the client secret, or set extra 'private_key'"
        )
        return ExchangedToken(
            token_slot(url, client, secret),
            lambda: self.login_flow(url, client, secret),
            (secret,),
            refusals=frozenset({401, 403}),
        )

    def _token_url(self) -> str:
        settings = self.settings
        if settings.text("token_url") is not None:
            return settings.url("token_url", "")
        # Of the host, where one is given: another region's login is another company's.
        domain = {region.api: region.login_domain for region in REGIONS.values()}.get(settings.base_url)
        if domain is None:
            raise settings.error("extra 'token_url'", "is not set", "give the full URL of your login host")
        account = settings.required(
            "extra 'account'", settings.text("account"), "set it to your account's name"
        )
        if not re.fullmatch(r"[A-Za-z0-9-]+", account):
            raise settings.error("extra 'account'", "is no name of an account", "give only its first part")
        return f"https://{account}.{domain}/oauth/token"

    def login_flow(self, url: str, client: str, secret: str) -> Flow[Token]:
        """Exchange client id and secret: ``POST https://{account}.talkdeskid.com/oauth/token``."""
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        return token_flow(
            self._login(url, {"grant_type": "client_credentials"}, Authorization=f"Basic {basic}"),
            (secret, basic),
        )

    def signed_login_flow(self, url: str, client: str, pem: str, key_id: str, algorithm: str) -> Flow[Token]:
        """Exchange a signed login: ``POST https://{account}.talkdeskid.com/oauth/token``."""
        import jwt

        now = int(self.wall_clock())
        claims = {
            "jti": uuid.uuid4().hex,
            "iss": client,
            "sub": client,
            "aud": url,
            "iat": now,
            "exp": now + ASSERTION_LIFE,
        }
        try:
            assertion = jwt.encode(claims, pem, algorithm, headers={"kid": key_id})
        except (ValueError, TypeError, jwt.PyJWTError):
            raise self.settings.error(
                "extra 'private_key'", f"is no key for {algorithm}", "give the private key as PEM"
            ) from None
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        return token_flow(self._login(url, form), (assertion,))

    def _login(self, url: str, form: Mapping[str, str], **headers: str) -> Request:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return Request(self.conn_type, "POST", url, headers, urlencode(form).encode())

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

    def ping_flow(self) -> Flow[str]:
        """
        Ask for a job that cannot exist: ``GET /data/reports/calls/jobs/{id}``. Refused credentials show
        before.
        """
        request = self.request("GET", f"/data/reports/calls/jobs/{uuid.UUID(int=0)}")
        response = yield request
        with suppress(NotFound, RequestRejected):
            expect(request, response, *REDIRECTS)
        return "Talkdesk accepts the credentials"

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
