"""The order in which jobs and lists have their turns."""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import TypeAlias

from airflow_provider_jobstatus.fleet.list_cache import ListCache
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob

Item: TypeAlias = WatchedJob | ListCache
#: When it is due, the number of this place, and what is due. It holds as long as that has the same number.
Place: TypeAlias = tuple[float, int, Item]
#: Places that are kept before those that hold no more are looked for.
ROOM = 1000


class DueQueue:
    """
    What is due comes in the order in which it became due, so that all are late by the same time. Deadlines
    and ends to be confirmed come first; jobs whose last poll failed stand apart.
    """

    __slots__ = ("_numbers", "_room", "_sick", "_urgent", "_usual")

    def __init__(self) -> None:
        self._urgent: list[Place] = []
        self._usual: list[Place] = []
        self._sick: list[Place] = []
        self._numbers = count(1)
        self._room = ROOM

    def __len__(self) -> int:
        """Return how many places are kept, with those that do not hold any more."""
        return len(self._urgent) + len(self._usual) + len(self._sick)

    def put(self, item: Item, due: float, *, urgent: bool = False) -> None:
        """Put a job or a list in its place from now on."""
        number = next(self._numbers)
        item.due, item.entry = due, number
        if len(self._urgent) + len(self._usual) + len(self._sick) >= self._room:
            # What holds no more would be kept until its time has come: deadlines may be days away.
            for line in (self._urgent, self._usual, self._sick):
                line[:] = [place for place in line if place[2].entry == place[1]]
                heapq.heapify(line)
            self._room = max(2 * len(self), ROOM)
        line = self._urgent if urgent else self._sick if item.sick else self._usual
        heapq.heappush(line, (due, number, item))

    @staticmethod
    def drop(item: Item) -> None:
        """Take a job or a list out."""
        item.entry = 0

    def first(self, now: float, *, without_sick: bool = False) -> Item | None:
        """Return what has its turn now, if anything has."""
        if self._urgent and (at := _top(self._urgent)) <= now:
            return self._urgent[0][2]
        usual = _top(self._usual)
        if self._sick and not without_sick and (at := _top(self._sick)) < usual:
            return self._sick[0][2] if at <= now else None
        return self._usual[0][2] if usual <= now else None

    def next_at(self, *, without_sick: bool = False) -> float:
        """Return when the next turn comes; infinity for never."""
        at = min(_top(self._urgent), _top(self._usual))
        return at if without_sick else min(at, _top(self._sick))


def _top(line: list[Place]) -> float:
    """Return when the first place of a line that holds is due; infinity for none."""
    while line:
        due, number, item = line[0]
        if item.entry == number:
            return due
        heapq.heappop(line)
    return math.inf
