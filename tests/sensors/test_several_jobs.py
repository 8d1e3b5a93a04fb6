"""A wait for several jobs: what it ends with, in every mode, and how many questions that takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import (
    JobCancelled,
    JobFailed,
    JobStatusError,
    JobTimedOut,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.waiting import concurrency
from airflow_provider_jobstatus.waiting.codec import encode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.refusals import FORBIDDEN_ALIKE
from tests.support.modes import MODES, TaskInstance, over_json, run
from tests.support.times import FakeTime

WHY = "row 3 has no date"
#: How a job may end, its script, and the state that it is in then. ``stopped`` is our connection's own word.
KINDS: dict[str, tuple[list[Any], str]] = {
    "never ends": (["processing"], "running"),
    "succeeds": (["processing", "processing", "complete"], "succeeded"),
    "partial": (["partialcomplete"], "partial"),
    "fails": (["processing", {"status": "failed", "failureReason": WHY}], "failed"),
    "cancelled": (["processing", "stopped"], "cancelled"),
}
ALLOWED: dict[str, tuple[str, ...]] = {
    "default": ("succeeded", "partial"),
    "strict": ("succeeded",),
    "all but cancelled": ("succeeded", "partial", "failed"),
}
TIMES = ("created_at", "completed_at")


@pytest.fixture
def vendor(
    sandbox: Sandbox, fake_time: FakeTime, without_lists: None, monkeypatch: pytest.MonkeyPatch
) -> Sandbox:
    """The vendor, with a word more; and triggers that ask one question at a time, in one order."""
    connection = json.loads(sandbox.environment()["AIRFLOW_CONN_RULER_DEFAULT"])
    extra = connection["extra"] if isinstance(connection["extra"], dict) else json.loads(connection["extra"])
    connection["extra"] = {**extra, "statuses": {"stopped": "cancelled"}}
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(concurrency, "MAX_CALLS", 1)
    return sandbox


def put(sandbox: Sandbox, scripts: list[list[Any]]) -> list[str]:
    """Start the jobs, anew, and forget what was asked."""
    ids = [f"site/job-{number}" for number in range(len(scripts))]
    for job_id, script in zip(ids, scripts, strict=True):
        sandbox.put_job("ruler", job_id, script=script)
    sandbox.clear_requests()
    return ids


def arguments(ids: list[str], **options: Any) -> dict[str, Any]:
    return {"conn_id": "ruler_default", "job_id": ids, "poke_interval": 60, "timeout": 360, **options}


def end_of(call: Callable[[], Any]) -> tuple[type[BaseException] | None, Any]:
    """Return the class of what a task raised, and the results that it gave or that the exception holds."""
    try:
        error, results = None, call()
    except AirflowSkipException as skip:
        cause = skip.__cause__
        error, results = AirflowSkipException, getattr(cause, "results", None)
    except JobStatusError as failure:
        error, results = type(failure), failure.results
    if results is not None:
        results = [{key: value for key, value in one.items() if key not in TIMES} for one in results]
    return error, results


def in_every_mode(sandbox: Sandbox, scripts: list[list[Any]], time: FakeTime, **options: Any) -> Any:
    """Return what a wait ends with, the same in every mode."""
    ends = {}
    for mode in MODES:
        ids = put(sandbox, scripts)
        ends[mode] = end_of(lambda mode=mode, ids=ids: run(arguments(ids, **options), mode, time))
    assert ends["poke"] == ends["deferred"]
    assert ends["poke"] == ends["reschedule"]
    return ends["poke"]


def questions(sandbox: Sandbox) -> list[str]:
    """The jobs that were asked for, in order."""
    targets = [request["target"].split("/") for request in sandbox.requests]
    return [f"{parts[-4]}/{parts[-2]}" for parts in targets if parts[-1] == "status"]


@pytest.mark.parametrize("skipped", [(), ("cancelled",)], ids=str)
@pytest.mark.parametrize("allowed", ALLOWED)
@pytest.mark.parametrize(
    "kinds",
    [
        ["never ends", "succeeds", "partial"],
        ["succeeds", "fails", "cancelled"],
        ["succeeds", "partial", "cancelled"],
        [*KINDS] * 4,
        ["succeeds", "partial", "cancelled"] * 6,
        ["succeeds", "partial"] * 9,
    ],
    ids=lambda kinds: f"{len(kinds)} jobs, {len(set(kinds))} kinds",
)
def test_a_wait_for_all_ends_alike_in_every_mode(
    kinds: list[str], allowed: str, skipped: tuple[str, ...], vendor: Sandbox, fake_time: FakeTime
) -> None:
    states = [KINDS[kind][1] for kind in kinds]
    bad = {state for state in states if state not in (*ALLOWED[allowed], *skipped)}

    error, results = in_every_mode(
        vendor,
        [KINDS[kind][0] for kind in kinds],
        fake_time,
        allowed_states=ALLOWED[allowed],
        skipped_states=skipped,
    )

    if first := next((state for state in states if state in bad - {"running"}), None):
        assert error is (JobCancelled if first == "cancelled" else JobFailed)
    elif bad:
        assert error is JobTimedOut
    elif set(states) & set(skipped):
        assert error is AirflowSkipException
    else:
        assert error is None
    if error is not AirflowSkipException:
        assert [result["state"] for result in results] == states
        assert [result["detail"] for result in results] == [
            WHY if kind == "fails" else None for kind in kinds
        ]


@pytest.mark.parametrize(
    ("others", "allowed", "skipped"),
    [(2, allowed, skipped) for allowed in ALLOWED for skipped in ((), ("cancelled",))]
    + [(17, "default", ("cancelled",)), (17, "strict", ())],
)
@pytest.mark.parametrize("word", ["complete", "partialcomplete", "failed", "stopped"])
@pytest.mark.parametrize("goal", [{"wait_for": "any"}, {"fail_fast": True}], ids=str)
def test_a_wait_that_one_job_decides_ends_alike_in_every_mode(
    goal: dict[str, Any],
    word: str,
    others: int,
    allowed: str,
    skipped: tuple[str, ...],
    vendor: Sandbox,
    fake_time: FakeTime,
) -> None:
    state = {"complete": "succeeded", "partialcomplete": "partial", "stopped": "cancelled"}.get(word, word)
    scripts: list[list[Any]] = [["processing"] for _ in range(others)]
    # All have been seen by then, and two of them more often.
    scripts.insert(2, [*["processing"] * 3, word])

    error, results = in_every_mode(
        vendor, scripts, fake_time, allowed_states=ALLOWED[allowed], skipped_states=skipped, **goal
    )

    good = state in ALLOWED[allowed]
    if "wait_for" in goal and good:
        assert error is None
    elif state in skipped or good:
        # The others go on until the deadline.
        assert error is JobTimedOut
    else:
        assert error is (JobCancelled if state == "cancelled" else JobFailed)
    assert [result["state"] for result in results] == [
        state if number == 2 else "running" for number in range(others + 1)
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("others", [2, 17])
def test_a_wait_for_any_asks_nobody_once_a_job_has_ended_well(
    others: int, mode: str, vendor: Sandbox, fake_time: FakeTime
) -> None:
    ids = put(vendor, [["complete"], *[["processing"]] * others])

    results = run(arguments(ids, wait_for="any"), mode, fake_time)

    assert results[0]["state"] == "succeeded"
    assert results[1:] == [{**dict.fromkeys(results[0]), "job_id": job_id} for job_id in ids[1:]]
    assert questions(vendor) == ids[:1]


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_for_any_ends_with_the_first_that_ends_well_and_not_with_one_that_does_not(
    mode: str, vendor: Sandbox, fake_time: FakeTime
) -> None:
    ids = put(vendor, [["failed"], ["stopped"], [*["processing"] * 2, "partialcomplete"], ["processing"]])
    began = fake_time.now

    results = run(arguments(ids, wait_for="any"), mode, fake_time)

    assert [result["state"] for result in results] == ["failed", "cancelled", "partial", "running"]
    assert fake_time.now - began <= 180


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_for_any_fails_if_all_end_badly(mode: str, vendor: Sandbox, fake_time: FakeTime) -> None:
    ids = put(vendor, [["processing", "failed"], ["processing", "stopped"]])

    with pytest.raises(JobFailed) as failure:
        run(arguments(ids, wait_for="any"), mode, fake_time)

    assert [result["state"] for result in failure.value.results or []] == ["failed", "cancelled"]


@pytest.mark.parametrize("mode", MODES)
def test_fail_fast_leaves_the_others(mode: str, vendor: Sandbox, fake_time: FakeTime) -> None:
    ids = put(vendor, [["complete"], ["failed"], *[["processing"]] * 28])

    with pytest.raises(JobFailed) as failure:
        run(arguments(ids, fail_fast=True), mode, fake_time)

    states = [result["state"] for result in failure.value.results or []]
    assert states == ["succeeded", "failed", *[None] * 28]
    assert questions(vendor) == ids[:2]


@pytest.mark.parametrize("mode", MODES)
def test_fail_fast_does_not_end_a_wait_with_a_job_that_is_skipped(
    mode: str, vendor: Sandbox, fake_time: FakeTime
) -> None:
    ids = put(vendor, [["stopped"], ["processing", "processing", "complete"]])

    with pytest.raises(AirflowSkipException):
        run(arguments(ids, fail_fast=True, skipped_states=("cancelled",)), mode, fake_time)

    assert questions(vendor).count(ids[1]) == 3


BAD: dict[int, type[JobStatusError]] = {400: VendorRefused, 403: VendorRefused, 404: UnknownJob}


@pytest.mark.parametrize("others", [2, 17])
@pytest.mark.parametrize("bad", [0, 1, -1])
@pytest.mark.parametrize("status", BAD)
@pytest.mark.parametrize("goal", ["all", "any"])
def test_one_bad_id_hides_the_others_in_no_mode(
    goal: str, status: int, bad: int, others: int, vendor: Sandbox, fake_time: FakeTime
) -> None:
    scripts: list[list[Any]] = [["processing", "processing", "complete"] for _ in range(others + 1)]
    scripts[bad] = [{"http": status}]

    error, results = in_every_mode(vendor, scripts, fake_time, wait_for=goal)

    states = [result["state"] for result in results]
    if goal == "all":
        assert error is BAD[status]
        assert states.pop(bad) is None
        assert states == ["succeeded"] * others
    else:
        assert error is None
        assert "succeeded" in states


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_at_the_first_look_cost_few_questions_however_many_jobs(
    mode: str, status: int, vendor: Sandbox, fake_time: FakeTime
) -> None:
    ids = put(vendor, [[{"http": status}]] * 5) + [f"site/more-{number}" for number in range(995)]

    with pytest.raises(VendorRefused) as refusal:
        run(arguments(ids), mode, fake_time)

    assert len(refusal.value.results or []) == 1000
    # Each twice, with settings and token read again, also by the flow itself after a 401.
    assert set(questions(vendor)) == set(ids[: 1 if status == 401 else FORBIDDEN_ALIKE])
    assert len(vendor.requests) <= 10


@pytest.mark.parametrize("mode", MODES)
def test_a_login_that_is_refused_at_the_first_look_asks_nothing(
    mode: str, vendor: Sandbox, fake_time: FakeTime
) -> None:
    vendor.change_settings("ruler", password="another-password")

    with pytest.raises(VendorRefused):
        run(arguments([f"site/job-{number}" for number in range(1000)]), mode, fake_time)

    assert questions(vendor) == []
    # One login: more might lock the user.
    assert len(vendor.requests) == 1


def complete(ids: list[str], events: list[WaitOutcome]) -> Any:
    """Take over from a triggerer that saw these ends."""
    sensor = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id=ids, deferrable=True)
    context: Any = {"ti": TaskInstance()}
    return sensor.execute_complete(context, over_json(encode(events)))


def partial(job_id: str, detail: str | None) -> WaitOutcome:
    return WaitOutcome(
        job_id,
        OutcomeKind.FINISHED,
        JobStatus(job_id, "ruler", JobState.PARTIAL, "partialcomplete", detail, progress=100),
    )


@pytest.mark.parametrize("jobs", [1, 30])
def test_what_the_triggerer_saw_is_the_result_and_the_vendor_is_not_asked_again(
    jobs: int, vendor: Sandbox
) -> None:
    ids = put(vendor, [[{"status": "failed", "failureReason": "since"}]] * jobs)

    results = complete(ids, [partial(job_id, WHY) for job_id in ids])

    assert [(result["state"], result["detail"]) for result in results] == [("partial", WHY)] * jobs
    assert vendor.requests == []


@pytest.mark.parametrize("mode", MODES)
def test_an_id_that_a_list_has_twice_is_one_job_in_two_places(
    mode: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    for job, words in (("site/a", ["processing", "complete"]), ("site/b", ["processing"])):
        sandbox.put_job("ruler", job, script=words)
    ids = ["site/a", "site/b", "site/a"]

    results = run({"conn_id": "ruler_default", "job_id": ids, "wait_for": "any"}, mode, fake_time)

    assert [result["job_id"] for result in results] == ids
    assert results[0] == results[2]
    assert (results[0]["state"], results[1]["state"] in ("running", None)) == ("succeeded", True)
    assert sum("/batch/a/status" in request["target"] for request in sandbox.requests) == 2


def test_a_failure_has_a_result_for_each_place_of_its_list(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/a", script=["failed"])
    sandbox.put_job("ruler", "site/b", script=["complete"])

    with pytest.raises(JobFailed) as caught:
        run({"conn_id": "ruler_default", "job_id": ["site/a", "site/a", "site/b"]}, "poke", fake_time)

    assert [result["state"] for result in caught.value.results or ()] == ["failed", "failed", "succeeded"]
    assert str(caught.value).startswith("1 of 2 jobs failed: site/a")
