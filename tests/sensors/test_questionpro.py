"""What the sensor makes of QuestionPro's open vocabulary, of its limit, and of its licence."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from airflow_provider_jobstatus.core.errors import AccessDenied
from airflow_provider_jobstatus.exceptions import JobFailed, JobTimedOut, VendorRefused
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.modes import MODES, run
from tests.support.times import FakeTime

JOB = "88123456"
CAVEAT = "QuestionPro does not document its status words"


def arguments(**changes: Any) -> dict[str, Any]:
    return {"conn_id": "questionpro_default", "job_id": JOB, "poke_interval": 60, "timeout": 3600, **changes}


@pytest.fixture
def log(sandbox: Sandbox) -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged: Airflow gives operators and triggers a logger of structlog."""
    with capture_logs() as entries:
        yield entries


def said(log: list[MutableMapping[str, Any]], text: str) -> int:
    """Return how many warnings hold a text."""
    return sum(text in entry["event"] for entry in log if entry["log_level"] == "warning")


@pytest.mark.parametrize("mode", MODES)
def test_the_sensor_says_once_at_the_start_that_only_success_is_known(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, log: list[MutableMapping[str, Any]]
) -> None:
    sandbox.put_job("questionpro", JOB, script=["Sending", "Sending", "Sending", "Delivery Successful"])
    assert run(arguments(), mode, fake_time)["state"] == "succeeded"
    assert len(sandbox.requests) == 4
    assert said(log, CAVEAT) == 1
    caveat, first_word = (
        next(at for at, entry in enumerate(log) if text in entry["event"])
        for text in (CAVEAT, "'Sending' is no word that we know")
    )
    assert caveat < first_word


@pytest.mark.parametrize("mode", MODES)
def test_the_sensor_says_nothing_if_the_connection_knows_a_failure(
    mode: str,
    sandbox: Sandbox,
    fake_time: FakeTime,
    log: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = sandbox.connection("questionpro") | {"extra": {"statuses": {"Delivery Failed": "failed"}}}
    monkeypatch.setenv("AIRFLOW_CONN_QUESTIONPRO_DEFAULT", json.dumps(connection))
    sandbox.put_job("questionpro", JOB, script=["Sending", "delivery failed"])
    with pytest.raises(JobFailed, match="'delivery failed'"):
        run(arguments(), mode, fake_time)
    assert said(log, CAVEAT) == 0
    assert said(log, "'Sending' is no word that we know") >= 1, "the log is seen at all"


@pytest.mark.parametrize("mode", MODES)
def test_trap_an_unknown_word_counts_as_running_until_the_timeout(
    mode: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("questionpro", JOB, script=["Delivery Failed"])
    with pytest.raises(JobTimedOut, match="last status: 'Delivery Failed'"):
        run(arguments(timeout=600), mode, fake_time)


def test_an_unknown_word_is_warned_of_once_a_word(
    sandbox: Sandbox, fake_time: FakeTime, log: list[MutableMapping[str, Any]]
) -> None:
    words = ["Sending", "Sending", "Paused", "Sending", "Paused", "Delivery Successful"]
    sandbox.put_job("questionpro", JOB, script=words)
    run(arguments(), "poke", fake_time)
    assert len(sandbox.requests) == 6
    assert [said(log, f"'{word}' is no word that we know") for word in ("Sending", "Paused")] == [1, 1]
    assert said(log, "'Delivery Successful' is no") == 0


@pytest.mark.parametrize("mode", MODES)
def test_trap_a_throttled_call_waits_as_long_as_it_is_told_and_goes_on(
    mode: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    busy = {"http": 429, "headers": {"Retry-After": "700"}, "body": {"response": {"error": {"id": "1429"}}}}
    sandbox.put_job("questionpro", JOB, script=["Sending", busy, "Delivery Successful"])
    assert run(arguments(max_outage=60), mode, fake_time)["state"] == "succeeded"
    times = [request["at"] for request in sandbox.requests]
    assert len(times) == 3
    assert times[2] - times[1] >= 700


@pytest.mark.parametrize("mode", MODES)
def test_trap_a_missing_permission_is_refused(mode: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("questionpro", JOB)
    sandbox.change_settings("questionpro", permitted=False)
    with pytest.raises(VendorRefused, match=r"403 Forbidden.*no permission"):
        run(arguments(), mode, fake_time)
    assert len(sandbox.requests) == 2, "asked again once, with settings read again"


def test_trap_the_endpoint_that_ends_the_key_is_never_asked_for(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("questionpro", JOB, script=["Sending", {"http": 401}, {"http": 403}, "Delivery Failed"])
    hook = QuestionProHook()
    hook.test_connection()
    for mode in MODES:
        with pytest.raises((VendorRefused, JobTimedOut)):
            run(arguments(timeout=600), mode, fake_time)
    sandbox.revoke_tokens("questionpro")
    hook.test_connection()
    with pytest.raises(AccessDenied):
        hook.job_status(JOB)
    assert len(sandbox.requests) > 10
    assert not [request for request in sandbox.requests if "apikey" in request["target"].lower()]
    assert {request["method"] for request in sandbox.requests} == {"GET"}
