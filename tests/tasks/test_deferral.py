"""What a deferral asks of Airflow's database."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from airflow.models.trigger import Trigger
from airflow.providers.common.compat.sdk import TaskDeferred
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.hooks.airflow_configuration import max_trigger_bytes
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.tasks.deferral import (
    MYSQL_BYTES,
    handover,
    size_warning,
    stored_bytes,
)
from airflow_provider_jobstatus.tasks.rescheduling import SAFE_RESCHEDULE, reschedule_warning
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from tests.support.modes import TaskInstance, run
from tests.support.times import FakeTime

LIMIT = "AIRFLOW__JOBSTATUS__MAX_TRIGGER_BYTES"


def ids(count: int, form: str = "site/{}") -> list[str]:
    return [form.format(UUID(int=number)) for number in range(count)]


def arguments(job_ids: list[str]) -> dict[str, Any]:
    return BatchJobTrigger("ruler_default", job_ids).serialize()[1]


class Argument(str, Enum):  # noqa: UP042 - whose str() is its name
    CONN_ID = "ruler_default"
    JOB_ID = "site/e-1"
    WAIT_FOR = "any"


def test_members_of_enumerations_are_stored_as_their_values(sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", Argument.JOB_ID.value, script=["processing"] * 9)
    sensor = BatchJobSensor(
        task_id="wait",
        conn_id=Argument.CONN_ID,
        job_id=[Argument.JOB_ID],
        wait_for=Argument.WAIT_FOR,  # type: ignore[arg-type]
        deferrable=True,
    )
    sensor.render_template_fields({})

    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({"ti": TaskInstance()})

    stored = deferred.value.trigger.serialize()[1]
    texts = [stored["conn_id"], *stored["job_ids"], stored["wait_for"]]
    assert texts == ["ruler_default", "site/e-1", "any"]
    assert {type(text) for text in texts} == {str}


@pytest.mark.parametrize("form", ["site/{}", "Zürich/{}", "calls/\U0001f600{}"])
@pytest.mark.parametrize("count", [1, 2, 17, 1000])
def test_the_size_is_what_airflow_stores(count: int, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    given = arguments(ids(count, form))

    stored = len(Trigger.encrypt_kwargs(given))

    # Airflow 3.1 wraps what it stores, so that there it is a little more.
    assert stored <= stored_bytes(given) <= stored + 128


@pytest.mark.parametrize(("count", "limit"), [(900, None), (900, 0), (900, MYSQL_BYTES), (30_000, 0)])
def test_a_list_that_fits_is_passed_in_silence(count: int, limit: int | None) -> None:
    given = arguments(ids(count))
    assert stored_bytes(given) < MYSQL_BYTES or count > 900
    assert size_warning(given, count, limit) is None


def test_a_list_that_may_not_fit_is_warned_of_with_the_length_that_does() -> None:
    warning = size_warning(arguments(ids(3000)), 3000, None)

    assert warning is not None
    (fitting,) = [count for count in range(900, 1300) if f" {count} " in warning]
    assert size_warning(arguments(ids(fitting * 95 // 100)), fitting, None) is None
    assert size_warning(arguments(ids(fitting * 105 // 100)), fitting, None) is not None
    assert "max_trigger_bytes" in warning


def test_a_list_that_is_known_not_to_fit_is_refused() -> None:
    with pytest.raises(SettingsError, match="max_trigger_bytes is 20000"):
        size_warning(arguments(ids(900)), 900, 20_000)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("", None), (" ", None), ("65535", 65535), (" 0 ", 0), ("64K", None), ("-1", None), ("٣", None)],
)
def test_the_limit_is_read_from_airflows_configuration(
    text: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, text)
    assert max_trigger_bytes() == limit


@pytest.mark.parametrize(("limit", "refused"), [("", False), ("0", False), ("65535", True)])
def test_a_long_list_is_deferred_unless_the_database_is_known_to_be_too_small(
    limit: str, refused: bool, sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, limit)
    many = ids(2000)
    sandbox.put_job("ruler", many[0], script=["processing"])
    wait = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id=many, deferrable=True)

    with pytest.raises(BadSettings if refused else TaskDeferred) as ended:
        wait.execute({"ti": TaskInstance()})

    if refused:
        assert "split" in str(ended.value)
    else:
        assert json.loads(json.dumps(ended.value.trigger.serialize()[1]))["job_ids"] == many


PLAN = WaitSpec(poll_interval=60, started_at=0, first_poll_at=65, deadline_at=7200, max_outage=900)
SEEN = JobStatus("site/a", "ruler", JobState.RUNNING, "processing", progress=12)


@pytest.mark.parametrize(
    ("count", "seen", "changes", "text"),
    [
        (
            1,
            SEEN,
            {},
            "waiting in the triggerer for 1 job. site/a is 'processing' (12 %); polled every 60 s, next by "
            "1970-01-01 00:01:05+00:00; deadline 1970-01-01 02:00:00+00:00; an outage may last 900 s",
        ),
        (
            10_000,
            None,
            {"max_outage": None, "deadline_at": 1e300, "exponential_backoff": True},
            "waiting in the triggerer for 10000 jobs. site/a is not seen yet; polled every 60 s, doubling, "
            "next by 1970-01-01 00:01:05+00:00; deadline 9999-12-31 00:00:00+00:00; an outage may last "
            "any time",
        ),
    ],
)
def test_a_deferral_says_what_is_waited_for_and_until_when(
    count: int, seen: JobStatus | None, changes: dict[str, Any], text: str
) -> None:
    said = handover("ruler (connection 'mine')", ["site/a"] * count, seen, "site/a", replace(PLAN, **changes))
    assert said == f"ruler (connection 'mine'): {text}"


@pytest.mark.parametrize("count", [1, 3, 30])
def test_each_deferral_leaves_one_such_line(count: int, sandbox: Sandbox, fake_time: FakeTime) -> None:
    many = ids(count)
    sandbox.put_job("ruler", many[0], script=["processing"])
    wait = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id=many, deferrable=True)

    with capture_logs() as lines, pytest.raises(TaskDeferred):
        wait.execute({"ti": TaskInstance()})

    (said,) = [line for line in lines if "waiting in the triggerer" in line["event"]]
    assert said["log_level"] == "info"
    assert said["event"].startswith(
        f"ruler (connection 'ruler_default'): waiting in the triggerer for {count} job"
    )
    assert f"{many[0]} is 'processing'" in said["event"]


def test_a_short_interval_in_reschedule_mode_is_warned_about() -> None:
    warned = reschedule_warning(SAFE_RESCHEDULE - 1)

    assert warned is not None
    assert "deferrable=True" in warned
    assert reschedule_warning(SAFE_RESCHEDULE) is None


@pytest.mark.parametrize(("mode", "times"), [("reschedule", 1), ("poke", 0)])
def test_only_the_first_poke_of_a_rescheduled_wait_says_so(
    mode: str, times: int, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script="status:200:running*3,status:200:done")

    with capture_logs() as logs:
        run(
            {"conn_id": "ruler_default", "job_id": "site/job", "poke_interval": 5, "timeout": 600},
            mode,
            fake_time,
        )

    assert sum(entry["event"] == reschedule_warning(5.0) for entry in logs) == times
