"""A job is submitted once, whatever happens to the task."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DownloadIncomplete,
    JobFailed,
    JobTimedOut,
    NotSubmitted,
    PollingFailed,
    SubmissionUnknown,
    TransportError,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.tasks.submission_store import KEY
from tests.operators.submitting import BODY, Submits, Task
from tests.support.modes import first_event, over_json, stored_and_loaded
from tests.support.times import FakeTime

OWN_400 = {"http": 400, "body": {"code": "INVALID_REQUEST", "message": "no"}}
LOST = {"disconnect": True}


def test_a_job_is_submitted_and_its_id_returned(sandbox: Sandbox) -> None:
    task = Task(sandbox)
    assert [task.run()] == task.made


def test_several_jobs_give_a_list(sandbox: Sandbox) -> None:
    task = Task(sandbox, count=3)
    assert task.run() == task.made
    assert len(task.made) == 3


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (OWN_400, VendorRefused),
        ({"http": 404, "body": {"code": "NOT_FOUND", "message": "no"}}, VendorRefused),
        ({"http": 401}, VendorRefused),
        ({"http": 401, "body": "<html>", "headers": {"WWW-Authenticate": "Bearer"}}, VendorRefused),
    ],
)
def test_after_a_refusal_of_the_vendor_there_is_no_job_and_a_retry_submits(
    answer: dict[str, Any], error: type[Exception], kept: bool, sandbox: Sandbox
) -> None:
    task = Task(sandbox, kept=kept)
    task.refuse(answer)
    assert type(task.run()) is error
    assert task.made == []
    assert [task.run()] == task.made


def test_a_429_of_the_vendor_is_tried_again_after_its_pause(sandbox: Sandbox, fake_time: FakeTime) -> None:
    task = Task(sandbox)
    body = {"code": "RATE_LIMIT", "message": "slow"}
    task.refuse({"http": 429, "body": body, "headers": {"Retry-After": "7"}})
    began = fake_time.now
    assert [task.run()] == task.made
    assert fake_time.now - began == pytest.approx(7, abs=1)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        LOST,
        {"http": 500},
        {"http": 504, "body": "<html>"},
        {"http": 302, "headers": {"Location": "/login"}},
        {"http": 200, "body": "<html>"},
        {"http": 202, "body": {"status": "queued"}},
        {"http": 403, "body": "<html>"},
        {"http": 429, "body": "<html>"},
    ],
    ids=lambda answer: str(answer.get("http", "cut off")),
)
def test_where_a_job_may_have_been_made_nothing_is_sent_again_and_airflow_does_not_retry(
    answer: dict[str, Any], kept: bool, sandbox: Sandbox
) -> None:
    task = Task(sandbox, kept=kept)
    task.lose(answer)
    error = task.run()
    assert type(error) is SubmissionUnknown
    assert isinstance(error, AirflowFailException)
    assert "Check Aftercare's page (connection 'aftercare_default')" in str(error)
    assert len(task.made) == 1
    task.clear()
    assert task.run() == task.made[-1]
    assert len(task.made) == 2


def test_a_try_that_was_cut_off_before_the_reply_is_not_repeated_by_the_next(sandbox: Sandbox) -> None:
    task = Task(sandbox)
    task.run()
    # As a worker leaves it that was killed between the request and its reply.
    record = {**task.store[f"{KEY}.0"], "state": "intended", "job_id": None}
    task.store[f"{KEY}.0"] = record
    assert type(task.run()) is SubmissionUnknown
    # Another retry is no licence to submit either, a clear is.
    assert type(task.run()) is SubmissionUnknown
    assert len(task.made) == 1
    task.clear()
    assert task.run() == task.made[-1]


@pytest.mark.parametrize(
    ("found", "ends"),
    [(lambda task: task.made[:1], "adopts"), (lambda task: [], "unknown"), (None, "unknown")],
)
def test_an_orphan_is_adopted_if_exactly_one_job_may_be_it(
    found: Any, ends: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    given: list[Any] = []

    def search(before: Any) -> list[str]:
        given.append(before)
        return ["a", "b"] if found is None else list(found(task))

    task = Task(sandbox, before=lambda: {"known": 7}, search=search)
    task.lose(LOST)
    ended = task.run()
    assert given[0] == {"known": 7}
    assert ended == task.made[0] if ends == "adopts" else type(ended) is SubmissionUnknown
    # An empty answer is repeated, as a list may lag.
    assert len(given) == (3 if found is not None and ends == "unknown" else 1)
    assert task.run() == task.made[0] if ends == "adopts" else len(task.made) == 1


@pytest.mark.parametrize("wait", [True, False])
def test_a_retry_adopts_the_job_of_the_try_before(wait: bool, sandbox: Sandbox, fake_time: FakeTime) -> None:
    task = Task(sandbox, wait=wait, deferrable=False, **{"timeout": 3, "poke_interval": 1} if wait else {})
    first = task.run()
    assert first == task.made[0] if not wait else type(first) is JobTimedOut
    task.end_jobs()
    again = task.run()
    assert (again["job_id"] if wait else again) == task.made[0]
    assert len(task.made) == 1


@pytest.mark.parametrize("fails", ["get", "set", "not kept"])
def test_nothing_is_sent_before_the_intent_is_kept(fails: str, sandbox: Sandbox) -> None:
    task = Task(sandbox)

    class Broken(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            if fails == "get":
                raise ConnectionError
            return super().get(key, default)

        def set(self, key: str, value: Any, retention: Any = None) -> None:
            if fails == "set":
                raise ConnectionError

    task.store, good = Broken(), task.store  # type: ignore[assignment]
    assert type(task.run()) is NotSubmitted
    assert task.made == []
    task.store = good
    assert [task.run()] == task.made


def test_a_try_that_is_killed_after_a_vain_search_is_no_clear_of_the_next(sandbox: Sandbox) -> None:
    task = Task(sandbox, search=lambda before: [before["no such"]], before=dict)
    task.run()
    task.store[f"{KEY}.0"] = {**task.store[f"{KEY}.0"], "state": "intended", "job_id": None}
    task.clear()
    # Twice, as if the first failure had never reached Airflow.
    assert [type(task.run()) for _ in range(2)] == [SubmissionUnknown] * 2
    assert len(task.made) == 1


def test_a_record_that_cannot_be_read_is_not_taken_for_none(sandbox: Sandbox) -> None:
    task = Task(sandbox)
    task.store[f"{KEY}.0"] = {"version": 99}
    assert type(task.run()) is SubmissionUnknown
    assert task.made == []


def test_a_task_that_is_cleared_adopts_a_running_job_and_submits_anew_after_its_end(sandbox: Sandbox) -> None:
    task = Task(sandbox)
    first = task.run()
    task.clear()
    assert task.run() == first
    # The adopted job is the one of this clear: a retry has it, too.
    task.end_jobs()
    assert task.run() == first
    task.clear()
    second = task.run()
    assert task.made == [first, second]


@pytest.mark.parametrize("cleared", [True, False])
def test_a_job_of_other_arguments_is_not_taken_for_what_is_asked_for_now(
    cleared: bool, sandbox: Sandbox
) -> None:
    task = Task(sandbox)
    first = task.run()
    task._kind.body = BODY.replace(b'"s"', b'"t"')
    if cleared:
        task.clear()
    assert type(task.run()) is BadSettings
    task.end_jobs()
    task.clear()
    assert [first, task.run()] == task.made


@pytest.mark.parametrize("answer", [{"http": 503}, {"http": 404, "body": "<html>"}])
def test_a_cleared_task_submits_nothing_while_the_job_before_cannot_be_asked(
    answer: dict[str, Any], sandbox: Sandbox, fake_time: FakeTime
) -> None:
    task = Task(sandbox)
    first = task.run()
    task.clear()
    sandbox.put_answers(f"/api/v1/coding/{first}", [answer] * 30)
    error = task.run()
    assert str(first) in str(error)
    assert type(error) in (PollingFailed, UnknownJob)
    assert task.made == [first]


def test_a_job_that_must_not_be_made_twice_needs_a_word_for_a_second_one(sandbox: Sandbox) -> None:
    task = Task(sandbox, harmful=True)
    first = task.run()
    task.end_jobs()
    task.clear()
    assert type(task.run()) is SubmissionUnknown
    task._given["resubmit_when_cleared"] = True
    task.clear()
    assert [first, task.run()] == task.made


def test_a_clear_counts_also_where_the_dag_has_fewer_retries_by_now(sandbox: Sandbox) -> None:
    task = Task(sandbox, retries=5)
    task.lose(LOST)
    assert type(task.run()) is SubmissionUnknown
    task._given["retries"] = 1
    task.clear()
    assert task.run() == task.made[-1]


def test_a_record_that_airflow_drops_is_missed_only_where_a_second_job_does_harm(sandbox: Sandbox) -> None:
    task = Task(sandbox, harmful=True, conn_id="nowhere")
    assert task.store is not None
    # A try that fails before it has anything to send is no reason to refuse.
    assert type(task.run()) is BadSettings
    task._given["conn_id"] = "aftercare_default"
    assert [task.run()] == task.made
    task.store.clear()
    assert type(task.run()) is SubmissionUnknown
    task.clear()
    assert type(task.run()) is SubmissionUnknown
    harmless = Task(sandbox)
    harmless.run()
    harmless.store.clear()
    assert harmless.run() == task.made[-1]
    task.store.clear()
    task.clear()
    task._given["resubmit_when_cleared"] = True
    assert task.run() == task.made[-1]
    assert len(task.made) == 4


@pytest.mark.parametrize("jobs", [1, 2, 30])
def test_a_task_that_is_resumed_with_the_event_alone_knows_its_jobs(
    jobs: int, sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As dag.test() resumes it; and the connection is not needed any more."""
    task = Task(sandbox, wait=True, deferrable=True, count=None if jobs == 1 else jobs)
    context: dict[str, Any] = {"ti": task.instance}
    with pytest.raises(TaskDeferred) as deferred:
        task._kind(**task._given).execute(context)
    event = asyncio.run(first_event(stored_and_loaded(deferred.value.trigger)))
    monkeypatch.delenv("AIRFLOW_CONN_AFTERCARE_DEFAULT")
    result = task._kind(**task._given).resume_execution(
        "execute_complete", {"event": over_json(event.payload)}, context
    )
    assert [job["job_id"] for job in (result if jobs > 1 else [result])] == task.made


@pytest.mark.parametrize(("resubmit", "jobs"), [(False, 1), (True, 2)])
def test_a_failed_job_is_submitted_again_by_a_retry_only_if_that_was_said(
    resubmit: bool, jobs: int, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    task = Task(sandbox, wait=True, deferrable=False, resubmit_on_failure=resubmit)
    sandbox.change_settings("aftercare", create_queued_seconds=0, create_processing_seconds=1000)
    task._given["timeout"] = 60
    assert type(task.run()) is JobTimedOut
    task.end_jobs(end="total_failure")
    task.run()
    assert len(task.made) == jobs


class TestBelow33:
    """Airflow keeps no record of what a try has submitted."""

    def test_a_failure_after_the_submission_is_not_retried_and_names_the_job(
        self, sandbox: Sandbox, fake_time: FakeTime
    ) -> None:
        failing = Task(sandbox, kept=False, wait=True, deferrable=True, timeout=3600, fetch="broken/")
        error = failing.run(fake_time)
        assert isinstance(error, DownloadIncomplete)
        assert isinstance(error, AirflowFailException)
        assert failing.made[-1] in str(error)

    def test_no_other_error_after_the_submission_is_retried_either(self, sandbox: Sandbox) -> None:
        task = Task(sandbox, kept=False, wait=True, deferrable=False, log_fails=True)
        error = task.run()
        assert isinstance(error, PollingFailed)
        assert isinstance(error, AirflowFailException)
        assert str(task.made[0]) in str(error)

    def test_a_failed_job_may_be_retried_if_that_was_said(
        self, sandbox: Sandbox, fake_time: FakeTime
    ) -> None:
        ends = [
            Task(
                sandbox, kept=False, wait=True, deferrable=False, resubmit_on_failure=said, allowed_states=[]
            )
            for said in (False, True)
        ]
        errors = [task.run() for task in ends]
        assert [isinstance(error, JobFailed) for error in errors] == [True, True]
        assert [isinstance(error, AirflowFailException) for error in errors] == [True, False]

    def test_what_must_not_be_made_twice_is_refused_by_each_later_try(self, sandbox: Sandbox) -> None:
        task = Task(sandbox, kept=False, harmful=True)
        task.refuse(OWN_400)
        assert type(task.run()) is VendorRefused
        assert type(task.run()) is SubmissionUnknown
        task._given["resubmit_when_cleared"] = True
        assert type(task.run()) is SubmissionUnknown
        task.clear()
        assert [task.run()] == task.made

    def test_a_job_that_the_vendor_can_be_asked_for_is_adopted(self, sandbox: Sandbox) -> None:
        task = Task(sandbox, kept=False, earlier=lambda: task.made)
        first = task.run()
        assert task.run() == first
        task.end_jobs()
        task.clear()
        assert [first, task.run()] == task.made
        assert type(task.run()) is SubmissionUnknown

    def test_a_list_that_lags_is_looked_at_again(self, sandbox: Sandbox, fake_time: FakeTime) -> None:
        looks: list[str] = []

        def earlier() -> list[str]:
            looks.append("")
            return task.made if len(looks) > 2 else []

        task = Task(sandbox, kept=False, earlier=earlier)
        assert [task.run(), task.run()] == task.made * 2

    def test_while_earlier_jobs_cannot_be_looked_for_nothing_is_sent(
        self, sandbox: Sandbox, fake_time: FakeTime
    ) -> None:
        def earlier() -> list[str]:
            raise TransportError("away", vendor="aftercare")

        task = Task(sandbox, kept=False, earlier=earlier)
        task.instance.try_number = 2
        assert type(task.run()) is NotSubmitted
        assert task.made == []

    def test_a_rescheduled_wait_is_refused_before_anything_is_sent(self, sandbox: Sandbox) -> None:
        task = Task(sandbox, kept=False, wait=True, deferrable=False, mode="reschedule")
        assert type(task.run()) is BadSettings
        assert task.made == []


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_task_submits_waits_and_fetches(deferrable: bool, sandbox: Sandbox, fake_time: FakeTime) -> None:
    task = Task(sandbox, wait=True, deferrable=deferrable, fetch="{here}")
    result = task.run(fake_time)
    assert result["state"] == "succeeded"
    assert result["manifest"]["job_id"] == task.made[0]


def test_of_several_jobs_each_is_fetched_into_a_folder(sandbox: Sandbox, fake_time: FakeTime) -> None:
    task = Task(sandbox, wait=True, deferrable=True, fetch="folder/", count=2)
    assert [job["manifest"]["job_id"] for job in task.run(fake_time)] == task.made
    task = Task(sandbox, wait=True, fetch="one.csv", count=2)
    assert type(task.run()) is BadSettings


def test_how_a_job_ended_is_left_in_xcom_where_the_fetching_fails(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    task = Task(sandbox, wait=True, deferrable=True, fetch="broken/")
    assert type(task.run(fake_time)) is DownloadIncomplete
    assert task.instance.xcoms["return_value"]["state"] == "succeeded"
    task._given["fetch"] = "good"
    assert task.run()["manifest"]["path"] == "good"
    assert len(task.made) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"fetch": "x"}, "fetch needs wait=True"),
        ({"deferrable": True}, "deferrable has no effect without wait=True"),
        ({"poke_interval": 5}, "poke_interval has no effect without wait=True"),
        ({"wait": "yes"}, "wait is 'yes'"),
        ({"wait": True, "timeout": 1, "poke_interval": 60}, "timeout is 1 s"),
    ],
)
def test_arguments_that_cannot_work_fail_when_the_dag_is_parsed(given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        Submits(task_id="submit", **given)


def test_a_connection_that_is_no_connection_is_refused_before_anything_is_sent(sandbox: Sandbox) -> None:
    assert type(Task(sandbox, conn_id="nowhere").run()) is BadSettings
