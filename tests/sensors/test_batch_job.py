"""The sensor: what it refuses, what it hands to the triggerer, and what it takes back."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_jobstatus import exceptions
from airflow_provider_jobstatus.exceptions import BadTriggerEvent, JobFailed, JobTimedOut, VendorRefused
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from tests.support.modes import TaskInstance, run, run_deferred
from tests.support.times import FakeTime


def sensor(**arguments: Any) -> BatchJobSensor:
    settings: dict[str, Any] = {"task_id": "wait", "conn_id": "ruler_default", "job_id": "site/job"}
    return BatchJobSensor(**{**settings, "deferrable": True, **arguments})


def context() -> Any:
    return {"ti": TaskInstance()}


def deferral(sensor: BatchJobSensor) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(context())
    return caught.value


def finished(job_id: str = "site/job", state: str = "succeeded") -> dict[str, Any]:
    status = {
        "job_id": job_id,
        "vendor": "ruler",
        "state": state,
        "vendor_status": "complete",
        "detail": None,
        "progress": 100,
        "counts": None,
        "created_at": None,
        "completed_at": None,
    }
    return {"job_id": job_id, "outcome": "finished", "status": status, "message": ""}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("poke_interval", -1),
        ("poke_interval", float("nan")),
        ("poke_interval", float("inf")),
        ("poke_interval", "30"),
        ("poke_interval", True),
        ("poke_interval", timedelta(seconds=-1)),
        ("max_outage", -1),
        ("max_outage", "1h"),
        ("allowed_states", ("done",)),
        ("allowed_states", ("running",)),
        ("allowed_states", "done"),
        ("skipped_states", (None,)),
    ],
)
def test_an_argument_that_cannot_work_is_refused_when_the_dag_is_parsed(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=argument):
        sensor(**{argument: value})


def test_a_state_cannot_be_allowed_and_skipped() -> None:
    with pytest.raises(ValueError, match=r"\['failed'\] stand in allowed_states and in skipped_states"):
        sensor(allowed_states=("failed",), skipped_states=("failed",))


def test_soft_fail_and_never_fail_exclude_each_other() -> None:
    with pytest.raises((ValueError, AirflowException)):
        sensor(soft_fail=True, never_fail=True)


def test_an_interval_under_a_second_counts_as_one_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"poke_interval 0\.1 s counts as 1 s"):
        assert sensor(poke_interval=0.1).poke_interval == 1


def test_intervals_may_be_timedeltas() -> None:
    made = sensor(poke_interval=timedelta(minutes=2), max_outage=timedelta(hours=3))

    assert (made.poke_interval, made.max_outage) == (120, 10_800)


def test_a_single_state_may_be_given_as_text() -> None:
    assert sensor(allowed_states="failed").allowed_states == ["failed"]


def test_connection_and_job_are_templates() -> None:
    assert set(BatchJobSensor.template_fields) == {"conn_id", "job_id"}


def test_it_can_be_copied_and_mapped() -> None:
    copy.deepcopy(sensor())
    BatchJobSensor.partial(task_id="mapped", conn_id="ruler_default").expand(job_id=["a", "b"])


def test_making_it_touches_no_connection() -> None:
    sensor(conn_id="not defined")


def test_what_it_hands_over_is_anchored_in_absolute_time(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    now = fake_time.now

    handed = deferral(
        sensor(poke_interval=30, timeout=3600, max_outage=60, exponential_backoff=True, max_wait=90)
    )

    arguments = handed.trigger.serialize()[1]
    # What the log of the first look says, in four bytes.
    assert 0 < arguments.pop("told") < 2**32
    assert len(arguments.pop("account")) == 16
    assert [(seen["job_id"], seen["state"]) for seen in arguments.pop("seen")] == [("site/job", "running")]
    assert arguments == {
        "conn_id": "ruler_default",
        "job_ids": ["site/job"],
        "poll_interval": 30.0,
        "started_at": now,
        "first_poll_at": now + 30,
        "deadline_at": now + 3600,
        "max_outage": 60.0,
        "exponential_backoff": True,
        "max_wait": 90.0,
        "version": 1,
    }
    assert handed.method_name == "execute_complete"


def test_the_first_event_never_comes_within_five_seconds(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing", "complete"])
    began = fake_time.now

    handed = deferral(sensor(poke_interval=1))

    assert handed.trigger.serialize()[1]["first_poll_at"] == began + 5


def test_airflows_own_timeout_is_only_a_backstop(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])

    # A list and a question, each of up to two calls of 60 s, may begin at the deadline.
    assert deferral(sensor(timeout=3600)).timeout == timedelta(seconds=3600 + 240 + 300)
    assert deferral(sensor(timeout=10**12)).timeout is not None


def test_execution_timeout_bounds_a_deferred_wait(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    began = fake_time.now

    with pytest.raises(JobTimedOut):
        run_deferred(sensor(timeout=7200, execution_timeout=timedelta(minutes=10)), context(), fake_time)

    assert fake_time.now - began == pytest.approx(600)


@pytest.mark.parametrize(
    "arguments",
    [{"max_outage": None}, {"silent_fail": True}, {"silent_fail": True, "max_outage": 60}],
    ids=str,
)
def test_an_outage_without_an_end_is_max_outage_none_which_silent_fail_means_too(
    arguments: dict[str, Any], sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    one = sensor(**arguments)

    assert one.max_outage is None
    assert deferral(one).trigger.serialize()[1]["max_outage"] is None


def test_a_job_that_has_ended_is_not_waited_for(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["complete"])

    assert sensor().execute(context())["state"] == "succeeded"


def test_trouble_at_the_first_look_is_part_of_the_wait(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=[{"http": 503}])

    deferral(sensor())


def test_refused_credentials_fail_at_the_first_look_with_their_cause(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.change_settings("ruler", password="another-password")

    with pytest.raises(VendorRefused, match="401") as caught:
        sensor(job_id=["site/a", "site/b", "site/c"]).execute(context())

    assert caught.value.__cause__ is not None
    # One login: the connection that was read again holds the same, and more might lock the user.
    assert len(sandbox.requests) == 1


def test_a_list_that_cannot_work_sends_nothing_even_if_only_its_last_id_is_wrong(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    with pytest.raises(exceptions.BadSettings, match=r"job_id"):
        sensor(job_id=["site/a", "site/b?"]).execute(context())

    assert sandbox.requests == []


class LazyOutputs:
    """What a task gets that reads the output of mapped tasks: an iterable that is no list."""

    def __iter__(self) -> Iterator[str]:
        return iter(["site/a", "site/b"])

    def __repr__(self) -> str:
        return "lazy outputs"


@pytest.mark.parametrize(
    "job_id",
    [
        ["site/a", "site/b"],
        ("site/a", "site/b"),
        "['site/a', 'site/b']",
        '["site/a", "site/b"]',
        LazyOutputs(),
        [finished("site/a")["status"], finished("site/b")["status"]],
        [" site/a ", "site/b\n"],
    ],
    ids=repr,
)
def test_a_list_of_jobs_comes_in_many_forms(job_id: Any, sandbox: Sandbox, fake_time: FakeTime) -> None:
    for name in ("a", "b"):
        sandbox.put_job("ruler", f"site/{name}", script=["complete"])

    results = sensor(job_id=job_id).execute(context())

    assert [result["job_id"] for result in results] == ["site/a", "site/b"]


def test_the_result_of_an_earlier_sensor_names_the_job(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["complete"])

    result = sensor(job_id=finished()["status"]).execute(context())

    assert result["job_id"] == "site/job"


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        "success",
        {"status": "success"},
        {"version": 1},
        {"version": 1, "jobs": None},
        {"version": 1, "jobs": []},
        {"version": 1, "jobs": [finished("site/other")]},
        {"version": 1, "jobs": [finished(), finished()]},
        {"version": 1, "jobs": [{**finished(), "status": None}]},
        {"version": 1, "jobs": [finished(state="running")]},
        {"version": 1, "jobs": [finished(state="wonderful")]},
        {"version": 1, "jobs": [{**finished(), "outcome": "great"}]},
        {"version": 1, "jobs": [{**finished(), "extra": 1}]},
        {"version": 1, "jobs": [{**finished(), "status": finished("site/other")["status"]}]},
        {"version": 2, "jobs": [finished()]},
        {"version": "1", "jobs": [finished()]},
        {"version": None, "jobs": [finished()]},
        {"version": True, "jobs": [finished()]},
        {"version": 1.0, "jobs": [finished()]},
    ],
    ids=str,
)
def test_an_event_that_is_missing_foreign_or_newer_fails(event: Any) -> None:
    with pytest.raises(BadTriggerEvent):
        sensor().execute_complete(context(), event)


def test_an_event_of_its_own_succeeds() -> None:
    event = {"version": 1, "jobs": [finished()]}

    assert sensor().execute_complete(context(), event) == finished()["status"]


def test_a_deferral_that_airflow_times_out_is_our_timeout(sandbox: Sandbox, fake_time: FakeTime) -> None:
    for made, wanted in ((sensor(), JobTimedOut), (sensor(soft_fail=True), AirflowSkipException)):
        with pytest.raises(wanted):
            made.resume_execution("__fail__", {"error": "Trigger timeout"}, context())


def test_a_trigger_that_fails_in_the_triggerer_is_never_skipped_by_soft_fail() -> None:
    with pytest.raises(BadTriggerEvent, match="installed there"):
        sensor(soft_fail=True).resume_execution("__fail__", {"error": "Trigger failure"}, context())
    with pytest.raises(AirflowSkipException):
        sensor(never_fail=True).resume_execution("__fail__", {"error": "Trigger failure"}, context())


def test_soft_fail_never_skips_unusable_settings_after_a_deferral() -> None:
    event = {
        "version": 1,
        "jobs": [{"job_id": "site/job", "outcome": "bad_settings", "status": None, "message": "no"}],
    }

    with pytest.raises(exceptions.BadSettings):
        sensor(soft_fail=True).resume_execution("execute_complete", {"event": event}, context())


def test_a_failed_job_carries_what_the_vendor_said() -> None:
    status = {**finished(state="failed")["status"], "detail": "empty file", "counts": {"total": 0}}
    event = {"version": 1, "jobs": [{**finished(), "status": status}]}

    with pytest.raises(JobFailed, match="empty file") as caught:
        sensor().execute_complete(context(), event)

    assert (caught.value.detail, caught.value.counts) == ("empty file", {"total": 0})


def test_a_rescheduled_wait_counts_its_timeout_from_its_first_poke(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    began = fake_time.now

    with pytest.raises(JobTimedOut):
        run({"conn_id": "ruler_default", "job_id": "site/job", "timeout": 600}, "reschedule", fake_time)

    assert fake_time.now - began == pytest.approx(600, abs=1)


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferred"])
def test_no_mode_calls_before_the_vendor_wants_to_be_called(
    mode: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job(
        "ruler",
        "site/job",
        script=[
            "processing",
            {"http": 429, "headers": {"Retry-After": "300"}},
            {"http": 503, "headers": {"Retry-After": "200"}},
            "complete",
        ],
    )

    run({"conn_id": "ruler_default", "job_id": "site/job", "poke_interval": 10}, mode, fake_time)

    asked = [request["at"] for request in sandbox.requests if request["target"].endswith("/status")]
    assert asked[2] - asked[1] >= 300
    assert asked[3] - asked[2] >= 200


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferred"])
def test_every_mode_asks_equally_often(mode: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"] * 9 + ["complete"])
    began = fake_time.now

    run({"conn_id": "ruler_default", "job_id": "site/job", "poke_interval": 60}, mode, fake_time)

    assert len([request for request in sandbox.requests if request["target"].endswith("/status")]) == 10
    assert fake_time.now - began == pytest.approx(540, abs=1)
