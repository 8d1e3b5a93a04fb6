"""When to look for waits that must end: a heap of its own beside the queue of polls."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping

from airflow_provider_jobstatus.fleet.watched_job import WatchedJob

#: Entries that are kept beyond two for each job.
SPARE = 1000


class Deadlines:
    """
    The points in time at which jobs are looked at because a wait for them must end.

    :param jobs: by their ids; an entry holds while its job is there and its ``deadline_at`` is the same.
    """

    __slots__ = ("_heap", "_jobs")

    def __init__(self, jobs: Mapping[str, WatchedJob]) -> None:
        self._jobs = jobs
        self._heap: list[tuple[float, str]] = []

    def put(self, job: WatchedJob, at: float) -> None:
        """Look at a job no later than at a point in time."""
        if at >= job.deadline_at:
            return
        job.deadline_at = at
        if len(self._heap) > 2 * len(self._jobs) + SPARE:
            # Entries that hold no more would be kept until their time has come, which may be days away.
            self._heap = [(each.deadline_at, job_id) for job_id, each in self._jobs.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (at, job.job_id))

    def next_at(self) -> float:
        """Return when to look next; infinity for never."""
        heap = self._heap
        while heap and ((job := self._jobs.get(heap[0][1])) is None or job.deadline_at != heap[0][0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop(self, now: float) -> WatchedJob | None:
        """Take out the next job to look at, if its time has come."""
        if self.next_at() > now:
            return None
        job = self._jobs[heapq.heappop(self._heap)[1]]
        job.deadline_at = math.inf
        return job
