"""
How often a key may be used.

The theory. A vendor grants a key a rate. One triggerer spreads its requests evenly over that rate, after a
burst. Several triggerers, and other programs, may use the same key without knowledge of each other. A 429
means that all of them together send too much. The rate then falls to a little less than what the vendor has
accepted from this triggerer in the last minute (multiplicative decrease), and from then on grows by the same
small step in each second (additive increase), up to the rate that is set. Of two triggerers the faster one
loses more at each 429, and both gain the same between two of them, so that their rates meet.

No I/O and no clock: points in time are passed in.
"""

from __future__ import annotations

from collections import deque

from airflow_provider_jobstatus.core.rate_limiter import Rate

#: Seconds over which accepted requests are counted: the window of most vendors' limits.
WINDOW = 60.0
#: Share of the accepted rate that is used after a 429.
SHRINK = 0.95
#: Least share of its former value that a rate keeps at one 429.
LEAST_KEPT = 0.5
#: Least share of the rate that is set, however many 429 there are.
FLOOR = 0.02
#: Seconds in which a rate grows from nothing to the rate that is set.
RECOVERY = 3600.0


class Throttle:
    """
    Spreads the requests of a key evenly.

    :param rate: what the key may use at most.

    :ivar rate: as given.
    """

    __slots__ = ("_accepted", "_free_at", "_shrunk", "_shrunk_at", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        # Theoretical arrival time of the generic cell rate algorithm.
        self._free_at = 0.0
        # The rate after the last 429, and when that was; None while the whole rate may be used.
        self._shrunk: float | None = None
        self._shrunk_at = 0.0
        # Accepted requests by the second of their responses.
        self._accepted: deque[tuple[int, int]] = deque()

    def change(self, rate: Rate) -> None:
        """Use another rate from now on. What was sent at the old one is no debt: it may be of hours."""
        if rate != self.rate:
            self.rate, self._free_at = rate, 0.0

    def per_second(self, now: float) -> float | None:
        """Return how many requests a second may be sent; None for any number."""
        limit = self.rate.per_second
        if limit is None or self._shrunk is None:
            return limit
        grown = self._shrunk + limit * (now - self._shrunk_at) / RECOVERY
        if grown >= limit:
            self._shrunk = None
            return limit
        return grown

    @property
    def is_shrunk(self) -> bool:
        """Whether less than the rate that is set is used, because of a 429."""
        return self._shrunk is not None

    def delay(self, now: float) -> float:
        """Return the seconds until one more request may be sent; 0 for now."""
        if self.rate.per_second is None or (rate := self.per_second(now)) is None:
            return 0.0
        # Requests in a burst are refused first where others use the key as well.
        burst = self.rate.burst if self._shrunk is None else 1
        return max(self._free_at - (burst - 1) / rate - now, 0.0)

    def take(self, now: float) -> None:
        """Spend one request."""
        if self.rate.per_second is not None and (rate := self.per_second(now)) is not None:
            self._free_at = max(self._free_at, now) + 1 / rate

    def accepted(self, now: float) -> None:
        """Take note of a request that was not refused."""
        if self.rate.per_second is None:
            return
        second, accepted = int(now), self._accepted
        if accepted and accepted[-1][0] == second:
            accepted[-1] = second, accepted[-1][1] + 1
        else:
            accepted.append((second, 1))
            while accepted[0][0] < now - WINDOW:
                accepted.popleft()

    def refused(self, sent_at: float, now: float) -> None:
        """
        Take note of a 429: the rate falls, once for all requests that were under way at the time.

        :param sent_at: when the refused request was sent.
        """
        limit, rate = self.rate.per_second, self.per_second(now)
        if limit is None or rate is None or (self._shrunk is not None and sent_at <= self._shrunk_at):
            return
        accepted = sum(count for second, count in self._accepted if second >= now - WINDOW) / WINDOW
        self._shrunk = max(min(SHRINK * rate, max(SHRINK * accepted, LEAST_KEPT * rate)), FLOOR * limit)
        self._shrunk_at = now
