"""A connection, and the sessions on it, for all waits of an event loop that use it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError, unreadable
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_lookup import aread_connection
from airflow_provider_jobstatus.hooks.registry import hook_for

if TYPE_CHECKING:
    from airflow_provider_jobstatus.transports.aio import AioClient

T = TypeVar("T")


class ConnectionSession:
    """
    Reads a connection, and sends requests by it. When that is done is decided elsewhere.

    :param conn_id: of the connection.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id
        self._lock = asyncio.Lock()
        # By what a session is made of: a changed connection gets another, and calls under way end on theirs.
        self._clients: dict[tuple[str | None, float], AioClient] = {}
        self._sessions = AsyncExitStack()

    async def close(self) -> None:
        """Close every session."""
        await self._sessions.aclose()

    async def read(self) -> BatchJobHook | VendorError | SettingsError:
        """Read the connection, and return its hook, or why there is none."""
        from airflow_provider_jobstatus.transports.threads import in_thread

        try:
            connection = await aread_connection(self._conn_id)
        except (
            *(SettingsError, VendorError, AirflowException),
            *(AirflowRuntimeError, OSError, RuntimeError),
        ) as error:
            # It could be read when the wait began: a secrets backend or the API server is away.
            return unreadable(self._conn_id, type(error).__name__)
        try:
            # Imports code, and its first use of Airflow's registry takes half a second.
            hook = await in_thread(hook_for, connection)
            _ = hook.account_digest
        except (SettingsError, TransportError) as error:
            return error
        return hook

    async def run(self, hook: BatchJobHook, operation: Operation[T]) -> T | VendorError | SettingsError:
        """Return what an operation brings, or why it brings nothing."""
        try:
            client = self._clients.get(hook.client_kind) or await self._open(hook)
            return await hook.acall(operation, client)
        except (SettingsError, VendorError) as error:
            return error

    async def _open(self, hook: BatchJobHook) -> AioClient:
        kind = hook.client_kind
        async with self._lock:
            # Another request may have opened it meanwhile.
            if kind not in self._clients:
                self._clients[kind] = await self._sessions.enter_async_context(hook.aconnect())
        return self._clients[kind]
