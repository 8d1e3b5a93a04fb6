"""
When a wait gives a sign of life, and what that says: a line in the task's log at growing distances, more
often while the vendor gives no usable response.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from airflow_provider_jobstatus.core.clock import in_utc
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

#: Seconds from the start of a wait to its first sign, and from one to the next.
FIRST, LATER = 600.0, 3600.0
#: Seconds between two signs of a wait during an outage; none come at shorter distances.
OUTAGE = 600.0
#: Seconds between two checks of a wait's jobs, of which there may be many.
PAUSE = 30.0

#: Returns when a job was polled last, if it was, and when it is polled next: a list may do that for it.
Polls = Callable[[JobPoller], tuple[float | None, float]]


def own_polls(poller: JobPoller) -> tuple[float | None, float]:
    """Return when a job was polled last, if it was, and when it is polled next."""
    return poller.polled_at, poller.next_poll_at


class StatusLines:
    """
    Says when a sign of one wait is due. Points in time are epoch seconds.

    :param started_at: of the wait.
    :param told_at: until when all signs that were due have been given.

    :ivar told_at: as given; when the last sign was due.
    """

    __slots__ = ("_look_at", "_started_at", "told_at")

    def __init__(self, started_at: float, told_at: float) -> None:
        self._started_at = started_at
        self._look_at = 0.0
        self.told_at = told_at

    def due(self, pollers: Sequence[JobPoller], now: float) -> bool:
        """Return whether to give a sign now. If so, it counts as given."""
        if now - self.told_at < OUTAGE - SAME_POINT or now < self._look_at:
            return False
        self._look_at = now + PAUSE
        since = outage_since(pollers)
        away = since is not None and now - since >= OUTAGE - SAME_POINT
        if not away and points(self._started_at, now) == points(self._started_at, self.told_at):
            return False
        self.told_at = now
        return True


def points(started_at: float, now: float) -> int:
    """Return how many signs of a wait have been due until now, if all is well."""
    return max(math.floor((now - started_at - FIRST + SAME_POINT) / LATER) + 1, 0)


def told_until(started_at: float, now: float, interval: float) -> float:
    """
    Return until when signs have been given, as far as a poke without memory can know.

    :param interval: between two pokes, in seconds; one that comes late may leave a sign out.
    """
    return now if points(started_at, now) == points(started_at, now - interval) else started_at


def outage_since(pollers: Sequence[JobPoller]) -> float | None:
    """Return since when there has been no usable response about some job that is waited for, or None."""
    return min(
        (
            poller.outage_began_at
            for poller in pollers
            if poller.outage_began_at is not None and poller.event is None
        ),
        default=None,
    )


def last_and_next(pollers: Sequence[JobPoller], polls: Polls) -> tuple[float | None, float | None]:
    """Return when any of the jobs that are waited for was polled last, and when one is polled next."""
    times = [polls(poller) for poller in pollers if poller.event is None]
    return (
        max((last for last, _ in times if last is not None), default=None),
        min((following for _, following in times), default=None),
    )


def sign(pollers: Sequence[JobPoller], now: float, polls: Polls = own_polls) -> str:
    """
    Return the line that says that a wait goes on: one, however many the jobs.

    :param pollers: of the jobs, some of which are waited for.
    """
    waiting = [poller for poller in pollers if poller.event is None]
    troubled = [poller for poller in waiting if poller.last_error is not None]
    last, following = last_and_next(waiting, polls)
    facts = [
        f"last poll {'not yet' if last is None else _time(last)}",
        f"next by {_time(max(following or now, now))}",
        f"deadline {_time(min((poller.spec.deadline_at for poller in waiting), default=now))}",
    ]
    if len(pollers) == 1:
        (poller,) = pollers
        state = poller.known_status.describe() if poller.known_status else "not seen yet"
        head = f"Still waiting for {poller.job_id}: {state}"
    else:
        done = len(pollers) - len(waiting)
        running = sum(poller.known_status is not None for poller in waiting if poller.last_error is None)
        head = (
            f"Still waiting for {len(waiting)} of {len(pollers)} jobs: {done} done, {running} running, "
            f"{len(troubled)} in trouble, {len(waiting) - running - len(troubled)} not seen yet"
        )
    return "; ".join([head, *facts, *_trouble(troubled, len(pollers) > 1)])


def _trouble(troubled: Sequence[JobPoller], many: bool) -> list[str]:
    """Return what the line says of failed polls."""
    if not troubled:
        return ["no errors"]
    errors = max(poller.errors for poller in troubled)
    count = f"{'up to ' * many}{errors} error{'s' * (errors != 1)} in a row"
    facts = [f"{count}, the last: {troubled[0].job_id}: {troubled[0].last_error}"]
    since = outage_since(troubled)
    if since is not None:
        away = next(poller for poller in troubled if poller.outage_began_at == since)
        limit = away.spec.max_outage
        until = "for as long as the wait lasts" if limit is None else f"until {_time(since + limit)}"
        facts.append(f"no usable answer since {_time(since)}, which is borne {until}")
    return facts


def _time(at: float) -> str:
    return in_utc(at, " ")
