"""Tries a download, or a read, again while what goes wrong may pass."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from airflow_provider_jobstatus.core.errors import (
    NotFound,
    RateLimited,
    ServerError,
    TransportError,
    VendorError,
)
from airflow_provider_jobstatus.core.responses import MAX_RETRY_AFTER
from airflow_provider_jobstatus.exceptions import DownloadIncomplete

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Errors that may pass.
PASSING = (TransportError, ServerError, RateLimited, DownloadIncomplete)

#: Tries of one download or read, and the longest pause of our own between two of them, in seconds.
MAX_TRIES = 8
MAX_PAUSE = 64.0
#: Longest time, in seconds and in all, that a task sleeps because of a ``Retry-After``.
PATIENCE = 300.0


class RetryBudget:
    """
    What a task has left of :data:`PATIENCE`, the time for which it sleeps because of a ``Retry-After``.

    :param about: job and connection, for the message of a download that stays incomplete.
    """

    def __init__(self, about: str = "") -> None:
        self._left = PATIENCE
        self._about = f"{about}: " if about else ""

    def try_out(self, attempt: Callable[[], T], *, if_missing: str = "") -> T:
        """
        Call ``attempt``, again and again while what goes wrong may pass, for some two minutes in all.

        A vendor's ``Retry-After`` is obeyed, whatever the status is that it comes with, while there is
        patience left. A longer one ends the tries at once, because a task that sleeps for hours holds a
        worker's slot; the error names the pause. A refused login is not repeated, nor a request that the
        vendor may have carried out and that must not be carried out twice.

        :param if_missing: what a 404 means that stays; with it, a 404 may pass too, without it is final.
        :raises VendorError: the error of the last try, or one that further tries cannot mend.
        """
        tries = 0
        while True:
            try:
                return attempt()
            except (VendorError, DownloadIncomplete) as error:
                tries += 1
                wanted: float | None = getattr(error, "retry_after", None)
                passing = isinstance(error, PASSING)
                if if_missing and isinstance(error, NotFound) and error.status == 404:
                    passing = True
                    if tries == MAX_TRIES:
                        error.add(if_missing)
                if not passing and (wanted is None or getattr(error, "login", False)):
                    raise
                if tries == MAX_TRIES or getattr(error, "spent", False):
                    if isinstance(error, DownloadIncomplete):
                        error.args = (f"{self._about}{error}; tried {tries} times",)
                    elif tries > 1:
                        error.add(f"tried {tries} times")
                    raise
                if not getattr(error, "repeatable", True):
                    raise
                pause = min(2.0 ** (tries - 1), MAX_PAUSE) * (0.5 + 0.5 * random.random())  # noqa: S311 - jitter
                if wanted is not None and wanted > pause:
                    pause = wanted
                    self._left -= wanted
                if self._left < 0:
                    least = "at least " if wanted == MAX_RETRY_AFTER else ""
                    wish = f"it asks for a pause of {least}{wanted:.0f} s"
                    remark = f"{wish}, and a task waits {PATIENCE:.0f} s here"
                    if isinstance(error, VendorError):
                        error.add(remark)
                    else:
                        error.args = (f"{self._about}{error}; {remark}",)
                    raise
                log.warning("%s; try %d of %d in %.1f s", error, tries + 1, MAX_TRIES, pause)
            time.sleep(pause)
