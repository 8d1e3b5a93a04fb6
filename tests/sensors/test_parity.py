"""One table: what a wait ends with is the same in every mode."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseHook,
)
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    JobFailed,
    JobTimedOut,
    PollingFailed,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.tasks import task_state
from tests.support.modes import MODES, run
from tests.support.times import FakeTime

DOWN = {"http": 503}
DENIED = {"http": 401}
LIMITED = {"http": 403, "headers": {"Retry-After": "400"}}
#: Responses to successive polls, of which the last repeats; and the end: a state or an error.
SCRIPTS: dict[str, tuple[list[Any], str | type[Exception]]] = {
    "complete at once": (["complete"], "succeeded"),
    "complete later": (["pending", "processing", "complete"], "succeeded"),
    "partial later": (["processing", "partialcomplete"], "partial"),
    "failed later": (["processing", "failed"], JobFailed),
    "runs for ever": (["processing"], JobTimedOut),
    "unknown word for ever": (["processing", "paused"], PollingFailed),
    "unknown word for a while": (["paused", "paused", "complete"], "succeeded"),
    "short outage": (["processing", DOWN, {"disconnect": True}, DOWN, "complete"], "succeeded"),
    "never comes back": (["processing", DOWN], PollingFailed),
    "denied": ([DENIED], VendorRefused),
    "denied later": (["processing", DENIED], VendorRefused),
    "denied once": (["processing", DENIED, "processing", DENIED, "complete"], "succeeded"),
    "wrong request": ([{"http": 400, "body": '{"message": "no such site"}'}], VendorRefused),
    "a proxy's 4xx once": (
        ["processing", {"http": 421}, "processing", {"http": 405}, "complete"],
        "succeeded",
    ),
    "a proxy's 4xx for ever": (
        ["processing", {"http": 405, "body": "<html>", "content_type": "text/html"}],
        VendorRefused,
    ),
    "a limit told as a refusal": (["processing", LIMITED, LIMITED, "complete"], "succeeded"),
    "unknown at first": ([{"http": 404}, {"http": 404}, "processing", "complete"], "succeeded"),
    "unknown for ever": ([{"http": 404}], UnknownJob),
    "busy": (["processing", {"http": 429, "headers": {"Retry-After": "90"}}, "complete"], "succeeded"),
    "busy for ever": (["processing", {"http": 429, "headers": {"Retry-After": "3000"}}], JobTimedOut),
    "no json": (
        ["processing", {"body": "<html>maintenance</html>", "content_type": "text/html"}, "complete"],
        "succeeded",
    ),
    "moved": (
        ["processing", {"http": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, "complete"],
        "succeeded",
    ),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "strict": {"allowed_states": ("succeeded",)},
    "failure allowed": {"allowed_states": ("succeeded", "partial", "failed")},
    "failure skipped": {"skipped_states": ("failed",)},
    "soft_fail": {"soft_fail": True},
    "never_fail": {"never_fail": True},
    "silent_fail": {"silent_fail": True},
    "no max_outage": {"max_outage": None},
    "exponential_backoff": {"exponential_backoff": True},
    "max_wait": {"exponential_backoff": True, "max_wait": 120},
    "adaptive": {"adaptive": True},
    "timeout": {"timeout": 60},
}
#: Scripts that have not ended if the first poll is followed only by the last one, a minute later.
TOO_LONG = {
    *("complete later", "unknown word for ever", "unknown word for a while", "short outage"),
    *("never comes back", "denied once", "a proxy's 4xx once", "a proxy's 4xx for ever"),
    *("a limit told as a refusal", "unknown at first", "unknown for ever", "busy", "no json", "moved"),
}


def expected(script: str, options: str) -> str | type[Exception]:
    """Return what the options make of a script's end: the design's table, written a second time."""
    end = SCRIPTS[script][1]
    match options:
        case "timeout":
            return JobTimedOut if script in TOO_LONG else end
        case "strict" if end == "partial":
            return JobFailed
        case "failure allowed" if end is JobFailed:
            return "failed"
        case "failure skipped" if end is JobFailed:
            return AirflowSkipException
        case "soft_fail" if end is JobTimedOut:
            return AirflowSkipException
        case "never_fail" if not isinstance(end, str):
            return AirflowSkipException
        case "silent_fail" | "no max_outage" if end is PollingFailed:
            return JobTimedOut
        case _:
            return end


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the class is what is compared
        return type(error)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("jobs", ["one job", "two jobs"])
def test_every_mode_ends_alike(
    jobs: str, mode: str, script: str, options: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=SCRIPTS[script][0])
    sandbox.put_job("ruler", "site/good", script=["complete"])
    arguments = {
        "conn_id": "ruler_default",
        "job_id": "site/job" if jobs == "one job" else ["site/good", "site/job"],
        "poke_interval": 60,
        "timeout": 1800,
        "max_outage": 600,
        **OPTIONS[options],
    }

    end = outcome(lambda: run(arguments, mode, fake_time))

    wanted = expected(script, options)
    if isinstance(wanted, str):
        if jobs == "two jobs":
            good, end = end
            assert (good["job_id"], good["state"]) == ("site/good", "succeeded")
        assert end["state"] == wanted
        assert end["job_id"] == "site/job"
        assert set(end) == {
            *("job_id", "vendor", "state", "vendor_status", "detail"),
            *("progress", "counts", "created_at", "completed_at"),
        }
    else:
        assert end is wanted


@pytest.mark.parametrize(
    "answer",
    [
        {"http": 429, "headers": {"Retry-After": "3000"}},
        {"http": 503, "headers": {"Retry-After": "900"}},
        {"status": "processing", "headers": {"Retry-After": "700"}},
    ],
    ids=["429", "503", "200"],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_vendor_that_wants_to_be_left_alone_puts_off_no_deadline(
    mode: str, answer: dict[str, Any], sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing", answer])
    began = fake_time.now

    arguments = {"conn_id": "ruler_default", "job_id": "site/job", "poke_interval": 30, "timeout": 300}
    assert outcome(lambda: run(arguments, mode, fake_time)) is JobTimedOut

    assert fake_time.now - began == pytest.approx(300, abs=1)


@pytest.mark.parametrize("mode", MODES)
def test_of_several_jobs_a_failed_one_outweighs_a_timed_out_one(
    mode: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/slow", script=["processing"])
    sandbox.put_job("ruler", "site/bad", script=["processing", "failed"])
    arguments = {
        "conn_id": "ruler_default",
        "job_id": ["site/slow", "site/bad"],
        "timeout": 600,
        "soft_fail": True,
    }

    with pytest.raises(JobFailed, match=r"1 of 2 jobs failed: site/bad.* site/slow: not finished"):
        run(arguments, mode, fake_time)


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_list_succeeds_with_an_empty_list_and_asks_nothing(
    mode: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    assert run({"conn_id": "not defined", "job_id": []}, mode, fake_time) == []
    assert sandbox.requests == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "job_id", [None, "", "None", "site/../job", "site/job?x", {"state": "succeeded"}, 1.5]
)
def test_a_malformed_id_fails_at_once_and_sends_nothing(
    mode: str, job_id: Any, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    with pytest.raises(BadSettings):
        run({"conn_id": "ruler_default", "job_id": job_id}, mode, fake_time)

    assert sandbox.requests == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "value", [timedelta.max, 10**13, 9e299, 10**500], ids=["timedelta", "int", "float", "huge"]
)
def test_a_duration_beyond_any_date_is_as_good_as_a_long_one(
    mode: str, value: Any, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/a", script=["processing", {"http": 503}, "processing", "complete"])
    durations = dict.fromkeys(("timeout", "max_outage", "stalled_after"), value)
    arguments = {"conn_id": "ruler_default", "job_id": "site/a", **durations}
    backoff = {"exponential_backoff": True, "max_wait": value}

    assert run({**arguments, **backoff}, mode, fake_time)["state"] == "succeeded"


@pytest.mark.parametrize("mode", MODES)
def test_an_undefined_connection_fails_at_once(mode: str, fake_time: FakeTime) -> None:
    with pytest.raises(BadSettings, match="'nowhere' is not defined"):
        run({"conn_id": "nowhere", "job_id": "site/job"}, mode, fake_time)


TROUBLES: dict[str, Exception] = {
    "not defined, says Airflow": AirflowNotFoundException("not here"),
    "the API server is away": AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)),
    "the supervisor is away": BrokenPipeError("gone"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(("mode", "store"), [("reschedule", True), ("reschedule", False), ("poke", True)])
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("interval", [{}, {"poke_interval": 60}])
def test_a_connection_that_cannot_be_read_between_two_looks_is_an_outage(
    trouble: str,
    mode: str,
    store: bool,
    many: bool,
    interval: dict[str, int],
    sandbox: Sandbox,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, look, looked = fake_time.now, BaseHook.get_connection, []
    # In poke mode a refusal has the connection read again.
    refused = [{"http": 403}, {"http": 403}] if mode == "poke" else []
    script = ["processing", *refused, "processing", "complete"]
    for job in ("a", "b"):
        sandbox.put_job("ruler", f"site/{job}", script=script)

    def away(conn_id: str) -> Any:
        if began + 30 < fake_time.now < began + 230:
            looked.append(conn_id)
            raise TROUBLES[trouble]
        return look(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", away)
    job_id: Any = ["site/a", "site/b"] if many else "site/a"
    result = run({"conn_id": "ruler_default", "job_id": job_id, **interval}, mode, fake_time, store=store)

    assert {each["state"] for each in (result if many else [result])} == {"succeeded"}
    assert looked


def test_a_connection_that_stays_away_ends_a_rescheduled_wait_after_max_outage(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, look = fake_time.now, BaseHook.get_connection
    sandbox.put_job("ruler", "site/a", script=["processing"])

    def away(conn_id: str) -> Any:
        if fake_time.now > began + 30:
            raise AirflowNotFoundException("not here")
        return look(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", away)
    with pytest.raises(PollingFailed, match=r"connection 'ruler_default' cannot be read \(not defined\)"):
        run({"conn_id": "ruler_default", "job_id": "site/a", "max_outage": 600}, "reschedule", fake_time)
    assert 600 <= fake_time.now - began < 1100


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trouble", list(TROUBLES)[1:])
def test_a_connection_that_cannot_be_read_at_the_first_look_is_worth_a_retry(
    mode: str, trouble: str, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(conn_id: str) -> Any:
        raise TROUBLES[trouble]

    monkeypatch.setattr(BaseHook, "get_connection", away)
    with pytest.raises(PollingFailed, match="connection 'ruler_default' cannot be read") as caught:
        run({"conn_id": "ruler_default", "job_id": "site/a"}, mode, fake_time)
    assert not isinstance(caught.value, AirflowFailException)


#: Where Airflow itself does not let the modes be alike; docs/waiting.md lists the same.
FORCED: dict[str, tuple[str, str, dict[str, Any], type[BaseException] | None]] = {
    "below 3.3 a rescheduled task has no memory, so an outage ends at its timeout": (
        "reschedule",
        "never comes back",
        {"timeout": 3600, "max_outage": 600},
        JobTimedOut,
    ),
    "execution_timeout of a deferred task is part of our deadline": (
        "deferred",
        "runs for ever",
        {"execution_timeout": timedelta(minutes=5)},
        JobTimedOut,
    ),
    "execution_timeout of a task that pokes is Airflow's own": (
        "poke",
        "runs for ever",
        {"execution_timeout": timedelta(minutes=5)},
        AirflowTaskTimeout,
    ),
    "execution_timeout of a task that is rescheduled bounds each poke alone": (
        "reschedule",
        "complete later",
        {"execution_timeout": timedelta(seconds=5)},
        None,
    ),
}


@pytest.mark.parametrize(("mode", "script", "options", "error"), FORCED.values(), ids=FORCED)
def test_what_airflow_forces_is_listed(
    mode: str,
    script: str,
    options: dict[str, Any],
    error: type[BaseException] | None,
    sandbox: Sandbox,
    fake_time: FakeTime,
) -> None:
    sandbox.put_job("ruler", "site/job", script=SCRIPTS[script][0])
    if mode == "poke":
        rings_at, advance = fake_time.now + options["execution_timeout"].total_seconds(), fake_time.advance_to

        def advance_to(moment: float) -> None:
            if moment > rings_at:
                raise AirflowTaskTimeout  # by Airflow's alarm, out of whatever the task does
            advance(moment)

        fake_time.advance_to = advance_to  # type: ignore[method-assign]

    arguments = {"conn_id": "ruler_default", "job_id": "site/job", **options}
    if error is None:
        assert run(arguments, mode, fake_time, store=False)["state"] == "succeeded"
    else:
        with pytest.raises(error):
            run(arguments, mode, fake_time, store=False)


@pytest.mark.parametrize(("store", "times"), [(True, 0), (False, 1)])
def test_a_rescheduled_wait_says_once_that_it_will_have_no_memory(
    store: bool, times: int, sandbox: Sandbox, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.put_job("ruler", "site/job", pending_seconds=100, processing_seconds=500)

    run({"conn_id": "ruler_default", "job_id": "site/job"}, "reschedule", fake_time, store=store)

    said = [record for record in caplog.records if record.name == task_state.log.name]
    assert len(sandbox.requests) > 5
    assert len(said) == times
