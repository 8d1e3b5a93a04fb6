"""How often a job is asked about where the vendor has a say: by its licence, and by ``Retry-After``."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from airflow_provider_jobstatus.exceptions import BadSettings, JobTimedOut
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from tests.support.modes import MODES, run
from tests.support.raw_server import RawServer, reply
from tests.support.times import FakeTime


def pauses(sandbox: Sandbox) -> list[float]:
    asked = [request["at"] for request in sandbox.requests]
    return [round(later - earlier) for earlier, later in pairwise(asked)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [600, 600, 600]),
        ({"poke_interval": 450}, [450, 450, 450, 450]),
        ({"default_args": {"poke_interval": 900}}, [900, 900]),
        ({"timeout": 200}, [200]),
    ],
)
def test_questionpro_is_asked_every_ten_minutes_unless_the_task_says_otherwise(
    mode: str, given: dict[str, Any], expected: list[float], sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("questionpro", "17", script=["Sending"])

    with pytest.raises(JobTimedOut):
        run({"conn_id": "questionpro_default", "job_id": "17", "timeout": 1800, **given}, mode, fake_time)

    assert pauses(sandbox) == expected


def test_what_is_known_of_an_interval_is_checked_when_the_dag_is_parsed() -> None:
    for known in ({"timeout": 30}, {"timeout": 300, "poke_interval": 301}):
        with pytest.raises(BadSettings, match="before its first poll"):
            BatchJobSensor(task_id="wait", conn_id="questionpro_default", job_id="17", **known)
    BatchJobSensor(task_id="wait", conn_id="questionpro_default", job_id="17", timeout=300)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("jobs", "calls"), [("17", 25), (["17", "18", "19"], 75)])
def test_a_wait_at_questionpro_says_once_how_many_calls_it_may_use(
    mode: str, jobs: Any, calls: int, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    for job in [jobs] if isinstance(jobs, str) else jobs:
        sandbox.put_job("questionpro", job, script=["Sending", "Delivery Successful"])

    with capture_logs() as lines:
        run({"conn_id": "questionpro_default", "job_id": jobs, "timeout": 14_400}, mode, fake_time)

    said = [line["event"] for line in lines if "licence" in line["event"]]
    assert len(said) == 1
    assert f"up to {calls} until" in said[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("first", "status"),
    [
        *((False, status) for status in (200, 202, 204, 307, 400, 404, 409, 421, 502)),
        *((True, status) for status in (401, 403, 404, 503)),
    ],
)
def test_no_mode_polls_before_a_retry_after_is_over_whatever_it_came_with(
    mode: str, first: bool, status: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Be it of the first poll or of a later one."""
    polled_at: list[float] = []
    running, done = reply(200, b'{"status": "processing"}'), reply(200, b'{"status": "complete"}')
    body = b'{"message": "later"}' if first else b'{"status": "processing"}'
    late = reply(status, b"" if status == 204 else body, {"Retry-After": "420"})
    answers = [late, done] if first else [running, late, done]

    def handle(_: Any, connection: Any) -> None:
        polled_at.append(fake_time.now)
        connection.sendall(answers.pop(0))

    with RawServer(handle) as server:
        value = {"conn_type": "ruler", "password": "key-of-mine", "host": f"{server.url}/v1"}
        monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(value))
        result = run({"conn_id": "ruler_default", "job_id": "site/job", "timeout": 7200}, mode, fake_time)

    assert result["state"] == "succeeded"
    assert polled_at[-1] - polled_at[-2] >= 419.9
