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
    ) -> asyncio.TimerHandle:
        """
        Have ``callback`` called once some seconds have passed; returns what can be cancelled.

        :param background: whether nothing waits for it.
        """
        return asyncio.get_running_loop().call_later(seconds, callback, context=context)


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
        self._handle: asyncio.TimerHandle | None = None
        self._at = math.inf

    def set(self, at: float) -> None:
        """Call at a point in time, whatever was set before; at infinity for never."""
        self.hold()
        self._at = at
        if at < math.inf:
            self._handle = self._clock.call_later(
                max(at - self._clock.now(), 0.0), self._callback, self._context, background=self._background
            )

    def no_later_than(self, at: float) -> None:
        """Call at a point in time, unless that is later than what is set."""
        if at < self._at:
            self.set(at)

    def hold(self) -> None:
        """Let nothing but :meth:`set` make it call."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self._at = None, -math.inf
