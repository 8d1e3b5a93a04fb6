"""
The chance that a running job ends soon, by what is known of it. `now` is passed in.

:class:`ProgressRate` has it from the job's progress, :class:`DurationHistory` from its age and how long
others of its kind took. Both return None where nothing is known. ``waiting/adaptive.py`` makes a pause of it.
The figures below are those with which ``dev/adaptive.py`` did well.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import lru_cache

#: By seconds from now: the chance that a job that runs now has ended by then.
Chance = Callable[[float], float]

#: Youngest that a job can be, in seconds: nothing has no logarithm.
MIN_AGE = 0.1
#: A job that is not as expected is still there at twice its age with a chance of ``2 ** -UNLIKE_SHAPE``.
UNLIKE_SHAPE = 0.6

#: Durations that are remembered of a kind.
REMEMBERED = 64
#: Spread of durations, as the standard deviation of their logarithm, before any is known; and as how many
#: durations it counts after.
USUAL_SPREAD, USUAL_COUNT = 0.35, 2
#: A job that is so many times as old as the longest of its kind took is unlike them.
OUTLIVED = 2
#: Weight of the chance that a job is unlike all before it, in durations.
UNLIKE = 0.2

#: Polls of a job that are remembered, of those that found progress.
LOOKS = 6
#: Error of a predicted end: of the part still to come; and as a share of the job's age, for what comes after
#: the last row, and for progress that comes in steps.
PACE_ERROR, END_ERROR = 0.25, 0.02
#: Chance that a rate of progress means nothing.
NO_PACE = 0.003
#: Longest time that a rate predicts, in seconds, and latest point in time that counts.
_LONGEST, _LATEST = 1e9, 1e12

# Of the distribution below: how far its mean is off its scale, and a deviation of one in its own measure.
_MEAN, _DEVIATION = 0.5772156649, math.pi / math.sqrt(6)
# From here on exp(-exp(x)) is as good as nothing.
_CERTAIN = 6.0


class DurationHistory:
    """
    How long jobs of a kind took: the last of them, in bounded memory.

    :param size: how many are remembered.
    """

    __slots__ = ("_logs", "_spread")

    def __init__(self, size: int = REMEMBERED) -> None:
        self._logs: deque[float] = deque(maxlen=size)
        # Of what is remembered now; worked out when it is asked for.
        self._spread: float | None = None

    def __len__(self) -> int:
        return len(self._logs)

    def add(self, seconds: float) -> None:
        """Remember how long a job took. What is no duration is left out."""
        if 0 <= seconds < math.inf:
            self._logs.append(math.log(max(seconds, MIN_AGE)))
            self._spread = None

    def chance(self, age: float) -> Chance | None:
        """Return the chance to end at this age, in seconds, or None if the durations say nothing of it."""
        age = max(age, MIN_AGE)
        if not self._logs or math.log(age / OUTLIVED) > max(self._logs):
            return None
        spread = self._spread = self._spread or self._bandwidth()
        unlike = _unlike(age)
        alike_now, unlike_now = self._running_at(age, spread), UNLIKE * math.pow(1 + age, -UNLIKE_SHAPE)

        def ended_within(seconds: float) -> float:
            later = self._running_at(age + seconds, spread) + unlike_now * (1 - unlike(seconds))
            return 1 - later / (alike_now + unlike_now)

        return ended_within

    def _running_at(self, age: float, spread: float) -> float:
        return math.fsum(_still_runs(age, log, spread) for log in self._logs)

    def _bandwidth(self) -> float:
        """Return about Silverman's, for the logarithms together with the usual spread."""
        logs = sorted(self._logs)
        count = len(logs)
        mean = math.fsum(logs) / count
        variance = math.fsum((log - mean) ** 2 for log in logs) / max(count - 1, 1)
        # Most may be much alike though some fail early: of a normal distribution, the middle half is as wide.
        middle_half = (logs[3 * count // 4] - logs[count // 4]) / 1.349
        if count > 3:
            variance = min(variance, middle_half**2)
        # Wider than his, as an end that comes early should not come as a surprise.
        usual = USUAL_COUNT * USUAL_SPREAD**2
        return 1.2 * math.sqrt((usual + count * variance) / (USUAL_COUNT + count)) * math.pow(count, -0.2)


def durations_of(conn_id: str, job_id: str) -> DurationHistory:
    """
    Return how long jobs of a kind took that this process has waited for.

    The kind is what stands before the last slash of their ids: site, report type, or nothing.
    """
    return durations_of_kind(conn_id, job_id.rpartition("/")[0])


@lru_cache(maxsize=256)
def durations_of_kind(conn_id: str, kind: str) -> DurationHistory:
    """Return the same object for the same kind, for as long as the process remembers it."""
    return DurationHistory()


class ProgressRate:
    """
    How fast one job gets on, by the polls that found it further than the one before.

    :param memory: what :meth:`memory` of an earlier one returned. What is no such thing is not used.
    """

    __slots__ = ("_looks",)

    def __init__(self, memory: object = None) -> None:
        self._looks: list[tuple[float, float]] = []
        for poll in memory if isinstance(memory, list) else ():
            match poll:
                case [int() | float() as at, int() | float() as share]:
                    self.see(share, at)

    def memory(self) -> list[list[float]]:
        """Return plain JSON by which a later one goes on; empty if the job has shown no progress."""
        return [[at, share] for at, share in self._looks]

    def see(self, share: float | None, now: float) -> None:
        """
        Take in a poll.

        :param share: that is done, 0 to 1, or None if that is not known.
        """
        if share is None or not 0 <= share <= 1 or not 0 <= now <= _LATEST:
            return
        if self._looks:
            before_at, before = self._looks[-1]
            if share < before or now < before_at:
                # It began anew.
                self._looks.clear()
            elif share == before:
                if len(self._looks) == 1:
                    # The time before it began to move is no part of its rate.
                    self._looks[0] = (now, share)
                return
        self._looks.append((now, share))
        del self._looks[:-LOOKS]

    def seconds_left(self, now: float) -> float | None:
        """Return how long the job may still take, or None if it was never seen to move."""
        if len(self._looks) < 2:
            return None
        moved_at, done = self._looks[-1]
        # The faster of two: of all that is remembered, and of the last step. A poll that is too early costs
        # one request; one that is too late finds the end late.
        paces = [(moved_at - at) / (done - share) for at, share in (self._looks[0], self._looks[-2])]
        still = max(now - moved_at, 0.0)
        # What has not moved for long is not about to end in a moment.
        return min(max((1 - done) * min(paces) - still, still / 2), _LONGEST)

    def chance(self, now: float, age: float) -> Chance | None:
        """Return the chance to end at this age, in seconds, or None if the job was never seen to move."""
        left = self.seconds_left(now)
        if left is None:
            return None
        age = max(age, MIN_AGE)
        end = age + left
        log_end, spread = math.log(end), math.hypot(PACE_ERROR * left / end, END_ERROR)
        runs_now, without_pace = _still_runs(age, log_end, spread), _unlike(age)

        def ended_within(seconds: float) -> float:
            by_pace = 1 - _still_runs(age + seconds, log_end, spread) / runs_now
            return (1 - NO_PACE) * by_pace + NO_PACE * without_pace(seconds)

        return ended_within


def _unlike(age: float) -> Chance:
    """Return the chance to end for a job of this age, in seconds, that is not as expected."""
    age = max(age, MIN_AGE)
    return lambda seconds: 1 - math.pow(age / (age + seconds), UNLIKE_SHAPE)


def _still_runs(age: float, log_end: float, spread: float) -> float:
    """
    Return the chance that a job still runs at an age, if it was to end about the age ``exp(log_end)``.

    After Frechet's distribution: the job hardly ends much earlier, but may end much later, so that pauses are
    long before the time that was predicted, and grow with its age after it.
    """
    x = (log_end - math.log(age)) / spread * _DEVIATION - _MEAN
    return 1.0 if x > _CERTAIN else -math.expm1(-math.exp(x))
