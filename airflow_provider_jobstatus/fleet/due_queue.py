"""The order in which jobs and lists have their turns."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TypeAlias

from airflow_provider_jobstatus.fleet.due_heap import DueHeap
from airflow_provider_jobstatus.fleet.list_cache import ListCache
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob

Item: TypeAlias = WatchedJob | ListCache


class DueQueue:
    """
    What is due comes in the order in which it became due, so that all are late by the same time. Deadlines
    and ends to be confirmed come first; jobs whose last poll failed stand apart.
    """

    __slots__ = ("_sick", "_urgent", "_usual")

    def __init__(self) -> None:
        due = attrgetter("due")
        self._urgent, self._usual, self._sick = DueHeap[Item](due), DueHeap[Item](due), DueHeap[Item](due)

    def put(self, item: Item, due: float, *, urgent: bool = False) -> None:
        """Put a job or a list in its place from now on."""
        item.due = due
        (self._urgent if urgent else self._sick if item.sick else self._usual).put(item)

    @staticmethod
    def drop(item: Item) -> None:
        """Take a job or a list out."""
        item.due = math.inf

    def first(self, now: float, *, without_sick: bool = False) -> Item | None:
        """Return what has its turn now, if anything has."""
        if (item := self._urgent.first(now)) is not None:
            return item
        heap = self._usual
        if self._sick and not without_sick and self._sick.next_at() < heap.next_at():
            heap = self._sick
        return heap.first(now)

    def next_at(self, *, without_sick: bool = False) -> float:
        """Return when the next turn comes; infinity for never."""
        at = min(self._urgent.next_at(), self._usual.next_at())
        return at if without_sick else min(at, self._sick.next_at())
