"""One poll for all waits of a job, limits of a key, refusals, faults, and the end of a wait."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    RateLimited,
    SettingsError,
    TransportError,
)
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.concurrency import FIRST_CALLS
from airflow_provider_jobstatus.waiting.key_state import KeyState
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL
from tests.fleet.simulation import (
    LATENCY,
    FakeVendor,
    Reply,
    Simulation,
    Triggerer,
    plan,
    spread_plans,
    status,
)

INTERVAL = 60.0


def ends_at(moment: float, word: str = "done", delay: float = LATENCY):  # type: ignore[no-untyped-def]
    """Answer that a job runs, and from a moment on that it has ended."""
    return lambda job_id, now: (delay, status(job_id, word if now >= moment else "running"))


def test_all_waits_for_a_job_share_its_polls_and_are_told_by_the_same_answer() -> None:
    simulation = Simulation(ends_at(330.0))
    triggerer = simulation.triggerer()
    for number in range(20):
        # Deferred at different times: their grids would not meet.
        simulation.wait(triggerer, ["job"], plan(INTERVAL, INTERVAL + 1.7 * number))
    simulation.run()

    assert len(triggerer.polls) == 6
    assert len(set(triggerer.wait_ends.values())) == 1
    assert triggerer.outcomes() == {OutcomeKind.FINISHED}


def test_no_wait_ends_in_its_first_seconds() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer()
    old = simulation.wait(triggerer, ["job"], plan(INTERVAL, 1.0))
    young = simulation.wait(triggerer, ["job"], plan(10.0, MIN_DEFERRAL))
    simulation.run()

    assert triggerer.wait_ends[old] == pytest.approx(1.0, abs=0.5)
    assert triggerer.wait_ends[young] >= MIN_DEFERRAL


def test_a_cancelled_wait_leaves_its_poll_to_the_others() -> None:
    simulation = Simulation(ends_at(0.0, delay=5.0))
    triggerer = simulation.triggerer()
    first, second = (simulation.wait(triggerer, ["job"], plan(INTERVAL, 10.0)) for _ in range(2))
    simulation.at(12.0, lambda: triggerer.scheduler.leave(first))
    simulation.run()

    assert len(triggerer.polls) == 1
    assert set(triggerer.wait_ends) == {second}


def test_a_job_that_is_left_in_flight_and_joined_again_is_not_polled_twice_at_once() -> None:
    simulation = Simulation(ends_at(0.0, delay=5.0))
    triggerer = simulation.triggerer()
    first = simulation.wait(triggerer, ["job"], plan(INTERVAL, 10.0))
    simulation.at(11.0, lambda: triggerer.scheduler.leave(first))
    simulation.at(12.0, lambda: simulation.wait(triggerer, ["job"], plan(INTERVAL, 12.0)))
    simulation.run()

    assert len(triggerer.polls) == 1
    assert len(triggerer.wait_ends) == 1


def test_nothing_is_kept_when_the_last_wait_has_gone() -> None:
    simulation = Simulation(ends_at(100.0))
    triggerer = simulation.triggerer()
    for number in range(100):
        simulation.wait(triggerer, [f"job-{number}"], plan())
    simulation.run()

    scheduler = triggerer.scheduler
    assert len(scheduler) == 0
    assert scheduler.wake_at == inf
    assert triggerer.session.key.concurrency.in_flight == 0


@pytest.mark.parametrize(
    ("goal", "ended", "left"),
    [
        ({"wait_for": "any"}, {"good"}, {"bad", "slow"}),
        ({"fail_fast": True}, {"bad"}, {"good", "slow"}),
        ({}, {"good", "bad", "slow"}, set()),
    ],
)
def test_one_job_may_decide_the_wait_for_all(goal: dict[str, Any], ended: set[str], left: set[str]) -> None:
    words = {"good": "done", "bad": "broken", "slow": "done"}
    moments = {"good": 100.0, "bad": 100.0 if goal else 500.0, "slow": 900.0}
    if "fail_fast" in goal:
        moments["good"] = 300.0

    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, status(job_id, words[job_id] if now >= moments[job_id] else "running")

    simulation = Simulation(answer)
    triggerer = simulation.triggerer()
    wait_id = simulation.wait(triggerer, moments, plan(**goal))
    simulation.run()

    outcomes = {each.job_id: each.event.outcome for each in triggerer.pollers[wait_id] if each.event}
    assert {job for job, outcome in outcomes.items() if outcome is OutcomeKind.FINISHED} == ended
    assert {job for job, outcome in outcomes.items() if outcome is OutcomeKind.LEFT} == left
    assert list(triggerer.wait_ends) == [wait_id]


def test_an_empty_wait_is_over_at_once() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer()
    wait_id = simulation.wait(triggerer, [], plan())
    simulation.run()

    assert triggerer.wait_ends == {wait_id: 0.0}
    assert triggerer.lookups == []


def test_a_job_that_stands_twice_in_a_wait_is_polled_once_and_ends_twice() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer()
    wait_id = simulation.wait(triggerer, ["job", "job"], plan())
    simulation.run()

    assert len(triggerer.polls) == 1
    assert [each.event is not None for each in triggerer.pollers[wait_id]] == [True, True]


# -- limits of a key


def test_retry_after_stops_the_whole_key_and_no_wait_counts_it_as_an_outage() -> None:
    def answer(job_id: str, now: float) -> Reply:
        if job_id == "limited" and now < 100:
            error = RateLimited("wants no calls", vendor="toy", status=429)
            error.retry_after = 4000.0
            return LATENCY, error
        return LATENCY, status(job_id, "done" if now > 3000 else "running")

    simulation = Simulation(answer)
    triggerer = simulation.triggerer()
    for job_id in ["limited", *map(str, range(20))]:
        simulation.wait(triggerer, [job_id], plan(INTERVAL, 60.0, 7200.0, max_outage=600.0))
    simulation.run()

    [first, *others] = sorted(at for at, job_id in triggerer.polls if at > 61)
    assert first >= 60 + 4000
    assert len(others) == 20
    assert triggerer.outcomes() == {OutcomeKind.FINISHED}


def test_a_fleet_too_large_for_its_rate_is_served_evenly_and_says_so_once() -> None:
    simulation = Simulation(ends_at(inf))
    triggerer = simulation.triggerer(Rate(0.5, burst=2))
    simulation.wait(triggerer, [f"a-{number}" for number in range(30)], plan(10.0, deadline=1800.0))
    for number in range(30):
        simulation.wait(triggerer, [f"b-{number}"], plan(10.0, deadline=1800.0))
    simulation.run()

    assert triggerer.outcomes() == {OutcomeKind.TIMED_OUT}
    polls = [at for at, _ in triggerer.polls]
    for begin in range(0, 1800, 60):
        assert sum(begin <= at < begin + 60 for at in polls) <= 32
    # 60 jobs at one request in 2 s: each in 120 s.
    turns = Counter(job_id for at, job_id in triggerer.polls if at < 1799)
    assert 13 <= min(turns.values()) <= max(turns.values()) <= 16
    assert [text for _, text in triggerer.warnings] == [
        "connection 'toy_default': 60 jobs are waited for, and the budget is 0.5 requests a second: each is "
        "looked at every 120 s instead of every 10 s"
    ]


def test_connections_with_the_same_key_share_its_rate() -> None:
    simulation = Simulation(ends_at(0.0))
    key = KeyState(Rate(1.0, burst=1))
    triggerers = [simulation.triggerer(key=key, conn_id=name) for name in ("one", "two")]
    for triggerer in triggerers:
        for number in range(20):
            simulation.wait(triggerer, [f"job-{number}"], plan(INTERVAL, 10.0))
    simulation.run()

    polls = sorted(at for triggerer in triggerers for at, _ in triggerer.polls)
    assert len(polls) == 40
    assert min(later - earlier for earlier, later in pairwise(polls)) > 0.9


def test_room_that_others_with_the_same_key_make_is_seen() -> None:
    simulation = Simulation(ends_at(0.0))
    key = KeyState(Rate())
    triggerers = [simulation.triggerer(key=key, conn_id=name) for name in ("one", "two")]
    for triggerer in triggerers:
        for number in range(FIRST_CALLS):
            simulation.wait(triggerer, [f"job-{number}"], plan(INTERVAL, 10.0))
    simulation.run()

    assert max(at for triggerer in triggerers for at in triggerer.wait_ends.values()) < 11


def test_a_connection_that_is_closed_gives_its_room_back() -> None:
    simulation = Simulation(ends_at(0.0, delay=inf))
    triggerer = simulation.triggerer()
    for number in range(5):
        simulation.wait(triggerer, [f"job-{number}"], plan(INTERVAL, 10.0))
    simulation.run(20)
    assert triggerer.session.key.concurrency.in_flight == 5

    triggerer.scheduler.close()
    assert triggerer.session.key.concurrency.in_flight == 0


def test_a_spent_licence_is_told_to_every_wait_and_asked_twice_in_all() -> None:
    def answer(job_id: str, now: float) -> Reply:
        error = RateLimited("has no calls left", vendor="toy", status=429)
        error.spent = True
        return LATENCY, error

    simulation = Simulation(answer)
    triggerer = simulation.triggerer()
    for number in range(100):
        simulation.wait(triggerer, [f"job-{number}"], plan(INTERVAL, 10.0 + number / 10))
    simulation.run()

    assert triggerer.outcomes() == {OutcomeKind.REFUSED}
    assert len(triggerer.polls) <= 4


# -- refusals


def test_a_refused_key_is_tried_by_one_job_for_all() -> None:
    def answer(job_id: str, now: float) -> Reply:
        refused = 100 <= now < 500
        return LATENCY, AccessDenied("no", vendor="toy", status=401) if refused else status(
            job_id, "done" if now > 900 else "running"
        )

    simulation = Simulation(answer)
    triggerer = simulation.triggerer(loads=lambda attempt: 0.0)
    for number, each in enumerate(spread_plans(40)):
        simulation.wait(triggerer, [f"job-{number}"], each)
    simulation.run()

    assert triggerer.outcomes() == {OutcomeKind.FINISHED}
    refused = [at for at, _ in triggerer.polls if 105 <= at < 500]
    assert len(refused) <= 7
    assert all(later - earlier >= 59.9 for earlier, later in pairwise(refused))
    # And the connection is read again meanwhile, every half minute.
    assert 10 <= sum(100 < at < 500 for at in triggerer.lookups) <= 15


def test_a_key_that_stays_refused_ends_every_wait_when_the_grace_is_over() -> None:
    denied = AccessDenied("no", vendor="toy", status=401)
    simulation = Simulation(lambda job_id, now: (LATENCY, denied if now >= 100 else status(job_id)))
    triggerer = simulation.triggerer(loads=lambda attempt: 0.0)
    for number, each in enumerate(spread_plans(40)):
        simulation.wait(triggerer, [f"job-{number}"], each)
    simulation.run()

    assert triggerer.outcomes() == {OutcomeKind.REFUSED}
    assert 699 <= min(triggerer.wait_ends.values()) <= max(triggerer.wait_ends.values()) <= 800
    assert sum(at > 105 for at, _ in triggerer.polls) <= 15


# -- the connection


def test_a_connection_that_leads_to_another_account_ends_its_waits_and_no_other() -> None:
    simulation = Simulation(ends_at(1000.0))
    triggerer = simulation.triggerer(loads=lambda attempt: sessions[min(attempt, 2) - 1])
    sessions = [
        triggerer.session,
        simulation.triggerer(vendor=FakeVendor(account_digest="another")).session,
    ]
    bound = simulation.wait(triggerer, ["a", "b"], plan(account="account"))
    free = simulation.wait(triggerer, ["a"], plan())
    simulation.run()

    outcomes = {wait: triggerer.pollers[wait][0].event.outcome for wait in (bound, free)}  # type: ignore[union-attr]
    assert outcomes == {bound: OutcomeKind.BAD_SETTINGS, free: OutcomeKind.FINISHED}


@pytest.mark.parametrize("error", [TransportError("cannot be read", vendor="Airflow"), None])
def test_a_connection_that_stays_away_ends_the_wait_as_an_outage(error: TransportError | None) -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer(loads=lambda attempt: inf if error is None else error)
    simulation.wait(triggerer, ["job"], plan(max_outage=600.0))
    simulation.run()

    assert triggerer.polls == []
    [(at, event)] = triggerer.job_ends.values()
    assert event.outcome is OutcomeKind.GAVE_UP
    assert "cannot be read" in event.message
    assert 600 <= at <= 900


def test_a_connection_that_cannot_be_used_ends_the_wait() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer(loads=lambda attempt: SettingsError("bad"))
    simulation.wait(triggerer, ["job"], plan())
    simulation.run()

    assert triggerer.outcomes() == {OutcomeKind.BAD_SETTINGS}


def test_a_lookup_that_is_lost_is_abandoned_and_started_anew() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer(loads=lambda attempt: inf if attempt == 1 else LATENCY)
    simulation.wait(triggerer, ["job"], plan())
    simulation.run()

    assert triggerer.outcomes() == {OutcomeKind.FINISHED}
    assert len(triggerer.lookups) == 2
    assert triggerer.wait_ends[0] <= 60 + 60 + 60 + 1


def test_settings_that_work_are_used_while_a_later_lookup_is_lost() -> None:
    simulation = Simulation(ends_at(inf))
    triggerer = simulation.triggerer(loads=lambda attempt: inf if attempt > 1 else LATENCY)
    simulation.wait(triggerer, ["job"], plan(10.0))
    simulation.run(3600)

    polls = [at for at, _ in triggerer.polls]
    assert max(later - earlier for earlier, later in pairwise(polls)) <= 20
    # Abandoned after a minute each, and begun anew a minute later.
    lookups = triggerer.lookups[1:]
    assert 18 <= len(lookups) <= 27
    assert all(later - earlier >= 110 for earlier, later in pairwise(lookups))


# -- faults


def test_a_fault_in_one_poll_ends_the_waits_for_that_job_and_no_other() -> None:
    simulation = Simulation(lambda job_id, now: (inf if job_id == "bad" else LATENCY, status(job_id, "done")))
    triggerer = simulation.triggerer()
    bad = [simulation.wait(triggerer, ["bad"], plan()) for _ in range(2)]
    good = simulation.wait(triggerer, ["good"], plan())
    fault = ZeroDivisionError()
    simulation.at(70, lambda: triggerer.scheduler.poll_failed("bad", fault, simulation.now))
    simulation.run()

    assert triggerer.faults == dict.fromkeys(bad, fault)
    assert list(triggerer.wait_ends) == [good]


@pytest.mark.parametrize("trouble", ["vendor", "connection"])
def test_a_wait_that_fails_whenever_it_is_told_something_does_not_hold_up_the_others(trouble: str) -> None:
    away = TransportError("away", vendor="toy")

    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, away if now < 300 else status(job_id, "done")

    simulation = Simulation(answer)
    lookup: Triggerer
    lookup = simulation.triggerer(
        loads=(lambda attempt: away if simulation.now < 300 else LATENCY) if trouble == "connection" else None
    )
    odd = [simulation.wait(lookup, ["odd"], plan(max_outage="long")) for _ in range(2)]
    for number in range(150):
        simulation.wait(lookup, [f"job-{number}"], plan(INTERVAL, 10.0))
    simulation.run()

    assert set(lookup.faults) == set(odd)
    assert len(lookup.wait_ends) == 150
    assert lookup.outcomes() == {OutcomeKind.FINISHED}


def test_a_fault_of_the_scheduler_ends_every_wait() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer()
    waits = [simulation.wait(triggerer, [f"job-{number}"], plan()) for number in range(100)]
    triggerer.scheduler.fail(ZeroDivisionError())
    simulation.run()

    assert set(triggerer.faults) == set(waits)
    assert len(triggerer.scheduler) == 0


def test_a_poller_that_joins_polls_at_the_points_of_the_others() -> None:
    simulation = Simulation(ends_at(inf))
    triggerer = simulation.triggerer()
    simulation.wait(triggerer, ["job"], plan(INTERVAL, 60.0))
    late = JobPoller("job", plan(INTERVAL, 95.0), 0.0)
    triggerer.scheduler.join(99, late.spec, [late], 0.0)
    simulation.run(200)

    assert late.first_poll_at == 60.0


def test_a_wait_that_began_after_the_connection_was_changed_is_not_held_to_what_was_read_before() -> None:
    simulation = Simulation(ends_at(inf))
    triggerer = simulation.triggerer(loads=lambda attempt: sessions[min(attempt, 2) - 1])
    sessions: list[Any] = [
        triggerer.session,
        simulation.triggerer(vendor=FakeVendor(account_digest="another")).session,
    ]
    simulation.wait(triggerer, ["job"], plan())
    simulation.run(120)
    simulation.wait(triggerer, ["new"], plan(first=130.0, account="another"))
    simulation.run(200)

    assert triggerer.lookups == [60.0, 130.0]
    assert [job_id for at, job_id in triggerer.polls if at > 125] == ["new", "job", "new"]
    assert triggerer.job_ends == {}


def test_until_a_changed_connection_can_be_read_such_a_wait_bears_an_outage() -> None:
    away = TransportError("cannot be read", vendor="Airflow")
    simulation = Simulation(ends_at(inf))
    triggerer = simulation.triggerer(loads=lambda attempt: away if attempt > 1 else LATENCY)
    simulation.wait(triggerer, ["job"], plan(deadline=10_000.0))
    simulation.run(120)
    new = simulation.wait(triggerer, ["new"], plan(first=130.0, account="another", max_outage=600.0))
    simulation.run(2000)

    assert {job_id for _, job_id in triggerer.polls} == {"job"}
    assert triggerer.job_ends[new, "new"][1].outcome is OutcomeKind.GAVE_UP
    assert "is read again" in triggerer.job_ends[new, "new"][1].message
