"""All waits on a connection ask as one: lists, one question a job, a budget a key."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_jobstatus.core.jobs import JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.rate_limiter import FIRST_CALLS
from airflow_provider_jobstatus.fleet import runtime
from airflow_provider_jobstatus.fleet import session as access
from airflow_provider_jobstatus.fleet.list_cache import WORTH_FROM, SharedList
from airflow_provider_jobstatus.fleet.shared_job import Job
from airflow_provider_jobstatus.fleet.subscription import Wait
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.ruler.job import RulerJob
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.of_lists import LIST_FAULTS
from airflow_provider_jobstatus.triggers import batch_job
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.codec import decode
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import LAST_POLL_PATIENCE, MIN_DEFERRAL, JobEvent, Outcome
from tests.support.modes import first_event, stored_and_loaded
from tests.support.times import FakeTime, even_first_polls

INTERVAL = 60.0
FIRST_POLLS = batch_job.first_polls
#: Jobs that are at work at once.
QUICK_START: dict[str, dict[str, float]] = {
    "ruler": {"pending_seconds": 0},
    "talkdesk": {"created_seconds": 0, "uploading_seconds": 0},
}
MANY = 40


@pytest.fixture(autouse=True)
def spread(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """First polls are spread as they truly are."""
    monkeypatch.setattr(batch_job, "first_polls", FIRST_POLLS)


@pytest.fixture
def at_their_points(spread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """First polls come exactly when the trigger's arguments say."""
    monkeypatch.setattr(batch_job, "first_polls", even_first_polls)


def waiting(time: FakeTime, conn_id: str, *job_ids: str, **arguments: Any) -> BatchJobTrigger:
    """A trigger that was deferred just now."""
    settings: dict[str, Any] = {
        "poll_interval": INTERVAL,
        "started_at": time.now,
        "first_poll_at": time.now + INTERVAL,
        "deadline_at": time.now + 3600,
        **arguments,
    }
    return BatchJobTrigger(conn_id, list(job_ids), **settings)


def ends(triggers: Iterable[BatchJobTrigger]) -> list[JobEvent]:
    """Run triggers beside each other as a triggerer does, and return how the waits ended, in order."""
    loaded = [stored_and_loaded(trigger) for trigger in triggers]

    async def together() -> Sequence[Any]:
        # In real time: one that nothing wakes any more must not hold up the whole run.
        async with asyncio.timeout(60):
            return await asyncio.gather(*map(first_event, loaded))

    found: list[JobEvent] = []
    for trigger, event in zip(loaded, asyncio.run(together()), strict=True):
        found += decode(event.payload, trigger.job_ids)
    return found


def moments(sandbox: Sandbox, suffix: str, since: float) -> list[float]:
    """Return when the paths that end so were asked for, in seconds since then."""
    return [
        request["at"] - since
        for request in sandbox.requests
        if request["target"].partition("?")[0].endswith(suffix)
    ]


def started(sandbox: Sandbox, vendor: str, prefix: str, count: int, **spec: Any) -> list[str]:
    """Start jobs that end one after the other, from a minute to five minutes from now."""
    ids = [f"{prefix}job-{number}" for number in range(count)]
    for number, job_id in enumerate(ids):
        seconds = 60 + 240 * number / count
        sandbox.put_job(vendor, job_id, **(QUICK_START[vendor] | {"processing_seconds": seconds} | spec))
    sandbox.clear_requests()
    return ids


@pytest.mark.parametrize("apart", [True, False], ids=["a trigger each", "one trigger"])
@pytest.mark.parametrize(("vendor", "prefix", "suffix"), [
    ("ruler", "site/", "/batch/jobs"),
    ("talkdesk", "calls/", "/calls/jobs"),
])  # fmt: skip
def test_a_list_serves_all_whose_jobs_stand_in_it(
    vendor: str, prefix: str, suffix: str, apart: bool, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = started(sandbox, vendor, prefix, MANY)
    began, conn_id = fake_time.now, f"{vendor}_default"
    groups = [[job_id] for job_id in ids] if apart else [ids]

    events = ends(waiting(fake_time, conn_id, *group) for group in groups)

    assert [(event.outcome, event.job_id) for event in events] == [(Outcome.FINISHED, job) for job in ids]
    lists = moments(sandbox, suffix, began)
    assert 3 <= len(lists) <= 6
    # Each job is asked about by itself only to confirm its end, and once it is alone with few others.
    asked = Counter(request["target"] for request in sandbox.requests if "/job-" in request["target"])
    assert len(asked) == MANY
    assert sum(asked.values()) <= MANY + 5 * WORTH_FROM


def test_an_end_is_known_within_the_interval(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)
    began = fake_time.now

    ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    asked = {job_id: moments(sandbox, f"{job_id.partition('/')[2]}/status", began)[-1] for job_id in ids}
    late = [asked[job_id] - (60 + 240 * number / MANY) for number, job_id in enumerate(ids)]
    assert max(late) <= INTERVAL + 2


def gaps(sandbox: Sandbox, job_id: str, began: float) -> float:
    """Return the longest time, after the first look's, in which a job was not asked about by itself."""
    asked = moments(sandbox, f"/{job_id.partition('/')[2]}/status", began)
    return max(later - earlier for earlier, later in pairwise([INTERVAL, *asked]))


def test_a_job_that_the_list_does_not_show_is_asked_about_by_itself_at_its_own_times(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)
    sandbox.put_job("ruler", ids[-1], pending_seconds=0, processing_seconds=290, listed="absent")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert {event.outcome for event in events} == {Outcome.FINISHED}
    assert gaps(sandbox, ids[-1], began) <= INTERVAL + 1


#: What is wrong with one job of a list is no trouble for the others.
USABLE = ("jobs-gap", "jobs-twice", "jobs-two-words")
LIST_TROUBLE = [
    *(name for name in LIST_FAULTS if name not in (*USABLE, "jobs-endless", "jobs-same-page")),
    *("status:401", "status:403", "status:404", "status:500", "truncate", "gzip-bomb"),
    *("reset", "deep", "redirect-elsewhere", "null", "mystery"),
]


@pytest.mark.parametrize("fault", LIST_TROUBLE)
def test_without_a_usable_list_no_look_is_lost(fault: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)
    sandbox.put_answers("/v1/site/batch/jobs", f"{fault}*200")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert [event.status and event.status.vendor_status for event in events] == ["complete"] * MANY
    lists = moments(sandbox, "/batch/jobs", began)
    # It is tried at 60, 120 and 240 s; some refusals are asked about twice, and broken connections.
    assert len(lists) <= 10
    assert max(gaps(sandbox, job_id, began) for job_id in ids[10:]) <= INTERVAL + 5


@pytest.mark.parametrize("fault", LIST_TROUBLE)
def test_jobs_of_a_list_that_breaks_are_asked_about_within_half_an_interval(
    fault: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=400)
    sandbox.put_answers("/v1/site/batch/jobs", f"ok*2,{fault}*200")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert [event.status and event.status.vendor_status for event in events] == ["complete"] * MANY
    lists = moments(sandbox, "/batch/jobs", began)
    for job_id in ids:
        asked = moments(sandbox, f"/{job_id[5:]}/status", began)
        looks = sorted([*lists[:2], *asked])
        assert max(later - earlier for earlier, later in pairwise(looks)) <= 1.5 * INTERVAL + 5
    # Half as many again as usual in the first interval without it, evenly spread.
    first = sorted(m for job_id in ids for m in moments(sandbox, f"/{job_id[5:]}/status", began))[:MANY]
    assert max(Counter(int(moment / 10) for moment in first).values()) <= MANY / 2


@pytest.mark.parametrize("fault", USABLE)
def test_what_is_wrong_with_one_job_of_a_list_is_no_trouble_for_the_others(
    fault: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=290)
    sandbox.put_answers("/v1/site/batch/jobs", f"{fault}*200")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert [event.status and event.status.vendor_status for event in events] == ["complete"] * MANY
    assert gaps(sandbox, ids[0], began) <= INTERVAL + 1
    asked = Counter(request["target"] for request in sandbox.requests if "/job-" in request["target"])
    assert sorted(asked.values())[-2] == 1


@pytest.mark.parametrize("fault", ["jobs-endless", "jobs-same-page", "jobs-no-objects", "status:500"])
def test_pages_without_end_are_given_up(fault: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "talkdesk", "calls/", MANY)
    sandbox.put_answers("/data/reports/calls/jobs", f"{fault}*200")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "talkdesk_default", job_id) for job_id in ids)

    assert [event.status and event.status.vendor_status for event in events] == ["done"] * MANY
    assert len(moments(sandbox, "/calls/jobs", began)) <= 31


def test_a_list_that_was_broken_is_used_again(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=1000)
    sandbox.put_answers("/v1/site/batch/jobs", "status:500*2")
    sandbox.clear_requests()
    began = fake_time.now

    ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert len(moments(sandbox, "/batch/jobs", began)) > 10
    asked = [moment for job_id in ids for moment in moments(sandbox, f"{job_id[5:]}/status", began)]
    assert sum(300 < moment < 990 for moment in asked) == 0


def test_a_list_that_was_too_large_for_few_is_used_once_more_wait(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = started(sandbox, "ruler", "site/", 10 * WORTH_FROM, processing_seconds=1000)
    began = fake_time.now
    groups = [ids[: WORTH_FROM + 2], ids[WORTH_FROM + 2 :]]
    asleep: list[asyncio.Event] = []
    monkeypatch.setattr(fake_time, "on_pause", lambda _: fake_time.now > began + 200 and asleep[0].set())

    async def wait(number: int) -> None:
        for _ in range(number):
            await asleep[0].wait()
        await asyncio.gather(
            *(first_event(waiting(fake_time, "ruler_default", job_id)) for job_id in groups[number])
        )

    async def one_after_the_other() -> None:
        asleep.append(asyncio.Event())
        await asyncio.gather(wait(0), wait(1))

    asyncio.run(one_after_the_other())

    lists = moments(sandbox, "/batch/jobs", began)
    # Too large for the first, and of use once the others are there.
    assert len([moment for moment in lists if moment < 200]) == 1
    assert len([moment for moment in lists if 200 < moment < 400]) >= 2
    asked = [moment for job_id in ids for moment in moments(sandbox, f"{job_id[5:]}/status", began)]
    assert sum(400 < moment < 990 for moment in asked) == 0


def test_a_list_that_stays_too_large_is_not_read_for_each_who_joins() -> None:
    listed, hook = SharedList("list"), RulerHook()
    others = Listing({f"another-{number}": Listed("processing") for number in range(1000)}, 1)
    read_with = []
    for number in range(2000):
        job = Job(f"site/job-{number}")
        job.hook = hook
        listed.add(job, f"job-{number}")
        if listed.usable(0.0):
            read_with.append(len(listed))
            listed.take(others, hook, 0.0)

    # As soon as it may pay, and then with twice as many each time.
    assert read_with == [WORTH_FROM, 200, 400, 800, 1600]


def test_a_list_of_long_words_that_are_none_takes_no_time() -> None:
    key = "KEY-of-ruler-0123456789"
    hook = RulerHook.from_connection(Connection(conn_id="r", conn_type="ruler", password=key))
    word = rf"%25u0041&amp;#37;\\u0025{key[:12]} " * 40
    listed, jobs = SharedList("list"), [Job(f"site/job-{number}") for number in range(400)]
    for job in jobs:
        listed.add(job, job.job_id[5:])
    words = ["complete" if number % 2 else word for number in range(400)]
    began = time.thread_time()
    listed.take(
        Listing({job.job_id[5:]: Listed(said) for job, said in zip(jobs, words, strict=True)}), hook, 0.0
    )

    assert time.thread_time() - began < 0.1
    assert list(listed.ended()) == jobs[1::2]


def test_what_changes_in_a_list_is_told_to_the_waits(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, list[int]] = {}
    kept: list[int] = []

    def observe(wait: Wait, poller: JobPoller, answer: JobStatus, at: float) -> None:
        told.setdefault(poller.job_id, []).append(answer.progress or 0)
        kept.append(sum(len(shared._schedule) for shared in runtime._fleets[wait.over.get_loop()].values()))
        tell(wait, poller, answer, at)

    tell = Wait.observe
    monkeypatch.setattr(Wait, "observe", observe)
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=1000)

    ends(
        waiting(fake_time, "ruler_default", job_id, deadline_at=fake_time.now + 3600 + number)
        for number, job_id in enumerate(ids)
    )

    for seen in told.values():
        assert seen == sorted(seen)
        # A look in 60 s at a job of 1,000 s.
        assert len(set(seen)) >= 15
    # What does not hold any more is not kept until a deadline that is hours away.
    assert max(kept) <= 3 * MANY


def test_a_failed_look_at_a_job_itself_is_over_with_the_next_that_its_list_serves(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = started(sandbox, "talkdesk", "calls/", MANY, processing_seconds=1000)
    # The first at the deadline of one who waits for it, the second when it has ended.
    sandbox.put_answers("/data/reports/calls/jobs/job-0", "status:500,status:500")
    sooner = waiting(fake_time, "talkdesk_default", ids[0], deadline_at=fake_time.now + 300)

    events = ends([sooner, *(waiting(fake_time, "talkdesk_default", each, max_outage=120.0) for each in ids)])

    assert events[0].outcome == Outcome.TIMED_OUT
    assert {event.outcome for event in events[1:]} == {Outcome.FINISHED}


def test_jobs_that_new_settings_take_out_of_their_list_are_asked_about_by_themselves(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=1500)
    began = fake_time.now
    connection = json.loads(sandbox.environment()["AIRFLOW_CONN_RULER_DEFAULT"])

    def change(seconds: float) -> None:
        if fake_time.now > began + 300:
            connection["extra"] = {**connection["extra"], "timeout": 7}
            monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))
            monkeypatch.setattr(RulerHook, "list_place", BatchJobHook.list_place)

    monkeypatch.setattr(fake_time, "on_pause", change)
    monkeypatch.setattr(access, "monotonic", lambda: fake_time.now)

    ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    # Settings are read again after ten minutes.
    assert max(moments(sandbox, "/batch/jobs", began)) <= 720
    assert all(moments(sandbox, f"/{job_id[5:]}/status", began)[-1] <= 1500 + INTERVAL + 2 for job_id in ids)
    assert all(gaps(sandbox, job_id, began + 720) <= 1.5 * INTERVAL + 5 for job_id in ids)


def test_a_list_is_read_as_often_as_those_want_who_still_wait(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=3000)
    began = fake_time.now
    often = waiting(fake_time, "ruler_default", ids[0], poll_interval=10.0, deadline_at=began + 300)

    ends([*(waiting(fake_time, "ruler_default", each, poll_interval=500.0) for each in ids), often])

    lists = moments(sandbox, "/batch/jobs", began)
    assert sum(moment <= 300 for moment in lists) >= 20
    assert sum(330 < moment < 2900 for moment in lists) <= 7


def test_who_joins_a_job_that_its_list_covers_is_told_of_it_at_his_first_look(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[float, float] = {}

    def observe(wait: Wait, poller: JobPoller, answer: JobStatus, at: float) -> None:
        told.setdefault(poller.spec.poll_interval, at - began)
        tell(wait, poller, answer, at)

    tell = Wait.observe
    monkeypatch.setattr(Wait, "observe", observe)
    ids = started(sandbox, "talkdesk", "calls/", MANY, processing_seconds=3000)
    began = fake_time.now
    late = waiting(fake_time, "talkdesk_default", ids[0], poll_interval=100.0, first_poll_at=began + 1000)

    ends([*(waiting(fake_time, "talkdesk_default", each, poll_interval=700.0) for each in ids), late])

    assert 900 - 1 <= told[100.0] <= 1005


def test_what_the_list_says_of_an_end_is_not_the_end(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=600, listed=["failed"])
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert {event.status and event.status.vendor_status for event in events} == {"complete"}
    # Where the two disagree, each job is asked about by itself as often as ever.
    for job_id in ids:
        assert len(moments(sandbox, f"/{job_id[5:]}/status", began)) <= 11


def test_a_list_that_never_shows_the_end_loses_no_job(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=100, listed=["processing"])

    events = ends(
        waiting(fake_time, "ruler_default", job_id, deadline_at=fake_time.now + 900) for job_id in ids
    )

    # The last look is at the job itself.
    assert {event.outcome for event in events} == {Outcome.FINISHED}


@pytest.mark.parametrize("need", [{"stalled_after": 600.0}, {"adaptive": True}], ids=str)
def test_who_needs_more_than_a_list_tells_does_not_look_into_it(
    need: dict[str, Any], sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)
    began = fake_time.now

    ends(waiting(fake_time, "ruler_default", job_id, **need) for job_id in ids)

    assert moments(sandbox, "/batch/jobs", began) == []


@pytest.mark.parametrize("vendor", ["aftercare", "questionpro", "ruler", "talkdesk"])
def test_all_who_wait_for_a_job_share_its_questions(
    vendor: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    job_id = {"questionpro": "77", "talkdesk": "calls/j77", "ruler": "site/j77"}.get(vendor, "j77")
    words = {"aftercare": ["processing"] * 5 + ["completed"], "talkdesk": ["processing"] * 5 + ["done"]}
    other = {"questionpro": ["Sending"] * 5 + ["Delivery Successful"]}
    script = (words | other).get(vendor, ["processing"] * 5 + ["complete"])
    sandbox.put_job(vendor, job_id, script=script)
    sandbox.clear_requests()
    # Deferred at different times: their grids would not meet.
    late = [
        waiting(fake_time, f"{vendor}_default", job_id, first_poll_at=fake_time.now + INTERVAL + 1.7 * number)
        for number in range(20)
    ]

    events = ends(late)

    assert {event.outcome for event in events} == {Outcome.FINISHED}
    asked = [request for request in sandbox.requests if "77" in request["target"]]
    assert len(asked) == len(script)


def test_a_shared_answer_ends_no_wait_in_its_first_seconds(
    sandbox: Sandbox, fake_time: FakeTime, at_their_points: None
) -> None:
    sandbox.put_job("ruler", "site/job", script=["complete"])
    began = fake_time.now
    young = waiting(
        fake_time, "ruler_default", "site/job", started_at=began, first_poll_at=began + MIN_DEFERRAL
    )
    old = waiting(
        fake_time, "ruler_default", "site/job", started_at=began + 1 - MIN_DEFERRAL, first_poll_at=began + 1
    )
    ended: dict[str, float] = {}

    async def end(name: str, trigger: BatchJobTrigger) -> None:
        await first_event(trigger)
        ended[name] = fake_time.now - began

    async def both() -> None:
        await asyncio.gather(end("old", old), end("young", young))

    asyncio.run(both())

    assert ended["old"] == pytest.approx(1, abs=0.01)
    assert ended["young"] >= MIN_DEFERRAL


def test_a_wait_that_is_cancelled_midway_leaves_its_question_to_the_others(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("aftercare", "job", script=[{"status": "completed", "delay_seconds": 0.5}])
    sandbox.clear_requests()
    first, second = (
        waiting(
            fake_time,
            "aftercare_default",
            "job",
            started_at=fake_time.now - MIN_DEFERRAL,
            first_poll_at=fake_time.now,
        )
        for _ in range(2)
    )

    async def both() -> Any:
        waits = [asyncio.create_task(first_event(trigger)) for trigger in (first, second)]
        while not sandbox.requests:  # noqa: ASYNC110 - another thread
            await asyncio.sleep(0.001)
        waits[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits[0]
        return await waits[1]

    event = asyncio.run(both())

    assert event.payload["jobs"][0]["outcome"] == Outcome.FINISHED
    assert len(sandbox.requests) == 1


def test_retry_after_stops_the_whole_key(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = [str(number) for number in range(100, 120)]
    for job_id in ids:
        sandbox.put_job("questionpro", job_id, script=["Sending", "Sending", "Delivery Successful"])
    sandbox.put_job("questionpro", "99", script="retry-after-seconds,status:200:done")
    sandbox.clear_requests()
    began = fake_time.now
    triggers = [
        waiting(fake_time, "questionpro_default", job_id, first_poll_at=began + number)
        for number, job_id in enumerate(["99", *ids])
    ]

    events = ends(triggers)

    assert {event.outcome for event in events} == {Outcome.FINISHED}
    told, *others = [request["at"] - began for request in sandbox.requests]
    # 90 s, by the page of faults.
    assert min(others) - told >= 89.9


def test_a_fleet_too_large_for_its_budget_is_served_evenly_and_says_so_once(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection = sandbox.connection("questionpro") | {"extra": {"requests_per_second": 0.5, "burst": 2}}
    monkeypatch.setenv("AIRFLOW_CONN_QUESTIONPRO_DEFAULT", json.dumps(connection))
    warned: list[str] = []
    monkeypatch.setattr(runtime.Wait, "warn", lambda _, text: warned.append(text))
    ids = [str(number) for number in range(100, 160)]
    for job_id in ids:
        sandbox.put_job("questionpro", job_id, script=["Sending"])
    sandbox.clear_requests()
    began = fake_time.now
    long = began + 1800
    # One wait over a half of them, and one each for the others.
    lists = [ids[:30], *([job_id] for job_id in ids[30:])]

    events = ends(
        waiting(fake_time, "questionpro_default", *some, deadline_at=long, poll_interval=10.0,
                first_poll_at=began + 10.0)
        for some in lists
    )  # fmt: skip

    assert {event.outcome for event in events} == {Outcome.TIMED_OUT}
    asked = [request["at"] - began for request in sandbox.requests]
    for begin in range(0, 1800, 60):
        assert sum(begin <= moment < begin + 60 for moment in asked) <= 32
    # 60 jobs at one request in 2 s: each in 120 s.
    turns = Counter(request["target"] for request in sandbox.requests if request["at"] < long - 1)
    assert (min(turns.values()), max(turns.values())) >= (13, 13)
    assert max(turns.values()) <= 16
    assert warned == [
        "connection 'questionpro_default': 60 jobs are waited for, and the budget is 0.5 requests a second: "
        "each is looked at every 120 s instead of every 10 s"
    ]
    # The last looks come first, and no wait outlives its deadline by more than a minute or so.
    assert max(asked) <= 1800 + LAST_POLL_PATIENCE + 4


def test_connections_with_the_same_key_share_its_budget(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = sandbox.connection("questionpro") | {"extra": {"requests_per_second": 1, "burst": 1}}
    for name in ("QUESTIONPRO_DEFAULT", "THE_SAME"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
    for job_id in range(100, 140):
        sandbox.put_job("questionpro", str(job_id), script=["Delivery Successful"])
    sandbox.clear_requests()
    triggers = [
        waiting(fake_time, conn_id, str(job_id), first_poll_at=fake_time.now)
        for number, conn_id in enumerate(("questionpro_default", "the_same"))
        for job_id in range(100 + 20 * number, 120 + 20 * number)
    ]

    ends(triggers)

    asked = sorted(request["at"] for request in sandbox.requests)
    assert len(asked) == 40
    assert min(later - earlier for earlier, later in pairwise(asked)) > 0.9


def test_room_that_others_with_the_same_key_make_is_seen(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, at_their_points: None
) -> None:
    connection = json.dumps(sandbox.connection("aftercare"))
    monkeypatch.setenv("AIRFLOW_CONN_THE_SAME", connection)
    ids = [f"job-{number}" for number in range(2 * FIRST_CALLS)]
    for job_id in ids:
        sandbox.put_job("aftercare", job_id, script="status:200:done")
    now = fake_time.now
    # The first connection takes all room; the second has no question under way whose answer would wake it.
    triggers = [
        waiting(fake_time, conn_id, *some, first_poll_at=now, deadline_at=now + 1)
        for conn_id, some in (("aftercare_default", ids[:FIRST_CALLS]), ("the_same", ids[FIRST_CALLS:]))
    ]

    events = ends(triggers)

    assert {event.outcome for event in events} == {Outcome.FINISHED}
    assert fake_time.now - now < 1


def test_after_an_outage_the_first_finds_out_for_all(
    sandbox: Sandbox, fake_time: FakeTime, at_their_points: None
) -> None:
    ids = [f"job-{number}" for number in range(200)]
    for job_id in ids:
        sandbox.put_job("aftercare", job_id, script="status:500*2,status:200:done")
    sandbox.clear_requests()
    now = fake_time.now
    triggers = [waiting(fake_time, "aftercare_default", job_id, first_poll_at=now) for job_id in ids]

    events = ends(triggers)

    assert {event.outcome for event in events} == {Outcome.FINISHED}
    # Those who were in line when it became clear were told so, and not sent.
    at_once = sum(request["at"] < now + 1 for request in sandbox.requests)
    assert at_once <= FIRST_CALLS + 10


def test_a_fault_in_one_job_ends_its_waits_and_no_other(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, without_lists: None
) -> None:
    for job_id in ("site/good", "site/bad"):
        sandbox.put_job("ruler", job_id, script=["processing", "processing", "complete"])
    usual = RulerHook.status_flow

    def status_flow(self: RulerHook, job: RulerJob) -> Any:
        if job.job == "bad":
            raise ZeroDivisionError
        return usual(self, job)

    monkeypatch.setattr(RulerHook, "status_flow", status_flow)

    events = ends(
        waiting(fake_time, "ruler_default", job_id) for job_id in ("site/bad", "site/good", "site/bad")
    )

    assert [event.outcome for event in events] == [Outcome.CRASHED, Outcome.FINISHED, Outcome.CRASHED]


def test_a_fault_in_reading_a_list_leaves_each_job_to_itself(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)

    def list_flow(self: RulerHook, name: str) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(RulerHook, "list_flow", list_flow)

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert {event.outcome for event in events} == {Outcome.FINISHED}


def test_nothing_is_left_when_the_last_wait_has_ended(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)

    async def all_of_them() -> set[str]:
        triggers = [waiting(fake_time, "ruler_default", job_id) for job_id in ids]
        async with runtime.fleet("ruler_default") as shared:
            await asyncio.gather(*map(first_event, triggers))
            left = {*shared._jobs, *shared._lists._lists}
        await asyncio.sleep(0)
        return left | {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    assert asyncio.run(all_of_them()) == set()


def test_an_adaptive_wait_knows_how_long_others_of_its_kind_took(
    sandbox: Sandbox, fake_time: FakeTime
) -> None:
    def late(job_id: str, *, adaptive: bool) -> float:
        """Wait for a job that takes ten minutes; return how late its end was seen."""
        sandbox.put_job("talkdesk", job_id, created_seconds=0, processing_seconds=600, uploading_seconds=0)
        began = fake_time.now
        wait = waiting(fake_time, "talkdesk_default", job_id, poll_interval=300.0, adaptive=adaptive)
        (event,) = ends([wait])
        assert event.outcome is Outcome.FINISHED
        return fake_time.now - began - 600

    for number in range(20):
        late(f"of_this_test/job-{number}", adaptive=False)
    assert late("of_this_test/one-more", adaptive=True) < 60


@pytest.mark.parametrize("trouble", ["the connection cannot be read", "the vendor is away"])
def test_a_wait_that_fails_whenever_it_is_told_something_does_not_hold_up_the_others(
    trouble: str,
    sandbox: Sandbox,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
    at_their_points: None,
) -> None:
    ids = [f"job-{number}" for number in range(150)]
    for job_id in [*ids, "odd"]:
        sandbox.put_job("aftercare", job_id, script="status:500*2,status:200:done")
    if trouble == "the connection cannot be read":
        monkeypatch.delenv("AIRFLOW_CONN_AFTERCARE_DEFAULT")
        fake_time.on_pause = lambda _: monkeypatch.setenv(  # type: ignore[method-assign]
            "AIRFLOW_CONN_AFTERCARE_DEFAULT", sandbox.environment()["AIRFLOW_CONN_AFTERCARE_DEFAULT"]
        )
    now = fake_time.now
    odd = [
        waiting(fake_time, "aftercare_default", "odd", first_poll_at=now, max_outage="long") for _ in range(2)
    ]
    triggers = [waiting(fake_time, "aftercare_default", job_id, first_poll_at=now) for job_id in ids]

    events = ends([*odd, *triggers])

    assert [event.outcome for event in events] == [Outcome.CRASHED] * 2 + [Outcome.FINISHED] * len(ids)
