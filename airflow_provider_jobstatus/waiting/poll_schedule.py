"""When to ask about a job next, whatever it was that the last poll brought."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.waiting.spec import WaitPlan

#: Longest pause between failed polls, in seconds, unless the poll interval itself is longer.
MAX_BACKOFF = 300.0


class Timetable:
    """
    The next poll of one job: at the plan's points or after a growing pause, never before the vendor wants it,
    and at the deadline at the latest.

    :param plan: when to ask, and for how long.
    :param now: epoch seconds. The first poll is due at the next point of the plan's grid.
    :param memory: what :meth:`timing` of an earlier one returned; and ``"polled_at"``, if that is known.
    :param jitter: returns a random number from 0 to 1.

    :ivar next_poll_at: when to ask next, epoch seconds.
    :ivar not_before: the vendor asked not to be called before, epoch seconds.
    :ivar polled_at: when the vendor was last asked, as far as is known, or None.
    :ivar errors: how many polls in a row brought no answer about the job.
    """

    __slots__ = ("_failures", "_jitter", "errors", "next_poll_at", "not_before", "plan", "polled_at")

    def __init__(
        self, plan: WaitPlan, now: float, memory: Mapping[str, Any], jitter: Callable[[], float]
    ) -> None:
        self.plan = plan
        self._jitter = jitter
        self.errors = self._failures = int(memory.get("failures", 0))
        self.polled_at: float | None = memory.get("polled_at")
        self.not_before: float = memory.get("not_before", 0.0)
        self._ask_again_at(now if now == plan.first_poll_at else plan.next_point(now))

    def align(self, point: float, now: float) -> None:
        """Ask at the points of another poller's grid, who asks about the same job as often."""
        self.plan = self.plan.through(point)
        self._ask_again_at(self.plan.next_point(now))

    def go_on(self, now: float) -> None:
        """Ask by itself again: what is known came by another way, of late."""
        self._ask_again_at(self.plan.soon(now))

    def timing(self) -> dict[str, Any]:
        """Return what a later one of the same wait needs to know; empty if there is no such thing."""
        known: dict[str, Any] = {"failures": self._failures} if self._failures else {}
        if self._failures or self.not_before:
            known["not_before"] = self.not_before
        return known

    def _heed(self, wish: float | None, now: float) -> None:
        """
        Ask no sooner than the vendor wants it.

        :param wish: its ``Retry-After``, in seconds.
        """
        if wish is not None:
            self.not_before = now + wish
        elif self.not_before <= now:
            self.not_before = 0.0

    def _back_off(self, error: VendorError, now: float, no_later_than: float = math.inf) -> None:
        self._failures += 1
        longest = max(MAX_BACKOFF, self.plan.poll_interval)
        pause = min(self.plan.poll_interval * 2.0 ** min(self._failures - 1, 32), longest)
        # Between half of it and all of it: spread out, and never nothing. After a failed first look at the
        # first point of the grid, as in a triggerer, which knows nothing of that look.
        at = max(now + pause * (0.5 + 0.5 * self._jitter()), self.plan.first_poll_at)
        at = min(at, no_later_than)
        if error.retry_after:
            at = max(at, self.not_before + min(error.retry_after, 1.0) * self._jitter())
        self._ask_again_at(at)

    def _ask_again_at(self, at: float) -> None:
        # One last look at the deadline itself.
        self.next_poll_at = min(max(at, self.not_before), self.plan.deadline_at)
