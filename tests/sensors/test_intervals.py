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
@pytest.mark.parametrize("status", [200, 202, 204, 307, 400, 404, 409, 421, 502])
def test_no_mode_asks_before_a_retry_after_is_over_whatever_it_came_with(
    mode: str, status: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    began = fake_time.now
    running, done = b'{"status": "processing"}', b'{"status": "complete"}'
    late = reply(status, b"" if status == 204 else running, {"Retry-After": "420"})
    answers = [reply(200, running), late, reply(200, done)]

    def handle(_: Any, connection: Any) -> None:
        asked.append(fake_time.now - began)
        connection.sendall(answers.pop(0))

    with RawServer(handle) as server:
        value = {"conn_type": "ruler", "password": "key-of-mine", "host": f"{server.url}/v1"}
        monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(value))
        result = run({"conn_id": "ruler_default", "job_id": "site/job", "timeout": 7200}, mode, fake_time)

    assert result["state"] == "succeeded"
    assert asked[2] - asked[1] >= 419.9


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_retry_after_of_the_first_look_is_obeyed_as_well(
    mode: str, status: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    began = fake_time.now
    answers = [
        reply(status, b'{"message": "later"}', {"Retry-After": "130"}),
        reply(200, b'{"status": "complete"}'),
    ]

    def handle(_: Any, connection: Any) -> None:
        asked.append(fake_time.now - began)
        connection.sendall(answers.pop(0))

    with RawServer(handle) as server:
        value = {"conn_type": "ruler", "password": "key-of-mine", "host": f"{server.url}/v1"}
        monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(value))
        result = run({"conn_id": "ruler_default", "job_id": "site/job", "timeout": 7200}, mode, fake_time)

    assert result["state"] == "succeeded"
    assert asked[1] >= 129.9
