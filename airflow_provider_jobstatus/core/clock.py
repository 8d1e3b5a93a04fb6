"""A clock that tells the time of day and is not moved by whoever sets it."""

from __future__ import annotations

import time
from collections.abc import Callable


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
