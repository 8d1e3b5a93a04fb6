"""The wait on a worker, without a sensor: a spec, the ids, a session, and whatever has a log."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.tasks.blocking_wait import BlockingWait
from airflow_provider_jobstatus.tasks.rescheduling import next_poke_at
from airflow_provider_jobstatus.tasks.worker import WorkerSession
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.refusals import ASK_PAUSE
from airflow_provider_jobstatus.waiting.spec import WaitSpec

CONN_ID = "ruler_default"


class Waiter:
    """What a command line would have: a log, and here a clock that a pause moves on."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.log = logging.getLogger("a waiter")
        self.now = 1_800_000_000.0
        self._sandbox = sandbox

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self._sandbox.advance_clock(seconds)

    def session(self) -> WorkerSession:
        return WorkerSession(CONN_ID, now=lambda: self.now, pause=self.pause)

    def spec(self, **options: Any) -> WaitSpec:
        return WaitSpec(60.0, self.now, self.now + 60.0, self.now + 600.0, **options)


@pytest.fixture
def waiter(sandbox: Sandbox) -> Waiter:
    return Waiter(sandbox)


def ends(events: list[WaitOutcome]) -> list[tuple[str, OutcomeKind]]:
    return [(event.job_id, event.outcome) for event in events]


def test_a_wait_needs_no_sensor(sandbox: Sandbox, waiter: Waiter) -> None:
    sandbox.put_job("ruler", "site/fast", script=["complete"])
    sandbox.put_job("ruler", "site/slow", script=["processing", "processing", "complete"])
    began = waiter.now

    with waiter.session() as session:
        wait = BlockingWait(waiter.spec(), ["site/fast", "site/slow"], session, waiter)
        events = wait.run()

    assert ends(events) == [("site/fast", OutcomeKind.FINISHED), ("site/slow", OutcomeKind.FINISHED)]
    assert [status.state for status in wait.seen() if status] == [JobState.SUCCEEDED] * 2
    assert waiter.now - began == 120


def test_a_wait_ends_at_the_deadline_of_its_spec(sandbox: Sandbox, waiter: Waiter) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    began = waiter.now

    with waiter.session() as session:
        events = BlockingWait(waiter.spec(), ["site/job"], session, waiter).run()

    assert ends(events) == [("site/job", OutcomeKind.TIMED_OUT)]
    assert waiter.now - began == 600


@pytest.mark.parametrize(
    ("options", "first"),
    [({"wait_for": "any"}, "complete"), ({"fail_fast": True}, "failed")],
    ids=["any", "fail_fast"],
)
def test_a_spec_says_when_one_job_decides_for_all(
    options: dict[str, Any], first: str, sandbox: Sandbox, waiter: Waiter
) -> None:
    sandbox.put_job("ruler", "site/slow", script=["processing"])
    sandbox.put_job("ruler", "site/first", script=["processing", first])

    with waiter.session() as session:
        ids = ["site/slow", "site/first"]
        events = BlockingWait(waiter.spec(**options), ids, session, waiter).run()

    assert ends(events) == [("site/slow", OutcomeKind.LEFT), ("site/first", OutcomeKind.FINISHED)]


def test_the_first_job_that_runs_is_the_last_one_polled_before_a_deferral(
    sandbox: Sandbox, waiter: Waiter
) -> None:
    for name, word in (("a", "complete"), ("b", "processing"), ("c", "complete")):
        sandbox.put_job("ruler", f"site/{name}", script=[word])

    with waiter.session() as session:
        wait = BlockingWait(waiter.spec(), ["site/a", "site/b", "site/c"], session, waiter)
        running = wait.first_waiting()

    assert running is not None
    assert running.job_id == "site/b"
    assert [status and status.state for status in wait.seen()] == [JobState.SUCCEEDED, JobState.RUNNING, None]


def test_a_session_checks_ids_before_anything_is_sent(sandbox: Sandbox, waiter: Waiter) -> None:
    with waiter.session() as session, pytest.raises(SettingsError):
        session.begin(["site/job", "site/../job"])

    assert sandbox.requests == []


# Between two pokes


def pollers(spec: WaitSpec, *due: float, refused: bool = False) -> list[JobPoller]:
    memory = {"refused_since": spec.started_at} if refused else None
    made = [JobPoller(f"job-{number}", spec, spec.started_at, memory) for number in range(len(due))]
    for poller, at in zip(made, due, strict=True):
        poller.next_poll_at = at
    return made


@pytest.mark.parametrize(
    ("options", "due", "refused", "again_at", "at"),
    [
        ({}, (60.0, 90.0), False, -1e9, 60.0),
        # The last job to end is the one that matters; the next point of the grid is the latest.
        ({"adaptive": True}, (20.0, 50.0), False, -1e9, 50.0),
        ({"adaptive": True}, (20.0, 500.0), False, -1e9, 60.0),
        ({"adaptive": True, "wait_for": "any"}, (20.0, 50.0), False, -1e9, 20.0),
        # A poke with a refused key reads the connection and asks.
        ({}, (30.0,), True, -1e9, 10.0 + ASK_PAUSE),
        ({}, (30.0,), True, 240.0, 240.0),
        ({}, (30.0,), True, 1e9, 600.0),
        ({}, (30.0,), True, float("inf"), 10.0 + ASK_PAUSE),
        ({}, (10_000.0,), False, -1e9, 600.0),
    ],
)
def test_the_next_poke_comes_when_a_poll_is_due(
    options: dict[str, Any], due: tuple[float, ...], refused: bool, again_at: float, at: float
) -> None:
    spec = WaitSpec(60.0, 0.0, 60.0, 600.0, **options)
    assert next_poke_at(spec, pollers(spec, *due, refused=refused), again_at, 10.0) == at


def test_no_poke_comes_before_the_vendor_allows_one() -> None:
    spec = WaitSpec(60.0, 0.0, 60.0, 600.0)
    (poller,) = pollers(spec, 60.0)
    poller.not_before = 120.0
    assert next_poke_at(spec, [poller], -1e9, 10.0) == 120.0
