"""One table: what a wait ends with is the same in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    JobFailed,
    JobTimedOut,
    PollingFailed,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.modes import MODES, run
from tests.support.times import FakeTime

DOWN = {"http": 503}
DENIED = {"http": 401}
#: What the vendor answers to successive questions; the last answer repeats.
SCRIPTS: dict[str, list[Any]] = {
    "complete at once": ["complete"],
    "complete later": ["pending", "processing", "complete"],
    "partial later": ["processing", "partialcomplete"],
    "failed later": ["processing", "failed"],
    "runs for ever": ["processing"],
    "unknown word for ever": ["processing", "paused"],
    "unknown word for a while": ["paused", "paused", "complete"],
    "short outage": ["processing", DOWN, {"disconnect": True}, DOWN, "complete"],
    "never comes back": ["processing", DOWN],
    "denied": [DENIED],
    "denied later": ["processing", DENIED],
    "denied once": ["processing", DENIED, "processing", DENIED, "complete"],
    "wrong request": [{"http": 400}],
    "unknown at first": [{"http": 404}, {"http": 404}, "processing", "complete"],
    "unknown for ever": [{"http": 404}],
    "busy": ["processing", {"http": 429, "headers": {"Retry-After": "90"}}, "complete"],
    "busy for ever": ["processing", {"http": 429, "headers": {"Retry-After": "3000"}}],
    "no json": ["processing", {"body": "<html>maintenance</html>", "content_type": "text/html"}, "complete"],
    "moved": ["processing", {"http": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, "complete"],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "strict": {"allowed_states": ("succeeded",)},
    "failure allowed": {"allowed_states": ("succeeded", "partial", "failed")},
    "failure skipped": {"skipped_states": ("failed",)},
    "soft_fail": {"soft_fail": True},
    "never_fail": {"never_fail": True},
    "silent_fail": {"silent_fail": True},
    "exponential_backoff": {"exponential_backoff": True, "max_wait": 120},
}
#: What a script ends with: a state, or an exception.
ENDS: dict[str, str | type[Exception]] = {
    "complete at once": "succeeded",
    "complete later": "succeeded",
    "partial later": "partial",
    "failed later": JobFailed,
    "runs for ever": JobTimedOut,
    "unknown word for ever": PollingFailed,
    "unknown word for a while": "succeeded",
    "short outage": "succeeded",
    "never comes back": PollingFailed,
    "denied": VendorRefused,
    "denied later": VendorRefused,
    "denied once": "succeeded",
    "wrong request": VendorRefused,
    "unknown at first": "succeeded",
    "unknown for ever": UnknownJob,
    "busy": "succeeded",
    "busy for ever": JobTimedOut,
    "no json": "succeeded",
    "moved": "succeeded",
}


def expected(script: str, options: str) -> str | type[Exception]:
    """Return what the options make of a script's end: the design's table, written a second time."""
    end = ENDS[script]
    match options:
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
        case "silent_fail" if end is PollingFailed:
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
def test_every_mode_ends_alike(
    mode: str, script: str, options: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=SCRIPTS[script])
    arguments = {
        "conn_id": "ruler_default",
        "job_id": "site/job",
        "poke_interval": 60,
        "timeout": 1800,
        "max_outage": 600,
        **OPTIONS[options],
    }

    end = outcome(lambda: run(arguments, mode, fake_time))

    wanted = expected(script, options)
    if isinstance(wanted, str):
        assert end["state"] == wanted
        assert end["job_id"] == "site/job"
        assert set(end) == {
            *("job_id", "vendor", "state", "vendor_status", "detail"),
            *("progress", "counts", "created_at", "completed_at"),
        }
    else:
        assert end is wanted


@pytest.mark.parametrize("mode", MODES)
def test_several_jobs_give_their_results_in_order(mode: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    for name, script in {"a": ["processing", "processing", "complete"], "b": ["partialcomplete"]}.items():
        sandbox.put_job("ruler", f"site/{name}", script=script)
    arguments = {"conn_id": "ruler_default", "job_id": ["site/a", "site/b"]}

    results = run(arguments, mode, fake_time)

    assert [(result["job_id"], result["state"]) for result in results] == [
        ("site/a", "succeeded"),
        ("site/b", "partial"),
    ]


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

    with pytest.raises(JobFailed, match=r"site/bad.*1 more: site/slow"):
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
def test_an_undefined_connection_fails_at_once(mode: str, fake_time: FakeTime) -> None:
    with pytest.raises(BadSettings, match="'nowhere' is not defined"):
        run({"conn_id": "nowhere", "job_id": "site/job"}, mode, fake_time)


def test_without_a_memory_an_outage_of_a_rescheduled_wait_ends_at_its_timeout(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=SCRIPTS["never comes back"])
    arguments = {"conn_id": "ruler_default", "job_id": "site/job", "timeout": 3600, "max_outage": 600}

    with pytest.raises(JobTimedOut):
        run(arguments, "reschedule", fake_time, store=False)
