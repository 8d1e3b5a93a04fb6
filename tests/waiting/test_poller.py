"""Every decision of a wait, as values: no server, no loop, no sleep."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
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
from airflow_provider_jobstatus.waiting.failed_polls import REFUSED_PAUSE
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome, digest
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import SAME_POINT, WaitSpec
from tests.support.values import assert_storable
from tests.waiting.test_spec import FIRST, STEP, grid
from tests.waiting.test_spec import plans as any_plans

Answer = JobStatus | VendorError | SettingsError

START = FIRST - 60
PLAN = WaitSpec(
    poll_interval=60.0, started_at=START, first_poll_at=FIRST, deadline_at=START + 7200, max_outage=600.0
)
ADAPTIVE = replace(PLAN, adaptive=True)
#: Within the grace of a 404, and long before the deadline.
EARLY = FIRST + 1
LATE = PLAN.deadline_at
TERMINAL = [state for state in JobState if state.terminal]


def status(state: JobState = JobState.RUNNING, word: str = "processing") -> JobStatus:
    return JobStatus("a", "vendor", state, word)


def failed(kind: type[VendorError], reason: str = "trouble", **facts: Any) -> VendorError:
    error = kind(reason, vendor="vendor", method="GET", path="/job")
    for name, value in facts.items():
        setattr(error, name, value)
    return error


RUNNING, QUEUED = status(), status(word="queued")
OUTAGE, AWAY = failed(ServerError), failed(TransportError, "no route")
DENIED, HELD = failed(AccessDenied), failed(AccessDenied, asked=False)
MISSING, LIMITED, SPENT = failed(NotFound), failed(RateLimited), failed(RateLimited, "licence", spent=True)
MINE = failed(AccessDenied, conn_id="mine")
ODD = failed(UnexpectedResponse, "answered the unknown status 'odd'; say so in extra 'statuses'")


def poller(plan: WaitSpec = PLAN, now: float = START, **options: Any) -> JobPoller:
    return JobPoller("a", plan, now, **{"jitter": lambda: 1.0, **options})


def told(*answers: tuple[Answer, float], plan: WaitSpec = PLAN, looked: bool = True) -> JobPoller:
    """Return a poller that has seen these answers, each at its time, by default after the first poll."""
    one = poller(plan, memory={"looked": looked})
    for answer, now in answers:
        one.observe(answer, now)
    return one


def later(one: JobPoller, now: float) -> JobPoller:
    """Return the poller of another process that goes on with the memory of this one."""
    memory = json.loads(json.dumps(one.memory(), allow_nan=False))
    return poller(one.spec, now, memory={**memory, "looked": True})


def outcome(one: JobPoller) -> str:
    return one.event.outcome if one.event else "goes on"


TABLE: dict[str, tuple[Answer, str, str]] = {
    # answer: before the deadline, after it
    **{state.value: (status(state), "finished", "finished") for state in TERMINAL},
    "running": (RUNNING, "goes on", "timed_out"),
    "refused": (DENIED, "goes on", "refused"),
    "our request is wrong": (failed(RequestRejected), "refused", "refused"),
    "not found": (MISSING, "goes on", "timed_out"),
    "too many requests": (LIMITED, "goes on", "timed_out"),
    "licence spent": (SPENT, "goes on", "timed_out"),
    "a wrong request, says a proxy": (failed(RequestRejected, own=False), "goes on", "timed_out"),
    "not found, says a proxy": (failed(NotFound, own=False), "goes on", "timed_out"),
    "not polled, as the key is refused": (HELD, "goes on", "timed_out"),
    "server error": (OUTAGE, "goes on", "timed_out"),
    "no usable reply": (AWAY, "goes on", "timed_out"),
    "no connection": (failed(SendError), "goes on", "timed_out"),
    "foreign reply or unknown word": (failed(UnexpectedResponse), "goes on", "timed_out"),
    "another API error": (failed(ApiError), "goes on", "timed_out"),
    "another error": (failed(VendorError), "goes on", "timed_out"),
    "unusable settings": (SettingsError("no id"), "bad_settings", "bad_settings"),
}


@pytest.mark.parametrize("what", TABLE)
def test_every_answer_does_what_the_table_says(what: str) -> None:
    answer, before, after = TABLE[what]
    one = told((answer, EARLY))
    assert outcome(one) == before
    assert one.event is not None or EARLY < one.next_poll_at <= PLAN.deadline_at
    assert outcome(told((answer, LATE - STEP))) == ("unknown_job" if what == "not found" else before)
    assert outcome(told((answer, LATE + 3600))) == after
    end = told((QUEUED, EARLY), (answer, LATE)).event
    assert end is not None
    assert (end.job_id, end.outcome) == ("a", after)
    if isinstance(answer, JobStatus) and answer.state.terminal:
        # Also after a long outage.
        assert end == told((OUTAGE, EARLY), (answer, EARLY + 3600)).event
        assert end == WaitOutcome("a", OutcomeKind.FINISHED, answer)
        return
    assert end.message.startswith("a: ")
    if isinstance(answer, Exception):
        assert end.status == QUEUED
        assert str(answer) in end.message


STRAYS = {"stray": failed(RequestRejected, own=False), "stray 404": failed(NotFound, own=False)}
COMES: dict[str, VendorError | JobStatus] = {
    **{"running": RUNNING, "denied": DENIED, "held": HELD, "missing": MISSING, "outage": OUTAGE, "odd": ODD},
    **{"limited": LIMITED, "spent": SPENT, "wrong": failed(RequestRejected), "away": AWAY, **STRAYS},
    **{"queued": QUEUED, "done": status(JobState.SUCCEEDED, "done"), "mine": MINE},
    "my 401": failed(AccessDenied, conn_id="mine", status=401, credential="the key"),
    "a 403": failed(AccessDenied, status=403),
    "my missing": failed(NotFound, conn_id="mine"),
    "my wrong": failed(RequestRejected, "bad id", conn_id="mine"),
}
#: A line for the course of a wait, and one for what comes at which second of it, perhaps with a Retry-After.
#: Behind a colon stands what follows: the second of the next poll, or the outcome. At "restart", another
#: process goes on with the wait.
COURSES = """
a running job is polled at the next point, however long the response took
60.5 running: 120, 119 running: 120, 120 running: 180, 121 running: 180
there is a last poll of a running job at the deadline itself | deadline_at=150
121 running: 150
there is a last poll in an outage at the deadline itself | deadline_at=150
121 outage: 150
there is a last poll of a missing job at the deadline itself | deadline_at=119.5
119 missing: 119.5
at the first poll a second refusal with fresh settings is final | looked=0
0 denied: 1, 1 denied: refused
without a grace a second refusal is final | refusal_grace=0
61 denied: 62, 62 denied: refused
a job that was refused itself is refused at the deadline, polled or not
7140 denied, 7200 held: refused
a job that was never polled is not refused at the deadline
7140 held, 7200 held: timed_out
a first poll that met an outage is over | looked=0
0 outage, 61 denied, 62 denied: 92
a grace goes on in a later poller
61 denied: 62, 62 denied: 92, 91 restart, 660 denied: 661, 661 denied: refused
a refusal that names a time does not count for that time | looked=0 refusal_grace=30 deadline_at=20000
61 denied+900: 961, 961 denied+450: 1411, 1411 denied+3600: 5011, 5041 denied: refused
a refusal is forgiven anew after a usable response
61 denied, 62 running, 121 denied: 122, 720 denied: 721, 721 denied: refused
a refusal is not forgiven by an outage
61 denied, 62 outage, 661 denied: refused
a refusal is not forgiven by a 404
61 denied, 62 missing, 661 denied: refused
a refusal is not forgiven by a 429
61 denied, 62 limited, 661 denied: refused
a wrong request is refused at the first poll | looked=0
0 wrong: refused
a spent licence is refused at the first poll | looked=0
0 spent+9: refused
later a spent licence counts when it is seen again three minutes after
61 spent: 241, 240 spent: 360, 241 spent: refused
a spent licence after which the job is seen again was none
61 spent, 241 running, 421 spent: 601, 601 spent: refused
a spent licence does not cost the last poll and is remembered
61 running, 7140 spent: 7200, 7200 restart: 7200, 7380 spent: refused
a 4xx that is not the vendor's counts when it is seen twice
61 running, 361 stray: 421, 421 stray: refused
a stray 4xx is not forgiven by an outage
361 stray: 421, 391 outage, 421 stray: refused
a stray 4xx is not forgiven by a 429 and is remembered
361 stray: 421, 391 limited, 411 restart, 421 stray: refused
a 404 that is not the vendor's counts when it is seen twice
61 running, 361 stray 404: 421, 421 stray 404: unknown_job
a stray 404 is not forgiven by an outage and is remembered
361 stray 404: 421, 391 outage, 411 restart, 421 stray 404: unknown_job
a stray 404 is not forgiven by a 429
361 stray 404: 421, 391 limited, 421 stray 404: unknown_job
a usable response between two strays begins anew
61 stray, 121 running, 181 stray: 241, 241 running: 300
a job may be missing for two minutes after the wait began
60.5 missing: 120, 119.5 missing: 120, 120 missing: unknown_job
a wait with long pauses polls once more at the end of that grace | poll_interval=3600
61 missing: 120
that grace counts from the start of the wait and not of the poller
1000 restart, 1001 missing: unknown_job
a job that was there and is gone is unknown
61 running, 500 missing: unknown_job
an outage ends the wait when it has lasted too long
61 outage: 121, 660.5 outage: 661, 661 away: gave_up
a running job ends an outage | max_outage=50
61 outage, 100 running, 101 outage: 151, 150 outage: 151, 151 outage: gave_up
a 404 ends an outage | max_outage=50
61 outage, 100 missing, 101 outage: 151, 150 outage: 151, 151 outage: gave_up
a 429 ends an outage | max_outage=50
61 outage, 100 limited, 101 outage: 151, 150 outage: 151, 151 outage: gave_up
no outage is borne if none may be | max_outage=0
61 outage: gave_up
an unknown word is a failed poll and never a result
61 odd: 121, 661 odd: gave_up
failed polls come ever more slowly up to five minutes | max_outage=1e6
61 outage: 121, 121 outage: 241, 241 outage: 481, 481 outage: 781, 781 outage: 1081
a running job ends ever slower polls
61 outage: 121, 121 outage: 241, 241 running: 300, 242 outage: 302
a pause is never cut below the poll interval | poll_interval=1000 max_outage=1e6
61 outage, 1061 outage: 2061
a usable response ends a pause of long ago
61 limited+3600, 3661 running: 3720
polls after a Retry-After are spread over a second
61 limited+100: 162
or over the time that it names, if that is shorter | poll_interval=1
61 limited+0.5: 62
a later poller goes on with an outage where it was
61 outage, 121 outage+100: 241, 122 restart: 221, 261 outage: 501, 661 outage: gave_up
""".strip().splitlines()


def go_on(one: JobPoller, event: str) -> tuple[JobPoller, str]:
    """Let a second of the wait bring what a line says. Returns the poller, and the text of its end or log."""
    seconds, what, wish = re.fullmatch(r"([\d.]+) ([a-z0-9 ]+)\+?([\d.]+)?", event).groups()  # type: ignore[union-attr]
    now = START + float(seconds)
    if what == "restart":
        return later(one, now), ""
    comes = COMES[what]
    if wish is not None:
        comes = copy.copy(comes)
        comes.retry_after = float(wish)  # type: ignore[misc]
    entry = one.observe(comes, now)
    end = one.event.message if one.event else ""
    return one, end or (entry.text if entry else "")


@pytest.mark.parametrize(("course", "steps"), list(zip(COURSES[::2], COURSES[1::2], strict=True)))
def test_a_wait_goes_on_and_ends_as_it_must(course: str, steps: str) -> None:
    options = {name: float(value) for name, value in re.findall(r"(\w+)=(\S+)", course)}
    looked = bool(options.pop("looked", 1.0))
    if "deadline_at" in options:
        options["deadline_at"] += START
    one = told(plan=replace(PLAN, **options), looked=looked)
    for step in steps.split(", "):
        event, _, expected = step.partition(": ")
        one, _ = go_on(one, event)
        if expected.isidentifier():
            assert outcome(one) == expected, step
        else:
            assert outcome(one) == "goes on", step
            assert not expected or one.next_poll_at - START == float(expected), step


def test_a_grace_begins_anew_with_other_settings_that_are_refused_as_well() -> None:
    one = told((failed(AccessDenied, refused_since=EARLY - 9), EARLY), (DENIED, EARLY + 599))
    one.observe(failed(AccessDenied, refused_since=EARLY + 500), EARLY + 600)
    one.observe(DENIED, EARLY + 1099)
    assert one.next_poll_at == EARLY + 1100
    one.observe(DENIED, EARLY + 1100)
    assert outcome(one) == "refused"


def test_slowing_down_for_ever_is_no_outage_and_one_without_limit_ends_at_the_deadline() -> None:
    one, endless = poller(), poller(replace(PLAN, max_outage=None))
    for now in range(int(EARLY), int(LATE), 60):
        one.observe(LIMITED, now)
        endless.observe(OUTAGE, now)
        assert (outcome(one), outcome(endless)) == ("goes on", "goes on")
    endless.observe(OUTAGE, LATE)
    assert outcome(endless) == "timed_out"


@pytest.mark.parametrize(("early", "ends"), [(SAME_POINT, True), (1.5 * SAME_POINT, False)])
def test_a_point_in_time_may_be_reached_a_hair_too_early(early: float, ends: bool) -> None:
    for answer in (DENIED, OUTAGE):
        one = told((answer, EARLY), (answer, EARLY + 600 - early))
        assert (one.event is not None) == ends
    spent = told((SPENT, EARLY), (SPENT, EARLY + 180 - early))
    assert (spent.event is not None) == ends
    silent = told((failed(RateLimited, retry_after=3600.0), LATE - 10))
    assert silent.may_ask(LATE - early) != ends
    stalled = told((RUNNING, EARLY), plan=replace(PLAN, stalled_after=300.0, if_stalled="fail"))
    stalled.observe(RUNNING, EARLY + 300 - early)
    assert (stalled.event is not None) == ends


def asks(seconds: float) -> VendorError:
    return failed(AccessDenied, retry_after=seconds)


@pytest.mark.parametrize("answer", [OUTAGE, DENIED, SettingsError("no id")])
def test_an_end_that_an_earlier_poller_saw_stands_but_for_unusable_settings(answer: Answer) -> None:
    done = status(JobState.SUCCEEDED, "done")
    one = poller(memory={"looked": True, "seen": done.as_dict()})
    one.observe(answer, LATE)
    if isinstance(answer, SettingsError):
        assert one.event == WaitOutcome("a", OutcomeKind.BAD_SETTINGS, done, "a: no id")
    else:
        assert one.event == WaitOutcome("a", OutcomeKind.FINISHED, done)


# The grid and the deadline


@given(any_plans, st.integers(1, 64 * 80_000))
def test_a_new_poller_polls_at_a_point_of_the_same_grid(plan: WaitSpec, steps: int) -> None:
    now = FIRST + steps * STEP
    expected = next(point for point in grid(plan) if point > now)
    assert poller(plan, now).next_poll_at == min(expected, plan.deadline_at)
    one = poller(plan)
    one.observe(RUNNING, now)
    assert one.next_poll_at == min(expected, plan.deadline_at)


@pytest.mark.parametrize("plan", [PLAN, ADAPTIVE])
@pytest.mark.parametrize(("now", "at"), [(START, FIRST), (FIRST, FIRST), (FIRST + STEP, FIRST + 60)])
def test_the_first_poll_is_at_the_first_point_of_the_grid_to_come(
    plan: WaitSpec, now: float, at: float
) -> None:
    assert poller(plan, now).next_poll_at == at


@pytest.mark.parametrize("now", [START, FIRST, LATE - 1, LATE, LATE + 86_400])
def test_a_restart_does_not_restart_the_deadline(now: float) -> None:
    one = poller(now=now)
    assert one.next_poll_at <= LATE
    one.observe(RUNNING, max(now, LATE))
    assert outcome(one) == "timed_out"


# Refusals


def test_a_refusal_has_the_connection_read_again_once_until_a_usable_response() -> None:
    one = told((DENIED, EARLY))
    assert one.reconnect
    one.reconnect = False
    one.observe(DENIED, EARLY + 1)
    assert (one.reconnect, one.refused) == (False, True)
    assert later(one, EARLY + 2).refused
    one.observe(RUNNING, EARLY + 31)
    assert not one.refused
    one.observe(DENIED, EARLY + 60)
    assert one.reconnect
    assert not any(told((error, START), looked=False).reconnect for error in (SPENT, failed(RequestRejected)))


@pytest.mark.parametrize("grace", [1.0, 45.0, 600.0, 1800.0])
def test_after_the_first_poll_credentials_may_be_refused_for_a_grace(grace: float) -> None:
    one = told((DENIED, EARLY), plan=replace(PLAN, refusal_grace=grace))
    polls = 0
    while one.event is None and polls < 100:
        polls += 1
        now = one.next_poll_at
        assert now <= EARLY + grace
        one.observe(DENIED, now)
        assert one.next_poll_at - now <= REFUSED_PAUSE
    assert (outcome(one), now) == ("refused", EARLY + grace)
    assert polls == 1 + math.ceil((grace - 1) / REFUSED_PAUSE)


def test_refusals_that_each_name_a_second_end_the_wait_when_the_grace_is_over() -> None:
    one = told((RUNNING, FIRST), plan=replace(PLAN, refusal_grace=90.0, deadline_at=START + 90_000))
    now, polls = EARLY, 1
    while one.event is None:
        one.observe(asks(1.0), now)
        now, polls = max(now, one.next_poll_at), polls + 1
    assert one.event.outcome is OutcomeKind.REFUSED
    assert polls <= 8
    assert now - EARLY < 90 + 2 * REFUSED_PAUSE


# A time that the vendor names

ANY_KIND = [
    *(AccessDenied, NotFound, RequestRejected, RateLimited),
    *(ServerError, ApiError, TransportError, UnexpectedResponse),
]


@pytest.mark.parametrize("kind", ANY_KIND)
@pytest.mark.parametrize("seconds", [5.0, 140.0, 3600.0])
@pytest.mark.parametrize("at", [EARLY, EARLY + 1800])
def test_after_a_retry_after_the_next_poll_comes_when_that_is_over(
    kind: type[VendorError], seconds: float, at: float
) -> None:
    one = told((RUNNING, START), (failed(kind, retry_after=seconds), at), plan=replace(PLAN, max_outage=None))
    assert outcome(one) == "goes on"
    assert one.not_before == at + seconds
    assert one.next_poll_at >= at + seconds
    assert later(one, at).next_poll_at >= at + seconds


@pytest.mark.parametrize("plan", [PLAN, ADAPTIVE])
def test_a_running_job_may_name_a_time_as_well(plan: WaitSpec) -> None:
    one = told((replace(RUNNING, retry_after=400.0), EARLY), plan=plan)
    assert one.next_poll_at == EARLY + 400
    assert later(one, EARLY + 60).next_poll_at == EARLY + 400
    one.observe(RUNNING, EARLY + 400)
    assert one.next_poll_at <= EARLY + 460
    assert "not_before" not in one.memory()


@given(
    st.floats(0, 3600),
    st.floats(0, 1),
    st.integers(0, 64 * 7199),
    st.sampled_from([RateLimited, ServerError, ApiError]),
)
def test_retry_after_is_never_cut_short_and_pauses_are_spread(
    seconds: float, jitter: float, steps: int, kind: type[ApiError]
) -> None:
    one = poller(jitter=lambda: jitter)
    now = START + steps * STEP
    one.observe(failed(kind, retry_after=seconds), now)
    assert one.event is None
    assert one.not_before == now + seconds
    at = one.next_poll_at
    if one.may_ask(at):
        assert at >= min(now + max(seconds, 30.0), LATE)
        assert at <= max(now + max(seconds + 1.0, 60.0), FIRST)
        assert one.event is None
    else:
        assert outcome(one) == "timed_out"
        assert at == PLAN.deadline_at < now + seconds


def test_a_vendor_that_allows_no_call_before_the_deadline_ends_the_wait_there_and_no_sooner() -> None:
    one = told((RUNNING, EARLY), (failed(RateLimited, retry_after=3600.0), LATE - 10))
    assert one.next_poll_at == LATE
    assert (one.may_ask(LATE - 1), one.event) == (True, None)
    assert (one.may_ask(LATE), outcome(one)) == (False, "timed_out")
    assert one.event is not None
    assert "last error" in one.event.message
    running = told((replace(RUNNING, retry_after=1000.0), LATE - 10))
    assert (running.may_ask(LATE), outcome(running)) == (False, "timed_out")
    free_again = told((failed(RateLimited, retry_after=10.0), LATE - 10))
    assert (free_again.may_ask(LATE), free_again.event) == (True, None)


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 30.0), (0.5, 45.0), (1.0, 60.0)])
def test_a_pause_is_spread_over_its_later_half(jitter: float, pause: float) -> None:
    one = poller(jitter=lambda: jitter)
    one.observe(OUTAGE, EARLY)
    assert one.next_poll_at == EARLY + pause


def test_thousands_of_failures_overflow_nothing() -> None:
    one = poller(replace(PLAN, max_outage=None), memory={"failures": 10**6, "not_before": 0.0})
    one.observe(OUTAGE, EARLY)
    assert one.next_poll_at == EARLY + 300


# Log entries


def test_a_person_hears_of_every_change_once() -> None:
    one = poller()
    answers = [RUNNING, OUTAGE, OUTAGE, failed(ServerError), AWAY, RUNNING, RUNNING]
    heard = [one.observe(answer, EARLY + number) for number, answer in enumerate(answers)]
    assert [entry and (entry.kind, entry.warning) for entry in heard] == [
        *(("changed", False), ("ServerError None", True), None, None),
        *(("TransportError None", True), ("answers again", False), None),
    ]
    assert heard[1] is not None
    assert "trouble" in heard[1].text


COUNTED = replace(RUNNING, progress=50, counts={"total": 100, "processed": 50})
LISTED = replace(RUNNING, progress=50)


def test_a_list_without_counts_is_no_change_and_takes_away_no_counts() -> None:
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
def test_what_the_first_poll_has_logged_is_not_logged_again(seen: JobStatus) -> None:
    one = JobPoller("a", PLAN, START, {"told": digest("a", COUNTED)})

    assert one.observe(seen, EARLY) is None


def test_a_thousand_failed_polls_are_one_line() -> None:
    one = poller(replace(PLAN, max_outage=None))
    assert sum(one.observe(OUTAGE, EARLY + number) is not None for number in range(1000)) == 1


def test_a_job_that_was_not_polled_logs_no_outage_that_is_known() -> None:
    left_out = failed(TransportError, "was not asked", asked=False)
    one, other = poller(), poller()
    heard = [one.observe(each, EARLY + 60 * at) for at, each in enumerate((OUTAGE, left_out, OUTAGE))]
    assert [bool(entry) for entry in heard] == [True, False, False]
    different = failed(ServerError, "something else")
    heard = [other.observe(each, EARLY + 60 * at) for at, each in enumerate((left_out, OUTAGE, different))]
    assert [bool(entry) for entry in heard] == [True, False, True]


@pytest.mark.parametrize(
    ("answer", "now"), [(failed(RequestRejected), EARLY), (SettingsError("x"), EARLY), (OUTAGE, LATE)]
)
def test_the_end_of_a_wait_is_reported_by_its_event_alone(answer: Answer, now: float) -> None:
    assert poller().observe(answer, now) is None


# Memory


@pytest.mark.parametrize(
    ("answers", "plan"),
    [
        ([], PLAN),
        ([(RUNNING, EARLY)], PLAN),
        ([(RUNNING, EARLY)], ADAPTIVE),
        ([(MISSING, EARLY)], PLAN),
        ([(OUTAGE, EARLY), (RUNNING, EARLY + 60)], PLAN),
        ([(failed(RateLimited, retry_after=3600.0), EARLY), (RUNNING, EARLY + 3600)], PLAN),
    ],
)
def test_a_wait_in_which_all_is_well_remembers_nothing(
    answers: list[tuple[Answer, float]], plan: WaitSpec
) -> None:
    assert told(*answers, plan=plan).memory() == {}


@pytest.mark.parametrize(
    ("answers", "memory"),
    [
        (
            [(OUTAGE, EARLY), (failed(ServerError, retry_after=100.0), EARLY + 60)],
            {"failures": 2, "not_before": EARLY + 160, "outage_began_at": EARLY},
        ),
        ([(failed(RateLimited, retry_after=100.0), EARLY)], {"failures": 1, "not_before": EARLY + 100}),
        ([(ODD, EARLY)], {"failures": 1, "not_before": 0.0, "outage_began_at": EARLY}),
    ],
)
def test_trouble_is_remembered(answers: list[tuple[Answer, float]], memory: dict[str, Any]) -> None:
    one = told(*answers)
    assert one.memory() == memory
    assert (later(one, EARLY + 61).memory(), later(one, EARLY + 61).not_before) == (
        memory,
        memory["not_before"],
    )


@given(st.data())
def test_a_poller_with_the_memory_of_another_decides_as_that_would_have(data: st.DataObject) -> None:
    answers = st.sampled_from([RUNNING, OUTAGE, failed(RateLimited, retry_after=7.0), AWAY])
    plan = replace(PLAN, max_outage=300.0)
    one, now = poller(plan), FIRST
    for answer in data.draw(st.lists(answers, max_size=5)):
        now += 20
        one.observe(answer, now)
    other = later(one, now)
    for answer in data.draw(st.lists(answers, max_size=8)):
        if one.event or other.event:
            break
        now += 60
        one.observe(answer, now)
        other.observe(answer, now)
        assert other.next_poll_at == one.next_poll_at
    assert outcome(one) == outcome(other)


# Adaptive


def at(percent: int) -> JobStatus:
    return replace(RUNNING, progress=percent)


def test_an_adaptive_wait_polls_between_two_points_of_the_grid_when_a_job_may_end() -> None:
    one = told((at(0), START), (at(80), START + 40), plan=ADAPTIVE)
    assert START + 40 < one.next_poll_at <= START + 50
    assert told((at(0), START), (at(80), START + 40)).next_poll_at == FIRST


def test_an_adaptive_wait_never_polls_after_the_next_point_or_the_deadline() -> None:
    assert told((at(0), START), (at(1), START + 50), plan=ADAPTIVE).next_poll_at == FIRST
    plan = replace(ADAPTIVE, deadline_at=FIRST + 7030)
    assert FIRST + 7020 < told((RUNNING, FIRST + 7020), plan=plan).next_poll_at <= plan.deadline_at


@pytest.mark.parametrize("answer", [OUTAGE, failed(RateLimited, retry_after=30.0), MISSING, DENIED])
def test_an_outage_of_an_adaptive_wait_is_as_that_of_any_other(answer: VendorError) -> None:
    assert told((answer, EARLY), plan=ADAPTIVE).next_poll_at == told((answer, EARLY)).next_poll_at


def test_an_adaptive_wait_goes_on_with_the_progress_rate_of_an_earlier_poller() -> None:
    plan = replace(ADAPTIVE, poll_interval=300.0, first_poll_at=START + 300)
    first = told((at(0), START), (at(50), START + 100), plan=plan)
    assert first.memory() == {"progress_rate": [[START, 0.0], [START + 100, 0.5]]}
    second, forgetful = later(first, START + 110), poller(plan, START + 110)
    for one in (first, second, forgetful):
        one.observe(at(55), START + 110)
    assert second.next_poll_at == first.next_poll_at > forgetful.next_poll_at


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
@pytest.mark.parametrize("state", TERMINAL)
def test_the_duration_of_a_job_that_was_seen_running_is_remembered(plan: WaitSpec, state: JobState) -> None:
    durations = DurationHistory()
    # One that had ended before the first poll took an unknown time.
    poller(durations=durations).observe(status(state), EARLY)
    poller(durations=durations).observe(OUTAGE, EARLY)
    poller(durations=durations).observe(RUNNING, LATE)
    assert len(durations) == 0
    one = poller(plan, durations=durations)
    one.observe(RUNNING, EARLY)
    one.observe(status(state), EARLY + 60)
    assert len(durations) == 1


# All of it together


@st.composite
def any_answer(draw: st.DrawFn) -> Answer:
    answer = draw(st.sampled_from([row[0] for row in TABLE.values()]))
    if isinstance(answer, ApiError):
        after = draw(st.none() | st.integers(0, 3600 * 64).map(lambda steps: steps * STEP))
        spent = {"spent": True} if getattr(answer, "spent", False) else {}
        return failed(type(answer), retry_after=after, **spent)
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
def test_whatever_happens_the_wait_ends_or_pauses_and_no_poll_comes_too_early(
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
@settings(max_examples=25)
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


def shown(at: float) -> str:
    return in_utc(at, " ")


#: What comes at which second of the wait, and what the last text says, in the log or at the end; behind a bar
#: what it does not say.
SENTENCES = f"""
61 my 401
the wait goes on until {shown(EARLY + 600)}, the job itself is not affected: check the key in connection
61 my 401
check the key in connection 'mine' | see this job
61 a 403
check the credential in the connection, and that it may see this job
7140 denied
the wait goes on until {shown(LATE)}, the job itself
7140 outage
bears this until {shown(LATE)}
61 denied, 661 mine
refused for 600 s: check the credential in connection 'mine'. The job may still run.
7200 denied
check the credential | second
7200 denied
check the credential | refused for
61 my missing
polled on until {shown(START + 120)}, in case it was just submitted: check the job id, and that connection
61 my missing
that connection 'mine' is of its account
500 stray 404
next poll by {shown(START + 560)}
61 running, 500 my missing
does not know this job, 500 s after the wait began. Check the job id
61 my wrong
bad id; asking again cannot help: check the job id, and the address in connection 'mine'.
0 running, 61 spent, 241 spent
licence; asking again cannot help before there are calls again. The job may still run.
61 outage
the wait goes on, and bears this until {shown(EARLY + 600)}
61 outage, 661 away
no usable answer for 600 s, in the end: vendor GET /job: no route. What became of the job is unknown
61 odd, 661 odd
'statuses'
61 queued, 121 outage, 7200 away
a: not finished after 7200 s; last status: 'queued'; last error: vendor GET /job: no route. The job
61 queued, 121 outage, 7200 away
vendor GET /job: no route. The job may still run.
7200 outage
last status: never seen
61 outage, 7200 running
last status: 'processing' | last error
61 outage, 121 away, 261 running
a: answers again after 200 s: 'processing'
61 outage, 121 done
a: answers again after 60 s: 'done'
""".strip().splitlines()


@pytest.mark.parametrize(("steps", "text"), list(zip(SENTENCES[::2], SENTENCES[1::2], strict=True)))
def test_a_text_says_what_happened_and_what_to_do(steps: str, text: str) -> None:
    one, found = told(), ""
    for step in steps.split(", "):
        one, found = go_on(one, step)
    present, _, absent = text.partition(" | ")
    assert present in found
    assert not absent or absent not in found


def test_an_outage_without_a_limit_is_not_said_to_be_borne() -> None:
    entry = poller(replace(PLAN, max_outage=None)).observe(OUTAGE, EARLY)
    assert entry is not None
    assert entry.text.endswith(f"trouble; the wait goes on, next poll by {shown(EARLY + 60)}")


@pytest.mark.parametrize(
    ("second", "at", "text"),
    [
        (MINE, START + 1, "a second try, with connection 'mine' read anew, was refused, too"),
        (MINE, START + 30, "a second try, with connection 'mine' read anew, was refused, too"),
        # A login that was not tried again is not said to be.
        (
            failed(AccessDenied, conn_id="mine", asked=False),
            START + 1,
            "connection 'mine' was read anew and holds the same credentials, which were not tried again",
        ),
    ],
)
def test_at_the_first_poll_one_text_says_what_became_of_the_second_try(
    second: VendorError, at: float, text: str
) -> None:
    one = told(looked=False)
    assert [one.observe(MINE, START), one.observe(second, at)] == [None, None]
    assert one.event is not None
    assert text in one.event.message
    assert one.event.message.count("trouble") == 1
    assert one.event.message.count("second try") == text.count("second try")


def recovered(one: JobPoller, error: VendorError, now: float, seconds: float) -> str:
    """Return what the log says of a recovery some seconds after an error."""
    one.observe(error, now)
    entry = one.observe(RUNNING, now + seconds)
    assert entry is not None
    return entry.text


def test_an_outage_whose_beginning_is_not_known_is_given_no_length() -> None:
    one = poller(now=FIRST + 600, memory={"looked": True})
    one.observe(OUTAGE, FIRST + 601)
    assert recovered(one, failed(NotFound, own=False), FIRST + 601, 99) == "a: answers again: 'processing'"
    assert "answers again after 40 s: " in recovered(one, OUTAGE, FIRST + 800, 40)
    earlier = poller(memory={"looked": True, "outage_began_at": EARLY - 100})
    assert "after 150 s" in recovered(earlier, OUTAGE, EARLY, 50)
