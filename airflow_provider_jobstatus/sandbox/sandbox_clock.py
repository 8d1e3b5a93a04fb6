"""The sandbox's own time."""

from __future__ import annotations

from collections.abc import Callable
from time import time


class Clock:
    """Real time plus whatever a test has added, so that no test has to sleep until a token expires."""

    def __init__(self) -> None:
        self._time: Callable[[], float] = time
        self._ahead_seconds = 0.0

    def now(self) -> float:
        """Return the sandbox's time in epoch seconds."""
        return self._time() + self._ahead_seconds

    def stop(self) -> float:
        """Let time pass by :meth:`advance` only, and return the present one."""
        began_at = time()
        self._time = lambda: began_at
        return self.now()

    def advance(self, seconds: float) -> float:
        """Move the clock forward and return the new time.

        :param seconds: How far; time never runs backwards, so not below zero.
        """
        if seconds < 0:
            raise ValueError("advance_seconds must not be negative: the clock only moves forward.")
        self._ahead_seconds += seconds
        return self.now()
