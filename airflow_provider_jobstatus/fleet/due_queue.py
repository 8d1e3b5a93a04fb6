"""The order in which jobs and lists have their turns."""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import TypeAlias

from airflow_provider_jobstatus.fleet.vendor_list import VendorList
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob

Item: TypeAlias = WatchedJob | VendorList
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
        if len(self) >= self._room:
            # What holds no more would be kept until its time has come: deadlines may be days away.
            for line in (self._urgent, self._usual, self._sick):
                line[:] = [place for place in line if place[2].entry == place[1]]
                heapq.heapify(line)
            self._room = max(2 * len(self), ROOM)
        sick = isinstance(item, WatchedJob) and item.sick
        line = self._urgent if urgent else self._sick if sick else self._usual
        heapq.heappush(line, (due, number, item))

    @staticmethod
    def drop(item: Item) -> None:
        """Take a job or a list out."""
        item.entry = 0

    def first(self, now: float, *, without_sick: bool = False) -> Item | None:
        """Return what has its turn now, if anything has."""
        if (place := self._top(self._urgent)) is not None and place[0] <= now:
            return place[2]
        usual, sick = self._top(self._usual), None if without_sick else self._top(self._sick)
        place = min((each for each in (usual, sick) if each is not None), default=None)
        return None if place is None or place[0] > now else place[2]

    def next_at(self, *, without_sick: bool = False) -> float:
        """Return when the next turn comes; infinity for never."""
        lines = (self._urgent, self._usual) if without_sick else (self._urgent, self._usual, self._sick)
        return min((place[0] for line in lines if (place := self._top(line)) is not None), default=math.inf)

    @staticmethod
    def _top(line: list[Place]) -> Place | None:
        while line:
            place = line[0]
            if place[2].entry == place[1]:
                return place
            heapq.heappop(line)
        return None
