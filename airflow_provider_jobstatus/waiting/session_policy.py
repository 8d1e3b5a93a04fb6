"""
When a connection is read, which of its settings are used, and what is known of its key: no I/O and no clock.

Worker and triggerer keep one :class:`SessionPolicy` for each connection. They differ in how they read it and
in the transport alone.

=====================================  =====================================================================
what happened                          what follows
=====================================  =====================================================================
settings were read                     they are used for ten minutes, then read again; unless something
                                       has changed the session stays as it is, with its token
a poll is refused                      the settings are read anew before the next poll; while refusals last,
                                       again every 30 s
other settings were read               a session of their own: hook, token, refusals, and a client if CA or
                                       time-out changed; what is known of the key is shared
nothing was read, or nothing of use    settings that work are used for another minute; without any, all
                                       polls that are due fail for this reason
a lookup does not end                  it is abandoned after a minute: nothing was read
=====================================  =====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.waiting.key_state import KeyState
from airflow_provider_jobstatus.waiting.refusals import REFUSED_AGE, Refusals
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
#: Seconds for which a refusal of a key that no wait uses is remembered.
REFUSAL_KEPT = 3600.0


class Account(Protocol):
    """What of a hook decides which session it needs."""

    @property
    def settings(self) -> object:
        """The connection, checked."""

    @property
    def settings_digest(self) -> str:
        """The same as long as nothing changes by which a refused key might be accepted."""

    @property
    def key_digest(self) -> str:
        """The same for connections that hold the same key."""

    @property
    def rate(self) -> Rate:
        """What the key may use."""


H = TypeVar("H", bound=Account)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Session(Generic[H]):
    """
    A connection as it was read last.

    :param hook: of the connection; it holds the token.
    :param key: what is known of its key, shared with other connections that hold the same.
    :param refusals: of its key with its settings; shared likewise.
    """

    hook: H
    key: KeyState
    refusals: Refusals

    def memory(self) -> dict[str, Any] | None:
        """Return plain JSON for the :class:`Keys` of a later process; None if nothing was refused."""
        known = self.refusals.memory()
        return None if known is None else {"settings": _mark(self.hook), **known}


def _mark(hook: Account) -> str:
    """Return what shows a change of the secret, and is too short for a guess at the secret to be checked."""
    return hook.settings_digest[:4]


class Keys:
    """
    What is known of keys: kept for as long as it holds, also while no wait uses them.

    :param remembered: what :meth:`Session.memory` returned in an earlier process. It counts for the very
        settings that were refused, and not once they have been changed.
    """

    def __init__(self, remembered: Mapping[str, Any] | None = None) -> None:
        self._remembered = remembered or {}
        self._states: dict[str, KeyState] = {}
        self._refusals: dict[str, Refusals] = {}

    def session(self, hook: H, before: Session[H] | None) -> Session[H]:
        """
        Return the session for a hook that was made just now.

        :param before: session of the connection until now; None if there is none, or if it must not be used
            again, as its key was refused.
        """
        if before is not None and before.hook.settings == hook.settings:
            return before
        key = self._states.setdefault(hook.key_digest, KeyState(hook.rate))
        key.throttle.change(hook.rate)
        digest = hook.settings_digest
        if digest not in self._refusals:
            known = self._remembered if self._remembered.get("settings") == _mark(hook) else None
            self._refusals[digest] = Refusals(known)
        return Session(hook, key, self._refusals[digest])

    def forget(self, in_use: Container[str], now: float) -> None:
        """
        Forget what does not hold any more of keys that no wait uses.

        :param in_use: digests of the keys and settings in use.
        """
        self._states = {
            digest: key for digest, key in self._states.items() if digest in in_use or key.holds(now)
        }
        self._refusals = {
            digest: refusals
            for digest, refusals in self._refusals.items()
            if digest in in_use or (refusals.active and now < refusals.last_at + REFUSAL_KEPT)
        }


class SessionPolicy(Generic[T]):
    """
    Keeps the settings of one connection.

    :param lost: the error of a lookup that does not end.
    :param failed_age: seconds for which a failed lookup stands for all polls that need it.

    :ivar current: the settings to use, as they were read last; None if they must be read first.
    :ivar error: why there are none.
    :ivar lookups: how many have begun.
    :ivar found_by: number of the one that brought the settings in use.
    """

    def __init__(self, lost: VendorError, failed_age: float = FAILED_AGE) -> None:
        self._lost = lost
        self._failed_age = failed_age
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
        if self._began_at is not None and now >= self._began_at + READ_TIMEOUT - SAME_POINT:
            self.failed(self._lost, self.lookups, now)
        old = now > self._again_at or (refused and now - self._read_at >= REFUSED_AGE - SAME_POINT)
        slow = self._began_at is not None and now >= self._began_at + PATIENCE
        return None if old and not slow else self.current

    def failure(self, now: float) -> VendorError | SettingsError | None:
        """Return why there are no settings, if that was found out just now."""
        return self.error if self.current is None and now < self._failed_at + self._failed_age else None

    def begin(self, now: float) -> int | None:
        """Return the number of the lookup that begins now; None if one is under way."""
        if self._began_at is not None:
            return None
        self.lookups += 1
        self._began_at = now
        return self.lookups

    @property
    def next_at(self) -> float:
        """When polls go on although the lookup under way has not ended; infinity if none is under way."""
        if self._began_at is None:
            return math.inf
        return self._began_at + (READ_TIMEOUT if self.current is None else PATIENCE)

    def loaded(self, settings: T, attempt: int, now: float) -> bool:
        """Take in the settings of a lookup. Returns whether they have changed."""
        if attempt != self.lookups or self._began_at is None:
            return False
        changed, self.current = settings is not self.current, settings
        self._began_at, self.error = None, None
        self._read_at, self._again_at = now, now + MAX_AGE
        self.found_by = attempt
        return changed

    def failed(self, error: VendorError | SettingsError, attempt: int, now: float) -> str | None:
        """
        Take in why a lookup brought nothing.

        :return: a line for the log, if the settings read before are used.
        """
        if attempt != self.lookups or self._began_at is None:
            return None
        self._began_at, self.error = None, error
        self._read_at = self._failed_at = now
        self._again_at = now + RETRY_AFTER
        return None if self.current is None else f"{error}; the settings read before are used"

    def forget(self, settings: T | None) -> None:
        """Read the connection again before the next poll, unless that has happened since."""
        if self.current is settings:
            self.current = None
            self.expire()

    def expire(self) -> None:
        """Read the connection again before the next poll; until that succeeds, its settings stay."""
        self._again_at = -math.inf
