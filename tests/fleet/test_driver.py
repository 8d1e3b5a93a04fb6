"""All waits on a connection poll as one, with a server: what the scheduler decides is what is sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.fleet import runtime
from airflow_provider_jobstatus.fleet.list_cache import WORTH_FROM, ListCache
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.of_lists import LIST_FAULTS
from airflow_provider_jobstatus.triggers import batch_job
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.codec import decode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from tests.support.modes import deferred, first_event, stored_and_loaded
from tests.support.times import FakeTime

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


def waiting(time: FakeTime, conn_id: str, *job_ids: str, **arguments: Any) -> BatchJobTrigger:
    """A trigger that was deferred just now."""
    arguments = {"poll_interval": INTERVAL, "deadline_at": time.now + 3600, **arguments}
    return deferred(time.now, conn_id, *job_ids, **arguments)


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


#: Faults of a list that leave it of use, where it has no pages.
USABLE = ("jobs-gap", "jobs-twice", "jobs-two-words", "jobs-endless", "jobs-same-page")


@pytest.mark.parametrize(
    ("vendor", "fault", "served"),
    [
        *(("ruler", fault, MANY - 1) for fault in USABLE[:3]),
        *(("ruler", fault, 0) for fault in LIST_FAULTS if fault not in USABLE),
        *(("ruler", f"status:{status}", 0) for status in (401, 403, 404, 500)),
        *(("ruler", each, 0) for each in ("truncate", "gzip-bomb", "reset", "deep", "null", "mystery")),
        ("ruler", "redirect-elsewhere", 0),
        *(("talkdesk", fault, 0) for fault in ("jobs-endless", "jobs-no-objects", "status:500")),
        # After the same page again there are no more.
        ("talkdesk", "jobs-same-page", MANY),
    ],
)
def test_a_list_serves_those_alone_that_it_plainly_shows_running(
    vendor: str, fault: str, served: int, sandbox: Sandbox
) -> None:
    prefix, path, hook = {
        "ruler": ("site/", "/v1/site/batch/jobs", RulerHook("ruler_default")),
        "talkdesk": ("calls/", "/data/reports/calls/jobs", TalkdeskHook("talkdesk_default")),
    }[vendor]
    ids = started(sandbox, vendor, prefix, MANY)
    places = [hook.list_place(hook.parse_job_id(job_id)) for job_id in ids]
    [(name, _), *_] = places
    listed, jobs = ListCache(name), [WatchedJob(job_id) for job_id in ids]
    for job, (_, key) in zip(jobs, places, strict=True):
        listed.add(job, key)
    sandbox.put_answers(path, f"{fault}*200")
    try:
        list(listed.update(hook.call(hook.list_operation(name)), hook, 0.0))
    except VendorError:
        listed.give_up(0.0, INTERVAL)

    running = [job for job in jobs if listed.is_usable(0.0) and listed.running(job) is not None]
    assert running == jobs[MANY - served :]
    assert len(sandbox.requests) <= 31 + 2


@pytest.mark.parametrize(
    "fault", ["status:500", "status:503", "retry-after-seconds", "jobs-strangers", "jobs-gap"]
)
def test_whatever_is_wrong_with_a_list_no_poll_is_lost_and_no_end_delayed(
    fault: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = started(
        sandbox, "ruler", "site/", MANY, **({"processing_seconds": 290} if fault == "jobs-gap" else {})
    )
    sandbox.put_answers("/v1/site/batch/jobs", f"{fault}*200")
    sandbox.clear_requests()
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id) for job_id in ids)

    assert [event.status and event.status.vendor_status for event in events] == ["complete"] * MANY
    assert fake_time.now - began <= 300 + 2 * INTERVAL
    alone = ids[:1] if fault == "jobs-gap" else ids[10:]
    assert max(gaps(sandbox, job_id, began) for job_id in alone) <= INTERVAL + 5
    if fault != "jobs-gap":
        # It is tried at 60, 120 and 240 s; some refusals are asked about twice.
        assert len(moments(sandbox, "/batch/jobs", began)) <= 10


def test_a_list_that_stands_still_hides_no_end(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY, processing_seconds=400, listed=["processing"])
    began = fake_time.now

    events = ends(waiting(fake_time, "ruler_default", job_id, deadline_at=began + 80_000) for job_id in ids)

    assert {event.outcome for event in events} == {OutcomeKind.FINISHED}
    assert fake_time.now - began <= 400 + 8 * INTERVAL
    assert max(moments(sandbox, "/batch/jobs", began)) <= 400 + 5 * INTERVAL


def test_nothing_is_left_when_the_last_wait_has_ended(sandbox: Sandbox, fake_time: FakeTime) -> None:
    ids = started(sandbox, "ruler", "site/", MANY)

    async def all_of_them() -> set[str]:
        await asyncio.gather(*(first_event(waiting(fake_time, "ruler_default", each)) for each in ids))
        await asyncio.sleep(0.01)
        assert not runtime.current().is_busy
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    assert asyncio.run(all_of_them()) == set()


def test_all_waits_for_a_job_share_its_polls(sandbox: Sandbox, fake_time: FakeTime) -> None:
    script = ["processing"] * 5 + ["completed"]
    sandbox.put_job("aftercare", "job", script=script)
    sandbox.clear_requests()
    # Deferred at different times: their grids would not meet.
    late = [
        waiting(fake_time, "aftercare_default", "job", first_poll_at=fake_time.now + INTERVAL + 1.7 * number)
        for number in range(20)
    ]

    assert {event.outcome for event in ends(late)} == {OutcomeKind.FINISHED}
    assert len(sandbox.requests) == len(script)


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
    sandbox: Sandbox, fake_time: FakeTime
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
