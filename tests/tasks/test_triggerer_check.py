"""A deferral that no triggerer takes over leaves a warning."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from structlog.testing import capture_logs

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.tasks.triggerer_check import triggerer_trouble
from tests.support.modes import TaskInstance
from tests.support.raw_server import RawServer, Received, reply, reset, says

Serve = Callable[[object], RawServer]


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Stand in for the API server's health."""
    servers: list[RawServer] = []

    def serve(answer: object) -> RawServer:
        if callable(answer):
            handler = answer
        else:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            handler = says(reply(200, body))
        server = RawServer(handler).__enter__()
        servers.append(server)
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"{server.url}/airflow/execution/")
        return server

    yield serve
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("status", [None, "unhealthy"])
def test_there_is_a_warning_if_airflow_says_that_no_triggerer_runs(
    airflow: Serve, status: str | None
) -> None:
    server = airflow({"triggerer": {"status": status, "latest_triggerer_heartbeat": None}})

    trouble = triggerer_trouble()

    assert trouble is not None
    assert "airflow triggerer" in trouble
    [request] = server.requests
    assert request.target == "/airflow/api/v2/monitor/health"
    assert request.header("authorization") is None


def hang_up(_: Received, connection: object) -> None:
    reset(connection)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        {"triggerer": {"status": "healthy"}},
        b"",
        b"<html>",
        b"[]",
        b"{}",
        {"triggerer": None},
        {"triggerer": {}},
        b"[" * 9999,
        hang_up,
    ],
)
def test_there_is_no_warning_if_one_runs_or_airflow_does_not_say(airflow: Serve, answer: object) -> None:
    airflow(answer)

    assert triggerer_trouble() is None


def test_there_is_no_warning_and_no_request_if_the_api_is_served_in_an_unusual_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "unix:///run/airflow.sock")

    assert triggerer_trouble() is None


def test_without_an_address_of_its_own_the_api_is_where_airflow_itself_looks(
    airflow: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = airflow({"triggerer": {"status": None}})
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{server.url}/team")

    assert triggerer_trouble() is not None
    assert server.requests[0].target == "/team/api/v2/monitor/health"


def test_a_deferral_warns_and_goes_on(airflow: Serve, sandbox: Sandbox) -> None:
    airflow({"triggerer": {"status": None}})
    sandbox.put_job("ruler", "site/job", script=["processing"])
    sensor = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id="site/job", deferrable=True)

    with capture_logs() as log, pytest.raises(TaskDeferred):
        sensor.execute({"ti": TaskInstance()})

    assert [entry["event"] for entry in log if entry["log_level"] == "warning"][1:] == [triggerer_trouble()]
