"""Whoever waits in the benchmarks: this provider's trigger, and a floor below; see also ``peers``."""

from __future__ import annotations

import asyncio
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks.service import Service


@dataclass(frozen=True)
class Wait:
    """
    One wait.

    :param job: its id.
    :param interval: seconds between two polls.
    :param first_poll_at: epoch seconds.
    :param ends_at: when the job ends, by ``time.monotonic()``.
    """

    job: int
    interval: float
    first_poll_at: float
    ends_at: float


class Waiter(ABC):
    """
    One way to wait.

    :param service: whom to ask.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    def session(self) -> AbstractAsyncContextManager[Any]:
        """Return what all waits share, opened around them."""
        return nullcontext()

    def prepare(self, waits: Sequence[Wait]) -> None:  # noqa: B027 - most have nothing to do
        """Do what is not the triggerer's work, before it is measured."""

    @abstractmethod
    async def wait(self, wait: Wait) -> float:
        """Wait for one job. :return: when its end was known, by ``time.monotonic()``."""


class Floor(Waiter):
    """Bare aiohttp: one session, one coroutine a job; asks what our trigger asks."""

    path: ClassVar[str] = "/api/v1/coding/%d"
    headers: ClassVar[dict[str, str]] = {"X-Aftercare-Key": "key"}
    over: ClassVar[str] = "completed"

    def session(self) -> AbstractAsyncContextManager[Any]:
        """Open the one session."""
        import ssl

        import aiohttp

        tls = ssl.create_default_context(cafile=self.service.ca) if self.service.ca else True
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), headers=self.headers)
        return self._session

    async def wait(self, wait: Wait) -> float:
        """Ask, sleep, ask again."""
        url = self.service.url + self.path % wait.job
        if (pause := wait.first_poll_at - time.time()) > 0:
            await asyncio.sleep(pause)
        while True:
            async with self._session.get(url) as reply:
                body = json.loads(await reply.read())
            if self.word(body) == self.over:
                return time.monotonic()
            await asyncio.sleep(wait.interval)

    def word(self, body: Any) -> Any:
        """Return the status word of a reply."""
        return body["status"]


class FloorRuler(Floor):
    """The same with Ruler's address and body."""

    path = "/v1/site/batch/%d/status"
    headers: ClassVar[dict[str, str]] = {"Authorization": "Bearer key"}
    over = "complete"


class FloorQuestionPro(Floor):
    """The same at QuestionPro: a refusal is a poll that brought nothing."""

    path = "/a/api/v2/micropanel/batches/%d"
    headers: ClassVar[dict[str, str]] = {"api-key": "key"}
    over = "Delivery Successful"

    def word(self, body: Any) -> Any:
        """Return the status word, if there is one."""
        return body["response"].get("status")


class TriggerWaiter(Waiter):
    """Iterates a trigger, as Airflow's triggerer does."""

    #: Whether the trigger knows itself when to begin.
    punctual: ClassVar[bool] = False

    @abstractmethod
    def trigger(self, wait: Wait) -> Any:
        """Return the trigger."""

    @abstractmethod
    def well(self, payload: Any) -> bool:
        """Return whether an event says that the job has ended well."""

    async def wait(self, wait: Wait) -> float:
        """Make the trigger and run it to its end."""
        if not self.punctual and (pause := wait.first_poll_at - time.time()) > 0:
            await asyncio.sleep(pause)
        known_at = 0.0
        events: AsyncIterator[Any] = self.trigger(wait).run()
        async for event in events:
            known_at = known_at or time.monotonic()
            assert self.well(event.payload), event.payload
        assert known_at, "a trigger without an event"
        return known_at


class Ours(TriggerWaiter):
    """``BatchJobTrigger``, at a vendor without a list."""

    punctual = True
    vendor: ClassVar[str] = "aftercare"
    base: ClassVar[str] = "/api/v1"
    job: ClassVar[str] = "%d"
    fields: ClassVar[dict[str, Any]] = {"password": "key"}

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger

        self._trigger = BatchJobTrigger
        extra: dict[str, Any] = {"verify": service.ca} if service.ca else {}
        if self.vendor == "talkdesk":
            extra["token_url"] = f"{service.url}/oauth/token"
        connection = {
            "conn_type": self.vendor,
            "host": service.url + self.base,
            **self.fields,
            "extra": extra,
        }
        os.environ["AIRFLOW_CONN_OURS"] = json.dumps(connection)
        self._told: dict[int, int] = {}

    def prepare(self, waits: Sequence[Wait]) -> None:
        """Work out what the worker hands over."""
        self._told = {wait.job: self._digest(self.job % wait.job) for wait in waits}

    def trigger(self, wait: Wait) -> Any:
        """Return what the sensor hands to Airflow."""
        job_id = self.job % wait.job
        return self._trigger(
            conn_id="ours",
            job_ids=[job_id],
            poll_interval=wait.interval,
            # Long before, as after a restart: the first seconds of a wait have a rule of their own.
            started_at=wait.first_poll_at - 3600,
            first_poll_at=wait.first_poll_at,
            deadline_at=wait.first_poll_at + 86400,
            # The worker's first look has seen and told the same.
            told=self._told.get(wait.job) or self._digest(job_id),
        )

    def _digest(self, job_id: str) -> int:
        from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
        from airflow_provider_jobstatus.waiting.outcome import digest

        return digest(job_id, JobStatus(job_id, self.vendor, JobState.RUNNING, "processing"))

    def well(self, payload: Any) -> bool:
        """Return whether the one job has succeeded."""
        return bool(payload["jobs"][0]["status"]["state"] == "succeeded")


class OursRuler(Ours):
    """``BatchJobTrigger`` at Ruler, which lists jobs."""

    vendor = "ruler"
    base = "/v1"
    job = "site/%d"


class OursTalkdesk(Ours):
    """``BatchJobTrigger`` at Talkdesk, which lists jobs page by page and has a login."""

    vendor = "talkdesk"
    base = ""
    job = "calls/%d"
    fields: ClassVar[dict[str, Any]] = {"login": "client", "password": "key"}


class OursQuestionPro(Ours):
    """``BatchJobTrigger`` at QuestionPro, which allows 300 calls a minute and key."""

    vendor = "questionpro"
    base = "/a/api/v2"
