"""When to look next at a job that runs, by what is known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.waiting.adaptive import began_at, floor, next_poll, pause, seconds_taken
from airflow_provider_jobstatus.waiting.completion import LOOKS, REMEMBERED, DurationHistory, ProgressRate
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import SAME_POINT, WaitSpec
from tests.support.values import anything, hostile_text

START = 2.0**30
INTERVAL = 300.0
PLAN = WaitSpec(INTERVAL, START, START + INTERVAL, START + 7 * 86_400, adaptive=True)
RUNNING = JobStatus("a", "vendor", JobState.RUNNING, "processing")

ages = st.floats(0, 1e9)
#: What a job may tell, however odd.
told = st.builds(
    replace,
    st.just(RUNNING),
    progress=st.none() | st.integers(-5, 200) | st.floats(),
    counts=st.none()
    | st.fixed_dictionaries(
        {"total": st.none() | st.integers(0, 2**63), "processed": st.none() | st.integers(0, 2**63)}
    ),
    created_at=st.none() | hostile_text | st.datetimes().map(datetime.isoformat),
)


def iso(age: float) -> str:
    return datetime.fromtimestamp(START + age, UTC).isoformat()


def looks(
    share: Callable[[float], float | None],
    seconds: float,
    durations: DurationHistory | None = None,
    plan: WaitSpec = PLAN,
) -> list[float]:
    """Return the ages at which a job that takes so long is looked at; the last look sees the end."""
    one = JobPoller("a", plan, START, durations=durations)
    found = [0.0]
    while found[-1] < seconds:
        done = share(found[-1])
        counts = None if done is None else {"total": 10**6, "processed": int(done * 10**6)}
        one.observe(replace(RUNNING, counts=counts), START + found[-1])
        found.append(one.next_poll_at - START)
    return found


def tells_nothing(age: float) -> None:
    return None


def usual(*seconds: float) -> DurationHistory:
    durations = DurationHistory()
    for each in seconds:
        durations.add(each)
    return durations


# Bounds, whatever comes


@given(
    st.floats(1, 86_400),
    st.lists(st.tuples(told, st.floats(0, 1e5)), min_size=1, max_size=12),
    st.none() | st.lists(st.floats(), max_size=70),
    st.floats(-1e6, 1e6),
)
@example(1.0, [(RUNNING, 0.0)], None, 1.5)
def test_no_poll_comes_after_the_next_point_of_the_grid_or_sooner_than_the_floor(
    interval: float,
    happens: list[tuple[JobStatus, float]],
    taken: list[float] | None,
    behind: float,
) -> None:
    plan = replace(PLAN, poll_interval=interval, first_poll_at=START + behind)
    durations = None if taken is None else usual(*taken)
    pace, now = ProgressRate(), START
    for status, later in happens:
        now += later
        at = next_poll(plan, pace, durations, status, now)
        point = plan.next_point(now)
        age = now - began_at(status, plan.started_at)
        assert now < at <= point
        assert at - now >= min(floor(interval, age), point - now) * (1 - 1e-6)


@given(st.floats(1, 86_400), ages, st.lists(st.floats(0, 1e9), max_size=70), st.floats(0, 1e9))
def test_a_pause_is_between_twice_the_floor_and_the_poll_interval(
    interval: float, age: float, taken: list[float], left: float
) -> None:
    pace = ProgressRate([[0.0, 0.0], [1.0, 1 / (1 + left)]])
    for chance in (None, usual(*taken).chance(age), pace.chance(1.0, age)):
        assert min(2 * floor(interval, age), interval) <= pause(chance, interval, age) <= interval


@given(st.floats(1, 86_400), ages)
def test_the_floor_is_a_second_or_a_part_of_poll_interval_and_age(interval: float, age: float) -> None:
    assert 1 <= floor(interval, age) <= max(1, min(interval / 25, age / 20) * (1 + 1e-9))


@given(ages, st.lists(st.floats(0, 1e9), min_size=1, max_size=70), st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_chance_is_one_and_grows_with_time(
    age: float, taken: list[float], left: float, seconds: float
) -> None:
    pace = ProgressRate([[0.0, 0.0], [1.0, 1 / (1 + left)]])
    for chance in filter(None, (usual(*taken).chance(age), pace.chance(1.0, age))):
        assert -1e-9 <= chance(seconds) <= chance(seconds * 2 + 1) + 1e-9 <= 1 + 2e-9


@given(anything | st.lists(anything | st.lists(st.floats() | st.integers(), min_size=2, max_size=2)))
def test_what_is_no_memory_of_a_pace_is_not_used(memory: object) -> None:
    pace = ProgressRate(memory)
    assert all(0 <= share <= 1 for _, share in pace.memory())
    assert next_poll(PLAN, pace, None, RUNNING, START + 50) <= START + INTERVAL


# Progress


@pytest.mark.parametrize("seconds", [60.0, 600.0, 1000.0, 4321.0, 21_600.0])
@pytest.mark.parametrize("late", [0.0, 0.1])
def test_a_job_that_gets_on_steadily_is_found_soon_after_its_end_by_few_polls(
    seconds: float, late: float
) -> None:
    begins = seconds * late
    found = looks(lambda age: max(age - begins, 0.0) / (seconds - begins), seconds)

    assert found[-1] - seconds <= 2 * floor(INTERVAL, seconds) + SAME_POINT
    # A look every two floors would find it as soon.
    moving = [age for age in found if age > begins]
    assert len(moving) <= 8 + (seconds - begins) / (2 * floor(INTERVAL, seconds)) / 5
    # Until it moves there is nothing but its age.
    assert len(found) - len(moving) <= 80


def test_progress_in_the_middle_of_a_long_job_is_left_alone_until_the_next_point() -> None:
    found = looks(lambda age: age / 20_000, 20_000.0)
    between = [age for age in found if 5000 < age < 14_000]
    assert between == pytest.approx([INTERVAL * n for n in range(17, 47)])


def test_progress_that_stalls_is_looked_at_ever_less_often() -> None:
    found = looks(lambda age: min(age / 1000, 0.97), 8000.0)
    pauses = [after - before for before, after in pairwise(found)]
    soon = [gap for gap, age in zip(pauses, found, strict=False) if 1000 < age < 1100]
    later = [gap for gap, age in zip(pauses, found, strict=False) if age > 5000]
    assert max(soon) <= 3 * floor(INTERVAL, 1000)
    assert max(later) == pytest.approx(INTERVAL)


def test_progress_that_is_complete_long_before_the_end_is_no_hurry() -> None:
    found = looks(lambda age: min(age / 100, 1.0), 5000.0)
    # A look at every floor would be above 400.
    assert len(found) < 60


@pytest.mark.parametrize(
    ("polls", "now", "left"),
    [
        # Progress that falls began anew.
        ([(0.1, 10), (0.5, 50), (0.1, 60)], 60, None),
        ([(0.1, 10), (0.5, 50), (0.1, 60), (0.2, 160)], 160, 800),
        # Progress that jumps counts by its faster rate.
        ([(0.0, 0), (0.1, 100), (0.8, 200)], 200, 0.2 / 0.7 * 100),
        # The time before the first row is no part of the rate.
        ([(0.0, 0), (0.0, 500), (0.0, 1000), (0.1, 1100)], 1100, 900),
        # Time that passes without a step is not left any more.
        ([(0.0, 0), (0.1, 100)], 200, 800),
        ([(0.0, 0), (0.1, 100)], 100 + 10_000, 5000),
        # A job without progress, or with nonsense, has no rate.
        ([(None, 1), (math.nan, 2), (-1.0, 3), (2.0, 4)], 5, None),
    ],
)
def test_the_time_left_is_that_at_the_rate_of_progress(
    polls: list[tuple[float | None, float]], now: float, left: float | None
) -> None:
    pace = ProgressRate()
    for share, at in polls:
        pace.see(share, at)
    assert pace.seconds_left(now) == (left if left is None else pytest.approx(left))
    assert (pace.chance(now, 10) is None) == (left is None)


def test_a_rate_is_that_of_the_last_polls_and_goes_on_from_its_memory() -> None:
    pace = ProgressRate()
    for number in range(50):
        pace.see(number / 100, number * 10)
    memory = json.loads(json.dumps(pace.memory()))
    assert len(memory) == LOOKS
    assert ProgressRate(memory).memory() == memory
    assert ProgressRate(memory).seconds_left(490) == pace.seconds_left(490) == pytest.approx(510)


@pytest.mark.parametrize("look", [[math.inf, 0.1], [math.nan, 0.1], [-1, 0.1], [10**400, 0.1], [5, math.nan]])
def test_a_remembered_poll_at_no_time_is_not_used(look: list[float]) -> None:
    assert ProgressRate([[1, 0.1], look, [2, 0.2]]).memory() == [[1, 0.1], [2, 0.2]]


# Durations


@pytest.mark.parametrize("seconds", [300.0, 3000.0, 20_000.0])
def test_a_job_of_a_kind_that_takes_as_long_as_ever_is_looked_at_when_it_ends(seconds: float) -> None:
    durations = usual(*[seconds * (1 + number % 9 / 1000) for number in range(40)])
    found = looks(tells_nothing, seconds, durations)
    assert found[-1] - seconds <= 2 * floor(INTERVAL, seconds) + SAME_POINT
    before = [age for age in found if age < 0.75 * seconds]
    assert len(before) <= 6 + 0.75 * seconds / INTERVAL


def test_a_job_that_outlives_its_kind_is_looked_at_ever_less_often() -> None:
    found = looks(tells_nothing, 20_000.0, usual(*[600.0] * 20))
    pauses = [after - before for before, after in pairwise(found)]
    soon = [gap for gap, age in zip(pauses, found, strict=False) if 500 < age < 700]
    later = [gap for gap, age in zip(pauses, found, strict=False) if age > 6000]
    assert max(soon) <= 2 * floor(INTERVAL, 600)
    assert min(later) == pytest.approx(INTERVAL)


def test_kinds_of_which_some_jobs_fail_early_are_looked_at_twice() -> None:
    durations = usual(*[10.0] * 10, *[3000.0] * 30)
    found = looks(tells_nothing, 3000.0, durations)
    assert sum(5 < age < 20 for age in found) >= 2
    assert sum(200 < age < 2000 for age in found) <= 20
    assert sum(age > 2800 for age in found) >= 6


def test_only_the_last_durations_are_remembered() -> None:
    durations = usual(*[1.0] * 1000, *[600.0] * REMEMBERED)
    assert len(durations) == REMEMBERED
    assert len(looks(tells_nothing, 400.0, durations)) <= 6


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_what_is_no_duration_is_not_remembered(seconds: float) -> None:
    assert len(usual(seconds)) == 0


def test_one_duration_is_worth_more_than_none() -> None:
    found, alone = looks(tells_nothing, 5010.0, usual(5000.0)), looks(tells_nothing, 5010.0)
    assert found[-1] - 5010 <= 2 * floor(INTERVAL, 5010) < alone[-1] - 5010


# Age


def test_of_age_alone_pauses_grow_with_it_up_to_the_poll_interval() -> None:
    found = looks(tells_nothing, 86_400.0, plan=replace(PLAN, poll_interval=60.0, first_poll_at=START + 60))
    pauses = [after - before for before, after in pairwise(found)]
    assert max(pauses[:10]) == 2
    assert 2 < max(pauses[10:30]) < 10
    assert pauses[-10:] == pytest.approx([60.0] * 10)


def test_the_age_of_a_job_is_what_the_vendor_says_but_no_less_than_that_of_the_wait() -> None:
    old = replace(RUNNING, created_at=iso(-5000))
    young = replace(RUNNING, created_at=iso(+5000))
    at_old, at_young, at_none = (
        next_poll(PLAN, ProgressRate(), None, status, START + 1) for status in (old, young, RUNNING)
    )
    assert at_old > at_young == at_none


DONE = replace(RUNNING, state=JobState.SUCCEEDED)


@pytest.mark.parametrize(
    ("facts", "seen_running", "seconds"),
    [
        ({"created_at": iso(-50), "completed_at": iso(20)}, False, 70.0),
        ({"created_at": iso(-50), "completed_at": iso(20)}, True, 70.0),
        ({"created_at": iso(-50).removesuffix("+00:00"), "completed_at": iso(20)}, True, 70.0),
        ({"created_at": iso(-50)}, True, 80.0),
        ({"created_at": iso(-50)}, False, None),
        ({}, True, 30.0),
        ({}, False, None),
        ({"created_at": iso(20), "completed_at": iso(-50)}, True, 30.0),
        ({"created_at": "soon", "completed_at": "9999-99-99"}, True, 30.0),
        ({"created_at": "0001-01-01T00:00:00+23:59"}, True, 30.0),
        ({"created_at": "1970-01-01T00:00:00Z"}, True, 30.0),
        ({"created_at": "0001-01-01T00:00:00Z", "completed_at": iso(20)}, False, None),
    ],
)
def test_how_long_a_job_took_is_what_the_vendor_says_or_else_what_was_seen(
    facts: dict[str, Any], seen_running: bool, seconds: float | None
) -> None:
    found = seconds_taken(replace(DONE, **facts), START, START + 30, seen_running=seen_running)
    assert found == (seconds if seconds is None else pytest.approx(seconds))
