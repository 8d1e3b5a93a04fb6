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

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

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
from airflow_provider_jobstatus.sandbox.aftercare.submit import BRAND_CODING, CODING, QUALITY, read_order
from airflow_provider_jobstatus.sandbox.api_key import ApiKey
from airflow_provider_jobstatus.sandbox.files import send_content
from airflow_provider_jobstatus.sandbox.orders import OrderRefused
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.script import respond
from airflow_provider_jobstatus.sandbox.vendor import Connection, JobView, Origin

PREFIX = "/api/v1/"
QUALITY_PREFIX = "data-quality/"
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}\Z")
CODES = {
    400: "INVALID_REQUEST",
    403: "INVALID_API_KEY",
    404: "NOT_FOUND",
    500: "INTERNAL_ERROR",
    504: "GATEWAY_TIMEOUT",
}


@dataclass(frozen=True, kw_only=True)
class AftercareSettings:
    """What can be set besides the key and the forms of answers.

    :param cursor_parameter: The query parameter that takes a cursor.
    :param create_queued_seconds: How long a submitted job is ``queued``.
    :param create_processing_seconds: How long it is ``processing`` after that.
    """

    cursor_parameter: str = "cursor"
    create_queued_seconds: float = 2.0
    create_processing_seconds: float = 6.0


class Aftercare:
    """The stand-in.

    :param clock: The sandbox's clock.
    """

    name = "aftercare"
    prefixes = (PREFIX,)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = ApiKey(self.name)
        self._settings = AftercareSettings()
        self._forms = AftercareForms()
        self._jobs_created = 0
        self._jobs: dict[str, AftercareJob] = {}  # by the one-string form of the id
        # It starts at the first status request, so that it is fresh at any time.
        demo = {"start_on_first_poll": True, "queued_seconds": 4, "processing_seconds": 16}
        self.put_job("coding-demo", demo)
        self.put_job("coding-bad", demo | {"end": "total_failure"})

    @property
    def routes(self) -> Mapping[Origin, Sequence[web.RouteDef]]:
        """The vendor's endpoints by origin."""
        return {
            "api": [
                web.post(PREFIX + "coding", self._create),
                web.post(PREFIX + "brand-coding", self._create),
                web.get(PREFIX + "coding/{job_id}", self._status, allow_head=False),
                web.post(PREFIX + QUALITY_PREFIX + "batch", self._create),
                web.get(PREFIX + QUALITY_PREFIX + "batch/{job_id}", self._status, allow_head=False),
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
            "password": self._key.value,
        }

    def put_job(self, job_id: str, spec: Mapping[str, object]) -> JobView:
        """Make or replace the job ``<batchJobId>`` or ``data-quality/<batchJobId>``."""
        batch_id, now = job_id.removeprefix(QUALITY_PREFIX), self._clock.now()
        if not JOB_ID.match(batch_id):
            raise ValueError("An Aftercare job's id is <batchJobId> or data-quality/<batchJobId>.")
        read = read_quality_job if job_id.startswith(QUALITY_PREFIX) else read_coding_job
        self._jobs[job_id] = read(batch_id, spec, now)
        return self._view(job_id)

    def jobs(self) -> list[JobView]:
        """Return all jobs."""
        return [self._view(job_id) for job_id in self._jobs]

    def settings(self) -> dict[str, object]:
        """Return the settings, and how many jobs were submitted."""
        return {
            "api_key": self._key.value,
            **asdict(self._forms),
            **asdict(self._settings),
            "jobs_created": self._jobs_created,
            "keys_refused": self._key.refused,
        }

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change settings; a new key ends the old one."""
        given = Fields(changes, "settings")
        api_key = given.text("api_key")
        forms = replace(self._forms, **read_forms(given))
        settings = replace(self._settings, **given.changed(self._settings))
        given.finish()
        # All or nothing: the changes are made when the last of them has been read.
        self._forms, self._settings = forms, settings
        if api_key is not None:
            self._key.replace(api_key)

    def revoke(self) -> int:
        """End the key, until another one is set, and return how many there were."""
        return self._key.revoke()

    def _view(self, job_id: str) -> JobView:
        timeline = self._jobs[job_id].timeline
        return timeline.view(self.name, job_id, timeline.word(self._clock.now()))

    def _authorize(self, request: web.Request) -> None:
        if not self._key.admits(request.headers.get("X-Aftercare-Key")):
            raise web.HTTPForbidden(text="The API key is missing or wrong.")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        of_quality = request.path.startswith(PREFIX + QUALITY_PREFIX)
        of_brands = request.path.endswith("/brand-coding")
        shape = QUALITY if of_quality else BRAND_CODING if of_brands else CODING
        try:
            order = read_order(await request.read(), shape)
        except OrderRefused as refusal:
            return _refuse(refusal.problems)
        self._jobs_created += 1
        now, batch_id = self._clock.now(), str(uuid.uuid4())
        spec: dict[str, object] = {
            "queued_seconds": self._settings.create_queued_seconds,
            "processing_seconds": self._settings.create_processing_seconds,
        }
        results: object = None
        if of_quality:
            job = read_quality_job(batch_id, spec, now, len(order["responses"]))
            results = {"items": [], "nextCursor": None}
        else:
            spec["survey_identifier"] = order["surveyIdentifier"]
            job = read_coding_job(batch_id, spec, now, codes_of(order["surveyResponses"]))
        self._jobs[QUALITY_PREFIX * of_quality + batch_id] = job
        # As the examples have it, whatever the settings say of later answers.
        body = job.status(now, AftercareForms()) | {"status": "queued", "results": results}
        return web.json_response(body, status=202)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        batch_id = request.match_info["job_id"]
        if not JOB_ID.match(batch_id):
            return _refuse({}, "The batch job id is malformed.")
        job_id = QUALITY_PREFIX * request.path.startswith(PREFIX + QUALITY_PREFIX) + batch_id
        if job_id not in self._jobs:
            raise web.HTTPNotFound(text=f"There is no batch job {batch_id}.")
        job = self._jobs[job_id]
        cursor = request.query.get(self._settings.cursor_parameter)
        entry = job.timeline.poll(self._clock.now())
        return await respond(request, entry, lambda: self._answer(job, cursor))

    def _answer(self, job: AftercareJob, cursor: str | None) -> web.StreamResponse:
        now = self._clock.now()
        try:
            body = job.status(now, job.forms(self._forms), cursor)
        except BadCursor:
            return _refuse({self._settings.cursor_parameter: "The cursor is unknown."})
        if job.results_bytes is None or not job.completed(now):
            return web.json_response(body)
        headers = {"Content-Type": "application/json; charset=utf-8"}
        return send_content(large_reply(body, job.results_bytes), headers=headers)


def _refuse(details: Mapping[str, str], message: str = "The request is not valid.") -> web.Response:
    body: dict[str, object] = {"code": CODES[400], "message": message}
    if details:
        body["details"] = dict(details)
    return web.json_response(body, status=400)
