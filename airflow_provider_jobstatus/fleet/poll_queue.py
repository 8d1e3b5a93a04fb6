"""When it is whose turn: jobs and lists of jobs, in the order in which they are to be asked about."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_jobstatus.fleet.timer import Alarm

if TYPE_CHECKING:
    from airflow_provider_jobstatus.fleet.list_cache import SharedList
    from airflow_provider_jobstatus.fleet.shared_job import Job

#: When it is due, the number of this entry, and what is due. It holds as long as that has the same number.
Entry: TypeAlias = "tuple[float, int, Job | SharedList]"
#: Jobs that are dealt with before the event loop gets its turn.
TURN = 10
#: Entries that are kept before those that hold no more are looked for.
ROOM = 1000


class Schedule:
    """
    Whose turn it is: who is due comes in the order of the points in time at which he became due, so that
    those who had to wait are all late by the same time; and last looks and ends to be confirmed come first.

    :param turn: called when something is due.

    :ivar alarm: that calls it.
    """

    def __init__(self, turn: Callable[[], None]) -> None:
        self.alarm = Alarm(turn)
        # Last looks and ends to be confirmed, and all others, each with the earliest first.
        self._urgent: list[Entry] = []
        self._usual: list[Entry] = []
        self._numbers = count(1)
        self._room = ROOM

    def put(self, job: Job | SharedList, due: float, *, urgent: bool) -> None:
        """
        Put a job, or a list of jobs, where it belongs from now on.

        :param urgent: to be asked about before others that are due.
        """
        job.due, job.entry = due, next(self._numbers)
        if len(self) >= self._room:
            # What holds no more would be kept until its time has come: deadlines may be days away.
            for line in (self._urgent, self._usual):
                line[:] = [entry for entry in line if entry[2].entry == entry[1]]
                heapq.heapify(line)
            self._room = max(2 * len(self), ROOM)
        heapq.heappush(self._urgent if urgent else self._usual, (due, job.entry, job))
        self.alarm.no_later_than(due)

    def __len__(self) -> int:
        """Return how many entries are kept, with those that do not hold any more."""
        return len(self._urgent) + len(self._usual)

    def put_job(self, job: Job) -> None:
        """Put a job where its waits want it; if its list covers it, where that is not enough for them."""
        if job.covered:
            due = job.own_look
            if not job.entry or job.due != due:
                self.put(job, due, urgent=due >= job.deadline)
        else:
            due, last = job.next_look()
            self.put(job, due, urgent=last)

    def hold(self, job: Job) -> None:
        """Leave a job out until what is under way has come."""
        self.drop(job)
        job.under_way = True

    @staticmethod
    def drop(job: Job | SharedList) -> None:
        """Take a job or a list out."""
        job.entry = 0

    def first_ready(self, at: float) -> Job | SharedList | None:
        """Return the job or list whose turn it is at a point in time, if any."""
        for line in (self._urgent, self._usual):
            while line and line[0][0] <= at:
                _, entry, job = line[0]
                if job.entry == entry:
                    return job
                heapq.heappop(line)
        return None

    def pause(self, at: float) -> float:
        """Return the seconds until somebody else is due; infinity if nobody is."""
        due = math.inf
        for line in (self._urgent, self._usual):
            while line and line[0][2].entry != line[0][1]:
                heapq.heappop(line)
            if line:
                due = min(due, line[0][0])
        return due - at
