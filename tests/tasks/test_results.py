"""What a wait leaves in XCom when its task fails or is skipped: all that is known, and nothing else."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, AirflowTaskTimeout
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_jobstatus.core.jobs import JobStatus, job_result
from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    BadTriggerEvent,
    JobFailed,
    JobTimedOut,
    PollingFailed,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from tests.support.modes import MODES, TaskInstance, run
from tests.support.raw_server import RawServer, Received, reply, reset
from tests.support.times import FakeTime

KEY = "return_value"
WHY = "column 3 is no date"


@pytest.fixture
def task() -> TaskInstance:
    """The one task instance of a run, in whatever mode."""
    return TaskInstance()


def arguments(job_id: Any, **options: Any) -> dict[str, Any]:
    return {"conn_id": "ruler_default", "job_id": job_id, "poke_interval": 60, "timeout": 300, **options}


def states(results: Any) -> Any:
    return [result["state"] for result in results] if isinstance(results, list) else results["state"]


@pytest.mark.parametrize("mode", MODES)
def test_a_failed_job_leaves_what_the_vendor_said_of_it(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, task: TaskInstance
) -> None:
    script: list[Any] = ["processing", {"status": "failed", "failureReason": WHY, "failureCount": 7}]
    sandbox.put_job("ruler", "site/job", script=script)

    with pytest.raises(JobFailed) as failure:
        run(arguments("site/job"), mode, fake_time, task=task)

    assert task.xcoms[KEY] == failure.value.status
    assert task.xcoms[KEY]["detail"] == WHY
    assert (states(task.xcoms[KEY]), task.xcoms[KEY]["job_id"]) == ("failed", "site/job")


@pytest.mark.parametrize(
    ("options", "end", "left"),
    [
        ({}, JobFailed, ["succeeded", "failed", "running"]),
        ({"fail_fast": True}, JobFailed, ["succeeded", "failed", "running"]),
        ({"never_fail": True}, AirflowSkipException, ["succeeded", "failed", "running"]),
        ({"skipped_states": ("failed",)}, JobTimedOut, ["succeeded", "failed", "running"]),
        (
            {"skipped_states": ("failed",), "soft_fail": True},
            AirflowSkipException,
            ["succeeded", "failed", "running"],
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", MODES)
def test_all_jobs_of_a_list_are_left_in_its_order(
    mode: str,
    options: dict[str, Any],
    end: type[Exception],
    left: list[str],
    sandbox: Sandbox,
    fake_time: FakeTime,
    without_lists: None,
    task: TaskInstance,
) -> None:
    ids = ["site/well", "site/bad", "site/long"]
    scripts = (["processing", "complete"], ["processing", "processing", "failed"], ["processing"])
    for job_id, script in zip(ids, scripts, strict=True):
        sandbox.put_job("ruler", job_id, script=script)

    with pytest.raises(end):
        run(arguments(ids, **options), mode, fake_time, task=task)

    assert [result["job_id"] for result in task.xcoms[KEY]] == ids
    assert states(task.xcoms[KEY]) == left


@pytest.mark.parametrize("mode", MODES)
def test_of_a_job_that_was_never_seen_nothing_is_said(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, task: TaskInstance
) -> None:
    sandbox.put_job("ruler", "site/job", script=[{"http": 503}])

    with pytest.raises((PollingFailed, JobTimedOut)):
        run(arguments(["site/job"], max_outage=120), mode, fake_time, task=task)

    assert task.xcoms[KEY] == [job_result("site/job", None)]


@pytest.mark.parametrize("many", [False, True])
def test_what_the_triggerer_never_said_is_unknown(many: bool) -> None:
    unknown = job_result("site/job", None)
    made = BatchJobSensor(task_id="wait", **arguments(["site/job"] if many else "site/job"))
    for end, resume in (
        (JobTimedOut, ("__fail__", {"error": "Trigger timeout"})),
        (BadTriggerEvent, ("__fail__", {"error": "Trigger failure"})),
        (BadTriggerEvent, ("execute_complete", {"event": None})),
    ):
        task = TaskInstance()
        with pytest.raises(end):
            made.resume_execution(*resume, {"ti": task})  # type: ignore[arg-type, typeddict-item]
        assert task.xcoms == {KEY: [unknown] if many else unknown}


def test_settings_that_cannot_be_used_leave_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", '{"conn_type": "ruler", "host": "ftp://nowhere"}')
    task = TaskInstance()

    with pytest.raises(BadSettings):
        BatchJobSensor(task_id="wait", **arguments(["site/a", "site/b"])).execute({"ti": task})  # type: ignore[typeddict-item]

    assert task.xcoms[KEY] == [job_result("site/a", None), job_result("site/b", None)]


def test_ids_that_cannot_be_read_leave_nothing() -> None:
    made = BatchJobSensor(task_id="wait", **arguments("{{ job }}"))
    made.job_id = ["site/a", None]
    for end, resume in (
        (BadSettings, ("execute_complete", {"event": None})),
        (JobTimedOut, ("__fail__", {"error": "Trigger timeout"})),
    ):
        task = TaskInstance()
        with pytest.raises(end):
            made.resume_execution(*resume, {"ti": task})  # type: ignore[arg-type, typeddict-item]
        assert task.xcoms == {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["complete", "failed"])
def test_nothing_is_left_after_a_success_or_where_the_author_wants_no_xcom(
    mode: str, end: str, sandbox: Sandbox, fake_time: FakeTime, task: TaskInstance
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing", end])
    if end == "complete":
        # Airflow itself stores the result, and adds the length that the next task may be mapped over.
        assert states(run(arguments("site/job"), mode, fake_time, task=task)) == "succeeded"
    else:
        with pytest.raises(JobFailed):
            run(arguments("site/job", do_xcom_push=False), mode, fake_time, task=task)

    assert KEY not in task.xcoms


@pytest.mark.parametrize(
    "trouble",
    [
        AirflowRuntimeError(ErrorResponse()),
        OSError("away"),
        ValueError("a backend of somebody's own"),
        TypeError(),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_an_xcom_that_cannot_be_written_does_not_change_how_the_task_ends(
    trouble: Exception, sandbox: Sandbox, fake_time: FakeTime, task: TaskInstance
) -> None:
    sandbox.put_job("ruler", "site/job", script=["failed"])

    def refuse(key: str, value: Any) -> None:
        raise trouble

    task.xcom_push = refuse  # type: ignore[method-assign]
    with pytest.raises(JobFailed):
        run(arguments("site/job"), "poke", fake_time, task=task)


def test_airflows_own_time_out_in_poke_mode_leaves_what_was_seen(
    sandbox: Sandbox, task: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"])

    def interrupted(seconds: float) -> None:
        raise AirflowTaskTimeout

    fake_time = FakeTime(interrupted)
    fake_time.patch(monkeypatch)
    with pytest.raises(AirflowTaskTimeout):
        run(arguments(["site/job", "site/other"]), "poke", fake_time, task=task)

    first, other = task.xcoms[KEY]
    assert first["state"] == JobStatus.from_dict(first).state == "running"
    assert other == job_result("site/other", None)


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_is_named_twice_is_left_twice(
    mode: str, sandbox: Sandbox, fake_time: FakeTime, without_lists: None, task: TaskInstance
) -> None:
    sandbox.put_job("ruler", "site/bad", script=["processing", "failed"])
    sandbox.put_job("ruler", "site/well", script=["processing", "complete"])

    with pytest.raises(JobFailed):
        run(arguments(["site/bad", "site/well", "site/bad"]), mode, fake_time, task=task)

    assert states(task.xcoms[KEY]) == ["failed", "succeeded", "failed"]


class FirstAnswers:
    """
    Ruler, which answers the first question about each job that it knows, and then breaks every connection.

    :param words: what it says, by job; what is not there is never answered.
    """

    def __init__(self, **words: str) -> None:
        self._words = words

    def __call__(self, received: Received, connection: socket.socket) -> None:
        word = self._words.pop(received.target.split("/")[-2], None)
        if word is None:
            reset(connection)
        else:
            connection.sendall(reply(200, json.dumps({"status": word, "percentageProgress": 50}).encode()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("options", "failure"), [
    ({"max_outage": 150}, PollingFailed),
    ({"timeout": 150}, JobTimedOut),
])  # fmt: skip
def test_what_only_the_first_poll_saw_is_the_result_if_no_later_one_is_answered(
    options: dict[str, Any],
    failure: type[Exception],
    mode: str,
    task: TaskInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FakeTime.patch(time := FakeTime(), monkeypatch)
    with RawServer(FirstAnswers(a="complete", b="processing")) as server:
        connect(monkeypatch, server)
        with pytest.raises(failure) as caught:
            run(arguments(["site/a", "site/b"], **options), mode, time, task=task)

    assert "site/a" not in str(caught.value)
    assert "site/b" in str(caught.value)
    first, second = task.xcoms[KEY]
    assert (first["state"], first["vendor_status"]) == ("succeeded", "complete")
    assert (second["state"], second["vendor_status"], second["progress"]) == ("running", "processing", 50)
    if mode == "deferred":
        shown = task.xcoms["progress"]["status"]
        assert (shown["site/a"], shown["site/b"]) == (first, second)
    if failure is JobTimedOut:
        assert "last status: 'processing' (50 %)" in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_a_job_whose_end_was_seen_before_an_outage_has_ended(
    mode: str, task: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeTime.patch(time := FakeTime(), monkeypatch)
    with RawServer(FirstAnswers(a="failed", b="processing")) as server:
        connect(monkeypatch, server)
        with pytest.raises(JobFailed, match="site/a: ended 'failed'"):
            run(arguments(["site/a", "site/b"], max_outage=150), mode, time, task=task)


def test_of_a_long_list_the_triggerer_knows_the_last_that_the_worker_saw(
    task: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"job{number}" for number in range(40)]
    FakeTime.patch(time := FakeTime(), monkeypatch)
    with RawServer(FirstAnswers(**dict.fromkeys(names[:39], "complete"), job39="processing")) as server:
        connect(monkeypatch, server)
        with pytest.raises(PollingFailed):
            run(arguments([f"site/{name}" for name in names], max_outage=150), "deferred", time, task=task)

    assert states(task.xcoms[KEY]) == [None] * 24 + ["succeeded"] * 15 + ["running"]


def connect(monkeypatch: pytest.MonkeyPatch, server: RawServer) -> None:
    value = {"conn_type": "ruler", "host": f"{server.url}/v1", "password": "key"}
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(value))
