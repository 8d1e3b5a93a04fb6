"""Progress on Airflow's page: seldom, off the loop, and never to the harm of a wait."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.core.chronicle import FEW
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.poller import JobPoller
from airflow_provider_jobstatus.core.progress import KEY, summary
from airflow_provider_jobstatus.core.wait import WaitPlan, digest
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors import wait as sensors
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.triggers import display as module
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from airflow_provider_jobstatus.triggers.display import MAX_FAILURES, MIN_PAUSE, MIN_PAUSE_OF_ALL, Display
from tests.support.modes import TaskInstance, first_event, run_deferred
from tests.support.times import FakeTime

PLAN = WaitPlan(poll_interval=60.0, started_at=0.0, first_poll_at=60.0, deadline_at=7200.0)
PLACE = {"dag_id": "dag", "task_id": "wait", "run_id": "run", "map_index": 3}


class Page:
    """
    Airflow's XComs: remembers what is written; a write may be held up, or fail.

    :ivar most: the most writes that were under way at once.
    :ivar reached: set when a write is held up.
    """

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.places: list[dict[str, Any]] = []
        self.threads: set[threading.Thread] = set()
        self.most = 0
        self.trouble: Exception | None = None
        self.may_write, self.reached = threading.Event(), threading.Event()
        self.may_write.set()
        self._under_way = 0
        self._lock = threading.Lock()

    def set(self, key: str, value: Any, **place: Any) -> None:
        assert key == KEY
        self.threads.add(threading.current_thread())
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        self.reached.set()
        try:
            assert self.may_write.wait(30)
            self.written.append(json.loads(json.dumps(value, allow_nan=False)))
            self.places.append(place)
            if self.trouble is not None:
                raise self.trouble
        finally:
            with self._lock:
                self._under_way -= 1


class Pauses:
    """Sleeps of displays, which end when the test says so; those between two displays' writes at once."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._over = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        if seconds == MIN_PAUSE_OF_ALL:
            return
        self.asked.append(seconds)
        await self._over.acquire()

    def end(self) -> None:
        self._over.release()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    page = Page()
    monkeypatch.setattr(XCom, "set", page.set)
    monkeypatch.setattr(module, "trigger_can_write", lambda: True)
    yield page
    page.may_write.set()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr(module, "sleep", pauses)
    return pauses


def trigger(*job_ids: str, now: float = 0.0, with_task: bool = True, told: int = 0) -> BatchJobTrigger:
    made = BatchJobTrigger(
        "ruler_default", list(job_ids), 10.0, now, first_poll_at=now, deadline_at=now + 600, told=told
    )
    if with_task:
        made.task_instance = SimpleNamespace(**PLACE)
    return made


def pollers(count: int = 1) -> list[JobPoller]:
    return [JobPoller(f"job-{number}", PLAN, 0.0) for number in range(count)]


def saw(poller: JobPoller, progress: int, state: JobState = JobState.RUNNING) -> None:
    poller.observe(JobStatus(poller.job_id, "ruler", state, "processing", progress=progress), 60.0)


async def until(happened: Any) -> None:
    while not happened():  # noqa: ASYNC110 - also of what another thread does
        await asyncio.sleep(0.001)


def test_it_writes_what_is_known_of_each_of_a_few_jobs(page: Page, pauses: Pauses) -> None:
    waiting = pollers(2)

    async def show() -> None:
        async with Display(trigger("job-0", "job-1"), waiting) as display:
            saw(waiting[0], 40)
            display.changed()
            await until(lambda: pauses.asked)

    asyncio.run(show())

    (value,) = page.written
    assert (value["ended"], value["jobs"]) == (0, 2)
    assert (value["status"]["job-0"]["progress"], value["status"]["job-1"]) == (40, None)
    assert page.places == [PLACE]
    assert threading.main_thread() not in page.threads


def test_of_many_jobs_it_writes_how_many_have_ended() -> None:
    waiting = pollers(FEW + 1)
    saw(waiting[0], 100, JobState.SUCCEEDED)

    assert summary(waiting) == {"ended": 1, "jobs": FEW + 1}


def test_it_writes_only_a_change_and_pauses_after_each_look(page: Page, pauses: Pauses) -> None:
    (poller,) = waiting = pollers()

    async def show() -> None:
        async with Display(trigger("job-0"), waiting) as display:
            for look, progress in enumerate([1, 1, 2, 2, 3], 1):
                saw(poller, progress)
                # However often something happens meanwhile.
                for _ in range(20):
                    display.changed()
                await until(lambda: len(pauses.asked) == look)  # noqa: B023 - awaited here
                pauses.end()

    asyncio.run(show())

    assert [value["status"]["job-0"]["progress"] for value in page.written] == [1, 2, 3]
    assert set(pauses.asked) == {MIN_PAUSE}


def test_a_wait_writes_no_more_after_some_failures(page: Page, pauses: Pauses) -> None:
    page.trouble = RuntimeError("the API server is away")
    (poller,) = waiting = pollers()

    async def show() -> None:
        async with Display(trigger("job-0"), waiting) as display:
            for look in range(1, MAX_FAILURES + 1):
                saw(poller, look)
                display.changed()
                await until(lambda: len(pauses.asked) == look)  # noqa: B023 - awaited here
                pauses.end()
            page.trouble = None
            saw(poller, 99)
            display.changed()
            await asyncio.sleep(0.01)

    asyncio.run(show())

    assert len(page.written) == MAX_FAILURES


@pytest.mark.parametrize("trouble", [RuntimeError("away"), KeyError("a fault of somebody's")], ids=str)
def test_a_write_that_raises_is_no_matter_of_the_wait(
    trouble: Exception, page: Page, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    page.trouble = trouble
    sandbox.put_job("ruler", "site/job", script=["processing"] * 5 + ["complete"])

    event = asyncio.run(first_event(trigger("site/job", now=fake_time.now)))

    assert event.payload["jobs"][0]["outcome"] == "finished"


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
    # Nobody has let a write end so far.
    assert page.reached.is_set()
    assert page.written == []
    assert page.most == 1


def test_no_wait_writes_after_its_end(page: Page, pauses: Pauses) -> None:
    page.may_write.clear()
    shown, hidden = pollers(2)

    async def one_after_the_other() -> None:
        async with Display(trigger("job-0"), [shown]) as display:
            display.changed()
            await until(page.reached.is_set)
            async with Display(trigger("job-1"), [hidden]) as queued:
                queued.changed()
                await asyncio.sleep(0.01)
            page.may_write.set()
            await until(lambda: pauses.asked)

    asyncio.run(one_after_the_other())

    assert [list(value["status"]) for value in page.written] == [["job-0"]]


def test_without_a_task_nothing_is_written(page: Page, sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing", "complete"])

    asyncio.run(first_event(trigger("site/job", now=fake_time.now, with_task=False)))

    assert page.threads == set()


def test_a_wait_of_which_nothing_changes_writes_nothing(
    page: Page, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("ruler", "site/job", script=["processing"] * 20 + ["complete"])
    seen = RulerHook("ruler_default").job_status("site/job")

    asyncio.run(first_event(trigger("site/job", now=fake_time.now, told=digest("site/job", seen))))

    assert page.threads == set()


def test_a_fault_of_an_xcom_backend_of_somebodys_own_fails_no_task(
    sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Foreign(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            raise KeyError("anything")

    monkeypatch.setattr(sensors, "trigger_can_write", lambda: True)
    monkeypatch.setattr(
        "airflow.providers.common.compat.sdk.XCom", type("Backend", (BaseXCom,), {}), raising=False
    )
    sandbox.put_job("ruler", "site/job", script=["processing", "complete"])
    waits = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id="site/job", deferrable=True)

    assert run_deferred(waits, {"ti": Foreign()}, fake_time)["state"] == "succeeded"


@pytest.mark.parametrize("later_too", [True, False])
def test_the_worker_shows_what_its_first_look_saw_if_the_trigger_can_go_on_with_it(
    later_too: bool, sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "trigger_can_write", lambda: later_too)
    sandbox.put_job("ruler", "site/job", script=["processing"] * 3 + ["complete"])
    seen = RulerHook("ruler_default").job_status("site/job")
    context: Any = {"ti": TaskInstance()}

    run_deferred(
        BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id="site/job", deferrable=True),
        context,
        fake_time,
    )

    shown = {"ended": 0, "jobs": 1, "status": {"site/job": seen.as_dict()}}
    assert context["ti"].xcoms == ({KEY: shown} if later_too else {})


@pytest.mark.parametrize(
    "trouble",
    [AirflowRuntimeError(ErrorResponse()), OSError("away")],
    ids=repr,
)
def test_a_worker_that_cannot_show_it_waits_all_the_same(
    trouble: Exception, sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "trigger_can_write", lambda: True)

    class Silent(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            raise trouble

    sandbox.put_job("ruler", "site/job", script=["processing", "complete"])
    waits = BatchJobSensor(task_id="wait", conn_id="ruler_default", job_id="site/job", deferrable=True)

    assert run_deferred(waits, {"ti": Silent()}, fake_time)["state"] == "succeeded"


@pytest.mark.parametrize(
    ("version", "writes"),
    [
        ("3.1.8", False),
        ("3.2.1", False),
        ("3.2.2", True),
        ("3.3.0rc1", True),
        ("3.10.0", True),
        ("4.0.0", True),
    ],
)
def test_nothing_is_written_where_airflow_mixes_up_replies(
    version: str, writes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compat, "version", {"apache-airflow-core": version}.__getitem__)
    _compat.trigger_can_write.cache_clear()
    try:
        assert (module._writer(trigger("job-0")) is not None) == writes
    finally:
        _compat.trigger_can_write.cache_clear()


def test_the_more_wait_the_more_seldom_each_writes(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    written, asleep = [], []

    async def sleep(seconds: float) -> None:
        if seconds == MIN_PAUSE_OF_ALL:
            written.append(len(page.written))
            # Long enough for others to write, if they could.
            for _ in range(20):
                await asyncio.sleep(0)
        else:
            asleep.append(seconds)
            await asyncio.sleep(3600)

    monkeypatch.setattr(module, "sleep", sleep)

    async def show(count: int) -> None:
        displays = [Display(trigger(f"job-{number}"), pollers()) for number in range(count)]
        for display in displays:
            display.changed()
        await until(lambda: len(asleep) == count)
        for display in displays:
            await display.__aexit__()

    asyncio.run(show(40))

    # After each write, and before the next, a pause of all.
    assert written == list(range(1, 41))
    assert asleep == [MIN_PAUSE] * 40
