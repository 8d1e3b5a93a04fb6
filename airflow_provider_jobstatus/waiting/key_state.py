"""
What is known of a key: all connections that hold the same key share it.

It is kept for as long as it holds, also while no wait uses the key: a ``Retry-After``, a rate that a 429 has
shrunk, a list that is not to be used.
"""

from __future__ import annotations

import math

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    RateLimited,
    ServerError,
    TransportError,
    VendorError,
)
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.concurrency import Concurrency
from airflow_provider_jobstatus.waiting.throttle import Throttle

#: First and longest pause of a key after a 429 that names none, in seconds.
PAUSES = (1.0, 60.0)
#: Pause after a 429 that says that the licence is spent. It is polled again by then, as each call counts.
SPENT_PAUSE = 180.0


class KeyState:
    """
    Says when a key may be used, and what has been learned of it.

    A 429, and a 401 or 403 with ``Retry-After``, stop the key. A 503 with ``Retry-After`` stops its own job
    only: the job may be sick, and others well. The refusal of a list stops nothing but that list.

    :param rate: what the key may use.

    :ivar throttle: the rate of the key.
    :ivar concurrency: the requests of the key that are in flight.
    :ivar job_first: whether a poll of a job must succeed before a list is read: the key was stopped.
    :ivar answered_at: when the last poll of a job was sent that brought neither a 429 nor an outage.
    """

    def __init__(self, rate: Rate) -> None:
        self.throttle = Throttle(rate)
        self.concurrency = Concurrency()
        self.job_first = False
        self.answered_at = -math.inf
        self._stopped_until = 0.0
        self._stopped_by: ApiError | None = None
        self._pauses = 0
        self._saturated_by = 0
        self._silenced: dict[str, float] = {}

    def stopped_until(self, now: float) -> float:
        """Return until when the key must not be used; the past if it may be."""
        return self._stopped_until if self._stopped_until > now else -math.inf

    @property
    def is_spent(self) -> bool:
        """Whether a spent licence has stopped the key: each wait must learn that."""
        return isinstance(self._stopped_by, RateLimited) and self._stopped_by.spent

    def refusal(self, now: float, conn_id: str) -> ApiError | None:
        """
        Return the error for a wait while the key must not be used; None if it may be.

        :param conn_id: of the connection of the wait: others may hold the same key.
        """
        if self._stopped_by is None or now >= self._stopped_until:
            return None
        error = self._stopped_by
        refusal = type(error)(
            f"was not asked, as it wants no calls with this key for a while: it {error.reason}",
            vendor=error.vendor,
            status=error.status,
        )
        refusal.retry_after = self._stopped_until - now
        refusal.asked = False
        refusal.conn_id = conn_id
        if isinstance(refusal, RateLimited) and isinstance(error, RateLimited):
            refusal.spent = error.spent
        return refusal

    def observe(self, error: VendorError | None, sent_at: float, now: float) -> None:
        """
        Take in how a poll of a job ended.

        :param error: why it brought nothing, or None.
        :param sent_at: when it was sent.
        """
        match error:
            case None:
                self._answered(sent_at, now)
            case RateLimited():
                self.concurrency.slow_down()
                pause = SPENT_PAUSE
                if not error.spent:
                    self.throttle.refused(sent_at, now)
                    pause = min(PAUSES[0] * 2.0 ** min(self._pauses, 16), PAUSES[1])
                    self._pauses += 1
                self._stop(error, now, error.retry_after or pause)
            case AccessDenied() if error.retry_after:
                self.concurrency.slow_down()
                self._stop(error, now, error.retry_after)
            case ServerError() | TransportError():
                self.concurrency.failed(sent_at)
            case _:
                # A refusal is a response, too.
                self._answered(sent_at, now)

    def _answered(self, sent_at: float, now: float) -> None:
        self._pauses, self.job_first = 0, False
        self.answered_at = max(self.answered_at, sent_at)
        self.throttle.accepted(now)
        self.concurrency.answered(now)

    def list_answered(self, requests: int, now: float) -> None:
        """Take in that a list was read, and how many requests it took; one of them is counted already."""
        self.concurrency.answered(now)
        for number in range(requests):
            self.throttle.accepted(now)
            if number:
                self.throttle.take(now)

    def silence_list(self, name: str, until: float) -> None:
        """Read a list no more until a point in time."""
        self._silenced[name] = max(until, self._silenced.get(name, until))

    def list_silenced(self, name: str, now: float) -> bool:
        """Return whether a list must not be read now."""
        return self._silenced.get(name, -math.inf) > now

    def saturation(self, jobs: int, interval: float, now: float) -> str | None:
        """
        Say that the rate is too low for all polls; once, and again if there are twice as many jobs.

        :param jobs: that are to be polled.
        :param interval: in seconds, in which each should be.
        """
        rate = self.throttle.per_second(now)
        if rate is None or jobs <= 2 * self._saturated_by:
            return None
        self._saturated_by = jobs
        return (
            f"{jobs} jobs are waited for, and the rate limit is {rate:g} requests a second: each "
            f"is polled every {jobs / rate:.0f} s instead of every {interval:g} s"
        )

    def holds(self, now: float) -> bool:
        """Return whether something is known that must not be forgotten."""
        self.throttle.per_second(now)
        return (
            now < self._stopped_until
            or self.throttle.is_shrunk
            or self.concurrency.in_flight > 0
            or any(until > now for until in self._silenced.values())
        )

    def _stop(self, error: ApiError, now: float, seconds: float) -> None:
        self.job_first = True
        if now + seconds > self._stopped_until:
            self._stopped_until, self._stopped_by = now + seconds, error
