"""What a key may use of a vendor: rate, pauses, outages."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    NotFound,
    RateLimited,
    ServerError,
    TransportError,
    VendorError,
)
from airflow_provider_jobstatus.core.rate_limiter import (
    DOWN_AFTER,
    FIRST_CALLS,
    GROWTH_PAUSE,
    LONG_IN_LINE,
    MAX_CALLS,
    PAUSES,
    SPENT_PAUSE,
    Budget,
    Rate,
)

NOW = 1000.0


def error(kind: type[VendorError], wait: float | None = None, **more: Any) -> VendorError:
    made = kind("answered so", vendor="toy", status=429)
    if isinstance(made, ApiError):
        made.retry_after = wait
    for name, value in more.items():
        setattr(made, name, value)
    return made


def spend(budget: Budget, seconds: float, now: float = NOW) -> list[float]:
    """Send as fast as the budget lets, and return when."""
    sent, until = [], now + seconds
    while now < until:
        if (delay := budget.delay(now)) > 0:
            now += delay
            continue
        budget.take(now)
        sent.append(now)
    return sent


def test_without_a_limit_nobody_waits() -> None:
    budget = Budget(Rate())
    for _ in range(1000):
        assert budget.delay(NOW) == 0
        budget.take(NOW)


def test_a_burst_goes_at_once_and_the_rest_evenly() -> None:
    sent = spend(Budget(Rate(2.0, burst=3)), 3.0)
    assert sent == pytest.approx([NOW, NOW, NOW, *(NOW + 0.5 * number for number in range(1, 6))])


def test_rest_earns_no_more_than_the_burst() -> None:
    budget = Budget(Rate(2.0, burst=3))
    spend(budget, 10.0)
    assert [moment - NOW for moment in spend(budget, 0.4, NOW + 1000)] == [1000.0] * 3


@given(st.floats(0.01, 50), st.integers(1, 50), st.lists(st.floats(0, 30), max_size=20))
def test_no_minute_has_more_than_its_share(per_second: float, burst: int, rests: list[float]) -> None:
    budget, now, sent = Budget(Rate(per_second, burst)), NOW, list[float]()
    for rest in rests:
        now += rest
        for _ in range(20):
            now += budget.delay(now)
            budget.take(now)
            sent.append(now)
    most = burst + 60 * per_second
    for begin, moment in enumerate(sent):
        in_a_minute = sum(moment <= other < moment + 60 - 1e-6 for other in sent[begin:])
        assert in_a_minute <= most + 1


def test_retry_after_stops_the_key_and_nobody_else_asks_why() -> None:
    budget = Budget(Rate())
    budget.observe(error(RateLimited, 30.0), NOW)

    refusal = budget.refusal(NOW + 10, "mine")
    assert isinstance(refusal, RateLimited)
    assert refusal.retry_after == 20.0
    assert "was not asked" in str(refusal)
    # The same words for as long as it lasts, so that a wait writes one line.
    assert str(budget.refusal(NOW + 29, "mine")) == str(refusal)
    assert budget.refusal(NOW + 30, "mine") is None


def test_what_stops_a_key_names_the_connection_of_the_wait_that_is_told() -> None:
    budget = Budget(Rate())
    stopped_by = error(RateLimited, 30.0)
    stopped_by.conn_id = "theirs"
    budget.observe(stopped_by, NOW)

    refusal = budget.refusal(NOW, "ours")

    assert refusal is not None
    assert (refusal.conn_id, stopped_by.conn_id) == ("ours", "theirs")


def test_a_shorter_wish_does_not_end_a_longer_one() -> None:
    budget = Budget(Rate())
    budget.observe(error(RateLimited, 30.0), NOW)
    budget.observe(error(ServerError, 5.0), NOW + 1)
    assert budget.refusal(NOW + 29, "mine") is not None


def test_503_with_retry_after_stops_the_key_and_is_an_outage() -> None:
    budget = Budget(Rate())
    budget.observe(error(ServerError, 30.0), NOW)
    assert isinstance(budget.refusal(NOW + 1, "mine"), ServerError)


def test_a_refusal_that_names_a_time_is_a_limit_and_stops_the_key() -> None:
    budget = Budget(Rate())
    budget.observe(error(AccessDenied, 40.0), NOW)
    refusal = budget.refusal(NOW + 39, "mine")
    assert isinstance(refusal, AccessDenied)
    assert (refusal.retry_after, refusal.asked) == (1.0, False)
    assert budget.refusal(NOW + 40, "mine") is None


def test_a_spent_licence_stops_the_key_until_it_is_to_be_seen_again() -> None:
    budget = Budget(Rate())
    budget.observe(error(RateLimited, spent=True), NOW)
    refusal = budget.refusal(NOW + 1, "mine")
    assert isinstance(refusal, RateLimited)
    assert refusal.spent
    assert refusal.retry_after == SPENT_PAUSE - 1
    assert budget.refusal(NOW + SPENT_PAUSE, "mine") is None


def test_429_without_a_time_stops_the_key_for_ever_longer() -> None:
    budget = Budget(Rate())
    now, pauses = NOW, []
    for _ in range(8):
        budget.observe(error(RateLimited), now)
        refusal = budget.refusal(now, "mine")
        assert refusal is not None
        assert refusal.retry_after is not None
        pauses.append(refusal.retry_after)
        now += refusal.retry_after
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (pauses[0], pauses[-1]) == PAUSES


@pytest.mark.parametrize(
    "answer",
    [None, error(NotFound), error(AccessDenied), error(NotFound, 9.0)],
)
def test_other_answers_stop_nobody(answer: VendorError | None) -> None:
    budget = Budget(Rate())
    budget.observe(answer, NOW)
    assert budget.refusal(NOW, "mine") is None
    assert not budget.full(LONG_IN_LINE)


def test_after_an_outage_it_begins_with_one_question_and_doubles_for_a_while() -> None:
    budget = Budget(Rate())
    for _ in range(DOWN_AFTER):
        assert not budget.down
        budget.observe(error(TransportError), NOW)
    assert budget.down
    budget.asking = 1
    assert budget.full(LONG_IN_LINE)

    rounds = []
    asking, now = 1, NOW
    while asking < MAX_CALLS:
        # All who asked are answered; then as many ask as may.
        now += 1.5 * GROWTH_PAUSE
        for _ in range(asking):
            budget.observe(None, now)
        assert not budget.down
        budget.asking = 0
        while not budget.full(LONG_IN_LINE):
            budget.asking += 1
        asking = budget.asking
        rounds.append(asking)
    assert rounds[:5] == [2, 4, 8, 16, FIRST_CALLS]
    # From then on, one more in each round, however many answers it has.
    assert {later - earlier for earlier, later in pairwise(rounds[4:])} == {1}
    assert rounds[-1] == MAX_CALLS


def test_it_does_not_grow_while_there_is_room() -> None:
    budget = Budget(Rate())
    for number in range(10 * MAX_CALLS):
        budget.asking = FIRST_CALLS - 1
        assert not budget.full(LONG_IN_LINE)
        budget.observe(None, NOW + number)
        # Nor for a burst that is soon over.
        budget.asking = FIRST_CALLS
        assert budget.full(LONG_IN_LINE / 2)
        budget.observe(None, NOW + number)


def test_at_first_a_few_may_ask_at_once() -> None:
    budget = Budget(Rate())
    budget.asking = FIRST_CALLS - 1
    assert not budget.full(LONG_IN_LINE)
    budget.asking += 1
    assert budget.full(LONG_IN_LINE)


def test_a_failure_among_answers_is_no_outage() -> None:
    budget = Budget(Rate())
    for _ in range(100):
        for _ in range(DOWN_AFTER - 1):
            budget.observe(error(ServerError), NOW)
        budget.observe(None, NOW)
    assert not budget.down
    budget.asking = FIRST_CALLS - 1
    assert not budget.full(LONG_IN_LINE)
