"""Deadlines of calls in an event loop."""

from __future__ import annotations

import asyncio

#: Longest time between two checks, in seconds, and its share of the shortest limit.
TICK, PART = 1.0, 0.1


class TimeLimits:
    """
    Ends calls that take too long: up to a second after their deadlines, or a tenth of the shortest limit if
    that is less.

    One timer serves all calls: one for each would be set and cancelled with each call.

    :param shortest: limit there is, in seconds.
    """

    def __init__(self, shortest: float) -> None:
        self._tick = min(TICK, shortest * PART)
        self._calls: dict[asyncio.Timeout, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, call: asyncio.Timeout, at: float) -> None:
        """
        End a call at a point of the loop's time, unless that is set anew or forgotten before.

        :param call: entered already.
        """
        self._calls[call] = at
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._check)

    def forget(self, call: asyncio.Timeout) -> None:
        """Drop the deadline of a call that has ended."""
        self._calls.pop(call, None)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for call in [call for call, at in self._calls.items() if at <= now]:
            del self._calls[call]
            call.reschedule(now)
        self._timer = loop.call_later(self._tick, self._check) if self._calls else None
