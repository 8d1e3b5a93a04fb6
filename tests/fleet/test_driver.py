"""All waits on a connection poll as one, with a server: what the scheduler decides is what is sent."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_jobstatus.fleet import runtime
from airflow_provider_jobstatus.fleet.list_cache import WORTH_FROM
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.of_lists import LIST_FAULTS
from airflow_provider_jobstatus.triggers import batch_job
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.codec import decode
from airflow_provider_jobstatus.waiting.concurrency import FIRST_CALLS
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL
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


def ends(triggers: Iterable[BatchJobTrigger]) -> list[WaitOutcome]:
    """Run triggers beside each other as a triggerer does, and return how the waits ended, in order."""
    loaded = [stored_and_loaded(trigger) for trigger in triggers]

    async def together() -> Sequence[Any]:
        # In real time: one that nothing wakes any more must not hold up the whole run.
        async with asyncio.timeout(60):
            return await asyncio.gather(*map(first_event, loaded))

    found: list[WaitOutcome] = []
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

    assert [(event.outcome, event.job_id) for event in events] == [(OutcomeKind.FINISHED, job) for job in ids]
    lists = moments(sandbox, suffix, began)
    assert 3 <= len(lists) <= 6
    # Each job is asked about by itself only to confirm its end, and once it is alone with few others.
    asked = Counter(request["target"] for request in sandbox.requests if "/job-" in request["target"])
    assert len(asked) == MANY
    assert sum(asked.values()) <= MANY + 5 * WORTH_FROM


def gaps(sandbox: Sandbox, job_id: str, began: float) -> float:
    """Return the longest time, after the first look's, in which a job was not asked about by itself."""
    asked = moments(sandbox, f"/{job_id.partition('/')[2]}/status", began)
    return max(later - earlier for earlier, later in pairwise([INTERVAL, *asked]))


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
    # To confirm its end, and now and then as a sample.
    assert sorted(asked.values())[-2] <= 3


@pytest.mark.parametrize("fault", ["jobs-endless", "jobs-same-page", "jobs-no-objects", "status:500"])
def test_pages_without_end_are_given_up(fault: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "talkdesk", "calls/", MANY)
    sandbox.put_answers("/data/reports/calls/jobs", f"{fault}*200")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "talkdesk_default", job_id) for job_id in ids)

    assert [event.status and event.status.vendor_status for event in events] == ["done"] * MANY
    assert len(moments(sandbox, "/calls/jobs", began)) <= 31


def test_jobs_that_new_settings_take_out_of_their_list_are_asked_about_by_themselves(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=1500)
    began = fake_time.now
    connection = json.loads(sandbox.environment()["AIRFLOW_CONN_RULER_DEFAULT"])

    def change(seconds: float) -> None:
        if fake_time.now > began + 300:
            connection["extra"] = {**connection["extra"], "lists": False}
            monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))

    monkeypatch.setattr(fake_time, "on_pause", change)

    ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    # Settings are read again after ten minutes.
    last = max(moments(sandbox, "/batch/jobs", began))
    assert 300 < last <= 720
    for job_id in ids:
        asked = [each for each in moments(sandbox, f"/{job_id[5:]}/status", began) if each > last]
        assert asked[-1] <= 1500 + INTERVAL + 2
        assert max(later - earlier for earlier, later in pairwise([last, *asked])) <= 1.5 * INTERVAL + 5


def test_a_list_that_stands_still_hides_no_end(
    sandbox: Sandbox, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=400, listed=["processing"])
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id, deadline_at=began + 80_000) for job_id in ids)

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    assert fake_time.now - began <= 400 + 8 * INTERVAL
    assert max(moments(sandbox, "/batch/jobs", began)) <= 400 + 5 * INTERVAL


@pytest.mark.parametrize("refusal", ["retry-after-seconds", "status:503"])
def test_a_list_that_is_throttled_delays_no_end(refusal: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)
    sandbox.put_answers("/v1/site/batch/jobs", f"{refusal}*200")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    assert fake_time.now - began <= 300 + 2 * INTERVAL


def test_a_connection_whose_lists_are_off_reads_none(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)
    connection = sandbox.connection("ruler")
    connection["extra"] = {**connection["extra"], "lists": False}
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))
    began = fake_time.now

    ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert moments(sandbox, "/batch/jobs", began) == []


def test_nothing_is_left_when_the_last_wait_has_ended(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)

    async def all_of_them() -> set[str]:
        await asyncio.gather(*(first_event(waiting(fake_time, "ruler_default", each)) for each in ids))
        await asyncio.sleep(0.01)
        assert not runtime.current().is_busy
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    assert asyncio.run(all_of_them()) == set()


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

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    asked = [request for request in sandbox.requests if "77" in request["target"]]
    assert len(asked) == len(script)


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

    assert event.payload["jobs"][0]["outcome"] == OutcomeKind.FINISHED
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

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    told, *others = [request["at"] - began for request in sandbox.requests]
    # 90 s, by the page of faults.
    assert min(others) - told >= 89.9


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

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    # From the eighth failure on they are sent one at a time, and not all at once.
    at_once = sum(request["at"] < now + 1 for request in sandbox.requests)
    assert at_once <= FIRST_CALLS + 10


def test_a_fault_in_one_job_ends_its_waits_and_no_other(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, without_lists: None
) -> None:
    for job_id in ("site/good", "site/bad"):
        sandbox.put_job("ruler", job_id, script=["processing", "processing", "complete"])
    usual = RulerHook.status_flow

    def status_flow(self: RulerHook, job: Any) -> Any:
        if "bad" in repr(job):
            raise ZeroDivisionError
        return usual(self, job)

    monkeypatch.setattr(RulerHook, "status_flow", status_flow)

    events = ends(
        waiting(fake_time, "ruler_default", job_id) for job_id in ("site/bad", "site/good", "site/bad")
    )

    assert [event.outcome for event in events] == [
        OutcomeKind.CRASHED,
        OutcomeKind.FINISHED,
        OutcomeKind.CRASHED,
    ]


def test_a_fault_in_reading_a_list_leaves_each_job_to_itself(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)

    def list_flow(self: RulerHook, name: str) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(RulerHook, "list_flow", list_flow)

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}


def test_an_adaptive_wait_knows_how_long_others_of_its_kind_took(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:

    def late(job_id: str, *, adaptive: bool) -> float:
        """Wait for a job that takes ten minutes; return how late its end was seen."""
        sandbox.put_job("talkdesk", job_id, created_seconds=0, processing_seconds=600, uploading_seconds=0)
        began = fake_time.now
        wait = waiting(fake_time, "talkdesk_default", job_id, poll_interval=300.0, adaptive=adaptive)
        (event,) = ends([wait])
        assert event.outcome is OutcomeKind.FINISHED
        return fake_time.now - began - 600

    for number in range(20):
        late(f"of_this_test/job-{number}", adaptive=False)
    assert late("of_this_test/one-more", adaptive=True) < 60
