"""A wait for thousands of jobs takes little memory, and a wall clock that is set moves no wait."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_jobstatus.core import clock
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.fleet import runtime, timer
from airflow_provider_jobstatus.fleet.timer import LoopClock
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.triggers import batch_job
from airflow_provider_jobstatus.triggers.batch_job import pollers_for
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from tests.support.modes import deferred, first_event
from tests.support.raw_server import RawServer, Received, reply
from tests.support.times import FakeTime, even_first_polls

#: Enough to tell; ten thousand take five times as much, and as long.
JOBS = 2_000
#: What a job that was seen may hold in the triggerer, as Python counts it.
POLLER_BYTES = 2_000


def test_what_is_kept_of_each_job_is_bounded() -> None:
    ids = [f"site/job-{number:05}" for number in range(1000)]
    spec = WaitSpec(60.0, 0.0, 60.0, 7200.0, stalled_after=600.0)
    counts = {"total": 10**6, "processed": 10**5, "succeeded": 10**5, "failed": 0}
    tracemalloc.start()
    try:
        pollers = list(pollers_for(ids, spec, 1.0))
        for look in range(20):
            for number, poller in enumerate(pollers):
                rows = {key: count + number + look for key, count in counts.items()}
                status = JobStatus(poller.job_id, "ruler", JobState.RUNNING, "processing", None, 10, rows)
                poller.observe(status, 60.0 * look + number / 1000)
        kept = tracemalloc.get_traced_memory()[0] / len(pollers)
    finally:
        tracemalloc.stop()

    assert kept < POLLER_BYTES


def test_a_wait_for_thousands_of_jobs_needs_little_memory() -> None:
    seen: set[str] = set()
    lock = threading.Lock()

    def answer(received: Received, connection: Any) -> None:
        job_id = received.target.rpartition("/")[2]
        with lock:
            word = "completed" if job_id in seen else "running"
            seen.add(job_id)
        body = {"batchJobId": job_id, "status": word}
        connection.sendall(reply(200, json.dumps(body).encode(), {"Content-Type": "application/json"}))

    with RawServer(answer) as server:
        connection = {
            "conn_type": "aftercare",
            "host": f"{server.url}/v1",
            "password": "a key of some length",
        }
        measured = subprocess.run(
            [sys.executable, "-m", "tests.fleet.measured_trigger", str(JOBS)],
            env={**os.environ, "AIRFLOW_CONN_AFTERCARE_DEFAULT": json.dumps(connection)},
            capture_output=True,
            check=True,
            text=True,
            timeout=600,
        )
    figures = json.loads(measured.stdout.splitlines()[-1])

    assert len(server.requests) >= 2 * JOBS
    assert figures["event_bytes"] <= 64 * JOBS + 1000
    assert figures["grown_bytes"] < 16 * 2**20


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_during_a_wait_neither_shortens_nor_stretches_it(
    step: float, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = 1_793_491_200.0
    wall, monotonic, slept = [began], [1000.0], [0.0]

    def advance(seconds: float) -> None:
        for clock_hand in (wall, monotonic, slept):
            clock_hand[0] += seconds
        if slept[0] > 100 and abs(wall[0] - began) < 1000:
            wall[0] += step

    class Clock(LoopClock):
        """The real clock, of hands that a pause moves on."""

        def call_later(self, seconds: float, callback: Any, context: Any, *, background: bool = False) -> Any:
            return (time.timer if background else time.alarm)(seconds, callback)

    time = FakeTime(advance)
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: wall[0], monotonic=lambda: monotonic[0]))
    monkeypatch.setattr(timer, "monotonic", lambda: monotonic[0])
    monkeypatch.setattr(runtime, "LoopClock", Clock)
    monkeypatch.setattr(batch_job, "first_polls", even_first_polls)
    sandbox.put_job("ruler", "site/job", script=["processing"])
    waiting = deferred(began, "ruler_default", "site/job", poll_interval=60.0, stalled_after=300.0)

    event = asyncio.run(first_event(waiting))

    assert event.payload["jobs"][0]["outcome"] == "timed_out"
    assert slept[0] == pytest.approx(600)
    assert sum(request["target"].endswith("/status") for request in sandbox.requests) == 10


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_wait_that_begins_after_the_wall_clock_was_set_ends_by_the_new_time(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def admitted() -> WaitSpec:
        here = runtime.current()
        ahead = clock.epoch_offset() + step
        monkeypatch.setattr(timer, "epoch_offset", lambda: ahead)
        now = here.clock.now() + step
        return here.admit(WaitSpec(60.0, now, now + 60, now + 600, not_before=now + 5))

    async def now() -> float:
        return runtime.current().clock.now()

    spec = asyncio.run(admitted())
    monkeypatch.undo()
    began = asyncio.run(now())
    assert spec.started_at == pytest.approx(began, abs=30)
    assert spec.first_poll_at - spec.started_at == pytest.approx(60)
    assert spec.deadline_at - spec.started_at == pytest.approx(600)
    assert spec.not_before - spec.started_at == pytest.approx(5)
