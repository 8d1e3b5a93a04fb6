"""How much of a vendor a key may use: what all who ask with it must agree on, without I/O."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    RateLimited,
    ServerError,
    TransportError,
    VendorError,
)

#: Questions with one key that are under way at once: at first, and at most.
FIRST_CALLS, MAX_CALLS = 20, 100
#: One who has been in line for so many seconds wants more at once: a burst that is soon over needs no
#: connection for each question.
LONG_IN_LINE = 0.25
#: Beyond the first, it is one more in so many seconds.
GROWTH_PAUSE = 0.1
#: Failures in a row, without one answer, after which the vendor counts as down.
DOWN_AFTER = 8
#: First and longest pause of a key after a 429 that names none, in seconds.
PAUSES = (1.0, 60.0)
#: After one that says that the licence is spent: it is to be seen again by then, each call counting.
SPENT_PAUSE = 180.0


@dataclass(frozen=True, slots=True)
class Rate:
    """
    What a vendor grants a key.

    In any minute no more than ``burst + 60 * per_second`` requests are sent.

    :param per_second: requests a second on average; None for no limit.
    :param burst: requests at once after a time of rest.
    """

    per_second: float | None = None
    burst: int = 10


class Budget:
    """
    Says when the next request with a key may be sent.

    Spreads requests evenly once the burst is spent; stays silent while the vendor wants it; and begins slowly
    after an outage: one question at a time, and with each answer one more, while somebody is long in line.
    Beyond :data:`FIRST_CALLS`, it is one more in :data:`GROWTH_PAUSE`.

    :param rate: what the vendor grants.

    :ivar asking: questions under way. Whoever asks counts himself in and out.
    """

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.asking = 0
        self._spent_until = 0.0
        self._stopped_until = 0.0
        self._stopped_by: ApiError | None = None
        self._strained_by = 0
        self._pauses = 0
        self._failures = 0
        self._window = min(FIRST_CALLS, MAX_CALLS)
        self._too_small = False
        self._grown_at = 0.0

    def full(self, late: float) -> bool:
        """
        Return whether somebody must be answered before the next may ask.

        :param late: for how many seconds that one has been in line; if long, answers will make room for more.
        """
        full = self.asking >= self._window
        self._too_small = full and late >= LONG_IN_LINE
        return full

    @property
    def down(self) -> bool:
        """Whether the vendor seems to be away: one who asks finds out for all."""
        return self._failures >= DOWN_AFTER

    def delay(self, now: float) -> float:
        """Return the seconds until the rate allows one more request; 0 for now."""
        if self.rate.per_second is None:
            return 0.0
        # The theoretical arrival time of the generic cell rate algorithm.
        return max(self._spent_until - (self.rate.burst - 1) / self.rate.per_second - now, 0.0)

    def take(self, now: float) -> None:
        """Spend one request."""
        if self.rate.per_second is not None:
            self._spent_until = max(self._spent_until, now) + 1 / self.rate.per_second

    def strain(self, jobs: int, interval: float) -> str | None:
        """
        Say that there is more to ask than may be asked; once, and again if it is twice as much.

        :param jobs: that are to be looked at.
        :param interval: in seconds, in which each should be.
        """
        if self.rate.per_second is None or jobs <= 2 * self._strained_by:
            return None
        self._strained_by = jobs
        return (
            f"{jobs} jobs are waited for, and the budget is {self.rate.per_second:g} requests a second: each "
            f"is looked at every {jobs / self.rate.per_second:.0f} s instead of every {interval:g} s"
        )

    def refusal(self, now: float, conn_id: str) -> ApiError | None:
        """
        Return what to tell those who want to ask while the vendor wants to be left alone, if it does.

        :param conn_id: of the connection that they wait on: others may hold the same key.
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

    def observe(self, error: VendorError | None, now: float) -> None:
        """
        Take in how a request ended.

        :param error: why it brought nothing, or None.
        """
        match error:
            case RateLimited():
                self._slow_down()
                pause = SPENT_PAUSE if error.spent else self._next_pause()
                self._stop(error, now, error.retry_after or pause)
            case AccessDenied() if error.retry_after:
                self._slow_down()
                self._stop(error, now, error.retry_after)
            case ServerError() | TransportError():
                self._failures += 1
                if self.down:
                    self._slow_down()
                if isinstance(error, ServerError) and error.retry_after:
                    self._stop(error, now, error.retry_after)
            case _:
                # Also a refusal is an answer.
                self._failures = self._pauses = 0
                if self._too_small and (self._window < FIRST_CALLS or now >= self._grown_at + GROWTH_PAUSE):
                    self._window, self._grown_at = min(self._window + 1, MAX_CALLS), now

    def _slow_down(self) -> None:
        self._window = 1

    def _next_pause(self) -> float:
        self._pauses += 1
        shortest, longest = PAUSES
        return min(shortest * 2.0 ** min(self._pauses - 1, 16), longest)

    def _stop(self, error: ApiError, now: float, seconds: float) -> None:
        if now + seconds <= self._stopped_until:
            return
        self._stopped_until, self._stopped_by = now + seconds, error
