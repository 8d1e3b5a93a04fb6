"""A vendor's list of jobs, as all waits see it whose jobs stand in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.wait import SAME_POINT
from airflow_provider_jobstatus.hooks.base import BatchJobHook

if TYPE_CHECKING:
    from airflow_provider_jobstatus.triggers.jobs import Job

#: From so many jobs on, one list costs less than a question about each. docs/performance.md has the figures.
WORTH_FROM = 8
#: So many entries that are nobody's may stand in a list for each one that somebody waits for.
WORTH_RATIO = 5
#: How often a list is read in the time in which each job is to be looked at once; less often if it has pages.
READS = 2
#: Longest pause, in seconds, until a list that brought nothing is tried again.
MAX_PAUSE = 3600.0


class SharedList:
    """
    What a list said last, and when to read it again.

    Points in time are those of the fleet's clock.

    :param name: of the list, as its hook knows it.

    :ivar reading: whether somebody is reading it.
    :ivar hungry: jobs whose turn has come and that wait for what is being read.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.reading = False
        self.hungry: list[Job] = []
        self._keys: dict[Job, str] = {}
        self._seen: dict[Job, tuple[Listed, JobStatus]] = {}
        self._read_at = -math.inf
        self._retry_at = -math.inf
        self._failures = 0
        self._share = 1 / READS

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, job: Job, key: str) -> None:
        """
        Take in a job.

        :param key: by which the list names it.
        """
        self._keys[job] = key

    def remove(self, job: Job) -> None:
        """Forget a job."""
        self._keys.pop(job, None)
        self._seen.pop(job, None)

    def usable(self, at: float) -> bool:
        """Return whether to look into this list rather than to ask about each job."""
        return len(self._keys) >= WORTH_FROM and at >= self._retry_at

    def fresh(self, interval: float, at: float) -> bool:
        """Return whether what was read last is as good as a new look at a job with this interval."""
        return at - self._read_at <= interval * self._share

    def good_until(self, job: Job, at: float) -> float:
        """
        Return until when a look at a job brings nothing that is not known already.

        Then, the list is read once for all whose turn came meanwhile. Who would look sooner would wake up for
        nothing, which costs as much as a question.
        """
        if not self.usable(at) or self.running(job) is None:
            return -math.inf
        return self._read_at + job.interval * self._share + SAME_POINT

    def running(self, job: Job) -> JobStatus | None:
        """Return what the list says of a job that runs, or None if the job itself must be asked about."""
        seen = self._seen.get(job)
        return seen[1] if seen is not None and seen[1].known and not seen[1].state.terminal else None

    def take(self, listing: Listing, hook: BatchJobHook, at: float) -> None:
        """Take in what was read."""
        seen: dict[Job, tuple[Listed, JobStatus]] = {}
        for job, key in self._keys.items():
            entry = listing.jobs.get(key)
            if entry is None:
                continue
            before = self._seen.get(job)
            same = before is not None and before[0] == entry
            seen[job] = before if same and before else (entry, hook.listed_status(job.job_id, entry))
        self._seen, self._read_at = seen, at
        self._share = min(listing.requests / READS, 1.0)
        useful = sum(status.known for _, status in seen.values())
        if useful < WORTH_FROM or len(listing.jobs) > WORTH_RATIO * useful:
            self.give_up(at, MAX_PAUSE / 6)
        else:
            self._failures = 0

    def ended(self) -> Iterator[Job]:
        """Yield the jobs that must be asked about themselves, by what the list says of them."""
        for job, (_, status) in list(self._seen.items()):
            if status.state.terminal or not status.known:
                yield job

    def give_up(self, at: float, pause: float) -> None:
        """
        Leave this list alone for a while, as it brought nothing.

        :param pause: seconds; doubled for each time in a row.
        """
        self._retry_at = at + min(pause * 2.0 ** min(self._failures, 16), MAX_PAUSE)
        self._failures += 1


class Lists:
    """The lists in which jobs stand that are waited for on one connection."""

    def __init__(self) -> None:
        self._lists: dict[str, SharedList] = {}

    def of(self, job: Job, hook: BatchJobHook, at: float) -> SharedList | None:
        """
        Return the list to look into for a job, if that is worth it.

        Not at a deadline, nor for who needs what a list does not tell.
        """
        if job.hook is not hook:
            self.place(job, hook)
        if job.list is None or job.by_itself or not job.list.usable(at) or job.at_deadline(at):
            return None
        return job.list

    def leave(self, job: Job) -> None:
        """Take a job out of its list."""
        listed, job.list = job.list, None
        if listed is not None:
            listed.remove(job)
            if not listed and not listed.reading:
                self._lists.pop(listed.name, None)

    def place(self, job: Job, hook: BatchJobHook) -> None:
        """Put a job into the list that shows it, by what a hook says."""
        if job.hook is hook and not (job.list and job.watched):
            return
        self.leave(job)
        job.hook = hook
        try:
            place = None if job.watched else hook.list_place(job.job_id)
        except SettingsError:
            # The question about the job itself says what is wrong with its id.
            place = None
        if place is not None:
            name, key = place
            job.list = self._lists.setdefault(name, SharedList(name))
            job.list.add(job, key)
