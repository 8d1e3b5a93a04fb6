"""The calls of a task that a vendor counts."""

from __future__ import annotations

import time

from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.waiting.throttle import Throttle


class CallBudget:
    """
    Counts the calls of a task, and spreads them over the rate of the key.

    :param most: how many there may be.
    :param rate: what the key may use.

    :ivar used: how many there were.
    """

    def __init__(self, most: int, rate: Rate) -> None:
        self.most = most
        self.used = 0
        self._throttle = Throttle(rate)
        self._sent_at = 0.0

    def require(self, more: int, about: str) -> None:
        """
        Check that as many further calls may be made.

        :param about: what they are for, for the message.
        :raises BadSettings: they may not.
        """
        if self.used + more > self.most:
            raise BadSettings(
                f"{about} takes {self.used + more} calls or more, {self.used} of them made already, and "
                f"max_calls is {self.most}; nothing was written. Raise max_calls, or page_size"
            )

    def spend(self, about: str) -> None:
        """
        Wait until the rate allows a call, and count it.

        :raises BadSettings: there may be no more.
        """
        self.require(1, about)
        if (delay := self._throttle.delay(time.monotonic())) > 0.0:
            time.sleep(delay)
        self._sent_at = time.monotonic()
        self._throttle.take(self._sent_at)
        self.used += 1

    def refused(self) -> None:
        """Slow down: the last call was one too many for the rate."""
        self._throttle.refused(self._sent_at, time.monotonic())
