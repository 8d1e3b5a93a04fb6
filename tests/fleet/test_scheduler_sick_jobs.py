"""Not polled is not unanswered, and one sick job is no trouble for others."""

from __future__ import annotations

from collections import Counter
from math import inf

import pytest

from airflow_provider_jobstatus.core.errors import ServerError, TransportError, VendorError
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.concurrency import FIRST_CALLS, OPEN_AFTER, SICK_CALLS
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from tests.fleet.simulation import (
    LATENCY,
    Reply,
    Simulation,
    Triggerer,
    names,
    plan,
    spread_plans,
    status,
    wait_for,
)

INTERVAL = 60.0
AWAY = TransportError("nothing came for too long", vendor="toy")


def sick(kind: str) -> Reply:
    error: VendorError = ServerError("is ill", vendor="toy", status=503)
    if kind == "503 with Retry-After":
        error.retry_after = 3600.0
    if kind == "hangs":
        return 40.0, AWAY
    return LATENCY, AWAY if kind == "breaks" else error


def beside(kind: str, sick_jobs: int, healthy: int, done_at: float = 600.0) -> Triggerer:
    """Let sick and healthy jobs be waited for with the same key."""

    def answer(job_id: str, now: float) -> Reply:
        if job_id.startswith("sick"):
            return sick(kind)
        return LATENCY, status(job_id, "done" if now >= done_at else "running")

    # Neither first nor last.
    ids = sorted([*names(sick_jobs, "sick-"), *names(healthy, "good-")], key=lambda name: name[::-1])
    return wait_for(answer, ids, spread_plans(len(ids), INTERVAL, 3 * 3600.0), 4 * 3600)


@pytest.mark.parametrize("kind", ["503", "503 with Retry-After", "hangs", "breaks"])
@pytest.mark.parametrize(("sick_jobs", "healthy"), [(1, 100), (100, 5), (5, 5)])
def test_sick_jobs_neither_end_nor_delay_the_waits_for_healthy_ones(
    kind: str, sick_jobs: int, healthy: int
) -> None:
    found = beside(kind, sick_jobs, healthy)

    ends = found.ended_at()
    good = [at for job_id, at in ends.items() if job_id.startswith("good")]
    assert len(good) == healthy
    assert max(good) <= 600 + 2 * INTERVAL
    for number in range(healthy):
        polled = [at for at, job_id in found.polls if job_id == f"good-{number}"]
        assert max(later - earlier for earlier, later in zip([60.0, *polled], polled, strict=False)) <= 180
    # Their own waits end when their own outage has lasted too long, or at their deadline.
    events = [event for _, event in found.job_ends.values() if event.job_id.startswith("sick")]
    assert len(events) == sick_jobs
    assert {event.outcome for event in events} <= {OutcomeKind.GAVE_UP, OutcomeKind.TIMED_OUT}


@pytest.mark.parametrize("kind", ["503", "hangs"])
def test_a_vendor_that_is_away_is_polled_one_at_a_time(kind: str) -> None:
    triggerer = wait_for(
        lambda job_id, now: sick(kind) if now < 1800 else (LATENCY, status(job_id, "done")),
        names(200),
        plan(INTERVAL, 60.0, 20000.0),
    )

    assert triggerer.outcomes() == {OutcomeKind.FINISHED}
    assert max(triggerer.wait_ends.values()) <= 1800 + 300 + 60
    # Once eight have failed, no second is sent before the first has failed or taken some seconds.
    polls = [at for at, _ in triggerer.polls]
    if kind == "hangs":
        assert max(Counter(int(at // 10) for at in polls if 100 < at < 1800).values()) <= 6
    assert sum(at < 60.05 for at in polls) <= FIRST_CALLS + OPEN_AFTER


def test_an_outage_ends_a_wait_only_after_a_poll_of_its_own() -> None:
    triggerer = wait_for(lambda job_id, now: sick("503"), names(100), spread_plans(100, INTERVAL, 4 * 3600.0))

    assert triggerer.outcomes() == {OutcomeKind.GAVE_UP}
    for job_id, at in triggerer.ended_at().items():
        polled = [moment for moment, each in triggerer.polls if each == job_id]
        assert at - polled[-1] <= 1
        assert 3600 <= at - polled[0] <= 3700


def test_the_clock_of_an_outage_does_not_run_while_no_poll_is_sent() -> None:
    """One failed poll, then hours in the queue of a small rate, then a second one that fails as well."""
    triggerer = wait_for(
        lambda job_id, now: (LATENCY, AWAY if job_id == "job-0" and now < 20_000 else status(job_id)),
        names(50),
        plan(INTERVAL, 60.0, 1e6, max_outage=3600.0),
        40_000,
        rate=Rate(0.01, 1),
    )

    polled = [at for at, job_id in triggerer.polls if job_id == "job-0"]
    assert sum(at < 20_000 for at in polled) >= 3
    assert polled[1] - polled[0] > 3600
    assert triggerer.job_ends == {}


def test_a_job_that_is_well_again_is_polled_like_any_other() -> None:
    def answer(job_id: str, now: float) -> Reply:
        return sick("hangs") if job_id == "job-0" and now < 600 else (LATENCY, status(job_id))

    triggerer = wait_for(answer, names(3), plan(10.0, 10.0, 1e6), 3600)

    polls = Counter(job_id for at, job_id in triggerer.polls if at > 1800)
    assert max(polls.values()) - min(polls.values()) <= 1


def test_while_a_vendor_is_away_a_job_that_was_well_is_polled_before_those_that_failed() -> None:
    simulation = Simulation(lambda job_id, now: sick("503"))
    triggerer = simulation.triggerer()
    for job_id in names(2000):
        simulation.wait(triggerer, [job_id], plan(deadline=1e6))
    simulation.run(1000)
    simulation.wait(triggerer, ["well"], plan(first=1010.0, deadline=1e6))
    simulation.run(1020)

    [at] = [at for at, job_id in triggerer.polls if job_id == "well"]
    assert 1010 <= at <= 1012


def test_few_polls_are_in_flight_of_jobs_whose_last_poll_failed() -> None:
    found = beside("hangs", 60, 5)

    sent = [at for at, job_id in found.polls if job_id.startswith("sick") and 200 < at < 600]
    assert max(sum(at <= other < at + 40 for other in sent) for at in sent) == SICK_CALLS


def test_jobs_that_are_well_again_are_polled_as_many_at_once_as_others() -> None:
    found = wait_for(
        lambda job_id, now: sick("503") if now < 600 else (1.0, status(job_id)),
        names(40),
        plan(deadline=1e6),
        3600,
    )

    assert max(Counter(at for at, _ in found.polls if at > 1800).values()) >= FIRST_CALLS


def test_a_poll_that_hangs_for_ever_does_not_hold_up_others() -> None:
    triggerer = wait_for(
        lambda job_id, now: (inf if job_id.startswith("lost") else LATENCY, status(job_id, "done")),
        [*names(60, "lost-"), *names(60, "good-")],
        [plan(first=60.0)] * 60 + [plan(first=61.0)] * 60,
        1000,
    )

    assert len(triggerer.wait_ends) == 60
    assert max(triggerer.wait_ends.values()) <= 61 + 2 * INTERVAL
