"""The progress of a running job: whether it changes, and when it may end."""

from __future__ import annotations

from typing import Any

from airflow_provider_jobstatus.core.jobs import JobStatus


class ProgressTracker:
    """
    What the polls of one job showed, one after the other.

    :param memory: what :meth:`memory` of an earlier one returned. What is no such thing is not used.
    """

    __slots__ = ("_changed_at", "_first", "_now_at", "_seen", "_warned")

    def __init__(self, memory: object = None) -> None:
        known = memory if isinstance(memory, dict) else {}
        seen = known.get("seen")
        self._seen: list[Any] | None = seen if isinstance(seen, list) and len(seen) == 3 else None
        self._changed_at: float = known.get("changed_at", 0.0)
        self._warned: bool = known.get("warned", False)
        #: Point in time and share done of the first poll that showed a share.
        self._first: tuple[float, float] | None = None
        self._now_at: float | None = None

    def memory(self) -> dict[str, Any]:
        """Return plain JSON by which a later one goes on."""
        return {"seen": self._seen, "changed_at": self._changed_at, "warned": self._warned}

    def see(self, status: JobStatus, now: float) -> bool:
        """
        Take in a poll, and return whether the status, progress or counts have changed.

        Counts that are missing are no change: a list has none.
        """
        seen = [status.vendor_status, status.progress, status.counts and [*status.counts.values()]]
        self._now_at = share_done(status)
        if self._first is None and self._now_at is not None:
            self._first = (now, self._now_at)
        before = self._seen
        if (
            before is not None
            and seen[:2] == before[:2]
            and (seen[2] == before[2] or not seen[2] or not before[2])
        ):
            before[2] = before[2] or seen[2]
            return False
        self._seen, self._changed_at, self._warned = seen, now, False
        return True

    def stalled_for(self, now: float) -> float:
        """Return for how many seconds nothing has changed."""
        return now - self._changed_at

    def first_stall(self) -> bool:
        """Return whether there was no warning yet since the last change."""
        first, self._warned = not self._warned, True
        return first

    def estimate(self, now: float) -> str:
        """Return how long it may still take, as text for a line, or nothing if that is not known."""
        if self._first is None or self._now_at is None:
            return ""
        began_at, then = self._first
        if self._now_at <= then or now <= began_at:
            return ""
        left = (1 - self._now_at) * (now - began_at) / (self._now_at - then)
        return f", about {_duration(left)} left"


def share_done(status: JobStatus) -> float | None:
    counts = status.counts or {}
    total, processed = counts.get("total"), counts.get("processed")
    if total and processed is not None:
        return min(processed / total, 1.0)
    return None if status.progress is None else status.progress / 100


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
