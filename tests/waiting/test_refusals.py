"""Refusals of a key: who may ask, and when."""

from __future__ import annotations

import json
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


def test_a_refused_key_is_tried_once_more_and_then_once_a_minute_whoever_asks() -> None:
    refusals = Refusals()
    asked = [at for at in range(601) if ask(refusals, f"job-{at % 7}", denied(), float(at))]
    assert asked == [0, SECOND_TRY, *range(61, 601, int(ASK_PAUSE))]


def test_while_one_finds_out_the_others_are_told_what_is_known() -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(), 0.0)
    assert refusals.hold("b", 100.0, "mine") is None
    refusals.asks("a")
    held = refusals.hold("b", 100.0, "mine")
    assert held is not None
    assert (held.asked, str(held)) == (False, str(denied(conn_id="mine")))
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
    later = Refusals(json.loads(json.dumps(refusals.memory(), allow_nan=False)))
    assert later.hold("a", 400.0, "mine") is not None
    assert ask(later, "a", denied(login=True), 600.0)
    last = Refusals(json.loads(json.dumps(later.memory(), allow_nan=False)))
    held = last.hold("a", 1e9, "mine")
    assert held is not None
    assert held.login
    json.dumps(last.memory(), allow_nan=False)


def test_what_was_refused_is_named_in_another_process_as_in_the_first() -> None:
    error = denied(login=True)
    error.credential = "the password"
    refusals = Refusals()
    ask(refusals, "a", error, 0.0)
    memory = json.loads(json.dumps(refusals.memory()))
    for _ in range(2):
        later = Refusals(memory)
        held = later.hold("a", 1.0, "mine")
        assert held is not None
        assert held.credential == "the password"
        memory = later.memory()
    # As an earlier version has stored it.
    del memory["error"]["credential"]
    held = Refusals(memory).hold("a", 1.0, "mine")
    assert held is not None
    assert held.credential == AccessDenied.credential


def test_a_wait_that_began_after_the_last_refusal_begins_anew() -> None:
    refusals = Refusals()
    for at in (0.0, 300.0, 600.0):
        ask(refusals, "a", denied(login=True), at)
    refusals.renew(599.0)
    assert refusals.hold("a", 1e9, "mine") is not None
    refusals.renew(700.0)
    assert refusals.hold("a", 700.0, "mine") is None


def test_a_refusal_that_names_a_time_is_not_asked_before() -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(retry_after=500.0), 0.0)
    held = refusals.hold("b", 100.0, "mine")
    assert held is not None
    assert held.retry_after == 400.0
    assert refusals.hold("b", 500.0, "mine") is None


def test_what_is_known_of_a_key_names_the_connection_of_the_wait_that_is_told() -> None:
    refusals = Refusals()
    ask(refusals, "a", denied(conn_id="theirs"), 0.0)

    held = refusals.hold("b", 0.5, "ours")

    assert held is not None
    assert held.conn_id == "ours"
    again = refusals.hold("a", 0.5, "theirs")
    assert again is not None
    assert (again.conn_id, held.conn_id) == ("theirs", "ours")
