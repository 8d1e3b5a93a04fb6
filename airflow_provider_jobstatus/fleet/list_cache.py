"""A vendor's list of jobs, as all waits see it whose jobs stand in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.jobs import JobStatus, Listed, Listing
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

if TYPE_CHECKING:
    from airflow_provider_jobstatus.fleet.shared_job import Job

#: From so many jobs on, one list costs less than a question about each. docs/performance.md has the figures.
WORTH_FROM = 8
#: So many entries that are nobody's may stand in a list for each one that somebody waits for.
WORTH_RATIO = 5
#: Longest pause, in seconds, until a list that brought nothing is tried again.
MAX_PAUSE = 3600.0


class SharedList:
    """
    What a list said last, and when to read it again.

    Points in time are those of the fleet's clock.

    :param name: of the list, as its hook knows it.

    :ivar covered: jobs that run, as it said when it was read last, with what their waits know. Nobody looks
        at them one by one: whoever reads the list tells their waits what has changed.
    :ivar interval: seconds in which to read it once, for those.
    :ivar due: when to read it next.
    :ivar entry: number of its place in the queue.
    :ivar read_at: when it was read last.
    :ivar reading: whether somebody is reading it.
    :ivar hungry: jobs whose turn has come and that wait for what is being read.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.covered: dict[Job, JobStatus] = {}
        self.interval = math.inf
        self.due = 0.0
        self.entry = 0
        self.read_at = -math.inf
        self.reading = False
        self.hungry: list[Job] = []
        self._keys: dict[Job, str] = {}
        self._seen: dict[Job, tuple[Listed, JobStatus]] = {}
        self._retry_at = -math.inf
        self._worth_again_from = math.inf
        self._failures = 0

    def __len__(self) -> int:
        return len(self._keys)

    def holds(self, job: Job, key: str) -> bool:
        """Return whether a job is known here, by that key."""
        return self._keys.get(job) == key

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
        self.covered.pop(job, None)

    def usable(self, at: float) -> bool:
        """Return whether to look into this list rather than to ask about each job."""
        waited_for = len(self._keys)
        return waited_for >= WORTH_FROM and (at >= self._retry_at or waited_for >= self._worth_again_from)

    def fresh(self, job: Job, at: float) -> bool:
        """Return whether what was read last is as good as a new look at a job."""
        # Who is not covered from then on relies on it until his next look.
        return at - self.read_at <= (job.interval - SAME_POINT if job.steady else job.interval / 2)

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
            if before is not None and before[0] == entry:
                seen[job] = before
            elif hook.known_state(entry.word) is not None:
                # A word that is not known counts for nothing here, and is nowhere shown.
                seen[job] = entry, hook.listed_status(job.job_id, entry)
        self._seen, self.read_at = seen, at
        useful = sum(status.known for _, status in seen.values())
        if useful < WORTH_FROM or len(listing.jobs) > WORTH_RATIO * useful:
            self.give_up(at, MAX_PAUSE / 6)
            # More may be waited for soon, as when a mapped task begins. Not each of them is a reason to try.
            self._worth_again_from = max(len(listing.jobs) / WORTH_RATIO, 2 * len(self._keys))
        else:
            self._failures = 0

    def ended(self) -> Iterator[Job]:
        """Yield the jobs that have ended, as the list says."""
        for job, (_, status) in list(self._seen.items()):
            if status.state.terminal:
                yield job

    def give_up(self, at: float, pause: float) -> None:
        """
        Leave this list alone for a while, as it brought nothing.

        :param pause: seconds; doubled for each time in a row.
        """
        self._retry_at = at + min(pause * 2.0 ** min(self._failures, 16), MAX_PAUSE)
        self._worth_again_from = math.inf
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
            self.place(job, hook, at)
        if job.list is None or job.by_itself or not job.list.usable(at) or job.at_deadline(at):
            return None
        return job.list

    def leave(self, job: Job) -> None:
        """Take a job out of its list."""
        listed, job.list = job.list, None
        if listed is not None:
            listed.remove(job)
            if not listed:
                self._lists.pop(listed.name, None)

    def place(self, job: Job, hook: BatchJobHook, at: float) -> bool:
        """
        Put a job into the list that shows it, by what a hook says.

        :return: whether it is to be looked at by itself from now on, as the list that covered it does not.
        """
        if job.hook is hook and not (job.list and job.watched):
            return False
        covered = job.covered
        self._move(job, hook)
        if not covered or job.covered:
            return False
        job.go_on(at)
        return True

    def _move(self, job: Job, hook: BatchJobHook) -> None:
        job.hook = hook
        try:
            place = None if job.watched else hook.list_place(hook.parse_job_id(job.job_id))
        except SettingsError:
            # The question about the job itself says what is wrong with its id.
            place = None
        if place is None:
            self.leave(job)
            return
        name, key = place
        if job.list is not None and job.list.name == name and job.list.holds(job, key):
            return
        self.leave(job)
        job.list = self._lists.setdefault(name, SharedList(name))
        job.list.add(job, key)
