"""``adaptive=True`` in each mode: a job is seen to end soon after it has, at no more than its interval."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_jobstatus._compat import AirflowRescheduleException
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.tasks.deferral import SPREAD
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL
from tests.support.modes import MODES, TaskInstance, run
from tests.support.times import FakeTime

INTERVAL = 300


def sensor(*ids: str, **options: Any) -> BatchJobSensor:
    arguments = {"conn_id": "ruler_default", "job_id": list(ids), "poke_interval": INTERVAL, "adaptive": True}
    return BatchJobSensor(task_id="wait", **{**arguments, **options})


def deferral(waits: BatchJobSensor) -> dict[str, Any]:
    """Return the stored arguments of the trigger that a sensor defers to."""
    with pytest.raises(TaskDeferred) as deferred:
        waits.execute({"ti": TaskInstance()})
    arguments: dict[str, Any] = deferred.value.trigger.serialize()[1]
    return arguments


def asked(sandbox: Sandbox) -> int:
    return sum(request["target"].endswith("/status") for request in sandbox.requests)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("store", [True, False])
def test_a_job_that_tells_its_progress_is_seen_to_end_soon_after_it_has(
    mode: str, store: bool, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", pending_seconds=100, processing_seconds=1340)
    began = fake_time.now

    end = run(
        {"conn_id": "ruler_default", "job_id": "site/job", "poke_interval": INTERVAL, "adaptive": True},
        mode,
        fake_time,
        store=store,
    )

    assert end["state"] == "succeeded"
    # By age alone the pauses are a sixteenth of it.
    assert 0 <= fake_time.now - began - 1440 <= (30 if store or mode != "reschedule" else 95)
    assert asked(sandbox) < 90


@pytest.mark.parametrize("mode", MODES)
def test_no_pause_is_longer_than_the_poll_interval(mode: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    passed: list[float] = []
    sandbox.put_job("ruler", "site/job", pending_seconds=10, processing_seconds=8_000)
    began = fake_time.now
    advance = fake_time.advance_to

    def advance_to(moment: float) -> None:
        passed.append(moment)
        advance(moment)

    fake_time.advance_to = advance_to  # type: ignore[method-assign]
    run(
        {"conn_id": "ruler_default", "job_id": "site/job", "poke_interval": INTERVAL, "adaptive": True},
        mode,
        fake_time,
    )

    assert max(after - before for before, after in pairwise([began, *passed])) <= INTERVAL + 0.01


def test_the_first_poll_of_a_deferred_job_comes_soon_but_not_at_once(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])
    began = fake_time.now

    arguments = deferral(sensor("site/job", deferrable=True))

    assert arguments["adaptive"] is True
    assert arguments["first_poll_at"] - began == pytest.approx(MIN_DEFERRAL, abs=0.1)


@pytest.mark.parametrize(("jobs", "seconds"), [(2, 5.25), (101, 30), (3000, INTERVAL)])
def test_the_first_polls_of_several_deferred_jobs_are_spread(
    jobs: int, seconds: float, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = [f"site/job-{number}" for number in range(jobs)]
    sandbox.put_job("ruler", "site/job-0", script=["processing"])
    began = fake_time.now

    arguments = deferral(sensor(*ids, deferrable=True))

    assert arguments["first_poll_at"] - began == pytest.approx(seconds, abs=0.1)
    assert seconds == min(MIN_DEFERRAL + SPREAD * (jobs - 1), INTERVAL)


def test_a_failed_first_look_does_not_make_the_first_poll_come_sooner(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=[{"http": 503}])
    began = fake_time.now

    arguments = deferral(sensor("site/job", deferrable=True))

    assert arguments["first_poll_at"] - began == pytest.approx(INTERVAL, abs=0.1)


def test_a_wait_that_is_not_adaptive_stores_nothing_of_it(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])

    assert "adaptive" not in deferral(sensor("site/job", deferrable=True, adaptive=False))


@pytest.mark.parametrize(
    ("options", "first"),
    [({}, False), ({"wait_for": "any"}, True), ({"fail_fast": True}, True)],
    ids=["all", "any", "fail_fast"],
)
def test_several_rescheduled_jobs_are_asked_when_the_one_that_matters_may_end(
    options: dict[str, Any], first: bool, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    """Each poke asks about all of them."""
    young, old = ({"status": "processing", "createdDateTime": _iso(fake_time.now - age)} for age in (1, 2000))
    sandbox.put_job("ruler", "site/young", script=[young])
    sandbox.put_job("ruler", "site/old", script=[old])

    with pytest.raises(AirflowRescheduleException) as rescheduled:
        sensor("site/young", "site/old", mode="reschedule", **options).execute({"ti": TaskInstance()})

    pause = rescheduled.value.reschedule_date.timestamp() - fake_time.now
    assert (pause < 5) == first
    assert (60 < pause <= INTERVAL) == (not first)


@pytest.mark.parametrize("backoff", [True, 2.0])
def test_adaptive_and_exponential_backoff_do_not_go_together(backoff: Any) -> None:
    with pytest.raises(BadSettings, match="adaptive and exponential_backoff"):
        sensor("site/job", exponential_backoff=backoff)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()
