"""How a hook drives its operations. Nothing of it concerns the author of a vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.core.errors import AccessDenied
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.operation import Conversation, Credentials, Operation, conversation
from airflow_provider_jobstatus.hooks.connected import ConnectedHook

if TYPE_CHECKING:
    from airflow_provider_jobstatus.transports.aio import AioClient
    from airflow_provider_jobstatus.transports.blocking import BlockingClient
    from airflow_provider_jobstatus.transports.environment import CallLimits

T = TypeVar("T")


class DrivingHook(ConnectedHook):
    """
    A hook that drives operations: :meth:`call`, :meth:`acall` and :meth:`open`, and nothing else does.

    :param conn_id: Airflow connection, read when it is first needed.
    """

    def call(self, operation: Operation[T], client: BlockingClient | None = None) -> T:
        """
        Drive an operation on the worker, and return its result.

        :param client: from :meth:`connect`; without one, a session is opened for this operation.
        :raises VendorError: no usable response.
        :raises SettingsError: the connection cannot be used; nothing was sent.
        """
        if client is not None:
            return client.run(self._read_whole(operation))
        with self.connect() as client:
            return client.run(self._read_whole(operation))

    def acall(self, operation: Operation[T], client: AioClient) -> Coroutine[Any, Any, T]:
        """
        Drive an operation in an event loop, and return its result, once it is awaited.

        :param client: from :meth:`aconnect`.
        :raises VendorError, SettingsError: as :meth:`call`.
        """
        return client.run(self._read_whole(operation))

    @contextmanager
    def open(self, operation: Operation[Response]) -> Iterator[Response]:
        """
        Drive a streamed operation, for as long as the ``with`` lasts.

        :raises VendorError, SettingsError: as :meth:`call`.
        """
        if not operation.streamed:
            raise ValueError("an operation that is not streamed is called, not opened")
        with self.connect() as client, client.open(self.converse(operation)) as reply:
            yield reply

    def _read_whole(self, operation: Operation[T]) -> Conversation[T]:
        if operation.streamed:
            raise ValueError("a streamed operation is opened, not called")
        return self.converse(operation)

    def converse(self, operation: Operation[T]) -> Conversation[T]:
        """
        Return the conversation of an operation, ready for a transport.

        :raises SettingsError: the connection has no credential.
        """
        return conversation(operation, self._credentials if operation.credentials else None)

    @cached_property
    def _credentials(self) -> Credentials:
        return Credentials(self.auth, self.settings.base_url, self.conn_id, self.explain_refusal)

    def explain_refusal(self, error: AccessDenied) -> None:
        """Add to a refusal what helps against it."""
        error.credential = self.shown_credential()

    @contextmanager
    def connect(self) -> Iterator[BlockingClient]:
        """
        Open a session for any number of operations, on the worker.

        :raises SettingsError: the authorities or the proxy of the environment cannot be used.
        """
        from airflow.sdk.log import mask_secret

        from airflow_provider_jobstatus.transports.blocking import BlockingClient
        from airflow_provider_jobstatus.transports.proxies import proxy_for

        proxy_for(self.settings.base_url)
        with BlockingClient(self._limits(), self._ca_file(), mask_secret) as client:
            yield client

    @asynccontextmanager
    async def aconnect(self) -> AsyncIterator[AioClient]:
        """Open a session for any number of operations, in an event loop."""
        from airflow_provider_jobstatus.transports.aio import AioClient
        from airflow_provider_jobstatus.transports.threads import in_thread

        ca_file = await in_thread(self._ca_file)
        async with AioClient(self._limits(), ca_file, _compat.amask_secret) as client:
            yield client

    @property
    def longest_question(self) -> float:
        """Seconds that a poll may take with all its calls."""
        return self._limits().operation

    def _limits(self) -> CallLimits:
        from airflow_provider_jobstatus.transports.environment import CallLimits

        usual, total = CallLimits(), self.settings.timeout
        return CallLimits(total=total, connect=min(usual.connect, total), read=min(usual.read, total))

    def _ca_file(self) -> str | None:
        path = self.settings.ca_file
        found = path is None
        with suppress(OSError, ValueError):  # such as a name that is too long
            found = found or Path(path or "").is_file()
        if not found:
            raise self.settings.error("extra 'verify'", "names a file that is not here", "give a CA file")
        return path
