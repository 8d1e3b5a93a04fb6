"""When to poll a job next, whatever the last poll brought."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL, SAME_POINT, WaitSpec

#: Longest pause between failed polls, in seconds, unless the poll interval itself is longer.
MAX_BACKOFF = 300.0


class PollSchedule:
    """
    The next poll of one job: at the points of its grid or after a growing pause, never before the vendor
    allows it, and at the deadline at the latest.

    :param spec: of the wait.
    :param now: epoch seconds. The first poll is due at the next point of the grid.
    :param memory: what :meth:`timing` of an earlier one returned; and ``"polled_at"``, if that is known.
    :param jitter: returns a random number from 0 to 1.
    :param first_poll_at: start of this job's grid, if it is not the spec's: of several jobs, or of several
        waits for one job.

    :ivar first_poll_at: as given, else the spec's.
    :ivar next_poll_at: when to poll next, epoch seconds.
    :ivar not_before: epoch seconds before which the vendor allows no request.
    :ivar polled_at: when the job was last polled, as far as is known, or None.
    :ivar errors: how many polls in a row have failed.
    """

    __slots__ = (
        "_failures",
        "_jitter",
        "errors",
        "first_poll_at",
        "next_poll_at",
        "not_before",
        "polled_at",
        "spec",
    )

    def __init__(
        self,
        spec: WaitSpec,
        now: float,
        memory: Mapping[str, Any],
        jitter: Callable[[], float],
        first_poll_at: float | None = None,
    ) -> None:
        self.spec = spec
        self.first_poll_at = spec.first_poll_at if first_poll_at is None else first_poll_at
        self._jitter = jitter
        self.errors = self._failures = int(memory.get("failures", 0))
        self.polled_at: float | None = memory.get("polled_at")
        self.not_before: float = memory.get("not_before", 0.0)
        self._ask_again_at(now if now == self.first_poll_at else self.next_point(now))

    def align(self, point: float, now: float) -> None:
        """
        Poll at the points of a grid through ``point``, as another poller of the same job does.

        The grid begins about where it did before.
        """
        spec = self.spec
        if not spec.exponential_backoff:
            earliest = self.first_poll_at - spec.poll_interval + SAME_POINT
            earliest = max(earliest, spec.started_at + MIN_DEFERRAL)
            steps = math.ceil((earliest - point) / spec.poll_interval)
            self.first_poll_at = point + steps * spec.poll_interval
        self._ask_again_at(self.next_point(now))

    def next_point(self, now: float) -> float:
        """Return the first point of this job's grid after ``now``."""
        return self.spec.next_point(now, self.first_poll_at)

    def go_on(self, now: float) -> None:
        """Poll the job itself again, whose status came from a list of late: within half an interval."""
        point, half = self.next_point(now), self.spec.poll_interval / 2
        early = not self.spec.exponential_backoff and now >= self.first_poll_at and point - now > half
        self._ask_again_at(point - half if early else point)

    def timing(self) -> dict[str, Any]:
        """Return what a later one of the same wait needs to know; empty if there is no such thing."""
        known: dict[str, Any] = {"failures": self._failures} if self._failures else {}
        if self._failures or self.not_before:
            known["not_before"] = self.not_before
        return known

    def _heed(self, wish: float | None, now: float) -> None:
        """
        Poll no sooner than the vendor allows it.

        :param wish: its ``Retry-After``, in seconds.
        """
        if wish is not None:
            self.not_before = now + wish
        elif self.not_before <= now:
            self.not_before = 0.0

    def _back_off(self, error: VendorError, now: float, no_later_than: float = math.inf) -> None:
        self._failures += 1
        longest = max(MAX_BACKOFF, self.spec.poll_interval)
        pause = min(self.spec.poll_interval * 2.0 ** min(self._failures - 1, 32), longest)
        # Between half of it and all of it: spread out, and never nothing. After a failed first poll at the
        # first point of the grid, as in a triggerer, where that poll is not known.
        at = max(now + pause * (0.5 + 0.5 * self._jitter()), self.first_poll_at)
        at = min(at, no_later_than)
        if error.retry_after:
            at = max(at, self.not_before + min(error.retry_after, 1.0) * self._jitter())
        self._ask_again_at(at)

    def _ask_again_at(self, at: float) -> None:
        # One last poll at the deadline itself.
        self.next_poll_at = min(max(at, self.not_before), self.spec.deadline_at)
