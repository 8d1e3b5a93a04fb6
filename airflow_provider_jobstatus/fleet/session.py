"""A connection, and the session on it, for all waits of a triggerer that use it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError, unreadable
from airflow_provider_jobstatus.core.rate_limiter import Budget, Rate
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_lookup import aread_connection
from airflow_provider_jobstatus.hooks.registry import hook_for
from airflow_provider_jobstatus.waiting.refusals import Refusals
from airflow_provider_jobstatus.waiting.session_policy import READ_TIMEOUT, Keys, Session, SessionPolicy

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_jobstatus.transports.aio import AioClient

log = logging.getLogger(__name__)

# Two connections may hold the same key.
_keys: WeakKeyDictionary[asyncio.AbstractEventLoop, Keys] = WeakKeyDictionary()


class Access:
    """
    A connection as all waits of one event loop see it: one session, one token, one budget, by the rules of
    ``waiting/session_policy.py``.

    :param conn_id: of the connection.

    :ivar budget: of the key; shared with other connections that hold the same.
    :ivar refusals: of the key; shared likewise.
    """

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self.budget = Budget(Rate())
        self.refusals = Refusals()
        self._lock = asyncio.Lock()
        self._keys = _keys.setdefault(asyncio.get_running_loop(), Keys())
        self._policy: SessionPolicy[Session[BatchJobHook]] = SessionPolicy(
            unreadable(conn_id, "takes too long")
        )
        self._session: Session[BatchJobHook] | None = None
        # By their numbers: an abandoned one may end later.
        self._readings: dict[int, asyncio.Task[None]] = {}
        # A changed connection may need another, and calls under way end on theirs.
        self._clients: dict[tuple[str | None, float], AioClient] = {}
        self._sessions = AsyncExitStack()

    async def close(self) -> None:
        """Close every session."""
        await self._sessions.aclose()

    @property
    def hook(self) -> BatchJobHook | None:
        """The hook by which to ask, or None if the connection must be read first."""
        session = self._policy.usable(monotonic(), refused=self.refusals.active)
        return None if session is None else session.hook

    @property
    def readings(self) -> int:
        """How many times a reading of the connection has begun."""
        return self._policy.lookups

    @property
    def read_by(self) -> int:
        """Number of the reading that brought the settings in use."""
        return self._policy.found_by

    async def client(self, hook: BatchJobHook) -> AioClient:
        """
        Return the session for a hook.

        :raises VendorError: it cannot be opened.
        :raises SettingsError: the hook's connection cannot be used.
        """
        kind = hook.client_kind
        if kind not in self._clients:
            async with self._lock:
                # Another wait may have opened it meanwhile.
                if kind not in self._clients:
                    self._clients[kind] = await self._sessions.enter_async_context(hook.aconnect())
        return self._clients[kind]

    def forget(self, hook: BatchJobHook | None) -> None:
        """Read the connection again before the next question, unless somebody has since ``hook`` was made."""
        session = self._session
        if session is not None and session.hook is hook:
            self._policy.forget(session)

    def expire(self) -> None:
        """Read the connection again before the next question; until that succeeds, its settings stay."""
        self._policy.expire()

    async def load(self) -> BatchJobHook | VendorError | SettingsError:
        """Read the connection if need be, and return the hook by which to ask, or why there is none."""
        if (hook := self.hook) is not None:
            return hook
        if (error := self._policy.failure(monotonic())) is not None:
            return error
        if (attempt := self._policy.begin(monotonic())) is not None:
            self._readings[attempt] = asyncio.create_task(self._read(attempt))
        try:
            # All who need it share what it brings. The end of one wait must not end it for the others, nor
            # in the middle of a conversation with Airflow, of which 3.1 would hand the rest to the next.
            async with asyncio.timeout(READ_TIMEOUT):
                await asyncio.shield(self._readings[self._policy.lookups])
        except TimeoutError:
            self._failed(unreadable(self.conn_id, "takes too long"), self._policy.lookups)
        if (session := self._policy.current) is not None:
            return session.hook
        return self._policy.error or unreadable(self.conn_id, "takes too long")

    async def _read(self, attempt: int) -> None:
        try:
            # It could be read when the wait began: a secrets backend or the API server is away.
            connection = await aread_connection(self.conn_id)
        except (
            *(SettingsError, VendorError, AirflowException),
            *(AirflowRuntimeError, OSError, RuntimeError),
        ) as error:
            self._failed(unreadable(self.conn_id, type(error).__name__), attempt)
        else:
            await self._take_in(connection, attempt)
        finally:
            # Unless that has been reported, a fault has ended it.
            self._failed(unreadable(self.conn_id, "a fault"), attempt)
            del self._readings[attempt]

    async def _take_in(self, connection: Connection, attempt: int) -> None:
        from airflow_provider_jobstatus.transports.threads import in_thread

        try:
            # Imports code, and its first use of Airflow's registry takes half a second.
            hook = await in_thread(hook_for, connection)
            _ = hook.account_digest
        except (SettingsError, TransportError) as error:
            self._failed(error, attempt)
            return
        session = self._keys.session(hook, self._session, anew=self._policy.current is None)
        if self._policy.loaded(session, attempt, monotonic()):
            self._session, self.budget, self.refusals = session, session.budget, session.refusals

    def _failed(self, error: VendorError | SettingsError, attempt: int) -> None:
        if (line := self._policy.failed(error, attempt, monotonic())) is not None:
            log.warning(line)
