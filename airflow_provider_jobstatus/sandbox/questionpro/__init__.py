"""A stand-in for the part of the API of QuestionPro that mails surveys to a panel and gives the responses.

Sources: https://www.questionpro.com/api/communities/batch-details.html ,
https://www.questionpro.com/api/communities/send-survey.html ,
https://www.questionpro.com/api/communities/get-all-communities.html ,
https://questionpro.com/api/error-codes.html , https://questionpro.com/api/limits.html ,
https://static.questionpro.com/api/api-key-authentication-changes.html

The pages do not show the answer to a new mailing, the items of the list of communities, or the error of a
call that is throttled. What stands here for them is a guess, and a client must not rely on it.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.api_key import ApiKey
from airflow_provider_jobstatus.sandbox.questionpro.jobs import (
    SENDER,
    Batch,
    Refused,
    read_batch,
    read_order,
)
from airflow_provider_jobstatus.sandbox.questionpro.responses import Surveys
from airflow_provider_jobstatus.sandbox.questionpro.settings import QuestionProSettings, read_settings
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.script import respond
from airflow_provider_jobstatus.sandbox.vendor import Connection, JobView, Origin

PREFIX = "/a/api/v2/"
PANEL = PREFIX + "micropanel/"
DOCS = "https://www.questionpro.com/api/error-codes.html"
NAMES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
}
IDS = {400: 1000, 401: 1010, 403: 1013, 404: 1040, 500: 1026}
THROTTLED = 1429  # made up: no page has the id of a throttled call
LICENCE_SPENT = 1013


class QuestionPro:
    """The stand-in.

    :param clock: The sandbox's clock.
    """

    name = "questionpro"
    prefixes = (PREFIX,)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = ApiKey(self.name)
        self._settings = QuestionProSettings()
        self._throttled = 0
        self._mails_sent = 0
        self._calls: deque[float] = deque()  # when the calls of the present window came
        self._batches: dict[int, Batch] = {}
        self._surveys = Surveys()
        self._next_id = 2001
        # It starts at the first status request, so that it is fresh at any time.
        self.put_job("1001", {"start_on_first_poll": True, "running_seconds": 20})

    @property
    def routes(self) -> Mapping[Origin, Sequence[web.RouteDef]]:
        """The vendor's endpoints by origin."""
        return {
            "api": [
                web.get(PANEL + "batches/{batch_id}", self._checked(self._detail), allow_head=False),
                web.post(PANEL + "batches", self._checked(self._send)),
                web.get(
                    PANEL + "users/{user_id}/communities", self._checked(self._communities), allow_head=False
                ),
                web.get(
                    PREFIX + "surveys/{survey_id}/responses", self._checked(self._responses), allow_head=False
                ),
            ]
        }

    def error_body(self, status: int, message: str, path: str) -> object:
        """Return the JSON body of an error."""
        return self._error(status, message, IDS.get(status, status), path)

    def connection(self, urls: Mapping[Origin, str], *, token: bool = False, jwt: bool = False) -> Connection:
        """Return an Airflow connection."""
        return {"conn_type": self.name, "host": urls["api"], "password": self._key.value}

    def put_job(self, job_id: str, spec: Mapping[str, object]) -> JobView:
        """Make or replace the mailing ``<batch id>``."""
        number = _digits(job_id)
        if number is None:
            raise ValueError("A QuestionPro job's id is a number.")
        self._batches[number] = read_batch(number, spec, self._clock.now())
        return self._view(self._batches[number])

    def jobs(self) -> list[JobView]:
        """Return all mailings."""
        return [self._view(batch) for batch in self._batches.values()]

    def settings(self) -> dict[str, object]:
        """Return the settings and counters."""
        return {
            "api_key": self._key.value,
            **asdict(self._settings),
            "mails_sent": self._mails_sent,
            "throttled": self._throttled,
            "keys_refused": self._key.refused,
        }

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change settings; a new key ends the old one."""
        given = Fields(changes, "settings")
        api_key = given.text("api_key")
        settings = read_settings(given, self._settings)
        given.finish()
        self._settings = settings
        if api_key is not None:
            self._key.replace(api_key)

    def revoke(self) -> int:
        """End the key, until another one is set, and return how many there were."""
        return self._key.revoke()

    def _view(self, batch: Batch) -> JobView:
        return batch.timeline.view(self.name, str(batch.batch_id), batch.timeline.word(self._clock.now()))

    def _error(self, status: int, message: str, error_id: int, path: str) -> dict[str, object]:
        error = {
            "docs": DOCS,
            "name": NAMES.get(status, "ERROR"),
            "httpStatusCode": status,
            "id": error_id if self._settings.integer_error_ids else str(error_id),
            "message": message,
            "resourceUrl": path,
        }
        return {"response": {"error": error}}

    def _checked(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return a handler that is reached with a good key only, and whose refusals become errors."""

        async def checked(request: web.Request) -> web.StreamResponse:
            try:
                self._admit(request)
                return await handler(request)
            except Refused as refusal:
                status = refusal.status
                error_id = IDS.get(status, THROTTLED) if refusal.error_id is None else refusal.error_id
                body = self._error(status, str(refusal), error_id, request.path)
                headers = {}
                if error_id == THROTTLED and self._settings.retry_after_seconds:
                    headers["Retry-After"] = str(self._settings.retry_after_seconds)
                inside = self._settings.errors_inside_200
                return web.json_response(body, status=200 if inside else status, headers=headers)

        return checked

    def _admit(self, request: web.Request) -> None:
        """Check the key and count the call. The header ``apiKey`` was withdrawn and counts for nothing."""
        settings, now = self._settings, self._clock.now()
        if not self._key.admits(request.headers.get("api-key")):
            raise Refused(401, "The API key is missing or wrong")
        while self._calls and self._calls[0] <= now - settings.window_seconds:
            self._calls.popleft()
        if settings.requests_per_window and len(self._calls) >= settings.requests_per_window:
            self._throttled += 1
            raise Refused(429, "Too many calls in too short a time")
        self._calls.append(now)
        if settings.licence_calls_left is not None:
            if not settings.licence_calls_left:
                raise Refused(429, "The calls of the licence are used up", LICENCE_SPENT)
            left = settings.licence_calls_left - 1
            self._settings = replace(settings, licence_calls_left=left)
        if not settings.permitted:
            raise Refused(403, "The user of this key has no permission for this")

    async def _detail(self, request: web.Request) -> web.StreamResponse:
        number = _digits(request.match_info["batch_id"])
        if number is None:
            raise Refused(400, "The id of a batch is a number")
        if number not in self._batches:
            raise Refused(404, f"There is no batch {number}")
        batch = self._batches[number]
        entry = batch.timeline.poll(self._clock.now())
        return await respond(request, entry, lambda: _envelope(batch.detail(self._clock.now())))

    async def _send(self, request: web.Request) -> web.StreamResponse:
        survey_id = read_order(await request.read())
        number, self._next_id = self._next_id, self._next_id + 1
        spec = {"survey_id": survey_id, "running_seconds": self._settings.create_running_seconds}
        self._batches[number] = read_batch(number, spec, self._clock.now())
        self._mails_sent += 1
        return _envelope(self._batches[number].detail(self._clock.now()), self._settings.create_status)

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        number = _digits(request.match_info["survey_id"])
        if number is None:
            raise Refused(400, "The id of a survey is a number", 1003)
        # A survey is there once a mailing invites to it.
        if number not in {batch.survey_id for batch in self._batches.values()}:
            raise Refused(404, f"There is no survey {number}")
        page = self._surveys.page(number, request.query, self._settings)
        return web.json_response({**page, "requestID": str(uuid.uuid4())})

    async def _communities(self, request: web.Request) -> web.StreamResponse:
        number = _digits(request.match_info["user_id"])
        if number is None:
            raise Refused(400, "The id of a user is a number")
        if number != SENDER:
            raise Refused(404, f"There is no user {number}")
        return _envelope([{"id": 1, "name": "Customer panel"}])


def _envelope(response: object, status: int = 200) -> web.Response:
    return web.json_response({"response": response, "requestID": str(uuid.uuid4())}, status=status)


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
