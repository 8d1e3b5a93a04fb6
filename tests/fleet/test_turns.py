"""No turn is long and nothing is quadratic: what concerns thousands is done in slices."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from math import inf
from operator import attrgetter

import pytest

from airflow_provider_jobstatus.core.errors import TransportError
from airflow_provider_jobstatus.core.jobs import Listed, Listing
from airflow_provider_jobstatus.fleet.actions import LoadConnection, Poll
from airflow_provider_jobstatus.fleet.due_heap import ROOM, DueHeap
from airflow_provider_jobstatus.fleet.due_queue import DueQueue
from airflow_provider_jobstatus.fleet.job_places import SLICE
from airflow_provider_jobstatus.fleet.scheduler import TURNS, Scheduler
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind
from airflow_provider_jobstatus.waiting.poller import JobPoller
from tests.fleet.simulation import LATENCY, Simulation, Triggerer, ends_at, names, plan, spread_plans, status

#: Seconds of this thread that one call may take. A turn of the loop may take 0.05 s.
LONGEST = 0.05
#: Actions that one call of ``next`` may return.
MOST = 3 * (SLICE + TURNS)


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """What Python does for the whole process now and then is no part of a turn."""
    gc.disable()
    yield
    gc.enable()


def timed(do: Callable[[], object]) -> float:
    began = time.thread_time()
    do()
    return time.thread_time() - began


def watch(triggerer: Triggerer) -> list[float]:
    """Note how long each call of the scheduler takes."""
    spent: list[float] = []
    scheduler = triggerer.scheduler
    for name in ("next", "answered", "list_read", "join", "leave", "loaded"):
        usual = getattr(scheduler, name)

        def call(*arguments: object, usual: Callable[..., object] = usual) -> object:
            found: list[object] = []
            spent.append(timed(lambda: found.append(usual(*arguments))))
            return found[0]

        setattr(scheduler, name, call)
    return spent


@pytest.mark.parametrize("word", ["running", "done"])
@pytest.mark.parametrize("job_ids", [names(10_000), ["job"] * 3000], ids=["a job each", "one job"])
def test_thousands_of_waits_that_come_and_go_at_once(job_ids: list[str], word: str) -> None:
    simulation = Simulation(ends_at(0.0, word))
    triggerer = simulation.triggerer()
    spent = watch(triggerer)
    waits = [simulation.wait(triggerer, [job_id], plan()) for job_id in job_ids]
    alike = len(set(job_ids)) == 1
    simulation.run(100 if alike else 1)
    for wait_id in waits:
        triggerer.scheduler.leave(wait_id)
    simulation.run(200)

    assert simulation.most_actions <= MOST
    assert len(triggerer.polls) == alike
    assert len(triggerer.wait_ends) == (3000 if alike and word == "done" else 0)
    assert triggerer.scheduler.wake_at == inf
    assert max(spent) < LONGEST
    # Twenty thousand calls, each of the same few microseconds.
    assert sum(spent) < 4.0


def test_ten_thousand_jobs_of_one_wait_that_one_of_them_decides() -> None:
    simulation = Simulation(ends_at(100.0))
    triggerer = simulation.triggerer()
    spent = watch(triggerer)
    wait_id = simulation.wait(triggerer, names(10_000), plan(wait_for="any"))
    simulation.run()

    assert max(spent) < LONGEST
    # Responses that come once it is decided end no more of its jobs.
    assert len(triggerer.job_ends) == 1
    outcomes = Counter(each.event and each.event.outcome for each in triggerer.pollers[wait_id])
    assert outcomes == {OutcomeKind.FINISHED: 1, OutcomeKind.LEFT: 9_999}
    assert list(triggerer.wait_ends) == [wait_id]


def test_ten_thousand_waits_that_a_list_tells_something_new_at_once() -> None:
    def listing(name: str, now: float) -> tuple[float, Listing]:
        progress = int(now // 60) % 100
        return LATENCY, Listing({f"j{number}": Listed("running", progress) for number in range(10_000)})

    simulation = Simulation(lambda job_id, now: (LATENCY, status(job_id)), listing)
    triggerer = simulation.triggerer()
    spent = watch(triggerer)
    for number, each in enumerate(spread_plans(10_000)):
        simulation.wait(triggerer, [f"l/j{number}"], each)
    simulation.run(240)

    assert len(triggerer.lists) >= 2
    assert len(triggerer.logs) >= 10_000
    assert simulation.most_actions <= MOST
    # A list of ten thousand entries is compared in slices; that of a dict alone takes some milliseconds.
    assert sorted(spent)[-3] < LONGEST


def test_ten_thousand_waits_that_cannot_be_polled_at_once() -> None:
    away = TransportError("away", vendor="Airflow")
    simulation = Simulation(lambda job_id, now: (LATENCY, status(job_id)))
    triggerer = simulation.triggerer(loads=lambda attempt: away)
    spent = watch(triggerer)
    for job_id in names(10_000):
        simulation.wait(triggerer, [job_id], plan(first=10.0, deadline=600.0))
    simulation.run()

    assert len(triggerer.wait_ends) == 10_000
    assert simulation.most_actions <= MOST
    assert max(spent) < LONGEST


def test_places_that_hold_no_more_are_not_kept_until_their_time_has_come() -> None:
    heap, jobs = DueHeap[WatchedJob](attrgetter("due")), [WatchedJob(str(number)) for number in range(10)]
    for number in range(20 * ROOM):
        jobs[number % 10].due = 1e9 - number
        heap.put(jobs[number % 10])
        assert len(heap) <= ROOM + 1

    found = []
    while (job := heap.first(2e9)) is not None:
        found.append(job)
        job.due = inf
    assert found == jobs[::-1]


def test_what_is_urgent_comes_first_and_otherwise_what_was_due_first() -> None:
    queue = DueQueue()
    jobs = {name: WatchedJob(name) for name in ("late", "later", "sick", "urgent", "more urgent", "not yet")}
    jobs["sick"].sick = True
    queue.put(jobs["later"], 2.0)
    queue.put(jobs["sick"], 1.5)
    queue.put(jobs["late"], 1.0)
    queue.put(jobs["urgent"], 4.0, urgent=True)
    queue.put(jobs["more urgent"], 3.0, urgent=True)
    queue.put(jobs["not yet"], 9.0, urgent=True)
    order = []
    while (job := queue.first(5.0)) is not None:
        assert isinstance(job, WatchedJob)
        if job.job_id == "sick":
            assert queue.first(5.0, without_sick=True) is jobs["later"]
        order.append(job.job_id)
        queue.drop(job)
    assert order == ["more urgent", "urgent", "late", "sick", "later"]
    assert queue.next_at() == 9.0
    queue.drop(jobs["not yet"])
    assert queue.next_at() == inf


def test_deadlines_of_waits_that_have_gone_are_not_kept() -> None:
    scheduler = Scheduler("toy_default")
    for number in range(20_000):
        spec = plan(deadline=1e6 - number)
        scheduler.join(number, spec, [JobPoller("job", spec, 0.0)], 0.0)
        scheduler.leave(number)
    tracemalloc.start()
    try:
        scheduler.join(99_999, plan(), [JobPoller("job", plan(), 0.0)], 0.0)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 10_000
    assert isinstance(scheduler.next(60.0)[0], LoadConnection)
    assert not any(isinstance(action, Poll) for action in scheduler.next(61.0))
