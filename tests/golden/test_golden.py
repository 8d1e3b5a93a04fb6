"""What an earlier release has stored is read by this one, and what this one stores is what is on file."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus import exceptions
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.exceptions import BadTriggerEvent, JobStatusError
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.tasks.outcome_policy import OutcomePolicy, read_event
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from tests.golden import samples

FOLDERS = sorted(path for path in Path(__file__).parent.iterdir() if path.name[0].isdigit())
TODAY = FOLDERS[-1]
#: What the task ends with; None is a result.
ENDS: dict[OutcomeKind, type[JobStatusError] | None] = {
    OutcomeKind.FINISHED: None,
    OutcomeKind.TIMED_OUT: exceptions.JobTimedOut,
    OutcomeKind.STALLED: exceptions.JobTimedOut,
    OutcomeKind.GAVE_UP: exceptions.PollingFailed,
    OutcomeKind.REFUSED: exceptions.VendorRefused,
    OutcomeKind.UNKNOWN_JOB: exceptions.UnknownJob,
    OutcomeKind.BAD_SETTINGS: exceptions.BadSettings,
    OutcomeKind.CRASHED: exceptions.BadTriggerEvent,
    OutcomeKind.LEFT: None,
}


def stored(kind: str) -> list[Any]:
    return [
        pytest.param(path, id=f"{path.parent.name}: {path.stem}")
        for folder in FOLDERS
        for path in sorted(folder.glob(f"{kind}, *.json"))
    ]


def job_ids(count: int) -> list[str]:
    return [f"site/job-{number}" for number in range(count)]


def readable(content: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored without its compression: that may differ from one zlib to another."""
    if "ids" not in content:
        return content
    return {**content, "jobs": json.loads(zlib.decompress(base64.b64decode(content["jobs"])))}


def test_what_is_stored_today_is_what_is_on_file() -> None:
    on_file = {path.name: readable(json.loads(path.read_text())) for path in TODAY.iterdir()}

    # If this fails on purpose: was TODAY released? Then a new folder is due; see VERSION in waiting/spec.py
    # and codec.py.
    today = json.loads(json.dumps(samples.files(), allow_nan=False))
    assert on_file == {name: readable(content) for name, content in today.items()}


@pytest.mark.parametrize("path", stored("trigger"))
def test_the_arguments_of_an_earlier_release_make_the_same_trigger(path: Path) -> None:
    arguments = json.loads(path.read_text())

    classpath, again = BatchJobTrigger(**arguments).serialize()

    assert classpath == "airflow_provider_jobstatus.triggers.batch_job.BatchJobTrigger"
    assert {name: again[name] for name in arguments} == arguments


@pytest.mark.parametrize("path", stored("event"))
def test_the_event_of_an_earlier_release_ends_the_task_as_it_would_have(path: Path) -> None:
    _, word, size = path.stem.split(", ")
    outcome, jobs = OutcomeKind(word), samples.MAX_DETAILED if size == "few" else samples.MANY
    expected = samples.ends(outcome, jobs)

    events = read_event(json.loads(path.read_text()), job_ids(jobs))

    assert events == expected
    policy = OutcomePolicy(frozenset({JobState.SUCCEEDED, JobState.PARTIAL}), frozenset(), False, False)
    log = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id=job_ids(jobs)).log
    if (error := ENDS[outcome]) is None:
        assert [result["job_id"] for result in policy.settle(events, log)] == job_ids(jobs)
    else:
        with pytest.raises(error) as failure:
            policy.settle(events, log)
        assert type(failure.value) is error
        assert len(failure.value.results or []) == jobs


@pytest.mark.parametrize("size", ["few", "many"])
@pytest.mark.parametrize("version", [0, 2, 99, None, "2", "x" * 1000])
def test_an_event_of_a_newer_release_fails_and_says_what_to_do(version: Any, size: str) -> None:
    event = json.loads((TODAY / f"event, finished, {size}.json").read_text())
    jobs = samples.MAX_DETAILED if size == "few" else samples.MANY

    with pytest.raises(BadTriggerEvent, match="install the same version") as failure:
        read_event({**event, "version": version}, job_ids(jobs))
    assert len(str(failure.value)) < 300
