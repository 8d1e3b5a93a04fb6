"""
QuestionPro: mailings to a panel (micropanel batches).

Auth
    ``api-key``: an API key, as password. The older header ``apiKey`` was withdrawn.
Job id
    ``"<batchID>"``: digits.
Sources, read 2026-11-21
    https://www.questionpro.com/api/communities/batch-details.html, .../send-survey.html,
    https://www.questionpro.com/api/error-codes.html, https://questionpro.com/api/limits.html
Quirks
    A key may make 300 calls in 60 s, and each counts against the licence's 5,000 to 20,000. The vocabulary is
    open: the page shows "Delivery Successful" and lists no words, so that an unknown one means "running". An
    answer may hold ``response.error`` even with 200. 429 has two meanings: too fast, or the licence's calls
    are used up (error 1013), which no waiting mends. Error ids are texts on one page and numbers on another.
    ``GET /apikey/regenerate`` would end the key: it is never called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from airflow_provider_jobstatus.core.auth import Auth, HeaderKey
from airflow_provider_jobstatus.core.errors import (
    NotFound,
    RateLimited,
    RequestRejected,
    SettingsError,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.ids import job_id_text, path_segment
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, utc_time
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.core.responses import expect, expect_json, json_object, unexpected
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: Error id of a spent licence (with 429), and of a missing permission (with 403).
LICENCE_SPENT = "1013"


def _is_own(error: Mapping[str, Any]) -> bool:
    # All ids of both pages have four digits; they stand as texts on one, as numbers on the other.
    texts = isinstance(error.get("name"), str) and isinstance(error.get("message"), str)
    return texts and re.fullmatch("1[0-9]{3}", _id_of(error)) is not None


def _id_of(error: Mapping[str, Any]) -> str:
    told = error.get("id")
    return str(told) if isinstance(told, (str, int)) else ""


class QuestionProHook(BatchJobHook):
    """
    Talks to QuestionPro.

    :param questionpro_conn_id: connection of type ``questionpro``.
    :param http: ``method`` of :meth:`run`, and what else ``HttpOperator`` gives.
    """

    conn_type = "questionpro"
    conn_name_attr = "questionpro_conn_id"
    default_conn_name = "questionpro_default"
    hook_name = "QuestionPro"
    public_url = "https://api.questionpro.com/a/api/v2"
    credential = "the API key (password)"
    statuses: ClassVar[dict[str, JobState]] = {"Delivery Successful": JobState.SUCCEEDED}
    extra_fields = frozenset()
    # 300 calls in 60 s a key, by the page of limits; the rest is for workers and others.
    granted = Rate(4.5, 10)
    # A licence has 5,000 to 20,000 calls.
    default_interval = 600.0

    def __init__(self, questionpro_conn_id: str = default_conn_name, **http: Any) -> None:
        super().__init__(questionpro_conn_id, **http)

    def make_auth(self) -> Auth:
        """Return the API key."""
        key = self.settings.header_key("password", self.settings.password, "set it to the API key")
        return HeaderKey("api-key", key)

    def caveats(self) -> Iterator[str]:
        """Warn also that no word for a failure is known, unless the connection adds some."""
        yield from super().caveats()
        if all(state is JobState.SUCCEEDED for state in self.settings.statuses.values()):
            yield (
                "QuestionPro does not document its status words: only 'Delivery Successful' is known, and "
                "every other word counts as running until the timeout. If you know words for a failure, add "
                f"them to extra 'statuses' of connection {self.conn_id!r}, such as "
                '{"Delivery Failed": "failed"}'
            )

    def cost_caveat(self, calls: int) -> str:
        """Say how much of a licence a wait may use."""
        return (
            f"QuestionPro counts each call against the licence, which has 5,000 to 20,000: this wait may use "
            f"up to {calls} until its deadline. A longer poke_interval or a shorter timeout uses fewer"
        )

    def status_flow(self, job_id: str) -> Flow[JobStatus]:
        """
        Ask for a mailing's status: ``GET /micropanel/batches/{batchID}``.

        Smallest reply relied on: ``{"response": {"status": "Delivery Successful"}}``

        :raises RateLimited: ``spent`` if the licence's calls are used up.
        """
        batch = job_id_text(job_id)
        if not (batch.isascii() and batch.isdigit()):
            raise SettingsError(
                f"job_id {clean(batch, 80)!r} is no batchID of QuestionPro, which is a number"
            )
        request = self.request("GET", f"/micropanel/batches/{path_segment(batch, 'batchID')}")
        reply = self._envelope(request, (yield request))
        self.check_id(request, str(int(batch)), reply.get("id"))
        word = self.read_word(request, reply.get("status"))
        state = self.known_state(word)
        return JobStatus(
            job_id,
            self.conn_type,
            state or JobState.RUNNING,
            word,
            created_at=utc_time(reply.get("creationTimestamp")),
            known=state is not None,
        )

    def ping_flow(self) -> Flow[str]:
        """Ask for a mailing that cannot exist: ``GET /micropanel/batches/0``. A refused key shows before."""
        request = self.request("GET", "/micropanel/batches/0")
        response: Response = yield request
        wanted = (
            "QuestionPro's error for a batch that does not exist: "
            '404 with {"response": {"error": {"id": "1040", "name": "...", "message": "..."}}}'
        )
        try:
            self._envelope(request, response)
        except (NotFound, RequestRejected):
            envelope = json_object(response.body).get("response")
            error = envelope.get("error") if isinstance(envelope, Mapping) else None
            if isinstance(error, Mapping) and _is_own(error):
                return "QuestionPro accepts the key"
        raise self.foreign(request, response, wanted)

    def _envelope(self, request: Request, response: Response) -> Mapping[str, Any]:
        """Return what the envelope holds, or raise the error that it holds, whatever the status says."""
        if not 200 <= response.status < 300:
            raise _refusal(request, response, self._error_in(json_object(response.body)))
        reply = expect_json(request, response)
        error = self._error_in(reply)
        if error is None:
            inner = reply.get("response")
            if not isinstance(inner, Mapping):
                raise unexpected(request, "answered without 'response'")
            return inner
        status = error.get("httpStatusCode")
        if not isinstance(status, int) or not 400 <= status < 600:
            raise unexpected(request, f"answered the error {clean(error.get('message'), 200)!r} with 200")
        raise _refusal(request, replace(response, status=status), error)

    def is_own_error(self, response: Response) -> bool:
        """Whether it is an envelope with an ``error``."""
        envelope = json_object(response.body).get("response")
        return isinstance(envelope, Mapping) and "error" in envelope

    @staticmethod
    def _error_in(reply: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the error that a reply holds, in the envelope or beside it, in whatever form."""
        places = (reply.get("response"), reply)
        for error in (place.get("error") for place in places if isinstance(place, Mapping)):
            parts = error if isinstance(error, list) else [error]
            told = next((part for part in parts if isinstance(part, Mapping)), None)
            if error:
                return told or {"message": error}
        return None


def _refusal(request: Request, response: Response, error: Mapping[str, Any] | None) -> VendorError:
    """Return the error for a status that is none of success."""
    try:
        expect(request, response)
    except VendorError as refusal:
        if isinstance(refusal, RateLimited):
            refusal.spent = error is not None and _id_of(error) == LICENCE_SPENT
        return refusal
    return unexpected(request, "answered with an error", response.status)
