"""What stops a key, for how long, and what is remembered of it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    ServerError,
    TransportError,
    VendorError,
)
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.key_state import PAUSES, SPENT_PAUSE, KeyState

NOW = 1000.0


def error(kind: type[VendorError], wait: float | None = None, **more: Any) -> VendorError:
    made = kind("answered so", vendor="toy", status=429)
    made.retry_after = wait
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_retry_after_stops_the_key_for_that_time() -> None:
    key = KeyState(Rate())
    stopped_by = error(RateLimited, 30.0, conn_id="theirs")
    key.observe(stopped_by, NOW, NOW)

    refusal = key.refusal(NOW + 10, "mine")
    assert isinstance(refusal, RateLimited)
    # Others may hold the same key.
    assert (refusal.conn_id, stopped_by.conn_id) == ("mine", "theirs")
    assert refusal.retry_after == 20.0
    assert not refusal.asked
    assert "was not asked" in str(refusal)
    # The same words for as long as it lasts, so that a wait writes one line.
    assert str(key.refusal(NOW + 29, "mine")) == str(refusal)
    assert key.stopped_until(NOW + 29) == NOW + 30
    assert key.refusal(NOW + 30, "mine") is None
    assert key.stopped_until(NOW + 30) < NOW


def test_a_shorter_wish_does_not_end_a_longer_one() -> None:
    key = KeyState(Rate())
    key.observe(error(RateLimited, 30.0), NOW, NOW)
    key.observe(error(RateLimited, 5.0), NOW, NOW + 1)
    assert key.stopped_until(NOW + 29) == NOW + 30


@pytest.mark.parametrize(
    "answer",
    [
        None,
        error(NotFound),
        error(AccessDenied),
        error(NotFound, 9.0),
        # One job may be sick while others are well.
        error(ServerError, 3600.0),
        error(TransportError),
    ],
)
def test_other_answers_stop_nothing(answer: VendorError | None) -> None:
    key = KeyState(Rate())
    key.observe(answer, NOW, NOW)
    assert key.refusal(NOW, "mine") is None
    assert not key.job_first
    assert not key.concurrency.is_full(NOW, 1.0)


def test_a_refusal_that_names_a_time_is_a_limit_and_stops_the_key() -> None:
    key = KeyState(Rate())
    key.observe(error(AccessDenied, 40.0), NOW, NOW)
    refusal = key.refusal(NOW + 39, "mine")
    assert isinstance(refusal, AccessDenied)
    assert (refusal.retry_after, refusal.asked) == (1.0, False)
    assert key.refusal(NOW + 40, "mine") is None


def test_a_spent_licence_stops_the_key_until_it_is_to_be_seen_again_and_shrinks_no_rate() -> None:
    key = KeyState(Rate(4.0))
    key.observe(error(RateLimited, spent=True), NOW, NOW)
    refusal = key.refusal(NOW + 1, "mine")
    assert isinstance(refusal, RateLimited)
    assert refusal.spent
    assert key.is_spent
    assert refusal.retry_after == SPENT_PAUSE - 1
    assert key.refusal(NOW + SPENT_PAUSE, "mine") is None
    assert not key.throttle.is_shrunk


def test_429_without_a_time_stops_the_key_for_ever_longer_until_an_answer() -> None:
    key = KeyState(Rate())
    now, pauses = NOW, []
    for _ in range(8):
        key.observe(error(RateLimited), now, now)
        refusal = key.refusal(now, "mine")
        assert refusal is not None
        assert refusal.retry_after is not None
        pauses.append(refusal.retry_after)
        now += refusal.retry_after
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (pauses[0], pauses[-1]) == PAUSES
    key.observe(None, now, now)
    key.observe(error(RateLimited), now, now)
    assert key.stopped_until(now) == now + 1


def test_after_a_stop_a_job_is_polled_before_a_list() -> None:
    key = KeyState(Rate())
    key.observe(error(RateLimited, 30.0), NOW, NOW)
    assert key.job_first
    key.list_answered(1, NOW + 31)
    assert key.job_first
    key.observe(None, NOW + 31, NOW + 31)
    assert not key.job_first


def test_a_list_is_left_alone_for_as_long_as_the_longest_wish() -> None:
    key = KeyState(Rate())
    key.silence_list("l", NOW + 60)
    key.silence_list("l", NOW + 30)
    assert key.list_silenced("l", NOW + 59)
    assert not key.list_silenced("l", NOW + 60)
    assert not key.list_silenced("another", NOW)


def test_each_page_of_a_list_counts() -> None:
    key = KeyState(Rate(1.0, burst=1))
    key.throttle.take(NOW)
    key.list_answered(5, NOW)
    assert key.throttle.delay(NOW) == pytest.approx(5.0)


def test_what_was_learned_of_a_key_holds_for_as_long_as_it_says() -> None:
    for learn, seconds in [
        (lambda key: None, 0.0),
        (lambda key: key.observe(error(RateLimited, 100.0), NOW, NOW), 100.0),
        (lambda key: key.silence_list("l", NOW + 200), 200.0),
        (lambda key: key.throttle.refused(NOW, NOW), 1800.0),
    ]:
        key = KeyState(Rate(4.0))
        learn(key)
        assert key.holds(NOW + seconds - 1) == bool(seconds)
        assert not key.holds(NOW + seconds + 1800)
    busy = KeyState(Rate())
    busy.concurrency.start(NOW)
    assert busy.holds(NOW + 1e6)


def test_saturation_is_said_once_and_again_for_twice_as_many_jobs() -> None:
    key = KeyState(Rate(0.5))
    assert [key.saturation(jobs, 60.0, NOW) is not None for jobs in (50, 60, 100, 101, 102, 203)] == [
        *(True, False, False),
        *(True, False, True),
    ]
    assert KeyState(Rate()).saturation(1000, 60.0, NOW) is None
