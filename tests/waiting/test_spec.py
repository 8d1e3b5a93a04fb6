"""What a wait is, when it polls, and how it ends."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.sensors.waiting_sensor import WaitingSensor
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.spec import SAME_POINT, VERSION, WaitSpec
from tests.core.test_jobs import clean_text, statuses
from tests.support.values import anything, assert_storable, hostile_text, json_values

#: In steps that a float holds exactly, so that a point of the grid is one number and not two.
STEP = 1 / 64
FIRST = 2.0**30
intervals = st.integers(64, 64 * 600).map(lambda steps: steps * STEP)


def grid(plan: WaitSpec) -> Iterator[float]:
    """Every point of the grid, counted out: an oracle for what the plan calculates."""
    longest = float("inf") if plan.max_wait is None else max(plan.max_wait, 1.0)
    point = plan.first_poll_at
    gap = min(plan.poll_interval, longest) if plan.exponential_backoff else plan.poll_interval
    while True:
        yield point
        if plan.exponential_backoff:
            gap = min(gap * 2, longest)
        point += gap


plans = st.builds(
    WaitSpec,
    poll_interval=intervals,
    started_at=st.just(FIRST - 10),
    first_poll_at=st.just(FIRST),
    deadline_at=st.just(FIRST + 86_400),
    max_outage=st.none() | st.just(3600.0),
    exponential_backoff=st.booleans(),
    max_wait=st.none() | st.just(0.25) | intervals,
)
moments = st.integers(-64 * 60, 64 * 20_000).map(lambda steps: FIRST + steps * STEP)


@given(plans, moments)
def test_the_next_point_is_the_first_of_the_grid_that_is_to_come(plan: WaitSpec, now: float) -> None:
    assert plan.next_point(now) == next(point for point in grid(plan) if point > now)


@given(plans, st.lists(moments, min_size=1, max_size=5))
def test_a_triggerer_that_takes_over_polls_where_the_one_before_would_have(
    plan: WaitSpec, restarts: list[float]
) -> None:
    last = max(restarts)
    points = list(takewhile(lambda point: point <= plan.next_point(last), grid(plan)))
    assert {plan.next_point(now) for now in restarts} <= set(points)


@given(
    st.floats(1.0, 1e6),
    st.floats(0, 4e9),
    st.floats(0, 1e7),
    st.booleans(),
    st.none() | st.floats(0, 1e5),
)
def test_a_point_to_come_is_to_come_whatever_rounding_does(
    interval: float, first: float, waited: float, exponential: bool, max_wait: float | None
) -> None:
    plan = WaitSpec(interval, first, first, first + 1e8, 1.0, exponential, max_wait)
    now = first + waited
    point = plan.next_point(now)
    assert point > now
    if not exponential:
        assert point <= now + SAME_POINT + interval * (1 + 1e-6) + 1e-6


@pytest.mark.parametrize("exponential", [False, True])
@pytest.mark.parametrize("interval", [1.1, 3.3, 60.1, 1 / 0.7])
def test_a_point_of_an_odd_grid_is_followed_by_another(interval: float, exponential: bool) -> None:
    plan = WaitSpec(interval, FIRST, FIRST + 0.3, FIRST + 1e6, 1.0, exponential, interval)
    point = plan.next_point(FIRST)
    for _ in range(2000):
        following = plan.next_point(point)
        assert interval * 0.99 < following - point < interval * 1.01
        point = following


@pytest.mark.parametrize(
    ("options", "points"),
    [
        ({}, [0, 60, 120, 180, 240]),
        ({"exponential_backoff": True}, [0, 120, 360, 840, 1800]),
        ({"exponential_backoff": True, "max_wait": 300.0}, [0, 120, 360, 660, 960]),
        ({"exponential_backoff": True, "max_wait": 30.0}, [0, 30, 60, 90, 120]),
        ({"exponential_backoff": True, "max_wait": 0.0}, [0, 1, 2, 3, 4]),
        ({"max_wait": 30.0}, [0, 60, 120, 180, 240]),
    ],
)
def test_the_grid_is_even_or_doubles(options: dict[str, Any], points: list[float]) -> None:
    plan = WaitSpec(60.0, FIRST - 60, FIRST, FIRST + 86_400, **options)
    found = [plan.next_point(FIRST - 1)]
    while len(found) < len(points):
        found.append(plan.next_point(found[-1]))
    assert [point - FIRST for point in found] == points


# One description of a wait

#: A value for each field that is none of the defaults.
OTHER: dict[str, Any] = {
    "poll_interval": 10.0,
    "started_at": 1000.0,
    "first_poll_at": 1010.5,
    "deadline_at": 2000.0,
    "max_outage": None,
    "exponential_backoff": True,
    "max_wait": 300.0,
    "stalled_after": 900.0,
    "if_stalled": "fail",
    "adaptive": True,
    "wait_for": "any",
    "fail_fast": True,
    "good_states": ("cancelled", "failed"),
    "refusal_grace": 60.0,
    "account": "0123456789abcdef",
    "not_before": 1005.0,
    "told": 123456,
    "words": ("sending #",),
    "seen": ({"job_id": "a", "state": "running"},),
}
PLAIN = WaitSpec(60.0, 0.0, 60.0, 3600.0)
FIELDS = [each.name for each in fields(WaitSpec)]


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_of_a_wait_is_stored_restored_and_documented(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "waiting.md").read_text()
    stored_fields = page.partition("## What is stored")[2].splitlines()
    spec = replace(PLAIN, **{name: OTHER[name]})

    stored = json.loads(json.dumps(spec.as_json(), allow_nan=False))

    assert name in stored
    assert WaitSpec.from_json(stored) == spec != PLAIN
    assert sum(f"`{name}`" in line.split("|")[1] for line in stored_fields if line.startswith("|")) == 1


@pytest.mark.parametrize("name", WaitSpec.options())
def test_each_option_of_a_wait_is_an_argument_of_the_sensor_that_reaches_the_wait(name: str) -> None:
    options = {"stalled_after": 60.0, name: OTHER[name]}
    sensor = BatchJobSensor(task_id="wait", conn_id="c", job_id="a", **options)

    assert name in inspect.signature(WaitingSensor.__init__).parameters
    assert f":param {name}:" in (BatchJobSensor.__doc__ or "")
    assert getattr(sensor.wait_spec(None, 0.0), name) == OTHER[name]


def test_a_wait_that_says_nothing_special_stores_nothing_special() -> None:
    assert PLAIN.as_json() == {
        "version": VERSION,
        "poll_interval": 60.0,
        "started_at": 0.0,
        "first_poll_at": 60.0,
        "deadline_at": 3600.0,
    }


@given(st.dictionaries(st.sampled_from([*FIELDS, "version", "newer"]), anything | json_values))
def test_whatever_is_stored_is_a_wait_or_a_value_error(stored: dict[str, Any]) -> None:
    try:
        spec = WaitSpec.from_json(stored)
    except ValueError:
        return
    assert stored.get("version", VERSION) == VERSION
    assert {"poll_interval", "started_at", "first_poll_at", "deadline_at"} <= set(stored)
    assert isinstance(spec.as_json(), dict)


@pytest.mark.parametrize("version", [VERSION + 1, None, "1", True, 1.0, "x" * 1000])
def test_a_wait_of_another_version_is_refused_and_a_field_of_a_newer_release_left_out(version: Any) -> None:
    assert WaitSpec.from_json({**PLAIN.as_json(), "newer": 1}) == PLAIN
    with pytest.raises(ValueError, match="install the same version everywhere"):
        WaitSpec.from_json({**PLAIN.as_json(), "version": version})


# Events

events = st.builds(
    lambda status, outcome, message: WaitOutcome(status.job_id, outcome, status, message),
    statuses,
    st.sampled_from([outcome for outcome in OutcomeKind if outcome is not OutcomeKind.FINISHED]),
    clean_text | st.just(""),
) | st.builds(
    lambda status: WaitOutcome(status.job_id, OutcomeKind.FINISHED, status),
    statuses.filter(lambda each: each.state.terminal),
)
DONE = JobStatus("a", "vendor", JobState.SUCCEEDED, "done")
FINISHED = WaitOutcome("a", OutcomeKind.FINISHED, DONE).as_dict()


@given(events | st.just(WaitOutcome("a", OutcomeKind.GAVE_UP, None, "why")))
def test_an_event_survives_the_way_as_plain_json(event: WaitOutcome) -> None:
    plain = event.as_dict()
    assert_storable(plain)
    assert WaitOutcome.from_dict(plain) == event


@given(hostile_text, st.sampled_from(OutcomeKind), hostile_text, hostile_text)
def test_an_event_of_whatever_came_in_can_be_stored(
    job_id: str, outcome: OutcomeKind, word: str, message: str
) -> None:
    status = JobStatus(job_id, "vendor", JobState.FAILED, word, detail=message)
    assert_storable(WaitOutcome(job_id, outcome, status, message * 1000).as_dict())


@given(st.one_of(json_values, anything, st.dictionaries(st.sampled_from(list(FINISHED)), anything)))
def test_random_values_are_no_event(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        WaitOutcome.from_dict(value)


near_misses = st.fixed_dictionaries(
    {
        "job_id": st.just("a") | anything,
        "outcome": st.sampled_from(list(OutcomeKind)) | anything,
        "status": st.fixed_dictionaries(
            {key: st.just(value) | anything for key, value in DONE.as_dict().items()}
            | {"state": st.sampled_from(["running", "succeeded", "done"]) | anything}
        )
        | anything,
        "message": st.just("") | anything,
    }
)


@given(near_misses)
def test_an_event_is_finished_only_if_it_says_so_of_its_own_ended_job(value: dict[str, Any]) -> None:
    try:
        event = WaitOutcome.from_dict(value)
    except ValueError:
        return
    assert type(event.outcome) is OutcomeKind
    if event.outcome is OutcomeKind.FINISHED:
        assert event.status is not None
        assert event.status.state.terminal
        assert event.status.job_id == event.job_id == value["job_id"]
        assert event.status.state == value["status"]["state"]
    assert_storable(event.as_dict())


NO_JOB = {"outcome": "gave_up", "status": None}
OTHER_EVENTS: list[tuple[dict[str, object], str]] = [
    *(({"outcome": outcome}, r"\w") for outcome in ("done", None, ["finished"])),
    *(({"status": status}, r"\w") for status in (None, "succeeded", {})),
    (
        {"status": JobStatus("a", "vendor", JobState.RUNNING, "running").as_dict()},
        "without its terminal state",
    ),
    ({"status": JobStatus("b", "vendor", JobState.SUCCEEDED, "done").as_dict()}, "another job"),
    ({"job_id": "b"}, "another job"),
    # However the wait ended.
    ({"job_id": "b", "outcome": "timed_out"}, "another job"),
    *(({**NO_JOB, "job_id": job_id}, "no job") for job_id in (None, 1, ["a"], {"a": 1})),
    ({"newer": 1}, "not the end of a wait"),
]


@pytest.mark.parametrize(("change", "why"), OTHER_EVENTS)
def test_another_event_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        WaitOutcome.from_dict({**FINISHED, **change})


@pytest.mark.parametrize("key", FINISHED)
def test_an_event_without_one_of_its_keys_is_refused(key: str) -> None:
    assert WaitOutcome.from_dict(FINISHED).outcome is OutcomeKind.FINISHED
    with pytest.raises(ValueError, match="not the end of a wait"):
        WaitOutcome.from_dict({name: value for name, value in FINISHED.items() if name != key})
