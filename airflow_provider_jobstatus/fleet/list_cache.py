"""
A vendor's list of jobs, as it was read last.

The theory. A list is help, not truth. It shows which jobs run, so that one request serves many waits, but the
job's own status counts. So in each round a few of the jobs that the list serves are polled themselves, those
that were not polled for longest first: enough to notice soon that the list stands still, and few beside the
requests that it saves. A status that is ahead of the list (an end, more progress, another word) is kept. If
the list, read two intervals later, still has not caught up, it is not used for an hour. A list that merely
lags stays in use.

No I/O and no clock: points in time are passed in, and are those of the scheduler.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import nsmallest
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from airflow_provider_jobstatus.core.jobs import JobStatus, Listed, Listing
from airflow_provider_jobstatus.fleet.watched_job import Flight, WatchedJob
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

if TYPE_CHECKING:
    from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: From so many jobs on, a list costs less than a poll of each. docs/performance.md has the figures.
WORTH_FROM = 8
#: So many entries of other jobs may stand in a list for each one that is waited for.
WORTH_RATIO = 5
#: Longest pause, in seconds, until a list that brought nothing is read again.
MAX_PAUSE = 3600.0
#: Seconds for which a list that has not caught up with a status is not used.
DISTRUST = 3600.0
#: Intervals by which a list may lag.
MAX_LAG = 2
#: Least number of jobs of a list that are polled themselves in each round.
LEAST_SAMPLE = 2
#: Seconds after the request for the list within which a poll of such a job counts as sent with it.
SAME_ROUND = 1.0
#: Entries that are compared before other work has its turn.
SLICE = 100


class Ahead(NamedTuple):
    """A job's own status that a list has not caught up with, when it was requested, and the list's entry."""

    status: JobStatus
    sent_at: float
    entry: Listed


class ListCache:
    """
    What a list said last, which jobs it serves, and when to read it again.

    :param name: of the list, as its hook knows it.

    :ivar served: jobs that run, by the list, with the status that their waits know. They are not polled one
        by one, but for samples and deadlines.
    :ivar interval: seconds in which to read it once, for those.
    :ivar due: when to read it next; infinity if it has no place in the queue.
    :ivar flight: the request for it that is in flight, or None.
    :ivar read_at: when it was read last.
    :ivar reading: whether it is being read: from that request until all that it says is known here.
    :ivar ended: jobs that have ended, as it said when it was read last.
    :ivar waiters: jobs whose turn has come and that wait until it has been read.
    """

    #: A list has its turns among those of healthy jobs.
    sick: ClassVar = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.served: dict[WatchedJob, JobStatus] = {}
        self.interval = math.inf
        self.due = math.inf
        self.flight: Flight | None = None
        self.read_at = -math.inf
        self.reading = False
        self.ended: list[WatchedJob] = []
        self.waiters: list[WatchedJob] = []
        self._keys: dict[WatchedJob, str] = {}
        self._seen: dict[WatchedJob, tuple[Listed, JobStatus]] = {}
        self._ahead: dict[str, Ahead] = {}
        self._retry_at = -math.inf
        self._worth_again_from = math.inf
        self._failures = 0

    def __len__(self) -> int:
        return len(self._keys)

    def key_of(self, job: WatchedJob) -> str | None:
        """Return by what this list names a job; None if it does not hold it."""
        return self._keys.get(job)

    def add(self, job: WatchedJob, key: str) -> None:
        """
        Take in a job.

        :param key: by which the list names it.
        """
        self._keys[job] = key

    def remove(self, job: WatchedJob) -> None:
        """Forget a job."""
        self._keys.pop(job, None)
        self._seen.pop(job, None)
        self.served.pop(job, None)
        if not self._keys:
            # Of jobs that have ended it is kept: it speaks of the list.
            self._ahead.clear()

    def is_usable(self, now: float) -> bool:
        """Return whether to use this list rather than to poll each job."""
        jobs = len(self._keys)
        return jobs >= WORTH_FROM and (now >= self._retry_at or jobs >= self._worth_again_from)

    def is_fresh(self, job: WatchedJob, now: float) -> bool:
        """Return whether what was read last is as good as a new poll of a job."""
        # A job with growing intervals is not served, and relies on it until its next poll.
        return now - self.read_at <= (job.interval - SAME_POINT if job.is_steady else job.interval / 2)

    def running(self, job: WatchedJob) -> JobStatus | None:
        """Return what the list says of a job that runs; None if the job itself must be polled."""
        seen = self._seen.get(job)
        return seen[1] if seen is not None and seen[1].known and not seen[1].state.terminal else None

    def sample(self) -> list[WatchedJob]:
        """Return the jobs to be polled themselves in this round, those that were not polled for longest."""
        size = max(math.ceil(math.sqrt(len(self.served)) / 2), LEAST_SAMPLE)
        return nsmallest(size, self.served, key=lambda job: job.polled_at)

    def polled(self, job: WatchedJob, status: JobStatus, sent_at: float) -> None:
        """
        Compare a job's own status with the list.

        :param sent_at: when the status was requested.
        """
        seen, key = self._seen.get(job), self._keys.get(job)
        if seen is not None and key is not None:
            if _is_ahead(status, *seen):
                self._ahead.setdefault(key, Ahead(status, sent_at, seen[0]))
            else:
                self._ahead.pop(key, None)

    def update(self, listing: Listing, hook: BatchJobHook, now: float) -> Iterator[None]:
        """Take in what was read, in slices."""
        before, self._seen = self._seen, {}
        useful, self.ended = 0, []
        for number, (job, key) in enumerate(list(self._keys.items()), 1):
            if number % SLICE == 0:
                yield
            entry = listing.jobs.get(key)
            if entry is None or job not in self._keys:
                continue
            seen = before.get(job)
            if seen is None or seen[0] != entry:
                if hook.known_state(entry.word) is None:
                    # An unknown word counts for nothing here, and is shown nowhere.
                    continue
                seen = entry, hook.listed_status(job.job_id, entry)
                yield
            if job in self._keys:
                self._seen[job] = seen
                useful += seen[1].known
                if seen[1].state.terminal:
                    self.ended.append(job)
        self.read_at = now
        if useful < WORTH_FROM or len(listing.jobs) > WORTH_RATIO * useful:
            self.give_up(now, MAX_PAUSE / 6)
            # More jobs may come soon, as when a mapped task begins. Not each of them is a reason to read it.
            self._worth_again_from = max(len(listing.jobs) / WORTH_RATIO, 2 * len(self._keys))
        else:
            self._failures = 0

    def is_stale(self, listing: Listing, hook: BatchJobHook, sent_at: float) -> bool:
        """
        Return whether the list has not caught up with a job's own status though it had the time.

        :param sent_at: when the request for the list was sent.
        """
        late_from = sent_at - MAX_LAG * self.interval + min(SAME_ROUND, self.interval / 20)
        stale = False
        for key, ahead in list(self._ahead.items()):
            entry = listing.jobs.get(key)
            if entry is None or hook.known_state(entry.word) is None:
                del self._ahead[key]
                continue
            status = hook.listed_status(ahead.status.job_id, entry)
            if not _is_ahead(ahead.status, entry, status) or (
                # Another word is behind only if it has not changed since.
                not _is_further(ahead.status, status) and entry.word != ahead.entry.word
            ):
                del self._ahead[key]
            elif ahead.sent_at <= late_from:
                stale = True
        return stale

    def is_behind(self, job: WatchedJob) -> bool:
        """Return whether a job's own status is ahead of the list, as far as is known."""
        return self._keys.get(job) in self._ahead

    def give_up(self, now: float, pause: float) -> None:
        """
        Leave this list alone for a while, as it brought nothing.

        :param pause: seconds; doubled for each time in a row.
        """
        self._retry_at = now + min(pause * 2.0 ** min(self._failures, 16), MAX_PAUSE)
        self._worth_again_from = math.inf
        self._failures += 1

    def distrust(self) -> None:
        """Forget what it said, as it is stale."""
        self.served.clear()
        self._ahead.clear()
        self._seen.clear()


def _is_further(status: JobStatus, listed: JobStatus) -> bool:
    """Return whether a status lies after what a list says: an end, or more progress."""
    if status.state.terminal or listed.state.terminal:
        return status.state.terminal and not listed.state.terminal
    return status.progress is not None and listed.progress is not None and status.progress > listed.progress


def _is_ahead(status: JobStatus, entry: Listed, listed: JobStatus) -> bool:
    """Return whether a status is ahead of what a list says, or says another word."""
    if listed.state.terminal or status.state.terminal:
        return _is_further(status, listed)
    return _is_further(status, listed) or status.vendor_status.casefold() != entry.word.strip().casefold()
