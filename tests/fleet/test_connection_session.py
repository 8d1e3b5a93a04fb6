"""One session for all waits of a triggerer that use the same connection, and what is known of its key."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk import Connection

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.core.errors import SettingsError, TransportError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.fleet.connection_session import ConnectionSession
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL
from tests.support.modes import deferred, first_event
from tests.support.raw_server import RawServer, Received, reply
from tests.support.threads import refuse_work
from tests.support.times import FakeTime

CONN_ID = "ruler_default"


class Airflow:
    """The lookup of connections, counted; it can be held up, and it can fail."""

    def __init__(self, look_up: Callable[[str], Awaitable[Connection]]) -> None:
        self.lookups: list[str] = []
        self.trouble: Exception | None = None
        self.ended: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._look_up = look_up

    async def __call__(self, conn_id: str) -> Connection:
        self.lookups.append(conn_id)
        await self.may_answer.wait()
        if self.trouble is not None:
            raise self.trouble
        try:
            return await self._look_up(conn_id)
        finally:
            self.ended.append(conn_id)


class Vendor:
    """
    Knows one password at a time. The first request of the kind ``holds`` is answered when it may be.

    :ivar reached: set when that request has come.
    """

    def __init__(self, holds: str = "") -> None:
        self.password = "the first password"
        self.asked: list[str] = []
        self.holds = holds
        self.reached, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, received: Received, connection: socket.socket) -> None:
        kind = "login" if received.method == "POST" else "status"
        self.asked.append(kind)
        if kind == self.holds and not self.reached.is_set():
            self.reached.set()
            assert self.may_answer.wait(30)
        connection.sendall(getattr(self, f"_{kind}")(received))

    def _login(self, _: Received) -> bytes:
        return reply(200, json.dumps({"access_token": f"token for {self.password}"}).encode())

    def _status(self, received: Received) -> bytes:
        shown = received.header("Authorization") or ""
        return reply(200 if shown.endswith(self.password) else 401, b'{"status": "complete"}')


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    lookup = Airflow(BaseHook.aget_connection)
    monkeypatch.setattr(BaseHook, "aget_connection", lookup)
    tokens.slots.clear()
    return lookup


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[aiohttp.ClientSession]:
    """Every session that was opened."""
    opened: list[aiohttp.ClientSession] = []
    session = aiohttp.ClientSession

    def remembered(**options: Any) -> aiohttp.ClientSession:
        opened.append(session(**options))
        return opened[-1]

    monkeypatch.setattr(aiohttp, "ClientSession", remembered)
    return opened


def connect(
    monkeypatch: pytest.MonkeyPatch, server: RawServer, password: str, *, conn_id: str = CONN_ID, **extra: Any
) -> None:
    """Define the connection: a token as it is, or, with a login, one to be exchanged."""
    if extra.pop("login", False):
        extra = {"login": "me", "extra": {"auth_url": f"{server.url}/login", **extra}}
    else:
        extra = {"extra": extra}
    value = {"conn_type": "ruler", "host": f"{server.url}/v1", "password": password, **extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))


def state(answer: object) -> object:
    """Return the state that an answer holds, or its class."""
    return answer.state if isinstance(answer, JobStatus) else type(answer)


async def until(happened: Callable[[], object]) -> None:
    while not happened():  # noqa: ASYNC110 - also of what another thread does
        await asyncio.sleep(0.001)


@asynccontextmanager
async def session(conn_id: str = CONN_ID) -> AsyncIterator[ConnectionSession]:
    """A connection's session, without a scheduler."""
    opened = ConnectionSession(conn_id)
    try:
        yield opened
    finally:
        await opened.close()


async def read() -> object:
    async with session() as shared:
        return await shared.read()


async def ask(shared: ConnectionSession, job_id: str) -> object:
    """Read the connection, and return a job's status, or why there is none."""
    found = await shared.read()
    if not isinstance(found, BatchJobHook):
        return found
    return await shared.run(found, found.status_operation(found.parse_job_id(job_id)))


def waiting(now: float, job_id: str, conn_id: str = CONN_ID, **arguments: Any) -> BatchJobTrigger:
    times = {"started_at": now - MIN_DEFERRAL, "first_poll_at": now, "deadline_at": now + 7200}
    return deferred(now, conn_id, job_id, **times | arguments)


async def ends(*triggers: BatchJobTrigger) -> list[str]:
    """Run triggers beside each other, and return how their jobs ended."""
    events = await asyncio.gather(*map(first_event, triggers))
    return [event.payload["jobs"][0]["outcome"] for event in events]


def test_many_triggers_look_the_connection_up_once_log_in_once_and_share_a_session(
    sandbox: Sandbox,
    fake_time: FakeTime,
    without_lists: None,
    airflow: Airflow,
    sessions: list[aiohttp.ClientSession],
) -> None:
    ids = [f"site/job-{number}" for number in range(50)]
    for job_id in ids:
        sandbox.put_job("ruler", job_id, script=["processing", "complete"])

    found = asyncio.run(ends(*(waiting(fake_time.now, job_id) for job_id in ids)))

    assert found == [OutcomeKind.FINISHED] * len(ids)
    assert airflow.lookups == [CONN_ID]
    assert sum(request["origin"] == "auth" for request in sandbox.requests) == 1
    assert [session.closed for session in sessions] == [True]


def test_different_connections_share_nothing(
    airflow: Airflow,
    sessions: list[aiohttp.ClientSession],
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(Vendor()) as good, RawServer(other := Vendor()) as bad:
        other.password = "another password"
        connect(monkeypatch, good, "the first password")
        connect(monkeypatch, bad, "the first password", conn_id="other")

        found = asyncio.run(
            ends(
                waiting(fake_time.now, "site/a"), waiting(fake_time.now, "site/a", "other", refusal_grace=0.0)
            )
        )

    assert found == [OutcomeKind.FINISHED, OutcomeKind.REFUSED]
    assert set(airflow.lookups) == {CONN_ID, "other"}
    assert [each.closed for each in sessions] == [True, True]


def test_the_session_stays_until_the_last_wait_leaves(
    airflow: Airflow,
    sessions: list[aiohttp.ClientSession],
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def in_turn() -> None:
            now = fake_time.now
            assert await ends(waiting(now, "site/a"), waiting(now, "site/b", first_poll_at=now + 60)) == [
                *(OutcomeKind.FINISHED, OutcomeKind.FINISHED),
            ]
            assert [each.closed for each in sessions] == [True]
            assert await ends(waiting(fake_time.now, "site/c")) == [OutcomeKind.FINISHED]

        asyncio.run(in_turn())

    assert airflow.lookups == [CONN_ID] * 2
    assert [each.closed for each in sessions] == [True, True]


@pytest.mark.parametrize(("held", "others"), [("lookup", 1), ("login", 1), ("status", 1), ("lookup", 0)])
def test_a_wait_that_is_cancelled_midway_takes_nothing_from_the_others(
    held: str,
    others: int,
    airflow: Airflow,
    sessions: list[aiohttp.ClientSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(vendor := Vendor(held)) as server:
        connect(monkeypatch, server, vendor.password, login=True)

        async def all_of_them() -> list[str]:
            if held == "lookup":
                airflow.may_answer.clear()
            at = time.time() + 0.01
            # The first poll comes within an interval, and time is real here.
            first = asyncio.create_task(first_event(waiting(at, "site/a", poll_interval=0.2)))
            rest = asyncio.create_task(ends(*[waiting(at, "site/b", poll_interval=0.2)] * others))
            if held == "lookup":
                await until(lambda: airflow.lookups)
            else:
                assert await asyncio.to_thread(vendor.reached.wait, 30)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            airflow.may_answer.set()
            vendor.may_answer.set()
            # Airflow 3.1 would hand the rest of a conversation that was cut off to the next one.
            await until(lambda: airflow.ended)
            return await rest

        assert asyncio.run(all_of_them()) == [OutcomeKind.FINISHED] * others

    assert airflow.lookups == [CONN_ID]
    assert vendor.asked.count("login") == others
    assert [each.closed for each in sessions] == [True] * others


@pytest.mark.parametrize("trouble", [RuntimeError("away"), OSError("away"), SettingsError("not defined")])
def test_a_lookup_that_fails_is_an_outage(trouble: Exception, airflow: Airflow) -> None:
    airflow.trouble = trouble
    assert isinstance(asyncio.run(read()), TransportError)


@pytest.mark.parametrize("work", ["hook_for", "_ca_file", "tls_context"])
def test_work_for_which_no_thread_can_be_started_is_an_outage_and_is_tried_again(
    work: str, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def refused_once() -> None:
            async with session() as shared:
                refuse_work(monkeypatch, work)
                assert isinstance(await ask(shared, "site/a"), TransportError)
                assert state(await ask(shared, "site/a")) == JobState.SUCCEEDED

        asyncio.run(refused_once())


def test_a_connection_that_cannot_be_used_says_so(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password, verify=False)
        assert isinstance(asyncio.run(read()), SettingsError)
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ({"host": "https://api.example:443/v1"}, True),
        ({"host": "https://API.example./v1"}, True),
        ({"host": "https://api.example//v1"}, True),
        ({"host": "https://api.example/v1/"}, True),
        ({"login": "somebody"}, True),
        ({"password": "another"}, False),
        ({"host": "https://api.example:8443/v1"}, False),
        ({"host": "https://another.example/v1"}, False),
    ],
    ids=str,
)
def test_one_key_is_one_key_however_its_connection_is_written(written: dict[str, str], same: bool) -> None:
    usual = {"host": "https://api.example/v1", "password": "one key"}
    keys = [
        AftercareHook.from_connection(Connection(conn_id="a", conn_type="aftercare", **each)).key_digest
        for each in (usual, usual | written)
    ]
    assert (keys[0] == keys[1]) is same


def test_what_a_key_has_learned_outlives_its_waits_and_no_more(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("aftercare", "limited", script="retry-after-seconds,status:200:done")
    sandbox.put_job("aftercare", "done", script="status:200:done")
    sandbox.clear_requests()
    began = fake_time.now

    async def one_after_the_other() -> list[str]:
        first = await ends(waiting(began, "limited", "aftercare_default", deadline_at=began + 30))
        return first + await ends(waiting(fake_time.now, "done", "aftercare_default"))

    assert asyncio.run(one_after_the_other()) == [OutcomeKind.TIMED_OUT, OutcomeKind.FINISHED]
    first, second = (request["at"] - began for request in sandbox.requests)
    # 90 s, by the page of faults.
    assert second - first >= 89
