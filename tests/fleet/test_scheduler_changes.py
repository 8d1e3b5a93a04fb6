"""Waits that leave in the middle of work, connections that change, and hooks that fail: the others go on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from airflow_provider_jobstatus.core.errors import AccessDenied
from airflow_provider_jobstatus.core.jobs import JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.throttle import Throttle
from tests.fleet.simulation import (
    LATENCY,
    FakeVendor,
    Reply,
    Simulation,
    Triggerer,
    names,
    plan,
    spread_plans,
    status,
)


def frozen(count: int) -> Listing:
    return Listing({name: Listed("running") for name in names(count, "j")}, 1)


class CountingSimulation(Simulation):
    """One in which ``next`` is not called without end."""

    turns = 0

    def _turn(self, of: Triggerer) -> None:
        self.turns += 1
        assert self.turns < 5000, "the scheduler has nothing to do, and is called again and again"
        super()._turn(of)


class LeavingSimulation(CountingSimulation):
    """The wait whose job was polled last leaves between two slices of the work for a list that is dropped."""

    left: str | None = None

    def _turn(self, of: Triggerer) -> None:
        super()._turn(of)
        if of.warnings and self.left is None:
            running = {pollers[0].job_id: wait for wait, pollers in of.pollers.items()}
            ended = {job_id for _, job_id in of.job_ends}
            settled = [job_id for at, job_id in of.polls if at < self.now - 1 and job_id not in ended]
            self.left = settled[-1]
            of.scheduler.leave(running[self.left])


def test_a_wait_that_leaves_while_its_list_is_dropped_does_not_keep_the_others_from_their_polls() -> None:
    ids = names(90, "l/j")

    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, status(job_id, "done" if now >= 300 and int(job_id[3:]) % 9 == 0 else "running")

    simulation = LeavingSimulation(answer, lambda _, now: (LATENCY, frozen(90)))
    triggerer = simulation.triggerer()
    for job_id, each in zip(ids, spread_plans(90, 60.0, 7200.0), strict=True):
        simulation.wait(triggerer, [job_id], each)

    simulation.run(900)

    assert simulation.left is not None
    ends = triggerer.ended_at()
    assert {job_id for job_id in ids if int(job_id[3:]) % 9 == 0} - {simulation.left} <= set(ends)
    dropped_at = triggerer.warnings[0][0]
    polled = {job_id for at, job_id in triggerer.polls if at > dropped_at}
    assert set(ids) - set(ends) - {simulation.left} <= polled


def test_the_waits_of_a_stale_list_may_leave_while_it_is_read() -> None:
    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, status(job_id, "queued" if job_id != "alone" and now >= 61 else "running")

    readings: list[float] = []

    def listing(_: str, now: float) -> tuple[float, Listing]:
        readings.append(now)
        if len(readings) == 4:
            simulation.at(now + 1, lambda: triggerer.scheduler.leave(wait))
        return 2.0, frozen(9)

    simulation = Simulation(answer, listing)
    triggerer = simulation.triggerer()
    wait = simulation.wait(triggerer, names(9, "l/j"), plan(60.0, 60.0))
    simulation.wait(triggerer, ["alone"], plan(60.0, 90.0))

    simulation.run(1500)

    assert len(readings) == 4
    assert [at for at, job_id in triggerer.polls if job_id == "alone"][-1] > 1400
    assert triggerer.faults == {}


def test_a_lookup_that_hangs_holds_no_wait_when_one_of_another_account_joins() -> None:
    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, status(job_id, "done" if now >= 640 else "running")

    simulation = CountingSimulation(answer)
    triggerer = simulation.triggerer(loads=lambda attempt: LATENCY if attempt == 1 else math.inf)
    for number, job_id in enumerate(names(6)):
        simulation.wait(triggerer, [job_id], plan(12.0, 12.0 + number))
    elsewhere = replace(plan(12.0, 640.0), account="elsewhere")
    simulation.at(630.0, lambda: simulation.wait(triggerer, ["other"], elsewhere))

    simulation.run(700)

    ends = triggerer.ended_at()
    assert all(ends[job_id] <= 640 + 12 + 1 for job_id in names(6))


@dataclass
class PoisonedVendor(FakeVendor):
    """A hook that fails for one job: of its list's entry, or of its id."""

    entry: str = ""
    job_id: str = ""
    seen: list[str] = field(default_factory=list)

    def listed_status(self, job_id: str, listed: Listed) -> JobStatus:
        if job_id == self.entry:
            raise KeyError("no such word")
        return super().listed_status(job_id, listed)

    def parse_job_id(self, job_id: str) -> str:
        if job_id == self.job_id:
            raise ZeroDivisionError("a fault of the hook")
        return super().parse_job_id(job_id)


@pytest.mark.parametrize("count", [12, 70])
def test_an_entry_that_a_hook_cannot_read_has_its_list_left_alone_and_the_jobs_polled(count: int) -> None:
    def answer(job_id: str, now: float) -> Reply:
        return LATENCY, status(job_id, "done" if now >= 400 else "running")

    simulation = Simulation(answer, lambda _, now: (LATENCY, frozen(count)))
    triggerer = simulation.triggerer(vendor=PoisonedVendor(entry="l/j5"))
    for job_id, each in zip(names(count, "l/j"), spread_plans(count, 60.0, 7200.0), strict=True):
        simulation.wait(triggerer, [job_id], each)

    simulation.run(1000)

    assert triggerer.faults == {}
    assert len(triggerer.job_ends) == count
    assert max(triggerer.ended_at().values()) <= 400 + 2 * 60
    assert triggerer.warnings[0][1].endswith("the list 'l' is not used for a while: KeyError")


def test_an_id_at_which_a_hook_fails_ends_its_own_wait_alone() -> None:
    simulation = Simulation(lambda job_id, _: (LATENCY, status(job_id, "done")))
    triggerer = simulation.triggerer(vendor=PoisonedVendor(job_id="odd"))
    for job_id in ("even", "odd"):
        simulation.wait(triggerer, [job_id], plan())

    simulation.run(100)

    ends = {job_id: event for (_, job_id), (_, event) in triggerer.job_ends.items()}
    assert ends["even"].outcome is OutcomeKind.FINISHED
    assert ends["odd"].outcome is OutcomeKind.BAD_SETTINGS
    assert ends["odd"].message.endswith("the connection's hook cannot read this id: ZeroDivisionError")


@pytest.mark.parametrize("pause", [45.0, 500.0])
def test_one_job_that_is_forbidden_for_a_time_again_and_again_holds_no_others(pause: float) -> None:
    def answer(job_id: str, now: float) -> Reply:
        if job_id != "forbidden":
            return LATENCY, status(job_id, "done" if now >= 1500 else "running")
        error = AccessDenied("refused the credentials", vendor="toy", status=403)
        error.retry_after = pause
        return LATENCY, error

    def listing(_: str, now: float) -> tuple[float, Listing]:
        word = "done" if now >= 1500 else "running"
        return LATENCY, Listing({name: Listed(word) for name in names(15, "j")}, 1)

    simulation = Simulation(answer, listing)
    triggerer = simulation.triggerer()
    for job_id, each in zip(names(15, "l/j"), spread_plans(15, 60.0, 7200.0), strict=True):
        simulation.wait(triggerer, [job_id], each)
    simulation.wait(triggerer, ["forbidden"], replace(plan(60.0, 60.0), refusal_grace=3600.0))

    simulation.run(4000)

    ends = triggerer.ended_at()
    # The key is stopped once more at most: by the first refusal after jobs were polled well.
    assert max(ends[job_id] for job_id in names(15, "l/j")) <= 1500 + pause + 2 * 60


def test_a_rate_that_is_raised_holds_from_then_on() -> None:
    throttle = Throttle(Rate(0.001, 10))
    for _ in range(60):
        throttle.take(0.0)
    assert throttle.delay(0.0) > 3600

    throttle.change(Rate(2.0, 10))

    assert throttle.delay(0.0) == 0.0
    throttle.take(0.0)
    throttle.change(Rate(2.0, 10))
    for _ in range(10):
        throttle.take(0.0)
    assert throttle.delay(0.0) == pytest.approx(1.0)


def test_a_fault_in_taking_in_a_list_that_was_read_leaves_its_jobs_to_their_own_polls() -> None:
    simulation = Simulation(lambda job_id, _: (LATENCY, status(job_id)), lambda _, now: (LATENCY, frozen(12)))
    triggerer = simulation.triggerer()
    for job_id, each in zip(names(12, "l/j"), spread_plans(12, 60.0, 7200.0), strict=True):
        simulation.wait(triggerer, [job_id], each)
    simulation.run(200)

    triggerer.scheduler.list_failed("l", simulation.now)
    simulation.run(400)

    assert {job_id for at, job_id in triggerer.polls if at > 200} == set(names(12, "l/j"))
