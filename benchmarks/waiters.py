"""Whoever waits in the benchmarks: this provider's trigger, its peers', and a floor below all of them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from benchmarks.service import Service

#: Jobs of the same account, at each peer.
ACCOUNT = 1


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
            if body["status"] == self.over:
                return time.monotonic()
            await asyncio.sleep(wait.interval)


class FloorRuler(Floor):
    """The same with Ruler's address and body."""

    path = "/v1/site/batch/%d/status"
    headers: ClassVar[dict[str, str]] = {"Authorization": "Bearer key"}
    over = "complete"


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

    def trigger(self, wait: Wait) -> Any:
        """Return what the sensor hands to Airflow."""
        return self._trigger(
            conn_id="ours",
            job_ids=[self.job % wait.job],
            poll_interval=wait.interval,
            started_at=wait.first_poll_at - wait.interval,
            first_poll_at=wait.first_poll_at,
            deadline_at=wait.first_poll_at + 86400,
        )

    def well(self, payload: Any) -> bool:
        """Return whether the one job has succeeded."""
        return '"succeeded"' in json.dumps(payload)


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


class HttpSensor(TriggerWaiter):
    """``HttpSensorTrigger``: knows no other test than 404."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        from airflow.providers.http.triggers.http import HttpSensorTrigger

        self._trigger = HttpSensorTrigger
        connection = {"conn_type": "http", "host": service.url}
        os.environ["AIRFLOW_CONN_PEER"] = json.dumps(connection)

    def trigger(self, wait: Wait) -> Any:
        """Return what ``HttpSensor`` hands to Airflow."""
        return self._trigger(
            endpoint=f"ready/{wait.job}", http_conn_id="peer", poke_interval=float(wait.interval)
        )

    def well(self, payload: Any) -> bool:
        """Return whether it says so."""
        return payload is True


class DbtCloud(TriggerWaiter):
    """``DbtCloudRunJobTrigger``. Its hook knows ``https`` only; for a plain server the address is changed."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        from airflow.providers.dbt.cloud.hooks.dbt import DbtCloudHook
        from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

        self._trigger = DbtCloudRunJobTrigger
        connection = {"conn_type": "dbt_cloud", "host": urlsplit(service.url).netloc, "password": "key"}
        os.environ["AIRFLOW_CONN_PEER"] = json.dumps({**connection, "login": str(ACCOUNT)})
        if not service.ca:
            known = DbtCloudHook.get_request_url_params

            def plain(*arguments: Any, **named: Any) -> Any:
                url, query = known(*arguments, **named)
                return url.replace("https://", "http://", 1), query

            DbtCloudHook.get_request_url_params = staticmethod(plain)

    def trigger(self, wait: Wait) -> Any:
        """Return what dbt Cloud's sensor hands to Airflow."""
        return self._trigger(
            conn_id="peer",
            run_id=wait.job,
            end_time=time.time() + 86400,
            poll_interval=float(wait.interval),
            account_id=ACCOUNT,
        )

    def well(self, payload: Any) -> bool:
        """Return whether it says so."""
        return bool(payload["status"] == "success")


class Databricks(TriggerWaiter):
    """``DatabricksExecutionTrigger``."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

        self._trigger = DatabricksExecutionTrigger
        place = urlsplit(service.url)
        connection = {"conn_type": "databricks", "host": place.hostname, "port": place.port}
        connection |= {"schema": place.scheme, "password": "key"}
        os.environ["AIRFLOW_CONN_PEER"] = json.dumps(connection)

    def trigger(self, wait: Wait) -> Any:
        """Return what Databricks' operators hand to Airflow."""
        return self._trigger(run_id=wait.job, databricks_conn_id="peer", polling_period_seconds=wait.interval)

    def well(self, payload: Any) -> bool:
        """Return whether it says so."""
        return "SUCCESS" in str(payload["run_state"])


WAITERS: dict[str, type[Waiter]] = {
    "floor": Floor,
    "ours": Ours,
    "http_sensor": HttpSensor,
    "dbt_cloud": DbtCloud,
    "databricks": Databricks,
    "floor_ruler": FloorRuler,
    "ours_ruler": OursRuler,
    "ours_talkdesk": OursTalkdesk,
    "ours_questionpro": OursQuestionPro,
}
