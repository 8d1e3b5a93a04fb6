"""
When to poll a running job next, by when it may end. `now` is passed in.

What is known of it, the best first:

1. **Its progress**: the rate of its rows or percent so far.
2. **Its age**, and how long others of its kind took.
3. **Its age alone**: what has run for long is likely to run for long, so the pause is a part of its age.

The first two give a chance (``waiting/completion.py``), and one rule, :func:`pause`, makes a pause of it:
poll when ``seconds since the last poll x chance that the job has ended since`` reaches a fixed number. Half
of that is about how late the poll comes on average, so that each request is worth as much as any other. No
pause is longer than the poll interval, or shorter than the floor. The figures below are those with which
``dev/adaptive.py`` did well.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting.completion import Chance, DurationHistory, ProgressRate
from airflow_provider_jobstatus.waiting.progress_tracker import share_done
from airflow_provider_jobstatus.waiting.spec import WaitSpec

#: The floor as a part of the poll interval, or of the job's age if that is less, and in seconds.
FLOOR_SHARE, FLOOR_SHARE_OF_AGE, MIN_FLOOR = 1 / 25, 1 / 20, 1.0
#: Seconds within which a job that ends at a constant rate is expected to end, if one poll every poll interval
#: is right for it. The pauses of any other job are shorter by the root of its own rate.
CALM = 1_000_000.0
#: Of age alone: the pause, as a part of the age.
PAUSE_BY_AGE = 1 / 16
_HALVINGS = 7
_DAY = 86_400.0


def next_poll(
    spec: WaitSpec,
    pace: ProgressRate,
    durations: DurationHistory | None,
    status: JobStatus,
    now: float,
    first_poll_at: float | None = None,
) -> float:
    """
    Return when to poll a running job next, epoch seconds: at the next point of the grid, or before.

    :param pace: of this job; the status is added to it.
    :param durations: of jobs of its kind, if there are any.
    :param status: of this poll.
    :param first_poll_at: start of the job's grid, if it is not the spec's.
    """
    age = now - began_at(status, spec.started_at)
    pace.see(share_done(status), now)
    chance = pace.chance(now, age) or (durations.chance(age) if durations else None)
    point = spec.next_point(now, first_poll_at)
    ahead = point - now
    # Equal pauses up to the point: none is longer because of it, or shorter than half as long.
    pauses = math.ceil(ahead / pause(chance, spec.poll_interval, age))
    pauses = min(pauses, int(ahead / floor(spec.poll_interval, age)))
    return point if pauses <= 1 else now + ahead / pauses


def pause(chance: Chance | None, poll_interval: float, age: float) -> float:
    """
    Return the seconds until the next poll of a job: from twice the floor to ``poll_interval``.

    :param chance: that it ends within so many seconds; None if nothing but its age is known.
    :param age: of the job, in seconds.
    """
    shortest, longest = min(2 * floor(poll_interval, age), poll_interval), poll_interval
    if chance is None:
        return min(max(PAUSE_BY_AGE * age, shortest), longest)
    limit = poll_interval**2 / CALM
    if longest * chance(longest) <= limit:
        return longest
    if shortest * chance(shortest) >= limit:
        return shortest
    for _ in range(_HALVINGS):
        middle = math.sqrt(shortest * longest)
        if middle * chance(middle) <= limit:
            shortest = middle
        else:
            longest = middle
    return shortest


def floor(poll_interval: float, age: float) -> float:
    """Return what is too short for a pause, in seconds, for a job of this age."""
    share = min(FLOOR_SHARE * poll_interval, FLOOR_SHARE_OF_AGE * age)
    return min(max(share, MIN_FLOOR), poll_interval)


def began_at(status: JobStatus, started_at: float) -> float:
    """Return when a job began, epoch seconds: as the vendor says, but no later than the wait for it."""
    created_at = _epoch(status.created_at)
    return started_at if created_at is None else min(created_at, started_at)


def seconds_taken(status: JobStatus, started_at: float, now: float, *, seen_running: bool) -> float | None:
    """
    Return how long a job took that has ended, or None if that is not known.

    :param status: its last.
    :param started_at: of the wait for it.
    :param seen_running: whether it ran at an earlier poll: if not, it may have ended long before this one.
    """
    created_at, completed_at = _epoch(status.created_at), _epoch(status.completed_at)
    if created_at is not None and completed_at is not None and created_at <= completed_at:
        return completed_at - created_at
    return max(now - began_at(status, started_at), 0.0) if seen_running else None


def _epoch(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    # Systems that do not know a time give the year 1 or 1970.
    return at if at > _DAY else None
