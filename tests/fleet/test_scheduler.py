"""One poll for all waits of a job, limits of a key, refusals, faults, and the end of a wait."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import AccessDenied, RateLimited, SettingsError, TransportError
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
    ends_at,
    names,
    plan,
    rate_limited,
    spread_plans,
    status,
    wait_for,
)

INTERVAL = 60.0
AWAY = TransportError("cannot be read", vendor="Airflow")
DENIED = AccessDenied("no", vendor="toy", status=401)


def test_all_waits_for_a_job_share_its_polls_and_are_told_by_the_same_answer() -> None:
    # Deferred at different times: their grids would not meet.
    found = wait_for(ends_at(330.0), ["job"] * 20, (plan(first=INTERVAL + 1.7 * n) for n in range(20)))

    assert len(found.polls) == 6
    assert len(set(found.wait_ends.values())) == 1
    assert found.outcomes() == {OutcomeKind.FINISHED}


def test_no_wait_ends_in_its_first_seconds() -> None:
    found = wait_for(ends_at(0.0), ["job"] * 2, [plan(first=1.0), plan(10.0, MIN_DEFERRAL)])

    assert found.wait_ends[0] == pytest.approx(1.0, abs=0.5)
    assert found.wait_ends[1] >= MIN_DEFERRAL


@pytest.mark.parametrize("joins", ["before", "after"])
def test_a_cancelled_wait_leaves_its_poll_to_the_others(joins: str) -> None:
    simulation = Simulation(ends_at(0.0, delay=5.0))
    triggerer = simulation.triggerer()
    first = simulation.wait(triggerer, ["job"], plan(first=10.0))
    if joins == "before":
        simulation.wait(triggerer, ["job"], plan(first=10.0))
    simulation.at(11.0, lambda: triggerer.scheduler.leave(first))
    if joins == "after":
        simulation.at(12.0, lambda: simulation.wait(triggerer, ["job"], plan(first=12.0)))
    simulation.run()

    assert len(triggerer.polls) == 1
    assert len(triggerer.wait_ends) == 1
    assert first not in triggerer.wait_ends


def test_nothing_is_kept_when_the_last_wait_has_gone() -> None:
    found = wait_for(ends_at(100.0), names(100), plan())

    assert found.scheduler.wake_at == inf
    assert found.session.key.concurrency.in_flight == 0


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

    outcomes = {each.job_id: each.event and each.event.outcome for each in triggerer.pollers[wait_id]}
    assert outcomes == dict.fromkeys(ended, OutcomeKind.FINISHED) | dict.fromkeys(left, OutcomeKind.LEFT)
    assert list(triggerer.wait_ends) == [wait_id]


@pytest.mark.parametrize("job_ids", [[], ["job", "job"]])
def test_a_wait_for_no_job_is_over_at_once_and_one_for_the_same_job_twice_polls_it_once(
    job_ids: list[str],
) -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer()
    wait_id = simulation.wait(triggerer, job_ids, plan())
    simulation.run()

    polled = len(set(job_ids))
    assert [wait_id] == list(triggerer.wait_ends)
    assert (len(triggerer.polls), len(triggerer.lookups)) == (polled, polled)
    assert all(each.event is not None for each in triggerer.pollers[wait_id])


# -- limits of a key


def test_retry_after_stops_the_whole_key_and_no_wait_counts_it_as_an_outage() -> None:
    def answer(job_id: str, now: float) -> Reply:
        if job_id == "limited" and now < 100:
            return LATENCY, rate_limited(4000.0)
        return LATENCY, status(job_id, "done" if now > 3000 else "running")

    found = wait_for(answer, ["limited", *names(20)], plan(max_outage=600.0))

    [first, *others] = sorted(at for at, job_id in found.polls if at > 61)
    assert first >= 60 + 4000
    assert len(others) == 20
    assert found.outcomes() == {OutcomeKind.FINISHED}


def test_a_job_alone_that_gets_a_429_again_and_again_delays_the_others_once() -> None:
    def answer(job_id: str, now: float) -> Reply:
        limited = job_id == "limited"
        return LATENCY, rate_limited(1000.0) if limited else status(
            job_id, "done" if now > 5000 else "running"
        )

    found = wait_for(answer, ["limited", *names(20)], plan())

    assert found.outcomes() == {OutcomeKind.FINISHED, OutcomeKind.TIMED_OUT}
    assert max(at for job_id, at in found.ended_at().items() if job_id != "limited") <= 5000 + 2 * INTERVAL
    for job_id in names(20):
        polls = [at for at, polled in found.polls if polled == job_id]
        assert max(later - earlier for earlier, later in pairwise(polls)) <= 1000 + 2 * INTERVAL
        # Between the second 429 and the end, each at its own times.
        assert sum(1200 < at < 5000 for at in polls) >= 60
    # And its own polls wait as long as the vendor asks for.
    own = [at for at, polled in found.polls if polled == "limited"]
    assert all(later - earlier >= 1000 for earlier, later in pairwise(own))


def test_a_429_that_also_meets_other_jobs_stops_the_key_each_time() -> None:
    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, rate_limited(1000.0) if now % 2000 < 1000 else status(job_id)

    found = wait_for(answer, names(20), spread_plans(20), 7000)

    assert sum(at % 2000 < 1000 for at, _ in found.polls) <= 5


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
        "connection 'toy_default': 60 jobs are waited for, and the rate limit is 0.5 requests a second: each "
        "is polled every 120 s instead of every 10 s"
    ]


@pytest.mark.parametrize(("rate", "jobs"), [(Rate(1.0, burst=1), 20), (Rate(), FIRST_CALLS)])
def test_connections_with_the_same_key_share_its_rate_and_see_the_room_that_others_make(
    rate: Rate, jobs: int
) -> None:
    simulation, key = Simulation(ends_at(0.0)), KeyState(rate)
    triggerers = [simulation.triggerer(key=key, conn_id=name) for name in ("one", "two")]
    for triggerer in triggerers:
        for job_id in names(jobs):
            simulation.wait(triggerer, [job_id], plan(first=10.0))
    simulation.run()

    polls = sorted(at for triggerer in triggerers for at, _ in triggerer.polls)
    assert len(polls) == 2 * jobs
    if rate.per_second is None:
        assert max(at for triggerer in triggerers for at in triggerer.wait_ends.values()) < 11
    else:
        assert min(later - earlier for earlier, later in pairwise(polls)) > 0.9


def test_a_connection_that_is_closed_gives_its_room_back() -> None:
    found = wait_for(ends_at(0.0, delay=inf), names(5), plan(first=10.0), until=20)
    assert found.session.key.concurrency.in_flight == 5

    found.scheduler.close()
    assert found.session.key.concurrency.in_flight == 0


def test_a_spent_licence_is_told_to_every_wait_and_asked_twice_in_all() -> None:
    spent = RateLimited("has no calls left", vendor="toy", status=429)
    spent.spent = True
    specs = (plan(first=10.0 + number / 10) for number in range(100))
    found = wait_for(lambda job_id, now: (LATENCY, spent), names(100), specs)

    assert found.outcomes() == {OutcomeKind.REFUSED}
    assert len(found.polls) <= 4


# -- refusals


def test_a_refused_key_is_tried_by_one_job_for_all() -> None:
    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, DENIED if 100 <= now < 500 else status(job_id, "done" if now > 900 else "running")

    found = wait_for(answer, names(40), spread_plans(40), loads=lambda attempt: 0.0)

    assert found.outcomes() == {OutcomeKind.FINISHED}
    refused = [at for at, _ in found.polls if 105 <= at < 500]
    assert len(refused) <= 7
    assert all(later - earlier >= 59.9 for earlier, later in pairwise(refused))
    # And the connection is read again meanwhile, every half minute.
    assert 10 <= sum(100 < at < 500 for at in found.lookups) <= 15


def test_a_key_that_stays_refused_ends_every_wait_when_the_grace_is_over() -> None:
    found = wait_for(
        lambda job_id, now: (LATENCY, DENIED if now >= 100 else status(job_id)),
        names(40),
        spread_plans(40),
        loads=lambda attempt: 0.0,
    )

    assert found.outcomes() == {OutcomeKind.REFUSED}
    assert 699 <= min(found.wait_ends.values()) <= max(found.wait_ends.values()) <= 800
    assert sum(at > 105 for at, _ in found.polls) <= 15


def test_a_wait_that_began_after_the_last_refusal_is_polled_at_once() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer()
    for at in (190.0, 199.0):
        triggerer.session.refusals.asks("another")
        triggerer.session.refusals.observe("another", DENIED, at)
    simulation.now = 200.0
    simulation.wait(triggerer, ["job"], replace(plan(first=230.0), started_at=200.0))
    simulation.run(240)

    assert [job_id for _, job_id in triggerer.polls] == ["job"]
    assert triggerer.outcomes() == {OutcomeKind.FINISHED}


def test_a_connection_that_is_closed_lets_others_find_out_whether_their_key_works_again() -> None:
    def answer(job_id: str, now: float) -> Reply:
        refused = 100 <= now < 400
        return inf if job_id == "a" and now > 101 else LATENCY, DENIED if refused else status(job_id)

    simulation = Simulation(answer)
    closed, other = simulation.triggerer(conn_id="closed"), simulation.triggerer(conn_id="other")
    closed.session = other.session
    wait = simulation.wait(closed, ["a"], plan(first=100.0))
    simulation.wait(other, ["b"], plan())
    simulation.at(105.0, lambda: (closed.scheduler.leave(wait), closed.scheduler.close()))
    simulation.run(1000)

    assert [round(at) for at, _ in closed.polls] == [100, 101]
    assert other.job_ends == {}
    assert sum(at >= 500 for at, _ in other.polls) >= 8


FORBIDDEN = AccessDenied("not this one", vendor="toy", status=403)


@pytest.mark.parametrize("jobs", [1, 60])
@pytest.mark.parametrize("close", [False, True])
def test_a_refusal_of_a_job_is_forgotten_with_its_last_wait(jobs: int, close: bool) -> None:
    simulation = Simulation(lambda job_id, now: (LATENCY, FORBIDDEN if job_id == "x" else status(job_id)))
    triggerer = simulation.triggerer(loads=lambda attempt: 0.3)
    wait = simulation.wait(triggerer, ["x", *names(jobs - 1)], plan())

    def leave() -> None:
        # The connection is being read, because of the refusal.
        assert triggerer.session.refusals.active
        assert triggerer.scheduler.session is None
        triggerer.scheduler.leave(wait)
        if close:
            triggerer.scheduler.close()
            assert not triggerer.session.refusals.active

    simulation.at(60.0 + 0.3 + LATENCY + 0.05, leave)
    simulation.run(200)

    assert triggerer.lookups
    assert not triggerer.session.refusals.active


@pytest.mark.parametrize("delay", [LATENCY, 660.0])
def test_a_refusal_by_former_settings_is_forgotten_with_them(delay: float) -> None:
    def answer(job_id: str, now: float) -> Reply:
        return (delay, FORBIDDEN) if job_id == "x" and now < 120 else (LATENCY, status(job_id))

    simulation, sessions = Simulation(answer), list[Any]()
    triggerer = simulation.triggerer(loads=lambda attempt: sessions[min(attempt, 2) - 1])
    former, later = triggerer.session, simulation.triggerer().session
    sessions += [former, later]
    for job_id in ("x", "y"):
        simulation.wait(triggerer, [job_id], plan())
    simulation.run(1000)

    assert triggerer.scheduler.session is later
    assert former.refusals.last_at > 60
    assert not former.refusals.active
    assert not later.refusals.active


def test_a_malformed_id_ends_its_waits_without_a_poll_and_no_other() -> None:
    class Strict(FakeVendor):
        def parse_job_id(self, job_id: str) -> str:
            if job_id == "malformed":
                raise SettingsError("no job id")
            return job_id

    found = wait_for(ends_at(0.0), ["malformed", "good", "malformed"], plan(), vendor=Strict())

    assert [job_id for _, job_id in found.polls] == ["good"]
    assert [found.job_ends[0, "malformed"][1].outcome, found.job_ends[2, "malformed"][1].outcome] == [
        OutcomeKind.BAD_SETTINGS
    ] * 2
    assert found.job_ends[1, "good"][1].outcome is OutcomeKind.FINISHED


# -- the connection


def test_a_connection_that_leads_to_another_account_ends_its_waits_and_no_other() -> None:
    simulation, sessions = Simulation(ends_at(1000.0)), list[Any]()
    triggerer = simulation.triggerer(loads=lambda attempt: sessions[min(attempt, 2) - 1])
    another = simulation.triggerer(vendor=FakeVendor(account_digest="another"))
    sessions += [triggerer.session, another.session]
    bound = simulation.wait(triggerer, ["a", "b"], plan(account="account"))
    free = simulation.wait(triggerer, ["a"], plan())
    simulation.run()

    outcomes = {wait: triggerer.pollers[wait][0].event.outcome for wait in (bound, free)}  # type: ignore[union-attr]
    assert outcomes == {bound: OutcomeKind.BAD_SETTINGS, free: OutcomeKind.FINISHED}


@pytest.mark.parametrize(
    ("found", "outcome", "text", "ends"),
    [
        (AWAY, OutcomeKind.GAVE_UP, "cannot be read", (600, 900)),
        (inf, OutcomeKind.GAVE_UP, "cannot be read", (600, 900)),
        (SettingsError("bad"), OutcomeKind.BAD_SETTINGS, "bad", (60, 61)),
    ],
)
def test_a_connection_that_stays_away_ends_the_wait_as_an_outage_and_an_unusable_one_at_once(
    found: Any, outcome: OutcomeKind, text: str, ends: tuple[float, float]
) -> None:
    triggerer = wait_for(ends_at(0.0), ["job"], plan(max_outage=600.0), loads=lambda attempt: found)

    assert triggerer.polls == []
    [(at, event)] = triggerer.job_ends.values()
    assert event.outcome is outcome
    assert text in event.message
    assert ends[0] <= at <= ends[1]


def test_a_lookup_that_is_lost_is_abandoned_and_started_anew() -> None:
    found = wait_for(ends_at(0.0), ["job"], plan(), loads=lambda attempt: inf if attempt == 1 else LATENCY)

    assert found.outcomes() == {OutcomeKind.FINISHED}
    assert len(found.lookups) == 2
    assert found.wait_ends[0] <= 60 + 60 + 60 + 1


def test_a_job_whose_turn_comes_before_it_was_placed_by_new_settings_is_placed_first() -> None:
    # The last to join are due first, and all are when the connection has been read.
    specs = [plan(first=60.0 - number / 10) for number in range(200)]
    found = wait_for(ends_at(0.0), names(200), specs, loads=lambda attempt: 30.0)

    assert found.outcomes() == {OutcomeKind.FINISHED}


@pytest.mark.parametrize("later", [inf, AWAY])
def test_settings_that_work_are_used_while_a_later_lookup_is_lost_or_fails(later: Any) -> None:
    found = wait_for(
        ends_at(inf), ["job"], plan(10.0), 3600, loads=lambda attempt: later if attempt > 1 else LATENCY
    )

    polls = [at for at, _ in found.polls]
    assert max(later - earlier for earlier, later in pairwise(polls)) <= 20
    # A lost one is abandoned after a minute, and the next begins a minute later.
    lookups = found.lookups[1:]
    assert 18 <= len(lookups) <= (27 if later is inf else 55)
    assert all(each - before >= (110 if later is inf else 59) for before, each in pairwise(lookups))


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
    assert triggerer.session.key.concurrency.in_flight == 0


@pytest.mark.parametrize("trouble", ["vendor", "connection"])
def test_a_wait_that_fails_whenever_it_is_told_something_does_not_hold_up_the_others(trouble: str) -> None:
    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, AWAY if now < 300 else status(job_id, "done")

    simulation = Simulation(answer)
    triggerer = simulation.triggerer(
        loads=(lambda attempt: AWAY if simulation.now < 300 else LATENCY) if trouble == "connection" else None
    )
    odd = [simulation.wait(triggerer, ["odd"], plan(max_outage="long")) for _ in range(2)]
    for number in range(150):
        simulation.wait(triggerer, [f"job-{number}"], plan(INTERVAL, 10.0))
    simulation.run()

    assert set(triggerer.faults) == set(odd)
    assert len(triggerer.wait_ends) == 150
    assert triggerer.outcomes() == {OutcomeKind.FINISHED}


def test_a_fault_of_the_scheduler_ends_every_wait() -> None:
    simulation = Simulation(ends_at(0.0))
    triggerer = simulation.triggerer()
    waits = [simulation.wait(triggerer, [f"job-{number}"], plan()) for number in range(100)]
    triggerer.scheduler.fail(ZeroDivisionError())
    simulation.run()

    assert set(triggerer.faults) == set(waits)
    assert triggerer.scheduler.wake_at == inf


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
    another = simulation.triggerer(vendor=FakeVendor(account_digest="another"))
    sessions: list[Any] = [triggerer.session, another.session]
    simulation.wait(triggerer, ["job"], plan())
    simulation.run(120)
    simulation.wait(triggerer, ["new"], plan(first=130.0, account="another"))
    simulation.run(200)

    assert triggerer.lookups == [60.0, 130.0]
    assert [job_id for at, job_id in triggerer.polls if at > 125] == ["new", "job", "new"]
    assert triggerer.job_ends == {}


def test_until_a_changed_connection_can_be_read_such_a_wait_bears_an_outage() -> None:
    simulation = Simulation(ends_at(inf))
    triggerer = simulation.triggerer(loads=lambda attempt: AWAY if attempt > 1 else LATENCY)
    simulation.wait(triggerer, ["job"], plan(deadline=10_000.0))
    simulation.run(120)
    new = simulation.wait(triggerer, ["new"], plan(first=130.0, account="another", max_outage=600.0))
    simulation.run(2000)

    assert {job_id for _, job_id in triggerer.polls} == {"job"}
    assert triggerer.job_ends[new, "new"][1].outcome is OutcomeKind.GAVE_UP
    assert "is read again" in triggerer.job_ends[new, "new"][1].message
