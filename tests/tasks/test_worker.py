"""The session of a wait on a worker: it keeps the same rules as the triggerer's."""

from __future__ import annotations

import json
import math
import socket
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.core.errors import AccessDenied, TransportError
from airflow_provider_jobstatus.sandbox.certificates import Certificates
from airflow_provider_jobstatus.tasks.blocking_wait import BlockingWait
from airflow_provider_jobstatus.tasks.worker import WorkerSession
from airflow_provider_jobstatus.waiting.completion import durations_of
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.session_policy import MAX_AGE
from airflow_provider_jobstatus.waiting.spec import LAST_POLL_PATIENCE, WaitSpec
from tests.support.raw_server import RawServer, Received, reply

CONN_ID = "ruler_worker"
RUNNING, DONE = b'{"status": "processing"}', b'{"status": "complete"}'


class Waiter:
    """
    A wait on a clock that pauses move on.

    :ivar asked: path and time of each request for a status, in seconds since the beginning.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tokens.slots.clear()
        self.seconds = 0.0
        self.asked: list[tuple[str, float]] = []
        self.warnings: list[str] = []
        self._monkeypatch = monkeypatch
        self._changes: list[tuple[float, dict[str, Any] | None]] = []

    @property
    def log(self) -> Waiter:
        return self

    def info(self, *_: object) -> None:
        """Write a line."""

    def warning(self, line: str, *_: object) -> None:
        """Write a warning."""
        self.warnings.append(line)

    def connection(self, url: str, at: float = 0.0, **fields: Any) -> None:
        """Let the connection be this from so many seconds on."""
        value = {"conn_type": "ruler", "host": f"{url}/v1", "password": "key", **fields}
        self._changes.append((at, value))
        self._store()

    def no_connection(self, at: float) -> None:
        """Let the connection be away from so many seconds on."""
        self._changes.append((at, None))

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self._store()

    def wait(self, *job_ids: str, timeout: float = 3600.0, **options: Any) -> list[WaitOutcome]:
        spec = WaitSpec(60.0, 0.0, 60.0, timeout, **options)
        with WorkerSession(CONN_ID, now=lambda: self.seconds, pause=self.pause) as session:
            return BlockingWait(spec, list(job_ids), session, self).run()

    def vendor(
        self,
        *,
        done_at: float = math.inf,
        refusal: int = 0,
        first: bytes = b"",
        takes: float = 0.0,
        forbidden: str = "",
        **options: Any,
    ) -> RawServer:
        """
        Return a vendor whose jobs run until ``done_at``.

        :param refusal: status of every response, if it is given.
        :param first: the first response.
        :param takes: seconds until a response.
        :param forbidden: a job that gets a 403.
        """

        def answer(received: Received, to: socket.socket) -> None:
            self.asked.append((received.target.split("/")[-2], self.seconds))
            self.seconds += takes
            refused = 403 if self.asked[-1][0] == forbidden else refusal
            usual = reply(refused, b'{"message": "no"}') if refused else None
            usual = usual or reply(200, DONE if self.seconds >= done_at else RUNNING)
            to.sendall(first if first and len(self.asked) == 1 else usual)

        return RawServer(answer, **options)

    def _store(self) -> None:
        for at, value in self._changes:
            if at <= self.seconds:
                name = f"AIRFLOW_CONN_{CONN_ID.upper()}"
                if value is None:
                    self._monkeypatch.delenv(name)
                else:
                    self._monkeypatch.setenv(name, json.dumps(value))


@pytest.fixture
def waiter(monkeypatch: pytest.MonkeyPatch) -> Waiter:
    return Waiter(monkeypatch)


def test_a_changed_ca_file_is_used_when_the_connection_is_read_again(waiter: Waiter, tmp_path: Path) -> None:
    good, other = Certificates("127.0.0.1"), Certificates("127.0.0.1")
    (tmp_path / "good.pem").write_bytes(good.authority)
    (tmp_path / "other.pem").write_bytes(other.authority)

    with waiter.vendor(done_at=0, tls=good.contexts["good"]) as server:
        waiter.connection(server.url, extra={"verify": str(tmp_path / "other.pem")})
        waiter.connection(server.url, at=300.0, extra={"verify": str(tmp_path / "good.pem")})
        (event,) = waiter.wait("site/job")

    assert event.outcome is OutcomeKind.FINISHED
    assert [MAX_AGE < at <= MAX_AGE + 300 for _, at in waiter.asked] == [True]


def test_after_a_refusal_what_the_changed_connection_trusts_counts(waiter: Waiter, tmp_path: Path) -> None:
    good, other = Certificates("127.0.0.1"), Certificates("127.0.0.1")
    (tmp_path / "both.pem").write_bytes(good.authority + other.authority)
    (tmp_path / "other.pem").write_bytes(other.authority)

    with (
        waiter.vendor(refusal=401, tls=good.contexts["good"]) as server,
        WorkerSession(CONN_ID, now=lambda: waiter.seconds, pause=waiter.pause) as session,
    ):
        waiter.connection(server.url, extra={"verify": str(tmp_path / "both.pem")})
        assert isinstance(session.ask("site/job"), AccessDenied)
        waiter.connection(server.url, password="new key", extra={"verify": str(tmp_path / "other.pem")})
        session.forget_settings()

        assert isinstance(session.ask("site/job"), TransportError)

    assert len(waiter.asked) == 1


def test_a_worker_polls_no_faster_than_the_key_allows(waiter: Waiter) -> None:
    with waiter.vendor(done_at=61) as server:
        waiter.connection(server.url, extra={"requests_per_second": 0.1, "burst": 2})
        events = waiter.wait(*[f"site/job-{number}" for number in range(5)])

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    times = [at for _, at in waiter.asked]
    assert times[:5] == [0.0, 0.0, 10.0, 20.0, 30.0]
    for began in times:
        assert sum(began <= at < began + 60 for at in times) <= 2 + 6


def test_a_rate_that_is_used_up_holds_no_wait_beyond_its_deadline(waiter: Waiter) -> None:
    with waiter.vendor() as server:
        waiter.connection(server.url, extra={"requests_per_second": 5 / 3600, "burst": 1})
        events = waiter.wait(*[f"site/job-{number}" for number in range(20)], timeout=1800.0)

    assert {event.outcome for event in events} == {OutcomeKind.TIMED_OUT}
    assert waiter.seconds <= 1800 + LAST_POLL_PATIENCE
    assert len(waiter.asked) <= 4


@pytest.mark.parametrize("timeout", [15.0, 600.0])
def test_slow_responses_hold_no_wait_for_many_jobs_beyond_its_deadline(
    timeout: float, waiter: Waiter
) -> None:
    with waiter.vendor(takes=30.0) as server:
        waiter.connection(server.url)
        events = waiter.wait(*[f"site/job-{number}" for number in range(20)], timeout=timeout)

    assert [event.outcome for event in events] == [OutcomeKind.TIMED_OUT] * 20
    # As many had their last poll as could begin in time.
    assert timeout + 30 < waiter.asked[-1][1] <= timeout + LAST_POLL_PATIENCE
    assert waiter.seconds == waiter.asked[-1][1] + 30
    assert any("was not asked in time, as other polls took too long" in event.message for event in events)


def test_polls_that_begin_late_have_a_minute_all_the_same(waiter: Waiter) -> None:
    # As those of a poke for which Airflow had no worker in time.
    waiter.seconds = 900.0
    with waiter.vendor(done_at=0, takes=50.0) as server:
        waiter.connection(server.url)
        events = waiter.wait("site/a", "site/b", "site/c", timeout=600.0)

    assert [event.outcome for event in events] == [OutcomeKind.FINISHED] * 2 + [OutcomeKind.TIMED_OUT]


@pytest.mark.parametrize(("status", "silences"), [(429, True), (403, True), (503, False)])
def test_a_limit_of_the_key_silences_all_jobs_and_a_sick_job_only_itself(
    status: int, silences: bool, waiter: Waiter
) -> None:
    first = reply(status, b'{"message": "no"}', headers={"Retry-After": "300"})
    with waiter.vendor(done_at=0, first=first) as server:
        waiter.connection(server.url)
        events = waiter.wait("site/first", "site/second")

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    second = next(at for job, at in waiter.asked if job == "second")
    assert second >= 300 if silences else second == 0


def test_a_refusal_of_a_job_is_forgotten_once_the_wait_for_it_is_over(waiter: Waiter) -> None:
    with (
        waiter.vendor(forbidden="x") as server,
        WorkerSession(CONN_ID, now=lambda: waiter.seconds, pause=waiter.pause) as session,
    ):
        waiter.connection(server.url)
        wait = BlockingWait(WaitSpec(60.0, 0.0, 60.0, 3600.0), ["site/y", "site/x"], session, waiter)
        waiting = wait.poll_each()

        assert [poller.job_id for poller in waiting] == ["site/y"]
        assert [event.outcome for event in wait.events()] == [OutcomeKind.LEFT, OutcomeKind.REFUSED]
        # Else the connection would be read every half minute to the end of the wait.
        assert not session.refusals.active


def test_settings_that_work_outlive_a_connection_that_cannot_be_read(waiter: Waiter) -> None:
    with waiter.vendor(done_at=1501) as server:
        waiter.connection(server.url)
        waiter.no_connection(300.0)
        (event,) = waiter.wait("site/job", max_outage=60.0)

    assert event.outcome is OutcomeKind.FINISHED
    assert len(waiter.asked) == 1500 // 60 + 2


def test_a_changed_account_ends_the_wait_although_no_poll_is_refused(waiter: Waiter) -> None:
    with waiter.vendor() as server:
        waiter.connection(server.url, extra={"site_id": "site"})
        waiter.connection(server.url, at=120.0, extra={"site_id": "another"})
        (event,) = waiter.wait("job")

    assert event.outcome is OutcomeKind.BAD_SETTINGS
    assert "has changed during the wait" in event.message
    assert waiter.seconds <= MAX_AGE + 60


def test_a_wait_on_a_worker_remembers_how_long_its_jobs_took(waiter: Waiter) -> None:
    with waiter.vendor(done_at=300) as server:
        waiter.connection(server.url)
        waiter.wait("of_this_test/a", "of_this_test/b")

    assert len(durations_of(CONN_ID, "of_this_test/another")) == 2
