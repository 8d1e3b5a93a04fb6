"""Refusals of a key: who may ask, and when."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import AccessDenied, NotFound, TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.waiting.refusals import (
    ASK_PAUSE,
    FORBIDDEN_ALIKE,
    FORBIDDEN_ALIKE_LATER,
    LOGIN_PAUSE,
    MAX_LOGINS,
    SECOND_TRY,
    TURN_KEPT,
    Refusals,
)

GOOD = JobStatus("a", "vendor", JobState.RUNNING, "processing")


def denied(status: int = 401, **facts: Any) -> AccessDenied:
    error = AccessDenied("no", vendor="vendor", method="GET", path="/job", status=status)
    for name, value in facts.items():
        setattr(error, name, value)
    return error


def ask(refusals: Refusals, job: str, answer: JobStatus | VendorError, at: float) -> bool:
    """Ask if that may be, and return whether it was."""
    if refusals.hold(job, at, "mine") is not None:
        return False
    refusals.asks(job)
    refusals.observe(job, answer, at)
    return True


def restarted(refusals: Refusals) -> Refusals:
    """Return what another process knows."""
    return Refusals(json.loads(json.dumps(refusals.memory(), allow_nan=False)))


def test_a_refused_key_is_tried_once_more_and_then_once_a_minute_for_all_jobs() -> None:
    refusals = Refusals()
    asked = [at for at in range(601) if ask(refusals, f"job-{at % 7}", denied(), float(at))]
    assert asked[:3] == [0, SECOND_TRY, SECOND_TRY + ASK_PAUSE]
    # Some seconds later where another job has its turn.
    assert all(ASK_PAUSE <= later - at <= ASK_PAUSE + 7 for at, later in pairwise(asked[2:]))
    assert len(asked) == 11


def test_a_point_in_time_may_be_reached_a_hair_too_early() -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(), 0.0)
    assert refusals.hold("a", SECOND_TRY - 0.0011, "mine") is not None
    assert refusals.hold("a", SECOND_TRY - 0.001, "mine") is None


def test_a_job_whose_403_makes_the_key_refused_is_polled_again_once_the_key_works() -> None:
    refusals = Refusals()
    ask(refusals, "good", GOOD, 0.0)
    assert ask(refusals, "first", denied(403), 1.0)
    # Asked once more by itself, and refused again when another has been refused meanwhile.
    refusals.asks("first")
    assert ask(refusals, "second", denied(403), 3.0)
    refusals.observe("first", denied(403), 4.0)
    assert refusals.of_key

    assert ask(refusals, "good", GOOD, 100.0)

    for job in ("first", "second"):
        assert refusals.hold(job, 200.0, "mine") is None


def test_a_job_that_has_gone_while_it_was_polled_holds_up_no_other() -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(), 0.0)
    refusals.asks("a")
    refusals.forget("a")
    assert refusals.hold("b", 100.0, "mine") is None


def test_a_question_that_was_under_way_leaves_the_one_that_finds_out_alone() -> None:
    refusals = Refusals()
    refusals.asks("early")
    ask(refusals, "a", denied(), 0.0)
    refusals.asks("a")
    refusals.observe("early", TransportError("away", vendor="vendor"), 70.0)
    assert refusals.hold("b", 70.0, "mine") is not None


def refused_by(refusals: Refusals, *jobs: str) -> None:
    """Let a key that has worked be refused by 403s of these jobs, twice."""
    ask(refusals, "another", GOOD, 0.0)
    for job in jobs:
        assert ask(refusals, job, denied(403), 1.0)
    assert ask(refusals, jobs[0], denied(403), 1.0 + SECOND_TRY)
    assert refusals.of_key


def test_the_question_is_kept_for_a_job_that_was_not_refused_itself() -> None:
    refusals = Refusals()
    refused_by(refusals, "a", "b")
    due = 1.0 + SECOND_TRY + ASK_PAUSE
    assert refusals.hold("healthy", due - 10.0, "mine") is not None
    # Those that were refused come first at every round.
    for job in ("a", "b"):
        assert refusals.hold(job, due, "mine") is not None

    assert ask(refusals, "healthy", GOOD, due + 20.0)

    assert not refusals.of_key


def test_jobs_take_turns_at_finding_out() -> None:
    refusals = Refusals()
    refused_by(refusals, "a", "b")
    asked = [job for at in range(3, 600, 30) for job in "abcd" if ask(refusals, job, denied(403), float(at))]
    assert asked[:2] == ["c", "d"]
    assert len(asked) == 9
    assert {asked.count(job) for job in "abcd"} == {2, 3}


def test_a_question_is_not_kept_for_ever() -> None:
    refusals = Refusals()
    refused_by(refusals, "a", "b")
    due = 1.0 + SECOND_TRY + ASK_PAUSE
    assert refusals.hold("gone", 10.0, "mine") is not None
    assert refusals.hold("a", due + TURN_KEPT - 1.0, "mine") is not None
    assert ask(refusals, "a", denied(403), due + TURN_KEPT)


def test_jobs_that_were_refused_beside_one_that_was_answered_say_nothing_of_the_key_later() -> None:
    refusals = Refusals()
    for at in range(0, 1000, 100):
        for job in ("theirs", "foreign"):
            ask(refusals, job, denied(403), float(at))
        assert ask(refusals, "ours", GOOD, at + 50.0)
        if at:
            assert not refusals.of_key
            assert refusals.hold("another of ours", at + 60.0, "mine") is None
    # One of them is answered: what is said of it counts again.
    assert ask(refusals, "foreign", GOOD, 1100.0)
    ask(refusals, "foreign", denied(403), 1200.0)
    ask(refusals, "ours", denied(403), 1201.0)
    assert refusals.of_key


def test_while_one_poll_finds_out_the_others_get_the_known_error() -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(conn_id="theirs"), 0.0)
    assert refusals.hold("b", 100.0, "mine") is None
    refusals.asks("a")
    held, again = refusals.hold("b", 100.0, "mine"), refusals.hold("a", 100.0, "theirs")
    assert held is not None
    assert again is not None
    assert (held.asked, str(held)) == (False, str(denied(conn_id="mine")))
    # Each names the connection of its own wait.
    assert (again.conn_id, held.conn_id) == ("theirs", "mine")
    refusals.observe("a", GOOD, 101.0)
    assert refusals.hold("b", 101.0, "mine") is None
    assert not refusals.active


@pytest.mark.parametrize(
    "answer", [None, TransportError("away", vendor="vendor"), NotFound("no", vendor="v")]
)
def test_a_question_that_brings_no_answer_lets_the_next_find_out(answer: VendorError | None) -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(), 0.0)
    refusals.asks("a")
    refusals.observe("a", answer, 70.0)
    assert refusals.active
    assert refusals.hold("b", 70.0, "mine") is None


@pytest.mark.parametrize(("worked", "alike"), [(False, FORBIDDEN_ALIKE), (True, FORBIDDEN_ALIKE_LATER)])
def test_a_403_is_of_one_job_until_others_are_refused_as_well(worked: bool, alike: int) -> None:
    refusals = Refusals()
    if worked:
        ask(refusals, "good", GOOD, 0.0)
    for number in range(alike):
        assert not refusals.of_key
        assert ask(refusals, f"job-{number}", denied(403), 1.0)
    assert refusals.of_key
    assert refusals.hold("good", 1.5, "mine") is not None


def test_a_good_answer_between_two_403_says_that_the_key_is_well() -> None:
    refusals = Refusals()
    for at in range(0, 1000, 10):
        ask(refusals, "bad", denied(403), float(at))
        assert ask(refusals, "good", GOOD, at + 1.0)
        assert refusals.hold("another", at + 2.0, "mine") is None
    refusals.forget("bad")
    assert not refusals.active


def test_questions_that_were_under_way_do_not_count_as_tries() -> None:
    refusals = Refusals()
    for job in "abcde":
        refusals.asks(job)
    for job in "abcde":
        refusals.observe(job, denied(), 10.0)
    assert refusals.again_at == 10.0 + SECOND_TRY


def test_a_refused_login_is_tried_three_times_minutes_apart() -> None:
    refusals = Refusals()
    login = denied(login=True)
    asked = [at for at in range(10_000) if ask(refusals, f"job-{at % 3}", login, float(at))]
    assert asked == [n * LOGIN_PAUSE for n in range(MAX_LOGINS)]
    assert LOGIN_PAUSE >= 120


def test_logins_are_counted_on_in_another_process() -> None:
    refusals = Refusals()
    for at in (0.0, 300.0):
        assert ask(refusals, "a", denied(login=True), at)
    later = restarted(refusals)
    assert later.hold("a", 400.0, "mine") is not None
    assert ask(later, "a", denied(login=True, credential="the password"), 600.0)
    held = restarted(restarted(later)).hold("a", 1e9, "mine")
    assert held is not None
    # Named as in the first process.
    assert (held.login, held.credential, held.refused_since) == (True, "the password", 0.0)
    assert str(held) == str(denied(conn_id="mine"))


def test_since_when_settings_are_refused_is_known_of_each_refusal_and_in_another_process() -> None:
    refusals = Refusals()
    assert refusals.memory() is None
    first, second, third = denied(), denied(), denied()
    ask(refusals, "a", first, 10.0)
    ask(refusals, "a", GOOD, 20.0)
    ask(refusals, "b", second, 100.0)
    later = restarted(refusals)
    assert not later.active
    ask(later, "b", third, 200.0)
    assert [error.refused_since for error in (first, second, third)] == [10.0] * 3


def test_a_wait_that_began_after_the_last_refusal_begins_anew() -> None:
    refusals = Refusals()
    for at in (0.0, 300.0, 600.0):
        ask(refusals, "a", denied(login=True), at)
    refusals.renew(599.0)
    assert refusals.hold("a", 1e9, "mine") is not None
    refusals.renew(700.0)
    assert refusals.hold("a", 700.0, "mine") is None


def test_after_a_refusal_that_names_a_time_no_poll_comes_before_it() -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(retry_after=500.0), 0.0)
    held = refusals.hold("b", 100.0, "mine")
    assert held is not None
    assert held.retry_after == 400.0
    assert refusals.hold("b", 500.0, "mine") is None
    refusals.asks("a")
    held = refusals.hold("b", 500.0, "mine")
    assert held is not None
    assert held.retry_after is None
