"""Schedulers, vendors and time as values: what would happen in hours, in a moment."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider_jobstatus.core.errors import RateLimited, SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.fleet.actions import (
    JobEnded,
    LoadConnection,
    Log,
    Poll,
    ReadList,
    WaitEnded,
    Warn,
)
from airflow_provider_jobstatus.fleet.scheduler import Scheduler
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.waiting.key_state import KeyState
from airflow_provider_jobstatus.waiting.outcome import WaitOutcome
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.refusals import Refusals
from airflow_provider_jobstatus.waiting.session_policy import Session
from airflow_provider_jobstatus.waiting.spec import WaitSpec

Response = JobStatus | VendorError | SettingsError
#: What a vendor model answers: seconds until the response is there (infinity for never), and the response.
Reply = tuple[float, Response]
LATENCY = 0.1
STATES = {
    "queued": JobState.RUNNING,
    "running": JobState.RUNNING,
    "done": JobState.SUCCEEDED,
    "broken": JobState.FAILED,
}


@dataclass
class FakeVendor:
    """The rules of a vendor. Jobs are named ``list/key``; a job without a slash stands in no list."""

    conn_type: ClassVar[str] = "toy"
    account_digest: str = "account"
    uses_lists: bool = True
    settings: object = None
    settings_digest: str = "settings"
    key_digest: str = "key"
    rate: Rate = Rate()  # noqa: RUF009 - frozen

    def check_account(self, digest: str) -> None:
        if digest != self.account_digest:
            raise SettingsError("the connection has changed during the wait")

    def parse_job_id(self, job_id: str) -> str:
        return job_id

    def status_operation(self, job: str) -> Operation[JobStatus]:
        def flow() -> Flow[JobStatus]:
            yield from ()
            return status(job)

        return Operation(flow)

    def list_place(self, job: str) -> tuple[str, str] | None:
        name, slash, key = job.rpartition("/")
        return (name, key) if slash else None

    def known_state(self, word: str) -> JobState | None:
        return STATES.get(word)

    def listed_status(self, job_id: str, listed: Listed) -> JobStatus:
        return status(job_id, listed.word, listed.progress)


def status(job_id: str, word: str = "running", progress: int | None = None) -> JobStatus:
    return JobStatus(job_id, "toy", STATES.get(word, JobState.RUNNING), word, progress=progress)


def plan(
    interval: float = 60.0, first: float | None = None, deadline: float = 7200.0, **more: object
) -> WaitSpec:
    """A wait that began at 0."""
    return WaitSpec(interval, 0.0, interval if first is None else first, deadline, **more)  # type: ignore[arg-type]


@dataclass
class Triggerer:
    """A scheduler and what became of its waits."""

    scheduler: Scheduler
    session: VendorSession
    loads: Callable[[int], float | VendorSession | VendorError | SettingsError] | None = None
    polls: list[tuple[float, str]] = field(default_factory=list)
    lists: list[tuple[float, str]] = field(default_factory=list)
    lookups: list[float] = field(default_factory=list)
    logs: list[tuple[float, int, str]] = field(default_factory=list)
    warnings: list[tuple[float, str]] = field(default_factory=list)
    job_ends: dict[tuple[int, str], tuple[float, WaitOutcome]] = field(default_factory=dict)
    wait_ends: dict[int, float] = field(default_factory=dict)
    faults: dict[int, BaseException] = field(default_factory=dict)
    pollers: dict[int, list[JobPoller]] = field(default_factory=dict)

    def ended_at(self) -> dict[str, float]:
        """When the wait for each job has ended, of waits for one job each."""
        return {job_id: at for (_, job_id), (at, _) in self.job_ends.items()}

    def outcomes(self) -> set[str]:
        return {event.outcome.value for _, event in self.job_ends.values()}


class Simulation:
    """
    Lets time pass.

    :param answer: what the vendor answers to a poll, told the job and when.
    :param list_answer: what it answers to a reading of a list.
    """

    def __init__(
        self,
        answer: Callable[[str, float], Reply],
        list_answer: Callable[[str, float], tuple[float, Listing | VendorError]] | None = None,
    ) -> None:
        self.now = 0.0
        self.answer, self.list_answer = answer, list_answer
        self.triggerers: list[Triggerer] = []
        #: Most actions that one call of ``next`` returned.
        self.most_actions = 0
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], object]]] = []

    def triggerer(
        self,
        rate: Rate = Rate(),  # noqa: B008 - frozen
        vendor: FakeVendor | None = None,
        key: KeyState | None = None,
        loads: Callable[[int], float | VendorSession | VendorError | SettingsError] | None = None,
        conn_id: str = "toy_default",
    ) -> Triggerer:
        """Return a new triggerer, or another connection of one if ``key`` is shared."""
        session: VendorSession = Session(vendor or FakeVendor(), key or KeyState(rate), Refusals())
        self.triggerers.append(Triggerer(Scheduler(conn_id), session, loads))
        return self.triggerers[-1]

    def wait(
        self,
        triggerer: Triggerer,
        job_ids: Iterable[str],
        plan: WaitSpec,
    ) -> int:
        """Let a wait join now, and return its number."""
        pollers = [
            JobPoller(job_id, plan, self.now, {"looked": True}, jitter=lambda: 0.5) for job_id in job_ids
        ]
        wait_id = next(self._numbers)
        triggerer.pollers[wait_id] = pollers
        triggerer.scheduler.join(wait_id, plan, pollers, self.now)
        return wait_id

    def at(self, moment: float, do: Callable[[], object]) -> None:
        """Do something later."""
        heapq.heappush(self._events, (moment, next(self._numbers), do))

    def run(self, until: float = math.inf) -> None:
        """Let time pass until nothing happens any more, or until a point in time."""
        while True:
            moment = min(
                [each.scheduler.wake_at for each in self.triggerers]
                + ([self._events[0][0]] if self._events else []),
                default=math.inf,
            )
            if moment > until or moment == math.inf:
                self.now = until if until < math.inf else self.now
                return
            self.now = max(self.now, moment)
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            for each in self.triggerers:
                if each.scheduler.wake_at <= self.now:
                    self._turn(each)

    def _turn(self, of: Triggerer) -> None:
        actions = of.scheduler.next(self.now)
        self.most_actions = max(self.most_actions, len(actions))
        for action in actions:
            match action:
                case Poll(job_id, operation, _):
                    assert operation is not None
                    of.polls.append((self.now, job_id))
                    delay, response = self.answer(job_id, self.now)
                    self._later(
                        delay, lambda o=of, j=job_id, r=response: o.scheduler.answered(j, r, self.now)
                    )
                case ReadList(name, _):
                    of.lists.append((self.now, name))
                    assert self.list_answer is not None
                    delay, listing = self.list_answer(name, self.now)
                    self._later(delay, lambda o=of, n=name, r=listing: o.scheduler.list_read(n, r, self.now))
                case LoadConnection(attempt):
                    of.lookups.append(self.now)
                    self._load(of, attempt)
                case Log(wait_id, entry, _):
                    of.logs.append((self.now, wait_id, entry.text))
                case Warn(_, text):
                    of.warnings.append((self.now, text))
                case JobEnded(wait_id, event):
                    of.job_ends[wait_id, event.job_id] = (self.now, event)
                case WaitEnded(wait_id, None):
                    of.wait_ends[wait_id] = self.now
                case WaitEnded(wait_id, fault):
                    of.faults[wait_id] = fault

    def _load(self, of: Triggerer, attempt: int) -> None:
        found = of.session if of.loads is None else of.loads(attempt)
        if isinstance(found, Session):
            self._later(LATENCY, lambda: of.scheduler.loaded(found, attempt, self.now))
        elif isinstance(found, Exception):
            self._later(LATENCY, lambda: of.scheduler.not_loaded(found, attempt, self.now))
        elif found < math.inf:
            self._later(found, lambda: of.scheduler.loaded(of.session, attempt, self.now))

    def _later(self, delay: float, do: Callable[[], object]) -> None:
        if delay < math.inf:
            self.at(self.now + delay, do)


def wait_for(
    answer: Callable[[str, float], Reply],
    job_ids: Iterable[str],
    specs: WaitSpec | Iterable[WaitSpec],
    until: float = math.inf,
    listing: Callable[[str, float], tuple[float, Listing | VendorError]] | None = None,
    **connection: Any,
) -> Triggerer:
    """Wait for each of some jobs by a wait of its own, numbered from 0, and return what became of it."""
    simulation = Simulation(answer, listing)
    triggerer = simulation.triggerer(**connection)
    each = itertools.repeat(specs) if isinstance(specs, WaitSpec) else specs
    for job_id, spec in zip(job_ids, each, strict=False):
        simulation.wait(triggerer, [job_id], spec)
    simulation.run(until)
    return triggerer


def names(count: int, prefix: str = "job-") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def ends_at(moment: float, word: str = "done", delay: float = LATENCY) -> Callable[[str, float], Reply]:
    """Answer that a job runs, and from a moment on that it has ended."""
    return lambda job_id, now: (delay, status(job_id, word if now >= moment else "running"))


def rate_limited(retry_after: float | None = None) -> RateLimited:
    error = RateLimited("wants no calls", vendor="toy", status=429)
    error.retry_after = retry_after
    return error


def spread_plans(
    count: int, interval: float = 60.0, deadline: float = 7200.0, **more: object
) -> list[WaitSpec]:
    """Plans whose first polls are spread evenly over one interval."""
    return [plan(interval, interval * (1 + number / count), deadline, **more) for number in range(count)]
