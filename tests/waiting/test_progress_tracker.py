"""Whether a running job moves, how long it may still take, and what happens when it does not move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.progress_tracker import ProgressTracker, share_done
from tests.waiting.test_poller import COUNTED, LISTED, PLAN, RUNNING, START, at, later, poller

Polls = list[tuple[float, int | None]]


@pytest.mark.parametrize(
    ("polls", "text"),
    [
        ([(0, 10), (90, 55)], ", about 90 s left"),
        ([(0, 0), (119, 50)], ", about 119 s left"),
        ([(0, 0), (120, 50)], ", about 2 min left"),
        ([(0, 0), (2399, 25)], ", about 120 min left"),
        ([(0, 0), (2400, 25)], ", about 2.0 h left"),
        # It counts from the first poll with a progress.
        ([(0, None), (60, 40), (120, 60)], ", about 2 min left"),
        ([(0, 50)], ""),
        ([(0, None), (60, 50)], ""),
        ([(0, 50), (60, 50)], ""),
        ([(0, 50), (60, 40)], ""),
        ([(0, 50), (0, 60)], ""),
        ([(0, 50), (60, None)], ""),
        ([(0, None), (60, None)], ""),
    ],
)
def test_the_time_left_is_estimated_from_the_progress_since_the_first_poll(polls: Polls, text: str) -> None:
    tracker = ProgressTracker()
    for now, percent in polls:
        tracker.see(replace(RUNNING, progress=percent), now)
    assert tracker.estimate(polls[-1][0]) == text


@pytest.mark.parametrize(
    ("counts", "progress", "share"),
    [
        ({"total": 200, "processed": 50}, 40, 0.25),
        ({"total": 200, "processed": 0}, 40, 0.0),
        ({"total": 100, "processed": 150}, None, 1.0),
        ({"total": 0, "processed": 0}, 40, 0.4),
        ({"total": None, "processed": 5}, 40, 0.4),
        ({"total": 100, "processed": None}, 40, 0.4),
        (None, 100, 1.0),
        (None, None, None),
    ],
)
def test_the_share_done_is_that_of_the_rows_or_else_the_percent(
    counts: dict[str, int | None] | None, progress: int | None, share: float | None
) -> None:
    assert share_done(replace(RUNNING, counts=counts, progress=progress)) == share


def test_a_job_stalls_when_nothing_has_changed_for_long_and_is_warned_of_once_until_it_changes() -> None:
    one = poller(replace(PLAN, stalled_after=300.0))
    heard = [
        one.observe(status, START + now)
        for status, now in [
            *((at(1), 0), (at(1), 299.998), (at(1), 299.9995), (at(1), 400)),
            *((at(2), 500), (at(2), 799), (at(2), 800)),
        ]
    ]
    assert [entry and (entry.kind, entry.warning) for entry in heard] == [
        *(("changed", False), None, ("stalled", True), None),
        *(("changed", False), None, ("stalled", True)),
    ]
    assert heard[-1] is not None
    assert heard[-1].text == "a: nothing has changed for 300 s: 'processing' (2 %)"
    assert one.event is None


def test_a_stall_ends_the_wait_if_it_is_to_fail_and_is_counted_on_in_a_later_poller() -> None:
    one = poller(replace(PLAN, stalled_after=300.0, if_stalled="fail"))
    one.observe(COUNTED, START)
    other = later(one, START + 100)
    # A list has no counts: that is no change, in another process either.
    other.observe(LISTED, START + 200)
    assert later(other, START + 250).observe(replace(COUNTED, progress=51), START + 300) is not None
    assert other.event is None
    assert other.observe(COUNTED, START + 300) is None
    assert other.event is not None
    assert other.event.outcome is OutcomeKind.STALLED
    assert other.event.message == (
        "a: nothing has changed for 300 s: 'processing' (50 %, 50 of 100 rows). The job may still run."
    )


def test_a_warning_of_a_stall_is_remembered_and_what_is_no_memory_is_not_used() -> None:
    one = poller(replace(PLAN, stalled_after=300.0))
    one.observe(RUNNING, START)
    assert one.observe(RUNNING, START + 300) is not None
    assert later(one, START + 310).observe(RUNNING, START + 360) is None
    for memory in (None, 7, [], {}, {"seen": "x"}, {"seen": [1, 2]}):
        assert ProgressTracker(memory).see(RUNNING, START)
