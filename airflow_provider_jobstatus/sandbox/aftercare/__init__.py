"""A stand-in for the API of Aftercare: coding, brand coding and batches of data quality.

Sources: https://docs.getaftercare.com/api-reference/coding/create ,
https://docs.getaftercare.com/api-reference/coding/get ,
https://docs.getaftercare.com/api-reference/brand-coding/create ,
https://docs.getaftercare.com/api-reference/data-quality/batch , and the OpenAPI description behind them
(https://github.com/Kontractify/docs, api-reference/openapi.json).

What a well-formed job id looks like is unknown; the examples are UUIDs. The callback of a data-quality batch
is taken and never called: the sandbox sends no requests.
"""

from __future__ import annotations

import hmac
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.aftercare.jobs import (
    AftercareForms,
    AftercareJob,
    read_coding_job,
    read_forms,
    read_quality_job,
)
from airflow_provider_jobstatus.sandbox.aftercare.results import BadCursor, codes_of, large_reply
from airflow_provider_jobstatus.sandbox.aftercare.submit import (
    OrderRefused,
    read_coding_order,
    read_quality_order,
)
from airflow_provider_jobstatus.sandbox.files import send_content
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.script import play
from airflow_provider_jobstatus.sandbox.vendor import Connection, JobView, Origin

PREFIX = "/api/v1/"
QUALITY = "data-quality/"
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}\Z")
CODES = {
    400: "INVALID_REQUEST",
    403: "INVALID_API_KEY",
    404: "NOT_FOUND",
    500: "INTERNAL_ERROR",
    504: "GATEWAY_TIMEOUT",
}


class Aftercare:
    """The stand-in.

    :param clock: The sandbox's clock.
    """

    name = "aftercare"
    prefixes = (PREFIX,)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Made up anew at each start and easy to recognise, so that a test can look for leaked ones.
        self._api_key = f"sandbox-password-aftercare-{secrets.token_urlsafe(12)}"
        self._revoked = False
        self._forms = AftercareForms()
        self._cursor_parameter = "cursor"
        self._create_queued_seconds = 2.0
        self._create_processing_seconds = 6.0
        self._jobs_created = 0
        self._keys_refused = 0
        self._jobs: dict[str, AftercareJob] = {}  # by the one-string form of the id
        # It starts at the first status request, so that it is fresh whenever somebody tries it.
        demo = {"start_on_first_poll": True, "queued_seconds": 4, "processing_seconds": 16}
        self.put_job("coding-demo", demo)
        self.put_job("coding-bad", demo | {"end": "total_failure"})

    @property
    def routes(self) -> Mapping[Origin, Sequence[web.RouteDef]]:
        """The vendor's endpoints by origin."""
        return {
            "api": [
                web.post(PREFIX + "coding", self._create_coding),
                web.post(PREFIX + "brand-coding", self._create_coding),
                web.get(PREFIX + "coding/{job_id}", self._status, allow_head=False),
                web.post(PREFIX + QUALITY + "batch", self._create_quality),
                web.get(PREFIX + QUALITY + "batch/{job_id}", self._status, allow_head=False),
            ]
        }

    def error_body(self, status: int, message: str, path: str) -> object:
        """Return the JSON body of an error."""
        return {"code": CODES.get(status, "ERROR"), "message": message}

    def connection(self, urls: Mapping[Origin, str], *, token: bool = False, jwt: bool = False) -> Connection:
        """Return an Airflow connection."""
        return {
            "conn_type": self.name,
            "host": urls["api"] + PREFIX.removesuffix("/"),
            "password": self._api_key,
        }

    def put_job(self, job_id: str, spec: Mapping[str, object]) -> JobView:
        """Make or replace the job ``<batchJobId>`` or ``data-quality/<batchJobId>``."""
        batch_id, now = job_id.removeprefix(QUALITY), self._clock.now()
        if not JOB_ID.match(batch_id):
            raise ValueError("An Aftercare job's id is <batchJobId> or data-quality/<batchJobId>.")
        read = read_quality_job if job_id.startswith(QUALITY) else read_coding_job
        self._jobs[job_id] = read(batch_id, spec, now)
        return self._view(job_id)

    def jobs(self) -> list[JobView]:
        """Return all jobs."""
        return [self._view(job_id) for job_id in self._jobs]

    def settings(self) -> dict[str, object]:
        """Return the settings, and how many jobs were submitted."""
        return {
            "api_key": self._api_key,
            **asdict(self._forms),
            "cursor_parameter": self._cursor_parameter,
            "create_queued_seconds": self._create_queued_seconds,
            "create_processing_seconds": self._create_processing_seconds,
            "jobs_created": self._jobs_created,
            "keys_refused": self._keys_refused,
        }

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change settings; a new key ends the old one."""
        given = Fields(changes, "settings")
        api_key = given.text("api_key")
        forms = replace(self._forms, **read_forms(given))
        parameter = given.text("cursor_parameter", self._cursor_parameter)
        queued = given.number("create_queued_seconds", self._create_queued_seconds)
        processing = given.number("create_processing_seconds", self._create_processing_seconds)
        given.finish()
        # All or nothing: the changes are made when the last of them has been read.
        self._forms, self._cursor_parameter = forms, parameter or ""
        self._create_queued_seconds, self._create_processing_seconds = queued, processing
        if api_key is not None:
            self._api_key, self._revoked = api_key, False

    def revoke(self) -> int:
        """End the key, until another one is set, and return how many there were."""
        count = 0 if self._revoked else 1
        self._revoked = True
        return count

    def _view(self, job_id: str) -> JobView:
        job = self._jobs[job_id]
        return {
            "vendor": self.name,
            "id": job_id,
            "status": job.timeline.word(self._clock.now()),
            "progress": None,
            "polls": job.timeline.polls,
            "last_poll_at": job.timeline.last_poll_at,
        }

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("X-Aftercare-Key", "")
        if self._revoked or not hmac.compare_digest(given.encode("utf-8", "replace"), self._api_key.encode()):
            self._keys_refused += 1
            raise web.HTTPForbidden(text="The API key is missing or wrong.")

    async def _create_coding(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        try:
            order = read_coding_order(await request.read(), brand=request.path.endswith("/brand-coding"))
        except OrderRefused as refusal:
            return _refuse(refusal.details)
        spec = self._created() | {"survey_identifier": order["surveyIdentifier"]}
        job_id = str(uuid.uuid4())
        self._jobs[job_id] = read_coding_job(
            job_id, spec, self._clock.now(), codes_of(order["surveyResponses"])
        )
        # As the example has it, and whatever the settings say of later answers.
        body = self._jobs[job_id].status(self._clock.now(), AftercareForms())
        return web.json_response(body | {"status": "queued", "results": None}, status=202)

    async def _create_quality(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        try:
            order = read_quality_order(await request.read())
        except OrderRefused as refusal:
            return _refuse(refusal.details)
        job_id = str(uuid.uuid4())
        job = read_quality_job(job_id, self._created(), self._clock.now(), len(order["responses"]))
        self._jobs[QUALITY + job_id] = job
        body = {"batchJobId": job_id, "status": "queued", "results": {"items": [], "nextCursor": None}}
        return web.json_response(body, status=202)

    def _created(self) -> dict[str, object]:
        self._jobs_created += 1
        return {
            "queued_seconds": self._create_queued_seconds,
            "processing_seconds": self._create_processing_seconds,
        }

    async def _status(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        batch_id = request.match_info["job_id"]
        if not JOB_ID.match(batch_id):
            return _refuse({}, "The batch job id is malformed.")
        job_id = (QUALITY if request.path.startswith(PREFIX + QUALITY) else "") + batch_id
        if job_id not in self._jobs:
            raise web.HTTPNotFound(text=f"There is no batch job {batch_id}.")
        job = self._jobs[job_id]
        entry = job.timeline.poll(self._clock.now())

        async def usual() -> web.StreamResponse:
            return self._answer(job, request.query.get(self._cursor_parameter))

        return await play(request, entry, usual) if entry else await usual()

    def _answer(self, job: AftercareJob, cursor: str | None) -> web.StreamResponse:
        now = self._clock.now()
        try:
            body = job.status(now, job.forms(self._forms), cursor)
        except BadCursor:
            return _refuse({self._cursor_parameter: "The cursor is unknown."})
        if job.results_bytes is None or not job.completed(now):
            return web.json_response(body)
        headers = {"Content-Type": "application/json; charset=utf-8"}
        return send_content(large_reply(body, job.results_bytes), headers=headers)


def _refuse(details: Mapping[str, str], message: str = "The request is not valid.") -> web.Response:
    body: dict[str, object] = {"code": CODES[400], "message": message}
    if details:
        body["details"] = dict(details)
    return web.json_response(body, status=400)
