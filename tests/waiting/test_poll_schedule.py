"""Polls of a job that other waits, or a list, have to do with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.waiting.test_poller import FIRST, PLAN, RUNNING, START, poller

DOUBLING = {"exponential_backoff": True}


@pytest.mark.parametrize(
    ("options", "now", "at"),
    [
        ({}, -50, 0),
        # Within half an interval.
        ({}, 0, 30),
        ({}, 70, 90),
        ({}, 89, 90),
        ({}, 90, 120),
        ({}, 95, 120),
        ({}, 120, 150),
        (DOUBLING, 0, 120),
        (DOUBLING, 130, 360),
    ],
)
def test_a_job_that_its_list_does_not_show_any_more_is_polled_within_half_an_interval(
    options: dict[str, Any], now: float, at: float
) -> None:
    one = poller(replace(PLAN, **options))
    one.go_on(FIRST + now)
    assert one.next_poll_at == FIRST + at


@pytest.mark.parametrize(
    ("options", "point", "began_at", "at"),
    [
        # On the other poller's grid, no more than an interval before its own first poll.
        ({}, 25.0, -35.0, -35.0),
        ({}, 1225.0, -35.0, -35.0),
        ({}, -1000.0, -40.0, -40.0),
        ({"first_poll_at": FIRST + 600}, 540.0, 600.0, 600.0),
        ({"first_poll_at": FIRST + 600}, 550.0, 550.0, 550.0),
        # And no sooner than 5 s after the start of the wait.
        ({}, -55.0, -55.0, -55.0),
        ({}, -56.0, 4.0, 4.0),
        # A grid that doubles stays as it is.
        (DOUBLING, 25.0, 0.0, 0.0),
    ],
)
def test_pollers_of_one_job_share_a_grid(
    options: dict[str, Any], point: float, began_at: float, at: float
) -> None:
    one = poller(replace(PLAN, **options))
    one.align(FIRST + point, START)
    assert (one.first_poll_at - FIRST, one.next_poll_at - FIRST) == (began_at, at)
    one.observe(RUNNING, one.next_poll_at)
    assert one.next_poll_at - FIRST == at + (120 if options == DOUBLING else 60)
