"""A key that is refused during a wait, and a connection that leads elsewhere, in every mode."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from itertools import pairwise
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.exceptions import BadSettings, VendorRefused
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.codec import decode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from tests.support.modes import MODES, TaskInstance, first_event, run, stored_and_loaded
from tests.support.raw_server import RawServer, Received, reply, says
from tests.support.times import FakeTime

RUNNING, DONE = b'{"status": "processing"}', b'{"status": "complete"}'


class Vendor:
    """
    Ruler, where the key is made anew at a moment of the test's time.

    :ivar asked: kind and time of each request, in seconds since the test began.
    """

    def __init__(self, time: FakeTime, changes_at: float, done_at: float = 1200.0) -> None:
        self.began, self.asked = time.now, list[tuple[str, float]]()
        self.changes_at, self.done_at = changes_at, done_at
        self.key, self.refusal = "second-key", 401
        self._time = time

    @property
    def now(self) -> float:
        return self._time.now - self.began

    def __call__(self, received: Received, connection: socket.socket) -> None:
        kind = "login" if received.method == "POST" else "status"
        key = self.key if self.now >= self.changes_at else "first-key"
        shown = received.body.decode() if kind == "login" else received.header("Authorization") or ""
        good = shown.endswith(key)
        self.asked.append((kind if good else f"refused {kind}", self.now))
        if not good:
            connection.sendall(reply(self.refusal, b'{"message": "no"}'))
        elif kind == "login":
            connection.sendall(reply(200, json.dumps({"access_token": f"for {key}"}).encode()))
        else:
            connection.sendall(reply(200, DONE if self.now >= self.done_at else RUNNING))

    def refused(self) -> list[float]:
        return [at for kind, at in self.asked if kind.startswith("refused")]


class Timed(FakeTime):
    """Stores another connection when its moment has come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.patch(monkeypatch)
        self._monkeypatch = monkeypatch
        self._changes: list[tuple[float, dict[str, Any]]] = []

    def connection(self, url: str, seconds: float = 0.0, **fields: Any) -> None:
        """Let ``ruler_default`` be this from so many seconds on."""
        value = {"conn_type": "ruler", "host": f"{url}/v1", "password": "first-key", **fields}
        self._changes.append((self.now + seconds, value))
        self._store()

    def forget(self) -> None:
        """Store none of the earlier ones any more."""
        self._changes.clear()

    def advance_to(self, moment: float) -> None:
        super().advance_to(moment)
        self._store()

    def _store(self) -> None:
        for at, value in self._changes:
            if at <= self.now:
                self._monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(value))


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Timed:
    tokens.slots.clear()
    return Timed(monkeypatch)


def wait(mode: str, time: FakeTime, **arguments: Any) -> Any:
    job = {"conn_id": "ruler_default", "job_id": "site/job", "poke_interval": 60, "timeout": 7200}
    return run({**job, **arguments}, mode, time)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("refusal", [401, 403])
def test_a_key_that_is_made_anew_before_the_connection_has_it_ends_no_wait(
    mode: str, refusal: int, time: Timed
) -> None:
    vendor = Vendor(time, changes_at=150)
    vendor.refusal = refusal
    with RawServer(vendor) as server:
        time.connection(server.url)
        time.connection(server.url, seconds=500, password="second-key")

        assert wait(mode, time)["state"] == "succeeded"

    refused = vendor.refused()
    assert refused[1] - refused[0] <= 2
    assert all(later - earlier >= 59.9 for earlier, later in pairwise(refused[1:]))
    assert 5 <= len(refused) <= 7
    after = min(at for kind, at in vendor.asked if kind == "status" and at > refused[-1])
    assert after <= 500 + (61 if mode == "reschedule" else 31)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("extra", "grace"), [({}, 600), ({"refusal_grace": 200}, 200), ({"refusal_grace": "90"}, 90)]
)
def test_a_key_that_stays_refused_ends_the_wait_when_the_grace_is_over(
    mode: str, extra: dict[str, Any], grace: float, time: Timed
) -> None:
    vendor = Vendor(time, changes_at=150)
    with RawServer(vendor) as server:
        time.connection(server.url, extra=extra)

        with pytest.raises(VendorRefused, match="401"):
            wait(mode, time)

    assert len(vendor.refused()) <= (3 if mode == "reschedule" else 2) + grace / 60
    ended_after = vendor.now - vendor.refused()[0]
    assert grace - 1 <= ended_after <= grace + (61 if mode == "reschedule" else 1)


@pytest.mark.parametrize(
    ("mode", "extra", "store"),
    [*((mode, {"refusal_grace": 0}, True) for mode in MODES), ("reschedule", {}, False)],
)
def test_without_a_grace_or_below_airflow_3_3_in_reschedule_mode_the_second_refusal_ends_the_wait(
    mode: str, extra: dict[str, Any], store: bool, time: Timed
) -> None:
    vendor = Vendor(time, changes_at=150)
    with RawServer(vendor) as server:
        time.connection(server.url, extra=extra)

        with pytest.raises(VendorRefused):
            run({"conn_id": "ruler_default", "job_id": "site/job"}, mode, time, store=store)

    assert len(vendor.refused()) == 2


class Forbidden:
    """Ruler, where some jobs are forbidden for a while; all others are answered."""

    def __init__(self, time: FakeTime, jobs: str, until: float, done_at: float) -> None:
        self._time, self._began = time, time.now
        self._jobs, self._until, self._done_at = jobs, until, done_at

    def __call__(self, received: Received, connection: socket.socket) -> None:
        now = self._time.now - self._began
        if any(f"/{job}/" in f"{received.target}/" for job in self._jobs) and 70 < now < self._until:
            connection.sendall(reply(403, b'{"message": "not this one"}'))
        else:
            connection.sendall(reply(200, DONE if now >= self._done_at else RUNNING))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("jobs", ["xy", "xyz", "vxyz"])
def test_jobs_that_are_forbidden_hold_up_no_other(mode: str, jobs: str, time: Timed) -> None:
    vendor = Forbidden(time, jobs, until=1e9, done_at=400)
    with RawServer(vendor) as server:
        time.connection(server.url)
        began = time.now

        found = wait(mode, time, job_id=[f"site/{job}" for job in f"{jobs}w"], wait_for="any")

    assert [status["state"] for status in found] == [*("running" for _ in jobs), "succeeded"]
    # Once the question was kept for it, its own polls go on.
    assert time.now - began <= 480


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("then", [(404, b'{"message": "no such job"}'), (200, DONE), (503, b"")])
@pytest.mark.parametrize("word", ["failed", "partialcomplete"])
def test_a_job_that_has_ended_has_ended_in_every_mode_whatever_is_said_of_it_later(
    mode: str, then: tuple[int, bytes], word: str, time: Timed
) -> None:
    began, asked = time.now, list[float]()

    def answer(received: Received, connection: socket.socket) -> None:
        now = time.now - began
        if "/early/" not in f"{received.target}/":
            connection.sendall(reply(200, DONE if now >= 900 else RUNNING))
            return
        asked.append(now)
        ended = reply(200, json.dumps({"status": word}).encode()) if now < 300 else reply(*then)
        connection.sendall(reply(200, RUNNING) if now < 100 else ended)

    with RawServer(answer) as server:
        time.connection(server.url)
        states = ("succeeded", "partial", "failed")

        found = wait(mode, time, job_id=["site/early", "site/late"], allowed_states=states)

    assert [status["vendor_status"] for status in found] == [word, "complete"]
    assert asked[-1] < 300


@pytest.mark.parametrize("mode", MODES)
def test_jobs_that_were_forbidden_for_a_while_are_all_polled_again(mode: str, time: Timed) -> None:
    vendor = Forbidden(time, "xy", until=300, done_at=600)
    with RawServer(vendor) as server:
        time.connection(server.url)
        began = time.now

        found = wait(mode, time, job_id=["site/x", "site/w", "site/y"], poke_interval=25)

    assert [status["state"] for status in found] == ["succeeded"] * 3
    assert time.now - began <= 700


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("login", [None, "user"])
def test_a_refusal_at_the_first_poll_fails_at_once(mode: str, login: str | None, time: Timed) -> None:
    vendor = Vendor(time, changes_at=0)
    with RawServer(vendor) as server:
        time.connection(server.url, login=login, extra={"auth_url": f"{server.url}/login"})

        with pytest.raises(VendorRefused):
            wait(mode, time)

    assert vendor.now <= 2
    assert len(vendor.asked) == (1 if login else 2)


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_login_is_tried_three_times_in_all(mode: str, time: Timed) -> None:
    vendor = Vendor(time, changes_at=150, done_at=3000)
    with RawServer(vendor) as server:
        fields = {"login": "user", "extra": {"auth_url": f"{server.url}/login", "refusal_grace": 1500}}
        time.connection(server.url, **fields)

        with pytest.raises(VendorRefused):
            wait(mode, time)

        logins = [at for kind, at in vendor.asked if kind == "refused login"]
        assert len(logins) == 3
        assert all(later - earlier >= 180 for earlier, later in pairwise(logins))


@pytest.mark.parametrize("mode", MODES)
def test_a_changed_secret_is_used_for_a_login_soon(mode: str, time: Timed) -> None:
    vendor = Vendor(time, changes_at=150, done_at=900)
    with RawServer(vendor) as server:
        fields: dict[str, Any] = {"login": "user", "extra": {"auth_url": f"{server.url}/login"}}
        time.connection(server.url, **fields)
        time.connection(server.url, seconds=260, **fields, password="second-key")

        assert wait(mode, time)["state"] == "succeeded"

    [good] = [at for kind, at in vendor.asked if kind == "login" and at > 150]
    assert good <= 260 + (241 if mode == "reschedule" else 31)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("login", [None, "user"])
def test_a_changed_secret_that_is_refused_as_well_begins_a_grace_and_tries_of_its_own(
    mode: str, login: str | None, time: Timed
) -> None:
    vendor = Vendor(time, changes_at=150, done_at=1600)
    with RawServer(vendor) as server:
        fields: dict[str, Any] = {
            "login": login,
            "extra": {"auth_url": f"{server.url}/login", "refusal_grace": 660},
        }
        time.connection(server.url, **fields)
        time.connection(server.url, seconds=700, **fields, password="mistyped-one")
        time.connection(server.url, seconds=1200, **fields, password="second-key")

        assert wait(mode, time)["state"] == "succeeded"


def test_thousands_of_waits_ask_about_a_refused_key_as_one(time: Timed) -> None:
    vendor = Vendor(time, changes_at=70, done_at=800)
    with RawServer(vendor) as server:
        time.connection(server.url)
        time.connection(server.url, seconds=400, password="second-key")
        found = ends(time, 40)

    assert found == [OutcomeKind.FINISHED] * 40
    # Those that were under way when the first was refused have asked as well.
    refused = [at for at in vendor.refused() if at > 121]
    assert len(refused) <= 7
    assert all(later - earlier >= 59.9 for earlier, later in pairwise(refused))


def test_a_wait_that_began_after_a_lock_was_taken_off_logs_in(time: Timed) -> None:
    vendor = Vendor(time, changes_at=70, done_at=0)
    with RawServer(vendor) as server:
        time.connection(server.url)
        vendor.done_at = 10_000
        trigger = deferred(time, "site/first")

        async def both() -> list[Any]:
            first = asyncio.create_task(first_event(trigger))
            while vendor.now < 300:  # noqa: ASYNC110 - time passes in the other task
                await asyncio.sleep(0.001)
            # The very key works again, and a new wait's first look has shown it.
            vendor.changes_at, vendor.done_at = 1e9, 0
            second = asyncio.create_task(first_event(deferred(time, "site/second")))
            return [await first, await second]

        events = asyncio.run(both())

    for event, job in zip(events, ["site/first", "site/second"], strict=True):
        assert decode(event.payload, [job])[0].outcome is OutcomeKind.FINISHED


def deferred(time: FakeTime, *job_ids: str, **arguments: Any) -> BatchJobTrigger:
    times = {"started_at": time.now, "first_poll_at": time.now + 60, "deadline_at": time.now + 7200}
    trigger = stored_and_loaded(
        BatchJobTrigger("ruler_default", list(job_ids), poll_interval=60.0, **times, **arguments)
    )
    assert isinstance(trigger, BatchJobTrigger)
    return trigger


def ends(time: FakeTime, count: int) -> list[str]:
    """Run waits beside each other, and return how they ended."""
    waits = [deferred(time, f"site/job-{number}") for number in range(count)]

    async def together() -> list[Any]:
        return await asyncio.gather(*map(first_event, waits))

    return [
        decode(event.payload, trigger.job_ids)[0].outcome
        for trigger, event in zip(waits, asyncio.run(together()), strict=True)
    ]


# A wait stays with its account


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", ["host", "site"])
def test_a_connection_that_leads_elsewhere_ends_the_wait(mode: str, change: str, time: Timed) -> None:
    vendor = Vendor(time, changes_at=150)
    with RawServer(vendor) as server, RawServer(lambda _, to: to.sendall(reply(200, DONE))) as other:
        time.connection(server.url, extra={"site_id": "site"})
        url = other.url if change == "host" else server.url
        extra = {"site_id": "site" if change == "host" else "another"}
        time.connection(url, seconds=170, password="second-key", extra=extra)

        with pytest.raises(BadSettings, match="has changed during the wait") as caught:
            wait(mode, time, job_id="job")

    assert server.url not in str(caught.value)
    assert other.url not in str(caught.value)


@pytest.mark.parametrize("unreadable", [0, 100], ids=["", "cannot be read for a while"])
@pytest.mark.parametrize("shared", [True, False], ids=["same id", "another id"])
def test_a_wait_that_begins_after_the_change_goes_on_beside_one_that_began_before(
    shared: bool, unreadable: float, time: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"older": "job", "newer": "job" if shared else "another-job"}
    asked = threading.Event()

    def answer(received: Received, connection: socket.socket) -> None:
        if deferrals and not asked.is_set():
            # The connection was read for this question, and is changed now.
            monkeypatch.delenv("AIRFLOW_CONN_RULER_DEFAULT")
            time.forget()
            time.connection(server.url, seconds=unreadable, extra={"site_id": "second-site"})
            asked.set()
        done = asked.is_set() and time.now >= began + 300 and "/second-site/" in received.target
        connection.sendall(reply(200, DONE if done else RUNNING))

    deferrals: dict[str, TaskDeferred] = {}
    began = time.now
    with RawServer(answer) as server:
        found = {}
        for which, site in (("newer", "second-site"), ("older", "first-site")):
            time.connection(server.url, extra={"site_id": site})
            found[which] = deferral(job_id=names[which])
        deferrals |= found

        async def beside() -> list[Any]:
            older = asyncio.create_task(first_event(stored_and_loaded(deferrals["older"].trigger)))
            while not asked.is_set():  # noqa: ASYNC110 - another thread answers
                await asyncio.sleep(0)
            newer = first_event(stored_and_loaded(deferrals["newer"].trigger))
            return await asyncio.gather(older, newer)

        older, newer = (
            decode(event.payload, [names[which]])[0]
            for which, event in zip(("older", "newer"), asyncio.run(beside()), strict=True)
        )

    assert newer.outcome is OutcomeKind.FINISHED, newer.message
    assert older.outcome is OutcomeKind.BAD_SETTINGS
    assert "has changed during the wait" in older.message


def deferral(**arguments: Any) -> TaskDeferred:
    """Return what a sensor hands to the triggerer."""
    sensor = BatchJobSensor(
        task_id="wait", conn_id="ruler_default", deferrable=True, poke_interval=60, timeout=7200, **arguments
    )
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({"ti": TaskInstance()})
    return caught.value


@pytest.mark.parametrize("mode", MODES)
def test_a_secret_and_a_login_may_change_during_a_wait(mode: str, time: Timed) -> None:
    vendor = Vendor(time, changes_at=150)
    with RawServer(vendor) as server:
        auth = {"auth_url": f"{server.url}/login"}
        time.connection(server.url, extra=auth)
        time.connection(server.url, seconds=170, login="user", password="second-key", extra=auth)

        assert wait(mode, time)["state"] == "succeeded"


def test_the_account_is_stored_as_a_digest_that_tells_nothing(time: Timed) -> None:
    trigger = deferred(time, "job", account="0123456789abcdef")
    assert trigger.serialize()[1]["account"] == "0123456789abcdef"


NO = b'{"message": "no"}'
ERRORS = {
    "limited": reply(429, NO, headers={"Retry-After": "90"}),
    "denied": reply(401, NO),
    "away": reply(503, NO),
}


@pytest.mark.parametrize("login", [True, False], ids=["login", "key"])
@pytest.mark.parametrize("answer", ERRORS)
def test_whatever_is_shared_names_the_connection_of_the_wait_that_shows_it(
    answer: str, login: bool, time: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ruler_one", "ruler_two", "ruler_six")
    with RawServer(says(ERRORS[answer])) as server:
        value: dict[str, Any] = {"conn_type": "ruler", "host": f"{server.url}/v1", "password": "first-key"}
        if login:
            value |= {"login": "me", "extra": {"auth_url": f"{server.url}/login"}}
        for name in names:
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))
        plan = {"started_at": time.now, "first_poll_at": time.now + 5, "deadline_at": time.now + 300}
        jobs = {name: [f"site/{name}-{number}" for number in range(4)] for name in names}
        triggers = [
            stored_and_loaded(BatchJobTrigger(name, jobs[name], poll_interval=20.0, **plan)) for name in names
        ]

        async def together() -> list[Any]:
            return await asyncio.gather(*map(first_event, triggers))

        events = asyncio.run(together())

    for name, event in zip(names, events, strict=True):
        for end in decode(event.payload, jobs[name]):
            assert f"(connection {name!r})" in end.message
            assert not any(f"(connection {other!r})" in end.message for other in names if other != name)
