"""
How many requests of a key may be in flight at once.

The theory. A window bounds the requests in flight. It shrinks to one after a 429 and in an outage, and grows
with each response while requests are long in the queue. One sick job must not take the place of healthy ones,
so three more rules hold:

- A request without a response after some seconds leaves the window: its place is free for others.
- Few requests are in flight for jobs whose last poll failed.
- The circuit opens, and requests are sent one at a time, when so many polls in a row have failed that were
  all sent after the last response. A poll that hangs while others get responses proves nothing.

No I/O and no clock: points in time are passed in.
"""

from __future__ import annotations

import math
from itertools import count

from airflow_provider_jobstatus.core.rate_limiter import MAX_CALLS

#: Requests in the window at first.
FIRST_CALLS = 20
#: Seconds in the queue after which a larger window pays: a burst that is soon over needs no connections.
LONG_QUEUED = 0.25
#: Seconds for each request by which the window grows beyond the first.
GROWTH_PAUSE = 0.1
#: Failed polls in a row, without one response, after which the circuit is open.
OPEN_AFTER = 8
#: Seconds between two requests while the circuit is open: a vendor that recovers must not be overloaded.
PROBE_PAUSE = 0.2
#: Seconds after which a request without a response leaves the window.
SLOW = 2.0
#: Requests in flight at most for jobs whose last poll failed.
SICK_CALLS = 10


class Concurrency:
    """Bounds the requests of a key that are in flight at once."""

    __slots__ = (
        "_answered_at",
        "_failures",
        "_grown_at",
        "_numbers",
        "_sick",
        "_slow",
        "_started_at",
        "_too_small",
        "_window",
        "_young",
    )

    def __init__(self) -> None:
        self._window = FIRST_CALLS
        self._too_small = False
        self._grown_at = -math.inf
        self._failures = 0
        self._answered_at = self._started_at = -math.inf
        self._numbers = count()
        # When each request in the window was sent, in the order of sending.
        self._young: dict[int, float] = {}
        self._slow: set[int] = set()
        self._sick: set[int] = set()

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return len(self._young) + len(self._slow)

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: the vendor seems to be down."""
        return self._failures >= OPEN_AFTER

    def is_full(self, now: float, queued: float) -> bool:
        """
        Return whether a request must wait for the response to another one.

        :param queued: seconds for which it has been in the queue; if long, responses make room for more.
        """
        if len(self._young) >= self._window:
            self._let_slow_ones_go(now)
        full = len(self._young) >= self._window
        self._too_small = full and queued >= LONG_QUEUED
        if self.is_open and (self.in_flight >= FIRST_CALLS or now < self._started_at + PROBE_PAUSE):
            return True
        return full or self.in_flight >= MAX_CALLS

    @property
    def is_strained(self) -> bool:
        """Whether some jobs must wait so that others have their turns."""
        return self._failures >= OPEN_AFTER or len(self._sick) >= SICK_CALLS

    @property
    def is_full_for_sick(self) -> bool:
        """Whether a poll of a job whose last poll failed must wait for another such poll to end."""
        return len(self._sick) >= SICK_CALLS

    def start(self, now: float, *, sick: bool = False) -> int:
        """Count a request that is sent, and return its number."""
        number = next(self._numbers)
        self._young[number] = self._started_at = now
        if sick:
            self._sick.add(number)
        return number

    def end(self, number: int) -> None:
        """Count a request that is in flight no more."""
        if self._young.pop(number, None) is None:
            self._slow.discard(number)
        if self._sick:
            self._sick.discard(number)

    def answered(self, now: float) -> None:
        """Take note of a response, whatever it says."""
        self._failures, self._answered_at = 0, now
        if self._too_small and (self._window < FIRST_CALLS or now >= self._grown_at + GROWTH_PAUSE):
            self._window, self._grown_at = min(self._window + 1, MAX_CALLS), now

    def failed(self, sent_at: float) -> None:
        """
        Take note of a poll without a response.

        :param sent_at: when it was sent. A response that has come since proves that the vendor is not down.
        """
        if sent_at >= self._answered_at:
            self._failures += 1
            if self.is_open:
                self.slow_down()

    def slow_down(self) -> None:
        """Send one request at a time from now on, until responses come."""
        self._window = 1

    def _let_slow_ones_go(self, now: float) -> None:
        slow = []
        for number, sent_at in self._young.items():
            if now - sent_at < SLOW:
                break
            slow.append(number)
        for number in slow:
            del self._young[number]
            self._slow.add(number)
