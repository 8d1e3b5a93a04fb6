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
    open: the page shows "Delivery Successful" and lists no words, so that an unknown one means "running". A
    response may hold ``response.error`` even with 200. 429 has two meanings: too fast, or the licence's calls
    are used up (error 1013), which no waiting mends. Error ids are texts on one page and numbers on another.
    ``GET /apikey/regenerate`` would end the key: it is never called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from airflow_provider_jobstatus.core.auth import Auth, HeaderKey
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.core.responses import json_object
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import status
from airflow_provider_jobstatus.hooks.questionpro.job import parse_job_id


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
    rate_limit = Rate(4.5, 10)
    # A licence has 5,000 to 20,000 calls.
    default_interval = 600.0

    def make_auth(self) -> Auth:
        """Return the API key."""
        key = self.settings.header_key("password", self.settings.password, "set it to the API key")
        return HeaderKey("api-key", key)

    def wait_warnings(self) -> Iterator[str]:
        """Warn that no word for a failure is known, unless the connection adds some."""
        if all(state is JobState.SUCCEEDED for state in self.settings.statuses.values()):
            yield (
                "QuestionPro does not document its status words: only 'Delivery Successful' is known, and "
                "every other word counts as running until the timeout. If you know words for a failure, add "
                f"them to extra 'statuses' of connection {self.conn_id!r}, such as "
                '{"Delivery Failed": "failed"}'
            )

    def cost_warning(self, calls: int) -> str:
        """Say how much of a licence a wait may use."""
        return (
            f"QuestionPro counts each call against the licence, which has 5,000 to 20,000: this wait may use "
            f"up to {calls} until its deadline. A longer poke_interval or a shorter timeout uses fewer"
        )

    parse_job_id = staticmethod(parse_job_id)
    status_flow = status.status_flow
    ping_flow = status.ping_flow

    def is_own_error(self, response: Response) -> bool:
        """Whether it is an envelope with an ``error``."""
        envelope = json_object(response.body).get("response")
        return isinstance(envelope, Mapping) and "error" in envelope
