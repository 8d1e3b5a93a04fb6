"""The time of day by a clock that no change of the system's clock moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

#: The latest point in time that is shown: a deadline may be "never".
LAST_TIME = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def steady_clock() -> Callable[[], float]:
    """
    Return a function that gives epoch seconds, in step with the monotonic clock.

    A step of the wall clock during a wait (NTP, a machine that wakes up) neither shortens nor stretches the
    wait.
    """
    offset = epoch_offset()
    return lambda: offset + time.monotonic()


def epoch_offset() -> float:
    """Return what to add now to the monotonic clock for epoch seconds."""
    return time.time() - time.monotonic()


def in_utc(at: float, sep: str = "T") -> str:
    """Return a point in time, in epoch seconds, as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(min(at, LAST_TIME), UTC).isoformat(sep=sep, timespec="seconds")
