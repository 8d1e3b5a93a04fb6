"""Every decision of a wait, as values: no server, no loop, no sleep."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.clock import in_utc
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    NotFound,
    RateLimited,
    RequestRejected,
    SendError,
    ServerError,
    SettingsError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.waiting.completion import DurationHistory
from airflow_provider_jobstatus.waiting.confirmation import SPENT_CONFIRMED_AFTER
from airflow_provider_jobstatus.waiting.failed_polls import NOT_FOUND_GRACE, RECONNECT_DELAY, REFUSED_PAUSE
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome, digest
from airflow_provider_jobstatus.waiting.poll_schedule import MAX_BACKOFF
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from tests.support.values import assert_storable
from tests.waiting.test_spec import FIRST, STEP, grid
from tests.waiting.test_spec import plans as any_plans

Answer = JobStatus | VendorError | SettingsError

START = FIRST - 60
PLAN = WaitSpec(
    poll_interval=60.0, started_at=START, first_poll_at=FIRST, deadline_at=START + 7200, max_outage=600.0
)
#: Within the grace of a 404, and long before the deadline.
EARLY = FIRST + 1
LATE = PLAN.deadline_at


def status(state: JobState = JobState.RUNNING, word: str = "processing") -> JobStatus:
    return JobStatus("a", "vendor", state, word)


def failed(kind: type[VendorError], reason: str = "trouble", **facts: Any) -> VendorError:
    error = kind(reason, vendor="vendor", method="GET", path="/job")
    for name, value in facts.items():
        setattr(error, name, value)
    return error


RUNNING = status()
OUTAGE = failed(ServerError)


def poller(plan: WaitSpec = PLAN, now: float = START, **options: Any) -> JobPoller:
    return JobPoller("a", plan, now, **{"jitter": lambda: 1.0, **options})


def told(*answers: tuple[Answer, float], plan: WaitSpec = PLAN) -> JobPoller:
    """Return a poller that has seen these answers, each at its time, after the first look of its wait."""
    one = poller(plan, memory={"looked": True})
    for answer, now in answers:
        one.observe(answer, now)
    return one


def outcome(one: JobPoller) -> str:
    return one.event.outcome if one.event else "goes on"


TABLE: dict[str, tuple[Answer, str, str]] = {
    # answer: before the deadline, after it
    "succeeded": (status(JobState.SUCCEEDED), "finished", "finished"),
    "partial": (status(JobState.PARTIAL), "finished", "finished"),
    "failed": (status(JobState.FAILED), "finished", "finished"),
    "cancelled": (status(JobState.CANCELLED), "finished", "finished"),
    "running": (RUNNING, "goes on", "timed_out"),
    "refused": (failed(AccessDenied), "goes on", "refused"),
    "our request is wrong": (failed(RequestRejected), "refused", "refused"),
    "not found": (failed(NotFound), "goes on", "timed_out"),
    "too many requests": (failed(RateLimited), "goes on", "timed_out"),
    "licence spent": (failed(RateLimited, spent=True), "goes on", "timed_out"),
    "a wrong request, says a proxy": (failed(RequestRejected, own=False), "goes on", "timed_out"),
    "not found, says a proxy": (failed(NotFound, own=False), "goes on", "timed_out"),
    "not asked, as the key is refused": (failed(AccessDenied, asked=False), "goes on", "timed_out"),
    "server error": (OUTAGE, "goes on", "timed_out"),
    "no usable reply": (failed(TransportError), "goes on", "timed_out"),
    "no connection": (failed(SendError), "goes on", "timed_out"),
    "foreign reply or unknown word": (failed(UnexpectedResponse), "goes on", "timed_out"),
    "another API error": (failed(ApiError), "goes on", "timed_out"),
    "another error": (failed(VendorError), "goes on", "timed_out"),
    "unusable settings": (SettingsError("no id"), "bad_settings", "bad_settings"),
}


@pytest.mark.parametrize("what", TABLE)
def test_every_answer_does_what_the_table_says(what: str) -> None:
    answer, before, after = TABLE[what]
    assert outcome(told((answer, EARLY))) == before
    assert outcome(told((answer, LATE - STEP))) == ("unknown_job" if what == "not found" else before)
    assert outcome(told((answer, LATE))) == after
    assert outcome(told((answer, LATE + 3600))) == after


@pytest.mark.parametrize("what", TABLE)
def test_an_answer_ends_the_wait_or_sets_the_next_poll_to_come(what: str) -> None:
    answer, before, _ = TABLE[what]
    one = told((answer, EARLY))
    assert (one.event is None) == (before == "goes on")
    if one.event is None:
        assert EARLY < one.next_poll_at <= PLAN.deadline_at


@pytest.mark.parametrize("what", [what for what, row in TABLE.items() if row[2] != "finished"])
def test_a_wait_that_ends_without_a_result_says_why_and_what_was_seen_last(what: str) -> None:
    answer = TABLE[what][0]
    one = told((status(word="queued"), EARLY), (answer, LATE))
    assert one.event is not None
    assert one.event.job_id == "a"
    assert one.event.message.startswith("a: ")
    if isinstance(answer, Exception):
        assert one.event.status == status(word="queued")
        assert str(answer) in one.event.message


# The result


@pytest.mark.parametrize("state", [state for state in JobState if state.terminal])
def test_a_terminal_state_beats_the_deadline(state: JobState) -> None:
    one = told((status(state, "word"), LATE + 1))
    assert one.event == WaitOutcome("a", OutcomeKind.FINISHED, status(state, "word"))


def test_a_terminal_state_beats_a_long_outage() -> None:
    one = told((OUTAGE, EARLY), (status(JobState.FAILED), EARLY + 3600))
    assert outcome(one) == "finished"


# The grid and the deadline


@given(any_plans, st.integers(1, 64 * 80_000))
def test_a_new_poller_asks_at_a_point_of_the_same_grid(plan: WaitSpec, steps: int) -> None:
    now = FIRST + steps * STEP
    expected = next(point for point in grid(plan) if point > now)
    assert poller(plan, now).next_poll_at == min(expected, plan.deadline_at)
    one = poller(plan)
    one.observe(RUNNING, now)
    assert one.next_poll_at == min(expected, plan.deadline_at)


def test_the_first_poll_is_the_first_point_of_the_grid() -> None:
    assert poller(now=START).next_poll_at == FIRST
    assert poller(now=FIRST).next_poll_at == FIRST
    assert poller(now=FIRST + STEP).next_poll_at == FIRST + 60


def test_a_running_job_is_asked_for_at_the_next_point_however_long_the_answer_took() -> None:
    for took in (STEP, 59.0):
        assert told((RUNNING, FIRST + took)).next_poll_at == FIRST + 60
    assert told((RUNNING, FIRST + 60)).next_poll_at == FIRST + 120
    assert told((RUNNING, FIRST + 61)).next_poll_at == FIRST + 120


def test_there_is_a_last_look_at_the_deadline_itself() -> None:
    plan = replace(PLAN, deadline_at=FIRST + 90)
    assert told((RUNNING, FIRST + 61), plan=plan).next_poll_at == plan.deadline_at
    assert told((OUTAGE, FIRST + 61), plan=plan).next_poll_at == plan.deadline_at
    assert told(
        (failed(NotFound), FIRST + 59), plan=replace(plan, deadline_at=FIRST + 59.5)
    ).next_poll_at == (FIRST + 59.5)


def test_a_restart_does_not_restart_the_deadline() -> None:
    for now in (START, FIRST, LATE - 1, LATE, LATE + 86_400):
        one = poller(now=now)
        assert one.next_poll_at <= LATE
        one.observe(RUNNING, max(now, LATE))
        assert outcome(one) == "timed_out"


def test_a_wait_that_times_out_says_how_long_it_was_and_what_it_saw() -> None:
    one = told((status(word="queued"), EARLY), (OUTAGE, EARLY + 60), (failed(SendError, "no route"), LATE))
    assert one.event is not None
    assert one.event.message == (
        "a: not finished after 7200 s; last status: 'queued'; last error: vendor GET /job: no route. "
        "The job may still run."
    )
    never = told((OUTAGE, LATE)).event
    assert never is not None
    assert "never seen" in never.message
    running = told((OUTAGE, EARLY), (RUNNING, LATE)).event
    assert running is not None
    assert "last error" not in running.message


# Refusals


def test_a_first_refusal_has_the_connection_read_again_at_once() -> None:
    one = told((failed(AccessDenied), EARLY))
    assert one.reconnect
    assert one.next_poll_at == EARLY + RECONNECT_DELAY


def test_at_the_first_look_a_second_refusal_with_fresh_settings_is_final() -> None:
    one = poller()
    one.observe(failed(AccessDenied), START)
    assert (outcome(one), one.reconnect) == ("goes on", True)
    one.observe(failed(AccessDenied, "still"), START + 1)
    assert outcome(one) == "refused"
    assert one.event is not None
    assert "still" in one.event.message


@pytest.mark.parametrize("grace", [1.0, 45.0, 600.0, 1800.0])
def test_after_the_first_look_credentials_may_be_refused_for_a_grace(grace: float) -> None:
    one = told((failed(AccessDenied), EARLY), plan=replace(PLAN, refusal_grace=grace))
    one.reconnect = False
    looks = 0
    while one.event is None and looks < 100:
        looks += 1
        now = one.next_poll_at
        assert now <= EARLY + grace
        one.observe(failed(AccessDenied), now)
        assert not one.reconnect
        assert one.next_poll_at - now <= REFUSED_PAUSE
    assert (outcome(one), now) == ("refused", EARLY + grace)
    assert looks == 1 + math.ceil((grace - 1) / REFUSED_PAUSE)


def test_without_a_grace_a_second_refusal_is_final() -> None:
    plan = replace(PLAN, refusal_grace=0.0)
    assert outcome(told((failed(AccessDenied), EARLY), plan=plan)) == "goes on"
    assert outcome(told((failed(AccessDenied), EARLY), (failed(AccessDenied), EARLY + 1), plan=plan)) == (
        "refused"
    )


def test_a_job_that_was_refused_itself_is_refused_at_the_deadline_asked_or_not() -> None:
    left_out = failed(AccessDenied, asked=False)
    assert outcome(told((failed(AccessDenied), LATE - 60), (left_out, LATE))) == "refused"
    assert outcome(told((left_out, LATE - 60), (left_out, LATE))) == "timed_out"


def test_a_first_look_that_met_an_outage_lies_behind() -> None:
    one = poller()
    for answer, now in ((OUTAGE, START), (failed(AccessDenied), EARLY), (failed(AccessDenied), EARLY + 1)):
        one.observe(answer, now)
    assert outcome(one) == "goes on"


def test_a_grace_goes_on_in_a_later_poller() -> None:
    first = told((failed(AccessDenied), EARLY), (failed(AccessDenied), EARLY + 1))
    memory = {**json.loads(json.dumps(first.memory())), "looked": True}
    for now, end in ((EARLY + 599, "goes on"), (EARLY + 600, "refused")):
        second = poller(now=now, memory=memory)
        second.observe(failed(AccessDenied), now)
        assert (second.refused, outcome(second)) == (True, end)


def test_a_refusal_that_names_a_time_does_not_count_for_that_time() -> None:
    plan, now = replace(PLAN, refusal_grace=30.0, deadline_at=START + 20_000), EARLY
    one = poller(plan)
    for wish in (900.0, 450.0, 3600.0):
        one.observe(failed(AccessDenied, retry_after=wish), now)
        assert outcome(one) == "goes on"
        assert one.next_poll_at == one.not_before == now + wish
        now = one.next_poll_at
    one.observe(failed(AccessDenied), now + 30)
    assert outcome(one) == "refused"


def test_refusals_that_each_name_a_second_end_the_wait_when_the_grace_is_over() -> None:
    plan, now, looks = replace(PLAN, refusal_grace=90.0, deadline_at=START + 90_000), EARLY, 1
    one = told((RUNNING, FIRST), plan=plan)
    while one.event is None:
        one.observe(failed(AccessDenied, retry_after=1.0), now)
        now, looks = max(now, one.next_poll_at), looks + 1
    assert one.event.outcome is OutcomeKind.REFUSED
    assert looks <= 8
    assert now - EARLY < 90 + 2 * REFUSED_PAUSE


def test_a_refusal_is_forgiven_anew_after_a_good_answer() -> None:
    one = told((failed(AccessDenied), EARLY), (RUNNING, EARLY + 1))
    assert one.reconnect
    one.reconnect = False
    one.observe(failed(AccessDenied), EARLY + 60)
    assert (outcome(one), one.reconnect) == ("goes on", True)
    one.observe(failed(AccessDenied), EARLY + 659)
    assert outcome(one) == "goes on"
    one.observe(failed(AccessDenied), EARLY + 660)
    assert outcome(one) == "refused"


@pytest.mark.parametrize(
    "between", [OUTAGE, failed(NotFound), failed(RateLimited)], ids=lambda each: type(each).__name__
)
def test_a_refusal_is_not_forgiven_by_an_answer_that_is_none(between: VendorError) -> None:
    one = told((failed(AccessDenied), EARLY), (between, EARLY + 1), (failed(AccessDenied), EARLY + 600))
    assert outcome(one) == "refused"


def test_a_wrong_request_and_at_the_first_look_a_spent_licence_are_refused_at_once() -> None:
    for error in (
        failed(RequestRejected, "bad id"),
        failed(RateLimited, "licence", spent=True, retry_after=9.0),
    ):
        one = poller()
        one.observe(error, START)
        assert one.event is not None
        assert (one.event.outcome, one.reconnect) == (OutcomeKind.REFUSED, False)
        assert error.reason in one.event.message


SPENT = failed(RateLimited, "licence", spent=True)


def test_later_a_spent_licence_is_believed_when_it_is_seen_again_three_minutes_after() -> None:
    one = told((SPENT, EARLY))
    assert one.next_poll_at == EARLY + SPENT_CONFIRMED_AFTER
    one.observe(SPENT, EARLY + 179)
    assert outcome(one) == "goes on"
    one.observe(SPENT, EARLY + 180)
    assert outcome(one) == "refused"


def test_a_spent_licence_that_answers_again_was_none() -> None:
    one = told((SPENT, EARLY), (RUNNING, EARLY + 180), (SPENT, EARLY + 360))
    assert outcome(one) == "goes on"
    one.observe(SPENT, EARLY + 540)
    assert outcome(one) == "refused"


def test_a_spent_licence_does_not_cost_the_last_look_and_is_remembered() -> None:
    one = told((RUNNING, EARLY), (SPENT, LATE - 60))
    assert (one.next_poll_at, one.may_ask(LATE)) == (LATE, True)
    later = poller(now=LATE, memory={**one.memory(), "looked": True})
    later.observe(SPENT, LATE + 180)
    assert outcome(later) == "refused"


# What proxies say


@pytest.mark.parametrize("kind", [RequestRejected, NotFound])
@pytest.mark.parametrize("between", [None, OUTAGE, failed(RateLimited)])
def test_a_4xx_that_is_not_the_vendors_is_believed_when_it_is_seen_twice(
    kind: type[VendorError], between: VendorError | None
) -> None:
    stray = failed(kind, "answered a page", own=False)
    one = told((RUNNING, EARLY), (stray, EARLY + 300))
    assert outcome(one) == "goes on"
    assert EARLY + 300 < one.next_poll_at <= EARLY + 360
    if between is not None:
        one.observe(between, EARLY + 330)
    later = poller(now=EARLY + 350, memory=json.loads(json.dumps(one.memory())))
    for each in (one, later):
        each.observe(stray, EARLY + 360)
        assert outcome(each) == ("refused" if kind is RequestRejected else "unknown_job")


def test_a_good_answer_between_two_strays_begins_anew() -> None:
    stray = failed(RequestRejected, own=False)
    one = told((stray, EARLY), (RUNNING, EARLY + 60), (stray, EARLY + 120), (RUNNING, EARLY + 180))
    assert outcome(one) == "goes on"


# A time that the vendor names


@pytest.mark.parametrize(
    "kind",
    [
        *(AccessDenied, NotFound, RequestRejected, RateLimited),
        *(ServerError, ApiError, TransportError, UnexpectedResponse),
    ],
)
@pytest.mark.parametrize("seconds", [5.0, 140.0, 3600.0])
@pytest.mark.parametrize("at", [EARLY, EARLY + 1800])
def test_whatever_comes_with_a_retry_after_is_asked_about_again_when_that_is_over(
    kind: type[VendorError], seconds: float, at: float
) -> None:
    one = told((RUNNING, START), (failed(kind, retry_after=seconds), at), plan=replace(PLAN, max_outage=None))
    assert outcome(one) == "goes on"
    assert one.not_before == at + seconds
    assert one.next_poll_at >= at + seconds
    assert poller(now=at, memory=one.memory()).next_poll_at >= at + seconds


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_running_job_may_name_a_time_as_well(adaptive: bool) -> None:
    plan = replace(PLAN, adaptive=adaptive)
    one = told((replace(RUNNING, retry_after=400.0), EARLY), plan=plan)
    assert one.next_poll_at == EARLY + 400
    assert poller(plan, EARLY + 60, memory=one.memory()).next_poll_at == EARLY + 400
    one.observe(RUNNING, EARLY + 400)
    assert one.next_poll_at <= EARLY + 460
    assert "not_before" not in one.memory()
    past = told((replace(RUNNING, retry_after=1000.0), LATE - 10))
    assert not past.may_ask(LATE)
    assert outcome(past) == "timed_out"


# Not found


def test_a_job_may_not_be_found_for_two_minutes_after_the_wait_began() -> None:
    one = told((failed(NotFound), FIRST + STEP))
    assert one.next_poll_at == START + NOT_FOUND_GRACE == FIRST + 60
    one.observe(failed(NotFound), START + NOT_FOUND_GRACE - STEP)
    assert outcome(one) == "goes on"
    assert one.next_poll_at == START + NOT_FOUND_GRACE
    one.observe(failed(NotFound), START + NOT_FOUND_GRACE)
    assert outcome(one) == "unknown_job"


def test_a_wait_with_long_pauses_looks_once_more_at_the_end_of_the_grace() -> None:
    plan = replace(PLAN, poll_interval=3600.0)
    assert told((failed(NotFound), FIRST + 1), plan=plan).next_poll_at == START + NOT_FOUND_GRACE


def test_the_grace_counts_from_the_start_of_the_wait_and_not_of_the_poller() -> None:
    one = poller(now=START + 1000)
    one.observe(failed(NotFound), START + 1001)
    assert outcome(one) == "unknown_job"


def test_a_job_that_was_there_and_is_gone_is_unknown() -> None:
    assert outcome(told((RUNNING, EARLY), (failed(NotFound), START + 500))) == "unknown_job"


# Outages


def test_an_outage_ends_the_wait_when_it_has_lasted_too_long() -> None:
    one = told((OUTAGE, EARLY), (OUTAGE, EARLY + 600 - STEP))
    assert outcome(one) == "goes on"
    assert one.next_poll_at == EARLY + 600
    one.observe(failed(TransportError, "no route"), EARLY + 600)
    assert outcome(one) == "gave_up"
    assert one.event is not None
    assert "600 s" in one.event.message
    assert "no route" in one.event.message
    assert "unknown" in one.event.message


@pytest.mark.parametrize(
    "sign_of_life", [RUNNING, failed(NotFound), failed(RateLimited)], ids=lambda each: type(each).__name__
)
def test_any_answer_of_the_vendor_ends_an_outage(sign_of_life: Answer) -> None:
    plan = replace(PLAN, max_outage=50.0)
    one = told((OUTAGE, FIRST + 1), (sign_of_life, FIRST + 40), (OUTAGE, FIRST + 41), plan=plan)
    one.observe(OUTAGE, FIRST + 90)
    assert outcome(one) == "goes on"
    one.observe(OUTAGE, FIRST + 91)
    assert outcome(one) == "gave_up"


def test_being_told_to_slow_down_for_ever_is_no_outage() -> None:
    one = poller()
    for now in range(int(EARLY), int(LATE) - 60, 60):
        one.observe(failed(RateLimited), now)
        assert outcome(one) == "goes on"


def test_an_outage_without_end_lasts_until_the_deadline() -> None:
    one = poller(replace(PLAN, max_outage=None))
    for now in range(int(EARLY), int(LATE), 60):
        one.observe(OUTAGE, now)
        assert outcome(one) == "goes on"
    one.observe(OUTAGE, LATE)
    assert outcome(one) == "timed_out"


def test_no_outage_is_tolerated_if_none_may_be() -> None:
    assert outcome(told((OUTAGE, EARLY), plan=replace(PLAN, max_outage=0.0))) == "gave_up"


def test_an_unknown_word_is_a_failed_poll_and_never_a_result() -> None:
    word = failed(UnexpectedResponse, "answered the unknown status 'odd'; say so in extra 'statuses'")
    one = told((word, EARLY))
    assert (outcome(one), one.memory()["failures"]) == ("goes on", 1)
    one.observe(word, EARLY + 600)
    assert one.event is not None
    assert one.event.outcome is OutcomeKind.GAVE_UP
    assert "statuses" in one.event.message


# Pauses


def test_failed_polls_come_ever_more_slowly_up_to_five_minutes() -> None:
    one = poller(replace(PLAN, max_outage=None, deadline_at=START + 86_400))
    pauses = []
    now = EARLY
    for _ in range(6):
        one.observe(OUTAGE, now)
        pauses.append(one.next_poll_at - now)
        now = one.next_poll_at
    assert pauses == [60, 120, 240, MAX_BACKOFF, MAX_BACKOFF, MAX_BACKOFF]
    one.observe(RUNNING, now)
    one.observe(OUTAGE, now + 1)
    assert one.next_poll_at == now + 61


def test_a_pause_is_never_cut_below_the_poll_interval() -> None:
    plan = replace(PLAN, poll_interval=1000.0, max_outage=None)
    one = told((OUTAGE, EARLY), (OUTAGE, EARLY + 1000), plan=plan)
    assert one.next_poll_at == EARLY + 2000


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 30.0), (0.5, 45.0), (1.0, 60.0)])
def test_a_pause_is_spread_over_its_later_half(jitter: float, pause: float) -> None:
    one = poller(jitter=lambda: jitter)
    one.observe(OUTAGE, EARLY)
    assert one.next_poll_at == EARLY + pause


def test_thousands_of_failures_overflow_nothing() -> None:
    one = poller(replace(PLAN, max_outage=None), memory={"failures": 10**6, "not_before": 0.0})
    one.observe(OUTAGE, EARLY)
    assert one.next_poll_at == EARLY + MAX_BACKOFF


@pytest.mark.parametrize("kind", [RateLimited, ServerError, ApiError])
@pytest.mark.parametrize("seconds", [0.0, 0.5, 30.0, 90.0, 3600.0])
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_retry_after_is_never_cut_short(kind: type[ApiError], seconds: float, jitter: float) -> None:
    one = poller(jitter=lambda: jitter)
    one.observe(failed(kind, retry_after=seconds), EARLY)
    assert one.not_before == EARLY + seconds
    assert one.next_poll_at >= EARLY + max(seconds, 30.0)
    assert one.next_poll_at <= EARLY + max(seconds + 1.0, 60.0)


@given(
    st.floats(0, 3600),
    st.floats(0, 1),
    st.integers(0, 64 * 7199),
    st.sampled_from([RateLimited, ServerError]),
)
def test_nobody_asks_before_retry_after_has_passed(
    seconds: float, jitter: float, steps: int, kind: type[ApiError]
) -> None:
    one = poller(jitter=lambda: jitter)
    now = START + steps * STEP
    one.observe(failed(kind, retry_after=seconds), now)
    assert one.event is None
    at = one.next_poll_at
    if one.may_ask(at):
        assert at >= now + seconds
        assert one.event is None
    else:
        assert outcome(one) == "timed_out"
        assert at == PLAN.deadline_at < now + seconds


def test_a_vendor_that_wants_to_be_left_alone_past_the_deadline_ends_the_wait_there() -> None:
    one = told((RUNNING, EARLY), (failed(RateLimited, retry_after=3600.0), LATE - 10))
    assert one.next_poll_at == LATE
    assert not one.may_ask(LATE)
    assert outcome(one) == "timed_out"
    assert one.event is not None
    assert "last error" in one.event.message


def test_a_vendor_that_wants_to_be_left_alone_before_the_deadline_ends_nothing() -> None:
    one = poller(memory={"failures": 1, "not_before": EARLY + 100})
    one.may_ask(EARLY)
    assert one.event is None


def test_one_may_ask_at_the_deadline_if_the_vendor_minds_no_more() -> None:
    one = told((failed(RateLimited, retry_after=10.0), LATE - 10))
    assert one.may_ask(LATE)
    assert one.event is None


def test_a_success_forgets_that_the_vendor_wanted_a_pause_long_ago() -> None:
    one = told((failed(RateLimited, retry_after=3600.0), EARLY), (RUNNING, EARLY + 3600))
    assert one.next_poll_at == FIRST + 3660
    assert one.memory() == {}


# News


def test_a_person_hears_of_every_change_once() -> None:
    one = poller()
    other = failed(TransportError, "no route")
    heard = [
        one.observe(answer, EARLY + number)
        for number, answer in enumerate(
            [RUNNING, OUTAGE, OUTAGE, failed(ServerError), other, RUNNING, RUNNING]
        )
    ]
    assert [news and news.kind for news in heard] == [
        *("changed", "ServerError None", None, None),
        *("TransportError None", "answers again", None),
    ]
    assert [news.warning for news in heard if news] == [False, True, True, False]
    assert heard[1] is not None
    assert "trouble" in heard[1].text


COUNTED = replace(RUNNING, progress=50, counts={"total": 100, "processed": 50})
LISTED = replace(RUNNING, progress=50)


def test_a_list_that_tells_no_counts_brings_no_news_and_takes_away_no_counts() -> None:
    one = told((COUNTED, EARLY))

    assert one.observe(LISTED, EARLY + 60) is None
    assert one.last_status == COUNTED
    assert one.observe(COUNTED, EARLY + 120) is None
    assert one.observe(replace(COUNTED, counts={"total": 100, "processed": 51}), EARLY + 180) is not None
    further = replace(LISTED, progress=52)
    assert one.observe(further, EARLY + 240) is not None
    assert one.last_status == further
    # Counts that become known are none, either.
    assert one.observe(replace(COUNTED, progress=52), EARLY + 300) is None
    assert one.last_status == replace(COUNTED, progress=52)


@pytest.mark.parametrize("seen", [COUNTED, LISTED], ids=["counted", "listed"])
def test_what_the_first_look_has_told_is_not_told_again_by_whoever_looks(seen: JobStatus) -> None:
    one = JobPoller("a", PLAN, START, {"told": digest("a", COUNTED)})

    assert one.observe(seen, EARLY) is None


def test_a_thousand_failed_polls_are_one_line() -> None:
    one = poller(replace(PLAN, max_outage=None))
    assert sum(one.observe(OUTAGE, EARLY + number) is not None for number in range(1000)) == 1


def test_who_was_not_asked_about_has_no_news_of_an_outage_that_is_known() -> None:
    left_out = failed(TransportError, "was not asked", asked=False)
    one = poller()
    assert one.observe(OUTAGE, EARLY)
    assert one.observe(left_out, EARLY + 60) is None
    assert one.observe(OUTAGE, EARLY + 120) is None

    other = poller()
    assert other.observe(left_out, EARLY)
    assert other.observe(OUTAGE, EARLY + 60) is None
    assert other.observe(failed(ServerError, "something else"), EARLY + 120)


def test_the_end_of_a_wait_is_told_by_its_event_alone() -> None:
    assert poller().observe(failed(RequestRejected), EARLY) is None
    assert poller().observe(SettingsError("x"), EARLY) is None
    assert poller().observe(OUTAGE, LATE) is None


def test_a_recovery_with_a_result_is_told() -> None:
    one = told((OUTAGE, EARLY))
    news = one.observe(status(JobState.SUCCEEDED, "done"), EARLY + 60)
    assert news is not None
    assert news.text == "a: answers again after 60 s: 'done'"


# Memory


def test_a_wait_in_which_all_is_well_remembers_nothing() -> None:
    assert poller().memory() == {}
    assert told((RUNNING, EARLY)).memory() == {}
    assert told((failed(NotFound), EARLY)).memory() == {}
    assert told((OUTAGE, EARLY), (RUNNING, EARLY + 60)).memory() == {}


def test_a_later_poller_goes_on_with_an_outage_where_it_was() -> None:
    first = told((OUTAGE, EARLY), (failed(ServerError, retry_after=100.0), EARLY + 60))
    memory = json.loads(json.dumps(first.memory()))
    assert memory == {"failures": 2, "not_before": EARLY + 160, "outage_began_at": EARLY}
    second = poller(now=EARLY + 61, memory=memory)
    assert second.memory() == memory
    assert second.not_before == EARLY + 160
    second.observe(OUTAGE, EARLY + 200)
    assert second.next_poll_at == EARLY + 440
    second.observe(OUTAGE, EARLY + 600)
    assert outcome(second) == "gave_up"


def test_slowing_down_is_remembered_without_an_outage() -> None:
    memory = told((failed(RateLimited, retry_after=100.0), EARLY)).memory()
    assert memory == {"failures": 1, "not_before": EARLY + 100}
    assert poller(memory=memory).memory() == memory


@given(st.data())
def test_a_poller_with_the_memory_of_another_decides_as_that_would_have(data: st.DataObject) -> None:
    answers = st.sampled_from([RUNNING, OUTAGE, failed(RateLimited, retry_after=7.0), failed(TransportError)])
    plan = replace(PLAN, max_outage=300.0)
    one, now = poller(plan), FIRST
    for answer in data.draw(st.lists(answers, max_size=5)):
        now += 20
        one.observe(answer, now)
    other = poller(plan, now, memory=json.loads(json.dumps(one.memory())))
    for answer in data.draw(st.lists(answers, max_size=8)):
        if one.event or other.event:
            break
        now += 60
        one.observe(answer, now)
        other.observe(answer, now)
        assert other.next_poll_at == one.next_poll_at
    assert outcome(one) == outcome(other)


# Adaptive

ADAPTIVE = replace(PLAN, adaptive=True)


def at(percent: int) -> JobStatus:
    return replace(RUNNING, progress=percent)


def test_an_adaptive_wait_begins_at_the_first_point_of_the_grid() -> None:
    assert poller(ADAPTIVE, START).next_poll_at == FIRST
    assert poller(ADAPTIVE, FIRST + 1).next_poll_at == FIRST + 60


def test_an_adaptive_wait_looks_between_two_points_of_the_grid_when_a_job_may_end() -> None:
    one = told((at(0), START), (at(80), START + 40), plan=ADAPTIVE)
    assert START + 40 < one.next_poll_at <= START + 50
    assert told((at(0), START), (at(80), START + 40)).next_poll_at == FIRST


def test_an_adaptive_wait_never_looks_after_the_next_point_or_the_deadline() -> None:
    one = told((at(0), START), (at(1), START + 50), plan=ADAPTIVE)
    assert one.next_poll_at == FIRST
    plan = replace(ADAPTIVE, deadline_at=FIRST + 7030)
    one = told((RUNNING, FIRST + 7020), plan=plan)
    assert FIRST + 7020 < one.next_poll_at <= plan.deadline_at


def test_an_outage_of_an_adaptive_wait_is_as_that_of_any_other() -> None:
    for answer in (OUTAGE, failed(RateLimited, retry_after=30.0), failed(NotFound), failed(AccessDenied)):
        adaptive, fixed = told((answer, EARLY), plan=ADAPTIVE), told((answer, EARLY))
        assert adaptive.next_poll_at == fixed.next_poll_at


def test_an_adaptive_wait_goes_on_with_the_pace_of_an_earlier_poller() -> None:
    plan = replace(ADAPTIVE, poll_interval=300.0, first_poll_at=START + 300)
    first = told((at(0), START), (at(50), START + 100), plan=plan)
    memory = json.loads(json.dumps(first.memory()))
    assert memory == {"progress_rate": [[START, 0.0], [START + 100, 0.5]]}
    second, forgetful = poller(plan, START + 110, memory=memory), poller(plan, START + 110)
    for one in (first, second, forgetful):
        one.observe(at(55), START + 110)
    assert second.next_poll_at == first.next_poll_at > forgetful.next_poll_at


def test_an_adaptive_wait_for_a_job_without_progress_remembers_nothing() -> None:
    assert told((RUNNING, EARLY), plan=ADAPTIVE).memory() == {}


def test_a_wait_uses_how_long_others_took_once_its_owner_knows_it() -> None:
    durations = DurationHistory()
    for _ in range(10):
        durations.add(7000.0)
    one, alone = poller(ADAPTIVE), poller(ADAPTIVE)
    one.durations = durations
    for each in (one, alone):
        each.observe(RUNNING, START + 30)
    assert one.next_poll_at > alone.next_poll_at


@pytest.mark.parametrize("plan", [PLAN, ADAPTIVE])
@pytest.mark.parametrize("state", [state for state in JobState if state.terminal])
def test_the_end_of_a_job_is_told_to_the_durations_of_its_kind(plan: WaitSpec, state: JobState) -> None:
    durations = DurationHistory()
    one = poller(plan, durations=durations)
    one.observe(RUNNING, EARLY)
    one.observe(status(state), EARLY + 60)
    assert len(durations) == 1


def test_a_job_that_had_ended_before_the_first_look_took_nobody_knows_how_long() -> None:
    durations = DurationHistory()
    poller(durations=durations).observe(status(JobState.SUCCEEDED), EARLY)
    poller(durations=durations).observe(OUTAGE, EARLY)
    poller(durations=durations).observe(RUNNING, LATE)
    assert len(durations) == 0


# All of it together


@st.composite
def any_answer(draw: st.DrawFn) -> Answer:
    answer = draw(st.sampled_from([row[0] for row in TABLE.values()]))
    if isinstance(answer, ApiError):
        after = draw(st.none() | st.integers(0, 3600 * 64).map(lambda steps: steps * STEP))
        return failed(
            type(answer), retry_after=after, **({"spent": True} if getattr(answer, "spent", 0) else {})
        )
    return answer


def without_ends(answer: Answer) -> bool:
    return not (
        isinstance(answer, (SettingsError, RequestRejected))
        or (isinstance(answer, JobStatus) and answer.state.terminal)
    )


@given(
    st.builds(replace, any_plans, adaptive=st.booleans()),
    st.lists(
        st.tuples(
            any_answer().filter(without_ends) | any_answer(),
            st.integers(0, 64 * 120).map(lambda steps: steps * STEP),
        ),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_happens_the_wait_ends_or_pauses_and_nobody_is_asked_too_early(
    plan: WaitSpec, happens: list[tuple[Answer, float]], chance: random.Random
) -> None:
    one = JobPoller("a", plan, FIRST, jitter=chance.random)
    now = FIRST
    for answer, took in happens:
        assert one.next_poll_at <= plan.deadline_at
        now = max(now, one.next_poll_at)
        if not one.may_ask(now):
            assert one.event is not None
            break
        assert now >= one.not_before
        one.reconnect = False
        now += took
        one.observe(answer, now)
        if one.event is not None:
            break
        assert now < one.next_poll_at
        assert now < plan.deadline_at
        assert_storable(one.memory())
    if one.event is not None:
        assert_storable(one.event.as_dict())
        assert WaitOutcome.from_dict(one.event.as_dict()) == one.event
        finished = one.event.outcome is OutcomeKind.FINISHED
        assert finished == (isinstance(answer, JobStatus) and answer.state.terminal)


@given(any_plans, st.lists(any_answer().filter(without_ends), min_size=1, max_size=5))
def test_every_wait_ends_at_its_deadline_at_the_latest(plan: WaitSpec, answers: list[Answer]) -> None:
    one = poller(plan, FIRST)
    now = FIRST
    polls = 0
    while one.event is None:
        now = max(now, one.next_poll_at)
        if one.may_ask(now):
            polls += 1
            one.observe(answers[polls % len(answers)], now)
    assert now <= plan.deadline_at
    # A refusal that names a time is tried again after it; one between two usable responses at once.
    shortest = min(plan.poll_interval, max(plan.max_wait or 1e9, 1.0), REFUSED_PAUSE)
    assert polls <= 2 + 86_400 / shortest * 2.4 + 120


# Sentences


def line(error: VendorError, now: float, **options: Any) -> str:
    """What the log is told when this comes after the first look of a wait."""
    one = poller(memory={"looked": True}, **options)
    news = one.observe(error, now)
    assert news is not None
    return news.text


def shown(at: float) -> str:
    return in_utc(at, " ")


def test_a_refusal_says_until_when_it_is_borne_and_what_to_check_where() -> None:
    denied = failed(AccessDenied, conn_id="mine", status=401, credential="the key")
    text = line(denied, EARLY)
    assert f"the wait goes on until {shown(EARLY + PLAN.refusal_grace)}" in text
    assert "check the key in connection 'mine'" in text
    assert "the job itself is not affected" in text
    assert "see this job" not in text
    assert "see this job" in line(failed(AccessDenied, conn_id="mine", status=403), EARLY)


def test_a_refusal_is_never_borne_beyond_the_deadline() -> None:
    assert shown(LATE) in line(failed(AccessDenied), LATE - 60)
    assert shown(LATE) in line(OUTAGE, LATE - 60)


def test_at_the_end_of_the_grace_a_refusal_says_how_long_it_lasted() -> None:
    one = told((failed(AccessDenied), EARLY), (failed(AccessDenied, conn_id="mine"), EARLY + 600))
    assert one.event is not None
    assert "refused for 600 s: check the credential in connection 'mine'" in one.event.message
    assert one.event.message.endswith("The job may still run.")


@pytest.mark.parametrize("second", [START + 1, START + 30])
def test_at_the_first_look_one_text_says_that_a_second_try_was_refused_too(second: float) -> None:
    one = poller()
    assert one.observe(failed(AccessDenied, conn_id="mine"), START) is None
    assert one.observe(failed(AccessDenied, conn_id="mine"), second) is None
    assert one.event is not None
    assert one.event.message.count("trouble") == 1
    assert "a second try, with connection 'mine' read anew, was refused, too" in one.event.message


def test_at_the_first_look_a_login_that_was_not_tried_again_is_not_said_to_be() -> None:
    one, held = poller(), failed(AccessDenied, conn_id="mine")
    held.asked = False
    one.observe(failed(AccessDenied, conn_id="mine"), START)
    one.observe(held, START + 1)
    assert one.event is not None
    assert "second try" not in one.event.message
    assert (
        "connection 'mine' was read anew and holds the same credentials, which were not tried again"
        in one.event.message
    )


def test_a_first_refusal_at_the_deadline_claims_no_second_try() -> None:
    event = told((failed(AccessDenied), LATE)).event
    assert event is not None
    assert "second" not in event.message
    assert "refused for" not in event.message


def test_an_early_404_says_until_when_it_is_asked_on_and_what_to_check() -> None:
    text = line(failed(NotFound, conn_id="mine"), EARLY)
    assert f"polled on until {shown(START + NOT_FOUND_GRACE)}, in case it was just submitted" in text
    assert "check the job id" in text
    # Of a proxy, later: no time to name that has passed.
    assert "next poll by" in line(failed(NotFound, own=False), START + 500)


def test_an_unknown_job_and_a_rejected_request_say_what_to_check() -> None:
    gone = told((RUNNING, EARLY), (failed(NotFound, conn_id="mine"), START + 500)).event
    assert gone is not None
    assert "does not know this job, 500 s after the wait began. Check the job id" in gone.message
    wrong = told((failed(RequestRejected, conn_id="mine"), EARLY)).event
    assert wrong is not None
    assert "check the job id, and the address in connection 'mine'" in wrong.message


def test_an_outage_says_until_when_it_is_borne_and_its_end_how_long_it_was() -> None:
    assert f"bears this until {shown(EARLY + 600)}" in line(OUTAGE, EARLY)
    assert "bears" not in line(OUTAGE, EARLY, plan=replace(PLAN, max_outage=None))
    one = told((OUTAGE, EARLY), (failed(TransportError), EARLY + 60))
    again = one.observe(RUNNING, EARLY + 200)
    assert again is not None
    assert "answers again after 200 s: " in again.text


def test_an_outage_whose_beginning_nobody_remembers_is_given_no_length() -> None:
    one = poller(now=FIRST + 600, memory={"looked": True})
    for error in (OUTAGE, failed(NotFound, own=False)):
        one.observe(error, FIRST + 601)
    again = one.observe(RUNNING, FIRST + 700)
    assert again is not None
    assert again.text == "a: answers again: 'processing'"
    one.observe(OUTAGE, FIRST + 800)
    again = one.observe(RUNNING, FIRST + 840)
    assert again is not None
    assert "answers again after 40 s: " in again.text


def test_an_outage_that_an_earlier_poller_saw_counts_from_there() -> None:
    one = poller(memory={"looked": True, "outage_began_at": EARLY - 100})
    one.observe(OUTAGE, EARLY)
    again = one.observe(RUNNING, EARLY + 50)
    assert again is not None
    assert "after 150 s" in again.text
