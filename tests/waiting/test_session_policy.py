"""When a connection is read, which settings are used, and what connections with one key share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from airflow_provider_jobstatus.core.errors import AccessDenied, RateLimited, TransportError
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.refusals import REFUSED_AGE
from airflow_provider_jobstatus.waiting.session_policy import (
    FAILED_AGE,
    MAX_AGE,
    PATIENCE,
    READ_TIMEOUT,
    RETRY_AFTER,
    Keys,
    Session,
    SessionPolicy,
)

LOST = TransportError("takes too long", vendor="Airflow")
AWAY = TransportError("is away", vendor="Airflow")
REFUSED = AccessDenied("HTTP 401", vendor="v", status=401)
LOGIN_REFUSED = AccessDenied("HTTP 401", vendor="v", status=401)
LOGIN_REFUSED.login = True


def read_at(now: float) -> SessionPolicy[str]:
    """A policy whose settings were read at a point in time."""
    policy: SessionPolicy[str] = SessionPolicy(LOST)
    assert policy.begin(now) == 1
    assert policy.loaded("first", 1, now)
    return policy


@pytest.mark.parametrize(
    ("age", "refused", "read_first"),
    [
        (0.0, False, False),
        (MAX_AGE, False, False),
        (MAX_AGE + 1, False, True),
        (REFUSED_AGE - 1, True, False),
        (REFUSED_AGE, True, True),
        (REFUSED_AGE, False, False),
    ],
)
def test_settings_are_read_again_when_they_are_old_and_sooner_while_refused(
    age: float, refused: bool, read_first: bool
) -> None:
    assert read_at(100.0).usable(100.0 + age, refused=refused) == (None if read_first else "first")


def test_one_reading_is_under_way_at_a_time() -> None:
    policy: SessionPolicy[str] = SessionPolicy(LOST)

    assert policy.usable(0.0, refused=False) is None
    assert [policy.begin(0.0), policy.begin(1.0)] == [1, None]
    policy.loaded("first", 1, 2.0)
    assert policy.begin(3.0) == 2


def test_settings_that_work_outlive_a_reading_that_brings_none_and_are_read_again_soon() -> None:
    policy, now = read_at(0.0), MAX_AGE + 1
    policy.begin(now)

    line = policy.failed(AWAY, 2, now)

    assert line == f"{AWAY}; the settings read before are used"
    assert policy.usable(now + RETRY_AFTER, refused=False) == "first"
    assert policy.usable(now + RETRY_AFTER + 1, refused=False) is None


def test_refused_settings_are_not_used_again_though_nothing_else_can_be_read() -> None:
    policy = read_at(0.0)
    policy.forget("first")
    assert policy.usable(1.0, refused=True) is None
    policy.begin(1.0)

    assert policy.failed(AWAY, 2, 1.0) is None

    assert policy.usable(1.0, refused=True) is None
    assert policy.failure(1.0) is AWAY


def test_a_refusal_of_settings_that_were_replaced_meanwhile_forgets_nothing() -> None:
    policy = read_at(0.0)
    policy.begin(1.0)
    policy.loaded("second", 2, 1.0)

    policy.forget("first")

    assert policy.usable(2.0, refused=False) == "second"


@pytest.mark.parametrize("failed_age", [FAILED_AGE, 30.0])
def test_a_failed_reading_stands_for_all_polls_that_need_it(failed_age: float) -> None:
    policy: SessionPolicy[str] = SessionPolicy(LOST, failed_age)
    policy.begin(0.0)
    policy.failed(AWAY, 1, 10.0)

    assert policy.failure(10.0 + failed_age / 2) is AWAY
    assert policy.failure(10.0 + failed_age) is None
    policy.begin(10.0 + failed_age)
    policy.loaded("first", 2, 50.0)
    assert policy.failure(50.0) is None


def test_a_reading_that_does_not_answer_is_abandoned_and_another_begins() -> None:
    policy: SessionPolicy[str] = SessionPolicy(LOST)
    policy.begin(0.0)
    assert policy.next_at == READ_TIMEOUT

    assert policy.usable(READ_TIMEOUT, refused=False) is None

    assert policy.failure(READ_TIMEOUT) is LOST
    assert policy.begin(READ_TIMEOUT + 1) == 2
    assert not policy.loaded("late", 1, READ_TIMEOUT + 2)
    assert policy.failed(AWAY, 1, READ_TIMEOUT + 2) is None
    assert policy.loaded("second", 2, READ_TIMEOUT + 3)
    assert (policy.current, policy.lookups, policy.found_by) == ("second", 2, 2)


def test_polls_wait_for_a_slow_reading_only_while_there_are_no_settings_that_may_be_good() -> None:
    policy, now = read_at(0.0), MAX_AGE + 1
    policy.begin(now)

    assert policy.usable(now + PATIENCE - 1, refused=False) is None
    assert policy.next_at == now + PATIENCE
    assert policy.usable(now + PATIENCE, refused=False) == "first"


def test_settings_that_have_expired_are_read_first_and_kept_if_that_fails() -> None:
    policy = read_at(0.0)
    policy.expire()
    assert policy.usable(1.0, refused=False) is None
    policy.begin(1.0)
    policy.failed(AWAY, 2, 1.0)
    assert policy.usable(2.0, refused=False) == "first"


# Keys


@dataclass(frozen=True, eq=False)
class Hook:
    """A hook, as far as it says whose session it needs."""

    settings: str = "settings"
    settings_digest: str = "secret"
    key_digest: str = "key"
    rate: Rate = field(default_factory=lambda: Rate(1.0))


def test_a_session_stays_with_its_token_while_nothing_has_changed() -> None:
    keys, first = Keys(), Hook()
    session = keys.session(first, None)

    assert keys.session(Hook(), session) is session
    assert session.hook is first


def test_after_a_refusal_the_same_settings_get_a_new_token_and_what_is_known_of_the_key_stays() -> None:
    keys, second = Keys(), Hook()
    before = keys.session(Hook(), None)

    after = keys.session(second, None)

    assert after.hook is second
    assert (after.key, after.refusals) == (before.key, before.refusals)


@pytest.mark.parametrize(
    ("changes", "same_key", "same_refusals"),
    [
        ({"settings": "other CA"}, True, True),
        ({"settings": "other secret", "settings_digest": "other"}, True, False),
        ({"settings": "other key", "settings_digest": "other", "key_digest": "other"}, False, False),
    ],
    ids=lambda value: str(value),
)
def test_what_is_known_of_a_key_goes_with_the_key(
    changes: dict[str, str], same_key: bool, same_refusals: bool
) -> None:
    keys = Keys()
    before = keys.session(Hook(), None)

    after = keys.session(replace(Hook(), **changes), before)

    assert (after.key is before.key, after.refusals is before.refusals) == (same_key, same_refusals)


def test_two_connections_with_one_key_share_its_rate_and_what_stops_it() -> None:
    keys = Keys()
    one: Session[Hook] = keys.session(Hook(), None)
    other: Session[Hook] = keys.session(Hook(settings="by another name", rate=Rate(2.0)), None)

    one.key.observe(RateLimited("HTTP 429", vendor="v", status=429), 0.0, 0.0)

    assert other.key.refusal(0.5, "other") is not None
    assert one.key.throttle.rate == Rate(2.0)


def test_refusals_that_an_earlier_process_saw_are_of_the_settings_of_then() -> None:
    earlier = Keys().session(Hook(), None)
    assert earlier.memory() is None
    earlier.refusals.observe("job", LOGIN_REFUSED, 1.0)
    memory = earlier.memory()

    keys = Keys(memory)
    other = keys.session(Hook(settings="other", settings_digest="other"), None)
    same = keys.session(Hook(), other)

    assert (other.memory(), same.memory()) == (None, memory)
    assert (other.refusals.active, same.refusals.active) == (False, True)


def test_what_is_stored_of_refused_settings_is_no_digest_by_which_to_guess_a_secret() -> None:
    session = Keys().session(Hook(settings_digest="0123456789abcdef"), None)
    session.refusals.observe("job", REFUSED, 1.0)
    assert session.memory() == {"settings": "0123", "since": 1.0}


def test_keys_that_no_wait_uses_are_forgotten_once_nothing_holds_of_them() -> None:
    keys = Keys()
    one, used = (
        keys.session(Hook(), None),
        keys.session(Hook(key_digest="used"), None),
    )
    one.key.observe(RateLimited("HTTP 429", vendor="v", status=429), 0.0, 0.0)

    keys.forget({"used"}, 0.5)
    assert keys.session(Hook(), None).key is one.key
    keys.forget({"used"}, 3600.0)
    assert keys.session(Hook(), None).key is not one.key
    assert keys.session(Hook(key_digest="used"), None).key is used.key
