"""The hook of QuestionPro against a server, and what the sensor says of its open vocabulary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
    SettingsError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import JobFailed, JobTimedOut, VendorRefused
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.asking import asking
from tests.support.modes import MODES, run
from tests.support.times import FakeTime

JOB = "88123456"
STATUS = ("api", "GET", f"/a/api/v2/micropanel/batches/{JOB}")
CAVEAT = "QuestionPro does not document its status words"
FAILURE = {"Delivery Failed": "failed"}


def on_the_worker(job_id: Any) -> JobStatus:
    return QuestionProHook().job_status(job_id)


def in_an_event_loop(job_id: Any) -> JobStatus:
    async def main() -> JobStatus:
        hook = QuestionProHook()
        async with hook.aconnect() as client:
            return await client.run(asking(hook, job_id))

    return asyncio.run(main())


Ask = Callable[[Any], JobStatus]
BOTH = pytest.mark.parametrize("ask", [on_the_worker, in_an_event_loop])


def connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, **changes: Any) -> None:
    """Define the default connection, with changes to the sandbox's own."""
    connection = sandbox.connection("questionpro") | changes
    monkeypatch.setenv("AIRFLOW_CONN_QUESTIONPRO_DEFAULT", json.dumps(connection))


def asked(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(request["origin"], request["method"], request["target"]) for request in sandbox.requests]


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


@BOTH
def test_a_mailing_becomes_a_delivered_one(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.put_job("questionpro", JOB, running_seconds=120)
    found = [ask(JOB)]
    for _ in range(2):
        sandbox.advance_clock(60)
        found.append(ask(int(JOB)))
    assert [status.vendor_status for status in found] == ["Scheduled", "Sending", "Delivery Successful"]
    assert [status.known for status in found] == [False, False, True]
    assert asked(sandbox) == [STATUS] * 3


@BOTH
def test_trap_the_key_is_in_the_header_with_the_hyphen_only(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.put_job("questionpro", JOB)
    ask(JOB)
    key = sandbox.connection("questionpro")["password"]
    (request,) = sandbox.requests
    assert [name.lower() for name, value in request["headers"] if key in value] == ["api-key"]
    assert key not in request["target"] + request["body"]


@BOTH
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("number", [False, True])
def test_trap_errors_are_known_in_their_own_status_and_inside_a_200(
    ask: Ask, inside: bool, number: bool, sandbox: Sandbox
) -> None:
    sandbox.put_job("questionpro", JOB)
    sandbox.change_settings("questionpro", errors_inside_200=inside, integer_error_ids=number)
    with pytest.raises(NotFound, match="404"):
        ask("9")
    with pytest.raises(RequestRejected, match="400"):
        ask("9" * 30)
    sandbox.change_settings("questionpro", permitted=False)
    with pytest.raises(AccessDenied, match=r"403 Forbidden.*no permission"):
        ask(JOB)
    sandbox.change_settings("questionpro", permitted=True, licence_calls_left=0)
    with pytest.raises(RateLimited) as caught:
        ask(JOB)
    assert caught.value.spent
    sandbox.change_settings("questionpro", licence_calls_left=None, requests_per_window=1)
    sandbox.advance_clock(61)
    ask(JOB)
    with pytest.raises(RateLimited) as caught:
        ask(JOB)
    assert not caught.value.spent
    sandbox.revoke_tokens("questionpro")
    with pytest.raises(AccessDenied, match="401"):
        ask(JOB)
    assert {origin for origin, _, _ in asked(sandbox)} == {"api"}


@BOTH
def test_an_outage_and_a_page_of_html_are_no_status(ask: Ask, sandbox: Sandbox) -> None:
    page = {"body": "<html>maintenance</html>", "content_type": "text/html"}
    sandbox.put_job("questionpro", JOB, script=[{"http": 502}, page, "Sending"])
    with pytest.raises(ServerError):
        ask(JOB)
    with pytest.raises(UnexpectedResponse, match="text/html"):
        ask(JOB)
    assert ask(JOB).state is JobState.RUNNING


@BOTH
def test_trap_the_answer_for_another_mailing_is_refused(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.put_job("questionpro", JOB, script=[{"id": 88120034, "status": "Delivery Successful"}])
    with pytest.raises(UnexpectedResponse, match="answered for the job '88120034"):
        ask(JOB)


@BOTH
def test_trap_an_id_with_leading_zeros_is_the_same_mailing(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.put_job("questionpro", JOB)
    assert ask(f"00{JOB}").job_id == f"00{JOB}"


@BOTH
@pytest.mark.parametrize("job_id", ["None", "", "7.0", "-7", "7/../../apikey/regenerate", None, True])
def test_trap_a_malformed_id_asks_nobody(ask: Ask, job_id: Any, sandbox: Sandbox) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        ask(job_id)
    assert asked(sandbox) == []


@BOTH
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_trap_the_key_does_not_follow_a_redirect(ask: Ask, status: int, sandbox: Sandbox) -> None:
    away = {"http": status, "headers": {"Location": f"{sandbox.storage_url}/away"}}
    sandbox.put_job("questionpro", JOB, script=[away])
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        ask(JOB)
    assert asked(sandbox) == [STATUS]


@pytest.mark.parametrize("end", ["", "/", "/a/api/v2", "/a/api/v2/"])
def test_trap_the_host_may_have_the_path_pasted(
    end: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox, host=sandbox.api_url + end)
    sandbox.put_job("questionpro", JOB)
    assert QuestionProHook().job_status(JOB).state is JobState.RUNNING
    assert QuestionProHook().test_connection()[0]
    assert asked(sandbox) == [STATUS, ("api", "GET", "/a/api/v2/micropanel/batches/0")]


# Test of the connection


def test_the_right_key_tests_well_with_one_get(sandbox: Sandbox) -> None:
    before = sandbox.jobs()
    assert QuestionProHook().test_connection() == (True, "QuestionPro accepts the key")
    assert asked(sandbox) == [("api", "GET", "/a/api/v2/micropanel/batches/0")]
    assert sandbox.jobs() == before
    assert sandbox.settings("questionpro")["mails_sent"] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_key": "another"}, "401 Unauthorized"),
        ({"permitted": False}, "403 Forbidden"),
        ({"licence_calls_left": 0}, "429 Too Many Requests"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_key_that_is_refused_tests_badly_and_is_not_shown(
    changes: dict[str, Any], words: str, inside: bool, sandbox: Sandbox
) -> None:
    key = sandbox.connection("questionpro")["password"]
    sandbox.change_settings("questionpro", errors_inside_200=inside, **changes)
    good, message = QuestionProHook().test_connection()
    assert (good, words in message, key in message) == (False, True, False)
    assert {method for _, method, _ in asked(sandbox)} == {"GET"}


def test_trap_an_address_that_is_not_questionpros_tests_badly(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox, host=f"{sandbox.api_url}/elsewhere")
    good, message = QuestionProHook().test_connection()
    assert (good, "404" in message) == (False, True)


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
    assert len(asked(sandbox)) > 10
    assert not [target for _, _, target in asked(sandbox) if "apikey" in target.lower()]
    assert {method for _, method, _ in asked(sandbox)} == {"GET"}


# The sensor


@pytest.mark.parametrize("mode", MODES)
def test_the_sensor_says_once_at_the_start_that_only_success_is_known(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, log: list[MutableMapping[str, Any]]
) -> None:
    sandbox.put_job("questionpro", JOB, script=["Sending", "Sending", "Sending", "Delivery Successful"])
    assert run(arguments(), mode, fake_time)["state"] == "succeeded"
    assert len(asked(sandbox)) == 4
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
    connect(monkeypatch, sandbox, extra={"statuses": FAILURE})
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
    assert len(asked(sandbox)) == 6
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
    assert len(asked(sandbox)) == 2, "asked again once, with settings read again"
