"""The reports of the Explore API of Talkdesk, as the stand-in serves them.

Sources: https://docs.talkdesk.com/reference/execute-a-report ,
https://docs.talkdesk.com/reference/check-a-report-status ,
https://docs.talkdesk.com/reference/download-a-report ; for lists and deleted files, which these pages leave
out, those of the older Reporting API: https://docs.talkdesk.com/docs/inspecting-previous-report-jobs ,
https://docs.talkdesk.com/docs/downloading-a-report-file

The pages differ in what a finished job's status looks like; ``done_form`` chooses one of the forms.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.files import StoredFile, send_file
from airflow_provider_jobstatus.sandbox.orders import OrderRefused, as_json
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.script import respond
from airflow_provider_jobstatus.sandbox.storage import Storage
from airflow_provider_jobstatus.sandbox.talkdesk.jobs import (
    CONTENT_TYPES,
    TalkdeskForms,
    TalkdeskJob,
    executed_job,
)
from airflow_provider_jobstatus.sandbox.talkdesk.listing import LIST_KEYS, ReportPage, list_page
from airflow_provider_jobstatus.sandbox.talkdesk.login import TokenDesk
from airflow_provider_jobstatus.sandbox.vendor import Origin

REPORTS = "/data/reports/"
KINDS = (
    "calls",
    "explore_calls",
    "contacts",
    "user_status",
    "studio_flow_execution",
    "ring_attempts",
    "audit_logs",
    "messaging_contacts",
    "advanced_dialer_calls_report",
)
# The page shows links to a host of the documentation, over plain HTTP. A client that follows them is wrong,
# and a name that cannot exist makes it fail.
LINKS = "http://api-docs.talkdesk.invalid"
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
}
READ, WRITE = "data-reports:read", "data-reports:write"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Numbers, and the forms that no single job has of its own.

    :param url_lifetime_seconds: How long a signed URL is good.
    :param execute_form: Whether an execute request gets the job ``flat`` or ``nested`` under ``job``.
    :param execute_seconds: How long the job takes that it makes.
    :param execute_rows: How many rows its report has.
    :param list_key: What a list calls its jobs.
    """

    url_lifetime_seconds: float = 60.0
    execute_form: str = "flat"
    execute_seconds: float = 10.0
    execute_rows: int = 40
    list_key: str = "jobs"


def read_limits(given: Fields, limits: Limits) -> Limits:
    """Read changes of settings."""
    changes = given.changed(limits, execute_form=("flat", "nested"), list_key=LIST_KEYS)
    return replace(limits, **changes)


class Reports:
    """The endpoints of the API, and the jobs behind them.

    :param clock: The sandbox's clock.
    :param urls: The addresses of the origins.
    :param desk: Checks the tokens.
    :param storage: Where the files are fetched.
    """

    def __init__(self, clock: Clock, urls: Mapping[Origin, str], desk: TokenDesk, storage: Storage) -> None:
        self.jobs: dict[tuple[str, str], TalkdeskJob] = {}
        self.forms = TalkdeskForms()
        self.limits = Limits()
        self._clock = clock
        self._urls = urls
        self._desk = desk
        self._storage = storage

    @property
    def routes(self) -> list[web.RouteDef]:
        """The endpoints."""
        return [
            web.get(REPORTS + "{kind}/jobs", self._list, allow_head=False),
            web.post(REPORTS + "{kind}/jobs", self._execute),
            web.get(REPORTS + "{kind}/jobs/{job_id}", self._status, allow_head=False),
            web.get(REPORTS + "{kind}/files/{job_id}", self._file, allow_head=False),
            web.delete(REPORTS + "{kind}/files/{job_id}", self._delete),
        ]

    def _authorize(self, request: web.Request, scope: str) -> str:
        """Check the token and the report's type, and return the type."""
        self._desk.check(request.headers.get("Authorization", ""), scope)
        kind = request.match_info["kind"]
        if kind not in KINDS and kind not in {kind for kind, _ in self.jobs}:
            raise web.HTTPBadRequest(text=f"There is no report type {kind}.")
        return kind

    def _job(self, request: web.Request, scope: str = READ) -> TalkdeskJob:
        kind, job_id = self._authorize(request, scope), request.match_info["job_id"]
        if (kind, job_id) not in self.jobs:
            raise web.HTTPNotFound(text=f"There is no {kind} job {job_id}.")
        return self.jobs[kind, job_id]

    def _document(self, job: TalkdeskJob) -> dict[str, object]:
        links = {
            "self": {"href": f"{LINKS}{REPORTS}{job.kind}/jobs/{job.job_id}"},
            "files": {"href": f"{LINKS}{REPORTS}{job.kind}/files/{job.job_id}"},
        }
        return {"job": job.status(self._clock.now(), job.forms(self.forms)), "_links": links}

    async def _status(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        entry = job.timeline.poll(self._clock.now())
        return await respond(request, entry, lambda: self._usual(request, job))

    def _usual(self, request: web.Request, job: TalkdeskJob) -> web.StreamResponse:
        if not job.done(self._clock.now()):
            return web.json_response(self._document(job))
        forms = job.forms(self.forms)
        if forms.done_form == "entries":
            file = StoredFile(content=job.content("json"), content_type=CONTENT_TYPES["json"])
            return send_file(request, file)
        if forms.done_form == "200":
            return web.json_response(self._document(job))
        path = REPORTS + job.file_path
        location = {"relative": path, "absolute": self._urls["api"] + path, "missing": None}.get(
            forms.done_location, forms.done_location
        )
        headers = {} if location is None else {"Location": location}
        status = int(forms.done_form)
        if not forms.done_body:
            return web.Response(status=status, headers=headers)
        return web.json_response(self._document(job), status=status, headers=headers)

    def page(self, request: web.Request, shown: Mapping[str, object] | None = None) -> ReportPage:
        """Return the requested page of a list."""
        kind = self._authorize(request, READ)
        jobs = [job for job in self.jobs.values() if job.kind == kind]
        address, key = f"{LINKS}{REPORTS}{kind}/jobs", self.limits.list_key
        return list_page(request, jobs, self._clock.now(), self.forms, shown, address=address, key=key)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        page = self.page(request)
        return web.json_response(page.reply(page.entries))

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        kind = self._authorize(request, WRITE)
        job_id, order = uuid.uuid4().hex, as_json(await request.read())
        try:
            job = executed_job(
                kind,
                job_id,
                order,
                self._clock.now(),
                seconds=self.limits.execute_seconds,
                rows=self.limits.execute_rows,
            )
        except OrderRefused as refusal:
            fields = [{"name": name, "description": text} for name, text in refusal.problems.items()]
            body = {"code": CODES[400], "description": str(refusal), "fields": fields}
            return web.json_response(body, status=400)
        self.jobs[kind, job_id] = job
        document = self._document(job)
        if self.limits.execute_form == "flat":
            document = job.status(self._clock.now(), job.forms(self.forms)) | {"_links": document["_links"]}
        return web.json_response(document, status=202)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if not job.done(self._clock.now()):
            raise web.HTTPNotFound(text=f"The {job.kind} job {job.job_id} has no file.")
        form = job.forms(self.forms).file_form
        if form == "200":
            return send_file(request, job.file())
        path = f"/reports/{job.file_path}"
        self._storage.put(path, job.file())
        location = self._urls["storage"] + self._storage.sign(path, self.limits.url_lifetime_seconds)
        # The page shows the job as the body here too.
        return web.json_response(self._document(job), status=int(form), headers={"Location": location})

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request, WRITE)
        if job.deleted:
            raise web.HTTPForbidden(text="The file was deleted before.")
        if not job.done(self._clock.now()):
            raise web.HTTPNotFound(text=f"The {job.kind} job {job.job_id} has no file.")
        job.deleted = True
        self._storage.remove(f"/reports/{job.file_path}")
        return web.Response(status=204)
