"""Responses that count only if they come again: refusals, a spent licence, a proxy's 4xx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_jobstatus.core.errors import AccessDenied, VendorError
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

#: Seconds after which a spent licence must be seen again to be believed.
SPENT_CONFIRMED_AFTER = 180.0


class Confirmations:
    """
    Counts, for one job, what ends its wait only when it lasts or comes again.

    :param memory: what :meth:`memory` of an earlier one returned; and ``"looked"``, whether the first poll of
        the wait is over. Until then each of them counts at once.

    :ivar looked: as given; also set by any response but a refusal.
    :ivar refused_since: when the credentials were first refused since the last good answer, or None.
    :ivar spent_since: when the licence was first said to be spent since then, or None.
    :ivar stray: whether a 4xx came since then that may be a proxy's.
    """

    __slots__ = ("looked", "refused_since", "spent_since", "stray")

    def __init__(self, memory: Mapping[str, Any]) -> None:
        self.looked: bool = memory.get("looked", False)
        self.refused_since: float | None = memory.get("refused_since")
        self.spent_since: float | None = memory.get("spent_since")
        self.stray: bool = memory.get("stray", False)

    def memory(self) -> dict[str, Any]:
        """Return plain JSON by which a later one goes on; empty if nothing is to be confirmed."""
        known: dict[str, Any] = {
            "refused_since": self.refused_since,
            "spent_since": self.spent_since,
            "stray": self.stray or None,
        }
        return {name: value for name, value in known.items() if value is not None}

    def clear(self) -> None:
        """Take in a usable response."""
        self.refused_since = self.spent_since = None
        self.stray, self.looked = False, True

    def refused_until(self, error: AccessDenied, now: float, grace: float) -> float:
        """
        Take in a refusal, and return when the credentials will have been refused for too long.

        That counts from the first refusal, or from the first one with the settings of today.

        :param grace: how long they may be, in seconds.
        """
        since = now if self.refused_since is None else self.refused_since
        since = max(since, error.refused_since or 0.0)
        if error.retry_after:
            # A limit: the vendor itself names a time, which does not count.
            since, self.looked = since + error.retry_after, True
        self.refused_since = since
        return since + grace if self.looked else since

    def refused_for(self, now: float) -> float | None:
        """Return for how many seconds the credentials were refused; None for both tries of a first poll."""
        if self.refused_since is None:
            return 0.0
        return now - self.refused_since if self.looked else None

    def is_spent(self, now: float) -> bool:
        """Take in that the licence is spent, and return whether that counts: once may be a mistake."""
        if self.spent_since is None:
            self.spent_since = now
        return not self.looked or now - self.spent_since >= SPENT_CONFIRMED_AFTER - SAME_POINT

    def is_final(self, error: VendorError) -> bool:
        """Return whether a 4xx counts: one of a proxy, or one that names a time, may pass."""
        return self.stray or (error.own and not error.retry_after)
