"""Rounds through all waits of a loop: in slices, each wait in its own log's context, and nothing is left."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_jobstatus.fleet.rounds import PAUSE, SLICE, Rounds
from airflow_provider_jobstatus.fleet.subscription import Subscription
from airflow_provider_jobstatus.fleet.timer import LoopClock
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from airflow_provider_jobstatus.waiting.wait_log import WaitLog
from tests.support.times import Timer

PLAN = WaitSpec(poll_interval=60.0, started_at=0.0, first_poll_at=60.0, deadline_at=1e6)
whose: ContextVar[str] = ContextVar("whose", default="nobody's")


class Clock(LoopClock):
    """A clock, and the one timer that may be set."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.timer: Timer | None = None
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def call_later(self, seconds: float, callback: Any, context: Any, *, background: bool = False) -> Any:
        assert background
        assert self.timer is None or self.timer.cancelled
        self.pauses.append(seconds)
        self.timer = Timer(self.time + seconds, lambda: context.run(callback))
        return self.timer

    def ring(self) -> None:
        timer, self.timer = self.timer, None
        assert timer is not None
        self.time = max(self.time, timer.due)
        timer.ring()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What is logged: in whose context, and the job that the line names."""
    return []


def wait(name: str, told: list[tuple[str, str]], jobs: int = 1) -> Subscription:
    """A wait that is made in a context of its own, as in the task of a trigger."""
    log = SimpleNamespace(info=lambda line: told.append((whose.get(), line.split(":")[0])))
    pollers = [JobPoller(f"{name}-{number}", PLAN, 0.0) for number in range(jobs)]
    reset = whose.set(name)
    try:
        return Subscription(PLAN, pollers, WaitLog(SimpleNamespace(log=log), jobs), 0.0)
    finally:
        whose.reset(reset)


def test_each_wait_gives_its_sign_in_its_own_log(clock: Clock, told: list[tuple[str, str]]) -> None:
    async def go_round() -> None:
        rounds = Rounds(clock)
        waits = [wait(name, told) for name in "abc"]
        for each in waits:
            rounds.join(each)
        while clock.time < 600.0:
            clock.ring()
        for each in waits:
            rounds.leave(each)

    asyncio.run(go_round())

    assert told == [(name, f"Still waiting for {name}-0") for name in "abc"]
    assert set(clock.pauses) == {PAUSE}


def test_nothing_is_left_after_the_last_wait(clock: Clock, told: list[tuple[str, str]]) -> None:
    async def come_and_go() -> None:
        rounds = Rounds(clock)
        first, second = wait("a", told), wait("b", told)
        rounds.join(first)
        rounds.join(second)
        rounds.leave(first)
        assert clock.timer is not None
        assert not clock.timer.cancelled
        rounds.leave(second)
        assert clock.timer.cancelled
        # And others may come later.
        rounds.join(first)
        assert not clock.timer.cancelled
        rounds.leave(first)

    asyncio.run(come_and_go())

    assert clock.timer is not None
    assert clock.timer.cancelled


def test_a_round_gives_the_loop_its_turn_and_visits_none_who_left(
    clock: Clock, told: list[tuple[str, str]]
) -> None:
    async def go_round() -> None:
        rounds = Rounds(clock)
        waits = [wait(str(number), told) for number in range(2 * SLICE + 1)]
        for each in waits:
            rounds.join(each)
        clock.time = 600.0
        clock.ring()
        assert len(told) == SLICE
        rounds.leave(waits[-1])
        clock.ring()
        assert len(told) == 2 * SLICE
        clock.ring()
        for each in waits[:-1]:
            rounds.leave(each)

    asyncio.run(go_round())

    assert len(set(told)) == len(told) == 2 * SLICE
    assert clock.pauses == [PAUSE, 0.0, 0.0, PAUSE]


def test_a_wait_for_many_jobs_is_a_slice_by_itself(clock: Clock, told: list[tuple[str, str]]) -> None:
    async def go_round() -> None:
        rounds = Rounds(clock)
        waits = [wait("many", told, 10 * SLICE), wait("few", told)]
        for each in waits:
            rounds.join(each)
        clock.time = 600.0
        clock.ring()
        assert [whose for whose, _ in told] == ["many"]
        for each in waits:
            rounds.leave(each)

    asyncio.run(go_round())


def test_a_wait_that_is_over_gives_no_sign_and_a_log_that_fails_ends_none(
    clock: Clock, told: list[tuple[str, str]]
) -> None:
    async def go_round() -> None:
        rounds = Rounds(clock)
        over, sound = wait("over", told), wait("sound", told)
        pollers = [JobPoller("job", PLAN, 0.0)]
        broken = Subscription(PLAN, pollers, WaitLog(SimpleNamespace(log=SimpleNamespace()), 1), 0.0)
        waits = [over, broken, sound]
        over.end()
        for each in waits:
            rounds.join(each)
        clock.time = 600.0
        clock.ring()
        assert not broken.over.done()
        assert not sound.over.done()
        for each in waits:
            rounds.leave(each)

    asyncio.run(go_round())

    assert [whose for whose, _ in told] == ["sound"]
