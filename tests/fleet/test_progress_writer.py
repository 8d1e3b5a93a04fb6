"""Progress on Airflow's page: seldom, off the loop, and never to the harm of a wait."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.core.clock import in_utc
from airflow_provider_jobstatus.core.errors import TransportError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import JobFailed
from airflow_provider_jobstatus.fleet import progress_writer
from airflow_provider_jobstatus.fleet.progress_writer import (
    MAX_FAILURES,
    MIN_PAUSE,
    MIN_PAUSE_OF_ALL,
    ProgressWriter,
    WriteQueue,
)
from airflow_provider_jobstatus.fleet.timer import LoopClock
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.tasks import final_progress
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome, digest
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.progress import KEY, final_summary, summary
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED
from tests.support.modes import TaskInstance, deferred, first_event, run_deferred
from tests.support.threads import refuse_work
from tests.support.times import FakeTime

PLAN = WaitSpec(poll_interval=60.0, started_at=0.0, first_poll_at=60.0, deadline_at=7200.0)
PLACE = {"dag_id": "dag", "task_id": "wait", "run_id": "run", "map_index": 3}


class Page:
    """
    Airflow's XComs: remembers what is written; a write may be held up, or fail.

    :ivar reached: set when a write is held up.
    """

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.places: list[dict[str, Any]] = []
        self.threads: set[threading.Thread] = set()
        self.trouble: Exception | None = None
        self.may_write, self.reached = threading.Event(), threading.Event()
        self.may_write.set()

    def set(self, key: str, value: Any, **place: Any) -> None:
        assert key == KEY
        self.threads.add(threading.current_thread())
        self.reached.set()
        assert self.may_write.wait(30)
        self.written.append(json.loads(json.dumps(value, allow_nan=False)))
        self.places.append(place)
        if self.trouble is not None:
            raise self.trouble


class Clock(LoopClock):
    """A clock that the pauses of displays move on, and the queue in which they write."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0
        self.queue = WriteQueue(self)

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    page = Page()
    monkeypatch.setattr(XCom, "set", page.set)
    monkeypatch.setattr(progress_writer, "trigger_can_write", lambda: True)
    yield page
    page.may_write.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def trigger(*job_ids: str, now: float = 0.0, with_task: bool = True, told: int = 0) -> BatchJobTrigger:
    made = deferred(now, "ruler_default", *job_ids, first_poll_at=now, told=told)
    if with_task:
        made.task_instance = SimpleNamespace(**PLACE)
    return made


def pollers(count: int = 1) -> list[JobPoller]:
    return [JobPoller(f"job-{number}", PLAN, 0.0) for number in range(count)]


def saw(poller: JobPoller, progress: int, state: JobState = JobState.RUNNING) -> None:
    poller.observe(JobStatus(poller.job_id, "ruler", state, "processing", progress=progress), 60.0)


def display_of(waiting: list[JobPoller], clock: Clock) -> ProgressWriter:
    jobs = (poller.job_id for poller in waiting)
    return ProgressWriter(trigger(*jobs), lambda at: summary(waiting, at), clock.queue)


async def until(happened: Any) -> None:
    while not happened():  # noqa: ASYNC110 - also of what another thread does
        await asyncio.sleep(0.001)


async def all_written(clock: Clock) -> None:
    """Wait until no display wants to write."""
    await until(lambda: not clock.queue.is_writing)


Step = Callable[[ProgressWriter], object]


def shown(clock: Clock, waiting: list[JobPoller], *steps: Step) -> None:
    """Let a display do some steps, and write after each of them."""

    async def show() -> None:
        async with display_of(waiting, clock) as display:
            for step in steps:
                step(display)
                await all_written(clock)

    asyncio.run(show())


def test_it_writes_what_is_known_of_each_of_a_few_jobs(page: Page, clock: Clock) -> None:
    waiting = pollers(2)
    saw(waiting[0], 40)
    shown(clock, waiting, lambda display: display.changed(clock.time))

    (value,) = page.written
    assert (value["ended"], value["jobs"]) == (0, 2)
    assert (value["status"]["job-0"]["progress"], value["status"]["job-1"]) == (40, None)
    assert page.places == [PLACE]
    assert threading.main_thread() not in page.threads


def test_of_many_jobs_it_writes_how_many_have_ended_and_until_when_it_holds() -> None:
    waiting = pollers(MAX_DETAILED + 1)
    saw(waiting[0], 100, JobState.SUCCEEDED)
    saw(waiting[1], 20)
    waiting[2].observe(TransportError("away", vendor="ruler"), 60.0)
    waiting[3].leave()

    assert summary(waiting, 61.0) == {
        "jobs": MAX_DETAILED + 1,
        "ended": 1,
        "in_trouble": 1,
        "as_of": "1970-01-01T00:01:01+00:00",
        "next_poll_at": "1970-01-01T00:01:01+00:00",  # of those that are late
        "deadline_at": "1970-01-01T02:00:00+00:00",
    }


def test_what_is_polled_by_a_list_is_polled_when_the_list_is_read() -> None:
    waiting = pollers(2)

    value = summary(waiting, 61.0, lambda poller: (30.0, 90.0 if poller is waiting[1] else 100.0))

    assert value["next_poll_at"] == "1970-01-01T00:01:30+00:00"


def test_of_a_wait_that_is_over_the_numbers_are_final() -> None:
    events = [
        WaitOutcome("a", OutcomeKind.FINISHED, JobStatus("a", "ruler", JobState.FAILED, "failed")),
        WaitOutcome("b", OutcomeKind.TIMED_OUT, JobStatus("b", "ruler", JobState.RUNNING, "processing")),
        WaitOutcome("c", OutcomeKind.LEFT),
    ]

    value = final_summary(events, 7.0)

    assert (value["ended"], value["jobs"], value["as_of"]) == (1, 3, "1970-01-01T00:00:07+00:00")
    assert (value["next_poll_at"], value["deadline_at"], value["in_trouble"]) == (None, None, 0)
    assert [status and status["state"] for status in value["status"].values()] == ["failed", "running", None]


def change(poller: JobPoller, progress: int, clock: Clock, after: float = MIN_PAUSE) -> Step:
    """Return a step in which a job is seen with some progress."""

    def step(display: ProgressWriter) -> None:
        clock.time += after
        saw(poller, progress)
        # However often something happens meanwhile.
        for _ in range(20):
            display.changed(clock.time)

    return step


def visit(clock: Clock, after: float, due: bool) -> Step:
    def step(display: ProgressWriter) -> None:
        clock.time += after
        display.visit(clock.time, due)

    return step


def test_it_writes_only_a_change_and_once_a_minute(page: Page, clock: Clock) -> None:
    (poller,) = waiting = pollers()
    half = MIN_PAUSE / 2
    written: list[int] = []
    steps = [
        step
        for progress in (1, 1, 2, 3, 4)
        for step in (
            change(poller, progress, clock, after=0.0),
            visit(clock, half, due=False),
            lambda _: written.append(len(page.written)),
        )
    ]
    shown(clock, waiting, *steps)

    assert [value["status"]["job-0"]["progress"] for value in page.written] == [1, 3]
    assert written == [1, 1, 1, 2, 2]


def test_with_a_sign_of_life_it_writes_though_nothing_has_changed(page: Page, clock: Clock) -> None:
    shown(clock, pollers(), *(visit(clock, 3600, due) for due in (True, False, True)))

    assert [value["as_of"][11:16] for value in page.written] == ["01:16", "03:16"]


@pytest.mark.parametrize("trouble", [RuntimeError("away"), KeyError("a fault of a backend")], ids=str)
def test_a_wait_writes_no_more_changes_after_some_failures_until_a_sign_of_life_is_written(
    trouble: Exception, page: Page, clock: Clock
) -> None:
    (poller,) = waiting = pollers()

    def away(trouble: Exception | None) -> Step:
        return lambda _: setattr(page, "trouble", trouble)

    shown(
        clock,
        waiting,
        away(trouble),
        *(change(poller, number, clock) for number in range(MAX_FAILURES + 2)),
        away(None),
        change(poller, 97, clock),
        visit(clock, 0.0, due=True),
        change(poller, 99, clock),
    )

    written = [value["status"]["job-0"]["progress"] for value in page.written]
    assert written == [*range(MAX_FAILURES), 97, 99]


def test_a_write_for_which_no_thread_can_be_started_is_made_with_the_next_change(
    page: Page, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (poller,) = waiting = pollers()
    refused = refuse_work(monkeypatch, "write")
    shown(clock, waiting, change(poller, 1, clock), change(poller, 2, clock))

    assert refused == ["write"]
    assert [value["status"]["job-0"]["progress"] for value in page.written] == [2]


def test_writes_that_hang_delay_no_wait_and_are_one_at_a_time(
    page: Page, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    ids = [f"site/job-{number}" for number in range(20)]
    for job_id in ids:
        sandbox.put_job("ruler", job_id, script=["processing", "processing", "complete"])
    page.may_write.clear()

    async def all_of_them() -> list[Any]:
        return [await first_event(trigger(job_id, now=fake_time.now)) for job_id in ids]

    events = asyncio.run(all_of_them())

    assert {event.payload["jobs"][0]["outcome"] for event in events} == {"finished"}
    # No write has ended so far.
    assert page.reached.is_set()
    assert page.written == []
    assert len(page.threads) == 1


def test_no_wait_writes_after_its_end_and_nothing_is_left_after_the_last(page: Page, clock: Clock) -> None:
    page.may_write.clear()
    shown, hidden = pollers(2)

    async def one_after_the_other() -> None:
        async with display_of([shown], clock) as display:
            display.changed(clock.time)
            await until(page.reached.is_set)
            async with display_of([hidden], clock) as queued:
                queued.changed(clock.time)
                await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        page.may_write.set()
        await until(lambda: page.written)

    asyncio.run(one_after_the_other())

    assert [list(value["status"]) for value in page.written] == [["job-0"]]


@pytest.mark.parametrize("with_task", [False, True])
def test_a_wait_without_a_task_or_of_which_nothing_changes_writes_nothing(
    with_task: bool, page: Page, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"] * 20 + ["complete"])
    seen = RulerHook("ruler_default").job_status("site/job")
    told = digest("site/job", seen) if with_task else 0

    asyncio.run(first_event(trigger("site/job", now=fake_time.now, with_task=with_task, told=told)))

    assert page.threads == set()


class Recording(TaskInstance):
    """Remembers every progress that is pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Any] = []

    def xcom_push(self, key: str, value: Any) -> None:
        super().xcom_push(key, value)
        if key == KEY:
            self.shown.append(self.xcoms[key])


@pytest.mark.parametrize("end", ["complete", "failed"])
@pytest.mark.parametrize("later_too", [True, False])
def test_the_worker_shows_what_it_saw_first_and_the_end_if_the_trigger_can_go_on_with_it(
    later_too: bool, end: str, sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(final_progress, "trigger_can_write", lambda: later_too)
    sandbox.put_job("ruler", "site/job", script=["processing"] * 3 + [end])
    seen = RulerHook("ruler_default").job_status("site/job")
    context: Any = {"ti": Recording()}
    began = fake_time.now
    waits = BatchJobSensor(
        task_id="wait", conn_id="ruler_default", job_id="site/job", deferrable=True, timeout=7200
    )

    with nullcontext() if end == "complete" else pytest.raises(JobFailed):
        run_deferred(waits, context, fake_time)

    first, final = context["ti"].shown if later_too else ({}, {})
    if later_too:
        assert first == {
            "jobs": 1,
            "ended": 0,
            "in_trouble": 0,
            "as_of": in_utc(began),
            "next_poll_at": in_utc(began + 60),
            "deadline_at": in_utc(began + 7200),
            "status": {"site/job": seen.as_dict()},
        }
        assert (final["ended"], final["status"]["site/job"]["vendor_status"]) == (1, end)
        assert (final["next_poll_at"], final["deadline_at"]) == (None, None)
    else:
        assert context["ti"].shown == []


@pytest.mark.parametrize(
    "trouble",
    [AirflowRuntimeError(ErrorResponse()), OSError("away"), KeyError("a backend")],
    ids=repr,
)
def test_a_worker_that_cannot_show_it_waits_all_the_same(
    trouble: Exception, sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(final_progress, "trigger_can_write", lambda: True)
    if isinstance(trouble, KeyError):
        backend = type("Backend", (BaseXCom,), {})
        monkeypatch.setattr("airflow.providers.common.compat.sdk.XCom", backend, raising=False)

    class Silent(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            raise trouble

    sandbox.put_job("ruler", "site/job", script=["processing", "complete"])
    waits = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id="site/job", deferrable=True)

    assert run_deferred(waits, {"ti": Silent()}, fake_time)["state"] == "succeeded"


@pytest.mark.parametrize("version", ["3.1.8", "3.2.1", "3.2.2", "3.3.0rc1", "3.10.0", "4.0.0"])
def test_nothing_is_written_where_airflow_mixes_up_replies(
    version: str, clock: Clock, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compat, "version", {"apache-airflow-core": version}.__getitem__)
    monkeypatch.setattr(progress_writer, "trigger_can_write", _compat.trigger_can_write)
    _compat._core_version.cache_clear()
    try:
        shown(clock, pollers(), lambda display: display.changed(clock.time))
    finally:
        _compat._core_version.cache_clear()
    assert bool(page.written) is (version not in ("3.1.8", "3.2.1"))


def test_the_more_wait_the_more_seldom_each_writes_and_a_change_needs_not_wait_for_all_signs(
    page: Page, clock: Clock
) -> None:
    waiting = pollers(40)
    began = clock.time

    async def show() -> None:
        displays = [display_of([poller], clock) for poller in waiting]
        for display in displays[:30]:
            display.visit(clock.time, due=True)
        for display in displays[30:]:
            display.changed(clock.time)
        await all_written(clock)
        for display in displays:
            await display.__aexit__()

    asyncio.run(show())

    order = [int(next(iter(value["status"])).removeprefix("job-")) for value in page.written]
    assert sorted(order) == list(range(40))
    assert [number for number in order if number < 30] == list(range(30))
    # By turns, for as long as there are some of both kinds.
    assert sum(number >= 30 for number in order[:20]) == 10
    # After each write, and before the next, a pause of all.
    assert clock.time - began >= 39 * MIN_PAUSE_OF_ALL
