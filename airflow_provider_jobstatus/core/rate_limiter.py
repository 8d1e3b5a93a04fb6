"""What a vendor grants a key."""

from __future__ import annotations

from dataclasses import dataclass

#: Requests with one key that are in flight at once, at most.
MAX_CALLS = 100


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
