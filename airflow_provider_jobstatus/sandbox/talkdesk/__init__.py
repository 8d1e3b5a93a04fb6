"""A stand-in for the Explore API of Talkdesk: the vendor as the sandbox sees it.

Sources: https://docs.talkdesk.com/docs/authentication ,
https://docs.talkdesk.com/docs/client-credentials , and those that stand in ``login``, ``files``, ``jobs`` and
``listing``.

The texts of an error's ``code`` are unknown at the vendor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.lists import ListDialect
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.storage import Storage
from airflow_provider_jobstatus.sandbox.talkdesk.files import CODES, REPORTS, Reports, read_limits
from airflow_provider_jobstatus.sandbox.talkdesk.jobs import TalkdeskJob, read_forms, read_job
from airflow_provider_jobstatus.sandbox.talkdesk.listing import list_dialect
from airflow_provider_jobstatus.sandbox.talkdesk.login import TOKEN_PATH, TokenDesk, read_client
from airflow_provider_jobstatus.sandbox.vendor import Connection, JobView, Origin


class Talkdesk:
    """The stand-in.

    :param clock: The sandbox's clock.
    :param urls: The addresses of the origins, known when the server has started.
    """

    name = "talkdesk"
    prefixes = (REPORTS, TOKEN_PATH)

    def __init__(self, clock: Clock, urls: Mapping[Origin, str]) -> None:
        self._clock = clock
        self._desk = TokenDesk(clock, urls)
        self._storage = Storage(clock)
        self._reports = Reports(clock, urls, self._desk, self._storage)
        self._add_demo_jobs()

    @property
    def routes(self) -> Mapping[Origin, Sequence[web.RouteDef]]:
        """The vendor's endpoints by origin."""
        return {
            "auth": [web.post(TOKEN_PATH, self._desk.answer)],
            "api": self._reports.routes,
            "storage": self._storage.routes,
        }

    def error_body(self, status: int, message: str, path: str) -> object:
        """Return the JSON body of an error; the two APIs have different ones."""
        if path.startswith(TOKEN_PATH):
            return {"error": "invalid_request", "error_description": message}
        return {"code": CODES.get(status, "error"), "message": message, "description": message, "fields": []}

    def connection(self, urls: Mapping[Origin, str], *, token: bool = False, jwt: bool = False) -> Connection:
        """Return an Airflow connection, with a client secret or with a private key."""
        extra = {"token_url": f"{urls['auth']}{TOKEN_PATH}"}
        client = self._desk.client
        connection: Connection = {"conn_type": self.name, "host": urls["api"], "login": client.client_id}
        if jwt:
            private_key, key_id, algorithm = self._desk.private_key()
            key = {"private_key": private_key, "key_id": key_id, "algorithm": algorithm}
            return connection | {"extra": extra | key}
        return connection | {"password": client.client_secret, "extra": extra}

    def list_dialect(self, path: str) -> ListDialect | None:
        """Return how it puts things at this path, if it lists jobs there."""
        return list_dialect(path, self._reports.page)

    def put_job(self, job_id: str, spec: Mapping[str, object]) -> JobView:
        """Make or replace the job ``<report type>/<job id>``."""
        kind, _, job = job_id.partition("/")
        if not kind or not job:
            raise ValueError("A Talkdesk job's id is <report type>/<job id>.")
        self._reports.jobs[kind, job] = read_job(kind, job, spec, self._clock.now())
        return self._view(self._reports.jobs[kind, job])

    def jobs(self) -> list[JobView]:
        """Return all jobs."""
        return [self._view(job) for job in self._reports.jobs.values()]

    def settings(self) -> dict[str, object]:
        """Return the settings, and how many tokens were given."""
        return {
            **asdict(self._desk.client),
            **asdict(self._reports.forms),
            **asdict(self._reports.limits),
            "tokens_issued": self._desk.issued,
            "logins_refused": self._desk.refused,
        }

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change settings; issued tokens stay good, ``rotate_keys`` makes new key pairs."""
        given = Fields(changes, "settings")
        client = read_client(given, self._desk.client)
        forms = replace(self._reports.forms, **read_forms(given))
        limits = read_limits(given, self._reports.limits)
        rotate_keys = given.flag("rotate_keys")
        given.finish()
        # All or nothing: the changes are made when the last of them has been read.
        self._desk.client, self._reports.forms, self._reports.limits = client, forms, limits
        if rotate_keys:
            self._desk.rotate_keys()

    def revoke(self) -> int:
        """End all tokens and return how many there were."""
        return self._desk.revoke()

    def _view(self, job: TalkdeskJob) -> JobView:
        word = job.word(self._clock.now(), job.forms(self._reports.forms))
        return job.timeline.view(self.name, f"{job.kind}/{job.job_id}", word)

    def _add_demo_jobs(self) -> None:
        # They start at the first status request, so that they are fresh at any time.
        demo = {
            "start_on_first_poll": True,
            "created_seconds": 4,
            "processing_seconds": 12,
            "uploading_seconds": 4,
        }
        self.put_job("calls/calls-demo", demo | {"format": "csv", "rows": 40})
        self.put_job("user_status/status-demo", demo | {"format": "json", "rows": 40})
        self.put_job("calls/calls-bad", demo | {"end": "failed"})
