"""The hook of Aftercare against a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RequestRejected,
    ServerError,
    SettingsError,
    TransportError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.asking import asking

JOB = "7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377"
QUALITY = f"data-quality/{JOB}"
NOW: dict[str, Any] = {"queued_seconds": 0, "processing_seconds": 0}
STATUS = ("api", "GET", f"/api/v1/coding/{JOB}")


def on_the_worker(job_id: str) -> JobStatus:
    return AftercareHook().job_status(job_id)


def in_an_event_loop(job_id: str) -> JobStatus:
    async def main() -> JobStatus:
        hook = AftercareHook()
        async with hook.aconnect() as client:
            return await client.run(asking(hook, job_id))

    return asyncio.run(main())


Ask = Callable[[str], JobStatus]
BOTH = pytest.mark.parametrize("ask", [on_the_worker, in_an_event_loop])


def connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, **changes: Any) -> None:
    """Define the default connection, with changes to the sandbox's own."""
    connection = sandbox.connection("aftercare") | changes
    monkeypatch.setenv("AIRFLOW_CONN_AFTERCARE_DEFAULT", json.dumps(connection))


def asked(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(request["origin"], request["method"], request["target"]) for request in sandbox.requests]


@BOTH
def test_a_running_job_becomes_a_finished_one(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", JOB, queued_seconds=60, processing_seconds=60)
    words = [ask(JOB).vendor_status]
    for _ in range(2):
        sandbox.advance_clock(60)
        words.append(ask(JOB).vendor_status)
    assert words == ["queued", "processing", "completed"]
    assert asked(sandbox) == [STATUS] * 3


@BOTH
@pytest.mark.parametrize("running_results", ["null", "absent"])
@pytest.mark.parametrize("position", ["usual", "first", "middle", "last"])
@pytest.mark.parametrize(
    ("end", "state", "detail"),
    [
        ("completed", JobState.SUCCEEDED, None),
        ("partial_failure", JobState.PARTIAL, "TOO_FEW: why"),
        ("total_failure", JobState.FAILED, "TOO_FEW: why"),
    ],
)
def test_trap_an_end_is_read_wherever_the_status_stands(
    ask: Ask,
    end: str,
    state: JobState,
    detail: str | None,
    position: str,
    running_results: str,
    sandbox: Sandbox,
) -> None:
    spec = {"failure_code": "TOO_FEW", "failure_message": "why", "processing_seconds": 0}
    forms = {"status_position": position, "running_results": running_results}
    sandbox.put_job("aftercare", JOB, end=end, queued_seconds=60, **spec, **forms)
    assert ask(JOB).state is JobState.RUNNING
    sandbox.advance_clock(60)
    status = ask(JOB)
    assert (status.state, status.vendor_status, status.detail) == (state, end, detail)


@BOTH
@pytest.mark.parametrize(("end", "state"), [("completed", JobState.SUCCEEDED), ("failed", JobState.FAILED)])
def test_trap_a_data_quality_job_is_another_one_than_the_coding_job_of_the_same_id(
    ask: Ask, end: str, state: JobState, sandbox: Sandbox
) -> None:
    sandbox.put_job("aftercare", JOB)
    sandbox.put_job("aftercare", QUALITY, end=end, **NOW)
    assert (ask(QUALITY).state, ask(JOB).state) == (state, JobState.RUNNING)
    assert asked(sandbox) == [("api", "GET", f"/api/v1/data-quality/batch/{JOB}"), STATUS]


@BOTH
def test_trap_a_wrong_key_is_denied_and_not_shown(
    ask: Ask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox, password="canary-wrong-key")
    sandbox.put_job("aftercare", JOB)
    with pytest.raises(
        AccessDenied, match=rf"GET \S+/api/v1/coding/{JOB} \(connection .*\): answered 403"
    ) as caught:
        ask(JOB)
    assert "canary" not in str(caught.value)


@BOTH
def test_an_unknown_job_is_not_found_and_a_malformed_id_refused(ask: Ask, sandbox: Sandbox) -> None:
    with pytest.raises(NotFound):
        ask("nobodys")
    with pytest.raises(NotFound):
        ask("data-quality/nobodys")
    with pytest.raises(RequestRejected, match="INVALID_REQUEST"):
        ask("no_such_form_of_id")


@BOTH
@pytest.mark.parametrize("job_id", ["data-quality/", "data-quality/../coding/j", "a/b", "..", "", "None"])
def test_a_malformed_id_asks_nobody(ask: Ask, job_id: str, sandbox: Sandbox) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        ask(job_id)
    assert asked(sandbox) == []


@BOTH
def test_trap_a_504_of_a_proxy_is_an_outage(ask: Ask, sandbox: Sandbox) -> None:
    page = {"http": 504, "body": "<html>504 Gateway Time-out</html>", "content_type": "text/html"}
    sandbox.put_job("aftercare", JOB, script=[page, "completed"])
    with pytest.raises(ServerError, match="504 Gateway"):
        ask(JOB)
    assert ask(JOB).state is JobState.SUCCEEDED


@BOTH
def test_trap_a_page_of_html_with_200_is_no_status(ask: Ask, sandbox: Sandbox) -> None:
    page = {"body": "<html>maintenance</html>", "content_type": "text/html"}
    sandbox.put_job("aftercare", JOB, script=[page])
    with pytest.raises((UnexpectedResponse, TransportError)):
        ask(JOB)


@BOTH
def test_the_status_of_another_job_is_refused(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.put_job("aftercare", JOB, script=[{"batchJobId": "another", "status": "completed"}])
    with pytest.raises(UnexpectedResponse, match="answered for the job 'another'"):
        ask(JOB)


@BOTH
def test_a_failure_that_echoes_the_key_does_not_get_it_shown(ask: Ask, sandbox: Sandbox) -> None:
    key = sandbox.connection("aftercare")["password"]
    sandbox.put_job("aftercare", JOB, end="total_failure", failure_message=f"no {key}", **NOW)
    assert ask(JOB).detail == "PROCESSING_ERROR: no ***"


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_trap_the_key_does_not_follow_a_redirect(ask: Ask, status: int, sandbox: Sandbox) -> None:
    away = {"http": status, "headers": {"Location": f"{sandbox.storage_url}/away"}}
    sandbox.put_job("aftercare", JOB, script=[away])
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        ask(JOB)
    assert asked(sandbox) == [STATUS]


# Test of the connection


def test_the_right_key_tests_well_with_one_get(sandbox: Sandbox) -> None:
    before = sandbox.jobs()
    assert AftercareHook().test_connection() == (True, "Aftercare accepts the key")
    nobodys = "/api/v1/coding/00000000-0000-0000-0000-000000000000"
    assert asked(sandbox) == [("api", "GET", nobodys)]
    assert [request["status"] for request in sandbox.requests] == [404]
    assert sandbox.jobs() == before


def test_a_wrong_key_tests_badly_and_is_not_shown(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, sandbox, password="canary-wrong-key")
    good, message = AftercareHook().test_connection()
    assert (good, "403" in message, "canary" in message) == (False, True, False)
    assert {method for _, method, _ in asked(sandbox)} == {"GET"}


def test_an_address_that_is_not_aftercares_tests_badly(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox, host=f"{sandbox.api_url}/elsewhere")
    good, message = AftercareHook().test_connection()
    assert (good, "404" in message) == (False, True)


def test_a_vendor_that_is_away_tests_badly(sandbox: Sandbox) -> None:
    path = "/api/v1/coding/00000000-0000-0000-0000-000000000000"
    sandbox.put_answers(path, [{"http": 503}, {"disconnect": True}, {"disconnect": True}])
    # A connection that ends without an answer is tried once more.
    assert [AftercareHook().test_connection()[0] for _ in range(3)] == [False, False, True]


def test_a_connection_of_another_type_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AFTERCARE_DEFAULT", '{"conn_type": "http", "host": "https://a.example"}')
    good, message = AftercareHook().test_connection()
    assert (good, message) == (
        False,
        "this connection: type is 'http'; choose 'aftercare'",
    )
