"""One way to the vendor for all waits of a triggerer that use the same connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connections import aread_connection, hook_for

if TYPE_CHECKING:
    from airflow_provider_jobstatus.transports.aio import AioClient

#: Seconds after which a connection is read again, in case somebody changed it.
MAX_AGE = 600.0

# Sessions and locks belong to one event loop. A triggerer has one.
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Access]] = WeakKeyDictionary()


@asynccontextmanager
async def access(conn_id: str) -> AsyncIterator[Access]:
    """
    Join those who use a connection. The last who leaves closes its session.

    :param conn_id: of the connection; it is read when it is first needed.
    """
    known = _shared.setdefault(asyncio.get_running_loop(), {})
    shared = known.setdefault(conn_id, Access(conn_id))
    shared.users += 1
    try:
        yield shared
    finally:
        shared.users -= 1
        if shared.users == 0:
            del known[conn_id]
            await shared.close()


class Access:
    """
    A connection as all waits of one event loop see it: read once, and again after a refusal and when it has
    become old; one session, one token.

    :param conn_id: of the connection.

    :ivar users: how many use it.
    """

    def __init__(self, conn_id: str) -> None:
        self.users = 0
        self._conn_id = conn_id
        self._lock = asyncio.Lock()
        self._hook: BatchJobHook | None = None
        self._read_at = 0.0
        # By what a session is made of: a changed connection gets another, and calls under way end on theirs.
        self._clients: dict[tuple[str | None, float], AioClient] = {}
        self._sessions = AsyncExitStack()

    async def close(self) -> None:
        """Close every session."""
        await self._sessions.aclose()

    async def ask(self, job_id: str) -> tuple[JobStatus | VendorError | SettingsError, BatchJobHook | None]:
        """Return the job's status, or why there is none; and the hook that asked, if it came to that."""
        hook = None
        try:
            hook, client = await self._ready()
            status: JobStatus = await client.run(hook.job_status_flow(job_id))
        except (VendorError, SettingsError) as error:
            return error, hook
        return status, hook

    def forget(self, hook: BatchJobHook | None) -> None:
        """Read the connection again before the next question, unless somebody has since ``hook`` was made."""
        if self._hook is hook:
            self._hook = None

    async def _ready(self) -> tuple[BatchJobHook, AioClient]:
        if (hook := self._hook) is None or time.monotonic() - self._read_at > MAX_AGE:
            async with self._lock:
                # Another wait may have read it meanwhile.
                if self._hook is None or time.monotonic() - self._read_at > MAX_AGE:
                    await self._read()
                hook = self._hook
        assert hook is not None  # noqa: S101 - for the type checker
        key = (hook.settings.ca_file, hook.settings.timeout)
        if key not in self._clients:
            async with self._lock:
                if key not in self._clients:
                    self._clients[key] = await self._sessions.enter_async_context(hook.aconnect())
        return hook, self._clients[key]

    async def _read(self) -> None:
        try:
            connection = await aread_connection(self._conn_id)
        except (SettingsError, AirflowException, AirflowRuntimeError, OSError, RuntimeError) as error:
            self._read_at = time.monotonic() - MAX_AGE * 0.9
            if self._hook is not None:
                return
            # It could be read when the wait began: a secrets backend or the API server is away.
            reason = f"connection {self._conn_id!r} cannot be read ({type(error).__name__})"
            raise TransportError(reason, vendor="Airflow") from None
        # Imports code, and its first use of Airflow's registry takes half a second.
        hook = await asyncio.to_thread(hook_for, connection)
        self._read_at = time.monotonic()
        if self._hook is None or hook.settings != self._hook.settings:
            self._hook = hook
