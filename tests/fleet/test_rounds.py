"""Rounds through all waits of a loop: in slices, each wait in its own log's context, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_jobstatus.fleet import rounds
from airflow_provider_jobstatus.fleet.rounds import PAUSE, SLICE, join, leave
from airflow_provider_jobstatus.fleet.subscription import Wait
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from airflow_provider_jobstatus.waiting.wait_log import Chronicle
from tests.support.times import Timer

PLAN = WaitSpec(poll_interval=60.0, started_at=0.0, first_poll_at=60.0, deadline_at=1e6)
whose: ContextVar[str] = ContextVar("whose", default="nobody's")


class Clock:
    """A clock, and the one timer that may be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.timer: Timer | None = None
        self.pauses: list[float] = []
        monkeypatch.setattr(rounds, "monotonic", lambda: self.now)
        monkeypatch.setattr(rounds, "call_later", self.set)

    def set(self, seconds: float, ring: Any, context: Any) -> Timer:
        assert self.timer is None or self.timer.cancelled
        self.pauses.append(seconds)
        self.timer = Timer(self.now + seconds, lambda: context.run(ring))
        return self.timer

    def ring(self) -> None:
        timer, self.timer = self.timer, None
        assert timer is not None
        self.now = max(self.now, timer.due)
        timer.ring()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What is logged: in whose context, and the job that the line names."""
    return []


def wait(name: str, told: list[tuple[str, str]], jobs: int = 1) -> Wait:
    """A wait that is made in a context of its own, as in the task of a trigger."""
    log = SimpleNamespace(info=lambda line: told.append((whose.get(), line.split(":")[0])))
    pollers = [JobPoller(f"{name}-{number}", PLAN, 0.0) for number in range(jobs)]
    reset = whose.set(name)
    try:
        return Wait(PLAN, pollers, Chronicle(SimpleNamespace(log=log), jobs), 0.0, 0.0)
    finally:
        whose.reset(reset)


def test_each_wait_gives_its_sign_in_its_own_log(clock: Clock, told: list[tuple[str, str]]) -> None:
    async def go_round() -> None:
        waits = [wait(name, told) for name in "abc"]
        for each in waits:
            join(each)
        while clock.now < 600.0:
            clock.ring()
        for each in waits:
            leave(each)

    asyncio.run(go_round())

    assert told == [(name, f"Still waiting for {name}-0") for name in "abc"]
    assert set(clock.pauses) == {PAUSE}


def test_nothing_is_left_after_the_last_wait(clock: Clock, told: list[tuple[str, str]]) -> None:
    async def come_and_go() -> None:
        first, second = wait("a", told), wait("b", told)
        join(first)
        join(second)
        leave(first)
        assert clock.timer is not None
        assert not clock.timer.cancelled
        leave(second)
        assert clock.timer.cancelled
        assert asyncio.get_running_loop() not in rounds._rounds
        # And others may come later.
        join(first)
        assert not clock.timer.cancelled
        leave(first)

    asyncio.run(come_and_go())
    gc.collect()

    assert clock.timer is not None
    assert clock.timer.cancelled
    assert not rounds._rounds


def test_a_round_gives_the_loop_its_turn_and_visits_none_who_left(
    clock: Clock, told: list[tuple[str, str]]
) -> None:
    async def go_round() -> None:
        waits = [wait(str(number), told) for number in range(2 * SLICE + 1)]
        for each in waits:
            join(each)
        clock.now = 600.0
        clock.ring()
        assert len(told) == SLICE
        leave(waits[-1])
        clock.ring()
        assert len(told) == 2 * SLICE
        clock.ring()
        for each in waits[:-1]:
            leave(each)

    asyncio.run(go_round())

    assert len(set(told)) == len(told) == 2 * SLICE
    assert clock.pauses == [PAUSE, 0.0, 0.0, PAUSE]


def test_a_wait_for_many_jobs_is_a_slice_by_itself(clock: Clock, told: list[tuple[str, str]]) -> None:
    async def go_round() -> None:
        waits = [wait("many", told, 10 * SLICE), wait("few", told)]
        for each in waits:
            join(each)
        clock.now = 600.0
        clock.ring()
        assert [whose for whose, _ in told] == ["many"]
        for each in waits:
            leave(each)

    asyncio.run(go_round())


def test_a_wait_that_is_over_gives_no_sign_and_a_log_that_fails_ends_none(
    clock: Clock, told: list[tuple[str, str]]
) -> None:
    async def go_round() -> None:
        over, broken, sound = waits = [wait(name, told) for name in ("over", "broken", "sound")]
        over.over.set_result(None)
        broken._chronicle._owner.log = SimpleNamespace()
        for each in waits:
            join(each)
        clock.now = 600.0
        clock.ring()
        assert not broken.over.done()
        assert not sound.over.done()
        for each in waits:
            leave(each)

    asyncio.run(go_round())

    assert [whose for whose, _ in told] == ["sound"]
