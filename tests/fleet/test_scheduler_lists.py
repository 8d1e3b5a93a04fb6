"""A list is help, not truth: when it serves jobs, when it is left alone, and what its refusal concerns."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import ceil, inf
from statistics import median
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    RateLimited,
    ServerError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.jobs import Listed, Listing
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.fleet.list_cache import WORTH_FROM, ListCache
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob
from airflow_provider_jobstatus.waiting.poller import JobPoller
from tests.fleet.simulation import (
    LATENCY,
    FakeVendor,
    Reply,
    Simulation,
    Triggerer,
    names,
    plan,
    rate_limited,
    spread_plans,
    status,
    wait_for,
)

INTERVAL = 60.0
LONG = 1e6


class Vendor:
    """
    Jobs ``l/j0`` and so on, and a list of them.

    :param count: how many there are.
    :param ends: when each of some ends; the others never do.
    :param lag: by how many seconds the list lags; infinity for one that stands still.
    """

    def __init__(self, count: int = 40, ends: Mapping[int, float] | None = None, lag: float = 0.0) -> None:
        self.count, self.ends, self.lag = count, ends or {}, lag

    def word(self, number: int, now: float) -> str:
        return "done" if now >= self.ends.get(number, inf) else "running"

    def answer(self, job_id: str, now: float) -> Reply:
        return LATENCY, status(job_id, self.word(int(job_id.rpartition("/j")[2]), now))

    def listing(self, name: str, now: float) -> tuple[float, Listing | VendorError]:
        words = {f"j{number}": Listed(self.word(number, now - self.lag)) for number in range(self.count)}
        return LATENCY, Listing(words, max(1, self.count // 200))


def waits_for(
    vendor: Vendor, /, interval: float = INTERVAL, deadline: float = LONG, **connection: Any
) -> tuple[Simulation, Triggerer]:
    """Let each job of a vendor be waited for by a wait of its own, and no time pass as yet."""
    simulation = Simulation(vendor.answer, vendor.listing)
    triggerer = simulation.triggerer(**connection)
    specs = spread_plans(vendor.count, interval, deadline)
    for job_id, each in zip(names(vendor.count, "l/j"), specs, strict=True):
        simulation.wait(triggerer, [job_id], each)
    return simulation, triggerer


def simulate(vendor: Vendor, /, until: float = inf, **connection: Any) -> Triggerer:
    """Wait for each job of a vendor, and stop when all that end have ended."""
    simulation, triggerer = waits_for(vendor, **connection)
    while len(triggerer.job_ends) < len(vendor.ends) and simulation.now < until:
        simulation.run(min(simulation.now + INTERVAL, until))
    if not vendor.ends:
        simulation.run(until)
    return triggerer


def polled_at(found: Triggerer, number: int) -> list[float]:
    return [at for at, job_id in found.polls if job_id == f"l/j{number}"]


def longest_gap(moments: list[float]) -> float:
    return max(later - earlier for earlier, later in pairwise(moments))


def stands_still(count: int, seed: int) -> tuple[float, float | None, float]:
    """
    A list stands still, and a tenth of the jobs end at one moment.

    :return: in intervals, how long after that the first end was known, how long after that the list was
        dropped (None if it was not), and how long after the first end the last one was known.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    end = 20 * INTERVAL + chance.random() * INTERVAL
    ended = chance.sample(range(count), ceil(count / 10))
    found = simulate(Vendor(count, dict.fromkeys(ended, end), lag=inf), until=end + 100 * INTERVAL)
    known = sorted(found.ended_at().values())
    assert len(known) == len(ended)
    dropped = (found.warnings[0][0] - known[0]) / INTERVAL if found.warnings else None
    return (known[0] - end) / INTERVAL, dropped, (known[-1] - known[0]) / INTERVAL


def check_stale_lists(count: int, seeds: int) -> None:
    found = [stands_still(count, seed) for seed in range(seeds)]
    assert median(first for first, _, _ in found) <= 3
    # Of eight jobs one ends, after which they are too few for a list.
    dropped = [after for _, after, _ in found if after is not None]
    assert all(after <= 2.1 for after in dropped)
    assert len(dropped) > seeds / 2 or count == WORTH_FROM
    assert all(last <= 2.1 + 2 for _, _, last in found)


@pytest.mark.parametrize(("count", "seeds"), [(8, 100), (100, 12), (1000, 3)])
def test_a_list_that_stands_still_hides_no_end(count: int, seeds: int) -> None:
    check_stale_lists(count, seeds)


def test_a_good_list_of_a_thousand_jobs_costs_its_pages_and_twenty_requests_an_interval() -> None:
    found = simulate(Vendor(1000), until=40 * INTERVAL)

    minutes = [Counter(int(at // INTERVAL) for at, _ in each) for each in (found.polls, found.lists)]
    assert found.warnings == []
    for minute in range(5, 40):
        assert minutes[1][minute] <= 1
        assert minutes[0][minute] <= 20


@pytest.mark.parametrize("intervals", [0, 0.5, 1, 2, 5])
def test_a_list_that_lags_by_up_to_two_intervals_stays_in_use(intervals: float) -> None:
    chance, lag = random.Random(7), intervals * INTERVAL  # noqa: S311 - no secret
    vendor = Vendor(100, {number: 600 + chance.random() * 6000 for number in range(80)}, lag=lag)
    found = simulate(vendor, until=9000)

    assert bool(found.warnings) is (intervals > 2)
    assert len(found.job_ends) == 80
    late = [at - vendor.ends[int(job_id[3:])] for job_id, at in found.ended_at().items()]
    assert max(late) <= lag + INTERVAL + 1


def test_a_dropped_list_is_left_alone_for_an_hour_and_its_jobs_are_polled_evenly() -> None:
    vendor = Vendor(100, dict.fromkeys(range(12), 1000.0), lag=inf)
    simulation = Simulation(vendor.answer, vendor.listing)
    triggerer = simulation.triggerer()
    for job_id in names(100, "l/j"):
        # All at the same points.
        simulation.wait(triggerer, [job_id], plan(deadline=LONG))
    simulation.run(9000)

    [(dropped, text)] = triggerer.warnings[:1]
    assert "list 'l' says less than the jobs' own statuses" in text
    lists = [at for at, _ in triggerer.lists if at > dropped + 1]
    assert lists[0] >= dropped + 3600
    polls = [at for at, _ in triggerer.polls if dropped < at < dropped + 600]
    # Never more than the paced rate, and each once an interval.
    assert min(later - earlier for earlier, later in pairwise(polls)) >= 0.99 * INTERVAL / 125
    each = Counter(job_id for at, job_id in triggerer.polls if dropped + 120 < at < dropped + 720)
    assert set(each.values()) <= {9, 10, 11}


@pytest.mark.parametrize(
    ("status_says", "list_said", "list_says", "stale"),
    [
        ("done", Listed("running"), Listed("running"), True),
        ("done", Listed("running"), Listed("done"), False),
        ("done", Listed("running"), Listed("broken"), False),
        ("done", Listed("running"), None, False),
        ("done", Listed("running"), Listed("a word that is none"), False),
        ("running 50", Listed("running", 40), Listed("running", 40), True),
        ("running 50", Listed("running", 40), Listed("running", 49), True),
        ("running 50", Listed("running", 40), Listed("running", 50), False),
        ("running 50", Listed("running", 40), Listed("running"), False),
        ("running 40", Listed("running", 50), Listed("running", 60), False),
        ("running", Listed("queued"), Listed("queued"), True),
        ("running", Listed("queued"), Listed("running"), False),
        ("queued", Listed("queued"), Listed("running"), False),
        ("running", Listed("queued"), Listed("done"), False),
        ("RUNNING ", Listed("running"), Listed("running"), False),
    ],
)
@pytest.mark.parametrize("intervals", [1.5, 2, 3])
def test_a_list_is_stale_that_has_not_caught_up_with_a_status_two_intervals_later(
    status_says: str, list_said: Listed, list_says: Listed | None, stale: bool, intervals: float
) -> None:
    vendor, listed, jobs = FakeVendor(), ListCache("l"), [WatchedJob(f"l/j{n}") for n in range(10)]
    for job in jobs:
        listed.add(job, job.job_id[2:])
    others = {f"j{number}": Listed("running") for number in range(1, 10)}
    word, _, progress = status_says.partition(" ")
    list(listed.update(Listing({"j0": list_said, **others}), vendor, 1000.0))
    listed.interval = INTERVAL
    listed.polled(jobs[0], status("l/j0", word, int(progress) if progress else None), 1001.0)

    entry = {} if list_says is None else {"j0": list_says}
    sent_at = 1001.0 + intervals * INTERVAL
    assert listed.is_stale(Listing({**entry, **others}), vendor, sent_at) is (stale and intervals >= 2)


def test_those_that_were_not_polled_for_longest_are_the_sample() -> None:
    for count, size in ((8, 2), (16, 2), (17, 3), (100, 5), (1000, 16), (10_000, 50)):
        listed = ListCache("l")
        for number in range(count):
            job = WatchedJob(f"l/{number}")
            job.polled_at = float(-number)
            listed.served[job] = status(job.job_id)
        sample = listed.sample()
        assert [job.polled_at for job in sample] == [
            -number for number in range(count - 1, count - 1 - size, -1)
        ]


def test_each_page_of_a_list_counts_for_the_rate_of_the_key() -> None:
    vendor, pages, rate = Vendor(), 20, Rate(0.3, burst=1)
    said = vendor.listing
    vendor.listing = lambda name, now: (LATENCY, replace(said(name, now)[1], requests=pages))  # type: ignore[method-assign, type-var]
    found = simulate(vendor, until=1800, rate=rate)

    assert len(found.lists) >= 10
    assert len(found.polls) + pages * len(found.lists) <= 1800 * 0.3 + 2 * pages


def test_without_lists_none_is_read() -> None:
    found = simulate(Vendor(), until=600, vendor=FakeVendor(uses_lists=False))

    assert found.lists == []
    assert all(8 <= times <= 10 for times in Counter(job_id for _, job_id in found.polls).values())


@pytest.mark.parametrize("refusal", [RateLimited, ServerError])
@pytest.mark.parametrize("retry_after", [None, 3600.0])
def test_a_list_that_is_throttled_for_an_hour_delays_no_end(
    refusal: type[VendorError], retry_after: float | None
) -> None:
    vendor, error = Vendor(40, dict.fromkeys(range(40), 100.0)), refusal("wants no calls", vendor="toy")
    error.retry_after = retry_after
    vendor.listing = lambda name, now: (LATENCY, error)  # type: ignore[method-assign]
    found = simulate(vendor, until=3600)

    assert found.outcomes() == {"finished"}
    assert max(found.ended_at().values()) <= 100 + 2 * INTERVAL
    assert len(found.lists) <= (1 if retry_after else 3)


def test_after_a_stop_of_the_key_a_job_comes_before_the_list() -> None:
    vendor = Vendor()
    well = vendor.answer
    vendor.answer = lambda job_id, now: (  # type: ignore[method-assign]
        (LATENCY, rate_limited(900 - now)) if 600 <= now < 900 else well(job_id, now)
    )
    found = simulate(vendor, until=1200)

    requests = sorted([(at, "job") for at, _ in found.polls] + [(at, "list") for at, _ in found.lists])
    refused_at = next(at for at, kind in requests if at >= 600 and kind == "job")
    after = [(at, kind) for at, kind in requests if at > refused_at + 1]
    assert after[0][0] >= 900
    assert after[0][1] == "job"
    # And the list is used again.
    assert sum(kind == "list" for _, kind in after) >= 3


@pytest.mark.parametrize(
    "error",
    [
        ServerError("failed", vendor="toy", status=500),
        TransportError("broke", vendor="toy"),
        UnexpectedResponse("is no list", vendor="toy"),
    ],
)
def test_without_a_usable_list_no_poll_is_lost(error: VendorError) -> None:
    vendor = Vendor()
    good = vendor.listing
    vendor.listing = lambda name, now: good(name, now) if now < 300 else (LATENCY, error)  # type: ignore[method-assign]
    found = simulate(vendor, until=1800)

    lists = [at for at, _ in found.lists]
    # Ever more seldom.
    assert len([at for at in lists if at > 300]) <= 6
    for number in range(40):
        seen = sorted([*(at for at in lists if at < 300), *polled_at(found, number)])
        assert longest_gap(seen) <= 1.5 * INTERVAL + 5


def test_a_job_that_the_list_does_not_show_or_has_a_word_that_is_none_is_polled_at_its_own_times() -> None:
    vendor = Vendor()
    words = {f"j{number}": Listed("running" if number > 1 else "mystery") for number in range(1, 40)}
    vendor.listing = lambda name, now: (LATENCY, Listing(words))  # type: ignore[method-assign]
    found = simulate(vendor, until=1800)

    assert len(polled_at(found, 0)) >= 28
    assert len(polled_at(found, 1)) >= 28
    assert len(polled_at(found, 2)) <= 5


def test_what_the_list_says_of_an_end_is_not_the_end_and_is_confirmed_at_once() -> None:
    vendor = Vendor()
    vendor.listing = Vendor(40, dict.fromkeys(range(5), 600.0)).listing  # type: ignore[method-assign]
    found = simulate(vendor, until=3600)

    assert found.job_ends == {}
    # Where the two disagree, the job is polled by itself as often as ever.
    for number in range(5):
        assert 45 <= len(polled_at(found, number)) <= 60


@pytest.mark.parametrize("need", [{"stalled_after": 600.0}, {"adaptive": True}])
def test_a_wait_that_needs_more_than_a_list_tells_is_polled_by_itself(need: dict[str, object]) -> None:
    vendor = Vendor()
    specs = spread_plans(40, INTERVAL, 3600.0, **need)
    found = wait_for(vendor.answer, names(40, "l/j"), specs, 600, vendor.listing)

    assert found.lists == []


def test_a_job_that_a_list_serves_is_polled_when_the_list_is_read() -> None:
    simulation, triggerer = waits_for(Vendor())
    scheduler = triggerer.scheduler
    assert scheduler.list_times("l/j0") is None
    assert scheduler.list_times("of no wait") is None
    simulation.run(600)

    read_at = triggerer.lists[-1][0] + LATENCY
    assert scheduler.list_times("l/j0") == pytest.approx((read_at, read_at + INTERVAL))
    # While it is being read, nothing is known of the next time.
    simulation.run(read_at + INTERVAL + LATENCY / 2)
    assert scheduler.list_times("l/j0") is None


def test_a_list_is_read_as_often_as_those_need_it_that_still_wait() -> None:
    simulation, triggerer = waits_for(Vendor(), 500.0)
    often = simulation.wait(triggerer, ["l/j0"], plan(10.0, 20.0, 300.0))
    simulation.run(3000)

    assert triggerer.wait_ends[often] <= 301
    lists = [at for at, _ in triggerer.lists]
    assert sum(at <= 300 for at in lists) >= 15
    assert sum(at > 330 for at in lists) <= 7


@pytest.mark.parametrize("job_id", ["l/j0", "l/j40"])
def test_a_wait_that_joins_a_list_is_told_at_its_first_poll(job_id: str) -> None:
    vendor = Vendor()
    simulation, triggerer = waits_for(vendor, 700.0)
    vendor.count += 1
    simulation.run(2000)
    joined = simulation.wait(triggerer, [job_id], plan(10.0, 2050.0, LONG))
    simulation.run(2200)

    [first] = [at for at, wait_id, _ in triggerer.logs if wait_id == joined]
    assert 2050 <= first <= 2051
    # From then on the list is read as often as that wait needs it.
    lists = [at for at, _ in triggerer.lists if at >= 2050]
    assert len(lists) >= 14
    assert min(later - earlier for earlier, later in pairwise(lists)) >= 10


def test_a_failed_poll_of_its_own_is_over_with_the_next_that_the_list_serves() -> None:
    vendor, failed = Vendor(), (LATENCY, ServerError("failed", vendor="toy", status=500))
    specs = spread_plans(40, INTERVAL, LONG, max_outage=600.0)
    found = wait_for(
        lambda job_id, now: failed if job_id == "l/j0" and now > 300 else (LATENCY, status(job_id)),
        names(40, "l/j"),
        specs,
        7200,
        vendor.listing,
    )

    assert found.job_ends == {}
    assert any("answers again" in text for _, _, text in found.logs)


def test_jobs_that_leave_a_list_because_of_new_settings_are_polled_by_themselves() -> None:
    sessions = list[Any]()
    simulation, triggerer = waits_for(Vendor(), loads=lambda attempt: sessions[min(attempt, 2) - 1])
    other = simulation.triggerer(vendor=FakeVendor(uses_lists=False))
    sessions += [triggerer.session, other.session]
    simulation.run(1800)

    # Settings are read again after ten minutes.
    last = max(at for at, _ in triggerer.lists)
    assert 600 <= last <= 720
    for number in range(40):
        assert min(at for at in polled_at(triggerer, number) if at > last) <= last + 1.5 * INTERVAL + 5


def of_jobs(count: int) -> tuple[ListCache, Listing]:
    """A list that holds some jobs, and what it says while all run."""
    listed = ListCache("l")
    for number in range(count):
        listed.add(WatchedJob(f"l/{number}"), str(number))
    return listed, Listing({str(number): Listed("running") for number in range(count)})


@pytest.mark.parametrize(("jobs", "others", "usable"), [(8, 32, True), (8, 33, False), (7, 0, False)])
def test_a_list_is_worth_reading_for_eight_jobs_and_not_for_five_times_as_many_others(
    jobs: int, others: int, usable: bool
) -> None:
    listed, listing = of_jobs(jobs)
    listing.jobs.update({f"another-{number}": Listed("running") for number in range(others)})
    list(listed.update(listing, FakeVendor(), 0.0))

    assert listed.is_usable(0.0) is usable


def test_a_list_is_left_alone_for_twice_as_long_each_time_until_it_is_of_use_again() -> None:
    listed, listing = of_jobs(8)
    now, pauses = 0.0, [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    for pause in pauses:
        listed.give_up(now, 60.0)
        assert not listed.is_usable(now + pause - 1)
        now += pause
        assert listed.is_usable(now)
    list(listed.update(listing, FakeVendor(), now))
    listed.give_up(now, 60.0)
    assert listed.is_usable(now + 60)


def test_a_list_that_serves_no_wait_any_more_is_read_no_more() -> None:
    simulation, triggerer = waits_for(Vendor())
    simulation.run(600)
    for wait_id in range(40):
        triggerer.scheduler.leave(wait_id)
    simulation.run(3000)

    assert max(at for at, _ in triggerer.lists) < 600
    assert triggerer.scheduler.wake_at == inf


def test_a_list_that_lost_its_jobs_while_it_was_read_is_forgotten_with_what_it_said() -> None:
    vendor = Vendor()
    said = vendor.listing
    vendor.listing = lambda name, now: (1.0, said(name, now)[1])  # type: ignore[method-assign]
    simulation, triggerer = waits_for(vendor)
    simulation.run(600)
    sent_at = triggerer.lists[-1][0] + 1.0 + INTERVAL
    simulation.run(sent_at + 0.5)
    assert triggerer.lists[-1][0] == pytest.approx(sent_at)
    for wait_id in range(40):
        triggerer.scheduler.leave(wait_id)
    simulation.run(sent_at + 2)
    for job_id in names(40, "l/j"):
        simulation.wait(triggerer, [job_id], plan(500.0, sent_at + 6))
    simulation.run(sent_at + 10)

    # The new waits have the list read, and none of them polls its job.
    assert sum(at > sent_at + 1 for at, _ in triggerer.lists) == 1
    assert not any(at > sent_at + 1 for at, _ in triggerer.polls)


class CountingPoller(JobPoller):
    """A poller that counts what is delivered."""

    delivered = 0

    def observe(self, *response: Any) -> Any:
        CountingPoller.delivered += 1
        return super().observe(*response)


def test_what_a_list_says_is_delivered_once() -> None:
    simulation = Simulation(
        lambda job_id, now: (LATENCY, status(job_id, progress=int(now // 600))),
        lambda name, now: (
            LATENCY,
            Listing({f"j{n}": Listed("running", int(now // 600)) for n in range(40)}),
        ),
    )
    triggerer = simulation.triggerer()
    for number, spec in enumerate(spread_plans(40, INTERVAL, LONG)):
        poller = CountingPoller(f"l/j{number}", spec, 0.0, {"looked": True})
        triggerer.scheduler.join(number, spec, [poller], 0.0)
    simulation.run(6100)

    changes = 11
    assert CountingPoller.delivered <= len(triggerer.polls) + 40 * (1 + changes)


def test_a_list_whose_connection_is_gone_leaves_each_job_to_itself() -> None:
    vendor = Vendor()
    denied, away = (
        AccessDenied("no", vendor="toy", status=401),
        TransportError("cannot be read", vendor="Airflow"),
    )
    found = wait_for(
        lambda job_id, now: (LATENCY, status(job_id) if now < 600 else denied),
        names(40, "l/j"),
        spread_plans(40, INTERVAL, LONG, max_outage=600.0),
        4000,
        vendor.listing,
        loads=lambda attempt: LATENCY if attempt == 1 else away,
    )

    assert len(found.job_ends) == 40
    assert found.outcomes() <= {"gave_up", "refused"}


def test_a_list_that_stays_too_large_is_not_read_for_each_job_that_comes() -> None:
    listed, vendor = ListCache("l"), FakeVendor()
    others = Listing({f"another-{number}": Listed("running") for number in range(1000)})
    read_with = []
    for number in range(2000):
        listed.add(WatchedJob(f"l/{number}"), str(number))
        if listed.is_usable(0.0):
            read_with.append(len(listed))
            list(listed.update(others, vendor, 0.0))

    # As soon as it may pay, and then with twice as many each time.
    assert read_with == [WORTH_FROM, 200, 400, 800, 1600]


def test_a_fault_in_reading_a_list_leaves_each_job_to_itself() -> None:
    vendor = Vendor(40, dict.fromkeys(range(40), 300.0))
    vendor.listing = lambda name, now: (inf, Listing({}))  # type: ignore[method-assign]
    simulation, triggerer = waits_for(vendor)
    while not triggerer.lists:
        simulation.run(simulation.now + 1)
    triggerer.scheduler.list_failed("l", simulation.now)
    simulation.run(600)

    assert triggerer.outcomes() == {"finished"}
    assert len(triggerer.lists) == 1
