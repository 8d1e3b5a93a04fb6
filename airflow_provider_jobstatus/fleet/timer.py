"""When a schedule goes on by itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from time import monotonic


def call_later(seconds: float, ring: Callable[[], None], context: Context) -> asyncio.TimerHandle:
    """Have ``ring`` called once some seconds have passed; returns what can be cancelled."""
    return asyncio.get_running_loop().call_later(seconds, ring, context=context)


class Alarm:
    """
    Rings once, and may be set anew.

    :param ring: called in a context of nobody's: what is logged there belongs to no wait.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._context = Context()
        self._handle: asyncio.TimerHandle | None = None
        self._at = math.inf

    def set(self, seconds: float) -> None:
        """Ring after some seconds, whatever was set before; infinity for never."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self._at = None, math.inf
        if seconds < math.inf:
            self._at = monotonic() + seconds
            self._handle = call_later(seconds, self._ring, self._context)

    def no_later_than(self, at: float) -> None:
        """Ring at a point of monotonic time, unless that is later than what is set."""
        if at < self._at:
            self.set(max(at - monotonic(), 0.0))

    def hold(self) -> None:
        """Let nobody but :meth:`set` make it ring."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self._at = None, -math.inf
