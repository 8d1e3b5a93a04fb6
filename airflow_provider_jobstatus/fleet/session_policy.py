"""
When a connection is read, and which of its settings are used: no I/O and no clock.

Settings that work are replaced by ones that can be used, and by no others.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.waiting.refusals import REFUSED_AGE
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

#: Seconds after which a connection is read again, as it may have been changed.
MAX_AGE = 600.0
#: Seconds after which it is read again if that brought nothing.
RETRY_AFTER = 60.0
#: Seconds after which a lookup is abandoned.
READ_TIMEOUT = 60.0
#: Seconds for which polls wait for a lookup while there are settings that may still be good.
PATIENCE = 5.0
#: Seconds for which a failed lookup stands for all polls that need it.
FAILED_AGE = 1.0

T = TypeVar("T")


class SessionPolicy(Generic[T]):
    """
    Keeps the settings of one connection.

    :param lost: what polls are told of a lookup that does not answer.

    :ivar current: the settings to use, as they were read last; None if they must be read first.
    :ivar error: why there are none.
    :ivar lookups: how many have begun.
    :ivar found_by: number of the one that brought the settings in use.
    """

    def __init__(self, lost: VendorError) -> None:
        self._lost = lost
        self.current: T | None = None
        self.error: VendorError | SettingsError | None = None
        self.lookups = self.found_by = 0
        self._began_at: float | None = None
        self._read_at = self._again_at = -math.inf
        self._failed_at = -math.inf

    def usable(self, now: float, *, refused: bool) -> T | None:
        """
        Return the settings to use now; None if they must be read first.

        :param refused: whether the vendor refuses the key: it may have been replaced.
        """
        self._abandon(now)
        patient = self._began_at is None or now < self._began_at + PATIENCE
        return None if patient and self._is_old(now, refused) else self.current

    def failure(self, now: float) -> VendorError | SettingsError | None:
        """Return why there are no settings, if that was found out just now."""
        return self.error if self.current is None and now < self._failed_at + FAILED_AGE else None

    def begin(self, now: float) -> int | None:
        """Return the number of the lookup that begins now; None if one is under way."""
        if self._began_at is not None:
            return None
        self.lookups += 1
        self._began_at = now
        return self.lookups

    @property
    def next_at(self) -> float:
        """When polls go on although nothing is reported of the lookup under way; infinity if none is."""
        if self._began_at is None:
            return math.inf
        return self._began_at + (READ_TIMEOUT if self.current is None else PATIENCE)

    def loaded(self, settings: T, attempt: int, now: float) -> bool:
        """Take in the settings of a lookup. Returns whether they are others than before."""
        if attempt != self.lookups or self._began_at is None:
            return False
        changed, self.current = settings is not self.current, settings
        self._began_at, self.error = None, None
        self.found_by = attempt
        self._read_at, self._again_at = now, now + MAX_AGE
        return changed

    def failed(self, error: VendorError | SettingsError, attempt: int, now: float) -> None:
        """Take in why a lookup brought nothing."""
        if attempt != self.lookups or self._began_at is None:
            return
        self._began_at, self.error = None, error
        self._read_at = self._failed_at = now
        self._again_at = now + RETRY_AFTER

    def forget(self, settings: T | None) -> None:
        """Read the connection again before the next poll, unless that has happened since."""
        if self.current is settings:
            self.current = None
            self._again_at = -math.inf

    def expire(self) -> None:
        """Read the connection again before the next poll; until that succeeds, its settings stay."""
        self._again_at = -math.inf

    def _abandon(self, now: float) -> None:
        """Give up a lookup that does not answer: another one may begin."""
        if self._began_at is not None and now >= self._began_at + READ_TIMEOUT - SAME_POINT:
            self.failed(self._lost, self.lookups, now)

    def _is_old(self, now: float, refused: bool) -> bool:
        return (
            self.current is None
            or now > self._again_at
            or (refused and now - self._read_at >= REFUSED_AGE - SAME_POINT)
        )
