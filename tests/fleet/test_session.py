"""One way to the vendor for all waits of a triggerer that use the same connection."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from airflow.sdk import Connection

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.core.errors import AccessDenied, SettingsError, TransportError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.fleet import session as module
from airflow_provider_jobstatus.fleet.request_pool import Questions
from airflow_provider_jobstatus.fleet.runtime import fleet
from airflow_provider_jobstatus.fleet.session import Access
from airflow_provider_jobstatus.fleet.timer import Alarm
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.session_policy import MAX_AGE, RETRY_AFTER
from tests.support.asking import status_operation
from tests.support.modes import first_event
from tests.support.raw_server import RawServer, Received, reply
from tests.support.threads import refuse_work
from tests.support.times import FakeTime

CONN_ID = "ruler_default"


class Airflow:
    """The lookup of connections, counted; it can be held up, and it can fail."""

    def __init__(self, look_up: Callable[[str], Awaitable[Connection]]) -> None:
        self.lookups: list[str] = []
        self.trouble: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._look_up = look_up

    async def __call__(self, conn_id: str) -> Connection:
        self.lookups.append(conn_id)
        await self.may_answer.wait()
        if self.trouble is not None:
            raise self.trouble
        return await self._look_up(conn_id)


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
    lookup = Airflow(module.aread_connection)
    monkeypatch.setattr(module, "aread_connection", lookup)
    monkeypatch.setattr(tokens, "_slots", {})
    return lookup


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets seconds pass for the age of settings."""
    moment = [1000.0]

    def later(seconds: float) -> None:
        moment[0] += seconds

    monkeypatch.setattr(module, "monotonic", lambda: moment[0])
    return later


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
async def access(conn_id: str) -> AsyncIterator[Access]:
    """Join those who wait on a connection, without waiting for a job."""
    async with fleet(conn_id) as shared:
        yield shared._access


async def ask(shared: Access, job_id: str) -> tuple[object, BatchJobHook | None]:
    """Return a job's status, or why there is none; and the hook that asked."""
    hook = await shared.load()
    if isinstance(hook, Exception):
        return hook, None
    questions = Questions(shared, Alarm(lambda: None))
    return await questions.ask(hook, status_operation(hook, job_id)), hook


async def answers(shared: Access, *job_ids: str) -> list[object]:
    """Ask about jobs, all at once."""
    return [state(answer) for answer, _ in await ask_all(shared, *job_ids)]


async def ask_all(shared: Access, *job_ids: str) -> list[tuple[object, BatchJobHook | None]]:
    return await asyncio.gather(*(ask(shared, job_id) for job_id in job_ids))


IDS = [f"site/job-{number}" for number in range(50)]


def test_many_triggers_look_the_connection_up_once_log_in_once_and_share_a_session(
    sandbox: Sandbox,
    fake_time: FakeTime,
    without_lists: None,
    airflow: Airflow,
    sessions: list[aiohttp.ClientSession],
) -> None:
    for job_id in IDS:
        sandbox.put_job("ruler", job_id, script=["processing", "complete"])
    now = fake_time.now
    triggers = [
        BatchJobTrigger(
            CONN_ID, [job_id], poll_interval=10.0, started_at=now, first_poll_at=now, deadline_at=now + 600
        )
        for job_id in IDS
    ]

    async def together() -> list[Any]:
        return await asyncio.gather(*map(first_event, triggers))

    events = asyncio.run(together())

    assert [event.payload["jobs"][0]["status"]["state"] for event in events] == ["succeeded"] * len(IDS)
    assert airflow.lookups == [CONN_ID]
    assert sum(request["origin"] == "auth" for request in sandbox.requests) == 1
    assert [session.closed for session in sessions] == [True]


def test_waits_one_after_the_other_use_the_same_connection_to_the_vendor(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def both() -> None:
            async with access(CONN_ID) as first, access(CONN_ID) as second:
                await ask(first, "site/a")
                await ask(second, "site/b")

        asyncio.run(both())

        assert (server.connections, vendor.asked) == (1, ["status", "status"])


def test_different_connections_share_nothing(
    airflow: Airflow, sessions: list[aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(Vendor()) as good, RawServer(other := Vendor()) as bad:
        other.password = "another password"
        connect(monkeypatch, good, "the first password")
        connect(monkeypatch, bad, "the first password", conn_id="other")

        async def both() -> list[object]:
            async with access(CONN_ID) as first, access("other") as second:
                assert first is not second
                return [*await answers(first, "site/a"), *await answers(second, "site/a")]

        assert asyncio.run(both()) == [JobState.SUCCEEDED, AccessDenied]
    assert airflow.lookups == [CONN_ID, "other"]
    assert [session.closed for session in sessions] == [True, True]


def test_the_session_stays_until_the_last_wait_leaves(
    airflow: Airflow, sessions: list[aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def in_turn() -> None:
            async with access(CONN_ID) as shared:
                async with access(CONN_ID):
                    await ask(shared, "site/a")
                assert not sessions[0].closed
                assert await answers(shared, "site/b") == [JobState.SUCCEEDED]
            assert sessions[0].closed
            async with access(CONN_ID) as anew:
                assert anew is not shared
                assert await answers(anew, "site/c") == [JobState.SUCCEEDED]

        asyncio.run(in_turn())

    assert airflow.lookups == [CONN_ID] * 2
    assert [session.closed for session in sessions] == [True, True]


@pytest.mark.parametrize("held", ["lookup", "login", "status"])
def test_a_wait_that_is_cancelled_midway_takes_nothing_from_the_others(
    held: str, airflow: Airflow, sessions: list[aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor(held)) as server:
        connect(monkeypatch, server, vendor.password, login=True)

        async def wait(job_id: str) -> object:
            async with access(CONN_ID) as shared:
                return state((await ask(shared, job_id))[0])

        async def both() -> object:
            if held == "lookup":
                airflow.may_answer.clear()
            first = asyncio.create_task(wait("site/a"))
            if held == "lookup":
                await until(lambda: airflow.lookups)
            else:
                assert await asyncio.to_thread(vendor.reached.wait, 30)
            second = asyncio.create_task(wait("site/b"))
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            airflow.may_answer.set()
            vendor.may_answer.set()
            return await second

        assert asyncio.run(both()) is JobState.SUCCEEDED

    # A lookup goes on for the others; a login that was cut off is done once more.
    assert airflow.lookups == [CONN_ID]
    assert vendor.asked.count("login") == (2 if held == "login" else 1)
    assert [session.closed for session in sessions] == [True]


def test_a_wait_that_is_cancelled_alone_in_the_middle_of_a_lookup_lets_it_end(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []
    look_up = airflow._look_up

    async def told(conn_id: str) -> Connection:
        connection = await look_up(conn_id)
        ended.append(conn_id)
        return connection

    airflow._look_up = told
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def cancelled() -> None:
            airflow.may_answer.clear()
            async with access(CONN_ID) as shared:
                asking = asyncio.create_task(ask(shared, "site/a"))
                await until(lambda: airflow.lookups)
                asking.cancel()
            airflow.may_answer.set()
            await until(lambda: ended)

        # Airflow 3.1 would hand the rest of a conversation that was cut off to whoever asks next.
        asyncio.run(cancelled())


def test_after_a_refusal_the_settings_are_read_again_once_however_many_were_refused(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def rotated() -> list[object]:
            async with access(CONN_ID) as shared:
                vendor.password = "the second password"
                refused = await ask_all(shared, *IDS)
                assert {state(answer) for answer, _ in refused} == {AccessDenied}
                connect(monkeypatch, server, vendor.password)
                for _, hook in refused:
                    shared.forget(hook)
                again = await answers(shared, *IDS)
                # One whose refusal took its time: somebody has read them since.
                shared.forget(refused[0][1])
                await ask(shared, "site/late")
                return again

        assert asyncio.run(rotated()) == [JobState.SUCCEEDED] * len(IDS)
    assert airflow.lookups == [CONN_ID] * 2


def test_settings_are_read_again_when_they_have_become_old(
    airflow: Airflow, now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def changed() -> None:
            async with access(CONN_ID) as shared:
                await answers(shared, *IDS)
                now(MAX_AGE)
                await answers(shared, *IDS)
                assert len(airflow.lookups) == 1
                vendor.password = "the second password"
                connect(monkeypatch, server, vendor.password)
                now(1)
                assert await answers(shared, *IDS) == [JobState.SUCCEEDED] * len(IDS)

        asyncio.run(changed())
    assert airflow.lookups == [CONN_ID] * 2


@pytest.mark.parametrize("trouble", ["away", "unusable", "hangs", "no thread"])
def test_settings_that_work_outlive_a_lookup_that_brings_none(
    trouble: str, airflow: Airflow, now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def old() -> None:
            async with access(CONN_ID) as shared:
                await ask(shared, "site/a")
                if trouble == "away":
                    airflow.trouble = RuntimeError("the API server is away")
                elif trouble == "unusable":
                    connect(monkeypatch, server, vendor.password, verify=False)
                elif trouble == "no thread":
                    refuse_work(monkeypatch, "hook_for")
                else:
                    airflow.may_answer.clear()
                    monkeypatch.setattr(module, "READ_TIMEOUT", 0.001)
                now(MAX_AGE + 1)
                assert await answers(shared, *IDS) == [JobState.SUCCEEDED] * len(IDS)
                assert len(airflow.lookups) == 2
                # Neither for ever nor at each question.
                now(RETRY_AFTER - 1)
                assert await answers(shared, "site/a") == [JobState.SUCCEEDED]
                assert len(airflow.lookups) == 2
                airflow.trouble = None
                airflow.may_answer.set()
                monkeypatch.setattr(module, "READ_TIMEOUT", 60)
                await asyncio.sleep(0)
                now(2)
                assert await answers(shared, "site/a") == [JobState.SUCCEEDED]

        asyncio.run(old())


@pytest.mark.parametrize("trouble", [RuntimeError("away"), OSError("away"), SettingsError("not defined")])
def test_a_lookup_that_fails_fails_for_all_who_wait_for_it_and_is_an_outage(
    trouble: Exception, airflow: Airflow
) -> None:
    airflow.trouble = trouble

    async def failing() -> list[object]:
        async with access(CONN_ID) as shared:
            return await answers(shared, *IDS)

    assert asyncio.run(failing()) == [TransportError] * len(IDS)
    assert airflow.lookups == [CONN_ID]


def test_a_lookup_that_never_ends_is_an_outage(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.001)
    airflow.may_answer.clear()

    async def hanging() -> list[object]:
        async with access(CONN_ID) as shared:
            return [*await answers(shared, *IDS), *await answers(shared, *IDS)]

    assert asyncio.run(hanging()) == [TransportError] * 2 * len(IDS)
    assert airflow.lookups == [CONN_ID]


@pytest.mark.parametrize("work", ["hook_for", "_ca_file", "tls_context"])
def test_work_for_which_no_thread_can_be_started_is_an_outage_and_is_tried_again(
    work: str, airflow: Airflow, now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password)

        async def refused_once() -> None:
            async with access(CONN_ID) as shared:
                refuse_work(monkeypatch, work)
                assert TransportError in await answers(shared, *IDS)
                now(RETRY_AFTER + 1)
                assert await answers(shared, *IDS) == [JobState.SUCCEEDED] * len(IDS)

        asyncio.run(refused_once())


def test_waits_outlive_a_thread_that_is_refused_when_their_connection_is_read_again(
    sandbox: Sandbox, fake_time: FakeTime, without_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job_id in IDS[:5]:
        sandbox.put_job("ruler", job_id, script=["processing"] * 40 + ["complete"])
    now = fake_time.now
    triggers = [
        BatchJobTrigger(
            CONN_ID, [job_id], poll_interval=30.0, started_at=now, first_poll_at=now, deadline_at=now + 7200
        )
        for job_id in IDS[:5]
    ]
    refused = refuse_work(monkeypatch, "hook_for", range(1, 2))

    async def together() -> list[Any]:
        return await asyncio.gather(*map(first_event, triggers))

    events = asyncio.run(together())

    assert [event.payload["jobs"][0]["status"]["state"] for event in events] == ["succeeded"] * 5
    assert refused == ["hook_for"]
    assert fake_time.now - now > MAX_AGE + RETRY_AFTER


def test_a_connection_that_cannot_be_used_says_so(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(vendor := Vendor()) as server:
        connect(monkeypatch, server, vendor.password, verify=False)

        async def unusable() -> list[object]:
            async with access(CONN_ID) as shared:
                return await answers(shared, "site/a")

        assert asyncio.run(unusable()) == [SettingsError]
    assert vendor.asked == []
