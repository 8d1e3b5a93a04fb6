"""What a person reads: where it happened, to how many jobs and to which."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG
from airflow.triggers.base import DiscrimatedTriggerEvent, TriggerEvent
from pydantic import TypeAdapter

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    JobFailed,
    JobStatusError,
    JobTimedOut,
    VendorRefused,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.triggers.batch_job import WaitEvent
from airflow_provider_jobstatus.waiting.codec import summary
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from tests.support.modes import MODES, run
from tests.support.times import FakeTime


def ended(job_id: str, state: JobState) -> WaitOutcome:
    return WaitOutcome(job_id, OutcomeKind.FINISHED, JobStatus(job_id, "ruler", state, state.value))


def lost(job_id: str, outcome: OutcomeKind) -> WaitOutcome:
    return WaitOutcome(job_id, outcome, None, f"{job_id}: why")


def settled(events: list[WaitOutcome], **options: Any) -> JobStatusError:
    made = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id="{{ jobs }}", **options)
    with pytest.raises(JobStatusError) as failure:
        made._policy.settle(events, made.log)
    return failure.value


@pytest.mark.parametrize("mode", MODES)
def test_an_error_of_a_vendor_names_host_and_connection_in_every_mode(
    mode: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing", {"http": 400}])
    host = sandbox.connection("ruler")["host"].partition("://")[2].partition("/")[0]

    with pytest.raises(VendorRefused) as refused:
        run({"conn_id": "ruler_default", "job_id": "site/job", "timeout": 600}, mode, fake_time)

    assert f" {host}/v1/site/batch/job/status" in str(refused.value)
    assert "(connection 'ruler_default')" in str(refused.value)


@pytest.mark.parametrize("state", [JobState.PARTIAL, JobState.SUCCEEDED])
def test_a_good_end_that_is_not_allowed_says_why_it_fails(state: JobState) -> None:
    error = settled([ended("s/a", state)], allowed_states=("failed",))
    assert str(error) == f"s/a: ended '{state}'; {state.value!r} is not in allowed_states"
    assert "allowed_states" not in str(settled([ended("s/a", JobState.CANCELLED)]))


def test_if_stalled_alone_is_refused() -> None:
    with pytest.raises(BadSettings, match="if_stalled is 'fail' without stalled_after"):
        BatchJobSensor(task_id="wait", conn_id="c", job_id="a", if_stalled="fail")


def test_of_several_jobs_the_count_and_the_first_names_come_first() -> None:
    events = [ended(f"s/{number}", JobState.SUCCEEDED) for number in range(26)]
    events[3:3] = [ended(f"s/bad-{number}", JobState.FAILED) for number in range(4)]

    error = settled(events)

    assert isinstance(error, JobFailed)
    assert str(error).startswith(
        "4 of 30 jobs failed: s/bad-0, s/bad-1, s/bad-2, ... | s/bad-0: ended 'failed'"
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own


def test_each_kind_of_end_has_its_count() -> None:
    error = settled(
        [
            lost("a", OutcomeKind.TIMED_OUT),
            ended("b", JobState.CANCELLED),
            ended("c", JobState.SUCCEEDED),
            lost("d", OutcomeKind.TIMED_OUT),
            lost("e", OutcomeKind.UNKNOWN_JOB),
        ]
    )

    assert str(error).startswith(
        "2 of 5 jobs timed out: a, d; 1 of 5 jobs cancelled: b; 1 of 5 jobs are unknown: e | b: ended"
    )


def test_one_job_is_not_counted() -> None:
    assert str(settled([lost("a", OutcomeKind.TIMED_OUT)])) == "a: why"


def test_ten_thousand_jobs_make_a_message_that_can_be_read() -> None:
    error = settled([lost("s/" + "x" * 400 + str(number), OutcomeKind.TIMED_OUT) for number in range(10_000)])
    assert isinstance(error, JobTimedOut)
    assert str(error).startswith("10000 of 10000 jobs timed out: s/xx")
    assert len(str(error)) <= 4000


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([ended("s/a", JobState.PARTIAL)], "s/a: partial"),
        ([lost("s/a", OutcomeKind.GAVE_UP)], "s/a: gave up"),
        (
            [*[ended("s/a", JobState.SUCCEEDED)] * 28, *[lost("s/b", OutcomeKind.TIMED_OUT)] * 2],
            "30 jobs: 28 succeeded, 2 timed out",
        ),
        ([], "0 jobs: "),
    ],
)
def test_an_event_reads_as_a_line(events: list[WaitOutcome], text: str) -> None:
    assert summary(events) == text


def test_what_is_read_in_an_event_does_not_travel_with_it() -> None:
    event = WaitEvent({"version": 1, "jobs": ["fb"]}, "1 job: all well")

    assert (repr(event), str(event), f"{event}") == ("1 job: all well",) * 3
    adapter = TypeAdapter[Any](DiscrimatedTriggerEvent)
    stored = adapter.dump_json(adapter.validate_python(event))
    assert json.loads(stored) == {"payload": {"version": 1, "jobs": ["fb"]}}
    assert adapter.validate_json(stored) == TriggerEvent({"version": 1, "jobs": ["fb"]})  # type: ignore[no-untyped-call]


def mapped(**options: Any) -> Any:
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        return BatchJobSensor.partial(task_id="wait", conn_id="ruler_default", **options)


@pytest.mark.parametrize(
    ("job_id", "shown"),
    [
        ("site/a", "job site/a"),
        (123, "job 123"),
        ({"job_id": "site/b", "state": "failed"}, "job site/b"),
        (["site/a", "site/b"], "job ['site/a', 'site/b']"),
    ],
)
@pytest.mark.parametrize("native", [False, True])
def test_a_mapped_task_is_shown_by_its_job(native: bool, job_id: Any, shown: str) -> None:
    from jinja2.nativetypes import NativeEnvironment

    operator = mapped().expand(job_id=["site/a"])
    environment = (NativeEnvironment if native else jinja2.Environment)(undefined=jinja2.StrictUndefined)
    task = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id=job_id)

    assert environment.from_string(operator.map_index_template).render(task=task) == shown


def test_a_long_list_still_fits_airflows_column_for_the_name_of_a_mapped_task() -> None:
    task = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id=["site/" + "x" * 90] * 500)
    template = mapped().expand(job_id=["site/a"]).map_index_template
    assert len(jinja2.Environment().from_string(template).render(task=task)) <= 250  # noqa: S701 - no page


def test_a_template_of_the_authors_own_names_mapped_tasks() -> None:
    assert mapped(map_index_template="{{ mine }}").expand(job_id=["a"]).map_index_template == "{{ mine }}"
    defaults = {"map_index_template": "{{ ours }}"}
    assert mapped(default_args=defaults).expand(job_id=["a"]).map_index_template == "{{ ours }}"
