"""Rounds through all waits of a loop: in slices, each wait in its own log's context, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
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


@contextmanager
def rounds_of(clock: Clock, *waits: Subscription) -> Iterator[Rounds]:
    """Rounds that some waits have joined."""
    rounds = Rounds(clock)
    for each in waits:
        rounds.join(each)
    yield rounds
    for each in waits:
        rounds.leave(each)
    assert clock.timer is not None
    assert clock.timer.cancelled


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


Told = list[tuple[str, str]]


@in_a_loop
async def test_each_wait_gives_its_sign_in_its_own_log(clock: Clock, told: Told) -> None:
    with rounds_of(clock, *(wait(name, told) for name in "abc")):
        while clock.time < 600.0:
            clock.ring()

    assert told == [(name, f"Still waiting for {name}-0") for name in "abc"]
    assert set(clock.pauses) == {PAUSE}


@in_a_loop
async def test_nothing_is_left_after_the_last_wait(clock: Clock, told: Told) -> None:
    first, second = wait("a", told), wait("b", told)
    with rounds_of(clock, first, second) as rounds:
        rounds.leave(first)
        assert clock.timer is not None
        assert not clock.timer.cancelled
        rounds.leave(second)
        assert clock.timer.cancelled
        # And others may come later.
        rounds.join(first)
        assert not clock.timer.cancelled


@in_a_loop
async def test_a_round_gives_the_loop_its_turn_and_visits_none_who_left(clock: Clock, told: Told) -> None:
    waits = [wait(str(number), told) for number in range(2 * SLICE + 1)]
    with rounds_of(clock, *waits) as rounds:
        clock.time = 600.0
        clock.ring()
        assert len(told) == SLICE
        rounds.leave(waits[-1])
        clock.ring()
        assert len(told) == 2 * SLICE
        clock.ring()

    assert len(set(told)) == len(told) == 2 * SLICE
    assert clock.pauses == [PAUSE, 0.0, 0.0, PAUSE]


@in_a_loop
async def test_a_wait_for_many_jobs_is_a_slice_by_itself(clock: Clock, told: Told) -> None:
    with rounds_of(clock, wait("many", told, 10 * SLICE), wait("few", told)):
        clock.time = 600.0
        clock.ring()
        assert [name for name, _ in told] == ["many"]


@in_a_loop
async def test_a_wait_that_is_over_gives_no_sign_and_a_log_that_fails_ends_none(
    clock: Clock, told: Told
) -> None:
    over, sound = wait("over", told), wait("sound", told)
    broken = Subscription(PLAN, sound.pollers, WaitLog(SimpleNamespace(log=SimpleNamespace()), 1), 0.0)
    over.end()
    with rounds_of(clock, over, broken, sound):
        clock.time = 600.0
        clock.ring()

    assert not broken.over.done()
    assert not sound.over.done()
    assert [name for name, _ in told] == ["sound"]
