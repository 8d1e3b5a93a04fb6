"""How often a key may be used, alone and beside other triggerers."""

from __future__ import annotations

import random
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import RateLimited
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.throttle import FLOOR, RECOVERY, SHRINK, Throttle
from tests.fleet.simulation import Reply, Simulation, Triggerer, plan, status

NOW = 1000.0


def spend(throttle: Throttle, seconds: float, now: float = NOW) -> list[float]:
    """Send as fast as the throttle lets, and return when."""
    sent, until = [], now + seconds
    while now < until:
        if (delay := throttle.delay(now)) > 0:
            now += delay
            continue
        throttle.take(now)
        sent.append(now)
    return sent


def test_without_a_limit_nothing_waits() -> None:
    throttle = Throttle(Rate())
    for _ in range(1000):
        assert throttle.delay(NOW) == 0
        throttle.take(NOW)
        throttle.accepted(NOW)
    throttle.refused(NOW, NOW)
    assert throttle.delay(NOW) == 0
    assert not throttle.is_shrunk


def test_a_burst_goes_at_once_and_the_rest_evenly() -> None:
    sent = spend(Throttle(Rate(2.0, burst=3)), 3.0)
    assert sent == pytest.approx([NOW, NOW, NOW, *(NOW + 0.5 * number for number in range(1, 6))])


def test_rest_earns_no_more_than_the_burst() -> None:
    throttle = Throttle(Rate(2.0, burst=3))
    spend(throttle, 10.0)
    assert [moment - NOW for moment in spend(throttle, 0.4, NOW + 1000)] == [1000.0] * 3


@given(st.floats(0.01, 50), st.integers(1, 50), st.lists(st.floats(0, 30), max_size=20))
def test_no_minute_has_more_than_its_share(per_second: float, burst: int, rests: list[float]) -> None:
    throttle, now, sent = Throttle(Rate(per_second, burst)), NOW, list[float]()
    for rest in rests:
        now += rest
        for _ in range(20):
            now += throttle.delay(now)
            throttle.take(now)
            sent.append(now)
    most = burst + 60 * per_second
    for begin, moment in enumerate(sent):
        in_a_minute = sum(moment <= other < moment + 60 - 1e-6 for other in sent[begin:])
        assert in_a_minute <= most + 1


@pytest.mark.parametrize(
    ("accepted", "rate"),
    [
        (150, SHRINK * 150 / 60),
        (240, SHRINK * 240 / 60),
        # At most by half at once: the rate was not what was too high.
        (10, 2.0),
        (0, 2.0),
        # Less than before in any case.
        (300, SHRINK * 4.0),
    ],
)
def test_after_a_429_a_key_uses_less_than_what_was_accepted(accepted: int, rate: float) -> None:
    throttle = Throttle(Rate(4.0, burst=10))
    for number in range(accepted):
        throttle.accepted(NOW + 59 * number / max(accepted, 1))
    throttle.refused(NOW + 60, NOW + 60)

    assert throttle.per_second(NOW + 60) == pytest.approx(rate)
    # And sends no bursts.
    sent = spend(throttle, 10.0, NOW + 60)
    assert min(later - earlier for earlier, later in pairwise(sent)) >= 0.9 / 4.0


def test_all_that_was_in_flight_at_a_429_counts_once() -> None:
    throttle = Throttle(Rate(4.0))
    for number in range(5):
        throttle.refused(NOW - 1, NOW + number / 10)
    assert throttle.per_second(NOW + 1) == pytest.approx(2.0, abs=0.01)
    throttle.refused(NOW + 1, NOW + 2)
    assert throttle.per_second(NOW + 2) == pytest.approx(1.0, abs=0.01)


def test_a_rate_shrinks_no_further_than_a_small_share_and_recovers_to_the_limit() -> None:
    throttle = Throttle(Rate(4.0))
    for number in range(20):
        throttle.refused(NOW + number, NOW + number)
    now = NOW + 19
    assert throttle.per_second(now) == pytest.approx(4.0 * FLOOR)
    assert throttle.per_second(now + RECOVERY / 2) == pytest.approx(4.0 * (FLOOR + 0.5))
    assert throttle.is_shrunk
    assert throttle.per_second(now + RECOVERY) == 4.0
    assert not throttle.is_shrunk


class Limited:
    """A vendor that accepts 300 requests in any 60 s, or in each minute, and names no time."""

    def __init__(self, seed: int, each_minute: bool) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.each_minute = each_minute
        self.recent: deque[float] = deque()
        self.accepted: list[float] = []
        self.refused: list[float] = []

    def answer(self, job_id: str, now: float) -> Reply:
        begin = now // 60 * 60 if self.each_minute else now - 60
        while self.recent and self.recent[0] <= begin:
            self.recent.popleft()
        delay = self.chance.uniform(0.05, 0.3)
        if len(self.recent) >= 300:
            self.refused.append(now)
            return delay, RateLimited("wants fewer calls", vendor="toy", status=429)
        self.recent.append(now)
        self.accepted.append(now)
        return delay, status(job_id)


def two_triggerers(seed: int, each_minute: bool, hours: float) -> tuple[float, float, float]:
    """
    Let two triggerers wait for 1,000 jobs each, and know nothing of each other.

    :return: from the third minute on, the share of requests that were refused, the share of the limit that
        was used, and the longest time in which a job was not polled, in fair shares.
    """
    vendor = Limited(seed, each_minute)
    simulation = Simulation(vendor.answer)
    triggerers = [simulation.triggerer(Rate(4.5, 10)) for _ in range(2)]
    for triggerer in triggerers:
        for number in range(1000):
            simulation.wait(triggerer, [f"job-{number}"], plan(60.0, vendor.chance.uniform(5, 65), 1e6))
    simulation.run(hours * 3600)
    refused = sum(at > 180 for at in vendor.refused)
    accepted = sum(at > 180 for at in vendor.accepted)
    longest = max(_longest_gap(triggerer, 180) for triggerer in triggerers)
    return refused / (refused + accepted), accepted / (hours * 3600 - 180) / 5, longest / (2000 / 5)


def _longest_gap(triggerer: Triggerer, since: float) -> float:
    last: dict[str, float] = {}
    longest = 0.0
    for at, job_id in triggerer.polls:
        if at > since:
            longest = max(longest, at - max(last.get(job_id, since), since))
            last[job_id] = at
    return longest


@pytest.mark.parametrize("each_minute", [False, True], ids=["any 60 s", "each minute"])
def test_two_triggerers_share_a_limit_that_neither_knows(each_minute: bool) -> None:
    refused, used, longest = two_triggerers(1, each_minute, hours=0.5)

    assert refused <= 0.01
    assert used >= 0.9
    assert longest <= 1.5


def test_a_triggerer_that_is_alone_again_uses_the_whole_rate_after_a_while() -> None:
    vendor = Limited(1, each_minute=False)
    simulation = Simulation(vendor.answer)
    alone, leaves = (simulation.triggerer(Rate(4.5, 10)) for _ in range(2))
    waits = []
    for number in range(300):
        for triggerer in (alone, leaves):
            wait_id = simulation.wait(triggerer, [f"job-{number}"], plan(60.0, 5 + number / 5, 1e6))
            waits += [wait_id]
    simulation.at(900, lambda: [leaves.scheduler.leave(wait_id) for wait_id in waits])
    simulation.run(900 + RECOVERY)

    assert sum(at > RECOVERY for at, _ in alone.polls) / 900 >= 0.95 * 4.5
