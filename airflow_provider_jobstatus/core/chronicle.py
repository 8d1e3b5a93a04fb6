"""What a wait writes into its log: each change of a few jobs, and the sum of what happens to many."""

from __future__ import annotations

from collections import Counter
from typing import Any

from airflow_provider_jobstatus.core.wait import News

#: More jobs than these are told of in sum: a line each would be ten thousand lines.
FEW = 16


class Chronicle:
    """
    Writes one log.

    :param log: with ``info`` and ``warning``, such as a task's.
    :param jobs: how many there are.
    """

    def __init__(self, log: Any, jobs: int) -> None:
        self._log = log
        self._jobs = jobs
        self._kinds: Counter[str] = Counter()
        self._ended = 0

    def tell(self, news: News | None) -> None:
        """Write what happened to one job; of many jobs only a warning, and of those alike ever fewer."""
        if news is None:
            return
        if self._jobs <= FEW:
            (self._log.warning if news.warning else self._log.info)(news.text)
        elif news.warning:
            self._kinds[news.kind] += 1
            times = self._kinds[news.kind]
            # The first, second, fourth, eighth of a kind.
            if times & (times - 1) == 0:
                self._log.warning("%s (the like %d times so far, of %d jobs)", news.text, times, self._jobs)

    def warn(self, text: str) -> None:
        """Write what concerns no single job."""
        self._log.warning(text)

    def ended(self) -> None:
        """Count a job that has ended; of many, each tenth of them makes a line."""
        before, self._ended = self._ended, self._ended + 1
        if self._jobs > FEW and before * 10 // self._jobs < self._ended * 10 // self._jobs:
            self._log.info("%d of %d jobs have ended", self._ended, self._jobs)
