"""What is due when: a heap whose items may come to be due at another time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

#: Places that are kept before those that hold no more are looked for.
ROOM = 1000


class DueHeap(Generic[T]):
    """
    Items by the point in time at which each is due.

    :param due: returns that point as it is now. A place holds for as long as it is the same; infinity takes
        an item out.
    """

    __slots__ = ("_due", "_heap", "_numbers", "_room")

    def __init__(self, due: Callable[[T], float]) -> None:
        self._due = due
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = count()
        self._room = ROOM

    def __len__(self) -> int:
        """Return how many places are kept, with those that do not hold any more."""
        return len(self._heap)

    def put(self, item: T) -> None:
        """Give an item its place. Of those due at one moment, the first to be put comes first."""
        if len(self._heap) >= self._room:
            # What holds no more would be kept until its time has come: deadlines may be days away.
            self._heap = [place for place in self._heap if self._due(place[2]) == place[0]]
            heapq.heapify(self._heap)
            self._room = max(2 * len(self._heap), ROOM)
        heapq.heappush(self._heap, (self._due(item), next(self._numbers), item))

    def next_at(self) -> float:
        """Return when the first item is due; infinity for never."""
        heap = self._heap
        while heap:
            at, _, item = heap[0]
            if self._due(item) == at:
                return at
            heapq.heappop(heap)
        return math.inf

    def first(self, now: float) -> T | None:
        """Return the first item, if it is due."""
        heap = self._heap
        if not heap or heap[0][0] > now:
            return None
        at, _, item = heap[0]
        if self._due(item) == at:
            return item
        return heap[0][2] if self.next_at() <= now else None
