"""A stand-in for the REST API of Ruler Analytics.

Sources: https://rulerapi.com/batch-jobs , https://docs.rulerapi.com/batch-jobs/opportunity-failures ,
https://rulerapi.com/batch-jobs/status , https://rulerapi.com/batch-jobs/jobs ,
https://rulerapi.com/batch-jobs/revenue-failures , https://docs.rulerapi.com/batch-jobs/revenue-template ,
https://rulerapi.com/post-get-access-token

No page describes an error's body, the status of a refused login or token, or an unknown job. What stands here
for them is a guess, and a client must not rely on it.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Handler

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.lists import ListDialect, Page
from airflow_provider_jobstatus.sandbox.ruler.files import JOB_TYPES, template
from airflow_provider_jobstatus.sandbox.ruler.jobs import RulerJob, read_job, uploaded_job
from airflow_provider_jobstatus.sandbox.ruler.listing import list_dialect, list_page
from airflow_provider_jobstatus.sandbox.ruler.settings import RulerSettings
from airflow_provider_jobstatus.sandbox.ruler.uploads import UploadRefused, read_form, site_and_type
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.script import respond
from airflow_provider_jobstatus.sandbox.vendor import Connection, JobView, Origin

DEMO_SITE = "demo-site"


class Ruler:
    """The stand-in.

    :param clock: The sandbox's clock.
    """

    name = "ruler"
    prefixes = ("/v1/",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Made up anew at each start and easy to recognise, so that a test can look for leaked ones.
        self._settings = RulerSettings(
            username=f"sandbox-user-{secrets.token_urlsafe(6)}",
            password=f"sandbox-password-{secrets.token_urlsafe(12)}",
        )
        self._access_token = f"sandbox-token-static-{secrets.token_urlsafe(12)}"
        self._logins = 0
        self._logins_refused = 0
        self._tokens: dict[str, float] = {self._access_token: float("inf")}  # token -> when it expires
        self._jobs: dict[tuple[str, str], RulerJob] = {}
        self._add_demo_jobs()

    @property
    def routes(self) -> Mapping[Origin, Sequence[web.RouteDef]]:
        """The vendor's endpoints by origin."""
        get, site = partial(web.get, allow_head=False), "/v1/{site_id}"
        return {
            "auth": [web.post("/v1/login", self._login)],
            "api": [
                get(f"{site}/batch/jobs", self._list),
                get(f"{site}/batch/{{job_id}}/status", self._status),
                get(f"{site}/batch/{{job_id}}/failures", self._failures),
                get(f"{site}/{{job_type}}/batch/{{job_id}}/failures", self._failures),
                get(f"{site}/{{job_type}}/template", self._template),
                web.post(f"{site}/{{job_type:{'|'.join(JOB_TYPES)}}}/batch", self._upload),
            ],
        }

    def elsewhere(self, request: web.Request) -> Handler | None:
        """Return what answers a request for which there is no endpoint: an upload, where its path is set."""
        path, takes = request.path.removeprefix("/v1"), self._settings.upload_path
        return self._upload if request.method == "POST" and site_and_type(path, takes) else None

    def error_body(self, status: int, message: str, path: str) -> object:
        """Return the JSON body of an error (unknown at the vendor)."""
        return {"status": status, "message": message}

    def connection(self, urls: Mapping[Origin, str], *, token: bool = False, jwt: bool = False) -> Connection:
        """Return an Airflow connection, with a login or with a static token."""
        connection: Connection = {"conn_type": self.name, "host": f"{urls['api']}/v1"}
        if token:
            return connection | {"password": self._access_token, "extra": {"site_id": DEMO_SITE}}
        extra = {"auth_url": f"{urls['auth']}/v1/login", "site_id": DEMO_SITE}
        return connection | {
            "login": self._settings.username,
            "password": self._settings.password,
            "extra": extra,
        }

    def put_job(self, job_id: str, spec: Mapping[str, object]) -> JobView:
        """Make or replace the job ``<site id>/<job id>``."""
        site, _, job = job_id.partition("/")
        if not site or not job:
            raise ValueError("A Ruler job's id is <site id>/<job id>.")
        self._jobs[site, job] = read_job(spec, self._clock.now())
        return self._view(site, job)

    def jobs(self) -> list[JobView]:
        """Return all jobs."""
        return [self._view(site, job) for site, job in self._jobs]

    def settings(self) -> dict[str, object]:
        """Return the settings, and how many logins there were."""
        return {
            **asdict(self._settings),
            "access_token": self._access_token,
            "tokens_issued": self._logins,
            "logins_refused": self._logins_refused,
        }

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change settings; a new static token ends the old one, a new password leaves issued tokens alone."""
        given = Fields(changes, "settings")
        access_token = given.text("access_token")
        settings = replace(self._settings, **given.changed(self._settings))
        given.finish()
        # All or nothing: the changes are made when the last of them has been read.
        self._settings = settings
        if access_token is not None:
            self._tokens.pop(self._access_token, None)
            self._access_token = access_token
            self._tokens[access_token] = float("inf")

    def revoke(self) -> int:
        """End all tokens, the static one too, and return how many there were."""
        count = len(self._tokens)
        self._tokens.clear()
        return count

    def _view(self, site: str, job_id: str) -> JobView:
        job = self._jobs[site, job_id]
        now = job.status(self._clock.now())
        return job.timeline.view(self.name, f"{site}/{job_id}", now["status"], now["percentageProgress"])

    def _add_demo_jobs(self) -> None:
        # They start at the first status request, so that they are fresh at any time.
        demo = {"start_on_first_poll": True, "total_rows": 40, "pending_seconds": 4, "processing_seconds": 16}
        self.put_job(f"{DEMO_SITE}/revenue-demo", demo | {"failed_rows": 5})
        self.put_job(f"{DEMO_SITE}/revenue-good", demo)
        self.put_job(f"{DEMO_SITE}/revenue-rejected", demo | {"failed_rows": 40})
        self.put_job(f"{DEMO_SITE}/revenue-bad", demo | {"failure_reason": "The file could not be read."})

    def _authorize(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(token, 0.0) <= self._clock.now():
            raise web.HTTPUnauthorized(text="The access token is missing, unknown or expired.")

    def _job(self, request: web.Request) -> RulerJob:
        self._authorize(request)
        site, job_id = request.match_info["site_id"], request.match_info["job_id"]
        if (site, job_id) not in self._jobs:
            raise web.HTTPNotFound(text=f"Site {site} has no job {job_id}.")
        return self._jobs[site, job_id]

    async def _login(self, request: web.Request) -> web.StreamResponse:
        # The page lists the fields with capitals and shows them without; what is shown counts here.
        form = parse_qs((await request.read()).decode("latin-1"), keep_blank_values=True, encoding="utf-8")
        urlencoded = request.content_type == "application/x-www-form-urlencoded"
        settings = self._settings
        expected = {"username": [settings.username], "password": [settings.password]}
        if not urlencoded or any(form.get(name) != values for name, values in expected.items()):
            self._logins_refused += 1
            # Status and body of a refused login are unknown at the vendor.
            raise web.HTTPUnauthorized(text="The username or the password is wrong.")
        self._logins += 1
        token = f"sandbox-token-{self._logins}-{secrets.token_urlsafe(12)}"
        self._tokens[token] = self._clock.now() + settings.token_lifetime_seconds
        return web.json_response(
            {
                "access_token": token,
                "scope": "rest",
                "expires_in": int(settings.token_lifetime_seconds),
                "refresh_token": f"sandbox-refresh-{secrets.token_urlsafe(12)}",  # no page says what takes it
            }
        )

    async def _status(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        entry = job.timeline.poll(self._clock.now())
        return await respond(request, entry, lambda: web.json_response(job.status(self._clock.now())))

    def list_dialect(self, path: str) -> ListDialect | None:
        """Return how it puts things at this path, if it lists jobs there."""
        return list_dialect(path, self._page)

    def _page(self, request: web.Request, shown: Mapping[str, object] | None = None) -> Page:
        self._authorize(request)
        return list_page(self._jobs, request.match_info["site_id"], self._clock.now(), shown)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._page(request).entries)

    async def _failures(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        # Those of revenue have no type in their path, as the pages say.
        if request.match_info.get("job_type") != (None if job.job_type == "revenue" else job.job_type):
            raise web.HTTPNotFound(text="The job has no failures here.")
        kind = request.query.get("format", "csv")
        if kind not in ("csv", "json"):
            raise web.HTTPBadRequest(text="format must be csv or json.")
        text = job.failures_file(self._clock.now(), kind)
        if text is None:
            # What the vendor answers for a running or a fully good job is unknown.
            raise web.HTTPNotFound(text="The job has no failures to download.")
        if kind == "json":
            return web.json_response(text=text)
        job_id = request.match_info["job_id"]
        return _csv(
            text, "failures.csv" if job.job_type == "revenue" else f"opportunity-failures-{job_id}.csv"
        )

    async def _template(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        if (job_type := request.match_info["job_type"]) not in JOB_TYPES:
            raise web.HTTPNotFound
        return _csv(template(job_type), f"{job_type}_template.csv")

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        path, settings = request.path.removeprefix("/v1"), self._settings
        if (found := site_and_type(path, settings.upload_path)) is None:
            raise web.HTTPNotFound(text="There is nothing here that takes an upload.")
        site, job_type = found
        form = request.headers.get("Content-Type", ""), await request.read()
        try:
            upload = read_form(form, settings.upload_part, job_type, strict=settings.upload_strict)
        except UploadRefused as refusal:
            # The shape of the row-level errors is unknown at the vendor.
            errors = [{"row": row, "message": message} for row, message in refusal.problems]
            body = {"status": 400, "message": "The upload was refused.", "errors": errors}
            return web.json_response(body, status=400)
        job_id = str(uuid.uuid4())
        pending, processing = settings.upload_pending_seconds, settings.upload_processing_seconds
        seconds = {"pending_seconds": pending, "processing_seconds": processing}
        self._jobs[site, job_id] = uploaded_job(upload, self._clock.now(), seconds)
        return web.json_response({"jobId": job_id}, status=202)


def _csv(text: str, file_name: str) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)
