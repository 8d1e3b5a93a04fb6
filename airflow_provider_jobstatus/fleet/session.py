"""A connection, and the session on it, for all waits of a triggerer that use it."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import AsyncExitStack
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.rate_limiter import Budget, Rate
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_lookup import aread_connection, unreadable
from airflow_provider_jobstatus.hooks.registry import hook_for
from airflow_provider_jobstatus.waiting.refusals import REFUSED_AGE, Refusals
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

if TYPE_CHECKING:
    from airflow_provider_jobstatus.transports.aio import AioClient

log = logging.getLogger(__name__)

#: Seconds after which a connection is read again, in case somebody changed it.
MAX_AGE = 600.0
#: Seconds after which it is tried again if that brought nothing.
RETRY_AFTER = 60.0
#: Longest time that a question waits for the connection, in seconds.
READ_TIMEOUT = 60.0

# By key, for as long as somebody uses it: two connections may hold the same key.
_budgets: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, Budget]]
_budgets = WeakKeyDictionary()
_refusals: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, Refusals]]
_refusals = WeakKeyDictionary()


def budget_of(hook: BatchJobHook) -> Budget:
    """Return the budget of a hook's key, the same one for all who use that key."""
    known = _budgets.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    budget = known.setdefault(hook.key_digest, Budget(hook.rate))
    budget.rate = hook.rate
    return budget


def refusals_of(hook: BatchJobHook) -> Refusals:
    """Return what is known of refusals of a hook's key, the same for all who use it with these settings."""
    known = _refusals.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    return known.setdefault(hook.settings_digest, Refusals())


class Access:
    """
    A connection as all waits of one event loop see it: read once, and again after a refusal and when it has
    become old; one session, one token, one budget.

    :param conn_id: of the connection.

    :ivar budget: of the key; shared with other connections that hold the same.
    :ivar refusals: of the key; shared likewise.
    :ivar readings: how many times a reading of the connection has begun.
    :ivar read_by: number of the reading that brought the settings in use.
    """

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self.budget = Budget(Rate())
        self.refusals = Refusals()
        self._lock = asyncio.Lock()
        self._hook: BatchJobHook | None = None
        self._read_at = self._read_again_at = 0.0
        self.readings = self.read_by = 0
        self._reading: asyncio.Task[BatchJobHook | VendorError | SettingsError] | None = None
        # By what a session is made of: a changed connection gets another, and calls under way end on theirs.
        self._clients: dict[tuple[str | None, float], AioClient] = {}
        self._sessions = AsyncExitStack()

    async def close(self) -> None:
        """Close every session."""
        await self._sessions.aclose()

    @property
    def hook(self) -> BatchJobHook | None:
        """The hook by which to ask, or None if the connection must be read first."""
        now = monotonic()
        old = now > self._read_again_at or (
            self.refusals.active and now - self._read_at >= REFUSED_AGE - SAME_POINT
        )
        return None if old else self._hook

    async def client(self, hook: BatchJobHook) -> AioClient:
        """
        Return the session for a hook.

        :raises VendorError: it cannot be opened.
        :raises SettingsError: the hook's connection cannot be used.
        """
        kind = (hook.settings.ca_file, hook.settings.timeout)
        if kind not in self._clients:
            async with self._lock:
                # Another wait may have opened it meanwhile.
                if kind not in self._clients:
                    self._clients[kind] = await self._sessions.enter_async_context(hook.aconnect())
        return self._clients[kind]

    def forget(self, hook: BatchJobHook | None) -> None:
        """Read the connection again before the next question, unless somebody has since ``hook`` was made."""
        if self._hook is hook:
            self._hook = None

    def expire(self) -> None:
        """Read the connection again before the next question; until that succeeds, its settings stay."""
        self._read_again_at = -math.inf

    async def load(self) -> BatchJobHook | VendorError | SettingsError:
        """Read the connection if need be, and return the hook by which to ask, or why there is none."""
        if self.hook is not None:
            return self.hook
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            # All who need it share what it brings. The end of one wait must not end it for the others, nor
            # in the middle of a conversation with Airflow, of which 3.1 would hand the rest to the next.
            async with asyncio.timeout(READ_TIMEOUT):
                return await asyncio.shield(self._reading)
        except TimeoutError:
            return self._keep(unreadable(self.conn_id, "takes too long"))

    async def _read(self) -> BatchJobHook | VendorError | SettingsError:
        """Read the connection. Settings that work are replaced by ones that can be used, and by no others."""
        from airflow_provider_jobstatus.transports.threads import in_thread

        self.readings += 1
        try:
            connection = await aread_connection(self.conn_id)
        except (
            *(SettingsError, VendorError, AirflowException),
            *(AirflowRuntimeError, OSError, RuntimeError),
        ) as error:
            # It could be read when the wait began: a secrets backend or the API server is away.
            return self._keep(unreadable(self.conn_id, type(error).__name__))
        try:
            # Imports code, and its first use of Airflow's registry takes half a second.
            hook = await in_thread(hook_for, connection)
            _ = hook.account_digest
        except (SettingsError, TransportError) as error:
            return self._keep(error)
        self.read_by = self.readings
        self._read_at = monotonic()
        self._read_again_at = self._read_at + MAX_AGE
        if self._hook is None or hook.settings != self._hook.settings:
            self._hook = hook
            self.budget = budget_of(hook)
            self.refusals = refusals_of(hook)
        return self._hook

    def _keep(self, error: VendorError | SettingsError) -> BatchJobHook | VendorError | SettingsError:
        """Return the settings that were read before, or ``error`` if there are none that may be good."""
        self._read_at = monotonic()
        self._read_again_at = self._read_at + RETRY_AFTER
        if self._hook is None:
            return error
        log.warning("%s; the settings read before are used", error)
        return self._hook
