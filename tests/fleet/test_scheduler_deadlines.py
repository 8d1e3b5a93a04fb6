"""Deadlines have a place of their own: a wait ends in time, whatever the queue."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from airflow_provider_jobstatus.core.errors import TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import Listing
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.spec import LAST_POLL_PATIENCE as PATIENCE
from tests.fleet.simulation import (
    LATENCY,
    Reply,
    Simulation,
    ends_at,
    names,
    plan,
    rate_limited,
    spread_plans,
    status,
    wait_for,
)
from tests.fleet.test_scheduler_lists import Vendor, waits_for

INTERVAL = 60.0


def running(job_id: str, now: float) -> Reply:
    return LATENCY, status(job_id)


@pytest.mark.parametrize("waits", [100, 5000])
def test_a_deadline_comes_before_a_long_queue_and_its_last_poll_counts(waits: int) -> None:
    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, status(job_id, "done" if job_id == "short" and now >= 30 else "running")

    simulation = Simulation(answer)
    triggerer = simulation.triggerer(Rate(4.5, 10))
    simulation.wait(triggerer, [f"job-{number}" for number in range(waits)], plan(1.0, 6.0, 1e6))
    short = simulation.wait(triggerer, ["short"], plan(INTERVAL, 60.0, 120.0))
    simulation.run(300)

    assert triggerer.wait_ends[short] <= 121
    assert triggerer.outcomes() == {OutcomeKind.FINISHED}


@pytest.mark.parametrize("per_second", [5 / 3600, 0.0001, 0.05])
def test_a_wait_ends_at_most_a_minute_after_its_deadline_where_its_rate_allows_no_poll(
    per_second: float,
) -> None:
    triggerer = wait_for(running, names(6), plan(INTERVAL, 30.0, 120.0), rate=Rate(per_second, 2))

    assert triggerer.outcomes() == {OutcomeKind.TIMED_OUT}
    assert all(120 <= at <= 120 + PATIENCE + 1 for at in triggerer.wait_ends.values())
    polls = [at for at, _ in triggerer.polls]
    assert len(polls) <= 2 + per_second * 180 + 1
    messages = [event.message for _, event in triggerer.job_ends.values()]
    assert any("toy (connection 'toy_default'): was not asked in time" in message for message in messages)


def test_many_waits_with_one_deadline_end_in_time() -> None:
    triggerer = wait_for(running, names(2000), plan(INTERVAL, 30.0, 600.0), rate=Rate(4.5, 10))

    assert triggerer.outcomes() == {OutcomeKind.TIMED_OUT}
    assert max(triggerer.wait_ends.values()) <= 600 + PATIENCE + 1
    # As many had their last poll as the rate allows.
    assert sum(at >= 600 for at, _ in triggerer.polls) >= 4.5 * PATIENCE - 1


@pytest.mark.parametrize(
    "reply", [(inf, Listing({})), (120.0, TransportError("took too long", vendor="toy"))]
)
def test_a_list_that_drips_delays_no_deadline(reply: tuple[float, Listing | VendorError]) -> None:
    specs = spread_plans(12, 20.0, 50.0)
    triggerer = wait_for(ends_at(0.0), names(12, "l/j"), specs, 1000, lambda name, now: reply)

    assert triggerer.outcomes() == {OutcomeKind.FINISHED}
    assert max(triggerer.wait_ends.values()) <= 51


def test_a_job_that_a_list_serves_is_polled_itself_at_a_deadline() -> None:
    vendor = Vendor(40, dict.fromkeys(range(40), 890.0), lag=inf)
    simulation, triggerer = waits_for(vendor, INTERVAL, 900.0)
    simulation.run()

    assert triggerer.outcomes() == {OutcomeKind.FINISHED}
    assert max(triggerer.wait_ends.values()) <= 902


def test_a_stop_of_the_key_ends_a_wait_at_its_deadline_and_says_so() -> None:
    limited, specs = rate_limited(3000.0), (plan(INTERVAL, 10.0 + number, 600.0) for number in range(10))
    triggerer = wait_for(lambda job_id, now: (LATENCY, limited), names(10), specs)

    assert len(triggerer.polls) == 1
    assert triggerer.outcomes() == {OutcomeKind.TIMED_OUT}
    assert all(600 <= at <= 601 for at in triggerer.wait_ends.values())
    assert all("wants no calls" in event.message for _, event in triggerer.job_ends.values())


def test_a_stop_of_the_key_is_also_said_of_a_wait_whose_turn_does_not_come() -> None:
    vendor, limited = Vendor(40, {0: 600.0}), rate_limited(3000.0)
    well, said = vendor.answer, vendor.listing
    vendor.answer = lambda job_id, now: (  # type: ignore[method-assign]
        (LATENCY, limited) if now >= 600 else well(job_id, now)
    )
    # The list shows an end after the key was stopped, and the poll that confirms it comes first.
    vendor.listing = lambda name, now: (1.0, said(name, now)[1])  # type: ignore[method-assign]
    simulation, triggerer = waits_for(vendor)
    wait = simulation.wait(triggerer, ["/j40"], plan(500.0, 60.0, 700.0))
    simulation.run(1000)

    assert 760 <= triggerer.wait_ends[wait] <= 761
    assert "wants no calls" in triggerer.job_ends[wait, "/j40"][1].message


def test_deadlines_are_met_while_the_connection_cannot_be_read() -> None:
    triggerer = wait_for(running, names(10), plan(INTERVAL, 10.0, 300.0), loads=lambda attempt: inf)

    assert triggerer.outcomes() == {OutcomeKind.TIMED_OUT}
    assert max(triggerer.wait_ends.values()) <= 300 + PATIENCE + 1


def test_a_poll_that_is_in_flight_at_the_deadline_counts() -> None:
    triggerer = wait_for(ends_at(0.0, delay=100.0), ["job"], plan(INTERVAL, 590.0, 600.0))

    assert triggerer.outcomes() == {OutcomeKind.FINISHED}
    assert triggerer.wait_ends[0] == pytest.approx(690, abs=1)


def test_a_wait_that_joins_after_its_deadline_has_one_last_poll() -> None:
    simulation = Simulation(
        lambda job_id, now: (LATENCY, status(job_id, "done" if job_id == "a" else "running"))
    )
    triggerer = simulation.triggerer()
    simulation.now = 5000.0
    simulation.wait(triggerer, ["a", "b"], plan(deadline=600.0))
    simulation.run()

    assert sorted(job_id for _, job_id in triggerer.polls) == ["a", "b"]
    assert triggerer.outcomes() == {OutcomeKind.FINISHED, OutcomeKind.TIMED_OUT}
    assert triggerer.wait_ends[0] < 5002


def test_each_of_several_waits_for_a_job_ends_at_its_own_deadline() -> None:
    triggerer = wait_for(running, ["job"] * 7, (plan(deadline=100.0 * n) for n in range(3, 10)))

    assert [round(triggerer.wait_ends[n]) for n in range(7)] == [100 * n for n in range(3, 10)]


@pytest.mark.parametrize("more", [0, 200])
def test_a_large_wait_that_is_cancelled_at_its_deadline_ends_no_other(more: int) -> None:
    simulation = Simulation(
        lambda job_id, now: (LATENCY, status(job_id, "done" if now > 1000 else "running"))
    )
    triggerer = simulation.triggerer()
    large = simulation.wait(triggerer, [f"job-{n}" for n in range(200)], plan(deadline=600.0))
    for number in range(more):
        simulation.wait(triggerer, [f"job-{number}"], plan())
    simulation.at(600.0, lambda: triggerer.scheduler.leave(large))
    simulation.run()

    assert len(triggerer.wait_ends) == more
    assert triggerer.outcomes() <= {OutcomeKind.FINISHED}


@pytest.mark.parametrize("job_ids", [["job"], ["job", "job"]])
def test_no_poll_at_a_deadline_comes_before_the_vendor_wants_it_and_the_wait_ends_once(
    job_ids: list[str],
) -> None:
    simulation = Simulation(lambda job_id, now: (LATENCY, replace(status(job_id), retry_after=1000.0)))
    triggerer = simulation.triggerer()
    wait = simulation.wait(triggerer, job_ids, plan(deadline=600.0, fail_fast=True))
    simulation.run()

    assert len(triggerer.polls) == 1
    assert 600 <= triggerer.wait_ends[wait] <= 601
