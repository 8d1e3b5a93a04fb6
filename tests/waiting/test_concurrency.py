"""How many requests of a key may be in flight."""

from __future__ import annotations

from itertools import pairwise

from airflow_provider_jobstatus.core.rate_limiter import MAX_CALLS
from airflow_provider_jobstatus.waiting.concurrency import (
    FIRST_CALLS,
    GROWTH_PAUSE,
    LONG_QUEUED,
    OPEN_AFTER,
    SICK_CALLS,
    SLOW,
    Concurrency,
)

NOW = 1000.0


def fill(concurrency: Concurrency, now: float, queued: float = LONG_QUEUED) -> list[int]:
    """Send as many requests as there is room for, and return their numbers."""
    numbers = []
    while not concurrency.is_full(now, queued):
        numbers.append(concurrency.start(now))
    return numbers


def test_at_first_a_few_may_be_in_flight() -> None:
    assert len(fill(Concurrency(), NOW)) == FIRST_CALLS


def test_after_an_outage_it_begins_with_one_request_and_doubles_for_a_while() -> None:
    concurrency = Concurrency()
    for _ in range(OPEN_AFTER):
        assert not concurrency.is_open
        concurrency.failed(NOW)
    assert concurrency.is_open
    in_flight, now, rounds = fill(concurrency, NOW), NOW, []
    assert len(in_flight) == 1

    while len(in_flight) < MAX_CALLS:
        # All are answered; then as many are sent as may be.
        now += 1.5 * GROWTH_PAUSE
        for number in in_flight:
            concurrency.end(number)
            concurrency.answered(now)
        assert not concurrency.is_open
        in_flight = fill(concurrency, now)
        rounds.append(len(in_flight))
    assert rounds[:5] == [2, 4, 8, 16, FIRST_CALLS]
    # From then on, one more in each round, however many answers it has.
    assert {later - earlier for earlier, later in pairwise(rounds[4:])} == {1}
    assert rounds[-1] == MAX_CALLS


def test_it_grows_neither_while_there_is_room_nor_for_a_burst_that_is_soon_over() -> None:
    concurrency = Concurrency()
    for number in range(10 * MAX_CALLS):
        in_flight = fill(concurrency, NOW + number, LONG_QUEUED / 2)
        assert len(in_flight) == FIRST_CALLS
        for each in in_flight:
            concurrency.end(each)
            concurrency.answered(NOW + number)


def test_a_failure_among_answers_is_no_outage() -> None:
    concurrency = Concurrency()
    for number in range(100):
        for _ in range(OPEN_AFTER - 1):
            concurrency.failed(NOW + number)
        concurrency.answered(NOW + number)
    assert not concurrency.is_open
    assert len(fill(concurrency, NOW + 100)) == FIRST_CALLS


def test_what_was_sent_before_the_last_answer_proves_nothing() -> None:
    concurrency = Concurrency()
    concurrency.answered(NOW)
    for _ in range(10 * OPEN_AFTER):
        concurrency.failed(NOW - 1)
    assert not concurrency.is_open


def test_a_request_that_hangs_leaves_its_place_to_others_up_to_the_greatest_number() -> None:
    concurrency, now, sent = Concurrency(), NOW, 0
    while in_flight := fill(concurrency, now):
        sent += len(in_flight)
        now += SLOW
    assert sent == MAX_CALLS == concurrency.in_flight


def test_while_the_vendor_is_away_one_request_is_sent_at_a_time_and_few_hang() -> None:
    concurrency = Concurrency()
    for _ in range(OPEN_AFTER):
        concurrency.failed(NOW)
    now = NOW
    for number in range(FIRST_CALLS):
        assert len(fill(concurrency, now)) == 1, number
        now += SLOW
    assert fill(concurrency, now) == []


def test_few_polls_of_sick_jobs_are_in_flight() -> None:
    concurrency = Concurrency()
    numbers = []
    while not concurrency.is_full_for_sick:
        numbers.append(concurrency.start(NOW, sick=True))
    assert len(numbers) == SICK_CALLS
    # Also while they hang.
    assert not concurrency.is_full(NOW + SLOW, 0.0)
    assert concurrency.is_full_for_sick
    concurrency.end(numbers[0])
    assert not concurrency.is_full_for_sick


def test_a_request_that_ends_twice_or_was_never_sent_counts_for_nothing() -> None:
    concurrency = Concurrency()
    number = concurrency.start(NOW)
    for _ in range(2):
        concurrency.end(number)
    concurrency.end(12345)
    assert concurrency.in_flight == 0
