"""The clock of an event loop, and what is called by it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from time import monotonic

from airflow_provider_jobstatus.core.clock import epoch_offset


class LoopClock:
    """
    Epoch seconds that no setting of the wall clock moves, and calls at points in time.

    All waits of an event loop share one, so that their points in time need no conversion.
    """

    def __init__(self) -> None:
        self._offset = epoch_offset()

    def now(self) -> float:
        """Return the time."""
        return self._offset + monotonic()

    def ahead(self) -> float:
        """Return by how many seconds the wall clock is ahead of this one, as it was set since."""
        ahead = epoch_offset() - self._offset
        # Else it is the time between two looks at two clocks.
        return ahead if abs(ahead) > 0.01 else 0.0

    async def sleep(self, seconds: float) -> None:
        """Let some seconds pass."""
        await asyncio.sleep(seconds)

    def call_later(
        self, seconds: float, callback: Callable[[], None], context: Context, *, background: bool = False
    ) -> asyncio.Handle:
        """
        Have ``callback`` called once some seconds have passed; returns what can be cancelled.

        :param background: whether nothing waits for it.
        """
        loop = asyncio.get_running_loop()
        if seconds <= 0.0:
            # Half of the turns: the loop keeps a heap of what is due later.
            return loop.call_soon(callback, context=context)
        return loop.call_later(seconds, callback, context=context)


class Timer:
    """
    Calls once, and may be set anew.

    :param clock: by which it calls.
    :param callback: called in an empty context: what is logged there belongs to no wait.
    :param background: whether nothing waits for the call.
    """

    def __init__(self, clock: LoopClock, callback: Callable[[], None], *, background: bool = False) -> None:
        self._clock = clock
        self._callback = callback
        self._background = background
        self._context = Context()
        self._at = math.inf
        # The loop's own calls: to cancel and repeat the later one for each turn in between would take longer.
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.Handle | None = None
        self._later_at = math.inf

    def set(self, at: float) -> None:
        """Call at a point in time, whatever was set before; at infinity for never."""
        self._at = at
        seconds = at - self._clock.now()
        if seconds <= 0.0:
            self._soon = self._soon or self._call(0.0, self._call_soon)
            return
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if at != self._later_at:
            if self._later is not None:
                self._later.cancel()
            self._later_at = at
            self._later = None if at == math.inf else self._call(seconds, self._call_later)

    def no_later_than(self, at: float) -> None:
        """Call at a point in time, unless that is later than what is set."""
        if at < self._at:
            self.set(at)

    def hold(self) -> None:
        """Let nothing but :meth:`set` make it call, while it calls."""
        self._at = -math.inf

    def _call(self, seconds: float, callback: Callable[[], None]) -> asyncio.Handle:
        return self._clock.call_later(seconds, callback, self._context, background=self._background)

    def _call_soon(self) -> None:
        self._soon = None
        self._callback()

    def _call_later(self) -> None:
        self._later, self._later_at = None, math.inf
        if self._soon is None:
            self._callback()
